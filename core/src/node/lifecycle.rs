//! The identity of this process, its phase, the members that it has met, and its requested faults.
//!
//! A folder with an identity keeps it. A new folder may belong to a founding member of a new cluster, or to a member
//! that lost its disk; the node cannot tell these apart alone. It therefore asks every host with which it could have
//! exchanged group traffic: its co-members, at distance 1 and 2. If none of them has met this host, the node is a
//! founding member and may vote at once, because no one relied on state that it does not have. If one has met it, the
//! node returns as a new incarnation without a vote.
//!
//! For this to hold, every node records its first meeting with a member durably before it processes that member's first
//! message.
//!
//! A requested fault ends after a set duration, or on command. A crash loses everything that is not on disk and
//! closes all connections to neighbours. A wipe also erases the disk, so the node returns as a new incarnation. A pause
//! only stops the node from sending and processing. The lifecycle decides when; the node drops and creates the parts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::out::{Beginning, Out, PartEffect};
use crate::bugs::{Bug, Bugs};
use crate::faults::StopMode;
use crate::identity::{HostId, Incarnation, Member};
use crate::states::NodeState;
use crate::store::{NodeRecord, Recovered, RecoveredGroup, Write};
use crate::time::{Instant, Now};
use crate::wire::event::Event;
use crate::wire::peer::Body;

/// Delay before an unanswered introduction is repeated.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Interval of the warning that names the hosts without an answer.
const WARN_EVERY: Duration = Duration::from_secs(5);
/// Delay between the answer to `stop_node` and the failure.
const TIME_TO_ANSWER: Duration = Duration::from_millis(20);

/// See the [module](self).
#[derive(Serialize, Deserialize)]
pub(super) struct Lifecycle {
    me: HostId,
    /// The hosts that share a group with this one.
    co_members: Vec<HostId>,
    bugs: Bugs,
    phase: Phase,
    /// Written to disk with every change.
    record: NodeRecord,
    /// The batch that records this start. A restart before it is durable would reuse the same request numbers.
    started_in: u64,
    /// The batch that records the first meeting with each member.
    met_in: BTreeMap<HostId, u64>,
    /// A requested fault that has not begun.
    stopping: Option<Stopping>,
    #[serde(with = "crate::saved::random")]
    random: fastrand::Rng,
}

#[derive(Serialize, Deserialize)]
enum Phase {
    /// Finds out whether this host was a member before.
    Joining(Joining),
    Serving,
    /// Paused by a requested fault: memory is kept, and nothing is sent or processed.
    Paused {
        until: Instant,
    },
    /// Crashed by a requested fault: memory is lost.
    Crashed {
        until: Instant,
        wipe: bool,
    },
    /// The store is being reopened.
    Reopening {
        wipe: bool,
    },
}

#[derive(Serialize, Deserialize)]
struct Joining {
    nonce: u64,
    /// Hosts that have answered that they never met this one.
    strangers: BTreeSet<HostId>,
    next_ask: Instant,
    next_warning: Instant,
}

#[derive(Serialize, Deserialize)]
struct Stopping {
    due: Instant,
    mode: StopMode,
    lasts: Duration,
}

/// A step of a failure that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FaultStep {
    /// Stop sending and processing, and keep the memory.
    Pause,
    /// Drop everything that is not on disk.
    Crash,
    /// Open the store again, after erasing it if `wipe` is set.
    Reopen { wipe: bool },
    /// The pause is over.
    Resume,
}

impl Lifecycle {
    /// A process that has not read its disk yet.
    pub fn new(me: HostId, co_members: Vec<HostId>, seed: u64, bugs: Bugs) -> Lifecycle {
        Lifecycle {
            me,
            co_members,
            bugs,
            phase: Phase::Reopening { wipe: false },
            record: NodeRecord { identity: None, host: me, starts: 0, met: Vec::new() },
            started_in: 0,
            met_in: BTreeMap::new(),
            stopping: None,
            random: fastrand::Rng::with_seed(seed ^ 0x0063_7562_6563_6173),
        }
    }

    // Queries.

    /// Whether this is the lifecycle of that host.
    pub fn is_of(&self, host: HostId) -> bool {
        let is_identity = self.record.identity.is_none_or(|identity| identity.host == host);
        self.me == host && self.record.host == host && is_identity
    }

    /// `None` until the identity is known.
    pub fn identity(&self) -> Option<Member> {
        self.record.identity
    }

    /// The incarnation as it is shown: 0 until the identity is known.
    pub fn incarnation(&self) -> Incarnation {
        self.record.identity.map_or(Incarnation(0), |identity| identity.incarnation)
    }

    /// How often the data folder was opened.
    pub fn starts(&self) -> u64 {
        self.record.starts
    }

