//! The event feed: the latest events, as data.

use std::collections::VecDeque;

use cubecast_core::client::FellOver;
use cubecast_core::cube::Vertex;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::states::StorageState;

use super::cluster::Health;

/// The feed keeps at most this many entries.
pub const MAX_ENTRIES: usize = 200;
/// How many entries back the feed looks for an entry about the same message.
const MERGE_DEPTH: usize = 40;
/// Stored messages of a topic within this time share one entry.
const RUSH_MS: u64 = 1_000;

/// The entries of the feed, at most [`MAX_ENTRIES`].
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Newest first.
    pub entries: VecDeque<Entry>,
    next_number: u64,
}

/// One entry of the feed.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Unique; never reused.
    pub number: u64,
    /// Milliseconds since 1970, by this page's clock.
    pub at_ms: u64,
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    // This page.
    /// This page's connection to the node was lost.
    ConnectionLost(HostId),
    /// This page is connected to the node again.
    ConnectionRestored(HostId),
    /// A node sent a frame that this page cannot decode.
    FrameMalformed {
        error: String,
    },
    /// Requests for a home go to another node.
    FellOver(FellOver),
    /// The home answers requests itself again.
    BackHome {
        home: HostId,
    },
    /// A push subscription of this page ended.
    DeliveriesEnded {
        subscriber: SubscriberId,
        topic: TopicName,
        why: String,
    },
    /// The scenario of a simulation injected or ended a fault.
    ScenarioFault {
        what: String,
    },

    // Nodes.
    /// The node was stopped by a requested fault.
    Stopped {
        node: HostId,
        mode: StopMode,
        duration_ms: u64,
    },
    /// The node runs again. `is_new`: with an empty disk, as a new incarnation.
    Returned {
        node: HostId,
        is_new: bool,
    },
    /// The node's health changed, as reported by itself or by another node.
    HealthChanged {
        node: HostId,
        health: Health,
    },
    /// Node `by` no longer receives the node's frames: the node is down or cut off.
    Silent {
        node: HostId,
        by: HostId,
    },
    /// The free space of the node's disk changed.
    StorageChanged {
        node: HostId,
        state: StorageState,
    },
    /// The node stored a message in its outbox, because the topic has no leader.
    OutboxStored {
        node: HostId,
        topic: TopicName,
    },
    /// A message moved from the node's outbox to the log.
    OutboxDrained {
        node: HostId,
        topic: TopicName,
    },
    /// A warning of the node in its own words.
    Warning {
        node: HostId,
        text: String,
    },

    // Links, in one direction.
    /// No frames arrive, although both nodes are up.
    LinkSilent {
        from: HostId,
        to: HostId,
    },
    /// Frames arrive again.
    LinkRestored {
        from: HostId,
        to: HostId,
    },
    /// The injected conditions changed.
    LinkConditions {
        from: HostId,
        to: HostId,
        conditions: LinkConditions,
    },

    // Groups, by home.
    /// The group has a new leader.
    LeaderElected {
        group: Vertex,
        leader: HostId,
        term: u64,
    },
    /// The group's voters changed. `learners`: its members that do not vote.
    MembersChanged {
        group: Vertex,
        learners: Vec<HostId>,
    },
    /// The node has applied all of the group's log, up to entry `applied`.
    CaughtUp {
        node: HostId,
        group: Vertex,
        applied: u64,
    },
    /// The node received a whole snapshot of the group.
    SnapshotReceived {
        node: HostId,
        group: Vertex,
    },

    // Topics.
    TopicCreated {
        topic: TopicName,
        home: Vertex,
    },
    TopicDeleted {
        topic: TopicName,
    },
    /// One message, or a burst of messages, was stored.
    Stored(Stored),
}

/// Stored messages: one, or the range of a burst.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    pub topic: TopicName,
    pub first: Offset,
    pub last: Offset,
    /// In the order in which they reported it.
    pub replicas: Vec<HostId>,
}

impl Feed {
    /// Adds an entry at the front and drops the oldest above [`MAX_ENTRIES`].
    pub fn add(&mut self, at_ms: u64, fact: Fact) {
        let number = self.next_number;
        self.next_number += 1;
        self.entries.push_front(Entry { number, at_ms, fact });
        self.entries.truncate(MAX_ENTRIES);
    }

