//! Checks of typed input: configuration files, and words of the command line.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use cubecast_core::address::{Address, Host};
use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::names::{PublisherId, SubscriberId, TopicName};
use cubecast_node::cluster::ports::BasePort;
use cubecast_node::command::remote::parse_time;
use cubecast_node::command::subscribe::parse_start;
use cubecast_node::config::Typed;
use cubecast_node::storage::SyncMode;
use cubecast_node::transport::origin::{OriginRules, host_name};

use crate::memory::{Allowance, within};
use crate::seating;

/// The parser keeps a token, an event and a value with its position for each pair of bytes, and every error that it
/// finds. Only the node's owner writes such a file.
const FILE: Allowance = Allowance { per_byte: 1 << 10, beside: 32 << 10 };
/// An error quotes the word. A control character becomes six bytes there, and a text that grows holds its old block
/// until it has moved.
const WORD: Allowance = Allowance { per_byte: 24, beside: 512 };

/// Checks a configuration file of a node.
pub fn check_config(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let parsed: Result<Typed, _> = within(FILE, input.len(), || toml::from_str(text));
    let Ok(typed) = parsed else { return };
    let again = toml::to_string(&typed).expect("a configuration is plain data");
    let decoded: Typed = toml::from_str(&again).expect("what was written is read");
    assert_eq!(format!("{decoded:?}"), format!("{typed:?}"), "{again}");
    check_typed(typed);
}

/// Ignores `secret_file`: the input must not choose a file to read.
fn check_typed(typed: Typed) {
    let typed = Typed { secret_file: None, ..typed };
    if let Ok(config) = typed.check() {
        let _ = (config.own_hosts(), config.requests);
    }
}

/// Checks a word, parsed as every type that words are parsed to.
pub fn check_word(input: &[u8]) {
    let Ok(word) = str::from_utf8(input) else { return };
    check_as::<Vertex>(word);
    check_as::<HostId>(word);
    check_written(word, |name: &TopicName| name.as_str().to_owned());
    check_written(word, |name: &PublisherId| name.as_str().to_owned());
    check_written(word, |name: &SubscriberId| name.as_str().to_owned());
    check_as::<SyncMode>(word);
    within(WORD, word.len(), || seating().parse_host(word).map_err(|error| error.to_string())).ok();
    within(WORD, word.len(), || word.parse::<BasePort>()).ok();
    check_as::<Address>(word);
    check_as::<Host>(word);
    within(WORD, word.len(), || parse_time(word)).ok();
    within(WORD, word.len(), || parse_start(word)).ok();
    let rules = OriginRules { allowed: vec![], own_hosts: vec![host_name(word)] };
    within(WORD, word.len(), || rules.check_page(word, Some(word))).ok();
    within(WORD, word.len(), || rules.check_host(Some(word))).ok();
}

/// A type whose `Display` is the form that users type.
fn check_as<T: FromStr<Err: Display> + Display + PartialEq + Debug>(word: &str) {
    check_written(word, T::to_string);
}

/// The value must be parsed again from its written form.
fn check_written<T: FromStr<Err: Display> + PartialEq + Debug>(word: &str, written: impl Fn(&T) -> String) {
    let parsed: Result<T, String> =
        within(WORD, word.len(), || word.parse().map_err(|error: T::Err| error.to_string()));
    if let Ok(value) = parsed {
        let again = written(&value).parse();
        assert!(again.is_ok_and(|again: T| again == value), "{value:?}");
    }
}
