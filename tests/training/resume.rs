//! Runs that are stopped or killed: what they make in the end is what an unbroken run makes.

use std::fs;
use std::io::sink;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use candle_core::Device;
use charlet_trainer::config::{
    Config, IntegerPrecision, Mode, OptimizerConfig, OptimizerKind, ScheduleConfig, ScheduleKind,
};
use charlet_trainer::report::observers;
use charlet_trainer::report::progress_bar::Plain;
use charlet_trainer::train::checkpoint::Checkpoint;
use charlet_trainer::train::control::{Request, Requests};
use charlet_trainer::train::newest::Newest;
use charlet_trainer::train::training_loop::{Outcome, train};
use charlet_trainer::util::lock::Lock;
use charlet_trainer::util::run_dir::RunFolder;

use crate::support::place::{Place, SHORT, lines};

/// A run of 12 or so batches with everything on that has a state.
fn config(mode: Mode, data: &Path, kind: OptimizerKind, schedule: ScheduleKind) -> Config {
    let mut config = Config::defaults(mode);
    config.data.path = Some(data.to_owned());
    config.network.hidden_size = 7;
    config.network.embedding_size = 3;
    config.network.num_layers = 2;
    config.network.dropout = 0.3;
    config.network.weight_dropout = 0.2;
    config.network.embedding_dropout = 0.1;
    config.optimizer = OptimizerConfig::defaults(kind, mode);
    config.schedule = ScheduleConfig::defaults(schedule);
    config.training.epochs = 3;
    config.training.batch_size = 4;
    config.training.window = 6;
    config.training.sample_every = 2;
    config.training.keep = 2;
    // Neither a divisor of the batches in an epoch nor a multiple.
    config.training.log_every = Some(3);
    config.training.sample_steps = Some(5);
    config
}

/// Goes on with the run in a folder, or begins it, and stops after so many batches.
fn go_on(config: &Config, folder: &Path, batches: usize) -> Outcome {
    let left = AtomicUsize::new(batches);
    let next_request = || {
        let less = |left: usize| left.checked_sub(1);
        let left = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        left.is_err().then_some(Request::Stop)
    };
    go_on_until(config, folder, &next_request)
}

/// Goes on with the run in a folder, or begins it, until it is stopped.
fn go_on_until(config: &Config, folder: &Path, requests: &dyn Requests) -> Outcome {
    let (checkpoint, folder) = if RunFolder::is_resumable(folder) {
        let checkpoint = Newest::load(folder).unwrap().checkpoint;
        let folder = RunFolder::resume(Lock::take(folder).unwrap(), &config.name()).unwrap();
        (Some(checkpoint), folder)
    } else {
        let folder = RunFolder::create(folder, &config.name(), false).unwrap();
        (None, folder)
    };
    train(
        config,
        checkpoint.as_ref(),
        &folder,
        requests,
        &mut observers(config, Box::new(Plain(sink()))).unwrap(),
    )
    .unwrap()
}

/// Stops within long work, when that asks for the last time.
struct Impatient(AtomicUsize);

impl Requests for Impatient {
    fn next(&self) -> Option<Request> {
        None
    }

    fn is_stopping(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        left.is_err()
    }
}

#[test]
fn a_run_that_is_stopped_while_it_is_measured_ends_as_an_unbroken_one() {
    let place = Place::new();
    for (mode, data) in [
        (Mode::Lines, lines().repeat(3)),
        (Mode::Text, lines().repeat(6)),
    ] {
        let file = place.path(&place.write("data.txt", data));
        let config = config(mode, &file, OptimizerKind::AdamW, ScheduleKind::Cosine);
        let folder = |name: &str| place.path(&format!("{name}-{mode:?}"));
        go_on(&config, &folder("whole"), usize::MAX);
        let mut stops = 0;
        let mut questions = 1;
        // Among the first of an epoch's are those of its batches that are held out, then those of samples.
        while go_on_until(&config, &folder("parts"), &Impatient(questions.into()))
            == Outcome::Interrupted
        {
            questions += 7 + questions / 2;
            stops += 1;
        }
        assert!(stops > 5, "{stops}");
        assert_same(&folder("whole"), &folder("parts"));
    }
}

