mod net;

use std::collections::BTreeMap;

use super::*;
use crate::bugs::Bugs;
use crate::cube::Dimension;
use crate::identity::{GroupId, HostId, Incarnation, Member};
use crate::route::Trail;
use crate::seating::Seating;
use crate::states::StorageState;
use crate::time::Timestamp;
use crate::wire::event::{DropReason, FrameKind};
use crate::wire::peer::Body;
use net::{Net, arrival, body, dropped, group, host};

const WAY: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_millis(20);

#[test]
fn after_connecting_everyone_sees_everyone_within_a_few_frames() {
    let mut net = Net::connected(3, 1);
    net.run(SOON);
    net.assert_all_see(&net.all());
    assert!(net.node("000").links().iter().all(|link| link.up));
    assert_eq!(net.node("000").links().len(), 24);
}

#[test]
fn a_death_is_known_to_all_as_fast_as_frames_travel() {
    let mut net = Net::settled(3, 2);
    net.seen.clear();
    net.kill("101");
    net.run(WAY * 4);
    let others: Vec<_> = net.all().into_iter().filter(|&v| v != host("101")).collect();
    net.assert_all_see(&others);
    assert_eq!(net.node("000").state_of(host("101")), NodeState::Failed);
    for other in others {
        assert_eq!(net.seen[&other], [(host("101"), false)], "seen by {other}");
    }
}

#[test]
fn two_neighbours_that_die_together_are_both_dead() {
    let mut net = Net::settled(3, 3);
    net.kill("110");
    net.kill("111");
    net.run(SOON);
    let left: Vec<_> = net.all().into_iter().filter(|v| !["110", "111"].contains(&v.to_string().as_str())).collect();
    net.assert_all_see(&left);
}

#[test]
fn one_that_returns_is_seen_again_with_its_new_incarnation() {
    let mut net = Net::settled(3, 4);
    net.kill("101");
    net.run(SOON);
    net.start("101", Incarnation(7));
    net.run(SOON);
    net.assert_all_see(&net.all());
    assert_eq!(net.node("010").incarnation_of(host("101")), Some(Incarnation(7)));
}

#[test]
fn one_whose_clock_was_set_back_is_believed_all_the_same() {
    let mut net = Net::settled(3, 5);
    net.kill("101");
    net.run(SOON);
    net.wall_offset_us = 10;
    net.start("101", Incarnation(7));
    net.run(SOON);
    net.assert_all_see(&net.all());
    assert_eq!(net.node("010").incarnation_of(host("101")), Some(Incarnation(7)));
}

#[test]
fn packets_go_along_the_shortest_path_lowest_bit_first() {
    let mut net = Net::settled(3, 6);
    net.send("000", "111", 1);
    net.run(SOON);
    assert_eq!(net.delivered, [arrival("111", 1, &["000", "001", "011"])]);
    net.send("010", "010", 2);
    assert_eq!(net.delivered[1], arrival("010", 2, &[]));
}

#[test]
fn an_edge_cut_one_way_is_avoided_in_that_direction_only() {
    let mut net = Net::settled(3, 7);
    net.set_link("000", "001", LinkConditions { cut: true, ..LinkConditions::PERFECT });
    net.send("000", "001", 1);
    net.run(Duration::from_secs(1));
    assert_eq!(net.delivered, [], "swallowed before the cut was noticed");
    assert!(net.events.contains(&dropped("001", FrameKind::Overlay, DropReason::Cut)));

    net.assert_all_see(&net.all());
    net.send("000", "001", 2);
    net.send("001", "000", 3);
    net.run(SOON);
    assert_eq!(net.delivered, [arrival("000", 3, &["001"]), arrival("001", 2, &["000", "010", "011"])]);
    let (out, back) = (net.node("000").link_statuses()[0].clone(), net.node("001").link_statuses()[0].clone());
    assert_eq!((out.hears, out.heard, back.hears, back.heard), (true, false, false, true));
    assert!(net.node("111").links().iter().all(|link| link.up != (link.from == host("000") && link.to == host("001"))));

    net.set_link("000", "001", LinkConditions::PERFECT);
    net.run(PING_EVERY + SOON);
    net.send("000", "001", 4);
    net.run(SOON);
    assert_eq!(net.delivered[2], arrival("001", 4, &["000"]));
}

