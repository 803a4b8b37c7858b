//! A machine that comes back at another address: how long until all others reach it there.

use std::time::Duration;

use dynamo_proto::v1::StatusRequest;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_ring::NodeId;
use tokio::time::{Instant, sleep, timeout};
use tonic::Request;

use crate::chance::Chance;
use crate::run;
use crate::world::World;

const MACHINES: usize = 5;
/// The one that moves.
const MOVED: usize = 2;
/// Long enough for everybody to know everybody, and for the waits between attempts to be at their longest.
const LONG: Duration = Duration::from_secs(20);
/// How late its name follows when it is by its name alone that it can be found.
const LATE: Duration = Duration::from_millis(7_300);

/// How others may learn where the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It tells its address itself. Its name does not lead there.
    ByAddress,
    /// Its name leads there, some seconds late. It tells no address.
    ByName,
}

/// The virtual time from the moment when its name or its address leads to it until every other machine has a stream to
/// it.
///
/// # Errors
/// When the cluster cannot be formed, or the machine is never found, in words.
pub fn known_again(seed: u64, found: Found) -> Result<Duration, String> {
    run::runtime(seed)?.block_on(async {
        let world = World::form(MACHINES, MACHINES, &Chance::of(seed)).await?;
        world.net.calm();
        let host = world.hosts.get(MOVED).ok_or("a machine too few")?;
        let mut host = host.lock().await;
        let moved = host.engine().ok_or("it runs")?.layouts.my_id();
        host.tells_address = found == Found::ByAddress;
        sleep(LONG).await;
        if reached_by(&world, moved).await? != MACHINES - 1 {
            return Err("not everybody reaches it before it moves".to_owned());
        }
        host.crash().await;
        sleep(LONG).await;
        if reached_by(&world, moved).await? != 0 {
            return Err("somebody reaches a machine that does not run".to_owned());
        }
        let late = if found == Found::ByName { LATE } else { Duration::from_hours(1) };
        world.net.name_late(MOVED, late);
        let leads = Instant::now() + if found == Found::ByName { LATE } else { Duration::ZERO };
        let reached = async {
            while reached_by(&world, moved).await? < MACHINES - 1 {
                sleep(Duration::from_millis(1)).await;
            }
            Ok::<_, String>(Instant::now())
        };
        let (started, reached) = tokio::join!(host.start(), timeout(2 * LONG, reached));
        started?;
        let reached = reached.map_err(|_| "it is never found".to_owned())??;
        reached.checked_duration_since(leads).ok_or_else(|| "it was found before it could be".to_owned())
    })
}

/// How many of the other machines have a stream to the member.
async fn reached_by(world: &World, member: NodeId) -> Result<usize, String> {
    let mut count = 0;
    for (machine, host) in world.hosts.iter().enumerate().filter(|(machine, _)| *machine != MOVED) {
        let host = host.lock().await;
        let engine = host.engine().ok_or_else(|| format!("machine {machine} does not run"))?;
        let status = engine.admin.status(Request::new(StatusRequest {})).await;
        let connected = status.map_err(|why| why.to_string())?.into_inner().connected;
        count += usize::from(connected.iter().any(|node| node[..] == member.as_bytes()[..]));
    }
    Ok(count)
}
