//! The coordinator's part: accepts client requests and answers each exactly once.
//!
//! A request waits until this node has recorded its start and knows its identity; requests that need neither are
//! answered at once. It then passes through at most three stages:
//!
//! 1. Check that its publisher or subscriber is registered. Any replica can confirm this; only the leader can deny it.
//! 2. Have the leader of the subject's group perform it.
//! 3. Answer the client.
//!
//! After a lost frame, a lost leader or a leader change, the coordinator asks again under the same
//! [`RequestKey`](crate::identity::RequestKey) until the deadline.

use std::time::Duration;

use super::Node;
use super::pending::{Ask, MAX_ASKS, Pending, Purpose, Registering, Stage, acts_under, registration};
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::identity::TraceId;
use crate::io::ConnectionId;
use crate::placement;
use crate::states::{NodeState, Role};
use crate::time::Instant;
use crate::topics::command::Op;
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{Action, Admin, Local, Query, Read, ReadLevel, Request, Write};
use crate::wire::event::Event;
use crate::wire::peer::{Body, Call};

/// A request that finds no leader for this long is answered with `unavailable`.
const PATIENCE: Duration = Duration::from_millis(2500);
/// A publish with `ack: one` that finds no leader for this long goes to the outbox.
const OUTBOX_AFTER: Duration = Duration::from_millis(400);
/// Delay before an ask without a reply is repeated.
const ASK_AGAIN: Duration = Duration::from_millis(1000);
/// Delay before the next ask after a reply that names another node or none.
pub(super) const TRY_AGAIN: Duration = Duration::from_millis(50);
/// Age at which an ask is dropped: its reply was lost, or the request has ended.
const FORGET_ASK: Duration = Duration::from_secs(10);

impl Node {
    pub(super) fn handle_request(&mut self, connection: ConnectionId, request: Request) {
        self.counters.requests += 1;
        let Request { id, trace, mut action } = request;
        if self.bugs.has(Bug::FollowersServeLeaderReads)
            && let Action::Read(Read::Pull { read, .. }) = &mut action
        {
            *read = ReadLevel::Any;
        }
        let key = self.next_key();
        let trace_id = TraceId((u64::from(self.me.to_code()) << 40) | (key.number & 0xff_ffff_ffff));
        if self.observes_frequent() {
            let event =
                Event::RequestReceived { action: action.name().into(), subject: action.subject().map(Into::into) };
            self.observe(event, Some(trace_id));
        }
        let pending = Pending::new(action, key, trace_id, self.now.monotonic);
        let mut pending = Pending { connection: Some(connection), id, trace, ..pending };
        if let Some(result) = self.answer_here(connection, &pending.action) {
            let hops = vec![self.me];
            self.answer(pending, result, self.me, hops);
            return;
        }
        if let Some(failure) = self.lacks_room_for(&pending.action) {
            self.answer(pending, Err(failure), self.me, vec![self.me]);
            return;
        }
        if let Some((kind, name)) = acts_under(&pending.action) {
            self.report_use(kind, name);
        }
        let begins = self.may_begin(&pending.action);
        pending.stage = if begins { self.first_stage(&pending.action, key.number) } else { Stage::NotBegun };
        let takes_turns = matches!(pending.action, Action::Read(_));
        self.requests.insert(key.number, pending);
        if takes_turns { self.queue_pull(connection, key.number) } else { self.drive(key.number) }
    }

    fn lacks_room_for(&self, action: &Action) -> Option<Failure> {
        if self.requests.is_full_for(action) {
            let (requests, bytes) = (self.requests.pending.len(), self.requests.bytes);
            let text = format!(
                "{requests} requests with {bytes} bytes are in progress on node {}, which is its limit; retry",
                self.me
            );
            return Some(ErrorCode::Overloaded.because(text));
        }
        match action {
            Action::Write(write) if write.begins_push() => self.lacks_room_for_session(),
            _ => None,
        }
    }

    /// Keeps the request waiting until [`Node::release_request`]. `why` is reported if its deadline passes before that.
    pub(super) fn hold_request(&mut self, number: u64, why: &str) {
        if let Some(pending) = self.requests.pending.get_mut(&number) {
            pending.ask_at = Instant(u64::MAX);
            pending.problem = Some(why.into());
        }
    }

    pub(super) fn release_request(&mut self, number: u64) {
        if let Some(pending) = self.requests.pending.get_mut(&number) {
            pending.ask_at = self.now.monotonic;
            pending.problem = None;
            self.drive(number);
        }
    }

