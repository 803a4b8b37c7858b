//! Making trees anew that are in doubt, from the data, in steps between which writes go on.

use super::metrics::RepairMetrics;
use crate::pace::Pace;
use crate::store::{Limit, Plant, Planted, blocking};
use crate::transfer::purge::submit;
use crate::transfer::{Exchange, ExchangeError};

/// What one step goes through: some milliseconds of the commit thread.
const STEP: Limit = Limit { rows: 512, bytes: 1 << 20 };

/// Makes every tree anew that is in doubt. What a crash or a stop cuts short goes on where it was.
pub async fn rebuild(exchange: &Exchange, pace: &Pace, metrics: &RepairMetrics) -> Result<(), ExchangeError> {
    let local = exchange.local.clone();
    for partition in blocking(move || local.doubted().map_err(ExchangeError::from)).await? {
        tracing::warn!(%partition, "a Merkle tree is not whole, or in doubt: it is made anew from the data");
        while let Planted::More(bytes) = submit(&exchange.committer, Plant { partition, limit: STEP }).await?
        {
            pace.keep(bytes).await;
        }
        metrics.rebuilt();
    }
    Ok(())
}
