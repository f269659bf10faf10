//! What goes wrong for a user, and what the command says then: one clear sentence, an exit code
//! that isn't 0, and no file left half written.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use charlet_trainer::checkpoint::Checkpoint;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{repository, small_model};
use crate::tolerance::{QUANTIZATION, QUANTIZATION_I4};

/// A folder for a test, and the command run in it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), contents).unwrap();
        name.to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_charlet"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that succeeds.
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails if a command whose output nobody reads calls that an error.
    #[cfg(unix)]
    fn succeed_unread(&self, arguments: &[&str]) {
        let mut command = self.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    /// What a command says that fails as it should: one line on stderr, exit code 1, no panic.
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
        stderr
    }

    /// Fails if a message lacks one of these words.
    fn fail_with(&self, arguments: &[&str], words: &[&str]) {
        let message = self.fail(arguments);
        for word in words {
            assert!(
                message.contains(word),
                "{arguments:?} says {message:?} without {word:?}"
            );
        }
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Options of a run that takes a moment.
const SHORT: [&str; 8] = [
    "--hidden",
    "8",
    "--embedding",
    "4",
    "--epochs",
    "1",
    "--sample-every",
    "1",
];

fn lines() -> String {
    ["anna", "berta", "carla", "dora", "emma"]
        .map(|name| format!("{name}\n{name}a\n"))
        .concat()
}

#[test]
fn data_that_cannot_be_learnt_are_refused() {
    let place = Place::new();
    let refuse = |contents: &[u8], words: &[&str]| {
        let file = place.write("data.txt", contents);
        place.fail_with(&["train", &file], words);
        let is_clean = place
            .files(".")
            .iter()
            .all(|name| name == "data.txt" || name == "charlet-out");
        assert!(is_clean, "{:?}", place.files("."));
    };
    refuse(b"", &["data.txt", "empty"]);
    refuse(b"\n\n \n", &["data.txt", "empty"]);
    refuse(b"anna\n", &["two different lines"]);
    refuse(b"anna\nanna\nanna\n", &["two different lines"]);
    refuse(b"anna\nb\xffb\n", &["data.txt", "UTF-8", "offset 6"]);
    refuse(b"anna\nb\0b\n", &["data.txt", "NUL", "offset 6"]);
    refuse(b"anna\nberta\n", &["--val-split"]);
    place.fail_with(&["train", "missing.txt"], &["missing.txt", "No such file"]);
    place.fail_with(&["train", "."], &["can't read"]);
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
        &["can't make the folder data.txt/run"],
    );
}

/// A limit on the size of files stands for a full disk: the write fails half-way.
#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_leaves_no_half_file() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = format!(
        "trap '' XFSZ; ulimit -f 64; exec {:?} train {file} --epochs 1",
        env!("CARGO_BIN_EXE_charlet")
    );
    let output = Command::new("sh")
        .args(["-c", &train])
        .current_dir(place.path("."))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("can't write") && stderr.contains(".safetensors"),
        "{stderr}"
    );
    assert_eq!(
        place.files("charlet-out/data"),
        ["config.toml", "metrics.jsonl"]
    );
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_network() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = [
        "train", &file, "--hidden", "8", "--epochs", "5", "--lr", "1e38", "--warmup", "0",
    ];
    place.fail_with(&train, &["no longer a number", "smaller --lr"]);
    // The rate rises: the first epochs are fine.
    let train = [&train[..6], &["--lr", "1e38", "--warmup", "1", "--force"]].concat();
    let message = place.fail(&train);
    assert!(message.contains("no longer a number"), "{message}");
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
    assert!(rest.contains("stopped") && rest.contains("saved"), "{rest}");
    let expected = [
        "best.safetensors",
        "config.toml",
        "data.charlet",
        "last.safetensors",
        "metrics.jsonl",
    ];
    assert_eq!(place.files("run"), expected);
    let last = Checkpoint::load(
        &place.path("run/last.safetensors"),
        &candle_core::Device::Cpu,
    );
    assert!(last.unwrap().description.steps > 0);
    place.succeed(&["generate", "run/data.charlet", "-n", "1"]);
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
        "new:",
        "already in the list:",
        "generate charlet-out/data/data.charlet",
    ] {
        assert!(printed.contains(part), "{part:?} is missing in {printed}");
    }
}

#[test]
fn wrong_options_of_generate_are_refused() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    let refuse = |options: &[&str], words: &[&str]| {
        place.fail_with(&[&["generate", model][..], options].concat(), words);
    };
    refuse(&["--prime", "an na"], &["' '"]);
    refuse(&["--prime", "Ünal"], &["'Ü'"]);
    for temperature in ["0", "-1", "NaN", "inf"] {
        refuse(
            &["--temperature", temperature],
            &["--temperature", "--greedy"],
        );
    }
    refuse(&["--top-k", "0"], &["--top-k 0", "from 1 to 27"]);
    refuse(&["--top-k", "28"], &["--top-k 28", "from 1 to 27"]);
    for top_p in ["0", "1.5", "-0.5", "NaN"] {
        refuse(&["--top-p", top_p], &["--top-p"]);
    }
}

