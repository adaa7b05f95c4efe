//! A command at a terminal: what a person types, sees and resizes.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::call::{Capture, PATIENCE, Process, find};

/// The terminal's side of a running command.
pub(crate) struct Terminal {
    process: Process,
    controller: OwnedFd,
    screen: Arc<Capture>,
    seen: usize,
}

impl Terminal {
    /// Starts `command`, which must make the terminal its controlling one (`setsid --ctty`).
    #[track_caller]
    pub(crate) fn start(mut command: Command, line: String) -> Self {
        let controller =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("open a terminal");
        grantpt(&controller).expect("grant the terminal");
        unlockpt(&controller).expect("unlock the terminal");
        let name = ptsname(&controller, Vec::new()).expect("ask for the terminal's name");
        let user = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .expect("open the terminal's other side");
        set_size(&controller, 24, 80);
        let copy = || Stdio::from(user.try_clone().expect("duplicate the terminal"));
        let child = command
            .stdin(copy())
            .stdout(copy())
            .stderr(copy())
            .spawn()
            .unwrap_or_else(|error| panic!("start `{line}`: {error}"));
        // Reading ends when the last process at the terminal has gone, so nobody else may keep it open.
        drop(command);
        let screen = Capture::of(File::from(controller.try_clone().expect("duplicate the terminal")));
        Self { process: Process::new(child, line, PATIENCE), controller, screen, seen: 0 }
    }

    /// Types.
    #[track_caller]
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() {
            let written = rustix::io::write(&self.controller, bytes).expect("type at the terminal");
            bytes = &bytes[written..];
        }
    }

    /// Waits until the screen shows `text`, after what an earlier call has waited for.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        if !self.screen.wait_for(self.process.deadline, self.seen, |bytes| find(bytes, text).is_some()) {
            panic!("`{}` never showed {text:?}; on the screen: {}", self.process.line, self.screen());
        }
        let shown = self.screen.text();
        self.seen += find(&shown.as_bytes()[self.seen..], text).map_or(0, |at| at + text.len());
    }

    /// Everything shown so far.
    pub(crate) fn screen(&self) -> String {
        self.screen.text()
    }

    /// Makes the window another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.controller, rows, columns);
    }

    /// The terminal's modes as the command has set them.
    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.controller).expect("read the terminal's modes")
    }

    /// Whether typed bytes reach the command at once and are not echoed.
    pub(crate) fn is_raw(&self) -> bool {
        !self.modes().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Sends a signal to the command.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end: the exit code. The terminal itself stays, for a look at its modes.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> i32 {
        let Some(code) = self.process.wait() else {
            panic!(
                "no end after {:?}: `{}`\n  screen: {}",
                self.process.timeout,
                self.process.line,
                self.screen()
            );
        };
        code
    }
}

fn set_size(controller: impl AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(controller, size).expect("set the terminal's size");
}
