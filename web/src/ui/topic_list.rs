//! The table of topics: sorted by any column, filtered, and reached with one stop of the tab key. Only the visible
//! rows, and a few around them, are in the page, so it stays small with many topics.

use std::ops::Range;

use cubecast_core::names::TopicName;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::field::on_text;
use super::topic_row::{self, Facts, Position};
use crate::format::{grouped, plural};
use crate::model::ViewAction;
use crate::model::shared::Shared;
use crate::model::topic_table::{Column, Order, TopicRows};
use crate::model::topics::TopicBook;
use crate::net::browser::{self, Measure};

/// The height of a row in pixels; must match the style sheet.
const ROW: usize = 36;
/// The height of the header in pixels; must match the style sheet.
const HEADER: usize = 28;
/// Number of visible rows until the list is measured.
const FEW: usize = 6;
/// Rows rendered beyond the visible ones on each side; enough for one turn of a mouse wheel.
const MARGIN: usize = 6;
/// The key of the order in the browser's storage.
const KEY: &str = "cubecast-topic-order";

/// Properties of [`TopicList`].
#[derive(Properties, PartialEq)]
pub struct TopicListProps {
    pub topics: Shared<TopicBook>,
    pub facts: Facts,
    pub chosen: Option<TopicName>,
}

/// The visible rows.
#[derive(Clone, Copy, PartialEq)]
struct VisibleRows {
    first: usize,
    count: usize,
    of: usize,
}

impl VisibleRows {
    fn of(scrolled: usize, height: usize, of: usize) -> VisibleRows {
        let count = height.min(of);
        VisibleRows { first: (scrolled / ROW).min(of - count), count, of }
    }

    /// The rows that are in the page.
    fn rows(self) -> Range<usize> {
        self.first.saturating_sub(MARGIN)..(self.first + self.count + MARGIN).min(self.of)
    }

    fn contains(self, row: usize) -> bool {
        (self.first..self.first + self.count).contains(&row)
    }

    /// The scroll position, in pixels, that makes a row visible with the least scrolling.
    fn scrolled_to(self, row: usize) -> usize {
        let first = if row < self.first { row } else { (row + 1).saturating_sub(self.count).max(self.first) };
        first * ROW
    }

    /// The row that a key leads to from row `at`.
    fn after_key(self, key: &str, at: usize) -> Option<usize> {
        let last = self.of.saturating_sub(1);
        Some(match key {
            "ArrowDown" => (at + 1).min(last),
            "ArrowUp" => at.saturating_sub(1),
            "PageDown" => (at + self.count).min(last),
            "PageUp" => at.saturating_sub(self.count),
            "Home" => 0,
            "End" => last,
            _ => return None,
        })
    }
}

