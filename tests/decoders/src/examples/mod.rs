//! Inputs produced by the real encoders: every request, answer, event, frame and record once. Tests mutate them, and
//! fuzzing starts with them.

mod peers;
mod recordings;
mod stored;
#[path = "../../../../core/tests/wire/examples/mod.rs"]
mod wire;

use cubecast_core::identity::TraceId;
use cubecast_core::wire::answer::{Answer, Delivery, EndReason, ErrorCode, ServerFrame, SubscriptionEnded};
use cubecast_core::wire::binary::{encode_peer_frames, encode_requests, encode_server_frames};
use cubecast_core::wire::client::{Request, RequestId};
use cubecast_core::wire::event::WatchEvent;
use cubecast_node::transport::handshake::PROTOCOL;

pub use peers::frames as peer_frames_once;
pub use recordings::{incidents, segments};
pub use stored::{change_bytes, commands, topics};

/// Every request once.
pub fn requests() -> Vec<Request> {
    let ids = wire::ids().into_iter().map(|(_, id)| id).cycle();
    let actions = wire::actions().into_iter().map(|(_, action)| action);
    let mut trace = false;
    let mut requests = Vec::new();
    for (action, id) in actions.zip(ids) {
        requests.push(Request { id, trace, action });
        trace = !trace;
    }
    requests
}

/// Every request once, each as a JSON text.
pub fn json_requests() -> Vec<Vec<u8>> {
    wire::actions().into_iter().map(|(fields, _)| fields.to_string().into_bytes()).collect()
}

/// Every request as a binary message, and one message with all of them.
pub fn binary_requests() -> Vec<Vec<u8>> {
    each_and_all(&requests(), encode_requests)
}

/// Every kind of answer, failure and event once.
pub fn server_frames_once() -> Vec<ServerFrame> {
    let node = wire::named("100");
    let hops = Some(wire::all_named(["000", "100"]));
    let answer = |result| {
        let id = Some(RequestId::Unsigned(7));
        ServerFrame::Answer(Answer { id, served_by: node, hops: hops.clone(), result })
    };
    let event =
        |event| ServerFrame::Event(WatchEvent { node, time: wire::TIME, at_us: 5, trace: Some(TraceId(9)), event });
    let delivery = Delivery { topic: wire::topic(), subscriber: wire::subscriber(), message: wire::message() };
    let answers = wire::done().into_iter().map(|(done, _)| answer(Ok(done)));
    let failures = ErrorCode::ALL.iter().map(|code| answer(Err(code.because("because"))));
    let events = wire::events().into_iter().map(|(told, _)| event(told));
    let ended = [EndReason::TopicDeleted, EndReason::Unsubscribed, EndReason::Unreadable].map(|reason| {
        let (topic, subscriber) = (wire::topic(), wire::subscriber());
        ServerFrame::SubscriptionEnded(SubscriptionEnded { topic, subscriber, reason })
    });
    let pushed = [ServerFrame::Message(delivery)].into_iter().chain(ended);
    answers.chain(failures).chain(events).chain(pushed).collect()
}

/// Every frame to a client as a binary message, and one message with all of them.
pub fn server_frames() -> Vec<Vec<u8>> {
    each_and_all(&server_frames_once(), encode_server_frames)
}

/// Every frame between neighbours as a binary message, and one message with all of them.
pub fn peer_frames() -> Vec<Vec<u8>> {
    each_and_all(&peer_frames_once(), encode_peer_frames)
}

/// The data of log entries: every command, all commands in one entry, and every change of members.
pub fn log_entries() -> Vec<Vec<u8>> {
    let commands = each_and_all(&commands(), cubecast_core::topics::command::encode_commands);
    commands.into_iter().chain(change_bytes()).collect()
}

/// The payloads of journal records.
pub fn journals() -> Vec<Vec<u8>> {
    each_and_all(&stored::writes(), |writes| {
        writes.iter().flat_map(|write| postcard::to_allocvec(write).expect("a write encodes")).collect()
    })
}

/// Rows of a store, as read by [`check_rows`](crate::stored::check_rows).
pub fn stored_rows() -> Vec<Vec<u8>> {
    stored::rows()
}

/// Encoded states of a group.
pub fn group_states() -> Vec<Vec<u8>> {
    topics().iter().map(|topics| topics.encode()).collect()
}

/// The dialer's first message, and steps in the wrong order.
pub fn handshakes() -> Vec<Vec<u8>> {
    let hello = |from: &str, to: &str| {
        let nonce = [7; 32];
        serde_json::json!({
            "protocol": PROTOCOL, "cluster": "demo", "dimension": 3, "from": from, "to": to, "instance": 1,
            "nonce": nonce,
        })
        .to_string()
    };
    let step = |hello: String| serde_json::json!({ "step": "hello", "hello": hello }).to_string();
    let proof = serde_json::json!({ "step": "proof", "proof": [1, 2, 3] }).to_string();
    let texts = [
        step(hello("000", "100")) + "\n" + &proof,
        step(hello("011", "100")),
        step(hello("00", "10")),
        serde_json::json!({ "step": "welcome", "proof": [1] }).to_string(),
        r#"{"step":"welcome"}"#.into(),
        proof,
    ];
    texts.map(String::into_bytes).into()
}

/// Configuration files of a node.
pub fn node_configs() -> Vec<Vec<u8>> {
    const FULL: &str = r#"
node = "10"
dimension = 2
cluster = "demo"
secret = "0123456789abcdef"
data = "store"
listen = "127.0.0.1:8002"
advertise = "a:3"
sync = "interval=50"
allow_faults = true
web = "dist"
allow_origin = ["https://board.example"]
allow_host = ["cube.example"]

[addresses]
00 = "a:1"
01 = "a:2"
10 = "a:3"
11 = "a:4"

[limits]
clients = 10
unanswered = 20
content_bytes = 30
"#;
    let inline =
        "node='0'\ndimension=1\ncluster='c'\nsecret='''0123456789abcdef'''\ndata='d'\naddresses={0='a:1',1='b:1'}";
    [FULL, inline, "dimension = 3", "secret_file = \"../secret\""].map(|text| text.as_bytes().to_vec()).into()
}

/// Words of the kinds that the command line and files contain.
pub fn words() -> Vec<Vec<u8>> {
    let words = [
        "100",
        "news/eu",
        "köln-天気",
        "always",
        "interval=50",
        "never",
        "auto",
        "8000",
        "500ms",
        "1.5s",
        "2m",
        "latest",
        "beginning",
        "17",
        "[::1]:80",
        "https://board.example:443/",
        "a b",
    ];
    words.map(|word| word.as_bytes().to_vec()).into()
}

/// Each item as a separate message, and all in one.
fn each_and_all<T>(items: &[T], encode: fn(&[T]) -> Vec<u8>) -> Vec<Vec<u8>> {
    items.chunks(1).chain([items]).map(encode).collect()
}
