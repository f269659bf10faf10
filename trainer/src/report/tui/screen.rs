//! The alternate screen, and restoring the terminal afterwards.

use std::io::{self, Stdout, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Whether the terminal is ours. There is one terminal, and a panic has to find this.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Collects a frame, to write it whole: the terminal is never left in the middle of one.
#[derive(Debug, Default)]
pub(super) struct Frame(Vec<u8>);

impl Write for Frame {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut out = stdout().lock();
        if IS_OPEN.load(Ordering::Relaxed) {
            out.write_all(&self.0)?;
            out.flush()?;
        }
        self.0.clear();
        Ok(())
    }
}

/// Takes the terminal; [`leave`] gives it back, and a panic does.
pub(super) fn enter() -> io::Result<Terminal<CrosstermBackend<Frame>>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            default(panic);
        }));
    });
    enable_raw_mode()?;
    IS_OPEN.store(true, Ordering::Relaxed);
    // A console without another screen shows what was there before, unless it is cleared.
    let opened = execute!(stdout(), EnterAlternateScreen, Clear(ClearType::All), Hide)
        .and_then(|()| Terminal::new(CrosstermBackend::new(Frame::default())));
    opened.inspect_err(|_| leave())
}

/// Whether the terminal is the dashboard's.
pub(super) fn is_open() -> bool {
    IS_OPEN.load(Ordering::Relaxed)
}

/// Makes the terminal what it was before the dashboard, if there is one: before a process ends
/// that doesn't return.
pub fn leave() {
    let restore = |mut out: io::StdoutLock<'_>| -> io::Result<()> {
        execute!(out, LeaveAlternateScreen, Show)?;
        disable_raw_mode()
    };
    // Nobody draws while this is held.
    let out = Stdout::lock(&stdout());
    if IS_OPEN.swap(false, Ordering::Relaxed) {
        // A terminal that is gone needs nothing.
        let _ = restore(out);
    }
}
