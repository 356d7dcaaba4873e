//! The effect of each command on the state.

use std::collections::{BTreeMap, VecDeque};

use super::command::{Command, Op};
use super::dedup::{MAX_PRODUCERS, Producer, Seen};
use super::late::{Tombstones, VersionVector};
use super::{
    Applied, Change, Cursor, DeletedTopic, MAX_REPEAT_BYTES, MAX_SUBSCRIPTION_BYTES, MAX_TOPIC_BYTES, MAX_TOPICS,
    Outcome, REMOVALS_REMEMBERED, Topic, Topics, subscription_bytes, topic_bytes,
};
use crate::bugs::Bug;
use crate::content::Content;
use crate::identity::RequestKey;
use crate::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicId, TopicName};
use crate::records::StoredMessage;
use crate::wire::answer::{ErrorCode, Failure};

impl Topics {
    /// Applies one command of the group's log.
    pub fn apply(&mut self, command: &Command) -> Applied {
        let key = command.key;
        self.latest = self.latest.max(command.time);
        let result = match &command.op {
            Op::CreatePublisher { publisher } => {
                self.publishers.create(key, publisher, self.subscribers.bytes(), self.latest).map(unchanged)
            }
            Op::CreateSubscriber { subscriber } => {
                self.subscribers.create(key, subscriber, self.publishers.bytes(), self.latest).map(unchanged)
            }
            Op::DeletePublisher { publisher } => self.publishers.delete(key, publisher).map(unchanged),
            Op::DeleteSubscriber { subscriber } => self.subscribers.delete(key, subscriber).map(unchanged),
            Op::UsePublisher { publisher } => self.publishers.note_use(publisher, self.latest).map(unchanged),
            Op::UseSubscriber { subscriber } => self.subscribers.note_use(subscriber, self.latest).map(unchanged),
            Op::ExpireNames { before } => {
                self.publishers.expire(key, *before);
                self.subscribers.expire(key, *before);
                Ok(unchanged(Outcome::Unregistered))
            }
            Op::CreateTopic { publisher, topic } => self.create_topic(key, publisher, topic),
            Op::DeleteTopic { publisher, topic } => self.delete_topic(key, publisher, topic),
            Op::Publish { publisher, topic, sequence, content } => {
                self.publish(command, publisher, topic, *sequence, content)
            }
            Op::Subscribe { subscriber, topic, from } => self.subscribe(key, subscriber, topic, *from).map(unchanged),
            Op::Unsubscribe { subscriber, topic } => self.unsubscribe(key, subscriber, topic),
            Op::Commit { subscriber, topic, offset } => {
                self.move_cursor(key, subscriber, topic, Offset(0), *offset).map(unchanged)
            }
            Op::Advance { subscriber, topic, from, to } => {
                self.move_cursor(key, subscriber, topic, *from, *to).map(unchanged)
            }
        };
        match result {
            Ok((outcome, change)) => Applied { outcome: Ok(outcome), change },
            Err(failure) => Applied { outcome: Err(failure), change: Change::Nothing },
        }
    }

