//! A border of a pane that changes the pane's size: by dragging, or with the arrow keys. A double click restores the
//! usual size.

use web_sys::{Element, KeyboardEvent};
use yew::prelude::*;

/// Pixels of one press of an arrow key.
const STEP: i32 = 16;
/// The smallest size that can be chosen.
const LEAST: i32 = 120;
/// The largest size that can be chosen. The style sheet limits it further.
const MOST: i32 = 1_200;

/// The side of its pane on which the border is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Left,
    Right,
    Top,
}

impl Side {
    fn class(self) -> &'static str {
        match self {
            Side::Left => "is-left",
            Side::Right => "is-right",
            Side::Top => "is-top",
        }
    }

    /// How much a movement of the border changes the size.
    fn growth(self, (dx, dy): (i32, i32)) -> i32 {
        match self {
            Side::Left => -dx,
            Side::Right => dx,
            Side::Top => -dy,
        }
    }

    fn step(self, key: &str) -> Option<i32> {
        let moved = match (self, key) {
            (Side::Left | Side::Right, "ArrowLeft") => (-STEP, 0),
            (Side::Left | Side::Right, "ArrowRight") => (STEP, 0),
            (Side::Top, "ArrowUp") => (0, -STEP),
            (Side::Top, "ArrowDown") => (0, STEP),
            (_, _) => return None,
        };
        Some(self.growth(moved))
    }
}

/// Properties of [`Splitter`].
#[derive(Properties, PartialEq)]
pub struct SplitterProps {
    pub label: &'static str,
    pub side: Side,
    /// The size of the pane, in pixels.
    pub size: i32,
    pub usual: i32,
    pub set: Callback<i32>,
}

/// A border that can be moved.
#[component]
pub fn Splitter(props: &SplitterProps) -> Html {
    let side = props.side;
    // The pointer's position and the size when dragging began.
    let began = use_mut_ref(|| None::<(i32, i32, i32)>);
    let set = props.set.reform(|size: i32| size.clamp(LEAST, MOST));
    let onpointerdown = {
        let (began, size) = (began.clone(), props.size);
        Callback::from(move |event: PointerEvent| {
            *began.borrow_mut() = Some((event.client_x(), event.client_y(), size));
            if let Some(border) = event.target_dyn_into::<Element>() {
                // Without it, dragging ends when the pointer leaves the border.
                let _ = border.set_pointer_capture(event.pointer_id());
            }
        })
    };
    let onpointermove = {
        let (began, set) = (began.clone(), set.clone());
        Callback::from(move |event: PointerEvent| {
            if let Some((x, y, size)) = *began.borrow() {
                let moved = (event.client_x() - x, event.client_y() - y);
                set.emit(size + side.growth(moved));
            }
        })
    };
    let end = Callback::from(move |_: PointerEvent| *began.borrow_mut() = None);
    let onkeydown = {
        let (set, size) = (set.clone(), props.size);
        Callback::from(move |event: KeyboardEvent| {
            if let Some(step) = side.step(&event.key()) {
                event.prevent_default();
                set.emit(size + step);
            }
        })
    };
    let ondblclick = {
        let usual = props.usual;
        set.reform(move |_: MouseEvent| usual)
    };
    html! {
        <div
            class={classes!("splitter", side.class())}
            role="separator"
            tabindex="0"
            aria-label={props.label}
            aria-orientation={if side == Side::Top { "horizontal" } else { "vertical" }}
            aria-valuenow={props.size.to_string()}
            aria-valuemin={LEAST.to_string()}
            aria-valuemax={MOST.to_string()}
            {onpointerdown}
            {onpointermove}
            onpointerup={end.clone()}
            onpointercancel={end}
            {onkeydown}
            {ondblclick}
        />
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pane_grows_when_its_border_moves_away_from_it() {
        assert_eq!(Side::Right.growth((10, 5)), 10);
        assert_eq!(Side::Left.growth((10, 5)), -10);
        assert_eq!(Side::Top.growth((10, 5)), -5);
        assert_eq!(Side::Top.step("ArrowUp"), Some(STEP));
        assert_eq!(Side::Left.step("ArrowLeft"), Some(STEP));
        assert_eq!(Side::Right.step("ArrowUp"), None);
    }
}
