//! Lines for people, with a progress bar below them in a terminal.

use std::io::Write;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use super::{Place, Start, View};

/// Lines, as a file or a pipe takes them.
#[derive(Debug)]
pub struct Plain<W>(pub W);

impl<W: Write + Send> View for Plain<W> {
    fn line(&mut self, text: &str) {
        // A closed pipe doesn't stop a training.
        let _ = writeln!(self.0, "{text}");
    }
}

/// Lines above a progress bar, which counts characters.
#[derive(Debug)]
pub struct Bar<W> {
    lines: Plain<W>,
    bar: ProgressBar,
}

impl<W: Write + Send> Bar<W> {
    /// A bar that appears when the training begins.
    pub fn new(out: W) -> Self {
        Self {
            lines: Plain(out),
            bar: ProgressBar::hidden(),
        }
    }
}

impl<W: Write + Send> View for Bar<W> {
    fn begin(&mut self, start: Start) {
        self.bar = ProgressBar::new(start.chars as u64);
        let template = "{bar:30} {percent:>3} %  {msg}  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.with_key("per_sec", write_speed));
        }
        // Where an earlier run has been is no speed of this one.
        self.bar.set_position(start.place.chars as u64);
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn line(&mut self, text: &str) {
        self.bar.suspend(|| self.lines.line(text));
    }

    fn advance(&mut self, place: Place) {
        self.bar.set_position(place.chars as u64);
        let (epoch, loss) = (place.epoch + 1, place.nats_per_char);
        self.bar
            .set_message(format!("epoch {epoch}  loss {loss:.3}"));
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn write_speed(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let _ = write!(out, "{} chars/s", HumanCount(state.per_sec() as u64));
}
