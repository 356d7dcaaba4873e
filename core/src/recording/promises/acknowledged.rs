//! A publish that was acknowledged with an offset is stored at that offset.
//!
//! The request and its answer are in the recording of the node that the client was connected to; the stored message is
//! in those of the topic's replicas. That no replica has written the message is a violation only if all of them were
//! recorded at that time.

use std::collections::BTreeMap;

use super::messages::{Found, Messages};
use super::tally::{Finding, Tally};
use crate::identity::{GroupId, HostId};
use crate::io::{ConnectionId, Effect, Input};
use crate::names::{Offset, PublisherId, Sequence, TopicName};
use crate::placement;
use crate::recording::replay::Replay;
use crate::time::Timestamp;
use crate::wire::answer::{Answer, Done, ServerFrame};
use crate::wire::client::{Action, RequestId, Write};

/// Most publishes that are remembered. Later ones are not checked.
const MAX_PUBLISHES: usize = 1 << 20;
/// Clocks of hosts differ, and their recordings end at different moments, in microseconds. Near the beginning and the
/// end of the incident, a message may be missing for that reason.
const MARGIN_US: u64 = 1_000_000;

/// A request: the host, the connection, and the client's id.
type Key = (HostId, ConnectionId, Vec<u8>);

#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    /// The publishes under way. `None`: the client used the same id for several requests.
    asked: BTreeMap<Key, Option<Publish>>,
    answered: Vec<(Publish, Answered)>,
    tally: Tally,
}

#[derive(Clone, Debug)]
struct Publish {
    at: Timestamp,
    topic: TopicName,
    publisher: PublisherId,
    sequence: Option<Sequence>,
    content: u32,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    at: Timestamp,
    host: HostId,
    offset: Offset,
    repeated: bool,
}

impl Acknowledged {
    pub fn forget(&mut self, host: HostId) {
        self.asked.retain(|(other, ..), _| *other != host);
    }

    pub fn handle_inputs(&mut self, host: HostId, at: Timestamp, inputs: &[Input]) {
        for input in inputs {
            match input {
                Input::ClientRequest { connection, request } => {
                    let (Some(id), Action::Write(write)) = (&request.id, &request.action) else { continue };
                    let Write::Publish { publisher, topic, content, sequence, ack: _ } = write else { continue };
                    let publish = Publish {
                        at,
                        topic: topic.clone(),
                        publisher: publisher.clone(),
                        sequence: *sequence,
                        content: crc32fast::hash(content.as_bytes()),
                    };
                    if self.asked.len() + self.answered.len() < MAX_PUBLISHES {
                        let asked = self.asked.entry(key(host, *connection, id));
                        asked.and_modify(|asked| *asked = None).or_insert(Some(publish));
                    } else {
                        self.tally.skip(1);
                    }
                }
                Input::ClientDisconnected { connection } => {
                    self.asked.retain(|(other, of, _), _| (*other, *of) != (host, *connection));
                }
                _ => {}
            }
        }
    }

    pub fn handle_effects(&mut self, host: HostId, at: Timestamp, effects: &[Effect]) {
        for effect in effects {
            let Effect::SendClient { connection, frame: ServerFrame::Answer(Answer { id: Some(id), result, .. }) } =
                effect
            else {
                continue;
            };
            let Some(asked) = self.asked.remove(&key(host, *connection, id)) else { continue };
            if let Ok(Done::Published { offset: Some(offset), repeated, .. }) = result {
                match asked {
                    Some(publish) => {
                        let answered = Answered { at, host, offset: *offset, repeated: *repeated };
                        self.answered.push((publish, answered));
                    }
                    None => self.tally.skip(1),
                }
            }
        }
    }

    /// Compares all acknowledged publishes with the stored messages.
    pub fn conclude(&mut self, messages: &Messages, replay: &Replay) {
        for (publish, answered) in std::mem::take(&mut self.answered) {
            let Answered { at, host, offset, repeated } = answered;
            let told = || format!("node {host} acknowledged a publish to `{}` at offset {offset}", publish.topic);
            match messages.find(&publish.topic, offset) {
                Found::Message(found) => {
                    let is_same = found.publisher == publish.publisher && found.sequence == publish.sequence;
                    let is_kept = is_same && (repeated || found.content == publish.content);
                    self.tally.check(at, is_kept, || format!("{}, but another message is stored there", told()));
                }
                Found::Nothing if !repeated && is_covered(&publish, answered, replay) => {
                    self.tally.check(at, false, || format!("{}, but no replica has stored it", told()));
                }
                Found::Nothing | Found::Unclear => self.tally.skip(1),
            }
        }
    }

    pub fn finding(self) -> Finding {
        self.tally.finding("acknowledged", "An acknowledged publish is stored at the acknowledged offset.")
    }
}

fn key(host: HostId, connection: ConnectionId, id: &RequestId) -> Key {
    (host, connection, postcard::to_allocvec(id).expect("memory takes any id"))
}

/// Whether all members of the topic's group were recorded without a gap when the message was stored.
fn is_covered(publish: &Publish, answered: Answered, replay: &Replay) -> bool {
    let seating = replay.seating();
    let group = GroupId::of(placement::home(publish.topic.as_str(), seating.dimension()));
    let from = publish.at.0.saturating_sub(MARGIN_US);
    let until = answered.at.0.saturating_add(MARGIN_US);
    seating.members(group).into_iter().all(|host| replay.covers(host, Timestamp(from), Timestamp(until)))
}
