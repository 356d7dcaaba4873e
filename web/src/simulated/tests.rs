//! Tests of whole runs: the same spec gives the same run, however an instant is reached.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::names::{Offset, PublisherId, StartAt, TopicName};
use cubecast_core::recording::incident::Incident;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::{Done, ErrorCode, Message};
use cubecast_core::wire::client::{Ack, Action as ClientAction, ReadLevel, Write};
use cubecast_sim::{Cluster, ClusterConfig, Recording, Reduction, Scenario, run};

use super::recorded::OpenedIncident;
use super::*;
use crate::model::breakage::mend;
use crate::model::cluster::Health;
use crate::model::feed::Fact;
use crate::model::preset::Preset;
use crate::model::report::{Line, Remark};
use crate::model::seek::{NotFound, Position};
use crate::model::task::{Panel, Task};
use crate::model::tone::Tone;
use crate::model::{Act, State, ViewAction, tasks};
use crate::testing::named;

fn quiet() -> Player {
    Player::new(Spec::quiet(Dimension::new(3).unwrap(), 7))
}

/// A player that reached an instant by frames of this length.
fn played_to(spec: &Spec, at_ms: u64, frame_ms: f64) -> Player {
    let mut player = Player::new(spec.clone());
    player.play();
    while player.shown_ms() < at_ms {
        let left = (at_ms - player.shown_ms()) as f64;
        player.frame(frame_ms.min(left), &mut || true);
    }
    player.pause();
    player
}

/// Starts a task and lets time pass.
fn do_and_wait(player: &mut Player, task: Result<Task, tasks::Refusal>, wait_ms: i64) {
    player.act(Act::Run(task.unwrap())).unwrap();
    player.step(wait_ms);
    player.settle();
}

/// A run with publishes, a subscription, faults and repairs.
fn busy() -> Player {
    let mut player = quiet();
    do_and_wait(&mut player, tasks::create_topic("p", "news"), 300);
    player.act(Act::OpenInbox { subscriber: "s".parse().unwrap(), topic: "news".parse().unwrap() }).unwrap();
    do_and_wait(&mut player, tasks::subscribe("s", "news", Some(StartAt::Beginning)), 200);
    do_and_wait(&mut player, tasks::publish("p", "news", "one", Ack::Quorum), 400);
    do_and_wait(&mut player, Ok(tasks::stop_node(named("100"), StopMode::Wipe, 2_000)), 700);
    do_and_wait(&mut player, tasks::publish("p", "news", "two", Ack::All), 900);
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    do_and_wait(&mut player, Ok(tasks::set_link(&[(named("000"), named("001"))], cut)), 1_500);
    do_and_wait(&mut player, tasks::pull("s", "news", ReadLevel::Any, false), 1_000);
    player
}

/// Everything that the page shows, as text, plus the hash of the run.
fn picture(player: &Player) -> String {
    format!("{:?} {:#x}", player.state(), player.trace())
}

fn said(state: &State, panel: Panel) -> Vec<Line> {
    state.reports.get(panel).map(|report| report.lines.clone()).unwrap_or_default()
}

#[test]
fn a_button_that_is_pressed_twice_asks_once_and_reports_the_success() {
    let mut player = quiet();
    for _ in 0..2 {
        player.act(Act::Run(tasks::create_topic("p", "news").unwrap())).unwrap();
    }
    player.step(300);
    player.settle();
    let state = player.state();
    assert!(said(&state, Panel::Topic).iter().all(|line| line.tone != Tone::Bad), "{:?}", state.reports);
    let created = state.reports.get(Panel::Topic).unwrap().last_answer().unwrap();
    assert!(matches!(created.result, Ok(Done::TopicCreated { .. })), "{created:?}");

    for _ in 0..2 {
        player.act(Act::Run(tasks::publish("p", "news", "once", Ack::Quorum).unwrap())).unwrap();
    }
    player.step(300);
    player.settle();
    assert_eq!(player.state().topics.topics.values().next().unwrap().messages, 1);
    do_and_wait(&mut player, tasks::publish("p", "news", "once", Ack::Quorum), 300);
    assert_eq!(
        player.state().topics.topics.values().next().unwrap().messages,
        2,
        "after the answer it is another request"
    );
}