#[test]
fn a_node_that_nobody_hears_is_dead_to_all_until_it_is_heard() {
    let mut net = Net::settled(3, 8);
    for other in ["001", "010", "100"] {
        net.set_link("000", other, LinkConditions { cut: true, ..LinkConditions::PERFECT });
    }
    net.run(Duration::from_secs(1));
    assert!(!net.node("111").is_alive(host("000")));
    assert_eq!(net.node("000").incarnation_of(host("111")), Some(Incarnation::FOUNDING));
    assert!(!net.node("000").is_alive(host("111")), "no path leads out, so nothing is in reach");
    net.set_link("000", "010", LinkConditions::PERFECT);
    net.run(Duration::from_secs(1));
    net.assert_all_see(&net.all());
}

#[test]
fn a_cut_through_the_middle_makes_two_halves_that_find_each_other_again() {
    let mut net = Net::settled(3, 9);
    let edges = ["00", "01", "10", "11"].map(|rest| (format!("0{rest}"), format!("1{rest}")));
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    for (low, high) in &edges {
        net.set_link(low, high, cut);
        net.set_link(high, low, cut);
    }
    net.run(Duration::from_secs(2));
    for node in net.all() {
        let half: Vec<_> = net.all().into_iter().filter(|other| other.number() >> 2 == node.number() >> 2).collect();
        assert_eq!(net.seen_by(node), half);
    }
    net.set_self("000", NodeState::Up, vec![(group("001"), 9)]);
    for (low, high) in &edges {
        net.set_link(low, high, LinkConditions::PERFECT);
        net.set_link(high, low, LinkConditions::PERFECT);
    }
    net.run(Duration::from_secs(1));
    net.assert_all_see(&net.all());
    assert_eq!(net.node("111").leader_of(group("001")), Some(host("000")), "what was missed is made up for");
}

#[test]
fn one_who_cannot_tell_that_it_lacks_something_gets_it_all_the_same() {
    // 01 hears only 00, which does not hear it.
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    let mut net = Net::settled(2, 17);
    net.set_link("11", "01", cut);
    net.set_link("01", "00", cut);
    net.run(Duration::from_secs(1));
    net.set_link("00", "01", cut);
    net.set_self("10", NodeState::Up, vec![(group("10"), 5)]);
    net.run(SOON);
    net.set_link("00", "01", LinkConditions::PERFECT);
    net.run(SOON);
    assert_eq!(net.node("01").leader_of(group("10")), None);
    net.run(REFRESH_EVERY * 2);
    assert_eq!(net.node("01").leader_of(group("10")), Some(host("10")));
}

#[test]
fn with_a_fifth_of_all_frames_lost_everyone_still_learns_everything() {
    for seed in 0..20 {
        let mut net = Net::connected(3, seed);
        net.set_all_links(LinkConditions { loss: 0.2, ..LinkConditions::PERFECT });
        net.run(Duration::from_secs(5));
        net.set_self("011", NodeState::Up, vec![(group("011"), 3)]);
        net.kill("101");
        net.run(Duration::from_secs(5));
        // An edge can happen to carry no frames; a host cannot.
        let others: Vec<_> = net.all().into_iter().filter(|&v| v != host("101")).collect();
        net.assert_all_see(&others);
        for &other in &others {
            assert_eq!(net.nodes[&other].leader_of(group("011")), Some(host("011")), "seed {seed}");
        }
    }
}

#[test]
fn packets_under_delay_jitter_arrive_in_order() {
    let mut net = Net::settled(1, 10);
    net.set_link("0", "1", LinkConditions { delay_ms: 10, jitter_ms: 40, ..LinkConditions::PERFECT });
    for number in 0..200 {
        net.send("0", "1", number);
        net.run(WAY);
    }
    net.run(Duration::from_secs(1));
    let arrived: Vec<_> = net.delivered.iter().map(|arrival| arrival.number).collect();
    assert_eq!(arrived, (0..200).collect::<Vec<_>>());
    let round_trip = net.node("0").link_statuses()[0].round_trip_us.unwrap();
    assert!((12_000..=52_000).contains(&round_trip), "{round_trip} µs");
}

#[test]
fn the_leader_is_the_living_claimant_of_the_highest_term() {
    let mut net = Net::settled(3, 11);
    let led = group("100");
    net.set_self("100", NodeState::Up, vec![(led, 2)]);
    net.set_self("110", NodeState::Up, vec![(led, 3)]);
    net.set_self("011", NodeState::Up, vec![(led, 99)]);
    net.run(SOON);
    assert_eq!(net.node("001").leader_of(led), Some(host("110")), "011 is no member");
    net.kill("110");
    net.run(SOON);
    assert_eq!(net.node("001").leader_of(led), Some(host("100")));
    assert_eq!(net.node("001").leader_of(group("111")), None);
}

