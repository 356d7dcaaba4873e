//! Charts: the cluster's activity in each of the last [`SECONDS`] seconds, and the results of this page's publishes.
//!
//! Throughput is the movement of the replicas' end offsets, so sampled events give the same result as all events.
//! Latency is measured at both ends: by this page, from its request to the answer; and by the nodes, from a request's
//! arrival to its answer (if events are sampled, for requests with both events). A second is summed up once it is over.
//! It takes about 100 bytes plus 24 for each node, each of the [`MAX_TOPICS`] busiest topics and each of the
//! [`MAX_SUBSCRIPTIONS`] subscriptions, so ten minutes of 64 nodes stay below 2 MB.

mod lag;
mod meter;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use cubecast_core::identity::{HostId, TraceId};
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::wire::event::{Event, WatchEvent};

use super::feed::Fact;
use super::load::LoadSample;
use super::shared::Shared;
use lag::Lags;
pub use lag::{Lag, MAX_SUBSCRIPTIONS, Subscription};
pub use meter::{Meter, Percentiles};

/// Ten minutes.
pub const SECONDS: usize = 600;
/// Topics that are charted per second.
pub const MAX_TOPICS: usize = 24;
/// Limits of remembered end offsets and of requests in flight.
const MAX_ENDS: usize = 4_096;
const MAX_UNDER_WAY: usize = 4_096;
/// Milliseconds. While a slower publish is in flight, the cluster counts as slow.
pub const SLOW_MS: f64 = 1_000.0;
/// Faults that are named per second; further ones are counted.
pub const MAX_FAULTS: usize = 12;
/// While the page did nothing for this long, lags are not known.
const MOST_CARRIED_S: u64 = 3;

/// The state of the charts tab.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Charts {
    /// Completed seconds, oldest first. Changes once a second.
    pub history: Shared<History>,
    present: Present,
    /// The end offset of each replica; only its advance counts as new messages.
    ends: BTreeMap<TopicName, BTreeMap<HostId, u64>>,
    /// Number of entries in `ends`.
    ends_known: usize,
    under_way: BTreeMap<TraceId, UnderWay>,
    lags: Lags,
    /// Whether some events do not reach this page: they are sampled, or a node is not connected.
    is_partial: bool,
}

/// The completed seconds.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Oldest first, at most [`SECONDS`].
    pub seconds: VecDeque<Rc<Second>>,
}

/// A completed second.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Second {
    /// Seconds since 1970.
    pub at_s: u64,
    /// This page's publishes.
    pub page: Sum,
    /// By vertex; nodes without activity are missing.
    pub nodes: BTreeMap<HostId, Sum>,
    /// By name; at most [`MAX_TOPICS`].
    pub topics: BTreeMap<TopicName, Sum>,
    pub availability: Availability,
    /// Of all known subscriptions.
    pub lags: Vec<Lag>,
    /// Faults that began or ended, at most [`MAX_FAULTS`].
    pub faults: Vec<Fact>,
    /// How many more there were.
    pub more_faults: u32,
}

/// Counts and latency of one second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sum {
    /// Publishes that were acknowledged; for a node or a topic, messages that became readable.
    pub done: u32,
    /// Publishes that failed.
    pub failed: u32,
    /// `None` without a measurement.
    pub latency: Option<Percentiles>,
}

/// The results of this page's publishes. Later variants are worse and take precedence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Availability {
    /// Nothing was published.
    #[default]
    Quiet,
    Good,
    /// A publish that took longer than [`SLOW_MS`] was in flight.
    Slow,
    Failed,
}

/// The current second.
#[derive(Clone, PartialEq, Debug, Default)]
struct Present {
    at_s: u64,
    page: Meter,
    nodes: BTreeMap<HostId, Meter>,
    topics: BTreeMap<TopicName, Meter>,
    availability: Availability,
    faults: Vec<Fact>,
    more_faults: u32,
}

#[derive(Clone, PartialEq, Debug)]
struct UnderWay {
    topic: TopicName,
    at_us: u64,
}

impl Availability {
    /// The name used in attributes and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Availability::Quiet => "quiet",
            Availability::Good => "good",
            Availability::Slow => "slow",
            Availability::Failed => "failed",
        }
    }
}

