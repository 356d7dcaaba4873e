//! A minimal client: JSON over one WebSocket, with access to every field.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::wait::eventually;

/// A node answers within 5 s. A missing answer counts as lost after this time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Errors after which the same request may succeed.
pub const TRANSIENT: &[&str] = &["unavailable", "timeout", "overloaded", "node_failed", "storage_full"];

/// One connection to one node.
pub struct Client {
    address: String,
    socket: WebSocketStream<TcpStream>,
    next_id: u64,
    answers: BTreeMap<u64, Value>,
    events: VecDeque<Value>,
}

impl Client {
    /// Connects once. Errors: the connection was refused or did not open.
    pub async fn connect(address: String) -> Result<Client, String> {
        let connecting = async {
            let stream = TcpStream::connect(&address).await.map_err(|error| format!("{address}: {error}"))?;
            let opened = client_async(format!("ws://{address}/ws"), stream).await;
            opened.map_err(|error| format!("{address}: {error}"))
        };
        let opened = timeout(ANSWERED_WITHIN, connecting).await.map_err(|_| format!("{address} does not answer"))?;
        let (socket, _) = opened?;
        Ok(Client { address, socket, next_id: 1, answers: BTreeMap::new(), events: VecDeque::new() })
    }

    // Requests.

    /// The answer, success or failure. Panics if there is none.
    pub async fn ask(&mut self, request: Value) -> Value {
        self.try_ask(request.clone()).await.unwrap_or_else(|gone| panic!("{request} was not answered: {gone}"))
    }

    /// As [`Client::ask`], but returns an error if the connection breaks or no answer arrives.
    pub async fn try_ask(&mut self, request: Value) -> Result<Value, String> {
        let id = self.send(request).await?;
        self.answer_to(id).await
    }

    /// The answer, which must be a success.
    pub async fn must(&mut self, request: Value) -> Value {
        let answer = self.ask(request.clone()).await;
        assert_eq!(answer["ok"], true, "{request} was refused: {answer}");
        answer
    }

    /// The answer, which must become a success; transient failures are retried.
    pub async fn must_eventually(&mut self, request: Value) -> Value {
        let client = tokio::sync::Mutex::new(self);
        eventually(&format!("{request} is done"), || async {
            let answer = client.lock().await.ask(request.clone()).await;
            match code_of(&answer) {
                None => Ok(answer),
                Some(code) if TRANSIENT.contains(&code.as_str()) => Err(answer.to_string()),
                Some(_) => panic!("{request} was refused: {answer}"),
            }
        })
        .await
    }

    /// The error code of the answer, which must be a failure.
    pub async fn refused(&mut self, request: Value) -> String {
        let answer = self.ask(request.clone()).await;
        code_of(&answer).unwrap_or_else(|| panic!("{request} must be refused, and got {answer}"))
    }

    /// Sends a request without waiting; returns its id.
    pub async fn send(&mut self, mut request: Value) -> Result<u64, String> {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = json!(id);
        self.send_text(request.to_string()).await?;
        Ok(id)
    }

