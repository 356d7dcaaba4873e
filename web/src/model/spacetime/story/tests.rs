use cubecast_core::identity::TraceId;
use cubecast_core::names::TopicName;
use cubecast_core::states::Role;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::event::WatchEvent;

use super::super::record::Answered;
use super::*;

/// When the request was received, by the clock of 100.
const START_US: u64 = 1_000_000_000;

#[test]
fn a_publish_goes_from_the_client_to_the_home_to_its_replicas_and_back() {
    let story = story();
    let lanes: Vec<_> = story.lanes.iter().map(|lane| lane.name()).collect();
    assert_eq!(lanes, ["client", "100", "101", "110"]);
    let arrows: Vec<_> = story.arrows.iter().map(|a| (a.from.name(), a.to.name(), a.what.words())).collect();
    assert_eq!(arrows[0], ("client".into(), "100".into(), "request"));
    assert_eq!(arrows[1], ("100".into(), "101".into(), "log entries"));
    assert!(arrows.contains(&("101".into(), "100".into(), "acknowledgement")));
    assert_eq!(arrows.last(), Some(&("100".into(), "client".into(), "answer")));
    let marks: Vec<_> = story.marks.iter().map(|mark| (mark.lane.name(), mark.what)).collect();
    assert_eq!(marks[0], ("100".into(), MarkKind::Received));
    assert!(marks.contains(&("100".into(), MarkKind::Committed)) && marks.contains(&("101".into(), MarkKind::Stored)));
}

#[test]
fn the_client_asked_before_and_heard_after_by_half_of_what_it_measured_more() {
    let story = story();
    let (first, last) = (story.arrows.first().unwrap(), story.arrows.last().unwrap());
    assert_eq!((first.sent_us, first.arrived_us), (-500, 0));
    assert_eq!((last.sent_us, last.arrived_us), (2_000, 2_500));
    assert!(
        story
            .title()
            .contains("Publish news #7, sent to 100: answered after 2.0 ms in the cluster, 3.0 ms at this page"),
        "{}",
        story.title()
    );
}

#[test]
fn a_publish_whose_answer_came_before_its_events_has_the_offset_that_was_stored() {
    let request = Request { client_took_us: None, offset: None, ..request() };
    let title = Story::of(&request, events().iter(), &Cluster::default()).unwrap().title();
    assert!(title.contains("Publish news #7, sent to 100: answered after 2.0 ms"), "{title}");
}

#[test]
fn no_arrow_arrives_before_it_was_sent_or_after_what_it_caused() {
    for story in [story(), lossy_story(), skewed_story()] {
        for arrow in &story.arrows {
            assert!(arrow.sent_us < arrow.arrived_us, "{arrow:?}");
        }
        let append = story.arrows.iter().find(|arrow| arrow.to.name() == "101" && arrow.dropped.is_none()).unwrap();
        let ack = story.arrows.iter().find(|arrow| arrow.from.name() == "101").unwrap();
        assert!(append.arrived_us <= ack.sent_us, "{append:?} {ack:?}");
    }
}

#[test]
fn a_clock_that_is_off_is_set_right_and_the_story_says_so() {
    let (skewed, straight) = (skewed_story(), story());
    let [(node, by_us)] = skewed.shifted[..] else { panic!("{:?}", skewed.shifted) };
    assert_eq!(node.to_string(), "101");
    assert!((by_us - 5_000_000).abs() < 1_000, "{by_us}");
    assert!(straight.shifted.is_empty());
    for mark in &straight.marks {
        let is_it = |other: &&Mark| other.lane == mark.lane && other.what == mark.what;
        let other = skewed.marks.iter().find(is_it).expect("nothing is missing");
        assert!((other.at_us - mark.at_us).abs() < 1_000, "{other:?} {mark:?}");
    }
}

#[test]
fn what_a_cut_edge_swallowed_is_lost_and_other_groups_and_other_messages_have_no_part() {
    let story = lossy_story();
    assert!(story.arrows.iter().any(|arrow| arrow.dropped == Some(DropReason::Cut)));
    assert!(!story.lanes.contains(&Lane::Node("111".parse().unwrap())), "111 sent for another group");
    assert!(story.marks.iter().all(|mark| !mark.words.contains("#8")));
}

