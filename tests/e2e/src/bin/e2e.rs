//! `e2e [NAME...]`: the scenarios on a real Kubernetes, one after the other, or those named. Ends with the line
//! `N passed, N failed`.

use std::process::ExitCode;
use std::time::Instant;

use dynamo_e2e::door::Door;
use dynamo_e2e::scenario::{ALL, Scenario, manifest};
use dynamo_e2e::stage::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| ALL.iter().all(|s| s.name != **name)) {
        eprintln!("e2e: no scenario `{unknown}`; there are: {}", names().join(", "));
        return ExitCode::FAILURE;
    }
    let chosen = ALL.iter().filter(|s| wanted.is_empty() || wanted.iter().any(|name| name == s.name));
    match run(chosen.copied().collect()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("e2e: {error}");
            ExitCode::FAILURE
        }
    }
}

fn names() -> Vec<&'static str> {
    ALL.iter().map(|scenario| scenario.name).collect()
}

/// Runs them and returns how many failed. A failed one ends the run: the store is no longer what the next expects,
/// and its state is what one wants to look at.
async fn run(chosen: Vec<Scenario>) -> Result<usize, Box<dyn std::error::Error>> {
    let door = Door::find()?;
    let stage = match prepare(&door).await {
        Ok(stage) => stage,
        Err(error) => {
            door.gather_logs("target/e2e/logs").await;
            return Err(error);
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for scenario in chosen {
        println!("e2e {} ...", scenario.name);
        let begun = Instant::now();
        match (scenario.run)(&stage).await {
            Ok(()) => {
                passed += 1;
                println!("e2e {} ok ({:.0} s)", scenario.name, begun.elapsed().as_secs_f64());
            }
            Err(error) => {
                failed += 1;
                println!("e2e {} FAILED: {error}", scenario.name);
                door.gather_logs("target/e2e/logs").await;
                break;
            }
        }
    }
    if failed == 0 && std::env::var_os("KEEP_CLUSTER").is_none() {
        door.harness(&["down"]).await?;
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

async fn prepare(door: &Door) -> Result<Stage, Box<dyn std::error::Error>> {
    let stage = Stage::set(door.clone()).await?;
    stage.clear().await?;
    let manifest = manifest(&stage).await.map_err(|error| error.to_string())?;
    stage.apply(&manifest).await?;
    Ok(stage)
}
