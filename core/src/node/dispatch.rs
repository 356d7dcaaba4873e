//! Carries out the effects of the overlay, of the groups, and of the parts on each other.

use std::ops::Bound;

use super::Node;
use super::out::{Beginning, GroupAsk, PartEffect};
use super::status::hosts;
use super::view::View;
use super::vocabulary::{AnswerTo, AskedFor, Requester, SnapshotPart};
use crate::group::{GroupConfig, GroupEffect, TopicChange};
use crate::identity::{GroupId, HostId, Incarnation, Member, TraceId};
use crate::io::Effect;
use crate::names::TopicId;
use crate::overlay::OverlayEffect;
use crate::states::{Role, StorageState};
use crate::wire::event::Event;
use crate::wire::peer::{Body, Packet, RaftMessage, Reply};

impl Node {
    // The overlay.

    /// Carries out the effects of the overlay. Returns whether a packet arrived for this node.
    pub(super) fn drain_overlay(&mut self) -> bool {
        let mut delivered = false;
        while let Some(effect) = self.view.overlay.poll_effect() {
            match effect {
                OverlayEffect::SendPeer { to, frame } if !self.view.lifecycle.is_silent() => {
                    self.out.effects.push(Effect::SendPeer { to, frame })
                }
                OverlayEffect::SendPeer { .. } => {}
                OverlayEffect::Deliver(packet) => {
                    delivered = true;
                    self.handle_packet(*packet);
                }
                OverlayEffect::Event(event, trace) => self.observe(event, trace),
                OverlayEffect::Seen { host, alive } => self.handle_seen(host, alive),
            }
            self.carry_out();
        }
        delivered
    }

    fn handle_packet(&mut self, packet: Packet) {
        let Packet { from, trail, trace, body, .. } = packet;
        match body {
            Body::Raft { group, message } => self.handle_raft(from, group, message),
            Body::Snapshot { group, frame } => {
                let View { now, overlay, groups, storage, bugs, .. } = &mut self.view;
                let incarnation = overlay.incarnation_of(from).unwrap_or(Incarnation::FOUNDING);
                if storage.admits_snapshot(&frame, *bugs)
                    && let Some(group) = groups.get_mut(group)
                {
                    group.handle_snapshot(now.monotonic, Member { host: from, incarnation }, frame);
                }
            }
            Body::Ask { token, call } => {
                let requester = Requester { host: from, token, trace };
                self.replica_server.handle_ask(requester, call, trail.path, &self.view, &mut self.out);
            }
            Body::Reply { token, reply } => self.handle_reply(token, reply),
            Body::Introduce { nonce } => self.view.lifecycle.handle_introduce(from, nonce, &mut self.out),
            Body::Introduced { nonce, met, incarnation } => {
                let View { now, me, overlay, lifecycle, .. } = &mut self.view;
                let met = met.then_some(incarnation);
                lifecycle.handle_introduced(*now, from, nonce, met, overlay.incarnation_of(*me), &mut self.out);
            }
        }
    }

    fn handle_reply(&mut self, token: u64, reply: Reply) {
        let Node { view, out, coordinator, replica_server, outbox, .. } = self;
        match self.asks.take(token) {
            Some(AskedFor::Request(number)) => coordinator.handle_request_reply(number, reply, view, out),
            Some(AskedFor::Gathering(number, about)) => coordinator.handle_gathered(number, about, reply, view, out),
            Some(AskedFor::Session(session)) => coordinator.handle_fetched(session, reply, view, out),
            Some(AskedFor::Use(kind, name)) => coordinator.handle_use_reply(kind, name, reply, view),
            Some(AskedFor::Repair(lost)) => replica_server.handle_lost_found(lost, token, reply, view, out),
            Some(AskedFor::Outbox(id)) => outbox.handle_reply(id, reply, view, out),
            None => {}
        }
    }

    fn handle_seen(&mut self, host: HostId, alive: bool) {
        let View { me, now, groups, overlay, lifecycle, .. } = &mut self.view;
        if alive {
            groups.handle_member_back(now.monotonic, host);
            lifecycle.handle_seen(host, &mut self.out);
        } else {
            groups.handle_member_lost(*me, host, |member| overlay.is_alive(member));
            self.coordinator.handle_lost(host, &self.view, &mut self.out);
        }
    }

    // The groups.

    fn handle_raft(&mut self, from: HostId, group: GroupId, message: RaftMessage) {
        if message.from.host != from || !self.view.groups.contains(group) {
            return;
        }
        if message.is_heartbeat() {
            self.view.groups.note_heartbeat();
        }
        match self.view.lifecycle.meet(message.from, self.view.written, &mut self.out) {
            None => self.step(group, message),
            Some(batch) => self.view.groups.hold(batch, group, message),
        }
    }

