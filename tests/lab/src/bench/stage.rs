//! A cluster of real processes to be measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{PublisherId, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_node::client::CubecastClient;
use cubecast_node::cluster::health;
use cubecast_node::failure::Failure;
use tokio::time::Instant;

use crate::cluster::fleet::Fleet;
use crate::cluster::nodes::Nodes;
use crate::cluster::{STARTS_WITHIN, wait_until_whole};

/// A cluster of real processes.
pub struct Stage {
    /// The processes.
    pub fleet: Fleet,
    /// Connections to the nodes.
    pub nodes: Nodes,
    /// The nodes of the cluster.
    pub seating: Seating,
    folder: PathBuf,
    next: u64,
}

impl Stage {
    /// Starts a cluster of `program`s in an empty folder below `folder`, and waits until it is whole.
    pub async fn set(program: PathBuf, folder: &Path, dimension: Dimension, sync: &str) -> Result<Stage, Failure> {
        let folder = folder.join(format!("d{}-{}", dimension.bits(), sync.replace('=', "-")));
        std::fs::create_dir_all(&folder).map_err(|error| Failure::new(Failure::STORAGE, error))?;
        let mut fleet = Fleet::prepare(program, Seating::founding(dimension), &folder, Some(sync), None).await?;
        let seating = Seating::founding(dimension);
        for node in seating.hosts() {
            fleet.start(node)?;
        }
        let nodes = Nodes::new(seating.clone(), Arc::new(fleet.addresses()));
        wait_until_whole(&nodes, Instant::now() + STARTS_WITHIN, &folder).await?;
        Ok(Stage { fleet, nodes, seating, folder, next: 0 })
    }

    /// Ends the nodes and removes their data.
    pub async fn strike(mut self) -> Result<(), Failure> {
        for node in self.seating.hosts() {
            self.fleet.stop(node).await.map_err(|why| Failure::new(Failure::FAILED, why))?;
        }
        std::fs::remove_dir_all(&self.folder).map_err(|error| Failure::new(Failure::STORAGE, error))
    }

    /// Waits until every node is up and level with its groups.
    pub async fn wait_until_whole(&self) -> Result<(), Failure> {
        wait_until_whole(&self.nodes, Instant::now() + STARTS_WITHIN, &self.folder).await
    }

    /// A client with its own connections.
    pub fn client(&self) -> CubecastClient {
        CubecastClient::connect(&self.fleet.addresses())
    }

    /// Registers a new publisher.
    pub async fn publisher(&mut self) -> Result<PublisherId, Failure> {
        let publisher = PublisherId::new(self.name("publisher")).expect("a valid name");
        self.client().create_publisher(&publisher).await?;
        Ok(publisher)
    }

    /// Registers a new subscriber.
    pub async fn subscriber(&mut self) -> Result<SubscriberId, Failure> {
        let subscriber = SubscriberId::new(self.name("subscriber")).expect("a valid name");
        self.client().create_subscriber(&subscriber).await?;
        Ok(subscriber)
    }

    /// Creates a new topic.
    pub async fn topic(&mut self, owner: &PublisherId) -> Result<TopicName, Failure> {
        let topic = TopicName::new(self.name("topic")).expect("a valid name");
        self.client().create_topic(owner, &topic).await?;
        Ok(topic)
    }

    /// A new, unique name.
    pub fn name(&mut self, what: &str) -> String {
        self.next += 1;
        format!("bench-{what}-{}", self.next)
    }

    /// A count from a node's `/metrics`.
    pub async fn counted(&self, node: HostId, name: &str) -> Result<f64, Failure> {
        let addresses = self.fleet.addresses();
        let index = self.seating.index_of(node).expect("a node of this cluster");
        let missing = || Failure::new(Failure::FAILED, format!("node {node} does not report {name}"));
        health::counted(&addresses[index], name).await.ok_or_else(missing)
    }

    /// The node of a topic's home.
    pub fn home(&self, topic: &TopicName) -> HostId {
        self.members(topic)[0]
    }

    /// The nodes of a topic's replicas without that of its home.
    pub fn replicas(&self, topic: &TopicName) -> Vec<HostId> {
        self.members(topic).split_off(1)
    }

    fn members(&self, topic: &TopicName) -> Vec<HostId> {
        self.seating.members(GroupId::of(placement::home(topic.as_str(), self.seating.dimension())))
    }
}
