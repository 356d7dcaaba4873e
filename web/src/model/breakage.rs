//! Injected faults: what is broken, how to mend it, and presets that break several things at once.

use cubecast_core::client::Target;
use cubecast_core::cube::Vertex;
use cubecast_core::wire::client::{Action, Admin, LinkConditions, StopMode};

use super::cluster::{Cluster, Health};
use super::task::{Panel, Step, Task};
use super::tasks::Refusal;
use super::{Selection, State, describe, standing};

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
/// Faults injected within this time belong to one user action and are mended together.
const TOGETHER_MS: u64 = 1_500;

/// One injected fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Broken {
    Node(Vertex),
    /// Both directions of a link, with equal conditions; the smaller end first.
    Edge(Vertex, Vertex),
    /// One direction of a link.
    Link(Vertex, Vertex),
}

/// All injected faults with the time they were noticed (milliseconds since 1970), oldest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Breakages(Vec<(Broken, u64)>);

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

impl Breakages {
    /// Whether nothing is broken on request.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All injected faults, oldest first.
    pub fn all(&self) -> Vec<Broken> {
        self.0.iter().map(|(broken, _)| *broken).collect()
    }

    /// The newest fault and all faults within 1.5 s before it.
    pub fn last(&self) -> Vec<Broken> {
        let newest = self.0.last().map_or(0, |(_, since_ms)| *since_ms);
        self.0.iter().filter(|(_, since_ms)| since_ms + TOGETHER_MS >= newest).map(|(broken, _)| *broken).collect()
    }

    /// Updates the list from the cluster's state.
    pub fn update(&mut self, cluster: &Cluster, now_ms: u64) {
        let now = Broken::all(cluster);
        self.0.retain(|(broken, _)| now.contains(broken));
        for broken in now {
            if self.0.iter().all(|(known, _)| *known != broken) {
                self.0.push((broken, now_ms));
            }
        }
    }
}

impl Broken {
    /// All injected faults of the cluster, nodes first.
    pub fn all(cluster: &Cluster) -> Vec<Broken> {
        let nodes = cluster
            .nodes
            .iter()
            .filter(|(vertex, node)| node.says_that_it_fails() && cluster.health(**vertex) == Health::Failed);
        let nodes = nodes.map(|(vertex, _)| Broken::Node(*vertex));
        let links = cluster.links.iter().filter(|(_, link)| link.conditions != LinkConditions::PERFECT);
        let links = links.filter_map(|((from, to), link)| {
            if cluster.link(*to, *from).conditions != link.conditions {
                return Some(Broken::Link(*from, *to));
            }
            (from < to).then_some(Broken::Edge(*from, *to))
        });
        nodes.chain(links).collect()
    }

    /// The requests that mend it.
    fn mending(self) -> Vec<Step> {
        match self {
            Broken::Node(node) => {
                let recover = Action::Admin(Admin::RecoverNode { node: Some(node) });
                vec![Step::new(recover, Target::Node(node))]
            }
            Broken::Edge(a, b) => both_ways(a, b, LinkConditions::PERFECT).to_vec(),
            Broken::Link(from, to) => vec![one_way(from, to, LinkConditions::PERFECT)],
        }
    }

    /// The fault as a text for the user.
    pub fn words(self, state: &State) -> String {
        match self {
            Broken::Node(node) => {
                let back = state.cluster.nodes.get(&node).and_then(|known| known.returns_at_ms);
                match back.filter(|at| *at > state.now_ms) {
                    Some(at) => format!("{node} is down for another {}", describe::whole_seconds(at - state.now_ms)),
                    None => format!("{node} is down"),
                }
            }
            Broken::Edge(a, b) => format!("{a} – {b} {}", describe::conditions(&state.cluster.link(a, b).conditions)),
            Broken::Link(from, to) => {
                format!("{from} → {to} {}", describe::conditions(&state.cluster.link(from, to).conditions))
            }
        }
    }
}