/// Fails if two runs left different files, but for the time they took.
fn assert_same(one: &Path, other: &Path) {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(one), names(other));
    for name in names(one) {
        let (one, other) = (one.join(&name), other.join(&name));
        if name.ends_with(".charlet") || name.ends_with(".toml") {
            assert_eq!(fs::read(&one).unwrap(), fs::read(&other).unwrap(), "{name}");
        } else if name == "report.html" {
            assert_eq!(losses(&one), losses(&other));
        } else if name == "curves.png" {
            // It shows how fast it was, and is drawn of the same figures as the page.
        } else if name.ends_with(".jsonl") {
            assert_eq!(log(&one), log(&other), "{name}");
        } else if name != Lock::FILE {
            assert_same_checkpoints(&one, &other);
        }
    }
}

/// The figure of a page that doesn't depend on the clock.
fn losses(page: &Path) -> String {
    let page = fs::read_to_string(page).unwrap();
    let figure = page.split_once("<figure id=\"loss\">").unwrap().1;
    figure.split_once("</figure>").unwrap().0.to_owned()
}

fn assert_same_checkpoints(one: &Path, other: &Path) {
    let load = |path: &Path| {
        let mut checkpoint = Checkpoint::load(path, &Device::Cpu).unwrap();
        let progress = &mut checkpoint.description.progress;
        progress.seconds = 0.0;
        progress.totals.seconds = 0.0;
        progress.line.seconds = 0.0;
        checkpoint.to_bytes().unwrap()
    };
    assert!(load(one) == load(other), "{}", one.display());
}

/// A log without what depends on the clock.
fn log(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        for time in ["seconds", "chars_per_second"] {
            value.as_object_mut().unwrap().remove(time);
        }
        value
    };
    text.lines().map(line).collect()
}

#[test]
fn a_stopped_run_ends_as_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.txt");
    fs::write(&data, lines().repeat(3)).unwrap();
    let i4 = Some(IntegerPrecision::I4);
    let algorithms = [
        (OptimizerKind::AdamW, ScheduleKind::Cosine, None, None),
        (OptimizerKind::Adam, ScheduleKind::Plateau, Some(0.9), None),
        (OptimizerKind::RmsProp, ScheduleKind::Step, None, i4),
        (
            OptimizerKind::Sgd,
            ScheduleKind::Exponential,
            Some(0.99),
            i4,
        ),
    ];
    for mode in [Mode::Lines, Mode::Text] {
        for (kind, schedule, ema, quantize) in algorithms {
            let mut config = config(mode, &data, kind, schedule);
            config.training.ema = ema;
            config.training.quantize = quantize;
            let place = |what: &str| folder.path().join(format!("{what}-{mode:?}-{kind:?}"));
            let (whole, broken) = (place("whole"), place("broken"));
            assert!(matches!(
                go_on(&config, &whole, usize::MAX),
                Outcome::Finished(_)
            ));
            let mut stops = 0;
            // Within epochs, at their ends, and right where it began.
            while go_on(&config, &broken, stops % 5) == Outcome::Interrupted {
                stops += 1;
            }
            assert!(stops > 5, "{stops}");
            assert_same(&whole, &broken);
        }
    }
}

/// Lines of several windows, whose h and c a checkpoint has to hold.
#[test]
fn a_run_stopped_within_long_lines_ends_as_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.txt");
    let line = |length: usize| "the sea was wet ".chars().cycle().take(length).collect();
    let long: Vec<String> = [2100, 1024, 5000, 1500].into_iter().map(line).collect();
    fs::write(&data, lines() + &long.join("\n")).unwrap();
    let (kind, schedule) = (OptimizerKind::AdamW, ScheduleKind::Cosine);
    let config = config(Mode::Lines, &data, kind, schedule);
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    go_on(&config, &whole, usize::MAX);
    let mut states = Vec::new();
    while go_on(&config, &broken, 1) == Outcome::Interrupted {
        let last = Checkpoint::load(&RunFolder::last_in(&broken), &Device::Cpu).unwrap();
        states.extend(
            last.tensors
                .get("training.state")
                .map(|state| state.dims()[2]),
        );
    }
    // All four lanes of short lines; the three long lines that aren't held out, and two in the last window.
    assert!(
        [2, 3, 4].iter().all(|lanes| states.contains(lanes)),
        "{states:?}"
    );
    assert_same(&whole, &broken);
}

