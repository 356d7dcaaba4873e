//! Those of the deliberate bugs ([`crate::bugs`]) that take more than a line.

use super::repeats::Repeats;
use super::{TopicId, Topics};
use crate::bugs::Bugs;

impl Topics {
    /// With this deliberate bug from now on.
    pub fn with(self, bugs: Bugs) -> Topics {
        Topics { bugs, ..self }
    }

    /// All but the tables by which repeats are recognised.
    pub fn without_repeats(&self) -> Topics {
        let mut copy = self.clone();
        copy.topics.values_mut().for_each(|topic| topic.repeats = Repeats::default());
        copy
    }

    /// And the topics of `old` that are no longer here.
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
