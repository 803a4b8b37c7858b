//! The CustomResourceDefinition as files: one for `kubectl apply --server-side`, one as a template of the chart.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api::cluster::DynamoCluster;

/// Where the plain file lies, from the root of the repository.
pub const PLAIN: &str = "crds/dynamoclusters.yaml";
/// Where the chart's template lies.
pub const TEMPLATE: &str = "charts/dynamo-operator/templates/crd.yaml";

const HEADER: &str = "# Generated from operator/src/api by `make crds`; a test compares it.\n";

/// The definition itself.
pub fn definition() -> CustomResourceDefinition {
    DynamoCluster::crd()
}

/// The plain file.
pub fn plain() -> Result<String, serde_yaml::Error> {
    Ok(format!("{HEADER}{}", quoted(&serde_yaml::to_string(&definition())?)))
}

/// The chart's template: the same, but kept when the chart is uninstalled, since with the definition all clusters
/// would go.
pub fn template() -> Result<String, serde_yaml::Error> {
    let mut kept = definition();
    let annotations = kept.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".into(), "keep".into());
    let yaml = quoted(&serde_yaml::to_string(&kept)?);
    // Helm reads `{{` as its own; nothing in the definition may look like that.
    Ok(format!("{HEADER}{}", yaml.replace("{{", "{{ \"{{\" }}")))
}

/// Kubernetes' tools read YAML 1.1, where a bare `n` is the word false; serde_yaml writes 1.2.
fn quoted(yaml: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix("n:") {
        Some(rest) => format!("{}'n':{rest}\n", &line[..line.len() - line.trim_start().len()]),
        None => format!("{line}\n"),
    };
    yaml.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn committed(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}; run `make crds`"))
    }

    #[test]
    fn the_committed_files_are_what_the_types_say() {
        assert_eq!(committed(PLAIN), plain().unwrap(), "run `make crds`");
        assert_eq!(committed(TEMPLATE), template().unwrap(), "run `make crds`");
    }

    #[test]
    fn the_definition_stays_small() {
        assert!(plain().unwrap().len() < 200 * 1024);
    }

    #[test]
    fn unknown_fields_are_pruned_everywhere_and_every_size_has_a_maximum() {
        let definition = serde_json::to_value(definition()).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        for part in ["spec", "status"] {
            bounded(part, &schema[part]);
        }
    }

    /// Every string, list and map has a maximum (else the API server charges a CEL rule for the largest), no format is
    /// one that Kubernetes does not know, and nothing keeps fields that the schema does not name.
    fn bounded(path: &str, schema: &serde_json::Value) {
        assert!(schema["x-kubernetes-preserve-unknown-fields"].is_null(), "{path} keeps unknown fields");
        assert!(schema["additionalProperties"].is_null(), "{path} is a map: use named fields");
        match schema["type"].as_str().unwrap_or_else(|| panic!("{path} has no type: {schema}")) {
            "string" => {
                let finite = !schema["maxLength"].is_null() || !schema["enum"].is_null();
                assert!(finite, "{path}: a string without a maximum");
            }
            "array" => {
                assert!(!schema["maxItems"].is_null(), "{path}: a list without a maximum");
                bounded(&format!("{path}[]"), &schema["items"]);
            }
            "object" => {
                for (name, property) in schema["properties"].as_object().unwrap() {
                    bounded(&format!("{path}.{name}"), property);
                }
            }
            _ => {
                let format = schema["format"].as_str().unwrap_or("int64");
                assert!(["int32", "int64"].contains(&format), "{path}: format {format}");
            }
        }
    }
}
