//! "Go to": which stored messages to show, as typed, and how to find them with few reads.
//!
//! A read returns messages from an offset on; no request finds a time. [`Seek`] finds one by bisection with reads of
//! single messages: it needs at most [`MAX_READS`] reads, and about 2 + log2 of the number of messages. The times of a
//! topic never decrease (docs/PROTOCOL.md, pull), but may be equal: a leader whose clock was set back repeats the
//! latest time. So the message that is found is the first at or after the time. If times did decrease, the search would
//! still end, at a message at or after the time whose predecessor is before it.

use cubecast_core::names::Offset;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::Message;
use serde::{Deserialize, Serialize};

/// Messages of one page.
pub const PAGE: u32 = 100;
/// The first and the last message, one for each bit of an offset, and the page.
pub const MAX_READS: u32 = 2 + u64::BITS + 1;

const SECOND_MS: u64 = 1_000;
const DAY_MS: u64 = 86_400 * SECOND_MS;

/// A place in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Position {
    /// This message and the following ones.
    Offset(Offset),
    /// The last messages, this many.
    Last(u64),
    /// The first message at or after this time.
    Time(Timestamp),
}

/// A read of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadFrom {
    pub from: Offset,
    pub max: u32,
}

/// A search under way: [`Seek::next`] returns the next read, and [`Seek::learn`] takes its result.
#[derive(Clone, PartialEq, Debug)]
pub struct Seek {
    pub position: Position,
    /// Messages to show.
    max: u32,
    stage: Stage,
    /// Number of reads whose result was learned.
    pub reads: u32,
}

/// The purpose of the next read.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    /// The first message, and where the topic ends.
    First,
    /// The last message.
    Last(u64),
    /// The message between them. The one at `before` is before the time, the one at `after` is not.
    Between { before: u64, after: u64 },
    /// The messages to show.
    Page(u64),
}

/// The next action after a read.
#[derive(Clone, PartialEq, Debug)]
pub enum Progress {
    /// More reads are needed.
    GoOn,
    /// The read returned the messages to show.
    Done,
    Failed(NotFound),
}

/// Why there is nothing to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotFound {
    Empty,
    /// The topic ends before this offset; its last message is the one before `end`.
    PastEnd {
        end: Offset,
    },
    /// The first message is later.
    BeforeFirst {
        offset: Offset,
        time: Timestamp,
    },
    /// The last message is earlier.
    AfterLast {
        offset: Offset,
        time: Timestamp,
    },
    /// The node that was read cannot return this message now.
    Unreadable(Offset),
}

impl Position {
    /// Reads what was typed: `#120` or `120`, `-100`, `14:03` or `14:03:22` (UTC, within the last 24 hours), `10m ago`.
    /// Errors: it is none of these; the text for the user has examples.
    pub fn parse(text: &str, now_ms: u64) -> Result<Position, String> {
        let text = text.trim();
        let position = match (text.strip_prefix('#'), text.strip_prefix('-')) {
            (Some(offset), _) => number(offset).map(|offset| Position::Offset(Offset(offset))),
            (_, Some(count)) => number(count).filter(|count| *count > 0).map(Position::Last),
            _ if text.contains(':') => clock_time(text, now_ms).map(Position::at_ms),
            _ => number(text)
                .map(|offset| Position::Offset(Offset(offset)))
                .or_else(|| ago(text).map(|ago_ms| Position::at_ms(now_ms.saturating_sub(ago_ms)))),
        };
        position.ok_or_else(|| {
            "Type an offset (#120), the last messages (-100), a time in UTC (14:03 or 14:03:22), or an age (10m ago)."
                .to_owned()
        })
    }

    fn at_ms(at_ms: u64) -> Position {
        Position::Time(Timestamp(at_ms.saturating_mul(1_000)))
    }
}

