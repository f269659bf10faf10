//! The defaults that the help shows, taken from the settings themselves.

use std::fmt::Display;

use charlet_trainer::config::{
    Config, LOG_LINES_PER_EPOCH, Mode, OptimizerConfig, OptimizerKind, ScheduleConfig, ScheduleKind,
};
use charlet_trainer::data::mark::CHARS_PER_COUNT;
use clap::ValueEnum;
use indicatif::HumanCount;

use crate::cmd::ENCODING;

/// The default of an option by its id; `None` if nothing happens without it.
pub(super) fn default_of(id: &str) -> Option<String> {
    let text = match id {
        "data" => "the bundled names".to_owned(),
        "mode" => name(config(Mode::Lines).data.mode),
        "encoding" => ENCODING.to_owned(),
        "min_count" => format!(
            "the characters to learn / {}; 0 with --config or --preset",
            HumanCount(CHARS_PER_COUNT as u64)
        ),
        "val_split" => by_mode(|config| config.data.validation_split),
        "layers" => by_mode(|config| config.network.num_layers),
        "hidden" => by_mode(|config| config.network.hidden_size),
        "embedding" => by_mode(|config| config.network.embedding_size),
        "dropout" => by_mode(|config| config.network.dropout),
        "weight_dropout" => by_mode(|config| config.network.weight_dropout),
        "embedding_dropout" => by_mode(|config| config.network.embedding_dropout),
        "optimizer" => name(config(Mode::Lines).optimizer.kind),
        "lr" => by_optimizer(|optimizer| optimizer.learning_rate),
        "weight_decay" => by_optimizer(|optimizer| optimizer.weight_decay),
        "momentum" => by_optimizer(|optimizer| optimizer.momentum),
        "clip_norm" => by_optimizer(|optimizer| optimizer.clip_norm),
        "schedule" => name(config(Mode::Lines).schedule.kind()),
        "warmup" => by_schedule(|schedule| match schedule {
            ScheduleConfig::Cosine { warmup, .. } => Some(warmup),
            _ => None,
        }),
        "schedule_factor" => by_schedule(|schedule| match schedule {
            ScheduleConfig::Step { factor, .. }
            | ScheduleConfig::Exponential { factor }
            | ScheduleConfig::Plateau { factor, .. } => Some(factor),
            ScheduleConfig::Constant {} | ScheduleConfig::Cosine { .. } => None,
        }),
        "schedule_epochs" => by_schedule(|schedule| match schedule {
            ScheduleConfig::Step { epochs, .. } | ScheduleConfig::Plateau { epochs, .. } => {
                Some(epochs)
            }
            _ => None,
        }),
        "epochs" => by_mode(|config| config.training.epochs),
        "batch" => by_mode(|config| config.training.batch_size),
        "window" => by_mode(|config| config.training.window),
        "seed" => by_mode(|config| config.training.seed),
        "device" => name(config(Mode::Lines).training.device),
        "out" => format!("{}/NAME", super::OUT),
        "keep" => by_mode(|config| config.training.keep),
        "save_every" => by_mode(|config| config.training.save_every),
        "log_every" => format!("about {LOG_LINES_PER_EPOCH} lines per epoch"),
        "sample_every" => by_mode(|config| config.training.sample_every),
        _ => return None,
    };
    Some(text)
}

fn config(mode: Mode) -> Config {
    Config::defaults(mode)
}

fn by_mode<T: Display>(setting: impl Fn(&Config) -> T) -> String {
    listed([
        ("", setting(&config(Mode::Lines))),
        ("text", setting(&config(Mode::Text))),
    ])
}

fn by_optimizer<T: Display>(setting: impl Fn(&OptimizerConfig) -> T) -> String {
    let by_mode = [("", Mode::Lines), ("text", Mode::Text)]
        .map(|(label, mode)| (label.to_owned(), setting(&config(mode).optimizer)));
    let by_kind = OptimizerKind::value_variants().iter().map(|&kind| {
        let optimizer = OptimizerConfig::defaults(kind, Mode::Lines);
        (name(kind), setting(&optimizer))
    });
    listed(by_mode.into_iter().chain(by_kind))
}

fn by_schedule<T: Display>(setting: impl Fn(ScheduleConfig) -> Option<T>) -> String {
    let known = ScheduleKind::value_variants()
        .iter()
        .filter_map(|&kind| Some((name(kind), setting(ScheduleConfig::defaults(kind))?)));
    listed(known)
}

