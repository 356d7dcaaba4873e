//! Logging: configures tracing, and writes one line for each of core's events.
//!
//! Lines go to standard error, with a UTC timestamp, as text or as JSON. Level `info` reports failures, recoveries
//! and changes of leader. `debug` adds requests and their answers, stored replicas and links. `trace` adds frames.
//!
//! ```text
//! event -> level filter -> repeats: write or count -> format -> sink: write or count
//! ```

mod repeats;
pub mod sink;

use std::fmt::Debug;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::OnceLock;

use cubecast_core::identity::HostId;
use cubecast_core::states::{NodeState, Role, StorageState};
use cubecast_core::visible::visible_line;
use cubecast_core::wire::event::{Event, WatchEvent};
use repeats::Repeats;
use sink::Sink;
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{debug, info, trace, warn};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::output::bytes;
use crate::storage::OpenReport;

/// The format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The filter for repeated lines and the sink, after logging is set up.
static LOG: OnceLock<(Repeats, Sink)> = OnceLock::new();

/// Sets up logging for the process.
///
/// `filter` is a level, or levels by module like `info,cubecast_node=debug`. If `file` is given, lines go to
/// this file, which is rotated, in place of standard error. An error is a message for the user.
pub fn init(filter: &str, format: LogFormat, file: Option<&Path>) -> Result<(), String> {
    let filter = check_filter(filter)?;
    let repeats = Repeats::default();
    let sink = Sink::new(format == LogFormat::Json);
    if let Some(file) = file {
        sink.write_to(file).map_err(|error| format!("cannot write the log {}: {error}", file.display()))?;
    }
    let builder = tracing_subscriber::fmt()
        .with_max_level(most_verbose(&filter))
        .with_writer(sink.clone())
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // Standard error may be closed by its reader. That must not end the node.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let lines = builder.fmt_fields(debug_fn(write_field).delimited(" ")).finish();
            lines.with(filter).with(repeats.clone()).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).finish().with(filter).with(repeats.clone()).try_init(),
    }
    .map_err(|error| format!("logging is already set up: {error}"))?;
    let (of_repeats, of_sink) = (repeats.clone(), sink.clone());
    tell_from_a_thread("repeats", move || of_repeats.keep_telling())?;
    tell_from_a_thread("log", move || of_sink.keep_telling())?;
    // Logging is set up once, so the cell is empty.
    let _ = LOG.set((repeats, sink));
    Ok(())
}

fn tell_from_a_thread(name: &str, tell: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let started = std::thread::Builder::new().name(name.into()).spawn(tell);
    started.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

/// Sets the free space that the log leaves on its disk, in bytes. `None`: a part of the disk.
pub fn keep_free(reserve: Option<u64>) {
    if let Some((_, sink)) = LOG.get() {
        sink.keep_free(reserve);
    }
}

/// Writes the remaining counts of repeated lines before the process ends.
pub fn finish() {
    if let Some((repeats, _)) = LOG.get() {
        repeats.finish();
    }
}

/// Checks a filter. tracing takes an unknown word for the name of a module and then logs nothing; this function
/// reports an error instead.
pub fn check_filter(filter: &str) -> Result<Targets, String> {
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.contains('='));
    if let Some(word) = words.find(|word| word.is_empty() || word.parse::<LevelFilter>().is_err()) {
        return Err(format!(
            "unknown log level `{word}`; use error, warn, info, debug, trace, off, or a filter like \
             info,cubecast_node=debug"
        ));
    }
    filter
        .parse()
        .map_err(|error: tracing_subscriber::filter::ParseError| format!("invalid log filter `{filter}`: {error}"))
}

/// The level above which no line can pass. Calls above it cost nothing; without it, each would ask the filter.
fn most_verbose(filter: &Targets) -> LevelFilter {
    let by_module = filter.iter().map(|(_, level)| level).max();
    by_module.max(filter.default_level()).unwrap_or(LevelFilter::OFF)
}

/// Writes a field of a text line with control characters escaped. Text from clients and neighbours can then neither
/// end the line nor control a terminal.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", visible_line(&value)),
        name => write!(writer, "{name}={}", visible_line(&value)),
    }
}