    /// Records that a replica stored a message. A message has one entry that lists its replicas. In a burst, the
    /// messages of one second share an entry, so the burst does not push out everything else.
    pub fn add_stored(&mut self, at_ms: u64, topic: &TopicName, offset: Offset, replica: HostId) {
        let stored = self.entries.iter_mut().take(MERGE_DEPTH).filter_map(|entry| entry.fact.stored_of(topic));
        if let Some(known) = stored.into_iter().find(|stored| stored.contains(offset)) {
            return known.add(offset, replica);
        }
        let newest = self.entries.front_mut().filter(|entry| at_ms < entry.at_ms + RUSH_MS);
        if let Some(rush) = newest.and_then(|entry| entry.fact.stored_of(topic)) {
            return rush.add(offset, replica);
        }
        let stored = Stored { topic: topic.clone(), first: offset, last: offset, replicas: vec![replica] };
        self.add(at_ms, Fact::Stored(stored));
    }
}

/// Whether a fault began or ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultChange {
    Began,
    Ended,
}

impl Fact {
    /// For the beginning or the end of a fault: which it is.
    pub fn fault(&self) -> Option<FaultChange> {
        match self {
            Fact::Stopped { .. } | Fact::Silent { .. } | Fact::LinkSilent { .. } => Some(FaultChange::Began),
            Fact::Returned { .. } | Fact::LinkRestored { .. } => Some(FaultChange::Ended),
            Fact::HealthChanged { health: Health::Up, .. } => Some(FaultChange::Ended),
            Fact::LinkConditions { conditions, .. } if *conditions == LinkConditions::PERFECT => {
                Some(FaultChange::Ended)
            }
            Fact::LinkConditions { .. } => Some(FaultChange::Began),
            Fact::StorageChanged { state: StorageState::Ok, .. } => Some(FaultChange::Ended),
            Fact::StorageChanged { .. } => Some(FaultChange::Began),
            _ => None,
        }
    }

    fn stored_of(&mut self, topic: &TopicName) -> Option<&mut Stored> {
        match self {
            Fact::Stored(stored) if stored.topic == *topic => Some(stored),
            _ => None,
        }
    }
}

impl Stored {
    /// Whether the message with this offset is one of them.
    pub fn contains(&self, offset: Offset) -> bool {
        (self.first..=self.last).contains(&offset)
    }

    fn add(&mut self, offset: Offset, replica: HostId) {
        (self.first, self.last) = (offset.min(self.first), offset.max(self.last));
        if !self.replicas.contains(&replica) {
            self.replicas.push(replica);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_is_bounded_and_shows_the_newest_first() {
        let mut feed = Feed::default();
        let fact = |number: usize| Fact::ScenarioFault { what: number.to_string() };
        for number in 0..MAX_ENTRIES + 5 {
            feed.add(0, fact(number));
        }
        assert_eq!(feed.entries.len(), MAX_ENTRIES);
        assert_eq!(feed.entries[0].fact, fact(MAX_ENTRIES + 4));
    }

    #[test]
    fn replicas_that_store_the_same_message_share_an_entry() {
        let topic = TopicName::new("news").unwrap();
        let mut feed = Feed::default();
        feed.add_stored(1, &topic, Offset(3), "100".parse().unwrap());
        feed.add_stored(1 + RUSH_MS, &topic, Offset(4), "100".parse().unwrap());
        feed.add_stored(3, &topic, Offset(3), "101".parse().unwrap());
        feed.add_stored(4, &topic, Offset(3), "101".parse().unwrap());
        assert_eq!(feed.entries.len(), 2);
        assert_eq!(feed.entries[1].fact, stored(3, 3, &["100", "101"]));
    }

    #[test]
    fn a_rush_of_messages_is_one_entry_and_leaves_the_others_in_sight() {
        let topic = TopicName::new("news").unwrap();
        let mut feed = Feed::default();
        feed.add(0, Fact::ConnectionLost("100".parse().unwrap()));
        for offset in 0..5_000 {
            feed.add_stored(offset / 10, &topic, Offset(offset), "100".parse().unwrap());
        }
        assert_eq!(feed.entries.len(), 2);
        assert_eq!(feed.entries[0].fact, stored(0, 4_999, &["100"]));
        feed.add_stored(RUSH_MS, &topic, Offset(5_000), "100".parse().unwrap());
        assert_eq!(feed.entries.len(), 3, "the next second has an entry of its own");
    }

    fn stored(first: u64, last: u64, replicas: &[&str]) -> Fact {
        let replicas = replicas.iter().map(|name| name.parse().unwrap()).collect();
        let topic = TopicName::new("news").unwrap();
        Fact::Stored(Stored { topic, first: Offset(first), last: Offset(last), replicas })
    }
}
