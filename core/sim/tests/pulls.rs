//! Clients with many large pulls, in virtual time.

use std::time::Duration;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::identity::HostId;
use cubecast_core::io::ConnectionId;
use cubecast_core::names::{PublisherId, SubscriberId, TopicName};
use cubecast_core::node::Queue;
use cubecast_core::states::NodeState;
use cubecast_core::wire::answer::{Answer, Done, ErrorCode};
use cubecast_core::wire::client::{Ack, Action, Local, Read, ReadLevel, Write};
use cubecast_sim::Cluster;

const MEBIBYTE: usize = 1 << 20;
/// Pulls of one connection that start at once.
const AT_ONCE: usize = 6;

/// The home of the topic `news`, and a node that is not a member of its group.
const HOME: &str = "100";
const FAR: &str = "011";

/// The answers together are five times the queue limit of a client. If all pulls started at once, its connection would
/// be closed.
#[test]
fn a_client_that_asks_for_much_at_once_gets_it_all() {
    const PULLS: usize = 40;
    let mut cluster = cluster(21, 4, MEBIBYTE);
    let connection = cluster.connect_client(host(FAR));
    let mut asked: Vec<u64> = (0..PULLS).map(|_| cluster.send(connection, pull(4))).collect();
    let all = cluster.run_until(Duration::from_secs(5), |cluster| {
        asked.retain(|id| match cluster.take_answer(connection, *id) {
            None => true,
            Some(answer) => {
                assert!(brought_messages(&answer), "{:?}", answer.result);
                false
            }
        });
        asked.is_empty()
    });
    assert!(all, "{} of {PULLS} pulls are not answered", asked.len());
}

/// The ask is repeated every second. If each repetition restarted the pull, its answer would never match the awaited
/// one.
#[test]
fn a_pull_from_a_disk_that_is_slower_than_its_requester_is_read_once_and_answered() {
    for read in [ReadLevel::Leader, ReadLevel::Any] {
        let mut cluster = cluster(22, 4, 10);
        cluster.slow_disk(host(HOME), Duration::from_millis(2500));
        let connection = cluster.connect_client(host(FAR));
        let action = Action::Read(Read::Pull { subscriber: subscriber(), topic: topic(), max: 4, read, commit: false });
        let id = cluster.send(connection, action);
        let mut most = 0;
        let mut answer = None;
        cluster.run_until(Duration::from_secs(5), |cluster| {
            most = most.max(queue(cluster, HOME, "bytes of reads under way").len);
            answer = cluster.take_answer(connection, id);
            answer.is_some()
        });
        assert!(answer.is_some_and(|answer| brought_messages(&answer)), "{read:?}");
        assert_eq!(most, 4 * MEBIBYTE as u64, "{read:?}: one read of up to four messages at a time");
        assert_eq!(queue(&cluster, HOME, "pulls under way").len, 0);
    }
}

/// Reads from a replica's disk are limited to the bytes that its memory can hold, and all are served in turn.
#[test]
fn many_clients_that_ask_for_much_take_turns_at_the_disk() {
    let mut cluster = cluster(23, 4, 10);
    cluster.slow_disk(host(HOME), Duration::from_millis(20));
    // Each may return four messages of one mebibyte.
    let mut asked = ask_for_much(&mut cluster, 60);
    let mut most_waiting = 0;
    let all = cluster.run_until(Duration::from_secs(5), |cluster| {
        for queue in cluster.node(host(HOME)).unwrap().queues() {
            assert!(queue.is_within_limit(), "{queue:?}");
        }
        most_waiting = most_waiting.max(queue(cluster, HOME, "reads that wait").len);
        asked.retain(|(connection, id)| match cluster.take_answer(*connection, *id) {
            None => true,
            Some(answer) => {
                assert!(brought_messages(&answer), "{:?}", answer.result);
                false
            }
        });
        asked.is_empty()
    });
    assert!(all, "{} are not answered", asked.len());
    assert!(most_waiting > 300, "most of 360 wait at first: {most_waiting}");
}

