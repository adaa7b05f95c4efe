//! The user's terminal: raw while a container has it, and as it was afterwards whatever happens.

use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::error::{Error, Result};

/// Standard input's terminal in raw mode until this is dropped, also by an error or a panic.
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Switch to raw mode: every key goes to the container.
    pub fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        let before =
            tcgetattr(&stdin).map_err(|cause| Error::failed(format!("read the terminal's mode: {cause}")))?;
        restore_at_panic(&before);
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw)
            .map_err(|cause| Error::failed(format!("set the terminal's mode: {cause}")))?;
        Ok(Self { before })
    }
}

/// A released binary ends at a panic without dropping anything.
fn restore_at_panic(before: &Termios) {
    let (before, told) = (before.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        told(panic);
    }));
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that has gone has no mode to restore.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// A line from standard input that its terminal, where there is one, does not show: a password. `ask` asks for it, when
/// nothing shows any more: who types quickly types then.
pub fn read_secret(ask: impl FnOnce() -> Result<()>) -> Result<String> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok();
    if let Some(before) = &before {
        restore_at_panic(before);
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &silent)
            .map_err(|cause| Error::failed(format!("set the terminal's mode: {cause}")))?;
    }
    // Restores the mode whatever happens.
    let _mode = before.map(|before| RawMode { before });
    ask()?;
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(|cause| Error::failed(format!("read standard input: {cause}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Whether a stream is a terminal.
pub fn is_terminal(stream: impl AsFd) -> bool {
    rustix::termios::isatty(stream)
}

/// The terminal's width and height in characters; None when there is none.
pub fn size() -> Option<(u16, u16)> {
    let size =
        tcgetwinsize(rustix::stdio::stdout()).or_else(|_| tcgetwinsize(rustix::stdio::stdin())).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}
