//! `dev`: a cluster of processes on this machine.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use dynamo_client::local::cluster::Plan;
use dynamo_client::local::{LocalCluster, Site, binary};
use dynamo_ring::{Partitions, Quorum};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::args::{Dev, DevCommand, DevPlace};
use crate::fail::{Fail, Outcome};
use crate::out;
use crate::remembered;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// The most nodes, and so the ports that are set aside.
const MOST: u16 = 64;

/// What is fixed when a folder is first used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fixed {
    base_port: u16,
    partitions: u32,
    n: u8,
}

pub(crate) async fn run(args: Dev) -> Outcome {
    let folder = folder(&args.place);
    match &args.command {
        Some(DevCommand::Scale { nodes, place }) => scale(&self::folder(place), *nodes),
        None => serve(&folder, &args).await,
    }
}

fn folder(place: &DevPlace) -> PathBuf {
    place.dir.clone().unwrap_or_else(|| remembered::folder().join("dev"))
}

fn wanted_file(folder: &Path) -> PathBuf {
    folder.join("wanted")
}

/// Leaves the number where a running `dev` looks.
fn scale(folder: &Path, nodes: u16) -> Outcome {
    let fixed = fixed(folder)?.ok_or_else(|| {
        Fail::usage(format!(
            "no cluster was made in {}: start one with `dynamoctl dev`, or name its --dir",
            folder.display()
        ))
    })?;
    check_size(nodes, &fixed)?;
    fs::write(wanted_file(folder), nodes.to_string())?;
    out::line(format_args!("the running `dynamoctl dev` in {} goes to {nodes} members", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn check_size(nodes: u16, fixed: &Fixed) -> Result<(), Fail> {
    if nodes < u16::from(fixed.n) {
        return Err(Fail::usage(format!(
            "{nodes} members cannot hold {} replicas of each partition: give at least {}",
            fixed.n, fixed.n
        )));
    }
    if fixed.base_port.checked_add(2 * MOST).is_none() {
        return Err(Fail::usage(format!(
            "--base-port {} leaves no room for {} ports: give one up to {}",
            fixed.base_port,
            2 * MOST,
            u16::MAX - 2 * MOST
        )));
    }
    Ok(())
}

fn fixed(folder: &Path) -> Result<Option<Fixed>, Fail> {
    let path = folder.join("dev.json");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Fail::usage(format!("{}: {e}", path.display()))),
    }
}

/// What was fixed when the folder was first used, or is now.
fn fix(folder: &Path, args: &Dev) -> Result<Fixed, Fail> {
    if let Some(fixed) = fixed(folder)? {
        return Ok(fixed);
    }
    let n = args.n.unwrap_or_else(|| u8::try_from(args.nodes.min(3)).unwrap_or(3));
    let fixed = Fixed { base_port: args.base_port, partitions: args.partitions, n };
    check_size(args.nodes, &fixed)?;
    Partitions::new(fixed.partitions).map_err(Fail::usage)?;
    fs::create_dir_all(folder).map_err(|e| Fail::usage(format!("the folder {}: {e}", folder.display())))?;
    fs::write(folder.join("dev.json"), serde_json::to_string_pretty(&fixed)?)?;
    Ok(fixed)
}

fn plan(folder: &Path, fixed: &Fixed, binary: PathBuf) -> Result<Plan, Fail> {
    let majority = fixed.n / 2 + 1;
    Ok(Plan {
        binary,
        folder: folder.to_owned(),
        sites: (0..MOST)
            .map(|i| Site::loopback(fixed.base_port + 2 * i, fixed.base_port + 2 * i + 1))
            .collect(),
        partitions: Partitions::new(fixed.partitions)?,
        quorum: Quorum { n: fixed.n, r: majority, w: majority },
        node_args: Vec::new(),
    })
}

async fn serve(folder: &Path, args: &Dev) -> Outcome {
    let binary = binary::find(args.node_binary.as_deref())?;
    let fixed = fix(folder, args)?;
    check_size(args.nodes, &fixed)?;
    let mut cluster = LocalCluster::open(plan(folder, &fixed, binary)?)?;
    fs::write(wanted_file(folder), args.nodes.to_string())?;
    let ended = keep(&mut cluster, folder, &fixed).await;
    out::tell(format_args!("stopping the nodes; their data stays in {}", folder.display()));
    cluster.stop().await?;
    ended.map(|()| ExitCode::SUCCESS)
}

/// Keeps the wanted number of members until a signal, or `quit`.
async fn keep(cluster: &mut LocalCluster, folder: &Path, fixed: &Fixed) -> Result<(), Fail> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut lines = typed();
    let (mut told, mut said) = (None, Vec::new());
    loop {
        let wanted = wanted(folder)?;
        let round = tokio::select! {
            round = cluster.round(wanted) => round?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        // What cannot be done yet is tried again in each round, and said once.
        if round.did != said {
            for line in &round.did {
                out::tell(line);
            }
        }
        said = if round.did.is_empty() { said } else { round.did };
        if round.quiet && told != Some(wanted) {
            out::tell(how_to_use(cluster, folder, wanted, fixed)?);
            told = Some(wanted);
        }
        if let Some(ended) = cluster.ended() {
            return Err(ended.into());
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            // Where nobody types, this arm is out and only signals and `dev scale` are heard.
            Some(line) = lines.recv() => if !obey(&line, folder, fixed) {
                return Ok(());
            },
        }
    }
}

/// The lines of standard input. A thread of its own, since nothing can end a read that waits for a person.
fn typed() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn wanted(folder: &Path) -> Result<u16, Fail> {
    let path = wanted_file(folder);
    let text = fs::read_to_string(&path)?;
    text.trim().parse().map_err(|_| {
        Fail::usage(format!("{} holds `{}`, and not a number of members", path.display(), text.trim()))
    })
}

/// Does what was typed; returns false for `quit`.
fn obey(line: &str, folder: &Path, fixed: &Fixed) -> bool {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["quit" | "exit"] => return false,
        ["scale", number] => {
            let told = number.parse().map_err(Fail::usage).and_then(|nodes| {
                check_size(nodes, fixed)?;
                if nodes > MOST {
                    return Err(Fail::usage(format!("{nodes} members: at most {MOST} are possible here")));
                }
                Ok(fs::write(wanted_file(folder), number)?)
            });
            if let Err(fail) = told {
                out::tell(fail.message);
            }
        }
        [] => {}
        _ => out::tell("scale NUMBER, or quit"),
    }
    true
}

