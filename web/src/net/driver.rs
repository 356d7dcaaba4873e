//! Carries out what the client decides: opens its sockets, gives it time, and tells the page.
//!
//! The page hears of everything that came, gathered into one [`Moment`] every few milliseconds, so that a burst costs one
//! drawing and not a thousand. When the last [`Driver`] is dropped, its sockets and timers end.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use std::time::Duration;

use cubecast_core::client::{
    Client, ClientConfig, ClientEffect, ClientError, ClientInput, Notice, Reply, SocketId, Submission, Target, Ticket,
};
use cubecast_core::cube::Vertex;
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::time::{Instant, Now, Timestamp};
use cubecast_core::wire::answer::{Answer, ErrorCode};
use cubecast_core::wire::client;
use gloo_timers::callback::{Interval, Timeout};
use web_sys::js_sys;
use yew::Callback;

use super::address::{self, PageAddress};
use super::errands::{Errand, Errands};
use super::load::{RunningLoad, TICK_MS, page_is_hidden};
use super::socket::{Socket, SocketEvent};
use crate::model::cluster::Socket as SocketState;
use crate::model::load::LoadPlan;
use crate::model::task::{Panel, Step, Task};
use crate::model::{Action, Moment};

/// What comes within this time is one moment: fast enough for the eye, slow enough for a burst.
const GATHER_MS: u32 = 33;
/// How often the page asks by itself.
const ERRANDS_MS: u32 = 1_000;
/// An errand that takes longer is asked again.
const ERRAND_WITHIN: Duration = Duration::from_millis(2_500);
/// The person is told after this long that nobody could do it.
const TASK_WITHIN: Duration = Duration::from_secs(10);

/// The page's connection to the cluster. Clones are the same connection.
#[derive(Clone)]
pub struct Driver(Rc<RefCell<Inner>>);

struct Inner {
    me: Weak<RefCell<Inner>>,
    page: PageAddress,
    tell: Callback<Moment>,
    client: Client,
    sockets: BTreeMap<SocketId, Socket>,
    next_ticket: u64,
    waiting: BTreeMap<Ticket, Waiting>,
    errands: Errands,
    load: Option<RunningLoad>,
    /// Registrations that this page has seen done.
    done_once: Vec<client::Action>,
    gathered: Vec<Action>,
    gathering: Option<Timeout>,
    deadline: Option<Timeout>,
    _errands_timer: Interval,
}

/// Who waits for an answer.
enum Waiting {
    Errand(Errand),
    Task {
        panel: Panel,
        task: u64,
        step: Step,
        rest: VecDeque<Step>,
        began_ms: f64,
    },
    /// The load's publisher is registered, or not.
    LoadPublisher,
    /// One message of the load.
    Load {
        began_ms: f64,
    },
}

impl Driver {
    /// Begins to look for the cluster; `tell` gets everything that happens.
    pub fn start(page: PageAddress, tell: Callback<Moment>) -> Driver {
        let seeds = address::seeds(&page);
        let seed = (js_sys::Math::random() * 2f64.powi(53)) as u64;
        let client = Client::new(&ClientConfig { seeds, nodes: Vec::new(), seed });
        let driver = Driver(Rc::new_cyclic(|me: &Weak<RefCell<Inner>>| {
            RefCell::new(Inner {
                me: me.clone(),
                page,
                tell,
                client,
                sockets: BTreeMap::new(),
                next_ticket: 0,
                waiting: BTreeMap::new(),
                errands: Errands::default(),
                load: None,
                done_once: Vec::new(),
                gathered: Vec::new(),
                gathering: None,
                deadline: None,
                _errands_timer: every(ERRANDS_MS, me.clone(), Inner::run_errands),
            })
        }));
        driver.0.borrow_mut().run_errands();
        driver
    }

    /// Does what the person asked for; its report appears on the task's panel.
    pub fn run(&self, task: Task) {
        self.0.borrow_mut().run_task(task);
    }

    /// The caller no longer wants a subscription's messages.
    pub fn stop_deliveries(&self, subscriber: SubscriberId, topic: TopicName) {
        self.0.borrow_mut().turn(vec![ClientInput::StopDeliveries { topic, subscriber }]);
    }

    /// The node that the person looks at: its details are kept fresh.
    pub fn attend(&self, node: Option<Vertex>) {
        let mut inner = self.0.borrow_mut();
        if inner.errands.attention != node {
            inner.errands.attention = node;
            inner.run_errands();
        }
    }

