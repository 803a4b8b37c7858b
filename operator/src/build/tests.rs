//! What holds for every object that is built.

use serde::Serialize;
use serde_json::Value;

use super::statefulset::{Claims, statefulset};
use super::{budget, layout, services, token};
use crate::controller::model;
use crate::testing::desired;

/// The whole object, as a person would write it. What is missing here must be missing there.
#[track_caller]
pub(super) fn assert_object(object: &impl Serialize, yaml: &str) {
    let wanted: Value = serde_yaml::from_str(yaml).unwrap();
    let built = serde_json::to_value(object).unwrap();
    assert_eq!(built, wanted, "\nbuilt:\n{}", serde_yaml::to_string(&built).unwrap());
}

fn all() -> Vec<Value> {
    let mut desired = desired(3);
    desired.delete_data = true;
    let record = model::settled(3);
    let claims = Claims { replicas: 3, epoch: 1, volume_size: "1Gi".into() };
    vec![
        value(&services::clients(&desired)),
        value(&services::peers(&desired)),
        value(&budget::budget(&desired, Some(&record))),
        value(&token::token(&desired, "abc")),
        value(&layout::layout(&desired, &record)),
        value(&statefulset(&desired, &claims)),
    ]
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

#[test]
fn lesson_11_nothing_bears_a_finalizer_or_blocks_a_deletion() {
    for object in all() {
        assert!(object["metadata"]["finalizers"].is_null(), "{object}");
        for owner in object["metadata"]["ownerReferences"].as_array().unwrap() {
            assert!(owner["blockOwnerDeletion"].is_null(), "{object}");
        }
    }
}

#[test]
fn lesson_14_the_operator_may_not_write_a_spec_delete_a_pod_or_overwrite_a_secret() {
    let rules = include_str!("../../../charts/dynamo-operator/templates/_helpers.tpl");
    let rules =
        rules.split("define \"operator.rules\" -}}").nth(1).unwrap().split("{{- end -}}").next().unwrap();
    let rules: Vec<Value> = serde_yaml::from_str(rules).unwrap();
    let verbs = |resource: &str| -> Vec<String> {
        let of = |rule: &&Value| rule["resources"].as_array().unwrap().iter().any(|r| r == resource);
        let verbs = rules.iter().filter(of).flat_map(|rule| rule["verbs"].as_array().unwrap().clone());
        verbs.map(|verb| verb.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(verbs("dynamoclusters"), ["get", "list", "watch"]);
    assert_eq!(verbs("pods"), ["get", "list", "watch"]);
    assert_eq!(verbs("secrets"), ["get", "create"]);
    assert!(!verbs("statefulsets").contains(&"delete".to_owned()));
    assert!(!verbs("configmaps").contains(&"delete".to_owned()));
    assert!(verbs("persistentvolumeclaims").contains(&"delete".to_owned()));
    assert_eq!(verbs("*"), Vec::<String>::new());
}

#[test]
fn every_object_says_whose_it_is() {
    for object in all() {
        assert_eq!(object["metadata"]["labels"]["dynamokv.dev/cluster"], "cart", "{object}");
        assert_eq!(object["metadata"]["namespace"], "shop", "{object}");
    }
}
