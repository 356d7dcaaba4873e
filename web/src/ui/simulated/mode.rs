//! Live or simulated: the address decides, and a switch changes the address.

use std::rc::Rc;

use web_sys::js_sys;
use yew::prelude::*;

use crate::model::State;
use crate::net::browser::{self, Listener};
use crate::simulated::{Permalink, carried};

/// Which page is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PageMode {
    Live,
    /// The run that this part of the address asks for.
    Simulated(String),
}

impl PageMode {
    fn of(fragment: &str) -> PageMode {
        if Permalink::read(fragment).is_some() { PageMode::Simulated(fragment.to_owned()) } else { PageMode::Live }
    }
}

impl Reducible for PageMode {
    type Action = String;

    /// A place within the page is no other page.
    fn reduce(self: Rc<Self>, fragment: String) -> Rc<Self> {
        let goes_elsewhere = Permalink::read(&fragment).is_some() || ["", "#", "#live"].contains(&fragment.as_str());
        if goes_elsewhere { Rc::new(PageMode::of(&fragment)) } else { self }
    }
}

/// The mode that the address asks for, now and when it changes.
#[hook]
pub fn use_mode() -> PageMode {
    let mode = use_reducer(|| PageMode::of(&browser::fragment()));
    let dispatcher = mode.dispatcher();
    use_effect_with((), move |()| {
        let listener = Listener::on_window("hashchange", move |_| dispatcher.dispatch(browser::fragment()));
        move || drop(listener)
    });
    PageMode::clone(&mode)
}

#[derive(Properties, PartialEq)]
pub struct ModeSwitchProps {
    /// What the live page knows; `None` on the simulated one.
    pub live: Option<State>,
}

#[component]
pub fn ModeSwitch(props: &ModeSwitchProps) -> Html {
    let current = |is_current: bool| if is_current { Some("page") } else { None };
    let is_live = props.live.is_some();
    let known = props.live.clone().filter(|state| state.cluster.dimension.is_some());
    let fork = known.map(|state| {
        let onclick = Callback::from(move |_: MouseEvent| simulate(&state));
        html! {
            <button type="button" class="link" data-testid="fork-from-live" {onclick}>{"Simulate this cluster"}</button>
        }
    });
    html! {
        <nav class="modes" aria-label="Live or simulated">
            <span class="switch">
                <a href="#live" data-testid="mode-live" aria-current={current(is_live)}>{"Live"}</a>
                <a href="#simulated" data-testid="mode-simulated" aria-current={current(!is_live)}>{"Simulated"}</a>
            </span>
            {fork}
        </nav>
    }
}

/// Goes on in a simulation that begins as the live cluster is.
fn simulate(state: &State) {
    let seed = (js_sys::Math::random() * 1e6) as u64;
    if let Some(spec) = carried::from_live(state, seed) {
        let link = Permalink { spec, topic: state.topic_text.clone(), from_live: true, ..Permalink::default() };
        browser::go_to_fragment(&link.write());
    }
}
