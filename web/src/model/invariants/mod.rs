//! The invariants that this page can check with the data it receives, while faults are injected.
//!
//! Each rule has its own file. It receives all evidence, counts the facts that it checked, and reports a violation. The
//! page makes no claims about data that it cannot see (the content of every replica, acknowledgements to
//! other clients); the checkers of `cubecast_sim::check` cover these. Their texts and pure functions are reused here.
//! Each rule states its memory limits; forgotten facts never cause a violation.

mod acknowledged;
mod agreement;
mod leaders;
mod offsets;

use std::collections::{BTreeMap, VecDeque};

use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::wire::answer::{Answer, Delivery};
use cubecast_core::wire::event::{Event, WatchEvent};

use super::cluster::Cluster;

/// Milliseconds. For this long after a deletion, a late message may belong to the deleted topic or to a new one with
/// its name.
const SETTLE_MS: u64 = 5_000;

/// Recently deleted topics.
#[derive(Clone, Debug, Default)]
struct Deleted {
    at_ms: BTreeMap<TopicName, u64>,
    /// Oldest first.
    order: VecDeque<(u64, TopicName)>,
}

impl Deleted {
    fn note(&mut self, now_ms: u64, topic: &TopicName) {
        while let Some((at_ms, settled)) = self.order.front().filter(|(at_ms, _)| *at_ms + SETTLE_MS <= now_ms) {
            if self.at_ms.get(settled) == Some(at_ms) {
                self.at_ms.remove(settled);
            }
            self.order.pop_front();
        }
        if self.at_ms.insert(topic.clone(), now_ms) != Some(now_ms) {
            self.order.push_back((now_ms, topic.clone()));
        }
    }

    fn is_settling(&self, now_ms: u64, topic: &TopicName) -> bool {
        self.at_ms.get(topic).is_some_and(|at_ms| now_ms < at_ms + SETTLE_MS)
    }
}

/// Something that this page received and that the rules can check.
#[derive(Clone, Copy, Debug)]
pub enum Evidence<'a> {
    Event(&'a WatchEvent),
    Answer(&'a Answer),
    Delivery(&'a Delivery),
    /// A push subscription of this page ended.
    DeliveriesEnded {
        subscriber: &'a SubscriberId,
        topic: &'a TopicName,
    },
}

/// The number of facts that the evidence confirmed, or a text for the user that describes the violation.
type Checked = Result<u64, String>;

/// The state of all rules.
#[derive(Clone, Debug, Default)]
pub struct Invariants {
    leaders: leaders::Leaders,
    agreement: agreement::Agreement,
    acknowledged: acknowledged::Acknowledged,
    offsets: offsets::Offsets,
    checked: [u64; RULES.len()],
    /// The first violation, until the user dismisses it.
    pub violation: Option<Violation>,
    /// Number of violations found, dismissed or not.
    pub found: u64,
}

/// The violation of an invariant.
#[derive(Clone, PartialEq, Debug)]
pub struct Violation {
    pub rule: Rule,
    /// A text for the user.
    pub what: String,
    /// Milliseconds since 1970, by this page's clock.
    pub at_ms: u64,
    /// The last events before it as JSON, as the nodes sent them; oldest first.
    pub events: Vec<String>,
}

/// The invariants that are checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// A group has at most one leader in a term.
    Leaders,
    /// All sources show the same message at an offset.
    Agreement,
    /// An acknowledged message is on enough replicas, and stays there.
    Acknowledged,
    /// Offsets have no gaps, and each is assigned once.
    Offsets,
}

/// In display order.
pub const RULES: [Rule; 4] = [Rule::Leaders, Rule::Agreement, Rule::Acknowledged, Rule::Offsets];

impl Rule {
    /// The name used in tests, attributes and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Leaders => "leaders",
            Rule::Agreement => "prefixes",
            Rule::Acknowledged => "acknowledged",
            Rule::Offsets => "offsets",
        }
    }

    /// The invariant as a sentence for the user.
    pub fn statement(self) -> &'static str {
        match self {
            Rule::Leaders => "A group has at most one leader in a term.",
            Rule::Agreement => "All sources show the same message at an offset.",
            Rule::Acknowledged => "An acknowledged message is on enough replicas, and stays there.",
            Rule::Offsets => "Offsets have no gaps, and each is assigned once.",
        }
    }

    /// The kind of facts that the rule counts.
    pub fn facts(self) -> &'static str {
        match self {
            Rule::Leaders => "reports about leaders",
            Rule::Agreement => "messages compared, pulled or pushed here",
            Rule::Acknowledged => "acknowledgements and checks of the replicas",
            Rule::Offsets => "offsets acknowledged, pulled or pushed here",
        }
    }

    /// How the rule gets its first fact; shown while it has none.
    pub fn wants(self) -> &'static str {
        match self {
            Rule::Leaders => "waiting for a node's report",
            Rule::Agreement => "read the replicas below, subscribe or pull to compare messages",
            Rule::Acknowledged => "publish to check the replicas of a message",
            Rule::Offsets => "publish, subscribe or pull to check offsets",
        }
    }
}