    /// The batch that records this start.
    pub fn started_in(&self) -> u64 {
        self.started_in
    }

    /// Whether the node neither sends to nor processes from its neighbours.
    pub fn is_silent(&self) -> bool {
        matches!(self.phase, Phase::Paused { .. } | Phase::Crashed { .. } | Phase::Reopening { .. })
    }

    /// Whether the node has crashed by a requested fault and has not read its disk again.
    pub fn is_crashed(&self) -> bool {
        matches!(self.phase, Phase::Crashed { .. } | Phase::Reopening { .. })
    }

    /// Whether the node does not know its identity yet. It then has no groups.
    pub fn is_joining(&self) -> bool {
        matches!(self.phase, Phase::Joining(_))
    }

    /// Whether the disk is read again after a crash. `Some(true)`: it was erased.
    pub fn reopens(&self) -> Option<bool> {
        match self.phase {
            Phase::Reopening { wipe } => Some(wipe),
            _ => None,
        }
    }

    /// Whether time has to pass for this part.
    pub fn is_anything_waiting(&self) -> bool {
        self.stopping.is_some() || self.is_joining()
    }

    /// The node's state, as far as it depends on this part.
    pub fn state(&self) -> NodeState {
        match self.phase {
            Phase::Paused { .. } | Phase::Crashed { .. } | Phase::Reopening { .. } => NodeState::Failed,
            Phase::Joining(_) => NodeState::Recovering,
            Phase::Serving => NodeState::Up,
        }
    }

    /// Why early requests wait: the node cannot serve them yet.
    pub fn why_nothing_begins(&self) -> String {
        let Phase::Joining(joining) = &self.phase else {
            return format!("node {} is starting: its start is not yet recorded on disk", self.me);
        };
        let silent: Vec<String> = joining.unanswered(&self.co_members).map(|host| host.to_string()).collect();
        format!(
            "node {} has a new data folder and is waiting for {} to report whether they met it before; start them, or \
             wait",
            self.me,
            silent.join(", ")
        )
    }

    /// The next number of this process's random sequence.
    pub fn random(&mut self) -> u64 {
        self.random.u64(..)
    }

    // Starting and joining.

    /// Starts with the recovered state. `wiped`: a requested fault erased the disk, so an empty folder does not make a
    /// node with a previous identity a founder. `seen`: the own incarnation that other nodes report.
    pub fn start(&mut self, now: Now, recovered: Recovered, wiped: bool, seen: Option<Incarnation>, out: &mut Out) {
        self.phase = Phase::Serving;
        let previous = self.record.identity;
        let starts = recovered.record.as_ref().map_or(0, |record| record.starts) + 1;
        let new = NodeRecord { identity: None, host: self.me, starts: 0, met: Vec::new() };
        self.record = NodeRecord { starts, ..recovered.record.unwrap_or(new) };
        self.met_in.clear();
        match self.record.identity {
            Some(_) => self.restore(now, recovered.groups, seen, out),
            None if wiped && previous.is_some() => self.join_anew(now, previous, seen, out),
            None => self.begin_joining(now.monotonic),
        }
        self.write_record(out);
        self.started_in = out.batch();
    }

    fn restore(&mut self, now: Now, groups: Vec<RecoveredGroup>, seen: Option<Incarnation>, out: &mut Out) {
        let damaged = groups.iter().any(|group| group.tail_cut);
        if damaged && !self.bugs.has(Bug::DamagedLogKeepsItsVote) {
            self.record.identity = Some(self.new_incarnation(now, self.record.identity, seen));
        }
        out.push(PartEffect::FormGroups(Beginning::Restored(groups)));
    }

    /// Starts the identity query from the beginning.
    fn begin_joining(&mut self, now: Instant) {
        self.phase = Phase::Joining(Joining {
            nonce: self.random.u64(..),
            strangers: BTreeSet::new(),
            next_ask: now,
            next_warning: now + WARN_EVERY,
        });
    }

    /// Returns an unused incarnation: at least the wall clock in seconds, and larger than the last one known.
    fn new_incarnation(&self, now: Now, previous: Option<Member>, seen: Option<Incarnation>) -> Member {
        const MICROSECONDS: u64 = 1_000_000;
        let by_clock = (now.wall.0 / MICROSECONDS) as u32;
        let last = previous.map_or(Incarnation::FOUNDING, |identity| identity.incarnation);
        let known = seen.map_or(last, |seen| seen.max(last));
        Member { host: self.me, incarnation: Incarnation(by_clock.max(known.0 + 1)) }
    }

