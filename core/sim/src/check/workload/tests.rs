//! A stream of steps against a fake cluster that follows no rules and gives every kind of answer.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::content::Content;
use cubecast_core::cube::Dimension;
use cubecast_core::names::{Offset, StartAt};
use cubecast_core::seating::Seating;
use cubecast_core::time::{Instant, Timestamp};
use cubecast_core::wire::answer::{Location, Message};
use cubecast_core::wire::client::{Query, Read, ReadLevel, Write};

use super::*;
use crate::check::history::Answered;

#[test]
fn the_same_seed_and_answers_give_the_same_stream() {
    assert_eq!(stream(7, 500), stream(7, 500));
    assert_ne!(stream(7, 500), stream(8, 500));
}

#[test]
fn a_clients_stream_does_not_depend_on_the_others() {
    let mut workload = workload(3);
    let alone: Vec<Step> = (0..50).map(|_| workload.next(ClientId(1))).collect();
    let mut workload = self::workload(3);
    let among_others: Vec<Step> = (0..50)
        .map(|_| {
            workload.next(ClientId(0));
            workload.next(ClientId(1))
        })
        .collect();
    assert_eq!(alone, among_others);
}

#[test]
fn every_action_of_a_client_and_every_level_occurs() {
    let mut seen = BTreeSet::new();
    for (_, step) in stream(1, 2_000) {
        seen.extend(kinds(&step.action));
    }
    let expected = "cluster, commit, create_publisher, create_subscriber, create_topic, delete_publisher, \
        delete_subscriber, delete_topic, locate, publish, publish All, publish One, publish Quorum, publish numbered, \
        publish unnumbered, pull, pull Any false, pull Any true, pull Leader false, pull Leader true, replica_pull, \
        replica_pull cursor, replica_pull from, \
        replica_subscribe, replica_subscribe push, status, subscribe, subscribe beginning, subscribe keep, \
        subscribe latest, subscribe offset, subscribe push, topics, unsubscribe";
    assert_eq!(seen.into_iter().collect::<Vec<_>>().join(", "), expected);
}

#[test]
fn every_error_that_nonsense_should_meet_is_asked_for() {
    let steps = stream(2, 4_000);
    let any = |matches: &dyn Fn(&Action) -> bool| steps.iter().any(|(_, step)| matches(&step.action));
    assert!(any(&|action| action.subject() == Some("nowhere")));
    assert!(any(
        &|action| matches!(action, Action::Write(Write::Publish { publisher, .. }) if publisher.as_str() == "nobody")
    ));
    assert!(any(
        &|action| matches!(action, Action::Read(Read::Pull { subscriber, .. }) if subscriber.as_str() == "stranger")
    ));
    assert!(any(&|action| matches!(action, Action::Write(Write::Commit { offset, .. }) if offset.0 > 1_000_000)));
    let lasting = workload(2).lasting_topics();
    assert!(any(
        &|action| matches!(action, Action::Write(Write::DeleteTopic { topic, .. }) if lasting.contains(topic))
    ));
    assert!(any(
        &|action| matches!(action, Action::Write(Write::CreateTopic { topic, .. }) if lasting.contains(topic))
    ));
}

#[test]
fn a_content_belongs_to_one_publish_and_a_sequence_to_one_content() {
    let mut contents: BTreeMap<Content, (PublisherId, TopicName, Option<Sequence>)> = BTreeMap::new();
    let mut sequences = BTreeMap::new();
    let (mut publishes, mut repeats) = (0, 0);
    for (_, step) in stream(5, 5_000) {
        let Action::Write(Write::Publish { publisher, topic, content, sequence, .. }) = step.action else { continue };
        publishes += 1;
        assert!(content.len() <= 2_000);
        if let Some(first) = contents.insert(content.clone(), (publisher.clone(), topic.clone(), sequence)) {
            assert_eq!(first, (publisher.clone(), topic.clone(), sequence));
            assert!(sequence.is_some(), "{content:?} has no number and was sent again");
            repeats += 1;
        }
        if let Some(sequence) = sequence {
            let first = sequences.insert((publisher, sequence), (topic.clone(), content.clone()));
            assert!(first.is_none_or(|first| first == (topic, content)));
        }
    }
    assert!(publishes > 1_000 && repeats > 100, "{publishes} publishes, {repeats} repeats");
}

