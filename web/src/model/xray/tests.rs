use cubecast_core::cube::Dimension;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer;

use super::*;

#[test]
fn the_replicas_are_the_home_and_its_neighbours_home_first() {
    let names: Vec<_> = xray().replicas.iter().map(|replica| replica.node.to_string()).collect();
    assert_eq!(names, ["100", "101", "110", "000"]);
}

#[test]
fn a_message_that_a_replica_stored_tells_of_all_before_it() {
    let mut xray = xray();
    xray.learn_event(1_000, &stored("100", 7, 5));
    let home = &xray.replicas[0];
    let states: Vec<_> = (4..7).map(|offset| xray.message_state(9_000, home, Health::Up, true, offset)).collect();
    assert_eq!(states, [MessageState::Readable, MessageState::Readable, MessageState::Missing]);
    assert_eq!(xray.columns.len(), 6);
}

#[test]
fn a_replica_that_lacks_messages_is_behind_by_so_many_and_for_so_long() {
    let mut xray = xray();
    for offset in 0..5 {
        xray.learn_event(1_000 + 100 * offset, &stored("100", offset, offset));
    }
    xray.learn_event(1_500, &stored("101", 5, 1));
    let behind = &xray.replicas[1];
    let lag = Lag::Messages { count: 3, for_ms: Some(800) };
    assert_eq!(xray.lag(2_000, behind, false), lag, "since #2 was stored on the home");
    assert_eq!(xray.lag(1_200 + GRACE_MS - 1, behind, false), Lag::None, "it may be on its way");
    assert_eq!(xray.lag(2_000, behind, true), Lag::None, "what is committed is committed by the leader");
    assert_eq!(xray.lag(2_000, &xray.replicas[0], false), Lag::Unknown, "of two replicas nobody told");
    for peer in ["110", "000"] {
        xray.learn_event(1_600, &stored(peer, 6, 4));
    }
    assert_eq!(xray.lag(2_000, &xray.replicas[0], false), Lag::None);
}

#[test]
fn a_replica_of_which_nobody_told_is_unknown_and_lacks_nothing() {
    let mut xray = xray();
    xray.learn_answer(5_000, &located(&[("100", Some(29)), ("101", Some(29)), ("110", Some(29))]));
    let unknown = &xray.replicas[3];
    assert_eq!((unknown.readable, xray.lag(6_000, unknown, false)), (None, Lag::Unknown));
    assert_eq!(xray.message_state(6_000, unknown, Health::Up, true, 29), MessageState::Unknown);
    assert_eq!(xray.message_state(6_000, unknown, Health::Failed, false, 29), MessageState::Unknown);
    xray.learn_answer(6_000, &located(&[("000", Some(27))]));
    let found = &xray.replicas[3];
    let lag = Lag::Messages { count: 2, for_ms: None };
    assert_eq!(xray.lag(9_000, found, false), lag, "it is not known for how long");
    assert_eq!(xray.message_state(9_000, found, Health::Up, true, 27), MessageState::Readable);
    assert_eq!(xray.message_state(9_000, found, Health::Up, true, 28), MessageState::Missing);
}

#[test]
fn a_replica_that_did_not_answer_has_not_lost_anything() {
    let mut xray = xray();
    xray.learn_answer(1_000, &located(&[("101", Some(4))]));
    let mut silent = located(&[("101", None)]);
    if let Ok(Done::Located(location)) = &mut silent.result {
        location.members[0].alive = false;
    }
    xray.learn_answer(60_000, &silent);
    assert_eq!(xray.replicas[1].readable, Some(5));
    assert_eq!(xray.message_state(60_000, &xray.replicas[1], Health::Up, false, 4), MessageState::Readable);
    let later = xray.message_state(60_000, &xray.replicas[1], Health::Up, false, 5);
    assert_eq!(later, MessageState::Unknown, "it may have more by now");
}

#[test]
fn of_a_message_that_was_there_before_this_page_looked_it_is_not_known_when_it_came() {
    let mut xray = xray();
    xray.learn_answer(1_000, &located(&[("100", Some(9))]));
    xray.learn_event(1_100, &stored("101", 77, 9));
    assert_eq!(xray.replicas[1].delay_us, None);
    xray.learn_event(1_200, &stored("100", 80, 11));
    let told: Vec<bool> = xray.columns.iter().map(|column| column.first.is_some()).collect();
    assert_eq!(told[9..], [false, true, true]);
}

#[test]
fn what_is_acknowledged_by_a_disk_is_stored_before_it_can_be_read_there() {
    let mut xray = xray();
    xray.learn_answer(1_000, &published(0, &["100", "101"]));
    xray.learn_event(1_000, &stored("100", 1, 0));
    let on = |at: usize| xray.message_state(9_000, &xray.replicas[at], Health::Up, true, 0);
    assert_eq!([on(0), on(1), on(2)], [MessageState::Readable, MessageState::Stored, MessageState::Unknown]);
}

#[test]
fn a_node_that_is_down_keeps_what_it_has_and_a_wiped_one_does_not() {
    let mut xray = xray();
    xray.learn_event(1_000, &stored("101", 1, 3));
    let asleep = |xray: &Xray| xray.message_state(9_000, &xray.replicas[1], Health::Failed, false, 3);
    assert_eq!(asleep(&xray), MessageState::Asleep);
    let wipe = Event::Stopped { mode: StopMode::Wipe, duration_ms: 1 };
    xray.learn_event(2_000, &told("101", 2, wipe));
    assert_eq!(asleep(&xray), MessageState::Away);
}