#[test]
fn a_topic_that_is_there_is_a_success_for_who_created_it_and_an_error_for_others() {
    let mut player = quiet();
    do_and_wait(&mut player, tasks::create_topic("p", "news"), 300);
    do_and_wait(&mut player, tasks::create_topic("p", "news"), 300);
    let existed = Remark::TopicExisted { topic: "news".parse().unwrap(), publisher: "p".parse().unwrap() };
    assert_eq!(said(&player.state(), Panel::Topic).pop(), Some(Line { tone: Tone::Good, remark: existed }));
    do_and_wait(&mut player, tasks::create_topic("q", "news"), 300);
    assert_eq!(player.state().reports.get(Panel::Topic).unwrap().failed, Some(ErrorCode::TopicExists));
}

#[test]
fn what_the_person_asks_for_is_done_by_the_simulated_cluster_and_seen() {
    let player = busy();
    let state = player.state();
    let inbox = state.inboxes.boxes.values().next().unwrap();
    let contents: Vec<_> = inbox.messages.iter().map(|message: &Message| message.content.as_str()).collect();
    assert_eq!(contents, ["two", "one"]);
    assert_eq!(state.reports.get(Panel::Browse).unwrap().pulled().unwrap().len(), 2);
    assert_eq!(said(&state, Panel::Publish).last().unwrap().tone, Tone::Good);
    assert_eq!(state.cluster.health(named("100")), Health::Up);
    assert!(state.cluster.nodes[&named("100")].incarnation > 1, "it came back as somebody new");
    let has = |fact: &Fact| state.feed.entries.iter().any(|entry| entry.fact == *fact);
    assert!(has(&Fact::Returned { node: named("100"), is_new: true }), "{:?}", state.feed);
    let conditions = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    assert!(has(&Fact::LinkConditions { from: named("000"), to: named("001"), conditions }), "{:?}", state.feed);
    assert!(player.timeline().looks.iter().any(|look| look.nodes_down == 1));
    assert_eq!(player.timeline().looks.last().unwrap().acknowledged, 2);
}

#[test]
fn stored_messages_are_found_by_offset_and_by_time() {
    let mut player = quiet();
    player.show(ViewAction::ChooseTopic("news".into()));
    do_and_wait(&mut player, tasks::create_topic("p", "news"), 300);
    for number in 0..6 {
        do_and_wait(&mut player, tasks::publish("p", "news", &format!("message {number}"), Ack::Quorum), 1_000);
    }
    let mut look = |position, max| {
        let act = Act::Seek { topic: "news".parse().unwrap(), position, max };
        player.act(act).unwrap();
        player.step(500);
        player.settle();
        player.state()
    };
    let offsets = |state: &State| -> Vec<u64> {
        let page = (*state.stored).clone().expect("a page");
        assert_eq!(page.end, 6);
        page.messages.iter().map(|message| message.offset.0).collect()
    };
    let page = look(Position::Offset(Offset(1)), 3);
    assert_eq!(offsets(&page), [1, 2, 3]);
    assert!(page.reports.get(Panel::Browse).unwrap().succeeded(), "{:?}", said(&page, Panel::Browse));
    assert_eq!(page.reports.get(Panel::Browse).unwrap().lines.len(), 1, "what prepares it is of no interest");
    assert_eq!(offsets(&look(Position::Last(2), 100)), [4, 5]);

    let all = (*look(Position::Offset(Offset(0)), 100).stored).clone().unwrap();
    let time = all.messages[3].time;
    assert_eq!(offsets(&look(Position::Time(time), 2)), [3, 4]);
    let after = look(Position::Time(Timestamp(time.0 + 1)), 2);
    assert_eq!(offsets(&after), [4, 5]);
    let found = said(&after, Panel::Browse);
    assert!(matches!(found[0].remark, Remark::FoundAt { offset: Offset(4), reads: 2..=5, .. }), "{found:?}");

    let late = look(Position::Time(Timestamp(all.messages[5].time.0 + 1)), 2);
    let last = said(&late, Panel::Browse).pop().unwrap();
    let why = NotFound::AfterLast { offset: Offset(5), time: all.messages[5].time };
    assert_eq!((last.tone, last.remark), (Tone::Bad, Remark::NotFound { topic: "news".parse().unwrap(), why }));
    assert_eq!(offsets(&late), [4, 5], "the page stays");
}