/// The table of topics with its filter.
#[component]
pub fn TopicList(props: &TopicListProps) -> Html {
    let dispatch = use_dispatch();
    let filter = use_state(String::new);
    let (order, sort_by) = use_order();
    let scroller = use_node_ref();
    let height = use_rows_in_sight(&scroller);
    let scrolled = use_state(|| 0);
    // The row selected by the arrow keys. It gets the focus once it is in the page.
    let current = use_state(|| 0);
    let wants_focus = use_mut_ref(|| false);

    let kept = use_mut_ref(TopicRows::default);
    let mut rows = kept.borrow_mut();
    let facts = &props.facts;
    rows.update(&props.topics, &facts.rates, order, &filter, |topic, info| {
        topic_row::key(facts, order.by, topic, info)
    });
    let visible = VisibleRows::of(*scrolled, height, rows.len());
    let stop = if visible.contains(*current) { *current } else { visible.first };
    let onscroll = {
        let (scrolled, scroller) = (scrolled.clone(), scroller.clone());
        Callback::from(move |_: Event| {
            if let Some(element) = scroller.cast::<HtmlElement>() {
                scrolled.set(element.scroll_top().max(0) as usize);
            }
        })
    };
    let choose = {
        let (kept, current) = (kept.clone(), current.clone());
        Callback::from(move |row: usize| {
            current.set(row);
            if let Some(topic) = kept.borrow().topic(row) {
                dispatch.send(ViewAction::ChooseTopic(topic.as_str().to_owned()));
            }
        })
    };
    let onkeydown = {
        let (current, wants_focus, scroller, scrolled, choose) =
            (current.clone(), wants_focus.clone(), scroller.clone(), scrolled.clone(), choose.clone());
        Callback::from(move |event: KeyboardEvent| {
            let Some(at) = row_of(&event) else { return };
            if matches!(event.key().as_str(), "Enter" | " ") {
                event.prevent_default();
                if !event.repeat() {
                    choose.emit(at);
                }
                return;
            }
            let Some(next) = visible.after_key(&event.key(), at) else { return };
            event.prevent_default();
            if let Some(element) = scroller.cast::<HtmlElement>() {
                element.set_scroll_top(visible.scrolled_to(next) as i32);
            }
            scrolled.set(visible.scrolled_to(next));
            current.set(next);
            *wants_focus.borrow_mut() = true;
        })
    };
    use_effect({
        let (scroller, current) = (scroller.clone(), *current);
        move || {
            if std::mem::take(&mut *wants_focus.borrow_mut()) {
                focus(&scroller, current);
            }
        }
    });
    let set_filter = {
        let (filter, scrolled, scroller) = (filter.clone(), scrolled.clone(), scroller.clone());
        Callback::from(move |typed: String| {
            if let Some(element) = scroller.cast::<HtmlElement>() {
                element.set_scroll_top(0);
            }
            scrolled.set(0);
            filter.set(typed);
        })
    };
    let all = props.topics.topics.len();
    let drawn = visible.rows();
    let padding = format!("padding: {}px 0 {}px", drawn.start * ROW, (visible.of - drawn.end) * ROW);
    html! {
        <section class="topic-book" aria-label="Topics">
            <p class="aside" data-testid="topic-count">{count_words(visible, all)}</p>
            if all > FEW {
                <input
                    class="filter"
                    type="search"
                    data-testid="topic-filter"
                    aria-label="Filter the topics"
                    placeholder="Filter the topics"
                    autocomplete="off"
                    spellcheck="false"
                    value={(*filter).clone()}
                    oninput={on_text(set_filter)}
                />
            }
            <div
                class="topics"
                id="topic-list"
                data-testid="topic-list"
                role="grid"
                aria-label="Topics"
                aria-rowcount={(visible.of + 1).to_string()}
                ref={scroller}
                style={format!("height: {}px", HEADER + visible.of * ROW)}
                {onscroll}
                {onkeydown}
            >
                <div role="rowgroup" class="topic-head">
                    <div role="row" class="topic-line" aria-rowindex="1">
                        { for Column::ALL.into_iter().map(|(column, _)| header(column, order, &sort_by)) }
                    </div>
                </div>
                <div role="rowgroup" style={padding}>
                    { for drawn.filter_map(|at| {
                        let topic = rows.topic(at)?;
                        let info = props.topics.topics.get(topic)?;
                        let is_chosen = props.chosen.as_ref() == Some(topic);
                        let position = Position { at, is_chosen, is_stop: at == stop };
                        Some(topic_row::row(facts, &choose, topic, info, position))
                    }) }
                </div>
            </div>
        </section>
    }
}

/// The order of the rows, and its setter, which takes the column whose header was clicked. The browser remembers it.
#[hook]
fn use_order() -> (Order, Callback<Column>) {
    let order = use_state(|| browser::remembered(KEY).as_deref().and_then(Order::read).unwrap_or_default());
    let set = {
        let order = order.clone();
        Callback::from(move |column: Column| {
            let clicked = order.clicked(column);
            browser::remember(KEY, &clicked.write());
            order.set(clicked);
        })
    };
    (*order, set)
}

fn header(column: Column, order: Order, sort_by: &Callback<Column>) -> Html {
    let (words, title) = match column {
        Column::Writable => ("Writable", "Whether a message can be stored now"),
        Column::Name => ("Topic", "The name"),
        Column::Rate => ("Rate", "Messages per second now, and the last minute"),
        Column::Messages => ("Messages", "The number of messages, which is also the next offset"),
        Column::Lag => ("Lag", "Messages that this page's subscription has not received yet"),
    };
    let sort = match (order.by == column, order.is_descending) {
        (false, _) => "none",
        (true, false) => "ascending",
        (true, true) => "descending",
    };
    let onclick = sort_by.reform(move |_: MouseEvent| column);
    let id = format!("topics-by-{}", column.name());
    html! {
        <div role="columnheader" class={format!("col-{}", column.name())} aria-sort={sort} data-testid={id}>
            <button type="button" {title} {onclick}><span>{words}</span></button>
        </div>
    }
}