#[test]
fn files_that_are_no_models_are_refused() {
    let place = Place::new();
    let text = place.write("text", "just a text, longer than the first part of a model");
    let mut damaged = small_model();
    damaged[50] ^= 1;
    let damaged = place.write("damaged", damaged);
    let cut = place.write("cut", &small_model()[..100]);
    for command in ["generate", "info"] {
        place.fail_with(&[command, &text], &["text", "not a charlet model"]);
        place.fail_with(&[command, &damaged], &["damaged", "corrupt"]);
        place.fail_with(&[command, &cut], &["cut", "truncated"]);
        place.fail_with(&[command, "missing"], &["missing", "No such file"]);
    }
    place.fail_with(&["eval", &text, &text], &["not a charlet model"]);
}

#[test]
fn an_unknown_character_of_an_evaluated_file_is_named_with_its_place() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let file = place.write("names", "anna\n\nber?a\n");
    place.fail_with(
        &["eval", model.to_str().unwrap(), &file],
        &["line 3, character 4", "'?'"],
    );
}

#[test]
fn json_has_the_promised_keys() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    let file = place.write("names", "anna\nberta\n");
    let value: Value =
        serde_json::from_str(&place.succeed(&["eval", model, &file, "--json"])).unwrap();
    assert_eq!((&value["chars"], &value["lines"]), (&11.into(), &2.into()));
    let number = |key: &str| value[key].as_f64().unwrap();
    let bits = number("nats_per_char") / std::f64::consts::LN_2;
    assert!((number("bits_per_char") - bits).abs() < 1e-9);
    assert!((number("bits_per_line") - bits * 5.5).abs() < 1e-9);

    let value: Value = serde_json::from_str(&place.succeed(&["info", model, "--json"])).unwrap();
    assert_eq!(value["format_version"], 1);
    assert_eq!(value["precision"], "f32");
    for key in [
        "vocab_size",
        "layers",
        "hidden_size",
        "parameters",
        "flash_bytes",
        "ram_bytes",
        "macs_per_char",
    ] {
        assert!(value[key].as_u64().unwrap() > 0, "{key}");
    }
    assert_eq!(value["flash_bytes"], fs::metadata(model).unwrap().len());
}

#[test]
fn generated_text_depends_on_the_seed_only() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    let generate = |options: &[&str]| place.succeed(&[&["generate", model][..], options].concat());
    let options = ["-n", "20", "--temperature", "0.8", "--seed", "1"];
    let names = generate(&options);
    assert_eq!(names.lines().count(), 20);
    assert_eq!(names, generate(&options));
    assert_ne!(names, generate(&["-n", "20", "--seed", "2"]));
    assert!(
        generate(&["--prime", "mar", "-n", "5"])
            .lines()
            .all(|name| name.starts_with("mar"))
    );
    let greedy = generate(&["--greedy", "-n", "2"]);
    let (first, second) = greedy.split_once('\n').unwrap();
    assert_eq!(format!("{first}\n"), second);
    assert!(
        generate(&["--length", "2"])
            .lines()
            .all(|name| name.len() <= 2)
    );
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    Place::new().succeed_unread(&["generate", model, "-n", "100000"]);
}

#[test]
fn a_checkpoint_becomes_an_integer_model_of_the_same_loss() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    place.succeed(&[
        "train", &file, "--hidden", "24", "--epochs", "5", "--out", "run",
    ]);
    let loss = |model: &str| {
        let printed = place.succeed(&["eval", model, &file, "--json"]);
        let value: Value = serde_json::from_str(&printed).unwrap();
        value["nats_per_char"].as_f64().unwrap()
    };
    let exact = loss("run/data.charlet");
    let checkpoint = "run/best.safetensors";
    for (precision, bound) in [("i8", QUANTIZATION), ("i4", QUANTIZATION_I4)] {
        let model = format!("small-{precision}.charlet");
        let quantize = ["quantize", checkpoint, "--to", precision, "-o", &model];
        let printed = place.succeed(&quantize);
        for part in ["f32 ", &format!("{precision} "), "cost ", "    0.5  "] {
            assert!(printed.contains(part), "{part:?} in {printed}");
        }
        bound.check(precision, loss(&model), exact);
        let info = place.succeed(&["info", &model, "--json"]);
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["precision"], precision);
    }
    place.fail_with(
        &["quantize", "data.txt", "--to", "i8", "-o", "no"],
        &["data.txt"],
    );
    fs::remove_file(place.path("data.txt")).unwrap();
    let quantize = ["quantize", checkpoint, "--to", "i8", "-o", "small.charlet"];
    #[cfg(unix)]
    place.succeed_unread(&quantize);
    place.fail_with(&quantize, &["the model is written", "data.txt"]);
}

#[test]
fn every_help_has_an_example() {
    let place = Place::new();
    for command in ["train", "generate", "eval", "info", "quantize"] {
        let help = place.succeed(&[command, "--help"]);
        assert!(
            help.contains("Examples:") && help.contains(&format!("charlet {command}")),
            "{help}"
        );
    }
}
