//! The known topics and their number of messages.

use std::collections::BTreeMap;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, PublisherId, TopicName};
use cubecast_core::wire::answer::TopicSummary;

/// The topics of the cluster.
#[derive(Clone, Debug, Default)]
pub struct TopicBook {
    /// By name.
    pub topics: BTreeMap<TopicName, TopicInfo>,
    /// Whether a node has listed the topics yet.
    pub listed: bool,
}

/// What is known about one topic.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicInfo {
    pub home: Vertex,
    /// `None` if only an event mentioned the topic.
    pub owner: Option<PublisherId>,
    /// Number of messages.
    pub messages: u64,
    /// Number of subscribers, by the last list.
    pub subscribers: u64,
}

impl TopicBook {
    /// Applies a node's list. Topics of groups that could not be queried keep their state.
    pub fn learn_list(&mut self, list: &[TopicSummary], missing: &[Vertex]) {
        self.listed = true;
        self.topics.retain(|_, info| missing.contains(&info.home));
        for summary in list {
            self.topics.insert(summary.topic.clone(), TopicInfo::from(summary));
        }
    }

    /// Returns whether the topic is new.
    pub fn learn_created(&mut self, topic: &TopicName, home: Vertex) -> bool {
        let is_new = !self.topics.contains_key(topic);
        self.topics.entry(topic.clone()).or_insert(TopicInfo { home, owner: None, messages: 0, subscribers: 0 });
        is_new
    }

    /// Returns whether the topic was known.
    pub fn learn_deleted(&mut self, topic: &TopicName) -> bool {
        self.topics.remove(topic).is_some()
    }

    /// Raises the topic's number of messages so that it includes `offset`.
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
