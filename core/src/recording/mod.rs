//! The flight recorder: what a node was told, so that what it did can be seen again.
//!
//! A node is a pure function of its inputs and their times ([`Node::handle`](crate::node::Node::handle)). A recording
//! therefore consists of one saved state and the inputs of every turn after it; replaying it repeats all that the node
//! decided, including everything that nobody logged. For each turn the recording also has a digest of the effects. A
//! replay compares it with its own effects, so a difference, for example of another version, is found and not hidden.
//!
//! | file | content |
//! |---|---|
//! | [`recorder`] | encodes the turns of a running node, in segments that each begin with a saved state |
//! | [`segment`] | the format of a segment, read and checked |
//! | [`incident`] | the recordings of all hosts of a cluster, in one file |
//! | `digest` | the checksum of a turn's effects |
//! | [`replay`] | one host replayed, turn by turn; all hosts, in the order of their clocks |
//! | [`comparison`] | how a replay compares with its recording |
//! | [`redaction`], [`masking`] | a recording without the contents of messages; values with masked contents |
//! | `validity` | whether decoded inputs can have reached a node |
//! | [`promises`] | what must hold in every incident, checked during a replay |

pub mod comparison;
mod digest;
pub mod incident;
pub mod masking;
pub mod promises;
pub mod recorder;
pub mod redaction;
pub mod replay;
pub mod segment;
mod validity;
