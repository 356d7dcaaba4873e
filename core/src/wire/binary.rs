//! The compact encoding: lists of requests, of server frames and of peer frames.
//!
//! ```text
//! message = FORMAT (one byte), count (varint), count items in postcard; nothing follows the last item
//! ```
//!
//! Between neighbours [`PEER_FORMAT`] replaces `FORMAT`, followed by a crc32 (little-endian) over the rest of the
//! message, before the count. A message that a cable, a proxy or bad memory altered is never decoded into frames.
//!
//! A client's message may contain many requests, and a node's message many answers. Each request is checked separately:
//! a request that exceeds a limit is refused alone, with its id. If an item cannot be decoded, the start of the next
//! item is unknown; the item and the rest of the message are refused together, and the items before it remain valid. No
//! input causes a panic.

use std::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::identity::{GroupId, HostId};
use crate::seating::Seating;
use crate::wire::answer::{ErrorCode, Failure, ServerFrame};
use crate::wire::client::{Action, Admin, Request, RequestId};
pub use crate::wire::limits::{Limits, Refused};
use crate::wire::limits::{check_id, validate};
use crate::wire::peer::{Body, Call, LinkState, Packet, PeerFrame, RaftMessage, Reply, SnapshotFrame};

/// The version of the encoding: the first byte of every message.
pub const FORMAT: u8 = 3;
/// The version of the encoding between neighbours.
pub const PEER_FORMAT: u8 = 4;
/// Format byte and checksum of a neighbour's message.
const PEER_HEADER_BYTES: usize = 5;
/// The maximum number of requests in one message.
pub const MAX_REQUESTS: usize = 16_384;
/// The maximum number of frames in one message between neighbours, or from a node to a client.
pub const MAX_FRAMES: usize = 65_536;
/// The initial capacity for a message, plus `ITEM_ROOM` for each item, in bytes. Sufficient for most messages.
const FIRST_ROOM: usize = 256;
const ITEM_ROOM: usize = 128;
/// Bytes of the smallest request: no id, no trace, `topics`.
const SMALLEST_REQUEST: usize = 3;
/// Bytes of the smallest frame, a pong.
const SMALLEST_FRAME: usize = 2;

/// Why a message could not be decoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("the message is empty; it must begin with the format byte {FORMAT}")]
    Empty,
    #[error("unsupported message format {found}; only format {known} is supported")]
    Format { found: u8, known: u8 },
    #[error("the message has {found} items; the limit is {limit}. Send the rest in another message")]
    TooMany { found: u64, limit: usize },
    /// `item` is counted from 0.
    #[error("item {item} of {count} cannot be read: {reason}")]
    Item { item: usize, count: usize, reason: String },
    #[error("{bytes} bytes follow the last item")]
    Trailing { bytes: usize },
    #[error("checksum mismatch: the message was altered in transit")]
    Altered,
    #[error("item {item} contains {what}, which does not belong to this cube")]
    OffTheCube { item: usize, what: String },
}

/// Encodes at most [`MAX_REQUESTS`] requests.
pub fn encode_requests(requests: &[Request]) -> Vec<u8> {
    encode(&[FORMAT], requests, MAX_REQUESTS)
}

/// Decodes a client's message: each of its requests, or the reason why it is refused.
pub fn decode_requests(bytes: &[u8], limits: &Limits, seating: &Seating) -> Vec<Result<Request, Refused>> {
    let mut requests = Vec::new();
    if let Err(refused) = read_requests(bytes, limits, seating, &mut requests) {
        requests.push(Err(refused));
    }
    requests
}

/// Encodes at most [`MAX_FRAMES`] frames.
pub fn encode_server_frames<F: Borrow<ServerFrame> + Serialize>(frames: &[F]) -> Vec<u8> {
    // An answer can contain many messages, so the room for it is not that of one item.
    let weight = frames.iter().map(|frame| frame.borrow().weight()).sum::<u64>();
    encode_into(Vec::with_capacity(FIRST_ROOM + weight as usize), &[FORMAT], frames, MAX_FRAMES)
}

