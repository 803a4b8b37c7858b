//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dynamo_client::{Client, Options, Token};
use dynamo_telemetry::export::Destination;

use crate::fail::Fail;

/// Talks to a Dynamo store.
///
/// Ends with 0 when done, 1 when it could not be done, 2 when the command makes no sense, 3 when a key is absent.
#[derive(Debug, Parser)]
#[command(name = "dynamoctl", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What most commands take.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Addresses of the cluster, host:port, separated by commas; one that answers is enough.
    #[arg(
        long,
        global = true,
        env = "DYNAMO_SEEDS",
        value_delimiter = ',',
        default_value = "127.0.0.1:7070"
    )]
    pub(crate) seeds: Vec<String>,
    /// File with the cluster's token, for commands that ask single nodes.
    #[arg(long, global = true, env = "DYNAMO_ADMIN_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Seconds that a request may take, retries included.
    #[arg(long, global = true, default_value_t = 10.0, value_parser = seconds)]
    pub(crate) timeout: f64,
    /// Send every request through the seeds: for when the members' own addresses cannot be dialled from here.
    #[arg(long, global = true)]
    pub(crate) via_seeds: bool,
    /// Send the spans of the request to this collector, like http://collector:4317; see docs/tracing.md.
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// How to print.
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds from 0.001 to 3600".into()),
    }
}

/// A time to live: a whole number and its unit.
fn ttl(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)) {
        Some(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err("give a whole number and a unit, at least 1ms: 500ms, 30s, 15m, 12h, 7d".into()),
    }
}

impl Common {
    /// Where spans go, if anywhere: a person who asks for the trace of a request wants this one.
    pub(crate) fn traces(&self) -> Option<Destination> {
        let endpoint = self.otlp_endpoint.clone().filter(|endpoint| !endpoint.is_empty())?;
        let instance = std::process::id().to_string();
        Some(Destination { endpoint, service: "dynamoctl", instance, ratio: 1.0 })
    }

    pub(crate) async fn client(&self) -> Result<Client, Fail> {
        let deadline = Duration::from_secs_f64(self.timeout);
        let options = Options { deadline, direct: !self.via_seeds, ..Options::default() };
        Ok(Client::connect(self.seeds.clone(), options).await?)
    }

    /// The token, if a file was named.
    pub(crate) fn token(&self) -> Result<Option<Token>, Fail> {
        Ok(self.token_file.as_deref().map(Token::read).transpose()?)
    }

    /// The token, which this command cannot do without.
    pub(crate) fn need_token(&self) -> Result<Token, Fail> {
        self.token()?.ok_or_else(|| {
            Fail::usage("this asks single nodes and needs the cluster's token: --token-file FILE, or DYNAMO_ADMIN_TOKEN_FILE")
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read a key: all its versions, and the context for the next write.
    Get(Get),
    /// Write a key.
    Put(Put),
    /// Delete a key.
    Delete(Delete),
    /// The whole cluster on one screen, and what to do next.
    Status,
    /// Who holds what, and what a change of members would move.
    Ring(Ring),
    /// The keys, one a line, in no order that means anything.
    List(List),
    /// Every key with all its versions, one line of JSON each.
    Export(Export),
    /// Where a key lies, whom to ask for it, and what each of them holds by itself.
    #[command(alias = "inspect")]
    Explain(Explain),
    /// What became of a node.
    Node(Node),
    /// A cluster of processes on this machine.
    Dev(Dev),
}

/// How a key is given.
#[derive(Debug, Args)]
pub(crate) struct KeyArg {
    /// The key; as text unless one of the flags says otherwise.
    #[arg(value_name = "KEY")]
    pub(crate) text: String,
    /// The key is given in hex digits.
    #[arg(long, conflicts_with = "base64")]
    pub(crate) hex: bool,
    /// The key is given in base64.
    #[arg(long)]
    pub(crate) base64: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) key: KeyArg,
    /// Answers wanted; the cluster's own r if absent.
    #[arg(long, value_name = "COUNT")]
    pub(crate) r: Option<u32>,
    /// Count only the key's own members, no stand-ins.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Take what there is though fewer than r answer.
    #[arg(long)]
    pub(crate) allow_partial: bool,
    /// Print the value's bytes and nothing else; an error if there is more than one version.
    #[arg(long)]
    pub(crate) raw: bool,
}

/// How a write is to be made.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// Durable copies wanted; the cluster's own w if absent.
    #[arg(long, value_name = "COUNT")]
    pub(crate) w: Option<u32>,
    /// Count only the key's own members, no stand-ins.
    #[arg(long)]
    pub(crate) strict: bool,
    /// What the write has seen: a context as `get` prints it, `last` for that of the last get or write of this key
    /// from here, `none` to write beside whatever is there.
    #[arg(long, default_value = "none")]
    pub(crate) context: String,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) key: KeyArg,
    /// The value; @FILE for a file's content, - for standard input.
    pub(crate) value: String,
    /// How long the value is shown, for example 500ms, 30s, 15m, 12h or 7d; it lasts if this is not given.
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    pub(crate) ttl: Option<Duration>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) key: KeyArg,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only keys that begin with this.
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
    /// Only the keys of one partition.
    #[arg(long)]
    pub(crate) partition: Option<u16>,
    /// Keys that are deleted, and not yet reaped, as well.
    #[arg(long)]
    pub(crate) deleted: bool,
    /// No more keys than this.
    #[arg(long)]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only keys that begin with this.
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) key: KeyArg,
}