    /// Waits for the answer to a request. Errors: the connection broke, or no answer arrived.
    pub async fn answer_to(&mut self, id: u64) -> Result<Value, String> {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return Ok(answer);
            }
            let frame = self.next_frame().await?;
            self.sort_in(frame);
        }
    }

    /// Sends all requests without waiting for answers, and reads meanwhile; returns the answers in the order of the
    /// requests.
    pub async fn pipeline(&mut self, requests: impl IntoIterator<Item = Value>) -> Result<Vec<Value>, String> {
        let first = self.next_id;
        let numbered = requests.into_iter().zip(first..).map(|(mut request, id)| {
            request["id"] = json!(id);
            Message::text(request.to_string())
        });
        let messages: Vec<Message> = numbered.collect();
        let ids = first..first + messages.len() as u64;
        self.next_id = ids.end;
        let (mut sink, mut stream) = (&mut self.socket).split();
        let send = async {
            let mut messages = futures_util::stream::iter(messages.into_iter().map(Ok));
            sink.send_all(&mut messages).await.map_err(|error| error.to_string())
        };
        let receive = async {
            let mut answers = BTreeMap::new();
            while (answers.len() as u64) < ids.end - ids.start {
                let next = timeout(ANSWERED_WITHIN, stream.next()).await.map_err(|_| "silence".to_owned())?;
                let message = next.ok_or("closed")?.map_err(|error| error.to_string())?;
                let answer: Value = serde_json::from_str(&message.to_string()).map_err(|error| error.to_string())?;
                answers.insert(answer["id"].as_u64().ok_or_else(|| answer.to_string())?, answer);
            }
            Ok::<_, String>(answers.into_values().collect())
        };
        let (sent, received) = tokio::join!(send, receive);
        sent.and(received)
    }

    // Raw frames.

    /// Sends a text message.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<(), String> {
        self.send_message(Message::text(text.into())).await
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: impl Into<Bytes>) -> Result<(), String> {
        self.send_message(Message::binary(bytes.into())).await
    }

    /// Sends any WebSocket message.
    pub async fn send_message(&mut self, message: Message) -> Result<(), String> {
        let sent = timeout(ANSWERED_WITHIN, self.socket.send(message)).await;
        sent.map_err(|_| format!("{} does not read", self.address))?
            .map_err(|error| format!("{}: {error}", self.address))
    }

    /// The next frame that is not an event, with any id.
    pub async fn any_answer(&mut self) -> Value {
        loop {
            let frame = self.next_frame().await.unwrap_or_else(|gone| panic!("no answer: {gone}"));
            if frame.get("event").is_none() {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// The next pushed frame.
    pub async fn event(&mut self) -> Value {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let frame = self.next_frame().await.unwrap_or_else(|gone| panic!("no event: {gone}"));
            self.sort_in(frame);
        }
    }

    /// The next binary message. Errors: another message arrived, or the connection broke.
    pub async fn binary(&mut self) -> Result<Bytes, String> {
        match self.next_message().await? {
            Message::Binary(bytes) => Ok(bytes),
            other => Err(format!("{} sent {other:?}, which is not binary", self.address)),
        }
    }

    async fn next_frame(&mut self) -> Result<Value, String> {
        match self.next_message().await? {
            Message::Text(text) => {
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}: {text}", self.address))
            }
            other => Err(format!("{} sent {other:?}", self.address)),
        }
    }

    async fn next_message(&mut self) -> Result<Message, String> {
        loop {
            let next = timeout(ANSWERED_WITHIN, self.socket.next()).await;
            match next.map_err(|_| format!("{} is silent", self.address))? {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Ok(message),
                Some(Err(error)) => return Err(format!("{}: {error}", self.address)),
                None => return Err(format!("{} has closed the connection", self.address)),
            }
        }
    }

    fn sort_in(&mut self, frame: Value) {
        match frame["id"].as_u64() {
            _ if frame.get("event").is_some() => self.events.push_back(frame),
            Some(id) if id < self.next_id => drop(self.answers.insert(id, frame)),
            _ => panic!("{} answers what was not asked: {frame}", self.address),
        }
    }

    // Common first steps of scenarios.

    /// Creates a publisher, a subscriber and a topic, and subscribes from the beginning.
    pub async fn set_up(&mut self, publisher: &str, subscriber: &str, topic: &str) {
        self.must_eventually(json!({"action": "create_publisher", "publisher_id": publisher})).await;
        self.must_eventually(json!({"action": "create_subscriber", "subscriber_id": subscriber})).await;
        self.must(json!({"action": "create_topic", "publisher_id": publisher, "topic": topic})).await;
        self.must(json!({"action": "subscribe", "subscriber_id": subscriber, "topic": topic})).await;
    }

    /// Publishes a message; the answer must be a success.
    pub async fn publish(&mut self, publisher: &str, topic: &str, content: &str) -> Value {
        self.must(json!({"action": "publish", "publisher_id": publisher, "topic": topic, "content": content})).await
    }

    /// The contents in the answer to a request for messages.
    pub async fn contents(&mut self, request: Value) -> Vec<String> {
        contents(&self.must(request).await)
    }
}

/// The contents of a pull's answer. Panics if its offsets are not consecutive.
pub fn contents(answer: &Value) -> Vec<String> {
    let messages = answer["messages"].as_array().unwrap_or_else(|| panic!("no messages in {answer}"));
    let offsets: Vec<u64> = messages.iter().filter_map(|message| message["offset"].as_u64()).collect();
    assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1), "offsets with gaps: {offsets:?}");
    messages.iter().map(|message| message["content"].as_str().expect("content is a string").to_owned()).collect()
}

/// The error code of an answer; `None` for success.
pub fn code_of(answer: &Value) -> Option<String> {
    answer["error"]["code"].as_str().map(str::to_owned)
}

/// Pulls until the subscriber has read exactly these contents, in this order.
pub async fn pull_until(client: &mut Client, subscriber: &str, topic: &str, expected: &[&str]) {
    let client = tokio::sync::Mutex::new(client);
    eventually(&format!("{subscriber} reads {expected:?} from {topic}"), || async {
        let request = json!({"action": "pull", "subscriber_id": subscriber, "topic": topic, "commit": false});
        let answer = client.lock().await.ask(request).await;
        let found = answer["messages"].as_array().map(|_| contents(&answer));
        if found.as_deref().is_some_and(|found| found == expected) { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}
