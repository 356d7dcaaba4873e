//! A group has at most one leader in a term.
//!
//! Sources are each node's `role_changed` events (its own leadership, and the leader it follows) and its `status`. The
//! newest [`MAX_TERMS`] terms with a leader are kept; older ones are no longer compared.

use std::collections::{BTreeMap, VecDeque};

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::states::Role;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::event::Event;
use cubecast_sim::check::Checked as Facts;
use cubecast_sim::check::evidence::Leadership;
use cubecast_sim::check::leaders::check_leaderships;

use super::{Checked, Evidence};

/// Terms with a leader that are remembered, over all groups.
pub const MAX_TERMS: usize = 1_024;

/// The checker's state: the known leader of each group and term.
#[derive(Clone, Debug, Default)]
pub struct Leaders {
    known: BTreeMap<(Vertex, u64), Leadership>,
    /// Oldest first.
    order: VecDeque<(Vertex, u64)>,
}

impl Leaders {
    /// Compares each reported leader with the first one reported for the same group and term.
    pub fn check(&mut self, evidence: Evidence<'_>) -> Checked {
        match evidence {
            Evidence::Event(told) => match &told.event {
                Event::RoleChanged { group, role: Role::Leader, term, .. } => {
                    self.compare(*group, *term, told.node, told.at_us)
                }
                Event::RoleChanged { group, term, leader: Some(leader), .. } => {
                    self.compare(*group, *term, *leader, told.at_us)
                }
                _ => Ok(0),
            },
            Evidence::Answer(answer) => match &answer.result {
                Ok(Done::Status(status)) => {
                    let led = status.groups.iter().filter_map(|group| Some((group.home, group.term, group.leader?)));
                    led.map(|(group, term, leader)| self.compare(group, term, leader, status.uptime_ms * 1_000)).sum()
                }
                _ => Ok(0),
            },
            Evidence::Delivery(_) | Evidence::DeliveriesEnded { .. } => Ok(0),
        }
    }

    fn compare(&mut self, group: Vertex, term: u64, node: HostId, at_us: u64) -> Checked {
        let said = Leadership { group, term, node, at: Instant(at_us) };
        let first = *self.known.entry((group, term)).or_insert_with(|| {
            self.order.push_back((group, term));
            said
        });
        if self.order.len() > MAX_TERMS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        check_leaderships([&first, &said]).map(|Facts(_)| 1).map_err(|broken| broken.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{evidence, leads, named, told};
    use super::*;

    #[test]
    fn a_follower_that_names_another_leader_in_the_same_term_is_found() {
        let mut leaders = Leaders::default();
        let follows = |node: &str, leader: &str, term| {
            let leader = Some(named(leader));
            told(node, Event::RoleChanged { group: named("100"), role: Role::Follower, term, leader })
        };
        assert_eq!(leaders.check(evidence(&leads("100", "100", 3))), Ok(1));
        assert_eq!(leaders.check(evidence(&follows("101", "100", 3))), Ok(1));
        assert_eq!(leaders.check(evidence(&follows("101", "110", 4))), Ok(1));
        let broken = leaders.check(evidence(&follows("000", "000", 4))).unwrap_err();
        assert!(broken.contains("term 4") && broken.contains("110") && broken.contains("000"), "{broken}");
    }

    #[test]
    fn a_node_that_knows_no_leader_accuses_nobody() {
        let mut leaders = Leaders::default();
        let candidate = Event::RoleChanged { group: named("100"), role: Role::Candidate, term: 9, leader: None };
        assert_eq!(leaders.check(evidence(&told("101", candidate))), Ok(0));
    }

    #[test]
    fn memory_is_bounded_by_forgetting_the_oldest_terms() {
        let mut leaders = Leaders::default();
        for term in 0..3 * MAX_TERMS as u64 {
            assert_eq!(leaders.check(evidence(&leads("100", "100", term))), Ok(1));
        }
        assert_eq!((leaders.known.len(), leaders.order.len()), (MAX_TERMS, MAX_TERMS));
    }
}
