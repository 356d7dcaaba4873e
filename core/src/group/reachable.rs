//! Explores every state that a group can reach while members are replaced, under the rules of [`super::members`]. In
//! each state, if any one member is then killed permanently, another member can be elected.
//!
//! The model is a log that contains only changes of members. A new one is proposed when all earlier ones are committed.
//! A change takes effect on a member when that member applies it, and an entry is committed by a majority of the
//! configuration before it. Members append and apply one entry at a time, each with any delay. A removed member drops
//! its data when it applies its removal. Whether a member can be elected depends on the configuration that it has
//! applied, and on the members whose logs are at most as long as its own.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::members::{LastChange, Presence, Progress, View, awaited, wanted_change};
use super::message::MemberChange;
use crate::cube::{Dimension, VertexId};
use crate::identity::{GroupId, Incarnation, Member};
use crate::seating::Seating;

/// Log indexes begin here, to distinguish a newcomer without a log from a member at the beginning.
const BASE: u64 = 10;

/// A group of d + 1 in which members are replaced.
struct Story {
    /// The founders, followed by the newcomers.
    nodes: Vec<Member>,
    founders: usize,
    /// The number of founders that are replaced, the first ones.
    replaced: usize,
    /// The replaced founders are dead from the beginning.
    dead: bool,
}

/// For each node: the length of its log, how much of it the node has applied, and whether it has dropped its data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    log: Vec<(Kind, usize)>,
    appended: Vec<usize>,
    applied: Vec<usize>,
    dropped: Vec<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Vote,
    Learn,
    Remove,
}

#[derive(Clone)]
struct Configuration {
    votes: Vec<bool>,
    learns: Vec<bool>,
}

/// The findings over all states.
#[derive(Default, Debug)]
struct Found {
    states: usize,
    /// States in which killing one more member leaves none that can be elected.
    stuck: usize,
    /// Of these, the states in which every live node uses a configuration without the votes of the dead.
    stuck_though_known: usize,
    /// States in which nothing more can happen although the replacement is not complete.
    unfinished: usize,
}

type Rule = fn(&View<'_>) -> Option<MemberChange>;

/// The rule that the leader uses.
fn ours(view: &View<'_>) -> Option<MemberChange> {
    wanted_change(view).filter(|change| awaited(view, *change).is_empty())
}

/// The same without waiting.
fn hasty(view: &View<'_>) -> Option<MemberChange> {
    wanted_change(view)
}

/// Waits, but removes the old member before the new one is added.
fn removed_first(view: &View<'_>) -> Option<MemberChange> {
    let has_successor = |old: Member| {
        view.presences.iter().any(|presence| presence.host == old.host && presence.alive != Some(old.incarnation))
    };
    let old = view.progress.iter().map(|progress| progress.member).find(|member| has_successor(*member));
    let change = old.map(MemberChange::Remove).or_else(|| wanted_change(view))?;
    awaited(view, change).is_empty().then_some(change)
}

#[test]
fn while_a_member_is_replaced_no_failure_stops_a_group_of_three_or_more_for_ever() {
    for dimension in 2..=4 {
        let found = explore(&Story::new(dimension, 1, false), ours);
        assert!(found.states > 100 && found.stuck == 0 && found.unfinished == 0, "d = {dimension}: {found:?}");
    }
}

#[test]
fn while_two_members_are_replaced_no_failure_stops_a_group_of_four_for_ever() {
    let found = explore(&Story::new(3, 2, false), ours);
    assert!(found.stuck == 0 && found.unfinished == 0, "{found:?}");
}

#[test]
fn when_a_lost_disk_is_known_not_to_vote_the_next_failure_stops_no_group_of_four() {
    let found = explore(&Story::new(3, 1, true), ours);
    assert!(found.stuck > 0, "before it is known, all others are needed: {found:?}");
    assert!(found.stuck_though_known == 0 && found.unfinished == 0, "{found:?}");
}

#[test]
fn the_model_finds_what_changes_that_do_not_wait_would_do() {
    let found = explore(&Story::new(3, 1, false), hasty);
    assert!(found.stuck > 0, "{found:?}");
}

#[test]
fn the_model_finds_what_the_other_order_would_do_to_three_voters() {
    let found = explore(&Story::new(2, 1, false), removed_first);
    assert!(found.stuck > 0, "{found:?}");
}

/// Both of two voters are needed, in any order of changes.
#[test]
fn a_group_of_two_is_replaced_too_but_a_failure_meanwhile_may_stop_it() {
    let found = explore(&Story::new(1, 1, false), ours);
    assert!(found.stuck > 0 && found.unfinished == 0, "{found:?}");
}

fn explore(story: &Story, rule: Rule) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::from([story.beginning()]);
    let mut open = VecDeque::from_iter(seen.iter().cloned());
    while let Some(state) = open.pop_front() {
        let configurations = story.configurations(&state.log);
        found.states += 1;
        let is_stuck = story.is_stuck(&state, &configurations);
        found.stuck += usize::from(is_stuck);
        found.stuck_though_known += usize::from(is_stuck && story.is_known(&state, &configurations));
        let next = story.successors(&state, &configurations, rule);
        found.unfinished += usize::from(next.is_empty() && !story.is_finished(&configurations));
        for state in next {
            if seen.insert(state.clone()) {
                open.push_back(state);
            }
        }
    }
    found
}

