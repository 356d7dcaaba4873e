//! Those of the deliberate bugs ([`crate::bugs`]) that take more than a line.

use super::Node;
use super::reads::message;
use crate::cube::Vertex;
use crate::names::TopicName;
use crate::wire::answer::Message;

impl Node {
    /// Adds to messages that were read what follows them in this holder's log, committed or not.
    pub(super) fn add_uncommitted(&self, home: Vertex, topic: &TopicName, messages: &mut Vec<Message>) {
        let Some(group) = self.groups.get(&home) else { return };
        for stored in group.uncommitted_messages(topic) {
            if messages.last().is_some_and(|last| last.offset.next() == stored.offset) {
                messages.push(message(stored));
            }
        }
    }
}
