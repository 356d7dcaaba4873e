//! The death of a home, by broken connections or in silence: the spread of the news, and the failover.

use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::group::Group;
use cubecast_core::identity::HostId;
use cubecast_core::io::ConnectionId;
use cubecast_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::publishing::{Topic, publish};
use super::{EDGE, Spread, Stand};
use crate::cluster::Cluster;

/// Resolution of time measurements.
const LOOK: Duration = Duration::from_micros(100);
/// How long a killed home stays down.
const AWAY: Duration = Duration::from_secs(1);
/// Longer than the detection of silence takes.
const HUNG: Duration = Duration::from_secs(3_600);

/// The spread of the news of a kill. Its connections break at once.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct News {
    /// From the kill until the first of the other nodes shows it as failed; mean over all kills.
    pub first_ms: f64,
    /// The same for the median node.
    pub median_ms: f64,
    /// The same for the last node.
    pub last_ms: f64,
    /// The largest time until the last node over all kills.
    pub slowest_ms: f64,
    /// Frames with link states from one kill to its last echo; mean over all kills. No background is subtracted: in a
    /// cube at rest no link states are sent.
    pub frames: f64,
    /// The link states in these frames.
    pub words: f64,
}

/// The failover of a killed home, and its return.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Failover {
    /// From the kill until another replica leads and has committed in its term.
    pub led_ms: Spread,
    /// From the kill until a publish with `ack: quorum`, sent at the same moment, is acknowledged.
    pub acknowledged_ms: Spread,
    /// From the start of its process until the home leads again.
    pub returned_ms: Spread,
    /// Votes, entries and their acknowledgements from the kill until the publish is acknowledged.
    pub frames: f64,
}

/// The detection of a node that hangs: its connections stay open, and no frames arrive.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Silence {
    /// Time until the first of the other nodes shows it as failed.
    pub first_ms: f64,
    /// Time until the last of the other nodes shows it as failed.
    pub last_ms: f64,
}

/// Kills the homes of the first topics one after another.
pub(super) fn measure(stand: &mut Stand, topics: &[Topic], failures: u32) -> (News, Failover) {
    let mut killed: Vec<Vertex> = Vec::new();
    let mut seen = Vec::new();
    for topic in topics {
        if killed.len() < failures as usize && !killed.contains(&topic.home) {
            killed.push(topic.home);
            seen.push(kill(stand, topic));
        }
    }
    let all = |figure: fn(&Seen) -> f64| Spread::of(seen.iter().map(figure).collect());
    let news = News {
        first_ms: all(|seen| seen.news.least).mean,
        median_ms: all(|seen| seen.news.median).mean,
        last_ms: all(|seen| seen.news.most).mean,
        slowest_ms: all(|seen| seen.news.most).most,
        frames: all(|seen| seen.news_frames).mean,
        words: all(|seen| seen.news_words).mean,
    };
    let failover = Failover {
        led_ms: all(|seen| seen.led_ms),
        acknowledged_ms: all(|seen| seen.acknowledged_ms),
        returned_ms: all(|seen| seen.returned_ms),
        frames: all(|seen| seen.failover_frames).mean,
    };
    (news, failover)
}

/// The figures of one kill.
struct Seen {
    news: Spread,
    news_frames: f64,
    news_words: f64,
    led_ms: f64,
    acknowledged_ms: f64,
    failover_frames: f64,
    returned_ms: f64,
}

