//! How many messages each topic stores per second, over the last minute.
//!
//! The rates come from the events of nodes: the movement of a topic's end, so sampled events give the same result as
//! all events. A rate is known only while this page hears a majority of the group's voters: every message is stored by
//! a majority, so at least one of them reports it. Otherwise the page shows no rate, and never a zero.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;

use super::cluster::{Cluster, Socket};
use super::shared::Shared;

/// Seconds that are kept.
pub const SECONDS: usize = 60;
/// Seconds over which the present rate is averaged.
const RATE_SECONDS: usize = 5;
/// Topics that are counted per second. If more move, the rates of the others are unknown in that second.
const MAX_TOPICS: usize = 1_024;

/// Counts messages.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// Completed seconds. Changes once a second, and with the connections.
    pub history: Shared<RateHistory>,
    present: Moved,
    /// Of their frequent events, these nodes report one in so many.
    samples: BTreeMap<HostId, u32>,
}

/// The completed seconds, and what this page hears.
#[derive(Clone, Debug, Default)]
pub struct RateHistory {
    /// Oldest first, at most [`SECONDS`].
    seconds: VecDeque<Rc<Moved>>,
    /// By the index of their home: the groups of which this page hears a majority.
    heard: Vec<Option<Heard>>,
}

/// The topics that moved in one second.
#[derive(Clone, Debug, Default)]
struct Moved {
    /// Seconds since 1970.
    at_s: u64,
    /// By name, at most [`MAX_TOPICS`].
    counts: Vec<(TopicName, u32)>,
    /// Whether other topics moved, too.
    is_full: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Heard {
    /// Seconds since 1970.
    since_s: u64,
    /// Whether events may be left out. A topic with few messages may then have stored some unheard.
    is_sparse: bool,
}

impl Rates {
    /// Counts messages that a topic stored since the last report.
    pub fn count(&mut self, now_ms: u64, topic: &TopicName, home: Vertex, messages: u64) {
        self.roll(now_ms);
        if messages == 0 || !self.history.hears(home) {
            return;
        }
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let is_full = self.present.counts.len() == MAX_TOPICS;
        match self.present.find(topic) {
            Ok(at) => self.present.counts[at].1 = self.present.counts[at].1.saturating_add(messages),
            Err(_) if is_full => self.present.is_full = true,
            Err(at) => self.present.counts.insert(at, (topic.clone(), messages)),
        }
    }

    /// Whether the current second is over.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.present.at_s < now_ms / 1_000
    }

    /// Completes the seconds that are over.
    pub fn roll(&mut self, now_ms: u64) {
        let now_s = now_ms / 1_000;
        while self.is_due(now_ms) {
            let over = std::mem::take(&mut self.present);
            self.present.at_s = match over.at_s {
                0 => now_s,
                // After a long sleep, insert no more quiet seconds than are kept.
                at_s => (at_s + 1).max(now_s.saturating_sub(SECONDS as u64)),
            };
            if over.at_s > 0 {
                let seconds = &mut self.history.change().seconds;
                seconds.push_back(Rc::new(over));
                while seconds.len() > SECONDS {
                    seconds.pop_front();
                }
            }
        }
    }

    /// Forgets a deleted topic. A later topic with this name is a new topic.
    pub fn forget(&mut self, topic: &TopicName) {
        self.present.forget(topic);
        if self.history.seconds.iter().any(|second| second.find(topic).is_ok()) {
            self.history.change().seconds.iter_mut().for_each(|second| Rc::make_mut(second).forget(topic));
        }
    }

    /// Records that this node reports only one in `sample` of its frequent events.
    pub fn learn_sample(&mut self, now_ms: u64, node: HostId, sample: u32, cluster: &Cluster) {
        self.samples.insert(node, sample);
        self.listen(now_ms, cluster);
    }

