//! All that enters core and all that leaves it.
//!
//! `Node::handle(now, inputs) -> effects`: one *turn*. The runtime hands over everything that has arrived, and carries out
//! every effect, in order, before the next turn.

use serde::Serialize;

use crate::cube::Vertex;
use crate::store::{ReadFailed, ReadId, ReadMessages, Recovered, Space, StoredMessage, WriteBatch};
use crate::wire::answer::ServerFrame;
use crate::wire::client::Request;
use crate::wire::event::WatchEvent;
use crate::wire::peer::PeerFrame;

/// A client's connection to this node, numbered by the runtime and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct ConnectionId(pub u64);

/// What happened outside.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// Nothing but time passed: a deadline told by `Node::next_deadline` has come.
    DeadlineReached,

    /// A connection to a neighbour stands (its identity is proven), replacing any earlier one.
    PeerConnected {
        peer: Vertex,
    },
    /// The connection to a neighbour broke. Told at once: this is how a failure is noticed first.
    PeerDisconnected {
        peer: Vertex,
    },
    PeerFrame {
        from: Vertex,
        frame: PeerFrame,
    },
    /// A frame from a neighbour was altered on its way. The connection ends with it.
    PeerAltered {
        from: Vertex,
    },

    ClientConnected {
        connection: ConnectionId,
    },
    ClientRequest {
        connection: ConnectionId,
        request: Request,
    },
    /// Frames handed over by [`Effect::SendClient`] have left for the client; `bytes` is the sum of their
    /// [`ServerFrame::weight`].
    ClientDrained {
        connection: ConnectionId,
        bytes: u64,
    },
    ClientDisconnected {
        connection: ConnectionId,
    },

    /// All batches up to this number are durable, as far as the sync mode promises.
    Written {
        number: u64,
    },
    MessagesRead {
        read: ReadId,
        result: Result<Vec<StoredMessage>, ReadFailed>,
    },
    /// The answer to [`Effect::ReopenStorage`].
    StorageReopened {
        recovered: Recovered,
    },
    /// How much room the disk has: told at the start, and when it changed enough to matter. Counts every batch that was
    /// told to be written before. A node that never hears of it takes its disk for endless.
    StorageMeasured {
        space: Space,
    },
}

/// Why core ends a client's connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Dismissal {
    /// Too much waits to be read by it.
    ReadsTooSlowly,
    /// There are as many clients as there may be.
    TooManyClients,
    /// The node crashes on request, and with it what the connection was for.
    NodeFails,
}

/// What shall be done outside. Its bytes are what a simulation's trace is made of.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum Effect {
    /// Answered by [`Input::Written`].
    Write(WriteBatch),
    /// Answered by [`Input::MessagesRead`].
    ReadMessages(ReadMessages),
    /// Close the store (with `wipe`: delete it) and open it again: the node returns from a failure.
    /// Answered by [`Input::StorageReopened`].
    ReopenStorage { wipe: bool },

    /// Frames to one neighbour keep their order. When its queue is full they are dropped.
    SendPeer { to: Vertex, frame: PeerFrame },
    /// Refuse and drop all connections to neighbours (the node fails), or take them again.
    SetPeersAllowed(bool),

    /// The runtime encodes the frame as the client speaks (JSON or binary) and reports its bytes as drained when they left.
    SendClient { connection: ConnectionId, frame: ServerFrame },
    /// Frames already queued for the client may still be sent.
    CloseClient { connection: ConnectionId, why: Dismissal, reason: String },

    /// Something to tell: logs and metrics. Watching clients get theirs by `SendClient`.
    Observe(WatchEvent),
}
