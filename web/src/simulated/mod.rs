//! The simulated mode: the same core in the page, no backend, and time in the person's hand.
//!
//! A run is made of a [`Spec`] and nothing else: the scenario, its seed, and what the person did at which virtual millisecond. To go
//! back is to make the run anew from its spec and stop earlier; to fork is to drop what came later and do something else. What
//! happens between two looks never depends on how often the page looked: the run advances in ticks of one virtual millisecond.
//!
//! Until the person takes part, the run is the one that `cubecast sim` makes of the same scenario and seed, effect for effect: the
//! page looks into the nodes and asks them nothing.
//!
//! | file | what |
//! |---|---|
//! | `spec`, `catalogue` | what a run is made of; the scenarios to choose from |
//! | `address`, `base64` | a spec and an instant in the page's address, and back |
//! | `session` | one run: simulation, desk and state |
//! | `looking` | what the page learns by looking into the nodes |
//! | `timeline`, `film` | what is kept of the past: its summary, and pictures of it |
//! | `player` | time in the person's hand: play, pause, step, rewind, jump, fork |
//! | `trace`, `carried` | runs from elsewhere: a file of `cubecast sim`; the live cluster |

pub mod address;
mod base64;
pub mod carried;
pub mod catalogue;
pub mod film;
mod looking;
pub mod player;
pub mod session;
pub mod spec;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod trace;

pub use address::{BadAddress, Permalink};
pub use player::{Mode, Player, Speed};
pub use session::Session;
pub use spec::{Act, Course, Deed, Spec};
