//! The states that nodes, disks and members of groups report to each other and to clients.

use serde::{Deserialize, Serialize};

/// The state of a node, as its peers see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Serving.
    Up,
    /// No neighbour receives frames from it, or it is stopped by a requested fault.
    Failed,
    /// It is back and catching up; it leads no group yet.
    Recovering,
}

/// A member's role in its group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Leader,
    Follower,
    Candidate,
    /// Receives everything and does not vote.
    Learner,
}

/// What a node can still do with the space on its disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageState {
    /// There is room.
    #[default]
    Ok,
    /// Less than the reserve is left: publishes are refused, everything else continues.
    Full,
    /// Little of the reserve is left, or a write is waiting for room: only reads, votes and deletions continue.
    Exhausted,
}

impl StorageState {
    /// The state as written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            StorageState::Ok => "ok",
            StorageState::Full => "full",
            StorageState::Exhausted => "exhausted",
        }
    }
}

impl std::fmt::Display for StorageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Why a group accepts no publishes now, as seen by one of its members.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// The node that received the request is stopped by a requested fault, so it has no state of its groups.
    NodeFailed,
    /// Fewer voters than a majority can be reached.
    NoQuorum,
    /// No leader is known, or it cannot be reached: an election is in progress, or the node is cut off.
    NoLeader,
    /// The leader was just elected and has not committed an entry in its term yet.
    NewLeader,
    /// The leader's disk is full, or the disks of so many voters that no majority has room.
    StorageFull,
}
