//! Random values of every encoded type: each survives its encoding.
//!
//! Strategies that contain others are boxed: strategies are values, and unboxed ones would fill a test's stack.

use std::collections::BTreeMap;

use cubecast_core::cube::VertexId;
use cubecast_core::group::MemberChange;
use cubecast_core::identity::{GroupId, HostId, Incarnation, Member, RequestKey, TraceId};
use cubecast_core::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicId, TopicName};
use cubecast_core::records::{EntryKind, LogEntry, StoredMessage};
use cubecast_core::route::Trail;
use cubecast_core::states::{NodeState, StorageState};
use cubecast_core::time::Timestamp;
use cubecast_core::topics::Topics;
use cubecast_core::topics::command::{Command, Op, decode_commands, encode_commands};
use cubecast_core::wire::binary::*;
use cubecast_core::wire::peer::*;
use cubecast_decoders::{examples, seating};
use cubecast_node::config::{Typed, TypedLimits, TypedRecording, TypedStorage, TypedWeb};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

proptest! {
    #[test]
    fn every_list_of_server_frames_survives(frames in vec(select(examples::server_frames_once()), 0..20)) {
        prop_assert_eq!(decode_server_frames(&encode_server_frames(&frames)).unwrap(), frames);
    }

    #[test]
    fn every_list_of_peer_frames_survives(frames in vec(peer_frame(), 0..8)) {
        prop_assert_eq!(decode_peer_frames(&encode_peer_frames(&frames), &seating()).unwrap(), frames);
    }

    #[test]
    fn every_list_of_commands_survives(commands in vec(command(), 0..20)) {
        prop_assert_eq!(decode_commands(&encode_commands(&commands)).unwrap(), commands);
    }

    #[test]
    fn every_state_that_commands_lead_to_survives(commands in vec(command(), 0..200)) {
        let mut topics = Topics::default();
        commands.iter().for_each(|command| drop(topics.apply(command)));
        let decoded = Topics::decode(&topics.encode()).unwrap();
        prop_assert_eq!(decoded.encode(), topics.encode());
        prop_assert_eq!(decoded, topics);
    }

    #[test]
    fn every_configuration_survives(typed in typed()) {
        let text = toml::to_string(&typed).unwrap();
        let decoded: Typed = toml::from_str(&text).unwrap();
        prop_assert_eq!(format!("{decoded:?}"), format!("{typed:?}"));
    }
}

fn host() -> impl Strategy<Value = HostId> {
    (8..16u32).prop_map(|number| HostId::new(number).unwrap())
}

fn group() -> impl Strategy<Value = GroupId> {
    (0..8u16).prop_map(|home| GroupId::Home(VertexId(home)))
}

fn node() -> impl Strategy<Value = Member> {
    (host(), any::<u32>()).prop_map(|(host, number)| Member { host, incarnation: Incarnation(number) })
}

/// Few names, so that commands refer to the same objects; some are as unusual as names may be.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[ab]", 1 => "[^\\s\\pC]{1,30}"]
}

fn publisher() -> impl Strategy<Value = PublisherId> {
    name().prop_filter_map("a name", |name| PublisherId::new(name).ok())
}

fn subscriber() -> impl Strategy<Value = SubscriberId> {
    name().prop_filter_map("a name", |name| SubscriberId::new(name).ok())
}

fn topic() -> impl Strategy<Value = TopicName> {
    name().prop_filter_map("a name", |name| TopicName::new(name).ok())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..5u64, any::<u64>()]
}

fn offset() -> impl Strategy<Value = Offset> {
    number().prop_map(Offset)
}

fn sequence() -> impl Strategy<Value = Option<Sequence>> {
    option::of(number().prop_map(Sequence))
}

fn key() -> impl Strategy<Value = RequestKey> {
    (node(), number()).prop_map(|(coordinator, number)| RequestKey { coordinator, number })
}

fn start() -> impl Strategy<Value = Option<StartAt>> {
    option::of(prop_oneof![Just(StartAt::Beginning), Just(StartAt::Latest), offset().prop_map(StartAt::Offset)])
}

