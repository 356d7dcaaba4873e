//! The node: everything that one process decides.