#[derive(Debug, Args)]
pub(crate) struct Ring {
    #[command(subcommand)]
    pub(crate) command: RingCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RingCommand {
    /// The members, and the holders of each partition.
    Show {
        /// Only the partition of this key.
        #[arg(long)]
        key: Option<String>,
        /// Every partition, and not only each member's counts.
        #[arg(long)]
        partitions: bool,
    },
    /// The ring as it moves: who owns what, what goes where and how far that is, member by member.
    Watch(Watch),
    /// What a change of members moves. Without --dry-run it is made, and driven to its end.
    Plan(RingPlan),
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// One picture, and no more.
    #[arg(long)]
    pub(crate) once: bool,
    /// End when no change is under way, and every member knows.
    #[arg(long)]
    pub(crate) until_settled: bool,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub(crate) every: f64,
}

#[derive(Debug, Args)]
pub(crate) struct RingPlan {
    /// A node that comes: HOST:PORT, or HOST:PORT@ZONE; with --dry-run also how many come that do not exist yet.
    #[arg(long, value_name = "ADDRESS[@ZONE]|COUNT")]
    pub(crate) add: Vec<String>,
    /// A member that goes, by name; with --dry-run also how many go, the highest ordinals.
    #[arg(long, value_name = "NAME|COUNT")]
    pub(crate) remove: Vec<String>,
    /// Only say what would move, how much, and how long that would take.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The folder with this cluster's record (layout.json); never that of a cluster that an operator runs.
    #[arg(long, required_unless_present = "dry_run")]
    pub(crate) dir: Option<PathBuf>,
    /// Seconds that the change may take here; it can be driven on afterwards.
    #[arg(long, default_value_t = 3600)]
    pub(crate) within: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Node {
    #[command(subcommand)]
    pub(crate) command: NodeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Say that a node's disk is gone for ever: its replicas are given to others, and it is barred.
    Lost {
        /// Its node id, as `status` shows it.
        node_id: String,
        /// The folder with this cluster's record (layout.json).
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Dev {
    #[command(subcommand)]
    pub(crate) command: Option<DevCommand>,
    /// Members.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) nodes: u16,
    #[command(flatten)]
    pub(crate) place: DevPlace,
    /// Ports from here on: two for each node.
    #[arg(long, default_value_t = 7070)]
    pub(crate) base_port: u16,
    /// Replicas of each partition; by default 3, or as many as there are nodes if those are fewer.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) n: Option<u8>,
    /// Partitions of the ring, a power of two.
    #[arg(long, default_value_t = 64)]
    pub(crate) partitions: u32,
    /// The program dynamo-node; by default the one beside this program, or in PATH.
    #[arg(long)]
    pub(crate) node_binary: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DevPlace {
    /// Where data, logs and the layout lie; kept from one run to the next.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Tell a running `dev` how many members it is to have.
    Scale {
        /// Members.
        #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
        nodes: u16,
        #[command(flatten)]
        place: DevPlace,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_whole() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_to_live_is_a_number_with_its_unit() {
        let times = [("1ms", 1), ("30s", 30_000), ("15m", 900_000), ("12h", 43_200_000), ("7d", 604_800_000)];
        for (text, ms) in times {
            assert_eq!(ttl(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "0s", "30", "s", "-1s", "1.5h", "18446744073709551615d"] {
            assert!(ttl(bad).unwrap_err().contains("30s"), "{bad}");
        }
    }

    #[test]
    fn a_context_and_a_place_are_where_people_put_them() {
        let cli = Cli::try_parse_from(["dynamoctl", "put", "k", "v", "--context", "last", "-o", "json"]);
        assert!(matches!(cli.unwrap().command, Command::Put(put) if put.write.context == "last"));
        assert!(Cli::try_parse_from(["dynamoctl", "dev", "scale", "5", "--dir", "d"]).is_ok());
        assert!(Cli::try_parse_from(["dynamoctl", "dev", "--nodes", "65"]).is_err());
        assert!(Cli::try_parse_from(["dynamoctl", "ring", "plan", "--remove", "a"]).is_err(), "no folder");
        assert!(Cli::try_parse_from(["dynamoctl", "--timeout", "0", "status"]).is_err());
    }
}
