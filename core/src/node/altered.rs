//! Messages of other nodes that were altered on their way. The sender sends one again, as if it had been lost; here it is
//! counted, and told now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use crate::cube::Vertex;
use crate::time::Instant;
use crate::wire::event::Event;

/// That one node's messages arrive altered is told again after this.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// When it was told last, by the node whose messages they were.
#[derive(Default)]
pub(super) struct Altered(BTreeMap<Vertex, Instant>);

impl Node {
    /// `what`: all of it, or a part that has a check sum of its own.
    pub(super) fn handle_altered(&mut self, from: Vertex, what: Option<String>) {
        self.counters.frames_altered += 1;
        let now = self.now.monotonic;
        if self.altered.0.get(&from).is_some_and(|told| now.since(*told) < TELL_AGAIN) {
            return;
        }
        self.altered.0.insert(from, now);
        let what = what.unwrap_or_else(|| "checksum mismatch".into());
        let text = format!(
            "a message from node {from} was altered in transit to node {} and was dropped ({what}); it is sent again. \
             If this happens repeatedly, check the path between the two: proxy, cable, memory (`frames_altered` counts \
             these messages)",
            self.me
        );
        self.observe(Event::Warning { text }, None);
    }
}