fn op() -> BoxedStrategy<Op> {
    prop_oneof![
        publisher().prop_map(|publisher| Op::CreatePublisher { publisher }),
        subscriber().prop_map(|subscriber| Op::CreateSubscriber { subscriber }),
        publisher().prop_map(|publisher| Op::DeletePublisher { publisher }),
        subscriber().prop_map(|subscriber| Op::DeleteSubscriber { subscriber }),
        (publisher(), topic()).prop_map(|(publisher, topic)| Op::CreateTopic { publisher, topic }),
        (publisher(), topic()).prop_map(|(publisher, topic)| Op::DeleteTopic { publisher, topic }),
        (publisher(), topic(), sequence(), ".{0,40}").prop_map(|(publisher, topic, sequence, content)| Op::Publish {
            publisher,
            topic,
            sequence,
            content: content.into()
        }),
        (subscriber(), topic(), start()).prop_map(|(subscriber, topic, from)| Op::Subscribe {
            subscriber,
            topic,
            from
        }),
        (subscriber(), topic()).prop_map(|(subscriber, topic)| Op::Unsubscribe { subscriber, topic }),
        (subscriber(), topic(), offset()).prop_map(|(subscriber, topic, offset)| Op::Commit {
            subscriber,
            topic,
            offset
        }),
        (subscriber(), topic(), offset(), offset()).prop_map(|(subscriber, topic, from, to)| Op::Advance {
            subscriber,
            topic,
            from,
            to
        }),
    ]
    .boxed()
}

fn command() -> impl Strategy<Value = Command> {
    (key(), any::<u64>(), op()).prop_map(|(key, time, op)| Command { key, time: Timestamp(time), op })
}

fn member_change() -> impl Strategy<Value = MemberChange> {
    (node(), 0..3).prop_map(|(node, kind)| match kind {
        0 => MemberChange::AddVoter(node),
        1 => MemberChange::AddLearner(node),
        _ => MemberChange::Remove(node),
    })
}

fn log_entry() -> BoxedStrategy<LogEntry> {
    let data = prop_oneof![
        vec(command(), 0..3).prop_map(|commands| (EntryKind::Commands, encode_commands(&commands))),
        member_change().prop_map(|change| (EntryKind::MemberChange, change.encode())),
        vec(any::<u8>(), 0..20).prop_map(|data| (EntryKind::Commands, data)),
    ];
    (number(), number(), data)
        .prop_map(|(index, term, (kind, data))| LogEntry { index, term, kind, data: data.into() })
        .boxed()
}

fn stored_message() -> impl Strategy<Value = StoredMessage> {
    (offset(), publisher(), sequence(), any::<u64>(), ".{0,40}").prop_map(
        |(offset, publisher, sequence, time, content)| StoredMessage {
            offset,
            publisher,
            sequence,
            time: Timestamp(time),
            content: content.into(),
        },
    )
}

fn raft_message() -> BoxedStrategy<RaftMessage> {
    let head = (number(), number(), vec(node(), 0..4), vec(node(), 0..4))
        .prop_map(|(index, term, voters, learners)| Box::new(SnapshotHead { index, term, voters, learners }));
    let ends = (any::<i32>(), node(), node(), vec(log_entry(), 0..4), option::of(head));
    let numbers = (number(), number(), number(), number(), number(), number(), number());
    let rest = (any::<bool>(), any::<i64>(), vec(any::<u8>(), 0..20));
    (ends, numbers, rest)
        .prop_map(|((kind, from, to, entries, snapshot), numbers, (reject, priority, context))| {
            let (term, log_term, index, commit, commit_term, request_snapshot, reject_hint) = numbers;
            RaftMessage {
                kind,
                from,
                to,
                term,
                log_term,
                index,
                entries,
                commit,
                commit_term,
                snapshot,
                request_snapshot,
                reject,
                reject_hint,
                context,
                priority,
            }
        })
        .boxed()
}

fn snapshot_frame() -> BoxedStrategy<SnapshotFrame> {
    let topic = || number().prop_map(TopicId);
    prop_oneof![
        (number(), raft_message(), number()).prop_map(|(transfer, message, state_bytes)| SnapshotFrame::Offer {
            transfer,
            message: Box::new(message),
            state_bytes
        }),
        (number(), number()).prop_map(|(transfer, from_byte)| SnapshotFrame::FetchState { transfer, from_byte }),
        (number(), number(), vec(any::<u8>(), 0..100)).prop_map(|(transfer, from_byte, bytes)| SnapshotFrame::State {
            transfer,
            from_byte,
            bytes
        }),
        (number(), topic(), offset()).prop_map(|(transfer, topic, from)| SnapshotFrame::FetchMessages {
            transfer,
            topic,
            from
        }),
        (number(), topic(), offset(), vec(stored_message(), 0..4)).prop_map(|(transfer, topic, from, messages)| {
            SnapshotFrame::Messages { transfer, topic, from, messages }
        }),
        (number(), any::<bool>()).prop_map(|(transfer, installed)| SnapshotFrame::Done { transfer, installed }),
        number().prop_map(|transfer| SnapshotFrame::Gone { transfer }),
    ]
    .boxed()
}