impl Invariants {
    /// Checks the evidence against all rules; returns the first violation.
    pub fn check(&mut self, now_ms: u64, evidence: Evidence<'_>, cluster: &Cluster) -> Option<(Rule, String)> {
        let results = [
            self.leaders.check(evidence),
            self.agreement.check(now_ms, evidence),
            self.acknowledged.check(now_ms, evidence, cluster),
            self.offsets.check(now_ms, evidence),
        ];
        let mut violated = None;
        for ((rule, checked), result) in RULES.iter().zip(&mut self.checked).zip(results) {
            match result {
                Ok(facts) => *checked += facts,
                Err(what) => violated = violated.or(Some((*rule, what))),
            }
        }
        self.found += u64::from(violated.is_some());
        violated
    }

    /// Whether the event matters to any rule. Most events under load do not.
    pub fn concerns(event: &Event) -> bool {
        matches!(
            event,
            Event::RoleChanged { .. }
                | Event::MembersChanged { .. }
                | Event::TopicCreated { .. }
                | Event::TopicDeleted { .. }
        )
    }

    /// Number of facts that this rule has checked.
    pub fn checked(&self, rule: Rule) -> u64 {
        self.checked[rule as usize]
    }

    /// Whether no violation is waiting to be dismissed.
    pub fn is_good(&self) -> bool {
        self.violation.is_none()
    }
}

#[cfg(test)]
pub(super) mod story {
    //! Short constructors of the actions that a page receives.

    use cubecast_core::cube::Dimension;
    use cubecast_core::names::{Offset, PublisherId, SubscriberId, TopicId, TopicName};
    use cubecast_core::states::Role;
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::answer::{self, Answer, Delivery, Done, Location, Message};
    use cubecast_core::wire::event::{Event, WatchEvent};

    use super::Evidence;
    use crate::model::Action;
    use crate::model::cluster::Cluster;
    pub use crate::testing::named;

