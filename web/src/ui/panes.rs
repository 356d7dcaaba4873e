//! The sizes of the page's panes: changed by dragging the borders between them or with the arrow keys, and remembered.

use yew::prelude::*;

use super::splitter::{Side, Splitter};
use crate::net::browser;

/// The key in the browser's storage.
const KEY: &str = "cubecast-panes";

/// The sizes, in CSS pixels. The style sheet limits them to a part of the window.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Panes {
    /// Width of the topics.
    pub topics: i32,
    /// Width of the actions.
    pub actions: i32,
    /// Height of the views below the cube.
    pub dock: i32,
    /// Whether only the tabs of these views are shown.
    pub is_dock_closed: bool,
}

impl Panes {
    /// The sizes for a window of this width and height, before the user changes them: the cube gets the most.
    pub fn fitting((width, height): (i32, i32)) -> Panes {
        let share = |whole: i32, percent: i32| whole * percent / 100;
        Panes {
            topics: share(width, 22).clamp(260, 336),
            actions: share(width, 26).clamp(312, 384),
            dock: share(height, 26).clamp(170, 300),
            is_dock_closed: false,
        }
    }

    fn write(self) -> String {
        let Panes { topics, actions, dock, is_dock_closed } = self;
        format!("{topics} {actions} {dock} {}", u8::from(is_dock_closed))
    }

    /// `None`: another version wrote the text.
    fn read(text: &str) -> Option<Panes> {
        let numbers: Vec<i32> = text.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [topics, actions, dock, closed] = numbers[..] else { return None };
        let fits = [topics, actions, dock].iter().all(|size| (0..10_000).contains(size));
        fits.then_some(Panes { topics, actions, dock, is_dock_closed: closed == 1 })
    }

    /// The sizes as custom properties of the style sheet.
    pub fn style(self) -> String {
        format!("--topics: {}px; --actions: {}px; --dock: {}px", self.topics, self.actions, self.dock)
    }
}

/// The sizes, and their setter, which also remembers them.
#[hook]
pub fn use_panes() -> (Panes, Callback<Panes>) {
    let panes = use_state(|| {
        let remembered = browser::remembered(KEY).as_deref().and_then(Panes::read);
        remembered.unwrap_or_else(|| Panes::fitting(browser::window_size()))
    });
    let set = panes.setter();
    let set = use_callback((), move |panes: Panes, ()| {
        browser::remember(KEY, &panes.write());
        set.set(panes);
    });
    (*panes, set)
}

/// The borders that can be dragged.
pub fn splitters(panes: Panes, set: &Callback<Panes>) -> Html {
    let fresh = Panes::fitting(browser::window_size());
    html! {
        <>
            <Splitter
                label="Width of the topics"
                side={Side::Right}
                size={panes.topics}
                usual={fresh.topics}
                set={set.reform(move |topics| Panes { topics, ..panes })}
            />
            <Splitter
                label="Width of the actions"
                side={Side::Left}
                size={panes.actions}
                usual={fresh.actions}
                set={set.reform(move |actions| Panes { actions, ..panes })}
            />
            if !panes.is_dock_closed {
                <Splitter
                    label="Height of the views"
                    side={Side::Top}
                    size={panes.dock}
                    usual={fresh.dock}
                    set={set.reform(move |dock| Panes { dock, ..panes })}
                />
            }
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cube_gets_the_most_of_a_window_of_any_size() {
        for window in [(1180, 620), (1280, 760), (1440, 900), (2560, 1300)] {
            let Panes { topics, actions, dock, .. } = Panes::fitting(window);
            let cube = window.0 - topics - actions;
            assert!(cube > actions.max(topics) && window.1 - dock > dock * 2, "{window:?}");
        }
    }

    #[test]
    fn sizes_are_remembered_and_other_texts_are_not_believed() {
        let panes = Panes { topics: 250, is_dock_closed: true, ..Panes::fitting((1440, 900)) };
        assert_eq!(Panes::read(&panes.write()), Some(panes));
        for text in ["", "1 2 3", "1 2 3 4 5", "a b c d", "1 -2 3 0", "1 2 3.5 0"] {
            assert_eq!(Panes::read(text), None, "{text}");
        }
    }
}
