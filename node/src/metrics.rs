//! The runtime's counters, and `/metrics`: Prometheus text from these counters and the node's status.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cubecast_core::states::{NodeState, Role, StorageState};
use cubecast_core::wire::answer::{Done, ErrorCode, Failure, NodeStatus};
use cubecast_core::wire::event::{Event, WatchEvent};

use crate::storage::StorageMetrics;

/// Upper bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];
/// Batches whose write time is measured concurrently. Further batches are not measured.
const MEASURED_BATCHES: usize = 1024;

/// Counts since the process started. The runtime and all connections share them.
#[derive(Debug, Default)]
pub struct Metrics {
    turns: AtomicU64,
    inputs: AtomicU64,
    turn_seconds: Histogram,
    write_seconds: Histogram,
    storage: Arc<StorageMetrics>,
    under_way: Mutex<VecDeque<(u64, Instant)>>,
    peer_frames_dropped: AtomicU64,
    /// Open client connections.
    pub client_connections: AtomicI64,
    /// Open connections to neighbours.
    pub peer_connections: AtomicI64,
    /// Bytes received from clients.
    pub client_bytes_in: AtomicU64,
    /// Bytes sent to clients.
    pub client_bytes_out: AtomicU64,
    /// Bytes received from neighbours.
    pub peer_bytes_in: AtomicU64,
    /// Bytes sent to neighbours.
    pub peer_bytes_out: AtomicU64,
    /// Messages from clients that are not valid requests.
    pub bad_requests: AtomicU64,
    /// Refused HTTP requests of foreign pages, and refused connections of neighbours.
    pub refused_handshakes: AtomicU64,
    /// Answers by error code; index 0 counts successes.
    answers: [AtomicU64; 1 + ErrorCode::ALL.len()],
    events: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Metrics {
    /// New counts that include the counts of this storage engine.
    pub fn beside(storage: Arc<StorageMetrics>) -> Metrics {
        Metrics { storage, ..Metrics::default() }
    }

    /// Counts a turn, its inputs and its duration.
    pub fn turn(&self, inputs: usize, took: Duration) {
        self.turns.fetch_add(1, Relaxed);
        self.inputs.fetch_add(inputs as u64, Relaxed);
        self.turn_seconds.record(took);
    }

    /// Starts measuring the write time of a batch.
    pub fn submitted(&self, number: u64) {
        let mut under_way = self.under_way.lock().expect("no thread panics while it holds this lock");
        if under_way.len() < MEASURED_BATCHES {
            under_way.push_back((number, Instant::now()));
        }
    }

    /// Records the write times of all batches up to this number: they are durable.
    pub fn written(&self, number: u64) {
        let mut under_way = self.under_way.lock().expect("no thread panics while it holds this lock");
        while let Some((_, since)) = under_way.pop_front_if(|(submitted, _)| *submitted <= number) {
            self.write_seconds.record(since.elapsed());
        }
    }

    /// Counts frames that were dropped because a neighbour's queue was full or missing.
    pub fn peer_frames_dropped(&self, frames: usize) {
        self.peer_frames_dropped.fetch_add(frames as u64, Relaxed);
    }

    /// Counts an answer from core to a client.
    pub fn answered(&self, result: &Result<Done, Failure>) {
        let code =
            result.as_ref().err().and_then(|failure| ErrorCode::ALL.iter().position(|code| *code == failure.code));
        self.answers[code.map_or(0, |code| code + 1)].fetch_add(1, Relaxed);
    }

    /// Counts an event by its kind.
    pub fn observe(&self, event: &WatchEvent) {
        let kind = match &event.event {
            Event::RoleChanged { .. } => "role_changed",
            Event::MembersChanged { .. } => "members_changed",
            Event::LinkState { .. } => "link_state",
            Event::NodeState { .. } => "node_state",
            Event::TopicCreated { .. } => "topic_created",
            Event::TopicDeleted { .. } => "topic_deleted",
            Event::Stopped { .. } => "stopped",
            Event::Returned { .. } => "returned",
            Event::CaughtUp { .. } => "caught_up",
            Event::Warning { .. } => "warning",
            Event::StorageState { .. } => "storage_state",
            _ => return,
        };
        *self.events.lock().expect("no thread panics while it holds this lock").entry(kind).or_default() += 1;
    }

    /// The page for Prometheus. Without a status (the node is failing) it has only the process's counts.
    pub fn render(&self, status: Option<&NodeStatus>) -> String {
        let mut page = Page::default();
        page.gauge(
            "up",
            "1 while the node serves requests",
            u64::from(status.is_some_and(|s| s.state != NodeState::Failed)),
        );
        self.render_process(&mut page);
        self.render_storage(&mut page);
        if let Some(status) = status {
            render_status(&mut page, status);
        }
        page.text
    }

    fn render_storage(&self, page: &mut Page) {
        let counts = self.storage.counts();
        for (name, help, value) in [
            (
                "storage_commits_total",
                "Writes to the journal, each of all batches that were waiting",
                counts.transactions,
            ),
            ("storage_batches_total", "Batches in these writes, one per turn", counts.batches),
            ("storage_bytes_written_total", "Bytes written to the file system", counts.bytes_written),
            ("storage_syncs_total", "File syncs", counts.syncs),
            ("storage_reads_total", "Reads of messages, from memory or the tables", counts.reads),
            ("storage_messages_read_total", "Messages returned by these reads", counts.messages_read),
        ] {
            page.counter(name, help, value);
        }
        page.head("storage_sync_seconds_total", "Time spent in syncs", "counter");
        page.line("storage_sync_seconds_total", &counts.sync_time.as_secs_f64());
        page.gauge("storage_queued_bytes", "Approximate number of bytes that wait for the disk", counts.queued_bytes);
        let space = self.storage.space();
        for (name, help, value) in [
            ("storage_stored_bytes", "Bytes used by the node's files, without reusable space", space.stored),
            ("storage_free_bytes", "Free bytes of the file system", space.free),
            ("storage_reusable_bytes", "Approximate number of reusable bytes in the node's files", space.reusable),
            ("storage_reserve_bytes", "Free space in bytes below which publishes are refused", space.reserve),
        ] {
            page.gauge(name, help, value);
        }
    }

    fn render_process(&self, page: &mut Page) {
        page.counter("turns_total", "Turns of the state machine", self.turns.load(Relaxed));
        page.counter("inputs_total", "Inputs processed in turns", self.inputs.load(Relaxed));
        page.histogram("turn_seconds", "Duration of a turn", &self.turn_seconds);
        page.histogram("write_seconds", "Time from a batch's submission until it is durable", &self.write_seconds);
        page.gauge(
            "client_connections",
            "Open client connections",
            self.client_connections.load(Relaxed).max(0) as u64,
        );
        page.gauge(
            "peer_connections",
            "Open connections to neighbours",
            self.peer_connections.load(Relaxed).max(0) as u64,
        );
        page.counter(
            "client_bytes_received_total",
            "Bytes of messages received from clients",
            self.client_bytes_in.load(Relaxed),
        );
        page.counter(
            "client_bytes_sent_total",
            "Bytes of messages sent to clients",
            self.client_bytes_out.load(Relaxed),
        );
        page.counter(
            "peer_bytes_received_total",
            "Bytes of messages between neighbours",
            self.peer_bytes_in.load(Relaxed),
        );
        page.counter(
            "peer_bytes_sent_total",
            "Bytes of messages between neighbours",
            self.peer_bytes_out.load(Relaxed),
        );
        page.counter(
            "peer_frames_unsent_total",
            "Frames dropped without a connection or with a full queue",
            self.peer_frames_dropped.load(Relaxed),
        );
        page.counter("bad_requests_total", "Malformed client requests", self.bad_requests.load(Relaxed));
        page.counter("refused_handshakes_total", "Refused connections", self.refused_handshakes.load(Relaxed));
        page.head("answers_total", "Answers to clients by error code; ok means no error", "counter");
        let names = std::iter::once("ok").chain(ErrorCode::ALL.iter().map(|code| code.name()));
        for (name, count) in names.zip(&self.answers) {
            page.line(&format!("answers_total{{code=\"{name}\"}}"), &count.load(Relaxed));
        }
        page.head("events_total", "Events by kind", "counter");
        for (kind, count) in &*self.events.lock().expect("no thread panics while it holds this lock") {
            page.line(&format!("events_total{{kind=\"{kind}\"}}"), count);
        }
    }
}

fn render_status(page: &mut Page, status: &NodeStatus) {
    page.head("node_info", "Identity of this node", "gauge");
    let (node, version, sync) = (status.node, &status.version, &status.sync);
    page.line(&format!("node_info{{node=\"{node}\",version=\"{version}\",sync=\"{sync}\"}}"), &1);
    let counters = &status.counters;
    for (name, help, value) in [
        ("requests_total", "Requests from clients", counters.requests),
        ("publishes_total", "Publishes accepted", counters.publishes),
        ("deliveries_total", "Messages pushed to subscribers", counters.deliveries),
        ("frames_sent_total", "Frames sent to neighbours", counters.frames_sent),
        ("frames_received_total", "Frames received from neighbours", counters.frames_received),
        ("frames_forwarded_total", "Packets forwarded for other nodes", counters.frames_forwarded),
        ("frames_dropped_total", "Frames dropped by faults or full queues", counters.frames_dropped),
        (
            "frames_altered_total",
            "Messages from other nodes that were altered in transit and dropped",
            counters.frames_altered,
        ),
        ("messages_damaged_total", "Runs of stored messages found damaged on this node's disk", counters.damaged),
        ("messages_repaired_total", "Damaged runs of messages restored from another member", counters.repaired),
        ("elections_total", "Elections started by this node", counters.elections),
    ] {
        page.counter(name, help, value);
    }
    page.head("storage_state", "Storage state: 1 for the current state", "gauge");
    for state in [StorageState::Ok, StorageState::Full, StorageState::Exhausted] {
        page.line(&format!("storage_state{{state=\"{state}\"}}"), &u64::from(status.storage.state == state));
    }
    page.gauge("outbox", "Publishes that wait for a leader", counters.outbox);
    page.gauge("uptime_seconds", "Seconds since the process started", status.uptime_ms / 1000);
    render_groups(page, status);
    render_links(page, status);
}

fn render_groups(page: &mut Page, status: &NodeStatus) {
    type Column = (&'static str, &'static str, fn(&cubecast_core::wire::answer::GroupStatus) -> u64);
    let columns: [Column; 8] = [
        ("group_usable", "1 if the group accepts publishes, as seen by this node", |g| u64::from(g.usable)),
        ("group_leader", "1 if this node leads the group", |g| u64::from(g.role == Role::Leader)),
        ("group_term", "Current term of the group", |g| g.term),
        ("group_commit_index", "Index of the last committed log entry", |g| g.commit_index),
        ("group_applied_index", "Index of the last applied log entry", |g| g.applied_index),
        ("group_log_bytes", "Bytes of the retained log", |g| g.log_bytes),
        ("group_topics", "Topics in this replica", |g| g.topics),
        ("group_messages", "Messages in this replica", |g| g.messages),
    ];
    for (name, help, value) in columns {
        page.head(name, help, "gauge");
        for group in &status.groups {
            page.line(&format!("{name}{{group=\"{}\"}}", group.home), &value(group));
        }
    }
}

fn render_links(page: &mut Page, status: &NodeStatus) {
    page.head("link_hears", "1 while frames from the neighbour arrive", "gauge");
    for link in &status.links {
        page.line(&format!("link_hears{{to=\"{}\"}}", link.to), &u64::from(link.hears));
    }
    page.head("link_round_trip_seconds", "Smoothed round-trip time", "gauge");
    for link in &status.links {
        if let Some(us) = link.round_trip_us {
            page.line(&format!("link_round_trip_seconds{{to=\"{}\"}}", link.to), &(us as f64 / 1e6));
        }
    }
}

impl Histogram {
    fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            if seconds <= *bound {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.count.fetch_add(1, Relaxed);
        self.sum_us.fetch_add(took.as_micros() as u64, Relaxed);
    }
}

/// Prometheus text under construction. Every name gets the prefix `cubecast_`.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.text, "# HELP cubecast_{name} {help}\n# TYPE cubecast_{name} {kind}");
    }

    fn line(&mut self, name: &str, value: &dyn std::fmt::Display) {
        let _ = writeln!(self.text, "cubecast_{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(name, &value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(name, &value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, help, "histogram");
        for (bound, bucket) in BUCKETS.iter().zip(&histogram.buckets) {
            self.line(&format!("{name}_bucket{{le=\"{bound}\"}}"), &bucket.load(Relaxed));
        }
        let count = histogram.count.load(Relaxed);
        self.line(&format!("{name}_bucket{{le=\"+Inf\"}}"), &count);
        self.line(&format!("{name}_sum"), &(histogram.sum_us.load(Relaxed) as f64 / 1e6));
        self.line(&format!("{name}_count"), &count);
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::store::{Write, WriteBatch};

    use super::*;
    use crate::storage::{FolderIdentity, LogStore as _, RedbStore, SyncMode};

    #[test]
    fn a_write_is_measured_from_its_submission_until_a_later_number_covers_it() {
        let metrics = Metrics::default();
        metrics.submitted(1);
        metrics.submitted(2);
        metrics.submitted(3);
        metrics.written(2);
        let page = metrics.render(None);
        assert!(page.contains("cubecast_write_seconds_count 2\n"), "{page}");
        assert!(page.contains("cubecast_up 0\n"), "{page}");
    }

    #[test]
    fn what_the_disk_does_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let identity = FolderIdentity::new("test", "010".parse().unwrap());
        let (mut store, ..) = RedbStore::open(folder.path(), &identity, SyncMode::Always).unwrap();
        let metrics = Metrics::beside(store.metrics());
        let told = |name: &str| {
            let page = metrics.render(None);
            let line = page.lines().find_map(|line| line.strip_prefix(&format!("cubecast_storage_{name} ")));
            line.unwrap_or_else(|| panic!("no {name} in {page}")).parse::<f64>().unwrap()
        };
        let names = ["commits_total", "batches_total", "syncs_total", "bytes_written_total"];
        let before = names.map(&told);
        let batch = |number| WriteBatch { number, writes: vec![Write::OutboxRemove { id: number }] };
        store.write(vec![batch(1), batch(2)]).unwrap();
        let [commits, batches, syncs, bytes] = std::array::from_fn(|at| told(names[at]) - before[at]);
        assert_eq!((commits, batches, syncs), (1.0, 2.0, 1.0));
        assert!(bytes > 0.0, "{bytes} bytes");
        assert!(told("sync_seconds_total") < 60.0, "seconds, not microseconds");
        assert_eq!((told("reads_total"), told("queued_bytes")), (0.0, 0.0));
    }

    #[test]
    fn buckets_are_cumulative() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_micros(300));
        histogram.record(Duration::from_secs(60));
        let counts: Vec<_> = histogram.buckets.iter().map(|b| b.load(Relaxed)).collect();
        assert_eq!(counts, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(histogram.count.load(Relaxed), 2);
    }
}
