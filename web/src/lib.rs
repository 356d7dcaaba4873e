//! Cubecast shows here: a page in which the real nodes are watched, used and broken.
//!
//! What a node sends is a frame; frames and clicks become [`model::Action`]s; one reducer makes of them a [`model::State`]; and the
//! page is a pure function of that state. [`model`], [`scene`], [`desk`], [`simulated`] and [`lessons`] know no browser and are tested natively;
//! [`net`] holds the sockets; [`ui`] draws.

// In reading order: what is known, where it stands on the page, where it comes from, how it is drawn.
pub mod desk;
pub mod lessons;
pub mod model;
pub mod net;
pub mod scene;
pub mod simulated;
pub mod ui;
