//! Publishes with `ack: one`: stored on one node, acknowledged, and not yet known to be in the log.
//!
//! This node keeps each publish on disk until it is known to be in the log. It offers the publish to the group's leader
//! repeatedly under the same key. The publish therefore enters the log once, regardless of leader changes and of
//! crashes of this node.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use super::pending::Purpose;
use super::queues::Queue;
use super::serve::Requester;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::identity::RequestKey;
use crate::placement;
use crate::store::Write;
use crate::time::Instant;
use crate::topics::Outcome;
use crate::topics::command::{Command, Op};
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{self, Ack};
use crate::wire::event::Event;
use crate::wire::peer::{Body, Call, Reply};

/// Limits of one node's outbox: publishes, and bytes of their contents. Beyond this, `ack: one` is refused while there
/// is no leader.
const MAX_ITEMS: usize = 65_536;
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Delay before an offer without an answer is repeated; `TRY_AGAIN` follows a failed offer.
const OFFER_AGAIN: Duration = Duration::from_millis(1500);
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// Most offers sent in one round.
const MAX_OFFERS: usize = 64;

#[derive(Default)]
pub(super) struct Outbox {
    items: BTreeMap<u64, Item>,
    by_key: BTreeMap<RequestKey, u64>,
    bytes: u64,
}

struct Item {
    command: Command,
    /// The batch that makes it durable.
    stored_in: u64,
    /// Receives the answer when it is durable.
    owner: Option<Owner>,
    offer_at: Instant,
}

/// Receives the answer when a publish is on disk.
pub(super) enum Owner {
    /// A client's request at this node, by its number.
    Start(u64),
    /// Another node's ask to this leader.
    Leader { requester: Requester, hops: Vec<Vertex> },
}

impl Outbox {
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.items.is_empty()
    }

    pub(super) fn queues(&self) -> [Queue; 2] {
        [
            Queue::of("publishes in the outbox", self.items.len(), MAX_ITEMS),
            Queue { name: "bytes in the outbox", len: self.bytes, limit: MAX_BYTES },
        ]
    }
}

impl Node {
    pub(super) fn restore_outbox(&mut self, items: Vec<(u64, Command)>) {
        let now = self.now.monotonic;
        if self.bugs.has(Bug::OutboxIsLostAtRestart) {
            return;
        }
        for (id, command) in items {
            self.outbox.bytes += content_bytes(&command);
            self.outbox.by_key.insert(command.key, id);
            self.outbox.items.insert(id, Item { command, stored_in: 0, owner: None, offer_at: now });
        }
        self.counters.outbox = self.outbox.items.len() as u64;
    }

    pub(super) fn store_in_outbox(&mut self, key: RequestKey, op: Op, owner: Owner) -> Result<(), Failure> {
        let command = Command { key, time: self.now.wall, op };
        if let Some(id) = self.outbox.by_key.get(&key) {
            // A repeated ask for a publish under way.
            if let Some(item) = self.outbox.items.get_mut(id) {
                item.owner = Some(owner);
            }
            self.handle_outbox_written();
            return Ok(());
        }
        if self.outbox.items.len() >= MAX_ITEMS || self.outbox.bytes + content_bytes(&command) > MAX_BYTES {
            let text =
                format!("the outbox of node {} is full ({} publishes); retry later", self.me, self.outbox.items.len());
            return Err(ErrorCode::Overloaded.because(text));
        }
        if let Some(failure) = self.lacks_room_in_outbox(content_bytes(&command)) {
            return Err(failure);
        }
        let id = self.next_token();
        if let Op::Publish { topic, .. } = &command.op {
            self.observe(Event::OutboxStored { topic: topic.clone() }, None);
        }
        self.writes.push(Write::OutboxPut { id, command: command.clone() });
        self.outbox.bytes += content_bytes(&command);
        self.outbox.by_key.insert(key, id);
        let item = Item { command, stored_in: self.batch, owner: Some(owner), offer_at: self.now.monotonic };
        self.outbox.items.insert(id, item);
        self.counters.outbox = self.outbox.items.len() as u64;
        self.offer(id);
        Ok(())
    }

    pub(super) fn handle_outbox_written(&mut self) {
        let written = self.written;
        let due: Vec<(u64, Owner)> = self
            .outbox
            .items
            .iter_mut()
            .filter(|(_, item)| item.stored_in <= written || self.bugs.has(Bug::OutboxAcknowledgesBeforeSync))
            .filter_map(|(id, item)| item.owner.take().map(|owner| (*id, owner)))
            .collect();
        for (id, owner) in due {
            self.acknowledge_one(id, owner);
        }
    }

    fn acknowledge_one(&mut self, id: u64, owner: Owner) {
        let Some(Item { command: Command { op: Op::Publish { topic, .. }, .. }, .. }) = self.outbox.items.get(&id)
        else {
            return;
        };
        let done = Done::Published { topic: topic.clone(), offset: None, replicas: vec![self.me], repeated: false };
        self.tell(owner, Ok(done));
    }

    fn tell(&mut self, owner: Owner, result: Result<Done, Failure>) {
        match (owner, result) {
            (Owner::Start(number), Ok(done)) => self.finish_put_aside(number, done),
            (Owner::Start(number), Err(failure)) => self.finish(number, Err(failure), self.me, vec![self.me]),
            (Owner::Leader { requester, hops }, result) => self.reply_result(&requester, hops, result),
        }
    }

