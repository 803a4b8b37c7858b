//! The ConfigMap of the layout record. It is written by create or by replace, never by apply: of two writers one fails.

use std::collections::BTreeMap;

use dynamo_ring::Record;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::labelled;
use crate::controller::validate::Desired;
use crate::names::{CLUSTER_LABEL, LAYOUT_KEY};

/// The ConfigMap around `record`. It outlives the resource unless the spec says otherwise, so it is known by its
/// label and by the cluster id in the record, not by an owner.
pub fn layout(desired: &Desired, record: &Record) -> ConfigMap {
    let mut metadata = labelled(&desired.names, desired.names.layout());
    metadata.owner_references = data_owner(desired).map(|owner| vec![owner]);
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(LAYOUT_KEY.to_owned(), record.to_json())])),
        ..ConfigMap::default()
    }
}

/// Who takes volumes and layout along when it is deleted; nobody under `deletionPolicy: Retain`. Not a controller, so
/// that nothing is adopted or released behind our back.
pub fn data_owner(desired: &Desired) -> Option<OwnerReference> {
    desired.delete_data.then(|| OwnerReference { controller: None, ..desired.owner.clone() })
}

/// What a ConfigMap of the layout's name says.
pub fn read(map: &ConfigMap, cluster: &str) -> Result<Record, String> {
    let label = map.metadata.labels.as_ref().and_then(|labels| labels.get(CLUSTER_LABEL));
    if label.map(String::as_str) != Some(cluster) {
        return Err(format!("it has no label {CLUSTER_LABEL}={cluster}, so it may belong to someone else"));
    }
    let text = map.data.as_ref().and_then(|data| data.get(LAYOUT_KEY));
    let text = text.ok_or_else(|| format!("it has no key {LAYOUT_KEY}"))?;
    Record::from_json(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::model;
    use crate::testing::desired;

    #[test]
    fn a_record_survives_its_config_map() {
        let record = model::settled(3);
        let map = layout(&desired(3), &record);
        assert_eq!(map.metadata.owner_references, None, "data stays unless the spec says otherwise");
        assert_eq!(read(&map, "cart"), Ok(record));
    }

    #[test]
    fn with_deletion_policy_delete_it_goes_with_the_resource() {
        let mut desired = desired(3);
        desired.delete_data = true;
        let owners = layout(&desired, &model::settled(3)).metadata.owner_references.unwrap();
        assert_eq!(owners.len(), 1);
        assert_eq!((owners[0].uid.as_str(), owners[0].controller), ("cart-uid", None));
    }

    #[test]
    fn another_ones_config_map_or_a_damaged_one_is_not_read() {
        let mut map = layout(&desired(3), &model::settled(3));
        assert!(read(&map, "basket").unwrap_err().contains("someone else"));
        map.data.as_mut().unwrap().insert(LAYOUT_KEY.into(), "{".into());
        assert!(read(&map, "cart").unwrap_err().contains("not a layout record"));
        map.data = None;
        assert!(read(&map, "cart").unwrap_err().contains("no key"));
    }
}