/// Decodes a node's message. Fails as a whole if one frame cannot be decoded.
pub fn decode_server_frames(bytes: &[u8]) -> Result<Vec<ServerFrame>, Malformed> {
    decode(Items::open(bytes, MAX_FRAMES)?)
}

/// Encodes at most [`MAX_FRAMES`] frames.
pub fn encode_peer_frames(frames: &[PeerFrame]) -> Vec<u8> {
    let mut message = encode(&[PEER_FORMAT, 0, 0, 0, 0], frames, MAX_FRAMES);
    let_peer_message_fit(&mut message);
    message
}

/// Overwrites the checksum of a neighbour's message with the correct one. Used by the encoder, and by tests of the
/// decoder.
pub fn let_peer_message_fit(message: &mut [u8]) {
    if let Some((header, covered)) = message.split_first_chunk_mut::<PEER_HEADER_BYTES>() {
        header[1..].copy_from_slice(&crc32fast::hash(covered).to_le_bytes());
    }
}

/// Decodes a neighbour's message. Checks that every host and group that affects a decision
/// belongs to the cluster.
pub fn decode_peer_frames(bytes: &[u8], seating: &Seating) -> Result<Vec<PeerFrame>, Malformed> {
    let (header, covered) = bytes.split_first_chunk::<PEER_HEADER_BYTES>().ok_or(Malformed::Altered)?;
    let [format, crc @ ..] = *header;
    if crc32fast::hash(covered) != u32::from_le_bytes(crc) {
        return Err(Malformed::Altered);
    }
    if format != PEER_FORMAT {
        return Err(Malformed::Format { found: format, known: PEER_FORMAT });
    }
    let frames: Vec<PeerFrame> = decode(Items::begin(covered, MAX_FRAMES)?)?;
    for (item, frame) in frames.iter().enumerate() {
        check_frame(frame, Known(seating)).map_err(|what| Malformed::OffTheCube { item, what })?;
    }
    Ok(frames)
}

/// Checks that every host and group of a decoded frame that affects a decision belongs to the cluster. The error names
/// what does not.
pub fn check_peer_frame(frame: &PeerFrame, seating: &Seating) -> Result<(), String> {
    check_frame(frame, Known(seating))
}

fn encode<T: Serialize>(header: &[u8], items: &[T], limit: usize) -> Vec<u8> {
    encode_into(Vec::with_capacity(FIRST_ROOM + ITEM_ROOM * items.len()), header, items, limit)
}

fn encode_into<T: Serialize>(mut message: Vec<u8>, header: &[u8], items: &[T], limit: usize) -> Vec<u8> {
    debug_assert!(
        items.len() <= limit,
        "{} items in one message of at most {limit}: the receiver refuses it",
        items.len()
    );
    message.extend_from_slice(header);
    postcard::to_extend(items, message).expect("memory takes any message")
}

fn decode<T: DeserializeOwned>(mut items: Items<'_>) -> Result<Vec<T>, Malformed> {
    let mut decoded = items.room(SMALLEST_FRAME);
    while items.remain() {
        decoded.push(items.read()?);
        items.item += 1;
    }
    items.close()?;
    Ok(decoded)
}

fn read_requests(
    bytes: &[u8],
    limits: &Limits,
    seating: &Seating,
    requests: &mut Vec<Result<Request, Refused>>,
) -> Result<(), Refused> {
    let without_id = |malformed: Malformed| (None, malformed.into());
    let mut items = Items::open(bytes, MAX_REQUESTS).map_err(without_id)?;
    *requests = items.room(SMALLEST_REQUEST);
    while items.remain() {
        let request = items.read_request()?;
        requests.push(match validate(&request, limits, seating) {
            Ok(()) => Ok(request),
            Err(failure) => Err((request.id, failure)),
        });
        items.item += 1;
    }
    items.close().map_err(without_id)
}