    /// The topic under the X-ray: how its holders stand is asked for again and again.
    pub fn look_into(&self, topic: Option<TopicName>) {
        let mut inner = self.0.borrow_mut();
        if inner.errands.topic != topic {
            inner.errands.topic = topic;
            inner.run_errands();
        }
    }

    /// Publishes as planned from now on; `None`: no more. What is under way is still told of, but for a load that ended.
    pub fn set_load(&self, plan: Option<LoadPlan>) {
        self.0.borrow_mut().set_load(plan);
    }
}

impl PartialEq for Driver {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Inner {
    fn run_errands(&mut self) {
        let nodes: Vec<_> = self.client.dimension().into_iter().flat_map(|dimension| dimension.vertices()).collect();
        let due = self.errands.due(&nodes);
        self.submit_errands(due);
    }

    fn submit_errands(&mut self, errands: Vec<Errand>) {
        let submissions = errands.into_iter().filter_map(|errand| {
            let (action, to) = self.errands.request(errand)?;
            let ticket = self.wait(Waiting::Errand(errand));
            Some(ClientInput::Submit(Submission { ticket, action, to, within: ERRAND_WITHIN, trace: false }))
        });
        let submissions = submissions.collect();
        self.turn(submissions);
    }

    fn run_task(&mut self, Task { panel, steps }: Task) {
        let task = self.next_ticket;
        self.next_ticket += 1;
        self.gather(Action::TaskStarted { panel, task });
        let steps = steps.into_iter().filter(|step| !(step.once && self.done_once.contains(&step.action)));
        let steps = steps.collect();
        self.run_step(panel, task, steps);
    }

    fn run_step(&mut self, panel: Panel, task: u64, mut steps: VecDeque<Step>) {
        let Some(step) = steps.pop_front() else {
            return self.gather(Action::TaskEnded { panel, task });
        };
        let (action, to) = (step.action.clone(), step.to);
        let ticket = self.wait(Waiting::Task { panel, task, step, rest: steps, began_ms: performance_ms() });
        self.turn(vec![ClientInput::Submit(Submission { ticket, action, to, within: TASK_WITHIN, trace: false })]);
    }

