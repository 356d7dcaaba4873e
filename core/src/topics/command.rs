//! The commands in a group's log.

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::identity::RequestKey;
use crate::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicName};
use crate::time::Timestamp;
use crate::wire::client::Write;

/// One change of a group's state. A log entry contains a list of commands, so that many requests share one entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Identifies the request. A repeat with the same key has no second effect.
    pub key: RequestKey,
    /// The leader's clock when it received the command. A message gets this time, or the latest earlier time in the log
    /// if that is later.
    pub time: Timestamp,
    /// The change.
    pub op: Op,
}

/// The kinds of changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op {
    CreatePublisher {
        publisher: PublisherId,
    },
    CreateSubscriber {
        subscriber: SubscriberId,
    },
    CreateTopic {
        publisher: PublisherId,
        topic: TopicName,
    },
    DeleteTopic {
        publisher: PublisherId,
        topic: TopicName,
    },
    Publish {
        publisher: PublisherId,
        topic: TopicName,
        sequence: Option<Sequence>,
        content: Content,
    },
    Subscribe {
        subscriber: SubscriberId,
        topic: TopicName,
        from: Option<StartAt>,
    },
    Unsubscribe {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    Commit {
        subscriber: SubscriberId,
        topic: TopicName,
        offset: Offset,
    },
    /// The messages from `from` to before `to` were read. The cursor moves to `to`, unless it has been set to an offset
    /// before `from` since.
    Advance {
        subscriber: SubscriberId,
        topic: TopicName,
        from: Offset,
        to: Offset,
    },
    DeletePublisher {
        publisher: PublisherId,
    },
    DeleteSubscriber {
        subscriber: SubscriberId,
    },
    /// The name was used, so it does not expire for a while.
    UsePublisher {
        publisher: PublisherId,
    },
    UseSubscriber {
        subscriber: SubscriberId,
    },
    /// Deletes the names that were last used before this time.
    ExpireNames {
        before: Timestamp,
    },
}

impl Op {
    /// The change that a client requests.
    pub fn of(write: &Write) -> Op {
        match write.clone() {
            Write::CreatePublisher { publisher } => Op::CreatePublisher { publisher },
            Write::CreateSubscriber { subscriber } => Op::CreateSubscriber { subscriber },
            Write::DeletePublisher { publisher } => Op::DeletePublisher { publisher },
            Write::DeleteSubscriber { subscriber } => Op::DeleteSubscriber { subscriber },
            Write::CreateTopic { publisher, topic } => Op::CreateTopic { publisher, topic },
            Write::DeleteTopic { publisher, topic } => Op::DeleteTopic { publisher, topic },
            Write::Publish { publisher, topic, content, sequence, ack: _ } => {
                Op::Publish { publisher, topic, sequence, content }
            }
            Write::Subscribe { subscriber, topic, from, push: _ }
            | Write::ReplicaSubscribe { subscriber, topic, from, push: _ } => Op::Subscribe { subscriber, topic, from },
            Write::Unsubscribe { subscriber, topic } => Op::Unsubscribe { subscriber, topic },
            Write::Commit { subscriber, topic, offset } => Op::Commit { subscriber, topic, offset },
        }
    }
}

impl Command {
    /// The approximate size in a log entry, in bytes; rarely less than the real size.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 128;
        match &self.op {
            Op::Publish { content, .. } => content.len() + OVERHEAD,
            _ => OVERHEAD,
        }
    }
}

/// The version of [`encode_commands`]' format: its first byte. A crc32 over the rest of the data follows it.
const FORMAT: u8 = 2;
const HEADER_BYTES: usize = 5;

/// Why the data of a log entry cannot be decoded into commands.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandsError {
    #[error(
        "the log entry has format {found}, but this version of Cubecast reads only format {FORMAT}; start the version \
         that wrote it"
    )]
    Format { found: u8 },
    #[error("the log entry is damaged: {0}")]
    Damaged(String),
}

/// The data of a log entry. The proposing leader adds the checksum, and every member verifies it before it accepts the
/// entry.
pub fn encode_commands(commands: &[Command]) -> Vec<u8> {
    let mut data = Vec::with_capacity(HEADER_BYTES + commands.iter().map(Command::weight).sum::<usize>());
    data.extend_from_slice(&[FORMAT, 0, 0, 0, 0]);
    let mut data = postcard::to_extend(commands, data).expect("memory takes any commands");
    let_commands_fit(&mut data);
    data
}

/// Overwrites the checksum of a log entry's data with the correct one. Used by the encoder, and by tests of the
/// decoder.
pub fn let_commands_fit(data: &mut [u8]) {
    if let Some((header, body)) = data.split_first_chunk_mut::<HEADER_BYTES>() {
        header[1..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    }
}

/// The inverse of [`encode_commands`]. The empty entry that begins a leader's term contains no commands.
pub fn decode_commands(data: &[u8]) -> Result<Vec<Command>, CommandsError> {
    let Some((&format, sealed)) = data.split_first() else { return Ok(Vec::new()) };
    if format != FORMAT {
        return Err(CommandsError::Format { found: format });
    }
    let Some((crc, body)) = sealed.split_first_chunk() else {
        return Err(CommandsError::Damaged("it ends before its checksum".into()));
    };
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(CommandsError::Damaged("it has a wrong checksum".into()));
    }
    match postcard::take_from_bytes(body) {
        Ok((commands, [])) => Ok(commands),
        Ok((_, rest)) => Err(CommandsError::Damaged(format!("{} bytes follow its end", rest.len()))),
        Err(error) => Err(CommandsError::Damaged(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Member;

    fn publish(content: &str) -> Command {
        Command {
            key: RequestKey { coordinator: Member::founding("100".parse().unwrap()), number: 300 },
            time: Timestamp(1),
            op: Op::Publish {
                publisher: PublisherId::new("p").unwrap(),
                topic: TopicName::new("news").unwrap(),
                sequence: Some(Sequence(2)),
                content: content.into(),
            },
        }
    }

    #[test]
    fn the_bytes_of_a_log_entry_are_pinned() {
        // In Python: zlib.crc32(body)
        let body = [1, 12, 1, 0xAC, 2, 1, 4, 1, b'p', 4, b'n', b'e', b'w', b's', 1, 2, 2, b'h', b'i'];
        let bytes = [&[2], [0x8D, 0x52, 0x7D, 0x46].as_slice(), &body].concat();
        assert_eq!(encode_commands(&[publish("hi")]), bytes);
        assert_eq!(decode_commands(&bytes), Ok(vec![publish("hi")]));
    }

    #[test]
    fn a_new_leaders_empty_entry_holds_no_commands() {
        assert_eq!(decode_commands(&[]), Ok(vec![]));
    }

    #[test]
    fn damaged_entries_are_refused_with_a_reason() {
        let bytes = encode_commands(&[publish("hi"), publish("there")]);
        assert_eq!(decode_commands(&[7, 0]), Err(CommandsError::Format { found: 7 }));
        for end in 1..bytes.len() {
            assert!(matches!(decode_commands(&bytes[..end]), Err(CommandsError::Damaged(_))), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_commands(&altered).is_err(), "bit {bit}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let does_not_fit = CommandsError::Damaged("it has a wrong checksum".into());
        assert_eq!(decode_commands(&longer), Err(does_not_fit));
        let body = [&bytes[HEADER_BYTES..], &[0]].concat();
        let longer = [&[FORMAT], crc32fast::hash(&body).to_le_bytes().as_slice(), &body].concat();
        assert_eq!(decode_commands(&longer), Err(CommandsError::Damaged("1 bytes follow its end".into())));
    }
}
