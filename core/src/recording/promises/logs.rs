//! Committed log entries: equal on all members (`prefixes`), and in the log of every later leader (`complete`).
//!
//! Entries are looked at when a member first knows that they are committed. Entries that a member receives in a snapshot,
//! or that it dropped before the recording began, cannot be compared.

use std::collections::BTreeMap;

use super::leaders::name;
use super::tally::{Finding, Tally};
use crate::group::Group;
use crate::identity::{GroupId, HostId};
use crate::io::Input;
use crate::node::Node;
use crate::time::Timestamp;

/// Most committed entries that are remembered for one group. The oldest are forgotten first.
const MAX_ENTRIES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Logs {
    groups: BTreeMap<GroupId, BTreeMap<u64, Committed>>,
    /// The index up to which the entries of each member were looked at.
    looked: BTreeMap<(HostId, GroupId), u64>,
    prefixes: Tally,
    complete: Tally,
}

/// A committed entry.
#[derive(Clone, Copy, Debug)]
struct Committed {
    term: u64,
    crc: u32,
    /// The member that was seen to have it first.
    host: HostId,
    /// The lowest term of a member that knew it to be committed: it was committed in this term or before.
    known_in: u64,
}

impl Logs {
    /// A process begins or ends: what it has in its log is looked at again.
    pub fn forget(&mut self, host: HostId) {
        self.looked.retain(|(other, _), _| *other != host);
    }

    pub fn handle_inputs(&mut self, host: HostId, inputs: &[Input]) {
        if inputs.iter().any(|input| matches!(input, Input::StorageReopened { .. })) {
            self.forget(host);
        }
    }

    /// Looks at what a node has newly learnt to be committed.
    pub fn look(&mut self, host: HostId, at: Timestamp, node: &Node) {
        for group in node.groups() {
            let looked = self.looked.entry((host, group.id())).or_insert(0);
            let (from, commit) = (*looked + 1, group.commit_index());
            if commit < from {
                continue;
            }
            *looked = commit;
            self.compare(host, at, group, from, commit);
        }
    }

    fn compare(&mut self, host: HostId, at: Timestamp, group: &Group, from: u64, commit: u64) {
        let known = self.groups.entry(group.id()).or_default();
        let mut seen = 0;
        for (index, term, data) in group.entries_from(from).take_while(|(index, ..)| *index <= commit) {
            seen += 1;
            let crc = crc32fast::hash(data);
            let own = Committed { term, crc, host, known_in: group.term() };
            let Some(other) = known.get_mut(&index) else {
                known.insert(index, own);
                continue;
            };
            other.known_in = other.known_in.min(own.known_in);
            let other = *other;
            self.prefixes.check(at, (other.term, other.crc) == (term, crc), || {
                format!(
                    "entry {index} of {} is committed with different contents: of term {} on node {}, of term {term} \
                     on node {host}",
                    name(group.id()),
                    other.term,
                    other.host
                )
            });
        }
        // A member's log begins long before the recording, which is no gap.
        let is_first_look = from == 1;
        self.prefixes.skip(if is_first_look { 0 } else { (commit + 1 - from).saturating_sub(seen) });
        while known.len() > MAX_ENTRIES {
            known.pop_first();
        }
    }

    /// A node begins to lead a group.
    pub fn handle_leader(&mut self, host: HostId, at: Timestamp, node: &Node, group: GroupId, term: u64) {
        let (Some(own), Some(known)) = (node.group(group), self.groups.get(&group)) else { return };
        let log: BTreeMap<u64, u64> = own.entries_from(0).map(|(index, term, _)| (index, term)).collect();
        let first = own.first_index();
        let earlier = known.iter().filter(|(_, entry)| entry.known_in < term);
        let (covered, before): (Vec<_>, Vec<_>) = earlier.partition(|(index, _)| **index >= first);
        self.complete.skip(before.len() as u64);
        for (index, entry) in covered {
            self.complete.check(at, log.get(index) == Some(&entry.term), || {
                format!(
                    "node {host} leads {} in term {term} without entry {index}, which was committed in term {} or \
                     before and is on node {}",
                    name(group),
                    entry.known_in,
                    entry.host
                )
            });
        }
    }

    /// `prefixes` and `complete`.
    pub fn findings(self) -> (Finding, Finding) {
        let prefixes = "A committed log entry is the same on every member that has it.";
        let complete = "A leader's log has every entry that was committed in an earlier term.";
        (self.prefixes.finding("prefixes", prefixes), self.complete.finding("complete", complete))
    }
}
