//! Whether an object has to be written: nothing is, when nothing changed (lesson 10 of operators).
//!
//! The API server fills in defaults and spells quantities in its own way, so an object is never equal to what was
//! applied. Two things are looked at: a hash of what was last applied, which shows that something else is wanted now,
//! a field that is wanted no longer among it; and whether all that is wanted still stands, which shows a foreign hand.

use kube::Resource;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::observed::Version;
use crate::names::APPLIED_ANNOTATION;
use crate::quantity;

/// What has to be done about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Make it.
    Create,
    /// Apply it, over this state of it.
    Apply(Version),
    /// It stands as it should.
    Nothing,
    /// It belongs to someone else.
    Foreign,
}

/// `object` with a hash of itself in an annotation: what is sent.
pub fn stamped(object: &impl Serialize) -> Value {
    // Objects made by `build` have string keys throughout, so they always serialise.
    let mut value = serde_json::to_value(object).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(value.to_string()).into();
    let hash: u64 = digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte));
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
        annotations[APPLIED_ANNOTATION] = format!("{hash:016x}").into();
    }
    value
}

/// What has to be done so that `wanted`, which is [`stamped`], stands. `owner` is the uid of the resource.
pub fn need<K: Resource + Serialize>(wanted: &Value, live: Option<&K>, owner: &str) -> Need {
    let Some(live) = live else { return Need::Create };
    let owners = live.meta().owner_references.as_deref().unwrap_or_default();
    if !owners.iter().any(|o| o.uid == owner && o.controller == Some(true)) {
        return Need::Foreign;
    }
    let standing = serde_json::to_value(live).unwrap_or_default();
    if stands(wanted, &standing) { Need::Nothing } else { Need::Apply(version(live)) }
}

/// Which state of an object this is.
pub fn version(object: &impl Resource) -> Version {
    let meta = object.meta();
    Version {
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
    }
}

/// Everything in `wanted` is in `live` too.
fn stands(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            wanted.iter().all(|(key, value)| live.get(key).is_some_and(|live| stands(value, live)))
        }
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len() && wanted.iter().zip(live).all(|(wanted, live)| stands(wanted, live))
        }
        (Value::String(wanted), Value::String(live)) => {
            wanted == live
                || quantity::milli(wanted).is_some_and(|milli| quantity::milli(live) == Some(milli))
        }
        (wanted, live) => wanted == live,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::StatefulSet;
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::*;
    use crate::build::services;
    use crate::build::statefulset::{Claims, statefulset};
    use crate::testing::desired;

    fn claims(replicas: u32) -> Claims {
        Claims { replicas, epoch: 1, volume_size: "1024Mi".into() }
    }

    /// As the API server gives it back: with defaults, with its own spelling, with a version.
    fn served(wanted: &Value) -> StatefulSet {
        let mut live = wanted.clone();
        live["metadata"]["uid"] = json!("set-uid");
        live["metadata"]["resourceVersion"] = json!("41");
        live["metadata"]["managedFields"] = json!([]);
        live["spec"]["revisionHistoryLimit"] = json!(10);
        live["spec"]["template"]["spec"]["dnsPolicy"] = json!("ClusterFirst");
        let volume = &mut live["spec"]["volumeClaimTemplates"][0];
        volume["spec"]["volumeMode"] = json!("Filesystem");
        volume["spec"]["resources"]["requests"]["storage"] = json!("1Gi");
        volume["status"] = json!({"phase": "Pending"});
        serde_json::from_value(live).unwrap()
    }

    #[test]
    fn lesson_10_defaults_of_the_api_server_are_no_reason_to_write() {
        let wanted = stamped(&statefulset(&desired(3), &claims(3)));
        assert_eq!(need(&wanted, Some(&served(&wanted)), "cart-uid"), Need::Nothing);
    }

    #[test]
    fn a_foreign_hand_is_seen() {
        let wanted = stamped(&statefulset(&desired(3), &claims(3)));
        let mut live = served(&wanted);
        live.spec.as_mut().unwrap().replicas = Some(2);
        let at = Version { uid: "set-uid".into(), resource_version: "41".into() };
        assert_eq!(need(&wanted, Some(&live), "cart-uid"), Need::Apply(at));
    }

    #[test]
    fn a_field_that_is_wanted_no_longer_is_seen() {
        let mut before = desired(3);
        before.spread_zones = true;
        let live = served(&stamped(&statefulset(&before, &claims(3))));
        before.spread_zones = false;
        let wanted = stamped(&statefulset(&before, &claims(3)));
        assert!(matches!(need(&wanted, Some(&live), "cart-uid"), Need::Apply(_)));
    }

    #[test]
    fn what_is_not_ours_is_never_applied_to() {
        let wanted = stamped(&services::clients(&desired(3)));
        let mut live: Service = serde_json::from_value(wanted.clone()).unwrap();
        assert_eq!(need(&wanted, Some(&live), "another-uid"), Need::Foreign);
        live.metadata.owner_references = None;
        assert_eq!(need(&wanted, Some(&live), "cart-uid"), Need::Foreign);
        assert_eq!(need::<Service>(&wanted, None, "cart-uid"), Need::Create);
    }
}
