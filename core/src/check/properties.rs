//! What must hold for any history: true ones pass, false ones do not, and the search finds what trying everything finds.
//!
//! True histories are made by letting things happen one after the other to a plain log, and telling each as if it had taken longer:
//! asked some time before, answered some time after, or never. What is in doubt happens later, or not at all.

use fastrand::Rng;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::history::Operation;
use super::linearizable::{Log, Step as LogStep};
use super::search::{Model, Timed, find_order};
use super::story::{Story, messages};
use super::{Case, Verdict, check_all, cursors, deletions, linearizable};
use crate::names::Offset;
use crate::time::Instant;
use crate::wire::answer::{Done, ErrorCode};
use crate::wire::client::{Ack, Action, ReadLevel, StartAt};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_true_history_of_a_log_passes_every_checker(seed in any::<u64>(), steps in 1..80u64) {
        let story = log_history(seed, steps).0;
        prop_assert_eq!(check_all(&story.evidence).violations, vec![]);
    }

    #[test]
    fn a_read_that_forgets_or_foresees_is_caught(seed in any::<u64>(), steps in 10..80u64) {
        let (mut story, mut random) = log_history(seed, steps);
        if falsify_read(&mut story, &mut random) {
            prop_assert!(linearizable::check(&Case::new(&story.evidence)).is_err());
        }
    }

    #[test]
    fn a_true_reader_is_followed(seed in any::<u64>(), steps in 1..60u64) {
        prop_assert_eq!(broken(cursors::check, &reader_history(seed, steps, true)), None);
    }

    #[test]
    fn a_reader_that_jumps_is_caught(seed in any::<u64>(), steps in 4..60u64) {
        let mut story = reader_history(seed, steps, false);
        if falsify_cursor(&mut story, &mut Rng::with_seed(seed)) {
            prop_assert!(cursors::check(&Case::new(&story.evidence)).is_err());
        }
    }

    #[test]
    fn a_true_history_of_a_name_passes(seed in any::<u64>(), steps in 1..60u64) {
        prop_assert_eq!(broken(deletions::check, &name_history(seed, steps)), None);
    }

    #[test]
    fn the_search_finds_what_trying_everything_finds(
        register in prop::collection::vec(timed(register_step()), 0..8),
        log in prop::collection::vec(timed(log_step()), 0..8),
    ) {
        finds_the_same(&Register, 0, &register)?;
        finds_the_same(&Log, 0, &log)?;
    }
}

