//! Properties of every decoder of Cubecast, for any input:
//!
//! 1. it never panics;
//! 2. decoded input can be encoded again, and decodes to the same value;
//! 3. it never holds more memory than a small multiple of its input plus a constant ([`memory::Allowance`]).
//!
//! The same checks are fuzzed (`make fuzz`; the targets are in `tests/fuzz`), and run in `make test` on the corpus from
//! fuzzing and on random input (`tests/decoders.rs`). Each input is a byte string, so one line of the corpus is one
//! input.
//!
//! | decoder | input | source |
//! |---|---|---|
//! | `json_requests` | a text message | any client |
//! | `binary_requests` | a binary message | any client |
//! | `server_frames` | a binary message | a node, to a client |
//! | `handshakes` | text messages, one per line | any peer that connects as a neighbour |
//! | `peer_frames` | a binary message | an authenticated neighbour |
//! | `stored_rows` | the rows of a small store | the disk |
//! | `journal` | the writes of a journal record | the disk |
//! | `log_entries` | the data of log entries | the disk, a leader |
//! | `group_state` | a checkpoint's state | the disk, a leader |
//! | `incidents` | an incident after its first line, decompressed | a file of anyone |
//! | `segments` | a part of a recording | the disk, a file of anyone |
//! | `node_config` | a configuration file | the node's owner |
//! | `typed_values` | one word | the command line, files |

pub mod corpus;
pub mod examples;
pub mod frames;
pub mod handshakes;
pub mod memory;
pub mod recordings;
pub mod requests;
pub mod stored;
pub mod typed;

/// One decoder. Its name is also the name of its fuzz target and of its corpus file.
#[derive(Clone, Copy)]
pub struct Decoder {
    pub name: &'static str,
    /// Panics if one of the three properties does not hold for this input.
    pub check: fn(&[u8]),
    /// Inputs from the real encoders, and some at the limits.
    pub examples: fn() -> Vec<Vec<u8>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All decoders.
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
    Decoder { name: "incidents", check: recordings::check_incident, examples: examples::incidents },
    Decoder { name: "segments", check: recordings::check_segment, examples: examples::segments },
    Decoder { name: "node_config", check: typed::check_config, examples: examples::node_configs },
    Decoder { name: "typed_values", check: typed::check_word, examples: examples::words },
];

/// The cube for which inputs are decoded: small enough that random bytes often name one of its vertices.
pub fn cube() -> cubecast_core::cube::Dimension {
    cubecast_core::cube::Dimension::new(3).expect("three dimensions can be had")
}

/// The nodes of a cluster with that cube.
pub fn seating() -> cubecast_core::seating::Seating {
    cubecast_core::seating::Seating::founding(cube())
}
