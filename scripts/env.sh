# shellcheck shell=bash
# Sourced by the other scripts: finds Cubecast's tools. It installs nothing; scripts/setup does.
#
# Native builds use the cargo on the PATH and target/. Builds for wasm32 use the same cargo if it has the wasm32
# standard library, otherwise a toolchain that scripts/setup keeps in the cache. They use target-wasm/: in one folder, both
# kinds of builds rebuild each other's procedural macros every time, even with one compiler.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${CUBECAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cubecast}"
WASM=wasm32-unknown-unknown

# Version 0.22 requires a newer compiler than ours and takes twice as long to build.
TRUNK_VERSION=0.21.14
# The command line tool and the crate must have exactly the same version. It is defined only in Cargo.toml.
WASM_BINDGEN_VERSION="$(sed -n 's/^wasm-bindgen = "=\(.*\)"$/\1/p' "$ROOT/Cargo.toml")"
CARGO_DENY_VERSION=0.20.2
# axe checks the accessibility of the dashboard in the tests.
AXE_VERSION=4.14.1
RUST_VERSION="$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml")"

have() { command -v "$1" >/dev/null 2>&1; }
say() { printf '%s: %s\n' "${SAY:-cubecast}" "$*"; }
fail() { printf '%s: %s\n' "${SAY:-cubecast}" "$*" >&2; exit 1; }

tool_dir() { printf '%s/tools/%s-%s' "$CACHE" "$1" "$2"; }
TRUNK_DIR="$(tool_dir trunk "$TRUNK_VERSION")"
WASM_BINDGEN_DIR="$(tool_dir wasm-bindgen-cli "$WASM_BINDGEN_VERSION")"
CARGO_DENY_DIR="$(tool_dir cargo-deny "$CARGO_DENY_VERSION")"

AXE="$(tool_dir axe-core "$AXE_VERSION")/axe.min.js"

# Whether this rustc has the wasm32 standard library.
has_wasm_std() {
  local libs
  libs="$("$1" --print target-libdir --target "$WASM" 2>/dev/null)" && compgen -G "$libs/libstd-*.rlib" >/dev/null
}

# The folder of the toolchain that scripts/setup assembles from Debian's packages. Its name contains the compiler's
# version, because a standard library works only with the compiler that built it.
DEBIAN_RUSTC=/usr/bin/rustc
debian_toolchain() {
  [ -x "$DEBIAN_RUSTC" ] || return 1
  printf '%s/wasm-toolchain-%s' "$CACHE" "$("$DEBIAN_RUSTC" --version | sed 's/^rustc \([^ ]*\) (\([^ ]*\) .*/\1-\2/')"
}

# Puts the `cargo`, `trunk` and `wasm-bindgen` for wasm32 on the PATH.
use_wasm() {
  local toolchain
  if ! has_wasm_std rustc && toolchain="$(debian_toolchain)" && [ -x "$toolchain/bin/rustc" ]; then
    PATH="$toolchain/bin:$PATH"
  fi
  export CARGO_TARGET_DIR="$ROOT/target-wasm"
  export PATH="$TRUNK_DIR/bin:$WASM_BINDGEN_DIR/bin:$PATH" TRUNK_SKIP_VERSION_CHECK=true
  use_browser
}

# Sets CHROMEDRIVER, which wasm-bindgen-test and the end-to-end tests use.
use_browser() {
  local driver
  if [ -z "${CHROMEDRIVER:-}" ] && driver="$(command -v chromedriver)"; then
    export CHROMEDRIVER="$driver"
  fi
}

find_chrome() {
  local name
  for name in chromium google-chrome google-chrome-stable chromium-browser \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    command -v "$name" && return
  done
  return 1
}

# Starts a command beside this script, in a process group that ends with the script. Its process id is $!.
BESIDE=()
beside() {
  set -m
  "$@" </dev/null &
  set +m
  BESIDE+=("$!")
  trap 'for group in "${BESIDE[@]}"; do kill -- "-$group" 2>/dev/null || true; done' EXIT
}

# Makes clippy the compiler of this workspace's crates, so that each build also checks them, and each warning is an
# error. `cargo clippy` does the same for `cargo check`, which would compile everything a second time. Returns 1 if there
# is no clippy for every compiler that is used.
use_clippy() {
  have clippy-driver && has_wasm_std rustc || return 1
  export RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__
}
