//! The simulated mode: the core runs in the page, without a backend, and the user controls time.
//!
//! A run is determined by its [`Spec`] alone: the scenario, its seed, and the user's actions with their virtual
//! milliseconds. Going back repeats the run from its spec and stops earlier; forking drops the later actions and adds
//! others. The run advances in ticks of one virtual millisecond, so its course never depends on how often the page is
//! redrawn.
//!
//! Until the user acts, the run is identical, effect for effect, to that of `cubecast-lab sim` with the same scenario
//! and seed: the page reads the nodes' state and sends no requests.
//!
//! | file | content |
//! |---|---|
//! | `spec`, `catalogue` | the input of a run; the selectable scenarios |
//! | `address` | a spec and an instant as part of the page's address |
//! | `gallery` | runs that are worth watching |
//! | `session` | one run: simulation, controller and state |
//! | `world` | what a session looks at: a simulation, or the recorded hosts of an incident |
//! | `recorded` | the recorded hosts of an incident, replayed |
//! | `looking` | reads the state of the nodes |
//! | `timeline`, `film` | the stored past: its summary, and snapshots of it |
//! | `player` | playback: play, pause, step, rewind, jump, fork |
//! | `trace`, `carried` | runs from elsewhere: a file of `cubecast-lab sim`; the live cluster |

pub mod address;
pub mod carried;
pub mod catalogue;
pub mod film;
pub mod gallery;
mod looking;
pub mod player;
pub mod recorded;
pub mod session;
pub mod spec;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod trace;
pub mod world;

pub use address::{BadAddress, Permalink};
pub use player::{Mode, Player, Speed};
pub use session::Session;
pub use spec::{Course, Spec, UserAction};
