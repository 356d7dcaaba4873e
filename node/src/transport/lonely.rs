//! Warns if a node has no connection to any neighbour: its neighbours do not run, have another address for it, or
//! another process took its place. Such a node cannot serve, and the warning should reach operators before clients
//! notice.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::ServerContext;

/// The interval between checks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Checks until the node stops.
pub async fn watch(context: Arc<ServerContext>, address: String) {
    let node = context.node();
    let mut looks_alone = 0_u32;
    loop {
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = context.stopped() => return,
        }
        let alone = context.gate.borrow().allowed && context.metrics.peer_connections.get() == 0;
        looks_alone = if alone { looks_alone + 1 } else { 0 };
        // Warns after 5, 10, 20, 40 ... seconds, so that an isolated node does not fill its log.
        if looks_alone.is_power_of_two() {
            let neighbours: Vec<_> = context.seating().neighbours(node).map(|peer| peer.to_string()).collect();
            warn!(
                %node,
                "Node {node} is not connected to any of its neighbours {}. Check that they run, that they are \
                 configured with {address} for this node, and that no other process runs as node {node}.",
                neighbours.join(", ")
            );
        }
    }
}