    fn join_anew(&mut self, now: Now, previous: Option<Member>, seen: Option<Incarnation>, out: &mut Out) {
        if self.bugs.has(Bug::WipedMemberVotes) {
            return self.found(out);
        }
        let identity = self.new_incarnation(now, previous, seen);
        self.serve_as(identity, Beginning::Joining, out);
    }

    fn found(&mut self, out: &mut Out) {
        self.serve_as(Member::founding(self.me), Beginning::Founding, out);
    }

    fn serve_as(&mut self, identity: Member, beginning: Beginning, out: &mut Out) {
        self.record.identity = Some(identity);
        self.phase = Phase::Serving;
        out.push(PartEffect::FormGroups(beginning));
        self.write_record(out);
    }

    fn write_record(&self, out: &mut Out) {
        out.write(self.as_write());
    }

    /// The write of the node's record.
    pub fn as_write(&self) -> Write {
        Write::Identity(self.record.clone())
    }

    /// Repeats the introductions without an answer.
    pub fn handle_time(&mut self, now: Instant, out: &mut Out) {
        let text = self.why_nothing_begins();
        let Phase::Joining(joining) = &mut self.phase else { return };
        if now >= joining.next_warning {
            joining.next_warning = now + WARN_EVERY;
            out.warn(text);
        }
        if now >= joining.next_ask {
            joining.next_ask = now + ASK_AGAIN;
            for host in joining.unanswered(&self.co_members) {
                out.send(host, None, Body::Introduce { nonce: joining.nonce });
            }
        }
    }

    /// A host became visible: sends it an introduction at once if it has not answered.
    pub fn handle_seen(&mut self, host: HostId, out: &mut Out) {
        let Phase::Joining(joining) = &self.phase else { return };
        if joining.unanswered(&self.co_members).any(|unanswered| unanswered == host) {
            out.send(host, None, Body::Introduce { nonce: joining.nonce });
        }
    }

    /// Answers a host that introduces itself: whether this node has met it, and in which incarnation.
    pub fn handle_introduce(&mut self, from: HostId, nonce: u64, out: &mut Out) {
        let incarnation = self.record.met.iter().find(|(host, _)| *host == from).map(|(_, incarnation)| *incarnation);
        out.send(from, None, Body::Introduced { nonce, met: incarnation.is_some(), incarnation });
    }

    /// `met`: the incarnation that `from` has met of this host. `seen` as in [`Lifecycle::start`].
    pub fn handle_introduced(
        &mut self,
        now: Now,
        from: HostId,
        nonce: u64,
        met: Option<Option<Incarnation>>,
        seen: Option<Incarnation>,
        out: &mut Out,
    ) {
        let me = self.me;
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.nonce != nonce {
            return;
        }
        match met {
            Some(incarnation) => {
                let previous = incarnation.map(|incarnation| Member { host: me, incarnation });
                self.join_anew(now, previous, seen, out);
            }
            None => {
                joining.strangers.insert(from);
                if joining.strangers.len() < self.co_members.len() {
                    return;
                }
                self.found(out);
            }
        }
        out.push(PartEffect::Serves);
    }

    /// Records a member as met. `Some(batch)`: the record is not durable before that batch, so the member's messages
    /// must wait. `written`: the last durable batch.
    pub fn meet(&mut self, member: Member, written: u64, out: &mut Out) -> Option<u64> {
        let known = self.record.met.iter_mut().find(|(host, _)| *host == member.host);
        let is_new = match known {
            Some((_, incarnation)) if *incarnation >= member.incarnation => false,
            Some((_, incarnation)) => {
                *incarnation = member.incarnation;
                true
            }
            None => {
                self.record.met.push((member.host, member.incarnation));
                true
            }
        };
        if is_new {
            self.write_record(out);
            self.met_in.insert(member.host, out.batch());
        }
        self.met_in.get(&member.host).copied().filter(|batch| *batch > written)
    }

    // Failing and returning.

    /// Schedules a failure for a moment later, so that the requester is answered first.
    pub fn handle_stop(&mut self, now: Instant, mode: StopMode, duration_ms: u64, out: &mut Out) {
        out.event(Event::Stopped { mode, duration_ms });
        self.stopping = Some(Stopping { due: now + TIME_TO_ANSWER, mode, lasts: Duration::from_millis(duration_ms) });
    }

    /// Ends a requested fault early. A requested fault that has not begun is cancelled.
    pub fn handle_recover(&mut self, now: Instant) {
        self.stopping = None;
        if let Phase::Paused { until } | Phase::Crashed { until, .. } = &mut self.phase {
            *until = now;
        }
    }

