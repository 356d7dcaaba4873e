//! The reducer: passes each action to the parts of the state that it concerns.

mod nodes;
mod task;
#[cfg(test)]
mod tests;
mod view;

use std::rc::Rc;

use cubecast_core::identity::HostId;
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::wire::answer::Delivery;

use super::action::{Action, Moment};
use super::breakage::Breakages;
use super::closer::Frozen;
use super::cluster::Socket;
use super::feed::Fact;
use super::invariants::{Evidence, Violation};
use super::load::LoadSample;
use super::state::{SeedFailure, State};
use super::view::CloserTab;

/// Number of events that are kept with a violation.
const EVENTS_KEPT: usize = 80;

impl State {
    /// The state after the actions of `moment`, applied in order.
    pub fn after(mut self, moment: Moment) -> State {
        self.now_ms = self.now_ms.max(moment.now_ms);
        if self.traffic.has_expired(self.now_ms) {
            self.traffic.change().expire(self.now_ms);
        }
        let before = self.cluster.clone();
        for action in moment.actions {
            self.reduce(action);
        }
        if self.cluster != before {
            self.listen();
            self.update_breakages();
            self.report_obstacles();
            self.update_completeness();
        }
        if self.closer.recorder.is_following() {
            self.closer.recorder.change().go_on(self.now_ms, &self.cluster);
        }
        if self.closer.charts.is_due(self.now_ms) {
            self.closer.charts.change().roll(self.now_ms);
        }
        if self.rates.is_due(self.now_ms) {
            self.rates.change().roll(self.now_ms);
        }
        self
    }

    /// Whether the passing of time alone changes the display: a pulse arrives, or a countdown changes.
    pub(crate) fn changes_by(&self, now_ms: u64) -> bool {
        let is_counting = |at_ms: u64| at_ms + 1_000 > self.now_ms;
        let counting = self.cluster.nodes.values().any(|node| node.returns_at_ms.is_some_and(is_counting));
        let closer = self.closer.changes_by(self.now_ms, now_ms);
        self.traffic.has_expired(now_ms) || closer || (counting && now_ms / 1000 != self.now_ms / 1000)
    }

    fn reduce(&mut self, action: Action) {
        match action {
            Action::SeedFailed { address } => self.seed_failed = Some(SeedFailure { address, why: None }),
            Action::SeedExplained { address, why } => self.explain_seed(&address, why),
            Action::SocketChanged { node, socket } => self.change_socket(node, socket),
            Action::FrameMalformed { error } => self.note(Fact::FrameMalformed { error }),
            Action::FellOver(fall) => self.note(Fact::FellOver(fall)),
            Action::BackHome { home } => self.note(Fact::BackHome { home }),

            Action::Event(event) => self.learn_event(&event),
            Action::Answered { asked, answer } => self.learn_answer(asked, &answer),
            Action::Sampled { node, sample } => self.learn_sample(node, sample),
            Action::ScenarioFault { what } => self.note(Fact::ScenarioFault { what }),

            Action::OpenInbox { subscriber, topic } => self.inboxes.change().open(subscriber, topic),
            Action::CloseInbox { subscriber, topic } => {
                self.inboxes.change().close(&subscriber, &topic);
                self.closer.charts.change().end_own(self.now_ms, &topic, &subscriber);
            }
            Action::Delivered(delivery) => self.deliver(delivery),
            Action::DeliveriesEnded { subscriber, topic, why } => self.end_deliveries(subscriber, topic, why),

            Action::Task { panel, task, change } => self.change_task(panel, task, change),
            Action::LoadStarted(plan) => self.closer.load.change().start(plan),
            Action::LoadMeasured(sample) => self.measure_load(&sample),
            Action::LoadStopped { why } => self.closer.load.change().stop(why),
            Action::View(action) => self.change_view(action),
        }
    }

    fn note(&mut self, fact: Fact) {
        if fact.fault().is_some() {
            self.closer.charts.change().add_fault(self.now_ms, &fact);
        }
        self.feed.change().add(self.now_ms, fact);
    }

    // Connections.

