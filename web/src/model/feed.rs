//! The event feed: the last things that happened, in words.

use std::collections::VecDeque;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, TopicName};

use super::describe::nodes;

/// What is older than this many entries is forgotten.
pub const MAX_ENTRIES: usize = 200;
/// A further replica that stores the same message is added to an entry this far back at most.
const MERGE_DEPTH: usize = 40;
/// Messages of a topic that come within this time are a rush.
const RUSH_MS: u64 = 1_000;

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
    /// Messages that replicas stored: one, or those of a rush.
    Stored {
        topic: TopicName,
        first: Offset,
        last: Offset,
        holders: Vec<Vertex>,
    },
}

impl Feed {
    pub fn add(&mut self, at_ms: u64, tone: Tone, subject: Subject, text: impl Into<String>) {
        let number = self.next_number;
        self.next_number += 1;
        self.entries.push_front(Entry { number, at_ms, tone, subject, text: text.into() });
        self.entries.truncate(MAX_ENTRIES);
    }

    /// A replica stored a message: one entry a message, naming all that have it; in a rush, one entry for all that come
    /// within a second, so that the rush does not push everything else out.
    pub fn add_stored(&mut self, at_ms: u64, topic: &TopicName, offset: Offset, holder: Vertex) {
        if let Some(entry) = self.entries.iter_mut().take(MERGE_DEPTH).find(|entry| entry.tells_of(topic, offset)) {
            return entry.add_stored(offset, holder);
        }
        if let Some(entry) = self.entries.front_mut().filter(|entry| entry.is_rush_of(topic, at_ms)) {
            return entry.add_stored(offset, holder);
        }
        let subject = Subject::Stored { topic: topic.clone(), first: offset, last: offset, holders: vec![holder] };
        let text = stored_text(&subject);
        self.add(at_ms, Tone::Plain, subject, text);
    }
}

impl Entry {
    fn tells_of(&self, other: &TopicName, offset: Offset) -> bool {
        matches!(&self.subject, Subject::Stored { topic, first, last, .. }
            if topic == other && (*first..=*last).contains(&offset))
    }

    fn is_rush_of(&self, other: &TopicName, at_ms: u64) -> bool {
        let is_recent = at_ms < self.at_ms + RUSH_MS;
        is_recent && matches!(&self.subject, Subject::Stored { topic, .. } if topic == other)
    }

    fn add_stored(&mut self, offset: Offset, holder: Vertex) {
        if let Subject::Stored { first, last, holders, .. } = &mut self.subject {
            (*first, *last) = (offset.min(*first), offset.max(*last));
            if !holders.contains(&holder) {
                holders.push(holder);
            }
        }
        self.text = stored_text(&self.subject);
    }
}

fn stored_text(subject: &Subject) -> String {
    let Subject::Stored { topic, first, last, holders } = subject else { return String::new() };
    let offsets = if first == last { format!("#{first}") } else { format!("#{first} to #{last}") };
    format!("{topic} {offsets} stored on {}", nodes(holders))
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
        feed.add_stored(1 + RUSH_MS, &topic, Offset(4), "100".parse().unwrap());
        feed.add_stored(3, &topic, Offset(3), "101".parse().unwrap());
        feed.add_stored(4, &topic, Offset(3), "101".parse().unwrap());
        assert_eq!(feed.entries.len(), 2);
        assert_eq!(feed.entries[1].text, "news #3 stored on 100, 101");
    }

    #[test]
    fn a_rush_of_messages_is_one_entry_and_leaves_the_others_in_sight() {
        let topic = TopicName::new("news").unwrap();
        let mut feed = Feed::default();
        feed.add(0, Tone::Bad, Subject::Page, "100 crashes");
        for offset in 0..5_000 {
            feed.add_stored(offset / 10, &topic, Offset(offset), "100".parse().unwrap());
        }
        assert_eq!(feed.entries.len(), 2);
        assert_eq!(feed.entries[0].text, "news #0 to #4999 stored on 100");
        feed.add_stored(RUSH_MS, &topic, Offset(5_000), "100".parse().unwrap());
        assert_eq!(feed.entries.len(), 3, "the next second has an entry of its own");
    }
}
