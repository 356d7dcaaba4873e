//! Properties that hold for any list of commands.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::command::{Command, Op, decode_commands, encode_commands};
use super::*;
use crate::identity::{Member, RequestKey};
use crate::names::{Sequence, StartAt};
use crate::time::Timestamp;

proptest! {
    #[test]
    fn the_same_commands_give_the_same_bytes_with_or_without_a_restart(
        commands in commands(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(commands.len() + 1);
        let (straight, applied) = run(Topics::default(), &commands);
        let (middle, mut replayed) = run(Topics::default(), &commands[..cut]);
        let (restarted, rest) = run(Topics::decode(&middle.encode()).unwrap(), &commands[cut..]);
        replayed.extend(rest);
        prop_assert_eq!(straight.encode(), restarted.encode());
        prop_assert_eq!(straight, restarted);
        prop_assert_eq!(applied, replayed);
    }

    #[test]
    fn offsets_have_no_gaps_and_repeats_are_stored_once(commands in commands()) {
        let (topics, applied) = run(Topics::default(), &commands);
        let mut stored = BTreeMap::<TopicId, Vec<(RequestKey, StoredMessage)>>::new();
        for (command, applied) in commands.iter().zip(applied) {
            check_outcome(&stored, command, &applied)?;
            if let Change::Store { id, message, .. } = applied.change {
                let messages = stored.entry(id).or_default();
                prop_assert_eq!(message.offset.0, messages.len() as u64);
                prop_assert!(messages.iter().all(|known| !is_repeat(known, command, &message)));
                messages.push((command.key, message));
            }
        }
        for view in topics.topics() {
            prop_assert_eq!(view.end.0, stored.get(&view.id).map_or(0, Vec::len) as u64);
        }
    }

    #[test]
    fn times_never_go_back_nor_before_the_leaders_clock(commands in commands()) {
        let (_, applied) = run(Topics::default(), &commands);
        let mut latest = Timestamp(0);
        for (command, applied) in commands.iter().zip(applied) {
            if let Change::Store { message, .. } = applied.change {
                prop_assert!(message.time >= latest.max(command.time));
                latest = message.time;
            }
        }
    }

    #[test]
    fn no_copy_is_stored_in_a_second_topic_nor_after_a_refusal(commands in commands()) {
        let (_, applied) = run(Topics::default(), &commands);
        let mut fates = BTreeMap::<RequestKey, Option<TopicId>>::new();
        for (command, applied) in
            commands.iter().zip(applied).filter(|(command, _)| matches!(command.op, Op::Publish { .. }))
        {
            let (first, fate) = match (&applied.outcome, &applied.change) {
                (_, Change::Store { id, .. }) => (*fates.entry(command.key).or_insert(Some(*id)), Some(*id)),
                (Err(_), _) => (*fates.entry(command.key).or_insert(None), None),
                _ => continue,
            };
            prop_assert!(fate.is_none() || fate == first);
        }
    }

    #[test]
    fn cursors_never_pass_the_end_and_views_agree(commands in commands()) {
        let (topics, _) = run(Topics::default(), &commands);
        for view in topics.topics() {
            prop_assert_eq!(topics.topic(&view.name), Some(view.clone()));
            prop_assert_eq!(topics.topic_by_id(view.id), Some(view.clone()));
            let cursors: Vec<_> =
                ["a", "b"].iter()
                    .filter_map(|name| topics.cursor(&view.name, &SubscriberId::new(*name).unwrap()))
                    .collect();
            prop_assert_eq!(cursors.len() as u64, view.subscribers);
            prop_assert!(cursors.iter().all(|cursor| *cursor <= view.end));
        }
        let sums = Counts {
            topics: topics.topics().count() as u64,
            messages: topics.topics().map(|view| view.end.0).sum(),
        };
        prop_assert_eq!(topics.counts(), sums);
    }

    #[test]
    fn commands_survive_their_bytes(commands in commands()) {
        prop_assert_eq!(decode_commands(&encode_commands(&commands)).unwrap(), commands);
    }

    #[test]
    fn no_bytes_make_decoding_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        commands in commands(),
        at in any::<prop::sample::Index>(),
    ) {
        let _ = decode_commands(&bytes);
        let _ = Topics::decode(&bytes);
        bytes.insert(0, 1);
        let _ = decode_commands(&bytes);
        let _ = Topics::decode(&bytes);
        let mut state = run(Topics::default(), &commands).0.encode();
        let at = at.index(state.len());
        state[at] ^= 1 << (bytes.len() % 8);
        let _ = Topics::decode(&state);
    }
}

fn run(mut topics: Topics, commands: &[Command]) -> (Topics, Vec<Applied>) {
    let applied = commands.iter().map(|command| topics.apply(command)).collect();
    (topics, applied)
}

