//! What a run tells while it goes on: progress, losses and samples.

mod log;

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use charlet::{Model, Sampler};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use self::log::Log;
use crate::corpus::{Corpus, Sequences};
use crate::files::RunFolder;
use crate::novelty::{Novelty, novelty};
use crate::progress::Progress;
use crate::rng::Random;
use crate::speak::{Speaker, text_rng};

/// The temperatures of the samples shown while training.
pub const TEMPERATURES: [f32; 4] = [0.2, 0.5, 1.0, 1.2];
/// Lines shown at each temperature, and the length of other texts.
const SAMPLE_LINES: usize = 6;
const SAMPLE_LENGTH: usize = 120;

/// What an epoch brought: a line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Epochs completed.
    pub epoch: usize,
    /// Updates made.
    pub steps: usize,
    /// Mean training loss, with dropout, in nats per character.
    pub train_nats_per_char: f64,
    /// The training loss of each batch, smoothed over about a thousand; it starts from guessing.
    pub smoothed_nats_per_char: Option<f64>,
    /// Held-out loss in nats per character.
    pub validation_nats_per_char: f64,
    /// The last learning rate.
    pub learning_rate: f64,
    /// Mean norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// Characters learnt per second.
    pub chars_per_second: f64,
    /// Seconds since the training started.
    pub seconds: f64,
    /// Where a sample was made of a list: the share of its lines that are learnt ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_lines: Option<f64>,
    /// Where a sample was made of a text: characters of its longest part that stands in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_copy: Option<usize>,
}

/// What the updates since the last such line brought: a line of `steps.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Updates made.
    pub step: usize,
    /// Epochs completed, with the share of the one under way.
    pub epoch: f64,
    /// Mean training loss, with dropout, in nats per character.
    pub train_nats_per_char: f64,
    /// The training loss of each batch, smoothed over about a thousand; it starts from guessing.
    pub smoothed_nats_per_char: f64,
    /// The last learning rate.
    pub learning_rate: f64,
    /// Mean norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// Characters learnt per second, of the time spent on updates.
    pub chars_per_second: f64,
}

/// Writes lines for people, with a progress bar below them in a terminal, and the logs.
#[derive(Debug)]
pub struct Report<W> {
    out: W,
    bar: ProgressBar,
    epochs: Log,
    steps: Log,
    started: Instant,
    /// Time spent before the run was stopped and went on.
    before: Duration,
}

impl<W: Write> Report<W> {
    /// Opens the logs of a run that is so far. The bar counts characters.
    ///
    /// # Errors
    /// If a log can't be written.
    pub fn new(
        folder: &RunFolder,
        progress: &Progress,
        total_chars: usize,
        out: W,
    ) -> Result<Self> {
        let bar = if std::io::stdout().is_terminal() {
            let bar = ProgressBar::new(total_chars as u64);
            let template = "{bar:30} {percent:>3} %  {msg}  {per_sec}  {eta} left";
            bar.set_style(ProgressStyle::with_template(template)?.with_key(
                "per_sec",
                |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                    // A failed write to the terminal is no reason to stop a training.
                    let _ = write!(out, "{} chars/s", HumanCount(state.per_sec() as u64));
                },
            ));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        } else {
            ProgressBar::hidden()
        };
        Ok(Self {
            out,
            bar,
            epochs: Log::open::<EpochMetrics>(&folder.metrics(), progress)?.0,
            steps: Log::open::<StepMetrics>(&folder.steps(), progress)?.0,
            started: Instant::now(),
            before: Duration::from_secs_f64(progress.seconds),
        })
    }

    /// Time since the training started, without that between a stop and going on.
    pub fn elapsed(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// Prints a line above the bar. A closed pipe doesn't stop a training.
    pub fn line(&mut self, line: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(self.out, "{line}");
        });
    }

    /// Moves the bar to where a training begins, which is no speed.
    pub fn begin(&self, chars: usize) {
        self.bar.set_position(chars as u64);
        self.bar.reset_eta();
    }

    /// Moves the bar on.
    pub fn advance(&self, chars: usize, epoch: usize, loss: f64) {
        self.bar.set_position(chars as u64);
        self.bar
            .set_message(format!("epoch {epoch}  loss {loss:.3}"));
    }

    /// Notes what some updates brought.
    ///
    /// # Errors
    /// If the log can't be written.
    pub fn steps(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.steps.add(metrics)
    }

    /// Goes back to where a run is that went astray.
    ///
    /// # Errors
    /// If the log can't be written.
    pub fn go_back(&mut self, folder: &RunFolder, progress: &Progress) -> Result<()> {
        self.steps = Log::open::<StepMetrics>(&folder.steps(), progress)?.0;
        Ok(())
    }

    /// Brings the logs to the disk, before a checkpoint that counts on them.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn sync(&self) -> Result<()> {
        self.epochs.sync()?;
        self.steps.sync()
    }

    /// Tells of a completed epoch.
    ///
    /// # Errors
    /// If the log can't be written.
    pub fn epoch(
        &mut self,
        metrics: &EpochMetrics,
        corpus: &Corpus,
        epochs: usize,
        best: bool,
    ) -> Result<()> {
        self.epochs.add(metrics)?;
        let validation = Loss {
            nats: metrics.validation_nats_per_char,
            sequences: &corpus.validation,
        };
        self.line(&format!(
            "epoch {:>3}/{epochs}  train {:.3}  held out {validation}  {} chars/s{}",
            metrics.epoch,
            metrics.train_nats_per_char,
            HumanCount(metrics.chars_per_second as u64),
            if best { "  best" } else { "" },
        ));
        Ok(())
    }

    /// Shows what a model says, and what of it is new.
    pub fn sample(&mut self, sample: &Sample) {
        for (temperature, text) in &sample.texts {
            self.line(&sample_line(*temperature, text));
        }
        self.line(&format!("    new  {}", sample.novelty));
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        self.bar.finish_and_clear();
        self.line(&format!("trained for {}", spoken(self.elapsed())));
    }
}

