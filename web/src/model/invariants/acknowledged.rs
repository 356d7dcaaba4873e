//! An acknowledged message is on enough replicas, and stays there.
//!
//! An acknowledgement with an offset means that the message is committed: a majority of the group's voters has it on
//! disk. A group never has fewer voters than a majority of its full size (`fewest_replicas`), and only the home and its
//! neighbours are replicas.
//!
//! `locate` shows whether the message stays: it is lost if every member answers and none has it, in every answer over
//! [`LOST_AFTER_MS`]. (A restarted member first reads its log again; that takes less time.) The checker remembers the
//! highest acknowledged offset of up to [`MAX_TOPICS`] topics.

use std::collections::BTreeMap;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Done, Location};
use cubecast_core::wire::event::Event;

use super::{Checked, Evidence};
use crate::format::nodes;
use crate::model::cluster::Cluster;

/// Topics that are checked; later ones are ignored.
pub const MAX_TOPICS: usize = 256;
/// Milliseconds that a message must be missing on all members before it counts as lost.
pub const LOST_AFTER_MS: u64 = 10_000;

/// The checker's state: the highest acknowledged offset per topic.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    topics: BTreeMap<TopicName, Highest>,
}

#[derive(Clone, Copy, Debug)]
struct Highest {
    offset: Offset,
    /// Since when all members answer and none has it, milliseconds since 1970.
    missing_since_ms: Option<u64>,
}

impl Acknowledged {
    /// Checks an answer to `publish` or `locate`, and forgets deleted topics.
    pub fn check(&mut self, now_ms: u64, evidence: Evidence<'_>, cluster: &Cluster) -> Checked {
        match evidence {
            Evidence::Event(told) => {
                if let Event::TopicDeleted { topic, .. } = &told.event {
                    self.topics.remove(topic);
                }
                Ok(0)
            }
            Evidence::Answer(answer) => match &answer.result {
                Ok(Done::Published { topic, offset: Some(offset), replicas, .. }) => {
                    self.remember(topic, *offset);
                    cluster.dimension.map_or(Ok(0), |dimension| check_replicas(topic, *offset, replicas, dimension))
                }
                Ok(Done::Located(location)) => self.look(now_ms, location),
                Ok(Done::TopicDeleted { topic, .. }) => {
                    self.topics.remove(topic);
                    Ok(0)
                }
                _ => Ok(0),
            },
            Evidence::Delivery(_) | Evidence::DeliveriesEnded { .. } => Ok(0),
        }
    }

    fn remember(&mut self, topic: &TopicName, offset: Offset) {
        if !self.topics.contains_key(topic) && self.topics.len() == MAX_TOPICS {
            return;
        }
        let highest = self.topics.entry(topic.clone()).or_insert(Highest { offset, missing_since_ms: None });
        if offset > highest.offset {
            *highest = Highest { offset, missing_since_ms: None };
        }
    }

    fn look(&mut self, now_ms: u64, location: &Location) -> Checked {
        let Some(highest) = self.topics.get_mut(&location.topic) else { return Ok(0) };
        let is_kept = location.members.iter().any(|replica| replica.last_offset >= Some(highest.offset));
        let all_answered = location.members.iter().all(|replica| replica.alive);
        if is_kept || !all_answered {
            highest.missing_since_ms = None;
            return Ok(u64::from(is_kept));
        }
        let since_ms = *highest.missing_since_ms.get_or_insert(now_ms);
        if now_ms < since_ms + LOST_AFTER_MS {
            return Ok(0);
        }
        let lasts = location.members.iter().filter_map(|replica| replica.last_offset).max();
        let last = lasts.map_or("none".to_owned(), |last| format!("#{last}"));
        Err(format!(
            "{} #{} was acknowledged, but no replica has had it for {} s, although all of them answer: \
             their last message is {last}",
            location.topic,
            highest.offset,
            (now_ms - since_ms) / 1_000
        ))
    }
}

