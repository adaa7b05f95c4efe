//! Verbs on other machines: one through `-H ssh://…` or a context, many side by side through `--nodes`.

mod elsewhere;
mod line;
mod list;
mod merge;
mod sidebyside;

pub use elsewhere::{Place, place};
pub use line::Line;
pub use sidebyside::run as side_by_side;

use super::globals::Globals;
use crate::config::environment::Environment;

/// One call of the program.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The name it was called by.
    pub program: &'a str,
    /// The flags before the verb.
    pub globals: &'a Globals,
    /// The environment.
    pub environment: &'a Environment,
    /// The verb and what stands behind it.
    pub line: &'a Line,
}