#[test]
fn only_the_owner_creates_a_passing_topic_and_others_try_to_delete_it() {
    let passing = workload(4).passing_topics();
    let (mut own, mut foreign) = (0, 0);
    for (client, step) in stream(4, 8_000) {
        let number = |topic: &TopicName| passing.iter().zip(0..).find(|(name, _)| *name == topic).map(|(_, at)| at);
        match &step.action {
            Action::Write(Write::CreateTopic { topic, .. }) => {
                assert!(number(topic).is_none_or(|owner| owner == client.0))
            }
            Action::Write(Write::DeleteTopic { topic, .. }) if number(topic) == Some(client.0) => own += 1,
            Action::Write(Write::DeleteTopic { topic, .. }) if number(topic).is_some() => foreign += 1,
            _ => {}
        }
    }
    assert!(own > 10 && foreign > 5, "{own} by owners, {foreign} by others");
}

#[test]
fn a_session_is_left_before_another_on_the_same_topic() {
    let mut open: BTreeSet<(ClientId, TopicName)> = BTreeSet::new();
    let (mut opened, mut left) = (0, 0);
    drive(6, 5_000, |client, step, operation| {
        if let Some(topic) = &step.leave {
            assert!(open.remove(&(client, topic.clone())), "{client:?} leaves what it does not have");
            left += 1;
        }
        if let Action::Write(Write::Subscribe { topic, .. } | Write::ReplicaSubscribe { topic, .. }) = &step.action
            && step.opens_session()
            && matches!(operation.outcome(), crate::check::history::Outcome::Done(_))
        {
            assert!(open.insert((client, topic.clone())), "{client:?} has two sessions on {topic}");
            opened += 1;
        }
    });
    assert!(opened > 50 && left > 20, "{opened} opened, {left} left");
}

#[test]
fn the_keeper_prepares_everything_and_says_farewell_to_every_lasting_topic() {
    let workload = workload(9);
    let preparation = workload.preparation();
    let subscribed = |of: &str| {
        let is_of = |action: &&Action| {
            matches!(
                action,
                Action::Write(Write::Subscribe { subscriber, .. }) if subscriber.as_str() == of
            )
        };
        preparation.iter().filter(is_of).count()
    };
    assert_eq!(subscribed("auditor"), 2);
    assert_eq!(subscribed("subscriber4"), 2);
    let farewell: Vec<TopicName> =
        workload.farewell().iter().map(|action| topic(action.subject().unwrap().to_owned())).collect();
    assert_eq!(farewell, workload.lasting_topics());
    assert!(Workload::is_settled(&Err(ErrorCode::TopicExists.because(""))));
    assert!(!Workload::is_settled(&Err(ErrorCode::Timeout.because(""))));
}

fn workload(seed: u64) -> Workload {
    Workload::new(&Seating::founding(Dimension::new(3).unwrap()), Load::default(), seed)
}

fn stream(seed: u64, steps: u64) -> Vec<(ClientId, Step)> {
    let mut stream = Vec::new();
    drive(seed, steps, |client, step, _| stream.push((client, step.clone())));
    stream
}

