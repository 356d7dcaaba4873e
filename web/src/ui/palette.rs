//! The command palette: everything that the page can show or do, found by typing. Ctrl+K opens it, and `?` shows the
//! keys.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::dispatch::{Command, use_dispatch};
use super::field::on_text;
use super::presets;
use super::words::words;
use crate::model::preset::Preset;
use crate::model::{CloserTab, Layout, Selection, State, Tab, ViewAction};
use crate::net::browser::Listener;

/// The number of entries that are shown.
const MOST_SHOWN: usize = 12;
/// Topics that are compared with the text for each letter that is typed.
const MOST_TOPICS: usize = 10_000;

const KEYS: [(&str, &str); 8] = [
    ("Ctrl K", "find a topic, a node, a view or an action"),
    ("?", "show these keys"),
    ("Ctrl Enter", "publish the typed message"),
    ("Z", "mend the last thing that you broke; with Shift, everything"),
    ("+ − 0", "while a node has the focus: zoom in, zoom out, show everything"),
    ("Arrow keys", "move between tabs, topics, nodes and pane borders"),
    ("Space", "play or pause the time of a simulation or an incident"),
    ("Esc", "close this"),
];

/// Something to choose.
struct Entry {
    label: String,
    kind: &'static str,
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Entries,
    Keys,
}

/// Properties of [`Palette`].
#[derive(Properties, PartialEq)]
pub struct PaletteProps {
    pub state: State,
}

/// The buttons in the header, and the palette when it is open.
#[component]
pub fn Palette(props: &PaletteProps) -> Html {
    let shown = use_state(|| Shown::Nothing);
    use_keys(&shown);
    let show = |what: Shown| {
        let shown = shown.clone();
        Callback::from(move |_: MouseEvent| shown.set(what))
    };
    let close = {
        let shown = shown.clone();
        Callback::from(move |()| shown.set(Shown::Nothing))
    };
    html! {
        <>
            <span class="palette-keys">
                <button type="button" class="chip" data-testid="palette-open" onclick={show(Shown::Entries)}>
                    {"Find"}<kbd>{"Ctrl K"}</kbd>
                </button>
                <button type="button" class="chip" aria-label="Keys" data-testid="help-open" onclick={show(Shown::Keys)}>
                    {"?"}
                </button>
            </span>
            { match *shown {
                Shown::Nothing => Html::default(),
                Shown::Entries => html! { <Entries state={props.state.clone()} close={close.clone()} /> },
                Shown::Keys => html! {
                    <Overlay label="Keys" close={close.clone()}>
                        <dl class="keys-list" data-testid="help" tabindex="-1">
                            { for KEYS.iter().map(|(key, what)| html! {
                                <><dt><kbd>{*key}</kbd></dt><dd>{*what}</dd></>
                            }) }
                        </dl>
                    </Overlay>
                },
            } }
        </>
    }
}

#[derive(Properties, PartialEq)]
struct OverlayProps {
    label: &'static str,
    close: Callback<()>,
    children: Html,
}

/// A dialog above the page. Escape, or a click beside it, closes it; then the focus returns to where it was.
#[component]
fn Overlay(props: &OverlayProps) -> Html {
    let dialog = use_node_ref();
    {
        let dialog = dialog.clone();
        use_effect_with((), move |()| {
            let document = web_sys::window().and_then(|window| window.document());
            let before = document.and_then(|document| document.active_element());
            let first = dialog.cast::<Element>().and_then(|dialog| dialog.query_selector("input, [tabindex]").ok()?);
            focus(first);
            move || focus(before)
        });
    }
    let on_backdrop = props.close.reform(|_: MouseEvent| ());
    let onkeydown = {
        let close = props.close.clone();
        Callback::from(move |event: KeyboardEvent| match event.key().as_str() {
            "Escape" => close.emit(()),
            // The dialog has one place for the focus.
            "Tab" => event.prevent_default(),
            _ => {}
        })
    };
    html! {
        <div class="overlay" onclick={on_backdrop} {onkeydown}>
            <div
                class="palette"
                role="dialog"
                aria-modal="true"
                aria-label={props.label}
                ref={dialog}
                onclick={|event: MouseEvent| event.stop_propagation()}
            >
                {props.children.clone()}
            </div>
        </div>
    }
}