#[test]
fn what_is_asked_for_in_between_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.txt");
    fs::write(&data, lines().repeat(3)).unwrap();
    let (kind, schedule) = (OptimizerKind::AdamW, ScheduleKind::Cosine);
    let config = config(Mode::Text, &data, kind, schedule);
    let (whole, asked) = (folder.path().join("whole"), folder.path().join("asked"));
    go_on(&config, &whole, usize::MAX);
    let count = AtomicUsize::new(0);
    let next_request = || match count.fetch_add(1, Ordering::Relaxed) % 4 {
        0 => Some(Request::Sample),
        1 => Some(Request::Save),
        _ => None,
    };
    let run = RunFolder::create(&asked, &config.name(), false).unwrap();
    let mut printed = Vec::new();
    train(
        &config,
        None,
        &run,
        &next_request,
        &mut observers(&config, Box::new(Plain(&mut printed))).unwrap(),
    )
    .unwrap();
    let printed = String::from_utf8(printed).unwrap();
    for part in ["saved ", "step 0  sample", "    0.5  "] {
        assert!(printed.contains(part), "{part:?} is missing in {printed}");
    }
    assert_same(&whole, &asked);
}

/// A run is taken back to its last epoch's end, wherever its newest checkpoint is.
#[test]
fn a_stopped_run_rolls_back_as_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.txt");
    fs::write(&data, lines().repeat(40)).unwrap();
    let mut config = config(
        Mode::Lines,
        &data,
        OptimizerKind::AdamW,
        ScheduleKind::Constant,
    );
    config.network.hidden_size = 16;
    config.optimizer.learning_rate = 8.0;
    config.training.batch_size = 32;
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    go_on(&config, &whole, usize::MAX);
    let last = Checkpoint::load(&RunFolder::last_in(&whole), &Device::Cpu).unwrap();
    assert!(last.description.progress.rollbacks > 0);
    while go_on(&config, &broken, 7) == Outcome::Interrupted {}
    assert_same(&whole, &broken);
}

#[test]
fn more_epochs_later_are_as_good_as_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.txt");
    fs::write(&data, lines().repeat(3)).unwrap();
    let mut config = config(
        Mode::Text,
        &data,
        OptimizerKind::Adam,
        ScheduleKind::Constant,
    );
    let (whole, later) = (folder.path().join("whole"), folder.path().join("later"));
    go_on(&config, &later, usize::MAX);
    config.training.epochs = 5;
    go_on(&config, &later, usize::MAX);
    go_on(&config, &whole, usize::MAX);
    assert_same(&whole, &later);
}

/// Whenever the process dies, with a checkpoint after every batch.
#[cfg(unix)]
#[test]
fn a_killed_run_ends_as_an_unbroken_one() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(10));
    let options = [
        "--hidden",
        "8",
        "--embedding",
        "4",
        "--epochs",
        "20",
        "--save-every",
        "0",
    ];
    let train = |out| [&["train", &file, "--out", out][..], &options].concat();
    place.succeed(&train("whole"));
    // How far a run comes in a time depends on the machine: shorter lives, until several are killed.
    for step in [15, 5, 1] {
        let kills = killed_until_it_ends(&place, &train("killed"), step);
        assert_same(&place.path("whole"), &place.path("killed"));
        if kills > 3 {
            return;
        }
        fs::remove_dir_all(place.path("killed")).unwrap();
    }
    panic!("the run ends before it is killed four times");
}

