//! Which settings may change when a run is resumed.

use anyhow::{Result, bail};
use toml::{Table, Value};

use super::Config;

/// Settings that change neither the network nor the order of batches. The data file may move, or be
/// converted: its contents are compared.
const FREE: [&str; 12] = [
    "data.path",
    "data.encoding",
    "data.validation",
    "training.epochs",
    "training.sample_every",
    "training.device",
    "training.patience",
    "training.keep",
    "training.save_every",
    "training.log_every",
    "training.sample_steps",
    "training.tensorboard",
];

impl Config {
    /// Refuses changes that would make the resumed run another run.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check_resumable(&self, begun: &Self) -> Result<()> {
        let (new, old) = (settings(self)?, settings(begun)?);
        for name in new.keys().chain(old.keys()) {
            let (new, old) = (new.get(name), old.get(name));
            if new != old && !FREE.contains(&name.as_str()) {
                bail!(
                    "this run has {name} = {}, which can't become {} when it goes on: leave that \
                     out, or begin a new run from its weights with --init-from",
                    shown(old),
                    shown(new)
                );
            }
        }
        Ok(())
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// All settings, by section and name.
pub(crate) fn settings(config: &Config) -> Result<Table> {
    let mut settings = Table::new();
    for (section, table) in Table::try_from(config)? {
        if let Value::Table(table) = table {
            let named = table.into_iter();
            settings.extend(named.map(|(name, value)| (format!("{section}.{name}"), value)));
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{IntegerPrecision, Mode};

    #[test]
    fn only_what_changes_nothing_that_was_learnt_may_change() {
        let begun = Config::defaults(Mode::Lines);
        let check = |change: fn(&mut Config)| {
            let mut config = begun.clone();
            change(&mut config);
            config.check_resumable(&begun)
        };
        check(|config| {
            config.training.epochs = 99;
            config.training.patience = Some(3);
            config.data.path = Some("moved.txt".into());
        })
        .unwrap();
        let refused = |change| check(change).unwrap_err().to_string();
        let message = refused(|config| config.network.hidden_size = 64);
        assert!(message.contains("network.hidden_size = 128"), "{message}");
        assert!(message.contains("become 64"), "{message}");
        let message = refused(|config| config.training.quantize = Some(IntegerPrecision::I4));
        assert!(message.contains("training.quantize = nothing"), "{message}");
        assert!(message.contains("--init-from"), "{message}");
    }
}
