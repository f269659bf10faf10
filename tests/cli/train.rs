//! What goes wrong in a training, and what the command says then: one clear sentence, an exit code
//! that isn't 0, and no file left half written.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use candle_core::Device;
use charlet_trainer::train::checkpoint::Checkpoint;
use serde_json::Value;

use crate::support::place::{Place, SHORT, lines};

#[test]
fn data_that_cannot_be_learnt_are_refused() {
    let place = Place::new();
    let refuse = |contents: &[u8], words: &[&str]| {
        let file = place.write("data.txt", contents);
        place.fail_with(&["train", &file], words);
        assert_eq!(place.files("."), ["data.txt"]);
    };
    refuse(b"", &["data.txt", "empty"]);
    refuse(b"\n\n \n", &["data.txt", "empty"]);
    refuse(b"anna\n", &["two different lines"]);
    refuse(b"anna\nanna\nanna\n", &["two different lines"]);
    refuse(b"anna\nb\xffb\n", &["data.txt", "UTF-8", "offset 6"]);
    refuse(b"anna\nb\0b\n", &["data.txt", "NUL", "offset 6"]);
    refuse(b"anna\nberta\n", &["--val-split"]);
    place.fail_with(&["train", "missing.txt"], &["missing.txt", "No such file"]);
    place.fail_with(&["train", "."], &["is a folder", "text file"]);
    place.write("data.txt", lines());
    place.fail_with(&["train", "data.txt", "--val", "none.txt"], &["none.txt"]);
}

#[test]
fn texts_that_are_too_short_are_refused() {
    let place = Place::new();
    let file = place.write("data.txt", "a text of some characters");
    place.fail_with(&["train", &file, "--mode", "text"], &["window", "--window"]);
    let tiny_share = [
        "train",
        &file,
        "--mode",
        "text",
        "--window",
        "4",
        "--val-split",
        "0.001",
    ];
    place.fail_with(&tiny_share, &["nothing to measure on", "--val-split"]);
}

#[test]
fn byte_order_marks_and_foreign_line_endings_are_normalised_and_told() {
    let place = Place::new();
    let crlf = format!("\u{feff}{}", lines().replace('\n', "\r\n"));
    let file = place.write("data.txt", crlf);
    let printed = place.succeed(&[&["train", &file][..], &SHORT].concat());
    assert!(
        printed.contains("byte order mark") && printed.contains("carriage-return"),
        "{printed}"
    );
    let info = place.succeed(&["info", "charlet-out/data/data.charlet", "--json"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["chars"], "abcdelmnort");
}

#[test]
fn impossible_settings_are_refused_before_a_folder_is_made() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    for (option, value, word) in [
        ("--hidden", "0", "hidden size"),
        ("--batch", "0", "batch size"),
        ("--layers", "0", "layers"),
        ("--window", "0", "window"),
        ("--epochs", "0", "epochs"),
        ("--hidden", "100000000000", "hidden size"),
        ("--batch", "18446744073709551615", "batch size"),
        ("--lr", "0", "learning rate"),
        ("--lr", "NaN", "learning rate"),
        ("--dropout", "1", "dropout"),
        ("--val-split", "1", "held-out share"),
        ("--config", "none.toml", "none.toml"),
    ] {
        place.fail_with(&["train", &file, option, value], &[word]);
    }
    let config = place.write("bad.toml", "network.hiden_size = 3");
    place.fail_with(
        &["train", &file, "--config", &config],
        &["bad.toml", "hiden_size"],
    );
    if !cfg!(feature = "cuda") {
        place.fail_with(&["train", &file, "--device", "cuda"], &["--features cuda"]);
    }
    assert_eq!(place.files("."), ["bad.toml", "data.txt"]);
}

