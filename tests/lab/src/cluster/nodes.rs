//! Requests to the nodes by the program itself, outside of the recorded clients: one connection to each node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Done, Failure, NodeStatus};
use cubecast_core::wire::client::{Action, Admin};
use tokio::sync::Mutex;

use super::connection::{Connection, Lost};
use super::survey::Survey;

/// A node that does not report its status within this time is stopped or gone.
const STATUS_WITHIN: Duration = Duration::from_secs(1);

/// Connections to all nodes, opened when needed.
#[derive(Debug)]
pub struct Nodes {
    seating: Seating,
    /// By the index of the vertex.
    addresses: Arc<Vec<String>>,
    connections: Vec<Mutex<Option<Connection>>>,
}

/// Why a node did not do what was requested.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    #[error("{0}")]
    Lost(#[from] Lost),
    #[error("{0}")]
    Refused(#[from] Failure),
}

impl Nodes {
    /// No connection is open yet.
    pub fn new(seating: Seating, addresses: Arc<Vec<String>>) -> Nodes {
        let connections = addresses.iter().map(|_| Mutex::default()).collect();
        Nodes { seating, addresses, connections }
    }

    /// All nodes.
    pub fn seating(&self) -> &Seating {
        &self.seating
    }

    /// Sends a request to a node and waits for the answer, at most 6 s for each of two attempts.
    pub async fn ask(&self, node: HostId, action: Action) -> Result<Done, AskError> {
        self.ask_within(Duration::from_secs(6), node, action).await
    }

    /// The same with another time limit for each attempt.
    pub async fn ask_within(&self, patience: Duration, node: HostId, action: Action) -> Result<Done, AskError> {
        let index = self.seating.index_of(node).expect("a node of this cluster");
        let mut kept = self.connections[index].lock().await;
        // A connection to a killed process is found broken only now. All requests sent here can be repeated safely.
        if let Some(mut connection) = kept.take()
            && let Ok(answer) = connection.ask_within(patience, action.clone()).await
        {
            *kept = Some(connection);
            return Ok(answer.result?);
        }
        let mut connection = Connection::open(&self.addresses[index]).await?;
        let answer = connection.ask_within(patience, action).await?;
        *kept = Some(connection);
        Ok(answer.result?)
    }

    /// Collects the status of all nodes. Nodes without an answer are missing.
    pub async fn survey(&self) -> Survey {
        let asked = self.seating.hosts().map(|node| async move { Some((node, self.status(node).await?)) });
        let told = futures_util::future::join_all(asked).await;
        Survey::new(self.seating.clone(), told.into_iter().flatten().collect::<BTreeMap<_, _>>())
    }

    async fn status(&self, node: HostId) -> Option<NodeStatus> {
        match self.ask_within(STATUS_WITHIN, node, Action::Admin(Admin::Status { node: None })).await {
            Ok(Done::Status(status)) => Some(*status),
            Ok(_) | Err(_) => None,
        }
    }
}
