//! Whatever `train` accepts reads back as it was: from `config.toml` and from a checkpoint.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use charlet_trainer::config::{
    Config, DataConfig, DeviceKind, InputKind, IntegerPrecision, Mode, NetworkConfig, NormalForm,
    OptimizerConfig, OptimizerKind, ScheduleConfig, TrainingConfig,
};
use charlet_trainer::data::corpus::Corpus;
use charlet_trainer::train::checkpoint::{Checkpoint, Description};
use charlet_trainer::train::progress::Progress;
use charlet_trainer::util::rng::Streams;
use clap::ValueEnum;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::place::{Place, SHORT, lines};

fn share() -> impl Strategy<Value = f64> {
    let edges = vec![
        0.0,
        -0.0,
        5e-324,
        f64::MIN_POSITIVE,
        0.1 + 0.2,
        1.0 - f64::EPSILON / 2.0,
        1.0,
    ];
    prop_oneof![select(edges), 0.0..1.0]
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        share(),
        any::<f64>(),
        select(vec![f64::NAN, f64::INFINITY, 1e300, -1.0])
    ]
}

/// Mostly small, so that few are refused.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 1..64usize, 1 => any::<usize>(), 1 => select(vec![0, 1 << 20, usize::MAX])]
}

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![1..1_000_000usize, select(vec![0, 1, 999_999, usize::MAX])]
}

fn path() -> impl Strategy<Value = Option<PathBuf>> {
    option::of(any::<String>().prop_map(PathBuf::from))
}

prop_compose! {
    fn data()(
        path in path(),
        mode in select(vec![Mode::Lines, Mode::Text]),
        lowercase: bool,
        validation in path(),
        validation_split in any_float(),
        encoding in option::of(select(vec!["utf-16le", "latin1", "gbk"])),
        normalize in option::of(select(NormalForm::value_variants().to_vec())),
        min_count in count(),
    ) -> DataConfig {
        let encoding = encoding.map(|label| label.parse().unwrap());
        DataConfig { path, mode, lowercase, encoding, normalize, min_count: Some(min_count), validation, validation_split }
    }
}

prop_compose! {
    fn network()(
        embedding_size in size(),
        hidden_size in size(),
        num_layers in 0..20usize,
        dropout in share(),
        weight_dropout in share(),
        embedding_dropout in share(),
    ) -> NetworkConfig {
        NetworkConfig { embedding_size, hidden_size, num_layers, dropout, weight_dropout, embedding_dropout }
    }
}

prop_compose! {
    fn optimizer()(
        kind in select(vec![OptimizerKind::AdamW, OptimizerKind::Adam, OptimizerKind::RmsProp, OptimizerKind::Sgd]),
        learning_rate in any_float(),
        momentum in share(),
        beta1 in share(),
        beta2 in share(),
        weight_decay in share(),
        clip_norm in any_float(),
    ) -> OptimizerConfig {
        OptimizerConfig { kind, learning_rate, momentum, beta1, beta2, weight_decay, clip_norm }
    }
}

fn schedule() -> impl Strategy<Value = ScheduleConfig> {
    prop_oneof![
        Just(ScheduleConfig::Constant {}),
        (count(), share()).prop_map(|(epochs, factor)| ScheduleConfig::Step { epochs, factor }),
        share().prop_map(|factor| ScheduleConfig::Exponential { factor }),
        (share(), share())
            .prop_map(|(warmup, final_rate)| ScheduleConfig::Cosine { warmup, final_rate }),
        (count(), share()).prop_map(|(epochs, factor)| ScheduleConfig::Plateau { epochs, factor }),
    ]
}

prop_compose! {
    fn training()(
        (epochs, batch_size, window, sample_every) in (count(), size(), size(), count()),
        seed in prop_oneof![any::<u64>(), select(vec![0, 1 << 63, (1 << 63) - 1, u64::MAX])],
        device in select(vec![DeviceKind::Cpu, DeviceKind::Cuda]),
        quantize in option::of(select(vec![IntegerPrecision::I8, IntegerPrecision::I4])),
        input in option::of(select(vec![InputKind::Table, InputKind::Embedding])),
        (small_head, tensorboard) in any::<(bool, bool)>(),
        init_from in path(),
        ema in option::of(share()),
        patience in option::of(count()),
        keep in count(),
        sample_steps in option::of(count()),
        save_every in any_float(),
        log_every in option::of(count()),
    ) -> TrainingConfig {
        TrainingConfig {
            epochs, batch_size, window, seed, device, sample_every, quantize, input, small_head, init_from, ema,
            patience, keep, sample_steps, save_every, log_every, tensorboard,
        }
    }
}

prop_compose! {
    /// Every setting there is; a new one has to be added here.
    fn config()(
        data in data(),
        network in network(),
        optimizer in optimizer(),
        schedule in schedule(),
        training in training(),
    ) -> Config {
        Config { data, network, optimizer, schedule, training }
    }
}

#[test]
fn accepted_settings_read_back_as_they_were() {
    let place = Place::new();
    fs::write(place.path("data.txt"), lines()).unwrap();
    let mut streams = Streams::new(1);
    let mut data = Config::defaults(Mode::Lines).data;
    data.path = Some(place.path("data.txt"));
    let corpus = Corpus::load(&data, 8, &mut streams.split).unwrap();
    let path = place.path("config.toml");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        max_global_rejects: 1_000_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let round_trip = |config: Config| {
        prop_assume!(config.check().is_ok());
        fs::write(&path, config.to_toml().unwrap()).unwrap();
        let read = Config::from_file(&path, None).unwrap();
        prop_assert_eq!(&read, &config);
        read.check().unwrap();
        config.check_resumable(&read).unwrap();
        let description = Description {
            config,
            alphabet: corpus.alphabet.clone(),
            fingerprints: corpus.fingerprints.clone(),
            progress: Progress::new(Streams::new(1)),
        };
        let checkpoint = Checkpoint {
            description,
            tensors: HashMap::new(),
        };
        fs::write(&path, checkpoint.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(Description::load(&path).unwrap(), checkpoint.description);
        Ok(())
    };
    runner.run(&config(), round_trip).unwrap();
}

#[test]
fn the_largest_seeds_make_runs_like_any_other() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    for (out, seed) in [
        ("one", "9223372036854775808"),
        ("two", "18446744073709551615"),
    ] {
        let train = ["train", &file, "--out", out, "--seed", seed];
        place.succeed(&[&train[..], &SHORT].concat());
        let config = format!("{out}/config.toml");
        let again = format!("{out}-again");
        place.succeed(&["train", "--config", &config, "--out", &again]);
        let model = |run: &str| fs::read(place.path(run).join("data.charlet")).unwrap();
        assert!(model(out) == model(&again));
        place.succeed(&["train", "--resume", out, "--epochs", "2"]);
    }
    assert!(place.succeed(&["compare", "one", "two"]).contains("seed"));
    place.write("bad.toml", "training.seed = '18446744073709551616'");
    place.fail_with(
        &["train", &file, "--config", "bad.toml"],
        &["bad.toml", "seed"],
    );
}
