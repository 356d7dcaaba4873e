//! A group has at most one leader in a term. Two could both commit, and their logs would diverge.

use std::collections::BTreeMap;

use super::tally::{Finding, Tally};
use crate::identity::{GroupId, HostId, Member};
use crate::node::Node;
use crate::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Leaders {
    /// The first leader that was seen in each term, and when.
    known: BTreeMap<(GroupId, u64), (Member, Timestamp)>,
    /// The groups that each host leads at present, with their terms.
    leading: BTreeMap<HostId, BTreeMap<GroupId, u64>>,
    tally: Tally,
}

impl Leaders {
    pub fn forget(&mut self, host: HostId) {
        self.leading.remove(&host);
    }

    /// Looks at a node after a turn. Returns the groups that it has begun to lead, with their terms.
    pub fn look(&mut self, host: HostId, at: Timestamp, node: &Node) -> Vec<(GroupId, u64)> {
        let leading: BTreeMap<GroupId, u64> =
            node.groups().filter(|group| group.is_leader()).map(|group| (group.id(), group.term())).collect();
        let before = self.leading.entry(host).or_default();
        if *before == leading {
            return Vec::new();
        }
        let before = std::mem::replace(before, leading.clone());
        let begun = leading.into_iter().filter(|(group, term)| before.get(group) != Some(term));
        let begun: Vec<(GroupId, u64)> = begun.collect();
        for (group, term) in &begun {
            if let Some(member) = node.group(*group).map(|group| group.member()) {
                self.note(at, *group, *term, member);
            }
        }
        begun
    }

    fn note(&mut self, at: Timestamp, group: GroupId, term: u64, member: Member) {
        let (first, since) = *self.known.entry((group, term)).or_insert((member, at));
        self.tally.check(at, first == member, || {
            format!("{} has two leaders in term {term}: {first} (since {since}) and {member}", name(group))
        });
    }

    pub fn finding(self) -> Finding {
        self.tally.finding("leaders", "A group has at most one leader in a term.")
    }
}

/// A group in a sentence, without knowledge of the cube's dimension.
pub(super) fn name(group: GroupId) -> String {
    let GroupId::Home(home) = group;
    format!("the group of vertex {}", home.0)
}
