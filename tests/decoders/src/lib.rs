//! What must hold for every decoder of Cubecast, whatever the bytes:
//!
//! 1. it never panics;
//! 2. what decodes encodes again, and decodes to the same;
//! 3. it never holds more memory than a small multiple of its input, and a little beside ([`memory::Allowance`]).
//!
//! The same checks are fuzzed (`make fuzz`; the targets are in `tests/fuzz`), and run in `make test` over the corpus that fuzzing
//! found and over random input (`tests/decoders.rs`). Each input is bytes, so that a line of the corpus is one.
//!
//! | decoder | its input | who sends it |
//! |---|---|---|
//! | `json_requests` | a text message | any client |
//! | `binary_requests` | a binary message | any client |
//! | `server_frames` | a binary message | a node, to a client |
//! | `handshakes` | text messages, one a line | anybody who knocks as a neighbour |
//! | `peer_frames` | a binary message | a neighbour, proven |
//! | `stored_rows` | the rows of a store, short ones | the disk |
//! | `journal` | the writes of a journal's record | the disk |
//! | `log_entries` | the data of log entries | the disk, a leader |
//! | `group_state` | a checkpoint's state | the disk, a leader |
//! | `node_config` | a configuration file | the owner |
//! | `typed_values` | one word | the command line, files |

pub mod corpus;
pub mod examples;
pub mod frames;
pub mod handshakes;
pub mod memory;
pub mod requests;
pub mod stored;
pub mod typed;

/// One decoder: its name is its fuzz target's and its corpus file's.
#[derive(Clone, Copy)]
pub struct Decoder {
    pub name: &'static str,
    /// Panics when one of the three claims does not hold for this input.
    pub check: fn(&[u8]),
    /// Inputs that the real encoders made, and some that stand at a limit.
    pub examples: fn() -> Vec<Vec<u8>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub const DECODERS: &[Decoder] = &[
    Decoder { name: "json_requests", check: requests::check_json, examples: examples::json_requests },
    Decoder { name: "binary_requests", check: requests::check_binary, examples: examples::binary_requests },
    Decoder { name: "server_frames", check: frames::check_server, examples: examples::server_frames },
    Decoder { name: "handshakes", check: handshakes::check, examples: examples::handshakes },
    Decoder { name: "peer_frames", check: frames::check_peer, examples: examples::peer_frames },
    Decoder { name: "stored_rows", check: stored::check_rows, examples: examples::stored_rows },
    Decoder { name: "journal", check: stored::check_journal, examples: examples::journals },
    Decoder { name: "log_entries", check: stored::check_log_entry, examples: examples::log_entries },
    Decoder { name: "group_state", check: stored::check_state, examples: examples::group_states },
    Decoder { name: "node_config", check: typed::check_config, examples: examples::node_configs },
    Decoder { name: "typed_values", check: typed::check_word, examples: examples::words },
];

/// The cube on which inputs are judged: small enough that its vertices come up by chance.
pub fn cube() -> cubecast_core::cube::Dimension {
    cubecast_core::cube::Dimension::new(3).expect("three dimensions can be had")
}
