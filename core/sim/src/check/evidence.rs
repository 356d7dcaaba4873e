//! The input of all checkers: the clients' history, the final state of the nodes, and the faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Message;
use serde::{Deserialize, Serialize};

use super::history::History;

/// The messages of each topic on each replica. `None`: the replica has no such topic.
pub type Holdings = BTreeMap<TopicName, BTreeMap<HostId, Option<Vec<Message>>>>;

/// The evidence of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// The cube's dimension.
    pub dimension: Dimension,
    /// Topics that existed before the record began. Every other topic was created during the record or never existed.
    pub prepared: BTreeSet<TopicName>,
    /// The record of the clients.
    pub history: History,
    /// The messages of each topic on each replica after healing, from offset 0. `None`: the replica had
    /// no such topic. A replica without an answer is missing.
    pub holdings: Holdings,
    /// Every time a node began to lead a group.
    pub leaderships: Vec<Leadership>,
    /// Every membership change that a leader proposed. Empty for real processes, which do not report it.
    pub member_changes: Vec<MemberChange>,
    /// Data folders that were lost or damaged.
    pub disk_losses: Vec<DiskLoss>,
    /// The longest observed length of each queue. Empty for real processes, which do not report it.
    pub queues: Vec<QueuePeak>,
    /// Problems caused by full disks. For real processes, their supervisor reports the processes that ended.
    pub disk_mishaps: Vec<DiskMishap>,
    /// Damage to a disk that its checksums did not detect.
    pub undetected_damage: Vec<String>,
    /// The recovery after the last fault.
    pub recovery: Recovery,
}

/// A node begins to lead a group in a term. Real processes report this in `role_changed`, as simulated ones do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Leadership {
    /// The group, by its home.
    pub group: Vertex,
    /// The raft term.
    pub term: u64,
    pub node: HostId,
    /// When it began to lead.
    pub at: Instant,
}

/// A leader's proposal of a membership change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberChange {
    /// The group, by its home.
    pub group: Vertex,
    pub leader: HostId,
    /// When it proposed the change.
    pub at: Instant,
    /// The index of the change in the log.
    pub index: u64,
    /// The log index of the previous change.
    pub last: u64,
    /// How long the leader had waited until others knew the previous change.
    pub waited: Duration,
    /// Voters that the leader saw at that time and that did not know the previous change.
    pub unaware: Vec<HostId>,
}

/// The loss of or damage to a node's disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiskLoss {
    pub node: HostId,
    pub at: Instant,
}

/// A problem that a full disk must not cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiskMishap {
    pub node: HostId,
    pub at: Instant,
    /// The problem.
    pub what: Mishap,
}

/// The kinds of [`DiskMishap`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// The process ended.
    Ended,
    /// A write found no room on a disk that only the node itself had filled.
    Filled,
}

/// The longest observed length of a queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueuePeak {
    pub node: HostId,
    /// The queue's name.
    pub name: String,
    /// The longest length.
    pub length: u64,
    /// The queue's limit.
    pub limit: u64,
}

/// When each part of the recovery was complete after the last fault; `None`: not within `limit`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recovery {
    /// When the last fault ended.
    pub healed: Instant,
    /// The time limit of the recovery.
    pub limit: Duration,
    /// Every topic took a publish with `ack: all`.
    pub published: Option<Instant>,
    /// Every group was led by its home, and every member voted.
    pub homes_lead: Option<Instant>,
    /// The replicas of every topic had equal logs.
    pub replicas_equal: Option<Instant>,
    /// All outboxes were empty.
    pub outboxes_empty: Option<Instant>,
    /// Descriptions of everything that had not recovered at the time limit.
    pub remains: Vec<String>,
}

impl Recovery {
    /// A recovery that has begun: no part is complete.
    pub fn begun(healed: Instant, limit: Duration) -> Recovery {
        Recovery {
            healed,
            limit,
            published: None,
            homes_lead: None,
            replicas_equal: None,
            outboxes_empty: None,
            remains: Vec::new(),
        }
    }
}

impl Evidence {
    /// The evidence of a run in which nothing happened until this recovery.
    pub fn new(dimension: Dimension, recovery: Recovery) -> Evidence {
        Evidence {
            dimension,
            prepared: BTreeSet::new(),
            history: History::default(),
            holdings: Holdings::new(),
            leaderships: Vec::new(),
            member_changes: Vec::new(),
            disk_losses: Vec::new(),
            queues: Vec::new(),
            disk_mishaps: Vec::new(),
            undetected_damage: Vec::new(),
            recovery,
        }
    }
}
