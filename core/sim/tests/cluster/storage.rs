//! Full disks: publishes are refused, all other operations continue, and publishes resume without intervention.

use std::time::Duration;

use cubecast_core::names::Offset;
use cubecast_core::states::StorageState;
use cubecast_core::wire::answer::{ErrorCode, Failure};
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};
use cubecast_sim::{Cluster, RESERVE};

use super::support::*;

/// The replicas of `news`, home first.
const HOLDERS: [&str; 4] = ["100", "101", "110", "000"];

fn limit(cluster: &mut Cluster, nodes: &[&str], left: Option<u64>) {
    nodes.iter().for_each(|node| cluster.limit_disk(host(node), left));
    cluster.run_for(Duration::from_millis(500));
}

/// Publishes until a publish is refused. Returns the number of stored ones and the refusal.
fn publish_until_refused(cluster: &mut Cluster, bytes: usize) -> (usize, Failure) {
    for stored in 0..1000 {
        match cluster.must(host("001"), publish(&"x".repeat(bytes), Ack::Quorum, None)) {
            Ok(_) => {}
            Err(failure) => return (stored, failure),
        }
    }
    panic!("a thousand publishes are more than the disks have room for");
}

fn stored(cluster: &mut Cluster) -> usize {
    contents(cluster.must(host("001"), pull(ReadLevel::Leader, false))).len()
}

fn state(cluster: &Cluster, node: &str) -> StorageState {
    cluster.node(host(node)).expect("it runs").storage_state()
}

#[test]
fn full_disks_refuse_publishes_by_name_and_deletion_makes_room_for_new_ones() {
    let mut cluster = cluster(31);
    limit(&mut cluster, &HOLDERS, Some(4 * RESERVE));
    let (count, failure) = publish_until_refused(&mut cluster, 4_000);
    assert_eq!(failure.code, ErrorCode::StorageFull, "{failure}");
    assert!(count > 3, "{count} publishes found room");
    for words in ["node", "100", "Delete topics", "free space"] {
        assert!(failure.message.contains(words), "{failure}");
    }
    for ack in [Ack::One, Ack::All] {
        assert_eq!(code(cluster.must(host("010"), publish("no", ack, None))), ErrorCode::StorageFull);
    }

    assert_eq!(stored(&mut cluster), count, "what was acknowledged is there, and nothing else");
    let commit = Action::Write(Write::Commit { subscriber: subscriber(), topic: topic(NEWS), offset: Offset(1) });
    cluster.must(host("001"), commit).expect("small things go on out of the reserve");

    let delete = Action::Write(Write::DeleteTopic { publisher: publisher(), topic: topic(NEWS) });
    cluster.must(host("001"), delete).expect("deletions go on");
    let create = Action::Write(Write::CreateTopic { publisher: publisher(), topic: topic(NEWS) });
    cluster.must(host("001"), create).unwrap();
    let again = cluster.run_until(Duration::from_secs(10), |cluster| {
        cluster.run_for(Duration::from_millis(200));
        cluster.must(host("001"), publish("again", Ack::All, None)).is_ok()
    });
    assert!(again, "what deletion frees can be used again: {:?}", HOLDERS.map(|node| state(&cluster, node)));
    assert_eq!(cluster.disk_mishaps(), []);
}

#[test]
fn one_full_member_among_four_stops_nobody_and_catches_up_once_it_has_room() {
    for full in ["100", "101"] {
        let mut cluster = cluster(32);
        limit(&mut cluster, &[full], Some(0));
        assert_ne!(state(&cluster, full), StorageState::Ok);
        for number in 0..20 {
            let content = format!("{number}{}", "x".repeat(20_000));
            cluster.must(host("001"), publish(&content, Ack::Quorum, None)).expect("three of four have room");
        }
        let failure = cluster.must(host("001"), publish("for all", Ack::All, None)).unwrap_err();
        assert!(failure.code == ErrorCode::StorageFull && failure.message.contains(full), "{failure}");
        assert!(cluster.node(host(full)).is_some(), "it runs on");
        assert_eq!(stored(&mut cluster), 20);

        limit(&mut cluster, &[full], None);
        let all = cluster.run_until(Duration::from_secs(20), |cluster| {
            cluster.run_for(Duration::from_millis(200));
            cluster.must(host("001"), publish("for all again", Ack::All, None)).is_ok()
        });
        assert!(all && led_by_homes(&mut cluster, host("001")), "{full} is back as it was");
        let replica = Action::Read(Read::ReplicaPull {
            subscriber: subscriber(),
            topic: topic(NEWS),
            max: 100,
            from: Some(Offset(0)),
        });
        assert_eq!(contents(cluster.must(host(full), replica)).len(), 21);
    }
}

#[test]
fn nodes_whose_disks_others_filled_start_vote_and_read_and_come_back_when_there_is_room() {
    let mut cluster = cluster(33);
    cluster.must(host("001"), publish("before", Ack::All, None)).unwrap();
    let everywhere: Vec<String> = cluster.nodes().map(|node| node.to_string()).collect();
    let everywhere: Vec<&str> = everywhere.iter().map(String::as_str).collect();
    limit(&mut cluster, &everywhere, Some(0));
    assert_eq!(code(cluster.must(host("001"), publish("no", Ack::Quorum, None))), ErrorCode::StorageFull);
    cluster.kill(host("100"));
    cluster.run_for(Duration::from_secs(2));
    assert_eq!(stored(&mut cluster), 1, "another leads, so the others voted");
    cluster.start(host("100"));
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, host("001"))));
    assert_eq!(code(cluster.must(host("001"), publish("no", Ack::Quorum, None))), ErrorCode::StorageFull);

    limit(&mut cluster, &everywhere, None);
    cluster.must(host("001"), publish("after", Ack::All, None)).unwrap();
    assert_eq!(contents(cluster.must(host("001"), pull(ReadLevel::Leader, false))), ["before", "after"]);
    assert_eq!(cluster.disk_mishaps(), []);
}
