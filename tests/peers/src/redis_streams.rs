//! Redis Streams: a master with three replicas, and `WAIT 2` after each batch of publishes: as many copies as a
//! majority of four.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cubecast_lab::measure::Done;
use redis::aio::MultiplexedConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::servers::{Server, folder, free_ports};
use super::system::{Requester, Started, System, content};

const REPLICAS: usize = 3;
/// In addition to the master's own copy.
const COPIES: usize = 2;
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// Publishes that share one `WAIT`.
const BATCH: usize = 256;

/// A running master with its replicas.
pub struct RedisStreams {
    servers: Vec<Server>,
    fsync: &'static str,
    version: String,
}

/// A message, and the channel for its result.
type Order = (String, oneshot::Sender<Result<(), String>>);

impl RedisStreams {
    /// Starts master and replicas. `fsync`: the value of `appendfsync`.
    pub async fn start(within: &Path, fsync: &'static str) -> Result<RedisStreams, String> {
        let ports = free_ports(1 + REPLICAS)?;
        let mut servers = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let folder = folder(within, &format!("redis-{fsync}-{number}"))?;
            let mut command = Command::new("redis-server");
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
            command.args(["--appendfsync", fsync, "--dir"]).arg(&folder);
            if number > 0 {
                command.args(["--replicaof", &format!("127.0.0.1 {}", ports[0])]);
            }
            servers.push(Server::start(command, &folder, *port).await?);
        }
        let mut connection = connect(ports[0]).await?;
        let until = Instant::now() + STARTS_WITHIN;
        loop {
            let reached: usize = redis::pipe()
                .cmd("XADD")
                .arg("bench")
                .arg("*")
                .arg("m")
                .arg("first")
                .ignore()
                .cmd("WAIT")
                .arg(REPLICAS)
                .arg(1_000)
                .query_async::<(usize,)>(&mut connection)
                .await
                .map_err(|error| error.to_string())?
                .0;
            if reached == REPLICAS {
                break;
            }
            if Instant::now() >= until {
                return Err(format!("Redis: {reached} of {REPLICAS} replicas follow"));
            }
            sleep(Duration::from_millis(200)).await;
        }
        let info: String =
            redis::cmd("INFO").arg("server").query_async(&mut connection).await.map_err(|e| e.to_string())?;
        let version =
            info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?").trim().to_owned();
        Ok(RedisStreams { servers, fsync, version })
    }
}

async fn connect(port: u16) -> Result<MultiplexedConnection, String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).map_err(|error| error.to_string())?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(STARTS_WITHIN));
    client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| format!("Redis: {error}"))
}

/// Sends all waiting publishes as one pipeline that ends with `WAIT`, as an application tuned for throughput would.
async fn serve(mut connection: MultiplexedConnection, mut orders: mpsc::Receiver<Order>) {
    let mut batch = Vec::new();
    while orders.recv_many(&mut batch, BATCH).await > 0 {
        let mut pipe = redis::pipe();
        for (message, _) in &batch {
            pipe.cmd("XADD").arg("bench").arg("*").arg("m").arg(message).ignore();
        }
        pipe.cmd("WAIT").arg(COPIES).arg(5_000);
        let done = match pipe.query_async::<(usize,)>(&mut connection).await {
            Ok((reached,)) if reached >= COPIES => Ok(()),
            Ok((reached,)) => Err(format!("only {reached} replicas have it")),
            Err(error) => Err(error.to_string()),
        };
        for (_, tell) in batch.drain(..) {
            // The requester may have stopped waiting.
            let _ = tell.send(done.clone());
        }
    }
}

impl System for RedisStreams {
    fn name(&self) -> String {
        format!("Redis Streams + WAIT, appendfsync {}", self.fsync)
    }

    fn promises(&self) -> String {
        let disk = match self.fsync {
            "always" => {
                "the master has synced it; what WAIT counts, two of three replicas, \
                 have it in memory and sync before their next answer"
            }
            _ => "the master and two of three replicas have it in memory; each syncs once a second",
        };
        format!(
            "redis-server {}, a master and 3 replicas; acknowledged when {disk}. \
             A failover is not Redis' own here, and loses what the chosen replica lacks",
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
                let (orders, taken) = mpsc::channel(4 * BATCH);
                tokio::spawn(serve(connect(self.servers[0].port).await?, taken));
                let message = content(size);
                requesters.push(Requester::new(move || {
                    let (orders, message) = (orders.clone(), message.clone());
                    async move {
                        let (tell, told) = oneshot::channel();
                        let bytes = message.len();
                        orders.send((message, tell)).await.map_err(|_| "the connection is gone")?;
                        told.await.map_err(|_| "the connection is gone")?.map(|()| Done::moving(bytes))
                    }
                }));
            }
            Ok(requesters)
        })
    }
}
