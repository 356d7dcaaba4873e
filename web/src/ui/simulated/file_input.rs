//! A place for a file: the user chooses one, or drops it.

use web_sys::{DragEvent, File, HtmlInputElement};
use yew::prelude::*;

/// Properties of [`FileInput`].
#[derive(Properties, PartialEq)]
pub struct FileInputProps {
    /// The text of the button.
    pub label: AttrValue,
    /// As the attribute `accept`.
    pub accept: AttrValue,
    pub testid: AttrValue,
    pub open: Callback<File>,
}

/// A button that opens a file.
#[component]
pub fn FileInput(props: &FileInputProps) -> Html {
    let open = props.open.clone();
    let onchange = Callback::from(move |event: Event| {
        let input = event.target_unchecked_into::<HtmlInputElement>();
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            open.emit(file);
        }
        // Cleared, so that the same file can be chosen again.
        input.set_value("");
    });
    html! {
        <label class="chip file">
            {&props.label}
            <input type="file" accept={&props.accept} data-testid={&props.testid} {onchange} />
        </label>
    }
}

/// What an element needs to take a dropped file.
pub struct Drop {
    /// Whether a file is over the element.
    pub is_over: bool,
    pub ondragover: Callback<DragEvent>,
    pub ondragleave: Callback<DragEvent>,
    pub ondrop: Callback<DragEvent>,
}

/// Lets an element take a dropped file.
#[hook]
pub fn use_drop(open: &Callback<File>) -> Drop {
    let is_over = use_state(|| false);
    let over = |over: bool| {
        let is_over = is_over.clone();
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            is_over.set(over);
        })
    };
    let ondrop = {
        let (open, is_over) = (open.clone(), is_over.clone());
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            is_over.set(false);
            if let Some(file) = event.data_transfer().and_then(|data| data.files()).and_then(|files| files.get(0)) {
                open.emit(file);
            }
        })
    };
    Drop { is_over: *is_over, ondragover: over(true), ondragleave: over(false), ondrop }
}
