//! Counts repeated log lines, so that clients and strangers cannot fill the log and its readers still see how often
//! something happened.
//!
//! Lines are grouped by call site and by the neighbour, group or node that they are about. Within a period, a limited
//! number of lines of a group is written and the others are counted. One line reports the count when the period is
//! over. Errors are always written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, debug, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The length of a period.
pub const WHILE: Duration = Duration::from_secs(10);
/// Lines of one group that are written within a period.
pub const MOST: u32 = 20;
/// The same limit for `debug` and `trace`, which are enabled on purpose.
const MOST_DETAILS: u32 = 2_000;
/// Groups that are counted separately. Beyond this number, all lines of a call site are one group.
const KINDS: usize = 1_024;
/// Bytes of the first line's text that the summary repeats.
const TEXT: usize = 200;

/// Decides which lines are written. Clones share their counts.
#[derive(Clone, Default)]
pub struct Repeats(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kinds: Mutex<HashMap<Kind, Count>>,
    counted: Condvar,
}

/// A call site, and the nodes and groups that its line is about.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind(Identifier, String);

struct Count {
    began: Instant,
    written: u32,
    more: u64,
    level: Level,
    text: String,
}

/// The count of suppressed lines in a finished period.
#[derive(PartialEq, Eq, Debug)]
pub struct Sum {
    level: Level,
    more: u64,
    text: String,
}

impl Repeats {
    /// Whether this line is written. If not, it is counted.
    fn admits(&self, event: &Event<'_>, now: Instant) -> bool {
        let level = *event.metadata().level();
        if level == Level::ERROR || event.metadata().target() == module_path!() {
            return true;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let most = if level <= Level::INFO { MOST } else { MOST_DETAILS };
        let mut kinds = self.lock();
        if kinds.len() >= KINDS {
            kinds.retain(|_, count| count.more > 0 || now.duration_since(count.began) < WHILE);
        }
        let site = event.metadata().callsite();
        let about = if kinds.len() >= KINDS { String::new() } else { line.about };
        let count = match kinds.entry(Kind(site, about)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Count::new(level, now)),
        };
        if count.more == 0 && now.duration_since(count.began) >= WHILE {
            *count = Count::new(level, now);
        }
        if count.written < most {
            count.written += 1;
            return true;
        }
        if count.more == 0 {
            count.text = line.message;
            self.0.counted.notify_one();
        }
        count.more += 1;
        false
    }

    /// Takes the summaries of all periods that are over at `now`.
    fn take_sums(&self, now: Instant) -> Vec<Sum> {
        let mut sums = Vec::new();
        self.lock().retain(|_, count| {
            let is_over = now.duration_since(count.began) >= WHILE;
            if is_over && count.more > 0 {
                sums.push(Sum { level: count.level, more: count.more, text: std::mem::take(&mut count.text) });
            }
            !is_over
        });
        sums
    }

    /// Writes the remaining summaries, of unfinished periods too, before the process ends.
    pub fn finish(&self) {
        self.take_sums(Instant::now() + WHILE).iter().for_each(Sum::tell);
    }

    /// Writes summaries for as long as the process runs. It sleeps while no line is suppressed.
    pub fn keep_telling(&self) {
        loop {
            let mut kinds = self.lock();
            while kinds.values().all(|count| count.more == 0) {
                kinds = self.0.counted.wait(kinds).unwrap_or_else(PoisonError::into_inner);
            }
            let next = kinds.values().filter(|count| count.more > 0).map(|count| count.began + WHILE).min();
            drop(kinds);
            std::thread::sleep(next.map_or(WHILE, |next| next.saturating_duration_since(Instant::now())));
            self.take_sums(Instant::now()).iter().for_each(Sum::tell);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Count>> {
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.admits(event, Instant::now())
    }
}

impl Count {
    fn new(level: Level, began: Instant) -> Count {
        Count { began, written: 0, more: 0, level, text: String::new() }
    }
}

impl Sum {
    fn tell(&self) {
        let Sum { level, more, text } = self;
        let seconds = WHILE.as_secs();
        match *level {
            Level::WARN => warn!(more, "{more} more lines like this one within {seconds} s: {text}"),
            Level::INFO => info!(more, "{more} more lines like this one within {seconds} s: {text}"),
            _ => debug!(more, "{more} more lines like this one within {seconds} s: {text}"),
        }
    }
}

/// The relevant parts of a line: its message, and the nodes and groups that it is about. Names chosen by clients do not
/// separate groups.
#[derive(Default)]
struct Line {
    message: String,
    about: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => {
                self.message = format!("{value:?}");
                self.message.truncate(self.message.floor_char_boundary(TEXT));
            }
            // A client chooses the subject of a request; that subject is a string. The subjects here are nodes and
            // groups.
            "peer" | "group" | "subject" => {
                let _ = write!(self.about, "{value:?} ");
            }
            _ => {}
        }
    }

    fn record_str(&mut self, _: &Field, _: &str) {}
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Runs `log`, whose lines all fall into one period, and returns the summaries.
    fn sums(log: impl FnOnce()) -> Vec<Sum> {
        let repeats = Repeats::default();
        let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish().with(repeats.clone());
        tracing::subscriber::with_default(subscriber, log);
        assert_eq!(repeats.take_sums(Instant::now()), [], "the while is not over");
        let sums = repeats.take_sums(Instant::now() + WHILE);
        assert_eq!(repeats.take_sums(Instant::now() + WHILE), [], "each is told once");
        sums
    }

    fn sum(level: Level, more: u64, text: &str) -> Sum {
        Sum { level, more, text: text.into() }
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted_with_the_first_text_left_out() {
        let told = sums(|| (0..MOST + 5).for_each(|number| warn!("refused {number}")));
        assert_eq!(told, [sum(Level::WARN, 5, &format!("refused {MOST}"))]);
        assert_eq!(sums(|| (0..MOST).for_each(|number| warn!("refused {number}"))), []);
    }

    #[test]
    fn each_call_site_and_each_vertex_has_a_limit_of_its_own_and_names_have_none() {
        let told = sums(|| {
            for number in 0..MOST {
                info!("one site {number}");
                info!("another {number}");
                info!(peer = %"000", "of a neighbour");
            }
            info!(peer = %"001", "of a neighbour");
        });
        assert_eq!(told, []);
        let told =
            sums(|| (0..=MOST).for_each(|number| info!(topic = %format!("t{number}"), subject = "x", "a topic")));
        assert_eq!(told, [sum(Level::INFO, 1, "a topic")]);
    }

    #[test]
    fn no_error_is_left_out() {
        assert_eq!(sums(|| (0..10 * MOST).for_each(|_| tracing::error!("lost"))), []);
    }

    #[test]
    fn kinds_are_bounded() {
        let repeats = Repeats::default();
        let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish().with(repeats.clone());
        tracing::subscriber::with_default(subscriber, || {
            (0..3 * KINDS).for_each(|number| info!(group = %number, "a group"));
        });
        assert!(repeats.lock().len() <= KINDS + 1);
    }
}
