//! The coordinator's part: accepts client requests and answers each exactly once.
//!
//! A request waits until this node has recorded its start and knows its identity; requests that need neither are
//! answered at once. It then passes through some of the stages of [`Stage`]. For a write these are:
//!
//! 1. Check that its publisher or subscriber is registered. Any replica can confirm this; only the leader can deny it.
//! 2. Have the leader of the subject's group perform it.
//! 3. Answer the client.
//!
//! After a lost frame, a lost leader or a leader change, the coordinator asks again under the same
//! [`RequestKey`](crate::identity::RequestKey) until the deadline.

use std::time::Duration;

use super::super::out::{Out, PartEffect};
use super::super::view::View;
use super::super::vocabulary::{AnswerTo, AskedFor};
use super::Coordinator;
use super::gathering::Gathering;
use super::here::{Here, is_for};
use super::pending::{Pending, Registering, Stage, acts_under, call_to_advance, registration};
use super::registering::stage_under;
use crate::bugs::Bug;
use crate::identity::{HostId, TraceId};
use crate::io::ConnectionId;
use crate::time::Instant;
use crate::topics::command::Op;
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::client::{Action, Query, Read, ReadLevel, Request};
use crate::wire::event::Event;
use crate::wire::peer::Call;

/// A request that finds no leader for this long is answered with `unavailable`.
const PATIENCE: Duration = Duration::from_millis(2500);
/// A publish with `ack: one` that finds no leader for this long goes to the outbox.
const OUTBOX_AFTER: Duration = Duration::from_millis(400);
/// Delay before an ask without a reply is repeated.
const ASK_AGAIN: Duration = Duration::from_millis(1000);
/// Delay before the next ask after a reply that names another node or none.
pub(super) const TRY_AGAIN: Duration = Duration::from_millis(50);

impl Coordinator {
    /// Begins a client's request. It is answered here, refused, or sent to the nodes that perform it.
    pub fn handle_request(&mut self, connection: ConnectionId, request: Request, view: &View, out: &mut Out) {
        out.counters.requests += 1;
        let Request { id, trace, mut action } = request;
        if view.bugs.has(Bug::FollowersServeLeaderReads)
            && let Action::Read(Read::Pull { read, .. }) = &mut action
        {
            *read = ReadLevel::Any;
        }
        let key = view.next_key(out);
        let trace_id = TraceId((u64::from(view.me.number()) << 40) | (key.number & 0xff_ffff_ffff));
        if self.observes_frequent(view) {
            let event =
                Event::RequestReceived { action: action.name().into(), subject: action.subject().map(Into::into) };
            self.handle_event(event, Some(trace_id), view, out);
        }
        let pending = Pending::new(action, key, trace_id, view.monotonic());
        let mut pending = Pending { connection: Some(connection), id, trace, ..pending };
        match self.answer_here(connection, &pending.action, view) {
            Here::Answer(result) => return self.answer(pending, result, view.me, vec![view.me], view, out),
            Here::Administer(admin) => return self.administer(pending, admin, out),
            Here::AskOthers => {}
        }
        if let Some(failure) = self.lacks_room_for(&pending.action, view) {
            self.answer(pending, Err(failure), view.me, vec![view.me], view, out);
            return;
        }
        if let Some((kind, name)) = acts_under(&pending.action) {
            self.report_use(kind, name, view, out);
        }
        let begins = self.may_begin(&pending.action, view);
        pending.stage = if begins { self.first_stage(&pending.action, key.number, view, out) } else { Stage::NotBegun };
        let takes_turns = matches!(pending.action, Action::Read(_));
        self.requests.insert(key.number, pending);
        if takes_turns { self.queue_pull(connection, key.number, view, out) } else { self.drive(key.number, view, out) }
    }

    fn lacks_room_for(&self, action: &Action, view: &View) -> Option<Failure> {
        if self.requests.is_full_for(action) {
            let (requests, bytes) = (self.requests.pending.len(), self.requests.bytes);
            let text = format!(
                "{requests} requests with {bytes} bytes are in progress on node {}, which is its limit; retry",
                view.me
            );
            return Some(ErrorCode::Overloaded.because(text));
        }
        match action {
            Action::Write(write) if write.begins_push() => self.lacks_room_for_session(view),
            _ => None,
        }
    }

    /// Keeps the request waiting until it is released. `why` is reported if its deadline passes before that.
    pub(super) fn hold_request(&mut self, number: u64, why: &str) {
        if let Some(pending) = self.requests.pending.get_mut(&number) {
            pending.ask_at = Instant(u64::MAX);
            pending.problem = Some(why.into());
        }
    }

    pub(super) fn release_request(&mut self, number: u64, view: &View, out: &mut Out) {
        if let Some(pending) = self.requests.pending.get_mut(&number) {
            pending.ask_at = view.monotonic();
            pending.problem = None;
            self.drive(number, view, out);
        }
    }

    /// Whether this node can start to process the action yet.
    fn may_begin(&self, action: &Action, view: &View) -> bool {
        let is_for_another = matches!(action, Action::Admin(admin) if !is_for(view.me, admin));
        !view.is_starting() && (!view.lifecycle.is_joining() || is_for_another)
    }

