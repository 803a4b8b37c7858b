//! Who the API server thinks owns which field.
//!
//! Creation is by create, so that it fails where something stands; what follows is server-side apply. The API server
//! keeps the two apart even under one name, and an apply takes no field away that an update of the same name has set.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use crate::names::MANAGER;

/// The entries with what we created made ours to apply; nothing if that is so already.
pub(super) fn taken_over(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let created = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(MANAGER)
            && entry.operation.as_deref() == Some("Update")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    };
    let applied = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply")
    };
    if !entries.iter().any(created) {
        return None;
    }
    // An apply of ours that stands beside it has all fields that count; two entries of one manager are not allowed.
    let keep = !entries.iter().any(applied);
    let entries = entries.iter().filter(|entry| keep || !created(entry)).cloned();
    Some(
        entries
            .map(|entry| {
                let operation = if created(&entry) { Some("Apply".into()) } else { entry.operation.clone() };
                ManagedFieldsEntry { operation, ..entry }
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, subresource: Option<&str>) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            subresource: subresource.map(Into::into),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn what_was_created_becomes_ours_to_apply_once() {
        let status = entry("kube-controller-manager", "Update", Some("status"));
        let created = [entry(MANAGER, "Update", None), status.clone()];
        let taken = taken_over(&created).unwrap();
        assert_eq!(taken, vec![entry(MANAGER, "Apply", None), status]);
        assert_eq!(taken_over(&taken), None);
    }

    #[test]
    fn an_update_beside_an_apply_goes() {
        let both = [entry(MANAGER, "Apply", None), entry(MANAGER, "Update", None)];
        assert_eq!(taken_over(&both), Some(vec![entry(MANAGER, "Apply", None)]));
    }

    #[test]
    fn what_others_have_set_stays_theirs() {
        assert_eq!(
            taken_over(&[entry("kubectl", "Update", None), entry(MANAGER, "Update", Some("status"))]),
            None
        );
    }
}
