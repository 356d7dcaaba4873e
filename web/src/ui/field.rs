//! Form elements.

use std::borrow::Cow;

use cubecast_core::visible::visible_line;
use web_sys::{HtmlInputElement, HtmlSelectElement, KeyboardEvent};
use yew::prelude::*;

use super::dispatch::Dispatch;
use super::words::{shortened, words};
use crate::model::task::Task;
use crate::model::tasks::Refusal;

/// Passes on the text of an input element at every change.
pub fn on_text(set: Callback<String>) -> Callback<InputEvent> {
    Callback::from(move |event: InputEvent| set.emit(event.target_unchecked_into::<HtmlInputElement>().value()))
}

/// Passes on the selected value of a select element.
pub fn on_choice(set: Callback<String>) -> Callback<Event> {
    Callback::from(move |event: Event| set.emit(event.target_unchecked_into::<HtmlSelectElement>().value()))
}

/// The setter of a state handle as a callback.
pub fn setter<T: 'static>(handle: &UseStateHandle<T>) -> Callback<T> {
    let handle = handle.clone();
    Callback::from(move |value| handle.set(value))
}

/// Ignores the second click of a double click. If a button replaces another after the first click, the second click was
/// not meant for it.
pub fn deliberate(press: Callback<()>) -> Callback<MouseEvent> {
    Callback::from(move |event: MouseEvent| {
        if event.detail() <= 1 {
            press.emit(());
        }
    })
}

/// For a button that submits a form: the second click of a double click submits nothing.
pub fn not_twice() -> Callback<MouseEvent> {
    Callback::from(move |event: MouseEvent| {
        if event.detail() > 1 {
            event.prevent_default();
        }
    })
}

/// Why a form was not sent, stored with the input that caused it.
#[derive(Clone)]
pub struct Refused<T: 'static> {
    typed: T,
    kept: UseStateHandle<Option<(T, Refusal)>>,
}

/// `typed`: all input that a refusal can depend on.
#[hook]
pub fn use_refused<T: Clone + PartialEq + 'static>(typed: T) -> Refused<T> {
    Refused { typed, kept: use_state(|| None) }
}

impl<T: Clone + PartialEq> Refused<T> {
    /// The refusal, while the input is unchanged.
    pub fn shown(&self) -> Option<Refusal> {
        let (typed, refusal) = self.kept.as_ref()?;
        (*typed == self.typed).then(|| refusal.clone())
    }

    /// The valid result; or `None`, and the reason is stored.
    pub fn unless<W>(&self, task: Result<W, Refusal>) -> Option<W> {
        match task {
            Ok(task) => {
                self.kept.set(None);
                Some(task)
            }
            Err(refusal) => {
                self.kept.set(Some((self.typed.clone(), refusal)));
                None
            }
        }
    }

    /// Runs the task, or stores the reason why it was refused.
    pub fn run(&self, task: Result<Task, Refusal>, dispatch: &Dispatch) {
        if let Some(task) = self.unless(task) {
            dispatch.send(task);
        }
    }
}

/// Properties of [`TextField`].
#[derive(Properties, PartialEq)]
pub struct TextFieldProps {
    pub id: &'static str,
    pub label: &'static str,
    pub value: String,
    pub set: Callback<String>,
    #[prop_or_default]
    pub placeholder: &'static str,
    /// The id of a list of suggestions.
    #[prop_or_default]
    pub list: Option<&'static str>,
}

/// A labelled one-line text field. Its id is also its test id.
#[component]
pub fn TextField(props: &TextFieldProps) -> Html {
    html! {
        <div class="field">
            <label for={props.id}>{props.label}</label>
            <input
                id={props.id}
                data-testid={props.id}
                type="text"
                value={props.value.clone()}
                placeholder={props.placeholder}
                list={props.list}
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                oninput={on_text(props.set.clone())}
            />
            { hidden_characters(&props.value) }
        </div>
    }
}

/// Properties of [`TextArea`].
#[derive(Properties, PartialEq)]
pub struct TextAreaProps {
    pub id: &'static str,
    pub label: &'static str,
    pub value: String,
    pub set: Callback<String>,
    pub placeholder: &'static str,
    /// Ctrl+Enter was pressed.
    pub send: Callback<()>,
}

/// A labelled text field that grows with its text. Its id is also its test id.
#[component]
pub fn TextArea(props: &TextAreaProps) -> Html {
    let onkeydown = {
        let send = props.send.clone();
        Callback::from(move |event: KeyboardEvent| {
            if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) && !event.repeat() {
                event.prevent_default();
                send.emit(());
            }
        })
    };
    html! {
        <div class="field">
            <label for={props.id}>{props.label}</label>
            <textarea
                id={props.id}
                data-testid={props.id}
                rows="2"
                value={props.value.clone()}
                placeholder={props.placeholder}
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                oninput={on_text(props.set.clone())}
                {onkeydown}
            />
            { hidden_characters(&props.value) }
        </div>
    }
}

/// Describes invisible characters of the text beside the field, because the field itself does not show them.
fn hidden_characters(text: &str) -> Html {
    // Line breaks are visible in a field of several lines.
    match visible_line(&text.replace(['\n', '\r'], " ")) {
        Cow::Borrowed(_) => Html::default(),
        Cow::Owned(seen) => html! {
            <p class="aside" role="status">{"Contains invisible characters: "}{words(&shortened(&seen))}</p>
        },
    }
}

/// Properties of [`ChoiceField`].
#[derive(Properties, PartialEq)]
pub struct ChoiceFieldProps {
    pub id: &'static str,
    pub label: &'static str,
    pub value: String,
    /// Values with their labels.
    pub options: &'static [(&'static str, &'static str)],
    pub set: Callback<String>,
}

/// A labelled selection of one of several options.
#[component]
pub fn ChoiceField(props: &ChoiceFieldProps) -> Html {
    html! {
        <div class="field">
            <label for={props.id}>{props.label}</label>
            <select id={props.id} data-testid={props.id} onchange={on_choice(props.set.clone())}>
                { for props.options.iter().map(|(value, words)| html! {
                    <option value={*value} selected={*value == props.value}>{*words}</option>
                }) }
            </select>
        </div>
    }
}
