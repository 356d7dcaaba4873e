//! Nodes fail, lose their disks, and return.

use std::collections::BTreeSet;
use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::faults::StopMode;
use cubecast_core::names::Offset;
use cubecast_core::store::rows::RowKey;
use cubecast_core::wire::answer::{Done, ErrorCode};
use cubecast_core::wire::client::{Ack, Action, Admin, Read, ReadLevel};
use cubecast_core::wire::event::Event;
use cubecast_sim::{Cluster, ClusterConfig, Damage};

use super::support::*;

#[test]
fn a_killed_home_is_replaced_and_leads_again_when_it_is_back() {
    let mut cluster = cluster(5);
    cluster.must(host("001"), publish("before", Ack::Quorum, None)).unwrap();
    cluster.kill(host("100"));
    let began = cluster.now();
    cluster.must(host("001"), publish("meanwhile", Ack::Quorum, None)).unwrap();
    let outage = cluster.now().since(began);
    assert!(outage < Duration::from_secs(1), "publishing went on after {outage:?} of virtual time");
    cluster.start(host("100"));
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, host("001"))));
    let replica = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 10,
        from: Some(Offset(0)),
    });
    assert_eq!(contents(cluster.must(host("100"), replica)), ["before", "meanwhile"]);
}

#[test]
fn a_wiped_home_refills_from_its_neighbours_before_it_leads() {
    let mut cluster = cluster(6);
    for i in 0..20 {
        cluster.must(host("001"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
    }
    let stop = Action::Admin(Admin::StopNode { node: None, mode: StopMode::Wipe, duration_ms: 1000 });
    cluster.must(host("100"), stop).unwrap();
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| {
        cluster.now().since(cubecast_core::time::Instant(0)) > Duration::from_secs(8)
            && led_by_homes(cluster, host("001"))
    }));
    let replica = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 100,
        from: Some(Offset(0)),
    });
    assert_eq!(contents(cluster.must(host("100"), replica)).len(), 20);
}

#[test]
fn a_wiped_node_is_filled_as_soon_as_it_is_back() {
    let (dimension, wiped) = (Dimension::new(3).unwrap(), host("100"));
    let mut cluster = Cluster::with(ClusterConfig { keep_events: true, ..ClusterConfig::new(dimension, 5) });
    cluster.run_for(Duration::from_secs(5));
    cluster.kill(wiped);
    cluster.wipe(wiped);
    cluster.take_events();
    cluster.start(wiped);
    // Its own group must elect a leader first.
    cluster.run_for(Duration::from_millis(20));
    let filled = cluster.take_events().into_iter().filter_map(|told| match told.event {
        Event::CaughtUp { group, .. } => Some(group),
        _ => None,
    });
    assert_eq!(filled.collect::<BTreeSet<_>>(), BTreeSet::from(["000", "101", "110"].map(vertex)));
}

#[test]
fn a_lost_disk_is_noticed_by_those_who_met_it() {
    let mut cluster = cluster(7);
    cluster.must(host("001"), publish("kept", Ack::Quorum, None)).unwrap();
    cluster.kill(host("100"));
    cluster.wipe(host("100"));
    cluster.run_for(Duration::from_secs(1));
    cluster.start(host("100"));
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, host("001"))));
    let Ok(Done::Status(status)) = cluster.must(host("100"), Action::Admin(Admin::Status { node: None })) else {
        panic!()
    };
    assert!(status.incarnation > 1, "it came back as somebody new");
    assert_eq!(contents(cluster.must(host("010"), pull(ReadLevel::Leader, false))), ["kept"]);
}

#[test]
fn a_member_is_filled_though_the_leaders_disk_is_damaged() {
    let mut cluster = cluster(8);
    let (home, wiped) = (host("100"), host("110"));
    // So many that a checkpoint replaces the log entries of the first ones.
    for i in 0..50 {
        cluster.must(host("001"), publish(&format!("{i} {}", "x".repeat(50_000)), Ack::Quorum, None)).unwrap();
    }
    let number = cluster.node(home).unwrap().group(group("100")).unwrap().topics().topic(&topic(NEWS)).unwrap().id;
    for node in [home, wiped] {
        cluster.kill(node);
        if node == wiped {
            cluster.wipe(node);
        } else {
            cluster.damage_disk(node, Damage::Row(RowKey::Messages(group("100").code(), number.0, 3)));
        }
        cluster.run_for(Duration::from_secs(1));
        cluster.start(node);
        assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, host("001"))));
    }
    let replica = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 100,
        from: Some(Offset(0)),
    });
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| {
        cluster.run_for(Duration::from_millis(100));
        cluster.must(wiped, replica.clone()).is_ok_and(|done| contents(Ok(done)).len() == 50)
    }));
    assert!(!cluster.disk(home).has_bad_row(), "the leader has its message back from another member");
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, host("001"))));
}

