//! Late copies: commands whose coordinator received them before another request that has been applied since.
//!
//! A coordinator numbers its requests in the order in which it receives them. Therefore, when a topic has met request 7
//! of a coordinator, every request up to 7 was received before that time. If the topic is then deleted and created
//! again, such a request is not meant for the new topic. It may be a copy of a request that was answered long ago, and
//! storing it would make that answer false. Refusing it is correct in any case: its coordinator received it before this
//! topic existed. The same applies to subscriptions that end and begin again, and to registered names.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::REMOVALS_REMEMBERED;
use super::dedup::MAX_PRODUCERS;
use crate::identity::{Member, RequestKey};

/// The newest request of each coordinator, sorted by coordinator.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct VersionVector(Vec<(Member, u64)>);

impl VersionVector {
    pub(super) fn note(&mut self, key: RequestKey) {
        match self.place(key.coordinator) {
            Ok(at) => self.0[at].1 = key.number.max(self.0[at].1),
            Err(at) => {
                self.0.insert(at, (key.coordinator, key.number));
                if self.0.len() > MAX_PRODUCERS {
                    self.forget_one();
                }
            }
        }
    }

    /// Whether the request is the newest one recorded for its coordinator, or an earlier one.
    pub(super) fn covers(&self, key: RequestKey) -> bool {
        self.place(key.coordinator).is_ok_and(|at| key.number <= self.0[at].1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<(Member, u64)>()
    }

    fn merge(&mut self, other: &VersionVector) {
        other.0.iter().for_each(|&(coordinator, number)| self.note(RequestKey { coordinator, number }));
    }

    fn place(&self, coordinator: Member) -> Result<usize, usize> {
        self.0.binary_search_by_key(&coordinator, |(known, _)| *known)
    }

    /// Removes the coordinator with the smallest number: usually a node whose disk was lost long ago.
    fn forget_one(&mut self) {
        let smallest = self.0.iter().enumerate().min_by_key(|(_, (_, number))| *number);
        if let Some((at, _)) = smallest {
            self.0.remove(at);
        }
    }
}

/// Requests for absent items: the newest [`REMOVALS_REMEMBERED`] of topics, of subscriptions, or of names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Tombstones<K: Ord> {
    known: BTreeMap<K, Tombstone>,
    /// The keys of `known`, oldest first.
    order: VecDeque<K>,
}

/// The requests for one absent item.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Tombstone {
    /// All requests that came before the item begins again.
    before: VersionVector,
    /// Of these, the requests that cannot begin it: they were met by the item that ended, or were refused.
    ended: VersionVector,
}

impl<K: Ord> Default for Tombstones<K> {
    fn default() -> Self {
        Tombstones { known: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Clone> Tombstones<K> {
    /// A request found that the item is absent.
    pub(super) fn note(&mut self, what: &K, key: RequestKey) {
        self.of(what).before.note(key);
    }

    /// A request to create the item was refused.
    pub(super) fn note_refusal(&mut self, what: &K, key: RequestKey) {
        let tombstone = self.of(what);
        tombstone.before.note(key);
        tombstone.ended.note(key);
    }

    /// The item ended, after it had met these requests.
    pub(super) fn note_end(&mut self, what: &K, met: &VersionVector) {
        let tombstone = self.of(what);
        tombstone.before.merge(met);
        tombstone.ended.merge(met);
    }

    /// Whether the request was received before the end of the item, or was refused.
    pub(super) fn is_before_end(&self, what: &K, key: RequestKey) -> bool {
        self.known.get(what).is_some_and(|tombstone| tombstone.ended.covers(key))
    }

    /// The requests that came before the item, if it begins now.
    pub(super) fn before(&self, what: &K) -> &VersionVector {
        const NOTHING: &VersionVector = &VersionVector(Vec::new());
        self.known.get(what).map_or(NOTHING, |tombstone| &tombstone.before)
    }

    /// The item begins. Returns the requests that came before it.
    pub(super) fn begin(&mut self, what: &K) -> VersionVector {
        let Some(tombstone) = self.known.remove(what) else { return VersionVector::default() };
        self.order.retain(|known| known != what);
        tombstone.before
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn of(&mut self, what: &K) -> &mut Tombstone {
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
