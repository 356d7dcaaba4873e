//! Tests of the client against a simulated cluster. Stories first; `fake` simulates the nodes.

mod fake;

use std::time::Duration;

use super::*;
use crate::names::{Offset, PublisherId, Sequence};
use crate::seating::Seating;
use crate::wire::answer::{Done, ErrorCode};
use crate::wire::client::{Ack, Admin, Local, Read, ReadLevel, Write};
use fake::{Mood, World, host};

fn publish(topic: &str, content: &str) -> Action {
    Action::Write(Write::Publish {
        publisher: "p".parse().unwrap(),
        topic: topic.parse().unwrap(),
        content: content.into(),
        ack: Ack::Quorum,
        sequence: None,
    })
}

fn create(topic: &str) -> Action {
    Action::Write(Write::CreateTopic { publisher: "p".parse().unwrap(), topic: topic.parse().unwrap() })
}

fn delete(topic: &str) -> Action {
    Action::Write(Write::DeleteTopic { publisher: "p".parse().unwrap(), topic: topic.parse().unwrap() })
}

fn subscribe(topic: &str) -> Action {
    Action::Write(Write::Subscribe {
        subscriber: "s".parse().unwrap(),
        topic: topic.parse().unwrap(),
        from: None,
        push: true,
    })
}

fn pull(topic: &str, commit: bool) -> Action {
    let (subscriber, topic) = ("s".parse().unwrap(), topic.parse().unwrap());
    Action::Read(Read::Pull { subscriber, topic, max: 100, read: ReadLevel::Leader, commit })
}

fn done(result: Result<Reply, ClientError>) -> Done {
    result.expect("done").answer.result.expect("a reply holds what was done")
}

#[test]
fn a_publish_goes_straight_home_from_one_known_address() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    let reply = world.ask(publish("news", "a")).unwrap();
    assert_eq!(reply.asked, host("100"));
    assert_eq!((reply.attempts, reply.fell_over), (1, None));
    assert!(world.notices().iter().any(|notice| matches!(notice, Notice::Learned { nodes: 8, .. })));
}

#[test]
fn a_seed_that_is_down_is_passed_over() {
    let mut world = World::new(&["000", "011"]);
    world.add_topic("news");
    world.set("000", Mood::Down);
    world.ask(publish("news", "a")).unwrap();
}

#[test]
fn while_the_home_is_down_its_first_replica_is_asked_and_it_is_said_once() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    world.set("100", Mood::Down);
    for content in ["a", "b", "c"] {
        let reply = world.ask(publish("news", content)).unwrap();
        assert_eq!(reply.asked, host("101"));
        assert_eq!(reply.fell_over.unwrap().from, host("100"));
    }
    let falls = world.notices().iter().filter(|notice| matches!(notice, Notice::FellOver(_))).count();
    assert_eq!(falls, 1);
}

#[test]
fn that_nobody_can_do_it_is_said_once_and_again_when_somebody_can() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    for host in ["000", "001", "010", "011", "100", "101", "110", "111"] {
        world.set(host, Mood::Unavailable);
    }
    for _ in 0..3 {
        assert!(world.ask(pull("news", false)).is_err());
    }
    let falls = |world: &World| {
        let told = |notice: &Notice| match notice {
            Notice::FellOver(fall) => Some(fall.to),
            _ => None,
        };
        world.notices().iter().filter_map(told).collect::<Vec<_>>()
    };
    assert_eq!(falls(&world), [host("101")], "hundreds of attempts, one situation");
    world.set("110", Mood::Up);
    for _ in 0..3 {
        world.ask(pull("news", false)).unwrap();
    }
    assert_eq!(falls(&world), [host("101"), host("110")], "it is said who does it now");
}

#[test]
fn a_home_that_says_node_failed_is_passed_over_and_asked_again_later() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    world.set("100", Mood::Failing);
    assert_eq!(world.ask(publish("news", "a")).unwrap().asked, host("101"));
    assert_eq!(world.ask(publish("news", "b")).unwrap().attempts, 1, "not asked twice in vain");
    world.set("100", Mood::Up);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.ask(publish("news", "c")).unwrap().asked, host("100"));
    assert!(world.notices().contains(&Notice::BackHome { home: host("100") }));
    assert_eq!(world.contents("news"), ["a", "b", "c"]);
}

