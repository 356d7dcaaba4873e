//! Extracts the fields of one flat JSON object by name and type.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::identity::HostId;
use crate::names::NameError;
use crate::seating::Seating;
use crate::visible::visible;
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::client::RequestId;
use crate::wire::limits::{MAX_KINDS, SHOWN_CHARS};

/// The fields of all actions.
const KNOWN: &[&str] = &[
    "id",
    "action",
    "trace",
    "publisher_id",
    "subscriber_id",
    "topic",
    "topic_name",
    "content",
    "ack",
    "sequence",
    "from",
    "push",
    "max",
    "read",
    "commit",
    "offset",
    "node",
    "flag",
    "mode",
    "duration_ms",
    "to",
    "state",
    "delay_ms",
    "jitter_ms",
    "loss",
    "kinds",
    "sample",
];

/// Fields that may be numbers. They are read as text, so that no number is rounded.
const NUMBERS: &[&str] =
    &["id", "sequence", "from", "max", "offset", "duration_ms", "delay_ms", "jitter_ms", "loss", "sample"];

/// The known fields of a text, as far as it could be read.
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<&'static str, Value>);

#[derive(Debug)]
enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// Any other number, as written.
    Number(String),
    Text(String),
    /// At most [`MAX_KINDS`] + 1 values. The contents of inner lists and objects are omitted.
    List(Vec<Value>),
    Object,
}

impl Fields {
    /// Reads the text. Fields read before an error are kept.
    pub fn read(&mut self, text: &str) -> Result<(), Failure> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = Collect(self).deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|error| ErrorCode::BadRequest.because(format!("the frame is not a JSON object: {error}")))
    }

    /// The request's id, if it has one.
    pub fn id(&mut self) -> Result<Option<RequestId>, Failure> {
        match self.take("id") {
            None => Ok(None),
            Some(Value::Unsigned(id)) => Ok(Some(RequestId::Unsigned(id))),
            Some(Value::Number(id)) => Ok(Some(RequestId::of_number(&id))),
            Some(Value::Text(id)) => Ok(Some(RequestId::Text(id))),
            Some(other) => Err(wrong("id", "a number or a string", &other)),
        }
    }

    /// A string.
    pub fn text(&mut self, field: &'static str) -> Result<Option<String>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(field, "a string", &other)),
        }
    }

    /// A name, checked by the rules of its type.
    pub fn name<T>(
        &mut self,
        field: &'static str,
        new: fn(String) -> Result<T, NameError>,
    ) -> Result<Option<T>, Failure> {
        let named = self.text(field)?.map(new).transpose();
        named.map_err(|error| ErrorCode::BadRequest.because(format!("`{field}` is not valid: {error}")))
    }

    /// A host of this cluster.
    pub fn host(&mut self, field: &'static str, seating: &Seating) -> Result<Option<HostId>, Failure> {
        let host = self.text(field)?.map(|text| seating.parse_host(&text)).transpose();
        host.map_err(|error| ErrorCode::BadRequest.because(format!("`{field}` is not valid: {error}")))
    }

    /// A boolean.
    pub fn flag(&mut self, field: &'static str) -> Result<Option<bool>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(field, "true or false", &other)),
        }
    }

    /// A whole number from 0 to 2^64 - 1.
    pub fn whole_number(&mut self, field: &'static str) -> Result<Option<u64>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Unsigned(number)) => Ok(Some(number)),
            Some(Value::Number(number)) if is_whole(&number) => Err(too_large(field, &number)),
            Some(other) => Err(wrong(field, "a whole number from 0", &other)),
        }
    }

    /// A number whose limit is far below 2^32. Larger values become `u32::MAX`, which [`crate::wire::limits`] refuses.
    pub fn small_number(&mut self, field: &'static str) -> Result<Option<u32>, Failure> {
        Ok(self.whole_number(field)?.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// A finite number.
    pub fn fraction(&mut self, field: &'static str) -> Result<Option<f64>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Unsigned(number)) => Ok(Some(number as f64)),
            Some(Value::Number(number)) => match number.parse::<f64>() {
                Ok(parsed) if parsed.is_finite() => Ok(Some(parsed)),
                _ => Err(wrong(field, "a finite number", &Value::Number(number))),
            },
            Some(other) => Err(wrong(field, "a number", &other)),
        }
    }

    /// One of the given words.
    pub fn word<T: Copy>(&mut self, field: &'static str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        self.take(field).map(|value| meaning(field, &value, words)).transpose()
    }

    /// A list of the given words.
    pub fn words<T: Copy>(&mut self, field: &'static str, words: &[(&str, T)]) -> Result<Option<Vec<T>>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::List(list)) => {
                list.iter().map(|value| meaning(field, value, words)).collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(wrong(field, &format!("a list of {}", one_of(words)), &other)),
        }
    }

    /// One of the given words, or a whole number.
    pub fn word_or_number<T: Copy>(
        &mut self,
        field: &'static str,
        words: &[(&str, T)],
        number: fn(u64) -> T,
    ) -> Result<Option<T>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Unsigned(given)) => Ok(Some(number(given))),
            Some(Value::Number(given)) if is_whole(&given) => Err(too_large(field, &given)),
            Some(value) => match find(&value, words) {
                Some(meaning) => Ok(Some(meaning)),
                None => Err(wrong(field, &format!("{} or an offset", one_of(words)), &value)),
            },
        }
    }

    /// Takes a field; `null` counts as missing.
    fn take(&mut self, field: &'static str) -> Option<Value> {
        debug_assert!(KNOWN.contains(&field), "{field} is not collected");
        self.0.remove(field).filter(|value| !matches!(value, Value::Null))
    }
}

