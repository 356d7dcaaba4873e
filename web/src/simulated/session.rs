//! One run: a simulated cluster or the recorded hosts of an incident, the controller through which the user takes part,
//! and the page's state.
//!
//! Time advances in ticks of one virtual millisecond, and the page's state is updated at the end of each tick. The
//! displayed state at an instant is therefore a function of the spec alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cubecast_core::client::{ClientConfig, SocketId};
use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::io::ConnectionId;
use cubecast_core::seating::Seating;
use cubecast_core::time::Instant;
use cubecast_core::wire::event::{Event, WatchEvent};
use cubecast_sim::Report;

use super::looking;
use super::spec::Spec;
use super::timeline::Look;
use super::world::{ReplayedSoFar, World};
use crate::controller::{Controller, ControllerEffect, ControllerInput};
use crate::model::{Act, Action, Moment, State, ViewAction};

/// Intervals at which the nodes' state is read, virtual milliseconds.
const STATUSES_EVERY_MS: u64 = 250;
const VIEWS_EVERY_MS: u64 = 1_000;

/// A run in progress.
pub struct Session {
    world: Box<dyn World>,
    seed: u64,
    controller: Controller,
    state: State,
    began_ms: u64,
    now_ms: u64,
    /// The controller's sockets, mapped to client connections of the simulated cluster.
    sockets: BTreeMap<SocketId, ConnectionId>,
    connections: BTreeMap<ConnectionId, SocketId>,
    /// Actions that the controller reported in this tick.
    told: Vec<Action>,
    /// Per node: whether its process ran at the last tick.
    running: Vec<bool>,
    /// Number of entries of the simulation's story that are in the feed.
    story_told: usize,
    acknowledged: u64,
    is_healed: bool,
}

impl Session {
    /// The start of the run, without the user's actions.
    pub fn new(spec: &Spec) -> Session {
        let world = spec.world();
        let began_ms = world.now().0.div_ceil(1_000);
        let mut session = Session {
            controller: Controller::quiet(&client_config(world.dimension(), spec.seed)),
            state: State { epoch_ms: (!world.is_recorded()).then(|| world.epoch().0 / 1_000), ..State::default() },
            began_ms,
            now_ms: began_ms,
            sockets: BTreeMap::new(),
            connections: BTreeMap::new(),
            told: Vec::new(),
            running: vec![false; world.dimension().size()],
            story_told: 0,
            acknowledged: 0,
            is_healed: false,
            world,
            seed: spec.seed,
        };
        session.look_around();
        session.run_to(Instant(began_ms * 1_000));
        session.learn();
        session
    }

    /// The page's state now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The first instant of the run, milliseconds on the cluster's clock.
    pub fn began_ms(&self) -> u64 {
        self.began_ms
    }

    /// The current instant, milliseconds on the cluster's clock.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The end of the scenario's clients and faults, milliseconds on the cluster's clock; `None` if there are none or
    /// they have ended.
    pub fn ends_ms(&self) -> Option<u64> {
        let ends = self.world.ends();
        (ends != Instant(u64::MAX)).then(|| ends.0.div_ceil(1_000))
    }

    /// A hash of everything that has happened; equal runs have equal hashes.
    pub fn trace(&self) -> u64 {
        self.world.trace()
    }

    /// The wall clock, in milliseconds since 1970, at this time of the cluster's clock.
    pub fn wall_ms(&self, at_ms: u64) -> u64 {
        self.world.epoch().0 / 1_000 + at_ms
    }

    /// For an incident: how the replay so far compares with the recording.
    pub fn comparison(&self) -> Option<ReplayedSoFar> {
        self.world.comparison()
    }

    /// A summary of the current state for the timeline.
    pub fn look(&self) -> Look {
        Look::at(&self.state, self.acknowledged)
    }

    /// The scenario's faults so far, with their start in milliseconds on the cluster's clock.
    pub fn faults(&self) -> impl Iterator<Item = (u64, &str)> {
        self.world.story().iter().map(|(at, what)| (at.0 / 1_000, what.as_str()))
    }

    /// Advances by one virtual millisecond.
    pub fn tick(&mut self) {
        self.now_ms += 1;
        let until = Instant(self.now_ms * 1_000);
        if !self.is_healed && self.world.ends() <= until {
            self.run_to(self.world.ends());
            self.world.heal();
            self.is_healed = true;
        }
        self.run_to(until);
        self.learn();
    }

    /// Turns an incident into a simulation that goes on from now.
    pub fn fork(&mut self) {
        if let Some(world) = self.world.fork(self.seed) {
            self.world = world;
        }
    }

    /// Whether this is an incident, in which nothing can be changed.
    pub fn is_recorded(&self) -> bool {
        self.world.is_recorded()
    }

    /// Executes a user action now.
    pub fn act(&mut self, act: &Act) {
        self.turn(ControllerInput::Act(act.clone()));
        self.learn();
    }

    /// Applies changes of view, which do not affect the run.
    pub fn show(&mut self, actions: Vec<ViewAction>) {
        self.change(self.now_ms, actions.into_iter().map(Action::View).collect());
    }

    /// Ends the run: heals all faults, lets the cluster recover, and checks every invariant. Without user actions the
    /// report is that of `cubecast-lab sim`. `None` for an incident.
    pub fn finish(mut self) -> Option<Report> {
        if !self.is_healed && self.ends_ms().is_some() {
            self.run_to(self.world.ends());
        }
        self.world.into_simulation().map(|simulation| simulation.finish())
    }

    // Time.

