//! The state of the "Look closer" panel. Each tab has its own part; all parts receive the same actions as the cube.

use std::rc::Rc;

use cubecast_core::names::TopicName;

use super::State;
use super::action::Action;
use super::charts::Charts;
use super::invariants::{Invariants, Violation};
use super::load::Load;
use super::shared::Shared;
use super::spacetime::Recorder;
use super::task::Panel;
use super::xray::Xray;

/// Number of events that are kept with a violation.
const EVIDENCE: usize = 80;

/// The state of the panel's tabs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Closer {
    /// The open tab.
    pub tab: CloserTab,
    /// The replica X-ray of the chosen topic.
    pub xray: Shared<Xray>,
    /// The invariant checkers.
    pub invariants: Shared<Invariants>,
    /// Recorded events and the traced requests.
    pub recorder: Shared<Recorder>,
    /// Time series of the charts tab.
    pub charts: Shared<Charts>,
    /// The load generator's state.
    pub load: Shared<Load>,
    /// The state at the first violation, until the user dismisses it.
    pub frozen: Option<Rc<State>>,
}

/// The tabs of the panel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CloserTab {
    #[default]
    /// The event feed.
    Feed,
    /// The replica X-ray of the chosen topic.
    Xray,
    /// The invariant checks.
    Invariants,
    /// The space-time diagram of a request.
    SpaceTime,
    /// Throughput, latency and availability over time.
    Charts,
}

impl State {
    /// The state to draw: the current one, or, after a violation, the frozen cluster combined with the user's current
    /// selections.
    pub fn seen(&self) -> State {
        let Some(frozen) = &self.closer.frozen else { return self.clone() };
        State {
            now_ms: frozen.now_ms,
            cluster: frozen.cluster.clone(),
            topics: frozen.topics.clone(),
            traffic: frozen.traffic.clone(),
            feed: frozen.feed.clone(),
            closer: Closer {
                xray: if self.topic() == frozen.topic() { &frozen.closer.xray } else { &self.closer.xray }.clone(),
                ..self.closer.clone()
            },
            ..self.clone()
        }
    }

    /// Called with each action before it changes anything else.
    pub(super) fn look_closer(&mut self, action: &Action) {
        let now_ms = self.now_ms;
        match action {
            Action::Told(told) => {
                self.closer.recorder.change().record(now_ms, told);
                if self.closer.xray.topic.is_some() {
                    self.xray().learn_event(now_ms, told);
                }
            }
            Action::Answered { answer, .. } if self.closer.xray.topic.is_some() => {
                self.xray().learn_answer(now_ms, answer);
            }
            Action::TaskAnswered { panel: Panel::Publish, answer, took_ms, .. } => {
                self.closer.recorder.change().learn_answer(answer, *took_ms);
            }
            Action::TraceNext => self.closer.recorder.change().follow_next(),
            Action::PickRequest(trace) => self.closer.recorder.change().follow(*trace),
            Action::LoadStarted(plan) => self.closer.load.change().start(plan.clone()),
            Action::LoadTold(sample) => self.closer.load.change().hear(now_ms, sample),
            Action::LoadStopped { why } => self.closer.load.change().stop(why.clone()),
            Action::Sampled { node, sample } => self.closer.xray.change().learn_sample(*node, *sample),
            Action::ChooseTopic(text) => self.closer.xray.change().choose(TopicName::new(text.trim()).ok()),
            Action::ChooseCloserTab(tab) => self.closer.tab = *tab,
            Action::DismissViolation => {
                self.closer.frozen = None;
                self.closer.invariants.change().violation = None;
            }
            _ => {}
        }
        if Charts::concerns(action) {
            self.closer.charts.change().hear(now_ms, action);
        }
        if Invariants::concerns(action) {
            self.check_invariants(action);
        }
    }

    /// Called once after all actions of a moment.
    pub(super) fn go_on_looking(&mut self) {
        if self.closer.recorder.is_following() {
            self.closer.recorder.change().go_on(self.now_ms, &self.cluster);
        }
        if self.closer.charts.is_due(self.now_ms) {
            self.closer.charts.change().roll(self.now_ms);
        }
    }