    /// Passes a message to the member of a group, as far as there is room on the disk.
    pub(super) fn step(&mut self, group: GroupId, mut message: RaftMessage) {
        self.view.storage.trim_to_room(&mut message, self.view.bugs);
        if let Some(group) = self.view.groups.get_mut(group) {
            group.handle_message(message);
        }
    }

    /// Flushes each group once, in their order. Returns whether there were effects.
    pub(super) fn flush_groups(&mut self) -> bool {
        let mut moved = false;
        let mut behind = Bound::Unbounded;
        while let Some((group, effects)) =
            self.view.groups.flush_next(behind, self.view.now.monotonic, self.out.batch())
        {
            moved |= !effects.is_empty();
            for effect in effects {
                self.handle_group_effect(group, effect);
                self.carry_out();
            }
            behind = Bound::Excluded(group);
        }
        moved
    }

    fn handle_group_effect(&mut self, group: GroupId, effect: GroupEffect) {
        let home = self.view.home(group);
        match effect {
            GroupEffect::Write(write) => write.push_to(self.out.writes()),
            GroupEffect::Send { to, message, can_wait } => {
                let (now, body) = (self.view.now, Body::Raft { group, message });
                if can_wait {
                    self.view.overlay.send_along(now, to.host, body);
                } else {
                    self.view.overlay.send(now, to.host, None, body);
                }
            }
            GroupEffect::SendSnapshot { to, frame } => self.out.send(to.host, None, Body::Snapshot { group, frame }),
            GroupEffect::ReadForSnapshot { to, transfer, topic, from, end } => {
                let part = SnapshotPart { group, to, transfer, topic, from, end };
                self.replica_server.read_for_snapshot(part, &self.view, &mut self.out);
            }
            GroupEffect::Applied { index, key, outcome, change } => {
                self.handle_change(group, change);
                self.outbox.handle_applied(key, &outcome, &self.view, &mut self.out);
                self.carry_out();
                self.replica_server.handle_applied(group, index, key, outcome, &self.view, &mut self.out);
            }
            GroupEffect::ReadReady { ticket } => {
                self.replica_server.handle_read_ready(group, ticket, &self.view, &mut self.out);
            }
            GroupEffect::RoleChanged { role, term, leader } => {
                self.out.counters.elections += u64::from(role == Role::Candidate);
                let leader = leader.map(|leader| leader.host);
                self.observe(Event::RoleChanged { group: home, role, term, leader }, None);
                if role != Role::Leader {
                    self.replica_server.give_up_leading(group, leader, &self.view, &mut self.out);
                }
            }
            GroupEffect::MembersChanged => {
                self.report_members(group);
                if self.view.groups.get(group).is_some_and(|group| group.is_leader()) {
                    self.view.groups.look_after_members_soon(self.view.now.monotonic);
                }
            }
            GroupEffect::ChangeIsKnown => self.view.groups.look_after_members_soon(self.view.now.monotonic),
            GroupEffect::Committed { index } => self.observe(Event::Committed { group: home, index }, None),
            GroupEffect::SnapshotProgress { received, total } => {
                self.observe(Event::SnapshotProgress { group: home, received, total }, None);
            }
            GroupEffect::SnapshotInstalled => {
                let applied = self.view.groups[group].applied_index();
                self.observe(Event::CaughtUp { group: home, applied }, None);
                self.coordinator.review_sessions(group, &self.view, &mut self.out);
                self.replica_server.review_fetches(group, &self.view, &mut self.out);
            }
            GroupEffect::Altered { from, index, why } => {
                self.handle_altered(from.host, Some(format!("entry {index} of group {home}: {why}")));
            }
            GroupEffect::Trouble(text) => self.observe(Event::Warning { text: format!("group {home}: {text}") }, None),
        }
    }

    fn handle_change(&mut self, group: GroupId, change: TopicChange) {
        let home = self.view.home(group);
        match change {
            TopicChange::Nothing => {}
            TopicChange::Created { topic } => self.observe(Event::TopicCreated { topic, group: home }, None),
            TopicChange::Deleted { topic, id } => {
                self.observe(Event::TopicDeleted { topic, group: home }, None);
                self.review_topic(group, id);
            }
            TopicChange::Unsubscribed { id } => self.review_topic(group, id),
            TopicChange::Stored { topic, id, message } => {
                if self.coordinator.observes_frequent(&self.view) {
                    self.observe(
                        Event::ReplicaStored { topic: topic.clone(), group: home, offset: message.offset },
                        None,
                    );
                }
                self.coordinator.feed_sessions(group, id, message, &self.view, &mut self.out);
                self.replica_server.serve_fetches(group, id, &self.view, &mut self.out);
            }
        }
    }