    /// Updates which groups this page hears. Returns those that it did not hear before: messages may have been stored
    /// meanwhile.
    pub fn listen(&mut self, now_ms: u64, cluster: &Cluster) -> Vec<Vertex> {
        let (mut heard, mut new) = (Vec::new(), Vec::new());
        for home in cluster.dimension.into_iter().flat_map(|dimension| dimension.vertices()) {
            let before = self.history.heard(home);
            let now = self.hears(cluster, home).map(|is_sparse| {
                let since_s = before.map_or(now_ms / 1_000, |known| known.since_s);
                Heard { since_s, is_sparse }
            });
            if before.is_none() && now.is_some() {
                new.push(home);
            }
            heard.push(now);
        }
        if heard != self.history.heard {
            self.history.change().heard = heard;
        }
        new
    }

    /// `None`: this page hears no majority of the group's voters. Otherwise, whether some messages may go unreported.
    fn hears(&self, cluster: &Cluster, home: Vertex) -> Option<bool> {
        let told = cluster.groups.get(&home).and_then(|group| group.members.as_ref());
        let voters = told.map_or_else(|| cluster.members(home), |members| members.voters.clone());
        let is_open = |node: &&HostId| cluster.nodes.get(node).is_some_and(|node| node.socket == Socket::Open);
        let is_whole = |node: &&HostId| self.samples.get(node).is_none_or(|sample| *sample <= 1);
        let needed = voters.len() / 2 + 1;
        let open = voters.iter().filter(is_open);
        (open.clone().count() >= needed).then(|| open.filter(is_whole).count() < needed)
    }
}

impl RateHistory {
    /// Messages per second of a topic at present, averaged over a few seconds. `None`: unknown.
    pub fn rate(&self, topic: &TopicName, home: Vertex) -> Option<f64> {
        let heard = self.heard(home)?;
        let recent = self.seconds.iter().rev().take(RATE_SECONDS);
        let known: Vec<u32> = recent.map_while(|second| second.count(topic, heard)).collect();
        let has_moved = !heard.is_sparse || self.seconds.iter().any(|second| second.find(topic).is_ok());
        (has_moved && !known.is_empty())
            .then(|| known.iter().map(|count| f64::from(*count)).sum::<f64>() / known.len() as f64)
    }

    /// The messages of each second, the newest last; `None` for unknown seconds.
    pub fn minute(&self, topic: &TopicName, home: Vertex) -> Vec<Option<u32>> {
        let heard = self.heard(home);
        self.seconds.iter().map(|second| second.count(topic, heard?)).collect()
    }

    /// Whether this page hears what is stored in the group of this home.
    pub fn hears(&self, home: Vertex) -> bool {
        self.heard(home).is_some()
    }

    fn heard(&self, home: Vertex) -> Option<Heard> {
        self.heard.get(home.index()).copied().flatten()
    }
}

impl Moved {
    fn find(&self, topic: &TopicName) -> Result<usize, usize> {
        self.counts.binary_search_by(|(known, _)| known.cmp(topic))
    }

    fn forget(&mut self, topic: &TopicName) {
        if let Ok(at) = self.find(topic) {
            self.counts.remove(at);
        }
    }

