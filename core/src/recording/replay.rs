//! Replays recordings: one host turn by turn, and all hosts of an incident in the order of their clocks.
//!
//! A replay carries out no effects. Its caller sees the effects of each turn, and the node's state after it.

use std::collections::BTreeMap;

use super::comparison::Comparison;
use super::digest::digest;
use super::incident::{Incident, IncidentError};
use super::segment::{Cursor, Segment, SegmentError, Turn};
use super::validity;
use crate::identity::HostId;
use crate::io::{Effect, Input};
use crate::node::{Node, SavedStateError};
use crate::seating::Seating;
use crate::store::Write;
use crate::time::{Instant, Now, Timestamp};

/// A host whose recording ends this long before the incident's end, in microseconds, was down then: a node that runs
/// has a turn at least every quarter of a second.
const SILENCE_US: u64 = 2_000_000;

/// No incident is longer than this, in microseconds. A longer one has a damaged time, and nobody could look at it.
const MAX_LENGTH_US: u64 = 7 * 24 * 3_600 * 1_000_000;

/// Why a recording cannot be replayed further.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("node {host}: {why}")]
    Segment { host: HostId, why: SegmentError },
    #[error("node {host}: {why}")]
    State { host: HostId, why: SavedStateError },
    #[error("node {host} at {at}: the recording is damaged: {why}")]
    Input { host: HostId, at: Timestamp, why: String },
    #[error("the incident is damaged: it ends long before or after it begins")]
    Length,
    #[error(transparent)]
    Incident(#[from] IncidentError),
}

/// Something that a host did.
#[derive(Debug)]
pub enum Step {
    /// The recording of a process begins: its node has the saved state.
    Began { process: u64 },
    /// A turn.
    Turned { inputs: Vec<Input>, effects: Vec<Effect>, is_equal: bool },
    /// The recording of a process ends, and the host is down.
    Ended,
}

/// A step of one of the hosts, and its time on the incident's clock.
#[derive(Debug)]
pub struct HostStep {
    pub host: HostId,
    pub at: Timestamp,
    pub step: Step,
}

/// A host while it is replayed.
struct HostReplay {
    host: HostId,
    seating: Seating,
    segments: Vec<Segment>,
    /// For each segment, the difference between the wall clock and the monotonic clock. It is that of the beginning of
    /// the process's recording, so changes of the wall clock cannot turn back the time.
    offsets: Vec<u64>,
    /// When the last turn of each segment was.
    ends: Vec<Timestamp>,
    /// The segment of the next turn.
    segment: usize,
    cursor: Cursor,
    node: Option<Node>,
    /// The content of the disk after the last process.
    disk: Vec<Write>,
    next: Next,
    comparison: Comparison,
}

/// The next step, and its time.
enum Next {
    Begin(Timestamp),
    Turn(Timestamp, Turn),
    End(Timestamp),
    Nothing,
}

/// The hosts of an incident while they are replayed.
pub struct Replay {
    seating: Seating,
    hosts: BTreeMap<HostId, HostReplay>,
    begins: Timestamp,
    ends: Timestamp,
    now: Timestamp,
}

impl Replay {
    /// Opens an incident, before its first moment.
    pub fn open(incident: &Incident) -> Result<Replay, ReplayError> {
        let mut hosts = BTreeMap::new();
        for recording in incident.hosts.iter().filter(|recording| !recording.segments.is_empty()) {
            let replay = HostReplay::new(recording.host, incident.seating.clone(), recording.read()?)?;
            hosts.insert(recording.host, replay);
        }
        let begins = hosts.values().filter_map(HostReplay::begins).max().ok_or(IncidentError::Empty)?;
        let ends = hosts.values().filter_map(HostReplay::ends).max().ok_or(IncidentError::Empty)?;
        let earliest = hosts.values().filter_map(HostReplay::begins).min().unwrap_or(begins);
        if ends.0.checked_sub(earliest.0).is_none_or(|length| length > MAX_LENGTH_US) {
            return Err(ReplayError::Length);
        }
        for host in hosts.values_mut() {
            host.next = host.find_next(ends)?;
        }
        Ok(Replay { seating: incident.seating.clone(), hosts, begins, ends, now: Timestamp(0) })
    }

