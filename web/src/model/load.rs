//! A small load generator: publishes at a given rate with at most [`MAX_UNDER_WAY`] unanswered publishes, and reports
//! the results.
//!
//! [`Pacer`] decides when to send; the owner of the connection (or of the simulated cluster) sends. Messages that were
//! due while the limit was reached are skipped and not sent later, so the achieved rate drops below the requested rate
//! and is shown.

use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::wire::client::{self, Ack};
use serde::{Deserialize, Serialize};

use super::tasks::{self, Refusal};

/// Messages a second.
pub const MAX_RATE: u32 = 2_000;
/// Bytes of a message.
pub const MAX_BYTES: u32 = 65_536;
/// Limit of unanswered publishes; more would only wait in a queue.
pub const MAX_UNDER_WAY: u32 = 256;
/// Milliseconds. After a stall, only the messages of this time are still sent.
const MOST_CATCH_UP_MS: f64 = 100.0;

/// What the generator publishes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LoadPlan {
    pub topic: TopicName,
    pub publisher: PublisherId,
    /// Messages a second, at most [`MAX_RATE`].
    pub rate: u32,
    /// Bytes of each message, at most [`MAX_BYTES`].
    pub bytes: u32,
    /// When a publish counts as done.
    pub ack: Ack,
}

/// Results since the previous sample.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LoadSample {
    /// Publishes sent.
    pub sent: u32,
    /// Latency of each acknowledged publish, milliseconds.
    pub took_ms: Vec<f64>,
    /// Time until the failure of each failed publish, milliseconds.
    pub failed_after_ms: Vec<f64>,
    /// The text of the newest failure.
    pub last_error: Option<String>,
    /// Publishes without an answer now.
    pub under_way: u32,
}

/// The current state of the load generator.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Load {
    /// `None` while it is stopped.
    pub plan: Option<LoadPlan>,
    /// Publishes sent since the start.
    pub sent: u64,
    /// Publishes acknowledged since the start.
    pub done: u64,
    /// Publishes failed since the start.
    pub failed: u64,
    /// Publishes without an answer now.
    pub under_way: u32,
    /// The text of the newest failure; cleared by the next sample without one.
    pub last_error: Option<String>,
    /// Why it stopped, if it stopped by itself.
    pub stopped: Option<String>,
    /// Publishes acknowledged in the last whole second.
    pub achieved: u32,
    counting: (u64, u32),
}

/// Decides how many messages are due. Times are milliseconds.
#[derive(Clone, PartialEq, Debug)]
pub struct Pacer {
    rate: u32,
    last_ms: f64,
    owed: f64,
    under_way: u32,
}

impl LoadPlan {
    /// A plan with rate and size limited to their maximum. Errors: why a name is invalid.
    pub fn new(publisher: &str, topic: &str, rate: u32, bytes: u32, ack: Ack) -> Result<LoadPlan, Refusal> {
        let (publisher, topic) = (tasks::publisher_id(publisher)?, tasks::topic_name(topic)?);
        Ok(LoadPlan { topic, publisher, rate: rate.min(MAX_RATE), bytes: bytes.min(MAX_BYTES), ack })
    }

    /// The message with this number: it contains the number and is `bytes` long, or longer if the number needs it.
    pub fn publish(&self, number: u64) -> client::Action {
        let mut content = format!("load {number} ");
        while (content.len() as u32) < self.bytes {
            content.push('·');
        }
        let end = (self.bytes as usize).max(format!("load {number}").len());
        content.truncate(content.floor_char_boundary(end));
        let (publisher, topic) = (self.publisher.clone(), self.topic.clone());
        client::Action::Write(client::Write::Publish {
            publisher,
            topic,
            content: content.into(),
            ack: self.ack,
            sequence: None,
        })
    }
}

impl Pacer {
    /// A pacer without messages in flight.
    pub fn new(rate: u32, now_ms: f64) -> Pacer {
        Pacer { rate, last_ms: now_ms, owed: 0.0, under_way: 0 }
    }

    /// Changes the rate; messages in flight stay counted.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
    }

    /// How many messages to send now. They count as unanswered until [`Pacer::note_done`] is called for each.
    pub fn due(&mut self, now_ms: f64) -> u32 {
        let passed_ms = (now_ms - self.last_ms).clamp(0.0, MOST_CATCH_UP_MS);
        self.last_ms = now_ms;
        self.owed += f64::from(self.rate) * passed_ms / 1_000.0;
        let whole = self.owed.floor();
        self.owed -= whole;
        let due = (whole as u32).min(MAX_UNDER_WAY - self.under_way);
        self.under_way += due;
        due
    }

    /// Records one answer, successful or not.
    pub fn note_done(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Number of unanswered messages.
    pub fn under_way(&self) -> u32 {
        self.under_way
    }
}

