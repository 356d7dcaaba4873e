//! Messages of other nodes that were altered in transit. They are dropped, and the sender sends them again as if they
//! had been lost. This module counts them and reports them at a limited rate.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use crate::cube::Vertex;
use crate::time::Instant;
use crate::wire::event::Event;

/// Delay before altered messages of the same node are reported again.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// When altered messages were last reported, by the sending node.
#[derive(Default)]
pub(super) struct Altered(BTreeMap<Vertex, Instant>);

impl Node {
    /// `what`: the altered part, if it has a checksum of its own; `None`: the whole message.
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
