//! All that checkers look at: what clients saw, what the nodes hold in the end, and what was done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::history::History;
use crate::cube::{Dimension, Vertex};
use crate::names::TopicName;
use crate::time::Instant;
use crate::wire::answer::Message;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    pub dimension: Dimension,
    /// Topics that were there before the record began. Every other topic was created in it, or never was.
    pub prepared: BTreeSet<TopicName>,
    pub history: History,
    /// What each holder's own replica had of each topic after all had healed, from offset 0 on; `None`: it knew no such topic.
    /// A holder that did not answer is not there.
    pub holdings: BTreeMap<TopicName, BTreeMap<Vertex, Option<Vec<Message>>>>,
    /// Every time a node said that it leads a group.
    pub leaderships: Vec<Leadership>,
    /// Every change of members that a leader proposed. Real processes do not tell.
    pub member_changes: Vec<MemberChange>,
    /// Data folders that were lost or damaged.
    pub disk_losses: Vec<DiskLoss>,
    /// The most that was ever seen in each queue. Real processes do not tell.
    pub queues: Vec<QueuePeak>,
    /// Mishaps of full disks. Real processes that end are found by those who look after them.
    pub disk_mishaps: Vec<DiskMishap>,
    /// Damage to a disk that its checksums let pass.
    pub undetected_damage: Vec<String>,
    pub recovery: Recovery,
}

/// A node says that it leads a group in a term. Said by real processes in `role_changed`, as by simulated ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Leadership {
    /// The group, by its home.
    pub group: Vertex,
    pub term: u64,
    pub node: Vertex,
    pub at: Instant,
}

/// A leader proposes a change of its group's members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberChange {
    /// The group, by its home.
    pub group: Vertex,
    pub leader: Vertex,
    pub at: Instant,
    pub index: u64,
    /// Where the change before it stands in the log.
    pub last: u64,
    /// For how long the leader had waited for others to know that one.
    pub waited: Duration,
    /// The voters that the leader saw then and that did not know that one.
    pub unaware: Vec<Vertex>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiskLoss {
    pub node: Vertex,
    pub at: Instant,
}

/// Something that a full disk must not lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiskMishap {
    pub node: Vertex,
    pub at: Instant,
    pub what: Mishap,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// The process ended.
    Ended,
    /// A write found no room on a disk that only the node itself had filled.
    Filled,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueuePeak {
    pub node: Vertex,
    pub name: String,
    pub length: u64,
    pub limit: u64,
}

/// What had to come back by itself once nothing was broken any more, and when it did; `None`: it did not within `limit`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recovery {
    pub healed: Instant,
    pub limit: Duration,
    /// A publish with `ack: all` went through on every topic.
    pub published: Option<Instant>,
    /// Every group is led by its home, and every member votes.
    pub homes_lead: Option<Instant>,
    /// The holders of every topic have the same.
    pub holders_equal: Option<Instant>,
    /// Nothing waits in an outbox.
    pub outboxes_empty: Option<Instant>,
    /// What it was like when time was up.
    pub remains: Vec<String>,
}