/// A message, decoded from the front.
struct Items<'a> {
    rest: &'a [u8],
    count: usize,
    /// The number of the next item to decode.
    item: usize,
}

impl<'a> Items<'a> {
    fn open(bytes: &'a [u8], limit: usize) -> Result<Self, Malformed> {
        let (&format, body) = bytes.split_first().ok_or(Malformed::Empty)?;
        if format != FORMAT {
            return Err(Malformed::Format { found: format, known: FORMAT });
        }
        Items::begin(body, limit)
    }

    /// Starts after the format byte.
    fn begin(body: &'a [u8], limit: usize) -> Result<Self, Malformed> {
        let no_count = |_| Malformed::Item { item: 0, count: 0, reason: "the number of items is missing".into() };
        let (count, rest) = postcard::take_from_bytes::<u64>(body).map_err(no_count)?;
        if count > limit as u64 {
            return Err(Malformed::TooMany { found: count, limit });
        }
        Ok(Items { rest, count: count as usize, item: 0 })
    }

    /// A list with capacity for each item, at most as many as the remaining bytes can hold, and for one refusal. A list
    /// that grew by doubling would take three times as much memory, and one that trusted the count any amount.
    fn room<T>(&self, smallest: usize) -> Vec<T> {
        Vec::with_capacity(self.count.min(self.rest.len() / smallest) + 1)
    }

    fn remain(&self) -> bool {
        self.item < self.count
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<T, Malformed> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|error| Malformed::Item {
            item: self.item,
            count: self.count,
            reason: explain(error).into(),
        })?;
        self.rest = rest;
        Ok(value)
    }

    /// Decodes the id first, so that a refusal can carry it.
    fn read_request(&mut self) -> Result<Request, Refused> {
        let id: Option<RequestId> = self.read().map_err(|malformed| (None, malformed.into()))?;
        let trace_and_action: Result<(bool, Action), Malformed> = self.read();
        let id = check_id(id).map_err(|failure| (None, failure))?;
        match trace_and_action {
            Ok((trace, action)) => Ok(Request { id, trace, action }),
            Err(malformed) => Err((id, malformed.into())),
        }
    }

    fn close(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing { bytes: self.rest.len() }) }
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Failure {
        ErrorCode::BadRequest.because(match malformed {
            Malformed::Item { .. } => format!("{malformed}; this request and the following ones were not read"),
            _ => malformed.to_string(),
        })
    }
}

fn explain(error: postcard::Error) -> &'static str {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => "it is truncated",
        postcard::Error::DeserializeBadUtf8 => "a text is not valid UTF-8",
        postcard::Error::DeserializeBadEnum => "it contains an unknown variant",
        postcard::Error::SerdeDeCustom => "it contains an invalid name, vertex or variant",
        _ => "it is damaged",
    }
}

/// Checks that hosts and groups are those of this cluster. The `Err` names what is not.
#[derive(Clone, Copy)]
struct Known<'a>(&'a Seating);

impl Known<'_> {
    fn check(self, what: &str, host: HostId) -> Result<(), String> {
        if self.0.has(host) { Ok(()) } else { Err(format!("{what} {host}")) }
    }

    fn check_group(self, group: GroupId) -> Result<(), String> {
        self.0.home(group).map(drop).map_err(|_| format!("group {}", group.name(self.0.dimension())))
    }

    fn check_all(self, what: &str, hosts: impl IntoIterator<Item = HostId>) -> Result<(), String> {
        hosts.into_iter().try_for_each(|host| self.check(what, host))
    }
}

fn check_frame(frame: &PeerFrame, known: Known<'_>) -> Result<(), String> {
    match frame {
        PeerFrame::Ping { .. } | PeerFrame::Pong { .. } => Ok(()),
        PeerFrame::LinkStates(states) => states.iter().try_for_each(|state| check_link_state(state, known)),
        PeerFrame::Packet(packet) => check_packet(packet, known),
    }
}