    /// Answers a request that needs no other node. `None`: other nodes are needed.
    fn answer_here(&mut self, connection: ConnectionId, action: &Action) -> Option<Result<Done, Failure>> {
        match action {
            Action::Local(Local::Watch { kinds, sample }) => {
                self.watch(connection, kinds.clone(), *sample);
                Some(Ok(Done::Watching))
            }
            Action::Admin(admin @ (Admin::RecoverNode { .. } | Admin::Status { .. })) if self.is_for_me(admin) => {
                Some(self.administer(admin))
            }
            _ if self.is_silent() => Some(Err(self.node_failed())),
            Action::Admin(admin) if self.is_for_me(admin) => Some(self.administer(admin)),
            Action::Local(Local::Cluster) => Some(Ok(Done::Cluster(self.cluster_view()))),
            Action::Write(Write::ReplicaSubscribe { topic, .. }) | Action::Read(Read::ReplicaPull { topic, .. }) => {
                self.not_replica(topic.as_str()).map(Err)
            }
            Action::Write(_) | Action::Read(_) | Action::Query(_) | Action::Admin(_) => None,
        }
    }

    fn is_for_me(&self, admin: &Admin) -> bool {
        admin.node().is_none_or(|node| node == self.me)
    }

    /// Carries out a request to this node itself.
    pub(super) fn administer(&mut self, admin: &Admin) -> Result<Done, Failure> {
        match admin {
            Admin::Status { .. } => Ok(Done::Status(Box::new(self.status()))),
            Admin::StopNode { mode, duration_ms, .. } => self.stop(*mode, *duration_ms),
            Admin::RecoverNode { .. } => self.recover(),
            Admin::SetLink { to, conditions, .. } => self.set_link(*to, *conditions),
        }
    }

    fn not_replica(&self, topic: &str) -> Option<Failure> {
        let home = placement::home(topic, self.me.dimension());
        (!placement::holds(self.me, home)).then(|| {
            let replicas: Vec<String> = home.neighbours().map(|vertex| vertex.to_string()).collect();
            ErrorCode::NotReplica.because(format!(
                "node {} holds no replica of `{topic}`: its home is {home}, its replicas are on {}",
                self.me,
                replicas.join(", ")
            ))
        })
    }

    pub(super) fn node_failed(&self) -> Failure {
        ErrorCode::NodeFailed
            .because(format!("node {} is stopped by a requested fault; use another node, or recover it", self.me))
    }

    /// Whether this node can start to process the action yet.
    fn may_begin(&self, action: &Action) -> bool {
        let is_for_another = matches!(action, Action::Admin(admin) if !self.is_for_me(admin));
        !self.is_starting() && (!self.is_joining() || is_for_another)
    }

    /// Starts a held request. Its coordinator is set again: the node may not have known its identity when it numbered
    /// the request.
    fn begin(&mut self, number: u64) {
        let coordinator = self.coordinator();
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.key.coordinator = coordinator;
        let action = pending.action.clone();
        let stage = self.first_stage(&action, number);
        self.requests.pending.entry(number).and_modify(|pending| pending.stage = stage);
        self.drive(number);
    }

    fn first_stage(&mut self, action: &Action, number: u64) -> Stage {
        match action {
            Action::Admin(admin) => Stage::Visiting(admin.node().unwrap_or(self.me)),
            Action::Query(Query::Locate { topic }) => Stage::Gathering(self.gather_location(number, topic.clone())),
            Action::Query(Query::Topics) => Stage::Gathering(self.gather_topics(number)),
            Action::Read(Read::ReplicaPull { .. }) => Stage::Visiting(self.me),
            Action::Read(Read::Pull { read: ReadLevel::Any, .. }) => Stage::Reading,
            Action::Write(write) if let Some((kind, name)) = write.registers() => {
                Stage::Admitting { kind, name: name.to_owned() }
            }
            Action::Write(_) | Action::Read(_) | Action::Local(_) => registration(action)
                .map_or(Stage::Acting, |(kind, name)| self.requests.known.first_stage(kind, name, self.now.monotonic)),
        }
    }

    /// Performs the next step of a request if it is due.
    pub(super) fn drive(&mut self, number: u64) {
        let now = self.now.monotonic;
        let Some(pending) = self.requests.pending.get(&number) else { return };
        if now >= pending.deadline {
            self.give_up(number);
            return;
        }
        if let Stage::Gathering(_) = &pending.stage {
            return self.gather(number);
        }
        if now < pending.ask_at || !self.may_begin(&pending.action) {
            return;
        }
        if let Stage::NotBegun = &pending.stage {
            return self.begin(number);
        }
        if let Stage::Admitting { .. } = &pending.stage {
            return self.admit_name(number);
        }
        match self.whom_to_ask(number) {
            Some((to, call)) => self.ask(number, to, call),
            None if self.goes_by_memory(number) => self.drive(number),
            None => self.wait_for_somebody(number),
        }
    }

