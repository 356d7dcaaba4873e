//! Bytes to core's types and back: the only place here that knows which encodings there are.

use cubecast_core::cube::Dimension;
use cubecast_core::wire::answer::{Failure, ServerFrame};
use cubecast_core::wire::client::{Request, RequestId};
use cubecast_core::wire::limits::{Limits, Refused};
use cubecast_core::wire::peer::PeerFrame;
use cubecast_core::wire::{binary, json};
use tokio_tungstenite::tungstenite::Bytes;

/// Encoded frames are split into messages of about this size where there are several, so that a large turn does not
/// make one huge message.
const PEER_MESSAGE_TARGET: usize = 8 << 20;

/// What came is no request. It is answered with this.
#[derive(Clone, PartialEq, Debug)]
pub struct Malformed {
    pub id: Option<RequestId>,
    pub failure: Failure,
}

impl From<Refused> for Malformed {
    fn from((id, failure): Refused) -> Self {
        Malformed { id, failure }
    }
}

/// What requests are held against.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub limits: Limits,
    pub dimension: Dimension,
}

/// One JSON request.
pub fn parse_text(text: &str, rules: &Rules) -> Result<Request, Malformed> {
    json::parse_request(text, &rules.limits, rules.dimension).map_err(Malformed::from)
}

/// The requests of one binary message, in order, up to the first that is none.
pub fn parse_binary(bytes: &[u8], rules: &Rules) -> Vec<Result<Request, Malformed>> {
    let requests = binary::decode_requests(bytes, &rules.limits, rules.dimension);
    requests.into_iter().map(|request| request.map_err(Malformed::from)).collect()
}

/// One JSON text.
pub fn encode_text(frame: &ServerFrame) -> String {
    json::render(frame)
}

/// One binary message with all of the frames.
pub fn encode_binary(frames: &[&ServerFrame]) -> Vec<u8> {
    binary::encode_server_frames(frames)
}

/// Frames for a neighbour, encoded, and how many they are.
#[derive(Debug)]
pub struct PeerMessage {
    pub bytes: Bytes,
    pub frames: usize,
}

/// The frames of one turn as one message, or as few as keep to a reasonable size.
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

/// The frames of one message from a neighbour.
pub fn decode_peer(bytes: &[u8], dimension: Dimension) -> Result<Vec<PeerFrame>, String> {
    binary::decode_peer_frames(bytes, dimension).map_err(|error| error.to_string())
}
