//! The messages that nodes write to their disks: equal on all replicas (`replicas`), with offsets without gaps
//! (`offsets`) and times that never decrease (`times`), and none of them twice (`once`).

use std::collections::{BTreeMap, BTreeSet};

use super::leaders::name;
use super::tally::{Finding, Tally};
use crate::identity::{GroupId, HostId};
use crate::io::Effect;
use crate::names::{Offset, PublisherId, Sequence, TopicId, TopicName};
use crate::node::Node;
use crate::records::StoredMessage;
use crate::store::Write;
use crate::time::Timestamp;
use crate::topics::{MAX_PRODUCERS, MAX_REPEAT_BYTES};
use crate::wire::event::{Event, WatchEvent};

/// Most messages that are remembered. Later ones cannot be compared.
const MAX_MESSAGES: usize = 1 << 21;
/// A group that remembers this part of its limits may have forgotten a publisher, whose repeat it then stores again.
const PART_OF_LIMITS: usize = 4;

type Place = (GroupId, TopicId);

#[derive(Debug, Default)]
pub(super) struct Messages {
    topics: BTreeMap<Place, Topic>,
    /// The topics that had a name.
    names: BTreeMap<TopicName, BTreeSet<Place>>,
    deleted: BTreeSet<TopicName>,
    /// The offset after the last message that a node wrote.
    next: BTreeMap<HostId, BTreeMap<Place, Offset>>,
    count: usize,
    replicas: Tally,
    offsets: Tally,
    times: Tally,
    once: Tally,
}

#[derive(Debug, Default)]
struct Topic {
    messages: BTreeMap<Offset, Known>,
    sequences: BTreeMap<(PublisherId, Sequence), Offset>,
}

/// A message that some replica has written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub publisher: PublisherId,
    pub sequence: Option<Sequence>,
    pub content: u32,
    time: Timestamp,
    /// The replica that was seen to write it first.
    host: HostId,
}

/// An acknowledged message, as the recordings show it.
pub(super) enum Found<'a> {
    Message(&'a Known),
    /// No replica has written a message there.
    Nothing,
    /// The name belongs to several topics in turn.
    Unclear,
}

impl Messages {
    /// A process begins or ends. The last milliseconds of a killed process are not recorded, so the next one may go on
    /// with a later offset.
    pub fn forget(&mut self, host: HostId) {
        self.next.remove(&host);
    }

    pub fn handle_effects(&mut self, host: HostId, at: Timestamp, effects: &[Effect], node: &Node) {
        for effect in effects {
            match effect {
                Effect::Write(batch) => batch.writes.iter().for_each(|write| self.handle_write(host, at, write, node)),
                Effect::Observe(WatchEvent { event: Event::TopicDeleted { topic, .. }, .. }) => {
                    self.deleted.insert(topic.clone());
                }
                _ => {}
            }
        }
    }

    fn handle_write(&mut self, host: HostId, at: Timestamp, write: &Write, node: &Node) {
        match write {
            Write::Messages { group, topic, messages } => {
                let place = (*group, *topic);
                self.note_name(place, node);
                self.check_offsets(host, at, place, messages);
                messages.iter().for_each(|message| self.compare(host, at, place, message, node));
            }
            Write::Repair { group, topic, messages } => {
                messages.iter().for_each(|message| self.compare(host, at, (*group, *topic), message, node));
            }
            Write::DropMessages { group, topic } => {
                self.next.entry(host).or_default().remove(&(*group, *topic));
            }
            Write::Identity(_)
            | Write::HardState { .. }
            | Write::Append { .. }
            | Write::Checkpoint { .. }
            | Write::OutboxPut { .. }
            | Write::OutboxRemove { .. } => {}
        }
    }

    fn note_name(&mut self, place: Place, node: &Node) {
        let topic = node.group(place.0).and_then(|group| group.topics().topic_by_id(place.1));
        if let Some(topic) = topic
            && !self.names.get(&topic.name).is_some_and(|places| places.contains(&place))
        {
            self.names.entry(topic.name).or_default().insert(place);
        }
    }

