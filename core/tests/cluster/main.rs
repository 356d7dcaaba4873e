//! Stories of whole clusters, in virtual time.

mod damage;
mod failures;
mod replicas;
mod requests;
mod storage;
mod starting;
mod support;
mod time;
