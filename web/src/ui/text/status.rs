//! The state of the cluster and its groups as text.

use std::collections::BTreeSet;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;

use crate::format::{nodes, plural, whole_seconds};
use crate::model::cluster::groups::{NoQuorum, Service};
use crate::model::cluster::{Cluster, Health, Socket};
use crate::model::obstacle::Obstacle;
use crate::model::tone::Tone;

/// Longer lists of names are replaced by a count.
const MOST_NAMES: usize = 8;

/// The status line in the page's header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Good only if all nodes are up, connected, and all groups can be written.
    pub tone: Tone,
    /// The state of the cluster.
    pub cluster: String,
    /// The sides of a partition.
    pub cut: Option<String>,
    /// Which nodes this page reaches, if not all that run.
    pub reach: Option<String>,
}

/// The status of a cluster whose dimension is known. `topics`: their number, once a node has listed them.
pub fn summary(cluster: &Cluster, topics: Option<usize>) -> Summary {
    let all = cluster.dimension.map_or(cluster.nodes.len(), |dimension| dimension.size());
    let (up, stuck) = (cluster.count(Health::Up), cluster.picture().stuck().count());
    let is_cut = cluster.sides().len() > 1;
    let (said, unheard): (Vec<_>, Vec<_>) = cluster
        .nodes
        .values()
        .filter(|node| node.health() == Health::Failed)
        .partition(|node| node.says_that_it_fails());
    let unknown = all - up - said.len() - unheard.len() - cluster.count(Health::Recovering);
    let counts = [
        (cluster.count(Health::Recovering), "recovering"),
        (said.len(), "failed"),
        (unheard.len(), "down or cut off"),
        (unknown, "unknown"),
    ];
    let mut parts = vec![format!("{up} of {all} nodes up")];
    parts.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    parts.extend(is_cut.then(|| match cluster.sides().len() {
        2 => "cut in two".to_owned(),
        sides => format!("cut into {sides} parts"),
    }));
    parts.extend((stuck > 0).then(|| format!("{stuck} of {all} groups cannot be written")));
    parts.extend(topics.map(|topics| plural(topics as u64, "topic")));
    let tone = match up {
        0 => Tone::Bad,
        _ if up == all && !is_cut && stuck == 0 => Tone::Good,
        _ => Tone::Warning,
    };
    Summary { tone, cluster: parts.join(" · "), cut: is_cut.then(|| cut(cluster)), reach: reach(cluster) }
}

fn cut(cluster: &Cluster) -> String {
    let sides: Vec<String> = cluster.sides().iter().map(side).collect();
    format!("No frames pass between {}.", sides.join(" and "))
}

/// A side of a partition: all names, a face of the cube (`1**`), or a count.
fn side(side: &BTreeSet<HostId>) -> String {
    let names: Vec<HostId> = side.iter().copied().collect();
    match names.first() {
        Some(first) if names.len() > MOST_NAMES => {
            face(*first, side).unwrap_or_else(|| plural(names.len() as u64, "node"))
        }
        Some(_) | None => nodes(&names),
    }
}

/// A pattern like `1**` if the side is a whole face: equal in some bits, with all combinations of the others.
fn face(first: HostId, side: &BTreeSet<HostId>) -> Option<String> {
    let free = side.iter().fold(0, |free, node| free | (node.number() ^ first.number()));
    let bits = first.to_string().len();
    let name = (0..bits).rev().map(|bit| match (free >> bit & 1, first.number() >> bit & 1) {
        (1, _) => '*',
        (_, 1) => '1',
        (_, _) => '0',
    });
    (side.len() == 1 << free.count_ones()).then(|| name.collect())
}

/// `None` while connections are being opened.
fn reach(cluster: &Cluster) -> Option<String> {
    let reached = cluster.reached();
    let with = |socket| cluster.nodes.values().filter(move |node| node.socket == socket);
    let beyond = with(Socket::Closed).filter(|node| node.health().is_running()).count();
    if with(Socket::Connecting).count() > 0 {
        return None;
    }
    let (which, through) = match reached.len() {
        0 => return Some("This page is connected to no node and keeps trying.".to_owned()),
        _ if beyond == 0 => return None,
        1 => (format!("only {}", nodes(&reached)), "it"),
        count if count > MOST_NAMES => (format!("{count} nodes"), "these"),
        _ => (nodes(&reached), "these"),
    };
    Some(format!("This page is connected to {which}; it queries the others through {through}."))
}

/// The leader of a group, and its term.
pub fn lead(cluster: &Cluster, group: Vertex) -> String {
    let term = cluster.term_of(group).map(|term| format!(", term {term}")).unwrap_or_default();
    match cluster.service(group) {
        Service::Led(leader) => format!("{leader} leads{term}"),
        Service::Leaderless => "No leader now".to_owned(),
        Service::NoQuorum(_) => "No leader possible".to_owned(),
        Service::Unknown => "Leader unknown".to_owned(),
    }
}

/// What is missing, how to repair it, and what still works.
pub fn obstacle(obstacle: &Obstacle) -> String {
    let Obstacle { subject, no_quorum, returning } = obstacle;
    let NoQuorum { voters, needed, up, together, .. } = no_quorum;
    let missing = if up.len() >= *needed {
        format!("at most {together} of its {voters} replicas can reach each other, {needed} needed")
    } else {
        format!("{} of {voters} replicas up, {needed} needed", up.len())
    };
    let reads = match &no_quorum.readable[..] {
        [] => "None of its replicas can be read.".to_owned(),
        readable => format!("Reads with “any” still work at {}.", nodes(readable)),
    };
    format!("{subject} cannot be written: {missing}. {} {reads}", cure(no_quorum, returning))
}

