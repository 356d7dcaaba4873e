//! All sources show the same message at an offset: the replicas' logs agree, as far as this page sees them.
//!
//! The checker compares content, publisher and time of the messages in every pull, at every read level, and in every
//! push to this page. It keeps a fingerprint of the newest [`MAX_MESSAGES`]; older ones are no longer compared. A
//! deleted topic may be created again with other messages, so its fingerprints are discarded, and for
//! [`SETTLE_MS`](super::SETTLE_MS) its messages are ignored, because late ones may belong to the deleted topic.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash as _, Hasher as _};

use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::visible::visible;
use cubecast_core::wire::answer::{Done, Message};
use cubecast_core::wire::event::Event;

use super::{Checked, Evidence};

/// Messages whose fingerprint is remembered, over all topics.
pub const MAX_MESSAGES: usize = 4_096;

/// The checker's state: a fingerprint per topic and offset.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    seen: BTreeMap<(TopicName, u64), Sighting>,
    /// Oldest first. May contain keys that were removed with their topic.
    order: VecDeque<(TopicName, u64)>,
    deleted: super::Deleted,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    fingerprint: u64,
    /// The node that served the read; `None` for a push.
    by: Option<HostId>,
}

impl Agreement {
    /// Compares each message with the first one seen at its offset.
    pub fn check(&mut self, now_ms: u64, evidence: Evidence<'_>) -> Checked {
        match evidence {
            Evidence::Event(told) => {
                if let Event::TopicDeleted { topic, .. } = &told.event {
                    self.forget(now_ms, topic);
                }
                Ok(0)
            }
            Evidence::Answer(answer) => match &answer.result {
                Ok(Done::Pulled { topic, messages, .. }) => {
                    messages.iter().map(|message| self.compare(now_ms, topic, message, Some(answer.served_by))).sum()
                }
                _ => Ok(0),
            },
            Evidence::Delivery(delivery) => self.compare(now_ms, &delivery.topic, &delivery.message, None),
            Evidence::DeliveriesEnded { .. } => Ok(0),
        }
    }

    fn compare(&mut self, now_ms: u64, topic: &TopicName, message: &Message, by: Option<HostId>) -> Checked {
        if self.deleted.is_settling(now_ms, topic) {
            return Ok(0);
        }
        let (key, fingerprint) = ((topic.clone(), message.offset.0), fingerprint(message));
        match self.seen.get(&key) {
            Some(first) if first.fingerprint == fingerprint => Ok(1),
            Some(first) => Err(format!(
                "offset {} of topic `{topic}` differs: {} returned another message than {}, \
                 which returned “{}” by `{}` of {}",
                message.offset,
                source(first.by),
                source(by),
                visible(&message.content.chars().take(60).collect::<String>()),
                message.publisher,
                message.time,
            )),
            None => {
                self.seen.insert(key.clone(), Sighting { fingerprint, by });
                self.order.push_back(key);
                self.trim();
                Ok(1)
            }
        }
    }

    fn trim(&mut self) {
        while self.order.len() > MAX_MESSAGES {
            if let Some(oldest) = self.order.pop_front() {
                self.seen.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, now_ms: u64, topic: &TopicName) {
        // When many topics are deleted at once, most have no messages here: this check is cheaper than `retain`.
        if self.seen.range((topic.clone(), 0)..).next().is_some_and(|((seen, _), _)| seen == topic) {
            self.seen.retain(|(seen, _), _| seen != topic);
            self.order.retain(|(seen, _)| seen != topic);
        }
        self.deleted.note(now_ms, topic);
    }
}

fn fingerprint(message: &Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    (message.publisher.as_str(), &message.content, message.time.0).hash(&mut hasher);
    hasher.finish()
}

fn source(by: Option<HostId>) -> String {
    by.map_or_else(|| "a push".to_owned(), |node| format!("a read at {node}"))
}

#[cfg(test)]
mod tests {
    use super::super::SETTLE_MS;
    use super::super::story::{deleted, delivered, evidence, message, pulled};
    use super::*;

    #[test]
    fn replicas_and_pushes_that_show_the_same_agree() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.check(1, evidence(&pulled("100", vec![message(0, "a"), message(1, "b")]))), Ok(2));
        assert_eq!(agreement.check(2, evidence(&pulled("101", vec![message(1, "b")]))), Ok(1));
        assert_eq!(agreement.check(3, evidence(&delivered(0, "a"))), Ok(1));
    }

    #[test]
    fn a_replica_that_shows_something_else_is_found_and_both_are_named() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.check(1, evidence(&pulled("100", vec![message(3, "a")]))), Ok(1));
        let broken = agreement.check(2, evidence(&pulled("110", vec![message(3, "x")]))).unwrap_err();
        for part in ["offset 3", "`news`", "a read at 100", "a read at 110", "“x”"] {
            assert!(broken.contains(part), "{broken}");
        }
    }

    #[test]
    fn the_publisher_and_the_time_count_as_well() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.check(1, evidence(&delivered(0, "a"))), Ok(1));
        let mut late = message(0, "a");
        late.time.0 += 1;
        assert!(agreement.check(2, evidence(&pulled("101", vec![late]))).is_err());
    }

    #[test]
    fn a_topic_created_again_may_hold_something_else_and_late_words_of_the_old_one_do_not_count() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.check(1_000, evidence(&delivered(0, "old"))), Ok(1));
        assert_eq!(agreement.check(2_000, evidence(&deleted("100"))), Ok(0));
        assert_eq!(agreement.check(2_500, evidence(&delivered(0, "old"))), Ok(0));
        assert_eq!(agreement.check(2_000 + SETTLE_MS, evidence(&delivered(0, "new"))), Ok(1));
        assert_eq!(agreement.check(9_000, evidence(&pulled("101", vec![message(0, "new")]))), Ok(1));
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_not_held_against_anybody() {
        let mut agreement = Agreement::default();
        for offset in 0..=MAX_MESSAGES as u64 {
            assert_eq!(agreement.check(1, evidence(&delivered(offset, "a"))), Ok(1));
        }
        assert_eq!((agreement.seen.len(), agreement.order.len()), (MAX_MESSAGES, MAX_MESSAGES));
        assert_eq!(agreement.check(2, evidence(&delivered(0, "x"))), Ok(1));
    }
}