#[test]
fn a_folder_that_holds_a_run_is_kept() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = [&["train", &file, "--out", "run"][..], &SHORT].concat();
    place.succeed(&train);
    let model = fs::read(place.path("run/data.charlet")).unwrap();
    place.fail_with(
        &[&train[..], &["--seed", "5"]].concat(),
        &["run", "--force", "--out"],
    );
    assert_eq!(fs::read(place.path("run/data.charlet")).unwrap(), model);
    place.succeed(&[&train[..], &["--seed", "5", "--force"]].concat());
    assert_ne!(fs::read(place.path("run/data.charlet")).unwrap(), model);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.fail_with(
        &["train", &file, "--out", "data.txt/run"],
        &["data.txt is no folder", "--out"],
    );
}

/// A limit on the size of files stands for a full disk: the write fails half-way.
#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_leaves_no_half_file() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = ["train", &file, "--epochs", "1"];
    let output = place.limited("-f 64", &train).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("can't write") && stderr.contains(".safetensors"),
        "{stderr}"
    );
    assert_eq!(place.files("."), ["data.txt"]);
}

#[test]
fn a_loss_that_stays_too_high_stops_the_run_and_keeps_the_last_good_network() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = ["train", &file, "--hidden", "8", "--epochs", "5"];
    let too_fast = ["--lr", "1e38", "--warmup", "0"];
    let words = ["halved 5 times", "epoch.safetensors", "smaller --lr"];
    place.fail_with(&[&train[..], &too_fast].concat(), &words);
    // The rate rises: the first epochs are fine.
    let rising = ["--lr", "1e38", "--warmup", "1", "--force"];
    place.fail_with(&[&train[..], &rising].concat(), &words);
}

#[test]
fn a_diverging_run_rolls_back_and_finishes_at_a_lower_rate() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let train = [
        "train", &file, "--hidden", "16", "--epochs", "2", "--lr", "8", "--out", "run",
    ];
    let printed = place.succeed(&train);
    assert!(
        printed.contains("jumped to") && printed.contains("back to step"),
        "{printed}"
    );
    let last = Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu);
    let progress = last.unwrap().description.progress;
    assert!(
        progress.rollbacks > 0 && progress.epoch == 2,
        "{progress:?}"
    );
    let metrics = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 2);
}

#[test]
fn the_best_networks_are_kept_and_waiting_has_an_end() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(4));
    // Nothing gets better at this rate.
    let train = [
        "train",
        &file,
        "--hidden",
        "8",
        "--lr",
        "1e-30",
        "--out",
        "run",
        "--keep",
        "2",
        "--patience",
        "3",
        "--save-every",
        "0",
    ];
    let printed = place.succeed(&train);
    assert!(
        printed.contains("no lower held-out loss for 3 epochs"),
        "{printed}"
    );
    let kept: Vec<String> = place
        .files("run")
        .into_iter()
        .filter(|name| name.starts_with("epoch-"))
        .collect();
    let [first, second] = &kept[..] else {
        panic!("{kept:?}");
    };
    assert!(first.starts_with("epoch-001-") && second.starts_with("epoch-002-"));
    let checkpoint = Checkpoint::load(&place.path("run").join(first), &Device::Cpu).unwrap();
    let loss = checkpoint.description.progress.validation_loss.unwrap();
    assert_eq!(first, &format!("epoch-001-{loss:.4}.safetensors"));
    checkpoint.network().unwrap();
    // It has waited long enough, and may wait longer when asked.
    let resume = ["train", "--resume", "run"];
    assert!(place.succeed(&resume).contains("no lower held-out loss"));
    let printed = place.succeed(&[&resume[..], &["--patience", "4"]].concat());
    assert!(printed.contains("epoch   5/30"), "{printed}");
}

