//! The voters of a group, and the order in which they change.
//!
//! A member that is absent loses its vote and regains it when it has caught up. A member whose host is now a new
//! incarnation (its disk was lost) is replaced: the successor becomes a learner, is filled, and gets a vote; then the
//! old member loses its vote, and is finally removed. An old member that has fallen silent can never vote again, and is
//! removed first if enough others vote.
//!
//! This module is pure: from the leader's [`View`] of its group it computes the next single [`MemberChange`], or none.
//!
//! # One change at a time
//!
//! A change takes effect on a member when that member applies it, so members may use different configurations. If the
//! next change followed at once, one failure could leave members of which none can ever be elected: of all states that
//! a group of four can reach while one member is replaced, this was true for one in eight. Therefore the next change
//! waits until every voter that is up, and any member that is about to get a vote, has confirmed that the last change
//! is committed ([`awaited`]). A voter is *up* while its node is seen, or while it answers. The wait for a voter is
//! limited to [`AWAY_LIMIT`]; after that, a stuck voter (its disk is full or very slow) is treated like an absent one.
//!
//! `reachable.rs` explores all reachable states under these rules, and finds none in which one failure stops the group
//! for ever. For groups of two voters (d = 1) no such order exists: both are needed.

use std::time::Duration;

use super::message::MemberChange;
use crate::identity::{HostId, Incarnation, Member};

/// A voter absent for this long loses its vote, so that the group also survives a second failure later. A change of
/// members waits for others no longer than this.
pub const AWAY_LIMIT: Duration = Duration::from_secs(5);

/// A learner this close to the end of the log (in entries) gets its vote.
const CAUGHT_UP_ENTRIES: u64 = 64;

/// The leader's knowledge of one host of its group.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    /// The host.
    pub host: HostId,
    /// The incarnation of it that is alive now.
    pub alive: Option<Incarnation>,
    /// For how long no incarnation of it has been alive.
    pub away: Duration,
}

/// The known progress of a member.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub member: Member,
    /// Whether it votes.
    pub votes: bool,
    /// The index up to which its log equals the leader's.
    pub matched: u64,
    /// The commit index that it has reported.
    pub committed: u64,
    /// It sent a message within the last election timeout.
    pub active: bool,
}

/// The newest change of members.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastChange {
    /// Its index in the log, or a later one.
    pub index: u64,
    /// For how long the next change has waited for members to confirm this one.
    pub waited: Duration,
}

/// The leader's view of its group.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The hosts of all members.
    pub presences: &'a [Presence],
    /// The current members, voters and learners.
    pub progress: &'a [Progress],
    /// The index of the leader's last log entry.
    pub last_index: u64,
    /// The newest change of members.
    pub last_change: LastChange,
}

/// The minimum number of voters that a group reduces itself to: a majority of its full size. For d up to 6, an
/// acknowledged message is then on at least that many disks minus one.
pub fn fewest_voters(full_size: usize) -> usize {
    (full_size / 2 + 1).max(2)
}

/// The change that the group needs next, whether or not it has to wait.
pub fn wanted_change(view: &View<'_>) -> Option<MemberChange> {
    None.or_else(|| view.lost_member())
        .or_else(|| view.newcomer())
        .or_else(|| view.caught_up_learner())
        .or_else(|| view.replaced_voter())
        .or_else(|| view.absent_voter())
}

/// Whether a change has to wait for others. A new member does not belong to any majority yet, so adding it does not.
pub fn has_to_wait(view: &View<'_>, change: MemberChange) -> bool {
    !matches!(change, MemberChange::AddLearner(member) if view.progress(member).is_none())
}

/// The members that have to confirm the last change before this one is proposed, and have not confirmed it yet.
pub fn awaited(view: &View<'_>, change: MemberChange) -> Vec<Member> {
    if view.last_change.waited >= AWAY_LIMIT || !has_to_wait(view, change) {
        return Vec::new();
    }
    let must_know = |progress: &&Progress| {
        let gets_vote = change == MemberChange::AddVoter(progress.member);
        gets_vote || (progress.votes && (progress.active || view.is_seen(progress.member)))
    };
    let unaware = view.progress.iter().filter(|progress| progress.committed < view.last_change.index);
    unaware.filter(must_know).map(|progress| progress.member).collect()
}

