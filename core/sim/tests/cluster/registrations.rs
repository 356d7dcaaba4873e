//! Deleted names, and too many new names.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::names::{PublisherId, SubscriberId};
use cubecast_core::placement;
use cubecast_core::wire::answer::{Done, ErrorCode, Failure};
use cubecast_core::wire::client::{Ack, Action, ReadLevel, Write};
use cubecast_sim::{Cluster, ClusterConfig};

use super::support::*;

/// Longer than nodes cache registrations.
const NOTICED: Duration = Duration::from_secs(11);

fn create() -> Action {
    Action::Write(Write::CreatePublisher { publisher: publisher() })
}

fn delete() -> Action {
    Action::Write(Write::DeletePublisher { publisher: publisher() })
}

fn existed(result: Result<Done, Failure>) -> bool {
    match result {
        Ok(Done::PublisherCreated { existed, .. } | Done::SubscriberCreated { existed, .. }) => existed,
        other => panic!("nothing was registered: {other:?}"),
    }
}

#[test]
fn a_deleted_publisher_publishes_no_more_until_it_is_created_again() {
    let mut cluster = cluster(20);
    let (here, there) = (host("011"), host("110"));
    cluster.must(there, publish("before", Ack::Quorum, None)).unwrap();
    assert!(matches!(cluster.must(here, delete()), Ok(Done::PublisherDeleted { .. })));
    assert_eq!(code(cluster.must(here, publish("x", Ack::Quorum, None))), ErrorCode::UnknownPublisher, "at once");
    cluster.run_for(NOTICED);
    for node in cluster.nodes() {
        assert_eq!(
            code(cluster.must(node, publish("x", Ack::One, None))),
            ErrorCode::UnknownPublisher,
            "through {node}"
        );
    }
    assert_eq!(code(cluster.must(there, delete())), ErrorCode::UnknownPublisher);
    assert_eq!(contents(cluster.must(here, pull(ReadLevel::Leader, false))), ["before"], "the topic stays");

    assert!(!existed(cluster.must(there, create())), "it is a new registration");
    cluster.must(here, publish("after", Ack::Quorum, None)).unwrap();
    let owns = Action::Write(Write::DeleteTopic { publisher: publisher(), topic: topic(NEWS) });
    assert!(cluster.must(here, owns).is_ok(), "the topic is still its own");
}

#[test]
fn a_deleted_subscriber_finds_its_subscription_again() {
    let mut cluster = cluster(21);
    let at = host("011");
    for content in ["a", "b"] {
        cluster.must(at, publish(content, Ack::Quorum, None)).unwrap();
    }
    assert_eq!(contents(cluster.must(at, pull(ReadLevel::Leader, true))), ["a", "b"]);
    cluster.must(at, Action::Write(Write::DeleteSubscriber { subscriber: subscriber() })).unwrap();
    assert_eq!(code(cluster.must(at, pull(ReadLevel::Leader, true))), ErrorCode::UnknownSubscriber);
    let unknown = Action::Write(Write::DeleteSubscriber { subscriber: subscriber() });
    assert_eq!(code(cluster.must(at, unknown)), ErrorCode::UnknownSubscriber);
    cluster.must(at, publish("c", Ack::Quorum, None)).unwrap();
    assert!(!existed(cluster.must(at, Action::Write(Write::CreateSubscriber { subscriber: subscriber() }))));
    assert_eq!(contents(cluster.must(at, pull(ReadLevel::Leader, true))), ["c"]);
}

#[test]
fn deletions_survive_a_restart_of_everybody() {
    let mut cluster = cluster(22);
    let at = host("011");
    cluster.must(at, delete()).unwrap();
    cluster.must(at, Action::Write(Write::CreatePublisher { publisher: PublisherId::new("other").unwrap() })).unwrap();
    for node in cluster.nodes() {
        cluster.kill(node);
    }
    for node in cluster.nodes() {
        cluster.start(node);
    }
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, at)));
    assert_eq!(code(cluster.must(at, publish("x", Ack::Quorum, None))), ErrorCode::UnknownPublisher);
    assert!(!existed(cluster.must(at, create())));
}

#[test]
fn who_cannot_ask_about_a_name_goes_by_what_it_remembers() {
    let mut cluster = cluster(23);
    // Its home is 011, opposite of that of `news`, so its whole group can fail without affecting the topic's.
    let far = (0..)
        .map(|number| format!("far{number}"))
        .find(|name| placement::home(name, cluster.dimension()) == vertex("011"));
    let far = PublisherId::new(far.unwrap()).unwrap();
    let at = host("000");
    let publish = |content: &str| {
        Action::Write(Write::Publish {
            publisher: far.clone(),
            topic: topic(NEWS),
            content: content.into(),
            ack: Ack::Quorum,
            sequence: None,
        })
    };
    cluster.must(at, Action::Write(Write::CreatePublisher { publisher: far.clone() })).unwrap();
    cluster.must(at, publish("before")).unwrap();
    for member in cluster.members(vertex("011")) {
        cluster.kill(member);
    }
    cluster.run_for(NOTICED);
    cluster.must(at, publish("after")).unwrap();
    assert_eq!(code(cluster.must(host("110"), publish("unknown there"))), ErrorCode::Unavailable);
}

