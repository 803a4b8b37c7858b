//! One trace leads from the client by way of its coordinator to the disks of the replicas.

use std::collections::{BTreeMap, BTreeSet};

use dynamo_client::{Context, ReadOptions, WriteOptions};
use dynamo_cluster_tests::Bench;
use dynamo_cluster_tests::collector::{Collector, Span};
use dynamo_telemetry::export::{Destination, Exporter};
use tracing_subscriber::layer::SubscriberExt;

/// The names from a span up to the root of its trace.
fn way(spans: &BTreeMap<Vec<u8>, Span>, span: &Span) -> Vec<String> {
    let up = std::iter::successors(Some(span), |span| spans.get(&span.parent));
    up.map(|span| span.name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_client_to_the_disks_of_the_replicas() {
    let collector = Collector::start().await;
    let bench = Bench::start(3, &["--otlp-endpoint", &collector.endpoint, "--trace-ratio", "0"]).await;
    // Nobody traces this one.
    let client = bench.client().await;
    client.put(b"quiet", "1", &Context::default(), &WriteOptions::default()).await.unwrap();

    let to = Destination {
        endpoint: collector.endpoint.clone(),
        service: "application",
        instance: "application-0".into(),
        ratio: 1.0,
    };
    let exporter = Exporter::start(to).unwrap();
    {
        // Of this thread, which runs the client's calls.
        let collected = tracing_subscriber::registry().with(exporter.layer());
        let _guard = tracing::subscriber::set_default(collected);
        client.put(b"anna", "1", &Context::default(), &WriteOptions::default()).await.unwrap();
        client.get(b"anna", &ReadOptions::default()).await.unwrap();
    }
    // Whoever ends sends what is left, from a thread that may wait.
    bench.stop().await;
    tokio::task::spawn_blocking(|| exporter.finish()).await.unwrap();

    let spans = collector.spans();
    let traces: BTreeSet<&Vec<u8>> = spans.values().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 2, "one of the put, one of the get: {spans:#?}");
    let synced: Vec<&Span> = spans.values().filter(|span| span.name == "commit").collect();
    let disks: BTreeSet<&str> = synced.iter().map(|span| span.instance.as_str()).collect();
    assert_eq!(disks, BTreeSet::from(["dev-0", "dev-1", "dev-2"]), "a put is on the disks of all three");
    let own = ["commit", "Put", "attempt", "Put"];
    let other = ["commit", "Store", "Store", "replicate", "Put", "attempt", "Put"];
    let ways: Vec<_> = synced.iter().map(|span| way(&spans, span)).collect();
    assert_eq!(ways.iter().filter(|way| **way == own).count(), 1, "{ways:?}");
    assert_eq!(ways.iter().filter(|way| **way == other).count(), 2, "{ways:?}");
    let reads = ["Fetch", "Fetch", "Get", "attempt", "Get"];
    assert!(spans.values().any(|span| way(&spans, span) == reads), "{spans:#?}");
}
