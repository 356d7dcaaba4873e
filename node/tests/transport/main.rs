//! The port of a node, in front of a machine that is made up: what comes in, what is refused, and who pays for whom.

mod clients;
mod closing;
mod http;
mod peers;
mod support;
