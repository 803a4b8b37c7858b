//! A machine whose volume is put back, to an older copy or to the very same: the first is to be found out, and to serve
//! nothing of it; the second is not to be taken for one.

use std::time::Duration;

use dynamo_proto::v1::PutRequest;
use dynamo_proto::v1::kv_server::Kv;
use tokio::time::timeout;
use tonic::Request;

use crate::chance::Chance;
use crate::run;
use crate::world::World;

/// Long enough for every stream to be opened again.
const GREETED: Duration = Duration::from_secs(10);

/// What the volume is put back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// What it held some writes ago.
    Older,
    /// What it holds.
    Same,
}

/// Whether the machine goes on serving.
///
/// # Errors
/// When the cluster cannot be formed or written to, though nothing is wrong with it.
pub fn serves(seed: u64, copy: Copy) -> Result<bool, String> {
    run::runtime(seed)?.block_on(async {
        let world = World::form(3, 3, &Chance::of(seed)).await?;
        put(&world, 0, "before".to_owned()).await?;
        let host = world.hosts.get(2).ok_or("three machines")?;
        let older = host.lock().await.disk.copy();
        // Peers are told of a batch's sync with the frames after it.
        for i in 0..40 {
            put(&world, i % 3, format!("after {i}")).await?;
        }
        let mut host = host.lock().await;
        host.crash().await;
        if copy == Copy::Older {
            host.disk = older;
        }
        if host.start().await.is_err() {
            return Ok(false);
        }
        let engine = host.engine().ok_or("it runs")?;
        Ok(timeout(GREETED, engine.set_back()).await.is_err())
    })
}

async fn put(world: &World, machine: usize, key: String) -> Result<(), String> {
    let (kv, _) = world.door(machine).ok_or("a machine that does not run")?;
    let message = PutRequest {
        key: key.into(),
        value: "value".into(),
        w: Some(3),
        strict: true,
        ..PutRequest::default()
    };
    kv.put(Request::new(message)).await.map(drop).map_err(|why| why.to_string())
}
