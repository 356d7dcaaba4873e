//! Damage to a disk is detected.
//!
//! If bits in a node's data folder change, opening or reading the folder reports it. The code that inflicts the damage
//! compares what is read back and records undetected damage.

use super::case::Case;
use super::{Broken, Checked, Verdict};

/// The facts are the disks that were lost or damaged.
pub(super) fn check(case: &Case<'_>) -> Verdict {
    match case.evidence.undetected_damage.first() {
        Some(damage) => Err(Broken(format!("undetected damage: {damage}"))),
        None => Ok(Checked(case.evidence.disk_losses.len() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::check;

    #[test]
    fn damage_that_came_through_is_told() {
        let mut story = Story::new();
        story.lose_disk("011", 10);
        assert_eq!(story.passes(check), 1);
        story.evidence.undetected_damage.push("bit 7 of message 3 on 011".into());
        story.fails(check, &["undetected damage", "bit 7 of message 3 on 011"]);
    }
}
