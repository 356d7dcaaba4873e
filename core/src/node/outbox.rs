//! Publishes with `ack: one`: stored on one node, acknowledged, and not yet known to be in the log.
//!
//! This node keeps each publish on disk until it is known to be in the log. It offers the publish to the group's leader
//! repeatedly under the same key. The publish therefore enters the log once, regardless of leader changes and of
//! crashes of this node.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::out::{Out, PartEffect};
use super::queues::Queue;
use super::view::View;
use super::vocabulary::{AnswerTo, AskedFor};
use crate::bugs::{Bug, Bugs};
use crate::identity::RequestKey;
use crate::store::Write;
use crate::time::Instant;
use crate::topics::Outcome;
use crate::topics::command::{Command, Op};
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{self, Ack};
use crate::wire::event::Event;
use crate::wire::peer::{Call, Reply};

/// Limits of one node's outbox: publishes, and bytes of their contents. Beyond this, `ack: one` is refused while there
/// is no leader.
const MAX_ITEMS: usize = 65_536;
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Delay before an offer without an answer is repeated; `TRY_AGAIN` follows a failed offer.
const OFFER_AGAIN: Duration = Duration::from_millis(1500);
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// Most offers sent in one round.
const MAX_OFFERS: usize = 64;

/// See the [module](self).
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Outbox {
    items: BTreeMap<u64, Item>,
    by_key: BTreeMap<RequestKey, u64>,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Item {
    command: Command,
    /// The batch that makes it durable.
    stored_in: u64,
    /// Receives the answer when it is durable.
    owner: Option<AnswerTo>,
    offer_at: Instant,
}

impl Outbox {
    /// The writes of all items.
    pub fn as_writes(&self) -> impl Iterator<Item = Write> {
        self.items.iter().map(|(id, item)| Write::OutboxPut { id: *id, command: item.command.clone() })
    }

    /// The publishes found on disk, by their ids.
    pub fn restore(now: Instant, found: Vec<(u64, Command)>, bugs: Bugs, out: &mut Out) -> Outbox {
        let mut outbox = Outbox::default();
        if bugs.has(Bug::OutboxIsLostAtRestart) {
            return outbox;
        }
        for (id, command) in found {
            outbox.insert(id, Item { command, stored_in: 0, owner: None, offer_at: now });
        }
        out.counters.outbox = outbox.items.len() as u64;
        outbox
    }

    fn insert(&mut self, id: u64, item: Item) {
        self.bytes += content_bytes(&item.command);
        self.by_key.insert(item.command.key, id);
        self.items.insert(id, item);
    }

    /// Whether any publish is not known to be in the log.
    pub fn is_anything_waiting(&self) -> bool {
        !self.items.is_empty()
    }

    /// The publishes in the outbox and their bytes, each with its limit.
    pub fn queues(&self) -> [Queue; 2] {
        [
            Queue::of("publishes in the outbox", self.items.len(), MAX_ITEMS),
            Queue { name: "bytes in the outbox", len: self.bytes, limit: MAX_BYTES },
        ]
    }

    /// Stores a publish. Its owner is answered when it is durable, or at once if it is refused.
    pub fn handle_store(&mut self, key: RequestKey, op: Op, owner: AnswerTo, view: &View, out: &mut Out) {
        let command = Command { key, time: view.now.wall, op };
        if let Some(item) = self.by_key.get(&key).and_then(|id| self.items.get_mut(id)) {
            // A repeated ask for a publish under way.
            tell_taken(&owner, Ok(()), out);
            item.owner = Some(owner);
            return self.handle_written(view, out);
        }
        if let Err(failure) = self.check_room(&command, view) {
            return match owner {
                AnswerTo::Client(_) => tell_taken(&owner, Err(failure), out),
                AnswerTo::Node { .. } => out.push(PartEffect::Answer { to: owner, result: Err(failure) }),
            };
        }
        tell_taken(&owner, Ok(()), out);
        let id = view.next_token(out);
        if let Op::Publish { topic, .. } = &command.op {
            out.event(Event::OutboxStored { topic: topic.clone() });
        }
        out.write(Write::OutboxPut { id, command: command.clone() });
        let offer_at = view.monotonic();
        self.insert(id, Item { command, stored_in: out.batch(), owner: Some(owner), offer_at });
        out.counters.outbox = self.items.len() as u64;
        self.offer(id, view, out);
    }

    fn check_room(&self, command: &Command, view: &View) -> Result<(), Failure> {
        let bytes = content_bytes(command);
        if self.items.len() >= MAX_ITEMS || self.bytes + bytes > MAX_BYTES {
            let text = format!("the outbox of node {} is full ({} publishes); retry later", view.me, self.items.len());
            return Err(ErrorCode::Overloaded.because(text));
        }
        view.lacks_room_in_outbox(bytes).map_or(Ok(()), Err)
    }

    /// Answers the publishes that are durable now.
    pub fn handle_written(&mut self, view: &View, out: &mut Out) {
        let early = view.bugs.has(Bug::OutboxAcknowledgesBeforeSync);
        for item in self.items.values_mut().filter(|item| item.stored_in <= view.written || early) {
            let Op::Publish { topic, .. } = &item.command.op else { continue };
            let Some(to) = item.owner.take() else { continue };
            let replicas = vec![view.me];
            let done = Done::Published { topic: topic.clone(), offset: None, replicas, repeated: false };
            out.push(PartEffect::Answer { to, result: Ok(done) });
        }
    }

    /// Offers a publish to the log, through the leader, which may be this node.
    fn offer(&mut self, id: u64, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(item) = self.items.get_mut(&id) else { return };
        item.offer_at = now + OFFER_AGAIN;
        let Some(write) = write_of(&item.command) else { return };
        let Some(leader) = view.find_leader(view.group_of(write.subject())) else {
            item.offer_at = now + TRY_AGAIN;
            return;
        };
        let renumbers = view.bugs.has(Bug::OutboxOffersUnderNewNumbers);
        let key = if renumbers { view.next_key(out) } else { item.command.key };
        let (to, token) = (leader, view.next_token(out));
        let call = Call::Write { key, write };
        out.push(PartEffect::Ask { to, trace: None, token, call, asked_for: AskedFor::Outbox(id) });
        if view.bugs.has(Bug::OutboxForgetsWhatItOffered) {
            self.items.remove(&id);
            out.write(Write::OutboxRemove { id });
        }
    }

    /// Offers the publishes whose time has come.
    pub fn handle_time(&mut self, view: &View, out: &mut Out) {
        let now = view.monotonic();
        if view.is_starting() {
            return;
        }
        let due = |item: &Item| now >= item.offer_at && item.stored_in <= view.written;
        let due: Vec<u64> =
            self.items.iter().filter(|(_, item)| due(item)).map(|(id, _)| *id).take(MAX_OFFERS).collect();
        for id in due {
            self.offer(id, view, out);
        }
    }

    /// Handles the reply to an offer.
    pub fn handle_reply(&mut self, id: u64, reply: Reply, view: &View, out: &mut Out) {
        let now = view.monotonic();
        match reply {
            Reply::Answer(answer) => match answer.result {
                Ok(done) => self.leave(id, Ok(done), view, out),
                Err(failure) if failure.code.is_storage_full() => self.offer_at(id, now + OFFER_AGAIN),
                Err(failure) if failure.code.is_transient() => self.offer_at(id, now + TRY_AGAIN),
                Err(failure) => self.leave(id, Err(failure), view, out),
            },
            _ => self.offer_at(id, now + TRY_AGAIN),
        }
    }

    fn offer_at(&mut self, id: u64, at: Instant) {
        if let Some(item) = self.items.get_mut(&id) {
            item.offer_at = at;
        }
    }

    /// Handles a command that was applied here: if it came from this outbox, it is now in the log.
    pub fn handle_applied(&mut self, key: RequestKey, outcome: &Result<Outcome, Failure>, view: &View, out: &mut Out) {
        let Some(id) = self.by_key.get(&key).copied() else { return };
        let result = match (outcome, self.items.get(&id).map(|item| &item.command.op)) {
            (Ok(Outcome::Published { offset, repeated }), Some(Op::Publish { topic, .. })) => Ok(Done::Published {
                topic: topic.clone(),
                offset: Some(*offset),
                replicas: vec![view.me],
                repeated: *repeated,
            }),
            (Err(failure), _) => Err(failure.clone()),
            _ => return,
        };
        self.leave(id, result, view, out);
    }

    /// Gives a publish a new number. So many later numbers were used that its old number can no longer be told from a
    /// repeat. An acknowledged publish must not be lost, so it is offered again once the new number is durable. (It is
    /// stored twice only if it had already been stored and the answer was lost.)
    fn renumber(&mut self, id: u64, view: &View, out: &mut Out) {
        let (key, at) = (view.next_key(out), view.monotonic() + TRY_AGAIN);
        let Some(item) = self.items.get_mut(&id) else { return };
        self.by_key.remove(&item.command.key);
        item.command.key = key;
        item.stored_in = out.batch();
        item.offer_at = at;
        out.write(Write::OutboxPut { id, command: item.command.clone() });
        self.by_key.insert(key, id);
    }

    fn leave(&mut self, id: u64, result: Result<Done, Failure>, view: &View, out: &mut Out) {
        let numbered_by_client = |item: &Item| matches!(item.command.op, Op::Publish { sequence: Some(_), .. });
        let too_old = result.as_ref().is_err_and(|failure| failure.code == ErrorCode::SequenceTooOld);
        if too_old && self.items.get(&id).is_some_and(|item| !numbered_by_client(item)) {
            return self.renumber(id, view, out);
        }
        let Some(item) = self.items.remove(&id) else { return };
        self.by_key.remove(&item.command.key);
        self.bytes -= content_bytes(&item.command);
        out.counters.outbox = self.items.len() as u64;
        out.write(Write::OutboxRemove { id });
        if let Op::Publish { topic, .. } = &item.command.op {
            match &result {
                Ok(_) => out.event(Event::OutboxDrained { topic: topic.clone() }),
                Err(failure) if item.owner.is_none() => out.warn(format!(
                    "a publish to `{topic}` was acknowledged with `one`, but was refused later and is not stored: \
                     {failure}"
                )),
                Err(_) => {}
            }
        }
        if let Some(to) = item.owner {
            out.push(PartEffect::Answer { to, result });
        }
    }
}

/// Reports to a request of this node whether the outbox took its publish.
fn tell_taken(owner: &AnswerTo, result: Result<(), Failure>, out: &mut Out) {
    if let AnswerTo::Client(number) = owner {
        out.push(PartEffect::OutboxTook { number: *number, result });
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

#[cfg(test)]
mod tests {
    use super::super::testing::{part_effects, view};
    use super::*;
    use crate::identity::Member;

    fn publish(content: &str) -> Op {
        let (publisher, topic) = ("p".parse().unwrap(), "t".parse().unwrap());
        Op::Publish { publisher, topic, sequence: None, content: content.into() }
    }

    fn key(number: u64) -> RequestKey {
        RequestKey { coordinator: Member::founding("0".parse().unwrap()), number }
    }

    fn answers(out: &mut Out) -> Vec<(AnswerTo, bool)> {
        let answer = |effect| match effect {
            PartEffect::Answer { to, result } => Some((to, result.is_ok())),
            _ => None,
        };
        part_effects(out).into_iter().filter_map(answer).collect()
    }

    #[test]
    fn a_publish_is_answered_when_it_is_durable_and_stays_until_it_is_in_the_log() {
        let (mut view, mut out, mut outbox) = (view(), Out::default(), Outbox::default());
        outbox.handle_store(key(1), publish("x"), AnswerTo::Client(7), &view, &mut out);
        assert_eq!(answers(&mut out), []);
        view.written = out.batch();
        outbox.handle_written(&view, &mut out);
        assert_eq!(answers(&mut out), [(AnswerTo::Client(7), true)]);
        assert!(outbox.is_anything_waiting());
        let applied = Ok(Outcome::Published { offset: crate::names::Offset(0), repeated: false });
        outbox.handle_applied(key(1), &applied, &view, &mut out);
        assert!(!outbox.is_anything_waiting());
        assert_eq!(outbox.queues().map(|queue| queue.len), [0, 0]);
    }

    #[test]
    fn a_repeated_ask_is_stored_once_and_the_latest_requester_is_answered() {
        let (mut view, mut out, mut outbox) = (view(), Out::default(), Outbox::default());
        for number in [7, 8] {
            outbox.handle_store(key(1), publish("x"), AnswerTo::Client(number), &view, &mut out);
        }
        view.written = out.batch();
        outbox.handle_written(&view, &mut out);
        assert_eq!(answers(&mut out), [(AnswerTo::Client(8), true)]);
        assert_eq!(outbox.queues()[0].len, 1);
    }

    #[test]
    fn a_full_outbox_refuses() {
        let (view, mut out, mut outbox) = (view(), Out::default(), Outbox::default());
        let content = "x".repeat(MAX_BYTES as usize / 2);
        for number in 1..=3 {
            outbox.handle_store(key(number), publish(&content), AnswerTo::Client(number), &view, &mut out);
        }
        let taken = |effect| match effect {
            PartEffect::OutboxTook { result, .. } => Some(result.is_ok()),
            _ => None,
        };
        assert_eq!(part_effects(&mut out).into_iter().filter_map(taken).collect::<Vec<_>>(), [true, true, false]);
        assert!(outbox.queues().iter().all(Queue::is_within_limit));
    }
}
