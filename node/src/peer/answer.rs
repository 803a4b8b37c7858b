//! Which answer belongs to which question; and the refusal of one for want of room.

use dynamo_proto::v1::response::Result as Body;
use dynamo_proto::v1::{
    FetchManyReply, FetchReply, GossipReply, GossipTellReply, HelloReply, LayoutReply, ListPartitionReply,
    MerkleChildrenReply, MerkleRootsReply, ReapBarrierReply, ReapKeysReply, ReapVotes, Refusal,
    StoreManyReply, StoreReply, refusal,
};

/// One kind of answer.
pub trait Answer: Sized {
    /// Its name, for messages.
    const NAME: &'static str;

    /// The answer, if it is of this kind.
    fn from_result(body: Body) -> Option<Self>;
}

macro_rules! answers {
    ($($variant:ident($reply:ident)),* $(,)?) => {$(
        impl Answer for $reply {
            const NAME: &'static str = stringify!($reply);

            fn from_result(body: Body) -> Option<Self> {
                match body {
                    Body::$variant(reply) => Some(reply),
                    _ => None,
                }
            }
        }
    )*};
}

answers! {
    Hello(HelloReply),
    Store(StoreReply),
    Fetch(FetchReply),
    MerkleRoots(MerkleRootsReply),
    MerkleChildren(MerkleChildrenReply),
    FetchMany(FetchManyReply),
    StoreMany(StoreManyReply),
    Layout(LayoutReply),
    ListPartition(ListPartitionReply),
    ReapVotes(ReapVotes),
    ReapBarrier(ReapBarrierReply),
    ReapKeys(ReapKeysReply),
    Gossip(GossipReply),
    GossipTell(GossipTellReply),
}

/// There is no room now. Nothing was done.
pub(super) fn overloaded(message: String) -> Body {
    let reason = refusal::Reason::Overloaded.into();
    Body::Refused(Refusal { reason, message, ..Refusal::default() })
}