    /// The next step of a failure that is due.
    pub fn poll_fault(&mut self, now: Instant) -> Option<FaultStep> {
        if let Some(Stopping { mode, lasts, .. }) = self.stopping.take_if(|stopping| now >= stopping.due) {
            let until = now + lasts;
            return Some(match mode {
                StopMode::Pause => {
                    self.phase = Phase::Paused { until };
                    FaultStep::Pause
                }
                StopMode::Crash | StopMode::Wipe => {
                    self.phase = Phase::Crashed { until, wipe: mode == StopMode::Wipe };
                    FaultStep::Crash
                }
            });
        }
        match self.phase {
            Phase::Paused { until } if now >= until => {
                self.resume(now);
                Some(FaultStep::Resume)
            }
            Phase::Crashed { until, wipe } if now >= until => {
                self.phase = Phase::Reopening { wipe };
                Some(FaultStep::Reopen { wipe })
            }
            _ => None,
        }
    }

    fn resume(&mut self, now: Instant) {
        if self.record.identity.is_some() {
            self.phase = Phase::Serving;
        } else {
            self.begin_joining(now);
        }
    }
}

impl Joining {
    /// The co-members that have not answered yet.
    fn unanswered(&self, co_members: &[HostId]) -> impl Iterator<Item = HostId> {
        co_members.iter().copied().filter(|host| !self.strangers.contains(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const NOW: Now = Now { monotonic: Instant(0), wall: Timestamp(0) };

    fn host(text: &str) -> HostId {
        text.parse().unwrap()
    }

    /// Host 00 with an empty disk, and the nonce of its introductions.
    fn joining() -> (Lifecycle, u64) {
        let (mut lifecycle, mut out) =
            (Lifecycle::new(host("00"), ["01", "10", "11"].map(host).to_vec(), 1, Bugs::default()), Out::default());
        lifecycle.start(NOW, Recovered::default(), false, None, &mut out);
        let Phase::Joining(joining) = &lifecycle.phase else { panic!("an empty disk does not tell who it was") };
        let nonce = joining.nonce;
        (lifecycle, nonce)
    }

    fn beginning(out: &mut Out) -> Option<Beginning> {
        std::iter::from_fn(|| out.poll_part_effect()).find_map(|effect| match effect {
            PartEffect::FormGroups(beginning) => Some(beginning),
            _ => None,
        })
    }

    #[test]
    fn a_node_that_nobody_has_met_is_a_founder() {
        let (mut lifecycle, nonce) = joining();
        let mut out = Out::default();
        for from in ["01", "10"] {
            lifecycle.handle_introduced(NOW, host(from), nonce, None, None, &mut out);
            lifecycle.handle_introduced(NOW, host("11"), nonce + 1, None, None, &mut out);
            assert!(lifecycle.is_joining(), "11 has not answered this introduction");
        }
        lifecycle.handle_introduced(NOW, host("11"), nonce, None, None, &mut out);
        assert!(matches!(beginning(&mut out), Some(Beginning::Founding)));
        assert_eq!(lifecycle.identity(), Some(Member::founding(host("00"))));
    }

    #[test]
    fn a_node_that_somebody_has_met_returns_as_a_new_incarnation() {
        let (mut lifecycle, nonce) = joining();
        let mut out = Out::default();
        lifecycle.handle_introduced(NOW, host("11"), nonce, Some(Some(Incarnation(4))), None, &mut out);
        assert!(matches!(beginning(&mut out), Some(Beginning::Joining)));
        assert_eq!(lifecycle.incarnation(), Incarnation(5));
    }

    #[test]
    fn messages_of_a_member_wait_until_the_first_meeting_is_durable() {
        let (mut lifecycle, _) = joining();
        let mut out = Out::default();
        let member = Member::founding(host("01"));
        assert_eq!([0, 1].map(|written| lifecycle.meet(member, written, &mut out)), [Some(1), None]);
        let successor = Member { incarnation: Incarnation(2), ..member };
        out.take_batch();
        assert_eq!(lifecycle.meet(successor, 1, &mut out), Some(2));
    }

    #[test]
    fn a_failure_begins_after_its_answer_and_ends_on_command() {
        let (mut lifecycle, _) = joining();
        let begins = NOW.monotonic + TIME_TO_ANSWER;
        lifecycle.handle_stop(NOW.monotonic, StopMode::Wipe, 60_000, &mut Out::default());
        assert_eq!(lifecycle.poll_fault(NOW.monotonic), None);
        assert_eq!([(); 2].map(|()| lifecycle.poll_fault(begins)), [Some(FaultStep::Crash), None]);
        assert!(lifecycle.is_silent());
        lifecycle.handle_recover(begins);
        assert_eq!([(); 2].map(|()| lifecycle.poll_fault(begins)), [Some(FaultStep::Reopen { wipe: true }), None]);
        assert_eq!(lifecycle.reopens(), Some(true));
    }
}