#[test]
fn a_topic_that_was_created_again_is_read_like_a_new_one() {
    let mut player = quiet();
    player.show(ViewAction::ChooseTopic("news".into()));
    for content in ["first", "second"] {
        do_and_wait(&mut player, tasks::create_topic("p", "news"), 300);
        do_and_wait(&mut player, tasks::publish("p", "news", content, Ack::Quorum), 300);
        let (topic, position) = ("news".parse().unwrap(), Position::Offset(Offset(0)));
        player.act(Act::Seek { topic, position, max: 9 }).unwrap();
        player.step(300);
        player.settle();
        let page = (*player.state().stored).clone().expect("a page");
        assert_eq!(page.messages[0].content.as_str(), content);
        do_and_wait(&mut player, tasks::delete_topic("p", "news"), 300);
        assert!(player.state().stored.is_none(), "they are deleted");
    }
}

#[test]
fn the_same_spec_makes_the_same_picture() {
    let player = busy();
    let again = played_to(player.spec(), player.shown_ms(), 16.6);
    assert_eq!(picture(&again), picture(&player));
    let other = played_to(&Spec { seed: 8, ..player.spec().clone() }, player.shown_ms(), 16.6);
    assert_ne!(other.trace(), player.trace());
}

#[test]
fn the_length_of_a_frame_changes_nothing() {
    let (player, at_ms) = (busy(), 4_321);
    let fine = played_to(player.spec(), at_ms, 1.0);
    assert_eq!(picture(&played_to(player.spec(), at_ms, 250.0)), picture(&fine));
    let mut jumped = Player::new(player.spec().clone());
    jumped.seek(at_ms);
    let mut ticks = 0;
    while jumped.mode() != Mode::Paused {
        // The page interrupts the work to draw.
        jumped.frame(0.0, &mut || {
            ticks += 1;
            ticks % 100 != 0
        });
    }
    assert_eq!(picture(&jumped), picture(&fine));
}

#[test]
fn going_back_shows_what_was_and_going_on_again_what_was_to_come() {
    let mut player = busy();
    let (end_ms, end) = (player.shown_ms(), picture(&player));
    let early_ms = player.began_ms() + 700;
    let early = picture(&played_to(player.spec(), early_ms, 20.0));
    player.seek(early_ms);
    player.settle();
    assert_eq!(picture(&player), early);
    assert_eq!(player.reached_ms() / 100, end_ms / 100);
    player.seek(end_ms);
    player.settle();
    assert_eq!(picture(&player), end);
}

#[test]
fn what_was_chosen_to_look_at_stays_chosen_when_time_goes_back() {
    let mut player = busy();
    player.show(ViewAction::ChooseTopic("news".into()));
    player.seek(player.began_ms());
    player.settle();
    assert_eq!(player.state().topic_text, "news");
}

