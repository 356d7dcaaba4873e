//! Small parts of forms.

use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

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
        </div>
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