#[test]
fn an_election_meanwhile_is_part_of_it() {
    let group = "100".parse().unwrap();
    let election = Event::RoleChanged { group, role: Role::Leader, term: 9, leader: None };
    let mut events = events();
    events.push(told("110", 900, None, election));
    let marks = tell(&events).marks;
    assert!(marks.iter().any(|mark| mark.what == MarkKind::Election && mark.words == "leads in term 9"));
}

#[test]
fn a_story_never_grows_without_bound() {
    let mut events = events();
    events.extend((0..2_000).map(|_| sent("100", 20, "101", FrameKind::Append)));
    let story = tell(&events);
    assert_eq!(story.arrows.len(), MAX_ARROWS);
    assert!(story.left_out > 1_700, "{}", story.left_out);
}

/// A publish that 100 sends to 101 and 110, within two milliseconds.
pub(crate) fn story() -> Story {
    tell(&events())
}

/// The same, with a dropped frame, a frame of another group and another message.
pub(crate) fn lossy_story() -> Story {
    let mut events = events();
    let to = "000".parse().unwrap();
    let dropped = Event::FrameDropped { to, what: FrameKind::Ask, why: DropReason::Cut };
    events.push(told("100", 12, Some(1), dropped));
    let (to, group) = ("101".parse().unwrap(), Some("111".parse().unwrap()));
    events.push(told("111", 100, None, Event::FrameSent { to, what: FrameKind::Append, group }));
    events.push(stored("101", 1_900, 8));
    tell(&events)
}

/// The same, with the clock of 101 five seconds behind.
fn skewed_story() -> Story {
    let mut events = events();
    for told in events.iter_mut().filter(|told| told.event.node.to_string() == "101") {
        told.event.time.0 -= 5_000_000;
    }
    tell(&events)
}

fn events() -> Vec<RecordedEvent> {
    let (action, subject) = ("publish".to_owned(), Some("news".to_owned()));
    let received = Event::RequestReceived { action: action.clone(), subject: subject.clone() };
    let answered = Event::RequestAnswered { action, subject, error: None, message: String::new() };
    let group = "100".parse().unwrap();
    vec![
        told("100", 0, Some(1), received),
        sent("100", 10, "101", FrameKind::Append),
        sent("100", 10, "110", FrameKind::Append),
        sent("101", 1_100, "100", FrameKind::Acknowledge),
        sent("110", 1_200, "100", FrameKind::Acknowledge),
        told("100", 1_990, None, Event::Committed { group, index: 40 }),
        stored("100", 1_990, 7),
        told("100", 2_000, Some(1), answered),
        stored("101", 2_200, 7),
    ]
}

fn tell(events: &[RecordedEvent]) -> Story {
    Story::of(&request(), events.iter(), &Cluster::default()).unwrap()
}

fn request() -> Request {
    Request {
        trace: TraceId(1),
        node: "100".parse().unwrap(),
        action: "publish".into(),
        subject: Some("news".into()),
        received_us: START_US,
        heard_ms: START_US / 1_000,
        answered: Some(Answered { at_us: START_US + 2_000, heard_ms: START_US / 1_000 + 2, error: None }),
        client_took_us: Some(3_000),
        offset: Some(Offset(7)),
    }
}

fn told(node: &str, at_us: u64, trace: Option<u64>, event: Event) -> RecordedEvent {
    let (node, time) = (node.parse().unwrap(), Timestamp(START_US + at_us));
    let event = WatchEvent { node, time, at_us, trace: trace.map(TraceId), event };
    RecordedEvent { heard_ms: (START_US + 33_000) / 1_000, event }
}

fn sent(node: &str, at_us: u64, to: &str, what: FrameKind) -> RecordedEvent {
    let (to, group) = (to.parse().unwrap(), Some("100".parse().unwrap()));
    told(node, at_us, None, Event::FrameSent { to, what, group })
}

fn stored(node: &str, at_us: u64, offset: u64) -> RecordedEvent {
    let (topic, group) = (TopicName::new("news").unwrap(), "100".parse().unwrap());
    told(node, at_us, None, Event::ReplicaStored { topic, group, offset: Offset(offset) })
}
