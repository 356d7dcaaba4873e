//! The runtime's counters, and `/metrics`: Prometheus text from these counters and the node's status.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cubecast_core::states::{NodeState, Role, StorageState};
use cubecast_core::wire::answer::{Done, ErrorCode, Failure, GroupStatus, NodeStatus};
use cubecast_core::wire::event::{Event, WatchEvent};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use crate::storage::StorageMetrics;

pub use prometheus_text::CONTENT_TYPE;

/// Upper bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];
/// Batches whose write time is measured concurrently. Further batches are not measured.
const MEASURED_BATCHES: usize = 1024;

/// Counts since the process started. The runtime and all connections share them.
#[derive(Debug)]
pub struct Metrics {
    turns: Counter,
    inputs: Counter,
    turn_seconds: Histogram,
    write_seconds: Histogram,
    storage: Arc<StorageMetrics>,
    under_way: Mutex<VecDeque<(u64, Instant)>>,
    peer_frames_dropped: Counter,
    /// Open client connections.
    pub client_connections: Gauge,
    /// Open connections to neighbours.
    pub peer_connections: Gauge,
    /// Bytes received from clients.
    pub client_bytes_in: Counter,
    /// Bytes sent to clients.
    pub client_bytes_out: Counter,
    /// Bytes received from neighbours.
    pub peer_bytes_in: Counter,
    /// Bytes sent to neighbours.
    pub peer_bytes_out: Counter,
    /// Messages from clients that are not valid requests.
    pub bad_requests: Counter,
    /// Refused HTTP requests of foreign pages, and refused connections of neighbours.
    pub refused_handshakes: Counter,
    /// Answers by error code; index 0 counts successes.
    answers: [Counter; 1 + ErrorCode::ALL.len()],
    events: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    /// New counts that include the counts of this storage engine.
    pub fn beside(storage: Arc<StorageMetrics>) -> Metrics {
        Metrics {
            turns: Counter::default(),
            inputs: Counter::default(),
            turn_seconds: Histogram::new(BUCKETS),
            write_seconds: Histogram::new(BUCKETS),
            storage,
            under_way: Mutex::default(),
            peer_frames_dropped: Counter::default(),
            client_connections: Gauge::default(),
            peer_connections: Gauge::default(),
            client_bytes_in: Counter::default(),
            client_bytes_out: Counter::default(),
            peer_bytes_in: Counter::default(),
            peer_bytes_out: Counter::default(),
            bad_requests: Counter::default(),
            refused_handshakes: Counter::default(),
            answers: Default::default(),
            events: Mutex::default(),
        }
    }