#[test]
fn a_replica_that_fills_is_fetching_until_it_stands_still() {
    let mut xray = xray();
    xray.learn_event(1_000, &stored("100", 1, 9));
    let group = "100".parse().unwrap();
    xray.learn_event(1_000, &told("101", 2, Event::SnapshotProgress { group, received: 10, total: 40 }));
    assert_eq!(xray.replicas[1].arriving, Some((10, 40)));
    assert_eq!(xray.message_state(60_000, &xray.replicas[1], Health::Recovering, true, 0), MessageState::Fetching);
    xray.learn_event(2_000, &told("101", 3, Event::CaughtUp { group, applied: 9 }));
    assert_eq!(xray.replicas[1].arriving, None);
    assert_eq!(xray.message_state(60_000, &xray.replicas[1], Health::Up, true, 0), MessageState::Unknown);
    xray.learn_answer(60_000, &located(&[("101", None)]));
    assert_eq!(xray.message_state(69_000, &xray.replicas[1], Health::Up, true, 0), MessageState::Missing);
}

#[test]
fn locate_fills_what_no_event_told_and_does_not_undo_what_one_just_told() {
    let mut xray = xray();
    xray.learn_answer(5_000, &located(&[("100", Some(9)), ("101", Some(4))]));
    assert_eq!((xray.committed(), xray.replicas[1].readable), (Some(10), Some(5)));
    xray.learn_event(5_100, &stored("101", 1, 9));
    xray.learn_answer(5_200, &located(&[("101", Some(4))]));
    assert_eq!(xray.replicas[1].readable, Some(10), "the answer was made before");
    xray.learn_answer(5_200 + FRESH_MS, &located(&[("101", Some(4))]));
    assert_eq!(xray.replicas[1].readable, Some(5), "it did go back: it was restarted, say");
}

#[test]
fn the_window_is_bounded_and_without_gaps_whatever_is_left_out() {
    let mut xray = xray();
    for offset in [0, 1, 40, 1_000, 1_001, 100_000] {
        xray.learn_event(1_000, &stored("100", 1, offset));
        let offsets: Vec<_> = xray.columns.iter().map(|column| column.offset).collect();
        assert!(offsets.len() <= MAX_COLUMNS && offsets.is_sorted_by(|a, b| a + 1 == *b), "{offsets:?}");
        assert_eq!(offsets.last(), Some(&offset));
    }
}

#[test]
fn a_deleted_topic_has_no_messages_and_another_topic_has_its_own() {
    let mut xray = xray();
    xray.learn_event(1_000, &stored("100", 1, 9));
    let topic = TopicName::new("news").unwrap();
    let group = "100".parse().unwrap();
    xray.learn_event(1_000, &told("100", 2, Event::TopicDeleted { topic, group }));
    assert_eq!((xray.end(), xray.columns.len()), (0, 0));
    xray.learn_event(1_000, &stored("100", 3, 0));
    xray.choose(TopicName::new("cricket").ok());
    assert!(xray.columns.is_empty() && xray.replicas.is_empty());
}

#[test]
fn the_coarsest_sample_of_a_replica_is_told() {
    let mut xray = xray();
    xray.learn_sample("111".parse().unwrap(), 256);
    assert_eq!(xray.sample(), 1, "111 holds nothing of it");
    xray.learn_sample("101".parse().unwrap(), 16);
    assert_eq!(xray.sample(), 16);
}

fn xray() -> Xray {
    let mut xray = Xray::default();
    xray.choose(TopicName::new("news").ok());
    xray.place(&Cluster::of(Dimension::new(3).unwrap()));
    xray
}

fn told(node: &str, at_us: u64, event: Event) -> WatchEvent {
    WatchEvent { node: node.parse().unwrap(), time: Timestamp(at_us), at_us, trace: None, event }
}

fn stored(node: &str, at_us: u64, offset: u64) -> WatchEvent {
    let (topic, group) = (TopicName::new("news").unwrap(), "100".parse().unwrap());
    told(node, at_us, Event::ReplicaStored { topic, group, offset: Offset(offset) })
}

fn answer(done: Done) -> Answer {
    Answer { id: None, served_by: "100".parse().unwrap(), hops: None, result: Ok(done) }
}

fn published(offset: u64, replicas: &[&str]) -> Answer {
    let replicas = replicas.iter().map(|name| name.parse().unwrap()).collect();
    let topic = TopicName::new("news").unwrap();
    answer(Done::Published { topic, offset: Some(Offset(offset)), replicas, repeated: false })
}

fn located(ends: &[(&str, Option<u64>)]) -> Answer {
    let replicas = ends.iter().map(|(name, last)| answer::Replica {
        node: name.parse().unwrap(),
        alive: true,
        last_offset: last.map(Offset),
        lag: None,
        voter: true,
    });
    answer(Done::Located(Location {
        topic: TopicName::new("news").unwrap(),
        exists: true,
        home: "100".parse().unwrap(),
        neighbours: Vec::new(),
        leader: None,
        members: replicas.collect(),
    }))
}
