//! 5 -> 3 before 3 -> 5 has ended, keys deleted and reaped, then up again: what the abandoned members had copied brings
//! nothing back.

use super::{Outcome, Trial, mid_move};
use crate::pods::TOKEN_FILE;
use crate::stage::{NAMESPACE, STORE, Stage};

/// Keys that are deleted.
const GONE: &str = "500";
const PREFIX: &str = "gone-";

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "kept-").await?;
    let seeds = format!("{STORE}:7070");
    let of = ["--seeds", &seeds, "--keys", GONE, "--prefix", PREFIX];
    let token = ["--admin-token-file", TOKEN_FILE];
    let load = ["--value-bytes", "1024", "--journal", "/shared/gone", "--max-writes", GONE, "--readers", "0"];
    desk(&trial, &[&["run"], &of[..], &load[..]].concat()).await?;

    let before = stage.record().await?.stable().epoch();
    stage.scale(5).await?;
    mid_move(stage).await?;
    // One of those that are to join hears nothing of the change of mind until it is over.
    let away = format!("{STORE}-4");
    let door = stage.door();
    door.kubectl(&["-n", NAMESPACE, "delete", "pod", &away, "--grace-period=0", "--force"]).await?;
    stage.scale(3).await?;
    trial.settled(3).await?;
    if stage.record().await?.stable().epoch() <= before + 1 {
        return Err("the change of mind came after the move had ended: nothing was shown".into());
    }
    desk(&trial, &[&["delete"], &of[..]].concat()).await?;
    let absent = [&["absent"], &of[..], &token[..]].concat();
    let reaped = desk(&trial, &[&absent[..], &["--reaped", "--settle", "120"]].concat()).await?;
    println!("    reaped: {reaped}");
    for to in [5, 3] {
        stage.scale(to).await?;
        trial.settled(to).await?;
        desk(&trial, &absent).await?;
    }
    trial.judge().await
}

/// Runs a command of `dynamo-load` beside the load; the last line that it printed.
async fn desk(trial: &Trial<'_>, args: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let (well, text) = trial.load.desk(args).await?;
    let last = text.lines().rev().find(|line| line.starts_with('{')).unwrap_or(&text).to_owned();
    if well { Ok(last) } else { Err(format!("dynamo-load {}: {text}", args[0]).into()) }
}
