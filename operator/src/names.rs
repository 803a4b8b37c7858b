//! What the objects of a cluster are called. Everything else asks here, so that a name is made in one place.

use std::collections::BTreeMap;

/// The port of the one gRPC server: clients, members and the operator.
pub const GRPC_PORT: i32 = 7070;
/// The port of metrics and probes.
pub const HTTP_PORT: i32 = 7071;
/// The key of the layout record in its ConfigMap.
pub const LAYOUT_KEY: &str = "layout.json";
/// The key of the admin token in its Secret.
pub const TOKEN_KEY: &str = "token";
/// Says which cluster an object belongs to.
pub const CLUSTER_LABEL: &str = "dynamokv.dev/cluster";
/// On the StatefulSet: the highest epoch whose members may have been told. See `docs/operator.md`, "Two writers".
pub const EPOCH_ANNOTATION: &str = "dynamokv.dev/epoch";
/// On a volume claim: the node id whose data may lie in it.
pub const NODE_ID_ANNOTATION: &str = "dynamokv.dev/node-id";
/// On whatever is applied: a hash of what was last applied, so that a field that is wanted no longer is seen.
pub const APPLIED_ANNOTATION: &str = "dynamokv.dev/applied";
/// The field manager of every apply.
pub const MANAGER: &str = "dynamo-operator";
/// The label of a Kubernetes node that is its zone, unless the spec names another.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// The names of one cluster's objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Names {
    /// Where it lives.
    pub namespace: String,
    /// What the DynamoCluster is called; the StatefulSet, the client Service and the budget are called the same.
    pub cluster: String,
}

impl Names {
    /// The names of `cluster` in `namespace`.
    pub fn new(namespace: &str, cluster: &str) -> Self {
        Self { namespace: namespace.to_owned(), cluster: cluster.to_owned() }
    }

    /// The headless Service of all members, ready or not.
    pub fn peers(&self) -> String {
        format!("{}-peers", self.cluster)
    }

    /// The ConfigMap of the layout record.
    pub fn layout(&self) -> String {
        format!("{}-layout", self.cluster)
    }

    /// The Secret of the admin token.
    pub fn token(&self) -> String {
        format!("{}-token", self.cluster)
    }

    /// A member's pod, which is also what the member is called.
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.cluster)
    }

    /// A member's volume claim.
    pub fn claim(&self, ordinal: u32) -> String {
        format!("data-{}-{ordinal}", self.cluster)
    }

    /// Where peers dial a member, `host:port`.
    pub fn address(&self, ordinal: u32) -> String {
        format!("{}.{}.{}.svc:{GRPC_PORT}", self.pod(ordinal), self.peers(), self.namespace)
    }

    /// The ordinal of a pod of this cluster; nothing for any other name.
    pub fn ordinal(&self, pod: &str) -> Option<u32> {
        let digits = pod.strip_prefix(&self.cluster)?.strip_prefix('-')?;
        let ordinal = digits.parse().ok()?;
        // `cart-01` and `cart-+1` are other names.
        (self.pod(ordinal) == pod).then_some(ordinal)
    }

    /// The ordinal of a volume claim of this cluster.
    pub fn claim_ordinal(&self, claim: &str) -> Option<u32> {
        self.ordinal(claim.strip_prefix("data-")?)
    }

    /// The labels of every object.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        BTreeMap::from([
            label("app.kubernetes.io/name", "dynamo"),
            label("app.kubernetes.io/instance", &self.cluster),
            label("app.kubernetes.io/managed-by", MANAGER),
            label(CLUSTER_LABEL, &self.cluster),
        ])
    }

    /// The labels that select the members' pods. A StatefulSet's cannot change, so they are few.
    pub fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("app.kubernetes.io/name".to_owned(), "dynamo".to_owned()),
            (CLUSTER_LABEL.to_owned(), self.cluster.clone()),
        ])
    }

    /// The same as text.
    pub fn selector_text(&self) -> String {
        let pairs: Vec<String> =
            self.selector().iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    }
}

/// Whether Kubernetes takes this for the key of a label.
pub fn is_label(key: &str) -> bool {
    let ends = |part: &str| {
        let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        outer(part.chars().next()) && outer(part.chars().next_back())
    };
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let of_dns = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let owner = prefix.is_none_or(|p| p.len() <= 253 && ends(p) && p.chars().all(of_dns));
    owner
        && name.len() <= 63
        && ends(name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_label_is_told_from_other_texts() {
        let longest = format!("{}/{}", "a".repeat(253), "B".repeat(63));
        for good in [ZONE_LABEL, "kubernetes.io/hostname", "rack", "Power_Line.2", &longest] {
            assert!(is_label(good), "{good}");
        }
        for bad in
            ["", "/rack", "a/", "a/b/c", "-rack", "rack-", "Example.com/rack", "ra ck", &"r".repeat(64)]
        {
            assert!(!is_label(bad), "{bad}");
        }
    }

    #[test]
    fn an_ordinal_is_read_back_from_a_name_and_from_no_other() {
        let names = Names::new("shop", "cart");
        assert_eq!(names.ordinal("cart-12"), Some(12));
        for other in
            ["cart", "cart-", "cart-01", "cart-+1", "cart-1-2", "carts-1", "basket-1", "cart-99999999999"]
        {
            assert_eq!(names.ordinal(other), None, "{other}");
        }
        assert_eq!(names.claim_ordinal("data-cart-3"), Some(3));
        assert_eq!(names.claim_ordinal("cart-3"), None);
    }

    #[test]
    fn a_member_is_dialled_by_a_name_that_outlives_its_pod() {
        assert_eq!(Names::new("shop", "cart").address(4), "cart-4.cart-peers.shop.svc:7070");
    }
}
