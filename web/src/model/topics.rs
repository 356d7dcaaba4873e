//! The known topics and their number of messages.

use std::collections::BTreeMap;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, PublisherId, TopicName};
use cubecast_core::wire::answer::TopicSummary;

use super::shared::Shared;

/// The topics of the cluster.
#[derive(Clone, Debug, Default)]
pub struct TopicBook {
    /// By name.
    pub topics: BTreeMap<TopicName, TopicInfo>,
    /// Whether a node has listed the topics yet.
    pub listed: bool,
    /// Has another identity whenever a topic was created or deleted.
    pub names: Shared<()>,
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
    /// The messages that are known to this page or were counted by it. `None`: some may have been stored unheard.
    pub counted: Option<u64>,
}

impl TopicBook {
    /// Applies a node's list. Topics of groups that could not be queried keep their state.
    pub fn learn_list(&mut self, list: &[TopicSummary], missing: &[Vertex]) {
        self.listed = true;
        let before = std::mem::take(&mut self.topics);
        for summary in list {
            let mut info = TopicInfo::from(summary);
            // Events may be ahead of the list.
            info.counted = info.counted.max(before.get(&summary.topic).and_then(|known| known.counted));
            self.topics.insert(summary.topic.clone(), info);
        }
        for (topic, info) in before.iter().filter(|(_, info)| missing.contains(&info.home)) {
            self.topics.entry(topic.clone()).or_insert_with(|| info.clone());
        }
        if !self.topics.keys().eq(before.keys()) {
            self.names = Shared::default();
        }
    }

    /// Returns whether the topic is new.
    pub fn learn_created(&mut self, topic: &TopicName, home: Vertex) -> bool {
        let is_new = !self.topics.contains_key(topic);
        if is_new {
            let info = TopicInfo { home, owner: None, messages: 0, subscribers: 0, counted: Some(0) };
            self.topics.insert(topic.clone(), info);
            self.names = Shared::default();
        }
        is_new
    }

    /// Returns whether the topic was known.
    pub fn learn_deleted(&mut self, topic: &TopicName) -> bool {
        let was_known = self.topics.remove(topic).is_some();
        if was_known {
            self.names = Shared::default();
        }
        was_known
    }

    /// Raises the topic's number of messages so that it includes `offset`. Returns how many are new since the last
    /// report. If some may have been stored unheard, the report counts as one message.
    pub fn learn_stored(&mut self, topic: &TopicName, home: Vertex, offset: Offset) -> u64 {
        let is_unknown = self.learn_created(topic, home);
        let Some(info) = self.topics.get_mut(topic) else { return 0 };
        let end = offset.next().0;
        info.messages = info.messages.max(end);
        let new = info.counted.filter(|_| !is_unknown).map_or(1, |counted| end.saturating_sub(counted));
        info.counted = info.counted.max(Some(end));
        new
    }

    /// Records that messages may have been stored unheard in these groups.
    pub fn doubt(&mut self, groups: &[Vertex]) {
        for info in self.topics.values_mut().filter(|info| groups.contains(&info.home)) {
            info.counted = None;
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
            counted: Some(summary.messages),
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

    #[test]
    fn each_message_counts_once_and_a_gap_in_hearing_counts_as_one() {
        let (mut book, home) = (TopicBook::default(), "100".parse().unwrap());
        let news = topic("news");
        assert_eq!(book.learn_stored(&news, home, Offset(41)), 1, "what was before is not known");
        let ends = [43, 43, 42, 50].map(|offset| book.learn_stored(&news, home, Offset(offset)));
        assert_eq!(ends, [2, 0, 0, 7], "two replicas, one of them late, and a sample");
        book.learn_list(&[summary("news", 49)], &[]);
        assert_eq!(book.topics[&news].messages, 49);
        assert_eq!(book.learn_stored(&news, home, Offset(51)), 1, "the list was older than the events");
        book.doubt(&[home]);
        assert_eq!(book.learn_stored(&news, home, Offset(900)), 1);
        book.doubt(&[home]);
        book.learn_list(&[summary("news", 1_000)], &[]);
        assert_eq!(book.learn_stored(&news, home, Offset(1_001)), 2, "the list ended the doubt");
        book.learn_created(&topic("new"), home);
        assert_eq!(book.learn_stored(&topic("new"), home, Offset(2)), 3);
    }

    #[test]
    fn the_set_of_names_changes_only_when_a_topic_comes_or_goes() {
        let (mut book, home) = (TopicBook::default(), "100".parse().unwrap());
        let mut changes = |change: &dyn Fn(&mut TopicBook)| {
            let before = book.names.clone();
            change(&mut book);
            book.names != before
        };
        assert!(changes(&|book| _ = book.learn_created(&topic("news"), home)));
        assert!(!changes(&|book| _ = book.learn_created(&topic("news"), home)));
        assert!(!changes(&|book| _ = book.learn_stored(&topic("news"), home, Offset(6))));
        assert!(!changes(&|book| book.learn_list(&[summary("news", 9)], &[])));
        assert!(changes(&|book| book.learn_list(&[summary("cricket", 1)], &[home])));
        assert!(!changes(&|book| book.learn_list(&[], &[home])), "that group could not be asked");
        assert!(changes(&|book| _ = book.learn_deleted(&topic("news"))));
        assert!(!changes(&|book| _ = book.learn_deleted(&topic("news"))));
    }

    fn summary(name: &str, messages: u64) -> TopicSummary {
        TopicSummary {
            topic: topic(name),
            owner: PublisherId::new("p").unwrap(),
            home: "100".parse().unwrap(),
            leader: None,
            messages,
            subscribers: 0,
        }
    }
}
