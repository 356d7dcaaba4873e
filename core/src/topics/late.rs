//! Late copies: a command that its origin took in before something that was applied since.
//!
//! An origin numbers its requests in the order in which it takes them in. So when a topic has seen number 7 of an origin, every
//! request up to 7 was taken in before that moment; when the topic is then deleted and created again, such a request is not meant
//! for the new topic. It may be a copy of one that was answered long ago, and storing it would make that answer false. To refuse
//! it is right in any case: its origin asked before there was this topic.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::REMOVALS_REMEMBERED;
use super::repeats::MAX_PRODUCERS;
use crate::identity::NodeId;
use crate::names::TopicName;
use crate::wire::peer::RequestKey;

/// Of each origin the newest request that was met.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Newest(BTreeMap<NodeId, u64>);

impl Newest {
    pub(super) fn note(&mut self, key: RequestKey) {
        if let Some(number) = self.0.get_mut(&key.origin) {
            *number = key.number.max(*number);
            return;
        }
        self.0.insert(key.origin, key.number);
        if self.0.len() > MAX_PRODUCERS {
            self.forget_one();
        }
    }

    /// Whether the request was taken in before one that was met, or is that one.
    pub(super) fn covers(&self, key: RequestKey) -> bool {
        self.0.get(&key.origin).is_some_and(|number| key.number <= *number)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn merge(&mut self, other: &Newest) {
        for (&origin, &number) in &other.0 {
            self.note(RequestKey { origin, number });
        }
    }

    /// The origin with the smallest number: as a rule a node whose disk was lost long ago.
    fn forget_one(&mut self) {
        if let Some(origin) = self.0.iter().min_by_key(|(_, number)| **number).map(|(origin, _)| *origin) {
            self.0.remove(&origin);
        }
    }
}

/// The names for which there was no topic when somebody asked for one: the newest [`REMOVALS_REMEMBERED`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Absences {
    names: BTreeMap<TopicName, Absence>,
    /// All of `names`, the oldest first.
    order: VecDeque<TopicName>,
}

/// What was asked of one name before there is such a topic.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Absence {
    /// By those that found no topic, or one that was deleted since.
    before: Newest,
    /// Of these, by those that found one.
    deleted: Newest,
}

impl Absences {
    /// A request found no such topic.
    pub(super) fn note(&mut self, name: &TopicName, key: RequestKey) {
        self.of(name).before.note(key);
    }

    /// A topic is deleted that had met all these.
    pub(super) fn note_deletion(&mut self, name: &TopicName, met: &Newest) {
        let absence = self.of(name);
        absence.before.merge(met);
        absence.deleted.merge(met);
    }

    /// Whether the request was taken in before the newest deletion of such a topic.
    pub(super) fn is_before_deletion(&self, name: &TopicName, key: RequestKey) -> bool {
        self.names.get(name).is_some_and(|absence| absence.deleted.covers(key))
    }

    /// What came before the topic that is created now.
    pub(super) fn end(&mut self, name: &TopicName) -> Newest {
        let Some(absence) = self.names.remove(name) else { return Newest::default() };
        self.order.retain(|known| known != name);
        absence.before
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    fn of(&mut self, name: &TopicName) -> &mut Absence {
        if !self.names.contains_key(name) {
            self.order.push_back(name.clone());
            if self.order.len() > REMOVALS_REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.names.remove(&oldest);
            }
        }
        self.names.entry(name.clone()).or_default()
    }
}
