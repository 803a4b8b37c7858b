//! A layout as a document, and as the bytes that are hashed.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Layout, LayoutError, Member};
use crate::{ClusterId, LayoutHash, Partitions};

/// What is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    epoch: u64,
    /// Checked where present. A person who writes a layout by hand in a disaster leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<LayoutHash>,
    cluster_id: ClusterId,
    partitions: Partitions,
    n: u8,
    members: Vec<Member>,
    table: Vec<Vec<u16>>,
}

impl From<Layout> for Document {
    fn from(layout: Layout) -> Self {
        Self {
            epoch: layout.id.epoch,
            hash: Some(layout.id.hash),
            cluster_id: layout.cluster_id,
            partitions: layout.partitions,
            n: layout.n,
            table: layout.table.chunks(usize::from(layout.n)).map(<[u16]>::to_vec).collect(),
            members: layout.members,
        }
    }
}

impl TryFrom<Document> for Layout {
    type Error = LayoutError;

    fn try_from(d: Document) -> Result<Self, LayoutError> {
        let layout = Self::new(d.epoch, d.cluster_id, d.partitions, d.n, d.members, &d.table)?;
        match d.hash {
            Some(stated) if stated != layout.id.hash => {
                Err(LayoutError::Hash { epoch: d.epoch, stated, computed: layout.id.hash })
            }
            _ => Ok(layout),
        }
    }
}

/// The hash that names a layout; the encoding is laid down at [`Layout::id`].
pub(super) fn hash(layout: &Layout) -> LayoutHash {
    let mut sha = Sha256::new();
    sha.update(b"dynamo.layout.v1");
    sha.update(layout.cluster_id.0);
    sha.update(layout.id.epoch.to_be_bytes());
    sha.update(layout.partitions.get().to_be_bytes());
    sha.update([layout.n]);
    // `by_id` has as many entries as there are members, and the constructor saw that they fit.
    sha.update(u16::try_from(layout.by_id.len()).unwrap_or(u16::MAX).to_be_bytes());
    for member in &layout.members {
        sha.update(member.node_id.0);
        for text in [&member.name, &member.zone, &member.address] {
            sha.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            sha.update(text.as_bytes());
        }
    }
    for index in &layout.table {
        sha.update(index.to_be_bytes());
    }
    if layout.members.iter().any(|member| member.weight != 1) {
        layout.members.iter().for_each(|member| sha.update(member.weight.to_be_bytes()));
    }
    let digest: [u8; 32] = sha.finalize().into();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    LayoutHash(first)
}
