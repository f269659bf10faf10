//! Compares runs: losses, settings, sizes and times.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use charlet::format::Precision;
use serde::Serialize;

use super::jsonl::lines;
use crate::config::{Mode, settings};
use crate::data::corpus::Corpus;
use crate::export::footprint::needs;
use crate::export::form::Form;
use crate::model::shape::Shape;
use crate::train::checkpoint::Description;
use crate::train::metrics::EpochMetrics;
use crate::util::rng::Streams;
use crate::util::run_dir::RunFolder;

/// A run's best network, and what it took to get there.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// The run's folder.
    pub run: String,
    /// The name of what it learns.
    pub data: String,
    /// Stacked layers.
    pub layers: usize,
    /// Hidden units of each.
    pub hidden_size: usize,
    /// Trained weights.
    pub parameters: usize,
    /// Size of the model in 8-bit integers.
    pub i8_bytes: usize,
    /// The lowest held-out loss, in nats.
    pub nats_per_char: f64,
    /// The same in bits.
    pub bits_per_char: f64,
    /// The same for a line of a list, where its data can be read.
    pub bits_per_line: Option<f64>,
    /// The epoch that reached it.
    pub best_epoch: usize,
    /// Epochs completed.
    pub epochs: usize,
    /// Time that they took.
    pub seconds: f64,
    /// Training characters per second.
    pub chars_per_second: f64,
    /// What was held out.
    pub held_out: HeldOut,
    /// The settings that not all compared runs share.
    pub settings: BTreeMap<String, String>,
    /// The held-out loss after each epoch.
    #[serde(skip)]
    pub curve: Vec<(f64, f64)>,
}

/// Identifies the held-out part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldOut {
    /// The hash of its file, or of the file that it is a share of.
    pub sha256: String,
    /// Whether that is a list or a text.
    pub mode: Mode,
    /// The share, if it is one.
    pub share: Option<f64>,
    /// The seed that drew it, if it was drawn.
    pub seed: Option<u64>,
}

impl HeldOut {
    fn of(description: &Description) -> Self {
        let (data, training) = (&description.config.data, &description.config.training);
        let is_share = data.validation.is_none();
        let is_drawn = is_share && data.mode == Mode::Lines;
        Self {
            sha256: description.fingerprints.held_out().to_owned(),
            mode: data.mode,
            share: is_share.then_some(data.validation_split),
            seed: is_drawn.then_some(training.seed),
        }
    }
}

/// Reads runs, and gives the one with the lowest loss first; also why others can't be compared, because
/// a folder holds no run, or one that has not completed an epoch.
pub fn compare(folders: &[impl AsRef<Path>]) -> (Vec<Compared>, Vec<anyhow::Error>) {
    let (mut runs, mut skipped) = (Vec::new(), Vec::new());
    for folder in folders {
        match read(folder.as_ref()) {
            Ok(run) => runs.push(run),
            Err(error) => skipped.push(error),
        }
    }
    keep_differences(&mut runs);
    runs.sort_by(|one, other| one.nats_per_char.total_cmp(&other.nats_per_char));
    (runs, skipped)
}

fn read(folder: &Path) -> Result<Compared> {
    RunFolder::recover(folder);
    let shown = folder.display();
    let last = RunFolder::last_in(folder);
    let is_there = match last.metadata() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(error).with_context(|| format!("can't read {}", last.display()));
        }
        found => found.is_ok(),
    };
    ensure!(
        is_there,
        "{shown} holds no run: name the folder that charlet train wrote, with last.safetensors in it"
    );
    let description = Description::load(&last)?;
    let (config, alphabet) = (&description.config, &description.alphabet);
    let shape = Shape::new(alphabet.size(), &config.network);
    let epochs: Vec<EpochMetrics> = lines(&RunFolder::at(folder, "").metrics())?;
    let newest = epochs.last();
    let (newest, best) = newest
        .zip(description.progress.best)
        .with_context(|| format!("the run in {shown} has not completed an epoch yet"))?;
    let bits = best.loss * std::f64::consts::LOG2_E;
    let point = |line: &EpochMetrics| (line.epoch as f64, line.validation_nats_per_char);
    Ok(Compared {
        run: shown.to_string(),
        data: config.name(),
        layers: shape.num_layers,
        hidden_size: shape.hidden_size,
        parameters: shape.parameter_count(),
        i8_bytes: {
            let form = Form::of(&config.training, shape, alphabet, Precision::I8)?;
            needs(shape, alphabet, form)?.flash
        },
        nats_per_char: best.loss,
        bits_per_char: bits,
        bits_per_line: chars_per_line(&description).map(|chars| bits * chars),
        best_epoch: best.number,
        epochs: newest.epoch,
        seconds: newest.seconds,
        chars_per_second: newest.chars_per_second,
        held_out: HeldOut::of(&description),
        settings: all_settings(&description)?,
        curve: epochs.iter().map(point).collect(),
    })
}

/// Predictions in a held-out line, on average: known where the data are what they were.
fn chars_per_line(description: &Description) -> Option<f64> {
    let config = &description.config;
    let mut split = Streams::new(config.training.seed).split;
    let corpus = Corpus::load(&config.data, config.training.window, &mut split).ok()?;
    let same = corpus
        .fingerprints
        .check(&description.fingerprints, &config.data);
    same.ok().and(corpus.validation.predictions_per_line())
}

/// All settings but where the data are.
fn all_settings(description: &Description) -> Result<BTreeMap<String, String>> {
    let all = settings(&description.config)?.into_iter();
    let others = all.filter(|(name, _)| name != "data.path" && name != "data.validation");
    Ok(others
        .map(|(name, value)| (name, value.to_string()))
        .collect())
}

/// Forgets the settings that all runs share.
fn keep_differences(runs: &mut [Compared]) {
    let Some(first) = runs.first().map(|run| run.settings.clone()) else {
        return;
    };
    let differs: Vec<String> = runs
        .iter()
        .flat_map(|run| run.settings.keys().chain(first.keys()))
        .filter(|name| {
            runs.iter()
                .any(|run| run.settings.get(*name) != first.get(*name))
        })
        .cloned()
        .collect();
    for run in runs {
        run.settings.retain(|name, _| differs.contains(name));
    }
}
