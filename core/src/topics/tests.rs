use std::fmt::Write;

use super::command::{Command, Op};
use super::*;
use crate::identity::NodeId;
use crate::names::{Sequence, StartAt};
use crate::time::Timestamp;
use crate::wire::answer::ErrorCode;

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
    assert!(
        matches!(group.topics.apply(&command).change, Change::Store { message, .. } if message.time == Timestamp(60_000))
    );
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

#[test]
fn a_publish_says_what_to_store_and_where() {
    let mut group = Group::with_topic("ann", "news");
    group.publish(None, "zero").unwrap();
    let command = group.command(publish("bob", Some(9), "one"));
    let applied = group.topics.apply(&command);
    assert_eq!(applied.outcome, Ok(Outcome::Published { offset: Offset(1), repeated: false }));
    let message = StoredMessage {
        offset: Offset(1),
        publisher: publisher("bob"),
        sequence: Some(Sequence(9)),
        time: command.time,
        content: "one".into(),
    };
    assert_eq!(applied.change, Change::Store { topic: topic("news"), id: TopicId(0), message });
    assert_eq!(group.topics.place(&topic("news")), Some((TopicId(0), Offset(2))));
    assert_eq!(group.topics.counts(), Counts { topics: 1, messages: 2 });
}

#[test]
fn a_repeated_sequence_is_stored_once_whoever_brings_it() {
    let mut group = Group::with_topic("ann", "news");
    group.publish(Some(5), "first").unwrap();
    group.publish(Some(6), "second").unwrap();
    let repeat = group.command(publish("ann", Some(5), "first"));
    let applied = group.topics.apply(&repeat);
    assert_eq!(applied.outcome, Ok(Outcome::Published { offset: Offset(0), repeated: true }));
    assert_eq!(applied.change, Change::Nothing);
    assert_eq!(group.topics.place(&topic("news")).unwrap().1, Offset(2));
}

#[test]
fn without_a_sequence_a_retry_is_known_by_its_request_and_equal_content_is_not_a_repeat() {
    let mut group = Group::with_topic("ann", "news");
    let command = group.command(publish("ann", None, "same"));
    assert_eq!(group.topics.apply(&command).outcome, Ok(Outcome::Published { offset: Offset(0), repeated: false }));
    assert_eq!(group.topics.apply(&command).outcome, Ok(Outcome::Published { offset: Offset(0), repeated: true }));
    assert_eq!(group.publish(None, "same"), Ok(Outcome::Published { offset: Offset(1), repeated: false }));
}

#[test]
fn a_sequence_before_all_that_are_remembered_is_refused_and_not_stored() {
    let mut group = Group::with_topic("ann", "news");
    for sequence in 0..=dedup::MAX_RUNS as u64 {
        group.publish(Some(sequence * 2), "x").unwrap();
    }
    assert_eq!(group.code(publish("ann", Some(0), "x")), ErrorCode::SequenceTooOld);
    assert_eq!(group.topics.counts().messages, dedup::MAX_RUNS as u64 + 1);
}

#[test]
fn a_publish_needs_its_topic() {
    assert_eq!(Group::new().code(publish("ann", None, "x")), ErrorCode::UnknownTopic);
}

#[test]
fn a_subscription_starts_where_it_was_told_to() {
    for (from, expected) in [
        (None, 0),
        (Some(StartAt::Beginning), 0),
        (Some(StartAt::Latest), 3),
        (Some(StartAt::Offset(Offset(2))), 2),
        (Some(StartAt::Offset(Offset(3))), 3),
    ] {
        let mut group = Group::with_messages(3);
        assert_eq!(
            group.apply(subscribe(from)),
            Ok(Outcome::Subscribed { topic: TopicId(0), cursor: Offset(expected) }),
            "{from:?}"
        );
        assert_eq!(group.cursor(), Some(Offset(expected)));
    }
}

#[test]
fn a_start_past_the_end_is_refused_rather_than_moved() {
    let mut group = Group::with_messages(3);
    assert_eq!(group.code(subscribe(Some(StartAt::Offset(Offset(4))))), ErrorCode::BadRequest);
    assert_eq!(group.cursor(), None);
}

#[test]
fn subscribing_again_keeps_the_cursor_unless_told_where_to_start() {
    let mut group = Group::with_messages(3);
    group.apply(subscribe(None)).unwrap();
    group.apply(commit(2)).unwrap();
    assert_eq!(group.apply(subscribe(None)), Ok(Outcome::Subscribed { topic: TopicId(0), cursor: Offset(2) }));
    assert_eq!(
        group.apply(subscribe(Some(StartAt::Beginning))),
        Ok(Outcome::Subscribed { topic: TopicId(0), cursor: Offset(0) })
    );
}