    fn explain_seed(&mut self, tried: &str, why: String) {
        if let Some(failure) = self.seed_failed.as_mut().filter(|failure| failure.address == tried) {
            failure.why = Some(why);
        }
    }

    fn change_socket(&mut self, node: HostId, socket: Socket) {
        let known = self.cluster.nodes.get(&node).map(|known| known.socket).unwrap_or_default();
        match (&known, &socket) {
            (Socket::Open, Socket::Closed) => self.note(Fact::ConnectionLost(node)),
            (Socket::Closed, Socket::Open) => self.note(Fact::ConnectionRestored(node)),
            _ => {}
        }
        if socket == Socket::Open {
            self.seed_failed = None;
        }
        if known != socket {
            self.cluster.change().learn_socket(node, socket);
        }
    }

    // Deliveries and load.

    fn deliver(&mut self, delivery: Delivery) {
        self.check_invariants(Evidence::Delivery(&delivery));
        let (subscriber, topic) = (delivery.subscriber.clone(), delivery.topic.clone());
        self.inboxes.change().deliver(delivery);
        let live = self.inboxes.get(&subscriber, &topic).filter(|inbox| inbox.ended.is_none());
        if let Some(next) = live.and_then(|inbox| inbox.next) {
            self.closer.charts.change().learn_own(self.now_ms, &topic, &subscriber, next.0);
        }
    }

    fn end_deliveries(&mut self, subscriber: SubscriberId, topic: TopicName, why: String) {
        self.check_invariants(Evidence::DeliveriesEnded { subscriber: &subscriber, topic: &topic });
        self.inboxes.change().end(&subscriber, &topic, why.clone());
        self.closer.charts.change().end_own(self.now_ms, &topic, &subscriber);
        self.note(Fact::DeliveriesEnded { subscriber, topic, why });
    }

    fn measure_load(&mut self, sample: &LoadSample) {
        self.closer.load.change().add(self.now_ms, sample);
        self.closer.charts.change().add_load(self.now_ms, sample);
    }

    // Conclusions.

    /// Whether all events reach this page: the nodes sample none, and it is connected to all that run.
    pub(super) fn update_completeness(&mut self) {
        let cluster = &self.cluster;
        let is_open = |node| cluster.nodes.get(&node).is_some_and(|known| known.socket == Socket::Open);
        let mut running = cluster.all_nodes().filter(|node| cluster.health(*node).is_running());
        let is_complete = !self.closer.xray.is_sampled() && running.all(is_open);
        if is_complete != self.closer.charts.hears_all() {
            self.closer.charts.change().hear_all(is_complete);
        }
    }

    fn update_breakages(&mut self) {
        let mut breakages = Breakages::clone(&self.breakages);
        breakages.update(&self.cluster, self.now_ms);
        if breakages != *self.breakages {
            self.breakages = breakages.into();
        }
    }

    /// The first violation freezes the picture. Until the user dismisses it, further violations are only counted.
    fn check_invariants(&mut self, evidence: Evidence<'_>) {
        let violated = self.closer.invariants.change().check(self.now_ms, evidence, &self.cluster);
        let Some((rule, what)) = violated.filter(|_| self.closer.frozen.is_none()) else { return };
        let events = self.closer.recorder.last(EVENTS_KEPT);
        self.closer.invariants.change().violation = Some(Violation { rule, what, at_ms: self.now_ms, events });
        self.closer.tab = CloserTab::Invariants;
        self.closer.frozen = Some(Rc::new(Frozen {
            now_ms: self.now_ms,
            cluster: self.cluster.clone(),
            topics: self.topics.clone(),
            traffic: self.traffic.clone(),
            feed: self.feed.clone(),
            xray: self.closer.xray.clone(),
        }));
    }
}

impl yew::Reducible for State {
    type Action = Moment;

    /// Returns the same `Rc` if nothing changed, so nothing is redrawn.
    fn reduce(self: Rc<Self>, moment: Moment) -> Rc<Self> {
        if moment.actions.is_empty() && !self.changes_by(moment.now_ms) {
            return self;
        }
        Rc::new(State::clone(&self).after(moment))
    }
}
