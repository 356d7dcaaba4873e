//! Presets: tasks that break several things at once.

use cubecast_core::client::Target;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::wire::client::{Action, Admin};

use super::cluster::groups::Service;
use super::state::State;
use super::task::{Panel, Task, TaskStep};
use super::tasks::{Refusal, set_both_ways};
use super::view::Selection;

/// How long a preset stops nodes: long enough to look and to explain.
const PRESET_MS: u64 = 15_000;
/// A rolling crash stops each node for this long and starts a new crash at this interval, so each node is back before
/// the next one stops.
const ROLLING_MS: u64 = 2_000;
const ROLLING_EVERY_MS: u64 = 5_000;
/// As on a satellite link.
const SLOW: LinkConditions = LinkConditions { delay_ms: 250, jitter_ms: 100, ..LinkConditions::PERFECT };
/// As on a wireless link at the edge of its range.
const LOSSY: LinkConditions = LinkConditions { jitter_ms: 20, loss: 0.1, ..LinkConditions::PERFECT };
const CUT: LinkConditions = LinkConditions { cut: true, ..LinkConditions::PERFECT };

/// A preset that breaks several things at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    IsolateHome,
    CrashLeader,
    CrashMinority,
    RollingCrash,
    SplitInTwo,
    SlowLink,
    LossyCube,
}

impl Preset {
    /// In the order in which the page lists them.
    pub const ALL: &[Preset] = &[
        Preset::CrashLeader,
        Preset::CrashMinority,
        Preset::IsolateHome,
        Preset::SplitInTwo,
        Preset::RollingCrash,
        Preset::SlowLink,
        Preset::LossyCube,
    ];

    /// The task that breaks it. Errors: the reason for the user, for example that no topic is chosen.
    pub fn task(self, state: &State) -> Result<Task, Refusal> {
        let dimension = state.cluster.dimension.ok_or("This page is not connected to a cluster yet.")?;
        let seating = Seating::founding(dimension);
        let home = state.home().ok_or("Choose a topic first: type a name, for example news.");
        let members = || home.map(|home| state.cluster.members(home));
        let steps: Vec<TaskStep> = match self {
            Preset::IsolateHome => {
                let members = members()?;
                members[1..].iter().flat_map(|peer| set_both_ways(members[0], *peer, CUT)).collect()
            }
            Preset::CrashLeader => {
                let home = home?;
                match state.cluster.service(home) {
                    Service::Led(leader) => vec![crash(*leader)],
                    Service::Leaderless => return Err("No leader now.".to_owned()),
                    Service::NoQuorum(_) => return Err("No leader possible.".to_owned()),
                    Service::Unknown => return Err("Leader unknown.".to_owned()),
                }
            }
            Preset::CrashMinority => {
                // Of d + 1 replicas, a majority must stay up.
                let most = usize::from(dimension.bits() / 2);
                if most == 0 {
                    return Err(
                        "A topic with two replicas survives no crash. Use a cube of at least two dimensions.".into()
                    );
                }
                members()?.into_iter().skip(1).take(most).map(crash).collect()
            }
            Preset::RollingCrash => {
                let steps = seating.hosts().zip(0..).map(|(node, number)| TaskStep {
                    after_ms: if number == 0 { 0 } else { ROLLING_EVERY_MS },
                    ..crash_for(node, ROLLING_MS)
                });
                steps.collect()
            }
            Preset::SplitInTwo => {
                let bit = dimension.bits() - 1;
                let lower = dimension.vertices().filter(|vertex| vertex.index() >> bit & 1 == 0);
                let node = |vertex| seating.host_of(vertex);
                lower.flat_map(|vertex| set_both_ways(node(vertex), node(vertex.across(bit)), CUT)).collect()
            }
            Preset::SlowLink => {
                let (a, b) = match state.selection {
                    Some(Selection::Edge(a, b)) => (a, b),
                    _ => {
                        let members = members()?;
                        (members[0], members[1])
                    }
                };
                set_both_ways(a, b, SLOW).to_vec()
            }
            Preset::LossyCube => {
                state.cluster.edges().into_iter().flat_map(|(a, b)| set_both_ways(a, b, LOSSY)).collect()
            }
        };
        Ok(Task { panel: Panel::Break, steps })
    }
}

