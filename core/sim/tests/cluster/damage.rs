//! Data altered on a disk or an edge is detected, reported once, and restored from the other members.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, StartAt};
use cubecast_core::records::{EntryKind, LogEntry};
use cubecast_core::store::Write;
use cubecast_core::wire::answer::{Counters, Done, EndReason, ServerFrame};
use cubecast_core::wire::client::{self, Ack, Action, Admin, Read, ReadLevel};
use cubecast_core::wire::event::Event;
use cubecast_sim::{Cluster, ClusterConfig, Damage, EdgeConditions, Lost};

use super::support::*;

const MESSAGES: u64 = 40;

/// A cluster with messages, with recorded events.
fn filled(seed: u64) -> Cluster {
    let config = ClusterConfig { keep_events: true, ..ClusterConfig::new(Dimension::new(3).unwrap(), seed) };
    let mut cluster = prepared(Cluster::with(config));
    for number in 0..MESSAGES {
        cluster.must(host("011"), publish(&format!("m{number}"), Ack::All, None)).unwrap();
    }
    cluster.take_events();
    cluster
}

/// Damages every row of messages of a running node.
fn damage_all_messages(cluster: &mut Cluster, node: HostId) {
    for _ in 0..MESSAGES {
        cluster.damage_disk(node, Damage::Messages);
    }
    assert!(cluster.disk(node).has_bad_row());
}

fn counters(cluster: &mut Cluster, node: HostId) -> Counters {
    match cluster.must(node, Action::Admin(Admin::Status { node: None })) {
        Ok(Done::Status(status)) => status.counters,
        other => panic!("not a status: {other:?}"),
    }
}

fn warnings(cluster: &mut Cluster, node: HostId) -> Vec<String> {
    let warning = |event| match event {
        Event::Warning { text } => Some(text),
        _ => None,
    };
    cluster.take_events().into_iter().filter(|told| told.node == node).filter_map(|told| warning(told.event)).collect()
}

fn all_contents() -> Vec<String> {
    (0..MESSAGES).map(|number| format!("m{number}")).collect()
}

#[test]
fn damaged_messages_are_read_from_another_member_and_written_anew() {
    let (home, replica) = (host("100"), host("101"));
    let own = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 100,
        from: Some(Offset(0)),
    });
    let leader = || pull(ReadLevel::Leader, false);
    for (damaged, asked, read) in [
        (home, host("011"), leader()),
        (home, home, leader()),
        (home, home, pull(ReadLevel::Any, false)),
        (replica, replica, pull(ReadLevel::Any, false)),
        (replica, replica, own),
    ] {
        let mut cluster = filled(3);
        damage_all_messages(&mut cluster, damaged);
        let began = cluster.now();
        for _ in 0..20 {
            assert_eq!(contents(cluster.must(asked, read.clone())), all_contents(), "{read:?}");
        }
        assert!(cluster.now().since(began) < Duration::from_secs(1), "nobody waited for a failover");
        cluster.run_for(Duration::from_secs(1));
        assert!(!cluster.disk(damaged).has_bad_row(), "{read:?}");
        let Counters { damaged: found, repaired, .. } = counters(&mut cluster, damaged);
        assert_eq!((found > 0, repaired), (true, found));
        let told = warnings(&mut cluster, damaged);
        assert!(told.len() <= 2 * found as usize, "{told:?}");
        assert!(told[0].contains("of topic `news` are damaged on the disk"), "{told:?}");
        assert!(told.iter().any(|text| text.contains("are repaired on node")), "{told:?}");
    }
}