    /// Starts a held request. Its coordinator is set again: the node may not have known its identity when it numbered
    /// the request.
    fn begin(&mut self, number: u64, view: &View, out: &mut Out) {
        let coordinator = view.coordinator();
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.key.coordinator = coordinator;
        let action = pending.action.clone();
        let stage = self.first_stage(&action, number, view, out);
        self.requests.pending.entry(number).and_modify(|pending| pending.stage = stage);
        self.drive(number, view, out);
    }

    fn first_stage(&mut self, action: &Action, number: u64, view: &View, out: &mut Out) -> Stage {
        match action {
            Action::Admin(admin) => Stage::Visiting(admin.node().unwrap_or(view.me)),
            Action::Query(Query::Locate { topic }) => {
                Stage::Gathering(self.gather_location(number, topic.clone(), view, out))
            }
            Action::Query(Query::Topics) => Stage::Gathering(self.gather_topics(number, view, out)),
            Action::Read(Read::ReplicaPull { .. }) => Stage::Visiting(view.me),
            Action::Read(Read::Pull { read: ReadLevel::Any, .. }) => Stage::Reading,
            Action::Write(write) if let Some((kind, name)) = write.registers() => {
                Stage::Admitting { kind, name: name.to_owned() }
            }
            Action::Write(_) | Action::Read(Read::Pull { read: ReadLevel::Leader, .. }) | Action::Local(_) => {
                registration(action).map_or(Stage::Acting, |(kind, name)| {
                    stage_under(kind, name, self.names.known.status(kind, name, view.monotonic()))
                })
            }
        }
    }

    /// Performs the next step of a request if it is due.
    pub fn drive(&mut self, number: u64, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(pending) = self.requests.pending.get(&number) else { return };
        if now >= pending.deadline {
            self.give_up(number, view, out);
            return;
        }
        if let Stage::Gathering(_) = &pending.stage {
            return self.gather(number, view, out);
        }
        if now < pending.ask_at || !self.may_begin(&pending.action, view) {
            return;
        }
        if let Stage::NotBegun = &pending.stage {
            return self.begin(number, view, out);
        }
        if let Stage::Admitting { .. } = &pending.stage {
            return self.admit_name(number, view, out);
        }
        match self.whom_to_ask(number, view) {
            Some((to, call)) => self.ask(number, to, call, view, out),
            None if self.goes_by_memory(number) => self.drive(number, view, out),
            None => self.wait_for_somebody(number, view, out),
        }
    }

    fn whom_to_ask(&self, number: u64, view: &View) -> Option<(HostId, Call)> {
        let pending = &self.requests.pending[&number];
        let leader = || view.find_leader(view.group_of_action(&pending.action));
        match &pending.stage {
            Stage::Registering(registering) => {
                let Registering { kind, name, linearizable, .. } = &**registering;
                let group = view.group_of(name);
                let to = if *linearizable { view.find_leader(group)? } else { view.find_member(group)? };
                Some((to, Call::IsRegistered { kind: *kind, name: name.clone(), linearizable: *linearizable }))
            }
            Stage::Acting => Some((leader()?, pending.call()?)),
            Stage::Reading => Some((view.find_member(view.group_of_action(&pending.action))?, pending.call()?)),
            Stage::Committing(pulled) => Some((leader()?, call_to_advance(pending.key, &pulled.advance))),
            Stage::Advancing(advance) => Some((leader()?, call_to_advance(pending.key, advance))),
            Stage::Visiting(node) => view.is_up(*node).then_some((*node, pending.call()?)),
            Stage::NotBegun | Stage::Admitting { .. } | Stage::AwaitingPlace | Stage::Gathering(_) => None,
        }
    }

    fn ask(&mut self, number: u64, to: HostId, call: Call, view: &View, out: &mut Out) {
        let token = view.next_token(out);
        let ask_at = view.monotonic() + ASK_AGAIN;
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let before = pending.asked.replace((token, to));
        // The earlier ask may have been performed, with only its answer missing.
        pending.uncertain |= before.is_some() && pending.stage.may_act();
        pending.ask_at = ask_at;
        let trace = Some(pending.trace_id);
        if let Some((token, _)) = before {
            out.push(PartEffect::ForgetAsk(token));
        }
        let asked_for = AskedFor::Request(number);
        out.push(PartEffect::Ask { to, trace, token, call, asked_for });
        if view.bugs.has(Bug::RetriesUnderNewNumbers) {
            let key = view.next_key(out);
            self.requests.pending.get_mut(&number).expect("it was just asked").key = key;
        }
    }

    /// No node can take the request now: tries again later, for a limited time.
    fn wait_for_somebody(&mut self, number: u64, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.ask_at = now + TRY_AGAIN;
        let stuck_for = now.since(*pending.stuck_since.get_or_insert(now));
        if pending.may_go_to_outbox() && stuck_for >= OUTBOX_AFTER {
            self.put_aside(number, out);
        } else if stuck_for >= PATIENCE {
            self.give_up(number, view, out);
        }
    }

