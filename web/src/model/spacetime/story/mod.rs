//! The story of one request: the events on each node, and the frames between nodes.

use cubecast_core::cube::Vertex;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::Offset;
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::wire::event::{DropReason, Event, FrameKind};

use super::clocks::Clocks;
use super::record::{RecordedEvent, Request};
use crate::format::millis;
use crate::model::cluster::Cluster;
use crate::terms;

/// Arrows drawn at once; more could not be told apart.
pub const MAX_ARROWS: usize = 240;
/// Microseconds. Half a round trip, used without a measurement.
const HALF_TRIP_US: i64 = 150;
/// Microseconds. Events later than this after the last replica stored the message are not part of the story.
const AFTER_LAST_US: i64 = 300;

/// One request with its events and frames.
#[derive(Clone, PartialEq, Debug)]
pub struct Story {
    /// The traced request.
    pub request: Request,
    /// The client, then the node that received the request, then the members of the topic's group, then forwarding
    /// nodes.
    pub lanes: Vec<Lane>,
    /// In order of time.
    pub marks: Vec<Mark>,
    /// The client's request first, then frames in order of sending, then the answer.
    pub arrows: Vec<Arrow>,
    /// Nodes whose clocks were corrected, with the correction in microseconds.
    pub shifted: Vec<(HostId, i64)>,
    /// Number of arrows above [`MAX_ARROWS`], which are not drawn.
    pub left_out: usize,
    /// The term of the topic's group, if known.
    pub term: Option<u64>,
}

/// One line of the picture: the client or a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lane {
    Client,
    Node(HostId),
}

/// An event on a lane. Times are microseconds since the request was received.
#[derive(Clone, PartialEq, Debug)]
pub struct Mark {
    pub lane: Lane,
    pub at_us: i64,
    pub what: MarkKind,
    /// A text for the user.
    pub words: String,
}

/// The kind of an event on a lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MarkKind {
    Received,
    /// A member's role changed.
    Election,
    Committed,
    Stored,
    Answered,
    Failed,
}

/// A frame, request or answer between two lanes. Times are microseconds since the request was received.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrow {
    pub from: Lane,
    pub to: Lane,
    pub sent_us: i64,
    /// Estimated: see the [module](crate::model::spacetime).
    pub arrived_us: i64,
    pub what: ArrowKind,
    /// Why it was dropped; `None` if it arrived.
    pub dropped: Option<DropReason>,
}

/// What an arrow stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArrowKind {
    /// From the client to the node that received the request; the answer goes back.
    Request,
    Answer,
    Frame(FrameKind),
}

impl Lane {
    /// `client`, or the vertex.
    pub fn name(self) -> String {
        match self {
            Lane::Client => "client".to_owned(),
            Lane::Node(vertex) => vertex.to_string(),
        }
    }
}

impl ArrowKind {
    /// The kind as text for the user.
    pub fn words(self) -> &'static str {
        match self {
            ArrowKind::Request => "request",
            ArrowKind::Answer => "answer",
            ArrowKind::Frame(what) => terms::frame(what),
        }
    }
}