impl View<'_> {
    /// An old member without a vote, or with a vote that can never be cast again. The latter only if enough others
    /// vote.
    fn lost_member(&self) -> Option<MemberChange> {
        let may_go = |progress: &&Progress| !progress.votes || (!progress.active && self.has_votes_to_spare());
        self.replaced().find(may_go).map(|progress| MemberChange::Remove(progress.member))
    }

    fn newcomer(&self) -> Option<MemberChange> {
        self.present().find(|member| self.progress(*member).is_none()).map(MemberChange::AddLearner)
    }

    /// However short the log is, a learner must have some of it.
    fn caught_up_learner(&self) -> Option<MemberChange> {
        let is_caught_up = |progress: &&Progress| {
            let has_any = progress.matched > 0;
            !progress.votes && progress.active && has_any && progress.matched + CAUGHT_UP_ENTRIES >= self.last_index
        };
        let mut progress = self.present().filter_map(|member| self.progress(member));
        progress.find(is_caught_up).map(|progress| MemberChange::AddVoter(progress.member))
    }

    /// An old member that still answers, once its successor votes.
    fn replaced_voter(&self) -> Option<MemberChange> {
        let successor_votes = |old: &&Progress| {
            let successor = self.present().find(|member| member.host == old.member.host);
            successor.and_then(|member| self.progress(member)).is_some_and(|progress| progress.votes)
        };
        let old = self.replaced().find(successor_votes).filter(|_| self.has_votes_to_spare())?;
        Some(MemberChange::AddLearner(old.member))
    }

    /// A voter that has been absent for long, if a majority of the remaining voters is still present.
    fn absent_voter(&self) -> Option<MemberChange> {
        let votes_at = |presence: &Presence| {
            self.progress.iter().find(|progress| progress.votes && progress.member.host == presence.host)
        };
        let absent = self.presences.iter().filter(|presence| presence.alive.is_none() && presence.away >= AWAY_LIMIT);
        let shrinks_safely = self.has_votes_to_spare() && self.active_voters() > (self.voters() - 1) / 2;
        let voter = absent.filter_map(votes_at).find(|_| shrinks_safely)?;
        Some(MemberChange::AddLearner(voter.member))
    }

    /// The members that are seen now.
    fn present(&self) -> impl Iterator<Item = Member> {
        self.presences.iter().filter_map(|presence| Some(Member { host: presence.host, incarnation: presence.alive? }))
    }

    /// Members whose host is now another incarnation.
    fn replaced(&self) -> impl Iterator<Item = &Progress> {
        let has_successor =
            |member: Member| self.present().any(|present| present.host == member.host && present != member);
        self.progress.iter().filter(move |progress| has_successor(progress.member))
    }

    fn progress(&self, member: Member) -> Option<&Progress> {
        self.progress.iter().find(|progress| progress.member == member)
    }

    fn voters(&self) -> usize {
        self.progress.iter().filter(|progress| progress.votes).count()
    }

    fn has_votes_to_spare(&self) -> bool {
        self.voters() > fewest_voters(self.presences.len())
    }

    fn is_seen(&self, member: Member) -> bool {
        self.present().any(|present| present == member)
    }

    /// The voters that answered recently and are seen now. Without the second condition, a change could wait for a
    /// member that is gone, be committed by the member whose vote it removes, and leave too few voters.
    fn active_voters(&self) -> usize {
        let counts = |progress: &&Progress| progress.votes && progress.active && self.is_seen(progress.member);
        self.progress.iter().filter(counts).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: u64 = 1000;

    fn host(text: &str) -> HostId {
        text.parse().unwrap()
    }

    fn node(text: &str, incarnation: u32) -> Member {
        Member { host: host(text), incarnation: Incarnation(incarnation) }
    }

    fn presence(text: &str, alive: Option<u32>, away_s: u64) -> Presence {
        Presence { host: host(text), alive: alive.map(Incarnation), away: Duration::from_secs(away_s) }
    }

    fn voter(member: Member) -> Progress {
        Progress { member, votes: true, matched: LAST, committed: LAST, active: true }
    }

    fn learner(member: Member) -> Progress {
        Progress { votes: false, ..voter(member) }
    }

    fn group() -> (Vec<Presence>, Vec<Progress>) {
        let names = ["100", "101", "110", "000"];
        (names.map(|name| presence(name, Some(1), 0)).to_vec(), names.map(|name| voter(node(name, 1))).to_vec())
    }

    /// The wanted change when no member has to be waited for.
    fn next_change(presences: &[Presence], progress: &[Progress], last_index: u64) -> Option<MemberChange> {
        wanted_change(&View { presences, progress, last_index, last_change: LastChange::default() })
    }

    #[test]
    fn a_whole_group_needs_nothing() {
        let (presences, progress) = group();
        assert_eq!(next_change(&presences, &progress, LAST), None);
    }

    #[test]
    fn a_voter_loses_its_vote_only_after_the_limit() {
        let (mut presences, mut progress) = group();
        progress[1].active = false;
        presences[1] = presence("101", None, 1);
        assert_eq!(next_change(&presences, &progress, LAST), None);
        presences[1] = presence("101", None, 5);
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddLearner(node("101", 1))));
    }

    #[test]
    fn a_group_never_shrinks_below_a_majority_of_its_full_size() {
        let (mut presences, mut progress) = group();
        progress[1].votes = false;
        progress[2].active = false;
        presences[1] = presence("101", None, 60);
        presences[2] = presence("110", None, 60);
        assert_eq!(next_change(&presences, &progress, LAST), None);
    }

    #[test]
    fn a_voter_keeps_its_vote_while_another_was_just_lost() {
        let names = ["10", "00", "11"];
        let mut progress: Vec<_> = names.map(|name| voter(node(name, 1))).to_vec();
        let mut presences: Vec<_> = names.map(|name| presence(name, Some(1), 0)).to_vec();
        progress[1].active = false;
        presences[1] = presence("00", None, 5);
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddLearner(node("00", 1))));
        presences[2] = presence("11", None, 0);
        assert_eq!(next_change(&presences, &progress, LAST), None, "though it answered a moment ago");
    }

    #[test]
    fn a_learner_gets_its_vote_only_when_it_has_caught_up() {
        let (presences, mut progress) = group();
        progress[3] = Progress { votes: false, matched: 100, ..progress[3] };
        assert_eq!(next_change(&presences, &progress, LAST), None);
        progress[3].matched = LAST;
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddVoter(node("000", 1))));
    }

    #[test]
    fn a_wiped_member_is_out_when_it_is_silent_and_its_successor_votes_last() {
        let (mut presences, mut progress) = group();
        presences[0] = presence("100", Some(7), 0);
        progress[0].active = false;
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::Remove(node("100", 1))));
        progress.remove(0);
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddLearner(node("100", 7))));
        progress.push(Progress { matched: 0, committed: 0, ..learner(node("100", 7)) });
        assert_eq!(next_change(&presences, &progress, LAST), None);
        // However short the log is, it must have some of it.
        assert_eq!(next_change(&presences, &progress, 2), None);
        progress[3].matched = LAST;
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddVoter(node("100", 7))));
    }

    #[test]
    fn a_member_that_still_answers_is_replaced_before_it_loses_its_vote_and_removed_last() {
        let (mut presences, mut progress) = group();
        let (old, new) = (node("100", 1), node("100", 7));
        presences[0] = presence("100", Some(7), 0);
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddLearner(new)));
        progress.push(Progress { matched: 0, ..learner(new) });
        assert_eq!(next_change(&presences, &progress, LAST), None);
        progress[4].matched = LAST;
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddVoter(new)));
        progress[4].votes = true;
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddLearner(old)));
        progress[0].votes = false;
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::Remove(old)));
    }

    #[test]
    fn where_too_few_vote_a_wiped_member_is_replaced_before_it_is_removed() {
        let (mut presences, mut progress) = group();
        progress[1].votes = false;
        progress[0].active = false;
        presences[1] = presence("101", None, 60);
        presences[0] = presence("100", Some(7), 0);
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::AddLearner(node("100", 7))));
        progress.push(voter(node("100", 7)));
        assert_eq!(next_change(&presences, &progress, LAST), Some(MemberChange::Remove(node("100", 1))));
    }

    #[test]
    fn two_wiped_at_once_are_both_refilled_at_the_same_time() {
        let names = ["1000", "1001", "1010", "1100", "0000"];
        let mut presences: Vec<_> = names.map(|name| presence(name, Some(1), 0)).to_vec();
        let mut progress: Vec<_> = names.map(|name| voter(node(name, 1))).to_vec();
        for wiped in 0..2 {
            presences[wiped] = presence(names[wiped], Some(7), 0);
            progress[wiped].active = false;
        }
        let mut changes = Vec::new();
        while let Some(change) = next_change(&presences, &progress, LAST) {
            changes.push(change);
            match change {
                MemberChange::Remove(member) => progress.retain(|progress| progress.member != member),
                MemberChange::AddLearner(member) => {
                    progress.push(Progress { matched: 0, active: false, ..learner(member) })
                }
                MemberChange::AddVoter(_) => panic!("nothing was filled yet"),
            }
        }
        let [first, second] = [0, 1].map(|wiped| (node(names[wiped], 1), node(names[wiped], 7)));
        let expected = [
            MemberChange::Remove(first.0),
            MemberChange::Remove(second.0),
            MemberChange::AddLearner(first.1),
            MemberChange::AddLearner(second.1),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn every_voter_that_is_up_and_the_newcomer_have_to_know_the_last_change() {
        let (mut presences, mut progress) = group();
        let last_change = LastChange { index: LAST, waited: Duration::ZERO };
        let waits_for = |presences: &[Presence], progress: &[Progress], last_change, change| {
            awaited(&View { presences, progress, last_index: LAST, last_change }, change)
        };
        let (x, y, new) = (node("101", 1), node("110", 1), node("100", 7));
        let promotion = MemberChange::AddVoter(new);
        progress.push(learner(new));
        assert_eq!(waits_for(&presences, &progress, last_change, promotion), []);

        progress[1].committed = LAST - 1;
        assert_eq!(waits_for(&presences, &progress, last_change, promotion), [x]);
        progress[1].active = false;
        assert_eq!(waits_for(&presences, &progress, last_change, promotion), [x], "it is still seen");
        presences[1].alive = None;
        assert_eq!(waits_for(&presences, &progress, last_change, promotion), [], "it is away");
        progress[1].active = true;
        assert_eq!(waits_for(&presences, &progress, last_change, promotion), [x], "it still answers");
        progress[1].committed = LAST;

        progress[4].committed = 0;
        assert_eq!(waits_for(&presences, &progress, last_change, promotion), [new]);
        let removal = MemberChange::Remove(x);
        assert_eq!(waits_for(&presences, &progress, last_change, removal), [], "a learner does not matter");

        progress[2].committed = 0;
        assert_eq!(waits_for(&presences, &progress, last_change, removal), [y]);
        let newcomer = MemberChange::AddLearner(node("110", 7));
        assert_eq!(waits_for(&presences, &progress, last_change, newcomer), [], "it is in no majority");
        let long = LastChange { waited: AWAY_LIMIT, ..last_change };
        assert_eq!(waits_for(&presences, &progress, last_change, promotion), [y, new]);
        assert_eq!(waits_for(&presences, &progress, long, promotion), [], "who is stuck counts as away");
    }
}