/// A time in words: whole seconds, but for a run of some of them.
fn spoken(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        return format!("{:.1} seconds", time.as_secs_f64());
    }
    HumanDuration(time).to_string()
}

/// What a model says, and what of it is new.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Texts, each with its temperature.
    pub texts: Vec<(f32, String)>,
    /// How it compares with what was learnt.
    pub novelty: Novelty,
}

impl Sample {
    /// Lets a model speak.
    ///
    /// # Errors
    /// If the model file is not valid, which would be our mistake.
    pub fn of(model: &[u8], corpus: &Corpus, random: &mut Random) -> Result<Self> {
        Ok(Self {
            texts: sample_texts(model, random)?,
            novelty: novelty(model, corpus)?,
        })
    }
}

/// A text with its temperature, as it is shown.
pub fn sample_line(temperature: f32, text: &str) -> String {
    let text = text.replace('\n', "\n         ");
    format!("    {temperature:.1}  {text}")
}

/// What a model says at several temperatures.
///
/// # Errors
/// If the model file is not valid, which would be our mistake.
pub fn sample_texts(model: &[u8], random: &mut Random) -> Result<Vec<(f32, String)>> {
    let mut speaker = Speaker::new(Model::from_bytes(model)?);
    let is_list = Model::from_bytes(model)?.vocab().end().is_some();
    let mut rng = text_rng(random.seed());
    let mut sample = |temperature: f32| -> Result<(f32, String)> {
        let sampler = Sampler::with_temperature(temperature)?;
        let text = if is_list {
            let lines = (0..SAMPLE_LINES).map(|_| speaker.line(sampler, &mut rng));
            lines.collect::<Result<Vec<_>, _>>()?.join("  ")
        } else {
            let text = speaker.generate(sampler, &mut rng, "")?.take(SAMPLE_LENGTH);
            text.collect()
        };
        Ok((temperature, text))
    };
    TEMPERATURES.into_iter().map(&mut sample).collect()
}

/// A loss with its units: per character, and per line for lists.
#[derive(Clone, Copy, Debug)]
pub struct Loss<'c> {
    /// Nats per character.
    pub nats: f64,
    /// What it was measured on.
    pub sequences: &'c Sequences,
}

impl std::fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.nats / std::f64::consts::LN_2;
        write!(f, "{:.3} nats/char = {bits:.3} bits/char", self.nats)?;
        if let Some(per_line) = self.sequences.predictions_per_line() {
            write!(f, " = {:.2} bits/line", bits * per_line)?;
        }
        Ok(())
    }
}

/// Fresh lines, sorted into those that are new and those of the training list.
///
/// # Errors
/// If the model file is not valid, which would be our mistake.
pub fn sorted_samples(model: &[u8], corpus: &Corpus, random: &mut Random) -> Result<String> {
    const COUNT: usize = 30;
    let mut speaker = Speaker::new(Model::from_bytes(model)?);
    let mut rng = text_rng(random.seed());
    let sampler = Sampler::with_temperature(0.8)?;
    let mut lines = Vec::new();
    for _ in 0..COUNT {
        lines.push(speaker.line(sampler, &mut rng)?);
    }
    lines.sort();
    lines.dedup();
    let (known, new): (Vec<String>, Vec<String>) = lines
        .into_iter()
        .partition(|line| corpus.known.contains(line));
    Ok(format!(
        "at temperature 0.8, new:\n{}\nalready in the list:\n{}",
        wrapped(&new),
        wrapped(&known)
    ))
}

/// Words in indented lines of at most 64 characters.
fn wrapped(words: &[String]) -> String {
    let mut text = String::from("   ");
    let mut width = 0;
    for word in words {
        if width + word.len() > 64 {
            text.push_str("\n   ");
            width = 0;
        }
        text.push(' ');
        text.push_str(word);
        width += word.len() + 1;
    }
    text
}
