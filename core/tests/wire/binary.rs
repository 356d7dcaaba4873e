//! Pinned bytes, and the handling of malformed bytes.

use cubecast_core::faults::LinkConditions;
use cubecast_core::identity::{GroupId, Member, RequestKey, TraceId};
use cubecast_core::names::{Offset, Sequence, TopicId};
use cubecast_core::route::Trail;
use cubecast_core::states::{NodeState, StorageState};
use cubecast_core::wire::answer::{Answer, Done, ErrorCode, ServerFrame};
use cubecast_core::wire::binary::*;
use cubecast_core::wire::client::{Ack, Action, Admin, Query, Read, Request, RequestId, Write};
use cubecast_core::wire::json::action_names_by_kind;
use cubecast_core::wire::limits::{Limits, Refused};
use cubecast_core::wire::peer::{Body, Call, LinkState, Packet, PeerFrame, Subscription};

use crate::examples::*;
use crate::seating;

#[test]
fn the_bytes_of_requests_are_pinned() {
    let publish = Action::Write(Write::Publish {
        publisher: publisher(),
        topic: topic(),
        content: "hi".into(),
        ack: Ack::All,
        sequence: Some(Sequence(300)),
    });
    let requests = [
        Request { id: Some(RequestId::Unsigned(7)), trace: true, action: publish },
        Request { id: None, trace: false, action: Action::Admin(Admin::Status { node: Some(named("101")) }) },
    ];
    let bytes = [
        &[3, 2][..],                                                                           // format, two requests
        &[1, 0, 7, 1], // an id, unsigned, 7; traced
        &[0, 6, 3, b'a', b'n', b'n', 4, b'n', b'e', b'w', b's', 2, b'h', b'i', 2, 1, 0xAC, 2], // publish
        &[0, 0, 3, 0, 1, 0b1101], // no id, not traced, status of 101
    ]
    .concat();
    assert_eq!(encode_requests(&requests), bytes);
    assert_eq!(decode(&bytes), requests.map(Ok));
}

#[test]
fn the_numbers_of_actions_are_those_of_the_list() {
    let names: Vec<_> = action_names_by_kind().collect();
    for (_, action) in actions() {
        let bytes = encode_requests(&[Request { id: None, trace: false, action: action.clone() }]);
        let (kind, number) = (bytes[4] as usize, bytes[5] as usize);
        assert_eq!(names[kind].1[number], action.name());
    }
}

#[test]
fn the_bytes_of_answers_are_pinned() {
    let done =
        Done::Published { topic: topic(), offset: Some(Offset(2)), replicas: all_named(["100"]), repeated: false };
    let frame = |result| ServerFrame::Answer(Answer { id: None, served_by: named("100"), hops: None, result });
    let frames = [frame(Ok(done)), frame(Err(ErrorCode::Timeout.because("x")))];
    let bytes =
        [&[3, 2][..], &[0, 0, 12, 0, 0, 4, 4, b'n', b'e', b'w', b's', 1, 2, 1, 12, 0], &[0, 0, 12, 0, 1, 13, 1, b'x']]
            .concat();
    assert_eq!(encode_server_frames(&frames), bytes);
    assert_eq!(decode_server_frames(&bytes).unwrap(), frames);
}

#[test]
fn the_bytes_between_neighbours_are_pinned() {
    let frames = [PeerFrame::Ping { sent_us: 300, link_states_digest: 1 }, packet("000", "100")];
    let bytes = [
        &[4, 171, 165, 83, 184, 2][..], // format, zlib.crc32 of all that follows, two frames
        &[0, 0xAC, 2, 1],               // ping
        &[3, 8, 12, 1, 8, 0, 1, 1, 9],  // packet from 000 to 100, trail 000, no dead end, one hop, trace 9
        &[2, 5, 0, 8, 1, 6, 4, 3, b'a', b'n', b'n', 4, b'n', b'e', b'w', b's'], // ask 5: write, key 000#1 number 6, create_topic
    ]
    .concat();
    assert_eq!(encode_peer_frames(&frames), bytes);
    assert_eq!(decode_peer_frames(&bytes, &seating()).unwrap(), frames);
}

