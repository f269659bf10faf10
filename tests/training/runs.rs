//! Whole runs: the same seed gives the same model, and a run leaves what it promises.

use std::fs;
use std::io::sink;
use std::path::Path;

use candle_core::Device;
use charlet::Model;
use charlet::format::{Input, Precision};
use charlet_trainer::config::{Config, InputKind, IntegerPrecision, Mode};
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::inference::evaluation::Evaluation;
use charlet_trainer::report::observers;
use charlet_trainer::report::progress_bar::Plain;
use charlet_trainer::train::checkpoint::{Checkpoint, WEIGHTS};
use charlet_trainer::train::training_loop::{Outcome, train};
use charlet_trainer::util::run_dir::RunFolder;

use crate::support::tolerance::{EVALUATION, INTEGER_LOSS};

/// A short run on these data.
fn config(mode: Mode, data: &Path) -> Config {
    let mut config = Config::defaults(mode);
    config.data.path = Some(data.to_owned());
    config.network.hidden_size = 12;
    config.network.embedding_size = 5;
    config.training.epochs = 3;
    config.training.batch_size = 16;
    config.training.window = 8;
    config.training.sample_every = 2;
    config
}

fn run(config: &Config, folder: &Path) -> (RunFolder, Evaluation) {
    let folder = RunFolder::create(folder, &config.name(), false).unwrap();
    match train(
        config,
        None,
        &folder,
        &|| None,
        &mut observers(config, Box::new(Plain(sink()))).unwrap(),
    )
    .unwrap()
    {
        Outcome::Finished(evaluation) => (folder, evaluation),
        Outcome::Interrupted => panic!("nobody stopped it"),
    }
}

/// A hundred different lines with some order in them.
fn lines() -> String {
    let syllables = ["ba", "do", "mi", "ka"];
    let line = |n: usize| -> String {
        let digits = (0..4).map(|at| n / 4usize.pow(at) % 4);
        digits.map(|digit| syllables[digit]).collect()
    };
    (0..100).map(|n| line(n) + "\n").collect()
}

#[test]
fn the_same_seed_gives_the_same_model_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("lines.txt");
    fs::write(&data, lines().repeat(2)).unwrap();
    for mode in [Mode::Lines, Mode::Text] {
        let model = |name: &str, seed, threads| {
            let mut config = config(mode, &data);
            config.training.seed = seed;
            config.training.batch_size = 40;
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let out = folder.path().join(format!("{mode:?}-{name}"));
            pool.install(|| fs::read(run(&config, &out).0.model()).unwrap())
        };
        let first = model("first", 1, 1);
        assert_eq!(first, model("again", 1, 1));
        assert_eq!(first, model("threads", 1, 3));
        assert_ne!(first, model("other", 2, 1));
    }
}

#[test]
fn a_run_leaves_settings_checkpoints_metrics_and_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("lines.txt");
    fs::write(&data, lines()).unwrap();
    let config = config(Mode::Lines, &data);
    let (run_folder, _) = run(&config, &folder.path().join("out"));

    let metrics = fs::read_to_string(run_folder.metrics()).unwrap();
    let metrics: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(metrics.len(), 3);
    let losses: Vec<f64> = metrics
        .iter()
        .map(|line| line["validation_nats_per_char"].as_f64().unwrap())
        .collect();
    assert!(losses[2] < losses[0], "{losses:?}");

    let best = Checkpoint::load(&run_folder.best(), &Device::Cpu).unwrap();
    let model = fs::read(run_folder.model()).unwrap();
    let again = model_file(
        &best.network().unwrap(),
        &best.description.alphabet,
        Precision::F32,
    )
    .unwrap();
    assert_eq!(model, again, "the model is the best checkpoint, exported");
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(best.description.progress.validation_loss, Some(lowest));
    assert_eq!(best.description.config, config);

    let last = Checkpoint::load(&run_folder.last(), &Device::Cpu).unwrap();
    assert_eq!(last.description.progress.epoch, 3);
    let parameters = last.network().unwrap().shape().parameter_count();
    for average in ["optimizer.mean", "optimizer.square"] {
        assert_eq!(last.tensors[average].elem_count(), parameters);
    }

    // The settings repeat the run.
    let again = Config::from_file(&run_folder.config(), None).unwrap();
    assert_eq!(again, config);
    let (again, _) = run(&again, &folder.path().join("again"));
    assert_eq!(model, fs::read(again.model()).unwrap());
}

/// With one stream, the trainer's held-out loss is that of the runtime, which reads the text
/// character by character: both carry h and c through all of it.
#[test]
fn trainer_and_runtime_measure_the_same_loss() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [Mode::Lines, Mode::Text] {
        let data = folder.path().join(format!("{mode:?}.txt"));
        fs::write(&data, lines()).unwrap();
        let mut config = config(mode, &data);
        config.training.batch_size = 1;
        let (run_folder, evaluation) = run(&config, &folder.path().join(format!("{mode:?}")));
        let best = Checkpoint::load(&run_folder.best(), &Device::Cpu).unwrap();
        let expected = best.description.progress.validation_loss.unwrap();
        EVALUATION.check("held-out loss", evaluation.nats_per_char(), expected);
        let is_list = Model::from_bytes(&fs::read(run_folder.model()).unwrap())
            .unwrap()
            .vocab()
            .end()
            .is_some();
        assert_eq!(
            (is_list, evaluation.lines.is_some()),
            (mode == Mode::Lines, mode == Mode::Lines)
        );
    }
}