fn focus(element: Option<Element>) {
    if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

#[derive(Properties, PartialEq)]
struct EntriesProps {
    state: State,
    close: Callback<()>,
}

#[component]
fn Entries(props: &EntriesProps) -> Html {
    let dispatch = use_dispatch();
    let query = use_state(String::new);
    let chosen = use_state(|| 0usize);
    let entries = matching(&props.state, &query);
    let at = (*chosen).min(entries.len().saturating_sub(1));
    let set_query = {
        let (query, chosen) = (query.clone(), chosen.clone());
        Callback::from(move |text: String| {
            query.set(text);
            chosen.set(0);
        })
    };
    let run = {
        let (dispatch, close) = (dispatch.clone(), props.close.clone());
        Callback::from(move |command: Command| {
            close.emit(());
            dispatch.send(command);
        })
    };
    let onkeydown = {
        let (chosen, count, run) = (chosen.clone(), entries.len(), run.clone());
        let command = entries.get(at).map(|entry| entry.command.clone());
        Callback::from(move |event: KeyboardEvent| {
            match event.key().as_str() {
                "ArrowDown" => chosen.set((at + 1).min(count.saturating_sub(1))),
                "ArrowUp" => chosen.set(at.saturating_sub(1)),
                "Enter" => command.iter().for_each(|command| run.emit(command.clone())),
                _ => return,
            }
            event.prevent_default();
        })
    };
    let option_id = |at: usize| format!("palette-{at}");
    html! {
        <Overlay label="Find" close={props.close.clone()}>
            <input
                type="text"
                role="combobox"
                aria-expanded="true"
                aria-controls="palette-list"
                aria-activedescendant={(!entries.is_empty()).then(|| option_id(at))}
                aria-label="Find a topic, a node, a view or an action"
                placeholder="Find a topic, a node, a view or an action"
                autocomplete="off"
                data-testid="palette-input"
                value={(*query).clone()}
                oninput={on_text(set_query)}
                {onkeydown}
            />
            <ul id="palette-list" role="listbox" aria-label="Found">
                { for entries.into_iter().enumerate().map(|(place, entry)| {
                    let command = entry.command;
                    let onclick = run.reform(move |_: MouseEvent| command.clone());
                    html! {
                        <li
                            id={option_id(place)}
                            role="option"
                            aria-selected={(place == at).to_string()}
                            data-testid="palette-entry"
                            {onclick}
                        >
                            <span>{words(&entry.label)}</span><span class="aside">{entry.kind}</span>
                        </li>
                    }
                }) }
            </ul>
        </Overlay>
    }
}

/// The entries whose label or kind contains every word of the query.
fn matching(state: &State, query: &str) -> Vec<Entry> {
    let wanted: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let fits = |label: &str, kind: &str| {
        let text = format!("{label} {kind}").to_lowercase();
        wanted.iter().all(|word| text.contains(word))
    };
    let topics = state.topics.topics.keys().take(MOST_TOPICS).filter(|topic| fits(topic.as_str(), "topic"));
    let topics = topics.take(MOST_SHOWN).map(|topic| Entry {
        label: topic.to_string(),
        kind: "topic",
        command: ViewAction::ChooseTopic(topic.to_string()).into(),
    });
    let rest = views().into_iter().chain(nodes(state)).chain(actions(state));
    rest.filter(|entry| fits(&entry.label, entry.kind)).chain(topics).take(MOST_SHOWN).collect()
}

fn views() -> Vec<Entry> {
    let tabs = [("Messages", Tab::Messages), ("Stored messages", Tab::Browse), ("Break", Tab::Break)];
    let views = [
        ("Events", CloserTab::Feed),
        ("X-ray", CloserTab::Xray),
        ("Invariants", CloserTab::Invariants),
        ("Space-time", CloserTab::SpaceTime),
        ("Charts", CloserTab::Charts),
        ("Nodes", CloserTab::Nodes),
    ];
    let entry = |label: &str, action: ViewAction| Entry { label: label.into(), kind: "view", command: action.into() };
    let layouts = [("Cube", Layout::Cube), ("Grid", Layout::Grid)];
    let tabs = tabs.into_iter().map(|(label, tab)| entry(label, ViewAction::ChooseTab(tab)));
    let views = views.into_iter().map(|(label, view)| entry(label, ViewAction::ChooseCloserTab(view)));
    let layouts = layouts.into_iter().map(|(label, layout)| entry(label, ViewAction::ChooseLayout(layout)));
    tabs.chain(views).chain(layouts).collect()
}

fn nodes(state: &State) -> impl Iterator<Item = Entry> {
    state.cluster.nodes.keys().map(|node| Entry {
        label: node.to_string(),
        kind: "node",
        command: ViewAction::Select(Some(Selection::Node(*node))).into(),
    })
}

/// What can be broken now.
fn actions(state: &State) -> impl Iterator<Item = Entry> {
    Preset::ALL.iter().filter_map(|preset| {
        let command = preset.task(state).ok()?.into();
        Some(Entry { label: presets::name(*preset).into(), kind: "action", command })
    })
}

#[hook]
fn use_keys(shown: &UseStateHandle<Shown>) {
    let shown = shown.clone();
    use_effect_with((), move |()| {
        let listener = Listener::on_window("keydown", move |event| {
            let Some(event) = event.dyn_ref::<KeyboardEvent>() else { return };
            let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            let types =
                target.is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"));
            let is_modified = event.ctrl_key() || event.meta_key();
            match event.key().as_str() {
                "k" | "K" if is_modified => shown.set(Shown::Entries),
                "?" if !types && !is_modified => shown.set(Shown::Keys),
                _ => return,
            }
            event.prevent_default();
        });
        move || drop(listener)
    });
}