#[test]
fn a_home_that_came_back_is_found_in_the_background() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    world.set("100", Mood::Down);
    world.ask(publish("news", "a")).unwrap();
    world.set("100", Mood::Up);
    world.pass(Duration::from_secs(6));
    let reply = world.ask(publish("news", "b")).unwrap();
    assert_eq!((reply.asked, reply.attempts), (host("100"), 1));
    assert!(world.notices().iter().any(|notice| matches!(notice, Notice::Reconnected { .. })));
}

#[test]
fn nodes_that_were_never_reached_are_tried_as_rarely_as_the_caller_wants() {
    let attempts = |strangers: Rests| {
        let mut world = World::new(&["000"]);
        world.let_client_rest(strangers);
        world.add_topic("news");
        world.set("100", Mood::Down);
        assert_eq!(world.ask(publish("news", "a")).unwrap().asked, host("101"));
        world.pass(Duration::from_secs(180));
        world.attempts_at("100")
    };
    let (rarely, often) = (attempts(Rests::LONG), attempts(Rests::SHORT));
    assert!(rarely <= 12 && often >= 3 * rarely, "{rarely} and {often}");
}

#[test]
fn a_second_socket_to_a_node_that_answers_may_take_its_time_to_open() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    world.ask(publish("news", "a")).unwrap();
    world.hold_openings();
    let subscription = world.submission(subscribe("news"));
    world.give(ClientInput::Submit(subscription));
    world.pass(Duration::from_secs(6));
    world.let_open();
    assert!(!world.notices().iter().any(|notice| matches!(notice, Notice::Lost { .. } | Notice::FellOver(_))));
    assert!(matches!(world.results().last(), Some(Ok(reply)) if reply.asked == host("100")), "{:?}", world.results());
}

#[test]
fn a_publish_whose_answer_was_lost_is_stored_once() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    world.lose_next_answer("100");
    let reply = world.ask(publish("news", "a")).unwrap();
    assert_eq!(reply.attempts, 2);
    assert!(matches!(reply.answer.result, Ok(Done::Published { offset: Some(Offset(0)), repeated: false, .. })));
    assert_eq!(world.contents("news"), ["a"]);
}

#[test]
fn a_repeat_under_the_callers_own_number_is_told_as_a_repeat() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    let mut again = publish("news", "a");
    if let Action::Write(Write::Publish { sequence, .. }) = &mut again {
        *sequence = Some(Sequence(5));
    }
    done(world.ask(again.clone()));
    assert!(matches!(done(world.ask(again)), Done::Published { repeated: true, .. }));
}

#[test]
fn creating_and_deleting_survive_the_loss_of_their_answers() {
    let mut world = World::new(&["000"]);
    world.lose_next_answer("100");
    assert!(matches!(done(world.ask(create("news"))), Done::TopicCreated { .. }));
    world.lose_next_answer("100");
    world.pass(Duration::from_secs(6));
    assert!(matches!(done(world.ask(delete("news"))), Done::TopicDeleted { .. }));
    assert_eq!(world.ask(delete("news")).unwrap_err().code(), Some(ErrorCode::UnknownTopic));
}

#[test]
fn a_topic_of_somebody_else_is_not_taken_for_ours_after_a_lost_answer() {
    let mut world = World::new(&["000"]);
    world.add_topic_of("somebody", "news");
    world.lose_next_answer("100");
    assert_eq!(world.ask(create("news")).unwrap_err().code(), Some(ErrorCode::TopicExists));
}

#[test]
fn a_pull_that_commits_is_not_repeated_when_its_answer_was_lost() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(publish("news", "a")));
    world.lose_next_answer("100");
    assert!(matches!(world.ask(pull("news", true)), Err(ClientError::InDoubt { .. })));
    world.lose_next_answer("101");
    assert!(matches!(done(world.ask(pull("news", false))), Done::Pulled { .. }));
}

