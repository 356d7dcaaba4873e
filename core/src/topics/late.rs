//! Late copies: a command that its origin took in before something that was applied since.
//!
//! An origin numbers its requests in the order in which it takes them in. So when a topic has met number 7 of an origin, every
//! request up to 7 was taken in before that moment; when the topic is then deleted and created again, such a request is not meant
//! for the new topic. It may be a copy of one that was answered long ago, and to store it would make that answer false. To refuse
//! it is right in any case: its origin asked before there was this topic. Subscriptions that end and begin again are the same, and
//! so are registered names.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::REMOVALS_REMEMBERED;
use super::repeats::MAX_PRODUCERS;
use crate::identity::NodeId;
use crate::wire::peer::RequestKey;

/// Of each origin the newest request that was met; by origin.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Newest(Vec<(NodeId, u64)>);

impl Newest {
    pub(super) fn note(&mut self, key: RequestKey) {
        match self.place(key.origin) {
            Ok(at) => self.0[at].1 = key.number.max(self.0[at].1),
            Err(at) => {
                self.0.insert(at, (key.origin, key.number));
                if self.0.len() > MAX_PRODUCERS {
                    self.forget_one();
                }
            }
        }
    }

    /// Whether the request was taken in before one that was met, or is that one.
    pub(super) fn covers(&self, key: RequestKey) -> bool {
        self.place(key.origin).is_ok_and(|at| key.number <= self.0[at].1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Of memory.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<(NodeId, u64)>()
    }

    fn merge(&mut self, other: &Newest) {
        other.0.iter().for_each(|&(origin, number)| self.note(RequestKey { origin, number }));
    }

    fn place(&self, origin: NodeId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&origin, |(known, _)| *known)
    }

    /// The origin with the smallest number: as a rule a node whose disk was lost long ago.
    fn forget_one(&mut self) {
        let smallest = self.0.iter().enumerate().min_by_key(|(_, (_, number))| *number);
        if let Some((at, _)) = smallest {
            self.0.remove(at);
        }
    }
}

/// What is not there and was asked for: the newest [`REMOVALS_REMEMBERED`] of topics, of subscriptions, or of names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Absences<K: Ord> {
    known: BTreeMap<K, Absence>,
    /// All of `known`, the oldest first.
    order: VecDeque<K>,
}

/// Who asked for one of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Absence {
    /// All that came before it begins again.
    before: Newest,
    /// Of these, those that cannot be its beginning: they met the one that ended, or were refused.
    ended: Newest,
}

impl<K: Ord> Default for Absences<K> {
    fn default() -> Self {
        Absences { known: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Clone> Absences<K> {
    /// A request found nothing.
    pub(super) fn note(&mut self, what: &K, key: RequestKey) {
        self.of(what).before.note(key);
    }

    /// A request to begin it was refused.
    pub(super) fn note_refusal(&mut self, what: &K, key: RequestKey) {
        let absence = self.of(what);
        absence.before.note(key);
        absence.ended.note(key);
    }

    /// It ends, and had met all these.
    pub(super) fn note_end(&mut self, what: &K, met: &Newest) {
        let absence = self.of(what);
        absence.before.merge(met);
        absence.ended.merge(met);
    }

    /// Whether the request was taken in before the end, or was refused.
    pub(super) fn is_before_end(&self, what: &K, key: RequestKey) -> bool {
        self.known.get(what).is_some_and(|absence| absence.ended.covers(key))
    }

    /// What came before it, should it begin now.
    pub(super) fn before(&self, what: &K) -> &Newest {
        const NOTHING: &Newest = &Newest(Vec::new());
        self.known.get(what).map_or(NOTHING, |absence| &absence.before)
    }

    /// It begins: what came before.
    pub(super) fn begin(&mut self, what: &K) -> Newest {
        let Some(absence) = self.known.remove(what) else { return Newest::default() };
        self.order.retain(|known| known != what);
        absence.before
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn of(&mut self, what: &K) -> &mut Absence {
        if !self.known.contains_key(what) {
            self.order.push_back(what.clone());
            if self.order.len() > REMOVALS_REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        self.known.entry(what.clone()).or_default()
    }
}