fn crash(node: HostId) -> TaskStep {
    crash_for(node, PRESET_MS)
}

fn crash_for(node: HostId, duration_ms: u64) -> TaskStep {
    let action = Action::Admin(Admin::StopNode { node: Some(node), mode: StopMode::Crash, duration_ms });
    TaskStep::new(action, Target::Node(node))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cubecast_core::cube::Dimension;
    use cubecast_core::states::NodeState;

    use super::super::cluster::{Cluster, Socket};
    use super::super::shared::Shared;
    use super::*;
    use crate::testing::named;

    fn state(bits: u8) -> State {
        let dimension = Dimension::new(bits).unwrap();
        let mut cluster = Cluster::of(dimension);
        for (node, home) in cluster.all_nodes().zip(dimension.vertices()) {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
            cluster.learn_leader(home, 1, Some(node));
        }
        State { cluster: Shared::from(cluster), topic_text: "news".into(), now_ms: 1_000, ..State::default() }
    }

    fn cuts(task: &Task) -> BTreeSet<(HostId, HostId)> {
        task.steps
            .iter()
            .map(|step| match step.action {
                Action::Admin(Admin::SetLink { from, to, conditions })
                    if conditions.cut && step.to == Target::Node(from) =>
                {
                    (from, to)
                }
                ref other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn an_isolated_home_has_no_link_in_either_direction() {
        let state = state(3);
        let members = state.cluster.members(state.home().unwrap());
        let home = members[0];
        let cuts = cuts(&Preset::IsolateHome.task(&state).unwrap());
        assert_eq!(cuts.len(), 6);
        assert!(members[1..].iter().all(|peer| cuts.contains(&(home, *peer)) && cuts.contains(&(*peer, home))));
    }

    #[test]
    fn a_split_leaves_no_way_between_the_halves() {
        for bits in 1..=6 {
            let cuts = cuts(&Preset::SplitInTwo.task(&state(bits)).unwrap());
            assert_eq!(cuts.len(), 1 << bits);
            assert!(cuts.iter().all(|(from, to)| from.number() ^ to.number() == 1 << (bits - 1)));
        }
    }

    #[test]
    fn a_minority_is_always_less_than_half_of_the_replicas() {
        assert!(Preset::CrashMinority.task(&state(1)).is_err());
        for bits in 2..=6 {
            let crashed = Preset::CrashMinority.task(&state(bits)).unwrap().steps.len();
            let replicas = usize::from(bits) + 1;
            assert!(crashed > 0 && replicas - crashed > replicas / 2, "{crashed} of {replicas}");
        }
    }

    #[test]
    fn a_rolling_crash_lets_each_node_return_before_the_next() {
        const { assert!(ROLLING_EVERY_MS > 2 * ROLLING_MS) };
        let steps = Preset::RollingCrash.task(&state(3)).unwrap().steps;
        assert_eq!(steps.iter().map(|step| step.to).collect::<BTreeSet<_>>().len(), 8);
        assert!(steps.iter().skip(1).all(|step| step.after_ms == ROLLING_EVERY_MS));
    }

    #[test]
    fn what_needs_a_topic_says_so() {
        let state = State { topic_text: String::new(), ..state(3) };
        for preset in Preset::ALL {
            match preset.task(&state) {
                Ok(task) => {
                    assert!(matches!(preset, Preset::SplitInTwo | Preset::LossyCube | Preset::RollingCrash), "{task:?}")
                }
                Err(refusal) => assert!(refusal.starts_with("Choose a topic"), "{refusal}"),
            }
        }
    }

    #[test]
    fn the_selected_link_is_the_one_that_gets_slow() {
        let (a, b) = (named("000"), named("010"));
        let state = State { selection: Some(Selection::edge(a, b)), ..state(3) };
        let task = Preset::SlowLink.task(&state).unwrap();
        assert_eq!(task.steps.iter().map(|step| step.to).collect::<Vec<_>>(), [Target::Node(a), Target::Node(b)]);
    }
}
