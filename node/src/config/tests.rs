//! The command line, its defaults, and the table of limits.

use std::collections::BTreeMap;

use clap::CommandFactory;

use super::*;

const NEEDED: [&str; 4] = ["dynamo-node", "--name=a", "--data-dir=d", "--admin-token-file=t"];

#[test]
fn the_command_line_is_sound_and_the_defaults_are_the_designs() {
    Config::command().debug_assert();
    let config = Config::try_parse_from(NEEDED).unwrap();
    assert_eq!(config.door(), Door::default());
    assert_eq!(config.key_limits(), store::Limits::default());
    assert_eq!(config.patience(), Patience::default());
    assert_eq!(config.request_limits(), RequestLimits::default());
    let (engine, usual) = (config.engine(), Settings::default());
    assert_eq!((engine.large_bytes, engine.answer_bytes), (usual.large_bytes, usual.answer_bytes));
    assert_eq!((engine.bounds, engine.share), (usual.bounds, usual.share));
    assert_eq!(config.queues.commit(), store::QueueLimits::default());
    assert_eq!(config.request_cap(), Duration::from_secs(10));
    assert_eq!(config.reap(), ReapSettings::default());
    assert_eq!((config.listen.port(), config.http.port()), (7070, 7071));
}

/// Flags that are no limits.
const OTHERS: [&str; 13] = [
    "otlp-endpoint",
    "trace-ratio",
    "name",
    "advertise",
    "listen",
    "http",
    "data-dir",
    "admin-token-file",
    "log",
    "cache-bytes",
    "anti-entropy-interval-ms",
    "reap-interval-ms",
    "reap-least-keys",
];

/// A flag with its default, out of a row of the table.
fn row(line: &str) -> Option<(String, String)> {
    let mut cells = line.strip_prefix("| `--")?.split(" | ");
    Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
}

#[test]
fn the_table_of_limits_and_the_command_line_agree() {
    let table: BTreeMap<_, _> = include_str!("../../../docs/limits.md").lines().filter_map(row).collect();
    let mut flags = BTreeMap::new();
    for arg in Config::command().get_arguments() {
        let Some(name) = arg.get_long().filter(|name| !OTHERS.contains(name)) else { continue };
        let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        flags.insert(name.to_owned(), default);
    }
    assert_eq!(table.keys().collect::<Vec<_>>(), flags.keys().collect::<Vec<_>>());
    for (name, default) in flags {
        // One that depends on the machine is told in words.
        assert!(default.is_none_or(|default| table[&name] == default), "--{name}: {}", table[&name]);
    }
}

#[test]
fn a_bare_address_is_told_with_the_port_that_is_listened_on() {
    let told = |given: &str| {
        let config = Config::try_parse_from(NEEDED.iter().copied().chain([given])).unwrap();
        config.addresses(7070)
    };
    assert_eq!(told("--advertise=10.0.0.1"), ["10.0.0.1:7070"]);
    assert_eq!(told("--advertise=fd00::1"), ["[fd00::1]:7070"]);
    assert_eq!(told("--advertise=[fd00::1]:9"), ["[fd00::1]:9"]);
    assert_eq!(told("--advertise=a.b:9,10.0.0.1:8,c"), ["a.b:9", "10.0.0.1:8", "c:7070"]);
    assert_eq!(told("--log=json"), [""; 0]);
    for bad in ["0.0.0.0", "", "a:b", "a b", "http://a", ":7070"] {
        let given = format!("--advertise={bad}");
        assert!(Config::try_parse_from(NEEDED.iter().copied().chain([&*given])).is_err(), "{bad}");
    }
}

#[test]
fn limits_that_cannot_work_are_refused() {
    for bad in [
        "--max-value-bytes=0",
        "--max-value-bytes=99999999",
        "--request-timeout-ms=0",
        "--listen=x",
        "--trace-ratio=1.1",
        "--trace-ratio=nan",
    ] {
        assert!(Config::try_parse_from(NEEDED.iter().chain([&bad])).is_err(), "{bad}");
    }
}
