//! Whether inputs can have reached a node. The decoders of a runtime refuse everything else before it enters core; a
//! recording may be damaged or forged.

use crate::identity::HostId;
use crate::io::Input;
use crate::seating::Seating;
use crate::wire::binary::check_peer_frame;
use crate::wire::limits::{Limits, validate};

/// Checks the inputs of a turn of this host. The error says what cannot be.
pub(super) fn check(inputs: &[Input], host: HostId, seating: &Seating) -> Result<(), String> {
    inputs.iter().try_for_each(|input| check_input(input, host, seating))
}

fn check_input(input: &Input, host: HostId, seating: &Seating) -> Result<(), String> {
    let check_peer = |peer: HostId| match seating.edge(host, peer) {
        Some(_) => Ok(()),
        None => Err(format!("{peer} is not a neighbour of {host}")),
    };
    match input {
        Input::PeerConnected { peer } | Input::PeerDisconnected { peer } => check_peer(*peer),
        Input::PeerAltered { from } => check_peer(*from),
        Input::PeerFrame { from, frame } => {
            check_peer(*from)?;
            check_peer_frame(frame, seating).map_err(|what| format!("a frame contains {what}"))
        }
        Input::ClientRequest { request, .. } => {
            // The limits of contents are those of the node's configuration.
            let limits = Limits { max_content_bytes: usize::MAX, ..Limits::default() };
            validate(request, &limits, seating).map_err(|failure| failure.message)
        }
        Input::DeadlineReached
        | Input::ClientConnected { .. }
        | Input::ClientDrained { .. }
        | Input::ClientDisconnected { .. }
        | Input::Written { .. }
        | Input::MessagesRead { .. }
        | Input::StorageReopened { .. }
        | Input::StorageMeasured { .. } => Ok(()),
    }
}