fn cure(no_quorum: &NoQuorum, returning: &[(HostId, u64)]) -> String {
    if no_quorum.up.len() >= no_quorum.needed {
        return "Heal the links that are cut.".to_owned();
    }
    let missing = no_quorum.needed - no_quorum.up.len();
    let which = match &no_quorum.down[..] {
        [one] => format!("Bring back {one}"),
        down if missing == down.len() => format!("Bring back {}", nodes(down)),
        down => format!("Bring back {missing} of {}", nodes(down)),
    };
    let returns =
        returning.iter().map(|(node, left_ms)| format!("{node} returns by itself in {}", whole_seconds(*left_ms)));
    let returns: Vec<String> = returns.collect();
    if returns.is_empty() {
        format!("{which}, or wait for it.")
    } else {
        format!("{which}, or wait: {}.", returns.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::faults::LinkConditions;
    use cubecast_core::placement;
    use cubecast_core::seating::Seating;
    use cubecast_core::states::NodeState;

    use super::*;
    use crate::model::State;
    use crate::testing::{led_by_homes, named as v};

    #[test]
    fn with_two_of_four_replicas_down_it_says_what_is_missing_what_heals_it_and_what_can_be_read() {
        let mut state = led_by_homes(3);
        let cluster = state.cluster.change();
        for node in ["100", "101"] {
            cluster.learn_state(v(node), v(node), NodeState::Failed);
        }
        cluster.nodes.get_mut(&v("100")).unwrap().returns_at_ms = Some(13_000);
        assert_eq!(
            why_not(&state),
            "news cannot be written: 2 of 4 replicas up, 3 needed. \
             Bring back 1 of 100, 101, or wait: 100 returns by itself in 12 s. Reads with “any” still work at 110, 000."
        );
        assert_eq!(lead(&state.cluster, v("100")), "No leader possible");
        let summary = summary(&state.cluster, Some(1));
        assert_eq!(summary.cluster, "6 of 8 nodes up · 2 failed · 2 of 8 groups cannot be written · 1 topic");
        assert_eq!(summary.tone, Tone::Warning);
    }

    #[test]
    fn a_cube_cut_in_two_is_not_called_well_and_both_sides_are_named() {
        let mut state = led_by_homes(3);
        cut_last_bit(&mut state);
        let summary = summary(&state.cluster, None);
        assert_eq!((summary.tone, summary.cluster.as_str()), (Tone::Warning, "8 of 8 nodes up · cut in two"));
        assert_eq!(summary.cut.as_deref(), Some("No frames pass between 000, 001, 010, 011 and 100, 101, 110, 111."));
        let mut large = led_by_homes(5);
        cut_last_bit(&mut large);
        assert_eq!(cut(&large.cluster), "No frames pass between 0**** and 1****.");
    }

    #[test]
    fn replicas_that_are_up_but_apart_are_no_quorum_and_the_links_are_to_be_mended() {
        let mut state = led_by_homes(1);
        cut_last_bit(&mut state);
        let said = why_not(&state);
        assert!(said.contains("at most 1 of its 2 replicas can reach each other, 2 needed. Heal the links"), "{said}");
    }

    #[test]
    fn one_reachable_node_tells_of_eight_and_both_facts_are_said() {
        let mut state = led_by_homes(3);
        let cluster = state.cluster.change();
        for node in cluster.all_nodes() {
            cluster.learn_state(v("000"), node, NodeState::Up);
            if node != v("000") {
                cluster.learn_socket(node, Socket::Closed);
            }
        }
        let summary = summary(&state.cluster, None);
        assert_eq!((summary.tone, summary.cluster.as_str()), (Tone::Good, "8 of 8 nodes up"));
        assert_eq!(
            summary.reach.as_deref(),
            Some("This page is connected to only 000; it queries the others through it.")
        );
    }

    #[test]
    fn while_the_page_connects_it_does_not_say_that_it_cannot() {
        let mut state = led_by_homes(3);
        state.cluster.change().learn_socket(v("100"), Socket::Connecting);
        state.cluster.change().learn_state(v("000"), v("100"), NodeState::Up);
        assert_eq!(summary(&state.cluster, None).reach, None);
    }

    #[test]
    fn without_any_connection_nothing_is_called_up_or_down() {
        let mut state = led_by_homes(3);
        for node in state.cluster.all_nodes() {
            state.cluster.change().learn_socket(node, Socket::Closed);
        }
        let summary = summary(&state.cluster, None);
        assert_eq!((summary.tone, summary.cluster.as_str()), (Tone::Bad, "0 of 8 nodes up · 8 unknown"));
        assert_eq!(summary.reach.as_deref(), Some("This page is connected to no node and keeps trying."));
        assert_eq!(lead(&state.cluster, v("100")), "Leader unknown");
    }

    /// Why `news` cannot be written.
    fn why_not(state: &State) -> String {
        let home = placement::home("news", state.cluster.dimension.unwrap());
        obstacle(&Obstacle::of(&state.cluster, state.now_ms, "news", home).unwrap())
    }

    fn cut_last_bit(state: &mut State) {
        let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
        let dimension = state.cluster.dimension.unwrap();
        let cluster = state.cluster.change();
        let seating = Seating::founding(dimension);
        for node in seating.hosts() {
            cluster.learn_conditions(node, seating.across(node, seating.links() - 1), cut);
        }
    }
}
