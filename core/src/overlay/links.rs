//! This node's end of one edge: whether it receives frames from the neighbour, the round-trip time, and the conditions
//! that `set_link` configured for the outgoing direction.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::faults::LinkConditions;
use crate::identity::HostId;
use crate::time::Instant;
use crate::wire::answer::LinkStatus;
use crate::wire::event::DropReason;
use crate::wire::peer::PeerFrame;

/// The interval at which every neighbour is pinged.
pub const PING_EVERY: Duration = Duration::from_millis(225);
/// From this age of the last ping on, a departing frame takes the next ping along. A leader's heartbeats, which are
/// sent every 200 ms, then carry its pings, and the answers to both leave together. This saves half the messages of an
/// idle cluster.
const PING_ALONG_AFTER: Duration = Duration::from_millis(190);
/// The maximum time that a non-urgent frame waits for another frame in the same direction. If both ends of an edge lead
/// a group, each end's heartbeat carries the answers to the other's.
pub const COMPANY_AWAITED: Duration = Duration::from_millis(210);
/// The maximum number of frames that wait for another one. When it is reached, all of them are sent.
const HELD_FRAMES: usize = 32;
/// A neighbour counts as silent when nothing has arrived from it for this long: three pings, plus some travel time.
pub const SILENCE_LIMIT: Duration = Duration::from_millis(700);
/// The maximum number of delayed frames on one edge. Beyond that, the newest frame is dropped, as in a full router.
pub const DELAYED_FRAMES: usize = 1024;

/// This node's end of one edge.
#[derive(Serialize, Deserialize)]
pub struct Link {
    to: HostId,
    connected: bool,
    /// When the last frame arrived over the current connection.
    heard_at: Option<Instant>,
    hears: bool,
    round_trip: Option<Duration>,
    conditions: LinkConditions,
    /// Delayed frames, in the order in which they were sent and will leave: a frame that is due waits for the earlier
    /// ones.
    delayed: VecDeque<(Instant, PeerFrame)>,
    /// Frames that wait for another frame in the same direction, with the time since when.
    held: Vec<(Instant, PeerFrame)>,
    /// When all link states were last sent.
    synced_at: Option<Instant>,
    /// When the neighbour was last pinged over the current connection.
    pinged_at: Option<Instant>,
}

impl Link {
    /// The neighbour.
    pub fn to(&self) -> HostId {
        self.to
    }

