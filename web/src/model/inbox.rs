//! Messages that push subscriptions delivered to this page.

use std::collections::{BTreeMap, VecDeque};

use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::wire::answer::{Delivery, Message};

/// Messages shown per subscription; older ones are only counted.
pub const MAX_SHOWN: usize = 100;
/// Bytes of messages kept over all subscriptions. The newest message of each subscription is always kept.
pub const MAX_BYTES: usize = 16 << 20;

/// The inboxes of this page's push subscriptions.
#[derive(Clone, Debug, Default)]
pub struct Inboxes {
    /// By subscriber and topic.
    pub boxes: BTreeMap<(SubscriberId, TopicName), Inbox>,
}

/// The deliveries of one push subscription.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// Newest first.
    pub messages: VecDeque<Message>,
    /// Number of messages received; each offset counts once.
    pub received: u64,
    /// Total size of the kept messages.
    bytes: usize,
    /// Offsets below this one are repeats, which occur when a subscription moves to another node.
    pub next: Option<Offset>,
    /// Why the subscription ended; `None` while it may deliver.
    pub ended: Option<String>,
    /// The cluster has confirmed the subscription. Before that, the topic may not exist.
    confirmed: bool,
    /// The task that requests the subscription.
    asked_by: Option<u64>,
}

impl Inboxes {
    /// Starts keeping deliveries of this subscription. An ended inbox starts empty, because the topic may be a new one
    /// with the same name.
    pub fn open(&mut self, subscriber: SubscriberId, topic: TopicName) {
        let inbox = self.boxes.entry((subscriber, topic)).or_default();
        if inbox.ended.is_some() {
            *inbox = Inbox::default();
        }
    }

    /// Records the task that requests this subscription.
    pub fn ask(&mut self, subscriber: &SubscriberId, topic: &TopicName, task: u64) {
        if let Some(inbox) = self.boxes.get_mut(&(subscriber.clone(), topic.clone())) {
            inbox.asked_by = Some(task);
        }
    }

    /// Records that the cluster completed this task. `cursor`: the offset from which it delivers.
    pub fn confirm(&mut self, task: u64, cursor: Offset) {
        for inbox in self.boxes.values_mut().filter(|inbox| inbox.asked_by == Some(task)) {
            inbox.confirmed = true;
            inbox.next = inbox.next.or(Some(cursor));
        }
    }

    /// The subscription that this task requested.
    pub fn asked_by(&self, task: u64) -> Option<&(SubscriberId, TopicName)> {
        self.boxes.iter().find(|(_, inbox)| inbox.asked_by == Some(task)).map(|(names, _)| names)
    }

    /// Removes the inboxes that this task requested without success.
    pub fn end_task(&mut self, task: u64) {
        self.boxes.retain(|_, inbox| inbox.confirmed || inbox.asked_by != Some(task));
    }

    /// Marks a subscription as ended; its messages stay readable.
    pub fn end(&mut self, subscriber: &SubscriberId, topic: &TopicName, why: String) {
        if let Some(inbox) = self.boxes.get_mut(&(subscriber.clone(), topic.clone())) {
            inbox.ended = Some(why);
        }
    }

    /// Removes the inbox.
    pub fn close(&mut self, subscriber: &SubscriberId, topic: &TopicName) {
        self.boxes.remove(&(subscriber.clone(), topic.clone()));
    }

    /// The inbox of this subscription; `None` if the page keeps none.
    pub fn get(&self, subscriber: &SubscriberId, topic: &TopicName) -> Option<&Inbox> {
        self.boxes.get(&(subscriber.clone(), topic.clone()))
    }

    /// The messages of a topic that were not delivered to this page yet: the most of its running subscriptions. `None`:
    /// there is none. `end`: the number of messages of the topic.
    pub fn lag(&self, topic: &TopicName, end: u64) -> Option<u64> {
        let running = self.boxes.iter().filter(|((_, of), inbox)| of == topic && inbox.is_live());
        running.filter_map(|(_, inbox)| inbox.next).map(|next| end.saturating_sub(next.0)).max()
    }

    /// Drops oldest messages until the limit is met, from the largest inbox first.
    fn trim(&mut self) {
        while self.boxes.values().map(|inbox| inbox.bytes).sum::<usize>() > MAX_BYTES {
            let largest =
                self.boxes.values_mut().filter(|inbox| inbox.messages.len() > 1).max_by_key(|inbox| inbox.bytes);
            let Some(inbox) = largest else { return };
            inbox.drop_oldest();
        }
    }

    /// Adds a delivery, unless this page has no such subscription.
    pub fn deliver(&mut self, delivery: Delivery) {
        if let Some(inbox) = self.boxes.get_mut(&(delivery.subscriber, delivery.topic)) {
            inbox.add(delivery.message);
            self.trim();
        }
    }
}

