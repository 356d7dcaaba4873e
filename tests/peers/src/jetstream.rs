//! NATS JetStream: three servers, a file stream with three replicas.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, StorageType};
use cubecast_lab::measure::Done;
use tokio::time::{Instant, sleep};

use super::servers::{Server, folder, free_ports};
use super::system::{Requester, Started, System, content};

const SERVERS: usize = 3;
const SUBJECT: &str = "bench";
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// An unacknowledged publish is sent again after this time.
const ANSWERED_WITHIN: Duration = Duration::from_millis(250);
/// The pause after a publish that failed immediately, as publishes do without a leader. It is the precision of the
/// measured gap.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// A running JetStream cluster.
pub struct JetStream {
    servers: Vec<Server>,
    folders: Vec<PathBuf>,
    version: String,
}

impl JetStream {
    /// Starts the servers and creates the stream.
    pub async fn start(within: &Path) -> Result<JetStream, String> {
        let ports = free_ports(2 * SERVERS)?;
        let (clients, routes) = ports.split_at(SERVERS);
        let routed: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let (mut servers, mut folders) = (Vec::new(), Vec::new());
        for (number, (port, route)) in clients.iter().zip(routes).enumerate() {
            let folder = folder(within, &format!("nats{number}"))?;
            let file = folder.join("nats.conf");
            let config = format!(
                "server_name: n{number}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\n\
                 cluster {{ name: bench, listen: \"127.0.0.1:{route}\", routes: {routed:?} }}\n",
                folder.join("store").display()
            );
            std::fs::write(&file, config).map_err(|error| error.to_string())?;
            servers.push(start_server(&folder, *port).await?);
            folders.push(folder);
        }
        let until = Instant::now() + STARTS_WITHIN;
        let version = loop {
            match create(&servers).await {
                Ok(version) => break version,
                Err(why) if Instant::now() >= until => return Err(format!("JetStream: {why}")),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        };
        Ok(JetStream { servers, folders, version })
    }

    /// Kills the stream's leader with SIGKILL and measures the time until the next publish is acknowledged. Then
    /// restarts it and waits until all replicas are current.
    pub async fn kill_leader(&mut self) -> Result<Duration, String> {
        let context = jetstream::new(connect(&self.servers).await?);
        let leader = self.leader_of_all(&context).await?;
        publish(&context).await?;
        let killed = Instant::now();
        self.servers[leader].kill();
        while publish(&context).await.is_err() {
            if killed.elapsed() > STARTS_WITHIN {
                return Err("JetStream did not take a publish again".into());
            }
            sleep(ASK_AGAIN).await;
        }
        let gap = killed.elapsed();
        self.servers[leader] = start_server(&self.folders[leader], self.servers[leader].port).await?;
        self.leader_of_all(&context).await?;
        Ok(gap)
    }

    /// The leader, once all replicas are current.
    async fn leader_of_all(&self, context: &jetstream::Context) -> Result<usize, String> {
        let until = Instant::now() + STARTS_WITHIN;
        loop {
            let info = async { context.get_stream(SUBJECT).await.ok()?.info().await.ok()?.cluster.clone() }.await;
            if let Some(cluster) = info
                && cluster.replicas.len() == SERVERS - 1
                && cluster.replicas.iter().all(|replica| replica.current && !replica.offline)
                && let Some(leader) = cluster.leader.as_deref().and_then(|name| name.strip_prefix('n')?.parse().ok())
            {
                return Ok(leader);
            }
            if Instant::now() > until {
                return Err("JetStream's replicas are not level".into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn start_server(folder: &Path, port: u16) -> Result<Server, String> {
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(folder.join("nats.conf"));
    Server::start(command, folder, port).await
}

/// Publishes one message and waits for its acknowledgement. Errors: none arrived within the time that a healthy cluster
/// needs; the caller tries again.
async fn publish(context: &jetstream::Context) -> Result<(), String> {
    let asked = async {
        let ack = context.publish(SUBJECT, "x".into()).await.map_err(|error| error.to_string())?;
        ack.await.map(drop).map_err(|error| error.to_string())
    };
    tokio::time::timeout(ANSWERED_WITHIN, asked).await.map_err(|_| "no acknowledgement came")?
}

/// Creates the stream; returns the servers' version.
async fn create(servers: &[Server]) -> Result<String, String> {
    let client = connect(servers).await?;
    let context = jetstream::new(client.clone());
    let config = Config {
        name: SUBJECT.into(),
        subjects: vec![SUBJECT.into()],
        storage: StorageType::File,
        num_replicas: SERVERS,
        ..Config::default()
    };
    context.create_stream(config).await.map_err(|error| error.to_string())?;
    let ack = context.publish(SUBJECT, "first".into()).await.map_err(|error| error.to_string())?;
    ack.await.map_err(|error| error.to_string())?;
    Ok(client.server_info().version)
}

async fn connect(servers: &[Server]) -> Result<async_nats::Client, String> {
    let urls: Vec<String> = servers.iter().map(|server| format!("nats://127.0.0.1:{}", server.port)).collect();
    async_nats::connect(urls).await.map_err(|error| error.to_string())
}

impl System for JetStream {
    fn name(&self) -> String {
        "JetStream R3".into()
    }

    fn promises(&self) -> String {
        format!(
            "nats-server {}, 3 servers, a file stream with 3 replicas; acknowledged when a majority has written it: \
             this version syncs every 2 minutes, and cannot be told to sync first",
            self.version
        )
    }

    fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::process).collect()
    }

    fn publishers(&self, count: usize, size: usize) -> Started<'_, Vec<Requester>> {
        Box::pin(async move {
            let mut requesters = Vec::new();
            for _ in 0..count {
                let context = jetstream::new(connect(&self.servers).await?);
                let payload = bytes::Bytes::from(content(size));
                requesters.push(Requester::new(move || {
                    let (context, payload) = (context.clone(), payload.clone());
                    async move {
                        let bytes = payload.len();
                        let ack = context.publish(SUBJECT, payload).await.map_err(|error| error.to_string())?;
                        ack.await.map(|_| Done::moving(bytes)).map_err(|error| error.to_string())
                    }
                }));
            }
            Ok(requesters)
        })
    }
}