#[test]
fn what_nobody_can_do_in_time_is_given_up_with_the_reason() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    for node in world.hosts() {
        world.set(&node.to_string(), Mood::Unavailable);
    }
    let error = world.ask(publish("news", "a")).unwrap_err();
    assert!(matches!(&error, ClientError::Unavailable { why } if why.contains("no quorum")), "{error}");
    assert!(world.requests < 400, "it pauses between rounds: {}", world.requests);
}

#[test]
fn a_cluster_that_is_not_there_is_unavailable() {
    let mut world = World::new(&["000"]);
    world.set("000", Mood::Down);
    assert!(matches!(world.ask(publish("news", "a")), Err(ClientError::Unavailable { .. })));
}

#[test]
fn a_refusal_that_lasts_is_not_repeated() {
    let mut world = World::new(&["000"]);
    let error = world.ask(publish("nowhere", "a")).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopic));
    assert_eq!(world.requests, 2, "one to learn the cluster, one to be refused");
}

#[test]
fn a_node_that_falls_silent_is_left_within_its_patience() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(publish("news", "a")));
    world.set("100", Mood::Mute);
    let before = world.now();
    let reply = world.ask(publish("news", "b")).unwrap();
    assert_eq!(reply.asked, host("101"));
    assert!(world.now().since(before) <= Duration::from_secs(5));
    assert_eq!(world.contents("news"), ["a", "b"]);
}

#[test]
fn one_node_can_be_asked_and_no_other_answers_for_it() {
    let mut world = World::new(&["000"]);
    let status = Action::Admin(Admin::Status { node: None });
    assert_eq!(world.ask_at(Target::Node(host("110")), status.clone()).unwrap().asked, host("110"));
    world.set("110", Mood::Failing);
    let error = world.ask_at(Target::Node(host("110")), status.clone()).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NodeFailed));
    let error = world.ask_at(Target::Node(host("0000")), status).unwrap_err();
    assert_eq!(error, ClientError::UnknownNode { node: host("0000") });
}

#[test]
fn a_subscription_goes_on_at_a_replica_without_gap_or_double() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(publish("news", "a")));
    done(world.ask(subscribe("news")));
    done(world.ask(publish("news", "b")));
    world.set("100", Mood::Down);
    done(world.ask(publish("news", "c")));
    done(world.ask(publish("news", "d")));
    world.set("101", Mood::Down);
    done(world.ask(publish("news", "e")));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.delivered(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_subscription_leaves_a_node_that_fails_on_request_without_closing_its_sockets() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(subscribe("news")));
    world.set("100", Mood::Failing);
    done(world.ask(publish("news", "a")));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.delivered(), ["a"]);
}

#[test]
fn a_subscription_to_a_topic_that_was_deleted_ends_with_the_reason() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(subscribe("news")));
    world.forget_topic("news");
    world.set("100", Mood::Down);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.ended(), [ErrorCode::UnknownTopic]);
}

#[test]
fn a_subscription_ends_when_its_node_says_so() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(subscribe("news")));
    done(world.ask(publish("news", "a")));
    let before = world.open_sockets();
    done(world.ask(delete("news")));
    world.add_topic("news");
    done(world.ask(publish("news", "of the second topic")));
    world.pass(Duration::from_secs(10));
    assert_eq!((world.delivered(), world.ended()), (vec!["a".to_string()], vec![ErrorCode::UnknownTopic]));
    assert_eq!(world.open_sockets(), before - 1, "its socket is closed");
}

#[test]
fn a_subscription_does_not_go_on_in_a_topic_that_was_created_meanwhile() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(subscribe("news")));
    done(world.ask(publish("news", "a")));
    world.set("100", Mood::Down);
    world.forget_topic("news");
    world.add_topic("news");
    for content in ["b", "c"] {
        done(world.ask(publish("news", content)));
    }
    world.pass(Duration::from_secs(10));
    assert_eq!((world.delivered(), world.ended()), (vec!["a".to_string()], vec![ErrorCode::UnknownTopic]));
}

