//! Registration, creation and deletion.

use super::*;

#[test]
fn registering_twice_says_that_it_existed() {
    let mut group = Group::new();
    let create = Op::CreatePublisher { publisher: publisher("ann") };
    assert_eq!(group.apply(create.clone()), Ok(Outcome::Registered { existed: false }));
    assert_eq!(group.apply(create), Ok(Outcome::Registered { existed: true }));
    assert!(group.topics.is_publisher("ann"));
    assert!(!group.topics.is_subscriber("ann"), "publishers and subscribers are two registries");
    assert!(!group.topics.is_publisher("no valid name"));
}

#[test]
fn a_topic_is_created_once_and_a_retry_of_its_creation_succeeds() {
    let mut group = Group::new();
    let first = group.command(create("ann", "news"));
    assert_eq!(group.topics.apply(&first).change, Change::Created { topic: topic("news") });
    let retry = group.topics.apply(&first);
    assert_eq!((retry.outcome, retry.change), (Ok(Outcome::TopicCreated), Change::Nothing));
    assert_eq!(group.code(create("ann", "news")), ErrorCode::TopicExists);
    assert_eq!(group.code(create("bob", "news")), ErrorCode::TopicExists);
}

#[test]
fn only_its_creator_deletes_a_topic_and_a_retry_of_the_deletion_succeeds() {
    let mut group = Group::with_topic("ann", "news");
    assert_eq!(group.code(delete("bob", "news")), ErrorCode::NotOwner);
    assert_eq!(group.code(delete("ann", "olds")), ErrorCode::UnknownTopic);
    let deletion = group.command(delete("ann", "news"));
    assert_eq!(
        group.topics.apply(&deletion).change,
        Change::Drop { topic: topic("news"), id: TopicId(0), end: Offset(0) }
    );
    let retry = group.topics.apply(&deletion);
    assert_eq!((retry.outcome, retry.change), (Ok(Outcome::TopicDeleted), Change::Nothing));
    assert_eq!(group.code(delete("ann", "news")), ErrorCode::UnknownTopic);
}

#[test]
fn a_topic_created_again_is_another_one_and_late_copies_leave_it_alone() {
    let mut group = Group::new();
    let creation = group.command(create("ann", "news"));
    group.topics.apply(&creation);
    group.publish(None, "old").unwrap();
    let [early_deletion, deletion, second_creation] =
        [delete("ann", "news"), delete("ann", "news"), create("ann", "news")].map(|op| group.command(op));
    group.topics.apply(&deletion);
    assert_eq!(group.topics.apply(&creation).change, Change::Nothing, "a late copy of the creation creates nothing");
    assert_eq!(group.topics.topic(&topic("news")), None);

    group.topics.apply(&second_creation);
    assert_eq!(group.topics.apply(&deletion).change, Change::Nothing);
    assert_eq!(group.topics.apply(&early_deletion).change, Change::Nothing);
    let view = group.topics.topic(&topic("news")).unwrap();
    assert_eq!((view.id, view.end), (TopicId(1), Offset(0)));
    assert_eq!(group.topics.topic_by_id(TopicId(0)), None);
    assert_eq!(group.topics.topic_by_id(TopicId(1)), Some(view));
}

#[test]
fn times_never_go_back_though_clocks_do_over_a_restart_and_a_topic_that_is_created_again() {
    let mut group = Group::with_topic("ann", "news");
    let mut stored_at = |clock, content| {
        let command = Command { time: Timestamp(clock), ..group.command(publish("ann", None, content)) };
        group.topics = Topics::decode(&group.topics.encode()).unwrap();
        match group.topics.apply(&command).change {
            Change::Store { message, .. } => message.time,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        [(50_000, "a"), (40_000, "b"), (60_000, "c")].map(|(clock, content)| stored_at(clock, content)),
        [50_000, 50_000, 60_000].map(Timestamp)
    );
    group.apply(delete("ann", "news")).unwrap();
    group.apply(create("ann", "news")).unwrap();
    let command = Command { time: Timestamp(7), ..group.command(publish("ann", None, "d")) };
    assert!(matches!(
        group.topics.apply(&command).change,
        Change::Store { message, .. } if message.time == Timestamp(60_000)
    ));
}

#[test]
fn what_was_refused_for_want_of_a_topic_stays_refused_when_there_is_one() {
    let mut group = Group::new();
    let creation = group.command(create("ann", "news"));
    let refused =
        [publish("ann", Some(1), "x"), subscribe(None), publish("ann", None, "y")].map(|op| group.command(op));
    let refuse = |group: &mut Group| {
        for late in &refused {
            assert_eq!(group.topics.apply(late).outcome.unwrap_err().code, ErrorCode::UnknownTopic, "{:?}", late.op);
        }
    };
    refuse(&mut group);
    group.topics.apply(&creation).outcome.unwrap();
    group.topics = Topics::decode(&group.topics.encode()).unwrap();
    refuse(&mut group);
    assert_eq!(group.publish(Some(1), "x"), Ok(Outcome::Published { offset: Offset(0), repeated: false }));
}

#[test]
fn what_was_meant_for_a_deleted_topic_does_not_reach_the_next() {
    let mut group = Group::with_topic("ann", "news");
    let stored = [publish("ann", Some(1), "x"), publish("ann", None, "y"), subscribe(None), commit(1)];
    let stored = stored.map(|op| group.command(op));
    let others = [create("bob", "news"), delete("bob", "news")].map(|op| group.command(op));
    for command in &stored {
        group.topics.apply(command).outcome.unwrap();
    }
    for command in &others {
        group.topics.apply(command).outcome.unwrap_err();
    }
    group.apply(delete("ann", "news")).unwrap();
    let code = |group: &mut Group, late| group.topics.apply(late).outcome.unwrap_err().code;
    assert_eq!(code(&mut group, &others[0]), ErrorCode::TopicExists, "it was refused, and creates nothing now");

    group.apply(create("bob", "news")).unwrap();
    for late in stored.iter().chain(&others[1..]) {
        assert_eq!(code(&mut group, late), ErrorCode::UnknownTopic, "{:?}", late.op);
    }
    let view = group.topics.topic(&topic("news")).unwrap();
    assert_eq!((view.id, view.end, view.subscribers), (TopicId(1), Offset(0), 0));
}

#[test]
fn deletions_are_remembered_up_to_their_limit() {
    let mut group = Group::new();
    let mut first = None;
    for number in 0..=REMOVALS_REMEMBERED {
        let name = format!("t{number}");
        group.apply(create("ann", &name)).unwrap();
        let deletion = group.command(delete("ann", &name));
        group.topics.apply(&deletion).outcome.unwrap();
        first.get_or_insert(deletion);
    }
    assert_eq!(group.topics.deleted.len(), REMOVALS_REMEMBERED);
    assert_eq!(group.topics.no_topic.len(), REMOVALS_REMEMBERED);
    assert_eq!(group.topics.apply(&first.unwrap()).outcome.unwrap_err().code, ErrorCode::UnknownTopic);
}