    fn create_topic(
        &mut self,
        key: RequestKey,
        publisher: &PublisherId,
        name: &TopicName,
    ) -> Result<(Outcome, Change), Failure> {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.met.note(key);
            return if topic.created_by == key {
                Ok(unchanged(Outcome::TopicCreated))
            } else {
                Err(topic_exists(name, topic))
            };
        }
        if self.deleted.iter().any(|deleted| deleted.created_by == key) {
            return Ok(unchanged(Outcome::TopicCreated));
        }
        if self.no_topic.is_before_end(name, key) {
            return Err(existed(name));
        }
        let bytes = topic_bytes(name, publisher);
        self.check_room_for_topic(bytes).inspect_err(|_| self.no_topic.note_refusal(name, key))?;
        let reuses = self.bugs.has(Bug::TopicNumbersAreUsedAgain);
        let id = TopicId(if reuses { self.a_free_number() } else { self.next_id });
        self.next_id += 1;
        self.names.insert(id, name.clone());
        let before = self.no_topic.begin(name);
        let before = if self.bugs.has(Bug::LateCopiesCount) { VersionVector::default() } else { before };
        self.topic_bytes += bytes;
        self.topics.insert(name.clone(), Topic::new(id, publisher.clone(), key, before));
        Ok((Outcome::TopicCreated, Change::Created { topic: name.clone() }))
    }

    fn delete_topic(
        &mut self,
        key: RequestKey,
        publisher: &PublisherId,
        name: &TopicName,
    ) -> Result<(Outcome, Change), Failure> {
        if self.deleted.iter().any(|deleted| deleted.deleted_by == key) {
            return Ok(unchanged(Outcome::TopicDeleted));
        }
        let topic = find(&mut self.topics, &mut self.no_topic, name, key)?;
        if is_late(key, topic.created_by) {
            return Err(came_before(name));
        }
        if topic.owner != *publisher {
            return Err(ErrorCode::NotOwner.because(format!(
                "only publisher `{}`, which created topic `{name}`, can delete it; the request came from `{publisher}`",
                topic.owner
            )));
        }
        let (id, end) = (topic.id, topic.end);
        self.messages = self.messages.saturating_sub(end.0);
        self.subscription_bytes -= topic.subscription_bytes();
        self.topic_bytes -= topic_bytes(name, &topic.owner);
        self.dedup_bytes -= topic.dedup.bytes();
        if !self.bugs.has(Bug::DeletionsAreForgotten) {
            remember(&mut self.deleted, DeletedTopic { created_by: topic.created_by, deleted_by: key });
            self.no_topic.note_end(name, &topic.met);
        }
        self.topics.remove(name);
        self.names.remove(&id);
        Ok((Outcome::TopicDeleted, Change::Drop { topic: name.clone(), id, end }))
    }

    fn publish(
        &mut self,
        command: &Command,
        publisher: &PublisherId,
        name: &TopicName,
        sequence: Option<Sequence>,
        content: &Content,
    ) -> Result<(Outcome, Change), Failure> {
        let time = if self.bugs.has(Bug::TimesFollowTheClock) { command.time } else { self.latest };
        let topic = find(&mut self.topics, &mut self.no_topic, name, command.key)?;
        let offset = topic.end;
        let (producer, number) = match sequence {
            Some(sequence) => (Producer::Client(publisher), sequence.0),
            None => (Producer::Node(command.key.coordinator), command.key.number),
        };
        let bytes = topic.dedup.bytes();
        let seen = topic.dedup.record(producer, number, offset);
        self.dedup_bytes = self.dedup_bytes - bytes + topic.dedup.bytes();
        match seen {
            Seen::At(offset) => {
                topic.end.0 += u64::from(self.bugs.has(Bug::RepeatsUseUpOffsets));
                return Ok(unchanged(Outcome::Published { offset, repeated: true }));
            }
            Seen::TooOld => return Err(too_old(name, producer, number)),
            Seen::New => {}
        }
        topic.end = offset.next();
        let id = topic.id;
        self.messages = self.messages.saturating_add(1);
        self.make_room_for_dedup();
        let message = StoredMessage { offset, publisher: publisher.clone(), sequence, time, content: content.clone() };
        let change = Change::Store { topic: name.clone(), id, message };
        Ok((Outcome::Published { offset, repeated: false }, change))
    }

    fn check_room_for_topic(&self, bytes: usize) -> Result<(), Failure> {
        if self.topics.len() < MAX_TOPICS && self.topic_bytes + bytes <= MAX_TOPIC_BYTES {
            return Ok(());
        }
        Err(ErrorCode::LimitReached.because(format!(
            "this replica group is full: {} of {MAX_TOPICS} topics, {} of {} KiB; delete a topic or choose another \
             name",
            self.topics.len(),
            self.topic_bytes >> 10,
            MAX_TOPIC_BYTES >> 10
        )))
    }

    /// Above the limit, removes remembered repeats, first from the topics that use the most memory, until there is some
    /// room again.
    fn make_room_for_dedup(&mut self) {
        if self.dedup_bytes <= MAX_REPEAT_BYTES {
            return;
        }
        let mut largest_first: Vec<&mut Topic> = self.topics.values_mut().collect();
        largest_first.sort_by_key(|topic| std::cmp::Reverse(topic.dedup.bytes()));
        for Topic { dedup, .. } in largest_first {
            let bytes = dedup.bytes();
            dedup.forget_older_half();
            self.dedup_bytes = self.dedup_bytes - bytes + dedup.bytes();
            if self.dedup_bytes <= MAX_REPEAT_BYTES - MAX_REPEAT_BYTES / 16 {
                return;
            }
        }
    }

    fn subscribe(
        &mut self,
        key: RequestKey,
        subscriber: &SubscriberId,
        name: &TopicName,
        from: Option<StartAt>,
    ) -> Result<Outcome, Failure> {
        let topic = find(&mut self.topics, &mut self.no_topic, name, key)?;
        let id = topic.id;
        if let Some(told) = topic.cursors.get(subscriber).and_then(|present| present.told(key)) {
            let cursor = told?;
            if let Some(StartAt::Offset(offset)) = from {
                check_offset(name, topic, offset)?;
            }
            return Ok(Outcome::Subscribed { topic: id, cursor });
        }
        let subscription = (id, subscriber.clone());
        if self.no_subscription.is_before_end(&subscription, key) {
            return Err(ended(name, subscriber));
        }
        let start = start_of(name, topic, subscriber, from, self.subscription_bytes).inspect_err(|_| {
            match topic.cursors.get_mut(subscriber) {
                Some(present) => present.refuse(key),
                None => self.no_subscription.note_refusal(&subscription, key),
            }
        })?;
        let cursor = topic.cursors.entry(subscriber.clone()).or_insert_with(|| {
            let before = self.no_subscription.begin(&subscription);
            self.subscription_bytes += subscription_bytes(subscriber);
            Cursor { offset: Offset(0), before: before.clone(), met: before, answers: BTreeMap::new() }
        });
        cursor.met.note(key);
        if let Some(offset) = start {
            cursor.offset = offset;
            if !self.bugs.has(Bug::LateCopiesCount) {
                cursor.before.clone_from(&cursor.met);
            }
        }
        Ok(Outcome::Subscribed { topic: id, cursor: cursor.tell(key) })
    }

    fn unsubscribe(
        &mut self,
        key: RequestKey,
        subscriber: &SubscriberId,
        name: &TopicName,
    ) -> Result<(Outcome, Change), Failure> {
        let topic = find(&mut self.topics, &mut self.no_topic, name, key)?;
        let subscription = (topic.id, subscriber.clone());
        let Some(present) = topic.cursors.get_mut(subscriber) else {
            if self.no_subscription.is_before_end(&subscription, key) {
                return Ok(unchanged(Outcome::Unsubscribed));
            }
            self.no_subscription.note(&subscription, key);
            return Err(not_subscribed(name, subscriber));
        };
        if present.before.covers(key) {
            return Ok(unchanged(Outcome::Unsubscribed));
        }
        present.met.note(key);
        self.no_subscription.note_end(&subscription, &present.met);
        topic.cursors.remove(subscriber);
        self.subscription_bytes -= subscription_bytes(subscriber);
        Ok((Outcome::Unsubscribed, Change::Unsubscribed { id: topic.id }))
    }

    /// Moves the cursor forward to `to`, if it is at or after `from`.
    fn move_cursor(
        &mut self,
        key: RequestKey,
        subscriber: &SubscriberId,
        name: &TopicName,
        from: Offset,
        to: Offset,
    ) -> Result<Outcome, Failure> {
        let topic = find(&mut self.topics, &mut self.no_topic, name, key)?;
        let checked = check_offset(name, topic, to);
        let Some(cursor) = topic.cursors.get_mut(subscriber) else {
            self.no_subscription.note(&(topic.id, subscriber.clone()), key);
            checked?;
            return Err(not_subscribed(name, subscriber));
        };
        if let Some(told) = cursor.told(key) {
            return told.map(|cursor| Outcome::Committed { cursor });
        }
        let to = checked.inspect_err(|_| cursor.refuse(key))?;
        if self.bugs.has(Bug::CursorMovesBack) {
            cursor.offset = to;
        } else if cursor.offset >= from {
            cursor.offset = cursor.offset.max(to);
        }
        cursor.met.note(key);
        Ok(Outcome::Committed { cursor: cursor.tell(key) })
    }
}

