//! Whether a replica group accepts publishes now, and whether a node is ready for clients. Serves health probes and
//! status displays.

use serde::Serialize;

use crate::cube::Vertex;
use crate::states::{NodeState, Obstacle, StorageState};
use crate::wire::answer::{GroupStatus, NodeStatus};

/// One reason why a node is not ready for clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Unready {
    /// The kind of the reason.
    pub reason: UnreadyReason,
    /// The replica group concerned. `None`: the node itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Vertex>,
    /// A description for people.
    pub message: String,
}

/// The kinds of reasons why a node is not ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum UnreadyReason {
    Node(NodeReason),
    Group(Obstacle),
}

/// Why a node as a whole is not ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeReason {
    NodeFailed,
    /// It has a new data folder and waits for its co-members to report whether they have met it before.
    Joining,
    /// Its disk has no room for publishes.
    StorageFull,
}

impl GroupStatus {
    /// Why the group accepts no publishes, as a sentence; `None` if it accepts them.
    pub fn why_unusable(&self) -> Option<String> {
        let GroupStatus { home, voters_up, voters_needed, .. } = self;
        let why = match self.obstacle? {
            Obstacle::NodeFailed => "this node is stopped by a requested fault".into(),
            Obstacle::NoQuorum => {
                let voters = self.voters.len();
                format!("{voters_up} of its {voters} voters are reachable; {voters_needed} are needed")
            }
            Obstacle::NoLeader => "it has no reachable leader".into(),
            Obstacle::NewLeader => "its leader was just elected".into(),
            Obstacle::StorageFull => "too few of its members have free disk space; delete topics or free space".into(),
        };
        Some(format!("the replica group of {home} does not accept publishes: {why}"))
    }
}

impl NodeStatus {
    /// Why the node is not ready for clients; empty if it is ready.
    pub fn unready(&self) -> Vec<Unready> {
        let of_node = |reason, message| vec![Unready { reason: UnreadyReason::Node(reason), group: None, message }];
        let node = self.node;
        if self.state == NodeState::Failed {
            return of_node(NodeReason::NodeFailed, format!("node {node} is stopped by a requested fault"));
        }
        if self.groups.is_empty() {
            let why = "has a new data folder and is waiting for its neighbours to report whether they know its vertex";
            return of_node(NodeReason::Joining, format!("node {node} {why}"));
        }
        let full = (self.storage.state != StorageState::Ok).then(|| Unready {
            reason: UnreadyReason::Node(NodeReason::StorageFull),
            group: None,
            message: format!("the disk of node {node} is full: delete topics, or free space on it"),
        });
        let of_group = |group: &GroupStatus| {
            let reason = UnreadyReason::Group(group.obstacle?);
            Some(Unready { reason, group: Some(group.home), message: group.why_unusable()? })
        };
        full.into_iter().chain(self.groups.iter().filter_map(of_group)).collect()
    }
}