impl Story {
    /// Builds the story from the recorded events. The result is always `Some`.
    pub fn of<'a>(
        request: &Request,
        events: impl Iterator<Item = &'a RecordedEvent>,
        cluster: &Cluster,
    ) -> Option<Story> {
        let seating = Seating::founded_by(request.node);
        let group = request.subject.as_deref().map(|subject| placement::home(subject, seating.dimension()));
        // Events received more than 500 ms before the request are not part of it, whatever the clocks show.
        let events: Vec<&RecordedEvent> = events.filter(|told| told.heard_ms + 500 >= request.heard_ms).collect();
        let mut teller = Teller { clocks: Clocks::of(request.node, events.iter().copied()), request, group, cluster };
        let offset = teller.offset(&events);
        let end_us = teller.end(&events, offset);
        let mut story = Story {
            request: Request { offset: offset.map(Offset), ..request.clone() },
            lanes: vec![Lane::Client, Lane::Node(request.node)],
            marks: Vec::new(),
            arrows: Vec::new(),
            shifted: teller.clocks.shifted(),
            left_out: 0,
            term: group.and_then(|group| cluster.term_of(group)),
        };
        for told in &events {
            teller.tell(&mut story, told, offset, end_us);
        }
        story.sort_lanes(group);
        story.marks.sort_by_key(|mark| mark.at_us);
        story.arrows.sort_by_key(|arrow| arrow.sent_us);
        story.let_arrows_arrive();
        story.add_client();
        story.trim();
        story.shifted.retain(|(node, _)| story.lanes.contains(&Lane::Node(*node)));
        Some(story)
    }

    /// The time of the first and of the last event, microseconds since the request was received.
    pub fn span(&self) -> (i64, i64) {
        let times = self.marks.iter().map(|mark| mark.at_us);
        let times = times.chain(self.arrows.iter().flat_map(|arrow| [arrow.sent_us, arrow.arrived_us]));
        times.fold((0, 0), |(first, last), at| (first.min(at), last.max(at)))
    }

    /// A one-sentence summary.
    pub fn title(&self) -> String {
        let Request { action, subject, node, offset, answered, client_took_us, .. } = &self.request;
        let subject = subject.as_deref().map(|subject| format!(" {subject}")).unwrap_or_default();
        let offset = offset.map(|offset| format!(" #{offset}")).unwrap_or_default();
        let term = self.term.map(|term| format!(", in term {term}")).unwrap_or_default();
        let end = match answered {
            None => "not answered yet".to_owned(),
            Some(answered) => {
                let inside = millis(answered.at_us.saturating_sub(self.request.received_us) as f64 / 1_000.0);
                let how = answered.error.as_deref().map_or("answered".to_owned(), |code| format!("refused ({code})"));
                match client_took_us {
                    Some(took) => {
                        format!("{how} after {inside} in the cluster, {} at this page", millis(*took as f64 / 1_000.0))
                    }
                    None => format!("{how} after {inside}"),
                }
            }
        };
        format!("{}{subject}{offset}, sent to {node}: {end}{term}", terms::action(action))
    }

    fn lane(&mut self, node: HostId) -> Lane {
        let lane = Lane::Node(node);
        if !self.lanes.contains(&lane) {
            self.lanes.push(lane);
        }
        lane
    }

    fn sort_lanes(&mut self, group: Option<Vertex>) {
        let seating = Seating::founded_by(self.request.node);
        let members: Vec<HostId> = group.into_iter().flat_map(|home| seating.members(GroupId::of(home))).collect();
        self.lanes[2..].sort_by_key(|lane| match lane {
            Lane::Client => None,
            Lane::Node(node) => members.iter().position(|member| member == node).or(Some(members.len())),
        });
    }

    /// Moves arrivals before the receiver's first reaction to the frame.
    fn let_arrows_arrive(&mut self) {
        let reactions: Vec<(Lane, i64, Reaction)> = self
            .arrows
            .iter()
            .filter_map(|arrow| Some((arrow.from, arrow.sent_us, Reaction::Frame(arrow.frame()?))))
            .chain(self.marks.iter().map(|mark| (mark.lane, mark.at_us, Reaction::Mark(mark.what))))
            .collect();
        for arrow in &mut self.arrows {
            let Some(frame) = arrow.frame() else { continue };
            let first = reactions
                .iter()
                .filter(|(lane, at_us, reaction)| {
                    *lane == arrow.to && *at_us > arrow.sent_us && reaction.may_answer(frame)
                })
                .map(|(_, at_us, _)| *at_us)
                .min();
            arrow.arrived_us = arrow.arrived_us.min(first.unwrap_or(i64::MAX));
        }
    }

    /// Adds the client's arrows. The client's measured latency exceeds the node's by two equal travel times, one for
    /// the request and one for the answer.
    fn add_client(&mut self) {
        let node = Lane::Node(self.request.node);
        let inside =
            self.request.answered.as_ref().map(|answered| answered.at_us as i64 - self.request.received_us as i64);
        let outside = self.request.client_took_us.zip(inside).map(|(took, inside)| (took as i64 - inside) / 2);
        let way_us = outside.unwrap_or(HALF_TRIP_US).max(1);
        let arrow = |from, to, sent_us, arrived_us, what| Arrow { from, to, sent_us, arrived_us, what, dropped: None };
        self.arrows.insert(0, arrow(Lane::Client, node, -way_us, 0, ArrowKind::Request));
        if let Some(inside) = inside {
            self.arrows.push(arrow(node, Lane::Client, inside, inside + way_us, ArrowKind::Answer));
        }
    }

    fn trim(&mut self) {
        self.left_out = self.arrows.len().saturating_sub(MAX_ARROWS);
        self.arrows.truncate(MAX_ARROWS);
    }
}

impl Arrow {
    fn frame(&self) -> Option<FrameKind> {
        match self.what {
            ArrowKind::Frame(what) => Some(what),
            ArrowKind::Request | ArrowKind::Answer => None,
        }
    }
}

/// A frame or an event that may be a reaction to a frame.
enum Reaction {
    Frame(FrameKind),
    Mark(MarkKind),
}

impl Reaction {
    /// Whether it can be caused by such a frame. A forwarded frame counts as caused by the same kind.
    fn may_answer(&self, frame: FrameKind) -> bool {
        match (frame, self) {
            (frame, Reaction::Frame(what)) if frame == *what => true,
            (FrameKind::Append, Reaction::Frame(FrameKind::Acknowledge)) => true,
            (FrameKind::Append, Reaction::Mark(MarkKind::Committed | MarkKind::Stored)) => true,
            (FrameKind::Acknowledge, Reaction::Mark(MarkKind::Committed)) => true,
            (FrameKind::Ask, Reaction::Frame(FrameKind::Append | FrameKind::Reply)) => true,
            (FrameKind::Reply, Reaction::Mark(MarkKind::Answered | MarkKind::Failed)) => true,
            _ => false,
        }
    }
}

