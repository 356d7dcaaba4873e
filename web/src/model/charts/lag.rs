//! How far subscriptions are behind the ends of their topics.
//!
//! Known are the deliveries to this page, and those that nodes report as events (`delivered`). Nodes report neither
//! cursors nor pulls, so a subscription counts from its first reported delivery, or from its cursor if this page
//! subscribed. A lag that includes unreported deliveries is an upper bound, and marked as one.

use std::rc::Rc;

use cubecast_core::names::{SubscriberId, TopicName};

/// Subscriptions that are followed; the one that is quiet for longest makes room.
pub const MAX_SUBSCRIPTIONS: usize = 24;

/// A subscriber of a topic.
#[derive(PartialEq, Eq, Debug)]
pub struct Subscription {
    pub topic: TopicName,
    pub subscriber: SubscriberId,
}

/// How far a subscription was behind at the end of a second.
#[derive(Clone, PartialEq, Debug)]
pub struct Lag {
    pub of: Rc<Subscription>,
    /// Messages of the topic after the last one that was delivered.
    pub messages: u32,
    /// Seconds since the last known delivery.
    pub quiet_s: u32,
    /// Whether this page receives the messages.
    pub is_own: bool,
    /// Whether no delivery can be missing; otherwise the lag may be smaller.
    pub is_exact: bool,
}

/// The positions of subscriptions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Lags {
    /// At most [`MAX_SUBSCRIPTIONS`].
    positions: Vec<Position>,
}

/// The source of the reports about a subscription's deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// This page receives them.
    Page,
    /// The nodes' events.
    Nodes,
    /// This page has ended the subscription; late reports are ignored.
    Ended,
}

#[derive(Clone, PartialEq, Debug)]
struct Position {
    of: Rc<Subscription>,
    source: Source,
    /// The offset after the last delivered message.
    next: u64,
    /// The topic's end, as far as known.
    end: u64,
    /// When `next` was last reported, milliseconds since 1970.
    heard_ms: u64,
    is_exact: bool,
}

impl Lags {
    /// This page received the message before `next`, or begins there. `end`: of the topic.
    pub fn learn_own(&mut self, now_ms: u64, topic: &TopicName, subscriber: &SubscriberId, next: u64, end: u64) {
        let position = self.position(now_ms, topic, subscriber, end);
        position.source = Source::Page;
        position.move_to(now_ms, next);
    }

    /// A node reported that it pushed the message before `next`. A subscriber may begin again at an earlier offset.
    pub fn learn_reported(&mut self, now_ms: u64, topic: &TopicName, subscriber: &SubscriberId, next: u64, end: u64) {
        let position = self.position(now_ms, topic, subscriber, end);
        if position.source == Source::Nodes {
            position.move_to(now_ms, next);
        }
    }

    /// The topic ends at `end` or later.
    pub fn learn_end(&mut self, topic: &TopicName, end: u64) {
        for position in self.positions.iter_mut().filter(|position| position.of.topic == *topic) {
            position.end = position.end.max(end);
        }
    }

    /// This page's subscription has ended.
    pub fn end(&mut self, topic: &TopicName, subscriber: &SubscriberId) {
        if let Some(position) = self.positions.iter_mut().find(|position| position.is_of(topic, subscriber)) {
            position.source = Source::Ended;
        }
    }

    /// The topic is deleted.
    pub fn forget(&mut self, topic: &TopicName) {
        self.positions.retain(|position| position.of.topic != *topic);
    }

    /// From now on, deliveries to others may be missing among the events.
    pub fn doubt(&mut self) {
        for position in self.positions.iter_mut().filter(|position| position.source == Source::Nodes) {
            position.is_exact = false;
        }
    }

    /// The lag of each subscription now.
    pub fn sums(&self, now_ms: u64) -> Vec<Lag> {
        let followed = self.positions.iter().filter(|position| position.source != Source::Ended);
        followed.map(|position| position.sum(now_ms)).collect()
    }

