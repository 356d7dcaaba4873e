//! Carries out the controller's effects: opens sockets, sets timers, and passes actions to the page.
//!
//! Actions are collected into one [`Moment`] every 33 ms, so a burst costs one redraw instead of a thousand. When the
//! last [`Driver`] is dropped, its sockets and timers end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use cubecast_core::client::{ClientConfig, Rests, SocketId};
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::time::{Instant, Now, Timestamp};
use gloo_timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;
use web_sys::js_sys;
use yew::Callback;

use super::address::{self, PageAddress};
use super::browser;
use super::refusal;
use super::socket::{Socket, SocketEvent};
use crate::controller::{Controller, ControllerEffect, ControllerInput};
use crate::model::{Act, Action, Moment};

/// Actions within this time form one moment: short enough to look immediate, long enough to merge a burst.
const GATHER_MS: u32 = 33;

/// The page's connection to the cluster. Clones share one connection.
#[derive(Clone)]
pub struct Driver(Rc<RefCell<Inner>>);

struct Inner {
    me: Weak<RefCell<Inner>>,
    page: PageAddress,
    tell: Callback<Moment>,
    controller: Controller,
    sockets: BTreeMap<SocketId, Socket>,
    /// Sockets that are not open yet, with the URL that the controller requested.
    opening: BTreeMap<SocketId, String>,
    gathered: Vec<Action>,
    gathering: Option<Timeout>,
    deadline: Option<Timeout>,
}

impl Driver {
    /// Starts looking for the cluster; `tell` receives every moment.
    pub fn start(page: PageAddress, tell: Callback<Moment>) -> Driver {
        let seeds = address::seeds(&page);
        let seed = (js_sys::Math::random() * 2f64.powi(53)) as u64;
        let controller =
            Controller::curious(&ClientConfig { seeds, seed, strangers: Rests::LONG, ..ClientConfig::default() });
        let driver = Driver(Rc::new_cyclic(|me: &Weak<RefCell<Inner>>| {
            RefCell::new(Inner {
                me: me.clone(),
                page,
                tell,
                controller,
                sockets: BTreeMap::new(),
                opening: BTreeMap::new(),
                gathered: Vec::new(),
                gathering: None,
                deadline: None,
            })
        }));
        driver.0.borrow_mut().turn(Vec::new());
        driver
    }

    /// Does what the user asks for.
    pub fn act(&self, act: Act) {
        self.0.borrow_mut().turn(vec![ControllerInput::Act(act)]);
    }

    /// Sets the selected node, whose details are kept fresh.
    pub fn attend(&self, node: Option<HostId>) {
        self.0.borrow_mut().turn(vec![ControllerInput::Attend(node)]);
    }

    /// Sets the topic under the X-ray, whose replicas are polled.
    pub fn look_into(&self, topic: Option<TopicName>) {
        self.0.borrow_mut().turn(vec![ControllerInput::LookInto(topic)]);
    }
}

impl PartialEq for Driver {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Inner {
    /// Runs one turn of the controller and carries out its effects.
    fn turn(&mut self, inputs: Vec<ControllerInput>) {
        for effect in self.controller.handle(now(), inputs) {
            self.carry_out(effect);
        }
        self.set_deadline();
    }

    fn carry_out(&mut self, effect: ControllerEffect) {
        match effect {
            ControllerEffect::Open { socket, url } => self.open(socket, &url),
            ControllerEffect::Close { socket } => {
                self.sockets.remove(&socket);
                self.opening.remove(&socket);
            }
            ControllerEffect::Send { socket, requests } => {
                if let Some(socket) = self.sockets.get(&socket) {
                    socket.send(&requests);
                }
            }
            ControllerEffect::Tell(action) => self.gather(action),
        }
    }

    fn open(&mut self, id: SocketId, url: &str) {
        let me = self.me.clone();
        let tell = move |event| {
            if let Some(inner) = me.upgrade() {
                inner.borrow_mut().hear_socket(id, event);
            }
        };
        self.opening.insert(id, url.to_owned());
        self.sockets.insert(id, Socket::open(address::reachable(url, &self.page), tell));
    }

    fn hear_socket(&mut self, socket: SocketId, event: SocketEvent) {
        let input = match event {
            SocketEvent::Opened => {
                self.opening.remove(&socket);
                ControllerInput::Opened { socket }
            }
            SocketEvent::Frames(frames) => ControllerInput::Frames { socket, frames },
            SocketEvent::Malformed(error) => ControllerInput::Malformed { error },
            SocketEvent::Closed(why) => {
                self.sockets.remove(&socket);
                if let Some(url) = self.opening.remove(&socket) {
                    self.ask_why(url);
                }
                ControllerInput::Closed { socket, why }
            }
        };
        self.turn(vec![input]);
    }

    /// The WebSocket was refused at this address: requests the reason from the same server over HTTP.
    fn ask_why(&self, url: String) {
        let Some(http) = address::http_of(&address::reachable(&url, &self.page), &self.page) else { return };
        let me = self.me.clone();
        spawn_local(async move {
            if let Some(why) = refusal::explain(&http).await
                && let Some(inner) = me.upgrade()
            {
                inner.borrow_mut().gather(Action::SeedExplained { address: url, why });
            }
        });
    }

    fn gather(&mut self, action: Action) {
        self.gathered.push(action);
        if self.gathering.is_none() {
            let me = self.me.clone();
            self.gathering = Some(Timeout::new(GATHER_MS, move || tell_gathered(&me)));
        }
    }

    fn set_deadline(&mut self) {
        let Some(at) = self.controller.next_deadline() else {
            return self.deadline = None;
        };
        let me = self.me.clone();
        let wait_ms = at.since(now().monotonic).as_micros().div_ceil(1_000) as u32;
        self.deadline = Some(Timeout::new(wait_ms, move || {
            if let Some(inner) = me.upgrade() {
                let input =
                    if page_is_hidden() { ControllerInput::Unwatched } else { ControllerInput::DeadlineReached };
                inner.borrow_mut().turn(vec![input]);
            }
        }));
    }
}

/// Passes the collected actions to the page. The driver is not borrowed during the call, because the page's drawing can
/// call the driver.
fn tell_gathered(me: &Weak<RefCell<Inner>>) {
    let Some(inner) = me.upgrade() else { return };
    let (tell, actions) = {
        let mut inner = inner.borrow_mut();
        inner.gathering = None;
        (inner.tell.clone(), std::mem::take(&mut inner.gathered))
    };
    tell.emit(Moment { now_ms: browser::now_ms(), actions });
}

/// Whether the page is hidden (another tab is in front, or the window is minimised).
fn page_is_hidden() -> bool {
    web_sys::window().and_then(|window| window.document()).is_some_and(|document| document.hidden())
}

fn now() -> Now {
    let monotonic = Instant((browser::performance_ms() * 1_000.0) as u64);
    Now { monotonic, wall: Timestamp((js_sys::Date::now() * 1_000.0) as u64) }
}
