//! The output of the parts: effects for the runtime, the turn's writes and reads, and effects on other parts.
//!
//! All parts append to one [`Out`], which [`Node`](super::Node) keeps and reuses. After each call to a part, the node
//! carries out the [`PartEffect`]s: each one before those that follow it, together with the effects that it causes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::identity::{GroupId, HostId, RequestKey, TraceId};
use crate::io::Effect;
use crate::records::StoredMessage;
use crate::store::{ReadMessages, RecoveredGroup, Write, WriteBatch};
use crate::topics::command::Op;
use crate::wire::answer::{Answer, Counters, Done, Failure};
use crate::wire::client::{self, Admin};
use crate::wire::event::Event;
use crate::wire::peer::{Body, Call, Reply};

use super::vocabulary::{AnswerTo, AskedFor, ReadRange, Requester, SessionId, SnapshotPart};

/// An effect of one part on another part or on the network.
#[derive(Debug)]
pub(super) enum PartEffect {
    Send {
        to: HostId,
        trace: Option<TraceId>,
        body: Body,
    },
    /// Asks another node, or this one. The reply goes to the part that `asked_for` names.
    Ask {
        to: HostId,
        trace: Option<TraceId>,
        token: u64,
        call: Call,
        asked_for: AskedFor,
    },
    /// The reply to this ask is no longer needed.
    ForgetAsk(u64),
    Event(Event, Option<TraceId>),
    Answer {
        to: AnswerTo,
        result: Result<Done, Failure>,
    },
    /// Stores a publish in the outbox.
    StoreInOutbox {
        key: RequestKey,
        op: Op,
        owner: AnswerTo,
    },
    /// Whether the outbox took a client's publish, by the number of its request.
    OutboxTook {
        number: u64,
        result: Result<(), Failure>,
    },
    /// Carries out a request that concerns this process or its links.
    Administer {
        admin: Admin,
        to: AnswerTo,
    },
    /// Performs the next step of a client's request.
    Drive(u64),
    /// Begins a request of this node itself.
    Request(client::Write),
    /// Reads messages for a push session.
    ReadForSession {
        range: ReadRange,
        session: SessionId,
    },
    SessionMessages(SessionId, Vec<StoredMessage>),
    /// A read for a session was refused, because too many wait.
    SessionReadRefused(SessionId),
    /// The messages for a session are damaged.
    SessionUnreadable(SessionId),
    /// For this node's member of a group.
    Group(GroupId, GroupAsk),
    /// Content of this size was accepted and will be written.
    TakeRoom(u64),
    /// Creates this node's members of its groups.
    FormGroups(Beginning),
    /// This node can serve now: requests that waited for that begin.
    Serves,
}

/// A request of a part to a member of a group. See the methods of [`Group`](crate::group::Group).
#[derive(Debug)]
pub(super) enum GroupAsk {
    /// With this ticket.
    ReadIndex(u64),
    NotifyOfCommit,
    HaveConfirmed {
        index: u64,
        held: u64,
        known: u64,
    },
    /// Lets any other member lead.
    HandOver,
    SendSnapshot(SnapshotPart, Vec<StoredMessage>),
}

/// The state with which the members of the groups begin.
#[derive(Debug)]
pub(super) enum Beginning {
    /// The first members of a new cluster.
    Founding,
    /// New members without a state.
    Joining,
    /// The members found on disk.
    Restored(Vec<RecoveredGroup>),
}

/// See the [module](self).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Out {
    /// For the runtime, in this order.
    #[serde(skip)]
    pub effects: Vec<Effect>,
    /// Counts since the process started.
    pub counters: Counters,
    #[serde(skip)]
    for_parts: VecDeque<PartEffect>,
    #[serde(skip)]
    writes: Vec<Write>,
    #[serde(skip)]
    disk_reads: Vec<ReadMessages>,
    batch: u64,
    last_number: u64,
    last_token: u64,
}

impl Default for Out {
    fn default() -> Out {
        Out {
            effects: Vec::new(),
            counters: Counters::default(),
            for_parts: VecDeque::new(),
            writes: Vec::new(),
            disk_reads: Vec::new(),
            batch: 1,
            last_number: 0,
            last_token: 0,
        }
    }
}

impl Out {
    /// Whether nothing of the last turn is left.
    pub fn is_empty(&self) -> bool {
        let is_done = self.effects.is_empty() && self.for_parts.is_empty();
        is_done && self.writes.is_empty() && self.disk_reads.is_empty()
    }

