//! A full disk stops publishes, and nothing else.
//!
//! No process ends because of it. Publishes never take the last bytes of a disk that no other data has filled. Reads
//! and deletions are never refused for lack of room. [`super::refused`] checks that a refused publish is not stored,
//! and [`super::recovery`] checks that operation continues once there is room.

use cubecast_core::wire::answer::ErrorCode;
use cubecast_core::wire::client::{Action, Write};

use super::case::Case;
use super::evidence::{DiskMishap, Mishap};
use super::history::{Operation, Outcome};
use super::words::{At, Told};
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    if let Some(DiskMishap { node, at, what }) = case.evidence.disk_mishaps.first() {
        let what = match what {
            Mishap::Ended => "ended because its disk was full",
            Mishap::Filled => "filled its disk to the last byte, although it must refuse publishes earlier",
        };
        return Err(Broken(format!("node {node} {what}, at {}", At(*at))));
    }
    let refused = || case.evidence.history.operations.iter().filter(|operation| is_refused_for_storage(operation));
    match refused().find(|operation| frees_or_reads(&operation.action)) {
        Some(operation) => Err(Broken(format!("{} was refused with `storage_full`", Told(operation)))),
        None => Ok(Checked(refused().count() as u64)),
    }
}

fn is_refused_for_storage(operation: &Operation) -> bool {
    matches!(operation.outcome(), Outcome::Refused(failure) if failure.code == ErrorCode::StorageFull)
}

fn frees_or_reads(action: &Action) -> bool {
    !matches!(
        action,
        Action::Write(
            Write::Publish { .. }
                | Write::CreatePublisher { .. }
                | Write::CreateSubscriber { .. }
                | Write::CreateTopic { .. }
                | Write::Subscribe { .. }
                | Write::ReplicaSubscribe { .. }
                | Write::Commit { .. }
        )
    )
}

#[cfg(test)]
mod tests {
    use cubecast_core::wire::answer::ErrorCode;

    use super::super::story::Story;
    use super::check;
    use crate::check::evidence::Mishap;

    #[test]
    fn publishes_may_be_refused_and_deletions_may_not() {
        let mut story = Story::new();
        story.publish("a", 10..20).refused(ErrorCode::StorageFull);
        story.delete_topic(25..30).deleted();
        assert_eq!(story.passes(check), 1);
        story.delete_topic(35..40).refused(ErrorCode::StorageFull);
        story.fails(check, &["delete_topic", "storage_full"]);
    }

    #[test]
    fn a_process_that_ends_and_a_disk_without_a_byte_are_found() {
        for (what, words) in [(Mishap::Ended, "ended because"), (Mishap::Filled, "to the last byte")] {
            let mut story = Story::new();
            story.disk_mishap("011", 30, what);
            story.fails(check, &["node 011", words]);
        }
    }
}