/// Digits, in groups if they were copied from the page.
fn number(text: &str) -> Option<u64> {
    let is_separator = |c: char| matches!(c, ' ' | ',' | '\u{202f}');
    let digits: String = text.chars().filter(|c| !is_separator(*c)).collect();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The last moment with this time of day, milliseconds since 1970.
fn clock_time(text: &str, now_ms: u64) -> Option<u64> {
    let mut parts = text.split(':');
    let mut part = |limit: u64| parts.next().and_then(plain_number).filter(|part| *part < limit);
    let (hours, minutes) = (part(24)?, part(60)?);
    let seconds = if text.matches(':').count() == 2 { part(60)? } else { 0 };
    if parts.next().is_some() {
        return None;
    }
    let today_ms = now_ms / DAY_MS * DAY_MS + (hours * 3_600 + minutes * 60 + seconds) * SECOND_MS;
    Some(if today_ms > now_ms { today_ms.saturating_sub(DAY_MS) } else { today_ms })
}

/// `10m ago`, `90 s`: milliseconds.
fn ago(text: &str) -> Option<u64> {
    let age = text.strip_suffix("ago").unwrap_or(text).trim_end();
    let (count, unit) = age.split_at(age.len() - age.chars().next_back()?.len_utf8());
    let unit_ms = match unit {
        "s" => SECOND_MS,
        "m" => 60 * SECOND_MS,
        "h" => 3_600 * SECOND_MS,
        "d" => DAY_MS,
        _ => return None,
    };
    plain_number(count.trim_end())?.checked_mul(unit_ms)
}

/// One or more digits.
fn plain_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Seek {
    /// `max`: the number of messages to show.
    pub fn new(position: Position, max: u32) -> Seek {
        let stage = match position {
            Position::Offset(offset) => Stage::Page(offset.0),
            Position::Last(_) | Position::Time(_) => Stage::First,
        };
        Seek { position, max, stage, reads: 0 }
    }

    /// The next read.
    pub fn next(&self) -> ReadFrom {
        let (from, max) = match self.stage {
            Stage::First => (0, 1),
            Stage::Last(offset) => (offset, 1),
            Stage::Between { before, after } => (before + (after - before) / 2, 1),
            Stage::Page(from) => (from, self.max),
        };
        ReadFrom { from: Offset(from), max }
    }

    /// Takes the messages that the read returned, and the offset at which the topic ended then.
    pub fn learn(&mut self, messages: &[Message], end: Offset) -> Progress {
        let asked = self.next().from;
        self.reads += 1;
        let Some(first) = messages.first() else {
            return Progress::Failed(match end.0 {
                0 => NotFound::Empty,
                _ if asked >= end => NotFound::PastEnd { end },
                _ => NotFound::Unreadable(asked),
            });
        };
        match (self.stage, self.position) {
            (Stage::Page(_), _) => return Progress::Done,
            (_, Position::Last(count)) => self.stage = Stage::Page(end.0.saturating_sub(count)),
            (_, Position::Offset(offset)) => self.stage = Stage::Page(offset.0),
            (stage, Position::Time(time)) => return self.compare(stage, first, end.0, time),
        }
        Progress::GoOn
    }

    fn compare(&mut self, stage: Stage, found: &Message, end: u64, time: Timestamp) -> Progress {
        let (offset, is_before) = (found.offset, found.time < time);
        let (before, after) = match (stage, is_before) {
            (Stage::First, false) if found.time > time => {
                return Progress::Failed(NotFound::BeforeFirst { offset, time: found.time });
            }
            (Stage::First, false) => return self.show(offset.0),
            (Stage::First, true) if end > 1 => {
                self.stage = Stage::Last(end - 1);
                return Progress::GoOn;
            }
            (Stage::First | Stage::Last(_), true) => {
                return Progress::Failed(NotFound::AfterLast { offset, time: found.time });
            }
            (Stage::Last(last), false) => (0, last),
            (Stage::Between { after, .. }, true) => (offset.0, after),
            (Stage::Between { before, .. }, false) => (before, offset.0),
            (Stage::Page(_), _) => return Progress::Done,
        };
        if after <= before + 1 {
            return self.show(after);
        }
        self.stage = Stage::Between { before, after };
        Progress::GoOn
    }

    fn show(&mut self, from: u64) -> Progress {
        self.stage = Stage::Page(from);
        Progress::GoOn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 14:05:00 UTC.
    const NOW_MS: u64 = 1_795_356_300_000;

    fn position(text: &str) -> Option<Position> {
        Position::parse(text, NOW_MS).ok()
    }

    fn offset(offset: u64) -> Option<Position> {
        Some(Position::Offset(Offset(offset)))
    }

    fn before_now(seconds: u64) -> Option<Position> {
        Some(Position::at_ms(NOW_MS - seconds * 1_000))
    }

    #[test]
    fn offsets_are_read_with_and_without_their_sign_and_as_the_page_writes_them() {
        for text in ["#123", "123", " 123 ", "# 123"] {
            assert_eq!(position(text), offset(123), "{text}");
        }
        assert_eq!(position("4\u{202f}031"), offset(4_031));
        assert_eq!(position("#4,031"), offset(4_031));
        assert_eq!(position("-100"), Some(Position::Last(100)));
    }

    #[test]
    fn a_time_of_day_is_the_last_one_and_an_age_counts_back_from_now() {
        assert_eq!(position("14:03"), before_now(120));
        assert_eq!(position("14:03:22"), before_now(98));
        assert_eq!(position("14:05"), before_now(0));
        assert_eq!(position("14:06"), before_now(86_400 - 60), "it was yesterday");
        assert_eq!(position("00:00"), before_now(14 * 3_600 + 300));
        for text in ["10m ago", "10m", "10 m ago", "600s ago"] {
            assert_eq!(position(text), before_now(600), "{text}");
        }
        assert_eq!(position("2h ago"), before_now(7_200));
        assert_eq!(position("3d ago"), before_now(3 * 86_400));
    }

    #[test]
    fn everything_else_is_refused_with_examples() {
        let wrong = [
            "",
            "#",
            "-",
            "-0",
            "-x",
            "x",
            "ago",
            "m",
            "m ago",
            "1x ago",
            "24:00",
            "14:60",
            "14:03:60",
            "14:",
            ":03",
            "1:2:3:4",
            "14:03:",
            "+5",
            "#-5",
            "--5",
            "1.5",
            "99999999999999999999",
            "99999999999999999999d ago",
            "é",
        ];
        for text in wrong {
            assert_eq!(position(text), None, "{text}");
        }
        assert!(Position::parse("x", NOW_MS).unwrap_err().contains("10m ago"));
    }

    #[test]
    fn an_offset_is_read_at_once_and_the_last_messages_after_a_look_at_the_end() {
        let times = [1; 250];
        assert_eq!(find(&times, Position::Offset(Offset(120))), Ok((120, 1)));
        assert_eq!(find(&times, Position::Last(100)), Ok((150, 2)));
        assert_eq!(find(&times, Position::Last(1_000)), Ok((0, 2)));
        let end = Offset(250);
        assert_eq!(find(&times, Position::Offset(end)), Err(NotFound::PastEnd { end }));
        for position in [Position::Offset(Offset(0)), Position::Last(5), Position::Time(Timestamp(5))] {
            assert_eq!(find(&[], position), Err(NotFound::Empty));
        }
    }

    #[test]
    fn a_time_is_found_with_few_reads_and_it_is_the_first_message_at_or_after_it() {
        let times: Vec<u64> = (0..4_031).map(|number| 1_000 + 10 * number).collect();
        for time in [1_000, 1_001, 1_010, 20_000, 20_001, 41_299, 41_300] {
            let right = times.partition_point(|other| *other < time) as u64;
            let (found, reads) = find(&times, Position::Time(Timestamp(time))).unwrap();
            assert_eq!(found, right, "{time}");
            assert!(reads <= 2 + 12 + 1, "{reads} reads");
        }
    }

    /// The clock of the leader was set back at offset 3, so its messages have the time of the latest one.
    #[test]
    fn of_messages_with_equal_times_the_first_is_found() {
        let times = [10, 20, 30, 30, 30, 30, 31, 40];
        let at = |time| find(&times, Position::Time(Timestamp(time))).map(|(found, _)| found);
        assert_eq!([at(20), at(21), at(30), at(31), at(32)], [Ok(1), Ok(2), Ok(2), Ok(6), Ok(7)]);
        assert_eq!(find(&[7; 1_000], Position::Time(Timestamp(7))).unwrap().0, 0);
    }

    #[test]
    fn a_time_outside_of_the_topic_is_told_with_the_message_that_is_nearest() {
        let times = [10, 20, 30];
        let at = |times: &[u64], time| find(times, Position::Time(Timestamp(time))).unwrap_err();
        assert_eq!(at(&times, 9), NotFound::BeforeFirst { offset: Offset(0), time: Timestamp(10) });
        assert_eq!(at(&times, 31), NotFound::AfterLast { offset: Offset(2), time: Timestamp(30) });
        assert_eq!(at(&[10], 11), NotFound::AfterLast { offset: Offset(0), time: Timestamp(10) });
    }

    /// Cubecast promises that times do not decrease. Without that promise the search still ends within its limit, at a
    /// message that is not before the time, behind one that is.
    #[test]
    fn if_times_did_decrease_the_search_would_end_all_the_same() {
        let times: Vec<u64> = (0..1_000).map(|number: u64| 100 + number * 7_919 % 997).collect();
        for time in (101..1_000).step_by(13) {
            match find(&times, Position::Time(Timestamp(time))) {
                Ok((found, reads)) => {
                    assert!(times[found as usize] >= time && times[found as usize - 1] < time, "{time}: #{found}");
                    assert!(reads <= MAX_READS);
                }
                Err(why) => assert!(matches!(why, NotFound::AfterLast { offset: Offset(999), .. }), "{why:?}"),
            }
        }
    }

    #[test]
    fn the_largest_topic_needs_no_more_reads_than_the_limit() {
        let mut seek = Seek::new(Position::Time(Timestamp(u64::MAX)), PAGE);
        let end = Offset(u64::MAX);
        loop {
            let read = seek.next();
            let time = if read.from.0 == u64::MAX - 1 { u64::MAX } else { read.from.0 };
            match seek.learn(&[message(read.from.0, time)], end) {
                Progress::GoOn => {}
                other => break assert_eq!(other, Progress::Done),
            }
        }
        assert_eq!(seek.next().from, Offset(u64::MAX - 1));
        assert!(seek.reads <= MAX_READS && seek.reads > 60, "{} reads", seek.reads);
    }

    #[test]
    fn a_damaged_message_ends_the_search() {
        let mut seek = Seek::new(Position::Offset(Offset(3)), PAGE);
        assert_eq!(seek.learn(&[], Offset(9)), Progress::Failed(NotFound::Unreadable(Offset(3))));
    }

    /// The first message to show, and the number of reads, of a topic whose messages have these times.
    fn find(times: &[u64], position: Position) -> Result<(u64, u32), NotFound> {
        let mut seek = Seek::new(position, PAGE);
        loop {
            let read = seek.next();
            let (from, max) = (read.from.0 as usize, read.max as usize);
            let found = times.iter().enumerate().skip(from).take(max);
            let messages: Vec<Message> = found.map(|(at, time)| message(at as u64, *time)).collect();
            match seek.learn(&messages, Offset(times.len() as u64)) {
                Progress::GoOn => assert!(seek.reads < MAX_READS, "it does not end"),
                Progress::Done => return Ok((read.from.0, seek.reads)),
                Progress::Failed(why) => return Err(why),
            }
        }
    }

    fn message(offset: u64, time: u64) -> Message {
        Message {
            offset: Offset(offset),
            publisher: "writer".parse().unwrap(),
            content: "hello".into(),
            time: Timestamp(time),
        }
    }
}
