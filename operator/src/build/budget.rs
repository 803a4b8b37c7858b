//! How many members an eviction may take away at once.

use dynamo_ring::{Layout, Quorum, Record};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{members, owned};
use crate::controller::validate::Desired;

/// The members of S or T that stay whatever is evicted: all but N - max(R, W), and at least one may always go, so that
/// a Kubernetes node can be drained.
pub fn min_available(members: usize, quorum: Quorum) -> i32 {
    let spare = i32::from(quorum.n) - i32::from(quorum.r.max(quorum.w));
    let members = i32::try_from(members).unwrap_or(i32::MAX);
    (members - spare.max(1)).max(0)
}

/// The budget of the members that `record` names; it changes with each step. Without a layout nothing is protected,
/// since nothing is stored.
pub fn budget(desired: &Desired, record: Option<&Record>) -> PodDisruptionBudget {
    let serving = record.map_or(0, |record| {
        let members = record.view().write_layouts().flat_map(Layout::members);
        let mut ids: Vec<_> = members.map(|m| m.node_id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    });
    let available = min_available(serving, record.map_or(desired.quorum, Record::quorum));
    PodDisruptionBudget {
        metadata: owned(desired, desired.names.cluster.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(available)),
            selector: Some(members(&desired.names)),
            // A pod that is broken anyway may always be evicted: it counts for nothing.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::tests::assert_object;
    use crate::testing::desired;

    #[test]
    fn one_member_may_always_go_and_no_more_than_the_quorum_can_spare() {
        let quorum = |n, r, w| Quorum { n, r, w };
        assert_eq!(min_available(3, quorum(3, 2, 2)), 2);
        assert_eq!(min_available(5, quorum(5, 3, 3)), 3);
        assert_eq!(min_available(9, quorum(5, 1, 4)), 8);
        assert_eq!(min_available(3, quorum(3, 3, 3)), 2);
        assert_eq!(min_available(1, quorum(1, 1, 1)), 0);
        assert_eq!(min_available(0, quorum(3, 2, 2)), 0);
    }

    #[test]
    fn without_a_layout_nothing_is_protected() {
        assert_object(
            &budget(&desired(3), None),
            "
            apiVersion: policy/v1
            kind: PodDisruptionBudget
            metadata:
              name: cart
              namespace: shop
              labels: {app.kubernetes.io/name: dynamo, app.kubernetes.io/instance: cart, app.kubernetes.io/managed-by: dynamo-operator, dynamokv.dev/cluster: cart}
              ownerReferences: [{apiVersion: dynamokv.dev/v1alpha1, kind: DynamoCluster, name: cart, uid: cart-uid, controller: true}]
            spec:
              minAvailable: 0
              selector: {matchLabels: {app.kubernetes.io/name: dynamo, dynamokv.dev/cluster: cart}}
              unhealthyPodEvictionPolicy: AlwaysAllow
            ",
        );
    }

    #[test]
    fn while_members_come_those_of_both_layouts_are_protected() {
        let record = crate::controller::model::settled(3);
        assert_eq!(available(&budget(&desired(3), Some(&record))), Some(IntOrString::Int(2)));
        let growing = crate::controller::model::proposed(3, 5);
        assert_eq!(available(&budget(&desired(5), Some(&growing))), Some(IntOrString::Int(4)));
    }

    fn available(budget: &PodDisruptionBudget) -> Option<IntOrString> {
        budget.spec.as_ref().unwrap().min_available.clone()
    }
}