#[test]
fn a_cursor_only_moves_forward_and_never_past_the_end() {
    let mut group = Group::with_messages(3);
    group.apply(subscribe(None)).unwrap();
    assert_eq!(group.apply(commit(2)), Ok(Outcome::Committed { cursor: Offset(2) }));
    assert_eq!(group.apply(commit(1)), Ok(Outcome::Committed { cursor: Offset(2) }));
    assert_eq!(group.code(commit(4)), ErrorCode::BadRequest);
    assert_eq!(group.apply(commit(3)), Ok(Outcome::Committed { cursor: Offset(3) }));
}

#[test]
fn without_a_subscription_there_is_nothing_to_commit_or_end() {
    let mut group = Group::with_messages(3);
    assert_eq!(group.code(commit(1)), ErrorCode::NotSubscribed);
    assert_eq!(group.code(unsubscribe()), ErrorCode::NotSubscribed);
    group.apply(subscribe(None)).unwrap();
    assert_eq!(group.topics.topic(&topic("news")).unwrap().subscribers, 1);
    let end = group.command(unsubscribe());
    assert_eq!(group.topics.apply(&end).outcome, Ok(Outcome::Unsubscribed));
    assert_eq!(group.topics.apply(&end).outcome, Ok(Outcome::Unsubscribed), "a retry succeeds too");
    assert_eq!(group.cursor(), None);
}

#[test]
fn late_copies_of_requests_never_undo_a_newer_subscribe() {
    let mut group = Group::with_messages(3);
    let [from_latest, end, old_commit, from_one] =
        [subscribe(Some(StartAt::Latest)), unsubscribe(), commit(3), subscribe(Some(StartAt::Offset(Offset(1))))]
            .map(|op| group.command(op));
    group.topics.apply(&from_latest).outcome.unwrap();
    group.topics.apply(&from_one).outcome.unwrap();
    for late in [&from_latest, &end, &old_commit] {
        group.topics.apply(late).outcome.unwrap();
        assert_eq!(group.cursor(), Some(Offset(1)), "{:?}", late.op);
    }
}

#[test]
fn a_copy_learns_what_the_first_did_though_another_came_between() {
    let mut group = Group::with_messages(3);
    let beginning = || subscribe(Some(StartAt::Beginning));
    let [reset, second_reset, third_reset] = ["010", "010", "001"].map(|node| group.command_by(node, beginning()));
    group.apply(subscribe(Some(StartAt::Offset(Offset(1))))).unwrap();
    let moved = group.command(commit(2));
    let put = group.command(subscribe(Some(StartAt::Offset(Offset(3)))));
    let put_latest = group.command_by("110", subscribe(Some(StartAt::Latest)));
    assert_eq!(group.topics.apply(&moved).outcome, Ok(Outcome::Committed { cursor: Offset(2) }));
    group.topics.apply(&reset).outcome.unwrap();
    group.topics.apply(&second_reset).outcome.unwrap();
    assert_eq!(group.topics.apply(&moved).outcome, Ok(Outcome::Committed { cursor: Offset(2) }));
    group.topics.apply(&put).outcome.unwrap();
    group.topics.apply(&put_latest).outcome.unwrap();
    group.topics.apply(&third_reset).outcome.unwrap();
    for copy in [put, put_latest] {
        let again = group.topics.apply(&copy).outcome;
        assert_eq!(again, Ok(Outcome::Subscribed { topic: TopicId(0), cursor: Offset(3) }));
    }
    assert_eq!(group.cursor(), Some(Offset(0)));
}

#[test]
fn late_copies_through_another_node_do_not_reach_the_next_subscription() {
    let mut group = Group::with_messages(3);
    let [first, moved, refused] = [subscribe(None), commit(2), commit(7)].map(|op| group.command_by("010", op));
    for command in [&first, &moved] {
        group.topics.apply(command).outcome.unwrap();
    }
    assert_eq!(group.topics.apply(&refused).outcome.unwrap_err().code, ErrorCode::BadRequest);
    group.apply(unsubscribe()).unwrap();
    assert_eq!(group.topics.apply(&first).outcome.unwrap_err().code, ErrorCode::NotSubscribed, "it ended");

    group.apply(subscribe(None)).unwrap();
    (0..5).for_each(|_| drop(group.publish(None, "x")));
    for late in [&first, &moved, &refused] {
        group.topics = Topics::decode(&group.topics.encode()).unwrap();
        drop(group.topics.apply(late));
        assert_eq!(group.cursor(), Some(Offset(0)), "{:?}", late.op);
    }
}

