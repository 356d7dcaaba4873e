//! Slow links: the latency of each acknowledgement.

use cubecast_core::faults::LinkConditions;
use cubecast_core::wire::client::{Ack, Action, Admin};
use cubecast_node::failure::Failure;

use super::publish::{Place, bytes, word};
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE};
use crate::measure::Pace;

const GROUP: &str = "Slow links";
/// Milliseconds in one direction.
const DELAYS: [u32; 4] = [0, 5, 20, 50];

/// Measures this group.
pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let place = Place::new(&mut stage).await?;
    let content = bench.content(USUAL_SIZE);
    for delay_ms in DELAYS {
        let conditions = LinkConditions { delay_ms, ..LinkConditions::PERFECT };
        for from in stage.seating.hosts() {
            for to in stage.seating.neighbours(from) {
                let asked = stage.nodes.ask(from, Action::Admin(Admin::SetLink { from, to, conditions })).await;
                asked.map_err(|error| Failure::new(Failure::FAILED, error))?;
            }
        }
        for ack in [Ack::One, Ack::Quorum, Ack::All] {
            let case = (GROUP, format!("{delay_ms} ms each way, {}, {}", bytes(USUAL_SIZE), word(ack)));
            let one = |_| vec![place.publishing(stage.client(), content.clone(), ack)];
            bench.case(&stage, case, Pace::UnderWay(1), one).await;
        }
    }
    stage.strike().await
}