impl Story {
    fn new(dimension: u8, replaced: usize, dead: bool) -> Story {
        let seating = Seating::founding(Dimension::new(dimension).unwrap());
        let members = seating.members(GroupId::Home(VertexId(0)));
        let mut nodes: Vec<Member> = members.into_iter().map(Member::founding).collect();
        let founders = nodes.len();
        for at in 0..replaced {
            nodes.push(Member { incarnation: Incarnation(7), ..nodes[at] });
        }
        Story { nodes, founders, replaced, dead }
    }

    fn beginning(&self) -> State {
        let nothing = vec![0; self.nodes.len()];
        State { log: Vec::new(), appended: nothing.clone(), applied: nothing, dropped: vec![false; self.nodes.len()] }
    }

    fn is_dead(&self, node: usize) -> bool {
        self.dead && node < self.replaced
    }

    fn lives(&self, state: &State, node: usize) -> bool {
        !self.is_dead(node) && !state.dropped[node]
    }

    /// The configuration after each entry.
    fn configurations(&self, log: &[(Kind, usize)]) -> Vec<Configuration> {
        let votes: Vec<bool> = (0..self.nodes.len()).map(|node| node < self.founders).collect();
        let mut configurations = vec![Configuration { votes, learns: vec![false; self.nodes.len()] }];
        for (kind, node) in log {
            let mut next = configurations[configurations.len() - 1].clone();
            next.votes[*node] = *kind == Kind::Vote;
            next.learns[*node] = *kind == Kind::Learn;
            configurations.push(next);
        }
        configurations
    }

    fn committed(&self, state: &State, configurations: &[Configuration]) -> usize {
        let is_committed = |entry: &usize| configurations[*entry].has_majority(|node| state.appended[node] > *entry);
        (0..state.log.len()).take_while(is_committed).count()
    }

    fn is_stuck(&self, state: &State, configurations: &[Configuration]) -> bool {
        let mut killed = (0..self.nodes.len()).filter(|node| self.lives(state, *node));
        killed.any(|killed| {
            let lives = |node: usize| node != killed && self.lives(state, node);
            let can_lead = |node: usize| {
                let configuration = &configurations[state.applied[node]];
                let agrees = |other: usize| lives(other) && state.appended[other] <= state.appended[node];
                lives(node) && configuration.votes[node] && configuration.has_majority(agrees)
            };
            !(0..self.nodes.len()).any(can_lead)
        })
    }

