//! What a lesson expects to be seen, checked against what the page shows.

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::placement;

use crate::model::State;
use crate::model::cluster::Health;
use crate::model::describe::plural;
use crate::model::feed::{Subject, Tone};
use crate::model::task::Panel;

/// Vertices are written as their bits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expectation {
    /// The topic is there, with its home on this node.
    TopicAt {
        topic: &'static str,
        home: &'static str,
    },
    /// A topic's messages, as the page counts them.
    Messages {
        topic: &'static str,
        count: u64,
    },
    /// This many nodes have told that they stored the message.
    StoredOn {
        topic: &'static str,
        offset: u64,
        holders: usize,
    },
    Is {
        node: &'static str,
        health: Health,
    },
    Leads {
        node: &'static str,
        group: &'static str,
    },
    /// Somebody leads, and not this node.
    LedByAnother {
        node: &'static str,
        group: &'static str,
    },
    /// The node has another identity than it began with.
    IsSomebodyNew {
        node: &'static str,
    },
    /// Every member of the group has applied the same, and as much as any.
    AllAlike {
        group: &'static str,
    },
    /// The last thing said of a publish or a pull.
    Said {
        panel: Panel,
        tone: Tone,
        words: &'static str,
    },
    /// What the last pull brought.
    Pulled {
        count: usize,
    },
}

impl Expectation {
    /// For the person who looks for it.
    pub fn words(&self) -> String {
        match self {
            Expectation::TopicAt { topic, home } => format!("{topic} is at home on {home}"),
            Expectation::Messages { topic, count } => format!("{topic} has {}", plural(*count, "message")),
            Expectation::StoredOn { topic, offset, holders } => {
                format!("{topic} #{offset} is stored on {holders} nodes")
            }
            Expectation::Is { node, health } => format!("{node} is {}", health.name()),
            Expectation::Leads { node, group } => format!("{node} leads group {group}"),
            Expectation::LedByAnother { node, group } => format!("another node than {node} leads group {group}"),
            Expectation::IsSomebodyNew { node } => format!("{node} has a new incarnation"),
            Expectation::AllAlike { group } => format!("all members of group {group} have applied the same"),
            Expectation::Said { tone: Tone::Good, words, .. } => format!("it is answered: “{words}”"),
            Expectation::Said { words, .. } => format!("it is refused: “{words}”"),
            Expectation::Pulled { count } => format!("{} came", plural(*count as u64, "message")),
        }
    }

    pub fn holds(&self, state: &State) -> bool {
        let cluster = &state.cluster;
        match *self {
            Expectation::TopicAt { topic, home } => info(state, topic).is_some_and(|info| info.home == vertex(home)),
            Expectation::Messages { topic, count } => info(state, topic).is_some_and(|info| info.messages == count),
            Expectation::StoredOn { topic, offset, holders } => {
                state.feed.entries.iter().any(|entry| match &entry.subject {
                    Subject::Stored { topic: of, first, last, holders: on } => {
                        of.as_str() == topic && (first.0..=last.0).contains(&offset) && on.len() == holders
                    }
                    _ => false,
                })
            }
            Expectation::Is { node, health } => cluster.health(vertex(node)) == health,
            Expectation::Leads { node, group } => cluster.acting_leader(vertex(group)) == Some(vertex(node)),
            Expectation::LedByAnother { node, group } => {
                cluster.acting_leader(vertex(group)).is_some_and(|leader| leader != vertex(node))
            }
            Expectation::IsSomebodyNew { node } => {
                cluster.nodes.get(&vertex(node)).is_some_and(|node| node.incarnation > 1)
            }
            Expectation::AllAlike { group } => {
                let mut applied = placement::members(vertex(group)).map(|member| applied(state, member, vertex(group)));
                let first = applied.next().flatten();
                first.is_some() && applied.all(|other| other == first)
            }
            Expectation::Said { panel, tone, words } => state.tasks.reports.get(&panel).is_some_and(|report| {
                let last = report.lines.last();
                !report.running && last.is_some_and(|line| line.tone == tone && line.text.contains(words))
            }),
            Expectation::Pulled { count } => {
                let report = state.tasks.reports.get(&Panel::Pull).filter(|report| report.succeeded());
                report.is_some_and(|report| report.messages.len() == count)
            }
        }
    }
}

fn info<'a>(state: &'a State, topic: &str) -> Option<&'a crate::model::topics::TopicInfo> {
    state.topics.topics.get(&TopicName::new(topic).ok()?)
}

/// How much of a group's log this member has applied, as it said last.
fn applied(state: &State, member: Vertex, group: Vertex) -> Option<u64> {
    let status = state.cluster.nodes.get(&member)?.status.as_ref()?;
    status.groups.iter().find(|of| of.home == group).map(|of| of.applied_index)
}

fn vertex(text: &str) -> Vertex {
    text.parse().expect("lessons name vertices")
}
