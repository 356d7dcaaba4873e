//! All inputs of core and all its effects.
//!
//! `Node::handle(now, inputs) -> effects` is one *turn*. The runtime passes everything that has arrived, and carries
//! out all effects in order before the next turn.

use serde::{Deserialize, Serialize};

use crate::identity::HostId;
use crate::records::StoredMessage;
use crate::store::{ReadFailed, ReadId, ReadMessages, Recovered, Space, WriteBatch};
use crate::wire::answer::ServerFrame;
use crate::wire::client::Request;
use crate::wire::event::WatchEvent;
use crate::wire::peer::PeerFrame;

/// A client's connection to this node, numbered by the runtime and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

/// Something that happened outside core.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Input {
    /// Only time passed: the deadline returned by `Node::next_deadline` has been reached.
    DeadlineReached,

    /// A connection to a neighbour is established and its identity is proven. It replaces any earlier connection.
    PeerConnected { peer: HostId },
    /// The connection to a neighbour broke. The runtime reports it at once, because this is the fastest sign of a
    /// failure.
    PeerDisconnected { peer: HostId },
    /// A frame arrived from a neighbour.
    PeerFrame { from: HostId, frame: PeerFrame },
    /// A frame from a neighbour was altered in transit. The runtime closes the connection.
    PeerAltered { from: HostId },

    /// A client connected.
    ClientConnected { connection: ConnectionId },
    /// A client sent a request that passed all checks of [`crate::wire`].
    ClientRequest { connection: ConnectionId, request: Request },
    /// Frames from [`Effect::SendClient`] have left for the client. `bytes` is the sum of their
    /// [`ServerFrame::weight`].
    ClientDrained { connection: ConnectionId, bytes: u64 },
    /// The client disconnected.
    ClientDisconnected { connection: ConnectionId },

    /// All batches up to this number are durable, to the degree that the sync mode guarantees.
    Written { number: u64 },
    /// The answer to [`Effect::ReadMessages`].
    MessagesRead { read: ReadId, result: Result<Vec<StoredMessage>, ReadFailed> },
    /// The answer to [`Effect::ReopenStorage`].
    StorageReopened { recovered: Recovered },
    /// The free space of the disk: reported at the start, and after each change that matters. It includes every batch
    /// passed to the engine before. Without this input a node assumes an unlimited disk.
    StorageMeasured { space: Space },
}

/// Why core closes a client's connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Dismissal {
    /// Too much output is queued for the client.
    ReadsTooSlowly,
    /// The node has reached its limit of clients.
    TooManyClients,
    /// The node is crashed by a requested fault, and the state of the connection is lost with it.
    NodeFails,
}

/// Something the runtime has to do. A simulation's trace consists of the encoded effects.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum Effect {
    /// Write a batch. Its writes are durable when [`Input::Written`] arrives, except those that the log can rebuild
    /// ([`Write::is_replayable`](crate::store::Write::is_replayable)).
    Write(WriteBatch),
    /// Read messages from disk. Answered by [`Input::MessagesRead`].
    ReadMessages(ReadMessages),
    /// Close the store, delete it if `wipe` is set, and open it again: the node returns from a failure. Answered by
    /// [`Input::StorageReopened`].
    ReopenStorage { wipe: bool },

    /// Send a frame to a neighbour. Frames to one neighbour keep their order. If the queue to it is full, the frame is
    /// dropped.
    SendPeer { to: HostId, frame: PeerFrame },
    /// `false`: close all connections to neighbours and refuse new ones (the node fails). `true`: accept them again.
    SetPeersAllowed(bool),

    /// Send a frame to a client. The runtime encodes it in the client's encoding (JSON or binary), and reports
    /// [`Input::ClientDrained`] when it has left.
    SendClient { connection: ConnectionId, frame: ServerFrame },
    /// Close a client's connection. Frames already queued for the client may still be sent.
    CloseClient { connection: ConnectionId, why: Dismissal, reason: String },

    /// An event for logs and metrics. Watching clients receive their events through `SendClient`.
    Observe(WatchEvent),
}