/// Decides which events belong to the story.
struct Teller<'a> {
    clocks: Clocks,
    request: &'a Request,
    group: Option<Vertex>,
    cluster: &'a Cluster,
}

impl Teller<'_> {
    /// Microseconds since the request was received.
    fn at(&self, told: &RecordedEvent) -> i64 {
        self.clocks.corrected_us(told) - self.request.received_us as i64
    }

    fn answered_us(&self) -> Option<i64> {
        let answered = self.request.answered.as_ref()?;
        Some(answered.at_us as i64 - self.request.received_us as i64)
    }

    /// The offset of the publish: as reported to this page, otherwise the newest offset stored by the time of the
    /// answer.
    fn offset(&self, events: &[&RecordedEvent]) -> Option<u64> {
        if self.request.action != "publish" {
            return None;
        }
        let known = self.request.offset.map(|offset| offset.0);
        let answered_us = self.answered_us();
        known.or_else(|| {
            let stored = events.iter().filter_map(|told| match &told.event.event {
                Event::ReplicaStored { topic, offset, .. } if self.is_subject(topic.as_str()) => {
                    let at_us = self.at(told);
                    (at_us >= 0 && answered_us.is_some_and(|answered_us| at_us <= answered_us)).then_some(offset.0)
                }
                _ => None,
            });
            stored.max()
        })
    }

    /// The end of the story: [`AFTER_LAST_US`] after the last replica stored the message or the client was answered,
    /// whichever is later.
    fn end(&self, events: &[&RecordedEvent], offset: Option<u64>) -> i64 {
        let stored = events.iter().filter(|told| self.is_message(&told.event.event, offset)).map(|told| self.at(told));
        let last = stored.chain(self.answered_us()).max();
        last.map_or(i64::MAX, |last| last + AFTER_LAST_US)
    }

    fn is_subject(&self, name: &str) -> bool {
        self.request.subject.as_deref() == Some(name)
    }

    fn is_message(&self, event: &Event, wanted: Option<u64>) -> bool {
        matches!(event, Event::ReplicaStored { topic, offset, .. }
            if self.is_subject(topic.as_str()) && Some(offset.0) == wanted)
    }

    fn tell(&mut self, story: &mut Story, told: &RecordedEvent, offset: Option<u64>, end_us: i64) {
        let (at_us, node, event) = (self.at(told), told.event.node, &told.event.event);
        let is_own = told.event.trace == Some(self.request.trace);
        let is_meanwhile = (0..=end_us).contains(&at_us);
        let is_of_group = |group: &Vertex| self.group == Some(*group) && is_meanwhile;
        let mark = |what, words: String| Some((what, words));
        let told = match event {
            Event::RequestReceived { .. } if is_own => mark(MarkKind::Received, "receives the request".into()),
            Event::RequestAnswered { error: None, .. } if is_own => mark(MarkKind::Answered, "answers".into()),
            Event::RequestAnswered { error: Some(code), .. } if is_own => {
                mark(MarkKind::Failed, format!("refuses: {code}"))
            }
            Event::Committed { group, index } if is_of_group(group) && offset.is_some() => {
                mark(MarkKind::Committed, format!("marks entry {index} as committed"))
            }
            Event::ReplicaStored { topic, .. } if self.is_message(event, offset) => {
                mark(MarkKind::Stored, format!("makes {topic} #{} readable", offset.unwrap_or(0)))
            }
            Event::RoleChanged { group, role, term, .. } if is_of_group(group) => {
                mark(MarkKind::Election, format!("{} in term {term}", terms::role(*role)))
            }
            Event::FrameSent { to, what, group } => {
                let is_meant = is_own || (group.is_some_and(|group| is_of_group(&group)) && offset.is_some());
                if is_meant {
                    self.draw(story, node, *to, at_us, *what, None);
                }
                None
            }
            Event::FrameDropped { to, what, why } if is_own => {
                self.draw(story, node, *to, at_us, *what, Some(*why));
                None
            }
            _ => None,
        };
        if let Some((what, words)) = told {
            let lane = story.lane(node);
            story.marks.push(Mark { lane, at_us, what, words });
        }
    }

    fn draw(
        &self,
        story: &mut Story,
        from: HostId,
        to: HostId,
        sent_us: i64,
        what: FrameKind,
        dropped: Option<DropReason>,
    ) {
        let arrow = Arrow {
            from: story.lane(from),
            to: story.lane(to),
            sent_us,
            arrived_us: sent_us + self.half_trip(from, to),
            what: ArrowKind::Frame(what),
            dropped,
        };
        story.arrows.push(arrow);
    }

    fn half_trip(&self, from: HostId, to: HostId) -> i64 {
        let status = self.cluster.nodes.get(&from).and_then(|node| node.status.as_ref());
        let link = status.and_then(|status| status.links.iter().find(|link| link.to == to));
        link.and_then(|link| link.round_trip_us).map_or(HALF_TRIP_US, |trip| (trip / 2).max(1) as i64)
    }
}

#[cfg(test)]
pub(crate) mod tests;