#[test]
fn who_unsubscribes_is_told_that_deliveries_are_over() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(subscribe("news")));
    let (topic, subscriber) = ("news".parse().unwrap(), "s".parse().unwrap());
    done(world.ask(Action::Write(Write::Unsubscribe { topic, subscriber })));
    assert_eq!(world.ended(), [ErrorCode::NotSubscribed]);
}

#[test]
fn nothing_is_delivered_after_the_caller_stopped_listening() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(subscribe("news")));
    let (topic, subscriber) = ("news".parse().unwrap(), "s".parse().unwrap());
    world.give(ClientInput::StopDeliveries { topic, subscriber });
    done(world.ask(publish("news", "a")));
    world.pass(Duration::from_secs(10));
    assert!(world.delivered().is_empty());
    assert!(world.open_sockets() <= 2, "its socket is closed");
}

#[test]
fn a_watch_is_asked_for_again_when_the_node_is_back() {
    let mut world = World::new(&["000"]);
    let watch = Action::Local(Local::Watch { kinds: vec![], sample: 1 });
    done(world.ask_at(Target::Node(host("011")), watch));
    assert_eq!(world.watches_at("011"), 1);
    world.set("011", Mood::Down);
    world.pass(Duration::from_secs(10));
    world.set("011", Mood::Up);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.watches_at("011"), 2);
}

#[test]
fn too_many_at_once_are_refused_and_the_others_done() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    let submissions = (0..MAX_IN_FLIGHT + 1).map(|n| world.submission(publish("news", &n.to_string())));
    let inputs = submissions.collect::<Vec<_>>().into_iter().map(ClientInput::Submit).collect();
    world.turn(inputs);
    world.pass(Duration::from_secs(1));
    let results = world.results();
    assert_eq!(results.len(), MAX_IN_FLIGHT + 1);
    assert_eq!(results.iter().filter(|result| **result == Err(ClientError::Overloaded)).count(), 1);
    assert_eq!(world.contents("news").len(), MAX_IN_FLIGHT);
    assert_eq!(world.client_in_flight(), 0);
}

#[test]
fn two_clients_under_one_publisher_id_do_not_swallow_each_others_publishes() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(publish("news", "from the first")));
    world.replace_client(99);
    done(world.ask(publish("news", "from the second")));
    assert_eq!(world.contents("news"), ["from the first", "from the second"]);
}

#[test]
fn a_number_older_than_the_window_is_replaced_by_a_greater_one() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    world.forget_sequences_below("news", u64::MAX / 2);
    done(world.ask(publish("news", "a")));
    assert_eq!(world.contents("news"), ["a"]);
}

#[test]
fn the_same_seed_and_story_give_the_same_effects() {
    let story = || {
        let mut world = World::new(&["000"]);
        world.add_topic("news");
        world.set("100", Mood::Down);
        done(world.ask(publish("news", "a")));
        world.pass(Duration::from_secs(20));
        world.trace()
    };
    assert_eq!(story(), story());
}

#[test]
fn a_publisher_is_created_at_its_own_home() {
    let mut world = World::new(&["000"]);
    let publisher: PublisherId = "publisher1".parse().unwrap();
    let seating = Seating::founded_by(host("000"));
    let home = crate::placement::home("publisher1", seating.dimension());
    let reply = world.ask(Action::Write(Write::CreatePublisher { publisher })).unwrap();
    assert_eq!(reply.asked, seating.host_of(home));
}

#[test]
fn a_turn_with_much_content_is_cut_into_messages_that_a_node_takes() {
    let mut world = World::new(&["000"]);
    world.add_topic("news");
    done(world.ask(publish("news", "a")));
    let content = "x".repeat(300_000);
    let submissions: Vec<_> = (0..20).map(|_| world.submission(publish("news", &content))).collect();
    world.turn(submissions.into_iter().map(ClientInput::Submit).collect());
    assert_eq!(world.contents("news").len(), 21);
    assert!(world.largest_batch() <= 3, "{}", world.largest_batch());
}
