//! RabbitMQ: three nodes, a quorum queue with a replica on each, publisher confirms.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cubecast_lab::measure::Done;
use futures_util::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};

use super::servers::{Server, folder, free_ports};
use super::system::{Requester, Started, System, content};

const NODES: usize = 3;
const QUEUE: &str = "bench";
/// The delivery mode of persistent messages.
const PERSISTENT: u8 = 2;
/// Debian's programs on the PATH refuse every user except root and their own; these do not.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// A running RabbitMQ cluster.
pub struct RabbitMq {
    nodes: Vec<Server>,
    /// Our own epmd, which maps node names to ports; another Erlang program on this machine is not disturbed.
    names: Server,
    version: String,
}

impl RabbitMq {
    /// Starts epmd and the nodes, and declares the queue.
    pub async fn start(within: &Path) -> Result<RabbitMq, String> {
        let ports = free_ports(1 + 2 * NODES)?;
        let (names_port, ports) = (ports[0], &ports[1..]);
        let mut command = Command::new("epmd");
        command.args(["-address", "127.0.0.1", "-port", &names_port.to_string()]);
        let names = Server::start(command, &folder(within, "epmd")?, names_port).await?;
        let homes =
            (0..NODES).map(|number| folder(within, &format!("rabbitmq{number}"))).collect::<Result<Vec<_>, _>>()?;
        let starting = homes.iter().zip(ports.chunks(2)).enumerate().map(|(number, (home, ports))| async move {
            let command = node(number, home, ports, names_port).map_err(|error| format!("RabbitMQ: {error}"))?;
            Server::start(command, home, ports[0]).await
        });
        let nodes = try_join_all(starting).await?;
        let control = |arguments: &[&str]| control(&homes[0], names_port, arguments);
        control(&["await_online_nodes", &NODES.to_string()])?;
        declare(nodes[0].port).await.map_err(|error| format!("RabbitMQ: {error}"))?;
        let members = control(&["list_queues", "--quiet", "--no-table-headers", "members"])?;
        match members.matches('@').count() {
            NODES => Ok(RabbitMq { nodes, names, version: control(&["version"])?.trim().into() }),
            _ => Err(format!("RabbitMQ's queue is not on {NODES} nodes: {members}")),
        }
    }
}

/// The command that starts a node. `ports`: for clients, and for other nodes.
fn node(number: usize, home: &Path, ports: &[u16], names_port: u16) -> std::io::Result<Command> {
    let mut config = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\ncluster_formation.peer_discovery_backend = classic_config\n",
        ports[0]
    );
    for other in 0..NODES {
        config += &format!("cluster_formation.classic_config.nodes.{} = {}\n", other + 1, name(other));
    }
    std::fs::write(home.join("rabbitmq.conf"), config)?;
    std::fs::write(home.join("plugins"), "[].")?;
    let mut command = program("rabbitmq-server", home, names_port)?;
    command.env("RABBITMQ_NODENAME", name(number)).env("RABBITMQ_DIST_PORT", ports[1].to_string());
    command
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("plugins"));
    command.env("RABBITMQ_MNESIA_BASE", home.join("mnesia")).env("RABBITMQ_LOG_BASE", home).env("RABBITMQ_LOGS", "-");
    command.env("RABBITMQ_GENERATED_CONFIG_DIR", home).env("RABBITMQ_PID_FILE", home.join("pid"));
    command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}");
    // With these settings the script replaces itself with the node, so that kills and measurements hit the node.
    command.env("RABBITMQ_ALLOW_INPUT", "1").env("RABBITMQ_SERVER_START_ARGS", "-noinput");
    Ok(command)
}

fn name(number: usize) -> String {
    format!("bench{number}@localhost")
}

/// One of RabbitMQ's programs, with its own home folder.
fn program(name: &str, home: &Path, names_port: u16) -> std::io::Result<Command> {
    let settings = home.join("environment");
    std::fs::write(&settings, "")?;
    let cookie = home.join(".erlang.cookie");
    if !cookie.exists() {
        std::fs::write(&cookie, "cubecast-peers")?;
        std::fs::set_permissions(&cookie, std::os::unix::fs::PermissionsExt::from_mode(0o400))?;
    }
    let debian = PathBuf::from(PROGRAMS).join(name);
    let mut command = Command::new(if debian.exists() { debian } else { name.into() });
    command.env("HOME", home).env("RABBITMQ_CONF_ENV_FILE", settings);
    command.env("ERL_EPMD_PORT", names_port.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
    Ok(command)
}

/// The output of `rabbitmqctl` for the first node.
fn control(home: &Path, names_port: u16, arguments: &[&str]) -> Result<String, String> {
    let run = || program("rabbitmqctl", home, names_port)?.args(["--node", &name(0)]).args(arguments).output();
    let output = run().map_err(|error| format!("rabbitmqctl cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("rabbitmqctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

async fn connect(port: u16) -> lapin::Result<Connection> {
    Connection::connect(&format!("amqp://guest:guest@127.0.0.1:{port}/%2f"), ConnectionProperties::default()).await
}

/// Declares the queue at the node that clients use; that node leads the queue.
async fn declare(port: u16) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let channel = connect(port).await?.create_channel().await?;
    channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await.map(drop)
}

impl System for RabbitMq {
    fn name(&self) -> String {
        "RabbitMQ quorum queue".into()
    }

    fn promises(&self) -> String {
        format!(
            "RabbitMQ {}, {NODES} nodes, a quorum queue with {NODES} replicas; confirmed when a majority has synced it",
            self.version
        )
    }

    fn processes(&self) -> Vec<u32> {
        self.nodes.iter().chain([&self.names]).map(Server::process).collect()
    }

    fn publishers(&self, count: usize, size: usize) -> Started<'_, Vec<Requester>> {
        Box::pin(async move {
            let mut requesters = Vec::new();
            for _ in 0..count {
                let failed = |error: lapin::Error| format!("RabbitMQ: {error}");
                let connection = Arc::new(connect(self.nodes[0].port).await.map_err(failed)?);
                let channel = connection.create_channel().await.map_err(failed)?;
                channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
                let payload = content(size);
                requesters.push(Requester::new(move || {
                    // The channel closes when its connection is dropped.
                    let (channel, payload, connection) = (channel.clone(), payload.clone(), connection.clone());
                    async move {
                        let (options, kept) =
                            (BasicPublishOptions::default(), BasicProperties::default().with_delivery_mode(PERSISTENT));
                        let sent = channel.basic_publish("".into(), QUEUE.into(), options, payload.as_bytes(), kept);
                        let confirmed = sent.await.map_err(failed)?.await.map_err(failed)?;
                        drop(connection);
                        match confirmed {
                            Confirmation::Ack(None) => Ok(Done::moving(payload.len())),
                            other => Err(format!("RabbitMQ answered {other:?}")),
                        }
                    }
                }));
            }
            Ok(requesters)
        })
    }
}
