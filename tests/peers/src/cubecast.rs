//! Cubecast: eight nodes, four replicas of each message.

use std::path::Path;

use cubecast_core::cube::Dimension;
use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::wire::client::Ack;
use cubecast_lab::bench::ask::Publishing;
use cubecast_lab::bench::stage::Stage;
use cubecast_lab::measure::Client;

use super::Args;
use super::system::{Asked, Requester, Started, System, content};

/// A running Cubecast cluster.
pub struct Cubecast {
    stage: Stage,
    sync: String,
    publisher: PublisherId,
    topic: TopicName,
}

impl Cubecast {
    /// Starts the cluster with this sync mode (`always` or `never`).
    pub async fn start(program: &Path, folder: &Path, sync: &str) -> Result<Cubecast, String> {
        let dimension = Dimension::new(3).map_err(|error| error.to_string())?;
        let mut stage = Stage::set(program.into(), folder, dimension, sync).await.map_err(|failure| failure.message)?;
        let publisher = stage.publisher().await.map_err(|failure| failure.message)?;
        let topic = stage.topic(&publisher).await.map_err(|failure| failure.message)?;
        Ok(Cubecast { stage, sync: sync.into(), publisher, topic })
    }
}

/// Starts a Cubecast cluster in a folder of this name below `within`.
pub async fn stage(args: &Args, within: &Path, name: &str) -> Result<Stage, String> {
    let dimension = Dimension::new(3).map_err(|error| error.to_string())?;
    let sync = if name == "source" { "never" } else { "always" };
    Stage::set(args.cubecast.clone(), &within.join(name), dimension, sync).await.map_err(|failure| failure.message)
}

impl System for Cubecast {
    fn name(&self) -> String {
        format!("Cubecast, sync {}", self.sync)
    }

    fn promises(&self) -> String {
        let disk = match self.sync.as_str() {
            "always" => "synced to the disks of a majority of the four replicas",
            "never" => "written, not synced, by a majority of the four replicas",
            _ => "written by a majority of the four replicas, and synced within the interval",
        };
        format!("8 nodes, 4 copies; acknowledged (quorum) when {disk}")
    }

    fn processes(&self) -> Vec<u32> {
        self.stage.fleet.processes()
    }

    fn publishers(&self, count: usize, size: usize) -> Started<'_, Vec<Requester>> {
        Box::pin(async move {
            let requester = |_| {
                let mut publishing = Publishing {
                    client: self.stage.client(),
                    publisher: self.publisher.clone(),
                    topic: self.topic.clone(),
                    content: content(size).into(),
                    ack: Ack::Quorum,
                };
                Requester::new(move || -> Asked { Box::pin(publishing.request()) })
            };
            Ok((0..count).map(requester).collect())
        })
    }
}