    fn run_to(&mut self, until: Instant) {
        loop {
            let due = self.controller.next_deadline().map_or(until, |due| due.max(self.world.now()).min(until));
            let news = self.world.advance_to_news(due);
            let is_quiet = news.is_empty();
            self.hear(news);
            if self.controller.next_deadline().is_some_and(|due| due <= self.world.now()) {
                self.turn(ControllerInput::DeadlineReached);
            }
            if is_quiet && self.world.now() >= until {
                return;
            }
        }
    }

    // The controller.

    fn turn(&mut self, input: ControllerInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.controller.handle(self.world.clocks(), vec![input]) {
                inputs.extend(self.carry_out(effect));
            }
        }
    }

    /// Returns the immediate result, if there is one: connections in a simulation take no time.
    fn carry_out(&mut self, effect: ControllerEffect) -> Option<ControllerInput> {
        match effect {
            ControllerEffect::Open { socket, url } => return Some(self.open(socket, &url)),
            ControllerEffect::Close { socket } => {
                if let (Some(connection), Some(cluster)) = (self.sockets.remove(&socket), self.world.cluster_mut()) {
                    self.connections.remove(&connection);
                    cluster.disconnect_client(connection);
                }
            }
            ControllerEffect::Send { socket, requests } => {
                if let (Some(connection), Some(cluster)) = (self.sockets.get(&socket), self.world.cluster_mut()) {
                    for request in requests {
                        cluster.request(*connection, request);
                    }
                }
            }
            ControllerEffect::Tell(action) => self.told.push(action),
        }
        None
    }

    fn open(&mut self, socket: SocketId, url: &str) -> ControllerInput {
        let running = node_at(url, self.world.seating()).filter(|node| self.world.node(*node).is_some());
        let (Some(node), Some(cluster)) = (running, self.world.cluster_mut()) else {
            return ControllerInput::Closed { socket, why: "connection refused".into() };
        };
        let connection = cluster.connect_client(node);
        self.sockets.insert(socket, connection);
        self.connections.insert(connection, socket);
        ControllerInput::Opened { socket }
    }

    fn hear(&mut self, news: BTreeSet<ConnectionId>) {
        for connection in news {
            let Some(socket) = self.connections.get(&connection).copied() else { continue };
            let Some(cluster) = self.world.cluster_mut() else { return };
            let frames = cluster.frames(connection);
            let is_connected = cluster.is_connected(connection);
            if !frames.is_empty() {
                self.turn(ControllerInput::Frames { socket, frames });
            }
            if !is_connected && self.connections.remove(&connection).is_some() {
                self.sockets.remove(&socket);
                self.turn(ControllerInput::Closed { socket, why: "the connection broke".into() });
            }
        }
    }

    // The page's state.

    /// Called at the end of a tick: applies the reports of nodes and controller.
    fn learn(&mut self) {
        self.learn_events();
        let running = looking::running(&*self.world);
        let mut actions = looking::sockets(&*self.world, &self.running, &running);
        self.running = running;
        let story = &self.world.story()[self.story_told..];
        actions.extend(story.iter().map(|(_, what)| Action::ScenarioFault { what: what.clone() }));
        self.story_told += story.len();
        actions.append(&mut self.told);
        let since = self.now_ms - self.began_ms;
        if since.is_multiple_of(VIEWS_EVERY_MS) {
            actions.push(looking::topics(&*self.world));
            actions.extend(looking::views(&*self.world));
        }
        if since.is_multiple_of(STATUSES_EVERY_MS) {
            actions.extend(looking::statuses(&*self.world));
        }
        self.change(self.now_ms, actions);
    }

    /// Applies each event at its own time: the period before the first tick is longer than one tick.
    fn learn_events(&mut self) {
        let mut events = self.world.take_events().into_iter().peekable();
        while let Some((at, first)) = events.next() {
            let at_ms = at.0.div_ceil(1_000);
            let mut actions = vec![self.heard(first)];
            while let Some((_, next)) = events.next_if(|(at, _)| at.0.div_ceil(1_000) == at_ms) {
                actions.push(self.heard(next));
            }
            self.change(at_ms, actions);
        }
    }

    fn heard(&mut self, event: WatchEvent) -> Action {
        if let Event::RequestAnswered { action, error: None, .. } = &event.event {
            self.acknowledged += u64::from(action == "publish");
        }
        Action::Event(event)
    }

    /// Sets up nodes and sockets before the first events are applied.
    fn look_around(&mut self) {
        let world = &*self.world;
        let running = looking::running(world);
        let mut actions = looking::views(world);
        actions.extend(looking::sockets(world, &self.running, &running));
        self.running = running;
        self.change(0, actions);
    }

    fn change(&mut self, at_ms: u64, actions: Vec<Action>) {
        let now_ms = self.wall_ms(at_ms);
        if !actions.is_empty() || self.state.changes_by(now_ms) {
            self.state = std::mem::take(&mut self.state).after(Moment { now_ms, actions });
        }
    }
}

fn client_config(dimension: Dimension, seed: u64) -> ClientConfig {
    let nodes = Seating::founding(dimension).hosts().map(|node| (node, format!("sim:{node}"))).collect();
    ClientConfig { nodes, seed, ..ClientConfig::default() }
}

/// The node at a simulated address as written by the client: `ws://sim:100/ws`. The client writes a port without zeros
/// at its start: `ws://sim:1/ws` is node 001.
fn node_at(url: &str, seating: &Seating) -> Option<HostId> {
    let port = url.strip_prefix("ws://sim:")?.strip_suffix("/ws")?;
    seating.hosts().find(|node| node.to_string().trim_start_matches('0') == port.trim_start_matches('0'))
}
