//! Exit codes of verbs that take several names: the others are still done, one failure makes it 1.

use serde_json::Value;

use super::context::Context;
use super::errors::from_engine;
use crate::error::{Error, Kind, Result};
use crate::output::inspect::{Inspector, Object};

/// Collects failures and prints each as it comes.
#[derive(Debug, Default)]
pub struct Failures {
    failed: bool,
}

impl Failures {
    /// Print one failure. A broken pipe and a lost containerd end the whole verb.
    pub fn add(&mut self, cx: &mut Context<'_>, error: Error) -> Result<()> {
        if matches!(error.kind, Kind::BrokenPipe | Kind::Unavailable) {
            return Err(error);
        }
        self.failed = true;
        cx.ui.flush()?;
        cx.ui.error(&from_engine(error))
    }

    /// The verb's exit code.
    pub fn code(&self) -> u8 {
        u8::from(self.failed)
    }
}

/// The end of a verb that inspects: docker writes what it has before it says what it has not.
pub fn inspected(
    cx: &mut Context<'_>,
    inspector: &Inspector,
    found: &[(Object, Value)],
    missing: &[Error],
) -> Result<u8> {
    let written = inspector.write(cx.ui, found);
    cx.ui.flush()?;
    for error in missing {
        cx.ui.error(error)?;
    }
    written?;
    Ok(u8::from(!missing.is_empty()))
}

/// The exit code of a process in a container, as a shell would see it.
pub fn of_process(status: u32) -> u8 {
    u8::try_from(status & 0xff).unwrap_or(255)
}
