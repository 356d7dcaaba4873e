//! The `cubecast` binary.

/// What a turn allocates is freed in bursts, much of it by another thread, which the C library's allocator does in its slow ways
/// (measured in docs/DECISIONS.md, 37).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cubecast_node::command::main()
}