fn count_words(visible: VisibleRows, all: usize) -> String {
    let topics = plural(all as u64, "topic");
    match visible {
        VisibleRows { of: 0, .. } => format!("None of {topics} matches"),
        VisibleRows { count, of, .. } if count == of && of == all => topics,
        VisibleRows { count, of, .. } if count == of => format!("{} of {topics}", grouped(of as u64)),
        VisibleRows { first, count, of } => {
            let (from, to) = (grouped(first as u64 + 1), grouped((first + count) as u64));
            let of = if of == all { topics } else { format!("{} of {topics}", grouped(of as u64)) };
            format!("{from} to {to} of {of}")
        }
    }
}

/// The number of whole rows that the list has room for.
#[hook]
fn use_rows_in_sight(scroller: &NodeRef) -> usize {
    let rows = use_state(|| FEW);
    let (scroller, known) = (scroller.clone(), rows.clone());
    use_effect_with((), move |()| {
        let element = scroller.cast::<HtmlElement>();
        let measure = element.and_then(|element| {
            let set = known.setter();
            let rows = move |height: i32| ((height.max(0) as usize).saturating_sub(HEADER) / ROW).max(1);
            Measure::of(&element.clone(), move || set.set(rows(element.client_height())))
        });
        move || drop(measure)
    });
    *rows
}

/// The row on which a key was pressed.
fn row_of(event: &KeyboardEvent) -> Option<usize> {
    event.target()?.dyn_into::<Element>().ok()?.get_attribute("data-row")?.parse().ok()
}

fn focus(scroller: &NodeRef, row: usize) {
    let found = scroller.cast::<HtmlElement>().and_then(|element| {
        let row = element.query_selector(&format!("[data-row=\"{row}\"]")).ok()??;
        row.dyn_into::<HtmlElement>().ok()
    });
    if let Some(row) = found {
        // If the browser refuses, the focus stays where it is.
        let _ = row.focus();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_on_the_page_are_those_in_sight_and_a_few_around_them() {
        let visible = VisibleRows::of(100 * ROW + 5, FEW, 5_000);
        assert_eq!((visible.first, visible.rows()), (100, 94..112));
        assert_eq!(VisibleRows::of(0, FEW, 5_000).rows(), 0..12);
        assert_eq!(VisibleRows::of(9_999 * ROW, FEW, 20).rows(), 8..20, "the list has become shorter");
        assert_eq!(VisibleRows::of(0, FEW, 0).rows(), 0..0);
    }

    #[test]
    fn a_row_is_brought_into_sight_by_scrolling_as_little_as_possible() {
        let visible = VisibleRows::of(100 * ROW, FEW, 5_000);
        let first = |row| visible.scrolled_to(row) / ROW;
        assert_eq!([99, 100, 105, 106, 4_999].map(first), [99, 100, 100, 101, 4_994]);
    }

    #[test]
    fn keys_move_by_a_row_by_a_page_and_to_the_ends() {
        let visible = VisibleRows::of(0, FEW, 20);
        let after = |key, at| visible.after_key(key, at);
        assert_eq!([after("ArrowDown", 3), after("ArrowUp", 3)], [Some(4), Some(2)]);
        assert_eq!([after("PageDown", 3), after("PageUp", 9)], [Some(9), Some(3)]);
        assert_eq!([after("Home", 3), after("End", 3)], [Some(0), Some(19)]);
        assert_eq!([after("ArrowDown", 19), after("PageUp", 2), after("a", 2)], [Some(19), Some(0), None]);
    }

    #[test]
    fn how_many_there_are_is_said_beside_how_many_are_seen() {
        let words = |scrolled, of, all| count_words(VisibleRows::of(scrolled, FEW, of), all);
        assert_eq!(words(0, 1, 1), "1 topic");
        assert_eq!(words(0, 214, 214), "1 to 6 of 214 topics");
        assert_eq!(words(9 * ROW, 5_000, 5_000), "10 to 15 of 5\u{202f}000 topics");
        assert_eq!(words(0, 3, 214), "3 of 214 topics");
        assert_eq!(words(0, 20, 214), "1 to 6 of 20 of 214 topics");
        assert_eq!(words(0, 0, 214), "None of 214 topics matches");
    }
}
