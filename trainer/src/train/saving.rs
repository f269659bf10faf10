//! How a run is saved, and taken up again.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::Device;

use super::checkpoint::{Checkpoint, Description, STATE, WEIGHTS};
use super::progress::Epoch;
use super::session::Session;
use crate::model::network::Network;
use crate::util::atomic_file::{link, remove, write_whole};

/// How often a run that diverges is rolled back.
const MAX_FALLBACKS: i32 = 5;

impl Session<'_> {
    /// Saves because somebody asks for it.
    pub(super) fn save_now(&mut self) -> Result<()> {
        self.save_last()?;
        let (step, last) = (self.progress.steps, self.folder.last());
        self.observer
            .line(&format!("step {step}  saved {}", last.display()));
        Ok(())
    }

    /// Rolls back to the end of the last epoch, and halves the learning rate.
    pub(super) fn rollback(&mut self, problem: &str) -> Result<()> {
        let fallbacks = self.progress.fallbacks + 1;
        let good = self.folder.good();
        ensure!(
            fallbacks <= MAX_FALLBACKS,
            "{problem}, though the learning rate was halved {MAX_FALLBACKS} times: {} has the network \
             after epoch {}; try a smaller --lr",
            good.display(),
            self.progress.epoch
        );
        let step = self.progress.steps;
        self.restore(&Checkpoint::load(&good, &Device::Cpu)?)?;
        self.progress.fallbacks = fallbacks;
        let now = self.now();
        self.observer.rollback(&now)?;
        self.observer.line(&format!(
            "{problem} in step {step}: back to step {}, and on with half the learning rate",
            self.progress.steps
        ));
        Ok(())
    }

    /// Takes up what a checkpoint has.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Checkpoint {
            tensors,
            description,
        } = checkpoint;
        let device = self.network.parameters().device();
        let saved = checkpoint.network()?;
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

    /// Saves, if it is time to.
    pub(super) fn save_in_time(&mut self) -> Result<()> {
        if self.saved.elapsed().as_secs_f64() >= self.config.training.save_every {
            self.save_last()?;
        }
        Ok(())
    }

    /// Saves the run as it is.
    pub(super) fn save_last(&mut self) -> Result<()> {
        let bytes = self.whole()?.to_bytes()?;
        write_whole(&self.folder.last(), &bytes)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Saves the run where it is good to fall back on.
    pub(super) fn save_epoch(&mut self) -> Result<()> {
        let bytes = self.whole()?.to_bytes()?;
        // First, since a run that goes on from the last must find this one.
        let (good, last) = (self.folder.good(), self.folder.last());
        write_whole(&good, &bytes)?;
        // Without writing it twice, where the file system can.
        link(&good, &last).or_else(|_| write_whole(&last, &bytes))?;
        self.saved = Instant::now();
        Ok(())
    }

    /// A checkpoint to go on from.
    fn whole(&mut self) -> Result<Checkpoint> {
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

    /// Saves a network to use, not to go on from.
    pub(super) fn save_weights(&self, network: &Network, path: &Path) -> Result<()> {
        write_whole(path, &self.checkpoint(network)?.to_bytes()?)
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

    /// Keeps an epoch's network while it is among the best.
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