/// Starts the command, then goes on with its run, until it comes to an end; how often it was killed.
///
/// Each process lives this many milliseconds longer than the one before it.
#[cfg(unix)]
fn killed_until_it_ends(place: &Place, start: &[&str], step: u64) -> usize {
    for kills in 0.. {
        // Written last: before, there is nothing to go on with.
        let command = if place.path("killed/config.toml").exists() {
            &["train", "--resume", "killed"]
        } else {
            start
        };
        let mut child = place
            .command(command)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(step * (kills as u64 + 1)));
        child.kill().unwrap();
        if let Some(code) = child.wait().unwrap().code() {
            assert_eq!(code, 0);
            return kills;
        }
    }
    unreachable!("there is no last kill");
}

#[test]
fn what_cannot_change_when_a_run_goes_on_is_refused() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.fail_with(&["train", "--resume", "run"], &["run", "without --resume"]);
    place.succeed(&[&["train", &file, "--out", "run"][..], &SHORT].concat());
    let resume = |options: &[&str], words: &[&str]| {
        place.fail_with(
            &[&["train", "--resume", "run"][..], options].concat(),
            words,
        );
    };
    resume(
        &["--hidden", "16"],
        &["network.hidden_size = 8", "16", "--init-from"],
    );
    resume(&["--mode", "text"], &["data.mode", "text"]);
    resume(&["--optimizer", "sgd"], &["optimizer."]);
    // The data may move, but must be what they were.
    fs::rename(place.path("data.txt"), place.path("moved.txt")).unwrap();
    resume(&[], &["data.txt", "No such file"]);
    place.succeed(&["train", "moved.txt", "--resume", "run", "--epochs", "2"]);
    place.write("moved.txt", lines() + "zoe\n");
    resume(&[], &["moved.txt is not what it was", "--init-from"]);
    assert_eq!(log(&place.path("run/metrics.jsonl")).len(), 2);
    // Damaged checkpoints are told, and nothing is touched.
    fs::write(place.path("run/last.safetensors"), b"half").unwrap();
    fs::write(place.path("run/epoch.safetensors"), b"half").unwrap();
    resume(
        &[],
        &[
            "run/last.safetensors",
            "run/epoch.safetensors",
            "--init-from run/best.safetensors",
        ],
    );
}

/// Without its newest checkpoint a run goes on from the end of its last epoch, to the same end.
#[test]
fn a_run_without_its_newest_checkpoint_goes_on_from_its_last_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.txt");
    fs::write(&data, lines().repeat(3)).unwrap();
    let (kind, schedule) = (OptimizerKind::AdamW, ScheduleKind::Cosine);
    let config = config(Mode::Lines, &data, kind, schedule);
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    go_on(&config, &whole, usize::MAX);
    let last = RunFolder::last_in(&broken);
    // Within the first epoch and within the second.
    for (batches, damage) in [(3, None), (9, Some("half"))] {
        assert_eq!(go_on(&config, &broken, batches), Outcome::Interrupted);
        match damage {
            Some(damage) => fs::write(&last, damage).unwrap(),
            None => fs::remove_file(&last).unwrap(),
        }
    }
    go_on(&config, &broken, usize::MAX);
    assert_same(&whole, &broken);
}

#[test]
fn a_missing_or_damaged_checkpoint_is_told_with_what_is_there() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.succeed(&[&["train", &file, "--out", "run"][..], &SHORT].concat());
    let resume = |epochs| place.succeed(&["train", "--resume", "run", "--epochs", epochs]);
    fs::remove_file(place.path("run/last.safetensors")).unwrap();
    let printed = resume("2");
    for words in [
        "run/last.safetensors is missing",
        "run/epoch.safetensors",
        "epoch 1",
    ] {
        assert!(printed.contains(words), "{printed}");
    }
    // Not through the link that it is to the checkpoint of the epoch.
    fs::remove_file(place.path("run/last.safetensors")).unwrap();
    fs::write(place.path("run/last.safetensors"), "half").unwrap();
    let printed = resume("3");
    for words in [
        "run/last.safetensors is a text file",
        "run/epoch.safetensors",
        "epoch 2",
    ] {
        assert!(printed.contains(words), "{printed}");
    }
    assert!(!resume("4").contains("note "));
    for name in ["last", "epoch"] {
        fs::remove_file(place.path(&format!("run/{name}.safetensors"))).unwrap();
    }
    let words = [
        "last.safetensors",
        "epoch.safetensors are missing",
        "--init-from run/best",
    ];
    place.fail_with(&["train", "--resume", "run"], &words);
    fs::write(place.path("run/best.safetensors"), "half").unwrap();
    place.fail_with(&["train", "--resume", "run"], &["no other checkpoint"]);
}

