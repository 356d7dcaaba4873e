//! Subscriptions and their cursors, also with late copies of requests.

use super::*;

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
