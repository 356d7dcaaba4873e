//! Parts that drawings share.

use web_sys::KeyboardEvent;
use yew::prelude::*;

/// A coordinate as an attribute, rounded to a tenth of a unit.
pub fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// Handles Enter and Space, so that a drawn element can be pressed like a button.
pub fn on_enter(press: Callback<()>) -> Callback<KeyboardEvent> {
    Callback::from(move |event: KeyboardEvent| {
        if matches!(event.key().as_str(), "Enter" | " ") {
            event.prevent_default();
            press.emit(());
        }
    })
}
