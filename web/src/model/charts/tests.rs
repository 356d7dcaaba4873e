use cubecast_core::faults::StopMode;
use cubecast_core::identity::TraceId;
use cubecast_core::names::Offset;
use cubecast_core::time::Timestamp;

use super::*;
use crate::testing::named;

#[test]
fn a_second_is_charted_once_it_is_over_and_quiet_ones_are_there_too() {
    let mut charts = Charts::default();
    charts.add_load(10_200, &load(&[1.0, 2.0], &[]));
    assert!(charts.history.seconds.is_empty());
    charts.roll(13_000);
    let done: Vec<_> = charts.history.seconds.iter().map(|second| (second.at_s, second.page.done)).collect();
    assert_eq!(done, [(10, 2), (11, 0), (12, 0)]);
    assert_eq!(charts.history.seconds[1].availability, Availability::Quiet);
}

#[test]
fn messages_are_counted_by_how_far_replicas_moved_whatever_the_sample_left_out() {
    let mut charts = Charts::default();
    charts.learn_event(1_000, &stored("100", 0));
    charts.learn_event(1_000, &stored("100", 64));
    charts.learn_event(1_000, &stored("101", 63));
    charts.learn_event(1_000, &stored("101", 64));
    charts.roll(2_000);
    let second = &charts.history.seconds[0];
    assert_eq!(second.nodes[&named("100")].done, 65);
    assert_eq!(second.topics[&news()].done, 65, "each message once, however many replicas it has");
}

#[test]
fn nodes_measure_what_stands_between_arrival_and_answer() {
    let mut charts = Charts::default();
    let (action, subject) = ("publish".to_owned(), Some("news".to_owned()));
    let received = Event::RequestReceived { action: action.clone(), subject: subject.clone() };
    let answered = Event::RequestAnswered { action, subject, error: Some("timeout".into()), message: String::new() };
    charts.learn_event(1_000, &told("100", 5_000, received));
    charts.learn_event(1_000, &told("100", 9_000, answered));
    charts.roll(2_000);
    let sum = charts.history.seconds[0].nodes[&named("100")];
    assert_eq!(sum.failed, 1);
    assert!((3_800..4_200).contains(&sum.latency.unwrap().p50), "{sum:?}");
    assert!(charts.under_way.is_empty());
}

#[test]
fn every_second_that_a_slow_publish_was_waited_for_is_slow() {
    let mut charts = Charts::default();
    charts.add_load(10_000, &load(&[1.0], &[]));
    charts.add_load(14_500, &load(&[3_000.0], &[]));
    charts.roll(15_000);
    let strip: Vec<_> = charts.history.seconds.iter().map(|second| second.availability.name()).collect();
    assert_eq!(strip, ["good", "slow", "slow", "slow", "slow"]);
}

#[test]
fn a_failure_outweighs_everything_else_in_its_second() {
    let mut charts = Charts::default();
    charts.add_load(10_000, &load(&[1.0], &[2.0]));
    charts.add_load(10_500, &load(&[1.0, 5.0], &[]));
    charts.roll(11_000);
    let second = &charts.history.seconds[0];
    assert_eq!((second.availability, second.page.done, second.page.failed), (Availability::Failed, 3, 1));
}

#[test]
fn faults_stand_in_their_second_once_and_more_than_are_named_are_counted() {
    let mut charts = Charts::default();
    let node = named("100");
    let stopped = |number: usize| Fact::Stopped { node, mode: StopMode::Crash, duration_ms: number as u64 };
    let returned = Fact::Returned { node, is_new: false };
    (0..MAX_FAULTS + 3).for_each(|number| charts.add_fault(1_000, &stopped(number)));
    charts.add_fault(1_000, &stopped(0));
    charts.add_fault(2_000, &returned);
    charts.roll(3_000);
    let [first, second] = [0, 1].map(|at: usize| charts.history.seconds[at].clone());
    assert_eq!((first.faults.len(), &first.faults[0], first.more_faults), (MAX_FAULTS, &stopped(0), 3));
    assert_eq!((&second.faults[..], second.more_faults), (&[returned][..], 0));
}

#[test]
fn each_second_has_the_lag_of_each_subscription_and_none_while_the_page_slept() {
    let mut charts = Charts::default();
    let delivered = |subscriber: &str, offset| {
        let subscriber = SubscriberId::new(subscriber).unwrap();
        told("101", 1, Event::Delivered { topic: news(), subscriber, offset: Offset(offset) })
    };
    charts.learn_event(1_000, &stored("100", 9));
    charts.learn_event(1_000, &delivered("other", 4));
    charts.learn_own(1_000, &news(), &SubscriberId::new("reader1").unwrap(), 8);
    charts.learn_event(2_000, &stored("100", 19));
    charts.roll(3_000);
    charts.roll(60_000);
    let lags = |at: usize| -> Vec<u32> { charts.history.seconds[at].lags.iter().map(|lag| lag.messages).collect() };
    assert_eq!((lags(0), lags(1)), (vec![5, 2], vec![15, 12]));
    assert!(lags(10).is_empty() && charts.history.seconds.len() == 59);
}

#[test]
fn ten_minutes_are_kept_and_a_page_that_slept_for_a_day_wakes_at_once() {
    let mut charts = Charts::default();
    charts.roll(1_000);
    for second in 0..SECONDS as u64 + 50 {
        charts.add_load(1_000 * second, &load(&[1.0], &[]));
    }
    assert_eq!(charts.history.seconds.len(), SECONDS);
    charts.roll(86_400_000);
    assert_eq!(charts.history.seconds.len(), SECONDS);
    assert!(charts.history.seconds.iter().all(|second| second.page.done == 0));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut charts = Charts::default();
    for number in 0..2 * MAX_ENDS as u64 {
        let topic = TopicName::new(format!("topic{number}")).unwrap();
        let event = Event::ReplicaStored { topic, group: named("100"), offset: Offset(0) };
        charts.learn_event(1_000, &told("100", 1, event));
        let received = Event::RequestReceived { action: "publish".into(), subject: Some("news".into()) };
        let mut event = told("100", 1, received);
        event.trace = Some(TraceId(number));
        charts.learn_event(1_000, &event);
    }
    charts.roll(2_000);
    assert_eq!((charts.ends_known, charts.under_way.len()), (MAX_ENDS, MAX_UNDER_WAY));
    assert_eq!(charts.history.seconds[0].topics.len(), MAX_TOPICS);
}

fn news() -> TopicName {
    TopicName::new("news").unwrap()
}

fn load(took_ms: &[f64], failed_after_ms: &[f64]) -> LoadSample {
    LoadSample { took_ms: took_ms.to_vec(), failed_after_ms: failed_after_ms.to_vec(), ..LoadSample::default() }
}

fn told(node: &str, at_us: u64, event: Event) -> WatchEvent {
    WatchEvent { node: named(node), time: Timestamp(at_us), at_us, trace: Some(TraceId(1)), event }
}

fn stored(node: &str, offset: u64) -> WatchEvent {
    told(node, 1, Event::ReplicaStored { topic: news(), group: named("100"), offset: Offset(offset) })
}