fn broken(check: fn(&Case<'_>) -> Verdict, story: &Story) -> Option<String> {
    check(&Case::new(&story.evidence)).err().map(|broken| broken.0)
}

// A log.

/// Things happen a hundred milliseconds apart, and take up to three hundred.
const APART: u64 = 100;

fn around(random: &mut Rng, at: u64) -> std::ops::Range<u64> {
    let moment = 1_000 + at * APART;
    moment - random.u64(0..300)..moment + random.u64(0..300)
}

fn log_history(seed: u64, steps: u64) -> (Story, Rng) {
    let mut random = Rng::with_seed(seed);
    let mut story = Story::without_topic();
    let mut log: Vec<String> = Vec::new();
    let mut waiting: Vec<String> = Vec::new();
    story.create_topic(0..1).created();
    for at in 0..steps {
        let times = around(&mut random, at);
        let end = log.len() as u64;
        let content = format!("m{at}");
        match random.u64(0..10) {
            0..=2 => {
                story.publish(&content, times.clone()).done(end);
                log.push(content);
            }
            // Never answered: not done, or later.
            3 => {
                story.publish(&content, times.clone()).in_doubt();
                waiting.push(content);
            }
            4 => {
                story.publish(&content, times.clone()).ack(Ack::One).put_aside("011");
                waiting.push(content);
            }
            5 if !waiting.is_empty() => log.push(waiting.swap_remove(random.usize(..waiting.len()))),
            5 => {
                story.publish(&content, times.clone()).refused(ErrorCode::Unavailable);
            }
            6 if end > 0 => {
                let place = random.u64(..end);
                story.publish(&log[place as usize], times.clone()).repeated(place);
            }
            7 => {
                let have = random.usize(..=log.len());
                story
                    .pull(times.clone())
                    .level(ReadLevel::Any)
                    .max(10_000)
                    .saw(0, log[..have].iter().map(String::as_str));
            }
            _ => {
                let max = random.usize(1..20);
                let shown = log.iter().take(max).map(String::as_str);
                story.pull(times.clone()).max(max as u32).saw(0, shown).of(end);
            }
        }
    }
    // What was put aside comes in the end.
    let is_kept = |story: &Story, content: &str| {
        story.evidence.history.operations.iter().any(|operation| {
        matches!(&operation.action, Action::Publish { content: of, ack: Ack::One, .. } if of == content)
    })
    };
    let late: Vec<String> = waiting.into_iter().filter(|content| is_kept(&story, content)).collect();
    log.extend(late);
    sort(&mut story);
    story.log(log.iter().map(String::as_str));
    (story, random)
}

/// As a history is: in order of invocation.
fn sort(story: &mut Story) {
    story.evidence.history.operations.sort_by_key(|operation| operation.invoked);
}

/// Lets a read miss a message that was acknowledged before it was asked for, or see one that was sent after it was answered.
fn falsify_read(story: &mut Story, random: &mut Rng) -> bool {
    let log: Vec<String> =
        story.holding("100").map_or(Vec::new(), |log| log.iter().map(|m| m.content.to_string()).collect());
    let operations = &mut story.evidence.history.operations;
    let offset = |operation: &Operation| match operation.outcome() {
        super::history::Outcome::Done(Done::Published { offset: Some(offset), .. }) => Some(offset.0),
        _ => None,
    };
    let known: Vec<(u64, Instant, Instant)> = operations
        .iter()
        .filter_map(|operation| {
            let offset = offset(operation)?;
            let first = operations.iter().find(|other| is_same_publish(other, operation))?;
            Some((offset, first.invoked, operation.over()))
        })
        .collect();
    let forgets = random.bool();
    for operation in operations {
        let Action::Pull { read: ReadLevel::Leader, .. } = &operation.action else { continue };
        let wrong = known.iter().find(|(_, first, over)| {
            if forgets { *over < operation.invoked } else { Some(*first) > operation.answered.as_ref().map(|it| it.at) }
        });
        let Some((offset, ..)) = wrong else { continue };
        let count = if forgets { *offset } else { offset + 1 };
        if let Some(answered) = &mut operation.answered {
            let shown = messages(0, log[..count as usize].iter().map(String::as_str));
            let cursor = Offset(count);
            let (topic, messages, end, behind) = (super::story::news(), shown, cursor, None);
            answered.result = Ok(Done::Pulled { topic, messages, cursor, end, behind, original_node: None });
        }
        return true;
    }
    false
}

fn is_same_publish(one: &Operation, other: &Operation) -> bool {
    match (&one.action, &other.action) {
        (Action::Publish { content: one, .. }, Action::Publish { content: other, .. }) => one == other,
        _ => false,
    }
}

// A cursor.

const LENGTH: u64 = 40;

/// One subscriber, one thing after the other; what is in doubt happens later, or never.
fn reader_history(seed: u64, steps: u64, with_doubt: bool) -> Story {
    let mut random = Rng::with_seed(seed);
    let mut story = Story::without_topic();
    let contents: Vec<String> = (0..LENGTH).map(|at| format!("m{at}")).collect();
    let shown = |from: u64, max: u64| contents.iter().skip(from as usize).take(max as usize).map(String::as_str);
    story.create_topic(0..1).created();
    story.log(shown(0, LENGTH));
    story.subscribe(None, 2..3).subscribed(0);
    let (mut cursor, mut past, mut waiting) = (0u64, vec![0u64], Vec::new());
    for at in 1..steps {
        if !waiting.is_empty() && random.u64(0..4) == 0 {
            cursor = happen(cursor, waiting.swap_remove(random.usize(..waiting.len())));
            past.push(cursor);
        }
        let times = at * 10..at * 10 + random.u64(1..9);
        let in_doubt = with_doubt && random.u64(0..4) == 0;
        let offset = random.u64(0..=LENGTH);
        let max = random.u64(1..5);
        match random.u64(0..6) {
            0 if in_doubt => {
                story.pull(times).commit().max(max as u32).in_doubt();
                waiting.push(Late::Pull(max));
            }
            0 => {
                let moves = !with_doubt || random.bool();
                story.pull(times).commit().max(max as u32).saw(cursor, shown(cursor, max));
                if moves {
                    cursor = (cursor + max).min(LENGTH);
                }
            }
            1 if in_doubt => {
                story.commit(offset, times).in_doubt();
                waiting.push(Late::Commit(offset));
            }
            1 => {
                cursor = cursor.max(offset);
                story.commit(offset, times).committed(cursor);
            }
            2 if in_doubt => {
                story.subscribe(Some(StartAt::Offset(Offset(offset))), times).in_doubt();
                waiting.push(Late::Put(offset));
            }
            2 => {
                cursor = offset;
                story.subscribe(Some(StartAt::Offset(Offset(offset))), times).subscribed(cursor);
            }
            3 => {
                let old = past[random.usize(..past.len())];
                story.pull(times).level(ReadLevel::Any).max(max as u32).saw(old, shown(old, max));
            }
            4 => {
                story.subscribe(None, times).subscribed(cursor);
            }
            _ => {
                story.pull(times).max(max as u32).saw(cursor, shown(cursor, max));
            }
        }
        past.push(cursor);
    }
    story
}

#[derive(Clone, Copy)]
enum Late {
    Pull(u64),
    Commit(u64),
    Put(u64),
}

fn happen(cursor: u64, late: Late) -> u64 {
    match late {
        Late::Pull(max) => (cursor + max).min(LENGTH),
        Late::Commit(offset) => cursor.max(offset),
        Late::Put(offset) => offset,
    }
}

/// Lets a leader's read begin where the cursor never was, in a history without doubt.
fn falsify_cursor(story: &mut Story, random: &mut Rng) -> bool {
    let reads: Vec<usize> = (0..story.evidence.history.operations.len())
        .filter(|at| {
            matches!(story.evidence.history.operations[*at].action, Action::Pull { read: ReadLevel::Leader, .. })
        })
        .collect();
    let Some(at) = reads.get(random.usize(0..reads.len().max(1))) else { return false };
    let operation = &mut story.evidence.history.operations[*at];
    if let Some(Done::Pulled { messages, cursor, .. }) =
        operation.answered.as_mut().and_then(|answered| answered.result.as_mut().ok())
    {
        // An unconfirmed move may be seen done or not: both are far from this.
        messages.iter_mut().for_each(|message| message.offset.0 += 1_000);
        cursor.0 += 1_000;
    }
    true
}

// A name.

/// A topic that comes and goes, and what is told of it.
fn name_history(seed: u64, steps: u64) -> Story {
    let mut random = Rng::with_seed(seed);
    let mut story = Story::without_topic();
    let (mut exists, mut creations, mut deletions) = (false, 0, 0);
    for at in 0..steps {
        let times = around(&mut random, at);
        if creations > 0 && !exists && random.u64(0..8) == 0 {
            (exists, creations) = (true, creations - 1);
        } else if deletions > 0 && exists && random.u64(0..8) == 0 {
            (exists, deletions) = (false, deletions - 1);
        }
        let kind = random.u64(0..8);
        let told = match kind {
            0 => {
                creations += 1;
                story.create_topic(times).in_doubt();
                continue;
            }
            1 => {
                deletions += 1;
                story.delete_topic(times).in_doubt();
                continue;
            }
            2 | 3 => story.create_topic(times),
            4 => story.delete_topic(times),
            _ => story.pull(times),
        };
        match (told.action(), exists) {
            (Action::CreateTopic { .. }, false) => told.created(),
            (Action::CreateTopic { .. }, true) => told.refused(ErrorCode::TopicExists),
            (Action::DeleteTopic { .. }, true) => told.deleted(),
            (_, false) => told.refused(ErrorCode::UnknownTopic),
            (_, true) => told.saw(0, []),
        };
        exists = if kind < 4 { true } else { exists && kind != 4 };
    }
    sort(&mut story);
    match exists {
        true => story.log([]),
        false => ["100", "101", "110", "000"].iter().for_each(|holder| story.unknown_to(holder)),
    }
    story
}

// The search.

/// A register, as the simplest thing whose past can be disputed.
struct Register;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    Write(u8),
    Read(u8),
    Swap(u8, u8),
}

