//! Offsets have no gaps, and each is assigned once.
//!
//! Within an answer to a pull, each offset is its predecessor plus one, and the cursor is one after the last. Pushes of
//! a subscription continue without gaps. Two publishes of this page are never acknowledged with the same offset of a
//! topic. The checker remembers one cursor for up to [`MAX_SUBSCRIPTIONS`] subscriptions, and the newest [`MAX_GIVEN`]
//! acknowledged offsets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::wire::answer::{Delivery, Done, Message};
use cubecast_core::wire::event::Event;
use cubecast_sim::check::offsets::check_run;

use super::{Checked, Evidence};

/// Subscriptions that are checked; later ones are ignored.
pub const MAX_SUBSCRIPTIONS: usize = 256;
/// Acknowledged offsets that are remembered, over all topics.
pub const MAX_GIVEN: usize = 4_096;

/// The checker's state: the expected offsets and the assigned ones.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    /// The next offset that each subscription expects.
    next: BTreeMap<(SubscriberId, TopicName), Offset>,
    given: BTreeSet<(TopicName, Offset)>,
    /// Oldest first.
    order: VecDeque<(TopicName, Offset)>,
    deleted: super::Deleted,
}

impl Offsets {
    /// Checks pulls, publishes and deliveries, and forgets deleted topics.
    pub fn check(&mut self, now_ms: u64, evidence: Evidence<'_>) -> Checked {
        match evidence {
            Evidence::Event(told) => {
                if let Event::TopicDeleted { topic, .. } = &told.event {
                    self.forget(now_ms, topic);
                }
                Ok(0)
            }
            Evidence::Answer(answer) => match &answer.result {
                Ok(Done::Pulled { topic, messages, cursor, .. }) => check_answer(topic, messages, *cursor),
                Ok(Done::Published { topic, offset: Some(offset), repeated: false, .. }) => {
                    self.give(now_ms, topic, *offset)
                }
                // A new subscription may start at another offset.
                Ok(Done::Subscribed { topic, .. }) => {
                    self.next.retain(|(_, subscribed), _| subscribed != topic);
                    Ok(0)
                }
                _ => Ok(0),
            },
            Evidence::Delivery(delivery) => self.follow(delivery),
            Evidence::DeliveriesEnded { subscriber, topic } => {
                self.next.remove(&(subscriber.clone(), topic.clone()));
                Ok(0)
            }
        }
    }

    fn give(&mut self, now_ms: u64, topic: &TopicName, offset: Offset) -> Checked {
        if self.deleted.is_settling(now_ms, topic) {
            return Ok(0);
        }
        let place = (topic.clone(), offset);
        if !self.given.insert(place.clone()) {
            return Err(format!("offset {offset} of topic `{topic}` was acknowledged for two messages of this page"));
        }
        self.order.push_back(place);
        if self.order.len() > MAX_GIVEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.given.remove(&oldest);
        }
        Ok(1)
    }

    fn follow(&mut self, delivery: &Delivery) -> Checked {
        let (key, offset) = ((delivery.subscriber.clone(), delivery.topic.clone()), delivery.message.offset);
        if !self.next.contains_key(&key) && self.next.len() == MAX_SUBSCRIPTIONS {
            return Ok(0);
        }
        let next = self.next.entry(key).or_insert(offset);
        let expected = *next;
        *next = expected.max(offset.next());
        if offset > expected {
            return Err(format!(
                "`{}` received {} #{offset} where #{expected} was expected",
                delivery.subscriber, delivery.topic
            ));
        }
        Ok(1)
    }

    fn forget(&mut self, now_ms: u64, topic: &TopicName) {
        self.next.retain(|(_, subscribed), _| subscribed != topic);
        if self.given.range((topic.clone(), Offset(0))..).next().is_some_and(|(given, _)| given == topic) {
            self.given.retain(|(given, _)| given != topic);
            self.order.retain(|(given, _)| given != topic);
        }
        self.deleted.note(now_ms, topic);
    }
}

fn check_answer(topic: &TopicName, messages: &[Message], cursor: Offset) -> Checked {
    let count = check_run(messages.iter().map(|message| message.offset))
        .map_err(|(before, after)| format!("a pull of topic `{topic}` returned offset {after} after {before}"))?;
    match messages.last() {
        Some(last) if last.offset.next() != cursor => {
            Err(format!("a pull of topic `{topic}` ends with offset {}, but its cursor is {cursor}", last.offset))
        }
        _ => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::super::SETTLE_MS;
    use super::super::story::{deleted, delivered, evidence, message, published, pulled, subscribed, topic};
    use super::*;

    #[test]
    fn offsets_that_follow_each_other_pass() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.check(1, evidence(&pulled("100", vec![message(4, "a"), message(5, "b")]))), Ok(2));
        assert_eq!(offsets.check(1, evidence(&delivered(7, "a"))), Ok(1));
        assert_eq!(offsets.check(1, evidence(&delivered(8, "b"))), Ok(1));
        assert_eq!(offsets.check(1, evidence(&published(9, &["100", "101"]))), Ok(1));
    }

    #[test]
    fn a_gap_in_an_answer_or_a_push_is_found() {
        let mut offsets = Offsets::default();
        let broken = offsets.check(1, evidence(&pulled("100", vec![message(4, "a"), message(6, "b")]))).unwrap_err();
        assert!(broken.contains("offset 6 after 4"), "{broken}");
        offsets.check(1, evidence(&delivered(0, "a"))).unwrap();
        let broken = offsets.check(1, evidence(&delivered(2, "c"))).unwrap_err();
        assert!(broken.contains("#2 where #1 was expected"), "{broken}");
    }

    #[test]
    fn a_cursor_that_stands_elsewhere_is_found() {
        let broken = check_answer(&topic(), &[message(4, "a")], Offset(9)).unwrap_err();
        assert!(broken.contains("cursor is 9"), "{broken}");
    }

    #[test]
    fn a_subscription_that_begins_anew_may_begin_elsewhere() {
        let mut offsets = Offsets::default();
        offsets.check(1, evidence(&delivered(0, "a"))).unwrap();
        offsets.check(1, evidence(&subscribed())).unwrap();
        assert_eq!(offsets.check(1, evidence(&delivered(40, "z"))), Ok(1));
    }

    #[test]
    fn an_offset_is_given_to_one_message_of_a_topic_and_again_only_once_the_topic_is_another() {
        let mut offsets = Offsets::default();
        offsets.check(1, evidence(&published(3, &["100", "101"]))).unwrap();
        assert!(offsets.check(1, evidence(&published(3, &["100", "101"]))).unwrap_err().contains("offset 3"));
        offsets.check(1_000, evidence(&deleted("100"))).unwrap();
        assert_eq!(offsets.check(1_001, evidence(&published(3, &["100", "101"]))), Ok(0), "it may be the old one's");
        assert_eq!(offsets.check(1_000 + SETTLE_MS, evidence(&published(3, &["100", "101"]))), Ok(1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut offsets = Offsets::default();
        for offset in 0..2 * MAX_GIVEN as u64 {
            offsets.check(1, evidence(&published(offset, &["100", "101"]))).unwrap();
        }
        assert_eq!((offsets.given.len(), offsets.order.len()), (MAX_GIVEN, MAX_GIVEN));
    }
}