/// Nothing is left to learn, and what was best is gone.
#[test]
fn a_complete_run_without_its_best_epoch_is_told_how_to_go_on() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.succeed(&[&["train", &file, "--out", "run"][..], &SHORT].concat());
    fs::remove_file(place.path("run/best.safetensors")).unwrap();
    place.fail_with(
        &["train", "--resume", "run"],
        &["best.safetensors", "--epochs 2"],
    );
    place.succeed(&["train", "--resume", "run", "--epochs", "2"]);
}

/// One line that can't be read takes no other with it, and is told.
#[test]
fn a_damaged_log_is_told_and_keeps_its_other_lines() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(8));
    let train = [
        "train", &file, "--out", "run", "--hidden", "8", "--epochs", "3",
    ];
    place.succeed(&train);
    let mut expected = Vec::new();
    for (name, damage) in [
        ("metrics.jsonl", &b"\xff\xfe"[..]),
        ("steps.jsonl", b"{\"step\": "),
    ] {
        let path = place.path("run").join(name);
        let log = fs::read(&path).unwrap();
        let mut written: Vec<&[u8]> = log.split(|&byte| byte == b'\n').collect();
        written[1] = damage;
        fs::write(&path, written.join(&b'\n')).unwrap();
        written.remove(1);
        expected.push((path, written.join(&b'\n')));
    }
    let printed = place.succeed(&["train", "--resume", "run", "--epochs", "4"]);
    for (path, kept) in expected {
        let name = path.strip_prefix(place.path(".")).unwrap_or(&path);
        let name = name.file_name().unwrap().to_str().unwrap();
        let words = format!("note      line 2 of run/{name} can't be read");
        assert!(printed.contains(&words), "{printed}");
        let now = fs::read(path).unwrap();
        assert!(now.starts_with(&kept) && now.len() > kept.len());
    }
}

/// A run of a version that called some settings and a file by other names.
#[test]
fn a_run_of_an_older_version_is_resumed() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = [&["train", &file, "--out", "new"][..], &SHORT].concat();
    place.succeed(&train);
    fs::create_dir(place.path("old")).unwrap();
    for name in place.files("new") {
        let contents = fs::read(place.path("new").join(&name)).unwrap();
        let contents = match name.as_str() {
            "config.toml" => old_names(&String::from_utf8(contents).unwrap()).into_bytes(),
            _ if name.ends_with(".safetensors") => old_checkpoint(&contents),
            _ => contents,
        };
        let old = name.replace("epoch.safetensors", "good.safetensors");
        fs::write(place.path("old").join(old), contents).unwrap();
    }
    // Again from its settings, and on from its checkpoint.
    let again = ["train", "--config", "old/config.toml", "--out", "again"];
    place.succeed(&again);
    for run in ["new", "old"] {
        place.succeed(&["train", "--resume", run, "--epochs", "3"]);
    }
    assert_same(&place.path("new"), &place.path("old"));
}

fn old_names(text: &str) -> String {
    let (old, new) = (
        ["recurrent_dropout", "character_dropout"],
        ["weight_dropout", "embedding_dropout"],
    );
    let mut text = text.to_owned();
    for (old, new) in old.into_iter().zip(new) {
        assert_eq!(text.matches(new).count(), 1, "{text}");
        text = text.replace(new, old);
    }
    text
}

/// A checkpoint whose header has the old names: its length in 8 bytes, JSON, tensors.
fn old_checkpoint(bytes: &[u8]) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header = old_names(std::str::from_utf8(header).unwrap()).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], &header, tensors].concat()
}
