//! The durable rows of a simulated disk: typed, each good or damaged.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::{LogEntry, StoredMessage};
use cubecast_core::store::reading::{Unreadable, read_through};
use cubecast_core::store::recovery::{self, CutTail, Found, Refused};
use cubecast_core::store::rows::{Row, RowKey};
use cubecast_core::store::runs::{Present, plan};
use cubecast_core::store::{Checkpoint, HardState, NodeRecord, ReadMessages, RecoveredGroup, Write, WriteBatch};
use cubecast_core::topics::command::Command;

/// All tables. A damaged row's content is lost; writing it again repairs it.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub record: Option<Row<NodeRecord>>,
    pub groups: BTreeMap<GroupId, GroupRows>,
    /// Groups whose log lost its end, until the node takes another identity.
    pub cut: BTreeSet<GroupId>,
    pub topics: BTreeMap<(GroupId, TopicId), Runs>,
    pub outbox: BTreeMap<u64, Row<Command>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct GroupRows {
    pub hard_state: Option<Row<HardState>>,
    pub checkpoint: Option<Row<Checkpoint>>,
    pub log: BTreeMap<u64, Row<LogEntry>>,
}

/// Rows of messages, by the offset of the last message in each.
pub(super) type Runs = BTreeMap<Offset, Row<Vec<StoredMessage>>>;

impl Rows {
    /// Whether a batch can be applied. A new record is compared with the previous one, which must therefore be good.
    pub(super) fn accepts(&self, batch: &WriteBatch) -> Row<()> {
        match &self.record {
            Some(Err(bad)) if batch.writes.iter().any(|write| matches!(write, Write::Identity(_))) => Err(bad.clone()),
            _ => Ok(()),
        }
    }

    pub(super) fn has_bad(&self) -> bool {
        let in_group = |rows: &GroupRows| {
            matches!(rows.hard_state, Some(Err(_)))
                || matches!(rows.checkpoint, Some(Err(_)))
                || rows.log.values().any(Row::is_err)
        };
        matches!(self.record, Some(Err(_)))
            || self.groups.values().any(in_group)
            || self.topics.values().flat_map(BTreeMap::values).any(Row::is_err)
            || self.outbox.values().any(Row::is_err)
    }

    /// Approximate size of the rows in bytes, without those of some topics. Damaged rows count as 0.
    pub(super) fn size(&self, without: &BTreeSet<(GroupId, TopicId)>) -> u64 {
        let topics = self.topics.iter().filter(|(topic, _)| !without.contains(topic));
        let messages = topics.flat_map(|(_, rows)| rows.values()).flatten().flatten();
        let outbox = self.outbox.values().flatten().map(|command| 128 + command.weight() as u64);
        self.groups.values().map(GroupRows::size).sum::<u64>()
            + messages.map(|message| 128 + message.content.len() as u64).sum::<u64>()
            + outbox.sum::<u64>()
    }

    /// Bytes of a write's messages that good rows already hold.
    pub(super) fn held_already(&self, write: &Write) -> u64 {
        let (Write::Messages { group, topic, messages } | Write::Repair { group, topic, messages }) = write else {
            return 0;
        };
        let Some(runs) = self.topics.get(&(*group, *topic)) else { return 0 };
        let is_held = |message: &&StoredMessage| {
            let row = runs.range(message.offset..).next().and_then(|(_, row)| row.as_ref().ok());
            row.and_then(|run| run.first()).is_some_and(|first| first.offset <= message.offset)
        };
        messages.iter().filter(is_held).map(|message| 128 + message.content.len() as u64).sum()
    }

    pub(super) fn apply(&mut self, batch: WriteBatch) {
        batch.writes.into_iter().for_each(|write| self.apply_one(write));
    }

    fn apply_one(&mut self, write: Write) {
        match write {
            Write::Identity(record) => self.put_record(record),
            Write::HardState { group, state } => self.group(group).hard_state = Some(Ok(state)),
            Write::Append { group, entries } => {
                let Some(first) = entries.first() else { return };
                let log = &mut self.group(group).log;
                log.split_off(&first.index);
                log.extend(entries.into_iter().map(|entry| (entry.index, Ok(entry))));
            }
            Write::Checkpoint { group, checkpoint, drop_log_through, clear_log } => {
                let rows = self.group(group);
                rows.checkpoint = Some(Ok(checkpoint));
                let kept_from = drop_log_through.checked_add(1).filter(|_| !clear_log);
                rows.log = kept_from.map_or_else(BTreeMap::new, |index| rows.log.split_off(&index));
            }
            Write::Messages { group, topic, messages } | Write::Repair { group, topic, messages } => {
                put_messages(self.topics.entry((group, topic)).or_default(), &messages);
            }
            Write::DropMessages { group, topic } => {
                self.topics.remove(&(group, topic));
            }
            Write::OutboxPut { id, command } => {
                self.outbox.insert(id, Ok(command));
            }
            Write::OutboxRemove { id } => {
                self.outbox.remove(&id);
            }
        }
    }

    fn put_record(&mut self, record: NodeRecord) {
        let before = self.record.as_ref().and_then(|row| row.as_ref().ok());
        if recovery::ends_mistrust(before, &record) {
            self.cut.clear();
        }
        self.record = Some(Ok(record));
    }

    fn group(&mut self, group: GroupId) -> &mut GroupRows {
        self.groups.entry(group).or_default()
    }