    fn whom_to_ask(&self, number: u64) -> Option<(Vertex, Call)> {
        let pending = &self.requests.pending[&number];
        let leader = || self.find_leader(self.home_of(&pending.action));
        match &pending.stage {
            Stage::Registering(registering) => {
                let Registering { kind, name, linearizable, .. } = &**registering;
                let home = placement::home(name, self.me.dimension());
                let to = if *linearizable { self.find_leader(home)? } else { self.find_member(home)? };
                Some((to, Call::IsRegistered { kind: *kind, name: name.clone(), linearizable: *linearizable }))
            }
            Stage::Acting => Some((leader()?, pending.call()?)),
            Stage::Reading => Some((self.find_member(self.home_of(&pending.action))?, pending.call()?)),
            Stage::Committing(pulled) => Some((leader()?, pulled.advance.call(pending.key))),
            Stage::Advancing(advance) => Some((leader()?, advance.call(pending.key))),
            Stage::Visiting(node) => {
                let reachable = *node == self.me || self.overlay.is_alive(*node);
                reachable.then_some((*node, pending.call()?))
            }
            Stage::NotBegun | Stage::Admitting { .. } | Stage::AwaitingPlace | Stage::Gathering(_) => None,
        }
    }

    /// The home of the action's subject.
    pub(super) fn home_of(&self, action: &Action) -> Vertex {
        placement::home(action.subject().unwrap_or(""), self.me.dimension())
    }

    /// The leader of a group: taken from the group itself if this node is a member, otherwise from the leaders'
    /// announcements.
    pub(super) fn find_leader(&self, home: Vertex) -> Option<Vertex> {
        let reachable = |vertex: &Vertex| *vertex == self.me || self.overlay.is_alive(*vertex);
        let own_view = self.groups.get(&home).and_then(|group| group.leader()).map(|leader| leader.vertex);
        own_view.filter(reachable).or_else(|| self.overlay.leader_of(home)).filter(reachable)
    }

    /// Returns a reachable replica: this node, the home, or a neighbour of the home. Prefers replicas that are not
    /// catching up.
    pub(super) fn find_member(&self, home: Vertex) -> Option<Vertex> {
        let own_role = self.groups.get(&home).map(|group| group.role());
        if own_role.is_some_and(|role| role != Role::Learner) {
            return Some(self.me);
        }
        let alive = || placement::members(home).filter(|member| *member != self.me && self.overlay.is_alive(*member));
        let up = alive().find(|member| self.overlay.state_of(*member) == NodeState::Up);
        up.or_else(|| alive().next()).or(own_role.map(|_| self.me))
    }

    fn ask(&mut self, number: u64, to: Vertex, call: Call) {
        let token = self.next_token();
        let ask_at = self.now.monotonic + ASK_AGAIN;
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let before = pending.asked.replace((token, to));
        // The earlier ask may have been performed, with only its answer missing.
        pending.uncertain |= before.is_some() && pending.stage.may_act();
        pending.ask_at = ask_at;
        let trace = Some(pending.trace_id);
        if let Some((token, _)) = before {
            self.requests.asks.remove(&token);
        }
        self.expect_reply(token, Purpose::Request(number));
        self.send(to, trace, Body::Ask { token, call });
        if self.bugs.has(Bug::RetriesUnderNewNumbers) {
            let key = self.next_key();
            self.requests.pending.get_mut(&number).expect("it was just asked").key = key;
        }
    }

    pub(super) fn expect_reply(&mut self, token: u64, purpose: Purpose) {
        if self.requests.asks.len() >= MAX_ASKS {
            // Tokens increase over time, so the first is the oldest.
            self.requests.asks.pop_first();
        }
        self.requests.asks.insert(token, Ask { purpose, since: self.now.monotonic });
    }

    /// No node can take the request now: tries again later, for a limited time.
    fn wait_for_somebody(&mut self, number: u64) {
        let now = self.now.monotonic;
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.ask_at = now + TRY_AGAIN;
        let stuck_for = now.since(*pending.stuck_since.get_or_insert(now));
        if pending.may_go_to_outbox() && stuck_for >= OUTBOX_AFTER {
            self.put_aside(number);
        } else if stuck_for >= PATIENCE {
            self.give_up(number);
        }
    }

    pub(super) fn stay_stuck(&mut self, number: u64) {
        let now = self.now.monotonic;
        let Some(since) = self.requests.pending.get(&number).and_then(|pending| pending.stuck_since) else { return };
        let outbox = self.requests.pending[&number].may_go_to_outbox();
        if (outbox && now.since(since) >= OUTBOX_AFTER) || now.since(since) >= PATIENCE {
            self.wait_for_somebody(number);
        }
    }

