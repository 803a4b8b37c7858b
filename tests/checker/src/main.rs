//! `checker`: holds histories that were written as lines of JSON against what the store promises.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use dynamo_checker::{History, LineError, check};

/// Judges histories. Ends with 0 only if nothing is broken, and with 2 if a file is no history.
#[derive(Debug, Parser)]
#[command(name = "checker")]
struct Args {
    /// Files of JSON lines, such as those under target/nemesis.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let mut broken = 0;
    for file in Args::parse().files {
        match read(&file) {
            Ok(history) => broken += judge(&file, &history),
            Err(why) => {
                eprintln!("checker: {}: {why}", file.display());
                return ExitCode::from(2);
            }
        }
    }
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> Result<History, LineError> {
    History::read(BufReader::new(File::open(file)?))
}

fn judge(file: &Path, history: &History) -> usize {
    let broken = check(history);
    for one in &broken {
        println!("{one}");
    }
    let died = if history.end.is_none() { "; the run died, its end is not judged" } else { "" };
    println!("{}: {} requests, {} broken{died}", file.display(), history.ops.len(), broken.len());
    broken.len()
}
