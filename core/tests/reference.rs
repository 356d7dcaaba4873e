//! docs/PROTOCOL.md documents every action, error, event and limit of the protocol.

use cubecast_core::wire::answer::{EndReason, ErrorCode, ServerFrame, SubscriptionEnded};
use cubecast_core::wire::json::{action_names_by_kind, render};
use cubecast_core::wire::limits;

const REFERENCE: &str = include_str!("../../docs/PROTOCOL.md");

fn missing<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    words.into_iter().filter(|word| !REFERENCE.contains(word)).collect()
}

/// The codes in the rows of the reference's error table: `| `code`, `code` | ...`.
fn documented_codes() -> Vec<&'static str> {
    let table =
        REFERENCE.split("## Errors").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section on errors");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_action_has_its_section_and_its_number() {
    let headings: Vec<_> = REFERENCE.lines().filter(|line| line.starts_with("### ")).collect();
    for (kind_number, (kind, actions)) in action_names_by_kind().enumerate() {
        let numbered = |(number, action): (usize, &&str)| format!("{number} {action}");
        let numbers: Vec<String> = actions.iter().enumerate().map(numbered).collect();
        let row = format!("| {kind_number} {kind} | {} |", numbers.join(", "));
        assert!(missing([row.as_str()]).is_empty(), "not in the table of the binary encoding: {row}");
        for action in actions {
            let named = |heading: &&str| heading.split([' ', ',']).any(|word| word == action);
            assert!(headings.iter().any(named), "no section on {action}");
        }
    }
}

#[test]
fn the_error_table_is_the_closed_set_of_codes() {
    let (mut documented, mut codes) =
        (documented_codes(), ErrorCode::ALL.iter().map(|code| code.name()).collect::<Vec<_>>());
    documented.sort_unstable();
    codes.sort_unstable();
    assert_eq!(documented, codes);
}

#[test]
fn an_error_is_worth_a_retry_where_the_table_says_so() {
    for code in ErrorCode::ALL {
        let row = REFERENCE
            .lines()
            .find(|line| line.starts_with("| `") && line.contains(&format!("`{code}`")) && line.contains(" | "));
        let again = row.and_then(|row| row.split('|').nth(2)).map(str::trim).unwrap_or_default();
        assert_eq!(again != "no", code.is_transient(), "{code}: {again}");
    }
}

#[test]
fn every_event_and_its_kind_stand_in_the_table() {
    let kinds = ["states", "links", "messages", "commits", "elections", "deliveries", "requests", "warnings"];
    let events = [
        "node_state",
        "link_state",
        "link_conditions",
        "role_changed",
        "members_changed",
        "committed",
        "frame_sent",
        "frame_dropped",
        "request_received",
        "request_answered",
        "replica_stored",
        "topic_created",
        "topic_deleted",
        "delivered",
        "stopped",
        "returned",
        "caught_up",
        "snapshot_progress",
        "outbox_stored",
        "outbox_drained",
        "storage_state",
        "warning",
    ];
    let quoted: Vec<_> = kinds.iter().chain(&events).map(|word| format!("`{word}`")).collect();
    assert_eq!(missing(quoted.iter().map(String::as_str)), Vec::<&str>::new());
}

#[test]
fn the_end_of_a_subscription_is_shown_as_it_is_sent() {
    for reason in [EndReason::TopicDeleted, EndReason::Unsubscribed, EndReason::Unreadable] {
        let (topic, subscriber) = ("news".parse().unwrap(), "subscriber1".parse().unwrap());
        let frame = render(&ServerFrame::SubscriptionEnded(SubscriptionEnded { topic, subscriber, reason }));
        let shown =
            ["unsubscribed", "unreadable"].iter().fold(frame, |frame, name| frame.replace(name, "topic_deleted"));
        let name = match reason {
            EndReason::TopicDeleted => "`topic_deleted`",
            EndReason::Unsubscribed => "`unsubscribed`",
            EndReason::Unreadable => "`unreadable`",
        };
        assert_eq!(missing([shown.as_str(), name]), Vec::<&str>::new());
    }
}

#[test]
fn limits_and_defaults_are_those_of_the_code() {
    let thousands = |number: u64| {
        let digits = number.to_string();
        let groups: Vec<_> =
            digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        groups.join(",")
    };
    let stated = [
        format!("1 to {}", thousands(limits::MAX_PULL.into())),
        format!("`max` [{}]", limits::DEFAULT_PULL),
        format!("`duration_ms` [{}]", limits::DEFAULT_STOP_MS),
        format!("up to {}; then it comes back", thousands(limits::MAX_STOP_MS)),
        format!("up to {}. Jitter", thousands(limits::MAX_DELAY_MS.into())),
        format!("1 to {} |", thousands(limits::MAX_SAMPLE.into())),
        format!("{} bytes | `bad_request`", cubecast_core::names::MAX_NAME_BYTES),
    ];
    assert_eq!(missing(stated.iter().map(String::as_str)), Vec::<&str>::new());
}
