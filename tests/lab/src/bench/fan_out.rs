//! One topic pushed to 1 to 1,000 subscribers. The latency of a delivery counts from its publish.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cubecast_core::content::Content;
use cubecast_core::names::StartAt;
use cubecast_core::wire::client::Ack;
use cubecast_node::client::{CubecastClient, Deliveries};
use cubecast_node::failure::Failure;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::publish::{Place, bytes};
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE};
use crate::measure::{Client, Done, Pace};

const GROUP: &str = "Fan-out";
const SUBSCRIBERS: [usize; 4] = [1, 10, 100, 1_000];
/// Publishes in progress: the nodes always have something to push, and the backlog is bounded.
const UNDER_WAY: usize = 64;

/// Receives the deliveries of one subscriber.
pub struct Taking {
    /// The stream of messages.
    pub deliveries: Arc<Mutex<Deliveries>>,
    /// The time zero of messages' timestamps, which are in microseconds.
    pub began: Instant,
}

impl Client for Taking {
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
        let (deliveries, began) = (self.deliveries.clone(), self.began);
        async move {
            match deliveries.lock().await.next().await {
                Some(Ok(message)) => {
                    let since = message.content.split(' ').next().and_then(|micros| micros.parse().ok());
                    let since = since.map(|micros| began + Duration::from_micros(micros));
                    Ok(Done { bytes: message.content.len() as u64, since })
                }
                Some(Err(failure)) => Err(failure.to_string()),
                None => std::future::pending().await,
            }
        }
    }
}

/// Measures this group.
pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    for subscribers in SUBSCRIBERS {
        let place = Place::new(&mut stage).await?;
        let listener = stage.client();
        let began = Instant::now();
        let mut taking = Vec::new();
        for _ in 0..subscribers {
            let subscriber = stage.subscriber().await?;
            let deliveries = listener.listen(&subscriber, &place.topic, Some(StartAt::Latest)).await?.value;
            taking.push(Arc::new(Mutex::new(deliveries)));
        }
        let publishing = publish_steadily(stage.client(), &place, bench.content(USUAL_SIZE), began);
        let clients = |_| taking.iter().map(|it| Taking { deliveries: it.clone(), began }).collect();
        let case = (GROUP, format!("{} to {subscribers} subscribers", bytes(USUAL_SIZE)));
        let row = bench.case(&stage, case, Pace::UnderWay(1), clients).await;
        row.pace = format!("{UNDER_WAY} publishes in progress");
        drop(publishing);
    }
    stage.strike().await
}

/// Publishes until the set is dropped. Each message begins with the time of its publish.
pub fn publish_steadily(client: CubecastClient, place: &Place, content: Content, began: Instant) -> JoinSet<()> {
    let mut publishing = JoinSet::new();
    for _ in 0..UNDER_WAY {
        let (client, publisher, topic) = (client.clone(), place.publisher.clone(), place.topic.clone());
        let content = content.clone();
        publishing.spawn(async move {
            loop {
                let mut text = format!("{} ", began.elapsed().as_micros());
                text.push_str(&content[text.len().min(content.len())..]);
                // Failed publishes show up as missing deliveries.
                let _ = client.publish(&publisher, &topic, &text, Ack::Quorum).await;
            }
        });
    }
    publishing
}
