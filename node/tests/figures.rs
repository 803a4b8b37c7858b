//! The table of figures (docs/metrics.md) and what a node shows say the same.

mod wire;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::{Wired, delete, eventually, put};

const TABLE: &str = include_str!("../../docs/metrics.md");

/// What is said of one figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Figure {
    kind: String,
    labels: BTreeSet<String>,
}

/// The rows of the table, by name.
fn documented() -> BTreeMap<String, Figure> {
    TABLE.lines().filter(|line| line.starts_with("| `dynamo_")).filter_map(row).collect()
}

/// One row; nothing for those of the table of alerts, which have two cells.
fn row(line: &str) -> Option<(String, Figure)> {
    let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [name, kind, unit, labels, says, out_of_line] = cells[..] else {
        assert_eq!(cells.len(), 2, "neither a figure nor an alert: {line}");
        return None;
    };
    for (cell, what) in [(unit, "unit"), (says, "meaning"), (out_of_line, "remedy")] {
        assert!(!cell.is_empty(), "{name} has no {what}");
    }
    let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
    let labels = labels.filter(|label| !label.is_empty()).collect();
    Some((name.trim_matches('`').to_owned(), Figure { kind: kind.to_owned(), labels }))
}

/// What a node shows, by name; counters with the ending that their samples have.
fn shown(text: &str) -> BTreeMap<String, Figure> {
    let mut figures: BTreeMap<String, Figure> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            figures.insert(name, Figure { kind: kind.to_owned(), labels: BTreeSet::new() });
        }
        let Some((sample, labels)) = line.split_once('{').filter(|_| line.starts_with("dynamo_")) else {
            continue;
        };
        let sample = sample.strip_suffix("_bucket").unwrap_or(sample);
        let Some(figure) = figures.get_mut(sample) else { continue };
        let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
        let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        figure.labels.extend(names.filter(|name| name != "le"));
    }
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_in_the_table_and_no_other() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods[2].crash().await;
    let pod = &cluster.pods[0];
    pod.put(put("k", "one")).await.unwrap();
    pod.get("k").await;
    pod.kv().delete(delete("k", Bytes::new())).await.unwrap();
    // Somebody is owed the writes, so that hints have a sample too.
    let mut text = String::new();
    eventually("a hint is shown", async || {
        text = cluster.pods[0].http_get("/metrics").await + &cluster.pods[1].http_get("/metrics").await;
        text.contains("dynamo_hints{")
    })
    .await;
    let (documented, shown) = (documented(), shown(&text));
    let names = |figures: &BTreeMap<String, Figure>| figures.keys().cloned().collect::<BTreeSet<_>>();
    let (wanted, found) = (names(&documented), names(&shown));
    assert_eq!(
        found.difference(&wanted).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not in docs/metrics.md"
    );
    assert_eq!(wanted.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "shown by no node");
    for (name, figure) in &shown {
        assert_eq!(figure.kind, documented[name].kind, "the kind of {name}");
        // One without a sample yet shows no labels.
        if !figure.labels.is_empty() {
            assert_eq!(figure.labels, documented[name].labels, "the labels of {name}");
        }
    }
    assert!(shown.values().filter(|figure| !figure.labels.is_empty()).count() >= 5, "samples with labels");
}