/// A task that mends these faults, nodes first, because a stopped node accepts no changes to its links.
pub fn mend(broken: &[Broken]) -> Task {
    let mut broken = broken.to_vec();
    broken.sort();
    Task { panel: Panel::Break, steps: broken.into_iter().flat_map(Broken::mending).collect() }
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

    /// A stable id for tests and `data-testid` attributes.
    pub fn id(self) -> &'static str {
        match self {
            Preset::IsolateHome => "preset-isolate",
            Preset::CrashLeader => "preset-leader",
            Preset::CrashMinority => "preset-minority",
            Preset::RollingCrash => "preset-rolling",
            Preset::SplitInTwo => "preset-split",
            Preset::SlowLink => "preset-slow",
            Preset::LossyCube => "preset-lossy",
        }
    }

    /// The label of its button.
    pub fn name(self) -> &'static str {
        match self {
            Preset::IsolateHome => "Isolate the home",
            Preset::CrashLeader => "Crash the leader",
            Preset::CrashMinority => "Lose a minority",
            Preset::RollingCrash => "Rolling crash",
            Preset::SplitInTwo => "Split in two",
            Preset::SlowLink => "Slow link",
            Preset::LossyCube => "Lossy cube",
        }
    }

    /// What it does, and what to look for.
    pub fn about(self) -> &'static str {
        match self {
            Preset::IsolateHome => {
                "Cuts every link of the topic's home. A neighbour becomes leader; the home refuses publishes."
            }
            Preset::CrashLeader => {
                "Crashes the topic's leader for 15 s. Watch the election and the return of the home as leader."
            }
            Preset::CrashMinority => "Crashes as many replicas as the topic can lose. Quorum publishes still succeed.",
            Preset::RollingCrash => "Crashes one node after the other, as in an upgrade, each for 2 s.",
            Preset::SplitInTwo => "Cuts the cube along its last bit. Only the side with a quorum continues.",
            Preset::SlowLink => "Delays frames by 250 ms on the selected link, or on one of the home's links.",
            Preset::LossyCube => "Every link loses a tenth of its frames. Lost frames are resent.",
        }
    }

    /// The task that breaks it. Errors: the reason for the user, for example that no topic is chosen.
    pub fn task(self, state: &State) -> Result<Task, Refusal> {
        let dimension = state.cluster.dimension.ok_or("This page is not connected to a cluster yet.")?;
        let home = state.home().ok_or("Choose a topic first: type a name, for example news.");
        let steps: Vec<Step> = match self {
            Preset::IsolateHome => {
                let home = home?;
                home.neighbours().flat_map(|peer| both_ways(home, peer, CUT)).collect()
            }
            Preset::CrashLeader => {
                let home = home?;
                let leader = state.cluster.acting_leader(home);
                let leader = leader.ok_or_else(|| format!("{}.", standing::lead(&state.cluster, home)))?;
                vec![crash(leader)]
            }
            Preset::CrashMinority => {
                // Of d + 1 replicas, a majority must stay up.
                let most = usize::from(dimension.bits() / 2);
                if most == 0 {
                    return Err(
                        "A topic with two replicas survives no crash. Use a cube of at least two dimensions.".into()
                    );
                }
                home?.neighbours().take(most).map(crash).collect()
            }
            Preset::RollingCrash => {
                let steps = dimension.vertices().zip(0..).map(|(node, number)| Step {
                    after_ms: if number == 0 { 0 } else { ROLLING_EVERY_MS },
                    ..crash_for(node, ROLLING_MS)
                });
                steps.collect()
            }
            Preset::SplitInTwo => {
                let bit = dimension.bits() - 1;
                let lower = dimension.vertices().filter(|vertex| vertex.index() >> bit & 1 == 0);
                lower.flat_map(|vertex| both_ways(vertex, vertex.across(bit), CUT)).collect()
            }
            Preset::SlowLink => {
                let (a, b) = match state.selection {
                    Some(Selection::Edge(a, b)) => (a, b),
                    _ => {
                        let home = home?;
                        (home, home.across(0))
                    }
                };
                both_ways(a, b, SLOW).to_vec()
            }
            Preset::LossyCube => state.cluster.edges().into_iter().flat_map(|(a, b)| both_ways(a, b, LOSSY)).collect(),
        };
        Ok(Task { panel: Panel::Break, steps })
    }
}

fn crash(node: Vertex) -> Step {
    crash_for(node, PRESET_MS)
}

fn crash_for(node: Vertex, duration_ms: u64) -> Step {
    let action = Action::Admin(Admin::StopNode { node: Some(node), mode: StopMode::Crash, duration_ms });
    Step::new(action, Target::Node(node))
}

fn both_ways(a: Vertex, b: Vertex, conditions: LinkConditions) -> [Step; 2] {
    [one_way(a, b, conditions), one_way(b, a, conditions)]
}

