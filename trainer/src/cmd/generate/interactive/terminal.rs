//! Raw mode, and restoring the terminal afterwards.

use anyhow::{Context, Result};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// The exit code of a command that a signal ended.
const INTERRUPTED: i32 = 130;

/// The terminal's modes at the start, which come back whatever ends the session.
pub(super) struct Terminal {
    #[cfg(unix)]
    found: rustix::termios::Termios,
}

impl Terminal {
    /// Takes note of the modes. A signal puts them back and ends the program.
    pub(super) fn found() -> Result<Self> {
        let terminal = Self {
            #[cfg(unix)]
            found: rustix::termios::tcgetattr(std::io::stdin())
                .context("can't ask the terminal for its modes")?,
        };
        #[cfg(unix)]
        let in_signal = Self {
            found: terminal.found.clone(),
        };
        #[cfg(not(unix))]
        let in_signal = Self {};
        ctrlc::set_handler(move || {
            in_signal.give_back();
            std::process::exit(INTERRUPTED);
        })
        .context("can't handle signals")?;
        Ok(terminal)
    }

    fn give_back(&self) {
        // A terminal that is gone needs nothing.
        let _ = disable_raw_mode();
        #[cfg(unix)]
        let _ = rustix::termios::tcsetattr(
            std::io::stdin(),
            rustix::termios::OptionalActions::Now,
            &self.found,
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Keys come one by one, and unseen, as long as this lives.
pub(super) struct Raw;

impl Raw {
    pub(super) fn begin() -> Result<Self> {
        enable_raw_mode().context("can't read single keys from the terminal")?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}