impl Model for Register {
    type State = u8;
    type Step = Step;

    fn apply(&self, state: &u8, step: &Step) -> Option<u8> {
        match step {
            Step::Write(value) => Some(*value),
            Step::Read(value) => (state == value).then_some(*state),
            Step::Swap(from, to) => (state == from).then_some(*to),
        }
    }

    fn only_looks(&self, _: &u8, step: &Step) -> bool {
        matches!(step, Step::Read(_))
    }
}

fn register_step() -> impl Strategy<Value = Step> {
    let value = || 0..3u8;
    prop_oneof![
        value().prop_map(Step::Write),
        value().prop_map(Step::Read),
        (value(), value()).prop_map(|(from, to)| Step::Swap(from, to)),
    ]
}

fn log_step() -> impl Strategy<Value = LogStep> {
    let length = || 0..4u64;
    prop_oneof![
        2 => length().prop_map(LogStep::Append),
        1 => length().prop_map(LogStep::SawEnd),
        1 => length().prop_map(LogStep::SawAtLeast),
    ]
}

fn timed<S: std::fmt::Debug>(step: impl Strategy<Value = S>) -> impl Strategy<Value = Timed<S>> {
    (0..12u64, prop::option::weighted(0.8, 0..8u64), step).prop_map(|(invoked, length, step)| Timed {
        invoked: Instant(invoked),
        over: length.map(|length| Instant(invoked + length)),
        step,
    })
}

