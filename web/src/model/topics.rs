//! The topics that the page knows, and how many messages each has.

use std::collections::BTreeMap;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, PublisherId, TopicName};
use cubecast_core::wire::answer::TopicSummary;

#[derive(Clone, Debug, Default)]
pub struct TopicBook {
    pub topics: BTreeMap<TopicName, TopicInfo>,
    /// Whether a node has listed them at all.
    pub listed: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TopicInfo {
    pub home: Vertex,
    /// `None` while only an event told of the topic.
    pub owner: Option<PublisherId>,
    pub messages: u64,
    pub subscribers: u64,
}

impl TopicBook {
    /// Takes in a node's list. Topics of groups that could not be asked stay as they were.
    pub fn learn_list(&mut self, list: &[TopicSummary], missing: &[Vertex]) {
        self.listed = true;
        self.topics.retain(|_, info| missing.contains(&info.home));
        for summary in list {
            self.topics.insert(summary.topic.clone(), TopicInfo::from(summary));
        }
    }

    /// Tells whether the topic is new.
    pub fn learn_created(&mut self, topic: &TopicName, home: Vertex) -> bool {
        let is_new = !self.topics.contains_key(topic);
        self.topics.entry(topic.clone()).or_insert(TopicInfo { home, owner: None, messages: 0, subscribers: 0 });
        is_new
    }

    /// Tells whether the topic was known.
    pub fn learn_deleted(&mut self, topic: &TopicName) -> bool {
        self.topics.remove(topic).is_some()
    }

    pub fn learn_stored(&mut self, topic: &TopicName, home: Vertex, offset: Offset) {
        self.learn_created(topic, home);
        if let Some(info) = self.topics.get_mut(topic) {
            info.messages = info.messages.max(offset.next().0);
        }
    }
}

impl From<&TopicSummary> for TopicInfo {
    fn from(summary: &TopicSummary) -> Self {
        TopicInfo {
            home: summary.home,
            owner: Some(summary.owner.clone()),
            messages: summary.messages,
            subscribers: summary.subscribers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    #[test]
    fn a_list_forgets_what_is_gone_but_not_what_could_not_be_asked() {
        let (here, away) = ("100".parse().unwrap(), "111".parse().unwrap());
        let mut book = TopicBook::default();
        book.learn_created(&topic("news"), here);
        book.learn_created(&topic("cricket"), away);
        book.learn_list(&[], &[away]);
        assert_eq!(book.topics.keys().map(TopicName::as_str).collect::<Vec<_>>(), ["cricket"]);
    }

    #[test]
    fn the_number_of_messages_never_falls_when_replicas_tell_late() {
        let mut book = TopicBook::default();
        book.learn_stored(&topic("news"), "100".parse().unwrap(), Offset(6));
        book.learn_stored(&topic("news"), "100".parse().unwrap(), Offset(4));
        assert_eq!(book.topics[&topic("news")].messages, 7);
    }
}
