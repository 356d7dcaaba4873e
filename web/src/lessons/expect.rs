//! The checks of lessons, evaluated on the page's state.

use std::fmt::Debug;
use std::str::FromStr;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, TopicName};

use cubecast_core::wire::answer::Done;

use crate::format::plural;
use crate::model::State;
use crate::model::cluster::Health;
use crate::model::feed::Fact;
use crate::model::report::Report;
use crate::model::task::Panel;
use crate::model::tone::Tone;

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
    /// The last publish was stored at this offset.
    StoredAs {
        topic: &'static str,
        offset: u64,
    },
    /// The last publish is in the outbox of a node.
    KeptSafe,
    PublishRefused,
    /// The last pull was answered by a replica of this home, with this number of messages.
    ReplicaReturned {
        topic: &'static str,
        home: &'static str,
        count: usize,
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
            Expectation::StoredAs { topic, offset } => format!("the answer is “Stored as {topic} #{offset}”"),
            Expectation::KeptSafe => "the answer is “Kept safe on”".to_owned(),
            Expectation::PublishRefused => "the request is refused".to_owned(),
            Expectation::ReplicaReturned { topic, home, count } => {
                format!("the answer is “{} of {topic} (home {home})”", plural(*count as u64, "message"))
            }
            Expectation::Pulled { count } => format!("the pull returned {}", plural(*count as u64, "message")),
        }
    }

    /// Whether the check holds in this state.
    pub fn holds(&self, state: &State) -> bool {
        let cluster = &state.cluster;
        match *self {
            Expectation::TopicAt { topic, home } => info(state, topic).is_some_and(|info| info.home == named(home)),
            Expectation::Messages { topic, count } => info(state, topic).is_some_and(|info| info.messages == count),
            Expectation::StoredOn { topic, offset, replicas } => {
                state.feed.entries.iter().any(|entry| match &entry.fact {
                    Fact::Stored(stored) => {
                        let is_it = stored.topic.as_str() == topic && stored.contains(Offset(offset));
                        is_it && stored.replicas.len() == replicas
                    }
                    _ => false,
                })
            }
            Expectation::Is { node, health } => cluster.health(named(node)) == health,
            Expectation::Leads { node, group } => cluster.acting_leader(named(group)) == Some(named(node)),
            Expectation::LedByAnother { node, group } => {
                cluster.acting_leader(named(group)).is_some_and(|leader| leader != named(node))
            }
            Expectation::IsSomebodyNew { node } => {
                cluster.nodes.get(&named(node)).is_some_and(|node| node.incarnation > 1)
            }
            Expectation::AllAlike { group } => {
                let members = cluster.members(named(group)).into_iter();
                let mut applied = members.map(|member| applied(state, member, named(group)));
                let first = applied.next().flatten();
                first.is_some() && applied.all(|other| other == first)
            }
            Expectation::StoredAs { topic, offset } => matches!(
                done(state, Panel::Publish),
                Some(Done::Published { topic: of, offset: Some(at), repeated: false, .. })
                    if of.as_str() == topic && at.0 == offset
            ),
            Expectation::KeptSafe => {
                matches!(done(state, Panel::Publish), Some(Done::Published { offset: None, .. }))
            }
            Expectation::PublishRefused => {
                let report = state.reports.get(Panel::Publish).filter(|report| !report.running);
                report.and_then(|report| report.lines.last()).is_some_and(|line| line.tone == Tone::Bad)
            }
            Expectation::ReplicaReturned { topic, home, count } => matches!(
                done(state, Panel::Browse),
                Some(Done::Pulled { topic: of, messages, original_node: Some(node), .. })
                    if of.as_str() == topic && *node == named(home) && messages.len() == count
            ),
            Expectation::Pulled { count } => {
                let report = state.reports.get(Panel::Browse).filter(|report| report.succeeded());
                report.and_then(Report::pulled).is_some_and(|messages| messages.len() == count)
            }
        }
    }
}

/// The last result of the panel's task, if the task succeeded.
fn done(state: &State, panel: Panel) -> Option<&Done> {
    let report = state.reports.get(panel).filter(|report| report.succeeded())?;
    report.last_answer()?.result.as_ref().ok()
}

fn info<'a>(state: &'a State, topic: &str) -> Option<&'a crate::model::topics::TopicInfo> {
    state.topics.topics.get(&TopicName::new(topic).ok()?)
}

/// The highest log index of this group that the member has applied, by its last status.
fn applied(state: &State, member: HostId, group: Vertex) -> Option<u64> {
    let status = state.cluster.nodes.get(&member)?.status.as_ref()?;
    status.groups.iter().find(|of| of.home == group).map(|of| of.applied_index)
}

/// A node or a vertex: both are named by bits.
fn named<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("lessons name nodes and vertices")
}
