//! What goes wrong, and when: one fault after another, several at a time, as the seed has it.

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::host::Host;
use crate::run::{Log, Size};
use crate::world::World;

/// What may go wrong.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Crash,
    Stop,
    CutOneWay,
    CutBothWays,
    Isolate,
    Pause,
    SlowDisk,
    Outage,
    FullDisk,
    FailedSync,
    Skew,
}

const FAULTS: [Fault; 14] = [
    Fault::Crash,
    Fault::Crash,
    Fault::Crash,
    Fault::Stop,
    Fault::CutOneWay,
    Fault::CutBothWays,
    Fault::Isolate,
    Fault::Pause,
    Fault::SlowDisk,
    Fault::SlowDisk,
    Fault::Outage,
    Fault::FullDisk,
    Fault::FailedSync,
    Fault::Skew,
];

/// Lets things go wrong.
pub async fn rage(world: &World, chance: &Chance, log: &Log, size: Size) {
    let until = Instant::now() + size.rage;
    let calm = u64::try_from(size.calm.as_micros()).unwrap_or(u64::MAX);
    let mut under_way = Vec::new();
    while Instant::now() < until {
        sleep(chance.micros(50_000, calm)).await;
        let machine = chance.0.below(world.hosts.len());
        let Some(fault) = chance.pick(&FAULTS) else { continue };
        log.note(&format!("{fault:?} at {machine}"));
        world.tally.count(format!("{fault:?} {}", world.book.phase()));
        let one = strike(world.clone(), chance.clone(), log.clone(), fault, machine);
        under_way.push(tokio::spawn(one));
    }
    join_all(under_way).await;
}

/// Everything is well again: no cut, no pause, every disk has room, every machine that was not
/// removed runs.
pub async fn heal(world: &World, log: &Log) {
    world.net.mend();
    for host in world.hosts.iter() {
        let mut host = host.lock().await;
        world.net.pause(host.machine, false);
        world.net.slow(host.machine, false);
        host.disk.set_full(false);
        host.clock.skew(0);
        if host.has_failed() {
            host.crash().await;
        }
        if host.engine().is_none() && host.present {
            start(&mut host, log).await;
        }
    }
}

/// Starts a machine, at another address than before. One that finds itself unfit stays down.
async fn start(host: &mut Host, log: &Log) {
    if let Err(why) = host.start().await {
        log.note(&format!("machine {} does not start: {why}", host.machine));
    }
}

async fn strike(world: World, chance: Chance, log: Log, fault: Fault, machine: usize) {
    let net = &world.net;
    let long = chance.micros(20_000, 3_000_000);
    let Some(host) = world.hosts.get(machine) else { return };
    match fault {
        Fault::Crash | Fault::Stop | Fault::FailedSync => {
            // One that is just being started or stopped is left alone.
            let Ok(mut host) = host.try_lock() else { return };
            match fault {
                Fault::Stop => host.stop().await,
                Fault::FailedSync => {
                    host.disk.fail_sync_after(chance.0.below(4));
                    sleep(long / 4).await;
                    // The process sees it and ends, or ends before it has seen it.
                    host.crash().await;
                }
                _ => {
                    // Mostly while its disk is busy, so that there is something to lose; and often it is back before others
                    // have written what it has lost.
                    net.slow(machine, !chance.one_in(4));
                    sleep(long / 8).await;
                    host.crash().await;
                    net.slow(machine, false);
                }
            }
            sleep(if chance.one_in(2) { long / 16 } else { long }).await;
            if chance.one_in(3) {
                // Nobody learns by its name where it is now.
                world.net.name_late(machine, chance.micros(100_000, 10_000_000));
            }
            start(&mut host, &log).await;
        }
        Fault::CutOneWay | Fault::CutBothWays | Fault::Isolate => {
            let others: Vec<usize> = (0..world.hosts.len()).filter(|other| *other != machine).collect();
            let others = match fault {
                Fault::Isolate => others,
                _ => chance.pick(&others).into_iter().collect(),
            };
            for other in others {
                net.cut(machine, other);
                if !matches!(fault, Fault::CutOneWay) {
                    net.cut(other, machine);
                }
            }
            sleep(long).await;
            net.mend();
        }
        Fault::Pause => {
            net.pause(machine, true);
            sleep(long).await;
            net.pause(machine, false);
        }
        Fault::SlowDisk => {
            net.slow(machine, true);
            sleep(long).await;
            net.slow(machine, false);
        }
        Fault::Outage => {
            // The power of all machines at once. One that is just being started or stopped escapes.
            // The disks are busy when it comes.
            (0..world.hosts.len()).for_each(|machine| net.slow(machine, true));
            sleep(long / 8).await;
            let mut dark = Vec::new();
            for host in world.hosts.iter() {
                dark.extend(host.try_lock());
            }
            for host in &mut dark {
                host.crash().await;
            }
            (0..world.hosts.len()).for_each(|machine| net.slow(machine, false));
            sleep(long / 8).await;
            join_all(dark.iter_mut().map(|host| start(host, &log))).await;
        }
        Fault::FullDisk => {
            let disk = {
                let Ok(host) = host.try_lock() else { return };
                host.disk.clone()
            };
            disk.set_full(true);
            sleep(long).await;
            disk.set_full(false);
        }
        Fault::Skew => {
            let Ok(host) = host.try_lock() else { return };
            let off = i64::try_from(chance.0.below(7_200_000)).unwrap_or_default() - 3_600_000;
            host.clock.skew(off);
        }
    }
}
