//! Full-screen dashboard: curves, samples and key commands.

mod board;
mod chart;
mod draw;
mod screen;
mod series;

use std::io::{IsTerminal, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use self::board::Board;
use self::draw::draw;
pub use self::screen::leave;
use super::jsonl;
use crate::inference::sample::Sample;
use crate::report::progress_bar::WorkBar;
use crate::train::control::Request;
use crate::train::metrics::StepMetrics;
use crate::train::observer::{EpochEnd, Observer, ProgressSnapshot, Start, Task};
use crate::util::shown::escaped;

/// Time from one picture to the next.
const FRAME: Duration = Duration::from_millis(200);
/// Time in which the last picture is drawn, where there is still a terminal.
const FAREWELL: Duration = Duration::from_secs(2);

/// Called with what a key asks for.
type OnRequest = dyn Fn(Request) + Send + Sync;

/// A training on the whole screen. It has a thread of its own: the training only leaves a note there.
pub struct Dashboard {
    shared: Arc<Shared>,
    on_request: Arc<OnRequest>,
    /// Draws and reads keys until the end.
    thread: Option<JoinHandle<()>>,
    /// For what comes after the training.
    work: WorkBar,
}

#[derive(Default)]
struct Shared {
    board: Mutex<Board>,
    is_over: AtomicBool,
}

impl Shared {
    /// The board; a panic of the other side has left it whole enough to show.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dashboard {
    /// A dashboard that takes the screen when the training begins. Ctrl-C is a key then, no signal.
    ///
    /// # Errors
    /// If the output is no terminal.
    pub fn new(on_request: impl Fn(Request) + Send + Sync + 'static) -> Result<Self> {
        ensure!(
            stdout().is_terminal(),
            "--tui needs a terminal: leave it out where the output goes into a file or a pipe"
        );
        Ok(Self {
            shared: Arc::default(),
            on_request: Arc::new(on_request),
            thread: None,
            work: WorkBar::default(),
        })
    }

    fn open(&self) -> Result<JoinHandle<()>> {
        let mut terminal = screen::enter().context("can't use the terminal")?;
        let (shared, on_request) = (Arc::clone(&self.shared), Arc::clone(&self.on_request));
        let run = move || {
            while !shared.is_over.load(Ordering::Relaxed) {
                let drawn = terminal.draw(|frame| draw(frame, &shared.board()));
                // The training continues without a display.
                if drawn.is_err() || watch_keys(&shared, &*on_request).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("dashboard".to_owned());
        Ok(thread.spawn(run).inspect_err(|_| leave())?)
    }
}

/// Passes keys on until the next picture is due.
fn watch_keys(shared: &Shared, on_request: &OnRequest) -> std::io::Result<()> {
    let due = Instant::now() + FRAME;
    while event::poll(due.saturating_duration_since(Instant::now()))? {
        let Event::Key(key) = event::read()? else {
            continue;
        };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let request = match key.code {
            KeyCode::Char('c') if is_ctrl => Request::Stop,
            KeyCode::Char('q') => Request::Stop,
            KeyCode::Char('s') => Request::Sample,
            KeyCode::Char('w') => Request::Save,
            _ => continue,
        };
        let is_stopping = shared.board().awaited == Some(Request::Stop);
        // A second q is no second Ctrl-C, which doesn't wait for the save.
        if !is_stopping || is_ctrl {
            shared.board().awaited = Some(request);
            on_request(request);
        }
    }
    Ok(())
}

impl Observer for Dashboard {
    fn begin(&mut self, task: &Task<'_>, start: &Start) -> Result<()> {
        // What can't be read is not shown.
        let steps = jsonl::lines(&task.folder.steps()).unwrap_or_default();
        let epochs = jsonl::lines(&task.folder.metrics()).unwrap_or_default();
        self.shared.board().begin(start, &steps, &epochs);
        match self.open() {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => self.line(&format!("no dashboard: {error:#}")),
        }
        Ok(())
    }

    fn line(&mut self, text: &str) {
        if screen::is_open() {
            self.shared.board().line(text);
        } else {
            // A closed terminal doesn't stop a training.
            let _ = writeln!(stdout(), "{}", escaped(text));
        }
    }

    fn batch(&mut self, now: &ProgressSnapshot) {
        self.shared.board().now = *now;
    }

    fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.shared.board().steps(metrics);
        Ok(())
    }

    fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<()> {
        self.shared.board().epoch(end.metrics);
        self.line(&end.to_string());
        if let Some(sample) = end.sample {
            self.shared.board().sample(sample);
        }
        Ok(())
    }

    fn sample(&mut self, _step: usize, sample: &Sample) -> Result<()> {
        self.shared.board().sample(sample);
        Ok(())
    }

    fn rollback(&mut self, to: &ProgressSnapshot) -> Result<()> {
        self.shared.board().rollback(to.epoch);
        Ok(())
    }

    fn progress(&mut self, what: &str, done: usize, all: usize) {
        if !screen::is_open() {
            self.work.show(what, done, all);
        }
    }

    /// Gives the screen back, and prints there what was logged.
    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.shared.is_over.store(true, Ordering::Relaxed);
        let asked = Instant::now();
        // Where the terminal is gone, crossterm may look for keys forever: the thread is left alone then.
        while !thread.is_finished() && asked.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(5));
        }
        leave();
        let log = std::mem::take(&mut self.shared.board().log);
        for line in log {
            self.line(&line);
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.stop();
    }
}
