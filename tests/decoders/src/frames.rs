//! Checks of frames sent by nodes, to clients and between neighbours.

use cubecast_core::records::{LogEntry, StoredMessage};
use cubecast_core::wire::answer::{GroupStatus, LinkStatus, LinkView, Message, NodeView, Replica, ServerFrame};
use cubecast_core::wire::binary::{
    decode_peer_frames, decode_server_frames, encode_peer_frames, encode_server_frames, let_peer_message_fit,
};
use cubecast_core::wire::json::render;
use cubecast_core::wire::peer::{LinkState, PeerFrame};

use crate::memory::{Allowance, within};
use crate::seating;

/// A message is a list of frames, and frames contain lists of these. Frames between neighbours carry the answers for
/// clients too.
const ITEMS: [usize; 11] = [
    size_of::<GroupStatus>(),
    size_of::<Replica>(),
    size_of::<LinkState>(),
    size_of::<LinkStatus>(),
    size_of::<LinkView>(),
    size_of::<LogEntry>(),
    size_of::<Message>(),
    size_of::<NodeView>(),
    size_of::<PeerFrame>(),
    size_of::<ServerFrame>(),
    size_of::<StoredMessage>(),
];
/// A list may claim as many items as bytes are left, and memory for them is reserved at once. Lists within the items
/// hold vertices, which are small.
pub(crate) const FRAMES: Allowance = Allowance { per_byte: largest(&ITEMS) + 16, beside: 2 << 10 };

const fn largest(sizes: &[usize]) -> usize {
    match sizes {
        [] => 0,
        [first, rest @ ..] => {
            let others = largest(rest);
            if *first > others { *first } else { others }
        }
    }
}

/// Checks a binary message to a client. Decoded frames must also be expressible in JSON.
pub fn check_server(input: &[u8]) {
    let Ok(frames) = within(FRAMES, input.len(), || decode_server_frames(input)) else { return };
    let again = encode_server_frames(&frames);
    let decoded = decode_server_frames(&again).expect("what was encoded decodes");
    // Compares bytes, because a loss may be NaN, which is not equal to itself.
    assert_eq!(encode_server_frames(&decoded), again);
    frames.iter().for_each(check_json);
}

fn check_json(frame: &ServerFrame) {
    let text = render(frame);
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
    assert!(parsed.is_ok_and(|frame| frame.is_object()), "{text}");
}

/// Checks a binary message from a neighbour.
pub fn check_peer(input: &[u8]) {
    if decode_peer_frames(input, &seating()).is_err() {
        // Random bytes rarely have a correct checksum, so it is corrected first.
        let mut fitting = input.to_vec();
        let_peer_message_fit(&mut fitting);
        return check_fitting(&fitting);
    }
    check_fitting(input);
}

fn check_fitting(input: &[u8]) {
    let Ok(frames) = within(FRAMES, input.len(), || decode_peer_frames(input, &seating())) else { return };
    let again = encode_peer_frames(&frames);
    let decoded = decode_peer_frames(&again, &seating()).expect("what was encoded decodes");
    assert_eq!(encode_peer_frames(&decoded), again);
    for frame in frames {
        if let PeerFrame::Packet(packet) = frame {
            let _ = (packet.kind(), packet.group());
        }
    }
}