/// The reaction to one pull beyond the limit: its coordinator asks again, and finally reports the reason to its client.
#[test]
fn a_replica_with_too_many_pulls_under_way_sends_the_next_one_back() {
    let mut cluster = cluster(24, 4, 10);
    let limit = queue(&cluster, HOME, "pulls under way").limit as usize;
    cluster.slow_disk(host(HOME), Duration::from_secs(60));
    ask_for_much(&mut cluster, limit.div_ceil(AT_ONCE));
    let (connection, id) = ask_for_much(&mut cluster, 1).remove(0);
    let mut answer = None;
    cluster.run_until(Duration::from_secs(4), |cluster| {
        answer = cluster.take_answer(connection, id);
        answer.is_some()
    });
    let failure = answer.expect("it is told before the others").result.expect_err("nothing was read");
    assert_eq!(failure.code, ErrorCode::Unavailable);
    assert!(failure.message.contains("node 100 has reached its limit of 8192 pulls"), "{failure}");
    assert_eq!(queue(&cluster, HOME, "pulls under way").len, limit as u64);
}

// Helpers.

fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

fn topic() -> TopicName {
    TopicName::new("news").unwrap()
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("subscriber1").unwrap()
}

fn pull(max: u32) -> Action {
    Action::Read(Read::Pull { subscriber: subscriber(), topic: topic(), max, read: ReadLevel::Leader, commit: false })
}

fn brought_messages(answer: &Answer) -> bool {
    matches!(&answer.result, Ok(Done::Pulled { messages, .. }) if !messages.is_empty())
}

/// A settled cluster with a topic of `messages` messages of `bytes` bytes each, and a subscriber at its beginning.
fn cluster(seed: u64, messages: usize, bytes: usize) -> Cluster {
    let mut cluster = Cluster::new(Dimension::new(3).unwrap(), seed);
    let at = host(FAR);
    assert!(cluster.run_until(Duration::from_secs(10), |cluster| is_settled(cluster, at)));
    let publisher = PublisherId::new("publisher1").unwrap();
    cluster.must(at, Action::Write(Write::CreatePublisher { publisher: publisher.clone() })).unwrap();
    cluster.must(at, Action::Write(Write::CreateSubscriber { subscriber: subscriber() })).unwrap();
    cluster.must(at, Action::Write(Write::CreateTopic { publisher: publisher.clone(), topic: topic() })).unwrap();
    cluster
        .must(at, Action::Write(Write::Subscribe { subscriber: subscriber(), topic: topic(), from: None, push: false }))
        .unwrap();
    for _ in 0..messages {
        let (publisher, topic, content) = (publisher.clone(), topic(), "x".repeat(bytes).into());
        cluster
            .must(at, Action::Write(Write::Publish { publisher, topic, content, ack: Ack::Quorum, sequence: None }))
            .unwrap();
    }
    cluster
}

/// Sends as many pulls as start at once, from each of `clients` clients of the home.
fn ask_for_much(cluster: &mut Cluster, clients: usize) -> Vec<(ConnectionId, u64)> {
    let mut asked = Vec::new();
    for _ in 0..clients {
        let connection = cluster.connect_client(host(HOME));
        asked.extend((0..AT_ONCE).map(|_| (connection, cluster.send(connection, pull(4)))));
    }
    asked
}

fn queue(cluster: &Cluster, at: &str, name: &str) -> Queue {
    let queues = cluster.node(host(at)).expect("it runs").queues();
    queues.into_iter().find(|queue| queue.name == name).expect("there is such a queue")
}

fn is_settled(cluster: &mut Cluster, at: HostId) -> bool {
    cluster.run_for(Duration::from_millis(100));
    match cluster.must(at, Action::Local(Local::Cluster)) {
        Ok(Done::Cluster(view)) => view.nodes.iter().all(|node| {
            node.state == NodeState::Up && node.leads.iter().map(Vertex::to_string).eq([node.node.to_string()])
        }),
        _ => false,
    }
}
