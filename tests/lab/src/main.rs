//! The `cubecast-lab` binary.

/// The allocator of `cubecast`, so that the clients of a measurement are as fast as those that people use.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cubecast_lab::command::main()
}