    /// Counts a turn, its inputs and its duration.
    pub fn turn(&self, inputs: usize, took: Duration) {
        self.turns.inc();
        self.inputs.inc_by(inputs as u64);
        self.turn_seconds.observe(took.as_secs_f64());
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
            self.write_seconds.observe(since.elapsed().as_secs_f64());
        }
    }

    /// Counts frames that were dropped because a neighbour's queue was full or missing.
    pub fn peer_frames_dropped(&self, frames: usize) {
        self.peer_frames_dropped.inc_by(frames as u64);
    }

    /// Counts an answer from core to a client.
    pub fn answered(&self, result: &Result<Done, Failure>) {
        let code =
            result.as_ref().err().and_then(|failure| ErrorCode::ALL.iter().position(|code| *code == failure.code));
        self.answers[code.map_or(0, |code| code + 1)].inc();
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
        let mut page = Page(Registry::with_prefix("cubecast"));
        let is_up = status.is_some_and(|status| status.state != NodeState::Failed);
        page.gauge("up", "1 while the node serves requests", is_up.into());
        self.render_process(&mut page);
        self.render_storage(&mut page);
        if let Some(status) = status {
            render_status(&mut page, status);
        }
        page.text()
    }

    fn render_process(&self, Page(page): &mut Page) {
        page.register("turns", "Turns of the state machine", self.turns.clone());
        page.register("inputs", "Inputs processed in turns", self.inputs.clone());
        page.register("turn_seconds", "Duration of a turn", self.turn_seconds.clone());
        let help = "Time from a batch's submission until it is durable";
        page.register("write_seconds", help, self.write_seconds.clone());
        page.register("client_connections", "Open client connections", self.client_connections.clone());
        page.register("peer_connections", "Open connections to neighbours", self.peer_connections.clone());
        for (name, help, counter) in [
            ("client_bytes_received", "Bytes of messages received from clients", &self.client_bytes_in),
            ("client_bytes_sent", "Bytes of messages sent to clients", &self.client_bytes_out),
            ("peer_bytes_received", "Bytes of messages between neighbours", &self.peer_bytes_in),
            ("peer_bytes_sent", "Bytes of messages between neighbours", &self.peer_bytes_out),
            (
                "peer_frames_unsent",
                "Frames dropped without a connection or with a full queue",
                &self.peer_frames_dropped,
            ),
            ("bad_requests", "Malformed client requests", &self.bad_requests),
            ("refused_handshakes", "Refused connections", &self.refused_handshakes),
        ] {
            page.register(name, help, counter.clone());
        }
        let names = std::iter::once("ok").chain(ErrorCode::ALL.iter().map(|code| code.name()));
        let answers = names.zip(&self.answers).map(|(name, count)| (name, count.clone()));
        let help = "Answers to clients by error code; ok means no error";
        page.register("answers", help, Labelled::by("code", answers));
        let events = self.events.lock().expect("no thread panics while it holds this lock");
        let events = Labelled::by("kind", events.iter().map(|(kind, count)| (kind, ConstCounter::new(*count))));
        page.register("events", "Events by kind", events);
    }

    fn render_storage(&self, page: &mut Page) {
        let counts = self.storage.counts();
        for (name, help, value) in [
            ("storage_commits", "Writes to the journal, each of all batches that were waiting", counts.transactions),
            ("storage_batches", "Batches in these writes, one per turn", counts.batches),
            ("storage_bytes_written", "Bytes written to the file system", counts.bytes_written),
            ("storage_syncs", "File syncs", counts.syncs),
            ("storage_reads", "Reads of messages, from memory or the tables", counts.reads),
            ("storage_messages_read", "Messages returned by these reads", counts.messages_read),
        ] {
            page.counter(name, help, value);
        }
        let sync_seconds = ConstCounter::new(counts.sync_time.as_secs_f64());
        page.0.register("storage_sync_seconds", "Time spent in syncs", sync_seconds);
        let space = self.storage.space();
        for (name, help, value) in [
            ("storage_queued_bytes", "Approximate number of bytes that wait for the disk", counts.queued_bytes),
            ("storage_stored_bytes", "Bytes used by the node's files, without reusable space", space.stored),
            ("storage_free_bytes", "Free bytes of the file system", space.free),
            ("storage_reusable_bytes", "Approximate number of reusable bytes in the node's files", space.reusable),
            ("storage_reserve_bytes", "Free space in bytes below which publishes are refused", space.reserve),
        ] {
            page.gauge(name, help, value);
        }
    }
}

fn render_status(page: &mut Page, status: &NodeStatus) {
    let NodeStatus { node, version, sync, .. } = status;
    let identity = [("node", node.to_string()), ("version", version.clone()), ("sync", sync.clone())];
    page.0.register("node", "Identity of this node", Info::new(identity));
    let counters = &status.counters;
    for (name, help, value) in [
        ("requests", "Requests from clients", counters.requests),
        ("publishes", "Publishes accepted", counters.publishes),
        ("deliveries", "Messages pushed to subscribers", counters.deliveries),
        ("frames_sent", "Frames sent to neighbours", counters.frames_sent),
        ("frames_received", "Frames received from neighbours", counters.frames_received),
        ("frames_forwarded", "Packets forwarded for other nodes", counters.frames_forwarded),
        ("frames_dropped", "Frames dropped by faults or full queues", counters.frames_dropped),
        (
            "frames_altered",
            "Messages from other nodes that were altered in transit and dropped",
            counters.frames_altered,
        ),
        ("messages_damaged", "Runs of stored messages found damaged on this node's disk", counters.damaged),
        ("messages_repaired", "Damaged runs of messages restored from another member", counters.repaired),
        ("elections", "Elections started by this node", counters.elections),
    ] {
        page.counter(name, help, value);
    }
    let states = [StorageState::Ok, StorageState::Full, StorageState::Exhausted];
    let states = states.map(|state| (state, u64::from(status.storage.state == state)));
    page.gauges("storage_state", "Storage state: 1 for the current state", "state", states);
    page.gauge("outbox", "Publishes that wait for a leader", counters.outbox);
    page.gauge("uptime_seconds", "Seconds since the process started", status.uptime_ms / 1000);
    render_groups(page, status);
    render_links(page, status);
}