#[test]
fn a_push_from_before_the_damage_goes_on_behind_it() {
    for (damaged, at) in [("100", "100"), ("101", "101"), ("100", "011"), ("101", "011")] {
        let mut cluster = filled(4);
        damage_all_messages(&mut cluster, host(damaged));
        let client = cluster.connect_client(host(at));
        let from = Some(StartAt::Beginning);
        cluster.send(
            client,
            Action::Write(client::Write::Subscribe { subscriber: subscriber(), topic: topic(NEWS), from, push: true }),
        );
        let mut pushed = Vec::new();
        let all = cluster.run_until(Duration::from_secs(10), |cluster| {
            pushed.extend(cluster.frames(client).into_iter().filter_map(|frame| match frame {
                ServerFrame::Message(delivery) => Some(delivery.message.content.as_str().to_owned()),
                _ => None,
            }));
            pushed.len() as u64 == MESSAGES
        });
        assert!(all, "{damaged} is damaged, pushed at {at}: {pushed:?}");
        assert_eq!(pushed, all_contents());
    }
}

#[test]
fn subscribers_are_told_when_no_member_has_the_messages_and_go_on_when_one_has() {
    let mut cluster = filled(5);
    let home = host("100");
    let others = ["101", "110", "000"].map(host);
    damage_all_messages(&mut cluster, home);
    others.iter().for_each(|other| cluster.kill(*other));
    cluster.run_for(Duration::from_secs(1));
    let read = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 100,
        from: Some(Offset(0)),
    });
    let failure = cluster.must(home, read.clone()).unwrap_err();
    assert!(failure.message.contains("of topic `news` are damaged on node 100"), "{failure}");
    let told = warnings(&mut cluster, home);
    let about_it = told.iter().filter(|text| text.contains("topic `news`")).count();
    assert!(about_it <= 2, "told when it was found, and when it could not be mended: {told:?}");
    // With two more members a majority determines the committed entries.
    cluster.start(others[0]);
    cluster.start(others[1]);
    let read_again = cluster.run_until(Duration::from_secs(30), |cluster| {
        cluster.run_for(Duration::from_millis(200));
        cluster.must(home, read.clone()).is_ok_and(|done| contents(Ok(done)).len() as u64 == MESSAGES)
    });
    assert!(read_again, "it is repaired once other members are back");
}

#[test]
fn an_answer_that_ends_before_lost_messages_says_where_the_topic_ends() {
    let mut cluster = filled(7);
    let home = host("100");
    cluster.damage_disk(home, Damage::Messages);
    for member in ["101", "110", "000"] {
        damage_all_messages(&mut cluster, host(member));
    }
    let Ok(Done::Pulled { messages, cursor, end, .. }) = cluster.must(home, pull(ReadLevel::Leader, true)) else {
        panic!("what comes before the loss is not given");
    };
    assert_eq!((messages.len() as u64, end), (cursor.0, Offset(MESSAGES)));
    assert!((1..MESSAGES).contains(&cursor.0), "the damaged message is neither the first nor gone: {cursor}");
    let failure = cluster.must(home, pull(ReadLevel::Leader, true)).unwrap_err();
    let lost = format!("messages {cursor} to {cursor} of topic `news` are damaged on node 100");
    assert!(failure.message.contains(&lost), "{failure}");
}

#[test]
fn a_push_ends_with_a_reason_when_every_member_lost_the_messages() {
    for at in ["100", "011"] {
        let mut cluster = filled(6);
        for member in ["100", "101", "110", "000"] {
            damage_all_messages(&mut cluster, host(member));
        }
        let client = cluster.connect_client(host(at));
        let from = Some(StartAt::Beginning);
        cluster.send(
            client,
            Action::Write(client::Write::Subscribe { subscriber: subscriber(), topic: topic(NEWS), from, push: true }),
        );
        let mut ends = Vec::new();
        cluster.run_until(Duration::from_secs(40), |cluster| {
            ends.extend(cluster.frames(client).into_iter().filter_map(|frame| match frame {
                ServerFrame::SubscriptionEnded(ended) => Some(ended.reason),
                ServerFrame::Message(delivery) => panic!("what is damaged is shown: {delivery:?}"),
                _ => None,
            }));
            !ends.is_empty()
        });
        assert_eq!(ends, [EndReason::Unreadable], "at {at}");
    }
}

