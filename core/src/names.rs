//! Names from outside, validated once; numbers of topics, and positions in them.
//!
//! The name of a topic, publisher or subscriber is 1 to 255 bytes of UTF-8 without white space or control characters. A
//! value of one of these types is always a valid name.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::visible::visible;

/// The maximum length of a name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a name was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    #[error("a {kind} must not be empty")]
    Empty { kind: &'static str },
    #[error("a {kind} may have at most {MAX_NAME_BYTES} bytes; this one has {bytes}")]
    TooLong { kind: &'static str, bytes: usize },
    #[error("a {kind} must not contain whitespace or control characters; this one has {found:?} at byte {at}")]
    Forbidden { kind: &'static str, found: char, at: usize },
}

fn check(kind: &'static str, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { kind, bytes: name.len() });
    }
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    match name.char_indices().find(|(_, c)| c.is_whitespace() || c.is_control()) {
        Some((at, found)) => Err(NameError::Forbidden { kind, found, at }),
        None => Ok(()),
    }
}

/// How many recently decoded names of each kind a thread caches. Log entries and rows with many messages repeat the
/// same few names, so most decoded names need neither a check nor an allocation.
const REMEMBERED: usize = 16;

/// The name's slot in that cache. Names that differ only in a consecutive number get different slots.
fn slot_of(name: &str) -> usize {
    let last_two = &name.as_bytes()[name.len().saturating_sub(2)..];
    last_two.iter().fold(name.len(), |sum, byte| sum * 10 + usize::from(*byte)) % REMEMBERED
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        /// A clone shares the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks a name: 1 to 255 bytes, without white space or control characters.
            pub fn new(name: impl Into<Arc<str>>) -> Result<Self, NameError> {
                let name = name.into();
                check($kind, &name)?;
                Ok(Self(name))
            }

            /// The name, unchanged.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// For people: invisible characters are escaped, see [`visible`]. Programs use `as_str` or the encoding.
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&visible(&self.0))
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                thread_local! {
                    static READ: RefCell<[Option<$type>; REMEMBERED]> =
                        const { RefCell::new([const { None }; REMEMBERED]) };
                }
                struct Name;
                impl de::Visitor<'_> for Name {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $kind))
                    }
                    fn visit_str<E: de::Error>(self, name: &str) -> Result<$type, E> {
                        READ.with_borrow_mut(|read| {
                            let known = &mut read[slot_of(name)];
                            match known {
                                Some(known) if known.as_str() == name => Ok(known.clone()),
                                _ => Ok(known.insert($type::new(name).map_err(E::custom)?).clone()),
                            }
                        })
                    }
                }
                deserializer.deserialize_str(Name)
            }
        }
    };
}

name_type!(
    /// The name of a topic: messages are published to it.
    TopicName, "topic"
);
name_type!(
    /// The name of a publisher. It owns the topics that it created.
    PublisherId, "publisher_id"
);
name_type!(
    /// The name of a subscriber. Cursors are stored under it.
    SubscriberId, "subscriber_id"
);

/// The position of a message in its topic: 0, 1, 2 … without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset of the following message.
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A publisher's own number for a publish. A repeat with the same number to the same topic is stored once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// A topic's identity within its group. A topic that is deleted and created again under the same name is a different
/// topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub u64);

/// Where a subscription starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum StartAt {
    #[default]
    Beginning,
    Latest,
    Offset(Offset),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn good_names_pass_unchanged() {
        for name in ["a", "news/eu", "köln-天気", "x".repeat(255).as_str()] {
            assert_eq!(TopicName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_name_that_is_read_again_shares_its_text() {
        let read = |name: &str| serde_json::from_str::<TopicName>(&format!("\"{name}\"")).unwrap();
        let [first, second] = ["news", "news"].map(read);
        assert!(Arc::ptr_eq(&first.0, &second.0));
        let consecutive: BTreeSet<_> = (25..25 + REMEMBERED).map(|number| slot_of(&format!("news-{number}"))).collect();
        assert_eq!(consecutive.len(), REMEMBERED);
        for number in (0..1_000).chain(0..1_000) {
            let name = format!("news-{number}");
            assert_eq!(read(&name).as_str(), name);
        }
        assert_eq!(read("news"), first);
    }

    #[test]
    fn names_that_differ_look_different() {
        let names = ["invisible", "invi\u{200b}sible", "invi\\u{200b}sible", "elbisivni\u{202e}"];
        let shown = names.map(|name| TopicName::new(name).unwrap().to_string());
        assert_eq!(shown, ["invisible", "invi\\u{200b}sible", "invi\\\\u{200b}sible", "elbisivni\\u{202e}"]);
        assert_eq!(TopicName::new(names[1]).unwrap().as_str(), names[1]);
    }

    #[test]
    fn bad_names_say_what_is_wrong() {
        assert_eq!(TopicName::new(""), Err(NameError::Empty { kind: "topic" }));
        assert_eq!(PublisherId::new("p".repeat(300)), Err(NameError::TooLong { kind: "publisher_id", bytes: 300 }));
        assert_eq!(SubscriberId::new("a b"), Err(NameError::Forbidden { kind: "subscriber_id", found: ' ', at: 1 }));
        assert!(SubscriberId::new("a\u{7}").is_err());
        assert!(serde_json::from_str::<TopicName>("\"a\\nb\"").is_err());
    }
}
