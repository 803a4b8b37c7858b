//! `ring watch`: the ring as it moves, until somebody has seen enough. On a terminal one picture that changes in place;
//! else a picture for each change.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Duration;

use dynamo_client::Token;
use dynamo_ring::Record;
use dynamo_ring::change::Next;
use tokio::time::sleep;

use crate::args::{Common, Output, Watch};
use crate::fail::{Fail, Outcome};
use crate::look::{look, moves, newest};
use crate::out;
use crate::picture::{Frame, Gist, Scene};
use crate::ring::record;

/// Columns where nobody says how many there are.
const COLUMNS: usize = 80;
const CLEAR: &str = "\x1b[2J\x1b[H";
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

pub(crate) async fn run(common: &Common, args: &Watch) -> Outcome {
    let token = common.need_token()?;
    let mut record = Record::clone(&*record(&common.client().await?)?);
    let mut easel = Easel { output: common.output, terminal: terminal(), once: args.once, shown: None };
    loop {
        let scene;
        (scene, record) = see(record, &token).await;
        easel.show(&scene)?;
        let settled = scene.look().next() == Next::Done;
        if args.until_settled && settled && common.output == Output::Text {
            let members = record.stable().members().len();
            out::line(format_args!(
                "settled: {members} members, epoch {}; every member knows",
                record.stamp().epoch
            ))?;
        }
        if args.once || (args.until_settled && settled) {
            return Ok(ExitCode::SUCCESS);
        }
        sleep(Duration::from_secs_f64(args.every)).await;
    }
}

/// What the members say, by the newest record that any of them has.
async fn see(mut record: Record, token: &Token) -> (Scene, Record) {
    loop {
        let (look, said) = tokio::join!(look(&record, token), moves(&record, token));
        let newest = newest(&look);
        if newest == record {
            return (Scene::new(look, &said), record);
        }
        record = newest;
    }
}

/// A picture can be drawn over the one before, and in colours.
fn terminal() -> bool {
    let unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    stdout().is_terminal() && unset("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns and lines.
fn size() -> (usize, Option<usize>) {
    if let Ok(size) = rustix::termios::tcgetwinsize(stdout())
        && size.ws_col > 0
    {
        return (size.ws_col.into(), Some(size.ws_row.into()).filter(|rows| *rows > 0));
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    (columns.unwrap_or(COLUMNS), None)
}

/// Where pictures are shown, and the gist of the last one.
struct Easel {
    output: Output,
    terminal: bool,
    once: bool,
    shown: Option<Gist>,
}

impl Easel {
    fn show(&mut self, scene: &Scene) -> Result<(), Fail> {
        let (first, gist) = (self.shown.is_none(), scene.gist());
        let in_place = self.terminal && !self.once && self.output == Output::Text;
        if !in_place && self.shown.as_ref() == Some(&gist) {
            return Ok(());
        }
        self.shown = Some(gist);
        if self.output == Output::Json {
            return out::line(scene.json());
        }
        let (width, height) = size();
        if !in_place {
            let lines = scene.draw(Frame { width, height: None });
            let text = lines.iter().map(|line| line.render(width, self.terminal) + "\n").collect::<String>();
            return out::print(format_args!("{}{text}", if first { "" } else { "\n" }));
        }
        // The cursor stays below the picture, where whatever comes next begins.
        let height = height.map(|height| height.saturating_sub(1));
        let lines = scene.draw(Frame { width, height });
        let lines = lines.iter().take(height.unwrap_or(usize::MAX));
        let text = lines.map(|line| line.render(width, true) + REST_OF_LINE + "\n").collect::<String>();
        out::print(format_args!("{}{text}{REST_OF_SCREEN}", if first { CLEAR } else { HOME }))
    }
}
