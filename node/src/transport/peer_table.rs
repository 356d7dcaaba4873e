//! The table of neighbours' connections: at most one for each neighbour, and an old one ends before a new one starts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cubecast_core::identity::HostId;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::handshake::{Proven, Refusal, RefusalCode};

/// A connection without input for this long may be replaced by another process with the same node. Connections
/// carry a WebSocket ping every second.
const ALIVE_WITHIN: Duration = Duration::from_millis(2500);

/// The current connections to neighbours.
#[derive(Debug, Default)]
pub struct PeerTable {
    slots: Mutex<HashMap<HostId, Arc<Shared>>>,
}

/// The state shared by the table and a connection.
#[derive(Debug)]
struct Shared {
    instance: u64,
    since: Instant,
    /// The time of the last input, in milliseconds after `since`.
    heard_ms: AtomicU64,
    give_way: Notify,
    gone: watch::Sender<bool>,
}

/// The right to be the connection to one neighbour. Dropped after the connection has reported its end.
#[derive(Debug)]
pub struct PeerSlot {
    peer: HostId,
    shared: Arc<Shared>,
    table: Arc<PeerTable>,
}

impl PeerTable {
    /// Admits a neighbour. An older connection of the same process, or a silent one, is replaced: this waits for its
    /// end. A live connection of another process is not replaced: two processes use the same node, and the new one
    /// is refused.
    pub async fn admit(self: &Arc<Self>, peer: Proven) -> Result<PeerSlot, Refusal> {
        loop {
            let former = match self.try_admit(peer)? {
                Ok(slot) => return Ok(slot),
                Err(former) => former,
            };
            let mut gone = former.gone.subscribe();
            former.give_way.notify_one();
            drop(former);
            // An error means that the sender is gone, and with it the older connection.
            let _ = gone.wait_for(|gone| *gone).await;
        }
    }

    fn try_admit(self: &Arc<Self>, peer: Proven) -> Result<Result<PeerSlot, Arc<Shared>>, Refusal> {
        let mut slots = self.slots.lock().expect("no thread panics while it holds this lock");
        if let Some(former) = slots.get(&peer.node) {
            if former.instance != peer.instance && former.is_alive() {
                let reason =
                    format!("another live process is connected as node {}: two processes use the same id", peer.node);
                return Err(Refusal::new(RefusalCode::Taken, reason));
            }
            return Ok(Err(former.clone()));
        }
        let shared = Arc::new(Shared {
            instance: peer.instance,
            since: Instant::now(),
            heard_ms: AtomicU64::new(0),
            give_way: Notify::new(),
            gone: watch::Sender::new(false),
        });
        slots.insert(peer.node, shared.clone());
        Ok(Ok(PeerSlot { peer: peer.node, shared, table: self.clone() }))
    }
}

impl Shared {
    fn is_alive(&self) -> bool {
        let heard = self.since + Duration::from_millis(self.heard_ms.load(Relaxed));
        heard.elapsed() < ALIVE_WITHIN
    }
}

impl PeerSlot {
    /// Records input on the connection.
    pub fn heard(&self) {
        self.shared.heard_ms.store(self.shared.since.elapsed().as_millis() as u64, Relaxed);
    }

    /// The time since the last input.
    pub fn silent_for(&self) -> Duration {
        (self.shared.since + Duration::from_millis(self.shared.heard_ms.load(Relaxed))).elapsed()
    }

    /// Completes when a newer connection is to replace this one.
    pub async fn asked_to_give_way(&self) {
        self.shared.give_way.notified().await;
    }
}

impl Drop for PeerSlot {
    fn drop(&mut self) {
        self.table.slots.lock().expect("no thread panics while it holds this lock").remove(&self.peer);
        self.shared.gone.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn proven(instance: u64) -> Proven {
        Proven { node: "101".parse().unwrap(), instance }
    }

    #[tokio::test]
    async fn a_living_connection_is_not_replaced_by_another_process() {
        let table = Arc::<PeerTable>::default();
        let first = table.admit(proven(1)).await.unwrap();
        assert_eq!(table.admit(proven(2)).await.unwrap_err().code, RefusalCode::Taken);
        drop(first);
        table.admit(proven(2)).await.unwrap();
    }

    #[tokio::test]
    async fn the_same_process_replaces_its_connection_only_when_the_old_one_is_gone() {
        let table = Arc::<PeerTable>::default();
        let first = table.admit(proven(1)).await.unwrap();
        let second = table.admit(proven(1));
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        first.asked_to_give_way().await;
        drop(first);
        second.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_gives_way_to_another_process() {
        let table = Arc::<PeerTable>::default();
        let first = table.admit(proven(1)).await.unwrap();
        tokio::time::advance(ALIVE_WITHIN).await;
        let second = table.admit(proven(2));
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        second.await.unwrap();
    }
}
