//! Recognises requests that cannot succeed now, so the user gets the reason at once instead of a timeout.

use cubecast_core::placement;
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};

use super::State;
use super::obstacle::Obstacle;
use super::task::Task;

/// Why no majority can carry out this task; `None` if it can be tried. Registrations before the task are not checked:
/// most were done before and are skipped.
pub fn obstacle_to_task(state: &State, task: &Task) -> Option<Obstacle> {
    task.steps.iter().filter(|step| !step.once).find_map(|step| obstacle_to_request(state, &step.action))
}

/// Why this request cannot be carried out now; `None` if it can be tried.
pub fn obstacle_to_request(state: &State, action: &Action) -> Option<Obstacle> {
    let subject = action.subject().filter(|_| needs_quorum(action))?;
    let home = placement::home(subject, state.cluster.dimension?);
    Obstacle::of(&state.cluster, state.now_ms, subject, home)
}

/// Whether the request needs a majority of the subject's group. A publish with `one` waits in an outbox instead.
fn needs_quorum(action: &Action) -> bool {
    match action {
        Action::Write(Write::Publish { ack, .. }) => *ack != Ack::One,
        Action::Read(Read::Pull { read, commit, .. }) => *read == ReadLevel::Leader || *commit,
        Action::Write(Write::ReplicaSubscribe { .. }) | Action::Read(Read::ReplicaPull { .. }) => false,
        Action::Write(_) => true,
        Action::Query(_) | Action::Admin(_) | Action::Local(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::faults::StopMode;
    use cubecast_core::states::NodeState;
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::event::{Event, WatchEvent};

    use super::super::action::{self, Moment, ViewAction};
    use super::super::cluster::{Cluster, Socket};
    use super::super::report::{Remark, TaskChange};
    use super::super::shared::Shared;
    use super::super::task::Panel;
    use super::super::tasks;
    use super::*;

    #[test]
    fn what_needs_a_majority_that_is_not_there_is_held_and_what_does_not_is_sent() {
        let state = state(&["100", "101"]);
        let publish = |ack| tasks::publish("writer", "news", "hello", ack).unwrap();
        let pull = |read, commit| tasks::pull("reader", "news", read, commit).unwrap();
        let Obstacle { subject, no_quorum, .. } = obstacle_to_task(&state, &publish(Ack::Quorum)).unwrap();
        assert_eq!((subject.as_str(), no_quorum.up.len(), no_quorum.voters, no_quorum.needed), ("news", 2, 4, 3));
        assert!(obstacle_to_task(&state, &publish(Ack::All)).is_some());
        assert!(obstacle_to_task(&state, &pull(ReadLevel::Leader, false)).is_some());
        assert_eq!(obstacle_to_task(&state, &publish(Ack::One)), None, "an outbox keeps it");
        assert_eq!(obstacle_to_task(&self::state(&["101"]), &publish(Ack::Quorum)), None);
    }

    #[test]
    fn what_is_held_is_said_at_once_and_kept_so_that_it_can_be_sent_all_the_same() {
        let task = tasks::publish("writer", "news", "hello", Ack::Quorum).unwrap();
        let state = state(&["100", "101"]);
        let obstacle = obstacle_to_task(&state, &task).unwrap();
        let held = action::Action::View(ViewAction::HoldTask { task: task.clone(), obstacle: obstacle.clone() });
        let state = state.after(Moment { now_ms: 2_000, actions: vec![held] });
        let report = &state.reports.by_panel[&Panel::Publish];
        assert!(!report.running);
        assert_eq!(report.lines[0].remark, Remark::Held(obstacle));
        assert_eq!(report.held.as_ref(), Some(&task));
    }

    #[test]
    fn a_request_that_is_under_way_while_there_is_no_majority_says_what_it_waits_for() {
        let publish = tasks::publish("writer", "news", "hello", Ack::Quorum).unwrap().steps.pop().unwrap().action;
        let asked = [
            action::Action::Task { panel: Panel::Publish, task: 1, change: TaskChange::Started { goal: None } },
            action::Action::Task { panel: Panel::Publish, task: 1, change: TaskChange::Asked(publish) },
        ];
        let says_it = |state: &State| {
            let report = &state.reports.by_panel[&Panel::Publish];
            report.running && report.lines.iter().any(|line| matches!(line.remark, Remark::Obstructed(_)))
        };
        let after =
            |state: State, actions: &[action::Action]| state.after(Moment { now_ms: 2_000, actions: actions.to_vec() });
        assert!(says_it(&after(state(&["100", "101"]), &asked)));
        let waiting = after(state(&["101"]), &asked);
        assert!(!says_it(&waiting));
        let (node, mode) = ("100".parse().unwrap(), StopMode::Crash);
        let event = Event::Stopped { mode, duration_ms: 9_000 };
        let stopped = WatchEvent { node, time: Timestamp(1), at_us: 1, trace: None, event };
        let late = after(after(waiting, &[action::Action::Event(stopped)]), &[]);
        assert!(says_it(&late), "the majority went while it waited");
        assert_eq!(late.reports.by_panel[&Panel::Publish].lines.len(), 1);
    }

    /// Eight nodes, of which these have failed.
    fn state(failed: &[&str]) -> State {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster::of(dimension);
        for node in cluster.all_nodes() {
            let state = if failed.contains(&node.to_string().as_str()) { NodeState::Failed } else { NodeState::Up };
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, state);
        }
        for home in dimension.vertices() {
            let members = cluster.members(home);
            cluster.learn_members(home, &members, &[], members[0]);
        }
        State { cluster: Shared::from(cluster), now_ms: 1_000, ..State::default() }
    }
}