/// The number of these names that are registered; the others are refused because there are too many new ones.
fn registered(cluster: &mut Cluster, at: &str, names: impl Iterator<Item = String>) -> usize {
    let connection = cluster.connect_client(host(at));
    let create = |name: String| Action::Write(Write::CreateSubscriber { subscriber: SubscriberId::new(name).unwrap() });
    let asked: Vec<u64> = names.map(|name| cluster.send(connection, create(name))).collect();
    cluster.run_for(Duration::from_secs(6));
    let mut registered = 0;
    for id in asked {
        match cluster.take_answer(connection, id).expect("every request is answered").result {
            Ok(_) => registered += 1,
            Err(failure) => {
                assert_eq!(failure.code, ErrorCode::Overloaded, "{failure}");
                assert!(failure.message.contains("200 new publishers and subscribers a second"), "{failure}");
                assert!(failure.message.contains("retry in"), "{failure}");
            }
        }
    }
    registered
}

#[test]
fn a_node_takes_only_so_many_new_names_and_those_that_exist_are_free() {
    let mut cluster = cluster(24);
    let at = "011";
    cluster.run_for(Duration::from_secs(1));
    let names = |from: u32, to: u32| (from..to).map(|number| format!("s{number}"));
    let first = registered(&mut cluster, at, names(0, 3_500));
    assert!(
        (2_900..3_100).contains(&first),
        "2,000 at once, and 200 in each of the five seconds that a request waits: {first}"
    );
    let again = registered(&mut cluster, at, names(0, 1_900));
    assert_eq!(again, 1_900, "names that exist cost nothing");
    let more = registered(&mut cluster, at, names(10_000, 13_000));
    assert!((2_300..2_600).contains(&more), "seven seconds have given room for 1,400 at once: {more}");
    let again = registered(&mut cluster, at, names(0, 1_900));
    assert_eq!(again, 1_900, "also when there is no room for new ones");
    let elsewhere = registered(&mut cluster, "100", names(20_000, 21_000));
    assert_eq!(elsewhere, 1_000, "each node counts for itself");
}

#[test]
fn a_client_with_one_new_name_does_not_wait_behind_one_with_thousands() {
    let mut cluster = cluster(26);
    let at = host("011");
    let create = |name: String| Action::Write(Write::CreateSubscriber { subscriber: SubscriberId::new(name).unwrap() });
    let flooding = cluster.connect_client(at);
    for number in 0..3_000 {
        cluster.send(flooding, create(format!("s{number}")));
    }
    cluster.run_for(Duration::from_millis(500));
    let began = cluster.now();
    cluster.must(at, create("one".into())).unwrap();
    let took = cluster.now().since(began);
    assert!(took < Duration::from_millis(300), "{took:?}");
}

/// A cluster in which names expire after a minute without use.
fn expiring(seed: u64) -> Cluster {
    let mut config = ClusterConfig::new(Dimension::new(3).unwrap(), seed);
    config.limits.names_expire_after = Some(Duration::from_secs(60));
    prepared(Cluster::with(config))
}

fn register(cluster: &mut Cluster, name: &str) -> bool {
    let publisher = PublisherId::new(name).unwrap();
    existed(cluster.must(host("011"), Action::Write(Write::CreatePublisher { publisher })))
}

#[test]
fn names_that_nobody_uses_expire_and_used_ones_stay() {
    let mut cluster = expiring(23);
    let at = host("011");
    assert!(!register(&mut cluster, "idle"));
    let mut published = Vec::new();
    for number in 0..30 {
        cluster.run_for(Duration::from_secs(10));
        let through = host(["011", "110", "101"][number % 3]);
        published.push(number.to_string());
        cluster.must(through, publish(&published[number], Ack::Quorum, None)).unwrap();
        if number == 15 {
            cluster.kill(host("100"));
            let home = placement::home(publisher().as_str(), cluster.dimension());
            cluster.kill(cluster.seating().host_of(home));
            cluster.run_for(Duration::from_secs(5));
            for node in cluster.nodes() {
                cluster.start(node);
            }
        }
        // A read from a replica does not check whether its subscriber is registered.
        let pulled = cluster.must(host("101"), pull(ReadLevel::Any, false));
        assert_eq!(contents(pulled).len(), published.len(), "the subscriber is known, though it only reads");
    }
    assert_eq!(code(cluster.must(at, publish_as("idle"))), ErrorCode::UnknownPublisher);
    assert!(!register(&mut cluster, "idle"), "it is a new registration");
    assert!(register(&mut cluster, publisher().as_str()), "used in other ways than by creating it again");
    let unsubscribe = Action::Write(Write::Unsubscribe { subscriber: subscriber(), topic: topic(NEWS) });
    assert!(cluster.must(at, unsubscribe).is_ok(), "its subscriber is registered");
}

#[test]
fn a_subscriber_that_only_waits_for_messages_keeps_its_name() {
    let mut cluster = expiring(24);
    let at = host("011");
    let client = cluster.connect_client(at);
    let push = Action::Write(Write::Subscribe { subscriber: subscriber(), topic: topic(NEWS), from: None, push: true });
    cluster.send(client, push);
    cluster.run_for(Duration::from_secs(300));
    let create = Action::Write(Write::CreateSubscriber { subscriber: subscriber() });
    assert!(existed(cluster.must(at, create)));
    cluster.disconnect_client(client);
    cluster.run_for(Duration::from_secs(100));
    assert!(!existed(cluster.must(at, Action::Write(Write::CreateSubscriber { subscriber: subscriber() }))));
}

#[test]
fn names_do_not_expire_unless_that_is_configured() {
    let mut cluster = cluster(25);
    cluster.run_for(Duration::from_secs(1_000));
    assert!(register(&mut cluster, publisher().as_str()));
}

fn publish_as(name: &str) -> Action {
    let Action::Write(Write::Publish { topic, content, ack, sequence, .. }) = publish("x", Ack::Quorum, None) else {
        unreachable!()
    };
    Action::Write(Write::Publish { publisher: PublisherId::new(name).unwrap(), topic, content, ack, sequence })
}
