//! What doesn't fit into memory, what never ends, and what is interrupted: a sentence or the prompt, never an abort.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

use crate::support::place::{Place, SHORT, lines};

/// Fails unless a command failed with one sentence that has these words.
fn assert_refused(output: &Output, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{stderr:?} lacks {word:?}");
    }
}

/// Two gigabytes of address space.
const LIMIT: &str = "-v 2000000";

#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_begins() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let wide = ["--hidden", "8192", "--layers", "16"];
    let refused = |arguments: &[&str], words: &[&str]| {
        let output = place.limited(LIMIT, arguments).output().unwrap();
        assert_refused(&output, words);
    };
    let memory = ["GB of memory", "are available (ulimit -v)"];
    let both = |words: &'static [&'static str]| [&memory[..], words].concat();
    refused(
        &[&["train", &file][..], &wide].concat(),
        &both(&["this run needs about", "--hidden"]),
    );
    refused(
        &[&["train", &file, "--find-lr"][..], &wide].concat(),
        &both(&["--hidden"]),
    );
    refused(
        &["train", &file, "--params-budget", "100000000000"],
        &both(&["--params-budget"]),
    );
    refused(
        &["bench", "train", "--shape", "56,8192,16,128,10"],
        &both(&["--hidden"]),
    );
    refused(&["bench", "step", "--shape", "56,8192,16"], &memory);
    let text = place.write("text.txt", "some words of a text\n".repeat(40_000));
    let batch = ["--mode", "text", "--batch", "4096", "--window", "150"];
    refused(
        &[&["train", &text, "--hidden", "512"][..], &batch].concat(),
        &both(&["activations of a batch", "--batch"]),
    );
    // 16 lanes of it fit.
    let fits = ["train", &file, "--epochs", "1", "--out", "fits"];
    let output = place.limited(LIMIT, &fits).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.files("."), ["data.txt", "fits", "text.txt"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_resumed_run_and_large_files_have_to_fit_too() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let wide = ["--hidden", "900", "--layers", "3", "--epochs", "1"];
    place.succeed(&[&["train", &file, "--out", "run"][..], &wide].concat());
    let resume = ["train", "--resume", "run", "--epochs", "2"];
    let output = place.limited("-v 700000", &resume).output().unwrap();
    assert_refused(
        &output,
        &["this run needs about", "are available (ulimit -v)"],
    );
    // No bytes are on the disk.
    let huge = fs::File::create(place.path("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let texts = [
        &["train", "huge"][..],
        &["eval", "run/data.charlet", "huge"],
        &["generate", "run/data.charlet", "--prompt-from", "huge"],
    ];
    for arguments in texts {
        let output = place.limited(LIMIT, arguments).output().unwrap();
        assert_refused(&output, &["huge", "it has 1.1 TB, too many for memory"]);
    }
    // Their beginning tells that these are something else.
    let others = [
        &["eval", "huge", "data.txt"][..],
        &["info", "huge"],
        &["generate", "huge"],
        &["score", "huge", "data.txt"],
        &["quantize", "huge", "--to", "i8", "-o", "i8.charlet"],
    ];
    for arguments in others {
        let output = place.limited(LIMIT, arguments).output().unwrap();
        assert_refused(&output, &["huge is a file of an unknown kind, not a c"]);
    }
    // This one begins as a model does.
    let model = crate::support::repository("models/names/names.charlet");
    fs::copy(model, place.path("model")).unwrap();
    let model = fs::OpenOptions::new()
        .write(true)
        .open(place.path("model"))
        .unwrap();
    model.set_len(1 << 40).unwrap();
    let output = place.limited(LIMIT, &["info", "model"]).output().unwrap();
    assert_refused(&output, &["model", "it has 1.1 TB, too many for memory"]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_never_ends_is_read_up_to_a_bound() {
    let place = Place::new();
    let model = crate::support::repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    for arguments in [
        &["train", "/dev/zero"][..],
        &["eval", model, "/dev/zero"],
        &["train", "--config", "/dev/zero"],
    ] {
        let output = place.limited(LIMIT, arguments).output().unwrap();
        assert_refused(&output, &["/dev/zero", "endless"]);
    }
    let score = ["score", model, "/dev/zero"];
    let output = place.limited(LIMIT, &score).output().unwrap();
    assert_refused(&output, &["/dev/zero", "is it a text?"]);
    let zeros = fs::File::open("/dev/zero").unwrap();
    let mut generate = place.limited(LIMIT, &["generate", model, "-i"]);
    assert_refused(
        &generate.stdin(zeros).output().unwrap(),
        &["line 1", "is it a text?"],
    );
    assert!(place.files(".").is_empty());
}

/// Runs a command with a text on its standard input.
fn piped(mut command: Command, text: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_pipe_is_read_once() {
    let place = Place::new();
    for more in [&["--flash-budget", "16k"][..], &["--find-lr"], &[]] {
        let arguments = [&["train", "-", "--epochs", "1"][..], more].concat();
        let output = piped(place.command(&arguments), &lines().repeat(20));
        assert!(output.status.success(), "{more:?}: {output:?}");
        if more.is_empty() {
            break;
        }
        if more.len() == 2 {
            assert!(place.path("charlet-out/stdin/stdin.charlet").exists());
            fs::remove_dir_all(place.path("charlet-out")).unwrap();
        }
    }
    // As from a file of that name.
    place.write("stdin.txt", lines().repeat(20));
    place.succeed(&["train", "stdin.txt", "--epochs", "1", "--out", "again"]);
    let model = |folder: &str| fs::read(place.path(folder).join("stdin.charlet")).unwrap();
    assert_eq!(model("charlet-out/stdin"), model("again"));
}

#[test]
fn threads_are_capped_at_what_helps() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = |threads: &[&str], variable: &str| {
        let arguments = [
            &["train", &file, "--out", "run", "--force"][..],
            &SHORT,
            threads,
        ]
        .concat();
        let mut command = place.command(&arguments);
        command.env("RAYON_NUM_THREADS", variable);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let note = String::from_utf8(output.stderr).unwrap();
        (note, fs::read(place.path("run/data.charlet")).unwrap())
    };
    let (note, model) = train(&["--threads", "1"], "100000");
    assert_eq!(note, "");
    let (note, other) = train(&[], "100000");
    assert!(note.contains("threads instead of 100000"), "{note}");
    assert_eq!(model, other);
    let (note, other) = train(&["--threads", "12345"], "1");
    assert!(note.contains("threads instead of 12345"), "{note}");
    assert_eq!(model, other);
    let output = place.run(&["train", &file, "--threads", "0"]);
    assert_eq!(output.status.code(), Some(2));
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_data_are_read_ends_at_once_without_a_trace() {
    let place = Place::new();
    for more in [&[][..], &["--find-lr"], &["--ram-budget", "4k"]] {
        let mut command = place.command(&[&["train", "-"][..], more].concat());
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // More than a pipe holds: the command is reading, and has set its handler before.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&vec![b'a'; 1 << 20]).unwrap();
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was written"));
        assert!(place.files(".").is_empty());
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_measuring_after_the_training() {
    let place = Place::new();
    let text = "a text with some words that are held out and measured\n".repeat(4000);
    let file = place.write("data.txt", text);
    let arguments = [
        "train",
        &file,
        "--mode",
        "text",
        "--val-split",
        "0.95",
        "--epochs",
        "1",
        "--layers",
        "2",
    ];
    let mut child = place
        .command(&arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("trained for") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended");
    }
    interrupt(&child);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("stopped while measuring"), "{rest}");
    assert!(rest.contains("train --resume charlet-out/data"), "{rest}");
    assert!(place.path("charlet-out/data/data.charlet").exists());
}
