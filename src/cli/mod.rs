//! The command line: flags, printed words, exit codes. One file a verb; no meaning lives here.

pub mod args;
