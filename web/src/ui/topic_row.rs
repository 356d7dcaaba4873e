//! One row of the table of topics.

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use yew::prelude::*;

use super::words::{plain_words, words};
use crate::format::grouped;
use crate::model::cluster::Cluster;
use crate::model::cluster::groups::Service;
use crate::model::inbox::Inboxes;
use crate::model::rates::RateHistory;
use crate::model::shared::Shared;
use crate::model::topic_table::Column;
use crate::model::topics::TopicInfo;
use crate::scene::sparkline;

const UNKNOWN: &str = "–";
/// Characters at the end of a long name that are always shown.
const NAME_END: usize = 6;

/// What the rows show besides the topics themselves.
#[derive(Clone, PartialEq)]
pub struct Facts {
    pub cluster: Shared<Cluster>,
    pub rates: Shared<RateHistory>,
    pub inboxes: Shared<Inboxes>,
}

/// Where a row is, and how it is drawn.
#[derive(Clone, Copy)]
pub struct Position {
    pub at: usize,
    pub is_chosen: bool,
    /// Whether the tab key stops here; the arrow keys reach the other rows.
    pub is_stop: bool,
}

/// The value by which a topic is sorted; `None` if it is unknown.
pub fn key(facts: &Facts, column: Column, topic: &TopicName, info: &TopicInfo) -> Option<u64> {
    match column {
        Column::Name => None,
        Column::Writable => match facts.cluster.service(info.home) {
            Service::NoQuorum(_) => Some(0),
            Service::Leaderless => Some(1),
            Service::Led(_) => Some(2),
            Service::Unknown => None,
        },
        Column::Rate => facts.rates.rate(topic, info.home).map(|rate| (rate * 1_000.0) as u64),
        Column::Messages => Some(info.messages),
        Column::Lag => lag(facts, topic, info),
    }
}

/// What this page's subscription has not received yet. The end of the topic is known while its group is heard.
fn lag(facts: &Facts, topic: &TopicName, info: &TopicInfo) -> Option<u64> {
    facts.inboxes.lag(topic, info.messages).filter(|_| facts.rates.hears(info.home))
}

/// The row of a topic. `choose` receives its position.
pub fn row(facts: &Facts, choose: &Callback<usize>, topic: &TopicName, info: &TopicInfo, position: Position) -> Html {
    let name = topic.as_str().to_owned();
    let Position { at, is_chosen, is_stop } = position;
    let onclick = choose.reform(move |_: MouseEvent| at);
    let (state, state_words) = match facts.cluster.service(info.home) {
        Service::Led(_) => ("writable", "writable"),
        Service::Leaderless => ("leaderless", "no leader"),
        Service::NoQuorum(_) => ("stuck", "cannot be written"),
        Service::Unknown => ("unknown", "leader unknown"),
    };
    let members = facts.cluster.members(info.home);
    let stand_in = match facts.cluster.service(info.home) {
        Service::Led(leader) if members.first() != Some(leader) => Some(format!("led by {leader}")),
        Service::Led(_) | Service::Leaderless | Service::NoQuorum(_) | Service::Unknown => None,
    };
    let is_subscribed = facts.inboxes.lag(topic, info.messages).is_some();
    let lag = lag(facts, topic, info).map_or_else(|| UNKNOWN.to_owned(), grouped);
    html! {
        <div
            key={name.clone()}
            role="row"
            class={classes!("topic", "topic-line", is_chosen.then_some("is-chosen"))}
            aria-rowindex={(at + 2).to_string()}
            aria-selected={is_chosen.to_string()}
            tabindex={if is_stop { "0" } else { "-1" }}
            data-testid={format!("topic-row-{name}")}
            data-row={at.to_string()}
            title={plain_words(&topic.to_string())}
            {onclick}
        >
            <span role="gridcell" class="col-writable" data-state={state}><span>{state_words}</span></span>
            <span role="gridcell" class="name-cell">
                <span class="name" dir="auto">{name_words(&topic.to_string())}</span>
                if state != "writable" {
                    // The same as in the first cell, which has no room for it in a narrow table.
                    <span class="why" data-state={state} aria-hidden="true">{state_words}</span>
                }
                if let Some(words) = stand_in {
                    <span class="led">{words}</span>
                }
            </span>
            <span role="gridcell" class="col-rate">
                <Rate topic={topic.clone()} home={info.home} rates={facts.rates.clone()} />
            </span>
            <span role="gridcell" class="col-messages">{grouped(info.messages)}</span>
            <span role="gridcell" class="col-lag">{if is_subscribed { lag } else { String::new() }}</span>
        </div>
    }
}

/// A name of which a narrow table leaves out the middle: names often differ at the end only.
fn name_words(name: &str) -> Html {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !is_plain || name.len() <= 2 * NAME_END {
        return html! { <span>{words(name)}</span> };
    }
    let (beginning, end) = name.split_at(name.len() - NAME_END);
    html! { <><span>{beginning.to_owned()}</span>{end.to_owned()}</> }
}

/// The rate as text, for example `2.4/s`. `None`: unknown.
pub fn rate_words(rate: f64) -> String {
    match rate {
        0.0 => "0/s".to_owned(),
        rate if rate < 9.95 => format!("{rate:.1}/s"),
        rate => format!("{}/s", grouped(rate.round() as u64)),
    }
}

#[derive(Properties, PartialEq)]
struct RateProps {
    topic: TopicName,
    home: Vertex,
    rates: Shared<RateHistory>,
}

/// The rate of a topic, with the last minute as a line. It changes once a second, whatever else does.
#[component]
fn Rate(props: &RateProps) -> Html {
    let RateProps { topic, home, rates } = props;
    let Some(rate) = rates.rate(topic, *home) else {
        return html! { <span title="Unknown: this page hears too few of the topic's replicas">{UNKNOWN}</span> };
    };
    let minute = rates.minute(topic, *home);
    html! {
        <>
            <svg
                class="spark"
                viewBox={format!("0 0 {} {}", sparkline::WIDTH, sparkline::HEIGHT)}
                preserveAspectRatio="none"
                data-state={if minute.iter().all(|count| count.unwrap_or(0) == 0) { "still" } else { "moving" }}
                aria-hidden="true"
            >
                <path d={sparkline::path(&minute)} />
            </svg>
            <span class={(rate > 0.0).then_some("is-moving")}>{rate_words(rate)}</span>
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_decimal_place_while_it_is_small() {
        let rates = [0.0, 0.2, 9.94, 9.96, 12.5, 1_234.0];
        assert_eq!(rates.map(rate_words), ["0/s", "0.2/s", "9.9/s", "10/s", "13/s", "1\u{202f}234/s"]);
    }
}
