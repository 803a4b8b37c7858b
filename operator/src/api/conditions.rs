//! Conditions: what holds, and if not, why, and what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// One statement about the cluster. The fields are those of `metav1.Condition`, each with a maximum.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is stated.
    #[serde(rename = "type")]
    pub type_: Kind,
    /// `True`, `False` or `Unknown`.
    #[schemars(length(max = 8))]
    pub status: String,
    /// One word for a program.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// A sentence for a person: value, limit, remedy.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When `status` last changed.
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: String,
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What a condition states.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Settled, with the members that are wanted, all of them Ready.
    Ready,
    /// The operator is doing something, or waits for it.
    Progressing,
    /// Something is missing that a healthy cluster has.
    Degraded,
    /// An object of a name that is wanted belongs to someone else.
    NameConflict,
    /// The spec, or what was found, cannot be worked with.
    Invalid,
    /// Losses have left fewer copies than acknowledged writes were promised.
    DataAtRisk,
    /// r + w > n: a strict read sees every strict write.
    StrictReads,
}

/// A statement before it has a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What is stated.
    pub kind: Kind,
    /// Whether it holds.
    pub holds: bool,
    /// One word for a program.
    pub reason: &'static str,
    /// A sentence for a person.
    pub message: String,
}

/// The longest message that fits [`Condition::message`].
const MESSAGE: usize = 1024;

/// The conditions that say `statements`: a time is kept where the status is the same, so that nothing is written when
/// nothing changed (lesson 10 of operators: `lastTransitionTime` alone makes a hot loop).
pub fn conditions(
    before: &[Condition],
    statements: Vec<Statement>,
    generation: Option<i64>,
    now: &str,
) -> Vec<Condition> {
    let since = |kind: Kind, status: &str| {
        let same = before.iter().find(|c| c.type_ == kind && c.status == status);
        same.map_or_else(|| now.to_owned(), |c| c.last_transition_time.clone())
    };
    let mut conditions: Vec<Condition> = statements
        .into_iter()
        .map(|said| {
            let status = if said.holds { "True" } else { "False" };
            Condition {
                type_: said.kind,
                status: status.to_owned(),
                reason: said.reason.to_owned(),
                message: cut(said.message),
                last_transition_time: since(said.kind, status),
                observed_generation: generation,
            }
        })
        .collect();
    conditions.sort_by_key(|c| c.type_);
    conditions
}

/// The API server counts characters; a cut message is still better than a status that is refused.
fn cut(message: String) -> String {
    if message.chars().count() <= MESSAGE {
        return message;
    }
    message.chars().take(MESSAGE - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(holds: bool) -> Statement {
        Statement { kind: Kind::Ready, holds, reason: "Settled", message: "all 3 members serve".into() }
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let first = conditions(&[], vec![ready(false)], Some(1), "t1");
        let same = conditions(&first, vec![ready(false)], Some(1), "t2");
        assert_eq!(first, same);
        let turned = conditions(&same, vec![ready(true)], Some(1), "t3");
        assert_eq!(turned[0].last_transition_time, "t3");
    }

    #[test]
    fn a_long_message_is_cut_and_not_refused() {
        let long = Statement { message: "é".repeat(5000), ..ready(true) };
        let cut = conditions(&[], vec![long], None, "t");
        assert_eq!(cut[0].message.chars().count(), MESSAGE);
        assert!(cut[0].message.ends_with("..."));
    }

    #[test]
    fn the_order_does_not_depend_on_who_speaks_first() {
        let degraded =
            Statement { kind: Kind::Degraded, holds: false, reason: "Healthy", message: String::new() };
        let one = conditions(&[], vec![ready(true), degraded.clone()], None, "t");
        let other = conditions(&[], vec![degraded, ready(true)], None, "t");
        assert_eq!(one, other);
    }
}
