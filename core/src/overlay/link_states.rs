//! The last link state of every node: the database that flooding fills.
//!
//! The newest version wins. Entries are never removed: the last link state of a dead node remains, and the node is
//! recognised as dead because no other node receives frames from it (see [`super::graph`]).

use serde::{Deserialize, Serialize};

use crate::identity::{HostId, Incarnation, Member};
use crate::seating::Seating;
use crate::states::{NodeState, StorageState};
use crate::wire::peer::LinkState;

/// The newest known link state of every host.
#[derive(Serialize, Deserialize)]
pub struct LinkStates {
    seating: Seating,
    me: HostId,
    /// By the host's index in the seating; `None` if no link state has arrived.
    known: Vec<Option<LinkState>>,
    digest: u64,
    /// The hosts whose link states have changed since the last [`LinkStates::take_changed`].
    changed: Vec<HostId>,
}

impl LinkStates {
    /// Whether restored link states can be those that this host knows.
    pub fn is_sound(&self, me: HostId, seating: &Seating) -> bool {
        let is_placed = |(index, state): (usize, &LinkState)| {
            seating.index_of(state.node.host) == Some(index)
                && u32::from(state.hears) >> seating.links() == 0
                && state.leads.iter().all(|(group, _)| seating.home(*group).is_ok())
        };
        let mut states = self.known.iter().enumerate().filter_map(|(index, state)| Some((index, state.as_ref()?)));
        self.me == me
            && self.seating == *seating
            && self.known.len() == seating.hosts().len()
            && self.changed.iter().all(|host| seating.has(*host))
            && self.get(me).is_some()
            && states.all(is_placed)
    }

    /// A database that contains only the host itself, which receives no frames yet.
    pub fn new(seating: Seating, me: HostId, version: u64) -> LinkStates {
        let known = vec![None; seating.hosts().len()];
        let mut states = LinkStates { seating, me, known, digest: 0, changed: Vec::new() };
        let node = Member { host: me, incarnation: Incarnation(0) };
        let (state, storage) = (NodeState::Recovering, StorageState::Ok);
        states.insert(LinkState { node, version, state, hears: 0, leads: Vec::new(), storage });
        states
    }

    /// The newest link state of a host.
    pub fn get(&self, host: HostId) -> Option<&LinkState> {
        self.known[self.seating.index_of(host)?].as_ref()
    }

    /// The link state of this node.
    pub fn own(&self) -> &LinkState {
        self.get(self.me).expect("a node knows of itself from the start")
    }

    /// All known link states.
    pub fn all(&self) -> impl Iterator<Item = &LinkState> {
        self.known.iter().flatten()
    }

    /// The neighbours from which a host receives frames according to its last link state, as a mask of bits.
    pub fn hears(&self, host: HostId) -> u16 {
        self.get(host).map_or(0, |state| state.hears)
    }

    /// Equal on two nodes that have the same versions.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The hosts whose link states have changed since the last call.
    pub fn take_changed(&mut self) -> Vec<HostId> {
        std::mem::take(&mut self.changed)
    }

    /// Merges another node's link state. Returns `false` if it is known, is older, or does not belong to this cube.
    pub fn merge(&mut self, state: LinkState) -> bool {
        let is_news = self.fits(&state) && self.get(state.node.host).is_none_or(|known| known.version < state.version);
        if is_news {
            self.insert(state);
        }
        is_news
    }

    /// Changes this node's own link state and increments its version.
    pub fn announce(&mut self, say: impl FnOnce(&mut LinkState)) {
        let mut own = self.own().clone();
        say(&mut own);
        own.version = own.version.saturating_add(1);
        self.insert(own);
    }

    /// Whether another node has a link state of this host from an earlier run, with a version that is as high as the
    /// current one or higher. This happens when the clock was set back.
    pub fn is_outdone_by(&self, echo: &LinkState) -> bool {
        let own = self.own();
        echo.node.host == self.me && (echo.version > own.version || (echo.version == own.version && echo != own))
    }

    fn fits(&self, state: &LinkState) -> bool {
        self.seating.has(state.node.host)
            && state.node.host != self.me
            && state.hears & !all_edges(self.seating.links()) == 0
            && state.leads.iter().all(|(group, _)| self.seating.home(*group).is_ok())
    }

    fn insert(&mut self, state: LinkState) {
        self.changed.push(state.node.host);
        let index = self.seating.index_of(state.node.host).expect("only states of this cluster's hosts are taken");
        let place = &mut self.known[index];
        self.digest ^= place.as_ref().map_or(0, fingerprint) ^ fingerprint(&state);
        *place = Some(state);
    }
}

/// The mask of the edges of a host with so many links.
pub fn all_edges(links: u8) -> u16 {
    u16::MAX >> (16 - links)
}

/// Spreads (host, version) over 64 bits with the finaliser of splitmix64, so that fingerprints can be combined by
/// XOR.
fn fingerprint(state: &LinkState) -> u64 {
    let mut bits = scatter(state.node.host.number().into());
    bits ^= state.version;
    scatter(bits)
}

fn scatter(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::{Dimension, VertexId};
    use crate::identity::GroupId;

    fn said(host: &str, version: u64, hears: u16) -> LinkState {
        let node = Member::founding(host.parse().unwrap());
        let storage = StorageState::Ok;
        LinkState { node, version, state: NodeState::Up, hears, leads: Vec::new(), storage }
    }

    fn database() -> LinkStates {
        LinkStates::new(Seating::founding(Dimension::new(3).unwrap()), "000".parse().unwrap(), 10)
    }

    #[test]
    fn the_newest_version_wins_whatever_comes_last() {
        let mut states = database();
        assert!(states.merge(said("001", 6, 0b11)));
        assert!(!states.merge(said("001", 5, 0b00)));
        assert!(!states.merge(said("001", 6, 0b00)));
        assert_eq!(states.hears("001".parse().unwrap()), 0b11);
    }

    #[test]
    fn the_digest_tells_what_is_known_and_not_how_it_came() {
        let (mut one, mut other) = (database(), database());
        one.merge(said("001", 1, 0));
        one.merge(said("010", 2, 0));
        other.merge(said("010", 1, 0));
        other.merge(said("010", 2, 0));
        assert_ne!(one.digest(), other.digest());
        other.merge(said("001", 1, 0));
        assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn what_does_not_fit_the_cube_is_not_taken_in() {
        let mut states = database();
        let foreign_group = LinkState { leads: vec![(GroupId::Home(VertexId(8)), 1)], ..said("001", 1, 0) };
        for state in [said("01", 1, 0), said("0001", 1, 0), said("001", 1, 0b1000), said("000", 99, 0), foreign_group] {
            assert!(!states.merge(state));
        }
        assert_eq!(states.all().count(), 1);
    }

    #[test]
    fn an_echo_from_a_life_with_a_later_clock_is_noticed() {
        let states = database();
        assert!(states.is_outdone_by(&said("000", 11, 0)));
        assert!(states.is_outdone_by(&said("000", 10, 1)));
        assert!(!states.is_outdone_by(states.own()));
        assert!(!states.is_outdone_by(&said("000", 9, 0)));
        assert!(!states.is_outdone_by(&said("001", 11, 0)));
    }
}
