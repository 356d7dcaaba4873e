//! After all faults are mended: waits until the cluster has recovered by itself, measures the times, and reads the
//! final content of every replica.

use std::collections::BTreeMap;
use std::time::Duration;

use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Done, ErrorCode, Message};
use cubecast_core::wire::client::{Action, Read, Write};
use cubecast_core::wire::limits::MAX_PULL;
use cubecast_sim::check::evidence::{Holdings, Recovery};
use cubecast_sim::check::history::Outcome;
use cubecast_sim::check::workload::Workload;
use tokio::time::{Instant as Moment, sleep};

use super::client::Listening;
use super::record::Recorder;
use crate::cluster::connection::Connection;
use crate::cluster::nodes::{AskError, Nodes};

/// The time limit of the recovery.
const LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits for recovery, gives open push sessions time to deliver all messages, and reads the replicas again after all
/// sessions have ended. Requests may still be in progress; a message that they store after the first read must not
/// count as missing.
pub async fn recover(
    nodes: &Nodes,
    addresses: &[String],
    recorder: &Recorder,
    workload: &Workload,
    listening: Vec<Listening>,
) -> (Recovery, Holdings) {
    let healed = recorder.now();
    let until = Moment::now() + LIMIT;
    let mut recovery = Recovery::begun(healed, LIMIT);
    let keeper = Keeper { addresses, recorder, seating: nodes.seating() };
    let (published, ()) =
        tokio::join!(keeper.settle(workload.farewell(), until), look(nodes, recorder, &mut recovery, until),);
    match published {
        Ok(()) => recovery.published = Some(recorder.now()),
        Err(why) => recovery.remains.push(why),
    }
    let topics = [workload.lasting_topics(), workload.passing_topics()].concat();
    let holdings = read_equal(nodes, &topics, recorder, &mut recovery, until).await;
    let counts = lengths(&holdings, &workload.lasting_topics());
    while !recorder.has_delivered(&counts) && Moment::now() < until {
        sleep(LOOK_EVERY).await;
    }
    drop(listening);
    let holdings = read_equal(nodes, &topics, recorder, &mut recovery, until).await;
    (recovery, holdings)
}

/// Reads the replicas until they are equal.
async fn read_equal(
    nodes: &Nodes,
    topics: &[TopicName],
    recorder: &Recorder,
    recovery: &mut Recovery,
    until: Moment,
) -> Holdings {
    loop {
        let holdings = read_all(nodes, topics).await;
        match unequal(&holdings, nodes.seating()).first() {
            None => {
                recovery.replicas_equal.get_or_insert(recorder.now());
                return holdings;
            }
            Some(why) if Moment::now() >= until => {
                recovery.replicas_equal = None;
                recovery.remains.push(why.clone());
                return holdings;
            }
            Some(_) => sleep(LOOK_EVERY).await,
        }
    }
}

fn lengths(holdings: &Holdings, topics: &[TopicName]) -> BTreeMap<TopicName, u64> {
    let longest = |topic: &TopicName| holdings[topic].values().flatten().map(|log| log.len() as u64).max();
    topics.iter().filter_map(|topic| Some((topic.clone(), longest(topic)?))).collect()
}

