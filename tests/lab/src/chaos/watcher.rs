//! Records leaders: one stream of events from each node, reopened whenever it breaks.

use std::sync::Arc;
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::states::Role;
use cubecast_core::wire::answer::{Done, NodeStatus, ServerFrame};
use cubecast_core::wire::client::{Action, Admin, Local};
use cubecast_core::wire::event::{Event, EventKind};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::record::Recorder;
use crate::cluster::connection::{Connection, Lost};

/// The pause before an attempt to watch a node is repeated.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Watches all nodes until the set is dropped.
pub fn watch_all(
    addresses: &Arc<Vec<String>>,
    nodes: impl Iterator<Item = HostId>,
    recorder: &Recorder,
) -> JoinSet<()> {
    nodes.zip(addresses.iter()).map(|(node, address)| watch(address.clone(), node, recorder.clone())).collect()
}

async fn watch(address: String, node: HostId, recorder: Recorder) {
    loop {
        // The reaction to every loss is to watch again.
        let Err(_lost) = follow(&address, node, &recorder).await;
        sleep(TRY_AGAIN).await;
    }
}

async fn follow(address: &str, node: HostId, recorder: &Recorder) -> Result<std::convert::Infallible, Lost> {
    let mut connection = Connection::open(address).await?;
    connection.ask(Action::Local(Local::Watch { kinds: vec![EventKind::Elections], sample: 1 })).await?;
    // The groups that the node already led before the stream began.
    if let Ok(Done::Status(status)) = connection.ask(Action::Admin(Admin::Status { node: None })).await?.result {
        record_present(&status, recorder);
    }
    loop {
        if let ServerFrame::Event(told) = connection.next_frame().await?
            && let Event::RoleChanged { group, role: Role::Leader, term, .. } = told.event
        {
            recorder.lead(node, group, term);
        }
    }
}

fn record_present(status: &NodeStatus, recorder: &Recorder) {
    for group in status.groups.iter().filter(|group| group.role == Role::Leader) {
        recorder.lead(status.node, group.home, group.term);
    }
}
