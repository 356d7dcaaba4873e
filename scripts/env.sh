# shellcheck shell=bash
# Sourced by the other scripts: where Cubecast's tools are. It looks and names; it installs nothing (scripts/setup does).
#
# Native builds use the cargo on the PATH and target/. Builds for wasm32 use that same cargo where it has the
# wasm32 standard library, else a toolchain that scripts/setup keeps in the cache; they go to target-wasm/, because
# two compilers in one target folder would rebuild each other's work for ever.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${CUBECAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cubecast}"
WASM=wasm32-unknown-unknown

# 0.22 needs a newer compiler than ours and takes twice as long to build.
TRUNK_VERSION=0.21.14
# The command line tool and the crate must be of exactly one version. Cargo.toml names it, only there.
WASM_BINDGEN_VERSION="$(sed -n 's/^wasm-bindgen = "=\(.*\)"$/\1/p' "$ROOT/Cargo.toml")"
# What reads the dashboard as assistive technology does, in the tests.
AXE_VERSION=4.14.1
RUST_VERSION="$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml")"

have() { command -v "$1" >/dev/null 2>&1; }
say() { printf '%s: %s\n' "${SAY:-cubecast}" "$*"; }
fail() { printf '%s: %s\n' "${SAY:-cubecast}" "$*" >&2; exit 1; }

tool_dir() { printf '%s/tools/%s-%s' "$CACHE" "$1" "$2"; }
TRUNK_DIR="$(tool_dir trunk "$TRUNK_VERSION")"
WASM_BINDGEN_DIR="$(tool_dir wasm-bindgen-cli "$WASM_BINDGEN_VERSION")"

AXE="$(tool_dir axe-core "$AXE_VERSION")/axe.min.js"

# Is the wasm32 standard library among those of this rustc?
has_wasm_std() {
  local libs
  libs="$("$1" --print target-libdir --target "$WASM" 2>/dev/null)" && compgen -G "$libs/libstd-*.rlib" >/dev/null
}

# The toolchain that scripts/setup assembles from Debian's packages. A standard library fits one compiler only,
# so the folder carries the compiler's version.
DEBIAN_RUSTC=/usr/bin/rustc
debian_toolchain() {
  [ -x "$DEBIAN_RUSTC" ] || return 1
  printf '%s/wasm-toolchain-%s' "$CACHE" "$("$DEBIAN_RUSTC" --version | sed 's/^rustc \([^ ]*\) (\([^ ]*\) .*/\1-\2/')"
}

# From here on `cargo`, `trunk` and `wasm-bindgen` are the ones for wasm32.
use_wasm() {
  local toolchain
  if ! has_wasm_std rustc && toolchain="$(debian_toolchain)" && [ -x "$toolchain/bin/rustc" ]; then
    PATH="$toolchain/bin:$PATH"
  fi
  export PATH="$TRUNK_DIR/bin:$WASM_BINDGEN_DIR/bin:$PATH"
  export CARGO_TARGET_DIR="$ROOT/target-wasm" TRUNK_SKIP_VERSION_CHECK=true
  use_browser
}

# wasm-bindgen-test and the end-to-end tests find the browser's driver here.
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
