//! The stock `ganger` binary: the command line with its built-in tasks.

fn main() -> std::process::ExitCode {
    ganger_cli::main()
}
