//! Carries out what Raft has ready: writes, messages after the writes that they report, and confirmed reads.

use raft::Ready;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use super::effect::GroupEffect;
use super::message;
use super::{Group, Unwritten};
use crate::bugs::Bug;
use crate::records::LogEntry;
use crate::store::{HardState, Write};
use crate::time::Instant;

impl Group {
    /// Carries out one ready. `batch` makes its writes durable.
    pub(super) fn process_ready(&mut self, now: Instant, batch: u64, mut ready: Ready) {
        self.take_reads(&mut ready);
        let immediate = ready.take_messages();
        self.send_at(now, immediate);
        let writes_before = self.effects.len();
        let installed = (!ready.snapshot().is_empty()).then(|| ready.snapshot().clone());
        if let Some(snapshot) = &installed {
            self.install(snapshot);
        }
        self.append(ready.take_entries());
        self.state_is_unwritten |= ready.hs().is_some();
        if ready.must_sync() {
            self.write_hard_state();
        }
        let messages = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        let changes_members = installed.is_some() || committed.iter().any(is_member_change);
        if changes_members {
            // A member's confirmation of a change of members must also hold after a restart.
            self.changes.written_in = Some(batch);
        }
        let wrote = changes_members || self.effects.len() > writes_before;
        let number = ready.number();
        self.raw.advance_append_async(ready);
        let installed = installed.map(|snapshot| snapshot.get_metadata().index);
        self.await_write(wrote.then_some(batch), Unwritten { batch, ready: number, messages, installed });
        self.apply(committed);
    }

    fn await_write(&mut self, batch: Option<u64>, unwritten: Unwritten) {
        if self.bugs.has(Bug::AcknowledgesBeforeSync) {
            return self.finish_ready(unwritten);
        }
        // A ready without writes still waits for the earlier ones.
        match batch.or_else(|| self.unwritten.back().map(|last| last.batch)) {
            Some(batch) => self.unwritten.push_back(Unwritten { batch, ..unwritten }),
            None => self.finish_ready(unwritten),
        }
    }

    pub(super) fn finish_ready(&mut self, written: Unwritten) {
        self.raw.on_persist_ready(written.ready);
        if let Some(index) = written.installed {
            self.raw.advance_apply_to(index);
        }
        if self.bugs.has(Bug::AcknowledgesWithoutFollowers) && self.is_leader() {
            self.answer_before_commit();
        }
        self.send_all(written.messages);
    }

    fn append(&mut self, mut entries: Vec<Entry>) {
        if self.bugs.has(Bug::ConflictIsKept) {
            entries.retain(|entry| entry.index > self.raw.store().last());
        }
        if entries.is_empty() {
            return;
        }
        let stored: Vec<LogEntry> = entries.iter().cloned().map(message::entry_from_raft).collect();
        self.log_bytes_since_checkpoint += entries.iter().map(|entry| entry.data.len() as u64).sum::<u64>();
        self.raw.mut_store().append(entries);
        self.effects.push(GroupEffect::Write(Write::Append { group: self.id, entries: stored }));
    }

    /// If only the commit index has grown, it is written with the next entries, which saves a sync.
    pub(super) fn write_hard_state(&mut self) {
        if std::mem::take(&mut self.state_is_unwritten) {
            let raft = &self.raw.raft;
            let state = HardState { term: raft.term, vote: raft.vote, commit: raft.raft_log.committed };
            self.effects.push(GroupEffect::Write(Write::HardState { group: self.id, state }));
        }
    }

    fn take_reads(&mut self, ready: &mut Ready) {
        for read in ready.take_read_states() {
            if let Ok(bytes) = <[u8; 8]>::try_from(read.request_ctx.as_slice()) {
                self.reads.push((read.index, u64::from_le_bytes(bytes)));
            }
        }
    }

    /// Releases a read when everything committed at the time of its request is applied here.
    pub(super) fn release_reads(&mut self) {
        let applied = self.applied_index();
        let ready = self.reads.extract_if(.., |(index, _)| *index <= applied);
        self.effects.extend(ready.map(|(_, ticket)| GroupEffect::ReadReady { ticket }));
    }

    fn send_at(&mut self, now: Instant, messages: Vec<Message>) {
        for message in in_order(messages) {
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.offer_snapshot(now, message);
            } else {
                self.send(message);
            }
        }
    }

    pub(super) fn send_all(&mut self, messages: Vec<Message>) {
        for message in in_order(messages) {
            self.send(message);
        }
    }

    pub(super) fn send(&mut self, message: Message) {
        if message.get_msg_type() == MessageType::MsgAppendResponse && !message.reject {
            self.acknowledged = (message.term, message.index);
        }
        let can_wait = self.can_wait(&message);
        if matches!(message.get_msg_type(), MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse) {
            self.commit_told = (message.term, message.commit);
        }
        if let Some(message) = message::from_raft(message) {
            self.effects.push(GroupEffect::Send { to: message.to, message, can_wait });
        }
    }

    /// Whether a message may wait: it answers a heartbeat of a leader that needs no quick answer. No read is pending,
    /// everything here is committed, and the leader has been informed of that.
    fn can_wait(&self, message: &Message) -> bool {
        let answers_heartbeat = message.get_msg_type() == MessageType::MsgHeartbeatResponse;
        let tells_nothing_new = self.commit_told == (message.term, message.commit);
        let last = self.raw.raft.raft_log.last_index();
        answers_heartbeat && message.context.is_empty() && tells_nothing_new && message.commit == last
    }
}

fn is_member_change(entry: &Entry) -> bool {
    entry.get_entry_type() != EntryType::EntryNormal
}

/// Sorts by recipient. Raft iterates over its members in the order of a hash table, which depends on the machine's word
/// size. The order of messages to the same recipient is kept.
fn in_order(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by_key(|message| message.to);
    messages
}