fn drive(seed: u64, steps: u64, mut look: impl FnMut(ClientId, &Step, &Operation)) {
    let mut workload = workload(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut end = 0;
    for at in 0..steps {
        let client = ClientId((at % 5) as u32);
        let step = workload.next(client);
        assert!(step.pause_us <= 200_000);
        let operation = Operation {
            client,
            node: step.node,
            action: step.action.clone(),
            invoked: Instant(at),
            answered: answer(&mut random, &step.action, &mut end).map(|result| Answered {
                at: Instant(at),
                served_by: step.node,
                hops: Vec::new(),
                result,
            }),
        };
        look(client, &step, &operation);
        workload.handle_outcome(&operation);
    }
}

fn answer(random: &mut fastrand::Rng, action: &Action, end: &mut u64) -> Option<Result<Done, Failure>> {
    match random.u64(0..20) {
        0 => return None,
        1 => return Some(Err(ErrorCode::Timeout.because(""))),
        2 => return Some(Err(ErrorCode::Unavailable.because(""))),
        3 if action.subject().is_some() => return Some(Err(ErrorCode::UnknownTopic.because(""))),
        4 => return Some(Err(ErrorCode::NotSubscribed.because(""))),
        _ => {}
    }
    let home = Dimension::new(3).unwrap().vertex(0).unwrap();
    Some(Ok(match action.clone() {
        Action::Write(Write::Publish { topic, .. }) => {
            *end += 1;
            Done::Published { topic, offset: Some(Offset(*end - 1)), replicas: Vec::new(), repeated: false }
        }
        Action::Write(Write::Subscribe { topic, .. } | Write::ReplicaSubscribe { topic, .. }) => Done::Subscribed {
            topic,
            topic_id: cubecast_core::names::TopicId(0),
            cursor: Offset(end.saturating_sub(5)),
            original_node: None,
        },
        Action::Read(Read::Pull { topic, .. } | Read::ReplicaPull { topic, .. }) => Done::Pulled {
            topic,
            messages: vec![message(end.saturating_sub(1))],
            cursor: Offset(*end),
            end: Offset(*end),
            behind: None,
            original_node: None,
        },
        Action::Write(Write::Commit { topic, offset, .. }) => Done::Committed { topic, cursor: offset },
        Action::Write(Write::CreateTopic { topic, .. }) => Done::TopicCreated { topic, home, neighbours: Vec::new() },
        Action::Write(Write::DeleteTopic { topic, .. }) => Done::TopicDeleted { topic, home, neighbours: Vec::new() },
        Action::Write(Write::Unsubscribe { topic, .. }) => Done::Unsubscribed { topic },
        Action::Write(Write::CreatePublisher { publisher }) => Done::PublisherCreated { publisher, existed: false },
        Action::Write(Write::CreateSubscriber { subscriber }) => Done::SubscriberCreated { subscriber, existed: false },
        Action::Write(Write::DeletePublisher { publisher }) => Done::PublisherDeleted { publisher },
        Action::Write(Write::DeleteSubscriber { subscriber }) => Done::SubscriberDeleted { subscriber },
        Action::Query(Query::Locate { topic }) => Done::Located(Location {
            topic,
            exists: random.bool(),
            home,
            neighbours: Vec::new(),
            leader: None,
            members: Vec::new(),
        }),
        _ => Done::Watching,
    }))
}

fn message(offset: u64) -> Message {
    Message { offset: Offset(offset), publisher: Workload::keeper(), content: "".into(), time: Timestamp(0) }
}

fn kinds(action: &Action) -> Vec<String> {
    let name = action.name();
    let mut kinds = vec![name.to_owned()];
    match action {
        Action::Write(Write::Publish { ack, sequence, .. }) => {
            kinds.push(format!("{name} {ack:?}"));
            kinds.push(format!("{name} {}", if sequence.is_some() { "numbered" } else { "unnumbered" }));
        }
        Action::Read(Read::Pull { read, commit, .. }) => {
            assert!(matches!(read, ReadLevel::Leader | ReadLevel::Any));
            kinds.push(format!("{name} {read:?} {commit}"));
        }
        Action::Read(Read::ReplicaPull { from, .. }) => {
            kinds.push(format!("{name} {}", if from.is_some() { "from" } else { "cursor" }));
        }
        Action::Write(Write::Subscribe { push: true, .. } | Write::ReplicaSubscribe { push: true, .. }) => {
            kinds.push(format!("{name} push"));
        }
        Action::Write(Write::Subscribe { from, .. }) => kinds.push(format!("{name} {}", start(from.as_ref()))),
        _ => {}
    }
    kinds
}

fn start(from: Option<&StartAt>) -> &'static str {
    match from {
        None => "keep",
        Some(StartAt::Beginning) => "beginning",
        Some(StartAt::Latest) => "latest",
        Some(StartAt::Offset(_)) => "offset",
    }
}