fn check_link_state(state: &LinkState, known: Known<'_>) -> Result<(), String> {
    known.check("node", state.node.host)?;
    state.leads.iter().try_for_each(|(group, _)| known.check_group(*group))?;
    let edges = u32::from(known.0.links());
    if u32::from(state.hears) >> edges == 0 { Ok(()) } else { Err(format!("an edge across bit {edges} or higher")) }
}

fn check_packet(packet: &Packet, known: Known<'_>) -> Result<(), String> {
    known.check_all("node", [packet.from, packet.to])?;
    for hosts in [&packet.trail.path, &packet.trail.dead_ends] {
        known.check_all("a trail's node", hosts.iter().copied())?;
        if hosts.len() > known.0.hosts().len() {
            return Err(format!("a trail of {} nodes", hosts.len()));
        }
    }
    match &packet.body {
        Body::Raft { group, message } => known.check_group(*group).and_then(|()| check_raft(message, known)),
        Body::Snapshot { group, frame } => known.check_group(*group).and_then(|()| check_snapshot(frame, known)),
        Body::Ask { call, .. } => check_call(call, known),
        Body::Reply { reply, .. } => check_reply(reply, known),
        Body::Introduce { .. } | Body::Introduced { .. } => Ok(()),
    }
}

fn check_raft(message: &RaftMessage, known: Known<'_>) -> Result<(), String> {
    known.check_all("member", [message.from.host, message.to.host])?;
    let heads = message.snapshot.iter();
    let members = heads.flat_map(|head| head.voters.iter().chain(&head.learners));
    known.check_all("member", members.map(|member| member.host))
}

fn check_snapshot(frame: &SnapshotFrame, known: Known<'_>) -> Result<(), String> {
    match frame {
        SnapshotFrame::Offer { message, .. } => check_raft(message, known),
        SnapshotFrame::FetchState { .. } | SnapshotFrame::State { .. } => Ok(()),
        SnapshotFrame::FetchMessages { .. } | SnapshotFrame::Messages { .. } => Ok(()),
        SnapshotFrame::Done { .. } | SnapshotFrame::Gone { .. } => Ok(()),
    }
}

fn check_call(call: &Call, known: Known<'_>) -> Result<(), String> {
    match call {
        Call::Admin { admin } => check_admin(admin, known),
        Call::Write { key, .. } | Call::Read { key, .. } | Call::Advance { key, .. } => {
            known.check("coordinator", key.coordinator.host)
        }
        Call::ListTopics { group } | Call::Stored { group, .. } => known.check_group(*group),
        Call::Fetch { subscription, .. } => known.check_group(subscription.group),
        Call::IsRegistered { .. } | Call::Use { .. } | Call::Holding { .. } => Ok(()),
    }
}

fn check_admin(admin: &Admin, known: Known<'_>) -> Result<(), String> {
    match admin {
        Admin::Status { node } | Admin::RecoverNode { node } | Admin::StopNode { node, .. } => {
            known.check_all("node", *node)
        }
        Admin::SetLink { from, to, .. } => known.check_all("node", [*from, *to]),
    }
}

/// Vertices that are only displayed to the client (lists in an answer) are not checked.
fn check_reply(reply: &Reply, known: Known<'_>) -> Result<(), String> {
    match reply {
        Reply::Answer(answer) | Reply::Subscribed { answer, .. } => {
            known.check("node", answer.served_by)?;
            known.check_all("node", answer.hops.iter().flatten().copied())
        }
        Reply::NotLeader { leader, .. } => known.check_all("leader", *leader),
        Reply::Registered(_) | Reply::Fetched { .. } | Reply::SubscriptionEnded { .. } => Ok(()),
        Reply::Holding { .. } | Reply::Stored { .. } | Reply::Unreadable { .. } => Ok(()),
        Reply::Topics(_) | Reply::Unavailable { .. } => Ok(()),
    }
}