#[test]
fn copies_of_what_two_nodes_asked_in_vain_are_both_refused() {
    let mut group = Group::with_messages(3);
    group.apply(subscribe(None)).unwrap();
    let past_the_end = ["010", "110"].map(|node| group.command_by(node, commit(9)));
    for command in past_the_end.iter().chain(&past_the_end) {
        assert_eq!(group.topics.apply(command).outcome.unwrap_err().code, ErrorCode::BadRequest);
    }
    assert_eq!(group.cursor(), Some(Offset(0)));
}

#[test]
fn what_was_read_does_not_move_a_cursor_that_was_put_back_before_it_since() {
    let mut group = Group::with_messages(9);
    group.apply(subscribe(Some(StartAt::Offset(Offset(4))))).unwrap();
    let [in_time, late] = [(4, 6), (6, 8)].map(|(from, to)| group.command_by("010", advance(from, to)));
    assert_eq!(group.topics.apply(&in_time).outcome, Ok(Outcome::Committed { cursor: Offset(6) }));
    group.apply(subscribe(Some(StartAt::Offset(Offset(5))))).unwrap();
    assert_eq!(group.topics.apply(&late).outcome, Ok(Outcome::Committed { cursor: Offset(5) }), "5 would be skipped");
    group.apply(advance(3, 7)).unwrap();
    assert_eq!(group.cursor(), Some(Offset(7)), "all before 7 were read");
    group.apply(advance(0, 2)).unwrap();
    assert_eq!(group.cursor(), Some(Offset(7)), "it never goes back");
    assert_eq!(group.code(advance(0, 10)), ErrorCode::BadRequest);
}

#[test]
fn a_copy_of_what_a_subscription_refused_is_refused_as_well() {
    let mut group = Group::with_messages(3);
    group.apply(subscribe(None)).unwrap();
    let refused = [commit(4), subscribe(Some(StartAt::Offset(Offset(5))))];
    for op in refused {
        let refused = group.command(op);
        let code = |group: &mut Group| group.topics.apply(&refused).outcome.unwrap_err().code;
        assert_eq!(code(&mut group), ErrorCode::BadRequest);
        group.publish(None, "x").unwrap();
        assert_eq!((code(&mut group), group.cursor()), (ErrorCode::BadRequest, Some(Offset(0))));
    }
}

#[test]
fn what_was_refused_for_want_of_a_subscription_has_no_effect_on_a_later_one() {
    let mut group = Group::with_messages(3);
    let [early, end, past] =
        [commit(2), unsubscribe(), subscribe(Some(StartAt::Offset(Offset(4))))].map(|op| group.command_by("010", op));
    let codes = [&early, &end, &past].map(|command| group.topics.apply(command).outcome.unwrap_err().code);
    assert_eq!(codes, [ErrorCode::NotSubscribed, ErrorCode::NotSubscribed, ErrorCode::BadRequest]);
    group.publish(None, "x").unwrap();
    group.topics.apply(&past).outcome.unwrap_err();
    assert_eq!(group.cursor(), None, "a copy of what was refused subscribes nobody");
    group.apply(subscribe(None)).unwrap();
    for late in [&early, &end, &past] {
        drop(group.topics.apply(late));
        assert_eq!(group.cursor(), Some(Offset(0)), "{:?}", late.op);
    }
}

#[test]
fn the_limits_are_refused_with_a_reason() {
    let mut group = Group::with_topic("ann", "news");
    for number in 1..MAX_TOPICS {
        group.apply(create("ann", &format!("t{number}"))).unwrap();
    }
    let failure = group.apply(create("ann", "one-more")).unwrap_err();
    assert_eq!(failure.code, ErrorCode::LimitReached);
    assert!(failure.message.contains("100000 topics"), "{failure}");
    group.apply(delete("ann", "t1")).unwrap();
    group.apply(create("ann", "one-more")).unwrap();
}