/// A group never has fewer voters than a majority of its members, and a majority of the voters holds each committed
/// message.
fn fewest_replicas(dimension: Dimension) -> usize {
    let members = usize::from(dimension.bits()) + 1;
    let voters = members / 2 + 1;
    voters / 2 + 1
}

fn check_replicas(topic: &TopicName, offset: Offset, replicas: &[HostId], dimension: Dimension) -> Checked {
    let home = placement::home(topic.as_str(), dimension);
    let members = Seating::founding(dimension).members(GroupId::of(home));
    if let Some(stranger) = replicas.iter().find(|replica| !members.contains(replica)) {
        return Err(format!("{topic} #{offset} is reported on {stranger}, which is not a replica: its home is {home}"));
    }
    let fewest = fewest_replicas(dimension);
    if replicas.len() < fewest {
        return Err(format!(
            "{topic} #{offset} was acknowledged on {} of its replicas ({}); \
             the smallest possible quorum here is {fewest}",
            replicas.len(),
            nodes(replicas)
        ));
    }
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::super::story::{cube, deleted, evidence, located, published};
    use super::*;

    #[test]
    fn a_majority_of_the_smallest_group_of_voters_is_enough_and_less_is_not() {
        let mut acknowledged = Acknowledged::default();
        assert_eq!(acknowledged.check(1, evidence(&published(0, &["100", "101"])), &cube()), Ok(1));
        let broken = acknowledged.check(1, evidence(&published(1, &["101"])), &cube()).unwrap_err();
        assert!(broken.contains("news #1") && broken.contains("101"), "{broken}");
    }

    #[test]
    fn the_fewest_replicas_of_every_cube() {
        let fewest = |bits| fewest_replicas(Dimension::new(bits).unwrap());
        assert_eq!([1, 2, 3, 4, 5, 6].map(fewest), [2, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn nobody_else_holds_a_message() {
        let mut acknowledged = Acknowledged::default();
        let broken = acknowledged.check(1, evidence(&published(0, &["100", "101", "111"])), &cube()).unwrap_err();
        assert!(broken.contains("111"), "{broken}");
    }

    #[test]
    fn what_one_replica_still_has_is_not_lost_and_who_is_away_may_have_it() {
        let mut acknowledged = Acknowledged::default();
        acknowledged.check(0, evidence(&published(5, &["100", "101"])), &cube()).unwrap();
        assert_eq!(acknowledged.check(1, evidence(&located([Some(4), Some(5), Some(4), Some(4)])), &cube()), Ok(1));
        for now_ms in [1_000, 100_000] {
            assert_eq!(
                acknowledged.check(now_ms, evidence(&located([Some(4), None, Some(4), Some(4)])), &cube()),
                Ok(0)
            );
        }
    }

    #[test]
    fn what_no_replica_has_for_long_is_lost() {
        let mut acknowledged = Acknowledged::default();
        acknowledged.check(0, evidence(&published(5, &["100", "101"])), &cube()).unwrap();
        let nobody = located([Some(4); 4]);
        assert_eq!(acknowledged.check(1_000, evidence(&nobody), &cube()), Ok(0), "it may have been restarted");
        let broken = acknowledged.check(1_000 + LOST_AFTER_MS, evidence(&nobody), &cube()).unwrap_err();
        assert!(broken.contains("news #5") && broken.contains("#4"), "{broken}");
    }

    #[test]
    fn a_deleted_topic_has_lost_nothing() {
        let mut acknowledged = Acknowledged::default();
        acknowledged.check(0, evidence(&published(5, &["100", "101"])), &cube()).unwrap();
        acknowledged.check(0, evidence(&deleted("110")), &cube()).unwrap();
        for now_ms in [1, LOST_AFTER_MS * 2] {
            assert_eq!(acknowledged.check(now_ms, evidence(&located([Some(0); 4])), &cube()), Ok(0));
        }
    }
}
