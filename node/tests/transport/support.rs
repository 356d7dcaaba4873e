//! A node with a fake machine and a fake disk, and clients for the tests.

use std::collections::VecDeque;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::io::{Dismissal, Effect, Input};
use cubecast_core::names::{Offset, PublisherId, TopicName};
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Obstacle, Role};
use cubecast_core::time::{Instant, Now, Timestamp};
use cubecast_core::wire::answer::{
    Answer, Counters, Done, ErrorCode, GroupStatus, Message as Stored, NodeStatus, ServerFrame, StorageStatus,
};
use cubecast_core::wire::client::{Action, Admin, Query, Read, Request, Write};
use cubecast_core::wire::limits::Limits as ContentLimits;
use cubecast_core::wire::peer::PeerFrame;
use cubecast_node::codec::Rules;
use cubecast_node::dashboard::Dashboard;
use cubecast_node::failure::Failure;
use cubecast_node::process::{Settings, serve};
use cubecast_node::recording::folder::RecordingFolder;
use cubecast_node::runtime::clock::Clock;
use cubecast_node::runtime::disk::{Disk, DiskFailed, DiskWork};
use cubecast_node::runtime::machine::Machine;
use cubecast_node::storage::StorageMetrics;
use cubecast_node::transport::handshake::{Credentials, Secret};
use cubecast_node::transport::origin::OriginRules;
use cubecast_node::transport::{Limits, Socket};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A test fails if an awaited event does not occur within this time.
const GUARD: Duration = Duration::from_secs(30);

/// Waits for `step`; panics after a time limit.
pub async fn in_time<T>(what: &str, step: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, step).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A node from its bits.
pub fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

/// Credentials with the tests' secret.
pub fn credentials(text: &str, instance: u64) -> Credentials {
    let (node, secret) = (host(text), secret("the secret of the tests"));
    Credentials { cluster: "test".into(), node, seating: Seating::founded_by(node), instance, secret }
}

/// A secret with this text.
pub fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).unwrap()
}

/// Performs the following effect for each action at once, and reports all inputs to the test.
///
/// | action | effect |
/// |---|---|
/// | status | a status |
/// | pull, max = n | one message of n KiB |
/// | stop_node, recover_node | neighbours are refused, or accepted |
/// | set_link to x | a ping to x |
/// | topics | no answer |
/// | delete_topic | the client is dismissed, as by a requested crash |
/// | any other | `Watching` |
struct FakeMachine {
    me: HostId,
    failed: bool,
    /// Whether each of the node's groups is usable, for its status.
    usable: Vec<bool>,
    told: mpsc::UnboundedSender<Input>,
}