    /// The hosts of the cluster.
    pub fn seating(&self) -> &Seating {
        &self.seating
    }

    /// The first moment at which every recorded host that was up then is known.
    pub fn begins(&self) -> Timestamp {
        self.begins
    }

    /// The time of the last recorded turn.
    pub fn ends(&self) -> Timestamp {
        self.ends
    }

    /// The time of the last step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The node of a host in its present state; `None` while the host is down or not recorded.
    pub fn node(&self, host: HostId) -> Option<&Node> {
        self.hosts.get(&host)?.node.as_ref()
    }

    /// Takes a host's node out of the replay, which cannot go on after this.
    pub fn take_node(&mut self, host: HostId) -> Option<Node> {
        self.hosts.get_mut(&host)?.node.take()
    }

    /// The clocks of a recorded host at a moment of the incident.
    pub fn clocks(&self, host: HostId, at: Timestamp) -> Option<Now> {
        let host = self.hosts.get(&host)?;
        let offset = *host.offsets.get(host.segment).or(host.offsets.last())?;
        Some(Now { monotonic: Instant(at.0.wrapping_sub(offset)), wall: at })
    }

    /// The content of a host's disk while its process does not run, without messages: the state at the end of the
    /// process.
    pub fn disk_of(&self, host: HostId) -> &[Write] {
        self.hosts.get(&host).map_or(&[], |host| &host.disk)
    }

    /// For each recorded host, how the replay so far compares with the recording.
    pub fn comparisons(&self) -> impl Iterator<Item = (HostId, &Comparison)> {
        self.hosts.iter().map(|(host, replay)| (*host, &replay.comparison))
    }

    /// Whether a host's recordings cover a time without a gap. They also cover the time in which the host was down.
    pub fn covers(&self, host: HostId, from: Timestamp, until: Timestamp) -> bool {
        let Some(host) = self.hosts.get(&host) else { return false };
        let is_down_at_the_end = host.ends().is_some_and(|ended| self.ends.0.saturating_sub(ended.0) > SILENCE_US);
        let ends = if is_down_at_the_end { Some(self.ends) } else { host.ends() };
        let has_gap = host.gaps().any(|(begins, ends)| begins < until && ends > from);
        host.begins().is_some_and(|begins| begins <= from) && ends.is_some_and(|ends| ends >= until) && !has_gap
    }

    /// When the next step is.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.hosts.values().filter_map(|host| host.next.at()).min()
    }

    /// Carries out the next step; `None` at the end. An error ends the replay of its host.
    pub fn step(&mut self) -> Result<Option<HostStep>, ReplayError> {
        let next = self.hosts.values_mut().filter_map(|host| Some((host.next.at()?, host)));
        let Some((at, host)) = next.min_by_key(|(at, host)| (*at, host.host)) else { return Ok(None) };
        self.now = at;
        let step = host.step(self.ends)?;
        Ok(Some(HostStep { host: host.host, at, step }))
    }
}

impl Next {
    fn at(&self) -> Option<Timestamp> {
        match self {
            Next::Begin(at) | Next::Turn(at, _) | Next::End(at) => Some(*at),
            Next::Nothing => None,
        }
    }
}

