//! Membership changes are not proposed too soon after each other.
//!
//! A change takes effect at a member when the member applies it. If the next change were proposed while a voter does
//! not know the previous one, a single failure could leave members of which none can be elected. A leader therefore
//! waits for every voter that it sees. A voter that takes longer than a stated time counts as away.

use cubecast_core::group::members::AWAY_LIMIT;

use super::case::Case;
use super::words::At;
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    for change in &case.evidence.member_changes {
        if !change.unaware.is_empty() && change.waited < AWAY_LIMIT {
            let unaware: Vec<String> = change.unaware.iter().map(ToString::to_string).collect();
            return Err(Broken(format!(
                "leader {} of group {} proposed a change of members (entry {}) at {}, but the previous change (entry \
                 {}) was not yet known to the reachable voters {}",
                change.leader,
                change.group,
                change.index,
                At(change.at),
                change.last,
                unaware.join(", ")
            )));
        }
    }
    Ok(Checked(case.evidence.member_changes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::check;

    #[test]
    fn changes_that_all_know_pass_and_so_do_those_that_have_waited_long_enough() {
        let mut story = Story::new();
        story.changes_members(0, &[]).changes_members(5_000, &["110"]);
        assert_eq!(story.passes(check), 2);
    }

    #[test]
    fn a_change_that_somebody_does_not_know_the_last_one_of_is_found() {
        let mut story = Story::new();
        story.changes_members(4_999, &["110", "000"]);
        story.fails(check, &["leader 100 of group 100", "entry 50", "entry 40", "110, 000"]);
    }
}
