//! The event feed: the last things that happened, in words.

use std::collections::VecDeque;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, TopicName};

/// What is older than this many entries is forgotten.
pub const MAX_ENTRIES: usize = 200;
/// A further replica that stores the same message is added to an entry this far back at most.
const MERGE_DEPTH: usize = 40;

#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Newest first.
    pub entries: VecDeque<Entry>,
    next_number: u64,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Never used twice.
    pub number: u64,
    /// Milliseconds since 1970, by this page's clock.
    pub at_ms: u64,
    pub tone: Tone,
    pub subject: Subject,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

impl Tone {
    pub fn name(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Warning => "warning",
            Tone::Bad => "bad",
        }
    }
}

/// What an entry is about.
#[derive(Clone, PartialEq, Debug)]
pub enum Subject {
    Page,
    Node(Vertex),
    Edge(Vertex, Vertex),
    Group(Vertex),
    Topic(TopicName),
    Stored { topic: TopicName, offset: Offset, holders: Vec<Vertex> },
}

impl Feed {
    pub fn add(&mut self, at_ms: u64, tone: Tone, subject: Subject, text: impl Into<String>) {
        let number = self.next_number;
        self.next_number += 1;
        self.entries.push_front(Entry { number, at_ms, tone, subject, text: text.into() });
        self.entries.truncate(MAX_ENTRIES);
    }

    /// A replica stored a message: one entry a message, naming all that have it.
    pub fn add_stored(&mut self, at_ms: u64, topic: &TopicName, offset: Offset, holder: Vertex) {
        if let Some(entry) = self.entries.iter_mut().take(MERGE_DEPTH).find(|entry| entry.tells_of(topic, offset)) {
            entry.add_holder(holder);
            return;
        }
        let subject = Subject::Stored { topic: topic.clone(), offset, holders: vec![holder] };
        self.add(at_ms, Tone::Plain, subject, stored_text(topic, offset, &[holder]));
    }
}

impl Entry {
    fn tells_of(&self, other_topic: &TopicName, other_offset: Offset) -> bool {
        matches!(&self.subject, Subject::Stored { topic, offset, .. } if topic == other_topic && *offset == other_offset)
    }

    fn add_holder(&mut self, holder: Vertex) {
        if let Subject::Stored { topic, offset, holders } = &mut self.subject {
            if !holders.contains(&holder) {
                holders.push(holder);
            }
            self.text = stored_text(topic, *offset, holders);
        }
    }
}

fn stored_text(topic: &TopicName, offset: Offset, holders: &[Vertex]) -> String {
    let holders: Vec<_> = holders.iter().map(Vertex::to_string).collect();
    format!("{topic} #{offset} stored on {}", holders.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_is_bounded_and_shows_the_newest_first() {
        let mut feed = Feed::default();
        for number in 0..MAX_ENTRIES + 5 {
            feed.add(0, Tone::Plain, Subject::Page, number.to_string());
        }
        assert_eq!(feed.entries.len(), MAX_ENTRIES);
        assert_eq!(feed.entries[0].text, (MAX_ENTRIES + 4).to_string());
    }

    #[test]
    fn replicas_that_store_the_same_message_share_an_entry() {
        let topic = TopicName::new("news").unwrap();
        let mut feed = Feed::default();
        feed.add_stored(1, &topic, Offset(3), "100".parse().unwrap());
        feed.add_stored(2, &topic, Offset(4), "100".parse().unwrap());
        feed.add_stored(3, &topic, Offset(3), "101".parse().unwrap());
        feed.add_stored(4, &topic, Offset(3), "101".parse().unwrap());
        assert_eq!(feed.entries.len(), 2);
        assert_eq!(feed.entries[1].text, "news #3 stored on 100, 101");
    }
}
