//! Bounded queues stay within their bounds.
//!
//! Every queue has a stated limit and was never observed longer.

use super::case::Case;
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let peaks = &case.evidence.queues;
    match peaks.iter().find(|peak| peak.length > peak.limit) {
        Some(peak) => Err(Broken(format!(
            "the length of queue `{}` of node {} was {}; its limit is {}",
            peak.name, peak.node, peak.length, peak.limit
        ))),
        None => Ok(Checked(peaks.len() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::check;

    #[test]
    fn a_queue_may_be_full_and_no_more() {
        let mut story = Story::new();
        story.queue("asks", 16, 16).queue("frames", 0, 4096);
        assert_eq!(story.passes(check), 2);
        story.queue("outbox", 65_537, 65_536);
        story.fails(check, &["`outbox`", "node 011", "65537", "65536"]);
    }
}