#[test]
fn a_message_that_is_no_message_is_refused_as_a_whole() {
    for (bytes, expected) in [
        (&[][..], "the message is empty"),
        (&[2, 0], "format 2"),
        (b"{}", "format 123"),
        (&[3], "the number of items is missing"),
        (&[3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], "the limit is 16384"),
        (&[3, 0, 0], "1 bytes follow the last item"),
        (&[3, 1], "item 0 of 1 cannot be read: it is truncated"),
    ] {
        let refused = decode(bytes);
        assert_eq!(refused.len(), 1, "{bytes:?}");
        let (id, failure) = refused[0].clone().unwrap_err();
        assert_eq!((id, failure.code), (None, ErrorCode::BadRequest), "{bytes:?}");
        assert!(failure.message.contains(expected), "{bytes:?}: {failure}");
        assert!(decode_peer_frames(bytes, &seating()).is_err(), "{bytes:?}");
        assert!(decode_server_frames(bytes).is_err(), "{bytes:?}");
    }
    assert_eq!(decode(&[3, 0]), []);
}

#[test]
fn a_neighbours_message_that_was_altered_anywhere_is_refused() {
    let good = encode_peer_frames(&[PeerFrame::Ping { sent_us: 300, link_states_digest: 1 }, packet("000", "100")]);
    for bit in 0..good.len() * 8 {
        let mut altered = good.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_peer_frames(&altered, &seating()).is_err(), "bit {bit}");
    }
    for end in 0..good.len() {
        assert!(decode_peer_frames(&good[..end], &seating()).is_err(), "cut at {end}");
    }
    let mut fits = [good.as_slice(), &[0]].concat();
    assert_eq!(decode_peer_frames(&fits, &seating()), Err(Malformed::Altered));
    let_peer_message_fit(&mut fits);
    assert_eq!(decode_peer_frames(&fits, &seating()), Err(Malformed::Trailing { bytes: 1 }));
}

#[test]
fn a_request_over_a_limit_is_refused_alone() {
    let stop = |duration_ms| Action::Admin(Admin::StopNode { node: None, mode: Default::default(), duration_ms });
    let bytes = encode_requests(&[numbered(1, stop(1)), numbered(2, stop(u64::MAX)), numbered(3, stop(3))]);
    let decoded = decode(&bytes);
    assert_eq!(decoded[0], Ok(numbered(1, stop(1))));
    assert_eq!(refused(&decoded[1]), (Some(RequestId::Unsigned(2)), ErrorCode::BadRequest));
    assert_eq!(decoded[2], Ok(numbered(3, stop(3))));
}

#[test]
fn a_request_that_cannot_be_read_is_refused_with_its_id_and_those_before_it_stand() {
    let good = numbered(1, Action::Query(Query::Topics));
    let mut bytes =
        encode_requests(&[good.clone(), numbered(2, Action::Query(Query::Locate { topic: topic() })), good.clone()]);
    let name = bytes.windows(4).position(|window| window == b"news").unwrap();
    bytes[name] = b' ';
    let decoded = decode(&bytes);
    assert_eq!((decoded.len(), &decoded[0]), (2, &Ok(good)));
    assert_eq!(refused(&decoded[1]), (Some(RequestId::Unsigned(2)), ErrorCode::BadRequest));
    let (_, failure) = decoded[1].clone().unwrap_err();
    assert!(failure.message.contains("item 1 of 3") && failure.message.contains("the following ones"), "{failure}");
}

