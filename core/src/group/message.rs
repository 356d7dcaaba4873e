//! Conversion between Raft's protobuf types and ours. Protobuf bytes never come from a socket or a disk: transmitted
//! and stored data use our own encoding.

use protobuf::Message as _;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType, Snapshot,
};
use serde::{Deserialize, Serialize};

use super::decoded::DecodedEntries;
use crate::identity::Member;
use crate::records::{EntryKind, LogEntry};
use crate::topics::command::{self, Command};
use crate::wire::peer::{RaftMessage, SnapshotHead};

const CRC_BYTES: usize = 4;

impl RaftMessage {
    /// Whether this is a leader's heartbeat.
    pub fn is_heartbeat(&self) -> bool {
        self.kind == MessageType::MsgHeartbeat as i32
    }

    /// Whether this is an append whose entries do not follow each other and the entry before them. Raft would panic on
    /// it.
    pub(super) fn has_gap(&self) -> bool {
        let follows = |(entry, behind): (&LogEntry, u64)| self.index.checked_add(behind) == Some(entry.index);
        self.kind == MessageType::MsgAppend as i32 && !self.entries.iter().zip(1..).all(follows)
    }
}

/// Converts a message from Raft. `None` if it addresses a member that cannot exist.
pub fn from_raft(message: Message) -> Option<RaftMessage> {
    let snapshot = message.has_snapshot().then(|| Box::new(snapshot_head(message.get_snapshot())));
    Some(RaftMessage {
        kind: message.get_msg_type() as i32,
        from: Member::from_raft(message.from)?,
        to: Member::from_raft(message.to)?,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        snapshot,
        request_snapshot: message.request_snapshot,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context.to_vec(),
        priority: message.get_priority(),
        entries: message.entries.into_iter().map(entry_from_raft).collect(),
    })
}

/// Why a member's message cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// Messages of this kind are not sent between members.
    Kind,
    /// The entry at this index differs from what its proposer wrote.
    Entry { index: u64, why: String },
}

/// Converts a message to Raft, and checks its entries, whose commands are kept in `decoded`.
pub(super) fn to_raft(message: RaftMessage, decoded: &mut DecodedEntries) -> Result<Message, Unusable> {
    let kind = travelling_kind(message.kind).ok_or(Unusable::Kind)?;
    let mut out = Message::default();
    out.set_msg_type(kind);
    out.from = message.from.to_raft();
    out.to = message.to.to_raft();
    out.term = message.term;
    out.log_term = message.log_term;
    out.index = message.index;
    out.commit = message.commit;
    out.commit_term = message.commit_term;
    out.request_snapshot = message.request_snapshot;
    out.reject = message.reject;
    out.reject_hint = message.reject_hint;
    out.context = message.context.into();
    out.priority = message.priority;
    let entries = message.entries.iter().map(|entry| {
        let commands = commands_of(entry).map_err(|why| Unusable::Entry { index: entry.index, why })?;
        decoded.keep(entry.index, &entry.data, commands);
        Ok(checked_to_raft(entry))
    });
    out.set_entries(entries.collect::<Result<Vec<Entry>, Unusable>>()?.into());
    if let Some(head) = &message.snapshot {
        let ids = |members: &[Member]| members.iter().map(|member| member.to_raft()).collect::<Vec<_>>();
        out.set_snapshot(snapshot_to_raft(
            head.index,
            head.term,
            ConfState::from((ids(&head.voters), ids(&head.learners))),
        ));
    }
    Ok(out)
}

fn travelling_kind(kind: i32) -> Option<MessageType> {
    use MessageType::*;
    [
        MsgAppend,
        MsgAppendResponse,
        MsgRequestVote,
        MsgRequestVoteResponse,
        MsgSnapshot,
        MsgHeartbeat,
        MsgHeartbeatResponse,
        MsgTransferLeader,
        MsgTimeoutNow,
        MsgReadIndex,
        MsgReadIndexResp,
        MsgRequestPreVote,
        MsgRequestPreVoteResponse,
    ]
    .into_iter()
    .find(|candidate| *candidate as i32 == kind)
}

