//! A client that goes about its business while others misbehave, and must not notice.

use std::sync::Arc;

use cubecast_core::cube::Vertex;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::contents;
use crate::cluster::ProcessCluster;

/// Rounds that the bystander completes after the trouble is over.
const ROUNDS_AFTER: usize = 3;

/// Publishes and reads its own topic until it is told to end; every single answer must be good.
pub struct Bystander {
    end: watch::Sender<bool>,
    task: JoinHandle<usize>,
}

impl Bystander {
    /// Connects to `at`, the node that the others trouble. It has begun when this returns.
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

    /// It has not been disturbed, and still is not; the rounds that it completed.
    pub async fn assert_undisturbed(self) -> usize {
        self.end.send_replace(true);
        let rounds = self.task.await.expect("the bystander was disturbed");
        assert!(rounds > ROUNDS_AFTER, "the bystander went on meanwhile");
        rounds
    }

    /// All that a bystander of this name published is there, each message once and in order, as a new subscriber of `at` reads it.
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
