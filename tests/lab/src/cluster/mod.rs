//! Clusters of real `cubecast node` processes on this machine, which `chaos` breaks and `bench` measures.
//!
//! | module | content |
//! |---|---|
//! | [`program`] | finds the `cubecast` program |
//! | [`fleet`], [`outside`] | the processes; network environments that can be cut from outside |
//! | [`connection`], [`nodes`] | raw connections to nodes; requests to them |
//! | [`survey`] | the status of all nodes, and what a whole cluster lacks |

pub mod connection;
pub mod fleet;
pub mod nodes;
pub mod outside;
pub mod program;
pub mod survey;

use std::path::Path;
use std::time::Duration;

use cubecast_node::failure::Failure;
use nodes::Nodes;
use tokio::time::{Instant, sleep};

/// The time limit for all nodes to be up and all homes to lead, on a slow machine.
pub const STARTS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until every node is up and level with its groups. `folder` is where their logs are.
pub async fn wait_until_whole(nodes: &Nodes, until: Instant, folder: &Path) -> Result<(), Failure> {
    loop {
        let lacks = nodes.survey().await.lacks();
        match lacks.first() {
            None => return Ok(()),
            Some(lack) if Instant::now() >= until => {
                let message =
                    format!("the cluster did not become ready: {lack}; logs of the nodes: {}", folder.display());
                return Err(Failure::new(Failure::UNAVAILABLE, message));
            }
            Some(_) => sleep(LOOK_EVERY).await,
        }
    }
}