    fn is_known(&self, state: &State, configurations: &[Configuration]) -> bool {
        let without_the_dead =
            |node: usize| (0..self.replaced).all(|dead| !configurations[state.applied[node]].votes[dead]);
        (self.replaced..self.founders).all(without_the_dead)
    }

    /// The newcomers vote, and the replaced members are gone.
    fn is_finished(&self, configurations: &[Configuration]) -> bool {
        let last = &configurations[configurations.len() - 1];
        let votes = |node: usize| node >= self.replaced;
        (0..self.nodes.len()).all(|node| last.votes[node] == votes(node) && !last.learns[node])
    }

    fn successors(&self, state: &State, configurations: &[Configuration], rule: Rule) -> Vec<State> {
        let mut next = Vec::new();
        let (top, committed) = (state.log.len(), self.committed(state, configurations));
        let farthest = state.applied.iter().copied().max().unwrap_or(0);
        for node in (0..self.nodes.len()).filter(|node| self.lives(state, *node)) {
            let (appended, applied) = (state.appended[node], state.applied[node]);
            let may_lead = configurations[top].votes[node] && applied == top && committed == top;
            if may_lead && let Some(entry) = self.proposal(state, &configurations[top], node, rule) {
                let mut state = state.clone();
                state.log.push(entry);
                state.appended[node] += 1;
                next.push(state);
            }
            let is_told = node < self.founders || configurations[farthest].has(node);
            if appended < top && is_told {
                let mut state = state.clone();
                state.appended[node] += 1;
                next.push(state);
            }
            if applied < appended.min(committed) {
                let mut state = state.clone();
                state.applied[node] += 1;
                next.push(state);
            }
            if node < self.replaced && !configurations[applied].has(node) {
                let mut state = state.clone();
                state.dropped[node] = true;
                next.push(state);
            }
        }
        next
    }

    /// The next proposal of a leader that has the state of all other members.
    fn proposal(&self, state: &State, now: &Configuration, leader: usize, rule: Rule) -> Option<(Kind, usize)> {
        let presence_of = |founder: usize| {
            let there = if founder < self.replaced { self.founders + founder } else { founder };
            let Member { host, incarnation } = self.nodes[there];
            Presence { host, alive: Some(incarnation), away: Duration::ZERO }
        };
        let presences: Vec<Presence> = (0..self.founders).map(presence_of).collect();
        let known = |node: usize, through: usize| {
            let has_none = node >= self.founders && state.appended[node] == 0;
            if has_none { 0 } else { BASE + through as u64 }
        };
        let progress_of = |node: usize| Progress {
            member: self.nodes[node],
            votes: now.votes[node],
            matched: known(node, state.appended[node]),
            committed: known(node, state.applied[node]),
            active: self.lives(state, node),
        };
        let progress: Vec<Progress> = (0..self.nodes.len()).filter(|node| now.has(*node)).map(progress_of).collect();
        let last = BASE + state.log.len() as u64;
        let last_change = LastChange { index: last, waited: Duration::ZERO };
        let change = rule(&View { presences: &presences, progress: &progress, last_index: last, last_change })?;
        let at = |member: Member| self.nodes.iter().position(|node| *node == member).expect("it is one of them");
        let entry = match change {
            MemberChange::AddVoter(member) => (Kind::Vote, at(member)),
            MemberChange::AddLearner(member) => (Kind::Learn, at(member)),
            MemberChange::Remove(member) => (Kind::Remove, at(member)),
        };
        (!change.takes_vote_of(self.nodes[leader])).then_some(entry)
    }
}

impl Configuration {
    fn has(&self, node: usize) -> bool {
        self.votes[node] || self.learns[node]
    }

    fn has_majority(&self, agrees: impl Fn(usize) -> bool) -> bool {
        let voters = || (0..self.votes.len()).filter(|node| self.votes[*node]);
        voters().filter(|node| agrees(*node)).count() * 2 > voters().count()
    }
}
