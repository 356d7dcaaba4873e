//! Those of the deliberate bugs ([`crate::bugs`]) that take more than a line.

use super::Node;
use super::pulls::Pull;
use super::push::SessionId;
use super::reads::message;
use crate::cube::Vertex;
use crate::names::Offset;
use crate::wire::answer::Message;

impl Node {
    /// The next message that a session delivers is the one at `end`.
    pub(super) fn skip_to(&mut self, id: SessionId, end: Offset) {
        if let Some(session) = self.push.sessions.get_mut(&id) {
            session.next = end;
        }
    }

    /// Adds to messages that were read from `start` what follows them in this holder's log, committed or not.
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
