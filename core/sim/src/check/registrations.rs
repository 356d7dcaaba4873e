//! Deleted names stay deleted, and registered names stay registered.
//!
//! The model of a name is whether it is registered. Answers to creating and deleting it reveal the state at some time
//! during the request, and so does every refusal because of an unknown publisher or subscriber. (An accepted request
//! under a deleted name reveals nothing, because nodes cache registrations for a while.) [`super::search`] looks for an
//! order that explains all answers. Therefore no late copy restores a deleted name, and none removes a name that was
//! registered again.

use std::collections::BTreeMap;

use cubecast_core::wire::answer::{Done, ErrorCode};
use cubecast_core::wire::client::{Action, Registry, Write};

use super::case::Case;
use super::history::{Operation, Outcome};
use super::search::{Model, Timed, find_order};
use super::words::Told;
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let mut names = BTreeMap::<(Registry, &str), Vec<Fact<'_>>>::new();
    for operation in &case.evidence.history.operations {
        if let Some((registry, name, step)) = told_by(operation) {
            let over = (operation.outcome() != Outcome::InDoubt).then(|| operation.over());
            let timed = Timed { invoked: operation.invoked, over, step };
            names.entry((registry, name)).or_default().push(Fact { operation, timed });
        }
    }
    names.into_values().try_fold(0, |checked, facts| Ok(checked + check_name(&facts)?)).map(Checked)
}

/// An answer about a name, or a request about it in doubt.
struct Fact<'a> {
    operation: &'a Operation,
    timed: Timed<Step>,
}

fn check_name(facts: &[Fact<'_>]) -> Result<u64, Broken> {
    let steps: Vec<Timed<Step>> = facts.iter().map(|fact| fact.timed.clone()).collect();
    match find_order(&Name, State::Unknown, &steps) {
        Ok(()) => Ok(steps.iter().filter(|step| step.over.is_some()).count() as u64),
        Err(stuck) => {
            let next = &facts[stuck.next];
            let (needs, is) = match stuck.state {
                State::Absent => ("is registered", "is not"),
                State::Present | State::Unknown => ("is not registered", "is"),
            };
            let last = stuck.order.last().map(|index| format!(" after {}", Told(facts[*index].operation)));
            let last = last.unwrap_or_default();
            Err(Broken(format!("{}: this requires that the name {needs}, but it {is}{last}", Told(next.operation))))
        }
    }
}

struct Name;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    /// The state at the start of the record.
    Unknown,
    Absent,
    Present,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    Create,
    Delete,
    Found,
    NotFound,
}

impl Model for Name {
    type State = State;
    type Step = Step;

    fn apply(&self, state: &State, step: &Step) -> Option<State> {
        match (step, state) {
            (Step::Create, State::Absent | State::Unknown) => Some(State::Present),
            (Step::Found, State::Present | State::Unknown) => Some(State::Present),
            (Step::Delete, State::Present | State::Unknown) => Some(State::Absent),
            (Step::NotFound, State::Absent | State::Unknown) => Some(State::Absent),
            (Step::Create, State::Present) | (Step::NotFound, State::Present) => None,
            (Step::Found, State::Absent) | (Step::Delete, State::Absent) => None,
        }
    }

    fn only_looks(&self, state: &State, step: &Step) -> bool {
        *state != State::Unknown && matches!(step, Step::Found | Step::NotFound)
    }
}

/// The name of an answer, and what the answer reveals. Without an answer, only creations and deletions of the name
/// count.
fn told_by(operation: &Operation) -> Option<(Registry, &str, Step)> {
    let created = |existed: bool| if existed { Step::Found } else { Step::Create };
    let step = match operation.outcome() {
        Outcome::Done(Done::PublisherCreated { existed, .. } | Done::SubscriberCreated { existed, .. }) => {
            created(*existed)
        }
        Outcome::Done(Done::PublisherDeleted { .. } | Done::SubscriberDeleted { .. }) => Step::Delete,
        Outcome::Done(_) => return None,
        Outcome::Refused(failure) => match failure.code {
            ErrorCode::UnknownPublisher | ErrorCode::UnknownSubscriber => Step::NotFound,
            _ => return None,
        },
        Outcome::InDoubt => match operation.action {
            Action::Write(Write::CreatePublisher { .. } | Write::CreateSubscriber { .. }) => Step::Create,
            Action::Write(Write::DeletePublisher { .. } | Write::DeleteSubscriber { .. }) => Step::Delete,
            _ => return None,
        },
    };
    let (registry, name) = operation.action.who()?;
    Some((registry, name, step))
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use cubecast_core::wire::answer::{Done, ErrorCode};
    use cubecast_core::wire::client::{Action, Write};

    use super::super::story::{Story, Told, publisher};
    use super::check;

    fn create(story: &mut Story, times: Range<u64>) -> Told<'_> {
        story.ask(Action::Write(Write::CreatePublisher { publisher: publisher() }), times)
    }

    fn delete(story: &mut Story, times: Range<u64>) -> Told<'_> {
        story.ask(Action::Write(Write::DeletePublisher { publisher: publisher() }), times)
    }

    fn created(existed: bool) -> Done {
        Done::PublisherCreated { publisher: publisher(), existed }
    }

    fn deleted() -> Done {
        Done::PublisherDeleted { publisher: publisher() }
    }

    #[test]
    fn a_name_comes_and_goes() {
        let mut story = Story::new();
        create(&mut story, 10..20).answer("100", Ok(created(false)));
        create(&mut story, 21..25).answer("100", Ok(created(true)));
        delete(&mut story, 30..40).answer("100", Ok(deleted()));
        story.publish("taken by a node that has not noticed", 41..42).done(0);
        story.publish("refused by another", 41..42).refused(ErrorCode::UnknownPublisher);
        delete(&mut story, 43..44).refused(ErrorCode::UnknownPublisher);
        create(&mut story, 50..60).answer("100", Ok(created(false)));
        assert_eq!(story.passes(check), 6);
    }

    #[test]
    fn what_was_there_before_the_record_is_found_out() {
        let mut story = Story::new();
        story.publish("x", 1..2).refused(ErrorCode::UnknownPublisher);
        create(&mut story, 10..20).answer("100", Ok(created(true)));
        story.fails(check, &["create_publisher", "is registered, but it is not"]);
    }

    #[test]
    fn no_deleted_name_comes_back_by_itself() {
        let mut story = Story::new();
        create(&mut story, 10..20).answer("100", Ok(created(false)));
        delete(&mut story, 30..40).answer("100", Ok(deleted()));
        create(&mut story, 50..60).answer("100", Ok(created(true)));
        story.fails(check, &["create_publisher", "is registered, but it is not"]);
    }

    #[test]
    fn no_registered_name_is_unknown() {
        let mut story = Story::new();
        create(&mut story, 10..20).answer("100", Ok(created(false)));
        story.publish("x", 30..40).refused(ErrorCode::UnknownPublisher);
        story.fails(check, &["publish", "is not registered, but it is", "create_publisher"]);
    }

    #[test]
    fn a_deletion_in_doubt_explains_once_that_a_name_is_unknown() {
        let mut story = Story::new();
        create(&mut story, 10..20).answer("100", Ok(created(false)));
        delete(&mut story, 21..22).in_doubt();
        story.publish("x", 30..40).refused(ErrorCode::UnknownPublisher);
        create(&mut story, 50..60).answer("100", Ok(created(false)));
        story.passes(check);
        story.publish("y", 70..80).refused(ErrorCode::UnknownPublisher);
        story.fails(check, &["publish", "is not registered, but it is"]);
    }
}
