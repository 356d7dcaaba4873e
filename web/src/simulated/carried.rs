//! A simulation that starts as a copy of the live cluster, as far as the page knows it and as far as it can be copied.

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::PublisherId;
use cubecast_core::wire::client;

use super::spec::{LONGEST_MS, Spec, UserAction};
use crate::format::{nodes, plural};
use crate::model::cluster::{Cluster, Health};
use crate::model::task::{Panel, Task};
use crate::model::topics::TopicInfo;
use crate::model::{Act, State, tasks};

/// Topics are created at the start; faults follow at this time, in milliseconds, when the topics exist.
const BREAK_AT_MS: u64 = 4_000;
/// With more topics the page's address would be too long.
pub const MAX_TOPICS: usize = 40;

/// `None` if the cluster is unknown, or has more than six dimensions.
pub fn from_live(state: &State, seed: u64) -> Option<Spec> {
    let dimension = state.cluster.dimension.filter(|dimension| (1..=6).contains(&dimension.bits()))?;
    let mut spec = Spec::quiet(dimension, seed);
    let topics = state.topics.topics.iter().take(MAX_TOPICS);
    let created = topics.filter_map(|(topic, info)| tasks::create_topic(&owner(info), topic.as_str()).ok());
    let stopped = down(&state.cluster).into_iter().map(|node| {
        let returns_at_ms = state.cluster.nodes.get(&node).and_then(|node| node.returns_at_ms);
        let left_ms = returns_at_ms.map(|at_ms| at_ms.saturating_sub(state.now_ms)).filter(|left_ms| *left_ms > 0);
        tasks::stop_node(node, StopMode::Crash, left_ms.unwrap_or(LONGEST_MS))
    });
    let links = links(&state.cluster).into_iter();
    let set = links.map(|(from, to, conditions)| tasks::set_link(&[(from, to)], conditions));
    spec.user_actions.extend(created.map(|task| backstage(0, task)));
    spec.user_actions.extend(stopped.chain(set).map(|task| backstage(BREAK_AT_MS, task)));
    Some(spec)
}

/// A text for the user that lists what was copied from the live cluster and what was not.
pub fn words(spec: &Spec) -> String {
    let (mut topics, mut down, mut links) = (0, Vec::new(), 0);
    for user_action in &spec.user_actions {
        let Act::Run(Task { panel: Panel::Backstage, steps }) = &user_action.act else { continue };
        match steps.last().map(|step| &step.action) {
            Some(client::Action::Write(client::Write::CreateTopic { .. })) => topics += 1,
            Some(client::Action::Admin(client::Admin::StopNode { node: Some(node), .. })) => down.push(*node),
            Some(client::Action::Admin(client::Admin::SetLink { .. })) => links += 1,
            _ => {}
        }
    }
    let first = if topics == MAX_TOPICS as u64 { "the first " } else { "" };
    let mut parts = vec![format!("{} nodes", 1u32 << spec.dimension_bits())];
    parts.push(format!("{first}{} with name and owner", plural(topics, "topic")));
    if !down.is_empty() {
        parts.push(format!("{} down", nodes(&down)));
    }
    if links > 0 {
        parts.push(format!("the conditions of {}", plural(links, "link direction")));
    }
    let carried = parts.join(", ");
    format!(
        "Carried over from the live cluster: {carried}. Not carried over: messages, subscribers and cursors, \
         logs and terms."
    )
}

fn backstage(at_ms: u64, task: Task) -> UserAction {
    UserAction { at_ms, act: Act::Run(Task { panel: Panel::Backstage, ..task }) }
}

fn owner(info: &TopicInfo) -> String {
    info.owner.as_ref().map_or("publisher1", PublisherId::as_str).to_owned()
}

fn down(cluster: &Cluster) -> Vec<HostId> {
    cluster.nodes.iter().filter(|(_, node)| node.health() == Health::Failed).map(|(node, _)| *node).collect()
}

/// Directions with injected conditions, and silent directions between healthy nodes.
fn links(cluster: &Cluster) -> Vec<(HostId, HostId, LinkConditions)> {
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    let is_well = |node: HostId| cluster.health(node).is_running();
    let direction = |(&(from, to), link): (&(HostId, HostId), &crate::model::cluster::Link)| {
        let is_silent = link.arrives() == Some(false) && is_well(from) && is_well(to);
        let conditions = if is_silent { cut } else { link.conditions };
        (conditions != LinkConditions::PERFECT).then_some((from, to, conditions))
    };
    cluster.links.iter().filter_map(direction).collect()
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;

    use super::*;
    use crate::simulated::Player;

    fn task(task: Task) -> Act {
        Act::Run(task)
    }

    /// A simulation takes the place of the live cluster.
    #[test]
    fn topics_failures_and_links_are_carried_over_and_the_words_say_what_is_not() {
        let (a, b): (HostId, HostId) = ("000".parse().unwrap(), "001".parse().unwrap());
        let mut live = Player::new(Spec::quiet(Dimension::new(3).unwrap(), 1));
        let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
        for act in [
            tasks::create_topic("writer", "news").unwrap(),
            tasks::stop_node("100".parse().unwrap(), StopMode::Crash, 60_000),
            tasks::set_link(&[(a, b)], cut),
        ] {
            live.act(task(act)).unwrap();
            live.step(500);
            live.settle();
        }
        let spec = from_live(&live.state(), 9).unwrap();
        let words = words(&spec);
        assert!(words.contains("1 topic with name and owner, 100 down, the conditions of 1 link direction"), "{words}");
        assert!(words.contains("Not carried over: messages"));

        let mut copy = Player::new(spec);
        copy.seek(BREAK_AT_MS + 3_000);
        copy.settle();
        let state = copy.state();
        assert_eq!(state.cluster.health("100".parse().unwrap()), Health::Failed);
        assert!(state.cluster.link(a, b).conditions.cut && !state.cluster.link(b, a).conditions.cut);
        let topics: Vec<_> = state.topics.topics.iter().map(|(name, info)| (name.as_str(), owner(info))).collect();
        assert_eq!(topics, [("news", "writer".to_owned())]);
    }

    #[test]
    fn without_a_cluster_there_is_nothing_to_carry_over() {
        assert_eq!(from_live(&State::default(), 1), None);
    }
}