/// Converts an entry from Raft. Panics on a member change that is not one of ours.
pub fn entry_from_raft(entry: Entry) -> LogEntry {
    let (kind, data) = match entry.get_entry_type() {
        EntryType::EntryNormal => (EntryKind::Commands, entry.data),
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
            let change =
                MemberChange::from_raft_bytes(&entry.data).expect("only Cubecast's own member changes are proposed");
            (EntryKind::MemberChange, change.encode().into())
        }
    };
    LogEntry { index: entry.index, term: entry.term, kind, data }
}

/// The maximum length of a member change in Raft's encoding. Its decoder recurses, so longer bytes are not decoded.
const MAX_CHANGE_BYTES: usize = 64;

/// Whether Raft's entry, read from a saved state, can be applied.
pub fn is_raft_entry_valid(entry: &Entry) -> bool {
    match entry.get_entry_type() {
        EntryType::EntryNormal => command::decode_commands(&entry.data).is_ok(),
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
            entry.data.len() <= MAX_CHANGE_BYTES && MemberChange::from_raft_bytes(&entry.data).is_some()
        }
    }
}

/// Checks that an entry is unaltered and can be applied. The error is the reason.
pub fn check_entry(entry: &LogEntry) -> Result<(), String> {
    commands_of(entry).map(drop)
}

/// Checks an entry, and returns its commands; a member change has none.
fn commands_of(entry: &LogEntry) -> Result<Vec<Command>, String> {
    match entry.kind {
        EntryKind::Commands => command::decode_commands(&entry.data).map_err(|error| error.to_string()),
        EntryKind::MemberChange => MemberChange::decode(&entry.data).map(|_| Vec::new()),
    }
}

/// Converts an entry that [`check_entry`] accepts to Raft; panics on any other.
pub fn checked_to_raft(entry: &LogEntry) -> Entry {
    let mut out = Entry::default();
    match entry.kind {
        EntryKind::Commands => out.data = entry.data.clone(),
        EntryKind::MemberChange => {
            let change = MemberChange::decode(&entry.data).expect("a checked entry can be decoded");
            out.set_entry_type(EntryType::EntryConfChangeV2);
            out.data = change.to_raft().write_to_bytes().expect("a member change always encodes").into();
        }
    }
    out.index = entry.index;
    out.term = entry.term;
    out
}

/// A change of one member. Single changes are always safe, so joint consensus is never needed. In the right order, each
/// after the last one is confirmed, no single failure between them stops the group (see [`super::members`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MemberChange {
    AddVoter(Member),
    /// Also removes a voter's vote; the member still receives everything.
    AddLearner(Member),
    Remove(Member),
}

impl MemberChange {
    /// Whether the change removes this member's vote.
    pub fn takes_vote_of(self, member: Member) -> bool {
        match self {
            MemberChange::AddVoter(_) => false,
            MemberChange::AddLearner(loses) | MemberChange::Remove(loses) => loses == member,
        }
    }

    /// The data of a log entry: a crc32, then the change.
    pub fn encode(self) -> Vec<u8> {
        let mut data = postcard::to_extend(&self, vec![0; CRC_BYTES]).expect("memory takes any member change");
        let crc = crc32fast::hash(&data[CRC_BYTES..]);
        data[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
        data
    }

    /// The inverse of [`MemberChange::encode`]. The error is the reason.
    pub fn decode(data: &[u8]) -> Result<MemberChange, String> {
        let (crc, change) = data.split_first_chunk().ok_or("the member change is truncated")?;
        if crc32fast::hash(change) != u32::from_le_bytes(*crc) {
            return Err("the member change has a wrong checksum".into());
        }
        match postcard::take_from_bytes(change) {
            Ok((change, [])) => Ok(change),
            _ => Err("the member change cannot be decoded".into()),
        }
    }

    /// The change in Raft's type.
    pub fn to_raft(self) -> ConfChangeV2 {
        let (kind, node) = match self {
            MemberChange::AddVoter(node) => (ConfChangeType::AddNode, node),
            MemberChange::AddLearner(node) => (ConfChangeType::AddLearnerNode, node),
            MemberChange::Remove(node) => (ConfChangeType::RemoveNode, node),
        };
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = node.to_raft();
        let mut change = ConfChangeV2::default();
        change.set_changes(vec![single].into());
        change
    }

    /// The inverse of [`MemberChange::to_raft`], encoded; `None` for other bytes.
    pub fn from_raft_bytes(bytes: &[u8]) -> Option<MemberChange> {
        let change = ConfChangeV2::parse_from_bytes(bytes).ok()?;
        let [single] = change.get_changes() else { return None };
        let node = Member::from_raft(single.node_id)?;
        Some(match single.get_change_type() {
            ConfChangeType::AddNode => MemberChange::AddVoter(node),
            ConfChangeType::AddLearnerNode => MemberChange::AddLearner(node),
            ConfChangeType::RemoveNode => MemberChange::Remove(node),
        })
    }
}

/// A snapshot's metadata in Raft's type.
pub fn snapshot_to_raft(index: u64, term: u64, members: ConfState) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = index;
    metadata.term = term;
    metadata.set_conf_state(members);
    snapshot
}

