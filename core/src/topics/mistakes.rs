//! Those deliberate bugs ([`crate::bugs`]) that need more than a line of code.

use super::Topics;
use super::dedup::Dedup;
use crate::bugs::Bugs;
use crate::names::TopicId;

impl Topics {
    /// Enables a deliberate bug.
    pub fn with(self, bugs: Bugs) -> Topics {
        Topics { bugs, ..self }
    }

    /// A copy without the tables that detect repeats.
    pub fn without_dedup(&self) -> Topics {
        let mut copy = self.clone();
        copy.topics.values_mut().for_each(|topic| topic.dedup = Dedup::default());
        copy
    }

    /// Adds the topics of `old` that no longer exist here.
    pub fn with_topics_of(mut self, old: &Topics) -> Topics {
        for (name, topic) in &old.topics {
            self.topics.entry(name.clone()).or_insert_with(|| topic.clone());
        }
        self.index();
        self
    }

    /// The smallest number that no topic has now.
    pub(super) fn a_free_number(&self) -> u64 {
        (0..).find(|id| !self.names.contains_key(&TopicId(*id))).expect("topics are fewer than numbers")
    }
}