#[test]
fn binary_keeps_to_the_limits_of_json() {
    let link = |to: &str, loss: f32| {
        Action::Admin(Admin::SetLink {
            from: named("000"),
            to: named(to),
            conditions: LinkConditions { loss, ..LinkConditions::PERFECT },
        })
    };
    let pull = |max| Action::Read(Read::ReplicaPull { subscriber: subscriber(), topic: topic(), max, from: None });
    let status = Action::Admin(Admin::Status { node: Some(named("0000")) });
    for action in
        [link("001", f32::NAN), link("001", -0.1), link("011", 0.0), link("01", 0.0), pull(0), pull(10_001), status]
    {
        let decoded = decode(&encode_requests(&[numbered(9, action.clone())]));
        assert_eq!(refused(&decoded[0]), (Some(RequestId::Unsigned(9)), ErrorCode::BadRequest), "{action:?}");
    }
    for id in ["", "inf", "NaN", "1,2", " 1", "01", "+1", "1.", "\"x\"", "null"] {
        let request =
            Request { id: Some(RequestId::Number(id.into())), trace: false, action: Action::Query(Query::Topics) };
        assert!(decode(&encode_requests(&[request]))[0].is_err(), "{id}");
    }
}

#[test]
fn a_neighbour_cannot_name_what_is_not_on_the_cube() {
    let link_state = |node: &str, hears, group: &str| {
        let node = Member::founding(named(node));
        PeerFrame::LinkStates(vec![LinkState {
            node,
            version: 1,
            state: NodeState::Up,
            hears,
            leads: vec![(GroupId::of(named(group)), 1)],
            storage: StorageState::Ok,
        }])
    };
    for good in [packet("000", "111"), link_state("000", 0b111, "001")] {
        assert!(decode_peer_frames(&encode_peer_frames(&[good]), &seating()).is_ok());
    }
    let admin = Call::Admin { admin: Admin::Status { node: Some(named("1")) } };
    let subscription =
        Subscription { group: GroupId::of(named("1000")), topic: TopicId(0), subscriber: subscriber(), since: 1 };
    let fetch = Call::Fetch { subscription, from: Offset(0), max_bytes: 1 };
    for bad in [
        packet("0000", "111"),
        packet("000", "11"),
        with_body(Body::Ask { token: 1, call: admin }),
        with_body(Body::Ask { token: 1, call: fetch }),
        link_state("00", 0, "001"),
        link_state("000", 0b1000, "001"),
        link_state("000", 0, "1000"),
    ] {
        let ping = PeerFrame::Ping { sent_us: 1, link_states_digest: 1 };
        let refused = decode_peer_frames(&encode_peer_frames(&[ping, bad.clone()]), &seating());
        assert!(matches!(refused, Err(Malformed::OffTheCube { item: 1, .. })), "{bad:?}: {refused:?}");
    }
}

fn decode(bytes: &[u8]) -> Vec<Result<Request, Refused>> {
    decode_requests(bytes, &Limits::default(), &seating())
}

fn refused(result: &Result<Request, Refused>) -> (Option<RequestId>, ErrorCode) {
    let (id, failure) = result.clone().unwrap_err();
    (id, failure.code)
}

fn numbered(id: u64, action: Action) -> Request {
    Request { id: Some(RequestId::Unsigned(id)), trace: false, action }
}

fn packet(from: &str, to: &str) -> PeerFrame {
    let key = RequestKey { coordinator: Member::founding(named("000")), number: 6 };
    let body = Body::Ask {
        token: 5,
        call: Call::Write { key, write: Write::CreateTopic { publisher: publisher(), topic: topic() } },
    };
    let trail = Trail { path: vec![named("000")], dead_ends: vec![], hops: 1 };
    PeerFrame::Packet(Box::new(Packet { from: named(from), to: named(to), trail, trace: Some(TraceId(9)), body }))
}

fn with_body(body: Body) -> PeerFrame {
    match packet("000", "111") {
        PeerFrame::Packet(packet) => PeerFrame::Packet(Box::new(Packet { body, ..*packet })),
        other => other,
    }
}
