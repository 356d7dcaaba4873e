//! Warns if a node has no connection to any neighbour: its neighbours do not run, have another address for it, or
//! another process took its place. Such a node cannot serve, and the warning should reach operators before clients
//! notice.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::Door;

/// The interval between checks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Checks until the node stops.
pub async fn watch(door: Arc<Door>, address: String) {
    let node = door.vertex();
    let mut looks_alone = 0_u32;
    loop {
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = door.stopped() => return,
        }
        let alone = door.gate.borrow().allowed && door.metrics.peer_connections.load(Relaxed) == 0;
        looks_alone = if alone { looks_alone + 1 } else { 0 };
        // Warns after 5, 10, 20, 40 ... seconds, so that an isolated node does not fill its log.
        if looks_alone.is_power_of_two() {
            let neighbours: Vec<_> = node.neighbours().map(|peer| peer.to_string()).collect();
            warn!(
                %node,
                "Node {node} is connected with none of its neighbours {}. Do they run, do they know it as {address}, \
                 and is it the only process that runs as node {node}?",
                neighbours.join(", ")
            );
        }
    }
}