#[test]
fn what_is_for_the_dead_is_dropped_at_once_and_told() {
    let mut net = Net::settled(3, 12);
    net.kill("111");
    net.run(SOON);
    net.events.clear();
    net.send("000", "111", 1);
    assert_eq!(net.events, [dropped("111", FrameKind::Overlay, DropReason::NoRoute)]);
    assert_eq!(net.node("000").counters().dropped, 1);
}

#[test]
fn a_packet_on_its_way_when_the_graph_breaks_still_arrives() {
    let mut net = Net::settled(3, 13);
    net.send("000", "111", 1);
    net.run(WAY);
    // The packet is at 001 or on its way to 011, which dies now.
    net.kill("011");
    net.send("000", "111", 2);
    net.run(SOON);
    assert_eq!(
        net.delivered.iter().map(|arrival| arrival.number).collect::<Vec<_>>(),
        [2],
        "the first was in 011's arms"
    );
    assert_eq!(net.delivered[0].path.len(), 3);
}

#[test]
fn one_that_was_stopped_does_not_blame_its_neighbours() {
    let mut net = Net::settled(3, 14);
    net.now = net.now + Duration::from_secs(3);
    net.act(host("000"), |overlay, now| overlay.handle_deadline(now));
    assert!(net.node("000").link_statuses().iter().all(|link| link.hears));
    net.run(Duration::from_secs(1));
    assert_eq!(net.events, []);
}

#[test]
fn strange_frames_are_ignored() {
    let mut net = Net::settled(3, 15);
    let (now, overlay) = (net.clock(), net.nodes.get_mut(&host("000")).unwrap());
    let foreign = Packet { from: host("01"), to: host("10"), trail: Trail::default(), trace: None, body: body(1) };
    overlay.handle_frame(now, host("001"), PeerFrame::Packet(Box::new(foreign)));
    overlay.handle_frame(now, host("011"), PeerFrame::Ping { sent_us: 0, link_states_digest: 0 });
    overlay.handle_frame(now, host("01"), PeerFrame::Pong { sent_us: 0, held_us: 0 });
    overlay.handle_connected(now, host("111"));
    assert_eq!(overlay.poll_effect(), None);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut net = Net::connected(4, seed);
        net.set_all_links(LinkConditions { cut: false, delay_ms: 1, jitter_ms: 5, loss: 0.3 });
        net.run(Duration::from_secs(3));
        (net.events, net.nodes.values().map(Overlay::counters).collect::<Vec<_>>())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).1, run(6).1);
}

#[test]
fn a_larger_cube_with_broken_edges_delivers_between_all_that_are_alive() {
    let mut net = Net::connected(5, 16);
    net.run(SOON);
    let mut rng = fastrand::Rng::with_seed(16);
    for from in net.all() {
        for to in net.seating.neighbours(from).filter(|_| rng.u8(0..100) < 25).collect::<Vec<_>>() {
            net.set_link(&from.to_string(), &to.to_string(), LinkConditions { cut: true, ..LinkConditions::PERFECT });
        }
    }
    net.run(Duration::from_secs(4));
    let mut expected = 0;
    for (from, to) in net.all().into_iter().zip(net.all().into_iter().rev()) {
        if net.nodes[&from].is_alive(to) {
            expected += 1;
            net.send(&from.to_string(), &to.to_string(), 1);
        }
    }
    net.run(SOON);
    assert!(expected > 25, "{expected}");
    assert_eq!(net.delivered.len(), expected);
}

#[test]
fn whatever_broke_once_all_is_whole_everyone_sees_everyone_and_every_edge() {
    for seed in 0..20 {
        let mut net = Net::settled(3, seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..40 {
            net.break_or_mend_something(&mut rng);
            net.run(Duration::from_millis(rng.u64(0..300)));
        }
        for host in net.all().into_iter().filter(|host| !net.nodes.contains_key(host)).collect::<Vec<_>>() {
            net.start(&host.to_string(), Incarnation::FOUNDING);
        }
        net.set_all_links(LinkConditions::PERFECT);
        net.run(Duration::from_secs(1));
        net.assert_all_see(&net.all());
        for node in net.nodes.values() {
            assert!(node.links().iter().all(|link| link.up), "seed {seed}");
        }
    }
}
