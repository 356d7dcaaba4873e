//! Tests of the dashboard's components in a real browser.
//!
//! They are one program: for each program, wasm-bindgen works for seconds and a browser starts.
#![cfg(target_arch = "wasm32")]

mod charts;
mod cube;
mod harness;
mod page;
mod strangers;
mod topics;
mod truth;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
