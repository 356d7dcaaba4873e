//! The tests of Cubecast on real processes: a harness for clusters, and clients that observe them from outside.
//!
//! The tests are in `tests/tests/scenarios/`; their names are claims. The harness never sleeps for a fixed time to let
//! something happen: it waits for conditions ([`wait::eventually`]) with generous deadlines. It uses only free ports
//! and temporary folders.
//!
//! | module | content |
//! |---|---|
//! | [`artifacts`] | finds the binaries, the dashboard and the browser's driver |
//! | [`cluster`] | 2^d `cubecast node` processes that can be killed, stopped, paused, wiped and restarted |
//! | [`client`] | a small JSON client with access to every field of every answer |
//! | [`publishing`] | a stream of publishes, identified by sequence numbers, that continues through failures |
//! | [`replicas`] | the check that all replicas of a topic are equal and have all acknowledged messages |
//! | [`bystander`] | a client that must not be affected by others |
//! | [`stranger`], [`abuse`] | a client that follows no rules; attacks, and their effect on others |
//! | [`mutated`] | mutated input for a live node, and its effect on others |
//! | [`browser`] | a headless Chromium that shows the dashboard |
//! | [`film`] | combines pictures of the page |
//! | [`proxy`] | a proxy for one node, below a path prefix |
//! | [`static_site`] | a server for the dashboard's files, without a node |

pub mod abuse;
pub mod artifacts;
pub mod browser;
pub mod bystander;
pub mod client;
pub mod cluster;
pub mod film;
pub mod mutated;
pub mod process;
pub mod proxy;
pub mod publishing;
pub mod relay;
pub mod replicas;
pub mod static_site;
pub mod stranger;
pub mod wait;
