//! The event feed: the latest events, as texts.

use std::collections::VecDeque;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, TopicName};

use super::describe::nodes;

/// The feed keeps at most this many entries.
pub const MAX_ENTRIES: usize = 200;
/// How many entries back the feed looks for an entry about the same message.
const MERGE_DEPTH: usize = 40;
/// Stored messages of a topic within this time share one entry.
const RUSH_MS: u64 = 1_000;

/// The entries of the feed, at most [`MAX_ENTRIES`].
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Newest first.
    pub entries: VecDeque<Entry>,
    next_number: u64,
}

/// One entry of the feed.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Unique; never reused.
    pub number: u64,
    /// Milliseconds since 1970, by this page's clock.
    pub at_ms: u64,
    pub tone: Tone,
    /// Its subject; stored messages are merged by it.
    pub subject: Subject,
    pub text: String,
}

/// How an entry or a report line is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

impl Tone {
    /// The name used in the page's attributes and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Warning => "warning",
            Tone::Bad => "bad",
        }
    }
}

/// The subject of an entry.
#[derive(Clone, PartialEq, Debug)]
pub enum Subject {
    Page,
    Node(Vertex),
    Edge(Vertex, Vertex),
    Group(Vertex),
    Topic(TopicName),
    /// Stored messages: one, or the range of a burst.
    Stored {
        topic: TopicName,
        first: Offset,
        last: Offset,
        replicas: Vec<Vertex>,
    },
}

impl Feed {
    /// Adds an entry at the front and drops the oldest above [`MAX_ENTRIES`].
    pub fn add(&mut self, at_ms: u64, tone: Tone, subject: Subject, text: impl Into<String>) {
        let number = self.next_number;
        self.next_number += 1;
        self.entries.push_front(Entry { number, at_ms, tone, subject, text: text.into() });
        self.entries.truncate(MAX_ENTRIES);
    }

    /// Records that a replica stored a message. A message has one entry that lists its replicas. In a burst, the
    /// messages of one second share an entry, so the burst does not push out everything else.
    pub fn add_stored(&mut self, at_ms: u64, topic: &TopicName, offset: Offset, replica: Vertex) {
        if let Some(entry) = self.entries.iter_mut().take(MERGE_DEPTH).find(|entry| entry.tells_of(topic, offset)) {
            return entry.add_stored(offset, replica);
        }
        if let Some(entry) = self.entries.front_mut().filter(|entry| entry.is_rush_of(topic, at_ms)) {
            return entry.add_stored(offset, replica);
        }
        let subject = Subject::Stored { topic: topic.clone(), first: offset, last: offset, replicas: vec![replica] };
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

    fn add_stored(&mut self, offset: Offset, replica: Vertex) {
        if let Subject::Stored { first, last, replicas, .. } = &mut self.subject {
            (*first, *last) = (offset.min(*first), offset.max(*last));
            if !replicas.contains(&replica) {
                replicas.push(replica);
            }
        }
        self.text = stored_text(&self.subject);
    }
}

fn stored_text(subject: &Subject) -> String {
    let Subject::Stored { topic, first, last, replicas } = subject else { return String::new() };
    let offsets = if first == last { format!("#{first}") } else { format!("#{first} to #{last}") };
    format!("{topic} {offsets} stored on {}", nodes(replicas))
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
