//! What a client does beside its requests: it keeps the layout fresh, and finds out when a suspect is well again.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::timeout;

use crate::client::Inner;

/// How often it looks whether there is something to do.
const TICK: Duration = Duration::from_millis(100);
/// How often the layout is asked for while a change is under way.
const REFRESH_MOVING: Duration = Duration::from_secs(1);
/// However many answers hint at a change, the layout is not asked for more often than this.
const REFRESH_LEAST: Duration = Duration::from_millis(200);
/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(1);

/// Runs until the client is gone.
pub(crate) async fn run(client: Weak<Inner>) {
    let mut refreshed = Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        let Some(inner) = client.upgrade() else { return };
        let now = Instant::now();
        let due = inner.with_health(|health| health.due(now));
        join_all(due.iter().map(|address| probe(&inner, address))).await;
        if refresh_due(refreshed.elapsed(), inner.doubts(), inner.moving(), inner.options.refresh) {
            // Before asking: an answer that arrives meanwhile may hint at a record that is newer still.
            inner.clear_doubt();
            let _ = timeout(PROBE, inner.refresh()).await;
            refreshed = Instant::now();
        }
    }
}

/// Whether to ask for the layout, `since` the last time.
fn refresh_due(since: Duration, doubt: bool, moving: bool, usual: Duration) -> bool {
    let pause = match (doubt, moving) {
        (true, _) => REFRESH_LEAST,
        (false, true) => REFRESH_MOVING.min(usual),
        (false, false) => usual,
    };
    since >= pause
}

async fn probe(inner: &Arc<Inner>, address: &str) {
    match timeout(PROBE, inner.ask_layout(address)).await {
        Ok(Ok(())) => inner.with_health(|health| health.answered(address)),
        _ => inner.with_health(|health| health.failed(address, Instant::now())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_asked_for_on_a_hint_often_in_a_change_and_seldom_else() {
        let usual = Duration::from_secs(30);
        let due = |ms, doubt, moving| refresh_due(Duration::from_millis(ms), doubt, moving, usual);
        assert!(due(200, true, false) && !due(199, true, false));
        assert!(due(1000, false, true) && !due(999, false, true));
        assert!(due(30_000, false, false) && !due(29_999, false, false));
    }
}
