//! The entries of the event feed as text.

use cubecast_core::client::FellOver;
use cubecast_core::states::StorageState;

use crate::format::{duration, nodes};
use crate::model::cluster::Health;
use crate::model::feed::{Fact, Stored};
use crate::model::tone::Tone;
use crate::terms;

/// A fact as a sentence without a full stop.
pub fn words(fact: &Fact) -> String {
    match fact {
        Fact::ConnectionLost(node) => format!("This page lost its connection to {node}"),
        Fact::ConnectionRestored(node) => format!("This page is connected to {node} again"),
        Fact::FrameMalformed { error } => format!("A node sent an invalid frame: {error}"),
        Fact::FellOver(FellOver { from, to, why }) => format!("Requests for {from} now go to {to}: {why}"),
        Fact::BackHome { home } => format!("{home} answers requests itself again"),
        Fact::DeliveriesEnded { subscriber, topic, why } => {
            format!("{subscriber} receives no more messages of {topic}: {why}")
        }
        Fact::ScenarioFault { what } => what.clone(),
        Fact::Stopped { node, mode, duration_ms } => {
            format!("{node} {} for {} (requested fault)", terms::stop_verb(*mode), duration(*duration_ms))
        }
        Fact::Returned { node, is_new: false } => format!("{node} is back and catching up"),
        Fact::Returned { node, is_new: true } => {
            format!("{node} is back with an empty disk, as a new incarnation, and catching up")
        }
        Fact::HealthChanged { node, health } => format!("{node} is {}", health.name()),
        Fact::Silent { node, by } => format!("{by} no longer receives frames from {node}: it is down or cut off"),
        Fact::StorageChanged { node, state: StorageState::Ok } => format!("The disk of {node} has free space again"),
        Fact::StorageChanged { node, state: StorageState::Full } => {
            format!("The disk of {node} is full: the node refuses publishes. Delete topics or free disk space")
        }
        Fact::StorageChanged { node, state: StorageState::Exhausted } => {
            format!("The disk of {node} has almost no free space: the node only serves reads, votes and deletions")
        }
        Fact::OutboxStored { node, topic } => {
            format!("{node} stored a message to {topic} in its outbox until there is a leader")
        }
        Fact::OutboxDrained { node, topic } => format!("A message to {topic} moved from {node}'s outbox to the log"),
        Fact::Warning { node, text } => format!("{node}: {text}"),
        Fact::LinkSilent { from, to } => format!("{from} → {to} carries no frames"),
        Fact::LinkRestored { from, to } => format!("{from} → {to} carries frames again"),
        Fact::LinkConditions { from, to, conditions } => {
            format!("{from} → {to} {} (requested fault)", terms::conditions(conditions))
        }
        Fact::LeaderElected { group, leader, term } => format!("{leader} leads group {group} (term {term})"),
        Fact::MembersChanged { group, learners } => match &learners[..] {
            [] => format!("All members of group {group} vote"),
            learners => format!("Group {group} continues without the votes of {}", nodes(learners)),
        },
        Fact::CaughtUp { node, group, applied } => format!("{node} has caught up with group {group} (entry {applied})"),
        Fact::SnapshotReceived { node, group } => format!("{node} received a snapshot of group {group}"),
        Fact::TopicCreated { topic, home } => format!("Topic {topic} was created; its home is {home}"),
        Fact::TopicDeleted { topic } => format!("Topic {topic} is deleted"),
        Fact::Stored(Stored { topic, first, last, replicas }) => {
            let offsets = if first == last { format!("#{first}") } else { format!("#{first} to #{last}") };
            format!("{topic} {offsets} stored on {}", nodes(replicas))
        }
    }
}

/// Whether the fact is good or bad news.
pub fn tone(fact: &Fact) -> Tone {
    match fact {
        Fact::ConnectionRestored(_) | Fact::BackHome { .. } | Fact::Returned { .. } => Tone::Good,
        Fact::LinkRestored { .. } | Fact::OutboxDrained { .. } | Fact::TopicCreated { .. } => Tone::Good,
        Fact::ConnectionLost(_) | Fact::Stopped { .. } | Fact::Silent { .. } | Fact::LinkSilent { .. } => Tone::Bad,
        Fact::FrameMalformed { .. } | Fact::FellOver(_) | Fact::DeliveriesEnded { .. } => Tone::Warning,
        Fact::ScenarioFault { .. } | Fact::OutboxStored { .. } | Fact::Warning { .. } => Tone::Warning,
        Fact::HealthChanged { health, .. } => match health {
            Health::Up => Tone::Good,
            Health::Recovering | Health::Unknown => Tone::Warning,
            Health::Failed => Tone::Bad,
        },
        Fact::StorageChanged { state: StorageState::Ok, .. } => Tone::Good,
        Fact::StorageChanged { state: StorageState::Full | StorageState::Exhausted, .. } => Tone::Bad,
        Fact::LinkConditions { conditions, .. } if conditions.cut => Tone::Bad,
        Fact::LinkConditions { .. } | Fact::LeaderElected { .. } | Fact::MembersChanged { .. } => Tone::Plain,
        Fact::CaughtUp { .. } | Fact::SnapshotReceived { .. } => Tone::Plain,
        Fact::TopicDeleted { .. } | Fact::Stored(_) => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::faults::{LinkConditions, StopMode};
    use cubecast_core::names::{Offset, TopicName};

    use super::*;
    use crate::testing::named as v;

    #[test]
    fn a_node_that_lost_its_disk_returns_as_another() {
        let back = |is_new| words(&Fact::Returned { node: v("100"), is_new });
        assert_eq!(back(false), "100 is back and catching up");
        assert!(back(true).contains("as a new incarnation"), "{}", back(true));
    }

    #[test]
    fn a_burst_names_its_offsets_and_its_replicas() {
        let stored = |last| {
            let topic = TopicName::new("news").unwrap();
            let replicas = vec![v("100"), v("101")];
            words(&Fact::Stored(Stored { topic, first: Offset(3), last: Offset(last), replicas }))
        };
        assert_eq!(stored(3), "news #3 stored on 100, 101");
        assert_eq!(stored(40), "news #3 to #40 stored on 100, 101");
    }

    #[test]
    fn requested_faults_say_so() {
        let stopped = Fact::Stopped { node: v("100"), mode: StopMode::Crash, duration_ms: 10_000 };
        assert_eq!((tone(&stopped), words(&stopped).as_str()), (Tone::Bad, "100 crashes for 10 s (requested fault)"));
        let conditions = LinkConditions { cut: true, ..LinkConditions::PERFECT };
        let cut = Fact::LinkConditions { from: v("000"), to: v("001"), conditions };
        assert_eq!((tone(&cut), words(&cut).as_str()), (Tone::Bad, "000 → 001 is cut (requested fault)"));
    }
}
