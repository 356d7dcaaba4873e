//! Serde for the types that are part of a node's state. Unlike protobuf's decoder, serde's has no recursion.

use bytes::Bytes;
use protobuf::ProtobufEnum;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use crate::eraftpb::{
    ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
};

fn number<'de, D: Deserializer<'de>, E: ProtobufEnum>(value: i32) -> Result<E, D::Error> {
    E::from_i32(value).ok_or_else(|| D::Error::custom("an unknown kind"))
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.entry_type.value();
        (kind, self.term, self.index, &self.data, &self.context, self.sync_log).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        type Fields = (i32, u64, u64, Bytes, Bytes, bool);
        let (kind, term, index, data, context, sync_log) = Fields::deserialize(deserializer)?;
        let entry_type = number::<D, EntryType>(kind)?;
        Ok(Entry { entry_type, term, index, data, context, sync_log, ..Entry::default() })
    }
}

impl Serialize for HardState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.term, self.vote, self.commit).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HardState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HardState, D::Error> {
        let (term, vote, commit) = Deserialize::deserialize(deserializer)?;
        Ok(HardState { term, vote, commit, ..HardState::default() })
    }
}

impl Serialize for ConfState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.voters, &self.learners, &self.voters_outgoing, &self.learners_next, self.auto_leave)
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ConfState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ConfState, D::Error> {
        let (voters, learners, voters_outgoing, learners_next, auto_leave) =
            Deserialize::deserialize(deserializer)?;
        Ok(ConfState { voters, learners, voters_outgoing, learners_next, auto_leave, ..ConfState::default() })
    }
}

impl Serialize for SnapshotMetadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.conf_state.as_ref(), self.index, self.term).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SnapshotMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SnapshotMetadata, D::Error> {
        let (conf_state, index, term) = <(Option<ConfState>, u64, u64)>::deserialize(deserializer)?;
        Ok(SnapshotMetadata { conf_state: conf_state.into(), index, term, ..SnapshotMetadata::default() })
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.data, self.metadata.as_ref()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Snapshot, D::Error> {
        let (data, metadata) = <(Bytes, Option<SnapshotMetadata>)>::deserialize(deserializer)?;
        Ok(Snapshot { data, metadata: metadata.into(), ..Snapshot::default() })
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = (self.msg_type.value(), self.to, self.from, self.term, self.log_term, self.index);
        let content = (self.entries.as_ref() as &[Entry], self.commit, self.commit_term, self.snapshot.as_ref());
        let answer = (self.request_snapshot, self.reject, self.reject_hint, &self.context);
        (place, content, answer, self.deprecated_priority, self.priority).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Message, D::Error> {
        type Place = (i32, u64, u64, u64, u64, u64);
        type Content = (Vec<Entry>, u64, u64, Option<Snapshot>);
        type Answer = (u64, bool, u64, Bytes);
        let (place, content, answer, deprecated_priority, priority) =
            <(Place, Content, Answer, u64, i64)>::deserialize(deserializer)?;
        let (kind, to, from, term, log_term, index) = place;
        let (entries, commit, commit_term, snapshot) = content;
        let (request_snapshot, reject, reject_hint, context) = answer;
        let msg_type = number::<D, MessageType>(kind)?;
        Ok(Message {
            msg_type,
            to,
            from,
            term,
            log_term,
            index,
            entries: entries.into(),
            commit,
            commit_term,
            snapshot: snapshot.into(),
            request_snapshot,
            reject,
            reject_hint,
            context,
            deprecated_priority,
            priority,
            ..Message::default()
        })
    }
}
