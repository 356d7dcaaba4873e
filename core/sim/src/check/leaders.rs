//! A group has at most one leader in a term.
//!
//! Nodes report when they begin to lead. Two leaders of one group in one term could both commit, and their logs would
//! diverge. The same node may report twice.

use std::collections::BTreeMap;

use super::case::Case;
use super::evidence::Leadership;
use super::words::At;
use super::{Broken, Checked, Verdict};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    check_leaderships(&case.evidence.leaderships)
}

/// Checks reports of leadership. The facts are the terms that had a leader.
pub fn check_leaderships<'a>(leaderships: impl IntoIterator<Item = &'a Leadership>) -> Verdict {
    let mut leaders = BTreeMap::new();
    for said in leaderships {
        let first = *leaders.entry((said.group, said.term)).or_insert(*said);
        if first.node != said.node {
            return Err(Broken(format!(
                "group {} has two leaders in term {}: {} (at {}) and {} (at {})",
                said.group,
                said.term,
                first.node,
                At(first.at),
                said.node,
                At(said.at)
            )));
        }
    }
    Ok(Checked(leaders.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::check;

    #[test]
    fn leaders_follow_each_other_in_terms_of_their_own() {
        let mut story = Story::new();
        story.leads("100", 1, "100", 5).leads("100", 2, "101", 9).leads("101", 2, "100", 9).leads("100", 2, "101", 11);
        assert_eq!(story.passes(check), 3);
    }

    #[test]
    fn two_leaders_in_one_term_are_found() {
        let mut story = Story::new();
        story.leads("100", 2, "100", 5).leads("100", 2, "101", 9);
        story.fails(check, &["group 100", "term 2", "100 (at 0.005000 s)", "101 (at 0.009000 s)"]);
    }
}
