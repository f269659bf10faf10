//! Saving, restoring and rolling back a run.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::Device;

use super::checkpoint::{Checkpoint, Description, STATE, WEIGHTS};
use super::progress::Epoch;
use super::session::Session;
use crate::model::network::Network;
use crate::util::atomic_file::{atomic_write, link, remove};

/// A run that diverges more often fails.
pub(super) const MAX_ROLLBACKS: i32 = 5;

impl Session<'_> {
    /// Saves on request.
    pub(super) fn save_now(&mut self) -> Result<()> {
        self.save_last()?;
        let (step, last) = (self.progress.steps, self.folder.last());
        self.observer
            .line(&format!("step {step}  saved {}", last.display()));
        Ok(())
    }

    /// Rolls back to the end of the last epoch, and halves the learning rate.
    pub(super) fn rollback(&mut self, problem: &str) -> Result<()> {
        let rollbacks = self.progress.rollbacks + 1;
        let epoch = self.folder.epoch_checkpoint();
        ensure!(
            rollbacks <= MAX_ROLLBACKS,
            "{problem}, though the learning rate was halved {MAX_ROLLBACKS} times: {} has the network \
             after epoch {}; try a smaller --lr",
            epoch.display(),
            self.progress.epoch
        );
        let step = self.progress.steps;
        self.restore(&Checkpoint::load(&epoch, &Device::Cpu)?)?;
        self.progress.rollbacks = rollbacks;
        self.saved.1 = None;
        let now = self.now();
        self.observer.rollback(&now)?;
        self.observer.line(&format!(
            "{problem} in step {step}: rolled back to step {}, learning rate halved",
            self.progress.steps
        ));
        Ok(())
    }

    /// Restores the state that a checkpoint holds.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Checkpoint {
            tensors,
            description,
        } = checkpoint;
        let device = self.network.parameters().device();
        let saved = checkpoint.network()?;
        ensure!(
            self.ema.is_none() || tensors.contains_key(WEIGHTS),
            "{WEIGHTS} is missing: the run averages its weights, and this has the average only"
        );
        let weights = tensors.get(WEIGHTS).unwrap_or(saved.parameters());
        let progress = description.progress.clone();
        self.optimizer.restore(tensors, progress.steps)?;
        self.network.parameters().set(&weights.to_device(device)?)?;
        if let Some(ema) = &mut self.ema {
            ema.restore(&saved)?;
        }
        if let Some(state) = tensors.get(STATE) {
            self.state = state.to_device(device)?;
        }
        self.progress = progress;
        Ok(())
    }

    /// Saves if `save_every` seconds have passed.
    pub(super) fn save_in_time(&mut self) -> Result<()> {
        if self.saved.0.elapsed().as_secs_f64() >= self.config.training.save_every {
            self.save_last()?;
        }
        Ok(())
    }

    /// Saves the run as it is.
    pub(super) fn save_last(&mut self) -> Result<()> {
        let bytes = self.resumable()?.to_bytes()?;
        atomic_write(&self.folder.last(), &bytes)?;
        self.note_saved();
        Ok(())
    }

    fn note_saved(&mut self) {
        self.saved = (Instant::now(), Some(self.progress.steps));
    }

    /// Whether the newest checkpoint has all that was learnt.
    pub(super) fn is_saved(&self) -> bool {
        self.saved.1 == Some(self.progress.steps)
    }

    /// Saves the run at the end of an epoch, where a rollback returns to.
    pub(super) fn save_epoch(&mut self) -> Result<()> {
        let bytes = self.resumable()?.to_bytes()?;
        // First: a run that resumes from the last checkpoint must find this one.
        let (epoch, last) = (self.folder.epoch_checkpoint(), self.folder.last());
        atomic_write(&epoch, &bytes)?;
        // A hard link where the file system has them, instead of writing it twice.
        link(&epoch, &last).or_else(|_| atomic_write(&last, &bytes))?;
        self.note_saved();
        Ok(())
    }

    /// A checkpoint with all that resuming needs.
    fn resumable(&mut self) -> Result<Checkpoint> {
        self.observer.sync()?;
        self.progress.seconds = self.elapsed().as_secs_f64();
        let mut checkpoint = self.checkpoint(&self.evaluated()?)?;
        let tensors = &mut checkpoint.tensors;
        tensors.extend(self.optimizer.state()?.0);
        if self.ema.is_some() {
            let weights = self.network.parameters().as_detached_tensor();
            tensors.insert(WEIGHTS.to_owned(), weights);
        }
        if self.progress.totals.batches > 0 {
            tensors.insert(STATE.to_owned(), self.state.clone());
        }
        Ok(checkpoint)
    }

    /// Saves a network without the optimizer's state.
    pub(super) fn save_weights(&self, network: &Network, path: &Path) -> Result<()> {
        atomic_write(path, &self.checkpoint(network)?.to_bytes()?)
    }

    fn checkpoint(&self, network: &Network) -> Result<Checkpoint> {
        Ok(Checkpoint {
            description: Description {
                config: self.config.clone(),
                alphabet: self.corpus.alphabet.clone(),
                fingerprints: self.corpus.fingerprints.clone(),
                progress: self.progress.clone(),
            },
            tensors: network.tensors()?.into_iter().collect::<HashMap<_, _>>(),
        })
    }

    /// Saves an epoch's network if it is among the best, and removes the one it replaces.
    pub(super) fn keep(&mut self, network: &Network, epoch: Epoch) -> Result<()> {
        let dropped = self.progress.keep(epoch, self.config.training.keep);
        if !dropped.contains(&epoch) {
            self.save_weights(network, &self.folder.kept(epoch.number, epoch.loss))?;
        }
        for epoch in dropped {
            remove(&self.folder.kept(epoch.number, epoch.loss))?;
        }
        Ok(())
    }
}