/// The failure for a missing field.
pub fn missing(action: &str, field: &str) -> Failure {
    ErrorCode::BadRequest.because(format!("`{field}` is missing; {action} requires it"))
}

fn meaning<T: Copy>(field: &str, value: &Value, words: &[(&str, T)]) -> Result<T, Failure> {
    find(value, words).ok_or_else(|| wrong(field, &one_of(words), value))
}

fn find<T: Copy>(value: &Value, words: &[(&str, T)]) -> Option<T> {
    let Value::Text(text) = value else { return None };
    words.iter().find(|(word, _)| word == text).map(|(_, meaning)| *meaning)
}

fn one_of<T>(words: &[(&str, T)]) -> String {
    let quoted: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn wrong(field: &str, expected: &str, found: &Value) -> Failure {
    ErrorCode::BadRequest.because(format!("`{field}` must be {expected}, not {found}"))
}

fn is_whole(number: &str) -> bool {
    number.bytes().all(|digit| digit.is_ascii_digit())
}

fn too_large(field: &str, found: &str) -> Failure {
    let expected = format!("a whole number from 0 to {}", u64::MAX);
    wrong(field, &expected, &Value::Number(found.to_owned()))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Unsigned(value) => value.fmt(f),
            Value::Number(number) => f.write_str(&shown(number)),
            Value::Text(text) => write!(f, "\"{}\"", shown(text)),
            Value::List(_) => f.write_str("a list"),
            Value::Object => f.write_str("an object"),
        }
    }
}

/// A client's text as quoted in an error: escaped, and cut after [`SHOWN_CHARS`] characters.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", visible(&text[..end])),
        None => visible(text).into_owned(),
    }
}

struct Collect<'a>(&'a mut Fields);

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match KNOWN.iter().find(|known| **known == name) {
                Some(known) if NUMBERS.contains(known) => {
                    let written = map.next_value::<&RawValue>()?.get();
                    self.0.0.insert(known, Value::read(written).map_err(de::Error::custom)?);
                }
                Some(known) => drop(self.0.0.insert(known, map.next_value_seed(Read { inside_a_list: false })?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl Value {
    /// Decodes a value from its JSON text.
    fn read(written: &str) -> Result<Value, serde_json::Error> {
        if written.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Ok(written.parse().map_or_else(|_| Value::Number(written.to_owned()), Value::Unsigned));
        }
        Read { inside_a_list: false }.deserialize(&mut serde_json::Deserializer::from_str(written))
    }
}

#[derive(Clone, Copy)]
struct Read {
    inside_a_list: bool,
}

impl<'de> DeserializeSeed<'de> for Read {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or_else(|_| Value::Number(value.to_string()), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // In plain decimals a short number such as 1e-300 would become a text of hundreds of digits.
        Ok(Value::Number(format!("{value:e}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while !self.inside_a_list && values.len() <= MAX_KINDS {
            match list.next_element_seed(Read { inside_a_list: true })? {
                Some(value) => values.push(value),
                None => return Ok(Value::List(values)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object)
    }
}
