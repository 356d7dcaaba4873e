//! The event feed.

use yew::prelude::*;

use super::text::feed;
use super::words::words;
use crate::format::time_of_day;
use crate::model::feed::{Entry, Feed, MAX_ENTRIES};
use crate::model::shared::Shared;

/// Properties of [`FeedList`].
#[derive(Properties, PartialEq)]
pub struct FeedListProps {
    pub feed: Shared<Feed>,
}

/// The event feed, newest first.
#[component]
pub fn FeedList(props: &FeedListProps) -> Html {
    html! {
        <section class="feed" aria-labelledby="feed-title">
            <h2 id="feed-title">{"Events"}<span class="aside">{aside(&props.feed)}</span></h2>
            if props.feed.entries.is_empty() {
                <p class="empty">{"No events yet. Elections, failures and stored messages appear here."}</p>
            }
            <ol id="event-feed" data-testid="event-feed" tabindex="0" aria-label="Events, newest first">
                { for props.feed.entries.iter().map(|entry| html! {
                    <FeedEntry key={entry.number} entry={entry.clone()} />
                }) }
            </ol>
        </section>
    }
}

fn aside(feed: &Feed) -> String {
    match feed.entries.len() {
        MAX_ENTRIES => format!("the newest {MAX_ENTRIES}, newest first, UTC"),
        _ => "newest first, UTC".to_owned(),
    }
}

#[derive(Properties, PartialEq)]
struct FeedEntryProps {
    entry: Entry,
}

#[component]
fn FeedEntry(props: &FeedEntryProps) -> Html {
    let entry = &props.entry;
    html! {
        <li class={feed::tone(&entry.fact).name()}>
            <time>{time_of_day(entry.at_ms)}</time>
            <span>{words(&feed::words(&entry.fact))}</span>
        </li>
    }
}
