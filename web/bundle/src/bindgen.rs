//! From the compiler's WebAssembly to a module and the script that loads it.
//!
//! The module's functions are placed so that similar ones are close to each other, because gzip finds repetitions only
//! within 32 KiB. wasm-bindgen sorts them by size, which separates the instances of a generic function. Placed together,
//! they compress to 8 % less. The order of functions has no meaning in WebAssembly, so the program stays the same. The
//! same module always gets the same order. Custom sections, which only debuggers read, are dropped.

use std::path::Path;

use wasm_bindgen_cli_support::Bindgen;

use crate::{order, rewrite};

/// A program that browsers can load.
pub struct Program {
    pub script: String,
    pub wasm: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum WasmError {
    /// In wasm-bindgen's words. Its version must be that of the crate in the program.
    #[error("{0}")]
    Bindgen(String),
    #[error("a dependency has script files of its own ({0}), which this tool does not copy")]
    Snippets(String),
    #[error("cannot be read: {0}")]
    Read(#[from] wasmparser::BinaryReaderError),
    #[error("cannot be rewritten: {0}")]
    Rewrite(#[from] wasm_encoder::reencode::Error<std::convert::Infallible>),
}

pub fn program(file: &Path) -> Result<Program, WasmError> {
    let words = |why| WasmError::Bindgen(format!("{why:#}"));
    let mut bindgen = Bindgen::new();
    bindgen.input_path(file).typescript(false).omit_default_module_path(true).remove_name_section(true);
    let mut output = bindgen.web(true).and_then(Bindgen::generate_output).map_err(words)?;
    let inline = output.snippets().iter().filter(|(_, scripts)| !scripts.is_empty()).map(|(name, _)| name);
    if let Some(name) = inline.chain(output.local_modules().keys()).next() {
        return Err(WasmError::Snippets(name.clone()));
    }
    let module = output.wasm_mut().emit_wasm();
    let wasm = rewrite::reordered(&module, order::by_likeness(&rewrite::bodies(&module)?))?;
    Ok(Program { script: output.js().to_owned(), wasm })
}
