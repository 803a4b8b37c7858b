//! What a session asks its reads to cover, against servers whose behaviour is scripted.

#![allow(clippy::unwrap_used)] // a panic is the report

mod support;

use dynamo_client::{Client, Options, ReadOptions, WriteOptions};
use support::Node;

#[tokio::test]
async fn a_session_asks_for_its_own_writes_and_for_what_it_has_read() {
    let (node, _serving) = Node::start().await;
    node.knows(&support::record(&(0..3).map(|i| support::member(i, &node.address)).collect::<Vec<_>>()));
    let client = Client::connect([node.address.to_string()], Options::default()).await.unwrap();
    let session = client.session(100);
    let (read, write) = (ReadOptions::default(), WriteOptions::default());

    session.get(b"anna", &read).await.unwrap();
    assert_eq!(node.at_least(), Vec::<bytes::Bytes>::new(), "nothing is known yet");
    session.put(b"anna", "a", &write).await.unwrap();
    session.put(b"anna", "b", &write).await.unwrap();
    let mut expected = vec![bytes::Bytes::from_static(b"read")];
    expected.extend(node.calls().into_iter().filter(|id| !id.is_empty()));
    assert_eq!(expected.len(), 3);
    session.get(b"anna", &read).await.unwrap();
    assert_eq!(node.at_least(), expected);
    session.get(b"anna", &read).await.unwrap();
    assert_eq!(node.at_least(), ["read"], "the read has covered them");
    client.get(b"anna", &read).await.unwrap();
    assert_eq!(node.at_least(), Vec::<bytes::Bytes>::new(), "outside of the session nothing is asked for");

    // However many writes there are, a request names few of them.
    for _ in 0..100 {
        session.put(b"anna", "c", &write).await.unwrap();
    }
    session.get(b"anna", &read).await.unwrap();
    assert!((1..=32).contains(&node.at_least().len()), "{}", node.at_least().len());
}
