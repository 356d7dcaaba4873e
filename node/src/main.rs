//! The `cubecast` binary.

/// A turn frees its allocations in bursts, many of them on another thread. The C library's allocator handles both
/// slowly (measured in docs/DECISIONS.md, 37).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cubecast_node::command::main()
}