impl Charts {
    /// Updates the charts from a node's event.
    pub fn learn_event(&mut self, now_ms: u64, told: &WatchEvent) {
        self.roll(now_ms);
        match &told.event {
            Event::ReplicaStored { topic, offset, .. } => self.stored(told.node, topic, offset.0 + 1),
            Event::TopicDeleted { topic, .. } => {
                self.ends_known -= self.ends.remove(topic).map_or(0, |ends| ends.len());
                self.lags.forget(topic);
            }
            Event::Delivered { topic, subscriber, offset } => {
                let end = self.end_of(topic);
                self.lags.learn_reported(now_ms, topic, subscriber, offset.0 + 1, end);
            }
            Event::RequestReceived { action, subject: Some(subject) } if action == "publish" => {
                if let (Some(trace), Ok(topic)) = (told.trace, TopicName::new(subject.as_str())) {
                    self.under_way.insert(trace, UnderWay { topic, at_us: told.at_us });
                    while self.under_way.len() > MAX_UNDER_WAY {
                        self.under_way.pop_first();
                    }
                }
            }
            Event::RequestAnswered { error, .. } => {
                if let Some(began) = told.trace.and_then(|trace| self.under_way.remove(&trace)) {
                    self.answered(told.node, &began, told.at_us, error.is_some());
                }
            }
            _ => {}
        }
    }

    /// Whether the event matters to the charts.
    pub fn concerns(event: &Event) -> bool {
        matches!(
            event,
            Event::ReplicaStored { .. }
                | Event::RequestReceived { .. }
                | Event::RequestAnswered { .. }
                | Event::TopicDeleted { .. }
                | Event::Delivered { .. }
        )
    }

    /// Notes a fault that began or ended. Several nodes may report the same one.
    pub fn add_fault(&mut self, now_ms: u64, fault: &Fact) {
        self.roll(now_ms);
        if self.present.faults.contains(fault) {
            return;
        }
        if self.present.faults.len() < MAX_FAULTS {
            self.present.faults.push(fault.clone());
        } else {
            self.present.more_faults += 1;
        }
    }

    /// This page received the message before `next`, or begins there.
    pub fn learn_own(&mut self, now_ms: u64, topic: &TopicName, subscriber: &SubscriberId, next: u64) {
        self.roll(now_ms);
        let end = self.end_of(topic);
        self.lags.learn_own(now_ms, topic, subscriber, next, end);
    }

    /// This page's subscription has ended.
    pub fn end_own(&mut self, now_ms: u64, topic: &TopicName, subscriber: &SubscriberId) {
        self.roll(now_ms);
        self.lags.end(topic, subscriber);
    }

    /// The topic ends at `end` or later.
    pub fn learn_end(&mut self, now_ms: u64, topic: &TopicName, end: u64) {
        self.roll(now_ms);
        self.lags.learn_end(topic, end);
    }

    /// Whether all events reach this page.
    pub fn hears_all(&self) -> bool {
        !self.is_partial
    }

    /// From now on, all events reach this page, or some do not.
    pub fn hear_all(&mut self, all: bool) {
        self.is_partial = !all;
        if self.is_partial {
            self.lags.doubt();
        }
    }

    /// Counts a publish of this page that was acknowledged after `took_ms`.
    pub fn add_published(&mut self, now_ms: u64, took_ms: f64) {
        self.roll(now_ms);
        self.present.page.add_done(1);
        self.present.page.add_latency((took_ms * 1_000.0) as u64);
        let kind = if took_ms > SLOW_MS { Availability::Slow } else { Availability::Good };
        self.blame(now_ms, took_ms, kind);
    }

    /// Counts a publish of this page that failed after `took_ms`.
    pub fn add_failed(&mut self, now_ms: u64, took_ms: f64) {
        self.roll(now_ms);
        self.present.page.add_failed(1);
        self.blame(now_ms, took_ms, Availability::Failed);
    }

    /// Counts the publishes of the load generator.
    pub fn add_load(&mut self, now_ms: u64, sample: &LoadSample) {
        self.roll(now_ms);
        for took_ms in &sample.took_ms {
            self.add_published(now_ms, *took_ms);
        }
        for took_ms in &sample.failed_after_ms {
            self.add_failed(now_ms, *took_ms);
        }
    }

