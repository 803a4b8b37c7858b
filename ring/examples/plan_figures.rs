//! Prints the figures of docs/placement.md: how long a plan takes at the largest sizes, and how much it moves.

use std::error::Error;
use std::time::Instant;

use dynamo_ring::{ClusterId, Member, NodeId, Partitions, plan};

fn member(number: u8, zones: u8) -> Member {
    let zone = number.checked_rem(zones).map_or_else(String::new, |zone| format!("zone-{zone}"));
    let name = format!("cart-{number}");
    Member { node_id: NodeId([number; 16]), zone, address: format!("{name}:7070"), name, weight: 1 }
}

fn main() -> Result<(), Box<dyn Error>> {
    for zones in [0, 3] {
        let pool: Vec<Member> = (0..64).map(|number| member(number, zones)).collect();
        let begun = Instant::now();
        let full = plan::first(&pool, Partitions::new(4096)?, 3, ClusterId([7; 16]))?;
        println!("{zones} zones: first of 64: {:?}", begun.elapsed());
        for to in [63, 56, 32, 3] {
            let begun = Instant::now();
            let less = plan::plan(&full, &pool[..to], 2)?;
            let (down, gone) = (begun.elapsed(), plan::moves(&full, &less).len());
            let begun = Instant::now();
            let more = plan::plan(&less, &pool, 3)?;
            let (up, back) = (begun.elapsed(), plan::moves(&less, &more).len());
            println!("{zones} zones: 64 to {to}: {gone} moves in {down:?}; and back: {back} in {up:?}");
        }
    }
    Ok(())
}
