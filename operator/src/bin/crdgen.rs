//! Prints the CustomResourceDefinition, or writes it to where it is committed.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use dynamo_operator::crd;

/// The CustomResourceDefinition of DynamoCluster, from the types.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Print the chart's template and not the plain file.
    #[arg(long, conflicts_with = "write")]
    chart: bool,
    /// Write crds/ and the chart's template, and print nothing.
    #[arg(long)]
    write: bool,
    /// Root of the checkout that `--write` writes to.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if args.write {
        for (path, text) in [(crd::PLAIN, crd::plain()?), (crd::TEMPLATE, crd::template()?)] {
            let path = args.root.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, text)?;
        }
    } else if args.chart {
        print!("{}", crd::template()?);
    } else {
        print!("{}", crd::plain()?);
    }
    Ok(())
}
