//! Counts a node's answers by kind. The node's own frames must be valid, whatever input it received.

use std::collections::BTreeMap;
use std::fmt;

use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::binary::decode_server_frames;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, Join, Sink, join, sink};
use tokio::net::tcp::OwnedReadHalf;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::Role as SocketRole;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::script::Role;

/// Number of answers of each kind.
#[derive(Clone, Default, Debug)]
pub struct Answers {
    by_kind: BTreeMap<String, u64>,
    /// Frames that no client can decode. There must be none.
    pub malformed: Vec<String>,
}

impl Answers {
    /// Counts one answer of this kind.
    pub fn count(&mut self, kind: impl Into<String>) {
        *self.by_kind.entry(kind.into()).or_default() += 1;
    }

    /// The number of answers of this kind.
    pub fn of_kind(&self, kind: &str) -> u64 {
        self.by_kind.get(kind).copied().unwrap_or(0)
    }

    /// Adds all counts of `more`.
    pub fn add(&mut self, more: Answers) {
        for (kind, count) in more.by_kind {
            *self.by_kind.entry(kind).or_default() += count;
        }
        self.malformed.extend(more.malformed);
    }

    fn take(&mut self, read: Result<String, String>) {
        match read {
            Ok(kind) => self.count(kind),
            Err(malformed) => self.malformed.push(malformed),
        }
    }

    fn take_text(&mut self, text: &str, role: Role) {
        self.take(match role {
            Role::Stranger => kind_of_step(text),
            Role::Client | Role::Http => kind_of_json(text),
        });
    }

    fn take_binary(&mut self, bytes: &[u8]) {
        match decode_server_frames(bytes) {
            Ok(frames) => frames.iter().for_each(|frame| self.count(kind_of_frame(frame))),
            Err(error) => self.malformed.push(format!("binary, {error}: {bytes:?}")),
        }
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by_kind.iter().try_for_each(|(kind, count)| writeln!(f, "{count:>10}  {kind}"))
    }
}

fn kind_of_json(text: &str) -> Result<String, String> {
    let frame: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
    match (&frame["event"], &frame["ok"], &frame["error"]["code"]) {
        (Value::String(_), _, _) => Ok("event".into()),
        (_, Value::Bool(true), _) => Ok("ok".into()),
        (_, Value::Bool(false), Value::String(code)) => Ok(format!("error {code}")),
        _ => Err(format!("neither an answer nor an event: {text}")),
    }
}

fn kind_of_frame(frame: &ServerFrame) -> String {
    match frame {
        ServerFrame::Answer(answer) => match &answer.result {
            Ok(_) => "ok".into(),
            Err(failure) => format!("error {}", failure.code.name()),
        },
        ServerFrame::Message(_) | ServerFrame::Event(_) | ServerFrame::SubscriptionEnded(_) => "event".into(),
    }
}

fn kind_of_step(text: &str) -> Result<String, String> {
    let step: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
    match step["step"].as_str() {
        Some("hello") => Ok("hello of the handshake".into()),
        // The peer has proven nothing, so the node may not send this.
        _ => Err(format!("said to a stranger: {text}")),
    }
}

/// Reads from one connection.
pub enum Reader {
    /// Reads HTTP, and counts only the first answer.
    Http { stream: OwnedReadHalf, status_line: Vec<u8> },
    /// Reads and checks WebSocket messages.
    Socket { socket: Box<WebSocketStream<Join<OwnedReadHalf, Sink>>>, role: Role },
}

impl Reader {
    /// A reader for the node's direction of a connection.
    pub async fn new(stream: OwnedReadHalf, role: Role) -> Reader {
        match role {
            Role::Http => Reader::Http { stream, status_line: Vec::new() },
            Role::Client | Role::Stranger => {
                // Pongs and other frames that the library sends are discarded: only the script writes.
                let wire = join(stream, sink());
                let socket = WebSocketStream::from_raw_socket(wire, SocketRole::Client, None).await;
                Reader::Socket { socket: Box::new(socket), role }
            }
        }
    }

    /// Reads one item; returns whether the connection is still open.
    pub async fn read(&mut self, answers: &mut Answers) -> bool {
        match self {
            Reader::Http { stream, status_line } => read_http(stream, status_line, answers).await,
            Reader::Socket { socket, role } => match socket.next().await {
                Some(message) => take_message(message, *role, answers),
                None => false,
            },
        }
    }
}

/// Counts the first answer. Further answers, and data after an upgrade, are read and discarded.
async fn read_http(stream: &mut OwnedReadHalf, status_line: &mut Vec<u8>, answers: &mut Answers) -> bool {
    let mut chunk = [0; 8 << 10];
    let count = match stream.read(&mut chunk).await {
        Ok(count) => count,
        Err(_) => {
            answers.count("reset of HTTP");
            return false;
        }
    };
    if count == 0 {
        answers.count("end of HTTP");
        return false;
    }
    if !status_line.contains(&b'\n') {
        status_line.extend(&chunk[..count]);
        if let Some(end) = status_line.iter().position(|byte| *byte == b'\n') {
            answers.take(kind_of_status(&status_line[..end]));
        }
    }
    true
}

fn kind_of_status(line: &[u8]) -> Result<String, String> {
    let line = String::from_utf8_lossy(line);
    match line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)) {
        Some(status) => Ok(format!("HTTP {status}")),
        None => Err(format!("no status line: {line}")),
    }
}

fn take_message(message: Result<Message, Error>, role: Role, answers: &mut Answers) -> bool {
    match message {
        Ok(Message::Text(text)) => answers.take_text(&text, role),
        Ok(Message::Binary(bytes)) => answers.take_binary(&bytes),
        Ok(Message::Ping(_)) => answers.count("ping"),
        Ok(Message::Pong(_)) => answers.count("pong"),
        Ok(Message::Close(Some(close))) => answers.count(format!("close {}", u16::from(close.code))),
        Ok(Message::Close(None)) => answers.count("close without a code"),
        Ok(Message::Frame(_)) => unreachable!("raw frames are never read"),
        // A node does not explain protocol errors to an unauthenticated peer; a client gets a close frame.
        Err(Error::Io(_)) if role == Role::Stranger => answers.count("reset without a close frame"),
        Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) if role == Role::Stranger => {
            answers.count("end without a close frame")
        }
        Err(error) => answers.malformed.push(error.to_string()),
    }
    true
}
