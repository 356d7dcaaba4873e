//! Cubecast proves here: a harness for clusters of real processes, and clients that look at them from outside.
//!
//! The scenarios are in `tests/scenarios`; their names are claims. The harness never sleeps to let something happen: it waits for
//! conditions ([`wait::eventually`]), each with a generous deadline, and it uses free ports and temporary folders only.
//!
//! | module | what |
//! |---|---|
//! | [`artifacts`] | where the binary, the dashboard and the browser's driver are |
//! | [`cluster`] | 2^d `cubecast node` processes, killed, stopped, paused, wiped and started again |
//! | [`client`] | a small JSON client that sees every field of every answer |
//! | [`publishing`] | a stream of publishes that goes on through failures, by sequence number |
//! | [`holders`] | the check that all holders of a topic have the same, and all that was acknowledged |
//! | [`bystander`] | a client that must not notice what others do |
//! | [`stranger`], [`abuse`] | a client that follows no rules, and what attacks do to others |
//! | [`mutated`] | mutated input for a live node, and whether others notice |
//! | [`browser`] | a headless Chromium before the dashboard |
//! | [`film`] | pictures of the page beside each other |
//! | [`proxy`] | a proxy that lets one node through, below a prefix |
//! | [`static_site`] | the dashboard's files, with no node behind them |

pub mod abuse;
pub mod artifacts;
pub mod browser;
pub mod bystander;
pub mod client;
pub mod cluster;
pub mod film;
pub mod holders;
pub mod mutated;
pub mod process;
pub mod proxy;
pub mod publishing;
pub mod relay;
pub mod static_site;
pub mod stranger;
pub mod wait;