/// A snapshot's metadata in our type.
pub fn snapshot_head(snapshot: &Snapshot) -> SnapshotHead {
    let metadata = snapshot.get_metadata();
    let configuration = metadata.get_conf_state();
    SnapshotHead {
        index: metadata.index,
        term: metadata.term,
        voters: members(configuration.get_voters()),
        learners: members(configuration.get_learners()),
    }
}

/// The members with these Raft ids, sorted. Ids that no member can have are left out.
pub fn members(raft_ids: &[u64]) -> Vec<Member> {
    let mut ids: Vec<_> = raft_ids.iter().filter_map(|id| Member::from_raft(*id)).collect();
    ids.sort();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::RequestKey;
    use crate::topics::command::{Op, encode_commands};

    /// The encoding of an entry in a leader's append message, which the follower decodes.
    fn append(entries: Vec<LogEntry>) -> RaftMessage {
        let member = |host: &str| Member::founding(host.parse().unwrap());
        RaftMessage {
            kind: MessageType::MsgAppend as i32,
            from: member("100"),
            to: member("101"),
            term: 2,
            log_term: 2,
            index: 4,
            entries,
            commit: 4,
            commit_term: 0,
            snapshot: None,
            request_snapshot: 0,
            reject: false,
            reject_hint: 0,
            context: Vec::new(),
            priority: 0,
        }
    }

    #[test]
    fn an_append_with_a_gap_is_recognised() {
        let entry = |index| LogEntry { index, term: 2, kind: EntryKind::Commands, data: bytes::Bytes::new() };
        let with = |indexes: &[u64]| append(indexes.iter().copied().map(entry).collect());
        for good in [&[][..], &[5], &[5, 6, 7]] {
            assert!(!with(good).has_gap(), "{good:?}");
        }
        for bad in [&[4][..], &[6], &[5, 7], &[5, 5], &[5, 4], &[u64::MAX]] {
            assert!(with(bad).has_gap(), "{bad:?}");
        }
        assert!(RaftMessage { index: u64::MAX, ..with(&[0]) }.has_gap());
        assert!(!RaftMessage { kind: MessageType::MsgReadIndex as i32, ..with(&[0]) }.has_gap());
    }

    #[test]
    fn an_entry_that_was_altered_after_it_was_proposed_is_never_taken_in() {
        let key = RequestKey { coordinator: Member::founding("100".parse().unwrap()), number: 1 };
        let op = Op::CreatePublisher { publisher: "pia".parse().unwrap() };
        let commands = encode_commands(&[Command { key, time: crate::time::Timestamp(0), op }]);
        let change = MemberChange::AddVoter(Member::founding("110".parse().unwrap())).encode();
        for (kind, data) in [(EntryKind::Commands, commands), (EntryKind::MemberChange, change)] {
            let entry = |data: &[u8]| LogEntry { index: 5, term: 2, kind, data: data.to_vec().into() };
            assert!(to_raft(append(vec![entry(&data)]), &mut DecodedEntries::default()).is_ok());
            for bit in 0..data.len() * 8 {
                let mut altered = data.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let message = append(vec![entry(&data), entry(&altered)]);
                let refused = to_raft(message, &mut DecodedEntries::default());
                assert!(matches!(refused, Err(Unusable::Entry { index: 5, .. })), "{kind:?}, bit {bit}");
            }
        }
    }
}