    fn position(&mut self, now_ms: u64, topic: &TopicName, subscriber: &SubscriberId, end: u64) -> &mut Position {
        let known = self.positions.iter().position(|position| position.is_of(topic, subscriber));
        let at = known.unwrap_or_else(|| {
            if self.positions.len() == MAX_SUBSCRIPTIONS {
                let quietest = (0..MAX_SUBSCRIPTIONS).min_by_key(|at| self.positions[*at].heard_ms);
                self.positions.remove(quietest.unwrap_or_default());
            }
            let of = Rc::new(Subscription { topic: topic.clone(), subscriber: subscriber.clone() });
            let source = Source::Nodes;
            self.positions.push(Position { of, source, next: 0, end, heard_ms: now_ms, is_exact: true });
            self.positions.len() - 1
        });
        let position = &mut self.positions[at];
        position.end = position.end.max(end);
        position
    }
}

impl Position {
    fn is_of(&self, topic: &TopicName, subscriber: &SubscriberId) -> bool {
        self.of.topic == *topic && self.of.subscriber == *subscriber
    }

    /// A message that was delivered is part of the topic.
    fn move_to(&mut self, now_ms: u64, next: u64) {
        self.next = next;
        self.end = self.end.max(next);
        self.heard_ms = now_ms;
        self.is_exact = true;
    }

    fn sum(&self, now_ms: u64) -> Lag {
        Lag {
            of: Rc::clone(&self.of),
            messages: u32::try_from(self.end - self.next).unwrap_or(u32::MAX),
            quiet_s: (now_ms.saturating_sub(self.heard_ms) / 1_000) as u32,
            is_own: self.source == Source::Page,
            is_exact: self.is_exact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_the_distance_from_the_last_delivery_to_the_end() {
        let mut lags = Lags::default();
        lags.learn_own(1_000, &news(), &reader("a"), 2, 10);
        lags.learn_reported(1_000, &news(), &reader("b"), 12, 10);
        assert_eq!(behind(&lags), [8, 0], "a delivered message is part of its topic");
        lags.learn_end(&news(), 20);
        assert_eq!(behind(&lags), [18, 8]);
        lags.learn_reported(2_000, &news(), &reader("b"), 5, 0);
        assert_eq!(behind(&lags), [18, 15], "it began again");
    }

    #[test]
    fn the_page_knows_its_own_position_better_than_the_nodes() {
        let mut lags = Lags::default();
        lags.learn_own(1_000, &news(), &reader("a"), 9, 10);
        lags.learn_reported(1_000, &news(), &reader("a"), 3, 10);
        lags.doubt();
        let [lag] = &lags.sums(1_000)[..] else { panic!("one subscription") };
        assert_eq!((lag.messages, lag.is_own, lag.is_exact), (1, true, true));
    }

    #[test]
    fn where_deliveries_may_be_missing_the_lag_is_a_bound_until_the_next_one() {
        let mut lags = Lags::default();
        lags.learn_reported(1_000, &news(), &reader("b"), 3, 10);
        lags.doubt();
        let sum = lags.sums(9_000).remove(0);
        assert_eq!((sum.is_exact, sum.quiet_s), (false, 8));
        lags.learn_reported(9_000, &news(), &reader("b"), 10, 10);
        assert!(lags.sums(9_000)[0].is_exact);
    }

    #[test]
    fn an_ended_subscription_and_a_deleted_topic_have_no_lag() {
        let mut lags = Lags::default();
        lags.learn_own(1_000, &news(), &reader("a"), 1, 1);
        lags.end(&news(), &reader("a"));
        lags.learn_reported(1_001, &news(), &reader("a"), 2, 2);
        assert!(lags.sums(2_000).is_empty(), "a late report begins nothing");
        lags.learn_own(3_000, &news(), &reader("a"), 1, 1);
        assert_eq!(lags.sums(3_000).len(), 1);
        lags.forget(&news());
        assert!(lags.positions.is_empty());
    }

    #[test]
    fn of_too_many_subscriptions_the_quietest_is_forgotten() {
        let mut lags = Lags::default();
        for number in 0..MAX_SUBSCRIPTIONS as u64 + 5 {
            lags.learn_reported(1_000 + number, &news(), &reader(&format!("reader{number}")), 1, 1);
        }
        let sums = lags.sums(2_000);
        assert_eq!(sums.len(), MAX_SUBSCRIPTIONS);
        assert_eq!(sums[0].of.subscriber, reader("reader5"));
    }

    fn behind(lags: &Lags) -> Vec<u32> {
        lags.sums(1_000).iter().map(|lag| lag.messages).collect()
    }

    fn news() -> TopicName {
        TopicName::new("news").unwrap()
    }

    fn reader(name: &str) -> SubscriberId {
        SubscriberId::new(name).unwrap()
    }
}