#[test]
fn the_average_of_the_weights_is_what_is_measured_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("lines.txt");
    fs::write(&data, lines()).unwrap();
    let mut config = config(Mode::Lines, &data);
    config.training.ema = Some(0.99);
    let (run_folder, evaluation) = run(&config, &folder.path().join("out"));
    let load = |path: &Path| Checkpoint::load(path, &Device::Cpu).unwrap();
    let best = load(&run_folder.best());
    let expected = best.description.progress.validation_loss.unwrap();
    EVALUATION.check("held-out loss", evaluation.nats_per_char(), expected);
    // The weights that are learnt are others.
    let last = load(&run_folder.last());
    let average: Vec<f32> = last.network().unwrap().parameters().to_vec1().unwrap();
    let weights: Vec<f32> = last.tensors[WEIGHTS].to_vec1().unwrap();
    assert_ne!(weights, average);
    assert!(!best.tensors.contains_key(WEIGHTS));
}

/// The network that is trained for integers rounds its weights as the exporter does: the loss that
/// it reports is that of the exported model, but for the rounding of h and sums.
#[test]
fn training_for_integers_reports_the_loss_of_the_integer_model() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("lines.txt");
    fs::write(&data, lines()).unwrap();
    let precisions = [IntegerPrecision::I8, IntegerPrecision::I4];
    let inputs = [None, Some(InputKind::Embedding)];
    for (number, (input, precision)) in inputs
        .into_iter()
        .flat_map(|input| precisions.map(|precision| (input, precision)))
        .enumerate()
    {
        let mut config = config(Mode::Lines, &data);
        config.network.num_layers = 1 + number % 2;
        config.training.quantize = Some(precision);
        config.training.input = input;
        config.training.small_head = input.is_some() && precision == IntegerPrecision::I4;
        config.training.epochs = 10;
        let (run_folder, evaluation) = run(&config, &folder.path().join(format!("{number}")));
        let bytes = fs::read(run_folder.model()).unwrap();
        let header = Model::from_bytes(&bytes).unwrap().header();
        assert_eq!(header.precision, precision.into());
        assert_eq!(header.input, input.map_or(Input::Table, Input::from));
        assert_eq!(header.head_bits, config.training.head_bits());
        let best = Checkpoint::load(&run_folder.best(), &Device::Cpu).unwrap();
        let expected = best.description.progress.validation_loss.unwrap();
        INTEGER_LOSS.check("held-out loss", evaluation.nats_per_char(), expected);
    }
}

/// In `abacabac`, read in windows of one character, only the state tells what follows an `a`: without
/// it, no loss below half of ln 2 = 0.35 is possible.
#[test]
fn the_state_is_carried_from_window_to_window() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("period.txt");
    fs::write(&data, "abac".repeat(300)).unwrap();
    let mut config = config(Mode::Text, &data);
    config.training.window = 1;
    config.training.batch_size = 1;
    config.training.epochs = 10;
    config.network.num_layers = 1;
    config.network.dropout = 0.0;
    let (_, evaluation) = run(&config, &folder.path().join("out"));
    assert!(evaluation.nats_per_char() < 0.1, "{evaluation:?}");
}

#[test]
fn any_unicode_text_can_be_learnt_and_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("unicode.txt");
    fs::write(&data, "Zażółć\nгъста\nπέντε\n日本語\n🦀🦀\n".repeat(10)).unwrap();
    let (run_folder, evaluation) = run(&config(Mode::Lines, &data), &folder.path().join("out"));
    assert!(evaluation.nats_per_char().is_finite());
    let bytes = fs::read(run_folder.model()).unwrap();
    let model = Model::from_bytes(&bytes).unwrap();
    for char in "ż语本🦀έ".chars() {
        assert_eq!(model.vocab().token(char).is_some(), char != '语', "{char}");
    }
}

/// Ten times the steps take no more memory, as the kernel counts it.
#[cfg(target_os = "linux")]
#[test]
fn a_long_run_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("lines.txt");
    fs::write(&data, lines().repeat(20)).unwrap();
    let peak_kilobytes = |epochs: &str| {
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_charlet"));
        run.arg("train").arg(&data).arg("--force").arg("--out");
        run.arg(folder.path().join("run"));
        for (option, value) in [("--hidden", "12"), ("--batch", "2"), ("--epochs", epochs)] {
            run.args([option, value]);
        }
        let mut run = run.stdout(std::process::Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", run.id());
        let mut peak = 0;
        while run.try_wait().unwrap().is_none() {
            let status = fs::read_to_string(&status).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            peak = number.map_or(peak, |number| number.parse().unwrap());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(run.wait().unwrap().success());
        peak
    };
    let (short, long): (u64, u64) = (peak_kilobytes("1"), peak_kilobytes("12"));
    let metrics = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let last: serde_json::Value =
        serde_json::from_str(metrics.lines().next_back().unwrap()).unwrap();
    assert!(last["steps"].as_u64().unwrap() >= 10_000, "{last}");
    // Allocators round up, and threads come and go.
    assert!(long < short + 2048, "{short} kB, then {long} kB");
}