    /// A node writes the messages of a topic in order; after a restart it may write the last ones again.
    fn check_offsets(&mut self, host: HostId, at: Timestamp, place: Place, messages: &[StoredMessage]) {
        let next = self.next.entry(host).or_default();
        for message in messages {
            if let Some(next) = next.get(&place) {
                self.offsets.check(at, message.offset <= *next, || {
                    format!(
                        "node {host} writes offset {} of topic {} in {} after offset {}",
                        message.offset,
                        place.1.0,
                        name(place.0),
                        next.0.saturating_sub(1)
                    )
                });
            }
            next.insert(place, Offset(message.offset.0.saturating_add(1)));
        }
    }

    fn compare(&mut self, host: HostId, at: Timestamp, place: Place, message: &StoredMessage, node: &Node) {
        let StoredMessage { offset, publisher, sequence, time, content } = message;
        let content = crc32fast::hash(content.as_bytes());
        let own = Known { publisher: publisher.clone(), sequence: *sequence, content, time: *time, host };
        let topic = self.topics.entry(place).or_default();
        if let Some(other) = topic.messages.get(offset) {
            let is_same = *other == Known { host: other.host, ..own };
            self.replicas.check(at, is_same, || {
                format!(
                    "nodes {} and {host} have different messages at offset {offset} of topic {} in {}",
                    other.host,
                    place.1.0,
                    name(place.0)
                )
            });
        } else if self.count < MAX_MESSAGES {
            self.count += 1;
            self.check_time(at, place, *offset, &own);
            self.check_once(at, place, *offset, &own, node);
            self.topics.entry(place).or_default().messages.insert(*offset, own);
        } else {
            self.replicas.skip(1);
        }
    }

    fn check_time(&mut self, at: Timestamp, place: Place, offset: Offset, message: &Known) {
        let Some(topic) = self.topics.get(&place) else { return };
        let before = topic.messages.range(..offset).next_back();
        let after = topic.messages.range(offset..).next();
        for (other, is_kept) in [
            before.map(|(other, known)| (other, known.time <= message.time)),
            after.map(|(other, known)| (other, message.time <= known.time)),
        ]
        .into_iter()
        .flatten()
        {
            self.times.check(at, is_kept, || {
                format!(
                    "the messages at offsets {offset} and {other} of topic {} in {} are not in the order of their times",
                    place.1.0,
                    name(place.0)
                )
            });
        }
    }

    fn check_once(&mut self, at: Timestamp, place: Place, offset: Offset, message: &Known, node: &Node) {
        let Some(sequence) = message.sequence else { return };
        let sequences = &mut self.topics.entry(place).or_default().sequences;
        let first = *sequences.entry((message.publisher.clone(), sequence)).or_insert(offset);
        if first != offset && may_forget(node, place.0) {
            return self.once.skip(1);
        }
        self.once.check(at, first == offset, || {
            format!(
                "publish {} of `{}` is stored twice in topic {} of {}: at offsets {first} and {offset}",
                sequence.0,
                message.publisher,
                place.1.0,
                name(place.0)
            )
        });
    }

    /// The message that replicas have written at this offset.
    pub fn find(&self, topic: &TopicName, offset: Offset) -> Found<'_> {
        let places = self.names.get(topic);
        if self.deleted.contains(topic) || places.is_some_and(|places| places.len() > 1) {
            return Found::Unclear;
        }
        let place = places.and_then(BTreeSet::first);
        match place.and_then(|place| self.topics.get(place)?.messages.get(&offset)) {
            Some(message) => Found::Message(message),
            None if self.count >= MAX_MESSAGES => Found::Unclear,
            None => Found::Nothing,
        }
    }

    /// `replicas`, `offsets`, `times` and `once`.
    pub fn findings(self) -> [Finding; 4] {
        let Messages { replicas, offsets, times, once, .. } = self;
        [
            replicas.finding("replicas", "All replicas store the same message at an offset."),
            offsets.finding("offsets", "A replica stores the messages of a topic in order and without gaps."),
            times.finding("times", "The times of a topic's messages never decrease."),
            once.finding("once", "A publish with a sequence number is stored once, however often it was sent."),
        ]
    }
}

/// Whether the group is near one of the limits beyond which it forgets repeats.
fn may_forget(node: &Node, group: GroupId) -> bool {
    let Some(group) = node.group(group) else { return true };
    let sizes = group.topics().sizes();
    sizes.producers_of_one >= MAX_PRODUCERS / PART_OF_LIMITS || sizes.dedup >= MAX_REPEAT_BYTES / PART_OF_LIMITS
}