/// The start of a subscription. `None` leaves an existing subscription unchanged.
fn start_of(
    name: &TopicName,
    topic: &Topic,
    subscriber: &SubscriberId,
    from: Option<StartAt>,
    present_bytes: usize,
) -> Result<Option<Offset>, Failure> {
    let is_present = topic.cursors.contains_key(subscriber);
    let start = match from {
        None if is_present => None,
        None | Some(StartAt::Beginning) => Some(Offset(0)),
        Some(StartAt::Latest) => Some(topic.end),
        Some(StartAt::Offset(offset)) => Some(check_offset(name, topic, offset)?),
    };
    if !is_present {
        check_room_to_subscribe(name, present_bytes + subscription_bytes(subscriber))?;
    }
    Ok(start)
}

impl Cursor {
    /// Records that a request was carried out, and the cursor's position after it, so that a copy gets the same answer.
    fn tell(&mut self, key: RequestKey) -> Offset {
        self.answer(key, Some(self.offset));
        self.offset
    }

    /// Records that a request was refused. A copy of it counts as late.
    fn refuse(&mut self, key: RequestKey) {
        self.before.note(key);
        self.met.note(key);
        self.answer(key, None);
    }

    fn answer(&mut self, key: RequestKey, answer: Option<Offset>) {
        self.answers.insert(key.coordinator, (key.number, answer));
        if self.answers.len() > MAX_PRODUCERS {
            self.answers.pop_first();
        }
    }

