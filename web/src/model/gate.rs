//! Rejects requests that cannot succeed now, so the user gets the reason at once instead of a timeout.

use cubecast_core::cube::Vertex;
use cubecast_core::placement;
use cubecast_core::wire::client::{Ack, Action, Admin, Local, Query, Read, ReadLevel, Write};

use super::State;
use super::standing;
use super::task::Task;

/// Why no majority can carry out this task; `None` if it can be tried. Registrations before the task are not checked:
/// most were done before and are skipped.
pub fn obstacle(state: &State, task: &Task) -> Option<String> {
    task.steps.iter().filter(|step| !step.once).find_map(|step| hindrance(state, &step.action))
}

/// Why this request cannot be carried out now; `None` if it can be tried.
pub fn hindrance(state: &State, action: &Action) -> Option<String> {
    let subject = action.subject().filter(|_| needs_quorum(action))?;
    standing::obstacle(state, subject, home(state, subject)?)
}

fn home(state: &State, subject: &str) -> Option<Vertex> {
    Some(placement::home(subject, state.cluster.dimension?))
}

/// Whether the request needs a majority of the subject's group. A publish with `one` waits in an outbox instead.
fn needs_quorum(action: &Action) -> bool {
    match action {
        Action::Write(Write::Publish { ack, .. }) => *ack != Ack::One,
        Action::Read(Read::Pull { read, commit, .. }) => *read == ReadLevel::Leader || *commit,
        Action::Write(Write::CreatePublisher { .. } | Write::CreateSubscriber { .. }) => true,
        Action::Write(Write::DeletePublisher { .. } | Write::DeleteSubscriber { .. }) => true,
        Action::Write(Write::CreateTopic { .. } | Write::DeleteTopic { .. }) => true,
        Action::Write(Write::Subscribe { .. } | Write::Unsubscribe { .. } | Write::Commit { .. }) => true,
        Action::Write(Write::ReplicaSubscribe { .. })
        | Action::Read(Read::ReplicaPull { .. })
        | Action::Query(Query::Locate { .. } | Query::Topics) => false,
        Action::Local(Local::Cluster) | Action::Admin(Admin::Status { .. }) | Action::Local(Local::Watch { .. }) => {
            false
        }
        Action::Admin(Admin::StopNode { .. } | Admin::RecoverNode { .. } | Admin::SetLink { .. }) => false,
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::answer::NodeState;
    use cubecast_core::wire::client::StopMode;
    use cubecast_core::wire::event::{Event, WatchEvent};

    use super::super::action::{self, Moment};
    use super::super::cluster::{Cluster, Socket};
    use super::super::shared::Shared;
    use super::super::task::Panel;
    use super::super::tasks;
    use super::*;

    #[test]
    fn what_needs_a_majority_that_is_not_there_is_held_and_what_does_not_is_sent() {
        let state = state(&["100", "101"]);
        let publish = |ack| tasks::publish("writer", "news", "hello", ack).unwrap();
        let pull = |read, commit| tasks::pull("reader", "news", read, commit).unwrap();
        let said = obstacle(&state, &publish(Ack::Quorum)).unwrap();
        assert!(said.starts_with("news cannot be written: 2 of 4 replicas up, 3 needed."), "{said}");
        assert!(obstacle(&state, &publish(Ack::All)).is_some());
        assert!(obstacle(&state, &pull(ReadLevel::Leader, false)).is_some());
        assert_eq!(obstacle(&state, &publish(Ack::One)), None, "an outbox keeps it");
        assert_eq!(obstacle(&self::state(&["101"]), &publish(Ack::Quorum)), None);
    }

    #[test]
    fn what_is_held_is_said_at_once_and_kept_so_that_it_can_be_sent_all_the_same() {
        let task = tasks::publish("writer", "news", "hello", Ack::Quorum).unwrap();
        let state = state(&["100", "101"]);
        let text = obstacle(&state, &task).unwrap();
        let held = action::Action::TaskHeld { task: task.clone(), text };
        let state = state.after(Moment { now_ms: 2_000, actions: vec![held] });
        let report = &state.tasks.reports[&Panel::Publish];
        assert!(!report.running && report.lines[0].text.starts_with("Not sent: news cannot be written"));
        assert_eq!(report.held.as_ref(), Some(&task));
    }

    #[test]
    fn a_request_that_is_under_way_while_there_is_no_majority_says_what_it_waits_for() {
        let publish = tasks::publish("writer", "news", "hello", Ack::Quorum).unwrap().steps.pop().unwrap().action;
        let asked = [
            action::Action::TaskStarted { panel: Panel::Publish, task: 1, goal: None },
            action::Action::TaskAsked { panel: Panel::Publish, task: 1, action: publish },
        ];
        let says_it = |state: &State| {
            let report = &state.tasks.reports[&Panel::Publish];
            report.running && report.lines.iter().any(|line| line.text.starts_with("news cannot be written"))
        };
        let after =
            |state: State, actions: &[action::Action]| state.after(Moment { now_ms: 2_000, actions: actions.to_vec() });
        assert!(says_it(&after(state(&["100", "101"]), &asked)));
        let waiting = after(state(&["101"]), &asked);
        assert!(!says_it(&waiting));
        let (node, mode) = ("100".parse().unwrap(), StopMode::Crash);
        let event = Event::Stopped { mode, duration_ms: 9_000 };
        let stopped = WatchEvent { node, time: Timestamp(1), at_us: 1, trace: None, event };
        let late = after(after(waiting, &[action::Action::Told(stopped)]), &[]);
        assert!(says_it(&late), "the majority went while it waited");
        assert_eq!(late.tasks.reports[&Panel::Publish].lines.len(), 1);
    }

    /// Eight nodes, of which these have failed.
    fn state(failed: &[&str]) -> State {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster::of(dimension);
        for node in dimension.vertices() {
            let state = if failed.contains(&node.to_string().as_str()) { NodeState::Failed } else { NodeState::Up };
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, state);
        }
        for home in dimension.vertices() {
            let members: Vec<Vertex> = placement::members(home).collect();
            cluster.learn_members(home, &members, &[], home);
        }
        State { cluster: Shared::from(cluster), now_ms: 1_000, ..State::default() }
    }
}