    /// Without a leader, stores the publish in the local outbox. It is answered when it is on disk.
    fn put_aside(&mut self, number: u64) {
        let Some(pending) = self.requests.remove(number) else { return };
        if let Some((token, _)) = pending.asked {
            self.requests.asks.remove(&token);
        }
        let Action::Write(write) = &pending.action else { return };
        if let Err(failure) = self.store_in_outbox(pending.key, Op::of(write), super::outbox::Owner::Start(number)) {
            let failure = pending.doubt(failure);
            self.answer(pending, Err(failure), self.me, vec![self.me]);
            return;
        }
        // It will enter the log eventually, even if its client stops waiting before it is on disk.
        self.requests.insert(number, Pending { ask_at: Instant(u64::MAX), uncertain: true, ..pending });
    }

    /// Answers a publish that the outbox has stored durably.
    pub(super) fn finish_put_aside(&mut self, number: u64, done: Done) {
        self.finish(number, Ok(done), self.me, vec![self.me]);
    }

    fn give_up(&mut self, number: u64) {
        let Some(pending) = self.requests.pending.get(&number) else { return };
        let waited = self.now.monotonic.since(pending.since).as_millis();
        if matches!(pending.stage, Stage::Committing(_)) {
            return self.finish_committing(number);
        }
        if matches!(pending.stage, Stage::AwaitingPlace) {
            return self.refuse_new_name(number);
        }
        let home = self.home_of(&pending.action);
        let why = pending.problem.clone().unwrap_or_else(|| match &pending.stage {
            Stage::NotBegun => self.why_nothing_begins(),
            Stage::Visiting(node) => format!("node {node} cannot be reached from node {}", self.me),
            _ => format!("the replica group of {home} has no leader that node {} can reach", self.me),
        });
        let claims_not = self.bugs.has(Bug::SaysUnavailableThoughProposed);
        let failure = if pending.may_have_been_done() && !claims_not {
            ErrorCode::Timeout.because(format!(
                "no result after {waited} ms ({why}): the request may or may not have been done; retry"
            ))
        } else {
            ErrorCode::Unavailable.because(format!("nothing was done within {waited} ms ({why}); retry"))
        };
        self.finish(number, Err(failure), self.me, vec![self.me]);
    }

    /// Starts a request of this node itself; its answer is dropped.
    pub(super) fn request_for_myself(&mut self, action: Action, stage: Stage) {
        let key = self.next_key();
        let pending = Pending { stage, ..Pending::new(action, key, TraceId(key.number), self.now.monotonic) };
        if !self.requests.is_full_for(&pending.action) {
            self.requests.insert(key.number, pending);
            self.drive(key.number);
        }
    }

    // Time and loss.

    pub(super) fn handle_requests_time(&mut self) {
        let now = self.now.monotonic;
        self.admit_waiting_names();
        // Tokens increase over time.
        while let Some(oldest) = self.requests.asks.first_entry().filter(|ask| now.since(ask.get().since) >= FORGET_ASK)
        {
            oldest.remove();
        }
        let due = |pending: &Pending| {
            now >= pending.ask_at.min(pending.deadline) || matches!(pending.stage, Stage::Gathering(_))
        };
        let numbers: Vec<u64> =
            self.requests.pending.iter().filter(|(_, pending)| due(pending)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.drive(number);
        }
    }

    /// After the loss of a vertex, immediately repeats every ask that went to it or whose route may cross it.
    pub(super) fn ask_again_after_loss(&mut self, vertex: Vertex) {
        let (me, now) = (self.me, self.now.monotonic);
        let hit: Vec<u64> = self
            .requests
            .pending
            .iter_mut()
            .filter(|(_, pending)| pending.asked.is_some_and(|(_, to)| vertex.is_between(me, to)))
            .map(|(number, pending)| {
                pending.uncertain |= pending.stage.may_act();
                pending.ask_at = now;
                *number
            })
            .collect();
        for number in hit {
            self.drive(number);
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

    pub(super) fn fail_all_requests(&mut self) {
        // Not `node_failed`: that error states that nothing was done, but some of these requests may already be in a
        // log.
        let why = format!(
            "node {} was stopped by a requested fault: the request may or may not have been done; retry on another \
             node",
            self.me
        );
        let failure = ErrorCode::Timeout.because(why);
        self.requests.bytes = 0;
        for (_, mut pending) in std::mem::take(&mut self.requests.pending) {
            match std::mem::replace(&mut pending.stage, Stage::Acting) {
                // The cursor may have moved already; without this answer the client would never receive these messages.
                Stage::Committing(pulled) => self.answer(pending, Ok(pulled.done), pulled.served_by, pulled.hops),
                _ => self.answer(pending, Err(failure.clone()), self.me, vec![self.me]),
            }
        }
        self.requests.asks.clear();
        self.requests.waiting_names = Default::default();
        self.pull_limiter = Default::default();
    }

    pub(super) fn gathering(&mut self, number: u64) -> Option<&mut super::views::Gathering> {
        match &mut self.requests.pending.get_mut(&number)?.stage {
            Stage::Gathering(gathering) => Some(gathering),
            _ => None,
        }
    }
}