    fn wait(&mut self, waiting: Waiting) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, waiting);
        ticket
    }

    /// One turn of the client, and all that it wants done.
    fn turn(&mut self, inputs: Vec<ClientInput>) {
        for effect in self.client.handle(now(), inputs) {
            self.carry_out(effect);
        }
        self.set_deadline();
    }

    fn carry_out(&mut self, effect: ClientEffect) {
        match effect {
            ClientEffect::Open { socket, url, .. } => self.open(socket, &url),
            ClientEffect::Close { socket } => drop(self.sockets.remove(&socket)),
            ClientEffect::Send { socket, requests } => {
                if let Some(socket) = self.sockets.get(&socket) {
                    socket.send(&requests);
                }
            }
            ClientEffect::Resolved { ticket, result } => self.resolve(ticket, result),
            ClientEffect::Delivered(delivery) => self.gather(Action::Delivered(delivery)),
            ClientEffect::DeliveriesEnded { topic, subscriber, why } => {
                self.gather(Action::DeliveriesEnded { subscriber, topic, why: why.message });
            }
            ClientEffect::Event(event) => {
                self.errands.note_event(event.node);
                self.gather(Action::Told(event));
            }
            ClientEffect::Notice(notice) => self.hear(notice),
        }
    }

    fn open(&mut self, id: SocketId, url: &str) {
        let me = self.me.clone();
        let tell = move |event| {
            if let Some(inner) = me.upgrade() {
                inner.borrow_mut().hear_socket(id, event);
            }
        };
        self.sockets.insert(id, Socket::open(address::reachable(url, &self.page), tell));
    }

    fn hear_socket(&mut self, socket: SocketId, event: SocketEvent) {
        match event {
            SocketEvent::Opened => self.turn(vec![ClientInput::Opened { socket }]),
            SocketEvent::Frames(frames) => self.turn(vec![ClientInput::Frames { socket, frames }]),
            SocketEvent::Malformed(text) => self.gather(Action::FrameMalformed { text }),
            SocketEvent::Closed(why) => {
                self.sockets.remove(&socket);
                self.turn(vec![ClientInput::Closed { socket, why }]);
            }
        }
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Learned { .. } => {}
            Notice::Connected { node: Some(node), .. } | Notice::Reconnected { node: Some(node), .. } => {
                self.gather(Action::SocketChanged { node, socket: SocketState::Open });
            }
            Notice::Lost { node: Some(node), .. } => {
                self.gather(Action::SocketChanged { node, socket: SocketState::Closed });
            }
            Notice::Lost { node: None, url, .. } => self.gather(Action::SeedFailed { address: url }),
            Notice::Connected { node: None, .. } | Notice::Reconnected { node: None, .. } => {}
            Notice::FellOver(fall) => self.gather(Action::FellOver { from: fall.from, to: fall.to, why: fall.why }),
            Notice::BackHome { home } => self.gather(Action::BackHome { home }),
        }
    }

    fn resolve(&mut self, ticket: Ticket, result: Result<Reply, ClientError>) {
        if let Some(answer) = result.as_ref().map_or_else(refusal, |reply| Some(reply.answer.clone())) {
            self.learn(result.as_ref().map_or(answer.served_by, |reply| reply.asked), answer);
        }
        match self.waiting.remove(&ticket) {
            Some(Waiting::Errand(errand)) => self.end_errand(errand, result.is_ok()),
            Some(Waiting::Task { panel, task, step, rest, began_ms }) => {
                let took_ms = performance_ms() - began_ms;
                self.end_step(panel, task, step, rest, result, took_ms);
            }
            Some(Waiting::LoadPublisher) => self.begin_load(result),
            Some(Waiting::Load { began_ms }) => self.end_load_message(began_ms, result),
            None => {}
        }
    }

    /// What a node answers shows that it is there, and teaches the page something.
    fn learn(&mut self, asked: Vertex, answer: Answer) {
        self.gather(Action::SocketChanged { node: asked, socket: SocketState::Open });
        self.gather(Action::Answered { asked, answer });
    }

    fn end_errand(&mut self, errand: Errand, succeeded: bool) {
        self.errands.note_done(errand, succeeded);
        let next = match errand {
            Errand::Find if succeeded => return self.run_errands(),
            Errand::Watch { node, sample } if succeeded => {
                self.gather(Action::Sampled { node, sample });
                self.errands.greeting(node)
            }
            _ => return,
        };
        self.submit_errands(next);
    }

    fn end_step(
        &mut self,
        panel: Panel,
        task: u64,
        step: Step,
        rest: VecDeque<Step>,
        result: Result<Reply, ClientError>,
        took_ms: f64,
    ) {
        if let Some(fall) = result.as_ref().ok().and_then(|reply| reply.fell_over.as_ref()) {
            let text = format!("{} is away ({}), so {} was asked.", fall.from, fall.why, fall.to);
            self.gather(Action::TaskFellOver { panel, task, text });
        }
        match result {
            Ok(reply) => {
                self.gather(Action::TaskAnswered { panel, task, answer: reply.answer, took_ms });
                if step.once {
                    self.done_once.push(step.action);
                }
                self.run_step(panel, task, rest);
            }
            Err(error) => self.end_task_badly(panel, task, &error, took_ms),
        }
    }

    fn end_task_badly(&mut self, panel: Panel, task: u64, error: &ClientError, took_ms: f64) {
        // The cluster may have lost what it knew: next time everything is registered anew.
        self.done_once.clear();
        match refusal(error) {
            Some(answer) => {
                self.gather(Action::TaskAnswered { panel, task, answer, took_ms });
                self.gather(Action::TaskEnded { panel, task });
            }
            None => self.gather(Action::TaskGaveUp { panel, task, text: format!("{error}.") }),
        }
    }

    fn set_load(&mut self, plan: Option<LoadPlan>) {
        let Some(plan) = plan else {
            self.load = None;
            return self.gather(Action::LoadStopped { why: None });
        };
        self.gather(Action::LoadStarted(plan.clone()));
        if let Some(load) = &mut self.load {
            load.pacer.set_rate(plan.rate);
            load.plan = plan;
            return;
        }
        let register = client::Action::CreatePublisher { publisher: plan.publisher.clone() };
        let timer = every(TICK_MS, self.me.clone(), Inner::tick_load);
        self.load = Some(RunningLoad::new(plan, performance_ms(), timer));
        let ticket = self.wait(Waiting::LoadPublisher);
        let (to, within) = (Target::Home, TASK_WITHIN);
        self.turn(vec![ClientInput::Submit(Submission { ticket, action: register, to, within, trace: false })]);
    }

    fn begin_load(&mut self, result: Result<Reply, ClientError>) {
        match (result, &mut self.load) {
            (Ok(_), Some(load)) => load.is_ready = true,
            (Err(error), Some(_)) => self.stop_load(error.to_string()),
            (_, None) => {}
        }
    }

    fn tick_load(&mut self) {
        if self.load.is_some() && page_is_hidden() {
            return self.stop_load("nobody looks at this page".to_owned());
        }
        let Some(load) = self.load.as_mut().filter(|load| load.is_ready) else { return };
        let due = load.pacer.due(performance_ms());
        load.note_sent(due);
        let numbers = load.next..load.next + u64::from(due);
        load.next = numbers.end;
        let actions: Vec<client::Action> = numbers.map(|number| load.plan.publish(number)).collect();
        let news = load.take_news();
        let submissions = actions.into_iter().map(|action| {
            let ticket = self.wait(Waiting::Load { began_ms: performance_ms() });
            ClientInput::Submit(Submission { ticket, action, to: Target::Home, within: TASK_WITHIN, trace: false })
        });
        let submissions: Vec<ClientInput> = submissions.collect();
        if let Some(sample) = news {
            self.gather(Action::LoadTold(sample));
        }
        if !submissions.is_empty() {
            self.turn(submissions);
        }
    }

    /// Without its topic or its publisher there is nothing to go on with.
    fn end_load_message(&mut self, began_ms: f64, result: Result<Reply, ClientError>) {
        let took_ms = performance_ms() - began_ms;
        let Some(load) = &mut self.load else { return };
        load.note_done(took_ms, result.as_ref().err().map(ToString::to_string));
        if let Err(ClientError::Refused { failure, .. }) = &result
            && matches!(failure.code, ErrorCode::UnknownTopic | ErrorCode::UnknownPublisher)
        {
            self.stop_load(failure.message.clone());
        }
    }

    fn stop_load(&mut self, why: String) {
        if let Some(sample) = self.load.take().and_then(|mut load| load.take_news()) {
            self.gather(Action::LoadTold(sample));
        }
        self.gather(Action::LoadStopped { why: Some(why) });
    }

    fn gather(&mut self, action: Action) {
        self.gathered.push(action);
        if self.gathering.is_none() {
            let me = self.me.clone();
            self.gathering = Some(Timeout::new(GATHER_MS, move || tell_gathered(&me)));
        }
    }

    fn set_deadline(&mut self) {
        let Some(at) = self.client.next_deadline() else {
            return self.deadline = None;
        };
        let me = self.me.clone();
        let wait_ms = at.since(now().monotonic).as_micros().div_ceil(1_000) as u32;
        self.deadline = Some(Timeout::new(wait_ms, move || {
            if let Some(inner) = me.upgrade() {
                inner.borrow_mut().turn(vec![ClientInput::DeadlineReached]);
            }
        }));
    }
}

