//! Valid and invalid histories of one subscriber.

use cubecast_core::names::{Offset, StartAt};
use cubecast_core::wire::answer::ErrorCode;
use cubecast_core::wire::client::ReadLevel;

use super::check;
use crate::check::story::Story;

/// A new topic with ten messages, and one subscriber whose cursor is at 0.
fn story() -> Story {
    let mut story = Story::without_topic();
    story.create_topic(1..2).created();
    story.log(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    story.subscribe(None, 3..4).subscribed(0);
    story
}

#[test]
fn a_reader_reads_on() {
    let mut story = story();
    story.pull(10..11).commit().saw(0, ["a", "b", "c"]);
    story.pull(12..13).saw(3, ["d"]);
    story.commit(5, 14..15).committed(5);
    story.commit(4, 16..17).committed(5);
    story.pull(18..19).level(ReadLevel::Any).commit().saw(3, ["d", "e", "f"]);
    story.pull(20..21).saw(6, []);
    story.replica_pull(None, 22..23).saw(0, ["a"]);
    story.replica_pull(Some(9), 24..25).saw(9, ["j"]);
    story.subscribe(Some(StartAt::Beginning), 26..27).subscribed(0);
    story.replica_subscribe(28..29).subscribed(0);
    story.subscribe(Some(StartAt::Latest), 30..31).subscribed(8);
    story.unsubscribe(32..33).unsubscribed();
    story.subscribe(None, 34..35).subscribed(0);
    assert_eq!(story.passes(check), 14);
}

#[test]
fn a_pull_may_be_given_again_and_nothing_before_it() {
    let mut story = story();
    story.commit(2, 5..6).committed(2);
    story.pull(10..11).commit().saw(2, ["c", "d"]);
    story.pull(12..13).commit().saw(2, ["c", "d"]);
    story.pull(14..15).saw(4, ["e"]);
    story.passes(check);
    story.pull(16..17).saw(3, ["d"]);
    story.fails(check, &["moved back", "pull on `news`", "at 3", "at least 4", "0.014000 s"]);
}

#[test]
fn a_pull_that_skips_is_found() {
    let mut story = story();
    story.pull(10..11).commit().saw(0, ["a", "b"]);
    story.pull(12..13).saw(3, ["d"]);
    story.fails(check, &["skipped", "at 3", "at most 2", "sent to 010 at 0.010000 s"]);
    let mut story = self::story();
    story.pull(10..11).saw(0, ["a", "b"]);
    story.pull(12..13).saw(1, ["b"]);
    story.fails(check, &["skipped", "at 1", "at most 0"]);
}

#[test]
fn a_pull_whose_answer_was_lost_may_have_moved_the_cursor_by_what_it_asked_for() {
    let mut story = story();
    story.pull(10..11).commit().max(3).in_doubt();
    story.pull(12..13).saw(3, ["d"]);
    story.passes(check);
    story.pull(14..15).saw(4, ["e"]);
    assert_eq!(story.passes(check), 3, "the lost pull may come now");
    story.pull(16..17).saw(8, ["i"]);
    story.fails(check, &["skipped", "at 8", "at most 7"]);
}

#[test]
fn a_lost_pull_that_moves_nothing_moves_nothing() {
    let mut story = story();
    story.pull(10..11).in_doubt();
    story.pull(10..11).commit().refused(ErrorCode::Unavailable);
    story.pull(12..13).saw(1, ["b"]);
    story.fails(check, &["skipped"]);
}

#[test]
fn a_commit_tells_where_the_cursor_is() {
    let mut story = story();
    story.commit(4, 10..11).committed(3);
    story.fails(check, &["moved back", "commit on `news`", "at 3", "at least 4"]);
    let mut story = self::story();
    story.commit(4, 10..11).committed(5);
    story.fails(check, &["skipped", "at 5", "at most 4"]);
    let mut story = self::story();
    story.commit(4, 10..11).committed(4);
    story.commit(2, 12..13).committed(2);
    story.fails(check, &["moved back", "at 2", "at least 4"]);
    let mut story = self::story();
    story.commit(4, 10..11).in_doubt();
    story.pull(12..13).saw(0, ["a"]);
    story.commit(2, 14..15).committed(4);
    story.passes(check);
}

#[test]
fn a_subscription_begins_where_it_was_asked_to() {
    for (from, cursor) in [
        (None, 1),
        (Some(StartAt::Beginning), 1),
        (Some(StartAt::Offset(Offset(3))), 2),
        (Some(StartAt::Offset(Offset(3))), 4),
    ] {
        let mut story = Story::without_topic();
        story.create_topic(1..2).created();
        story.log(["a", "b", "c", "d", "e"]);
        story.subscribe(from, 3..4).subscribed(cursor);
        story.fails(check, &["subscribe on `news`", &format!("at {cursor}")]);
    }
    let mut story = story();
    story.commit(4, 10..11).committed(4);
    story.subscribe(None, 12..13).subscribed(0);
    story.fails(check, &["moved back", "subscribe on `news`", "at least 4"]);
}

#[test]
fn who_went_back_on_purpose_skips_nothing_then() {
    let mut story = story();
    story.commit(8, 10..11).committed(8);
    story.subscribe(Some(StartAt::Offset(Offset(2))), 12..13).subscribed(2);
    story.pull(14..15).saw(8, ["i"]);
    story.fails(check, &["skipped", "at 8", "at most 2", "subscribe on `news`"]);
    let mut story = self::story();
    story.commit(8, 10..11).committed(8);
    story.subscribe(Some(StartAt::Beginning), 12..13).in_doubt();
    story.pull(14..15).saw(8, ["i"]);
    story.pull(16..17).saw(0, ["a"]);
    story.passes(check);
}

#[test]
fn a_replica_knows_old_places_and_no_new_ones() {
    for level in [ReadLevel::Any, ReadLevel::Leader] {
        let mut story = story();
        story.commit(4, 10..11).committed(4);
        story.subscribe(Some(StartAt::Beginning), 12..13).subscribed(0);
        story.pull(14..15).level(level).saw(4, ["e"]);
        match level {
            ReadLevel::Any => assert_eq!(story.passes(check), 4),
            ReadLevel::Leader => story.fails(check, &["skipped"]),
        }
    }
    let mut story = story();
    story.pull(14..15).level(ReadLevel::Any).saw(1, ["b"]);
    story.fails(check, &["skipped", "at 1"]);
    let mut story = self::story();
    story.replica_pull(Some(2), 14..15).saw(3, ["d"]);
    story.fails(check, &["skipped", "replica_pull on `news`", "at most 2"]);
}

#[test]
fn what_overlaps_may_come_in_either_order() {
    let mut story = story();
    story.subscribe(Some(StartAt::Beginning), 10..20).subscribed(0);
    story.commit(4, 12..18).committed(4);
    story.pull(21..22).saw(4, ["e"]);
    story.pull(23..24).saw(0, ["a"]);
    story.passes(check);
    story.pull(25..26).saw(5, ["f"]);
    story.fails(check, &["skipped", "at 5", "at most 4"]);
}

#[test]
fn of_a_topic_older_than_the_record_the_first_cursor_may_be_anywhere() {
    let mut story = Story::new();
    story.log(["a", "b", "c"]);
    story.pull(10..11).saw(2, ["c"]);
    story.passes(check);
    story.pull(12..13).saw(1, ["b"]);
    story.fails(check, &["moved back"]);
}
