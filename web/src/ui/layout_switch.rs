//! The switch between the cube and the grid. The browser remembers the choice.

use yew::prelude::*;

use super::dispatch::use_dispatch;
use crate::model::{Layout, ViewAction};
use crate::net::browser;

/// The key in the browser's storage.
const KEY: &str = "cubecast-layout";

/// The layout that was chosen last; the cube at first.
pub fn remembered() -> Layout {
    browser::remembered(KEY).as_deref().and_then(Layout::named).unwrap_or_default()
}

/// Remembers the layout for later visits.
pub fn remember(layout: Layout) {
    browser::remember(KEY, layout.name());
}

/// Properties of [`LayoutSwitch`].
#[derive(Properties, PartialEq)]
pub struct LayoutSwitchProps {
    pub layout: Layout,
}

/// The switch.
#[component]
pub fn LayoutSwitch(props: &LayoutSwitchProps) -> Html {
    let dispatch = use_dispatch();
    html! {
        <div class="layouts" role="group" aria-label="Arrange the nodes as">
            { for [(Layout::Cube, "Cube"), (Layout::Grid, "Grid")].map(|(layout, word)| html! {
                <button
                    type="button"
                    data-testid={format!("layout-{}", layout.name())}
                    aria-pressed={(layout == props.layout).to_string()}
                    onclick={dispatch.on(move |_: MouseEvent| ViewAction::ChooseLayout(layout))}
                >
                    {word}
                </button>
            }) }
        </div>
    }
}