    /// A topic was deleted, or a subscription to it.
    fn review_topic(&mut self, group: GroupId, topic: TopicId) {
        self.coordinator.review_topic(group, topic, &self.view, &mut self.out);
        self.replica_server.serve_fetches(group, topic, &self.view, &mut self.out);
    }

    fn report_members(&mut self, group: GroupId) {
        let (home, member) = (self.view.home(group), &self.view.groups[group]);
        let (voters, learners) = (hosts(member.voters()), hosts(member.learners()));
        let event = Event::MembersChanged { group: home, voters, learners };
        self.observe(event, None);
    }

    // The parts.

    /// Carries out the effects of parts on other parts: each one before those that follow it, together with the effects
    /// that it causes.
    pub(super) fn carry_out(&mut self) {
        while let Some(effect) = self.out.poll_part_effect() {
            let earlier = self.out.part_effects();
            self.handle_part_effect(effect);
            self.out.bring_forward(earlier);
        }
    }

    fn handle_part_effect(&mut self, effect: PartEffect) {
        let Node { view, out, asks, coordinator, replica_server, outbox, .. } = self;
        match effect {
            PartEffect::Send { to, trace, body } => view.overlay.send(view.now, to, trace, body),
            PartEffect::Ask { to, trace, token, call, asked_for } => {
                asks.insert(view.monotonic(), token, asked_for);
                view.overlay.send(view.now, to, trace, Body::Ask { token, call });
            }
            PartEffect::ForgetAsk(token) => asks.forget(token),
            PartEffect::Event(event, trace) => coordinator.handle_event(event, trace, view, out),
            PartEffect::Answer { to: AnswerTo::Client(number), result } => {
                coordinator.finish(number, result, view.me, vec![view.me], view, out);
            }
            PartEffect::Answer { to: AnswerTo::Node { requester, hops }, result } => {
                out.reply_result(view.me, &requester, hops, result);
            }
            PartEffect::StoreInOutbox { key, op, owner } => outbox.handle_store(key, op, owner, view, out),
            PartEffect::OutboxTook { number, result } => coordinator.handle_outbox_took(number, result, view, out),
            PartEffect::Administer { admin, to } => self.administer(&admin, to),
            PartEffect::Drive(number) => coordinator.drive(number, view, out),
            PartEffect::Request(write) => coordinator.handle_own_request(write, view, out),
            PartEffect::ReadForSession { range, session } => {
                replica_server.read_for_session(range, session, view, out);
            }
            PartEffect::SessionMessages(session, messages) => {
                coordinator.handle_session_messages(session, messages, view, out);
            }
            PartEffect::SessionReadRefused(session) => coordinator.try_session_later(session, view),
            PartEffect::SessionUnreadable(session) => coordinator.handle_session_read_failed(session, view, out),
            PartEffect::Group(group, ask) => self.ask_group(group, ask),
            PartEffect::TakeRoom(bytes) => view.storage.take(bytes),
            PartEffect::FormGroups(beginning) => self.form_groups(beginning),
            PartEffect::Serves => coordinator.handle_requests_time(view, out),
        }
    }

    fn ask_group(&mut self, group: GroupId, ask: GroupAsk) {
        let Some(member) = self.view.groups.get_mut(group) else { return };
        match ask {
            GroupAsk::ReadIndex(ticket) => member.read_index(ticket),
            GroupAsk::NotifyOfCommit => member.notify_of_commit_now(),
            GroupAsk::HaveConfirmed { index, held, known } => member.have_confirmed(index, held, known),
            GroupAsk::HandOver => member.hand_over(|_| true),
            GroupAsk::SendSnapshot(SnapshotPart { to, transfer, topic, from, .. }, messages) => {
                member.handle_read_for_snapshot(to, transfer, topic, from, messages);
            }
        }
    }

    pub(super) fn observe(&mut self, event: Event, trace: Option<TraceId>) {
        self.coordinator.handle_event(event, trace, &self.view, &mut self.out);
    }

    fn form_groups(&mut self, beginning: Beginning) {
        let View { now, seating, config, bugs, lifecycle, groups, storage, .. } = &mut self.view;
        let me = lifecycle.identity().expect("a node forms groups only after it has its identity");
        let configs = seating.groups_of(me.host).map(|id| GroupConfig {
            id,
            hosts: seating.members(id),
            me,
            seed: lifecycle.random(),
            limits: config.log,
            bugs: *bugs,
        });
        groups.form(now.monotonic, configs, beginning);
        groups.save_room(storage.state() != StorageState::Ok);
    }

    pub(super) fn handle_altered(&mut self, from: HostId, what: Option<String>) {
        self.altered.handle_altered(self.view.now.monotonic, self.view.me, from, what, &mut self.out);
    }
}
