//! A cluster whose membership does not stand still: scaled, replaced, lost and thought better of, by operators that compete,
//! while clients go on and everything goes wrong that goes wrong elsewhere.
//!
//! | module | what it is for |
//! |---|---|
//! | [`spec`] | what a person wants, and how that changes |
//! | [`decide`] | what an operator does next; pure |
//! | [`operator`] | its turns: look, decide, do; pods that come and go |
//! | [`watch`] | what no member may ever do |
//! | [`end`] | what has to be so when all is over |

mod decide;
mod end;
mod operator;
pub mod spec;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use self::operator::Operator;
use self::spec::{Person, Wishes};
use self::watch::Watch;
use crate::chance::Chance;
use crate::clients::{self, Habits};
use crate::nemesis;
use crate::run::{self, Log, Size, Verdict};
use crate::world::World;

/// Machines, members of the first layout or not.
const MACHINES: usize = 8;
/// Operators that compete.
const OPERATORS: usize = 2;
/// How long the last change may take once all faults have ended.
const END: Duration = Duration::from_mins(5);

/// How much a run does.
pub const SIZE: Size = Size {
    clients: 5,
    requests: 90,
    keys: 5,
    rage: Duration::from_secs(14),
    pause: Duration::from_millis(300),
    calm: Duration::from_millis(1_800),
};

/// Runs one seed.
pub fn run(seed: u64, size: Size) -> Verdict {
    let runtime = match run::runtime(seed) {
        Ok(runtime) => runtime,
        Err(why) => return Verdict::failed(seed, why),
    };
    let simulated = catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(seed, size))));
    simulated.unwrap_or_else(|_| {
        Verdict::failed(seed, "a task panicked; the first lines above say where".to_owned())
    })
}

async fn simulate(seed: u64, size: Size) -> Verdict {
    let chance = Chance::of(seed);
    let (log, members) = (Log::new(), 3 + chance.0.below(4));
    let world = match World::form(MACHINES, members, &chance).await {
        Ok(world) => world,
        Err(why) => return Verdict::failed(seed, format!("no cluster: {why}")),
    };
    log.note(&format!("{members} of {MACHINES} machines"));
    // A write that only one member has is lost with that member: nothing else is promised of it.
    let may_lose = chance.one_in(2);
    let habits = Habits { least_w: if may_lose { 2 } else { 1 } };
    let (wishes, watch, well) = (Wishes::new(members), Watch::default(), Arc::new(AtomicBool::new(false)));
    let operators: Vec<_> = (0..OPERATORS)
        .map(|number| {
            let (world, wishes, chance, log) = (world.clone(), wishes.clone(), chance.clone(), log.clone());
            let (watch, well) = (watch.clone(), Arc::clone(&well));
            tokio::spawn(Operator { number, world, wishes, chance, log, watch, well }.work())
        })
        .collect();
    let person = Person { world: &world, wishes: &wishes, chance: &chance, log: &log, may_lose };
    let requests = (0..size.clients).map(|_| clients::run(&world, &chance, &log, size, habits));
    tokio::join!(nemesis::rage(&world, &chance, &log, size), join_all(requests), person.want(size.rage));
    log.note("faults end");
    nemesis::heal(&world, &log).await;
    world.net.calm();
    well.store(true, Ordering::Relaxed);
    let mut wrong = Vec::new();
    if timeout(END, join_all(operators)).await.is_err() {
        wrong.push(format!("the operators are not done {} s after the last fault", END.as_secs()));
    }
    let mut apart = world.heal().await;
    wrong.extend(end::wrong(&world, &wishes.ago(0)).await);
    wrong.extend(watch.broken());
    apart.extend(wrong);
    run::judge(seed, &world, &log, size, apart).await
}
