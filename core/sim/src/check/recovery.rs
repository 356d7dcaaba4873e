//! After the last fault, everything recovers.
//!
//! A safe but stuck cluster is still stuck. Within a stated time after the last fault, every topic takes publishes with
//! `ack: all`, every home leads its group, all replicas have equal logs, and every outbox is empty.

use super::case::Case;
use super::evidence::Recovery;
use super::words::At;
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let recovery = &case.evidence.recovery;
    let Recovery { healed, limit, published, homes_lead, replicas_equal, outboxes_empty, remains } = recovery;
    let due = *healed + *limit;
    let must_come = [
        (*published, "a publish with ack all succeeds on every topic"),
        (*homes_lead, "every group is led by its home, and every member votes"),
        (*replicas_equal, "the replicas of every topic have the same messages"),
        (*outboxes_empty, "every outbox is empty"),
    ];
    for (came, what) in must_come {
        let when = match came {
            Some(came) if came <= due => continue,
            Some(came) => format!("only at {}", At(came)),
            None => "not at all".into(),
        };
        let remains = if remains.is_empty() { String::new() } else { format!("; remaining: {}", remains.join("; ")) };
        return Err(Broken(format!(
            "healed at {}, but within {limit:?} this condition was not met: {what} ({when}){remains}",
            At(*healed)
        )));
    }
    Ok(Checked(must_come.len() as u64))
}

#[cfg(test)]
mod tests {
    use cubecast_core::time::Instant;

    use super::super::story::Story;
    use super::check;

    #[test]
    fn what_comes_back_in_time_passes() {
        assert_eq!(Story::new().passes(check), 4);
    }

    #[test]
    fn what_comes_back_late_or_never_is_named() {
        let mut story = Story::new();
        story.recovery().homes_lead = Some(Instant(31_000_001));
        story.fails(check, &["healed at 1.000000 s", "within 30s", "led by its home", "only at 31.000001 s"]);
        let mut story = Story::new();
        story.recovery().outboxes_empty = None;
        story.recovery().remains = vec!["node 101 keeps 3 publishes".into()];
        story.fails(check, &["every outbox is empty", "not at all", "node 101 keeps 3 publishes"]);
    }
}
