//! Encodes values with asterisks in place of all contents of messages.
//!
//! Contents have a type of their own, and serde tells its name. So no place with a content can be forgotten, and
//! nothing else is changed. A mask is as long as its content, so every length stays the same, and so does everything
//! that a node decides by lengths. Log entries contain their commands in encoded form; they are encoded again, with a
//! correct checksum.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde::ser::{self, Error, Serialize, Serializer};
use serde_bytes::ByteBuf;

use crate::content::Content;
use crate::group::MemberChange;
use crate::records::LogEntry;
use crate::topics::command::{Command, decode_commands, encode_commands};

const MASK: &str = "*";

/// The value in postcard, with masked contents.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(&Masked(value)).expect("memory takes any value")
}

/// The value with masked contents.
pub fn mask<T: Serialize + DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&encode(value)).expect("what was encoded decodes")
}

/// The data of a log entry. If it is damaged, nobody can tell where its contents are, so all of it is erased except
/// the first byte, which names the format.
fn mask_log_data(data: &[u8]) -> Vec<u8> {
    match decode_commands(data) {
        Ok(commands) if commands.is_empty() => data.to_vec(),
        Ok(commands) => encode_commands(&mask::<Vec<Command>>(&commands)),
        Err(_) if MemberChange::decode(data).is_ok() => data.to_vec(),
        Err(_) => {
            let mut erased = vec![0; data.len()];
            erased[0] = data[0];
            erased
        }
    }
}

/// Bytes whose meaning is not known here. Raft keeps the data of accepted entries as such.
fn mask_bytes(bytes: &[u8]) -> Vec<u8> {
    if decode_commands(bytes).is_ok() { mask_log_data(bytes) } else { bytes.to_vec() }
}

/// Serializes as its value, with masked contents.
struct Masked<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for Masked<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Masking(serializer))
    }
}

/// A serializer, or a part of it, that masks contents and passes on everything else.
struct Masking<S>(S);

/// Methods that pass on a plain value.
macro_rules! pass {
    ($($method:ident: $type:ty,)+) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        })+
    };
}

/// Methods that begin a value with parts.
macro_rules! begin {
    ($($method:ident($($name:ident: $type:ty),*) -> $part:ident;)+) => {
        $(fn $method(self, $($name: $type),*) -> Result<Self::$part, S::Error> {
            self.0.$method($($name),*).map(Masking)
        })+
    };
}

impl<S: Serializer> Serializer for Masking<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Masking<S::SerializeSeq>;
    type SerializeTuple = Masking<S::SerializeTuple>;
    type SerializeTupleStruct = Masking<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Masking<S::SerializeTupleVariant>;
    type SerializeMap = Masking<S::SerializeMap>;
    type SerializeStruct = Masking<S::SerializeStruct>;
    type SerializeStructVariant = Masking<S::SerializeStructVariant>;

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let encoded = || postcard::to_allocvec(value).map_err(S::Error::custom);
        match name {
            Content::SERDE_NAME => {
                let encoded = encoded()?;
                let text: &str = postcard::from_bytes(&encoded).map_err(S::Error::custom)?;
                self.0.serialize_newtype_struct(name, &MASK.repeat(text.len()))
            }
            LogEntry::DATA_SERDE_NAME => {
                let data: ByteBuf = postcard::from_bytes(&encoded()?).map_err(S::Error::custom)?;
                self.0.serialize_newtype_struct(name, &ByteBuf::from(mask_log_data(&data)))
            }
            _ => self.0.serialize_newtype_struct(name, &Masked(value)),
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        self.0.serialize_bytes(&mask_bytes(bytes))
    }

    pass! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
        serialize_unit_struct: &'static str,
    }

    begin! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant;
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Masked(value))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Masked(value))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// The parts of a value.
macro_rules! parts {
    ($($part:ident: $($method:ident($($key:ident)?))+;)+) => {
        $(impl<S: ser::$part> ser::$part for Masking<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), S::Error> {
                self.0.$method($($key,)? &Masked(value))
            })+

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })+
    };
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key() serialize_value();
    SerializeStruct: serialize_field(key);
    SerializeStructVariant: serialize_field(key);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::identity::{Member, RequestKey};
    use crate::names::Sequence;
    use crate::records::EntryKind;
    use crate::time::Timestamp;
    use crate::topics::command::Op;

    fn publish(content: &str) -> Command {
        let op = Op::Publish {
            publisher: "the-publisher".parse().unwrap(),
            topic: "the-topic".parse().unwrap(),
            sequence: Some(Sequence(2)),
            content: content.into(),
        };
        Command {
            key: RequestKey { coordinator: Member::founding("100".parse().unwrap()), number: 3 },
            time: Timestamp(1),
            op,
        }
    }

    fn entry(data: Vec<u8>) -> LogEntry {
        LogEntry { index: 7, term: 2, kind: EntryKind::Commands, data: data.into() }
    }

    #[test]
    fn contents_are_masked_and_nothing_else_wherever_they_are() {
        let (before, after) = (publish("a secret, ä"), publish("************"));
        assert_eq!(mask(&before), after);
        assert_eq!(mask(&Some(vec![(1u8, before.clone())])), Some(vec![(1, after.clone())]));
        let (before, after) = ([before.clone(), before].to_vec(), [after.clone(), after].to_vec());
        let (sealed, masked) = (encode_commands(&before), encode_commands(&after));
        assert_eq!(mask(&entry(sealed.clone())), entry(masked.clone()));
        assert_eq!(mask(&Bytes::from(sealed)), Bytes::from(masked), "as raft keeps it");
    }

    #[test]
    fn a_damaged_entry_is_erased_and_one_without_contents_stays() {
        let mut damaged = encode_commands(&[publish("a secret")]);
        damaged[9] ^= 1;
        let masked = mask(&entry(damaged.clone()));
        assert_eq!((masked.data.len(), masked.data[0]), (damaged.len(), damaged[0]));
        assert!(masked.data[1..].iter().all(|byte| *byte == 0) && decode_commands(&masked.data).is_err());
        let change = MemberChange::Remove(Member::founding("100".parse().unwrap())).encode();
        for harmless in [Vec::new(), encode_commands(&[]), change] {
            assert_eq!(mask(&entry(harmless.clone())), entry(harmless));
        }
    }
}
