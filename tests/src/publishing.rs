//! A publisher that continues through failures: unacknowledged messages are sent again to another node, with the same
//! sequence number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cubecast_core::cube::Vertex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{Client, TRANSIENT, code_of};
use crate::cluster::ProcessCluster;
use crate::wait::{PATIENCE, eventually};

/// Time limit of an answer; nodes give up on a request after 5 s.
const ANSWERED_WITHIN: Duration = Duration::from_secs(7);
/// The pause between attempts when no node accepts the message.
const PAUSE: Duration = Duration::from_millis(10);

/// Publishes one message after the other until told to end.
pub struct Publishing {
    acknowledged: watch::Receiver<usize>,
    end: watch::Sender<bool>,
    task: JoinHandle<Published>,
}

/// The results.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The acknowledged contents, in order.
    pub acknowledged: Vec<String>,
    /// The longest time between two acknowledgements.
    pub longest_gap: Duration,
    /// Attempts that were not acknowledged.
    pub retries: usize,
}

/// One stream of publishes.
struct Stream {
    nodes: Vec<(Vertex, String)>,
    topic: String,
    publisher: String,
    ack: &'static str,
    client: Option<Client>,
    turn: usize,
    published: Published,
}

impl Publishing {
    /// Starts with the given node, and moves to the next one after each failed attempt.
    pub fn begin(cluster: &ProcessCluster, at: Vertex, publisher: &str, topic: &str, ack: &'static str) -> Publishing {
        let (end, ended) = watch::channel(false);
        let (count, acknowledged) = watch::channel(0);
        let stream = Stream {
            nodes: cluster.vertices().map(|vertex| (vertex, cluster.address(vertex))).collect(),
            topic: topic.into(),
            publisher: publisher.into(),
            ack,
            client: None,
            turn: at.index(),
            published: Published::default(),
        };
        Publishing { acknowledged, end, task: tokio::spawn(stream.run(count, ended)) }
    }

    /// Waits until this many more messages are acknowledged.
    pub async fn wait_for_more(&mut self, more: usize) {
        let goal = *self.acknowledged.borrow() + more;
        let reached = timeout(PATIENCE, self.acknowledged.wait_for(|count| *count >= goal))
            .await
            .is_ok_and(|count| count.is_ok());
        assert!(reached, "publishing is stuck at {} messages", *self.acknowledged.borrow());
    }

    /// Ends once the current publish is acknowledged.
    pub async fn end(self) -> Published {
        self.end.send_replace(true);
        self.task.await.expect("the publisher does not panic")
    }
}

impl Stream {
    async fn run(mut self, count: watch::Sender<usize>, ended: watch::Receiver<bool>) -> Published {
        let mut last = Instant::now();
        while !*ended.borrow() {
            let sequence = self.published.acknowledged.len();
            let content = format!("{}/{sequence}", self.publisher);
            self.publish_until_acknowledged(sequence, &content).await;
            self.published.longest_gap = self.published.longest_gap.max(last.elapsed());
            last = Instant::now();
            self.published.acknowledged.push(content);
            count.send_replace(sequence + 1);
        }
        self.published
    }

    async fn publish_until_acknowledged(&mut self, sequence: usize, content: &str) {
        let request = json!({
            "action": "publish", "publisher_id": self.publisher, "topic": self.topic,
            "content": content, "ack": self.ack, "sequence": sequence,
        });
        let began = Instant::now();
        while let Err(why) = self.attempt(&request).await {
            assert!(began.elapsed() < PATIENCE, "{content} is not taken: {why}");
            self.published.retries += 1;
            self.client = None;
            self.turn += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&mut self, request: &Value) -> Result<(), String> {
        let (vertex, address) = &self.nodes[self.turn % self.nodes.len()];
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(Client::connect(address.clone()).await?),
        };
        let answer = timeout(ANSWERED_WITHIN, client.try_ask(request.clone()))
            .await
            .map_err(|_| format!("{vertex} is silent"))??;
        match code_of(&answer) {
            None => Ok(()),
            Some(code) if TRANSIENT.contains(&code.as_str()) => Err(answer.to_string()),
            Some(_) => panic!("{request} was refused: {answer}"),
        }
    }
}

/// Publishes `count` messages with `quorum` from this many parallel publishers, all through different nodes; returns
/// the contents.
pub async fn publish_many(cluster: &Arc<ProcessCluster>, publishers: usize, topic: &str, count: usize) -> Vec<String> {
    let tasks: Vec<_> = (0..publishers)
        .map(|number| {
            let (cluster, topic) = (cluster.clone(), topic.to_owned());
            tokio::spawn(async move {
                let vertex = cluster.vertices().nth(number % cluster.vertices().len()).expect("a cube has vertices");
                let publisher = format!("{topic}-publisher{number}");
                let mut client = cluster.client(vertex).await;
                client.must_eventually(json!({"action": "create_publisher", "publisher_id": publisher})).await;
                let mut contents = Vec::new();
                for sequence in 0..count {
                    let content = format!("{publisher}/{sequence}");
                    client.publish(&publisher, &topic, &content).await;
                    contents.push(content);
                }
                contents
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a publisher does not panic"));
    }
    all
}

/// Waits until the topic's leader has this many messages.
pub async fn wait_for_messages(cluster: &ProcessCluster, at: Vertex, topic: &str, count: u64) {
    eventually(&format!("{topic} has {count} messages"), || async move {
        let mut client = Client::connect(cluster.address(at)).await?;
        let answer = client.try_ask(json!({"action": "topics"})).await?;
        let topics = answer["topics"].as_array().ok_or_else(|| answer.to_string())?;
        let found = topics.iter().find(|found| found["topic"] == topic).map(|found| found["messages"].clone());
        if found == Some(json!(count)) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}