    pub(super) fn stay_stuck(&mut self, number: u64, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(since) = self.requests.pending.get(&number).and_then(|pending| pending.stuck_since) else { return };
        let outbox = self.requests.pending[&number].may_go_to_outbox();
        if (outbox && now.since(since) >= OUTBOX_AFTER) || now.since(since) >= PATIENCE {
            self.wait_for_somebody(number, view, out);
        }
    }

    /// Without a leader, stores the publish in the local outbox. It is answered when it is on disk.
    fn put_aside(&mut self, number: u64, out: &mut Out) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let Action::Write(write) = &pending.action else { return };
        let (key, op) = (pending.key, Op::of(write));
        pending.ask_at = Instant(u64::MAX);
        if let Some((token, _)) = pending.asked {
            out.push(PartEffect::ForgetAsk(token));
        }
        out.push(PartEffect::StoreInOutbox { key, op, owner: AnswerTo::Client(number) });
    }

    /// The outbox took a publish, which will therefore enter the log, even if its client stops waiting before it is on
    /// disk; or it refused the publish.
    pub fn handle_outbox_took(&mut self, number: u64, result: Result<(), Failure>, view: &View, out: &mut Out) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        match result {
            Ok(()) => pending.uncertain = true,
            Err(failure) => {
                let failure = pending.doubt(failure);
                self.finish(number, Err(failure), view.me, vec![view.me], view, out);
            }
        }
    }

    fn give_up(&mut self, number: u64, view: &View, out: &mut Out) {
        let Some(pending) = self.requests.pending.get(&number) else { return };
        let waited = view.monotonic().since(pending.since).as_millis();
        if matches!(pending.stage, Stage::Committing(_)) {
            return self.finish_committing(number, view, out);
        }
        if matches!(pending.stage, Stage::AwaitingPlace) {
            return self.refuse_new_name(number, view, out);
        }
        let home = view.home_of(pending.action.subject().unwrap_or(""));
        let why = pending.problem.clone().unwrap_or_else(|| match &pending.stage {
            Stage::NotBegun => view.lifecycle.why_nothing_begins(),
            Stage::Visiting(node) => format!("node {node} cannot be reached from node {}", view.me),
            _ => format!("the replica group of {home} has no leader that node {} can reach", view.me),
        });
        let claims_not = view.bugs.has(Bug::SaysUnavailableThoughProposed);
        let failure = if pending.may_have_been_done() && !claims_not {
            ErrorCode::Timeout.because(format!(
                "no result after {waited} ms ({why}): the request may or may not have been done; retry"
            ))
        } else {
            ErrorCode::Unavailable.because(format!("nothing was done within {waited} ms ({why}); retry"))
        };
        self.finish(number, Err(failure), view.me, vec![view.me], view, out);
    }

    /// Starts a request of this node itself; its answer is dropped.
    pub(super) fn request_for_myself(&mut self, action: Action, stage: Stage, view: &View, out: &mut Out) {
        let key = view.next_key(out);
        let pending = Pending { stage, ..Pending::new(action, key, TraceId(key.number), view.monotonic()) };
        if !self.requests.is_full_for(&pending.action) {
            self.requests.insert(key.number, pending);
            self.drive(key.number, view, out);
        }
    }

    // Time and loss.

    /// Drives the requests that are due. Each is driven on its own, because it can involve other parts.
    pub fn handle_requests_time(&mut self, view: &View, out: &mut Out) {
        let now = view.monotonic();
        self.admit_waiting_names(view, out);
        let due = |pending: &Pending| {
            now >= pending.ask_at.min(pending.deadline) || matches!(pending.stage, Stage::Gathering(_))
        };
        for (number, _) in self.requests.pending.iter().filter(|(_, pending)| due(pending)) {
            out.push(PartEffect::Drive(*number));
        }
    }

    /// After the loss of a host, immediately repeats every ask that went to it or whose route may cross it.
    pub fn handle_lost(&mut self, host: HostId, view: &View, out: &mut Out) {
        let (me, now) = (view.me, view.monotonic());
        for (number, pending) in &mut self.requests.pending {
            if pending.asked.is_some_and(|(_, to)| view.seating.is_between(host, me, to)) {
                pending.uncertain |= pending.stage.may_act();
                pending.ask_at = now;
                out.push(PartEffect::Drive(*number));
            }
        }
    }

    pub(super) fn forget_requests_of(&mut self, connection: ConnectionId) {
        for number in self.end_client_pulls(connection) {
            self.requests.remove(number);
        }
        for pending in self.requests.pending.values_mut().filter(|pending| pending.connection == Some(connection)) {
            // Requests under way continue; their answers are dropped.
            pending.connection = None;
        }
    }

    pub(super) fn gathering(&mut self, number: u64) -> Option<&mut Gathering> {
        match &mut self.requests.pending.get_mut(&number)?.stage {
            Stage::Gathering(gathering) => Some(gathering),
            _ => None,
        }
    }
}
