//! Exports a story for other tools: a log for ShiViz, and a trace for Chrome's viewer and Perfetto.
//! ([`crate::scene::spacetime`] exports the picture itself.)

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::story::{Arrow, Lane, Story};

/// The regular expression with which ShiViz parses the log; it is ShiViz's first suggestion.
pub const SHIVIZ_EXPRESSION: &str = r"(?<host>\S*) (?<clock>{.*})\n(?<event>.*)";

/// The log for ShiViz. Each event has two lines: the host with its vector clock, and the text. Frames that arrived
/// merge the clocks.
pub fn shiviz(story: &Story) -> String {
    let mut clocks: BTreeMap<Lane, BTreeMap<Lane, u64>> = BTreeMap::new();
    let mut sent: BTreeMap<usize, BTreeMap<Lane, u64>> = BTreeMap::new();
    let mut text = String::new();
    for step in steps(story) {
        let clock = clocks.entry(step.lane).or_default();
        if let Kind::Receives(arrow) = step.kind {
            for (lane, count) in sent.get(&arrow).into_iter().flatten() {
                let known = clock.entry(*lane).or_default();
                *known = (*known).max(*count);
            }
        }
        *clock.entry(step.lane).or_default() += 1;
        if let Kind::Sends(arrow) = step.kind {
            sent.insert(arrow, clock.clone());
        }
        let clock: serde_json::Map<String, Value> =
            clock.iter().map(|(lane, count)| (host(*lane), json!(count))).collect();
        let _ = writeln!(text, "{} {}\n{}", host(step.lane), Value::Object(clock), step.words);
    }
    text
}

/// The story in the JSON object format of Chrome's trace events: one thread per lane, times in microseconds since the
/// request was received.
pub fn chrome(story: &Story) -> String {
    let thread = |lane: Lane| story.lanes.iter().position(|known| *known == lane).unwrap_or(0);
    let mut events: Vec<Value> = story
        .lanes
        .iter()
        .flat_map(|lane| {
            let about = |name: &str, args: Value| {
                json!({"ph": "M", "pid": 1, "tid": thread(*lane), "name": name, "args": args})
            };
            [
                about("thread_name", json!({"name": host(*lane)})),
                about("thread_sort_index", json!({"sort_index": thread(*lane)})),
            ]
        })
        .collect();
    if let Some(answered) = &story.request.answered {
        let took = answered.at_us.saturating_sub(story.request.received_us).max(1);
        events.push(json!({
            "ph": "X", "cat": "request", "name": story.title(), "pid": 1, "tid": thread(Lane::Node(story.request.node)),
            "ts": 0, "dur": took,
        }));
    }
    for mark in &story.marks {
        events.push(json!({
            "ph": "i", "s": "t", "cat": "mark", "name": mark.words, "pid": 1, "tid": thread(mark.lane),
            "ts": mark.at_us,
        }));
    }
    for (id, arrow) in story.arrows.iter().enumerate() {
        let end = |ph: &str, lane: Lane, ts: i64| {
            json!({
                "ph": ph, "bp": "e", "id": id, "cat": "frame", "name": arrow.what.words(), "pid": 1,
                "tid": thread(lane), "ts": ts,
            })
        };
        // The ends of a flow arrow must be attached to slices.
        let slice = |lane: Lane, ts: i64, words: String| {
            json!({
                "ph": "X", "cat": "frame", "name": words, "pid": 1, "tid": thread(lane), "ts": ts, "dur": 1,
            })
        };
        events.push(slice(arrow.from, arrow.sent_us, sends(arrow)));
        if arrow.dropped.is_none() {
            events.push(slice(arrow.to, arrow.arrived_us, receives(arrow)));
            events.extend([end("s", arrow.from, arrow.sent_us), end("f", arrow.to, arrow.arrived_us)]);
        }
    }
    json!({"displayTimeUnit": "ms", "traceEvents": events}).to_string()
}

struct Step {
    at_us: i64,
    lane: Lane,
    kind: Kind,
    words: String,
}

/// Order of events at the same time: incoming, then local, then outgoing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Receives(usize),
    Marks,
    Sends(usize),
}

