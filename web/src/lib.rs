//! The dashboard of Cubecast: a page that shows the nodes of a cluster, uses them and injects faults.
//!
//! A node sends frames. Frames and clicks become [`model::Action`]s, one reducer applies them to a [`model::State`],
//! and the page is a pure function of that state. [`model`], [`scene`], [`controller`], [`simulated`] and [`lessons`]
//! do not depend on a browser and are tested natively. [`net`] owns the sockets; [`ui`] draws.

// In reading order: state, layout, data sources, drawing.
pub mod controller;
pub mod format;
pub mod lessons;
pub mod model;
pub mod net;
pub mod scene;
pub mod simulated;
pub mod terms;
#[cfg(test)]
mod testing;
pub mod ui;
