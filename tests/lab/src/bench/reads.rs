//! Pulls at both read levels.

use cubecast_core::wire::client::{Ack, ReadLevel};
use cubecast_node::failure::Failure;
use futures_util::{StreamExt, stream};

use super::ask::Pulling;
use super::publish::{Place, bytes};
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE};
use crate::measure::Pace;

const GROUP: &str = "Reads";
/// The maximum number of messages of a pull here.
const MESSAGES: u32 = 100;
const CLIENTS: usize = 16;

/// Measures this group.
pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let place = Place::new(&mut stage).await?;
    let subscriber = stage.subscriber().await?;
    let (client, content) = (stage.client(), bench.content(USUAL_SIZE));
    client.subscribe(&subscriber, &place.topic, None).await?;
    let stored = stream::iter(0..MESSAGES).map(|_| client.publish(&place.publisher, &place.topic, &content, Ack::All));
    let stored: Vec<_> = stored.buffered(32).collect().await;
    stored.into_iter().collect::<Result<Vec<_>, _>>()?;
    for read in [ReadLevel::Leader, ReadLevel::Any] {
        let level = if read == ReadLevel::Leader { "leader" } else { "any" };
        for max in [1, MESSAGES] {
            let case = || (GROUP, format!("pull of {max} x {}, read {level}", bytes(USUAL_SIZE)));
            let one = |client| Pulling {
                client,
                subscriber: subscriber.clone(),
                topic: place.topic.clone(),
                max,
                read,
                commit: false,
            };
            bench.case(&stage, case(), Pace::UnderWay(1), |_| vec![one(stage.client())]).await;
            let many = |_| (0..CLIENTS).map(|_| one(stage.client())).collect();
            bench.case(&stage, case(), Pace::UnderWay(4), many).await;
        }
    }
    stage.strike().await
}
