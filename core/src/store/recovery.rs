//! The consequences of damage, for all engines: examines the rows on a disk at start.
//!
//! A log is cut at its first damaged or missing entry, and the entries after it are deleted. The node may then have
//! lost votes or acknowledged entries, and cannot tell which. The group therefore reports `tail_cut` until the node
//! takes a new identity, under which it refills from the other members. A damaged checkpoint, hard state, record or
//! outbox entry refuses the start: continuing without it would be silent loss. An entry or a checkpoint with a valid
//! checksum but invalid content ([`reject_nonsense`]) counts as damaged.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{BadRow, GroupCode, Row, RowKey};
use super::{Checkpoint, HardState, NodeRecord, Recovered, RecoveredGroup};
use crate::cube::Dimension;
use crate::identity::GroupId;
use crate::records::LogEntry;
use crate::seating::Seating;
use crate::topics::Topics;
use crate::topics::command::Command;

/// The rows as found. Messages are not included; they are checked when they are read.
#[derive(Clone, Debug, Default)]
pub struct Found {
    record: Option<NodeRecord>,
    groups: BTreeMap<GroupCode, FoundGroup>,
    cut_before: BTreeSet<GroupCode>,
    outbox: Vec<(u64, Command)>,
}

#[derive(Clone, Debug, Default)]
struct FoundGroup {
    hard_state: HardState,
    checkpoint: Option<Checkpoint>,
    /// The log up to its first damaged row.
    log: Vec<LogEntry>,
    /// The index at which the damage begins, and the first damaged row.
    bad_tail: Option<(u64, BadRow)>,
}

/// The state with which a node may start.
#[derive(Clone, PartialEq, Debug)]
pub struct Recovery {
    /// The state, without the damaged ends of logs.
    pub recovered: Recovered,
    /// The engine deletes these ends of logs, and stores the recovered hard states and the names of their groups: a cut
    /// remains in force until [`ends_mistrust`].
    pub cuts: Vec<CutTail>,
}

/// The damaged end of a group's log, which has to be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutTail {
    pub group: GroupId,
    /// The group's name, for people.
    pub name: String,
    /// The first deleted index.
    pub from_index: u64,
    /// The damage, for people.
    pub why: String,
}

/// Damage with which no node may start. The only remedy is a new folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    Bad(BadRow),
    NoGroup(GroupCode),
}

impl From<BadRow> for Refused {
    fn from(bad: BadRow) -> Refused {
        Refused::Bad(bad)
    }
}

impl Refused {
    /// The reason, for people. It names groups as a cube of this dimension does.
    pub fn text(&self, cube: Dimension) -> String {
        match self {
            Refused::Bad(bad) => bad.text(cube),
            Refused::NoGroup(code) => format!("group #{code} has no home on a cube of dimension {}", cube.bits()),
        }
    }
}

impl Found {
    /// Adds the node's record. Fails if it is damaged.
    pub fn record(&mut self, row: Row<NodeRecord>) -> Result<(), Refused> {
        self.record = Some(row?);
        Ok(())
    }

    /// Adds a group's hard state. Fails if it is damaged.
    pub fn hard_state(&mut self, group: GroupCode, row: Row<HardState>) -> Result<(), Refused> {
        self.group(group).hard_state = row?;
        Ok(())
    }

    /// Adds a group's checkpoint. Fails if it is damaged.
    pub fn checkpoint(&mut self, group: GroupCode, row: Row<Checkpoint>) -> Result<(), Refused> {
        self.group(group).checkpoint = Some(row?);
        Ok(())
    }

    /// Adds a log entry. A group's entries must be added in the order of their indexes.
    pub fn entry(&mut self, group: GroupCode, index: u64, row: Row<LogEntry>) {
        let FoundGroup { log, bad_tail, .. } = self.group(group);
        if bad_tail.is_some() {
            return;
        }
        match row.and_then(|entry| check_follows(log, &entry, group).map(|()| entry)) {
            Ok(entry) => log.push(entry),
            Err(bad) => *bad_tail = Some((log.last().map_or(index, |last| last.index.saturating_add(1)), bad)),
        }
    }

    /// Adds an outbox entry. Fails if it is damaged.
    pub fn outbox(&mut self, id: u64, row: Row<Command>) -> Result<(), Refused> {
        self.outbox.push((id, row?));
        Ok(())
    }

    /// Records that the group's log was cut at an earlier start.
    pub fn cut_before(&mut self, group: GroupCode) {
        self.group(group);
        self.cut_before.insert(group);
    }

