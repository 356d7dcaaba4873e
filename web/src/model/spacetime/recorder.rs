//! The newest events as received; the source of stories and of evidence.

use std::collections::VecDeque;
use std::rc::Rc;

use cubecast_core::identity::TraceId;
use cubecast_core::wire::answer::{Answer, Done, ServerFrame};
use cubecast_core::wire::event::{Event, WatchEvent};
use cubecast_core::wire::json;

use super::record::{Answered, RecordedEvent, Request};
use super::story::Story;
use crate::model::cluster::Cluster;
use crate::model::traffic::is_background;

/// Events that are kept: the last two seconds at 2,000 events per second.
pub const MAX_EVENTS: usize = 4_096;
/// Requests that can be picked.
pub const MAX_REQUESTS: usize = 24;
/// Milliseconds that a story continues after its answer, so that it includes late or distant replicas.
const TAIL_MS: u64 = 1_500;

/// The newest events and requests, and the story of the traced request.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Oldest first.
    pub events: VecDeque<Rc<RecordedEvent>>,
    /// The latest client requests, oldest first, without polling requests.
    pub requests: VecDeque<Request>,
    /// Whether the next publish will be traced.
    pub armed: bool,
    /// The request whose story is still being updated.
    following: Option<TraceId>,
    /// The story of the request that was traced last.
    pub story: Option<Rc<Story>>,
}

impl Recorder {
    /// Records an event, except heartbeats, link states and polling requests, which would push out everything else.
    pub fn record(&mut self, heard_ms: u64, event: &WatchEvent) {
        let is_noise = match &event.event {
            Event::FrameSent { what, .. } | Event::FrameDropped { what, .. } => is_background(*what),
            Event::RequestReceived { action, .. } | Event::RequestAnswered { action, .. } => only_looks(action),
            _ => false,
        };
        if is_noise {
            return;
        }
        self.note_request(heard_ms, event);
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Rc::new(RecordedEvent { heard_ms, event: event.clone() }));
    }

    /// The newest `count` events in the JSON encoding for clients, oldest first.
    pub fn last(&self, count: usize) -> Vec<String> {
        let first = self.events.len().saturating_sub(count);
        self.events.range(first..).map(|told| json::render(&ServerFrame::Event(told.event.clone()))).collect()
    }

    /// Traces the next publish that any node receives.
    pub fn follow_next(&mut self) {
        self.armed = true;
    }

    /// Traces this request.
    pub fn follow(&mut self, trace: TraceId) {
        (self.armed, self.following) = (false, Some(trace));
    }

    /// Records latency and offset of this page's own publish.
    pub fn learn_answer(&mut self, answer: &Answer, took_ms: f64) {
        let Ok(Done::Published { topic, offset, .. }) = &answer.result else { return };
        let is_it = |request: &&mut Request| request.is_publish_to(topic) && request.client_took_us.is_none();
        if let Some(request) = self.requests.iter_mut().rev().find(is_it) {
            request.client_took_us = Some((took_ms * 1_000.0) as u64);
            request.offset = *offset;
        }
    }

    /// Time that this page's own publish spent in the cluster, microseconds; `None` if no node has reported it yet.
    pub fn in_cluster_us(&self, answer: &Answer) -> Option<u64> {
        let Ok(Done::Published { topic, offset, .. }) = &answer.result else { return None };
        let is_it = |request: &&Request| {
            request.is_publish_to(topic) && request.client_took_us.is_some() && request.offset == *offset
        };
        self.requests.iter().rev().find(is_it)?.in_cluster_us()
    }

    /// Rebuilds the story of the traced request while it continues. Returns whether anything changed.
    pub fn go_on(&mut self, now_ms: u64, cluster: &Cluster) -> bool {
        let Some(trace) = self.following else { return false };
        let Some(request) = self.requests.iter().find(|request| request.trace == trace) else {
            self.following = None;
            return true;
        };
        let is_over = request.answered.as_ref().is_some_and(|answered| now_ms > answered.heard_ms + TAIL_MS);
        self.story = Story::of(request, self.events.iter().map(|told| &**told), cluster).map(Rc::new);
        if is_over {
            self.following = None;
        }
        true
    }

    /// Whether a story is still being updated.
    pub fn is_following(&self) -> bool {
        self.following.is_some()
    }

    fn note_request(&mut self, heard_ms: u64, told: &WatchEvent) {
        let Some(trace) = told.trace else { return };
        match &told.event {
            Event::RequestReceived { action, subject } => {
                if self.armed && action == "publish" {
                    self.follow(trace);
                }
                self.requests.push_back(Request {
                    trace,
                    node: told.node,
                    action: action.clone(),
                    subject: subject.clone(),
                    received_us: told.time.0,
                    heard_ms,
                    answered: None,
                    client_took_us: None,
                    offset: None,
                });
                self.trim_requests();
            }
            Event::RequestAnswered { error, .. } => {
                if let Some(request) = self.requests.iter_mut().find(|request| request.trace == trace) {
                    request.answered = Some(Answered { at_us: told.time.0, heard_ms, error: error.clone() });
                }
            }
            _ => {}
        }
    }

    /// Removes the oldest requests, but not the traced one.
    fn trim_requests(&mut self) {
        while self.requests.len() > MAX_REQUESTS {
            let oldest = self.requests.iter().position(|request| Some(request.trace) != self.following);
            self.requests.remove(oldest.unwrap_or(0));
        }
    }
}

