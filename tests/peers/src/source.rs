//! The system that Cubecast set out to surpass, rebuilt from its report: Python's asyncio, JSON over TCP, one
//! connection per request, replicas updated one after the other, no sync to disk.

use std::path::Path;
use std::process::Command;

use cubecast_lab::measure::Done;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::servers::{Server, folder, free_ports};
use super::system::{Requester, content};

const NODES: usize = 8;
const PROGRAM: &str = include_str!("source.py");
/// The names of its APIs.
pub const APIS: [&str; 7] =
    ["create_publisher", "create_subscriber", "create_topic", "delete_topic", "publish", "subscribe", "pull"];
const TOPICS: usize = 32;
const MESSAGES: usize = 10;

/// A running source system.
pub struct Source {
    servers: Vec<Server>,
}

impl Source {
    /// Starts its eight nodes.
    pub async fn start(within: &Path) -> Result<Source, String> {
        let ports = free_ports(NODES)?;
        let listed: Vec<String> = ports.iter().map(u16::to_string).collect();
        let mut servers = Vec::new();
        for (node, port) in ports.iter().enumerate() {
            let folder = folder(within, &format!("source{node}"))?;
            let program = folder.join("source.py");
            std::fs::write(&program, PROGRAM).map_err(|error| error.to_string())?;
            let mut command = Command::new("python3");
            command.arg(&program).arg(node.to_string()).args(&listed).current_dir(&folder);
            servers.push(Server::start(command, &folder, *port).await?);
        }
        let source = Source { servers };
        source.prepare().await?;
        Ok(source)
    }

    /// Process ids, for measuring resource usage.
    pub fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::process).collect()
    }

    fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(|server| server.port).collect()
    }

    async fn prepare(&self) -> Result<(), String> {
        let port = self.servers[0].port;
        ask(port, json!({"action": "create_publisher", "publisher_id": "p"})).await?;
        ask(port, json!({"action": "create_subscriber", "subscriber_id": "s"})).await?;
        for topic in 0..TOPICS {
            let topic = format!("t{topic}");
            ask(port, json!({"action": "create_topic", "topic": topic, "publisher_id": "p"})).await?;
            ask(port, json!({"action": "subscribe", "topic": topic, "subscriber_id": "s"})).await?;
            for _ in 0..MESSAGES {
                let content = content(256);
                ask(port, json!({"action": "publish", "topic": topic, "publisher_id": "p", "content": content}))
                    .await?;
            }
        }
        Ok(())
    }

    /// A client that calls this API on random nodes. `run` makes its names unique per repetition. `doomed`: number of
    /// topics prepared for delete_topic.
    pub async fn calling(&self, api: &'static str, run: u32, doomed: usize) -> Result<Requester, String> {
        let ports = self.ports();
        let mut next = 0;
        if api == "delete_topic" {
            for number in 1..=doomed {
                let topic = format!("delete_topic-{run}-{number}");
                ask(ports[0], json!({"action": "create_topic", "topic": topic, "publisher_id": "p"})).await?;
            }
        }
        let (text, mut random) = (content(256), fastrand::Rng::with_seed(run.into()));
        Ok(Requester::new(move || {
            next += 1;
            let (new, topic) = (format!("{api}-{run}-{next}"), format!("t{}", random.usize(..TOPICS)));
            let request = match api {
                "create_publisher" => json!({"action": api, "publisher_id": new}),
                "create_subscriber" => json!({"action": api, "subscriber_id": new}),
                "create_topic" | "delete_topic" => json!({"action": api, "topic": new, "publisher_id": "p"}),
                "publish" => json!({"action": api, "topic": topic, "publisher_id": "p", "content": text}),
                "subscribe" => json!({"action": api, "topic": topic, "subscriber_id": "s"}),
                _ => json!({"action": "pull", "topic": topic, "subscriber_id": "s", "max": 10}),
            };
            let port = ports[random.usize(..ports.len())];
            async move { ask(port, request).await.map(|_| Done::moving(0)) }
        }))
    }
}

/// Sends one request over its own connection, as that system's clients do.
async fn ask(port: u16, request: Value) -> Result<Value, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.map_err(failed)?;
    socket.write_all(format!("{request}\n").as_bytes()).await.map_err(failed)?;
    let mut line = String::new();
    BufReader::new(&mut socket).read_line(&mut line).await.map_err(failed)?;
    let answer: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    match answer["status"].as_str() {
        Some("ok") => Ok(answer),
        _ => Err(format!("{request} was answered with {line}")),
    }
}