    /// The result for a folder of this cube, after all rows have been added.
    pub fn recover(self, cube: Dimension) -> Result<Recovery, Refused> {
        let Found { record, groups, cut_before, outbox } = self;
        let mut recovered = Recovered { record, groups: Vec::new(), outbox };
        let mut cuts = Vec::new();
        for (code, found) in groups {
            let group = GroupId::from_code(code).filter(|group| group.home(cube).is_ok());
            let (judged, cut) = recover_group(group.ok_or(Refused::NoGroup(code))?, found, cube);
            let tail_cut = cut.is_some() || cut_before.contains(&code);
            recovered.groups.push(RecoveredGroup { tail_cut, ..judged });
            cuts.extend(cut);
        }
        Ok(Recovery { recovered, cuts })
    }

    fn group(&mut self, group: GroupCode) -> &mut FoundGroup {
        self.groups.entry(group).or_default()
    }
}

/// Whether the node has changed its identity, which ends the effect of a cut log: votes under the new identity cannot
/// contradict lost votes.
pub fn ends_mistrust(before: Option<&NodeRecord>, now: &NodeRecord) -> bool {
    before.and_then(|record| record.identity) != now.identity
}

/// Handles the loss of the newest votes or acknowledged entries on this disk, certain or possible: every group counts
/// as cut. Returns the groups whose cut the engine has to store. A node without an identity has neither voted nor
/// acknowledged anything.
pub fn mistrust(recovered: &mut Recovered) -> Vec<GroupId> {
    let identity = recovered.record.as_ref().and_then(|record| record.identity);
    if let Some(identity) = identity.filter(|_| recovered.groups.is_empty()) {
        // The rows of its groups are lost too; its first group represents all.
        let groups = Seating::founded_by(identity.host).groups_of(identity.host);
        recovered.groups.extend(groups.take(1).map(|group| RecoveredGroup {
            group,
            hard_state: HardState::default(),
            checkpoint: None,
            log: Vec::new(),
            tail_cut: true,
        }));
    }
    recovered.groups.iter_mut().for_each(|group| group.tail_cut = true);
    recovered.groups.iter().map(|group| group.group).collect()
}

/// Rejects entries and checkpoints that match their checksums but are invalid: they are damaged, or another version
/// wrote them. A log is cut there, and a group whose checkpoint cannot be decoded starts empty. Returns what was found,
/// for people.
///
/// `check_entry`: whether a log entry is valid; see [`crate::group::check_entry`].
pub fn reject_nonsense(
    recovered: &mut Recovered,
    cube: Dimension,
    check_entry: impl Fn(&LogEntry) -> Result<(), String>,
) -> Vec<String> {
    recovered.groups.iter_mut().filter_map(|found| reject_nonsense_of(found, cube, &check_entry)).collect()
}

fn reject_nonsense_of(
    found: &mut RecoveredGroup,
    cube: Dimension,
    check_entry: impl Fn(&LogEntry) -> Result<(), String>,
) -> Option<String> {
    let group = found.group;
    if let Some(Err(why)) = found.checkpoint.as_ref().map(|checkpoint| Topics::decode(&checkpoint.state)) {
        let hard_state = HardState::default();
        *found = RecoveredGroup { group, hard_state, checkpoint: None, log: Vec::new(), tail_cut: true };
        return Some(format!("the checkpoint of group {} ({why})", group.name(cube)));
    }
    let (at, why) = found.log.iter().enumerate().find_map(|(at, entry)| Some((at, check_entry(entry).err()?)))?;
    let index = found.log[at].index;
    found.log.truncate(at);
    let base = found.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.index);
    let last = found.log.last().map_or(base, |entry| entry.index);
    if last < base {
        found.log.clear();
    }
    found.hard_state.commit = found.hard_state.commit.min(last.max(base));
    found.tail_cut = true;
    Some(format!("log entry {index} of group {} ({why})", group.name(cube)))
}

fn check_follows(log: &[LogEntry], entry: &LogEntry, group: GroupCode) -> Row<()> {
    match log.last() {
        Some(last) if last.index.checked_add(1) != Some(entry.index) => {
            Err(BadRow { key: RowKey::Log(group, last.index.saturating_add(1)), why: "is missing" })
        }
        _ => Ok(()),
    }
}

