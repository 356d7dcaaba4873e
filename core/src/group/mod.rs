//! A replica group: one log, on raft.
