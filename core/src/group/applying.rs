//! Applying committed entries to the topics, writing checkpoints, and installing a snapshot in place of both.

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Snapshot};

use super::{Group, GroupEffect, MemberChange, TopicChange, message};
use crate::bugs::Bug;
use crate::names::Offset;
use crate::store::{Checkpoint, HardState, Write};
use crate::topics::{Change, command};

impl Group {
    pub(super) fn apply(&mut self, entries: Vec<Entry>) {
        let Some(last) = entries.last() else { return };
        let (index, term) = (last.index, last.term);
        for entry in entries {
            match entry.get_entry_type() {
                EntryType::EntryNormal => self.apply_commands(entry.index, &entry.data),
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                    self.apply_member_change(entry.index, &entry.data);
                }
            }
        }
        self.raw.mut_store().set_applied(index, term);
        self.raw.advance_apply_to(index);
    }

    fn apply_commands(&mut self, index: u64, data: &Bytes) {
        if data.is_empty() {
            return;
        }
        let commands = self
            .decoded
            .take(index, data)
            .unwrap_or_else(|| command::decode_commands(data).expect("an entry is checked before it is accepted"));
        let mut writes = Vec::new();
        for command in commands {
            let applied = self.topics.apply(&command);
            let change = self.keep(applied.change, &mut writes);
            self.effects.push(GroupEffect::Applied { index, key: command.key, outcome: applied.outcome, change });
        }
        if writes.iter().any(|write| matches!(write, Write::DropMessages { .. })) {
            // If a member restarted with the topic but without its messages, it could not fill other members as their
            // leader.
            self.state_is_unwritten = true;
            self.write_hard_state();
        }
        self.effects.extend(writes.into_iter().map(GroupEffect::Write));
    }

    /// Collects a command's effects on messages. Those of one topic become one write.
    fn keep(&mut self, change: Change, writes: &mut Vec<Write>) -> TopicChange {
        let group = self.id;
        match change {
            Change::Nothing => TopicChange::Nothing,
            Change::Created { topic } => TopicChange::Created { topic },
            Change::Unsubscribed { id } => TopicChange::Unsubscribed { id },
            Change::Store { topic, id, message } => {
                message.clone().push_to(group, id, writes);
                TopicChange::Stored { topic, id, message }
            }
            Change::Drop { topic, id, end } => {
                if end > Offset(0) {
                    writes.push(Write::DropMessages { group, topic: id });
                }
                self.cancel_transfers_of(id);
                TopicChange::Deleted { topic, id }
            }
        }
    }

    fn apply_member_change(&mut self, index: u64, data: &[u8]) {
        self.changes.last = index;
        let change = MemberChange::from_raft_bytes(data).expect("only Cubecast's own member changes are proposed");
        match self.raw.apply_conf_change(&change.to_raft()) {
            Ok(members) => {
                self.raw.mut_store().set_members(members);
                self.effects.push(GroupEffect::MembersChanged);
                // After a restart, a member uses the members of its last known commit. A member that was replaced since
                // then would not answer it.
                self.state_is_unwritten = true;
                self.write_hard_state();
            }
            Err(error) => {
                self.effects.push(GroupEffect::Trouble(format!("a committed member change was rejected: {error}")))
            }
        }
    }

    pub(super) fn install(&mut self, snapshot: &Snapshot) {
        let topics =
            self.arrived.take().expect("raft accepts only the snapshot that was just stepped, with its content here");
        let topics = topics.with(self.bugs);
        let topics =
            if self.bugs.has(Bug::SnapshotKeepsDeletedTopics) { topics.with_topics_of(&self.topics) } else { topics };
        for gone in self.topics.topics().filter(|topic| topics.topic_by_id(topic.id).is_none()) {
            self.effects.push(GroupEffect::Write(Write::DropMessages { group: self.id, topic: gone.id }));
        }
        let metadata = snapshot.get_metadata();
        self.raw.mut_store().reset(metadata.index, metadata.term, metadata.get_conf_state().clone());
        self.topics = topics;
        self.changes.last = metadata.index;
        self.staged.clear();
        self.write_checkpoint(metadata.index, true);
        self.effects.push(GroupEffect::MembersChanged);
        self.effects.push(GroupEffect::SnapshotInstalled);
    }

    pub(super) fn checkpoint_when_due(&mut self) {
        let (applied, limits) = (self.applied_index(), if self.saves_room { self.limits.tight() } else { self.limits });
        let long = self.log_bytes_since_checkpoint
            >= limits.checkpoint_log_bytes.max(self.checkpoint_bytes.saturating_mul(limits.log_to_checkpoint_ratio))
            || applied - self.checkpoint_index >= limits.checkpoint_log_entries;
        if long && applied > self.checkpoint_index {
            let drop_through = self.raw.store().drop_point(limits.slack_entries, limits.slack_bytes);
            self.raw.mut_store().drop_through(drop_through);
            self.write_checkpoint(drop_through, false);
        }
    }

    /// The writes that make an empty disk equal to this member's state, except messages.
    pub fn as_writes(&self) -> Vec<Write> {
        let (group, checkpoint, raft) = (self.id, self.checkpoint(), self.raw.raft.hard_state());
        let state = HardState { term: raft.term, vote: raft.vote, commit: raft.commit };
        let entries = self.raw.store().log_entries().collect();
        let log = [Write::HardState { group, state }, Write::Append { group, entries }];
        let founded = checkpoint.index > 0;
        let checkpoint = Write::Checkpoint { group, checkpoint, drop_log_through: 0, clear_log: true };
        founded.then_some(checkpoint).into_iter().chain(log).collect()
    }

    /// The state at the last applied entry.
    fn checkpoint(&self) -> Checkpoint {
        let (index, term) = self.raw.store().applied();
        let members = self.raw.store().members();
        let (voters, learners) = (message::members(members.get_voters()), message::members(members.get_learners()));
        Checkpoint { index, term, voters, learners, state: self.topics.encode() }
    }

    fn write_checkpoint(&mut self, drop_log_through: u64, clear_log: bool) {
        let checkpoint = self.checkpoint();
        self.checkpoint_index = checkpoint.index;
        self.checkpoint_bytes = checkpoint.state.len() as u64;
        self.log_bytes_since_checkpoint = 0;
        self.effects.push(GroupEffect::Write(Write::Checkpoint {
            group: self.id,
            checkpoint,
            drop_log_through,
            clear_log,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GroupConfig, LogLimits, Start, TICK};
    use super::*;
    use crate::bugs::Bugs;
    use crate::cube::VertexId;
    use crate::identity::{GroupId, HostId, Member, RequestKey};
    use crate::names::TopicId;
    use crate::store::{HardState, RecoveredGroup};
    use crate::time::{Instant, Timestamp};
    use crate::topics::Topics;
    use crate::topics::command::{Command, Op};

    fn config(id: GroupId, hosts: Vec<HostId>, me: Member) -> GroupConfig {
        GroupConfig { id, hosts, me, seed: 1, limits: LogLimits::default(), bugs: Bugs::default() }
    }

    fn applying(ops: Vec<Op>) -> Vec<Write> {
        let host: HostId = "100".parse().unwrap();
        let (id, me) = (GroupId::Home(VertexId(4)), Member::founding(host));
        let checkpoint =
            Checkpoint { index: 1, term: 1, voters: vec![me], learners: vec![], state: Topics::default().encode() };
        let hard_state = HardState { term: 1, vote: 0, commit: 1 };
        let found =
            RecoveredGroup { group: id, hard_state, checkpoint: Some(checkpoint), log: vec![], tail_cut: false };
        let mut group = Group::new(Instant(0), config(id, vec![host], me), Start::Restored(found));
        let key = |number| RequestKey { coordinator: me, number };
        let commands: Vec<_> =
            (1..).zip(ops).map(|(number, op)| Command { key: key(number), time: Timestamp(0), op }).collect();
        group.effects.clear();
        group.apply_commands(2, &command::encode_commands(&commands).into());
        let writes = group.effects.into_iter().filter_map(|effect| match effect {
            GroupEffect::Write(write) => Some(write),
            _ => None,
        });
        writes.collect()
    }

    #[test]
    fn the_deletion_of_a_topic_deletes_its_messages_where_it_has_any() {
        let (publisher, topic) = (|| "ann".parse().unwrap(), || "news".parse().unwrap());
        let create = || Op::CreateTopic { publisher: publisher(), topic: topic() };
        let delete = || Op::DeleteTopic { publisher: publisher(), topic: topic() };
        let publish = || Op::Publish { publisher: publisher(), topic: topic(), sequence: None, content: "hi".into() };
        let drops = |writes: Vec<Write>| {
            let is_drop = |write: &Write| matches!(write, Write::DropMessages { topic: TopicId(0), .. });
            (writes.iter().filter(|write| is_drop(write)).count(), writes.len())
        };
        assert_eq!(drops(applying(vec![create(), delete()])), (0, 0));
        let (drops, writes) = drops(applying(vec![create(), publish(), delete()]));
        assert_eq!((drops, writes), (1, 3), "the message, its deletion, and the hard state");
    }

    /// Delivers everything that the members send each other. Every disk finishes its writes at once, except that of the
    /// first member if it `stalls`. Returns the number of commands that the first member applied.
    fn exchange(groups: &mut [Group], now: Instant, batch: &mut u64, stalls: bool) -> usize {
        let mut applied = 0;
        while let Some(at) = groups.iter().position(Group::is_dirty) {
            *batch += 1;
            for effect in groups[at].flush(now, *batch) {
                match effect {
                    GroupEffect::Send { to, message, .. } => {
                        let receiver = groups.iter_mut().find(|group| group.me == to).expect("every member is here");
                        receiver.handle_message(message);
                    }
                    GroupEffect::Applied { .. } if at == 0 => applied += 1,
                    _ => {}
                }
            }
            if at > 0 || !stalls {
                groups[at].handle_written(*batch);
            }
        }
        applied
    }

    #[test]
    fn a_leader_applies_a_committed_entry_only_when_its_own_disk_has_it() {
        let id = GroupId::of("00".parse().unwrap());
        let hosts: Vec<HostId> = ["00", "01", "10"].map(|host| host.parse().unwrap()).into();
        let start =
            |&host: &HostId| Group::new(Instant(0), config(id, hosts.clone(), Member::founding(host)), Start::Founding);
        let mut groups: Vec<Group> = hosts.iter().map(start).collect();
        let (mut now, mut batch) = (Instant(0), 0);
        while !groups[0].is_leader() {
            now = now + TICK;
            groups.iter_mut().for_each(|group| group.handle_time(now));
            exchange(&mut groups, now, &mut batch, false);
        }
        let command = Command {
            key: RequestKey { coordinator: groups[0].me, number: 1 },
            time: Timestamp(0),
            op: Op::CreatePublisher { publisher: "ann".parse().unwrap() },
        };
        let before = groups[0].commit_index();
        groups[0].propose(vec![command]).unwrap();
        assert_eq!(exchange(&mut groups, now, &mut batch, true), 0);
        assert_eq!(groups[0].commit_index(), before + 1, "both followers have it, and they are a majority");
        assert_eq!(groups[0].applied_index(), before);
        groups[0].handle_written(batch);
        assert_eq!(exchange(&mut groups, now, &mut batch, false), 1);
    }
}
