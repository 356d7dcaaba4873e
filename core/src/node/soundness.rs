//! Whether a restored state can be that of a node. It comes from a file, which may be damaged or forged.
//!
//! The checks cover what all code relies on: places on the cube, the lists indexed by them, and the indexes of logs.
//! They do not cover every invariant of every part, so a forged state may still cause a panic later. A program that
//! replays files of others needs a boundary for that.

use super::Node;
use super::view::View;
use crate::group::Group;

impl Node {
    /// The error names the part of the state that no node can have.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let View { me, seating, config, overlay, lifecycle, groups, .. } = &self.view;
        let is_somebody = seating.has(*me) && config.host == *me && config.seating == *seating;
        let own: Vec<_> = seating.groups_of(*me).collect();
        let is_own = |group: &Group| own.contains(&group.id()) && group.is_sound(*me, seating);
        let checks = [
            (is_somebody && lifecycle.is_of(*me), "its place on the cube"),
            (is_somebody && overlay.is_sound(*me, seating), "its overlay"),
            (is_somebody && groups.are_keyed() && groups.iter().all(is_own), "its groups"),
            (self.out.batch() > 0, "its writes"),
        ];
        checks.iter().find(|(is_sound, _)| !is_sound).map_or(Ok(()), |(_, what)| Err(*what))
    }
}
