//! The client over real sockets, against fake nodes.

use std::time::Duration;

use cubecast_core::client::{ClientInput, SocketId};
use cubecast_core::cube::Dimension;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::seating::Seating;
use cubecast_core::states::NodeState;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::{Answer, Delivery, ErrorCode, Message as Stored, NodeView, ServerFrame};
use cubecast_core::wire::binary;
use cubecast_core::wire::client::{Local, Request, Write};
use cubecast_core::wire::limits::Limits;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::*;

/// Longer than any passing test takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Listens for both nodes of a cube of dimension 1 at one address.
struct Fake {
    listener: TcpListener,
    address: String,
}

impl Fake {
    async fn new() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Fake { listener, address }
    }

    fn client(&self) -> CubecastClient {
        CubecastClient::connect(std::slice::from_ref(&self.address))
    }

    /// The next connection.
    async fn accept(&self) -> Connection {
        let (stream, _) = self.listener.accept().await.unwrap();
        Connection { socket: tokio_tungstenite::accept_async(stream).await.unwrap(), address: self.address.clone() }
    }
}

struct Connection {
    socket: tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>,
    address: String,
}

impl Connection {
    /// The next request, except questions about the cluster, which are answered here. `None`: the client left.
    async fn request(&mut self) -> Option<Request> {
        loop {
            let Some(Ok(Message::Binary(bytes))) = self.socket.next().await else { return None };
            let seating = Seating::founding(Dimension::new(1).unwrap());
            for request in binary::decode_requests(&bytes, &Limits::default(), &seating) {
                let request = request.expect("the client sends what nodes take");
                if request.action != Action::Local(Local::Cluster) {
                    return Some(request);
                }
                let view = self.cluster();
                self.answer(&request, Ok(Done::Cluster(view))).await;
            }
        }
    }

    async fn answer(&mut self, request: &Request, result: Result<Done, cubecast_core::wire::answer::Failure>) {
        let served_by = "0".parse().unwrap();
        self.send(ServerFrame::Answer(Answer { id: request.id.clone(), served_by, hops: None, result })).await;
    }

    async fn send(&mut self, frame: ServerFrame) {
        self.socket.send(Message::Binary(binary::encode_server_frames(&[frame]).into())).await.unwrap();
    }

    fn cluster(&self) -> ClusterView {
        let dimension = Dimension::new(1).unwrap();
        let (state, address) = (NodeState::Up, self.address.clone());
        let node = |node| NodeView { node, address: address.clone(), state, incarnation: 1, leads: vec![] };
        ClusterView { dimension, nodes: Seating::founding(dimension).hosts().map(node).collect(), links: vec![] }
    }
}

fn named<T: std::str::FromStr>(name: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    name.parse().unwrap()
}

fn published(offset: u64) -> Done {
    Done::Published { topic: named("news"), offset: Some(Offset(offset)), replicas: vec![], repeated: false }
}

#[tokio::test]
async fn a_publish_is_sent_again_under_the_same_number_when_its_connection_breaks() {
    let fake = Fake::new().await;
    let client = fake.client();
    let (publisher, topic) = (named("p"), named("news"));
    let publishing = client.publish(&publisher, &topic, "a", Ack::Quorum);
    let serving = async {
        let mut numbers = Vec::new();
        loop {
            let mut connection = fake.accept().await;
            let Some(request) = connection.request().await else { continue };
            let Action::Write(Write::Publish { sequence, .. }) = &request.action else { panic!("{request:?}") };
            numbers.push(*sequence);
            // The first request is not answered: its connection breaks.
            if numbers.len() == 2 {
                connection.answer(&request, Ok(published(7))).await;
                return (numbers, connection);
            }
        }
    };
    let (answered, (numbers, _connection)) =
        tokio::time::timeout(PATIENCE, futures_util::future::join(publishing, serving)).await.unwrap();
    assert_eq!(answered.unwrap().value.offset, Some(Offset(7)));
    assert_eq!(numbers[0], numbers[1]);
}

#[tokio::test]
async fn a_listener_that_does_not_read_stops_its_own_socket_and_no_other() {
    let fake = Fake::new().await;
    let client = fake.client();
    let (sent, mut stuck) = mpsc::unbounded_channel();
    let serving = tokio::spawn(async move {
        loop {
            let connection = fake.accept().await;
            tokio::spawn(serve_flood(connection, sent.clone()));
        }
    });
    let story = async {
        let mut deliveries = client.listen(&named("s"), &named("news"), None).await.unwrap().value;
        assert_eq!(stuck.recv().await, Some(()), "the node could not send on");
        let publish = client.publish(&named("p"), &named("news"), "a", Ack::Quorum).await;
        assert!(publish.is_ok(), "{publish:?}");
        for offset in 0..20_000 {
            assert_eq!(deliveries.next().await.unwrap().unwrap().offset, Offset(offset));
        }
    };
    tokio::time::timeout(PATIENCE, story).await.unwrap();
    serving.abort();
}

