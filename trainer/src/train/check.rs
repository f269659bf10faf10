//! Checks what a checkpoint says, so that nothing that reads it later can go wrong.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Tensor};

use super::checkpoint::{Description, STATE, WEIGHTS};
use super::progress::{Epoch, Progress, Totals};
use super::saving::MAX_ROLLBACKS;
use crate::config::check::MAX_EPOCHS;
use crate::model::shape::Shape;
use crate::optim::optimizer::MOMENTS;

/// Three hundred years; a duration holds more, a sum of two as well.
const MAX_SECONDS: f64 = 1e10;
/// Floats count so far without gaps.
const MAX_COUNT: usize = 1 << 53;

impl Description {
    /// Refuses what no run can have written.
    ///
    /// # Errors
    /// Names the field and its value.
    pub(super) fn check(&self) -> Result<()> {
        self.config.check().context("config")?;
        self.alphabet.vocab().context("alphabet")?;
        let (chars, size) = (self.alphabet.chars().chars().count(), self.alphabet.size());
        // Networks of other programs may have a mark that starts a text and another that ends it.
        let start = Some(self.alphabet.start()).filter(|&start| usize::from(start) >= chars);
        let marks = [start, self.alphabet.end(), self.alphabet.unknown()];
        let marks = BTreeSet::from(marks).into_iter().flatten().count();
        ensure!(
            size == chars + marks,
            "alphabet.size is {size}, for {chars} characters and {marks} marks"
        );
        self.progress.check()
    }
}

impl Progress {
    fn check(&self) -> Result<()> {
        let Self {
            epoch,
            steps,
            rollbacks,
            ..
        } = *self;
        at_most("progress.epoch", epoch, MAX_EPOCHS)?;
        at_most("progress.steps", steps, MAX_COUNT)?;
        ensure!(
            epoch <= steps,
            "progress.epoch is {epoch}, after {steps} steps"
        );
        self.totals.check("progress.totals", steps)?;
        self.line.check("progress.line", steps)?;
        self.plateau.check().context("progress.plateau")?;
        ensure!(
            (0..=MAX_ROLLBACKS).contains(&rollbacks),
            "progress.fallbacks is {rollbacks}, not from 0 to {MAX_ROLLBACKS}"
        );
        seconds("progress.seconds", self.seconds)?;
        for (name, value) in [
            ("progress.smoothed", self.smoothed),
            ("progress.validation_loss", self.validation_loss),
        ] {
            finite(name, value.unwrap_or(0.0))?;
        }
        if let Some(best) = self.best {
            best.check("progress.best", epoch)?;
        }
        for (at, kept) in self.kept.iter().enumerate() {
            kept.check("progress.kept", epoch)?;
            ensure!(
                self.kept[..at]
                    .iter()
                    .all(|other| other.number != kept.number),
                "progress.kept has epoch {} twice",
                kept.number
            );
        }
        Ok(())
    }
}

impl Totals {
    fn check(&self, name: &str, steps: usize) -> Result<()> {
        at_most(&format!("{name}.batches"), self.batches, steps)?;
        at_most(&format!("{name}.chars"), self.chars, MAX_COUNT)?;
        finite(&format!("{name}.nats"), self.loss_sum)?;
        finite(&format!("{name}.norm"), self.norm)?;
        seconds(&format!("{name}.seconds"), self.seconds)
    }
}

impl Epoch {
    fn check(&self, name: &str, epochs: usize) -> Result<()> {
        ensure!(
            (1..=epochs).contains(&self.number),
            "{name} has epoch {}, of {epochs}",
            self.number
        );
        finite(&format!("{name}.loss"), self.loss)
    }
}

/// Refuses tensors that have another type than ours, or don't fit the network.
pub(super) fn tensors(tensors: &HashMap<String, Tensor>, shape: Shape) -> Result<()> {
    for (name, tensor) in tensors {
        let dtype = tensor.dtype();
        ensure!(
            dtype == DType::F32,
            "{name} has the type {dtype:?}, not F32"
        );
    }
    let count = [shape.parameter_count()];
    for name in MOMENTS.into_iter().chain([WEIGHTS]) {
        if let Some(tensor) = tensors.get(name) {
            let dims = tensor.dims();
            ensure!(dims == count, "{name} is {dims:?} instead of {count:?}");
        }
    }
    if let Some(state) = tensors.get(STATE) {
        let dims = state.dims();
        ensure!(
            matches!(*dims, [2, layers, _, hidden]
                if (layers, hidden) == (shape.num_layers, shape.hidden_size)),
            "{STATE} is {dims:?} instead of [2, {}, batch, {}]",
            shape.num_layers,
            shape.hidden_size
        );
    }
    Ok(())
}

fn at_most(name: &str, value: usize, max: usize) -> Result<()> {
    ensure!(value <= max, "{name} is {value}, more than {max}");
    Ok(())
}

fn finite(name: &str, value: f64) -> Result<()> {
    ensure!(value.is_finite(), "{name} is {value}");
    Ok(())
}

fn seconds(name: &str, value: f64) -> Result<()> {
    ensure!(
        (0.0..=MAX_SECONDS).contains(&value),
        "{name} is {value}, not from 0 to {MAX_SECONDS}"
    );
    Ok(())
}