    /// Appends an effect on another part.
    pub fn push(&mut self, effect: PartEffect) {
        self.for_parts.push_back(effect);
    }

    /// Sends a packet to a host.
    pub fn send(&mut self, to: HostId, trace: Option<TraceId>, body: Body) {
        self.push(PartEffect::Send { to, trace, body });
    }

    /// Replies to a requester, under the token and the trace of its ask.
    pub fn reply(&mut self, requester: &Requester, reply: Reply) {
        self.send(requester.host, requester.trace, Body::Reply { token: requester.token, reply });
    }

    /// Replies with an answer of node `me`.
    pub fn reply_result(
        &mut self,
        me: HostId,
        requester: &Requester,
        hops: Vec<HostId>,
        result: Result<Done, Failure>,
    ) {
        let answer = Box::new(Answer { id: None, served_by: me, hops: Some(hops), result });
        self.reply(requester, Reply::Answer(answer));
    }

    /// Reports an event that belongs to no traced request.
    pub fn event(&mut self, event: Event) {
        self.push(PartEffect::Event(event, None));
    }

    /// Reports a warning to the operator.
    pub fn warn(&mut self, text: String) {
        self.event(Event::Warning { text });
    }

    /// Adds a write to this turn's batch.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// The writes of this turn so far.
    pub fn writes(&mut self) -> &mut Vec<Write> {
        &mut self.writes
    }

    /// Adds a read that is carried out after this turn's batch.
    pub fn read(&mut self, read: ReadMessages) {
        self.disk_reads.push(read);
    }

    /// The number of the batch that this turn fills.
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// The next number of a request. Numbers are consecutive.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The next number of an ask or ticket.
    pub fn next_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    /// Drops the writes and reads of this turn: the node crashes before them.
    pub fn forget_writes_and_reads(&mut self) {
        self.writes.clear();
        self.disk_reads.clear();
    }

    /// Takes the batch of this turn, if it contains writes.
    pub fn take_batch(&mut self) -> Option<WriteBatch> {
        if self.writes.is_empty() {
            return None;
        }
        let batch = WriteBatch { number: self.batch, writes: std::mem::take(&mut self.writes) };
        self.batch += 1;
        Some(batch)
    }

    /// Moves the reads of this turn to its effects.
    pub fn emit_reads(&mut self) {
        self.effects.extend(self.disk_reads.drain(..).map(Effect::ReadMessages));
    }

    /// The next effect on another part.
    pub fn poll_part_effect(&mut self) -> Option<PartEffect> {
        self.for_parts.pop_front()
    }

    /// The number of effects on other parts that are not carried out yet.
    pub fn part_effects(&self) -> usize {
        self.for_parts.len()
    }

    /// Moves the newest effects before the `earlier` ones: an effect's own effects precede those that follow it.
    pub fn bring_forward(&mut self, earlier: usize) {
        let newest = self.for_parts.len() - earlier;
        if earlier > 0 && newest > 0 {
            self.for_parts.rotate_right(newest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effects_of_an_effect_precede_those_that_follow_it() {
        let mut out = Out::default();
        let push = |out: &mut Out, tokens: [u64; 2]| {
            tokens.into_iter().for_each(|token| out.push(PartEffect::ForgetAsk(token)))
        };
        push(&mut out, [1, 2]);
        let mut carried_out = Vec::new();
        while let Some(PartEffect::ForgetAsk(token)) = out.poll_part_effect() {
            let earlier = out.part_effects();
            carried_out.push(token);
            if token < 10 {
                push(&mut out, [10 * token + 10, 10 * token + 11]);
            }
            out.bring_forward(earlier);
        }
        assert_eq!(carried_out, [1, 20, 21, 2, 30, 31]);
    }

    #[test]
    fn batches_are_numbered_and_a_turn_without_writes_has_none() {
        let mut out = Out::default();
        assert_eq!(out.take_batch(), None);
        for number in [1, 2] {
            out.write(Write::OutboxRemove { id: number });
            assert_eq!(out.take_batch().map(|batch| batch.number), Some(number));
        }
        out.write(Write::OutboxRemove { id: 3 });
        out.forget_writes_and_reads();
        assert_eq!((out.take_batch(), out.batch()), (None, 3));
    }
}