#[test]
fn a_lost_commit_marker_with_lost_journals_costs_nothing_that_was_acknowledged() {
    let mut cluster = cluster(7);
    let [away_for_long, away_for_a_moment, spoilt, last] = ["101", "110", "000", "100"].map(host);
    cluster.kill(away_for_long);
    // By then it has lost its vote.
    cluster.run_for(Duration::from_secs(8));
    cluster.kill(away_for_a_moment);
    for number in 0..5 {
        cluster.must(host("011"), publish(&format!("m{number}"), Ack::Quorum, None)).unwrap();
    }
    cluster.kill(spoilt);
    cluster.kill(last);
    cluster.lose_files(spoilt, Lost { commit_marker: true, journals: true });
    cluster.start(spoilt);
    cluster.start(away_for_a_moment);
    cluster.run_for(Duration::from_secs(10));
    let read = cluster.must(host("011"), pull(ReadLevel::Leader, false));
    assert!(read.is_err(), "one that is behind and one that forgot are no majority: {read:?}");
    cluster.start(last);
    cluster.start(away_for_long);
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, host("011"))));
    let expected: Vec<String> = (0..5).map(|number| format!("m{number}")).collect();
    assert_eq!(contents(cluster.must(host("011"), pull(ReadLevel::Leader, false))), expected);
}

#[test]
fn an_entry_that_makes_no_sense_is_cut_and_its_node_refills_as_a_new_member() {
    let mut cluster = filled(8);
    let damaged = host("101");
    let home = group("100");
    let member = cluster.node(damaged).unwrap().group(home).unwrap();
    let (index, term) = (member.last_index(), member.term());
    cluster.kill(damaged);
    let nonsense = LogEntry { index, term, kind: EntryKind::Commands, data: vec![9; 40].into() };
    cluster.write_to_disk(damaged, &[Write::Append { group: home, entries: vec![nonsense] }]);
    cluster.start(damaged);
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, host("011"))));
    let told = warnings(&mut cluster, damaged);
    let about_it = told.iter().filter(|text| text.contains("the data folder of node 101")).collect::<Vec<_>>();
    assert_eq!(about_it.len(), 1, "{told:?}");
    assert!(about_it[0].contains(&format!("log entry {index} of group 100")), "{about_it:?}");
    let Ok(Done::Status(status)) = cluster.must(damaged, Action::Admin(Admin::Status { node: None })) else { panic!() };
    assert!(status.incarnation > 1, "it came back as somebody new");
    let own = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 100,
        from: Some(Offset(0)),
    });
    assert_eq!(contents(cluster.must(damaged, own)), all_contents());
}

#[test]
fn a_frame_that_is_altered_on_its_way_is_dropped_counted_told_once_and_sent_again() {
    let mut cluster = filled(9);
    let (home, replica) = (host("100"), host("101"));
    let altering = EdgeConditions { altering: 0.2, ..EdgeConditions::default() };
    cluster.set_edge(home, replica, Some(altering));
    for number in MESSAGES..MESSAGES + 40 {
        cluster.must(host("011"), publish(&format!("m{number}"), Ack::Quorum, None)).unwrap();
    }
    assert!(cluster.frame_counts().altered > 0);
    let altered = counters(&mut cluster, replica).frames_altered;
    assert_eq!(altered, cluster.frame_counts().altered, "each is counted where it arrived");
    let told = warnings(&mut cluster, replica);
    assert_eq!(told.iter().filter(|text| text.contains("was altered in transit")).count(), 1, "{told:?}");
    cluster.set_edge(home, replica, None);
    let expected: Vec<String> = (0..MESSAGES + 40).map(|number| format!("m{number}")).collect();
    let own = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 1_000,
        from: Some(Offset(0)),
    });
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| {
        cluster.run_for(Duration::from_millis(200));
        cluster.must(replica, own.clone()).is_ok_and(|done| contents(Ok(done)) == expected)
    }));
}
