//! Turns form input and clicks into tasks. Invalid input is rejected here, with the reason.

use cubecast_core::client::Target;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, PublisherId, StartAt, SubscriberId, TopicName};
use cubecast_core::wire::client::{Ack, Action, Admin, Query, Read, ReadLevel, Write};

use super::seek::ReadFrom;
use super::task::{Panel, Task, TaskStep};
use crate::format::sentence;

/// Messages per pull.
pub const PULL_MAX: u32 = 20;

/// Messages of each replica that are compared at once.
const COMPARED: u32 = 500;
/// The subscriber that reads replicas. Its cursor never moves.
const AUDITOR: &str = "auditor";

/// Why input was rejected: a text for the user.
pub type Refusal = String;

/// Registers the publisher if needed, then creates the topic.
pub fn create_topic(publisher: &str, topic: &str) -> Result<Task, Refusal> {
    let (publisher, topic) = (publisher_id(publisher)?, topic_name(topic)?);
    let steps = vec![register_publisher(&publisher), at_home(Action::Write(Write::CreateTopic { publisher, topic }))];
    Ok(Task { panel: Panel::Topic, steps })
}

/// Deletes the topic.
pub fn delete_topic(publisher: &str, topic: &str) -> Result<Task, Refusal> {
    let (publisher, topic) = (publisher_id(publisher)?, topic_name(topic)?);
    Ok(Task { panel: Panel::Topic, steps: vec![at_home(Action::Write(Write::DeleteTopic { publisher, topic }))] })
}

/// Registers the publisher if needed, then publishes. The page rejects an empty message as not typed yet; the cluster
/// would accept it.
pub fn publish(publisher: &str, topic: &str, content: &str, ack: Ack) -> Result<Task, Refusal> {
    let (publisher, topic) = (publisher_id(publisher)?, topic_name(topic)?);
    if content.is_empty() {
        return Err("Type a message first.".to_owned());
    }
    let publish = Action::Write(Write::Publish {
        publisher: publisher.clone(),
        topic,
        content: content.into(),
        ack,
        sequence: None,
    });
    Ok(Task { panel: Panel::Publish, steps: vec![register_publisher(&publisher), at_home(publish)] })
}

/// `from`: where to start; `None` continues at the subscriber's cursor.
pub fn subscribe(subscriber: &str, topic: &str, from: Option<StartAt>) -> Result<Task, Refusal> {
    let (subscriber, topic) = (subscriber_id(subscriber)?, topic_name(topic)?);
    let subscribe = Action::Write(Write::Subscribe { subscriber: subscriber.clone(), topic, from, push: true });
    Ok(Task { panel: Panel::Subscribe, steps: vec![register_subscriber(&subscriber), at_home(subscribe)] })
}

/// Ends the subscription.
pub fn unsubscribe(subscriber: &str, topic: &str) -> Result<Task, Refusal> {
    let (subscriber, topic) = (subscriber_id(subscriber)?, topic_name(topic)?);
    Ok(Task { panel: Panel::Subscribe, steps: vec![at_home(Action::Write(Write::Unsubscribe { subscriber, topic }))] })
}

/// Subscribes first, without push, so that there is a cursor to pull from.
pub fn pull(subscriber: &str, topic: &str, read: ReadLevel, commit: bool) -> Result<Task, Refusal> {
    let (subscriber, topic) = (subscriber_id(subscriber)?, topic_name(topic)?);
    let subscribe = Action::Write(Write::Subscribe {
        subscriber: subscriber.clone(),
        topic: topic.clone(),
        from: None,
        push: false,
    });
    let steps = vec![
        register_subscriber(&subscriber),
        TaskStep { once: true, ..at_home(subscribe) },
        at_home(Action::Read(Read::Pull { subscriber, topic, max: PULL_MAX, read, commit })),
    ];
    Ok(Task { panel: Panel::Browse, steps })
}

/// Reads stored messages from an offset on. Its reader has a subscription of its own, so that no cursor of the user
/// moves.
pub fn read_stored(topic: &TopicName, read: ReadFrom) -> Task {
    let mut steps = prepare_auditor(topic);
    steps.push(read_from(topic, read));
    Task { panel: Panel::Browse, steps }
}

/// One read of stored messages, by the home or the nearest replica. It needs no majority.
pub fn read_from(topic: &TopicName, read: ReadFrom) -> TaskStep {
    let (subscriber, topic) = (auditor(), topic.clone());
    at_home(Action::Read(Read::ReplicaPull { subscriber, topic, max: read.max, from: Some(read.from) }))
}

/// Reads the newest messages of each replica from its own replica, for comparison. One task per replica, so that a
/// replica that is down does not affect the others. `end`: the offset after the last message.
pub fn compare_replicas(topic: &str, replicas: &[HostId], end: u64) -> Result<Vec<Task>, Refusal> {
    let (subscriber, topic) = (auditor(), topic_name(topic)?);
    let from = Some(Offset(end.saturating_sub(u64::from(COMPARED))));
    let read = Action::Read(Read::ReplicaPull { subscriber, topic: topic.clone(), max: COMPARED, from });
    let task = |replica: &HostId| {
        let mut steps = prepare_auditor(&topic);
        steps.push(step(read.clone(), Target::Node(*replica)));
        Task { panel: Panel::Compare, steps }
    };
    Ok(replicas.iter().map(task).collect())
}

fn auditor() -> SubscriberId {
    SubscriberId::new(AUDITOR).expect("this is a name")
}

