//! The `cubecast` binary.

fn main() -> std::process::ExitCode {
    cubecast_node::command::main()
}