#[test]
fn a_preset_sets_what_options_change() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(9).to_uppercase());
    let train = ["train", &file, "--preset", "alice", "--out", "run"];
    let smaller = ["--layers", "1", "--batch", "4", "--sample-every", "1"];
    let printed = place.succeed(&[&train[..], &SHORT, &smaller].concat());
    for part in [
        "departs   characters are embedded",
        "    new  all but parts of up to",
    ] {
        assert!(printed.contains(part), "{part:?} is missing in {printed}");
    }
    let last = Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu);
    let description = last.unwrap().description;
    assert_eq!(description.config.training.window, 100);
    assert_eq!(description.config.training.batch_size, 4);
    assert_eq!(description.alphabet.chars(), "\nabcdelmnort");
    let metrics = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert!(metrics["longest_copy"].as_u64().unwrap() > 0, "{metrics}");
    assert!(metrics["smoothed_nats_per_char"].as_f64().unwrap() > 1.0);
}

#[test]
fn options_that_do_not_belong_together_are_refused() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let refuse = |options: &[&str], words: &[&str]| {
        place.fail_with(&[&["train", &file][..], options].concat(), words);
    };
    refuse(&["--momentum", "0.5"], &["--momentum", "--optimizer sgd"]);
    refuse(
        &["--schedule", "constant", "--warmup", "0.1"],
        &["--warmup", "--schedule cosine"],
    );
    refuse(
        &["--schedule-factor", "0.5"],
        &["--schedule step, exponential"],
    );
    refuse(
        &["--schedule", "exponential", "--schedule-epochs", "3"],
        &["--schedule step or plateau"],
    );
    refuse(&["--ema", "1"], &["decay of the average"]);
    refuse(&["--patience", "0"], &["patience"]);
    refuse(&["--save-every=-1"], &["seconds between checkpoints"]);
    assert_eq!(place.files("."), ["data.txt"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_exits_with_130() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = [
        "train", &file, "--hidden", "8", "--epochs", "1000000", "--out", "run",
    ];
    let mut child = place
        .command(&train)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch") {
        line.clear();
        assert!(
            stdout.read_line(&mut line).unwrap() > 0,
            "it ended before its first epoch"
        );
    }
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        rest.contains("stopped") && rest.contains("train --resume run"),
        "{rest}"
    );
    let mut expected = vec![
        "best.safetensors",
        "config.toml",
        "curves.png",
        "data.charlet",
        "epoch.safetensors",
        "last.safetensors",
        "metrics.jsonl",
        "report.html",
        "steps.jsonl",
    ];
    let is_report = |name: &str| ["curves.png", "report.html"].contains(&name);
    expected.retain(|name| cfg!(feature = "html") || !is_report(name));
    assert_eq!(place.files("run"), expected);
    let last = Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu);
    place.succeed(&["generate", "run/data.charlet", "-n", "1"]);
    let steps = last.unwrap().description.progress.steps;
    let epochs = (steps + 1).to_string();
    let printed = place.succeed(&["train", "--resume", "run", "--epochs", &epochs]);
    assert!(printed.contains("goes on   after"), "{printed}");
}

#[test]
fn a_run_in_a_pipe_prints_plain_lines() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let printed = place.succeed(&[&["train", &file][..], &SHORT].concat());
    assert!(
        !printed.contains('\x1b') && !printed.contains('\r'),
        "{printed:?}"
    );
    for part in [
        "parameters",
        "bytes of flash",
        "bytes of RAM",
        "multiply-accumulates",
        "baseline",
        "nats/char",
        "bits/char",
        "bits/line",
        "chars/s",
        "    0.2  ",
        "    0.5  ",
        "    1.0  ",
        "    1.2  ",
        "    new  ",
        "new:",
        "generate charlet-out/data/data.charlet",
    ] {
        assert!(printed.contains(part), "{part:?} is missing in {printed}");
    }
}

#[cfg(not(feature = "tensorboard"))]
#[test]
fn settings_that_need_a_feature_are_refused_before_a_folder_is_made() {
    use charlet_trainer::config::{Config, Mode};

    let place = Place::new();
    let mut config = Config::defaults(Mode::Lines);
    config.training.tensorboard = true;
    let settings = place.write("settings.toml", config.to_toml().unwrap());
    place.fail_with(
        &["train", "--config", &settings, "--out", "run"],
        &["tensorboard = true", "--features tensorboard"],
    );
    assert!(!place.path("run").exists());
}
