//! The `cubecast` binary.

/// What a turn allocates is freed in bursts, much of it by another thread: this one does that at two thirds of the cost of the C
/// library's (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cubecast_node::command::main()
}
