//! What push subscriptions have delivered to this page.

use std::collections::{BTreeMap, VecDeque};

use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::wire::answer::{Delivery, Message};

/// Older messages of a subscription are counted and no longer shown.
pub const MAX_SHOWN: usize = 100;
/// Of all subscriptions together, so many bytes of messages are kept; the newest message of each is.
pub const MAX_BYTES: usize = 16 << 20;

/// By subscriber and topic.
#[derive(Clone, Debug, Default)]
pub struct Inboxes {
    pub boxes: BTreeMap<(SubscriberId, TopicName), Inbox>,
}

#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// Newest first.
    pub messages: VecDeque<Message>,
    /// All that came, each offset counted once.
    pub received: u64,
    /// Of the messages that are kept.
    bytes: usize,
    /// Offsets seen before this one are repeats, which come when a subscription moved to another node.
    pub next: Option<Offset>,
    /// Why nothing more comes; `None` while something may.
    pub ended: Option<String>,
    /// The cluster has said that the subscription stands. Before that, there is perhaps not even a topic.
    confirmed: bool,
    /// The task that asks for the subscription.
    asked_by: Option<u64>,
}

impl Inboxes {
    /// From here on what comes for this subscription is kept. After its end it begins anew: its topic may be another one.
    pub fn open(&mut self, subscriber: SubscriberId, topic: TopicName) {
        let inbox = self.boxes.entry((subscriber, topic)).or_default();
        if inbox.ended.is_some() {
            *inbox = Inbox::default();
        }
    }

    /// A task asks the cluster for this subscription.
    pub fn ask(&mut self, subscriber: &SubscriberId, topic: &TopicName, task: u64) {
        if let Some(inbox) = self.boxes.get_mut(&(subscriber.clone(), topic.clone())) {
            inbox.asked_by = Some(task);
        }
    }

    /// The cluster did what this task asked for.
    pub fn confirm(&mut self, task: u64) {
        for inbox in self.boxes.values_mut().filter(|inbox| inbox.asked_by == Some(task)) {
            inbox.confirmed = true;
        }
    }

    /// What this task asked for and did not get is not there.
    pub fn end_task(&mut self, task: u64) {
        self.boxes.retain(|_, inbox| inbox.confirmed || inbox.asked_by != Some(task));
    }

    /// Nothing more comes; what came stays to be read.
    pub fn end(&mut self, subscriber: &SubscriberId, topic: &TopicName, why: String) {
        if let Some(inbox) = self.boxes.get_mut(&(subscriber.clone(), topic.clone())) {
            inbox.ended = Some(why);
        }
    }

    pub fn close(&mut self, subscriber: &SubscriberId, topic: &TopicName) {
        self.boxes.remove(&(subscriber.clone(), topic.clone()));
    }

    pub fn get(&self, subscriber: &SubscriberId, topic: &TopicName) -> Option<&Inbox> {
        self.boxes.get(&(subscriber.clone(), topic.clone()))
    }

    /// The subscription that takes most gives first.
    fn trim(&mut self) {
        while self.boxes.values().map(|inbox| inbox.bytes).sum::<usize>() > MAX_BYTES {
            let largest =
                self.boxes.values_mut().filter(|inbox| inbox.messages.len() > 1).max_by_key(|inbox| inbox.bytes);
            let Some(inbox) = largest else { return };
            inbox.drop_oldest();
        }
    }

    /// What comes for a subscription that this page no longer has is not kept.
    pub fn deliver(&mut self, delivery: Delivery) {
        if let Some(inbox) = self.boxes.get_mut(&(delivery.subscriber, delivery.topic)) {
            inbox.add(delivery.message);
            self.trim();
        }
    }
}

impl Inbox {
    /// Whether there is a subscription that can be ended.
    pub fn is_live(&self) -> bool {
        self.confirmed && self.ended.is_none()
    }

    /// Whether there is anything to say of it.
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
    fn what_nobody_here_subscribed_to_is_not_kept() {
        let mut inboxes = Inboxes::default();
        inboxes.deliver(delivery(0));
        assert!(inboxes.boxes.is_empty());
    }
}
