//! Cubecast decides here: hashing, the hypercube, the wire vocabulary, routing, replication, topics.
//!
//! The crate is sans-IO. [`node::Node::handle`] takes what happened ([`io::Input`]) and gives what shall be done
//! ([`io::Effect`]); it holds no clock, no socket, no thread, no OS randomness and depends on no hash order, so the same code
//! runs in a native node, in a simulator and in a browser, and the same seed gives the same trace.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | cube, dimension d | 2^d vertices; two are neighbours when their names differ in one bit |
//! | vertex | a place on the cube, written as d bits |
//! | node | the process that serves a vertex; its *incarnation* tells one life of its data folder from the next |
//! | edge, link | what joins two neighbours; each direction can fail alone |
//! | home | the vertex that a name hashes to; its neighbours hold the replicas |
//! | group | a home and its d neighbours, with one totally ordered log; named by its home |
//! | leader, follower, learner, term, quorum, commit index | as in raft |
//! | holder | a member of a group, as one who stores its messages |
//! | topic, message, offset | a topic is a sequence of messages, numbered by offset from 0 without gaps |
//! | cursor | a subscriber's durable position in a topic: the offset that it reads next |
//! | sequence | a publisher's own number for a publish, by which a repeat is recognised |
//! | outbox | publishes taken with `ack: one` that are not yet in the log |
//! | origin | the node that a client's request came in at |

// In reading order: the places, the words, the rules, the machine.
pub mod address;
pub mod bugs;
pub mod check;
pub mod client;
pub mod content;
pub mod cube;
pub mod group;
pub mod identity;
pub mod io;
pub mod names;
pub mod node;
pub mod overlay;
pub mod placement;
pub mod route;
pub mod sim;
pub mod store;
pub mod time;
pub mod topics;
pub mod visible;
pub mod wire;

/// raft draws its election timeouts from the system's randomness, which a browser's WebAssembly has none of. Each draw is
/// overwritten with one of the node's own seed before it is looked at (see [`group`]), so any bytes will do, and equal ones
/// would show it at once if a draw were used.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod no_randomness {
    fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        bytes.fill(0x5A);
        Ok(())
    }

    getrandom::register_custom_getrandom!(fill);
}
