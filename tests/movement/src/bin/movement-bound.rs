//! `movement-bound [--plot FILE] < plans`: what each change moves over the least possible, as a table; then the ways to
//! place keys side by side. Ends with 0 only if the planner keeps what `docs/rebalancing.md` promises.

use std::error::Error;
use std::io::BufRead;
use std::process::ExitCode;

use dynamo_movement::case::Case;
use dynamo_movement::figures::{Steps, Strategy, WAYS, figure_8, steps};
use dynamo_movement::plot::{Line, Panel, svg};
use dynamo_movement::verdict::{Sums, Verdict, check};
use dynamo_ring::Partitions;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let plot = args.iter().position(|arg| arg == "--plot").and_then(|at| args.get(at + 1));
    let mut sums = Sums::default();
    for line in std::io::stdin().lock().lines() {
        let case: Case = serde_json::from_str(&line?)?;
        sums.entry((case.shape, case.zones)).or_default().add(&Verdict::of(&case));
    }
    moved(&sums);
    let strategies = figure_8()?;
    eights(&strategies);
    let partitions = Partitions::new(1024)?;
    let mut all = Vec::new();
    for members in 3..=56 {
        all.extend(steps(partitions, members, 1)?);
    }
    ways(&all);
    if let Some(file) = plot {
        std::fs::write(file, svg(&panels(&strategies, &all)))?;
    }
    match check(&sums) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => {
            eprintln!("movement: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

#[allow(clippy::cast_precision_loss)] // counts of replicas
fn moved(sums: &Sums) {
    println!(
        "| members in zones | zones | changes | replicas moved | least possible | bound by maximum flow | moved / bound | moved / least | worst of one | changes above their least | spread where zones allow 1 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for ((shape, zones), sum) in sums {
        println!(
            "| {} | {zones} | {} | {} | {} | {} | {:.4} | {:.4} | {:.4} | {} | {} |",
            shape.name(),
            sum.changes,
            sum.moved,
            sum.least,
            sum.bound,
            sum.moved as f64 / sum.bound.max(1) as f64,
            sum.moved as f64 / sum.least.max(1) as f64,
            sum.worst,
            sum.over,
            sum.spread
        );
    }
}

fn eights(strategies: &[Strategy]) {
    println!("\n| strategy | bytes that each member knows: mean load over the largest |");
    println!("|---|---|");
    for strategy in strategies {
        let points = strategy.points.iter().map(|point| format!("{}: {:.2}", point.bytes, point.efficiency));
        println!("| {} | {} |", strategy.name, points.collect::<Vec<_>>().join(", "));
    }
}

fn ways(all: &[Steps]) {
    println!("\n| step | {} |", WAYS.map(|way| format!("{way}: moved / evenness")).join(" | "));
    println!("|---|{}", "---|".repeat(WAYS.len()));
    for steps in all.iter().filter(|steps| [3, 5, 8, 15, 30, 56].contains(&steps.members)) {
        let cells =
            steps.moved.iter().zip(&steps.efficiency).map(|(moved, even)| format!("{moved:.2} / {even:.2}"));
        let cells: Vec<String> = cells.collect();
        println!("| {} -> {} | {} |", steps.members, steps.members + steps.more, cells.join(" | "));
    }
}

fn panels(strategies: &[Strategy], all: &[Steps]) -> Vec<Panel> {
    let of = |pick: &dyn Fn(&Steps) -> &Vec<f64>, way: usize| -> Vec<(f64, f64)> {
        all.iter().map(|steps| (f64::from(steps.members), pick(steps)[way])).collect()
    };
    let lines = |pick: &dyn Fn(&Steps) -> &Vec<f64>| -> Vec<Line> {
        WAYS.iter()
            .enumerate()
            .map(|(way, name)| Line { name: (*name).into(), points: of(pick, way) })
            .collect()
    };
    let eight = strategies.iter().map(|strategy| Line {
        name: strategy.name.into(),
        points: strategy.points.iter().map(|point| (f64::from(point.bytes), point.efficiency)).collect(),
    });
    vec![
        Panel {
            title: "One member more: what moves, over the least that an even placement has to move".into(),
            bottom: "members before".into(),
            log: false,
            top: 2.0,
            lines: lines(&|steps| &steps.moved),
        },
        Panel {
            title: "Afterwards: mean load over the largest".into(),
            bottom: "members before".into(),
            log: false,
            top: 1.0,
            lines: lines(&|steps| &steps.efficiency),
        },
        Panel {
            title: "Figure 8 of the paper: S = 30, N = 3, keys spread evenly".into(),
            bottom: "bytes that each member has to know".into(),
            log: true,
            top: 1.0,
            lines: eight.collect(),
        },
    ]
}
