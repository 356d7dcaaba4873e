//! Deleted topics stay deleted, and other topics stay.
//!
//! The model of a name is whether a topic has it, and the topic's owner. `create_topic` creates the topic, and
//! `delete_topic` by its owner deletes it. Every linearizable answer reveals the state at some time during its request:
//! answers to creating, deleting, publishing with `quorum` or `all`, subscribing, committing and a `pull` from the
//! leader. (`ack: one` can be stored by a node that does not know the topic; replicas, `locate` and `topics` can be
//! behind.) The final state of every replica counts too. [`super::search`] looks for an order that explains all of
//! them. Therefore no operation succeeds on a deleted topic until it is created again, and no existing topic is
//! reported as unknown.
//!
//! A topic that is created again starts empty. A message settled before the deletion was requested is never read after
//! it and is not in the final log, and no offset exceeds the number of possible messages.

use std::marker::PhantomData;

use cubecast_core::identity::HostId;
use cubecast_core::names::PublisherId;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Done, ErrorCode, Message};
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};

use super::case::{Case, Publish, Topic, acknowledgement, pulled};
use super::history::{Operation, Outcome};
use super::search::{Model, Stuck, Timed, find_order};
use super::words::{Placed, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut checked = 0;
    for topic in &case.topics {
        checked += check_existence(topic)?;
        checked += check_new_beginnings(topic)?;
    }
    Ok(Checked(checked))
}

// The existence of the topic.

