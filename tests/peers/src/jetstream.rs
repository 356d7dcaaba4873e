//! NATS JetStream: three servers, a file stream with three replicas.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, StorageType};
use cubecast_node::bench::Done;
use tokio::time::{Instant, sleep};

use super::servers::{Server, folder, free_ports};
use super::system::{Asker, Started, System, content};

const SERVERS: usize = 3;
const SUBJECT: &str = "bench";
const STARTS_WITHIN: Duration = Duration::from_secs(30);

pub struct JetStream {
    servers: Vec<Server>,
    version: String,
}

impl JetStream {
    pub async fn start(within: &Path) -> Result<JetStream, String> {
        let ports = free_ports(2 * SERVERS)?;
        let (clients, routes) = ports.split_at(SERVERS);
        let routed: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut servers = Vec::new();
        for (number, (port, route)) in clients.iter().zip(routes).enumerate() {
            let folder = folder(within, &format!("nats{number}"))?;
            let file = folder.join("nats.conf");
            let config = format!(
                "server_name: n{number}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\n\
                 cluster {{ name: bench, listen: \"127.0.0.1:{route}\", routes: {routed:?} }}\n",
                folder.join("store").display()
            );
            std::fs::write(&file, config).map_err(|error| error.to_string())?;
            let mut command = Command::new("nats-server");
            command.arg("-c").arg(&file);
            servers.push(Server::start(command, &folder, *port).await?);
        }
        let until = Instant::now() + STARTS_WITHIN;
        let version = loop {
            match create(&servers).await {
                Ok(version) => break version,
                Err(why) if Instant::now() >= until => return Err(format!("JetStream: {why}")),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        };
        Ok(JetStream { servers, version })
    }
}

/// The stream, and the servers' version.
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
            "nats-server {}, 3 servers, a file stream with 3 replicas; acknowledged when a majority has written it: this version syncs every 2 minutes, and cannot be told to sync first",
            self.version
        )
    }

    fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::process).collect()
    }

    fn publishers(&self, count: usize, size: usize) -> Started<'_, Vec<Asker>> {
        Box::pin(async move {
            let mut askers = Vec::new();
            for _ in 0..count {
                let context = jetstream::new(connect(&self.servers).await?);
                let payload = bytes::Bytes::from(content(size));
                askers.push(Asker::new(move || {
                    let (context, payload) = (context.clone(), payload.clone());
                    async move {
                        let bytes = payload.len();
                        let ack = context.publish(SUBJECT, payload).await.map_err(|error| error.to_string())?;
                        ack.await.map(|_| Done::moving(bytes)).map_err(|error| error.to_string())
                    }
                }));
            }
            Ok(askers)
        })
    }
}
