//! The machines of the simulated cluster, by the host that runs on each.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;

use crate::host::Host;

/// The machines of the cluster.
pub(super) struct Hosts(BTreeMap<HostId, Host>);

impl Hosts {
    pub(super) fn new(seating: &Seating, mut host: impl FnMut() -> Host) -> Hosts {
        Hosts(seating.hosts().map(|id| (id, host())).collect())
    }
}

impl Index<HostId> for Hosts {
    type Output = Host;

    fn index(&self, id: HostId) -> &Host {
        &self.0[&id]
    }
}

impl IndexMut<HostId> for Hosts {
    fn index_mut(&mut self, id: HostId) -> &mut Host {
        self.0.get_mut(&id).expect("the cluster has this node")
    }
}
