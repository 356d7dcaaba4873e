//! Who votes: a member that stays away loses its vote and gets it back when it has caught up; a member whose disk was lost
//! comes back as a new incarnation, first as a learner.
//!
//! Pure: the leader looks at its group and names the next single [`MemberChange`], or none.

use std::time::Duration;

use super::message::MemberChange;
use crate::cube::Vertex;
use crate::identity::{Incarnation, NodeId};

/// A voter that has been away so long loses its vote, so that a second failure later is survived too.
pub const AWAY_LIMIT: Duration = Duration::from_secs(5);

/// A learner this close to the end of the log (entries) gets its vote.
const CAUGHT_UP_ENTRIES: u64 = 64;

/// What the leader knows of one member's place.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub vertex: Vertex,
    /// The incarnation that is alive there now.
    pub alive: Option<Incarnation>,
    /// How long nobody was there.
    pub away: Duration,
}

/// How far a member is known to be.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub member: NodeId,
    pub votes: bool,
    pub matched: u64,
    /// What it has said that it knows to be committed.
    pub committed: u64,
    /// It answered within the last election timeout.
    pub active: bool,
}

/// The fewest voters a group goes down to by itself: a majority of its full size, so that an acknowledged message is always on
/// that many disks but one.
pub fn fewest_voters(full_size: usize) -> usize {
    (full_size / 2 + 1).max(2)
}

/// The change that the group needs next, by the leader's view.
pub fn next_change(places: &[Place], standings: &[Standing], last_index: u64) -> Option<MemberChange> {
    let floor = fewest_voters(places.len());
    let voters = standings.iter().filter(|standing| standing.votes).count();
    places.iter().find_map(|place| change_at(place, places, standings, voters, floor, last_index))
}

fn change_at(
    place: &Place,
    places: &[Place],
    standings: &[Standing],
    voters: usize,
    floor: usize,
    last_index: u64,
) -> Option<MemberChange> {
    let here = |standing: &&Standing| standing.member.vertex == place.vertex;
    let Some(incarnation) = place.alive else {
        let voter = standings.iter().filter(here).find(|standing| standing.votes)?;
        let shrinks_safely =
            voters > floor && place.away >= AWAY_LIMIT && active_voters(places, standings) > (voters - 1) / 2;
        return shrinks_safely.then_some(MemberChange::AddLearner(voter.member));
    };
    let present = NodeId { vertex: place.vertex, incarnation };
    let Some(standing) = standings.iter().find(|standing| standing.member == present) else {
        return Some(match stale(place, standings, present) {
            // Its vote can never be cast again: out with it first, where enough others vote.
            Some(old) if !old.votes || voters > floor => MemberChange::Remove(old.member),
            _ => MemberChange::AddLearner(present),
        });
    };
    let has_any = standing.matched > 0;
    let caught_up = standing.active && has_any && standing.matched + CAUGHT_UP_ENTRIES >= last_index;
    if !standing.votes && caught_up {
        return Some(MemberChange::AddVoter(present));
    }
    stale(place, standings, present).filter(|_| standing.votes).map(|old| MemberChange::Remove(old.member))
}

fn stale<'a>(place: &Place, standings: &'a [Standing], present: NodeId) -> Option<&'a Standing> {
    standings.iter().find(|standing| standing.member.vertex == place.vertex && standing.member != present)
}

/// Those that answered lately and are seen now: a change that waits for one who is gone may be settled by the one it takes the vote
/// from, and then nobody is left.
fn active_voters(places: &[Place], standings: &[Standing]) -> usize {
    let is_seen = |member: NodeId| {
        places.iter().any(|place| place.vertex == member.vertex && place.alive == Some(member.incarnation))
    };
    standings.iter().filter(|standing| standing.votes && standing.active && is_seen(standing.member)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: u64 = 1000;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    fn node(text: &str, incarnation: u32) -> NodeId {
        NodeId { vertex: vertex(text), incarnation: Incarnation(incarnation) }
    }

    fn place(text: &str, alive: Option<u32>, away_s: u64) -> Place {
        Place { vertex: vertex(text), alive: alive.map(Incarnation), away: Duration::from_secs(away_s) }
    }

    fn voter(member: NodeId) -> Standing {
        Standing { member, votes: true, matched: LAST, committed: LAST, active: true }
    }

    fn group() -> (Vec<Place>, Vec<Standing>) {
        let names = ["100", "101", "110", "000"];
        (names.map(|name| place(name, Some(1), 0)).to_vec(), names.map(|name| voter(node(name, 1))).to_vec())
    }

    #[test]
    fn a_whole_group_needs_nothing() {
        let (places, standings) = group();
        assert_eq!(next_change(&places, &standings, LAST), None);
    }

    #[test]
    fn a_voter_loses_its_vote_only_after_the_limit() {
        let (mut places, mut standings) = group();
        standings[1].active = false;
        places[1] = place("101", None, 1);
        assert_eq!(next_change(&places, &standings, LAST), None);
        places[1] = place("101", None, 5);
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::AddLearner(node("101", 1))));
    }

    #[test]
    fn a_group_never_shrinks_below_a_majority_of_its_full_size() {
        let (mut places, mut standings) = group();
        standings[1].votes = false;
        standings[2].active = false;
        places[1] = place("101", None, 60);
        places[2] = place("110", None, 60);
        assert_eq!(next_change(&places, &standings, LAST), None);
    }

    #[test]
    fn a_voter_keeps_its_vote_while_another_was_just_lost() {
        let names = ["10", "00", "11"];
        let mut standings: Vec<_> = names.map(|name| voter(node(name, 1))).to_vec();
        let mut places: Vec<_> = names.map(|name| place(name, Some(1), 0)).to_vec();
        standings[1].active = false;
        places[1] = place("00", None, 5);
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::AddLearner(node("00", 1))));
        places[2] = place("11", None, 0);
        assert_eq!(next_change(&places, &standings, LAST), None, "though it answered a moment ago");
    }

    #[test]
    fn a_learner_gets_its_vote_only_when_it_has_caught_up() {
        let (places, mut standings) = group();
        standings[3] = Standing { votes: false, matched: 100, ..standings[3] };
        assert_eq!(next_change(&places, &standings, LAST), None);
        standings[3].matched = LAST;
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::AddVoter(node("000", 1))));
    }

    #[test]
    fn a_wiped_member_is_replaced_step_by_step_and_votes_last() {
        let (mut places, mut standings) = group();
        places[0] = place("100", Some(7), 0);
        standings[0].active = false;
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::Remove(node("100", 1))));
        standings.remove(0);
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::AddLearner(node("100", 7))));
        standings.push(Standing { member: node("100", 7), votes: false, matched: 0, committed: 0, active: true });
        assert_eq!(next_change(&places, &standings, LAST), None);
        // However short the log, it must have some of it.
        assert_eq!(next_change(&places, &standings, 2), None);
        standings[3].matched = LAST;
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::AddVoter(node("100", 7))));
    }

    #[test]
    fn where_too_few_vote_a_wiped_member_is_replaced_before_it_is_removed() {
        let (mut places, mut standings) = group();
        standings[1].votes = false;
        places[1] = place("101", None, 60);
        places[0] = place("100", Some(7), 0);
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::AddLearner(node("100", 7))));
        standings.push(voter(node("100", 7)));
        assert_eq!(next_change(&places, &standings, LAST), Some(MemberChange::Remove(node("100", 1))));
    }
}