fn finds_the_same<M: Model>(model: &M, initial: M::State, operations: &[Timed<M::Step>]) -> TestCaseResult {
    let found = find_order(model, initial.clone(), operations);
    prop_assert_eq!(found.is_ok(), exists_order(model, initial.clone(), operations, 0));
    if let Err(stuck) = found {
        prop_assert!(leads_to(model, initial, operations, &stuck.order) == Some(stuck.state));
    }
    Ok(())
}

/// Tries every order. `taken` has a bit for each operation.
fn exists_order<M: Model>(model: &M, state: M::State, operations: &[Timed<M::Step>], taken: u32) -> bool {
    let is_left = |at: &usize| taken & (1 << at) == 0;
    let left = || (0..operations.len()).filter(is_left);
    if left().all(|at| operations[at].over.is_none()) {
        return true;
    }
    let first_over = left().filter_map(|at| operations[at].over).min();
    left().filter(|at| first_over.is_none_or(|over| operations[*at].invoked <= over)).any(|at| {
        model
            .apply(&state, &operations[at].step)
            .is_some_and(|after| exists_order(model, after, operations, taken | 1 << at))
    })
}

/// The state after an order that respects the times.
fn leads_to<M: Model>(
    model: &M,
    initial: M::State,
    operations: &[Timed<M::Step>],
    order: &[usize],
) -> Option<M::State> {
    let in_time = order.iter().enumerate().all(|(rank, at)| {
        order[rank + 1..].iter().all(|later| operations[*later].over.is_none_or(|over| over >= operations[*at].invoked))
    });
    order.iter().try_fold(initial, |state, at| model.apply(&state, &operations[*at].step)).filter(|_| in_time)
}