    fn xray(&mut self) -> &mut Xray {
        let xray = self.closer.xray.change();
        xray.place(&self.cluster);
        xray
    }

    /// The first violation freezes the picture. Until the user dismisses it, further violations are only counted.
    fn check_invariants(&mut self, action: &Action) {
        let broken = self.closer.invariants.change().hear(self.now_ms, action, &self.cluster);
        let Some((rule, what)) = broken.filter(|_| self.closer.frozen.is_none()) else { return };
        let evidence = self.closer.recorder.last(EVIDENCE);
        let violation = Violation { rule, what, at_ms: self.now_ms, evidence };
        self.closer.invariants.change().violation = Some(violation);
        self.closer.tab = CloserTab::Invariants;
        self.closer.frozen = Some(Rc::new(self.clone()));
    }
}

impl Closer {
    /// Whether the passing of time alone changes the display.
    pub(super) fn changes_by(&self, before_ms: u64, now_ms: u64) -> bool {
        const STEP_MS: u64 = 250;
        let is_telling = self.recorder.is_following();
        is_telling
            || self.tab == CloserTab::Xray && self.xray.changes_by_time() && now_ms / STEP_MS != before_ms / STEP_MS
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::Moment;
    use super::super::cluster::Socket;
    use super::super::invariants::story::{cube, leads, told, vertex};
    use super::*;
    use cubecast_core::wire::client::StopMode;
    use cubecast_core::wire::event::Event;

    #[test]
    fn a_violation_freezes_what_is_seen_keeps_the_evidence_and_can_be_dismissed() {
        let opened = Action::SocketChanged { node: vertex("110"), socket: Socket::Open };
        let state = state().after(now(900, opened)).after(now(1_000, leads("100", "100", 4)));
        let state = state.after(now(2_000, leads("101", "100", 4)));
        let violation = state.closer.invariants.violation.clone().unwrap();
        assert_eq!((violation.at_ms, violation.evidence.len()), (2_000, 2));
        assert!(violation.evidence[1].contains("\"term\":4"), "{:?}", violation.evidence);

        let crash = told("110", Event::Stopped { mode: StopMode::Crash, duration_ms: 60_000 });
        let state = state.after(now(3_000, crash));
        let failed = |state: &State| state.cluster.health(vertex("110")).name();
        assert_eq!((failed(&state), failed(&state.seen())), ("failed", "unknown"), "beneath, it goes on");

        let state = state.after(now(4_000, Action::DismissViolation));
        assert_eq!((failed(&state.seen()), state.closer.invariants.violation.is_none()), ("failed", true));
        assert_eq!(state.closer.invariants.found, 1);
    }

    #[test]
    fn while_the_picture_is_frozen_the_first_violation_stays() {
        let state = state().after(now(1, leads("100", "100", 4))).after(now(2, leads("101", "100", 4)));
        let state = state.after(now(3, leads("110", "110", 7))).after(now(4, leads("111", "110", 7)));
        assert!(state.closer.invariants.violation.as_ref().unwrap().what.contains("group 100"));
        assert_eq!(state.closer.invariants.found, 2);
    }

    #[test]
    fn the_x_ray_follows_the_chosen_topic() {
        let state = state().after(now(1, Action::ChooseTopic("news".into())));
        assert_eq!(state.closer.xray.topic, TopicName::new("news").ok());
        let state = state.after(now(2, leads("100", "100", 1)));
        assert_eq!(state.closer.xray.replicas.len(), 4);
        let state = state.after(now(3, Action::ChooseTopic("no topic".into())));
        assert_eq!(state.closer.xray.topic, None);
    }

    fn state() -> State {
        State { cluster: Shared::from(cube()), ..State::default() }
    }

    fn now(now_ms: u64, action: Action) -> Moment {
        Moment { now_ms, actions: vec![action] }
    }
}