    /// The answer for a copy: that of the first one. If the same coordinator's next request was applied in between, a
    /// late copy gets the current position.
    fn told(&self, key: RequestKey) -> Option<Result<Offset, Failure>> {
        let answer = self.answers.get(&key.coordinator).filter(|(number, _)| *number == key.number);
        match answer {
            Some((_, Some(offset))) => Some(Ok(*offset)),
            Some((_, None)) => {
                let text = "this request was already refused: its offset was past the end of the topic";
                Some(Err(ErrorCode::BadRequest.because(text)))
            }
            None => self.before.covers(key).then_some(Ok(self.offset)),
        }
    }
}

impl Topic {
    fn new(id: TopicId, owner: PublisherId, created_by: RequestKey, before: VersionVector) -> Topic {
        let mut met = before.clone();
        met.note(created_by);
        let (cursors, dedup) = Default::default();
        Topic { id, owner, created_by, before, met, end: Offset(0), cursors, dedup }
    }
}

/// The topic that the request was meant for.
fn find<'a>(
    topics: &'a mut BTreeMap<TopicName, Topic>,
    no_topic: &mut Tombstones<TopicName>,
    name: &TopicName,
    key: RequestKey,
) -> Result<&'a mut Topic, Failure> {
    let Some(topic) = topics.get_mut(name) else {
        no_topic.note(name, key);
        return Err(unknown_topic(name));
    };
    if topic.before.covers(key) {
        return Err(came_before(name));
    }
    topic.met.note(key);
    Ok(topic)
}

fn unchanged(outcome: Outcome) -> (Outcome, Change) {
    (outcome, Change::Nothing)
}

/// Whether `key` is the request that created `newest`, or was received by the same coordinator before it: a late copy.
pub(super) fn is_late(key: RequestKey, newest: RequestKey) -> bool {
    key.coordinator == newest.coordinator && key.number <= newest.number
}

pub(super) fn remember<T>(recent: &mut VecDeque<T>, item: T) {
    recent.push_back(item);
    if recent.len() > REMOVALS_REMEMBERED {
        recent.pop_front();
    }
}

fn check_room_to_subscribe(name: &TopicName, bytes: usize) -> Result<(), Failure> {
    if bytes <= MAX_SUBSCRIPTION_BYTES {
        return Ok(());
    }
    Err(ErrorCode::LimitReached.because(format!(
        "the replica group of topic `{name}` has reached its limit of {} MiB for subscriptions; end unused \
         subscriptions",
        MAX_SUBSCRIPTION_BYTES >> 20
    )))
}

fn check_offset(name: &TopicName, topic: &Topic, offset: Offset) -> Result<Offset, Failure> {
    if offset <= topic.end {
        return Ok(offset);
    }
    Err(ErrorCode::BadRequest.because(format!(
        "offset {offset} is past the end of topic `{name}` ({end} messages); use an offset from 0 to {end}",
        end = topic.end
    )))
}

fn unknown_topic(name: &TopicName) -> Failure {
    ErrorCode::UnknownTopic.because(format!("there is no topic `{name}`; create it first"))
}

fn came_before(name: &TopicName) -> Failure {
    ErrorCode::UnknownTopic
        .because(format!("topic `{name}` was created after this request was sent; send the request again"))
}

fn existed(name: &TopicName) -> Failure {
    let text = format!(
        "this request to create topic `{name}` is older than the topic's deletion, or was already refused; send it \
         again"
    );
    ErrorCode::TopicExists.because(text)
}

fn ended(name: &TopicName, subscriber: &SubscriberId) -> Failure {
    let text = format!(
        "the subscription of `{subscriber}` to `{name}` ended after this request was sent; send the request again"
    );
    ErrorCode::NotSubscribed.because(text)
}

fn topic_exists(name: &TopicName, topic: &Topic) -> Failure {
    ErrorCode::TopicExists.because(format!(
        "topic `{name}` already exists and was created by publisher `{}`; publish to it, or choose another name",
        topic.owner
    ))
}

fn not_subscribed(name: &TopicName, subscriber: &SubscriberId) -> Failure {
    ErrorCode::NotSubscribed
        .because(format!("subscriber `{subscriber}` is not subscribed to topic `{name}`; subscribe first"))
}

fn too_old(name: &TopicName, producer: Producer<'_>, number: u64) -> Failure {
    let whose = match producer {
        Producer::Client(publisher) => format!("sequence {number} of publisher `{publisher}`"),
        Producer::Node(node) => format!("request {number} of node {node}"),
    };
    ErrorCode::SequenceTooOld.because(format!(
        "{whose} is too old for topic `{name}` to tell whether it was stored; it was not stored now. Read the topic to \
         check, and publish the message with a new sequence number if it is missing"
    ))
}