    /// What a rule can check of an action.
    pub fn evidence(action: &Action) -> Evidence<'_> {
        match action {
            Action::Event(event) => Evidence::Event(event),
            Action::Answered { answer, .. } => Evidence::Answer(answer),
            Action::Delivered(delivery) => Evidence::Delivery(delivery),
            other => panic!("{other:?} is no evidence"),
        }
    }

    /// The topic of all stories; its home is 100.
    pub fn topic() -> TopicName {
        TopicName::new("news").unwrap()
    }

    /// A cluster of eight nodes.
    pub fn cube() -> Cluster {
        Cluster::of(Dimension::new(3).unwrap())
    }

    /// A node reports this event at time 0, without a trace.
    pub fn told(node: &str, event: Event) -> Action {
        Action::Event(WatchEvent { node: named(node), time: Timestamp(0), at_us: 0, trace: None, event })
    }

    /// A node reports that it leads the group in this term.
    pub fn leads(node: &str, group: &str, term: u64) -> Action {
        let leader = Some(named(node));
        told(node, Event::RoleChanged { group: named(group), role: Role::Leader, term, leader })
    }

    /// A node reports that the topic was deleted.
    pub fn deleted(node: &str) -> Action {
        told(node, Event::TopicDeleted { topic: topic(), group: named("100") })
    }

    /// A node, asked directly, answers with success.
    pub fn answered(by: &str, done: Done) -> Action {
        let answer = Answer { id: None, served_by: named(by), hops: None, result: Ok(done) };
        Action::Answered { asked: named(by), answer }
    }

    /// Node 100 answers that a message is stored at this offset on these replicas, for the first time.
    pub fn published(offset: u64, replicas: &[&str]) -> Action {
        let replicas = replicas.iter().map(|name| named(name)).collect();
        let done = Done::Published { topic: topic(), offset: Some(Offset(offset)), replicas, repeated: false };
        answered("100", done)
    }

    /// A message of the publisher `writer`, whose time equals its offset.
    pub fn message(offset: u64, content: &str) -> Message {
        let publisher = PublisherId::new("writer").unwrap();
        Message { offset: Offset(offset), publisher, content: content.into(), time: Timestamp(offset) }
    }

    /// A node answers a pull with these messages, which are the last of the topic.
    pub fn pulled(by: &str, messages: Vec<Message>) -> Action {
        let cursor = messages.last().map_or(Offset(0), |last| last.offset.next());
        let done = Done::Pulled { topic: topic(), messages, cursor, end: cursor, behind: None, original_node: None };
        answered(by, done)
    }

    /// A message is pushed to the subscriber `reader`.
    pub fn delivered(offset: u64, content: &str) -> Action {
        let subscriber = SubscriberId::new("reader").unwrap();
        Action::Delivered(Delivery { topic: topic(), subscriber, message: message(offset, content) })
    }

    /// Node 100 answers that the subscription begins at offset 0 of the topic with number 1.
    pub fn subscribed() -> Action {
        let done = Done::Subscribed { topic: topic(), topic_id: TopicId(1), cursor: Offset(0), original_node: None };
        answered("100", done)
    }

    /// `None` for a replica that did not answer.
    pub fn located(lasts: [Option<u64>; 4]) -> Action {
        let nodes = ["100", "101", "110", "000"].into_iter().zip(lasts);
        let replicas = nodes.map(|(node, last)| answer::Replica {
            node: named(node),
            alive: last.is_some(),
            last_offset: last.map(Offset),
            lag: None,
            voter: true,
        });
        answered(
            "100",
            Done::Located(Location {
                topic: topic(),
                exists: true,
                home: named("100"),
                neighbours: Vec::new(),
                leader: None,
                members: replicas.collect(),
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::story::{cube, evidence, leads, message, published, pulled};
    use super::*;

    #[test]
    fn each_rule_counts_what_it_checked_and_a_healthy_history_breaks_none() {
        let mut invariants = Invariants::default();
        let history = [
            leads("100", "100", 1),
            published(0, &["100", "101", "110"]),
            pulled("100", vec![message(0, "a")]),
            pulled("101", vec![message(0, "a")]),
        ];
        for action in &history {
            assert_eq!(invariants.check(1_000, evidence(action), &cube()), None);
        }
        assert_eq!(RULES.map(|rule| invariants.checked(rule)), [1, 2, 1, 3]);
        assert!(invariants.is_good());
    }

    #[test]
    fn a_violation_names_its_rule_and_is_counted() {
        let mut invariants = Invariants::default();
        assert_eq!(invariants.check(1_000, evidence(&leads("100", "100", 4)), &cube()), None);
        let (rule, what) = invariants.check(2_000, evidence(&leads("101", "100", 4)), &cube()).unwrap();
        assert_eq!((rule, invariants.found), (Rule::Leaders, 1));
        assert!(what.contains("term 4"), "{what}");
    }
}
