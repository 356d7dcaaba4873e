use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Counters, LinkView, NodeView};

use super::*;
use crate::testing::named;

fn open_cluster() -> Cluster {
    let dimension = Dimension::new(3).unwrap();
    let mut cluster = Cluster::of(dimension);
    for node in cluster.all_nodes() {
        cluster.learn_socket(node, Socket::Open);
        cluster.learn_state(node, node, NodeState::Up);
        for peer in cluster.seating().unwrap().neighbours(node) {
            cluster.learn_link(node, peer, node, true);
        }
    }
    cluster
}

#[test]
fn a_node_nobody_spoke_of_is_unknown_and_so_are_its_edges() {
    let cluster = Cluster::of(Dimension::new(3).unwrap());
    assert_eq!(cluster.health(named("100")), Health::Unknown);
    assert_eq!(cluster.edge_health(named("100"), named("101")), EdgeHealth::Unknown);
}

#[test]
fn a_nodes_own_word_counts_while_its_socket_is_open() {
    let mut cluster = open_cluster();
    cluster.learn_state(named("101"), named("100"), NodeState::Failed);
    assert_eq!(cluster.health(named("100")), Health::Up);
    cluster.learn_state(named("100"), named("100"), NodeState::Failed);
    assert_eq!(cluster.health(named("100")), Health::Failed);
}

#[test]
fn what_the_cluster_says_of_a_node_does_not_depend_on_what_this_page_reaches() {
    let mut cluster = Cluster::default();
    cluster.learn_view(named("000"), &view());
    cluster.learn_socket(named("000"), Socket::Open);
    for unreached in ["001", "010", "100"].map(named) {
        cluster.learn_socket(unreached, Socket::Closed);
    }
    assert_eq!((cluster.count(Health::Up), cluster.reached()), (8, vec![named("000")]));
    cluster.learn_state(named("000"), named("100"), NodeState::Failed);
    assert_eq!(cluster.health(named("100")), Health::Failed);
    assert!(!cluster.nodes[&named("100")].says_that_it_fails(), "it may be cut off");
}

#[test]
fn while_the_other_sockets_are_opening_the_first_view_tells_how_each_node_and_link_is() {
    let mut cluster = Cluster::default();
    cluster.learn_socket(named("000"), Socket::Open);
    cluster.learn_view(named("000"), &view());
    assert_eq!(cluster.count(Health::Up), 8);
    assert!(cluster.edges().iter().all(|(a, b)| cluster.edge_health(*a, *b) == EdgeHealth::Up));
}

#[test]
fn without_any_connection_nothing_is_known_not_even_who_led() {
    let mut cluster = open_cluster();
    cluster.learn_leader(named("100"), 2, Some(named("100")));
    for node in cluster.all_nodes() {
        cluster.learn_socket(node, Socket::Closed);
    }
    assert_eq!(cluster.count(Health::Unknown), 8);
    assert_eq!(cluster.service(named("100")), &Service::Unknown);
    assert_eq!(cluster.edge_health(named("100"), named("101")), EdgeHealth::Unknown);
}

#[test]
fn one_that_is_cut_off_from_a_receiver_does_not_know_what_arrives_there() {
    let (a, b) = (named("100"), named("101"));
    let mut cluster = Cluster::default();
    cluster.learn_view(named("110"), &view());
    cluster.learn_state(named("000"), b, NodeState::Failed);
    cluster.learn_link(named("000"), a, b, false);
    assert_eq!(cluster.link(a, b).arrives(), Some(true));
    cluster.learn_link(named("110"), a, b, false);
    assert_eq!(cluster.link(a, b).arrives(), Some(false));
}

#[test]
fn how_full_a_node_is_that_comes_back_is_not_told_before_the_others_told_how_much_there_is() {
    let mut cluster = open_cluster();
    cluster.learn_status(named("100"), &recovering("100", 5, 5));
    assert_eq!(cluster.filled(named("100")), None, "5 of its own 5 is not all");
    let other = NodeStatus { state: NodeState::Up, ..recovering("101", 20, 20) };
    let groups = other.groups.iter().map(|group| GroupStatus { role: Role::Leader, ..group.clone() }).collect();
    cluster.learn_status(named("101"), &NodeStatus { groups, ..other });
    assert_eq!(cluster.filled(named("100")), Some(0.25));
}