#[test]
fn the_topics_of_a_group_are_limited_by_bytes() {
    let mut group = Group::with_topic("ann", "news");
    let owner = "o".repeat(255);
    let long = |number: u64| format!("{number:0>255}");
    let many = (0..).take_while(|number| group.apply(create(&owner, &long(*number))).is_ok()).count() as u64;
    assert!((40_000..60_000).contains(&many), "{many} topics");
    let full = group.topics.sizes();
    assert!(full.topic_bytes <= MAX_TOPIC_BYTES);
    assert_eq!(group.apply(create(&owner, &long(many))).unwrap_err().code, ErrorCode::LimitReached);
    assert_eq!(Topics::decode(&group.topics.encode()).unwrap().sizes(), full, "a restart counts the same");
    group.apply(delete(&owner, &long(0))).unwrap();
    group.apply(create(&owner, &long(many + 1))).unwrap();
    assert_eq!(group.topics.sizes().topic_bytes, full.topic_bytes);
}

#[test]
fn repeats_of_all_topics_of_a_group_are_limited_by_bytes() {
    let mut group = Group::with_topic("ann", "news");
    for sequence in [1, 2, 3] {
        group.publish(Some(sequence), "x").unwrap();
    }
    for number in 0..40 {
        let name = format!("t{number}");
        group.apply(create("ann", &name)).unwrap();
        for publisher in 0..MAX_PRODUCERS {
            let publisher = PublisherId::new(format!("{publisher:0>255}")).unwrap();
            let (topic, sequence) = (topic(&name), Some(Sequence(0)));
            group.apply(Op::Publish { publisher, topic, sequence, content: "x".into() }).unwrap();
        }
        let bytes = group.topics.sizes().dedup;
        assert!(bytes <= MAX_REPEAT_BYTES && bytes > number * MAX_PRODUCERS * 160, "{bytes} bytes after {number}");
    }
    let full = group.topics.sizes();
    assert_eq!(Topics::decode(&group.topics.encode()).unwrap().sizes(), full, "a restart counts the same");
    let repeated = group.publish(Some(1), "x").unwrap();
    assert_eq!(repeated, Outcome::Published { offset: Offset(0), repeated: true }, "smaller topics remember");
    group.apply(delete("ann", "t39")).unwrap();
    assert!(group.topics.sizes().dedup < full.dedup);
}

#[test]
fn the_subscriptions_of_all_topics_of_a_group_are_limited_by_bytes() {
    let mut group = Group::with_topic("ann", "news");
    group.apply(create("ann", "olds")).unwrap();
    let subscribe = |number: u64, to: &str| {
        let subscriber = SubscriberId::new(format!("s{number}")).unwrap();
        Op::Subscribe { subscriber, topic: topic(to), from: None }
    };
    let to = |number: u64| if number.is_multiple_of(2) { "news" } else { "olds" };
    let many = (0..).take_while(|number| group.apply(subscribe(*number, to(*number))).is_ok()).count() as u64;
    assert!((80_000..120_000).contains(&many), "{many} subscriptions");
    let failure = group.apply(subscribe(many, "news")).unwrap_err();
    assert_eq!(failure.code, ErrorCode::LimitReached);
    assert!(
        failure.message.contains("limit of 64 MiB") && failure.message.contains("end unused subscriptions"),
        "{failure}"
    );
    assert!(group.topics.sizes().subscriptions <= MAX_SUBSCRIPTION_BYTES);
    group.apply(subscribe(0, "news")).expect("the subscription is there already");

    let full = group.topics.sizes();
    assert_eq!(Topics::decode(&group.topics.encode()).unwrap().sizes(), full, "a restart counts the same");
    let subscriber = SubscriberId::new("s0").unwrap();
    group.apply(Op::Unsubscribe { subscriber, topic: topic("news") }).unwrap();
    group.apply(subscribe(many + 1, "news")).unwrap();
    group.apply(delete("ann", "olds")).unwrap();
    assert!(group.topics.sizes().subscriptions < full.subscriptions * 2 / 3);
}

#[test]
fn a_state_that_was_encoded_is_the_same_in_all_its_answers() {
    let mut group = Group::with_messages(3);
    group.apply(subscribe(Some(StartAt::Latest))).unwrap();
    group.apply(Op::CreatePublisher { publisher: publisher("ann") }).unwrap();
    let decoded = Topics::decode(&group.topics.encode()).unwrap();
    assert_eq!(decoded, group.topics);
    assert_eq!(decoded.counts(), Counts { topics: 1, messages: 3 });
    assert_eq!(decoded.topic_by_id(TopicId(0)).unwrap().name, topic("news"));
}