/// Writes one of core's events to the log.
pub fn event(told: &WatchEvent) {
    let node = told.node;
    let trace_id = told.trace.map(|trace| trace.0);
    match &told.event {
        Event::NodeState { subject, state: NodeState::Failed } => {
            warn!(%node, %subject, "Node {subject} failed, as reported by node {node}")
        }
        Event::NodeState { subject, state } => {
            info!(%node, %subject, "Node {subject} is now {}", state_name(*state))
        }
        Event::LinkState { from, to, up: true } => debug!(%node, "Link {from} -> {to} is up"),
        Event::LinkState { from, to, up: false } => debug!(%node, "Link {from} -> {to} is down"),
        Event::LinkConditions { from, to, conditions } => {
            info!(
                %node,
                cut = conditions.cut,
                delay_ms = conditions.delay_ms,
                jitter_ms = conditions.jitter_ms,
                loss = f64::from(conditions.loss),
                "Conditions of link {from} -> {to} changed"
            );
        }
        Event::RoleChanged { group, role: Role::Leader, term, .. } => {
            info!(%node, %group, term, "Node {node} leads group {group} in term {term}");
        }
        Event::RoleChanged { group, role, term, leader } => {
            let leader = leader.map_or("no leader yet".to_owned(), |leader| leader.to_string());
            debug!(%node, %group, term, ?role, "Group {group} is led by {leader} in term {term}");
        }
        Event::MembersChanged { group, voters, learners } => {
            info!(%node, %group, "Group {group}: voters {voters:?}, learners {learners:?}")
        }
        Event::Committed { group, index } => {
            trace!(%node, %group, index, "Group {group} is committed up to entry {index}")
        }
        Event::FrameSent { to, what, .. } => trace!(%node, %to, ?what, "Frame to {to}"),
        Event::FrameDropped { to, what, why } => trace!(%node, %to, ?what, ?why, "Frame to {to} dropped"),
        Event::RequestReceived { action, subject } => {
            debug!(%node, action, subject, trace_id, "Request: {action}{}", of(subject));
        }
        Event::RequestAnswered { action, subject, error: None, message } => {
            debug!(%node, action, subject, trace_id, "{action}{}: {message}", of(subject));
        }
        Event::RequestAnswered { action, subject, error: Some(code), message } => {
            debug!(
                %node, action, subject, error = code, trace_id,
                "{action}{} refused ({code}): {message}", of(subject)
            );
        }
        Event::ReplicaStored { topic, group, offset } => {
            debug!(%node, %topic, %group, offset = offset.0, "Node {node} stored message {offset} of {topic}");
        }
        Event::TopicCreated { topic, group } => {
            info!(%node, %topic, %group, "Node {node} stored topic {topic}")
        }
        Event::TopicDeleted { topic, group } => {
            info!(%node, %topic, %group, "Node {node} deleted topic {topic}")
        }
        Event::Delivered { topic, subscriber, offset } => {
            debug!(%node, %topic, %subscriber, offset = offset.0, "Message {offset} of {topic} pushed to {subscriber}");
        }
        Event::Stopped { mode, duration_ms } => {
            warn!(
                %node, ?mode, duration_ms,
                "Node {node} is stopped by a requested fault ({mode:?}, for {duration_ms} ms)"
            );
        }
        Event::Returned { incarnation } => info!(%node, incarnation, "Node {node} is online again"),
        Event::CaughtUp { group, applied } => {
            info!(%node, %group, applied, "Node {node} has caught up with group {group}")
        }
        Event::SnapshotProgress { group, received, total } => {
            debug!(%node, %group, received, total, "Snapshot of group {group}: {received} of {total} bytes received");
        }
        Event::OutboxStored { topic } => debug!(%node, %topic, "A publish to {topic} waits in the outbox"),
        Event::OutboxDrained { topic } => debug!(%node, %topic, "A publish to {topic} left the outbox for the log"),
        Event::Warning { text } => warn!(%node, "{text}"),
        Event::StorageState { state, free_bytes, reserve_bytes } => {
            storage_state(node, *state, *free_bytes, *reserve_bytes)
        }
    }
}

/// Logs a change of the storage state, its effect and the remedy.
fn storage_state(node: HostId, state: StorageState, free: u64, reserve: u64) {
    let (free_text, reserve_text) = (bytes(free), bytes(reserve));
    match state {
        StorageState::Ok => {
            info!(%node, free, reserve, "Node {node} has free storage again: {free_text} free. Publishes are accepted")
        }
        StorageState::Full => warn!(
            %node, free, reserve,
            "Storage of node {node} is full: {free_text} free, reserve {reserve_text}. Publishes are refused; \
             everything else works. Delete topics or free disk space"
        ),
        StorageState::Exhausted => warn!(
            %node, free, reserve,
            "Storage of node {node} is exhausted: {free_text} free; only reads, votes and deletions work. Free disk \
             space or delete topics"
        ),
    }
}

/// Logs the state in which the data folder was found.
pub fn opened(node: HostId, report: &OpenReport) {
    if report.lost_something() {
        warn!(%node, "Node {node}: {report}");
    } else {
        info!(%node, "Node {node}: {report}");
    }
}

fn of(subject: &Option<String>) -> String {
    subject.as_ref().map(|subject| format!(" {subject}")).unwrap_or_default()
}

fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Up => "up",
        NodeState::Failed => "failed",
        NodeState::Recovering => "recovering",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for filter in ["info", "off", "info,cubecast_node=debug", "warn,cubecast_node::transport=trace"] {
            check_filter(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        }
        for filter in ["verbose", "", "info,chatty", "info,cubecast_node=chatty"] {
            assert!(check_filter(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn calls_above_every_level_of_the_filter_are_skipped_without_asking_it() {
        let most = |filter| most_verbose(&check_filter(filter).unwrap());
        assert_eq!(most("info"), LevelFilter::INFO);
        assert_eq!(most("info,cubecast_node=debug"), LevelFilter::DEBUG);
        assert_eq!(most("cubecast_node=warn"), LevelFilter::WARN);
        assert_eq!(most("off"), LevelFilter::OFF);
    }

    #[test]
    fn what_a_stranger_wrote_stays_in_its_line_and_commands_no_terminal() {
        #[derive(Clone, Default)]
        struct Sink(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .finish();
        let reason = "bye\n2026-01-01T00:00:00Z  INFO forged \u{1b}[2J \u{202e}";
        tracing::subscriber::with_default(subscriber, || info!(%reason, quoted = reason, "Client closed: {reason}"));
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            !text.contains(['\u{1b}', '\u{202e}']) && text.matches("forged \\u{1b}[2J \\u{202e}").count() == 3,
            "{text}"
        );
    }
}
