//! raft's protobuf types to ours and back. Protobuf bytes never come from a socket or a disk: what travels and what is stored is
//! in our own encoding.

use protobuf::Message as _;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType, Snapshot,
};
use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::store::{EntryKind, LogEntry};
use crate::wire::peer::{RaftMessage, SnapshotHead};

impl RaftMessage {
    pub fn is_heartbeat(&self) -> bool {
        self.kind == MessageType::MsgHeartbeat as i32
    }
}

/// `None` when raft addresses a member that cannot exist.
pub fn from_raft(message: Message) -> Option<RaftMessage> {
    let snapshot = message.has_snapshot().then(|| Box::new(snapshot_head(message.get_snapshot())));
    Some(RaftMessage {
        kind: message.get_msg_type() as i32,
        from: NodeId::from_raft(message.from)?,
        to: NodeId::from_raft(message.to)?,
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

/// `None` when the message's kind is none that travels, or an entry does not decode.
pub fn to_raft(message: RaftMessage) -> Option<Message> {
    let kind = travelling_kind(message.kind)?;
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
    let entries: Option<Vec<Entry>> = message.entries.iter().map(entry_to_raft).collect();
    out.set_entries(entries?.into());
    if let Some(head) = &message.snapshot {
        let ids = |members: &[NodeId]| members.iter().map(|member| member.to_raft()).collect::<Vec<_>>();
        out.set_snapshot(snapshot_to_raft(
            head.index,
            head.term,
            ConfState::from((ids(&head.voters), ids(&head.learners))),
        ));
    }
    Some(out)
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

pub fn entry_from_raft(entry: Entry) -> LogEntry {
    let (kind, data) = match entry.get_entry_type() {
        EntryType::EntryNormal => (EntryKind::Commands, entry.data),
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
            let change = MemberChange::from_raft_bytes(&entry.data).expect("only member changes of ours are proposed");
            (EntryKind::MemberChange, postcard::to_allocvec(&change).expect("a member change always encodes").into())
        }
    };
    LogEntry { index: entry.index, term: entry.term, kind, data }
}

/// `None` when a change of members does not decode.
pub fn entry_to_raft(entry: &LogEntry) -> Option<Entry> {
    let mut out = Entry::default();
    match entry.kind {
        EntryKind::Commands => out.data = entry.data.clone(),
        EntryKind::MemberChange => {
            let change: MemberChange = postcard::from_bytes(&entry.data).ok()?;
            out.set_entry_type(EntryType::EntryConfChangeV2);
            out.data = change.to_raft().write_to_bytes().expect("a member change always encodes").into();
        }
    }
    out.index = entry.index;
    out.term = entry.term;
    Some(out)
}

/// One change of a group's members. One at a time is always safe, so joint consensus is never needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MemberChange {
    AddVoter(NodeId),
    /// Also takes a voter's vote from it; it goes on receiving.
    AddLearner(NodeId),
    Remove(NodeId),
}

impl MemberChange {
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

    pub fn from_raft_bytes(bytes: &[u8]) -> Option<MemberChange> {
        let change = ConfChangeV2::parse_from_bytes(bytes).ok()?;
        let [single] = change.get_changes() else { return None };
        let node = NodeId::from_raft(single.node_id)?;
        Some(match single.get_change_type() {
            ConfChangeType::AddNode => MemberChange::AddVoter(node),
            ConfChangeType::AddLearnerNode => MemberChange::AddLearner(node),
            ConfChangeType::RemoveNode => MemberChange::Remove(node),
        })
    }
}

pub fn snapshot_to_raft(index: u64, term: u64, members: ConfState) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = index;
    metadata.term = term;
    metadata.set_conf_state(members);
    snapshot
}

pub fn snapshot_head(snapshot: &Snapshot) -> SnapshotHead {
    let metadata = snapshot.get_metadata();
    let members = metadata.get_conf_state();
    SnapshotHead {
        index: metadata.index,
        term: metadata.term,
        voters: node_ids(members.get_voters()),
        learners: node_ids(members.get_learners()),
    }
}

pub fn node_ids(raft_ids: &[u64]) -> Vec<NodeId> {
    let mut ids: Vec<_> = raft_ids.iter().filter_map(|id| NodeId::from_raft(*id)).collect();
    ids.sort();
    ids
}