impl Machine for FakeMachine {
    fn handle(&mut self, _: Now, inputs: Vec<Input>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for input in inputs {
            if let Input::ClientRequest { connection, request } = &input {
                let (connection, id) = (*connection, request.id.clone());
                if matches!(request.action, Action::Write(Write::DeleteTopic { .. })) {
                    let reason = "crashed by a requested fault".into();
                    effects.push(Effect::CloseClient { connection, why: Dismissal::NodeFails, reason });
                } else if let Some(result) = self.answer(request, &mut effects) {
                    let answer = Answer { id, served_by: self.me, hops: None, result };
                    effects.push(Effect::SendClient { connection, frame: ServerFrame::Answer(answer) });
                }
            }
            // A test that has seen enough has dropped its end.
            let _ = self.told.send(input);
        }
        effects
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

impl FakeMachine {
    fn answer(
        &mut self,
        request: &Request,
        effects: &mut Vec<Effect>,
    ) -> Option<Result<Done, cubecast_core::wire::answer::Failure>> {
        match &request.action {
            Action::Admin(Admin::Status { .. }) if self.failed => {
                return Some(Err(ErrorCode::NodeFailed.because("failing")));
            }
            Action::Admin(Admin::Status { .. }) => return Some(Ok(Done::Status(Box::new(self.status())))),
            Action::Read(Read::Pull { topic, max, .. }) => return Some(Ok(one_message(topic, *max))),
            Action::Query(Query::Topics) => return None,
            Action::Admin(Admin::StopNode { .. } | Admin::RecoverNode { .. }) => {
                self.failed = matches!(request.action, Action::Admin(Admin::StopNode { .. }));
                effects.push(Effect::SetPeersAllowed(!self.failed));
            }
            Action::Admin(Admin::SetLink { to, conditions, .. }) => {
                effects.push(Effect::SendPeer { to: *to, frame: ping(conditions.delay_ms.into()) });
            }
            _ => {}
        }
        Some(Ok(Done::Watching))
    }

    fn status(&self) -> NodeStatus {
        NodeStatus {
            node: self.me,
            incarnation: 1,
            state: NodeState::Up,
            version: "0.0.0".into(),
            sync: "never".into(),
            uptime_ms: 1,
            faults_allowed: true,
            storage: StorageStatus::default(),
            groups: self.usable.iter().map(|usable| group(self.me, *usable)).collect(),
            links: Vec::new(),
            counters: Counters::default(),
        }
    }
}

fn group(host: HostId, usable: bool) -> GroupStatus {
    let seating = Seating::founded_by(host);
    GroupStatus {
        home: seating.vertex_of(host).unwrap(),
        role: Role::Follower,
        term: 1,
        leader: None,
        usable,
        obstacle: (!usable).then_some(Obstacle::NoQuorum),
        voters_up: 1 + u32::from(usable),
        voters_needed: 2,
        voters: seating.neighbours(host).chain([host]).collect(),
        learners: Vec::new(),
        last_index: 0,
        commit_index: 0,
        applied_index: 0,
        log_entries: 0,
        log_bytes: 0,
        topics: 0,
        messages: 0,
    }
}

fn one_message(topic: &TopicName, kib: u32) -> Done {
    let content = "x".repeat(kib as usize * 1024).into();
    let message = Stored { offset: Offset(0), publisher: PublisherId::new("p").unwrap(), content, time: Timestamp(0) };
    Done::Pulled {
        topic: topic.clone(),
        messages: vec![message],
        cursor: Offset(1),
        end: Offset(1),
        behind: None,
        original_node: None,
    }
}

/// A ping with this number.
pub fn ping(number: u64) -> PeerFrame {
    PeerFrame::Ping { sent_us: number, link_states_digest: 0 }
}

#[derive(Default)]
struct FakeDisk {
    done: VecDeque<Input>,
}

impl Disk for FakeDisk {
    fn submit(&mut self, work: DiskWork) {
        if let DiskWork::Write(batch) = work {
            self.done.push_back(Input::Written { number: batch.number });
        }
    }

    async fn next(&mut self) -> Result<Input, DiskFailed> {
        match self.done.pop_front() {
            Some(input) => Ok(input),
            None => pending().await,
        }
    }

    fn take(&mut self) -> Option<Result<Input, DiskFailed>> {
        self.done.pop_front().map(Ok)
    }

    fn is_behind(&self) -> bool {
        false
    }

    fn metrics(&self) -> Arc<StorageMetrics> {
        Arc::default()
    }

    fn close(self) -> Result<(), DiskFailed> {
        Ok(())
    }
}

/// A node under test.
pub struct TestNode {
    /// Its name.
    pub node: HostId,
    /// Its `HOST:PORT`.
    pub address: String,
    /// The inputs of its machine.
    pub told: mpsc::UnboundedReceiver<Input>,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), Failure>>,
}

/// The settings in which the tests' nodes differ.
pub struct Options {
    /// The node's identity.
    pub credentials: Credentials,
    /// Limits of the transport.
    pub limits: Limits,
    /// The source of the dashboard's files.
    pub dashboard: Dashboard,
    /// The addresses of the neighbours that the node is to dial.
    pub neighbours: Vec<(HostId, String)>,
    /// Origins that may connect.
    pub allow_origin: Vec<String>,
    /// Whether each of the node's groups accepts publishes.
    pub usable: Vec<bool>,
}

impl Options {
    /// The default options of the node with this name.
    pub fn of(name: &str) -> Options {
        Options {
            credentials: credentials(name, 1000 + u64::from(host(name).number())),
            limits: Limits::default(),
            dashboard: Dashboard::Off,
            neighbours: Vec::new(),
            allow_origin: Vec::new(),
            usable: vec![true, true],
        }
    }
}

/// Starts a node on a free port.
pub async fn start(options: Options) -> TestNode {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    start_on(listener, options)
}

/// Starts a node on this listener.
pub fn start_on(listener: TcpListener, options: Options) -> TestNode {
    let me = options.credentials.node;
    let seating = options.credentials.seating.clone();
    let address = listener.local_addr().unwrap().to_string();
    // Nothing listens at this address, so dialing it fails at once.
    let mut addresses = vec!["127.0.0.1:1".to_owned(); seating.hosts().len()];
    for (peer, address) in options.neighbours {
        addresses[seating.index_of(peer).unwrap()] = address;
    }
    let (tell, told) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let settings = Settings {
        credentials: options.credentials,
        addresses,
        limits: options.limits,
        rules: Rules { limits: ContentLimits::default(), seating },
        origins: OriginRules { allowed: options.allow_origin, own_hosts: Vec::new() },
        dashboard: options.dashboard,
        recordings: RecordingFolder::of(Path::new("no folder")),
    };
    let machine = FakeMachine { me, failed: false, usable: options.usable, told: tell };
    let running = tokio::spawn(serve(machine, FakeDisk::default(), Clock::start(), settings, listener, stopped));
    TestNode { node: me, address, told, stop, running }
}

impl TestNode {
    /// The next input for which `wanted` holds.
    pub async fn sees(&mut self, what: &str, wanted: impl Fn(&Input) -> bool) -> Input {
        in_time(what, async {
            loop {
                let input = self.told.recv().await.expect("the node ended");
                if wanted(&input) {
                    return input;
                }
            }
        })
        .await
    }

