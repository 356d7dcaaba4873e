//! Scenarios of whole clusters in virtual time.

mod damage;
mod failures;
mod registrations;
mod replicas;
mod requests;
mod starting;
mod storage;
mod support;
mod time;
mod usable;