/// Compares the log with the checkpoint and the hard state.
fn recover_group(group: GroupId, found: FoundGroup, cube: Dimension) -> (RecoveredGroup, Option<CutTail>) {
    let FoundGroup { hard_state, checkpoint, mut log, bad_tail } = found;
    let name = group.name(cube);
    let base = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.index);
    let next = base.saturating_add(1);
    let first = log.first().map_or(next, |entry| entry.index);
    let last = log.last().map_or(base, |entry| entry.index);
    let committed = hard_state.commit.max(base);
    if first > next {
        let why = format!("entries {next} to {} are missing", first - 1);
        let hard_state = HardState { commit: hard_state.commit.min(base), ..hard_state };
        let recovered = RecoveredGroup { group, hard_state, checkpoint, log: Vec::new(), tail_cut: false };
        return (recovered, Some(CutTail { group, name, from_index: next, why }));
    }
    let mut cut = match bad_tail {
        Some((from_index, bad)) => Some(CutTail { group, name, from_index, why: bad.text(cube) }),
        None if committed > last => {
            let why = format!("committed entries up to {committed} are missing");
            Some(CutTail { group, name, from_index: last + 1, why })
        }
        None => None,
    };
    if let Some(cut) = cut.as_mut().filter(|_| last < base) {
        // The undamaged entries end before the checkpoint, and the log continues after it. Keeping them would leave a
        // gap.
        cut.from_index = first;
        log.clear();
    }
    let hard_state = HardState { commit: hard_state.commit.min(last.max(base)), ..hard_state };
    (RecoveredGroup { group, hard_state, checkpoint, log, tail_cut: false }, cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bugs::Bugs;
    use crate::cube::Vertex;
    use crate::group::{Group, GroupConfig, LogLimits, Start, check_entry};
    use crate::identity::{HostId, Member};
    use crate::records::EntryKind;
    use crate::time::Instant;
    use crate::topics::Topics;

    const CODE: GroupCode = 0b010;

    #[test]
    fn a_member_starts_on_a_log_that_is_cut_anywhere() {
        // Entries at or before the checkpoint are kept for members that are slightly behind.
        for cut_from in 95..=107 {
            let mut found = found(100, 106);
            (95..cut_from).for_each(|index| found.entry(CODE, index, Ok(entry(index))));
            (cut_from..=106).for_each(|index| found.entry(CODE, index, Err(bad(index))));
            let Recovery { recovered, cuts } = found.recover(cube()).unwrap();
            let group = recovered.groups[0].clone();
            assert_eq!((group.tail_cut, cuts.len()), (cut_from <= 106, usize::from(cut_from <= 106)));
            assert_eq!(group.hard_state.commit, 100.max(cut_from - 1));

            let member = start(group);
            assert_eq!(member.last_index(), 100.max(cut_from - 1), "cut from {cut_from}");
            // The disk is valid once the log continues.
            let kept = (95..=106).take_while(|index| cuts.iter().all(|cut| *index < cut.from_index));
            let next = member.last_index() + 1;
            let mut found = self::found(100, next);
            kept.chain([next]).for_each(|index| found.entry(CODE, index, Ok(entry(index))));
            found.recover(cube()).unwrap_or_else(|refused| panic!("cut from {cut_from}: {refused:?}"));
        }
    }

    #[test]
    fn committed_entries_that_are_missing_at_the_end_are_a_cut() {
        for (last, committed, cut_from) in [(106, 106, None), (104, 106, Some(105)), (98, 100, Some(95))] {
            let mut found = found(100, committed);
            (95..=last).for_each(|index| found.entry(CODE, index, Ok(entry(index))));
            let Recovery { recovered, cuts } = found.recover(cube()).unwrap();
            assert_eq!(cuts.first().map(|cut| cut.from_index), cut_from);
            assert_eq!(recovered.groups[0].hard_state.commit, last.max(100));
            start(recovered.groups[0].clone());
        }
    }

    #[test]
    fn a_log_is_cut_at_its_first_bad_or_missing_entry_whatever_lies_behind() {
        let good = |index| (index, Ok(entry(index)));
        let cases = [
            (vec![good(101), (102, Err(bad(102))), good(103)], 102, "log entry 102 of group 010 has a wrong checksum"),
            (vec![good(101), good(103), (104, Err(bad(104)))], 102, "log entry 102 of group 010 is missing"),
            (vec![good(104), good(105)], 101, "entries 101 to 103 are missing"),
        ];
        for (rows, cut_from, why) in cases {
            let mut found = found(100, 106);
            rows.into_iter().for_each(|(index, row)| found.entry(CODE, index, row));
            let Recovery { recovered, cuts } = found.recover(cube()).unwrap();
            assert_eq!(cuts[0].from_index, cut_from);
            assert!(cuts[0].why.starts_with(why), "{}", cuts[0].why);
            let group = recovered.groups[0].clone();
            assert!(group.tail_cut && group.hard_state.commit == cut_from - 1);
            assert_eq!(start(group).last_index(), cut_from - 1);
        }
    }

    #[test]
    fn what_makes_no_sense_is_cut_like_what_is_damaged() {
        let nonsense = |index| LogEntry { data: vec![9; 9].into(), ..entry(index) };
        for bad_at in 95..=106 {
            let mut found = found(100, 106);
            (95..=106).for_each(|index| {
                let entry = if index == bad_at { nonsense(index) } else { entry(index) };
                found.entry(CODE, index, Ok(entry));
            });
            let mut recovered = found.recover(cube()).unwrap().recovered;
            let said = reject_nonsense(&mut recovered, cube(), check_entry);
            assert!(said[0].starts_with(&format!("log entry {bad_at} of group 010")), "{said:?}");
            assert!(recovered.groups[0].tail_cut);
            assert_eq!(start(recovered.groups[0].clone()).last_index(), 100.max(bad_at - 1));
            assert_eq!(reject_nonsense(&mut recovered, cube(), check_entry), [""; 0], "once is enough");
        }

        let mut found = found(100, 101);
        found.entry(CODE, 101, Ok(entry(101)));
        let mut recovered = found.recover(cube()).unwrap().recovered;
        recovered.groups[0].checkpoint.as_mut().unwrap().state = vec![9; 9];
        assert!(reject_nonsense(&mut recovered, cube(), check_entry)[0].starts_with("the checkpoint of group 010"));
        let group = recovered.groups[0].clone();
        assert!(group.tail_cut);
        assert_eq!(start(group).last_index(), 0);
    }

    #[test]
    fn when_the_newest_promises_are_lost_no_group_keeps_its_vote() {
        let mut recovered = found(100, 100).recover(cube()).unwrap().recovered;
        assert_eq!(mistrust(&mut recovered), [GroupId::of(home())]);
        assert!(recovered.groups[0].tail_cut);

        let identity = Some(Member::founding(host()));
        let record = |identity| Some(NodeRecord { identity, host: host(), starts: 1, met: Vec::new() });
        let mut recovered = Recovered { record: record(identity), ..Recovered::default() };
        assert_eq!(mistrust(&mut recovered), [GroupId::of(home())], "its groups' rows are lost too");
        assert!(recovered.groups[0].tail_cut);
        let mut found = Found::default();
        found.cut_before(CODE);
        assert!(found.recover(cube()).unwrap().recovered.groups[0].tail_cut, "which is remembered");

        let mut recovered = Recovered { record: record(None), ..Recovered::default() };
        assert_eq!(mistrust(&mut recovered), [], "without an identity nothing was promised");
    }

    #[test]
    fn an_index_behind_which_there_is_none_is_judged_like_any_other() {
        let last = u64::MAX;
        let judged = found(last, last).recover(cube()).unwrap();
        assert_eq!((judged.recovered.groups[0].hard_state.commit, judged.cuts), (last, vec![]));

        let mut found = self::found(last - 1, last);
        found.entry(CODE, last, Ok(entry(last)));
        assert!(found.clone().recover(cube()).unwrap().cuts.is_empty());
        found.entry(CODE, 0, Ok(entry(0)));
        assert_eq!(found.recover(cube()).unwrap().cuts.len(), 1);
    }

    fn found(checkpoint: u64, commit: u64) -> Found {
        let voters = vec![Member::founding(host())];
        let state = Topics::default().encode();
        let mut found = Found::default();
        found.checkpoint(CODE, Ok(Checkpoint { index: checkpoint, term: 2, voters, learners: vec![], state })).unwrap();
        found.hard_state(CODE, Ok(HardState { term: 2, vote: 0, commit })).unwrap();
        found
    }

    fn start(group: RecoveredGroup) -> Group {
        let (id, hosts, me) = (GroupId::of(home()), vec![host()], Member::founding(host()));
        let config = GroupConfig { id, hosts, me, seed: 1, limits: LogLimits::default(), bugs: Bugs::default() };
        Group::new(Instant(0), config, Start::Restored(group))
    }

    fn entry(index: u64) -> LogEntry {
        LogEntry { index, term: 2, kind: EntryKind::Commands, data: Default::default() }
    }

    fn bad(index: u64) -> BadRow {
        BadRow { key: RowKey::Log(CODE, index), why: "has a wrong checksum" }
    }

    fn cube() -> Dimension {
        Dimension::new(3).unwrap()
    }

    fn host() -> HostId {
        Seating::founding(cube()).host_of(home())
    }

    fn home() -> Vertex {
        cube().vertex(CODE).unwrap()
    }
}
