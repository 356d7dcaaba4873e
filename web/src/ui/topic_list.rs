//! The list of topics. Only the visible rows, and a few around them, are in the page, so it stays small with many
//! topics.

use std::collections::BTreeMap;
use std::ops::Range;

use cubecast_core::names::TopicName;
use web_sys::{HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::dispatch::{Dispatch, use_dispatch};
use super::field::on_text;
use super::words::{plain_words, words};
use crate::format::{grouped, plural};
use crate::model::ViewAction;
use crate::model::cluster::Cluster;
use crate::model::cluster::groups::Service;
use crate::model::shared::Shared;
use crate::model::topics::{TopicBook, TopicInfo};
use crate::net::browser::Measure;

/// The height of a row in pixels; must match the style sheet.
const ROW: usize = 36;
/// Number of visible rows until the list is measured.
const FEW: usize = 6;
/// Rows rendered beyond the visible ones on each side; enough for one turn of a mouse wheel.
const MARGIN: usize = 6;

/// Properties of [`TopicList`].
#[derive(Properties, PartialEq)]
pub struct TopicListProps {
    pub topics: Shared<TopicBook>,
    pub cluster: Shared<Cluster>,
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
}

/// The list of topics with its search field.
#[component]
pub fn TopicList(props: &TopicListProps) -> Html {
    let dispatch = use_dispatch();
    let filter = use_state(String::new);
    let scroller = use_node_ref();
    let height = use_rows_in_sight(&scroller);
    let scrolled = use_state(|| 0);
    // The row selected by the arrow keys. It gets the focus once it is in the page.
    let current = use_state(|| 0);
    let wants_focus = use_mut_ref(|| false);

    let rows = matching(&props.topics.topics, &filter);
    let visible = VisibleRows::of(*scrolled, height, rows.len());
    let is_stop = |row: usize| row == if visible.contains(*current) { *current } else { visible.first };
    let onscroll = {
        let (scrolled, scroller) = (scrolled.clone(), scroller.clone());
        Callback::from(move |_: Event| {
            if let Some(element) = scroller.cast::<HtmlElement>() {
                scrolled.set(element.scroll_top().max(0) as usize);
            }
        })
    };
    let onkeydown = {
        let (current, wants_focus, scroller, scrolled) =
            (current.clone(), wants_focus.clone(), scroller.clone(), scrolled.clone());
        let at = if visible.contains(*current) { *current } else { visible.first };
        Callback::from(move |event: KeyboardEvent| {
            let last = visible.of.saturating_sub(1);
            let next = match event.key().as_str() {
                "ArrowDown" => (at + 1).min(last),
                "ArrowUp" => at.saturating_sub(1),
                "PageDown" => (at + visible.count).min(last),
                "PageUp" => at.saturating_sub(visible.count),
                "Home" => 0,
                "End" => last,
                _ => return,
            };
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
            <div class="topic-head">
                <p class="aside" data-testid="topic-count">{count_words(visible, all)}</p>
            </div>
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
                ref={scroller}
                style={format!("height: {}px", visible.of * ROW)}
                {onscroll}
                {onkeydown}
            >
                <ul id="topic-list" data-testid="topic-list" aria-label="Topics" style={padding}>
                    { for drawn.clone().zip(&rows[drawn.clone()]).map(|(at, (topic, info))| {
                        topic_row(props, &dispatch, topic, info, Position { at, of: rows.len(), is_stop: is_stop(at) })
                    }) }
                </ul>
            </div>
        </section>
    }
}

type Rows<'a> = Vec<(&'a TopicName, &'a TopicInfo)>;

/// The topics whose displayed names contain the typed text.
fn matching<'a>(topics: &'a BTreeMap<TopicName, TopicInfo>, filter: &str) -> Rows<'a> {
    let wanted = filter.trim().to_lowercase();
    let matches = |topic: &TopicName| wanted.is_empty() || topic.to_string().to_lowercase().contains(&wanted);
    topics.iter().filter(|(topic, _)| matches(topic)).collect()
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
            Measure::of(&element.clone(), move || set.set((element.client_height() as usize / ROW).max(1)))
        });
        move || drop(measure)
    });
    *rows
}

#[derive(Clone, Copy)]
struct Position {
    at: usize,
    of: usize,
    /// Whether the tab key stops here; the arrow keys reach the other rows.
    is_stop: bool,
}

fn topic_row(
    props: &TopicListProps,
    dispatch: &Dispatch,
    topic: &TopicName,
    info: &TopicInfo,
    position: Position,
) -> Html {
    let name = topic.as_str().to_owned();
    let is_chosen = props.chosen.as_ref() == Some(topic);
    let onclick = {
        let name = name.clone();
        dispatch.on(move |_: MouseEvent| ViewAction::ChooseTopic(name.clone()))
    };
    let led = match props.cluster.service(info.home) {
        Service::Led(leader) if props.cluster.members(info.home).first() == Some(leader) => String::new(),
        Service::Led(leader) => format!("led by {leader}"),
        Service::Leaderless => "no leader".to_owned(),
        Service::NoQuorum(_) => "cannot be written".to_owned(),
        Service::Unknown => "leader unknown".to_owned(),
    };
    html! {
        <li key={name.clone()} aria-posinset={(position.at + 1).to_string()} aria-setsize={position.of.to_string()}>
            <button
                type="button"
                class={classes!("topic", is_chosen.then_some("is-chosen"))}
                aria-pressed={is_chosen.to_string()}
                tabindex={if position.is_stop { "0" } else { "-1" }}
                data-testid={format!("topic-row-{name}")}
                data-row={position.at.to_string()}
                title={plain_words(&topic.to_string())}
                {onclick}
            >
                <span class="name" dir="auto">{words(&topic.to_string())}</span>
                <span class="led">{led}</span>
                <code title="its home">{info.home.to_string()}</code>
                <span class="count" title={plural(info.messages, "message")}>
                    {grouped(info.messages)}<span class="unit">{if info.messages == 1 { " message" } else { " messages" }}</span>
                </span>
            </button>
        </li>
    }
}

fn focus(scroller: &NodeRef, row: usize) {
    let found = scroller.cast::<HtmlElement>().and_then(|element| {
        let row = element.query_selector(&format!("[data-row=\"{row}\"]")).ok()??;
        wasm_bindgen::JsCast::dyn_into::<HtmlElement>(row).ok()
    });
    if let Some(button) = found {
        // If the browser refuses, the focus stays where it is.
        let _ = button.focus();
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
