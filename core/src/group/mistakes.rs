//! Those deliberate bugs ([`crate::bugs`]) that need more than a line of code.

use raft::eraftpb::EntryType;
use raft::{GetEntriesContext, Storage};

use super::{Group, GroupEffect, TopicChange};
use crate::names::TopicName;
use crate::records::StoredMessage;
use crate::topics::command::{self, Command};
use crate::topics::{Change, Topics};

impl Group {
    /// Reports the outcome of every entry in this member's log, committed or not.
    pub(super) fn answer_before_commit(&mut self) {
        let mut ahead = self.topics.clone();
        for (index, command) in self.not_applied() {
            let outcome = ahead.apply(&command).outcome;
            self.effects.push(GroupEffect::Applied { index, key: command.key, outcome, change: TopicChange::Nothing });
        }
    }

    /// The messages of a topic that are in this member's log but may be in no other.
    pub fn uncommitted_messages(&self, name: &TopicName) -> Vec<StoredMessage> {
        let mut ahead: Topics = self.topics.clone();
        let changes = self.not_applied().into_iter().map(|(_, command)| ahead.apply(&command).change);
        let stored = changes.filter_map(|change| match change {
            Change::Store { topic, message, .. } if topic == *name => Some(message),
            _ => None,
        });
        stored.collect()
    }

    fn not_applied(&self) -> Vec<(u64, Command)> {
        let (from, to) = (self.applied_index() + 1, self.raw.store().last() + 1);
        let entries = self.raw.store().entries(from, to, None, GetEntriesContext::empty(false)).unwrap_or_default();
        let commands = entries.into_iter().filter(|entry| entry.get_entry_type() == EntryType::EntryNormal);
        let commands = commands.map(|entry| (entry.index, command::decode_commands(&entry.data).unwrap_or_default()));
        commands.flat_map(|(index, commands)| commands.into_iter().map(move |command| (index, command))).collect()
    }
}
