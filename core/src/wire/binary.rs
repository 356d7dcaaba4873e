//! The client vocabulary in binary.
