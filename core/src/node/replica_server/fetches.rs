//! Fetches of messages for push sessions at other nodes. A replica without new messages lets a fetch wait until there
//! are some, but not for long.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::out::Out;
use super::super::queues::Queue;
use super::super::supply::{Supply, TopicKey, supply, topic_key};
use super::super::view::View;
use super::super::vocabulary::{ReadRange, Requester};
use super::ReplicaServer;
use super::reads::Reader;
use crate::identity::GroupId;
use crate::names::{Offset, TopicId};
use crate::time::Instant;
use crate::wire::peer::{Reply, Subscription};

/// Limits of one fetch: messages, and bytes of contents.
const MESSAGES: u32 = 512;
const BYTES: u64 = 256 * 1024;
/// A replica without new messages answers a fetch after this time, so that each side sees that the other is alive.
const FETCH_WAIT: Duration = Duration::from_millis(1000);
/// Most fetches that wait on one replica. Beyond this, the coordinator is told to ask again.
const MAX_WAITING_FETCHES: usize = 16_384;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Fetches {
    waiting: BTreeMap<TopicKey, Vec<WaitingFetch>>,
    count: usize,
}

#[derive(Serialize, Deserialize)]
struct WaitingFetch {
    requester: Requester,
    subscription: Subscription,
    from: Offset,
    max_bytes: u64,
    until: Instant,
}

impl Fetches {
    /// Whether any fetch waits for messages.
    pub fn is_anything_waiting(&self) -> bool {
        self.count > 0
    }

    /// The number of waiting fetches, and its limit.
    pub fn queue(&self) -> Queue {
        Queue::of("fetches that wait for messages", self.count, MAX_WAITING_FETCHES)
    }

    fn take(&mut self, key: TopicKey) -> Vec<WaitingFetch> {
        let fetches = self.waiting.remove(&key).unwrap_or_default();
        self.count -= fetches.len();
        fetches
    }

    fn take_late(&mut self, now: Instant) -> Vec<WaitingFetch> {
        let is_late = |fetch: &mut WaitingFetch| now >= fetch.until;
        let late: Vec<_> = self.waiting.values_mut().flat_map(|fetches| fetches.extract_if(.., is_late)).collect();
        self.waiting.retain(|_, fetches| !fetches.is_empty());
        self.count -= late.len();
        late
    }

    /// The topics of a group for which fetches wait.
    fn topics_of(&self, group: GroupId) -> Vec<TopicId> {
        let topics = (group, TopicId(0))..=(group, TopicId(u64::MAX));
        self.waiting.range(topics).map(|((_, topic), _)| *topic).collect()
    }
}

impl ReplicaServer {
    pub(super) fn handle_fetch(
        &mut self,
        requester: Requester,
        subscription: Subscription,
        from: Offset,
        max_bytes: u32,
        view: &View,
        out: &mut Out,
    ) {
        let until = view.monotonic() + FETCH_WAIT;
        let max_bytes = u64::from(max_bytes).min(BYTES);
        self.serve_fetch(WaitingFetch { requester, subscription, from, max_bytes, until }, view, out);
    }

    fn serve_fetch(&mut self, fetch: WaitingFetch, view: &View, out: &mut Out) {
        let Some(replica) = view.groups.get(fetch.subscription.group) else {
            return out.reply(&fetch.requester, Reply::NotLeader { leader: None, proposed: false });
        };
        match supply(replica, &fetch.subscription) {
            Supply::Ended(reason) => out.reply(&fetch.requester, Reply::SubscriptionEnded { reason }),
            Supply::Until(end) if fetch.from < end => {
                let (group, topic) = topic_key(&fetch.subscription);
                let WaitingFetch { requester, from, max_bytes, .. } = fetch;
                let range = ReadRange { group, topic, from, end, max_messages: MESSAGES, max_bytes };
                self.read(range, Reader::Fetch(requester), view, out);
            }
            Supply::Until(_) | Supply::NotYet => self.let_fetch_wait(fetch, out),
        }
    }

    fn let_fetch_wait(&mut self, fetch: WaitingFetch, out: &mut Out) {
        if self.fetches.count >= MAX_WAITING_FETCHES {
            return out.reply(
                &fetch.requester,
                Reply::Unavailable { why: "too many fetches are waiting on this node".into() },
            );
        }
        self.fetches.count += 1;
        self.fetches.waiting.entry(topic_key(&fetch.subscription)).or_default().push(fetch);
    }

    /// Retries the fetches that wait for a topic, after a change to it.
    pub fn serve_fetches(&mut self, group: GroupId, topic: TopicId, view: &View, out: &mut Out) {
        for fetch in self.fetches.take((group, topic)) {
            self.serve_fetch(fetch, view, out);
        }
    }

    /// Reviews all waiting fetches of a group after a snapshot.
    pub fn review_fetches(&mut self, group: GroupId, view: &View, out: &mut Out) {
        for topic in self.fetches.topics_of(group) {
            self.serve_fetches(group, topic, view, out);
        }
    }

    /// Answers the fetches that have waited long enough.
    pub(super) fn answer_late_fetches(&mut self, view: &View, out: &mut Out) {
        for fetch in self.fetches.take_late(view.monotonic()) {
            out.reply(&fetch.requester, Reply::Fetched { messages: Vec::new() });
        }
    }
}
