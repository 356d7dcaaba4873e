//! The deliberate bugs ([`crate::bugs`]) that need more than one line.

use super::Node;
use super::pulls::Pull;
use super::push::SessionId;
use super::reads::message;
use crate::cube::Vertex;
use crate::names::Offset;
use crate::wire::answer::Message;

impl Node {
    /// Makes the session deliver the message at `end` next.
    pub(super) fn skip_to(&mut self, id: SessionId, end: Offset) {
        if let Some(session) = self.push.sessions.get_mut(&id) {
            session.next = end;
        }
    }

    /// Appends the messages that follow in this replica's log, committed or not, to those that were read from `start`.
    pub(super) fn add_uncommitted(&self, home: Vertex, pull: &Pull, start: Offset, messages: &mut Vec<Message>) {
        let Some(group) = self.groups.get(&home) else { return };
        for stored in group.uncommitted_messages(&pull.topic) {
            let next = messages.last().map_or(start, |last| last.offset.next());
            if stored.offset == next && (messages.len() as u64) < u64::from(pull.max) {
                messages.push(message(stored));
            }
        }
    }
}