/// Watches leaders and outboxes until the homes lead and the outboxes are empty.
async fn look(nodes: &Nodes, recorder: &Recorder, recovery: &mut Recovery, until: Moment) {
    loop {
        let survey = nodes.survey().await;
        let (leaders, drains) = (survey.lacks_leaders(), survey.lacks_drains());
        note(&mut recovery.homes_lead, &leaders, recorder.now());
        // A node that does not answer may have publishes in its outbox.
        note(&mut recovery.outboxes_empty, if leaders.is_empty() { &drains } else { &leaders }, recorder.now());
        if recovery.homes_lead.is_some() && recovery.outboxes_empty.is_some() {
            return;
        }
        if Moment::now() >= until {
            recovery.remains.extend(leaders.into_iter().chain(drains));
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn note(when: &mut Option<Instant>, lacks: &[String], now: Instant) {
    if lacks.is_empty() {
        when.get_or_insert(now);
    }
}

/// Performs and records the requests before the clients begin and after they have ended.
pub struct Keeper<'a> {
    /// The nodes' addresses for clients, in the order of the nodes.
    pub addresses: &'a [String],
    /// Records the requests.
    pub recorder: &'a Recorder,
    /// The nodes of the cluster.
    pub seating: &'a Seating,
}

impl Keeper<'_> {
    /// Performs the actions one after the other. Each is repeated at other nodes until it is done.
    pub async fn settle(&self, actions: Vec<Action>, until: Moment) -> Result<(), String> {
        for action in actions {
            let mut nodes = self.seating.hosts().cycle();
            while let Err(why) = self.settle_at(nodes.next().expect("a cycle does not end"), &action).await {
                if Moment::now() >= until {
                    return Err(format!("{} of {:?}: {why}", action.name(), action.subject().unwrap_or_default()));
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    async fn settle_at(&self, node: HostId, action: &Action) -> Result<(), String> {
        let index = self.seating.index_of(node).expect("a node of this cluster");
        let opened = Connection::open(&self.addresses[index]).await;
        let mut connection = opened.map_err(|lost| format!("{node}: {lost}"))?;
        let begun = self.recorder.begin(Workload::KEEPER, node, action);
        let operation = self.recorder.end(begun, connection.ask(action.clone()).await.ok());
        match (&operation.answered, operation.outcome()) {
            (Some(answered), _) if Workload::is_settled(&answered.result) => Ok(()),
            (_, Outcome::Refused(failure)) => Err(failure.to_string()),
            (_, Outcome::Done(_) | Outcome::InDoubt) => Err(format!("{node} did not answer in time")),
        }
    }
}

// The content of the replicas.

async fn read_all(nodes: &Nodes, topics: &[TopicName]) -> Holdings {
    let mut holdings = Holdings::new();
    for topic in topics {
        // Passing topics may or may not exist. If a replica has the topic, the auditor subscribes and can read it.
        let subscribe = Action::Write(Write::Subscribe {
            subscriber: Workload::auditor(),
            topic: topic.clone(),
            from: None,
            push: false,
        });
        let members = members(nodes.seating(), topic);
        let _ = nodes.ask(members[0], subscribe).await;
        let replicas = members.into_iter().map(|replica| async move { (replica, read(nodes, replica, topic).await) });
        let read = futures_util::future::join_all(replicas).await;
        let answered = read.into_iter().filter_map(|(replica, read)| Some((replica, read.ok()?)));
        holdings.insert(topic.clone(), answered.collect());
    }
    holdings
}

/// Reads one replica from its first message on. `None`: it has no such topic.
async fn read(nodes: &Nodes, replica: HostId, topic: &TopicName) -> Result<Option<Vec<Message>>, AskError> {
    let mut found: Vec<Message> = Vec::new();
    loop {
        let from = Some(Offset(found.last().map_or(0, |message| message.offset.0 + 1)));
        let pull = Action::Read(Read::ReplicaPull {
            subscriber: Workload::auditor(),
            topic: topic.clone(),
            max: MAX_PULL,
            from,
        });
        match nodes.ask(replica, pull).await {
            Ok(Done::Pulled { messages, .. }) if messages.is_empty() => return Ok(Some(found)),
            Ok(Done::Pulled { messages, .. }) => found.extend(messages),
            Ok(other) => unreachable!("a replica_pull was answered with {other:?}"),
            Err(AskError::Refused(failure)) if failure.code == ErrorCode::UnknownTopic => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// The nodes of a topic's replicas, that of its home first.
fn members(seating: &Seating, topic: &TopicName) -> Vec<HostId> {
    seating.members(GroupId::of(placement::home(topic.as_str(), seating.dimension())))
}

fn unequal(holdings: &Holdings, seating: &Seating) -> Vec<String> {
    let differ = |(topic, replicas): (&TopicName, &BTreeMap<HostId, Option<Vec<Message>>>)| {
        let members = members(seating, topic);
        let count = |replica: HostId| match replicas.get(&replica) {
            Some(Some(messages)) => format!("{replica} has {}", messages.len()),
            Some(None) => format!("{replica} does not have the topic"),
            None => format!("{replica} is not responding"),
        };
        let same =
            members.iter().all(|replica| replicas.contains_key(replica) && replicas[replica] == replicas[&members[0]]);
        (!same).then(|| format!("{topic}: {}", members.iter().copied().map(count).collect::<Vec<_>>().join(", ")))
    };
    holdings.iter().filter_map(differ).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::Dimension;

    fn message(offset: u64) -> Message {
        Message {
            offset: Offset(offset),
            publisher: Workload::keeper(),
            content: offset.to_string().into(),
            time: Default::default(),
        }
    }

    #[test]
    fn replicas_that_differ_are_named_with_what_they_have() {
        let seating = Seating::founding(Dimension::new(1).unwrap());
        let topic: TopicName = "news".parse().unwrap();
        let of = |first: Option<Vec<Message>>, second: Option<Vec<Message>>| {
            let replicas = seating.hosts().zip([first, second]).collect();
            unequal(&Holdings::from([(topic.clone(), replicas)]), &seating)
        };
        assert!(of(Some(vec![message(0)]), Some(vec![message(0)])).is_empty());
        assert!(of(None, None).is_empty());
        assert_eq!(of(Some(vec![message(0)]), Some(vec![])), ["news: 0 has 1, 1 has 0"]);
        assert_eq!(of(Some(vec![]), None), ["news: 0 has 0, 1 does not have the topic"]);
        let alone = Holdings::from([(topic.clone(), BTreeMap::from([("0".parse().unwrap(), None)]))]);
        assert_eq!(unequal(&alone, &seating), ["news: 0 does not have the topic, 1 is not responding"]);
    }
}