    /// An edge without a connection and without faults.
    pub fn new(to: HostId) -> Link {
        Link {
            to,
            connected: false,
            heard_at: None,
            hears: false,
            round_trip: None,
            conditions: LinkConditions::PERFECT,
            delayed: VecDeque::new(),
            held: Vec::new(),
            synced_at: None,
            pinged_at: None,
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether there is a connection, and a frame arrived within [`SILENCE_LIMIT`].
    pub fn hears(&self) -> bool {
        self.hears
    }

    /// The conditions of the outgoing direction.
    pub fn conditions(&self) -> LinkConditions {
        self.conditions
    }

    /// Sets the conditions of the outgoing direction.
    pub fn set_conditions(&mut self, conditions: LinkConditions) {
        self.conditions = conditions;
    }

    /// A connection is established. If it replaces another one, the neighbour does not count as silent, because it is
    /// alive.
    pub fn handle_connected(&mut self) {
        self.connected = true;
        self.synced_at = None;
        self.pinged_at = None;
    }

    /// The connection broke. Delayed and held frames are lost.
    pub fn handle_disconnected(&mut self) {
        self.connected = false;
        self.heard_at = None;
        self.hears = false;
        self.round_trip = None;
        self.delayed.clear();
        self.held.clear();
    }

    /// A frame arrived.
    pub fn handle_heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
        self.hears = true;
    }

    /// Detects silence.
    pub fn handle_time(&mut self, now: Instant) {
        if self.silence_deadline().is_some_and(|deadline| deadline <= now) {
            self.hears = false;
            self.round_trip = None;
        }
    }

    /// Ignores the recent silence of the neighbour, because this node itself was stalled.
    pub fn forgive_silence(&mut self, now: Instant) {
        if self.hears {
            self.heard_at = Some(now);
        }
    }

    /// The neighbour answered the ping of `sent_us` after holding the answer for `held_us`. The round-trip time is
    /// smoothed as in TCP (RFC 6298): each new sample counts for one eighth.
    pub fn handle_pong(&mut self, now: Instant, sent_us: u64, held_us: u64) {
        if let Some(sample_us) = now.0.checked_sub(sent_us).and_then(|away_us| away_us.checked_sub(held_us)) {
            let sample = Duration::from_micros(sample_us);
            self.round_trip = Some(self.round_trip.map_or(sample, |smoothed| (smoothed * 7 + sample) / 8));
        }
    }

    /// When the next ping is due.
    pub fn next_ping(&self) -> Option<Instant> {
        self.pinged_at.filter(|_| self.connected).map(|at| at + PING_EVERY)
    }

    /// Whether the last ping is old enough for a departing frame to take the next one along.
    pub fn is_nearly_due(&self, now: Instant) -> bool {
        self.connected && self.pinged_at.is_some_and(|at| now.since(at) >= PING_ALONG_AFTER)
    }

    /// A ping was sent.
    pub fn handle_pinged(&mut self, now: Instant) {
        self.pinged_at = Some(now);
    }

    /// Whether all link states may be sent again, at most once per `every`. If so, records that they were sent.
    pub fn may_sync(&mut self, now: Instant, every: Duration) -> bool {
        let may = self.connected && self.synced_at.is_none_or(|at| now.since(at) >= every);
        if may {
            self.synced_at = Some(now);
        }
        may
    }

    /// Accepts a frame for sending. [`Link::poll_due`] returns it, at once or after its delay, and never before a frame
    /// that was sent earlier. `Err` if the frame was dropped.
    pub fn send(&mut self, now: Instant, frame: PeerFrame, rng: &mut fastrand::Rng) -> Result<(), DropReason> {
        if self.conditions.cut {
            return Err(DropReason::Cut);
        }
        if self.conditions.loss > 0.0 && rng.f32() < self.conditions.loss {
            return Err(DropReason::Loss);
        }
        if self.delayed.len() >= DELAYED_FRAMES {
            return Err(DropReason::Full);
        }
        let due = now + self.draw_delay(rng);
        self.delayed.push_back((due, frame));
        Ok(())
    }

    /// Holds a frame until the next one in the same direction. Returns `false` when no more frames may be held.
    pub fn hold(&mut self, now: Instant, frame: PeerFrame) -> bool {
        self.held.push((now, frame));
        self.held.len() < HELD_FRAMES
    }

    /// Takes the held frames. A pong is given the time for which it was held.
    pub fn take_held(&mut self, now: Instant) -> Vec<PeerFrame> {
        let tell = |(since, frame)| match frame {
            PeerFrame::Pong { sent_us, .. } => {
                PeerFrame::Pong { sent_us, held_us: now.since(since).as_micros() as u64 }
            }
            frame => frame,
        };
        self.held.drain(..).map(tell).collect()
    }

    /// Whether a held frame has waited for [`COMPANY_AWAITED`].
    pub fn has_held_long(&self, now: Instant) -> bool {
        self.held_until().is_some_and(|until| until <= now)
    }

    /// The number of delayed frames.
    pub fn delayed_frames(&self) -> usize {
        self.delayed.len()
    }

    /// The next frame whose delay is over.
    pub fn poll_due(&mut self, now: Instant) -> Option<PeerFrame> {
        self.delayed.pop_front_if(|(due, _)| *due <= now).map(|(_, frame)| frame)
    }

    /// When [`Link::handle_time`] or [`Link::poll_due`] has something to do, or held frames have waited long enough.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.delayed.front().map(|(due, _)| *due);
        [self.silence_deadline(), self.held_until(), due].into_iter().flatten().min()
    }

    /// The edge as reported to clients. `heard`: whether the neighbour reports that it receives frames from this node.
    pub fn status(&self, heard: bool) -> LinkStatus {
        let round_trip_us = self.round_trip.map(|time| time.as_micros() as u64);
        LinkStatus { to: self.to, hears: self.hears, heard, round_trip_us, conditions: self.conditions }
    }

    fn held_until(&self) -> Option<Instant> {
        self.held.first().map(|(since, _)| *since + COMPANY_AWAITED)
    }

    fn silence_deadline(&self) -> Option<Instant> {
        self.heard_at.filter(|_| self.hears).map(|at| at + SILENCE_LIMIT)
    }