    /// Offers a publish to the log, through the leader, which may be this node.
    fn offer(&mut self, id: u64) {
        let now = self.now.monotonic;
        let Some(item) = self.outbox.items.get_mut(&id) else { return };
        item.offer_at = now + OFFER_AGAIN;
        let Some(write) = write_of(&item.command) else { return };
        let key = item.command.key;
        let home = placement::home(write.subject(), self.me.dimension());
        let Some(leader) = self.find_leader(home) else {
            item_at(&mut self.outbox, id, now + TRY_AGAIN);
            return;
        };
        let key = if self.bugs.has(Bug::OutboxOffersUnderNewNumbers) { self.next_key() } else { key };
        let token = self.next_token();
        self.expect_reply(token, Purpose::Outbox(id));
        self.send(leader, None, Body::Ask { token, call: Call::Write { key, write } });
        if self.bugs.has(Bug::OutboxForgetsWhatItOffered) {
            self.outbox.items.remove(&id);
            self.writes.push(Write::OutboxRemove { id });
        }
    }

    pub(super) fn handle_outbox_time(&mut self) {
        let (now, written) = (self.now.monotonic, self.written);
        if self.is_starting() {
            return;
        }
        let due = |item: &Item| now >= item.offer_at && item.stored_in <= written;
        let due: Vec<u64> =
            self.outbox.items.iter().filter(|(_, item)| due(item)).map(|(id, _)| *id).take(MAX_OFFERS).collect();
        for id in due {
            self.offer(id);
        }
    }

    pub(super) fn handle_outbox_reply(&mut self, id: u64, reply: Reply) {
        let now = self.now.monotonic;
        match reply {
            Reply::Answer(answer) => match answer.result {
                Ok(done) => self.leave_outbox(id, Ok(done)),
                Err(failure) if failure.code.is_storage_full() => item_at(&mut self.outbox, id, now + OFFER_AGAIN),
                Err(failure) if failure.code.is_transient() => item_at(&mut self.outbox, id, now + TRY_AGAIN),
                Err(failure) => self.leave_outbox(id, Err(failure)),
            },
            _ => item_at(&mut self.outbox, id, now + TRY_AGAIN),
        }
    }

    /// Handles a command that was applied here: if it came from this outbox, it is now in the log.
    pub(super) fn handle_outbox_applied(&mut self, key: RequestKey, outcome: &Result<Outcome, Failure>) {
        let Some(id) = self.outbox.by_key.get(&key).copied() else { return };
        let result = match (outcome, self.outbox.items.get(&id).map(|item| &item.command.op)) {
            (Ok(Outcome::Published { offset, repeated }), Some(Op::Publish { topic, .. })) => Ok(Done::Published {
                topic: topic.clone(),
                offset: Some(*offset),
                replicas: vec![self.me],
                repeated: *repeated,
            }),
            (Err(failure), _) => Err(failure.clone()),
            _ => return,
        };
        self.leave_outbox(id, result);
    }

    /// Gives a publish a new number. So many later numbers were used that its old number can no longer be told from a
    /// repeat. An acknowledged publish must not be lost, so it is offered again once the new number is durable. (It is
    /// stored twice only if it had already been stored and the answer was lost.)
    fn renumber(&mut self, id: u64) {
        let (key, at) = (self.next_key(), self.now.monotonic + TRY_AGAIN);
        let Some(item) = self.outbox.items.get_mut(&id) else { return };
        self.outbox.by_key.remove(&item.command.key);
        item.command.key = key;
        item.stored_in = self.batch;
        item.offer_at = at;
        self.writes.push(Write::OutboxPut { id, command: item.command.clone() });
        self.outbox.by_key.insert(key, id);
    }

    fn leave_outbox(&mut self, id: u64, result: Result<Done, Failure>) {
        let numbered_by_client = |item: &Item| matches!(item.command.op, Op::Publish { sequence: Some(_), .. });
        let too_old = result.as_ref().is_err_and(|failure| failure.code == ErrorCode::SequenceTooOld);
        if too_old && self.outbox.items.get(&id).is_some_and(|item| !numbered_by_client(item)) {
            return self.renumber(id);
        }
        let Some(item) = self.outbox.items.remove(&id) else { return };
        self.outbox.by_key.remove(&item.command.key);
        self.outbox.bytes -= content_bytes(&item.command);
        self.counters.outbox = self.outbox.items.len() as u64;
        self.writes.push(Write::OutboxRemove { id });
        if let Op::Publish { topic, .. } = &item.command.op {
            match &result {
                Ok(_) => self.observe(Event::OutboxDrained { topic: topic.clone() }, None),
                Err(failure) if item.owner.is_none() => {
                    let text = format!(
                        "a publish to `{topic}` was acknowledged with `one`, but was refused later and is not stored: \
                         {failure}"
                    );
                    self.observe(Event::Warning { text }, None);
                }
                Err(_) => {}
            }
        }
        if let Some(owner) = item.owner {
            self.tell(owner, result);
        }
    }
}

fn item_at(outbox: &mut Outbox, id: u64, at: Instant) {
    if let Some(item) = outbox.items.get_mut(&id) {
        item.offer_at = at;
    }
}

/// The publish as a request with `ack: quorum`: its success means that it is in the log permanently.
fn write_of(command: &Command) -> Option<client::Write> {
    let Op::Publish { publisher, topic, sequence, content } = command.op.clone() else { return None };
    Some(client::Write::Publish { publisher, topic, content, ack: Ack::Quorum, sequence })
}

fn content_bytes(command: &Command) -> u64 {
    match &command.op {
        Op::Publish { content, .. } => content.len() as u64,
        _ => 0,
    }
}
