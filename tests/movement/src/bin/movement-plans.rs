//! `movement-plans`: changes of layout as the planner makes them, a line of JSON each. It computes no bound.

use std::error::Error;
use std::io::{BufWriter, Write};

use dynamo_movement::case::{Case, Shape};
use dynamo_movement::plans::{MOST_MEMBERS, MOST_STEP, MOST_ZONES, step, walk};
use dynamo_ring::Partitions;

/// As a cluster has it by default.
const Q: u32 = 256;
/// Changes of one walk.
const WALK: u32 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let partitions = Partitions::new(Q)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut write = |case: &Case| -> Result<(), Box<dyn Error>> {
        serde_json::to_writer(&mut out, case)?;
        Ok(out.write_all(b"\n")?)
    };
    let most = i32::try_from(MOST_STEP)?;
    for zones in 1..=MOST_ZONES {
        for shape in [Shape::Even, Shape::Skewed] {
            for size in 1..=MOST_MEMBERS {
                for by in (-most..=most).filter(|by| *by != 0) {
                    if let Some(case) = step(partitions, shape, zones, size, by)? {
                        write(&case)?;
                    }
                }
            }
        }
        for case in walk(partitions, zones, WALK)? {
            write(&case)?;
        }
    }
    Ok(())
}