/// Answers publishes, sends a flood to subscribers, and reports when the client no longer reads.
async fn serve_flood(mut connection: Connection, stuck: mpsc::UnboundedSender<()>) {
    while let Some(request) = connection.request().await {
        if !matches!(request.action, Action::Write(Write::Subscribe { .. })) {
            connection.answer(&request, Ok(published(0))).await;
            continue;
        }
        let subscribed =
            Done::Subscribed { topic: named("news"), topic_id: TopicId(0), cursor: Offset(0), original_node: None };
        connection.answer(&request, Ok(subscribed)).await;
        for offset in 0..20_000 {
            let mut sending = std::pin::pin!(connection.send(ServerFrame::Message(large_delivery(offset))));
            // If sending blocks this long, the client has stopped reading.
            if tokio::time::timeout(Duration::from_millis(200), &mut sending).await.is_err() {
                // The test may be over.
                let _ = stuck.send(());
                sending.await;
            }
        }
    }
}

fn large_delivery(offset: u64) -> Delivery {
    let message =
        Stored { offset: Offset(offset), publisher: named("p"), content: "x".repeat(2_000).into(), time: Timestamp(0) };
    Delivery { topic: named("news"), subscriber: named("s"), message }
}

#[tokio::test]
async fn a_dropped_client_says_farewell_to_its_nodes() {
    let fake = Fake::new().await;
    let client = fake.client();
    let asking = tokio::spawn(async move { client.topics().await.map(|answer| answer.value.topics.len()) });
    let mut connection = fake.accept().await;
    let request = connection.request().await.unwrap();
    connection.answer(&request, Ok(Done::Topics { topics: vec![], missing: vec![] })).await;
    assert_eq!(asking.await.unwrap(), Ok(0));
    assert!(tokio::time::timeout(PATIENCE, connection.request()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_refusal_reaches_the_caller_with_its_code() {
    let fake = Fake::new().await;
    let client = fake.client();
    let asking = tokio::spawn(async move { client.locate(&named("news")).await.map(|_| ()) });
    let refuse = async {
        loop {
            let mut connection = fake.accept().await;
            tokio::spawn(async move {
                while let Some(request) = connection.request().await {
                    connection.answer(&request, Err(ErrorCode::NotOwner.because("no"))).await;
                }
            });
        }
    };
    let asked = tokio::select! {
        asked = tokio::time::timeout(PATIENCE, asking) => asked.unwrap().unwrap(),
        () = refuse => unreachable!("the listener listens for ever"),
    };
    assert_eq!(asked.unwrap_err().code(), Some(ErrorCode::NotOwner));
}

#[tokio::test]
async fn a_node_from_which_nothing_comes_is_given_up() {
    let fake = Fake::new().await;
    let (_requests, received) = mpsc::unbounded_channel();
    let (inputs, mut told) = mpsc::channel(8);
    let (url, silence) = (format!("ws://{}/ws", fake.address), Duration::from_millis(300));
    let began = tokio::time::Instant::now();
    tokio::spawn(socket::run(SocketId(1), url, received, inputs, None, began, silence));
    // The connection is accepted but never read, so no ping is answered.
    let _silent = fake.accept().await;
    let story = async {
        assert_eq!(told.recv().await, Some(ClientInput::Opened { socket: SocketId(1) }));
        let Some(ClientInput::Closed { why, .. }) = told.recv().await else { panic!("it was not closed") };
        assert!(why.contains("the node sent nothing"), "{why}");
    };
    tokio::time::timeout(PATIENCE, story).await.unwrap();
}

#[tokio::test]
async fn a_closed_client_has_shaken_hands_with_its_nodes() {
    let fake = Fake::new().await;
    let client = fake.client();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.topics().await.map(|answer| answer.value.topics.len()) }
    });
    let mut connection = fake.accept().await;
    let request = connection.request().await.unwrap();
    connection.answer(&request, Ok(Done::Topics { topics: vec![], missing: vec![] })).await;
    assert_eq!(asking.await.unwrap(), Ok(0));
    let closing = tokio::spawn(async move { client.close().await });
    let told = async {
        loop {
            match connection.socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap(), Some(1000));
    assert!(connection.socket.next().await.is_none(), "the handshake is complete");
    tokio::time::timeout(PATIENCE, closing).await.unwrap().unwrap();
}