/// Conditions of a direction are set at its sending node.
fn one_way(from: Vertex, to: Vertex, conditions: LinkConditions) -> Step {
    Step { patient: true, ..Step::new(Action::Admin(Admin::SetLink { from, to, conditions }), Target::Node(from)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cubecast_core::cube::Dimension;
    use cubecast_core::wire::answer::NodeState;

    use super::super::cluster::Socket;
    use super::super::shared::Shared;
    use super::*;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    fn state(bits: u8) -> State {
        let dimension = Dimension::new(bits).unwrap();
        let mut cluster = Cluster::of(dimension);
        for node in dimension.vertices() {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
            cluster.learn_leader(node, 1, Some(node));
        }
        State { cluster: Shared::from(cluster), topic_text: "news".into(), now_ms: 1_000, ..State::default() }
    }

    fn cuts(task: &Task) -> BTreeSet<(Vertex, Vertex)> {
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
        let home = state.home().unwrap();
        let cuts = cuts(&Preset::IsolateHome.task(&state).unwrap());
        assert_eq!(cuts.len(), 6);
        assert!(home.neighbours().all(|peer| cuts.contains(&(home, peer)) && cuts.contains(&(peer, home))));
    }

    #[test]
    fn a_split_leaves_no_way_between_the_halves() {
        for bits in 1..=6 {
            let cuts = cuts(&Preset::SplitInTwo.task(&state(bits)).unwrap());
            assert_eq!(cuts.len(), 1 << bits);
            assert!(cuts.iter().all(|(from, to)| from.index() ^ to.index() == 1 << (bits - 1)));
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
        let (a, b) = (vertex("000"), vertex("010"));
        let state = State { selection: Some(Selection::edge(a, b)), ..state(3) };
        let task = Preset::SlowLink.task(&state).unwrap();
        assert_eq!(task.steps.iter().map(|step| step.to).collect::<Vec<_>>(), [Target::Node(a), Target::Node(b)]);
    }

    #[test]
    fn what_is_broken_is_listed_until_it_works_and_nodes_are_mended_first() {
        let (a, b) = (vertex("100"), vertex("101"));
        let mut state = state(3);
        assert!(Broken::all(&state.cluster).is_empty());
        let cluster = state.cluster.change();
        cluster.learn_conditions(a, b, CUT);
        cluster.learn_state(b, b, NodeState::Failed);
        cluster.nodes.get_mut(&b).unwrap().returns_at_ms = Some(4_000);
        let broken = Broken::all(&state.cluster);
        assert_eq!(broken, [Broken::Node(b), Broken::Link(a, b)]);
        assert_eq!(broken[0].words(&state), "101 is down for another 3 s");
        assert_eq!(broken[1].words(&state), "100 → 101 is cut");
        let task = mend(&[Broken::Link(a, b), Broken::Node(b)]);
        assert!(matches!(task.steps[0].action, Action::Admin(Admin::RecoverNode { .. })));
        state.cluster.change().learn_conditions(b, a, CUT);
        assert_eq!(Broken::all(&state.cluster)[1..], [Broken::Edge(a, b)], "both ways alike are one thing");
        assert_eq!(mend(&[Broken::Edge(a, b)]).steps.len(), 2);
        for (from, to) in [(a, b), (b, a)] {
            state.cluster.change().learn_conditions(from, to, LinkConditions::PERFECT);
        }
        assert_eq!(Broken::all(&state.cluster), [Broken::Node(b)]);
    }

    #[test]
    fn the_last_break_is_undone_first_and_as_a_whole() {
        let mut state = state(3);
        let (mut breakages, home) = (Breakages::default(), vertex("100"));
        let mut cut = |from: Vertex, to: Vertex, now_ms: u64| {
            state.cluster.change().learn_conditions(from, to, CUT);
            breakages.update(&state.cluster, now_ms);
        };
        cut(vertex("000"), vertex("001"), 1_000);
        cut(home, vertex("101"), 9_000);
        cut(home, vertex("110"), 9_000 + TOGETHER_MS);
        assert_eq!(breakages.last(), [Broken::Link(home, vertex("101")), Broken::Link(home, vertex("110"))]);
        for peer in home.neighbours() {
            state.cluster.change().learn_conditions(home, peer, LinkConditions::PERFECT);
        }
        breakages.update(&state.cluster, 12_000);
        assert_eq!(breakages.last(), [Broken::Link(vertex("000"), vertex("001"))]);
        assert_eq!(breakages.all().len(), 1);
    }
}