    /// The inputs about neighbours so far, as short words.
    pub fn peer_history(&mut self) -> Vec<String> {
        let mut history = Vec::new();
        while let Ok(input) = self.told.try_recv() {
            match input {
                Input::PeerConnected { peer } => history.push(format!("+{peer}")),
                Input::PeerDisconnected { peer } => history.push(format!("-{peer}")),
                Input::PeerFrame { from, frame: PeerFrame::Ping { sent_us, .. } } => {
                    history.push(format!("{from}:{sent_us}"))
                }
                _ => {}
            }
        }
        history
    }

    /// A new client of the node.
    pub async fn client(&self) -> Client {
        let mut client = Client { socket: open(&self.address, &[]).await.unwrap() };
        assert_eq!(client.ask(r#"{"id": "hello", "action": "cluster"}"#).await["ok"], true);
        client
    }

    /// Stops the node and waits for it.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        in_time("the node's end", self.running).await.unwrap()
    }

    /// Tells the node to stop.
    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Opens a WebSocket to a node, with additional headers.
pub async fn open(address: &str, headers: &[(&'static str, &str)]) -> Result<Socket, String> {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let opened = in_time("the WebSocket handshake", client_async_with_config(request, stream, Some(config))).await;
    opened.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

/// A client that uses JSON.
pub struct Client {
    /// The client's WebSocket.
    pub socket: Socket,
}

impl Client {
    /// Sends a text message.
    pub async fn send(&mut self, text: &str) {
        in_time("a place in the socket", self.socket.send(Message::text(text))).await.unwrap();
    }

    /// The next message.
    pub async fn next(&mut self) -> Message {
        in_time("a message", self.socket.next()).await.expect("the socket is open").unwrap()
    }

    /// Sends a text message and returns the answer.
    pub async fn ask(&mut self, text: &str) -> Value {
        self.send(text).await;
        serde_json::from_str(self.next().await.to_text().unwrap()).unwrap()
    }

    /// Reads until the close frame. Returns its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        in_time("the close frame", async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                    Some(Ok(_)) => {}
                    other => panic!("expected a close frame, got {other:?}"),
                }
            }
        })
        .await
    }
}
