//! Subscriptions that end during push deliveries: with their topic, or by a request on another connection.
//!
//! In each test, a client receives the first messages in order, one end notice, and nothing after that.

use std::time::Duration;

use cubecast_core::cube::{Dimension, Vertex, VertexId};
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::io::ConnectionId;
use cubecast_core::names::{PublisherId, StartAt, SubscriberId, TopicName};
use cubecast_core::states::NodeState;
use cubecast_core::wire::answer::{Done, EndReason, ServerFrame};
use cubecast_core::wire::client::{Ack, Action, Admin, Local, Write};
use cubecast_core::wire::event::{Event, EventKind};
use cubecast_sim::Cluster;

/// Longer than all retries of a session together.
const LONG: Duration = Duration::from_secs(8);
const A_MOMENT: Duration = Duration::from_millis(200);

/// Its home is 100, with replicas on 101, 110 and 000.
fn news() -> TopicName {
    TopicName::new("news").unwrap()
}

fn publisher() -> PublisherId {
    PublisherId::new("publisher1").unwrap()
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("subscriber1").unwrap()
}

fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

/// Two members (the home, a replica) and two nodes that fetch.
const EVERYWHERE: [&str; 4] = ["100", "110", "011", "111"];

#[test]
fn whoever_deletes_it_a_topics_sessions_end_with_one_word_wherever_they_are() {
    for at in EVERYWHERE {
        let mut story = Story::new(1);
        let listener = story.listen(at);
        story.publish("001", "first");
        story.delete("001");
        story.pass(A_MOMENT);
        assert_eq!(story.heard(listener), ["first", "topic_deleted"], "through {at}, within a moment");
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["first", "topic_deleted"], "through {at}, and nothing after it");
    }
}

#[test]
fn who_deletes_a_topic_over_the_same_connection_is_told_alike() {
    for at in EVERYWHERE {
        let mut story = Story::new(2);
        let listener = story.listen(at);
        story.publish("001", "first");
        let id = story.cluster.send(listener, deletion());
        story.pass(A_MOMENT);
        assert!(story.cluster.take_answer(listener, id).is_some_and(|answer| answer.result.is_ok()));
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["first", "topic_deleted"], "through {at}");
    }
}

#[test]
fn nothing_of_a_second_topic_of_the_same_name_reaches_the_firsts_sessions() {
    for at in EVERYWHERE {
        let mut story = Story::new(3);
        let listener = story.listen(at);
        story.publish("001", "first");
        story.send("001", [deletion(), creation(), publish("of the second"), publish("of the second")]);
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["first", "topic_deleted"], "through {at}");
    }
}

#[test]
fn a_session_that_is_behind_does_not_go_on_in_the_second_topic() {
    for at in EVERYWHERE {
        let mut story = Story::new(4);
        for i in 0..20 {
            story.publish("001", &format!("m{i}"));
        }
        // Its reads and fetches complete only after all this.
        for node in story.cluster.nodes() {
            story.cluster.slow_disk(node, Duration::from_millis(100));
        }
        let (listener, id) = story.ask_to_listen(at);
        story.cluster.run_until(LONG, |cluster| cluster.take_answer(listener, id).is_some());
        story.send("001", [deletion(), creation()]);
        story.send("001", (0..30).map(|_| publish("of the second")));
        story.pass(LONG);
        let heard = story.heard(listener);
        let (last, messages) = heard.split_last().unwrap();
        assert_eq!(last, "topic_deleted", "through {at}: {heard:?}");
        assert!(messages.iter().enumerate().all(|(i, content)| *content == format!("m{i}")), "through {at}: {heard:?}");
    }
}

#[test]
fn who_has_given_up_a_topics_messages_knows_at_its_next_start_that_it_is_deleted() {
    let mut story = Story::new(6);
    story.publish("001", "first");
    story.delete("001");
    story.pass(A_MOMENT);
    story.cluster.nodes().for_each(|node| story.cluster.kill(node));
    for replica in ["100", "101", "110", "000"].map(host) {
        // A single member cannot learn which entries are committed.
        story.cluster.start(replica);
        story.pass(A_MOMENT);
        let node = story.cluster.node(replica).expect("it was just started");
        let group = node.group(GroupId::Home(VertexId(4))).expect("it holds the group");
        assert!(group.topics().topic(&news()).is_none(), "{replica}");
        story.cluster.kill(replica);
    }
}

#[test]
fn sessions_end_though_the_leader_dies_over_the_deletion() {
    for at in ["110", "011", "111"] {
        for after in [0, 300, 800, 2000] {
            let mut story = Story::new(5);
            let listener = story.listen(at);
            story.publish("001", "first");
            story.send("001", [deletion(), creation(), publish("of the second")]);
            story.pass(Duration::from_micros(after));
            story.cluster.kill(host("100"));
            story.pass(LONG);
            story.send("001", [deletion()]);
            story.pass(Duration::from_secs(2));
            story.cluster.start(host("100"));
            story.pass(LONG);
            assert_eq!(story.heard(listener), ["first", "topic_deleted"], "through {at}, killed after {after} us");
        }
    }
}

