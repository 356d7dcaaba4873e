//! Evaluation 2, first half: a topic's home follows from its hash.

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::placement;

use super::evidence::Evidence;
use super::stage::{Halt, Stage, list};

/// The placements in the report, on eight nodes.
const PUBLISHED: [(&str, &str, [&str; 3]); 8] = [
    ("news", "100", ["101", "110", "000"]),
    ("cricket", "111", ["110", "101", "011"]),
    ("topic2", "110", ["111", "100", "010"]),
    ("topic4", "101", ["100", "111", "001"]),
    ("topic6", "110", ["111", "100", "010"]),
    ("topic8", "111", ["110", "101", "011"]),
    ("topic16", "010", ["011", "000", "110"]),
    ("topic19", "010", ["011", "000", "110"]),
];

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    if stage.seating.dimension().bits() == 3 {
        for (topic, home, neighbours) in PUBLISHED {
            check_published(stage, evidence, topic, home, neighbours).await?;
        }
    } else {
        evidence.tell(format!(
            "the published placements are for 8 nodes; this cluster has {}",
            stage.seating.dimension().size()
        ));
    }
    for number in 0..8 {
        let topic = stage.topic_name(&number.to_string());
        check_computed(stage, evidence, &topic).await?;
    }
    Ok(())
}

async fn check_published(
    stage: &Stage,
    evidence: &mut Evidence,
    topic: &str,
    home: &str,
    neighbours: [&str; 3],
) -> Result<(), Halt> {
    let name = topic.parse::<TopicName>().expect("the published names are names");
    let location = stage.locate(&name).await?;
    let found: Vec<_> = location.neighbours.iter().map(Vertex::to_string).collect();
    let found = (location.home.to_string(), found);
    let expected = (home.to_string(), neighbours.map(String::from).to_vec());
    evidence.check_equal(&found, &expected, format!("{topic} -> {home} with replicas {}", neighbours.join(", ")));
    Ok(())
}

/// Checks that the home of a name follows from SHA-256, and that its replicas are the neighbours in their order.
async fn check_computed(stage: &Stage, evidence: &mut Evidence, topic: &TopicName) -> Result<(), Halt> {
    let home = placement::home(topic.as_str(), stage.seating.dimension());
    let location = stage.locate(topic).await?;
    let found = (location.home, location.neighbours.clone());
    let expected = (home, home.neighbours().collect::<Vec<_>>());
    evidence.check_equal(&found, &expected, format!("{topic} -> {home} with replicas {}", list(home.neighbours())));
    Ok(())
}