fn steps(story: &Story) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, arrow) in story.arrows.iter().enumerate() {
        steps.push(Step { at_us: arrow.sent_us, lane: arrow.from, kind: Kind::Sends(number), words: sends(arrow) });
        if arrow.dropped.is_none() {
            let kind = Kind::Receives(number);
            steps.push(Step { at_us: arrow.arrived_us, lane: arrow.to, kind, words: receives(arrow) });
        }
    }
    for mark in &story.marks {
        steps.push(Step { at_us: mark.at_us, lane: mark.lane, kind: Kind::Marks, words: mark.words.clone() });
    }
    steps.sort_by_key(|step| (step.at_us, step.kind));
    steps
}

fn host(lane: Lane) -> String {
    match lane {
        Lane::Client => "client".to_owned(),
        Lane::Node(node) => format!("node-{node}"),
    }
}

fn sends(arrow: &Arrow) -> String {
    let lost = arrow.dropped.map(|why| format!(", which is lost: {}", why_words(why))).unwrap_or_default();
    format!("sends {} to {}{lost}", arrow.what.words(), host(arrow.to))
}

fn receives(arrow: &Arrow) -> String {
    format!("receives {} from {}", arrow.what.words(), host(arrow.from))
}

fn why_words(why: cubecast_core::wire::event::DropReason) -> &'static str {
    use cubecast_core::wire::event::DropReason;
    match why {
        DropReason::Cut => "the edge is cut",
        DropReason::Loss => "the edge loses frames",
        DropReason::Full => "the queue is full",
        DropReason::NoRoute => "there is no route",
        DropReason::HopLimit => "it reached the hop limit",
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::tests::{lossy_story, story};
    use super::*;

    #[test]
    fn shiviz_gets_a_host_a_clock_and_words_for_each_event_and_effects_know_their_causes() {
        let text = shiviz(&story());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with(r#"client {"client":1}"#) && lines[1] == "sends request to node-100", "{text}");
        assert_eq!(lines.len() % 2, 0);
        for event in lines.chunks(2) {
            let (host, clock) = event[0].split_once(' ').unwrap();
            let clock: BTreeMap<String, u64> = serde_json::from_str(clock).unwrap();
            assert!(clock[host] > 0, "{event:?}");
        }
        let stored =
            lines.chunks(2).find(|event| event[0].starts_with("node-101") && event[1].contains("readable")).unwrap();
        assert!(stored[0].contains(r#""client":1"#) && stored[0].contains(r#""node-100":"#), "{stored:?}");
        let answered = lines.chunks(2).next_back().unwrap();
        assert!(answered[0].starts_with("client") || text.contains("receives answer from node-100"), "{answered:?}");
    }

    #[test]
    fn a_hosts_own_clock_counts_its_events_one_by_one() {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for event in shiviz(&story()).lines().collect::<Vec<_>>().chunks(2) {
            let (host, clock) = event[0].split_once(' ').unwrap();
            let clock: BTreeMap<String, u64> = serde_json::from_str(clock).unwrap();
            let count = counts.entry(host.to_owned()).or_default();
            *count += 1;
            assert_eq!(clock[host], *count);
        }
    }

    #[test]
    fn chrome_gets_a_thread_a_lane_and_both_ends_of_every_arrow_that_arrived() {
        let trace: Value = serde_json::from_str(&chrome(&lossy_story())).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let count = |ph: &str| events.iter().filter(|event| event["ph"] == ph).count();
        let story = lossy_story();
        assert_eq!(events.iter().filter(|event| event["name"] == "thread_name").count(), story.lanes.len());
        let arrived = story.arrows.iter().filter(|arrow| arrow.dropped.is_none()).count();
        assert!(arrived < story.arrows.len());
        assert_eq!((count("s"), count("f")), (arrived, arrived));
        assert_eq!(count("i"), story.marks.len());
    }

    #[test]
    fn what_was_lost_is_said_and_arrives_nowhere() {
        let text = shiviz(&lossy_story());
        assert!(text.contains("which is lost: the edge is cut"), "{text}");
    }
}
