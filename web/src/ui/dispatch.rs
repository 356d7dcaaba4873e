//! The way from a component to the owner of the state: the driver of the live page, or the player of a simulation.
//!
//! The dispatcher is a context of the page, so that components need no callbacks as properties. It never changes, so a
//! component that uses it is redrawn only when its own properties change.

use yew::prelude::*;

use crate::model::task::Task;
use crate::model::{Act, ViewAction};

/// What the user wants.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Changes what the page shows.
    View(ViewAction),
    /// Does something to the cluster. A task that no node can carry out now is held instead.
    Act(Act),
    /// Starts a task even if no node can carry it out now.
    Insist(Task),
}

/// Passes on the user's commands.
#[derive(Clone, PartialEq)]
pub struct Dispatch(Callback<Command>);

impl Dispatch {
    /// `perform` receives every command.
    pub fn new(perform: impl Fn(Command) + 'static) -> Dispatch {
        Dispatch(Callback::from(perform))
    }

    /// Passes on a command.
    pub fn send(&self, command: impl Into<Command>) {
        self.0.emit(command.into());
    }

    /// A callback that passes on the command for an event.
    pub fn on<E, C: Into<Command>>(&self, command: impl Fn(E) -> C + 'static) -> Callback<E> {
        self.0.reform(move |event| command(event).into())
    }
}

/// The page's dispatcher.
#[hook]
pub fn use_dispatch() -> Dispatch {
    use_context().expect("the page provides a dispatcher")
}

impl From<ViewAction> for Command {
    fn from(action: ViewAction) -> Command {
        Command::View(action)
    }
}

impl From<Act> for Command {
    fn from(act: Act) -> Command {
        Command::Act(act)
    }
}

impl From<Task> for Command {
    fn from(task: Task) -> Command {
        Command::Act(Act::Run(task))
    }
}
