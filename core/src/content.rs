//! The content of a message.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The text of a message. A clone shares the text: command, row, answer and delivery share one copy.
///
/// It has no `Display`: output for people uses [`visible`](crate::visible::visible), programs use `as_str`.
///
/// Serde sees a newtype with this name, by which [`recording::masking`](crate::recording::masking) finds all contents.
/// Encodings contain only the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Content(#[serde(deserialize_with = "shared::deserialize")] Arc<str>);

impl Content {
    /// The name of the type in serde.
    pub const SERDE_NAME: &str = "Content";

    /// The text, unchanged.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Content {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Content {
        Content(text.into())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content(text.into())
    }
}

impl PartialEq<str> for Content {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Content {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

/// Deserializes a shared text without an intermediate `String`.
mod shared {
    use std::fmt;
    use std::sync::Arc;

    use serde::{Deserializer, de};

    /// Reads a string. Fails for any other type.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Arc<str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Arc<str>, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Text)
    }
}