#[test]
fn a_fork_keeps_the_past_and_lets_go_of_the_future() {
    let mut player = busy();
    let user_actions = player.spec().user_actions.len();
    let fork_ms = player.spec().user_actions[3].at_ms + 50;
    player.seek(fork_ms);
    player.settle();
    assert_eq!(player.spec().user_actions.len(), user_actions, "to look back changes nothing");
    let before = played_to(player.spec(), fork_ms - 1, 16.0);
    do_and_wait(&mut player, tasks::publish("p", "news", "another future", Ack::Quorum), 500);
    assert_eq!(player.spec().user_actions.len(), 5);
    assert!(player.timeline().reached_ms() <= player.shown_ms());
    assert_eq!(player.state().cluster.health(named("100")), Health::Up, "nobody wiped it in this future");
    let same_past = played_to(player.spec(), fork_ms - 1, 16.0);
    assert_eq!(picture(&same_past), picture(&before));
}

#[test]
fn time_runs_backwards_in_pictures_and_stops_where_it_is_told() {
    let mut player = busy();
    let from_ms = player.shown_ms();
    player.rewind();
    for _ in 0..30 {
        player.frame(16.0, &mut || true);
    }
    let at_ms = player.shown_ms();
    assert!((from_ms - 2_000..from_ms - 1_800).contains(&at_ms), "{from_ms} {at_ms}");
    assert!(player.state().now_ms <= cubecast_sim::EPOCH.0 / 1_000 + at_ms);
    player.pause();
    player.settle();
    assert_eq!((player.mode(), player.shown_ms()), (Mode::Paused, at_ms));
    assert_eq!(picture(&player), picture(&played_to(player.spec(), at_ms, 16.0)));
}

#[test]
fn a_run_in_which_nobody_takes_part_is_that_of_the_simulator() {
    let scenario = Scenario { seconds: 4, fault_every_ms: 300, ..catalogue::scenario("anything").unwrap() };
    for seed in [1, 2] {
        let mut session = Session::new(&Spec::of(scenario.clone(), seed));
        for _ in 0..1_500 {
            session.tick();
        }
        assert!(session.faults().count() > 0);
        assert_eq!(session.finish(), Some(run(&scenario, seed, &Reduction::default())));
    }
}

#[test]
fn after_its_end_a_scenario_is_healed_and_time_goes_on() {
    let spec = Spec::of(Scenario { seconds: 3, ..catalogue::scenario("rolling-crash").unwrap() }, 3);
    let mut player = Player::new(spec);
    player.seek(player.ends_ms().unwrap() + 6_000);
    player.settle();
    assert_eq!(player.ends_ms(), None);
    let state = player.state();
    assert!(state.cluster.nodes.values().all(|node| node.health() == Health::Up));
    assert!(player.timeline().faults.iter().any(|(_, what)| what.contains("000")), "{:?}", player.timeline().faults);
    assert!(player.timeline().looks.iter().any(|look| look.nodes_down > 0));
}

#[test]
fn a_link_brings_another_page_to_the_same_picture() {
    let player = busy();
    let link = Permalink { spec: player.spec().clone(), at_ms: Some(player.shown_ms()), ..Permalink::default() };
    let read = Permalink::read(&link.write()).unwrap().unwrap();
    let mut other = Player::new(read.spec);
    other.seek(read.at_ms.unwrap());
    other.settle();
    assert_eq!(picture(&other), picture(&player));
}

#[test]
fn whatever_a_preset_breaks_is_mended_by_one_task() {
    for preset in Preset::ALL {
        let mut player = quiet();
        player.show(ViewAction::ChooseTopic("news".into()));
        do_and_wait(&mut player, tasks::create_topic("p", "news"), 300);
        for broken in [Preset::SlowLink, *preset] {
            let task = broken.task(&player.state());
            do_and_wait(&mut player, task, 1_500);
        }
        assert!(player.state().breakages.all().len() > 1 || *preset == Preset::SlowLink, "{preset:?}");
        let all = player.state().breakages.all();
        do_and_wait(&mut player, Ok(mend(&all)), 4_000);
        let (state, left) = (player.state(), player.state().breakages.all());
        assert!(
            left.is_empty() || *preset == Preset::RollingCrash,
            "{preset:?}: {left:?}, {:?}",
            said(&state, Panel::Break)
        );
    }
}

