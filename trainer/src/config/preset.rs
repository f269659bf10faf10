//! Presets: settings of well-known models, and of our own best ones, as TOML files.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Config, Mode};

/// Settings of well-known models, and of our own best ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Text: 2 layers of 512, windows of 20, RMSprop, as in many tutorials
    Guide,
    /// Text: 3 layers of 700, lower case, windows of 100, Adam, as in tutorials on Alice in Wonderland
    Alice,
    /// Text: 1 layer of 500, batch size 1, Adam, for a long book read in order
    Quijote,
    /// List: 1 layer of 128, RMSprop at a high learning rate
    Names,
    /// Text: 1 layer of 456, i8, below 1,000,000 bytes: our best for about 1 MB of text
    #[value(name = "shakespeare-1m")]
    Shakespeare1m,
    /// Text: 1 layer of 280, i4, below 256 KB: our best for a small chip
    #[value(name = "shakespeare-256k")]
    Shakespeare256k,
}

/// What a preset's file holds.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    departures: Vec<String>,
    #[serde(flatten)]
    settings: toml::Table,
}

impl Preset {
    fn text(self) -> &'static str {
        match self {
            Self::Guide => include_str!("preset/guide.toml"),
            Self::Alice => include_str!("preset/alice.toml"),
            Self::Quijote => include_str!("preset/quijote.toml"),
            Self::Names => include_str!("preset/names.toml"),
            Self::Shakespeare1m => include_str!("preset/shakespeare-1m.toml"),
            Self::Shakespeare256k => include_str!("preset/shakespeare-256k.toml"),
        }
    }

    fn file(self) -> Result<File> {
        toml::from_str(self.text()).context("the preset is damaged")
    }

    /// Its settings, and the defaults where it has none; `mode` overrides its own.
    ///
    /// # Errors
    /// If its file is not valid, which would be our mistake.
    pub fn config(self, mode: Option<Mode>) -> Result<Config> {
        Config::from_table(self.file()?.settings, mode)
    }

    /// Where it departs from what it is known from, and why; our own departs from nothing.
    ///
    /// # Errors
    /// If its file is not valid, which would be our mistake.
    pub fn departures(self) -> Result<Vec<String>> {
        Ok(self.file()?.departures)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::config::OptimizerKind;

    #[test]
    fn every_preset_is_valid_and_tells_its_departures() {
        for &preset in Preset::value_variants() {
            preset.config(None).unwrap().check().unwrap();
            let is_ours = matches!(preset, Preset::Shakespeare1m | Preset::Shakespeare256k);
            assert_eq!(preset.departures().unwrap().is_empty(), is_ours);
        }
    }

    #[test]
    fn presets_are_what_they_are_known_for() {
        let config = |preset: Preset| preset.config(None).unwrap();
        let alice = config(Preset::Alice);
        assert!(alice.data.lowercase && alice.data.mode == Mode::Text);
        assert_eq!(
            (alice.network.num_layers, alice.network.hidden_size),
            (3, 700)
        );
        assert_eq!(config(Preset::Guide).training.window, 20);
        assert_eq!(config(Preset::Quijote).training.batch_size, 1);
        let names = config(Preset::Names);
        assert_eq!(names.optimizer.kind, OptimizerKind::RmsProp);
        assert_eq!(names.optimizer.learning_rate, 0.01);
    }
}
