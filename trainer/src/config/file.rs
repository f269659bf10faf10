//! Reads settings from TOML over the defaults, and writes them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Config, Mode, OptimizerConfig, ScheduleConfig};
use crate::util::file_kind::{self, Kind};

/// How many times a settings file has to fit into memory: its text and what is in it.
const COPIES: u64 = 20;

/// Former names of settings of the network, read until 0.2. In checkpoints they are serde's aliases of
/// [`NetworkConfig`](super::NetworkConfig); here the new name must replace the default before the merge.
const RENAMED: [(&str, &str); 2] = [
    ("recurrent_dropout", "weight_dropout"),
    ("character_dropout", "embedding_dropout"),
];

impl Config {
    /// The defaults, overridden by what a TOML file sets; `mode` overrides the file's.
    ///
    /// # Errors
    /// If the file can't be read, is no TOML, or has a setting that doesn't exist.
    pub fn from_file(path: &Path, mode: Option<Mode>) -> Result<Self> {
        let text = String::from_utf8(file_kind::read(path, Kind::Settings, COPIES)?)
            .with_context(|| format!("can't read the settings in {}", path.display()))?;
        Self::from_toml(&text, mode)
            .with_context(|| format!("the settings in {} are not valid", path.display()))
    }

    fn from_toml(text: &str, mode: Option<Mode>) -> Result<Self> {
        let set = text.parse().map_err(|error| in_one_line(text, &error))?;
        Self::from_table(set, mode)
    }

    /// The defaults, overridden by what a table sets; `mode` overrides the table's.
    ///
    /// # Errors
    /// If it has a setting that doesn't exist.
    pub(crate) fn from_table(mut set: toml::Table, mode: Option<Mode>) -> Result<Self> {
        rename(&mut set)?;
        let mode = match mode {
            Some(mode) => mode,
            None => setting(&set, "data", "mode")?.unwrap_or(Mode::Lines),
        };
        let mut base = Self::defaults(mode);
        if let Some(kind) = setting(&set, "optimizer", "kind")? {
            base.optimizer = OptimizerConfig::defaults(kind, mode);
        }
        if let Some(kind) = setting(&set, "schedule", "kind")? {
            base.schedule = ScheduleConfig::defaults(kind);
        }
        let mut merged = toml::Table::try_from(base)?;
        merge(&mut merged, set);
        let mut config: Self = merged
            .try_into()
            .map_err(|error: toml::de::Error| anyhow::anyhow!("{}", error.message()))?;
        config.data.mode = mode;
        Ok(config)
    }

    /// The run as TOML.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("can't write the settings as TOML")
    }
}

/// A setting on which the defaults of others depend.
fn setting<'t, T: Deserialize<'t>>(
    set: &toml::Table,
    section: &str,
    key: &str,
) -> Result<Option<T>> {
    let value = set.get(section).and_then(|section| section.get(key));
    let read = |value: &toml::Value| value.clone().try_into();
    value
        .map(read)
        .transpose()
        .with_context(|| format!("{section}.{key}"))
}

/// Gives settings the names that they have today.
fn rename(set: &mut toml::Table) -> Result<()> {
    let Some(toml::Value::Table(network)) = set.get_mut("network") else {
        return Ok(());
    };
    for (old, new) in RENAMED {
        if let Some(value) = network.remove(old) {
            let twice = network.insert(new.to_owned(), value);
            ensure!(
                twice.is_none(),
                "network.{old} is the old name of network.{new}: leave one of them out"
            );
        }
    }
    Ok(())
}

/// A TOML error without the excerpt, which would take several lines.
fn in_one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message();
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            anyhow::anyhow!("line {line}: {message}")
        }
        None => anyhow::anyhow!("{message}"),
    }
}

/// Overrides the settings of `base` with those that `set` has.
fn merge(base: &mut toml::Table, set: toml::Table) {
    for (key, value) in set {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(set)) => merge(base, set),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OptimizerKind, ScheduleKind};
    use super::*;

    fn parse(text: &str, mode: Option<Mode>) -> Result<Config> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Config::from_file(file.path(), mode)
    }

    #[test]
    fn a_written_config_reads_back_the_same() {
        for mode in [Mode::Lines, Mode::Text] {
            let mut config = Config::defaults(mode);
            config.data.path = Some("a b.txt".into());
            config.training.seed = 77;
            assert_eq!(parse(&config.to_toml().unwrap(), None).unwrap(), config);
        }
    }

    #[test]
    fn a_file_overrides_the_defaults_of_its_mode() {
        let config = parse("data.mode = 'text'\nnetwork.hidden_size = 9", None).unwrap();
        let mut expected = Config::defaults(Mode::Text);
        expected.network.hidden_size = 9;
        assert_eq!(config, expected);
        let config = parse("data.mode = 'text'", Some(Mode::Lines)).unwrap();
        assert_eq!(config, Config::defaults(Mode::Lines));
    }

    #[test]
    fn defaults_are_those_of_the_algorithm_that_a_file_names() {
        let config = parse("optimizer.kind = 'sgd'\nschedule.kind = 'step'", None).unwrap();
        let (kind, mode) = (OptimizerKind::Sgd, Mode::Lines);
        assert_eq!(config.optimizer, OptimizerConfig::defaults(kind, mode));
        let step = ScheduleConfig::defaults(ScheduleKind::Step);
        assert_eq!(config.schedule, step);
        assert_eq!(parse(&config.to_toml().unwrap(), None).unwrap(), config);
    }

    #[test]
    fn old_names_are_read_and_new_ones_written() {
        let old = "network = {recurrent_dropout = 0.25, character_dropout = 0.125}";
        let config = parse(old, None).unwrap();
        let network = &config.network;
        assert_eq!(
            (network.weight_dropout, network.embedding_dropout),
            (0.25, 0.125)
        );
        let mut written = config.to_toml().unwrap();
        let mut checkpoint = serde_json::to_string(&config).unwrap();
        for (old, new) in RENAMED {
            assert!(written.contains(new) && !written.contains(old), "{written}");
            written = written.replace(new, old);
            checkpoint = checkpoint.replace(new, old);
        }
        assert_eq!(parse(&written, None).unwrap(), config);
        assert_eq!(serde_json::from_str::<Config>(&checkpoint).unwrap(), config);
        let twice = "network = {recurrent_dropout = 0.25, weight_dropout = 0.5}";
        let error = format!("{:#}", parse(twice, None).unwrap_err());
        assert!(error.contains("network.weight_dropout"), "{error}");
    }

    #[test]
    fn an_unknown_setting_is_named() {
        for (text, name) in [
            ("network.hiden_size = 9", "hiden_size"),
            ("schedule.factor = 0.5", "factor"),
            ("schedule = {kind = 'constant', warmup = 0.1}", "warmup"),
            ("schedule.kind = 'stairs'", "stairs"),
            ("optimizer.kind = 'adamm'", "adamm"),
        ] {
            let error = format!("{:#}", parse(text, None).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
    }
}