#[test]
fn a_rolling_crash_takes_every_node_once_and_all_are_there_in_the_end() {
    let mut player = quiet();
    let crashes = Preset::RollingCrash.task(&player.state());
    do_and_wait(&mut player, crashes, 8 * 5_000);
    let state = player.state();
    assert_eq!(state.cluster.count(Health::Up), 8);
    assert_eq!(said(&state, Panel::Break), [Line { tone: Tone::Good, remark: Remark::ChangesMade(8) }]);
    let down = |look: &&super::timeline::Look| look.nodes_down > 0;
    assert!(player.timeline().looks.iter().filter(down).all(|look| look.nodes_down == 1));
    assert!(player.timeline().looks.iter().any(|look| look.nodes_down == 1));
}

/// An incident in which two messages are acknowledged, one before and one after the home dies.
fn incident() -> Incident {
    let config = ClusterConfig::new(Dimension::new(3).unwrap(), 1);
    let mut cluster = Cluster::with(ClusterConfig { recorder: Some(Recording::begin), gather_turns: true, ..config });
    cluster.run_for(Duration::from_secs(3));
    let (publisher, topic): (PublisherId, TopicName) = ("p".parse().unwrap(), "news".parse().unwrap());
    let must = |cluster: &mut Cluster, write: Write| cluster.must(named("011"), ClientAction::Write(write)).unwrap();
    must(&mut cluster, Write::CreatePublisher { publisher: publisher.clone() });
    must(&mut cluster, Write::CreateSubscriber { subscriber: "s".parse().unwrap() });
    must(&mut cluster, Write::CreateTopic { publisher: publisher.clone(), topic: topic.clone() });
    let publish = |content: &str| {
        let (publisher, topic) = (publisher.clone(), topic.clone());
        Write::Publish { publisher, topic, content: content.into(), ack: Ack::Quorum, sequence: None }
    };
    must(&mut cluster, publish("before"));
    cluster.kill(named("100"));
    must(&mut cluster, publish("meanwhile"));
    cluster.run_for(Duration::from_secs(4));
    cluster.incident(Duration::from_secs(60))
}

#[test]
fn an_incident_is_replayed_and_goes_on_as_a_simulation_from_any_moment() {
    let opened = OpenedIncident::open(&incident().encode()).unwrap();
    let spec = Spec { course: Course::Recorded(opened), seed: 1, forked_at_ms: None, user_actions: Vec::new() };
    let mut player = Player::new(spec);
    player.show(ViewAction::ChooseTopic("news".into()));
    let ends_ms = player.ends_ms().unwrap();
    player.seek(ends_ms);
    player.settle();
    let compared = player.comparison().unwrap();
    assert!(compared.turns > 100 && compared.first_difference.is_none() && compared.problem.is_none(), "{compared:?}");
    let health = |player: &Player| player.state().cluster.nodes[&named("100")].health();
    assert_eq!(health(&player), Health::Failed);

    assert!(player.is_recorded());
    do_and_wait(&mut player, tasks::publish("p", "news", "after", Ack::Quorum), 1_500);
    assert!(!player.is_recorded());
    assert_eq!(player.spec().forked_at_ms, Some(ends_ms));
    do_and_wait(&mut player, tasks::subscribe("s", "news", Some(StartAt::Beginning)), 500);
    do_and_wait(&mut player, tasks::pull("s", "news", ReadLevel::Leader, false), 500);
    let state = player.state();
    let pulled = state.reports.get(Panel::Browse).and_then(|report| report.pulled()).unwrap();
    let contents: Vec<String> = pulled.iter().map(|message| message.content.to_string()).collect();
    assert_eq!(contents, ["before", "meanwhile", "after"]);

    // Before the fork it is the incident again, and after it the same simulation.
    let (at_ms, seen) = (player.shown_ms(), picture(&player));
    player.seek(ends_ms - 500);
    player.settle();
    assert!(player.is_recorded());
    player.seek(at_ms);
    player.settle();
    assert!(picture(&player) == seen, "the fork repeats itself");
}