    fn draw_delay(&self, rng: &mut fastrand::Rng) -> Duration {
        let jitter_us = match u64::from(self.conditions.jitter_ms) * 1000 {
            0 => 0,
            most => rng.u64(0..=most),
        };
        Duration::from_millis(self.conditions.delay_ms.into()) + Duration::from_micros(jitter_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(conditions: LinkConditions) -> (Link, fastrand::Rng) {
        let mut link = Link::new("001".parse().unwrap());
        link.handle_connected();
        link.set_conditions(conditions);
        (link, fastrand::Rng::with_seed(7))
    }

    fn ms(ms: u64) -> Instant {
        Instant(ms * 1000)
    }

    fn frame(number: u64) -> PeerFrame {
        PeerFrame::Pong { sent_us: number, held_us: 0 }
    }

    fn due(link: &mut Link, now: Instant) -> Vec<PeerFrame> {
        std::iter::from_fn(|| link.poll_due(now)).collect()
    }

    #[test]
    fn frames_keep_their_order_under_jitter() {
        let (mut link, mut rng) = link(LinkConditions { jitter_ms: 50, ..LinkConditions::PERFECT });
        for number in 0..100 {
            link.send(ms(number), frame(number), &mut rng).unwrap();
        }
        let mut left = Vec::new();
        for now in 0..=200 {
            left.extend(due(&mut link, ms(now)));
        }
        assert_eq!(left, (0..100).map(frame).collect::<Vec<_>>());
    }

    #[test]
    fn a_delay_that_ends_does_not_let_later_frames_overtake() {
        let (mut link, mut rng) = link(LinkConditions { delay_ms: 100, ..LinkConditions::PERFECT });
        link.send(ms(0), frame(0), &mut rng).unwrap();
        link.set_conditions(LinkConditions::PERFECT);
        link.send(ms(10), frame(1), &mut rng).unwrap();
        assert_eq!(due(&mut link, ms(99)), []);
        assert_eq!(link.next_deadline(), Some(ms(100)));
        assert_eq!(due(&mut link, ms(100)), [frame(0), frame(1)]);
    }

    #[test]
    fn a_cut_edge_swallows_everything_and_a_full_one_what_is_too_much() {
        let (mut link, mut rng) = link(LinkConditions { cut: true, ..LinkConditions::PERFECT });
        assert_eq!(link.send(ms(0), frame(0), &mut rng), Err(DropReason::Cut));
        link.set_conditions(LinkConditions { delay_ms: 1, ..LinkConditions::PERFECT });
        for number in 0..DELAYED_FRAMES as u64 {
            link.send(ms(0), frame(number), &mut rng).unwrap();
        }
        assert_eq!(link.send(ms(0), frame(0), &mut rng), Err(DropReason::Full));
        assert_eq!(due(&mut link, ms(1)).len(), DELAYED_FRAMES);
    }

    #[test]
    fn what_is_held_leaves_in_its_order_and_a_pong_tells_how_long_it_waited() {
        let (mut link, _) = link(LinkConditions::PERFECT);
        assert!(link.hold(ms(10), frame(1)));
        assert!(link.hold(ms(30), PeerFrame::LinkStates(Vec::new())));
        assert_eq!(link.next_deadline(), Some(ms(10) + COMPANY_AWAITED));
        assert!(!link.has_held_long(ms(219)) && link.has_held_long(ms(220)));
        let pong = PeerFrame::Pong { sent_us: 1, held_us: 90_000 };
        assert_eq!(link.take_held(ms(100)), [pong, PeerFrame::LinkStates(Vec::new())]);
        assert_eq!((link.next_deadline(), link.take_held(ms(100))), (None, vec![]));
    }

    #[test]
    fn nothing_is_held_without_limit() {
        let (mut link, _) = link(LinkConditions::PERFECT);
        assert!((1..HELD_FRAMES as u64).all(|number| link.hold(ms(0), frame(number))));
        assert!(!link.hold(ms(0), frame(0)));
        link.handle_disconnected();
        assert_eq!(link.take_held(ms(0)), []);
    }

    #[test]
    fn loss_takes_its_share() {
        let (mut link, mut rng) = link(LinkConditions { loss: 0.2, ..LinkConditions::PERFECT });
        let lost = (0..1000).filter(|_| link.send(ms(0), frame(0), &mut rng) == Err(DropReason::Loss)).count();
        assert!((150..250).contains(&lost), "{lost}");
    }

    #[test]
    fn silence_is_noticed_at_its_limit_and_a_broken_connection_at_once() {
        let (mut link, _) = link(LinkConditions::PERFECT);
        assert!(!link.hears(), "a connection alone says nothing");
        link.handle_heard(ms(100));
        assert_eq!(link.next_deadline(), Some(ms(100) + SILENCE_LIMIT));
        link.handle_time(ms(799));
        assert!(link.hears());
        link.handle_time(ms(800));
        assert!(!link.hears());
        link.handle_heard(ms(900));
        assert!(link.hears());
        link.handle_disconnected();
        assert!(!link.hears());
    }

    #[test]
    fn the_round_trip_is_smoothed_and_a_pong_from_the_future_ignored() {
        let (mut link, _) = link(LinkConditions::PERFECT);
        link.handle_pong(ms(10), ms(2).0, 0);
        assert_eq!(link.status(true).round_trip_us, Some(8000));
        link.handle_pong(ms(170), ms(4).0, ms(150).0);
        assert_eq!(link.status(true).round_trip_us, Some(9000));
        link.handle_pong(ms(20), ms(21).0, 0);
        link.handle_pong(ms(20), ms(10).0, u64::MAX);
        assert_eq!(link.status(true).round_trip_us, Some(9000));
    }
}
