//! Live and simulated mode are two pages, so that the live page does not load the simulator; this file switches between
//! them.

use web_sys::js_sys;
use yew::prelude::*;

use crate::model::State;
use crate::net::browser::{self, Listener};
use crate::simulated::address::WORD;
use crate::simulated::{Permalink, carried};

/// Relative paths between the two pages.
const SIMULATED_PAGE: &str = "simulated/index.html";
const LIVE_PAGE: &str = "../index.html";

/// If the live page's address requests a simulation, goes to the simulated page.
pub fn go_on_where_asked() {
    let fragment = browser::fragment();
    if fragment.trim_start_matches('#').split('&').next() == Some(WORD) {
        browser::go_to(&format!("{SIMULATED_PAGE}{fragment}"));
    }
}

/// The fragment that requests the run, updated when it changes. Fragments that request no run are ignored.
#[hook]
pub fn use_asked_run() -> String {
    let asked = use_state(browser::fragment);
    let set = asked.setter();
    use_effect_with((), move |()| {
        let listener = Listener::on_window("hashchange", move |_| {
            let fragment = browser::fragment();
            if Permalink::read(&fragment).is_some() {
                set.set(fragment);
            }
        });
        move || drop(listener)
    });
    (*asked).clone()
}

/// Properties of [`ModeSwitch`].
#[derive(Properties, PartialEq)]
pub struct ModeSwitchProps {
    /// The state of the live page; `None` on the simulated page.
    pub live: Option<State>,
}

/// The switch between the two pages.
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
                <a
                    href={if is_live { "#live" } else { LIVE_PAGE }}
                    data-testid="mode-live"
                    aria-current={current(is_live)}
                >
                    {"Live"}
                </a>
                <a
                    href={if is_live { format!("{SIMULATED_PAGE}#{WORD}") } else { format!("#{WORD}") }}
                    data-testid="mode-simulated"
                    aria-current={current(!is_live)}
                >
                    {"Simulated"}
                </a>
            </span>
            {fork}
        </nav>
    }
}

/// Goes to a simulation that starts as a copy of the live cluster.
fn simulate(state: &State) {
    let seed = (js_sys::Math::random() * 1e6) as u64;
    if let Some(spec) = carried::from_live(state, seed) {
        let link = Permalink { spec, topic: state.topic_text.clone(), from_live: true, ..Permalink::default() };
        browser::go_to(&format!("{SIMULATED_PAGE}{}", link.write()));
    }
}