#[test]
fn a_member_that_learns_of_it_by_a_snapshot_ends_its_sessions() {
    let mut story = Story::new(6);
    let at = host("110");
    let listener = story.listen("110");
    let watcher = story.cluster.connect_client(at);
    story.cluster.send(watcher, Action::Local(Local::Watch { kinds: vec![EventKind::States], sample: 1 }));
    story.publish("001", "first");
    story.cut_off(at, true);
    story.pass(Duration::from_secs(2));
    story.send("001", [deletion(), creation()]);
    // Enough that the entries which the member lacks have left the log and are sent as a snapshot.
    for _ in 0..12 {
        story.publish("001", &"of the second ".repeat(20_000));
    }
    story.pass(Duration::from_secs(6));
    assert_eq!(story.heard(listener), ["first"], "it has heard nothing yet");
    story.cut_off(at, false);
    story.pass(LONG);
    let caught_up =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Event(told) if matches!(told.event, Event::CaughtUp { .. }));
    assert!(story.cluster.frames(watcher).iter().any(caught_up), "by a snapshot");
    assert_eq!(story.heard(listener), ["first", "topic_deleted"]);
}

#[test]
fn sessions_at_a_node_that_is_cut_off_end_when_it_is_back() {
    for at in ["110", "011"] {
        let mut story = Story::new(7);
        let listener = story.listen(at);
        story.publish("001", "first");
        story.cut_off(host(at), true);
        story.send("001", [deletion(), creation(), publish("of the second")]);
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["first"], "through {at}, which cannot know");
        story.cut_off(host(at), false);
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["first", "topic_deleted"], "through {at}");
    }
}

#[test]
fn a_subscription_that_is_ended_elsewhere_ends_its_sessions() {
    for at in EVERYWHERE {
        let mut story = Story::new(8);
        let listener = story.listen(at);
        story.publish("001", "first");
        story.must("101", unsubscription());
        story.pass(A_MOMENT);
        story.publish("001", "unheard");
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["first", "unsubscribed"], "through {at}");
    }
}

#[test]
fn who_unsubscribes_over_the_same_connection_is_told_once() {
    for at in EVERYWHERE {
        let mut story = Story::new(9);
        let listener = story.listen(at);
        story.publish("001", "first");
        let id = story.cluster.send(listener, unsubscription());
        story.pass(A_MOMENT);
        assert!(story.cluster.take_answer(listener, id).is_some_and(|answer| answer.result.is_ok()));
        story.publish("001", "unheard");
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["first", "unsubscribed"], "through {at}");
    }
}

#[test]
fn another_subscribers_end_is_not_ones_own() {
    for at in EVERYWHERE {
        let mut story = Story::new(10);
        let listener = story.listen(at);
        let other = SubscriberId::new("subscriber2").unwrap();
        story.must("001", Action::Write(Write::CreateSubscriber { subscriber: other.clone() }));
        story.must(
            "001",
            Action::Write(Write::Subscribe { subscriber: other.clone(), topic: news(), from: None, push: false }),
        );
        story.must("001", Action::Write(Write::Unsubscribe { subscriber: other, topic: news() }));
        story.publish("001", "heard");
        story.pass(LONG);
        assert_eq!(story.heard(listener), ["heard"], "through {at}");
    }
}

#[test]
fn who_subscribes_again_after_an_end_is_served_again() {
    for at in EVERYWHERE {
        let mut story = Story::new(11);
        let listener = story.listen(at);
        story.publish("001", "first");
        // All at once over one connection: the end of the first subscription must not end the second.
        story.cluster.send(listener, unsubscription());
        story.cluster.send(listener, subscription());
        story.pass(A_MOMENT);
        story.publish("001", "second");
        story.delete("001");
        story.must("001", creation());
        story.cluster.send(listener, subscription());
        story.publish("001", "of the second topic");
        story.pass(LONG);
        let expected =
            ["first", "unsubscribed", "first", "second", "topic_deleted", "of the second topic"].map(String::from);
        assert_eq!(story.heard(listener), expected, "through {at}");
    }
}

#[test]
fn a_node_that_crashes_on_request_breaks_the_connection_instead() {
    let mut story = Story::new(12);
    let listener = story.listen("110");
    let stop = Action::Admin(Admin::StopNode { node: None, mode: StopMode::Crash, duration_ms: 1000 });
    story.must("110", stop);
    story.pass(A_MOMENT);
    story.delete("001");
    story.pass(LONG);
    assert!(!story.cluster.is_connected(listener));
    assert_eq!(story.heard(listener), Vec::<String>::new());
}

