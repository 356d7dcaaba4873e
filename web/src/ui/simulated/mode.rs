//! Live, simulated and recorded clusters have pages of their own, so that the live page loads no simulator and the
//! simulated page nothing for incidents. This file switches between them.

use web_sys::js_sys;
use yew::prelude::*;

use crate::model::State;
use crate::net::browser::{self, Listener};
use crate::simulated::address::WORD;
use crate::simulated::{Permalink, carried};

/// The pages of the dashboard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PageKind {
    #[default]
    Live,
    Simulated,
    Incident,
}

/// The path from the live page.
const SIMULATED_PAGE: &str = "simulated/index.html";

impl PageKind {
    /// The pages as the switch shows them: word, test id, and path from the live page.
    const ALL: [(PageKind, &str, &str, &str); 3] = [
        (PageKind::Live, "Live", "mode-live", "index.html"),
        (PageKind::Simulated, "Simulated", "mode-simulated", SIMULATED_PAGE),
        (PageKind::Incident, "Incident", "mode-incident", "incident/index.html"),
    ];

    /// The address of a page, as a link on this one.
    fn link_to(self, page: PageKind, path: &str) -> String {
        match self {
            _ if self == page => "#".to_owned(),
            PageKind::Live => path.to_owned(),
            PageKind::Simulated | PageKind::Incident => format!("../{path}"),
        }
    }
}

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
    /// The state of the live page; `None` on the other pages.
    pub live: Option<State>,
    /// This page.
    #[prop_or_default]
    pub page: PageKind,
}

/// The switch between the pages.
#[component]
pub fn ModeSwitch(props: &ModeSwitchProps) -> Html {
    let known = props.live.clone().filter(|state| state.cluster.dimension.is_some());
    let fork = known.map(|state| {
        let onclick = Callback::from(move |_: MouseEvent| simulate(&state));
        html! {
            <button type="button" class="link" data-testid="fork-from-live" {onclick}>{"Simulate this cluster"}</button>
        }
    });
    html! {
        <nav class="modes" aria-label="Live, simulated or recorded">
            <span class="switch">
                { for PageKind::ALL.into_iter().map(|(page, word, testid, path)| html! {
                    <a
                        href={props.page.link_to(page, path)}
                        data-testid={testid}
                        aria-current={(page == props.page).then_some("page")}
                    >
                        {word}
                    </a>
                }) }
            </span>
            {fork}
            if props.live.is_some() {
                <a class="link" href="incident?last=300&nodes=all" download="cubecast.incident" data-testid="save-incident">
                    {"Save the last 5 minutes"}
                </a>
            }
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
