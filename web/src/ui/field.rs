//! Small parts of forms.

use std::borrow::Cow;

use cubecast_core::visible::visible_line;
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use super::words::{shortened, words};
use crate::model::task::Task;
use crate::model::wish::Refusal;

/// What was typed, as it is typed.
pub fn on_text(set: Callback<String>) -> Callback<InputEvent> {
    Callback::from(move |event: InputEvent| set.emit(event.target_unchecked_into::<HtmlInputElement>().value()))
}

/// What was chosen.
pub fn on_choice(set: Callback<String>) -> Callback<Event> {
    Callback::from(move |event: Event| set.emit(event.target_unchecked_into::<HtmlSelectElement>().value()))
}

/// A handle's setter as a callback.
pub fn setter<T: 'static>(handle: &UseStateHandle<T>) -> Callback<T> {
    let handle = handle.clone();
    Callback::from(move |value| handle.set(value))
}

/// A button whose press is meant for what stands there now. The second click of a double click was meant for what stood there
/// before the first.
pub fn deliberate(press: Callback<()>) -> Callback<MouseEvent> {
    Callback::from(move |event: MouseEvent| {
        if event.detail() <= 1 {
            press.emit(());
        }
    })
}

/// Why a form was not sent, kept beside what was typed then.
#[derive(Clone)]
pub struct Refused<T: 'static> {
    typed: T,
    kept: UseStateHandle<Option<(T, Refusal)>>,
}

/// `typed`: all that a refusal can depend on.
#[hook]
pub fn use_refused<T: Clone + PartialEq + 'static>(typed: T) -> Refused<T> {
    Refused { typed, kept: use_state(|| None) }
}

impl<T: Clone + PartialEq> Refused<T> {
    /// The refusal, as long as just that is typed: it goes with its cause.
    pub fn shown(&self) -> Option<Refusal> {
        let (typed, refusal) = self.kept.as_ref()?;
        (*typed == self.typed).then(|| refusal.clone())
    }

    /// What was wished for, or nothing and the reason kept.
    pub fn unless<W>(&self, wished: Result<W, Refusal>) -> Option<W> {
        match wished {
            Ok(wish) => {
                self.kept.set(None);
                Some(wish)
            }
            Err(refusal) => {
                self.kept.set(Some((self.typed.clone(), refusal)));
                None
            }
        }
    }

    pub fn run(&self, wished: Result<Task, Refusal>, run: &Callback<Task>) {
        if let Some(task) = self.unless(wished) {
            run.emit(task);
        }
    }
}

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

/// A labelled line of text; its id is its name in tests too.
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

/// A field shows its text as it is: what of it cannot be seen is said beside it.
fn hidden_characters(text: &str) -> Html {
    match visible_line(text) {
        Cow::Borrowed(_) => Html::default(),
        Cow::Owned(seen) => html! {
            <p class="aside" role="status">{"With characters that cannot be seen: "}{words(&shortened(&seen))}</p>
        },
    }
}

#[derive(Properties, PartialEq)]
pub struct ChoiceFieldProps {
    pub id: &'static str,
    pub label: &'static str,
    pub value: String,
    /// Values, and their words.
    pub options: &'static [(&'static str, &'static str)],
    pub set: Callback<String>,
}

/// A labelled choice of one out of a few.
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