#[test]
fn a_topic_and_the_one_after_it_have_different_ids() {
    let mut story = Story::new(13);
    let ids = [0, 1].map(|_| {
        let Done::Subscribed { topic_id, .. } = story.must("011", subscription()) else { panic!("not subscribed") };
        story.delete("001");
        story.must("001", creation());
        topic_id
    });
    assert_ne!(ids[0], ids[1]);
}

// Helpers.

struct Story {
    cluster: Cluster,
    /// Contents and end reasons that the listening client has received.
    heard: Vec<String>,
}

impl Story {
    /// A settled cluster with a publisher, a subscriber and the topic.
    fn new(seed: u64) -> Story {
        let mut story = Story { cluster: Cluster::new(Dimension::new(3).unwrap(), seed), heard: Vec::new() };
        assert!(story.cluster.run_until(Duration::from_secs(10), is_settled));
        story.must("001", Action::Write(Write::CreatePublisher { publisher: publisher() }));
        story.must("001", Action::Write(Write::CreateSubscriber { subscriber: subscriber() }));
        story.must("001", creation());
        story
    }

    fn must(&mut self, at: &str, action: Action) -> Done {
        self.cluster.must(host(at), action).unwrap()
    }

    /// Publishes, and waits until the message has reached the listener, if there is one.
    fn publish(&mut self, at: &str, content: &str) {
        self.must(at, publish(content));
        self.pass(A_MOMENT);
    }

    fn delete(&mut self, at: &str) {
        self.must(at, deletion());
    }

    /// Sends over one connection without waiting for answers.
    fn send(&mut self, at: &str, actions: impl IntoIterator<Item = Action>) {
        let connection = self.cluster.connect_client(host(at));
        for action in actions {
            self.cluster.send(connection, action);
        }
    }

    fn ask_to_listen(&mut self, at: &str) -> (ConnectionId, u64) {
        let connection = self.cluster.connect_client(host(at));
        let id = self.cluster.send(connection, subscription());
        (connection, id)
    }

    fn listen(&mut self, at: &str) -> ConnectionId {
        let (connection, id) = self.ask_to_listen(at);
        let answered = self
            .cluster
            .run_until(LONG, |cluster| cluster.take_answer(connection, id).is_some_and(|answer| answer.result.is_ok()));
        assert!(answered);
        connection
    }

    fn pass(&mut self, time: Duration) {
        self.cluster.run_for(time);
    }

    /// Everything received so far.
    fn heard(&mut self, connection: ConnectionId) -> Vec<String> {
        let words = self.cluster.frames(connection).into_iter().filter_map(|frame| match frame {
            ServerFrame::Message(delivery) => Some(delivery.message.content.to_string()),
            ServerFrame::SubscriptionEnded(ended) => {
                assert_eq!((ended.topic, ended.subscriber), (news(), subscriber()));
                Some(match ended.reason {
                    EndReason::TopicDeleted => "topic_deleted".into(),
                    EndReason::Unsubscribed => "unsubscribed".into(),
                    EndReason::Unreadable => "unreadable".into(),
                })
            }
            ServerFrame::Answer(_) | ServerFrame::Event(_) => None,
        });
        self.heard.extend(words);
        self.heard.clone()
    }

    /// Cuts or restores all edges of a node in both directions.
    fn cut_off(&mut self, node: HostId, cut: bool) {
        let conditions = LinkConditions { cut, ..LinkConditions::PERFECT };
        for other in self.cluster.seating().neighbours(node) {
            for (from, to) in [(node, other), (other, node)] {
                self.cluster.must(from, Action::Admin(Admin::SetLink { from, to, conditions })).unwrap();
            }
        }
    }
}

fn subscription() -> Action {
    Action::Write(Write::Subscribe {
        subscriber: subscriber(),
        topic: news(),
        from: Some(StartAt::Beginning),
        push: true,
    })
}

fn unsubscription() -> Action {
    Action::Write(Write::Unsubscribe { subscriber: subscriber(), topic: news() })
}

fn creation() -> Action {
    Action::Write(Write::CreateTopic { publisher: publisher(), topic: news() })
}

fn deletion() -> Action {
    Action::Write(Write::DeleteTopic { publisher: publisher(), topic: news() })
}

fn publish(content: &str) -> Action {
    Action::Write(Write::Publish {
        publisher: publisher(),
        topic: news(),
        content: content.into(),
        ack: Ack::Quorum,
        sequence: None,
    })
}

fn is_settled(cluster: &mut Cluster) -> bool {
    cluster.run_for(Duration::from_millis(100));
    match cluster.must(host("011"), Action::Local(Local::Cluster)) {
        Ok(Done::Cluster(view)) => view.nodes.iter().all(|node| {
            node.state == NodeState::Up && node.leads.iter().map(Vertex::to_string).eq([node.node.to_string()])
        }),
        _ => false,
    }
}