/// Requests that this page sends periodically.
fn only_looks(action: &str) -> bool {
    matches!(action, "watch" | "status" | "cluster" | "topics" | "locate")
}

#[cfg(test)]
mod tests {
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::event::FrameKind;

    use super::*;

    #[test]
    fn the_newest_are_kept_and_heartbeats_do_not_push_them_out() {
        let mut recorder = Recorder::default();
        for at_us in 0..MAX_EVENTS as u64 + 10 {
            recorder.record(1, &sent(at_us, FrameKind::Append));
            recorder.record(1, &sent(at_us, FrameKind::Heartbeat));
        }
        assert_eq!(recorder.events.len(), MAX_EVENTS);
        assert_eq!(recorder.events[0].event.at_us, 10);
        assert!(recorder.last(2)[0].contains(r#""event":"frame_sent""#), "{:?}", recorder.last(1));
    }

    #[test]
    fn requests_that_only_look_cannot_be_picked_and_the_others_are_bounded() {
        let mut recorder = Recorder::default();
        for trace in 0..100 {
            recorder.record(1, &received(trace, "status"));
            recorder.record(1, &received(1_000 + trace, "publish"));
        }
        assert_eq!(recorder.requests.len(), MAX_REQUESTS);
        assert!(recorder.requests.iter().all(|request| request.action == "publish"));
    }

    #[test]
    fn the_next_publish_is_followed_until_a_while_after_its_answer_and_never_trimmed_meanwhile() {
        let mut recorder = Recorder::default();
        recorder.follow_next();
        recorder.record(1_000, &received(1, "pull"));
        assert!(!recorder.is_following(), "a pull is no publish");
        recorder.record(1_000, &received(2, "publish"));
        assert!(recorder.is_following() && !recorder.armed);
        for trace in 100..200 {
            recorder.record(1_000, &received(trace, "publish"));
        }
        assert!(recorder.go_on(1_001, &Cluster::default()));
        let answered =
            Event::RequestAnswered { action: "publish".into(), subject: None, error: None, message: String::new() };
        recorder.record(2_000, &told(5, Some(2), answered));
        assert!(recorder.go_on(2_000 + TAIL_MS, &Cluster::default()) && recorder.is_following());
        assert!(recorder.go_on(2_001 + TAIL_MS, &Cluster::default()) && !recorder.is_following());
        assert!(!recorder.go_on(9_000, &Cluster::default()));
    }

    fn told(at_us: u64, trace: Option<u64>, event: Event) -> WatchEvent {
        let node = "100".parse().unwrap();
        WatchEvent { node, time: Timestamp(at_us), at_us, trace: trace.map(TraceId), event }
    }

    fn sent(at_us: u64, what: FrameKind) -> WatchEvent {
        told(at_us, None, Event::FrameSent { to: "101".parse().unwrap(), what, group: None })
    }

    fn received(trace: u64, action: &str) -> WatchEvent {
        let event = Event::RequestReceived { action: action.into(), subject: Some("news".into()) };
        told(trace, Some(trace), event)
    }
}
