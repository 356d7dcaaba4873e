//! Converts between bytes and core's types. Only this module depends on the encodings.

use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Failure, ServerFrame};
use cubecast_core::wire::client::{Request, RequestId};
use cubecast_core::wire::limits::{Limits, Refused};
use cubecast_core::wire::peer::PeerFrame;
use cubecast_core::wire::{binary, json};
use tokio_tungstenite::tungstenite::Bytes;

/// The target size of a message to a neighbour, in bytes. The frames of a large turn are split into several messages
/// of about this size.
const PEER_MESSAGE_TARGET: usize = 8 << 20;

/// Input that is not a request, and the failure to answer it with.
#[derive(Clone, PartialEq, Debug)]
pub struct Malformed {
    /// The request's id, if it could be read.
    pub id: Option<RequestId>,
    /// The failure for the answer.
    pub failure: Failure,
}

impl From<Refused> for Malformed {
    fn from((id, failure): Refused) -> Self {
        Malformed { id, failure }
    }
}

/// The limits and the nodes that requests are checked against.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The limits.
    pub limits: Limits,
    /// The nodes of the cluster, which requests may name.
    pub seating: Seating,
}

/// Parses one JSON request.
pub fn parse_text(text: &str, rules: &Rules) -> Result<Request, Malformed> {
    json::parse_request(text, &rules.limits, &rules.seating).map_err(Malformed::from)
}

/// Decodes the requests of one binary message, in order, up to the first malformed one.
pub fn parse_binary(bytes: &[u8], rules: &Rules) -> Vec<Result<Request, Malformed>> {
    let requests = binary::decode_requests(bytes, &rules.limits, &rules.seating);
    requests.into_iter().map(|request| request.map_err(Malformed::from)).collect()
}

/// Encodes a frame as JSON.
pub fn encode_text(frame: &ServerFrame) -> String {
    json::render(frame)
}

/// Encodes the frames as one binary message.
pub fn encode_binary(frames: &[&ServerFrame]) -> Vec<u8> {
    binary::encode_server_frames(frames)
}

/// Encoded frames for a neighbour.
#[derive(Debug)]
pub struct PeerMessage {
    /// The encoded message.
    pub bytes: Bytes,
    /// The number of frames in it.
    pub frames: usize,
}

/// Encodes the frames of one turn as one message, or as the fewest messages of a reasonable size.
pub fn encode_peer_messages(frames: &[PeerFrame]) -> Vec<PeerMessage> {
    if frames.len() <= binary::MAX_FRAMES {
        let bytes = binary::encode_peer_frames(frames);
        if bytes.len() <= PEER_MESSAGE_TARGET || frames.len() < 2 {
            return vec![PeerMessage { bytes: bytes.into(), frames: frames.len() }];
        }
    }
    let (first, rest) = frames.split_at(frames.len() / 2);
    encode_peer_messages(first).into_iter().chain(encode_peer_messages(rest)).collect()
}

/// Decodes the frames of one message from a neighbour. An error is a message for the log.
pub fn decode_peer(bytes: &[u8], seating: &Seating) -> Result<Vec<PeerFrame>, String> {
    binary::decode_peer_frames(bytes, seating).map_err(|error| error.to_string())
}
