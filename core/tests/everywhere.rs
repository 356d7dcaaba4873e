//! core decides alike wherever it runs: these tests run natively (`cargo test`), as WebAssembly in Node.js
//! (`make test-node`) and in Chromium (`make test-browser`).
//!
//! Write `#[wasm_bindgen_test(unsupported = test)]` where another file says `#[test]`. No threads, files or clocks here.

use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn a_number_has_the_same_bytes_everywhere() {
    assert_eq!(postcard::to_allocvec(&300u64).unwrap(), [0xAC, 0x02]);
}
