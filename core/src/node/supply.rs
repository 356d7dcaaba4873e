//! The messages that a replica can supply for a push subscription.

use crate::group::Group;
use crate::identity::GroupId;
use crate::names::{Offset, TopicId};
use crate::topics::Known;
use crate::wire::answer::EndReason;
use crate::wire::peer::Subscription;

/// A topic by number: its home, and its number among all topics that the group ever had.
pub(super) type TopicKey = (GroupId, TopicId);

/// The messages that a replica can supply for a subscription, or why it has none.
pub(super) enum Supply {
    /// The replica has not applied the topic's creation yet.
    NotYet,
    /// All messages before this offset.
    Until(Offset),
    Ended(EndReason),
}

/// The topic of a subscription.
pub(super) fn topic_key(subscription: &Subscription) -> TopicKey {
    (subscription.group, subscription.topic)
}

/// Returns the messages that this replica can supply.
pub(super) fn supply(group: &Group, subscription: &Subscription) -> Supply {
    let topics = group.topics();
    match topics.known(subscription.topic) {
        Known::NotYet => Supply::NotYet,
        Known::Deleted => Supply::Ended(EndReason::TopicDeleted),
        Known::Here(end) => {
            let has_applied = group.applied_index() >= subscription.since;
            match has_applied && !topics.is_subscribed(subscription.topic, &subscription.subscriber) {
                true => Supply::Ended(EndReason::Unsubscribed),
                false => Supply::Until(end),
            }
        }
    }
}