#[test]
fn a_node_that_fails_while_it_joins_goes_on_joining() {
    for mode in [StopMode::Pause, StopMode::Crash, StopMode::Wipe] {
        let mut cluster = Cluster::new(Dimension::new(3).unwrap(), 13);
        cluster.run_for(Duration::ZERO);
        // All other nodes wait for this one, so none of them has an identity yet.
        cluster.kill(host("111"));
        cluster.run_for(Duration::from_secs(1));
        cluster.must(host("010"), Action::Admin(Admin::StopNode { node: None, mode, duration_ms: 300 })).unwrap();
        cluster.run_for(Duration::from_secs(1));
        cluster.start(host("111"));
        assert!(
            cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, host("011"))),
            "after {mode:?}"
        );
        let Ok(Done::Status(status)) = cluster.must(host("010"), Action::Admin(Admin::Status { node: None })) else {
            panic!()
        };
        assert_eq!(status.incarnation, 1, "after {mode:?} it is a founding member: nobody ever met it");
    }
}

#[test]
fn a_replica_that_is_catching_up_does_not_deny_what_exists() {
    let mut cluster = cluster(18);
    cluster.must(host("001"), publish("there", Ack::All, None)).unwrap();
    cluster
        .must(host("100"), Action::Admin(Admin::StopNode { node: None, mode: StopMode::Wipe, duration_ms: 200 }))
        .unwrap();
    for _ in 0..60 {
        cluster.run_for(Duration::from_millis(25));
        // At 100 itself, and at 010, which would ask 100 first.
        for at in ["100", "010"].map(host) {
            match cluster.must(at, pull(ReadLevel::Any, false)) {
                Ok(done) => assert_eq!(contents(Ok(done)), ["there"], "at {at}"),
                Err(failure) => assert!(failure.code.is_transient(), "at {at}: {failure:?}"),
            }
        }
    }
}

#[test]
fn with_two_of_four_down_reads_go_on_and_one_waits_in_the_outbox() {
    let mut cluster = cluster(8);
    cluster.must(host("011"), publish("first", Ack::All, None)).unwrap();
    cluster.kill(host("100"));
    cluster.kill(host("101"));
    assert_eq!(contents(cluster.must(host("010"), pull(ReadLevel::Any, false))), ["first"]);
    assert_eq!(code(cluster.must(host("010"), publish("no quorum", Ack::Quorum, Some(1)))), ErrorCode::Unavailable);
    let done = cluster.must(host("010"), publish("later", Ack::One, Some(2))).unwrap();
    assert!(matches!(done, Done::Published { offset: None, .. }), "{done:?}");
    cluster.start(host("100"));
    cluster.start(host("101"));
    let arrived = cluster.run_until(Duration::from_secs(20), |cluster| {
        cluster.run_for(Duration::from_millis(100));
        cluster
            .ask(host("010"), pull(ReadLevel::Leader, false), Duration::from_secs(10))
            .is_some_and(|answer| answer.result.is_ok_and(|done| contents(Ok(done)) == ["first", "later"]))
    });
    assert!(arrived, "what was acknowledged with `one` is in the log, once");
    cluster.run_for(Duration::from_secs(5));
    assert_eq!(contents(cluster.must(host("010"), pull(ReadLevel::Leader, false))), ["first", "later"]);
}

#[test]
fn everything_survives_the_death_of_all() {
    let mut cluster = cluster(9);
    for i in 0..50 {
        cluster.must(host("001"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
    }
    for node in cluster.nodes() {
        cluster.kill(node);
    }
    for node in cluster.nodes() {
        cluster.start(node);
    }
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, host("011"))));
    assert_eq!(contents(cluster.must(host("011"), pull(ReadLevel::Leader, false))).len(), 50);
}

#[test]
fn an_empty_disk_does_not_count_as_the_vote_that_was_lost_with_it() {
    let mut cluster = cluster(24);
    let wiped = host("110");
    cluster.kill(host("101"));
    cluster.kill(wiped);
    cluster.wipe(wiped);
    cluster.start(wiped);
    // It is visible again before the leader has detected the loss of its majority.
    cluster.run_for(Duration::from_millis(100));
    let failure = cluster.must(host("100"), publish("no majority", Ack::Quorum, None)).unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unavailable, "{failure}");
}

#[test]
fn a_voter_that_is_stuck_holds_up_a_change_of_members_for_a_limited_time() {
    let mut cluster = Cluster::new(Dimension::new(4).unwrap(), 31);
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, host("0011"))));
    let [home, stuck, wiped] = ["0000", "0001", "0010"].map(host);
    let before = cluster.node(wiped).unwrap().identity().unwrap();
    cluster.slow_disk(stuck, Duration::from_secs(600));
    cluster.kill(wiped);
    cluster.wipe(wiped);
    cluster.start(wiped);
    let votes_again = cluster.run_until(Duration::from_secs(30), |cluster| {
        cluster.run_for(Duration::from_millis(100));
        let now = cluster.node(wiped).unwrap().identity().filter(|now| *now != before);
        let voters = cluster.node(home).unwrap().group(group("0000")).unwrap().voters();
        now.is_some_and(|now| voters.contains(&now)) && !voters.contains(&before)
    });
    assert!(votes_again, "{:?}", cluster.node(home).unwrap().group(group("0000")).unwrap().voters());
    assert!(cluster.node(home).unwrap().sees(stuck), "the one that is stuck was there all the time");
}