fn check_outcome(
    stored: &BTreeMap<TopicId, Vec<(RequestKey, StoredMessage)>>,
    command: &Command,
    applied: &Applied,
) -> TestCaseResult {
    match (&command.op, &applied.outcome) {
        (Op::Publish { .. }, Ok(Outcome::Published { offset, repeated: true })) => {
            prop_assert_eq!(&applied.change, &Change::Nothing);
            prop_assert!(stored.values().any(|messages| (offset.0 as usize) < messages.len()));
        }
        (Op::Publish { .. }, Ok(Outcome::Published { repeated: false, .. })) => {
            let stores = matches!(applied.change, Change::Store { .. });
            prop_assert!(stores);
        }
        (_, Err(_)) => prop_assert_eq!(&applied.change, &Change::Nothing),
        _ => {}
    }
    Ok(())
}

fn is_repeat((key, known): &(RequestKey, StoredMessage), command: &Command, message: &StoredMessage) -> bool {
    match (known.sequence, message.sequence) {
        (Some(known_sequence), Some(sequence)) => known_sequence == sequence && known.publisher == message.publisher,
        (None, None) => *key == command.key,
        _ => false,
    }
}

/// Few names and numbers, so that they collide often. A repeated key has the same operation, as the coordinator
/// guarantees.
fn commands() -> impl Strategy<Value = Vec<Command>> {
    let pool = prop::collection::vec(op(), 1..40);
    (pool, prop::collection::vec(any::<prop::sample::Index>(), 0..120)).prop_map(|(pool, order)| {
        order.iter().map(|index| index.index(pool.len())).map(|at| command(at as u64, pool[at].clone())).collect()
    })
}

fn command(number: u64, op: Op) -> Command {
    let host = if number.is_multiple_of(3) { "100" } else { "010" };
    Command {
        key: RequestKey { coordinator: Member::founding(host.parse().unwrap()), number },
        // Leaders' clocks differ, and can be set back.
        time: Timestamp(number * 37 % 101),
        op,
    }
}

fn op() -> impl Strategy<Value = Op> {
    let publisher = || prop::sample::select(vec!["x", "y"]).prop_map(|name| PublisherId::new(name).unwrap());
    let subscriber = || prop::sample::select(vec!["a", "b"]).prop_map(|name| SubscriberId::new(name).unwrap());
    let topic = || prop::sample::select(vec!["s", "t"]).prop_map(|name| TopicName::new(name).unwrap());
    let sequence = || prop::option::of((0..6u64).prop_map(Sequence));
    let from = || {
        let offset = (0..6u64).prop_map(|offset| StartAt::Offset(Offset(offset)));
        prop::option::of(prop_oneof![Just(StartAt::Beginning), Just(StartAt::Latest), offset])
    };
    prop_oneof![
        1 => publisher().prop_map(|publisher| Op::CreatePublisher { publisher }),
        1 => subscriber().prop_map(|subscriber| Op::CreateSubscriber { subscriber }),
        1 => publisher().prop_map(|publisher| Op::DeletePublisher { publisher }),
        1 => subscriber().prop_map(|subscriber| Op::DeleteSubscriber { subscriber }),
        3 => (publisher(), topic()).prop_map(|(publisher, topic)| Op::CreateTopic { publisher, topic }),
        1 => (publisher(), topic()).prop_map(|(publisher, topic)| Op::DeleteTopic { publisher, topic }),
        1 => publisher().prop_map(|publisher| Op::UsePublisher { publisher }),
        1 => subscriber().prop_map(|subscriber| Op::UseSubscriber { subscriber }),
        1 => (0..101u64).prop_map(|before| Op::ExpireNames { before: Timestamp(before) }),
        8 => (publisher(), topic(), sequence(), ".{0,8}")
            .prop_map(|(publisher, topic, sequence, content)| {
                Op::Publish { publisher, topic, sequence, content: content.into() }
            }),
        3 => (subscriber(), topic(), from())
            .prop_map(|(subscriber, topic, from)| Op::Subscribe { subscriber, topic, from }),
        1 => (subscriber(), topic()).prop_map(|(subscriber, topic)| Op::Unsubscribe { subscriber, topic }),
        3 => (subscriber(), topic(), 0..6u64)
            .prop_map(|(subscriber, topic, offset)| Op::Commit { subscriber, topic, offset: Offset(offset) }),
        3 => (subscriber(), topic(), 0..6u64, 0..6u64).prop_map(|(subscriber, topic, from, to)| Op::Advance {
            subscriber,
            topic,
            from: Offset(from),
            to: Offset(to),
        }),
    ]
}