    /// Collects all rows for the recovery decision, table by table. If two rows refuse the start, the error names the
    /// first.
    pub(super) fn find(&self) -> Result<Found, Refused> {
        let mut found = Found::default();
        self.record.clone().map(|row| found.record(row)).transpose()?;
        for (group, rows) in &self.groups {
            rows.hard_state.clone().map(|row| found.hard_state(group.code(), row)).transpose()?;
        }
        for (group, rows) in &self.groups {
            rows.checkpoint.clone().map(|row| found.checkpoint(group.code(), row)).transpose()?;
        }
        for (group, rows) in &self.groups {
            rows.log.iter().for_each(|(index, row)| found.entry(group.code(), *index, row.clone()));
        }
        self.cut.iter().for_each(|group| found.cut_before(group.code()));
        self.outbox.iter().try_for_each(|(id, row)| found.outbox(*id, row.clone()))?;
        Ok(found)
    }

    /// Applies the recovery decision to the disk: a shorter log, a commit index within it, and the mark that it was
    /// cut.
    pub(super) fn cut(&mut self, groups: &[RecoveredGroup], cuts: &[CutTail]) {
        for cut in cuts {
            self.group(cut.group).log.split_off(&cut.from_index);
            self.cut.insert(cut.group);
            for group in groups.iter().filter(|group| group.group == cut.group) {
                self.group(cut.group).hard_state = Some(Ok(group.hard_state));
            }
        }
    }

    /// Reads messages as they will be once `pending` is applied.
    pub(super) fn read<'w>(
        &self,
        read: &ReadMessages,
        pending: impl Iterator<Item = &'w Write>,
    ) -> Result<Vec<StoredMessage>, Unreadable> {
        let Pending { dropped, messages } = Pending::gather(read, pending);
        let rows = self.topics.get(&(read.group, read.topic)).filter(|_| !dropped);
        let durable = rows.into_iter().flat_map(|rows| rows.range(read.from..));
        let found = read_through(read, durable.map(|(last, row)| Ok((*last, || row.clone()))), messages.into_values());
        found.map_err(|unreadable: Unreadable| {
            let before = rows.and_then(|rows| rows.range(..unreadable.lost.from).next_back());
            unreadable.behind(before.map(|(last, _)| *last))
        })
    }

    #[cfg(test)]
    pub(super) fn messages(&self) -> impl Iterator<Item = (GroupId, TopicId, &StoredMessage)> {
        self.topics.iter().flat_map(|((group, topic), rows)| {
            rows.values().flatten().flatten().map(|message| (*group, *topic, message))
        })
    }

    /// Keys of all good rows.
    pub(super) fn keys(&self) -> impl Iterator<Item = RowKey> {
        let record = self.record.iter().filter(|row| row.is_ok()).map(|_| RowKey::Record);
        let groups = self.groups.iter().flat_map(|(group, rows)| rows.keys(*group));
        let messages = self.topics.iter().flat_map(|((group, topic), rows)| {
            let good = rows.iter().filter(|(_, row)| row.is_ok());
            good.map(|(last, _)| RowKey::Messages(group.code(), topic.0, last.0))
        });
        let outbox = self.outbox.iter().filter(|(_, row)| row.is_ok()).map(|(id, _)| RowKey::Outbox(*id));
        record.chain(groups).chain(messages).chain(outbox)
    }
}

impl GroupRows {
    fn size(&self) -> u64 {
        let checkpoint = self.checkpoint.iter().flatten().map(|checkpoint| checkpoint.state.len() as u64);
        let log = self.log.values().flatten().map(|entry| 64 + entry.data.len() as u64);
        checkpoint.sum::<u64>() + log.sum::<u64>()
    }

    fn keys(&self, group: GroupId) -> impl Iterator<Item = RowKey> {
        let code = group.code();
        let hard_state = self.hard_state.iter().filter(|row| row.is_ok()).map(move |_| RowKey::HardState(code));
        let checkpoint = self.checkpoint.iter().filter(|row| row.is_ok()).map(move |_| RowKey::Checkpoint(code));
        let log = self.log.iter().filter(|(_, row)| row.is_ok()).map(move |(index, _)| RowKey::Log(code, *index));
        hard_state.chain(checkpoint).chain(log)
    }

    /// The last good entry of the log.
    pub(super) fn last_good(&self) -> Option<u64> {
        self.log.iter().rev().find(|(_, row)| row.is_ok()).map(|(index, _)| *index)
    }
}

fn put_messages(rows: &mut Runs, messages: &[StoredMessage]) {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
    let mut present = Vec::new();
    for (key, row) in rows.range(first.offset..) {
        present.push(Present { last: key.0, first: row.as_ref().ok().map(|run| run[0].offset.0) });
        if *key >= last.offset {
            break;
        }
    }
    let plan = plan(&present, messages);
    plan.remove.iter().for_each(|last| drop(rows.remove(&Offset(*last))));
    for run in plan.runs {
        let last = run[run.len() - 1].offset;
        rows.insert(last, Ok(run.into_iter().cloned().collect()));
    }
}

/// The effect of pending writes on one read.
#[derive(Default)]
struct Pending<'w> {
    /// The durable messages are about to be deleted.
    dropped: bool,
    messages: BTreeMap<Offset, &'w StoredMessage>,
}

impl<'w> Pending<'w> {
    fn gather(read: &ReadMessages, writes: impl Iterator<Item = &'w Write>) -> Pending<'w> {
        let mut pending = Pending::default();
        for write in writes {
            match write {
                Write::Messages { group, topic, messages } | Write::Repair { group, topic, messages }
                    if (*group, *topic) == (read.group, read.topic) =>
                {
                    let asked = messages.iter().filter(|message| (read.from..read.end).contains(&message.offset));
                    pending.messages.extend(asked.map(|message| (message.offset, message)));
                }
                Write::DropMessages { group, topic } if (*group, *topic) == (read.group, read.topic) => {
                    pending = Pending { dropped: true, messages: BTreeMap::new() };
                }
                _ => {}
            }
        }
        pending
    }
}