fn link_state() -> impl Strategy<Value = LinkState> {
    let state = select(vec![NodeState::Up, NodeState::Failed, NodeState::Recovering]);
    let storage = select(vec![StorageState::Ok, StorageState::Full, StorageState::Exhausted]);
    (node(), number(), state, 0..8u16, vec((group(), number()), 0..8), storage).prop_map(
        |(node, version, state, hears, leads, storage)| LinkState { node, version, state, hears, leads, storage },
    )
}

/// Random bodies, and those of the examples, which include every ask and reply.
fn body() -> BoxedStrategy<Body> {
    let known = examples::peer_frames_once().into_iter().filter_map(|frame| match frame {
        PeerFrame::Packet(packet) => Some(packet.body),
        _ => None,
    });
    prop_oneof![
        (group(), raft_message()).prop_map(|(group, message)| Body::Raft { group, message }),
        (group(), snapshot_frame()).prop_map(|(group, frame)| Body::Snapshot { group, frame }),
        select(known.collect::<Vec<_>>()),
    ]
    .boxed()
}

fn packet() -> BoxedStrategy<Packet> {
    let trail = (vec(host(), 0..8), vec(host(), 0..8), any::<u16>()).prop_map(|(path, dead_ends, hops)| Trail {
        path,
        dead_ends,
        hops,
    });
    let trace = option::of(any::<u64>().prop_map(TraceId));
    (host(), host(), trail, trace, body())
        .prop_map(|(from, to, trail, trace, body)| Packet { from, to, trail, trace, body })
        .boxed()
}

fn peer_frame() -> impl Strategy<Value = PeerFrame> {
    prop_oneof![
        1 => (number(), number())
            .prop_map(|(sent_us, link_states_digest)| PeerFrame::Ping { sent_us, link_states_digest }),
        1 => (number(), number()).prop_map(|(sent_us, held_us)| PeerFrame::Pong { sent_us, held_us }),
        2 => vec(link_state(), 0..8).prop_map(PeerFrame::LinkStates),
        5 => packet().prop_map(|packet| PeerFrame::Packet(Box::new(packet))),
    ]
}

fn typed() -> impl Strategy<Value = Typed> {
    let text = || option::of("\\PC{0,20}|[\\x00-\\x7f]{0,10}");
    // TOML integers go up to i64::MAX.
    let limit = || option::of(0..=i64::MAX as usize);
    let texts = (text(), text(), text(), text(), text(), text(), text(), text());
    let names = || option::of(vec("\\PC{0,9}", 0..3));
    let web = prop_oneof![
        any::<bool>().prop_map(TypedWeb::Switch),
        "\\PC{0,20}".prop_map(|folder| TypedWeb::Folder(folder.into()))
    ];
    let others = (option::of(any::<u8>()), option::of(any::<bool>()), option::of(web), names(), names());
    let limits = (limit(), limit(), limit(), limit(), limit(), text(), text(), option::of(0..=i64::MAX as u64));
    (texts, others, btree_map("\\PC{0,5}", "\\PC{0,20}", 0..9), limits).prop_map(typed_of)
}

type Text = Option<String>;
type Texts = (Text, Text, Text, Text, Text, Text, Text, Text);
type Others = (Option<u8>, Option<bool>, Option<TypedWeb>, Option<Vec<String>>, Option<Vec<String>>);
type Limits = (Option<usize>, Option<usize>, Option<usize>, Option<usize>, Option<usize>, Text, Text, Option<u64>);

fn typed_of((texts, others, addresses, limits): (Texts, Others, BTreeMap<String, String>, Limits)) -> Typed {
    let (node, cluster, secret, secret_file, data, listen, advertise, sync) = texts;
    let (dimension, allow_faults, web, allow_origin, allow_host) = others;
    let (
        clients,
        unanswered,
        content_bytes,
        silence_s,
        registrations_per_second,
        names_expire_after,
        reserve,
        shared_by,
    ) = limits;
    let recording = TypedRecording { last: reserve.clone(), bytes: names_expire_after.clone() };
    Typed {
        node,
        dimension,
        cluster,
        secret,
        secret_file: secret_file.map(Into::into),
        data: data.map(Into::into),
        listen,
        advertise,
        sync,
        allow_faults,
        web,
        allow_origin,
        allow_host,
        addresses,
        limits: TypedLimits {
            clients,
            clients_of_one: unanswered,
            unanswered,
            content_bytes,
            silence_s,
            registrations_per_second,
            names_expire_after,
        },
        storage: TypedStorage { reserve, shared_by },
        recording,
    }
}
