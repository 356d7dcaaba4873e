//! The decision logic of Cubecast: hashing, the hypercube, the wire vocabulary, routing, replication and topics.
//!
//! The crate is sans-IO. [`node::Node::handle`] takes inputs ([`io::Input`]) and returns effects ([`io::Effect`]). It
//! has no clock, no socket, no thread and no OS randomness, and it depends on no hash order. Therefore the same code
//! runs in a native node, in a simulator and in a browser, and the same seed produces the same trace.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | cube, dimension d | 2^d vertices; two vertices are neighbours when their names differ in one bit |
//! | vertex | a place on the cube, written as d bits |
//! | node, host | a process with one data folder (`HostId`); it serves a vertex, after which it is named |
//! | seating | which host serves which vertex |
//! | member | a host and its *incarnation*: each new data folder of a host is a new one |
//! | edge, link | the connection between two neighbours; each direction can fail alone |
//! | home | the vertex that a name hashes to; the home and its neighbours store the replicas |
//! | group | a home and its d neighbours, with one totally ordered log; named after its home |
//! | leader, follower, learner, term, quorum, commit index | as in Raft |
//! | voter | a member whose vote and disk count for the majority |
//! | founder | a member that voted from the first start of the cluster |
//! | co-members | the vertices at distance 1 and 2, the only ones that share a group with this vertex |
//! | replica | a member of a group, in its role as a store of messages |
//! | topic, message, offset | a topic is a sequence of messages, numbered by offset from 0 without gaps |
//! | cursor | a subscriber's durable position in a topic: the offset of the next message to read |
//! | sequence | a publisher's own number for a publish; it identifies repeats |
//! | session | the deliveries to one push subscription of one connection |
//!
//! Between nodes:
//!
//! | word | meaning |
//! |---|---|
//! | frame, packet | a frame crosses one edge; a packet crosses as many edges as it needs, inside frames |
//! | link state | a node's announcement to all nodes: its incoming links, state, disk, and the groups that it leads |
//! | coordinator | the node that received a request from a client |
//! | ask, reply, token | a request from one node to another, its answer, and the number that matches the two |
//! | request key | coordinator and number; identifies a request, so that a repeat has no second effect |
//! | waiter | a leader's record of the node that receives the answer to a command under way |
//!
//! Inside a node:
//!
//! | word | meaning |
//! |---|---|
//! | turn | one call of [`node::Node::handle`] |
//! | batch | the writes of one turn; they become durable together |
//! | row | a value in a table on disk; a row of messages contains several messages |
//! | checkpoint | the encoded [`topics::Topics`] of a group (its *small state*) at one log index |
//! | recording, segment | the turns of a node with a saved state to begin from; a part of them in one file |
//! | incident | the recordings of all hosts of a cluster |
//! | outbox | publishes accepted with `ack: one` that are not in the log yet |
//!
//! # Reading order
//!
//! 1. [`cube`], [`placement`], [`identity`], [`seating`], [`names`]: places, hosts and names
//! 2. [`wire::client`], [`wire::peer`]: the messages of clients, and those between nodes
//! 3. [`io`]: everything that enters and leaves a node
//! 4. [`node`], [`group`], [`topics`], [`store`]: the decisions, the log, the state, the disk

pub mod address;
pub mod bugs;
pub mod client;
pub mod content;
pub mod cube;
pub mod faults;
pub mod group;
pub mod identity;
pub mod io;
pub mod names;
pub mod node;
pub mod overlay;
pub mod placement;
pub mod recording;
pub mod records;
pub mod route;
mod saved;
pub mod seating;
pub mod states;
pub mod store;
pub mod time;
pub mod topics;
pub mod visible;
pub mod wire;