fn how_to_use(cluster: &LocalCluster, folder: &Path, wanted: u16, fixed: &Fixed) -> Result<String, Fail> {
    let seeds: Vec<_> = (0..wanted.min(3)).map(|o| cluster.address(o)).collect::<Result<_, _>>()?;
    let last = fixed.base_port + 2 * (wanted - 1);
    Ok(format!(
        "\n{wanted} members are ready, on ports {} to {last}. In another shell:\n\n\
         \texport DYNAMO_SEEDS={} DYNAMO_ADMIN_TOKEN_FILE={}\n\
         \tdynamoctl put anna 'one apple'\n\
         \tdynamoctl get anna\n\
         \tdynamoctl status\n\
         \tdynamoctl dev scale {} --dir {}\n\n\
         Here: scale NUMBER, or quit (Ctrl-C). Logs are {}/dev-*/log\n",
        fixed.base_port,
        seeds.join(","),
        cluster.token_file().display(),
        wanted + 2,
        folder.display(),
        folder.display(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: Fixed = Fixed { base_port: 7070, partitions: 64, n: 3 };

    #[test]
    fn what_was_typed_is_obeyed_or_explained() {
        let folder = tempfile::tempdir().unwrap();
        assert!(obey("scale 5", folder.path(), &FIXED));
        assert_eq!(wanted(folder.path()).unwrap(), 5);
        for nonsense in ["scale 2", "scale 65", "scale x", "help", ""] {
            assert!(obey(nonsense, folder.path(), &FIXED), "{nonsense}");
            assert_eq!(wanted(folder.path()).unwrap(), 5, "{nonsense} changes nothing");
        }
        assert!(!obey("quit", folder.path(), &FIXED));
    }

    #[test]
    fn sizes_and_ports_are_checked_where_they_are_given() {
        assert!(check_size(3, &FIXED).is_ok());
        let few = check_size(2, &FIXED).unwrap_err().message;
        assert!(few.contains("at least 3"), "{few}");
        let high = check_size(3, &Fixed { base_port: 65_500, ..FIXED }).unwrap_err().message;
        assert!(high.contains("up to 65407"), "{high}");
    }

    #[test]
    fn scaling_what_was_never_made_says_how_to_make_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(scale(folder.path(), 5).unwrap_err().message.contains("dynamoctl dev"));
    }

    #[test]
    fn a_folder_keeps_what_it_was_made_with() {
        let folder = tempfile::tempdir().unwrap();
        let args = |nodes, partitions| Dev {
            command: None,
            nodes,
            place: DevPlace { dir: None },
            base_port: 7070,
            n: None,
            partitions,
            node_binary: None,
        };
        assert!(fix(folder.path(), &args(2, 63)).is_err(), "not a power of two");
        let made = fix(folder.path(), &args(2, 64)).unwrap();
        assert_eq!(made, Fixed { base_port: 7070, partitions: 64, n: 2 });
        assert_eq!(fix(folder.path(), &args(5, 128)).unwrap(), made);
    }
}
