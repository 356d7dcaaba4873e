//! A client that works normally while others misbehave, and must not be affected.

use std::sync::Arc;

use cubecast_core::cube::Vertex;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::contents;
use crate::cluster::ProcessCluster;

/// Rounds that the bystander completes after the trouble ends.
const ROUNDS_AFTER: usize = 3;

/// Publishes to and reads from its own topic until told to end. Every answer must be a success.
pub struct Bystander {
    end: watch::Sender<bool>,
    task: JoinHandle<usize>,
}

impl Bystander {
    /// Connects to the troubled node `at`. Returns once the bystander has started.
    pub async fn begin(cluster: &Arc<ProcessCluster>, at: Vertex, name: &str) -> Bystander {
        let (end, mut ended) = watch::channel(false);
        let mut client = cluster.client(at).await;
        let (publisher, subscriber, topic) = (format!("{name}-p"), format!("{name}-s"), format!("{name}-t"));
        client.set_up(&publisher, &subscriber, &topic).await;
        let task = tokio::spawn(async move {
            let mut rounds = 0;
            let mut last = usize::MAX;
            while rounds < last {
                let content = rounds.to_string();
                client.publish(&publisher, &topic, &content).await;
                let pulled =
                    client.contents(json!({"action": "pull", "subscriber_id": subscriber, "topic": topic})).await;
                assert_eq!(pulled, [content], "a bystander reads what it wrote");
                rounds += 1;
                if *ended.borrow_and_update() && last == usize::MAX {
                    last = rounds + ROUNDS_AFTER;
                }
            }
            rounds
        });
        Bystander { end, task }
    }

    /// Ends the bystander after some more rounds; returns the number of rounds. Panics if a request failed or too few
    /// rounds were completed.
    pub async fn assert_undisturbed(self) -> usize {
        self.end.send_replace(true);
        let rounds = self.task.await.expect("the bystander was disturbed");
        assert!(rounds > ROUNDS_AFTER, "the bystander went on meanwhile");
        rounds
    }

    /// Asserts that a new subscriber of `at` reads every message of the bystander of this name once and in order.
    pub async fn assert_nothing_is_lost(cluster: &ProcessCluster, at: Vertex, name: &str, rounds: usize) {
        let (subscriber, topic) = (format!("{name}-after"), format!("{name}-t"));
        let mut client = cluster.client(at).await;
        client.must_eventually(json!({"action": "create_subscriber", "subscriber_id": subscriber})).await;
        client.must_eventually(json!({"action": "subscribe", "subscriber_id": subscriber, "topic": topic})).await;
        let pull = json!({"action": "pull", "subscriber_id": subscriber, "topic": topic, "max": 10_000});
        let mut found = Vec::new();
        loop {
            let page = contents(&client.must_eventually(pull.clone()).await);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert!(
            found.iter().map(String::as_str).eq((0..rounds).map(|round| round.to_string())),
            "published {rounds}: {found:?}"
        );
    }
}
