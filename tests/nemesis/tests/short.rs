//! The short form that every build has to pass: two rounds with every fault that this machine allows.

#![allow(clippy::unwrap_used)] // a panic is the report

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use dynamo_checker::{History, Violation, check};

/// Of the rounds, so that every build meets the same faults.
const SEED: &str = "1";

#[test]
fn what_was_promised_is_kept_by_real_processes_under_faults() {
    let out = concat!(env!("CARGO_TARGET_TMPDIR"), "/nemesis");
    let ended = Command::new(env!("CARGO_BIN_EXE_nemesis"))
        .args(["--rounds", "2", "--seed", SEED, "--seconds", "12", "--out", out])
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    // Also when it passes: what could not be run here is said there.
    println!("{said}{complained}");
    assert!(ended.status.success(), "{said}{complained}");
    let figures = said.lines().last().unwrap_or_default();
    assert!(figures.starts_with("nemesis: 2 rounds passed, 0 failed"), "{figures}");
    // Faults of processes need no rights, and have to be among them wherever this runs.
    for kind in ["kill -9", "kill -9 of all", "SIGSTOP", "clean stop"] {
        assert!(figures.contains(&format!("{kind} ")), "{figures}");
    }
    a_verdict_depends_on_the_history(out);
    assert!(
        figures.contains("all kinds of faults ran") || said.contains("NOT RUN ON THIS MACHINE"),
        "{said}"
    );
}

/// A verdict that could not be another would prove nothing: the same history is a loss when what stood at its end is gone.
fn a_verdict_depends_on_the_history(out: &str) {
    let file = File::open(Path::new(out).join(format!("seed-{SEED}.jsonl"))).unwrap();
    let history = History::read(BufReader::new(file)).unwrap();
    assert_eq!(check(&history), []);
    let mut robbed = history.clone();
    robbed.end.as_mut().unwrap().values.values_mut().for_each(std::collections::BTreeSet::clear);
    assert!(check(&robbed).iter().any(|one| matches!(one, Violation::Lost { .. })));
}
