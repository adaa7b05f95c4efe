//! The program: hidden modes first, then the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if arguments.is_empty() {
        arguments.push("wharfie".into());
    }
    ExitCode::from(wharfie::cli::main(arguments))
}