/// The first value, and after it those that differ, as in `0.01; rmsprop, sgd: 0`.
fn listed<L: Into<String>, T: Display>(values: impl IntoIterator<Item = (L, T)>) -> String {
    let mut groups: Vec<(Vec<String>, String)> = Vec::new();
    for (label, value) in values {
        let (label, value) = (label.into(), value.to_string());
        match groups.iter_mut().find(|(_, other)| *other == value) {
            Some((labels, _)) => labels.push(label),
            None => groups.push((vec![label], value)),
        }
    }
    let shown = groups
        .iter()
        .enumerate()
        .map(|(at, (labels, value))| match at {
            0 => value.clone(),
            _ => format!("{}: {value}", labels.join(", ")),
        });
    shown.collect::<Vec<_>>().join("; ")
}

/// What an option calls a value.
fn name(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches};

    use super::super::Args;
    use super::*;

    fn command() -> Command {
        Args::augment_args(Command::new("train"))
    }

    fn parsed(options: &[String]) -> Config {
        let options = [&["train".to_owned()], options].concat();
        let matches = command().get_matches_from(options);
        Args::from_arg_matches(&matches)
            .unwrap()
            .new_config()
            .unwrap()
    }

    /// The defaults that the help shows, by the option's name: those for everything, and for some values.
    fn shown() -> Vec<(String, String)> {
        let command = command();
        let shown = command.get_opts().filter_map(|option| {
            let help = option.get_help()?.to_string();
            let (_, default) = help.split_once("[default: ")?;
            let default = default.strip_suffix(']').unwrap();
            Some((option.get_long()?.to_owned(), default.to_owned()))
        });
        shown.collect()
    }

    /// Giving an option the default that its help shows changes nothing.
    #[test]
    fn the_help_shows_the_defaults_of_the_settings() {
        let variants = [
            vec![],
            vec!["--mode=text"],
            vec!["--optimizer=adam"],
            vec!["--optimizer=adam", "--mode=text"],
            vec!["--optimizer=rmsprop"],
            vec!["--optimizer=sgd"],
            vec!["--schedule=step"],
            vec!["--schedule=exponential"],
            vec!["--schedule=plateau"],
        ];
        let mut compared = 0;
        for variant in variants {
            let variant: Vec<String> = variant.into_iter().map(str::to_owned).collect();
            let expected = parsed(&variant);
            for (option, default) in shown() {
                let is_foreign = match option.as_str() {
                    "momentum" => expected.optimizer.kind != OptimizerKind::Sgd,
                    "warmup" => expected.schedule.kind() != ScheduleKind::Cosine,
                    "schedule-factor" => matches!(
                        expected.schedule.kind(),
                        ScheduleKind::Constant | ScheduleKind::Cosine
                    ),
                    "schedule-epochs" => !matches!(
                        expected.schedule.kind(),
                        ScheduleKind::Step | ScheduleKind::Plateau
                    ),
                    // They are no settings, or none that is a number.
                    "out" | "log-every" | "encoding" | "min-count" | "input" => true,
                    "mode" | "optimizer" | "schedule" => !variant.is_empty(),
                    _ => false,
                };
                if is_foreign {
                    continue;
                }
                let mut groups = default.split("; ");
                let usual = groups.next().unwrap();
                let special = groups.find_map(|group| {
                    let (labels, value) = group.split_once(": ").unwrap();
                    let is_meant = labels.split(", ").any(|label| {
                        variant
                            .iter()
                            .any(|given| given.ends_with(&format!("={label}")))
                    });
                    is_meant.then_some(value)
                });
                let given = format!("--{option}={}", special.unwrap_or(usual));
                let config = parsed(&[&variant[..], std::slice::from_ref(&given)].concat());
                assert_eq!(config, expected, "{variant:?} {given}");
                compared += 1;
            }
        }
        assert!(compared > 150, "{compared}");
    }

    #[test]
    fn old_names_of_options_are_read_and_not_shown() {
        let parsed = |options: [&str; 2]| parsed(&options.map(str::to_owned));
        let old = parsed(["--recurrent-dropout=0.25", "--character-dropout=0.125"]);
        let new = parsed(["--weight-dropout=0.25", "--embedding-dropout=0.125"]);
        assert_eq!(old, new);
        let help = command().render_long_help().to_string();
        assert!(!help.contains("recurrent-dropout") && !help.contains("character-dropout"));
    }

    #[test]
    fn every_option_with_a_default_exists() {
        let shown = shown();
        for option in [
            "hidden",
            "weight-dropout",
            "lr",
            "warmup",
            "schedule-factor",
            "keep",
        ] {
            assert!(shown.iter().any(|(name, _)| name == option), "{option}");
        }
        let lr = shown.iter().find(|(name, _)| name == "lr").unwrap();
        assert_eq!(lr.1, "0.006; text: 0.01; rmsprop: 0.002; sgd: 0.5");
    }
}
