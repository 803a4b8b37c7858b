//! Bad input is refused by the API server, with a message that names the field and the remedy.

use super::{MANIFEST, Outcome};
use crate::stage::{NAMESPACE, Stage};

/// A change to the good manifest, and words that the refusal must have.
const REFUSED: &[(&str, &str, &str)] = &[
    ("replicas: 3", "replicas: 0", "spec.replicas"),
    ("n: 3", "n: 5", "replicas"),
    ("partitions: 64", "partitions: 100", "power of two"),
    ("w: 2", "w: 4", "w"),
    ("size: 1Gi", "size: 1Gi, colour: red", "unknown field"),
];

pub(super) async fn run(stage: &Stage) -> Outcome {
    for (good, bad, word) in REFUSED {
        let document = MANIFEST.replace("name: cart", "name: refused").replace(good, bad);
        let args = ["-n", NAMESPACE, "apply", "-f", "-"];
        let (accepted, text) = stage.door().kubectl_try(&args, Some(&document)).await?;
        if accepted {
            return Err(format!("`{bad}` was accepted: {text}").into());
        }
        if !text.contains(word) {
            return Err(format!("`{bad}` was refused without the word `{word}`: {text}").into());
        }
    }
    Ok(())
}
