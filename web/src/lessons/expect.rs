//! The checks of lessons, evaluated on the page's state.

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::placement;

use crate::model::State;
use crate::model::cluster::Health;
use crate::model::describe::plural;
use crate::model::feed::{Subject, Tone};
use crate::model::task::Panel;

/// One check. Vertices are written as bit strings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expectation {
    /// The topic exists, and this node is its home.
    TopicAt {
        topic: &'static str,
        home: &'static str,
    },
    /// The topic's number of messages, as counted by the page.
    Messages {
        topic: &'static str,
        count: u64,
    },
    /// Exactly this many nodes have reported that they stored the message.
    StoredOn {
        topic: &'static str,
        offset: u64,
        replicas: usize,
    },
    Is {
        node: &'static str,
        health: Health,
    },
    /// The node leads this group.
    Leads {
        node: &'static str,
        group: &'static str,
    },
    /// The group has a leader, which is another node.
    LedByAnother {
        node: &'static str,
        group: &'static str,
    },
    /// The node came back with a new identity: its incarnation is above 1.
    IsSomebodyNew {
        node: &'static str,
    },
    /// All members of the group report the same applied log index.
    AllAlike {
        group: &'static str,
    },
    /// The last report of a publish or a pull panel.
    Said {
        panel: Panel,
        tone: Tone,
        words: &'static str,
    },
    /// The number of messages that the last pull returned.
    Pulled {
        count: usize,
    },
}

impl Expectation {
    /// The check as a text for the user.
    pub fn words(&self) -> String {
        match self {
            Expectation::TopicAt { topic, home } => format!("the home of {topic} is {home}"),
            Expectation::Messages { topic, count } => format!("{topic} has {}", plural(*count, "message")),
            Expectation::StoredOn { topic, offset, replicas } => {
                format!("{topic} #{offset} is stored on {replicas} nodes")
            }
            Expectation::Is { node, health } => format!("{node} is {}", health.name()),
            Expectation::Leads { node, group } => format!("{node} leads group {group}"),
            Expectation::LedByAnother { node, group } => format!("a node other than {node} leads group {group}"),
            Expectation::IsSomebodyNew { node } => format!("{node} has a new incarnation"),
            Expectation::AllAlike { group } => format!("all members of group {group} have applied the same entries"),
            Expectation::Said { tone: Tone::Good, words, .. } => format!("the answer is “{words}”"),
            Expectation::Said { words: "", .. } => "the request is refused".to_owned(),
            Expectation::Said { words, .. } => format!("the request is refused: “{words}”"),
            Expectation::Pulled { count } => format!("the pull returned {}", plural(*count as u64, "message")),
        }
    }

    /// Whether the check holds in this state.
    pub fn holds(&self, state: &State) -> bool {
        let cluster = &state.cluster;
        match *self {
            Expectation::TopicAt { topic, home } => info(state, topic).is_some_and(|info| info.home == vertex(home)),
            Expectation::Messages { topic, count } => info(state, topic).is_some_and(|info| info.messages == count),
            Expectation::StoredOn { topic, offset, replicas } => {
                state.feed.entries.iter().any(|entry| match &entry.subject {
                    Subject::Stored { topic: of, first, last, replicas: on } => {
                        of.as_str() == topic && (first.0..=last.0).contains(&offset) && on.len() == replicas
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

/// The highest log index of this group that the member has applied, by its last status.
fn applied(state: &State, member: Vertex, group: Vertex) -> Option<u64> {
    let status = state.cluster.nodes.get(&member)?.status.as_ref()?;
    status.groups.iter().find(|of| of.home == group).map(|of| of.applied_index)
}

fn vertex(text: &str) -> Vertex {
    text.parse().expect("lessons name vertices")
}