/// A name, with or without a topic.
struct Name<'a>(PhantomData<&'a PublisherId>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State<'a> {
    Absent,
    /// The topic's owner, if known.
    Present(Option<&'a PublisherId>),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Step<'a> {
    Create(&'a PublisherId),
    Delete(&'a PublisherId),
    /// The topic existed.
    Found,
    /// The topic existed and did not belong to this publisher.
    FoundOfAnother(&'a PublisherId),
    NotFound,
}

impl<'a> Model for Name<'a> {
    type State = State<'a>;
    type Step = Step<'a>;

    fn apply(&self, state: &State<'a>, step: &Step<'a>) -> Option<State<'a>> {
        match (*step, *state) {
            (Step::Create(by), State::Absent) => Some(State::Present(Some(by))),
            (Step::Delete(by), State::Present(owner)) => owner.is_none_or(|owner| owner == by).then_some(State::Absent),
            (Step::Found, State::Present(_)) => Some(*state),
            (Step::FoundOfAnother(by), State::Present(owner)) => (owner != Some(by)).then_some(*state),
            (Step::NotFound, State::Absent) => Some(State::Absent),
            _ => None,
        }
    }

    fn only_looks(&self, _: &State<'a>, step: &Step<'a>) -> bool {
        match step {
            Step::Create(_) | Step::Delete(_) => false,
            Step::Found | Step::FoundOfAnother(_) | Step::NotFound => true,
        }
    }
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Answer(&'a Operation),
    /// In the final state.
    Replica(HostId),
}

fn check_existence(topic: &Topic<'_>) -> Result<u64, Broken> {
    let (sources, steps) = facts_of(topic);
    let first = if topic.is_prepared { State::Present(None) } else { State::Absent };
    match find_order(&Name(PhantomData), first, &steps) {
        Ok(()) => Ok(steps.iter().filter(|step| step.over.is_some()).count() as u64),
        Err(stuck) => Err(Broken(explain(topic, &sources, &steps, &stuck))),
    }
}

fn facts_of<'a>(topic: &Topic<'a>) -> (Vec<Source<'a>>, Vec<Timed<Step<'a>>>) {
    let answered = topic.operations.iter().filter_map(|operation| {
        let over = (operation.outcome() != Outcome::InDoubt).then(|| operation.over());
        let step = Timed { invoked: operation.invoked, over, step: step_of(operation)? };
        Some((Source::Answer(operation), step))
    });
    let end = Instant(u64::MAX);
    let held = topic.replicas.iter().map(|(replica, held)| {
        let step = if held.is_some() { Step::Found } else { Step::NotFound };
        (Source::Replica(*replica), Timed { invoked: end, over: Some(end), step })
    });
    answered.chain(held).unzip()
}

/// What an answer reveals about the topic. Without an answer, only creations and deletions count.
fn step_of(operation: &Operation) -> Option<Step<'_>> {
    let refusal = match operation.outcome() {
        Outcome::Refused(failure) => Some(failure.code),
        Outcome::Done(_) | Outcome::InDoubt => None,
    };
    let is_done = matches!(operation.outcome(), Outcome::Done(_));
    let (is_linearizable, tells) = match &operation.action {
        Action::Write(Write::CreateTopic { publisher, .. }) if refusal.is_none() => {
            return Some(Step::Create(publisher));
        }
        Action::Write(Write::DeleteTopic { publisher, .. }) if refusal.is_none() => {
            return Some(Step::Delete(publisher));
        }
        Action::Write(Write::DeleteTopic { publisher, .. }) if refusal == Some(ErrorCode::NotOwner) => {
            return Some(Step::FoundOfAnother(publisher));
        }
        Action::Write(Write::Publish { ack: Ack::One, .. }) => {
            (false, acknowledgement(operation).is_some_and(|told| told.offset.is_some()))
        }
        Action::Read(Read::Pull { read: ReadLevel::Any, .. }) => return None,
        Action::Write(_) | Action::Read(Read::Pull { .. }) => (true, is_done),
        Action::Read(Read::ReplicaPull { .. }) | Action::Query(_) | Action::Admin(_) | Action::Local(_) => return None,
    };
    match refusal {
        None => tells.then_some(Step::Found),
        Some(ErrorCode::TopicExists | ErrorCode::NotSubscribed) if is_linearizable => Some(Step::Found),
        Some(ErrorCode::UnknownTopic) if is_linearizable => Some(Step::NotFound),
        Some(_) => None,
    }
}

fn explain(topic: &Topic<'_>, sources: &[Source<'_>], steps: &[Timed<Step<'_>>], stuck: &Stuck<State<'_>>) -> String {
    let last = |wanted: fn(&Step<'_>) -> bool| {
        stuck.order.iter().rev().find(|index| wanted(&steps[**index].step)).map(|index| told(sources[*index]))
    };
    let name = topic.name;
    let next = told(sources[stuck.next]);
    match (steps[stuck.next].step, stuck.state) {
        (Step::Found | Step::FoundOfAnother(_) | Step::Delete(_), State::Absent) => {
            let why = match last(|step| matches!(step, Step::Delete(_))) {
                Some(delete) => format!("it was deleted ({delete}), and no request can have created it since"),
                None => "no request can have created it before".into(),
            };
            format!("{next}: this requires that topic `{name}` exists, but {why}")
        }
        (Step::NotFound | Step::Create(_), State::Present(_)) => {
            let why = match last(|step| matches!(step, Step::Create(_))) {
                Some(create) => format!("it was created ({create})"),
                None => "it existed from the beginning".into(),
            };
            format!(
                "{next}: this requires that topic `{name}` does not exist, but {why}, and no request can have deleted \
                 it since"
            )
        }
        (_, State::Present(owner)) => {
            let owner = owner.map_or("another publisher".into(), |owner| format!("`{owner}`"));
            format!("{next}: this contradicts topic `{name}`, which belongs to {owner}")
        }
        (Step::NotFound | Step::Create(_), State::Absent) => format!("{next}: no order of the requests explains this"),
    }
}

fn told(source: Source<'_>) -> String {
    match source {
        Source::Answer(operation) => match operation.outcome() {
            Outcome::Refused(failure) => format!("{} with `{}`", Told(operation), failure.code),
            Outcome::Done(_) | Outcome::InDoubt => Told(operation).to_string(),
        },
        Source::Replica(replica) => format!("the final state of replica {replica}"),
    }
}

// The contents of a topic that was created again.

fn check_new_beginnings(topic: &Topic<'_>) -> Result<u64, Broken> {
    let deletions: Vec<&Operation> =
        topic.operations.iter().copied().filter(|operation| is_deletion(operation)).collect();
    let Some(last) = deletions.iter().max_by_key(|deletion| deletion.invoked) else { return Ok(0) };
    let mut checked = 0;
    for (replica, log) in topic.logs() {
        check_contents(topic, last, log, || format!("replica {replica}"))?;
        checked += 1;
    }
    for operation in &topic.operations {
        let before = deletions.iter().filter(|deletion| deletion.over() < operation.invoked);
        if let Some(deletion) = before.max_by_key(|deletion| deletion.invoked) {
            check_offset(topic, deletion, operation)?;
            if matches!(operation.action, Action::Read(Read::Pull { read: ReadLevel::Leader, .. })) {
                check_contents(topic, deletion, pulled(operation), || Told(operation).to_string())?;
            }
            checked += 1;
        }
    }
    Ok(checked)
}

fn is_deletion(operation: &Operation) -> bool {
    matches!(operation.outcome(), Outcome::Done(Done::TopicDeleted { .. }))
}

fn check_contents(
    topic: &Topic<'_>,
    deletion: &Operation,
    messages: &[Message],
    who: impl FnOnce() -> String,
) -> Result<(), Broken> {
    let is_gone = |message: &&Message| topic.publish_of(message).is_some_and(|publish| !may_follow(publish, deletion));
    match messages.iter().find(is_gone) {
        Some(message) => Err(Broken(format!(
            "{} has {}, which belongs to the deleted topic: {}",
            who(),
            Placed(topic.name, message),
            Told(deletion)
        ))),
        None => Ok(()),
    }
}

/// Offsets restart at 0 in a topic that was created again.
fn check_offset(topic: &Topic<'_>, deletion: &Operation, operation: &Operation) -> Result<(), Broken> {
    let Some(offset) = acknowledgement(operation).and_then(|told| told.offset) else { return Ok(()) };
    let may_be_there =
        |publish: &&Publish<'_>| may_follow(publish, deletion) && publish.first_attempt().invoked <= operation.over();
    let most = topic.publishes.iter().filter(may_be_there).count() as u64;
    if offset.0 < most {
        return Ok(());
    }
    Err(Broken(format!(
        "{} returned offset {offset}, but the topic was deleted ({}) and can have at most {most} messages since then",
        Told(operation),
        Told(deletion)
    )))
}

/// Whether a message can be in the log after a deletion. It cannot if all its attempts were settled before the deletion
/// was requested.
fn may_follow(publish: &Publish<'_>, deletion: &Operation) -> bool {
    publish.attempts.iter().any(|attempt| {
        let waits = acknowledgement(attempt).is_some_and(|told| told.offset.is_none());
        waits || attempt.over() >= deletion.invoked
    })
}

#[cfg(test)]
mod tests {
    use cubecast_core::names::PublisherId;
    use cubecast_core::wire::answer::ErrorCode;
    use cubecast_core::wire::client::{Ack, ReadLevel};

    use super::super::story::{Story, publisher};
    use super::check;

    /// A topic that was created, filled and deleted.
    fn gone() -> Story {
        let mut story = Story::without_topic();
        story.create_topic(10..20).created();
        story.publish("a", 30..40).done(0);
        story.delete_topic(50..60).deleted();
        story
    }

    #[test]
    fn a_topic_comes_and_goes() {
        let mut story = Story::without_topic();
        story.pull(1..5).refused(ErrorCode::UnknownTopic);
        story.create_topic(10..20).created();
        story.create_topic(21..22).refused(ErrorCode::TopicExists);
        story.publish("a", 30..40).done(0);
        story.pull(41..42).refused(ErrorCode::NotSubscribed);
        story.delete_topic(45..60).deleted();
        story.publish("b", 47..55).refused(ErrorCode::UnknownTopic);
        story.publish("c", 61..62).ack(Ack::One).put_aside("011");
        story.delete_topic(63..64).refused(ErrorCode::UnknownTopic);
        story.create_topic(70..80).in_doubt();
        story.pull(71..72).refused(ErrorCode::UnknownTopic);
        story.publish("d", 73..75).done(1);
        story.pull(76..77).saw(0, ["c", "d"]);
        story.log(["c", "d"]);
        // Twelve answers and four replicas; after the deletion again four replicas, and seven requests.
        assert_eq!(story.passes(check), 12 + 4 - 1 + 4 + 7 - 1);
    }

    #[test]
    fn a_topic_may_be_older_than_an_attempt_to_create_it_of_which_nothing_was_heard() {
        let mut story = Story::new();
        story.create_topic(10..20).in_doubt();
        story.delete_topic(30..40).refused(ErrorCode::NotOwner);
        story.log([]);
        story.passes(check);
        story.create_topic(50..60).created();
        story.fails(check, &["create_topic on `news`", "does not exist"]);
    }

    #[test]
    fn nothing_succeeds_on_a_topic_that_is_gone() {
        let mut story = gone();
        story.pull(70..80).saw(0, []);
        story.fails(
            check,
            &["pull on `news`", "requires that topic", "it was deleted", "no request can have created it"],
        );
        let mut story = gone();
        story.subscribe(None, 70..80).subscribed(0);
        story.fails(check, &["subscribe on `news`", "it was deleted", "0.060000 s"]);
        let mut story = gone();
        story.publish("b", 70..80).done(0);
        story.fails(check, &["publish of `b`", "it was deleted"]);
    }

    #[test]
    fn what_need_not_be_fresh_may_be_late() {
        let mut story = gone();
        story.pull(70..80).level(ReadLevel::Any).saw(0, ["a"]);
        story.pull(55..80).saw(0, ["a"]);
        story.unknown_to("100");
        story.passes(check);
    }

    #[test]
    fn a_creation_in_doubt_serves_once() {
        let mut story = gone();
        story.create_topic(70..80).in_doubt();
        story.pull(81..82).saw(0, []);
        story.delete_topic(83..84).deleted();
        story.passes(check);
        story.pull(85..86).saw(0, []);
        story.fails(check, &["pull on `news`", "no request can have created it"]);
    }

    #[test]
    fn only_its_owner_can_have_deleted_a_topic() {
        let mut story = Story::without_topic();
        story.create_topic(10..20).created();
        story.delete_topic(21..25).by_publisher("eve").in_doubt();
        story.pull(30..40).refused(ErrorCode::UnknownTopic);
        story.fails(
            check,
            &["pull on `news`", "with `unknown_topic`", "it was created", "no request can have deleted it"],
        );
        assert_ne!(publisher(), PublisherId::new("eve").unwrap());
        let mut story = Story::without_topic();
        story.create_topic(10..20).created();
        story.delete_topic(21..25).by_publisher("eve").deleted();
        story.fails(check, &["delete_topic on `news`", "belongs to `ann`"]);
    }

    #[test]
    fn a_topic_does_not_vanish() {
        let mut story = Story::without_topic();
        story.create_topic(10..20).created();
        story.publish("a", 30..40).refused(ErrorCode::UnknownTopic);
        story.fails(check, &["publish of `a`", "it was created", "0.020000 s"]);
    }

    #[test]
    fn no_replica_knows_a_topic_that_is_gone() {
        let mut story = gone();
        story.unknown_to("100");
        story.unknown_to("101");
        story.passes(check);
        story.log_of("110", []);
        story.fails(check, &["the final state of replica 110", "it was deleted"]);
    }

    #[test]
    fn a_topic_of_before_the_record_is_taken_for_granted() {
        let mut story = Story::new();
        story.pull(1..5).saw(0, []);
        story.delete_topic(10..20).by_publisher("eve").deleted();
        assert_eq!(story.passes(check), 2);
        story.pull(21..25).saw(0, []);
        story.fails(check, &["it was deleted"]);
    }

    #[test]
    fn a_new_topic_has_none_of_the_old_messages() {
        let mut story = gone();
        story.create_topic(70..80).created();
        story.pull(81..82).saw(0, ["a"]);
        story.fails(check, &["pull on `news`", "`a` at offset 0", "belongs to the deleted topic", "0.050000 s"]);
        let mut story = gone();
        story.create_topic(70..80).created();
        story.log(["a"]);
        story.fails(check, &["replica 000", "`a` at offset 0"]);
    }

    #[test]
    fn a_new_topic_begins_at_0() {
        let mut story = gone();
        story.create_topic(70..80).created();
        story.publish("b", 81..82).done(1);
        story.fails(check, &["publish of `b`", "returned offset 1", "at most 1 messages"]);
    }
}