    /// Whether the current second is over.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.present.at_s < now_ms / 1_000
    }

    /// Completes the seconds that are over.
    pub fn roll(&mut self, now_ms: u64) {
        let now_s = now_ms / 1_000;
        if self.present.at_s == 0 {
            self.present.at_s = now_s;
        }
        while self.present.at_s < now_s {
            let over = std::mem::replace(&mut self.present, Present { at_s: 0, ..Present::default() });
            // After a long sleep, insert no more quiet seconds than are kept.
            self.present.at_s = (over.at_s + 1).max(now_s.saturating_sub(SECONDS as u64));
            let is_carried = now_s - over.at_s <= MOST_CARRIED_S;
            if self.is_partial {
                self.lags.doubt();
            }
            let lags = if is_carried { self.lags.sums(now_ms) } else { Vec::new() };
            let seconds = &mut self.history.change().seconds;
            seconds.push_back(Rc::new(over.summed_up(lags)));
            while seconds.len() > SECONDS {
                seconds.pop_front();
            }
        }
    }

    /// Counts the advance of a replica's end. The first report of a replica counts as one message, because its earlier
    /// end is unknown.
    fn stored(&mut self, node: HostId, topic: &TopicName, end: u64) {
        let ends = self.ends.get(topic);
        let highest_before = ends.and_then(|ends| ends.values().max().copied());
        if ends.is_none_or(|ends| !ends.contains_key(&node)) {
            if self.ends_known == MAX_ENDS {
                return;
            }
            self.ends_known += 1;
        }
        let known = self.ends.entry(topic.clone()).or_default().entry(node).or_insert(end.saturating_sub(1));
        let new = end.saturating_sub(*known);
        self.lags.learn_end(topic, end);
        *known = (*known).max(end);
        let new_to_topic = end.saturating_sub(highest_before.unwrap_or(end.saturating_sub(1)));
        self.present.nodes.entry(node).or_default().add_done(new as u32);
        if let Some(meter) = self.present.topic(topic) {
            meter.add_done(new_to_topic as u32);
        }
    }

    fn answered(&mut self, node: HostId, began: &UnderWay, at_us: u64, is_failure: bool) {
        let took_us = at_us.saturating_sub(began.at_us);
        let node = self.present.nodes.entry(node).or_default();
        node.add_latency(took_us);
        node.add_failed(u32::from(is_failure));
        if let Some(topic) = self.present.topic(&began.topic) {
            topic.add_latency(took_us);
            topic.add_failed(u32::from(is_failure));
        }
    }

    /// Marks every second in which the publish was in flight. A second shows the worst of its publishes.
    fn blame(&mut self, now_ms: u64, took_ms: f64, kind: Availability) {
        self.present.availability = self.present.availability.max(kind);
        let began_s = now_ms.saturating_sub(took_ms as u64) / 1_000;
        if kind > Availability::Good && began_s < self.present.at_s {
            for second in self.history.change().seconds.iter_mut().rev().take_while(|second| second.at_s >= began_s) {
                let second = Rc::make_mut(second);
                second.availability = second.availability.max(kind);
            }
        }
    }

    /// The topic's end, as far as events reported it.
    fn end_of(&self, topic: &TopicName) -> u64 {
        self.ends.get(topic).and_then(|ends| ends.values().max().copied()).unwrap_or_default()
    }
}

impl Present {
    /// `None` if this second already charts [`MAX_TOPICS`] other topics.
    fn topic(&mut self, topic: &TopicName) -> Option<&mut Meter> {
        if !self.topics.contains_key(topic) && self.topics.len() == MAX_TOPICS {
            return None;
        }
        Some(self.topics.entry(topic.clone()).or_default())
    }

    fn summed_up(self, lags: Vec<Lag>) -> Second {
        Second {
            at_s: self.at_s,
            page: self.page.sum(),
            nodes: self.nodes.iter().map(|(node, meter)| (*node, meter.sum())).collect(),
            topics: self.topics.iter().map(|(topic, meter)| (topic.clone(), meter.sum())).collect(),
            availability: self.availability,
            lags,
            faults: self.faults,
            more_faults: self.more_faults,
        }
    }
}

#[cfg(test)]
mod tests;
