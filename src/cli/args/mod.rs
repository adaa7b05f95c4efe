//! Flag groups by concern, and the pure step from flags to a request.
//!
//! A group's file holds its flags as typed (texts) and an `apply` that fills the request's part; [`parse`] holds
//! the values' grammars. clap sees only texts and switches, so that every wrong value is refused by one path, in
//! docker's words. A tree made of these groups must go through [`pflag::like_pflag`] before it parses.

pub mod container;
pub mod errors;
pub mod exec;
pub mod health;
pub mod lifecycle;
pub mod logging;
pub mod metadata;
pub mod mounts;
pub mod namespaces;
pub mod nerdctl;
pub mod network;
pub mod parse;
pub mod pflag;
pub mod ports;
pub mod process;
pub mod resources;
pub mod security;
#[cfg(test)]
mod tests;
pub mod urfave;

use std::path::Path;

pub use container::{ContainerArgs, RunArgs};
pub use exec::ExecArgs;
pub use lifecycle::Streams;

use crate::{Error, Result};

/// What the step from flags to a request may ask of the world.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The words that call this command, for hints: `docker run`.
    pub command: &'a str,
    /// The value of an environment variable: for `-e KEY` and `DOCKER_DEFAULT_PLATFORM`.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// A file's content, with a bound on its size: for `--env-file`, `--label-file` and seccomp profiles.
    pub read_file: &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>,
    /// What `-v ./x:/x` is relative to.
    pub current_dir: &'a Path,
}

impl Environment<'_> {
    /// `error` with docker's pointer to the help.
    fn with_help(&self, error: Error) -> Error {
        error.hint(format!("See '{} --help'.", self.command))
    }
}

fn check_detach_keys(text: Option<&str>) -> Result<()> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(()),
        Some(text) => parse::keys::detach_keys(text)
            .map(|_| ())
            .map_err(|cause| Error::usage(format!("invalid detach keys ({text}): {cause}"))),
    }
}