impl HostReplay {
    fn new(host: HostId, seating: Seating, segments: Vec<Segment>) -> Result<HostReplay, ReplayError> {
        let mut offsets: Vec<u64> = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let Now { monotonic, wall } = segment.head.began;
            let is_same_process = at > 0 && segments[at - 1].head.process == segment.head.process;
            offsets.push(if is_same_process { offsets[at - 1] } else { wall.0.wrapping_sub(monotonic.0) });
        }
        let error = |why| ReplayError::Segment { host, why };
        let ends = segments.iter().zip(&offsets).map(|(segment, offset)| Ok(on_clock(segment.ends()?, *offset)));
        let ends = ends.collect::<Result<_, _>>().map_err(error)?;
        let cursor = segments[0].begin();
        let (node, disk, comparison) = (None, Vec::new(), Comparison::default());
        Ok(HostReplay {
            host,
            seating,
            segments,
            offsets,
            ends,
            segment: 0,
            cursor,
            node,
            disk,
            next: Next::Nothing,
            comparison,
        })
    }

    fn begins(&self) -> Option<Timestamp> {
        Some(on_clock(self.segments.first()?.head.began, *self.offsets.first()?))
    }

    fn ends(&self) -> Option<Timestamp> {
        self.ends.last().copied()
    }

    /// The times within a process that are not recorded.
    fn gaps(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let pairs = self.segments.windows(2).enumerate();
        let gaps = pairs.filter_map(|(at, pair)| match pair {
            [earlier, later] => (earlier.head.process == later.head.process && !later.continues(earlier)).then_some(at),
            _ => None,
        });
        gaps.map(|at| (self.ends[at], on_clock(self.segments[at + 1].head.began, self.offsets[at + 1])))
    }

    fn step(&mut self, incident_ends: Timestamp) -> Result<Step, ReplayError> {
        let step = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Begin(_) => {
                self.enter_segment()?;
                Step::Began { process: self.segments[self.segment].head.process }
            }
            Next::Turn(at, turn) => self.turn(at, turn),
            Next::End(_) => {
                self.disk = self.node.take().map(|node| node.as_writes()).unwrap_or_default();
                Step::Ended
            }
            Next::Nothing => Step::Ended,
        };
        self.next = self.find_next(incident_ends)?;
        Ok(step)
    }

    fn turn(&mut self, at: Timestamp, turn: Turn) -> Step {
        let Some(node) = &mut self.node else { return Step::Ended };
        let effects = node.handle(turn.now, turn.inputs.clone());
        let is_equal = digest(&effects) == turn.digest;
        self.comparison.note_turn(at, is_equal);
        Step::Turned { inputs: turn.inputs, effects, is_equal }
    }

    /// Restores the state with which the current segment begins.
    fn enter_segment(&mut self) -> Result<(), ReplayError> {
        let segment = &self.segments[self.segment];
        let error = |why| ReplayError::State { host: self.host, why };
        let node = Node::restore(&segment.head.state).map_err(error)?;
        let config = node.config();
        if config.host != self.host || config.seating != self.seating {
            return Err(error(SavedStateError::Unsound("its cluster")));
        }
        self.node = Some(node);
        self.cursor = segment.begin();
        Ok(())
    }

    fn find_next(&mut self, incident_ends: Timestamp) -> Result<Next, ReplayError> {
        if self.node.is_none() {
            return Ok(self.begin_of(self.segment));
        }
        loop {
            let segment = &self.segments[self.segment];
            let turn = segment.next(&mut self.cursor).map_err(|why| ReplayError::Segment { host: self.host, why })?;
            if let Some(turn) = turn {
                let at = on_clock(turn.now, self.offsets[self.segment]);
                let (host, seating) = (self.host, &self.seating);
                validity::check(&turn.inputs, host, seating).map_err(|why| ReplayError::Input { host, at, why })?;
                return Ok(Next::Turn(at, turn));
            }
            let ended = self.ends[self.segment];
            self.segment += 1;
            match self.segments.get(self.segment) {
                Some(later) if later.continues(segment) => self.compare_state()?,
                Some(_) => return Ok(Next::End(ended)),
                None if incident_ends.0.saturating_sub(ended.0) > SILENCE_US => return Ok(Next::End(ended)),
                None => return Ok(Next::Nothing),
            }
        }
    }

    fn begin_of(&self, segment: usize) -> Next {
        match (self.segments.get(segment), self.offsets.get(segment)) {
            (Some(later), Some(offset)) => Next::Begin(on_clock(later.head.began, *offset)),
            _ => Next::Nothing,
        }
    }

    /// Compares the node's state with the one with which the current segment begins, and continues with the latter.
    fn compare_state(&mut self) -> Result<(), ReplayError> {
        let head = &self.segments[self.segment].head;
        let is_equal = self.node.as_ref().and_then(Node::save).is_some_and(|state| state == head.state);
        self.comparison.note_state(on_clock(head.began, self.offsets[self.segment]), is_equal);
        self.enter_segment()
    }
}

fn on_clock(now: Now, offset: u64) -> Timestamp {
    Timestamp(now.monotonic.0.wrapping_add(offset))
}