impl Inbox {
    /// Whether the subscription is confirmed and not ended.
    pub fn is_live(&self) -> bool {
        self.confirmed && self.ended.is_none()
    }

    /// Whether there is anything to show.
    pub fn is_worth_showing(&self) -> bool {
        self.confirmed || self.ended.is_some() || self.received > 0
    }

    fn add(&mut self, message: Message) {
        if self.next.is_some_and(|next| message.offset < next) {
            return;
        }
        self.next = Some(message.offset.next());
        self.received += 1;
        self.bytes += message.content.len();
        self.messages.push_front(message);
        if self.messages.len() > MAX_SHOWN {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_back() {
            self.bytes -= oldest.content.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::PublisherId;
    use cubecast_core::time::Timestamp;

    use super::*;

    fn delivery(offset: u64) -> Delivery {
        Delivery {
            topic: TopicName::new("news").unwrap(),
            subscriber: SubscriberId::new("reader").unwrap(),
            message: Message {
                offset: Offset(offset),
                publisher: PublisherId::new("writer").unwrap(),
                content: format!("message {offset}").into(),
                time: Timestamp(0),
            },
        }
    }

    #[test]
    fn a_burst_is_kept_whole_and_a_repeat_is_shown_once() {
        let mut inboxes = Inboxes::default();
        inboxes.open(SubscriberId::new("reader").unwrap(), TopicName::new("news").unwrap());
        for offset in [0, 1, 2, 1, 2, 3] {
            inboxes.deliver(delivery(offset));
        }
        let inbox = inboxes.boxes.values().next().unwrap();
        assert_eq!(inbox.messages.iter().map(|message| message.offset.0).collect::<Vec<_>>(), [3, 2, 1, 0]);
        assert_eq!(inbox.received, 4);
    }

    #[test]
    fn large_messages_are_kept_up_to_a_limit_and_the_newest_always() {
        let mut inboxes = Inboxes::default();
        inboxes.open(SubscriberId::new("reader").unwrap(), TopicName::new("news").unwrap());
        for offset in 0..50 {
            let mut delivery = delivery(offset);
            delivery.message.content = "x".repeat(1 << 20).into();
            inboxes.deliver(delivery);
        }
        let inbox = inboxes.boxes.values().next().unwrap();
        assert_eq!((inbox.received, inbox.messages.len(), inbox.bytes), (50, 16, MAX_BYTES));
        assert_eq!(inbox.messages[0].offset, Offset(49));
        let mut delivery = delivery(50);
        delivery.message.content = "x".repeat(MAX_BYTES + 1).into();
        inboxes.deliver(delivery);
        assert_eq!(inboxes.boxes.values().next().unwrap().messages.len(), 1);
    }

    #[test]
    fn what_came_before_the_end_stays_until_it_is_opened_again() {
        let (subscriber, topic) = (SubscriberId::new("reader").unwrap(), TopicName::new("news").unwrap());
        let mut inboxes = Inboxes::default();
        inboxes.open(subscriber.clone(), topic.clone());
        inboxes.deliver(delivery(0));
        inboxes.end(&subscriber, &topic, "it was deleted".into());
        let inbox = inboxes.get(&subscriber, &topic).unwrap();
        assert_eq!((inbox.received, inbox.ended.as_deref()), (1, Some("it was deleted")));
        inboxes.open(subscriber.clone(), topic.clone());
        inboxes.deliver(delivery(0));
        let inbox = inboxes.get(&subscriber, &topic).unwrap();
        assert_eq!((inbox.received, inbox.ended.as_deref()), (1, None));
    }

    #[test]
    fn the_lag_is_what_a_running_subscription_has_not_delivered_yet() {
        let (subscriber, topic) = (SubscriberId::new("reader").unwrap(), TopicName::new("news").unwrap());
        let mut inboxes = Inboxes::default();
        inboxes.open(subscriber.clone(), topic.clone());
        inboxes.ask(&subscriber, &topic, 1);
        assert_eq!(inboxes.lag(&topic, 9), None, "it is only asked for");
        inboxes.confirm(1, Offset(4));
        assert_eq!(inboxes.lag(&topic, 9), Some(5));
        inboxes.deliver(delivery(4));
        assert_eq!(inboxes.lag(&topic, 9), Some(4));
        assert_eq!(inboxes.lag(&topic, 0), Some(0), "the delivery overtook the news of the message");
        inboxes.end(&subscriber, &topic, "it was deleted".into());
        assert_eq!(inboxes.lag(&topic, 9), None);
    }

    #[test]
    fn what_nobody_here_subscribed_to_is_not_kept() {
        let mut inboxes = Inboxes::default();
        inboxes.deliver(delivery(0));
        assert!(inboxes.boxes.is_empty());
    }
}
