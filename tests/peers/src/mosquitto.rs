//! Mosquitto: one broker, QoS 1, one topic pushed to many subscribers.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cubecast_lab::measure::Done;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::servers::{Server, folder, free_ports};
use super::system::{Requester, content};

/// Unacknowledged publishes.
const UNDER_WAY: u16 = 64;
/// Deliveries to one subscriber that are queued for the measurement.
const WAITING: usize = 1_024;

/// A running broker.
pub struct Mosquitto {
    server: Server,
}

/// The subscribers, and the publisher, which stops with them.
pub struct FanOut {
    requesters: Vec<Requester>,
    tasks: JoinSet<()>,
}

impl FanOut {
    /// The subscribers, and the tasks; publishing stops when the tasks are dropped.
    pub fn split(self) -> (Vec<Requester>, JoinSet<()>) {
        (self.requesters, self.tasks)
    }
}

impl Mosquitto {
    /// Starts the broker.
    pub async fn start(within: &Path) -> Result<Mosquitto, String> {
        let folder = folder(within, "mosquitto")?;
        let port = free_ports(1)?[0];
        let file = folder.join("mosquitto.conf");
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\n\
             max_queued_messages 100000\nset_tcp_nodelay true\npersistence false\n"
        );
        std::fs::write(&file, config).map_err(|error| error.to_string())?;
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(&file);
        Ok(Mosquitto { server: Server::start(command, &folder, port).await? })
    }

    /// The guarantee of an acknowledgement, and the configuration.
    pub fn promises() -> String {
        "mosquitto, one broker, QoS 1, nothing on disk: a message is lost with the broker, and stored nowhere else"
            .into()
    }

    /// Process ids, for measuring resource usage.
    pub fn processes(&self) -> Vec<u32> {
        vec![self.server.process()]
    }

    fn options(&self, name: &str) -> MqttOptions {
        let mut options = MqttOptions::new(name, "127.0.0.1", self.server.port);
        options.set_keep_alive(Duration::from_secs(60)).set_inflight(1_000).set_max_packet_size(1 << 20, 1 << 20);
        options
    }

    /// Starts the subscribers and a publisher that publishes continuously. `size`: bytes of a message.
    pub async fn fan_out(&self, subscribers: usize, size: usize) -> Result<FanOut, String> {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        let mut requesters = Vec::new();
        for number in 0..subscribers {
            let (client, mut events) = AsyncClient::new(self.options(&format!("subscriber{number}")), 100);
            client.subscribe("bench", QoS::AtLeastOnce).await.map_err(|error| error.to_string())?;
            let (tell, told) = mpsc::channel(WAITING);
            let (ready, is_ready) = tokio::sync::oneshot::channel();
            tasks.spawn(async move {
                let mut ready = Some(ready);
                // The client must live as long as its event loop.
                let _client = client;
                while let Ok(event) = events.poll().await {
                    match event {
                        Event::Incoming(Packet::SubAck(_)) => drop(ready.take().map(|ready| ready.send(()))),
                        Event::Incoming(Packet::Publish(message)) => match tell.send(message.payload).await {
                            Ok(()) => {}
                            Err(_) => return,
                        },
                        _ => {}
                    }
                }
            });
            is_ready.await.map_err(|_| "a subscriber of Mosquitto was not taken")?;
            let told = Arc::new(Mutex::new(told));
            requesters.push(Requester::new(move || {
                let told = told.clone();
                async move {
                    let payload = told.lock().await.recv().await.ok_or("Mosquitto closed the connection")?;
                    let sent = std::str::from_utf8(&payload).ok().and_then(|text| text.split(' ').next()?.parse().ok());
                    let since = sent.map(|micros| began + Duration::from_micros(micros));
                    Ok(Done { bytes: payload.len() as u64, since })
                }
            }));
        }
        let mut options = self.options("publisher");
        options.set_inflight(UNDER_WAY);
        let (client, mut events) = AsyncClient::new(options, usize::from(UNDER_WAY));
        tasks.spawn(async move { while events.poll().await.is_ok() {} });
        let text = content(size);
        tasks.spawn(async move {
            loop {
                let mut message = format!("{} ", began.elapsed().as_micros());
                message.push_str(&text[message.len().min(text.len())..]);
                if client.publish("bench", QoS::AtLeastOnce, false, message).await.is_err() {
                    return;
                }
            }
        });
        Ok(FanOut { requesters, tasks })
    }
}