/// Registers and subscribes the auditor. `locate` goes to each replica on the same path as the news of the
/// subscription, so a replica learns of the subscription before a read arrives.
fn prepare_auditor(topic: &TopicName) -> Vec<TaskStep> {
    let (subscriber, topic) = (auditor(), topic.clone());
    let register = register_subscriber(&subscriber);
    let subscribe = Write::Subscribe { subscriber, topic: topic.clone(), from: None, push: false };
    let once = |action| TaskStep { once: true, ..at_home(action) };
    vec![register, once(Action::Write(subscribe)), once(Action::Query(Query::Locate { topic }))]
}

/// Stops a node for `duration_ms` milliseconds.
pub fn stop_node(node: HostId, mode: StopMode, duration_ms: u64) -> Task {
    let stop = Action::Admin(Admin::StopNode { node: Some(node), mode, duration_ms });
    Task { panel: Panel::Node, steps: vec![step(stop, Target::Node(node))] }
}

/// Recovers a stopped node before its time.
pub fn recover_node(node: HostId) -> Task {
    let recover = Action::Admin(Admin::RecoverNode { node: Some(node) });
    Task { panel: Panel::Node, steps: vec![step(recover, Target::Node(node))] }
}

/// Conditions of a direction are set at its sending node.
pub fn set_link(directions: &[(HostId, HostId)], conditions: LinkConditions) -> Task {
    let set = |&(from, to): &(HostId, HostId)| {
        step(Action::Admin(Admin::SetLink { from, to, conditions }), Target::Node(from))
    };
    Task { panel: Panel::Edge, steps: directions.iter().map(set).collect() }
}

/// Sets equal conditions for both directions of a link.
pub(super) fn set_both_ways(a: HostId, b: HostId, conditions: LinkConditions) -> [TaskStep; 2] {
    [set_one_way(a, b, conditions), set_one_way(b, a, conditions)]
}

/// Sets the conditions of one direction, at its sending node. Retried while that node recovers.
pub(super) fn set_one_way(from: HostId, to: HostId, conditions: LinkConditions) -> TaskStep {
    TaskStep { patient: true, ..step(Action::Admin(Admin::SetLink { from, to, conditions }), Target::Node(from)) }
}

fn step(action: Action, to: Target) -> TaskStep {
    TaskStep::new(action, to)
}

fn at_home(action: Action) -> TaskStep {
    step(action, Target::Home)
}

fn register_publisher(publisher: &PublisherId) -> TaskStep {
    TaskStep { once: true, ..at_home(Action::Write(Write::CreatePublisher { publisher: publisher.clone() })) }
}

fn register_subscriber(subscriber: &SubscriberId) -> TaskStep {
    TaskStep { once: true, ..at_home(Action::Write(Write::CreateSubscriber { subscriber: subscriber.clone() })) }
}

/// Errors: no name was typed, or it is invalid.
pub fn topic_name(text: &str) -> Result<TopicName, Refusal> {
    match text.trim() {
        "" => Err("Choose a topic first: type a name above, for example news.".to_owned()),
        name => TopicName::new(name).map_err(|error| sentence(&error.to_string())),
    }
}

/// Errors: the name is invalid.
pub fn publisher_id(text: &str) -> Result<PublisherId, Refusal> {
    PublisherId::new(text.trim()).map_err(|error| sentence(&error.to_string()))
}

fn subscriber_id(text: &str) -> Result<SubscriberId, Refusal> {
    SubscriberId::new(text.trim()).map_err(|error| sentence(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_is_registered_once_before_it_publishes() {
        let task = publish(" publisher1 ", "news", "hello", Ack::Quorum).unwrap();
        let names: Vec<_> = task.steps.iter().map(|step| (step.action.name(), step.once)).collect();
        assert_eq!(names, [("create_publisher", true), ("publish", false)]);
    }

    #[test]
    fn each_replica_is_read_from_its_own_replica() {
        let replicas: Vec<HostId> = ["100", "101"].map(|name| name.parse().unwrap()).to_vec();
        let tasks = compare_replicas("news", &replicas, 700).unwrap();
        let reads: Vec<_> = tasks.iter().map(|task| task.steps.last().unwrap()).collect();
        assert_eq!(
            reads.iter().map(|step| step.to).collect::<Vec<_>>(),
            [Target::Node(replicas[0]), Target::Node(replicas[1])]
        );
        assert!(matches!(&reads[0].action, Action::Read(Read::ReplicaPull { from: Some(Offset(200)), max: 500, .. })));
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        assert!(publish("p", "  ", "hello", Ack::One).unwrap_err().starts_with("Choose a topic"));
        assert_eq!(publish("p", "news", "", Ack::One).unwrap_err(), "Type a message first.");
        assert!(create_topic("p", "two words").unwrap_err().starts_with("A topic must not contain whitespace"));
        assert_eq!(subscribe("", "news", None).unwrap_err(), "A subscriber_id must not be empty.");
    }

    #[test]
    fn a_node_is_stopped_by_itself_and_a_link_is_cut_by_its_sender() {
        let (a, b): (HostId, HostId) = ("100".parse().unwrap(), "101".parse().unwrap());
        assert_eq!(stop_node(a, StopMode::Crash, 1).steps[0].to, Target::Node(a));
        let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
        let senders: Vec<_> = set_link(&[(a, b), (b, a)], cut).steps.iter().map(|step| step.to).collect();
        assert_eq!(senders, [Target::Node(a), Target::Node(b)]);
    }
}