/// The page draws while nobody holds the driver.
fn tell_gathered(me: &Weak<RefCell<Inner>>) {
    let Some(inner) = me.upgrade() else { return };
    let (tell, actions) = {
        let mut inner = inner.borrow_mut();
        inner.gathering = None;
        (inner.tell.clone(), std::mem::take(&mut inner.gathered))
    };
    tell.emit(Moment { now_ms: js_sys::Date::now() as u64, actions });
}

fn every(millis: u32, me: Weak<RefCell<Inner>>, call: fn(&mut Inner)) -> Interval {
    Interval::new(millis, move || {
        if let Some(inner) = me.upgrade() {
            call(&mut inner.borrow_mut());
        }
    })
}

/// A refusal is an answer too.
fn refusal(error: &ClientError) -> Option<Answer> {
    match error {
        ClientError::Refused { failure, served_by } => {
            Some(Answer { id: None, served_by: *served_by, hops: None, result: Err(failure.clone()) })
        }
        ClientError::Unavailable { .. } | ClientError::InDoubt { .. } | ClientError::Overloaded => None,
        ClientError::UnknownNode { .. } | ClientError::Unexpected { .. } | ClientError::Closed => None,
    }
}

fn now() -> Now {
    let monotonic = Instant((performance_ms() * 1_000.0) as u64);
    Now { monotonic, wall: Timestamp((js_sys::Date::now() * 1_000.0) as u64) }
}

/// Milliseconds since the page was opened, with fractions.
fn performance_ms() -> f64 {
    web_sys::window().and_then(|window| window.performance()).map_or_else(js_sys::Date::now, |clock| clock.now())
}
