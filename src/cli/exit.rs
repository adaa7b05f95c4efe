//! Exit codes of verbs that take several names: the others are still done, one failure makes it 1.

use super::context::Context;
use super::errors::from_engine;
use crate::error::{Error, Kind, Result};

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

/// The exit code of a process in a container, as a shell would see it.
pub fn of_process(status: u32) -> u8 {
    u8::try_from(status & 0xff).unwrap_or(255)
}