fn kill(stand: &mut Stand, topic: &Topic) -> Seen {
    stand.run_until_quiet();
    stand.run_a_while();
    let home = topic.home;
    let host = stand.cluster.seating().host_of(home);
    let (coordinator, before, began) = (coordinator(stand, home), stand.cluster.traffic(), stand.cluster.now());
    stand.cluster.kill(host);
    let mut publishing = Publishing::begin(&mut stand.cluster, coordinator, topic);
    let news = watch_news(stand, host, began);
    // The last node to receive the news forwards it, and then the last echoes are in transit.
    stand.cluster.run_for(2 * EDGE);
    let told = stand.cluster.traffic() - before;
    let mut led_ms = None;
    stand.run_until(LOOK, "another leads, and a publish is acknowledged", |cluster| {
        let led = led_ms.is_some() || another_leads(cluster, home);
        if led && led_ms.is_none() {
            led_ms = Some(cluster.now().since(began).as_micros() as f64 / 1e3);
        }
        publishing.is_acknowledged(cluster) && led
    });
    let used = stand.cluster.traffic() - before;
    let away_until = began + AWAY;
    stand.cluster.run_for(away_until.since(stand.cluster.now()));
    let returned = stand.cluster.now();
    stand.cluster.start(host);
    stand.run_until(LOOK, "the home leads again", |cluster| leads(cluster, host, home));
    Seen {
        news,
        news_frames: told.link_states as f64,
        news_words: told.words as f64,
        led_ms: led_ms.expect("it was waited for"),
        acknowledged_ms: publishing.acknowledged.expect("it was waited for").since(began).as_micros() as f64 / 1e3,
        failover_frames: (used.votes + used.replication) as f64,
        returned_ms: stand.ms_since(returned),
    }
}

/// A node outside the home's group if there is one, so that its publishes need a route as well as a leader.
fn coordinator(stand: &mut Stand, home: Vertex) -> HostId {
    let members = stand.cluster.members(home);
    let others: Vec<HostId> = stand.alive().into_iter().filter(|node| !members.contains(node)).collect();
    if others.is_empty() { members[1] } else { stand.draw(&others) }
}

/// Runs until all live nodes show `gone` as failed. Returns the distribution of milliseconds since `began`.
fn watch_news(stand: &mut Stand, gone: HostId, began: Instant) -> Spread {
    let mut unaware: Vec<HostId> = stand.alive().into_iter().filter(|node| *node != gone).collect();
    let mut heard = Vec::new();
    stand.run_until(LOOK, "all know of the death", |cluster| {
        let now = cluster.now().since(began).as_micros() as f64 / 1e3;
        let sees = |node: &HostId| cluster.node(*node).is_some_and(|node| node.sees(gone));
        heard.extend(unaware.extract_if(.., |node| !sees(node)).map(|_| now));
        unaware.is_empty()
    });
    Spread::of(heard)
}

pub(super) fn measure_silence(stand: &mut Stand) -> Silence {
    stand.run_until_quiet();
    stand.run_a_while();
    let (alive, began) = (stand.alive(), stand.cluster.now());
    let hung = stand.draw(&alive);
    stand.cluster.hang(hung, began + HUNG);
    let heard = watch_news(stand, hung, began);
    stand.cluster.kill(hung);
    Silence { first_ms: heard.least, last_ms: heard.most }
}

fn another_leads(cluster: &Cluster, home: Vertex) -> bool {
    cluster.members(home)[1..].iter().any(|member| leads(cluster, *member, home))
}

fn leads(cluster: &Cluster, member: HostId, home: Vertex) -> bool {
    cluster.group(member, home).is_some_and(Group::leads_fully)
}

/// A client that publishes, and repeats refused publishes.
struct Publishing<'a> {
    topic: &'a Topic,
    connection: ConnectionId,
    id: u64,
    acknowledged: Option<Instant>,
}

impl<'a> Publishing<'a> {
    fn begin(cluster: &mut Cluster, coordinator: HostId, topic: &'a Topic) -> Publishing<'a> {
        let connection = cluster.connect_client(coordinator);
        let id = cluster.send(connection, publish(topic));
        Publishing { topic, connection, id, acknowledged: None }
    }

    fn is_acknowledged(&mut self, cluster: &mut Cluster) -> bool {
        if let Some(answer) = cluster.take_answer(self.connection, self.id) {
            match answer.result {
                Ok(_) => self.acknowledged = Some(cluster.now()),
                Err(_) => self.id = cluster.send(self.connection, publish(self.topic)),
            }
        }
        self.acknowledged.is_some()
    }
}