#[test]
fn an_edge_is_cut_both_ways_one_way_slow_or_idle() {
    let (a, b) = (named("100"), named("101"));
    let mut cluster = open_cluster();
    assert_eq!(cluster.edge_health(a, b), EdgeHealth::Up);
    cluster.learn_conditions(a, b, LinkConditions { delay_ms: 200, ..LinkConditions::PERFECT });
    assert_eq!(cluster.edge_health(a, b), EdgeHealth::Slow);
    cluster.learn_conditions(a, b, LinkConditions { cut: true, ..LinkConditions::PERFECT });
    assert_eq!(cluster.edge_health(a, b), EdgeHealth::OneWay { from: b, to: a });
    assert_eq!(cluster.edge_health(b, a), EdgeHealth::OneWay { from: b, to: a });
    cluster.learn_conditions(b, a, LinkConditions { cut: true, ..LinkConditions::PERFECT });
    assert_eq!(cluster.edge_health(a, b), EdgeHealth::Cut);
    cluster.learn_conditions(a, b, LinkConditions::PERFECT);
    cluster.learn_conditions(b, a, LinkConditions::PERFECT);
    cluster.learn_state(a, a, NodeState::Failed);
    assert_eq!(cluster.edge_health(a, b), EdgeHealth::Idle);
}

#[test]
fn the_receiver_knows_best_whether_frames_arrive() {
    let (a, b) = (named("100"), named("101"));
    let mut cluster = open_cluster();
    cluster.learn_link(named("000"), a, b, false);
    assert_eq!(cluster.edge_health(a, b), EdgeHealth::Up);
    cluster.learn_link(b, a, b, false);
    assert_eq!(cluster.edge_health(a, b), EdgeHealth::OneWay { from: b, to: a });
}

#[test]
fn an_older_term_never_unseats_a_leader() {
    let group = named("100");
    let mut cluster = open_cluster();
    cluster.learn_leader(group, 4, Some(named("101")));
    cluster.learn_leader(group, 3, Some(named("100")));
    cluster.learn_leader(group, 4, None);
    assert_eq!(cluster.leader_of(group), Some(named("101")));
    cluster.learn_leader(group, 5, None);
    assert_eq!(cluster.leader_of(group), None);
    assert!(cluster.led_by(named("101")).is_empty());
}

#[test]
fn a_leader_that_crashed_leads_no_more_though_nobody_said_so() {
    let (group, leader) = (named("100"), named("100"));
    let mut cluster = open_cluster();
    cluster.learn_leader(group, 2, Some(leader));
    assert_eq!(cluster.acting_leader(group), Some(leader));
    cluster.learn_socket(leader, Socket::Closed);
    cluster.learn_state(named("101"), leader, NodeState::Up);
    assert_eq!(cluster.acting_leader(group), Some(leader), "only this page cannot reach it");
    cluster.learn_state(named("101"), leader, NodeState::Failed);
    assert_eq!(cluster.acting_leader(group), None);
}

#[test]
fn a_cube_has_its_edges_once() {
    assert_eq!(open_cluster().edges().len(), 12);
}

/// A healthy cluster, as one node reports it.
fn view() -> ClusterView {
    let dimension = Dimension::new(3).unwrap();
    let seating = Seating::founding(dimension);
    let node = |node: HostId| NodeView {
        node,
        address: "127.0.0.1:8000".into(),
        state: NodeState::Up,
        incarnation: 1,
        leads: seating.vertex_of(node).into_iter().collect(),
    };
    let links_of = |from| seating.neighbours(from).map(move |to| LinkView { from, to, up: true });
    let links = seating.hosts().flat_map(links_of).collect();
    ClusterView { dimension, nodes: seating.hosts().map(node).collect(), links }
}

/// The status of a node that is catching up in group 100.
fn recovering(node: &str, applied: u64, commit: u64) -> NodeStatus {
    let group = GroupStatus {
        home: named("100"),
        role: Role::Learner,
        term: 2,
        leader: None,
        usable: true,
        obstacle: None,
        voters_up: 1,
        voters_needed: 1,
        voters: vec![named("101")],
        learners: vec![named("100")],
        last_index: commit,
        commit_index: commit,
        applied_index: applied,
        log_entries: 0,
        log_bytes: 0,
        topics: 0,
        messages: 0,
    };
    NodeStatus {
        node: named(node),
        incarnation: 1,
        state: NodeState::Recovering,
        version: String::new(),
        sync: String::new(),
        uptime_ms: 0,
        faults_allowed: true,
        storage: Default::default(),
        groups: vec![group],
        links: Vec::new(),
        counters: Counters::default(),
    }
}
