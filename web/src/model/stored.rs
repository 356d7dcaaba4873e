//! The stored messages that the user looks at: one page of a topic.

use cubecast_core::names::TopicName;
use cubecast_core::wire::answer::{Answer, Done, Message};

use super::seek::PAGE;
use crate::format::grouped;

/// Messages that were read together.
#[derive(Clone, Debug)]
pub struct StoredPage {
    pub topic: TopicName,
    /// In the order of the topic, without gaps.
    pub messages: Vec<Message>,
    /// The offset at which the topic ended when they were read.
    pub end: u64,
}

/// Messages to read: from an offset on, this many.
pub type Range = (u64, u32);

impl StoredPage {
    /// The messages of an answer to a read; `None` if it is another answer.
    pub fn of(answer: &Answer) -> Option<StoredPage> {
        match &answer.result {
            Ok(Done::Pulled { topic, messages, end, .. }) => {
                Some(StoredPage { topic: topic.clone(), messages: messages.clone(), end: end.0 })
            }
            _ => None,
        }
    }

    /// Which messages of how many, for example `#120 to #219 of 4 031`. `known`: the number of messages as known now.
    pub fn words(&self, known: u64) -> Option<String> {
        let (first, last) = self.ends()?;
        let all = grouped(known.max(self.end));
        Some(match first == last {
            true => format!("#{} of {all}", grouped(first)),
            false => format!("#{} to #{} of {all}", grouped(first), grouped(last)),
        })
    }

    /// The messages before these. They end where these begin.
    pub fn older(&self) -> Option<Range> {
        let (first, _) = self.ends().filter(|(first, _)| *first > 0)?;
        let count = first.min(u64::from(PAGE));
        Some((first - count, count as u32))
    }

    /// The messages after these.
    pub fn newer(&self, known: u64) -> Option<Range> {
        let (_, last) = self.ends()?;
        (last + 1 < known.max(self.end)).then_some((last + 1, PAGE))
    }

    fn ends(&self) -> Option<(u64, u64)> {
        Some((self.messages.first()?.offset.0, self.messages.last()?.offset.0))
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::Offset;
    use cubecast_core::time::Timestamp;

    use super::*;

    fn page(offsets: std::ops::Range<u64>, end: u64) -> StoredPage {
        let message = |offset| Message {
            offset: Offset(offset),
            publisher: "writer".parse().unwrap(),
            content: "hello".into(),
            time: Timestamp(0),
        };
        StoredPage { topic: "news".parse().unwrap(), messages: offsets.map(message).collect(), end }
    }

    #[test]
    fn a_page_says_what_it_shows_of_how_many() {
        let middle = page(120..220, 4_031);
        assert_eq!(middle.words(0).as_deref(), Some("#120 to #219 of 4\u{202f}031"));
        assert_eq!(middle.words(5_000).as_deref(), Some("#120 to #219 of 5\u{202f}000"), "more have come");
        assert_eq!(page(7..8, 9).words(0).as_deref(), Some("#7 of 9"));
        assert_eq!(page(0..0, 0).words(0), None);
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_or_a_repeat() {
        let middle = page(120..220, 4_031);
        assert_eq!((middle.older(), middle.newer(0)), (Some((20, 100)), Some((220, 100))));
        let low = page(20..120, 4_031);
        assert_eq!(low.older(), Some((0, 20)));
        assert_eq!(page(0..20, 4_031).older(), None);
        let last = page(4_000..4_031, 4_031);
        assert_eq!((last.newer(4_031), last.newer(4_032)), (None, Some((4_031, 100))));
    }
}