    /// `None`: unknown.
    fn count(&self, topic: &TopicName, heard: Heard) -> Option<u32> {
        let count = self.find(topic).ok().map(|at| self.counts[at].1);
        count.or((!self.is_full).then_some(0)).filter(|_| self.at_s > heard.since_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{led_by_homes, named};

    fn topic(name: &str) -> TopicName {
        name.parse().unwrap()
    }

    /// Hears all groups of eight nodes from second 10 on.
    fn rates() -> Rates {
        let mut rates = Rates::default();
        rates.listen(10_000, &led_by_homes(3).cluster);
        rates
    }

    fn news_rate(rates: &Rates) -> Option<f64> {
        rates.history.rate(&topic("news"), named("100"))
    }

    #[test]
    fn a_rate_is_the_average_of_the_last_complete_seconds() {
        let mut rates = rates();
        rates.count(11_100, &topic("news"), named("100"), 4);
        assert_eq!(news_rate(&rates), None, "no second is complete yet");
        rates.count(12_500, &topic("news"), named("100"), 6);
        assert_eq!(news_rate(&rates), Some(4.0));
        rates.roll(13_000);
        assert_eq!(news_rate(&rates), Some(5.0));
        rates.roll(17_000);
        assert_eq!(news_rate(&rates), Some(1.2));
        rates.roll(18_000);
        assert_eq!(news_rate(&rates), Some(0.0));
        assert_eq!(rates.history.minute(&topic("news"), named("100"))[..3], [Some(4), Some(6), Some(0)]);
        assert_eq!(rates.history.rate(&topic("quiet"), named("000")), Some(0.0), "it is heard, and was silent");
    }

    #[test]
    fn the_second_in_which_listening_began_is_not_counted_as_a_whole_one() {
        let mut rates = rates();
        rates.count(10_900, &topic("news"), named("100"), 4);
        rates.roll(11_000);
        assert_eq!(news_rate(&rates), None);
        rates.roll(12_000);
        assert_eq!(news_rate(&rates), Some(0.0));
    }

    #[test]
    fn without_a_majority_of_the_voters_in_reach_nothing_is_known_and_nothing_is_counted() {
        let mut rates = rates();
        rates.count(11_500, &topic("news"), named("100"), 4);
        let mut cluster = led_by_homes(3).cluster;
        cluster.change().learn_socket(named("101"), Socket::Closed);
        assert!(rates.listen(12_000, &cluster).is_empty());
        rates.roll(12_000);
        assert_eq!(news_rate(&rates), Some(4.0), "three of four are heard");
        cluster.change().learn_socket(named("110"), Socket::Closed);
        rates.listen(13_000, &cluster);
        rates.count(13_000, &topic("news"), named("100"), 4);
        rates.roll(15_000);
        assert_eq!(news_rate(&rates), None);
        assert!(!rates.history.hears(named("100")) && rates.history.hears(named("011")));
        assert!(rates.history.minute(&topic("news"), named("100")).iter().all(Option::is_none));

        let again = rates.listen(20_000, &led_by_homes(3).cluster);
        assert!(again.contains(&named("100")) && !again.contains(&named("011")));
        rates.roll(22_000);
        assert_eq!(news_rate(&rates), Some(0.0));
    }

    #[test]
    fn a_quiet_topic_of_which_only_some_events_are_reported_is_not_called_quiet() {
        let (mut rates, cluster) = (rates(), led_by_homes(3).cluster);
        for node in ["100", "101"] {
            rates.learn_sample(10_000, named(node), 4, &cluster);
        }
        rates.count(11_000, &topic("busy"), named("100"), 400);
        rates.roll(12_000);
        assert_eq!(news_rate(&rates), None);
        assert_eq!(rates.history.rate(&topic("busy"), named("100")), Some(400.0), "ends move by what was left out");
        rates.learn_sample(12_000, named("101"), 1, &cluster);
        assert_eq!(news_rate(&rates), Some(0.0), "three of four report everything");
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_left_out_is_unknown() {
        let mut rates = rates();
        for number in 0..2 * MAX_TOPICS {
            rates.count(11_000, &topic(&format!("topic-{number:05}")), named("100"), 1);
        }
        rates.roll(12_000);
        let rate = |number: usize| rates.history.rate(&topic(&format!("topic-{number:05}")), named("100"));
        assert_eq!((rate(0), rate(MAX_TOPICS)), (Some(1.0), None));
        rates.roll(86_400_000);
        assert_eq!(rates.history.seconds.len(), SECONDS);
        assert_eq!(news_rate(&rates), Some(0.0));
    }

    #[test]
    fn a_deleted_topic_leaves_no_rate_to_the_next_one_of_its_name() {
        let mut rates = rates();
        rates.count(11_000, &topic("news"), named("100"), 5);
        rates.roll(12_000);
        rates.forget(&topic("news"));
        assert_eq!(news_rate(&rates), Some(0.0));
    }
}