#[test]
fn the_bytes_of_a_checkpoint_are_pinned() {
    let mut group = Group::with_messages(2);
    group.apply(subscribe(Some(StartAt::Offset(Offset(1))))).unwrap();
    let hex = group.topics.encode().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let expected = concat!(
        "04", // format
        "000000000000",
        "000000000000", // no publishers and no subscribers: registered, met, refused, absent (twice) or deleted
        "01",
        "046e657773",
        "00", // one topic, `news`, number 0
        "03616e6e",
        "0c0101", // owner `ann`, created by 100#1 as request 1
        "00",
        "01",
        "0c0104",
        "02", // no earlier requests; it met request 4 of 100#1; 2 messages
        "01",
        "03737562",
        "01",
        "010c0104",
        "010c0104",
        "01",
        "0c01040101", // subscriber `sub` at 1; requests up to 4 came before it, no others met; request 4 set it to 1
        "00",
        "01",
        "0c01",
        "01020002",
        "00",
        "01", // no client's repeats; node 100#1: a run of 2 from 2 at 0; last stored 1
        "01",
        "a01f", // next number; the latest time
        "00",
        "0000",
        "0000", // nothing deleted, no requests for absent topics or subscriptions
    );
    assert_eq!(hex, expected);
}

#[test]
fn a_damaged_checkpoint_is_refused_with_a_reason() {
    let bytes = Group::with_messages(3).topics.encode();
    assert_eq!(Topics::decode(&[9]), Err(StateError::Format { found: 9 }));
    for end in 0..bytes.len() {
        assert!(matches!(Topics::decode(&bytes[..end]), Err(StateError::Damaged(_))), "cut at {end}");
    }
    assert!(matches!(Topics::decode(&[bytes.as_slice(), &[0]].concat()), Err(StateError::Damaged(_))));
}

/// A group, and a coordinator that numbers its requests.
struct Group {
    topics: Topics,
    requests: u64,
}

impl Group {
    fn new() -> Group {
        Group { topics: Topics::default(), requests: 0 }
    }

    fn with_topic(owner: &str, name: &str) -> Group {
        let mut group = Group::new();
        group.apply(create(owner, name)).unwrap();
        group
    }

    fn with_messages(count: u64) -> Group {
        let mut group = Group::with_topic("ann", "news");
        (0..count).for_each(|_| drop(group.publish(None, "x")));
        group
    }

    fn command(&mut self, op: Op) -> Command {
        self.requests += 1;
        let key = RequestKey { coordinator: NodeId::founding("100".parse().unwrap()), number: self.requests };
        Command { key, time: Timestamp(1_000 * self.requests), op }
    }

    /// A command from another coordinator.
    fn command_by(&mut self, vertex: &str, op: Op) -> Command {
        let mut command = self.command(op);
        command.key.coordinator = NodeId::founding(vertex.parse().unwrap());
        command
    }

    fn apply(&mut self, op: Op) -> Result<Outcome, Failure> {
        let command = self.command(op);
        self.topics.apply(&command).outcome
    }

    fn publish(&mut self, sequence: Option<u64>, content: &str) -> Result<Outcome, Failure> {
        self.apply(publish("ann", sequence, content))
    }

    /// The error code with which the operation fails.
    fn code(&mut self, op: Op) -> ErrorCode {
        self.apply(op).unwrap_err().code
    }

    fn cursor(&self) -> Option<Offset> {
        self.topics.cursor(&topic("news"), &subscriber())
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn publisher(name: &str) -> PublisherId {
    PublisherId::new(name).unwrap()
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("sub").unwrap()
}

fn create(owner: &str, name: &str) -> Op {
    Op::CreateTopic { publisher: publisher(owner), topic: topic(name) }
}

fn delete(owner: &str, name: &str) -> Op {
    Op::DeleteTopic { publisher: publisher(owner), topic: topic(name) }
}

fn publish(by: &str, sequence: Option<u64>, content: &str) -> Op {
    Op::Publish {
        publisher: publisher(by),
        topic: topic("news"),
        sequence: sequence.map(Sequence),
        content: content.into(),
    }
}

fn subscribe(from: Option<StartAt>) -> Op {
    Op::Subscribe { subscriber: subscriber(), topic: topic("news"), from }
}

fn unsubscribe() -> Op {
    Op::Unsubscribe { subscriber: subscriber(), topic: topic("news") }
}

fn advance(from: u64, to: u64) -> Op {
    Op::Advance { subscriber: subscriber(), topic: topic("news"), from: Offset(from), to: Offset(to) }
}

fn commit(offset: u64) -> Op {
    Op::Commit { subscriber: subscriber(), topic: topic("news"), offset: Offset(offset) }
}