impl Load {
    /// Starts with fresh counters, or changes the plan of a running load.
    pub fn start(&mut self, plan: LoadPlan) {
        if self.plan.is_none() {
            *self = Load::default();
        }
        self.plan = Some(plan);
    }

    /// Stops; `why`: the reason if it stopped by itself.
    pub fn stop(&mut self, why: Option<String>) {
        (self.plan, self.stopped, self.under_way, self.achieved) = (None, why, 0, 0);
    }

    /// Adds the results of a sample.
    pub fn add(&mut self, now_ms: u64, sample: &LoadSample) {
        let done = sample.took_ms.len() as u32;
        self.sent += u64::from(sample.sent);
        self.done += u64::from(done);
        self.failed += sample.failed_after_ms.len() as u64;
        self.under_way = sample.under_way;
        // A sample with successes and no failure clears the error.
        if sample.last_error.is_some() || done > 0 {
            self.last_error.clone_from(&sample.last_error);
        }
        let second = now_ms / 1_000;
        match self.counting {
            (counted, _) if counted == second => self.counting.1 += done,
            (counted, count) => {
                self.achieved = if counted + 1 == second { count } else { 0 };
                self.counting = (second, done);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_sent_as_the_rate_says_however_the_ticks_fall() {
        for step_ms in [3.0, 20.0, 33.0, 90.0] {
            let mut pacer = Pacer::new(777, 0.0);
            let (mut now_ms, mut sent) = (0.0, 0);
            while now_ms < 10_000.0 {
                now_ms += step_ms;
                let due = pacer.due(now_ms);
                sent += due;
                (0..due).for_each(|_| pacer.note_done());
            }
            assert!((f64::from(sent) / (now_ms / 1_000.0) - 777.0).abs() < 1.0, "{sent} in {now_ms} ms");
        }
    }

    #[test]
    fn no_more_is_under_way_than_the_limit_and_what_could_not_be_sent_is_not_made_up_for() {
        let mut pacer = Pacer::new(2_000, 0.0);
        let sent: u32 = (1..200).map(|tick| pacer.due(f64::from(tick) * 50.0)).sum();
        assert_eq!((sent, pacer.under_way()), (MAX_UNDER_WAY, MAX_UNDER_WAY));
        (0..MAX_UNDER_WAY).for_each(|_| pacer.note_done());
        assert_eq!(pacer.due(199.0 * 50.0 + 10.0), 20);
    }

    #[test]
    fn a_stall_is_followed_by_no_burst() {
        let mut pacer = Pacer::new(1_000, 0.0);
        assert_eq!(pacer.due(60_000.0), 100);
    }

    #[test]
    fn a_message_is_as_long_as_asked_for_and_tells_its_number() {
        let plan = |bytes| LoadPlan::new("p", "news", 10, bytes, Ack::One).unwrap();
        for (bytes, longest, shortest) in [(0, 8, 8), (100, 100, 98), (1_000, 1_000, 998)] {
            let client::Action::Write(client::Write::Publish { content, .. }) = plan(bytes).publish(123) else {
                panic!()
            };
            assert!(content.starts_with("load 123") && (shortest..=longest).contains(&content.len()), "{content:?}");
        }
    }

    #[test]
    fn what_is_no_topic_or_too_much_is_not_taken() {
        assert!(LoadPlan::new("p", "", 10, 10, Ack::One).is_err());
        let plan = LoadPlan::new("p", "news", 1_000_000, u32::MAX, Ack::All).unwrap();
        assert_eq!((plan.rate, plan.bytes), (MAX_RATE, MAX_BYTES));
    }

    #[test]
    fn the_achieved_rate_is_that_of_the_last_whole_second() {
        let mut load = Load::default();
        let sample = |done| LoadSample { took_ms: vec![1.0; done], ..LoadSample::default() };
        for (now_ms, done) in [(1_000, 10), (1_500, 30), (2_000, 5)] {
            load.add(now_ms, &sample(done));
        }
        assert_eq!((load.achieved, load.done), (40, 45));
        load.add(9_000, &sample(0));
        assert_eq!(load.achieved, 0, "nothing came meanwhile");
    }

    #[test]
    fn a_moved_slider_goes_on_counting_and_a_new_start_counts_anew() {
        let plan = |rate| LoadPlan::new("p", "news", rate, 10, Ack::One).unwrap();
        let mut load = Load::default();
        load.start(plan(10));
        load.add(1_000, &LoadSample { sent: 3, ..LoadSample::default() });
        load.start(plan(20));
        assert_eq!(load.sent, 3);
        load.stop(Some("the page is hidden".into()));
        assert_eq!((load.plan.is_none(), load.stopped.as_deref()), (true, Some("the page is hidden")));
        load.start(plan(20));
        assert_eq!((load.sent, load.stopped), (0, None));
    }
}