fn render_groups(page: &mut Page, status: &NodeStatus) {
    type Column = (&'static str, &'static str, fn(&GroupStatus) -> u64);
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
        page.gauges(name, help, "group", status.groups.iter().map(|group| (group.home, value(group))));
    }
}

fn render_links(page: &mut Page, status: &NodeStatus) {
    let hears = status.links.iter().map(|link| (link.to, u64::from(link.hears)));
    page.gauges("link_hears", "1 while frames from the neighbour arrive", "to", hears);
    let round_trips = status.links.iter().filter_map(|link| Some((link.to, link.round_trip_us? as f64 / 1e6)));
    page.gauges("link_round_trip_seconds", "Smoothed round-trip time", "to", round_trips);
}

/// The page for Prometheus under construction.
struct Page(Registry);

impl Page {
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.0.register(name, help, ConstCounter::new(value));
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.0.register(name, help, ConstGauge::new(value));
    }

    /// Gauges of one name, each with its value of this label.
    fn gauges<T>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        gauges: impl IntoIterator<Item = (impl ToString, T)>,
    ) where
        ConstGauge<T>: EncodeMetric + fmt::Debug + Send + Sync + 'static,
    {
        let gauges = gauges.into_iter().map(|(value, gauge)| (value, ConstGauge::new(gauge)));
        self.0.register(name, help, Labelled::by(label, gauges));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.0).expect("a string takes everything");
        text
    }
}

/// Metrics of one name that differ in the value of a label, in a fixed order.
#[derive(Debug)]
struct Labelled<M> {
    label: &'static str,
    metrics: Vec<(String, M)>,
}

impl<M> Labelled<M> {
    fn by(label: &'static str, metrics: impl IntoIterator<Item = (impl ToString, M)>) -> Labelled<M> {
        Labelled { label, metrics: metrics.into_iter().map(|(value, metric)| (value.to_string(), metric)).collect() }
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Labelled<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.metrics
            .iter()
            .try_for_each(|(value, metric)| metric.encode(encoder.encode_family(&[(self.label, value.as_str())])?))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::store::{Write, WriteBatch};

    use super::*;
    use crate::storage::{FolderIdentity, LogStore as _, RedbStore, SyncMode};

    #[test]
    fn a_write_is_measured_from_its_submission_until_a_later_number_covers_it() {
        let metrics = Metrics::beside(Arc::default());
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
        let identity = FolderIdentity::new("test", "010".parse().unwrap(), Dimension::new(3).unwrap());
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
    fn a_duration_is_counted_in_each_bucket_that_it_fits() {
        let metrics = Metrics::beside(Arc::default());
        metrics.turn(3, Duration::from_micros(300));
        metrics.turn(1, Duration::from_secs(60));
        let page = metrics.render(None);
        let turns: Vec<_> = page.lines().filter(|line| line.contains("cubecast_turn_seconds")).collect();
        assert_eq!(
            turns,
            [
                "# HELP cubecast_turn_seconds Duration of a turn.",
                "# TYPE cubecast_turn_seconds histogram",
                "cubecast_turn_seconds_bucket{le=\"0.0001\"} 0",
                "cubecast_turn_seconds_bucket{le=\"0.0005\"} 1",
                "cubecast_turn_seconds_bucket{le=\"0.001\"} 1",
                "cubecast_turn_seconds_bucket{le=\"0.0025\"} 1",
                "cubecast_turn_seconds_bucket{le=\"0.005\"} 1",
                "cubecast_turn_seconds_bucket{le=\"0.01\"} 1",
                "cubecast_turn_seconds_bucket{le=\"0.025\"} 1",
                "cubecast_turn_seconds_bucket{le=\"0.1\"} 1",
                "cubecast_turn_seconds_bucket{le=\"0.5\"} 1",
                "cubecast_turn_seconds_bucket{le=\"2.5\"} 1",
                "cubecast_turn_seconds_bucket{le=\"+Inf\"} 2",
                "cubecast_turn_seconds_sum 60.0003",
                "cubecast_turn_seconds_count 2",
            ]
        );
        let counted = "# TYPE cubecast_inputs_total counter\ncubecast_inputs_total 4\n";
        assert!(page.contains(counted) && page.contains("\ncubecast_answers_total{code=\"ok\"} 0\n"), "{page}");
    }
}
