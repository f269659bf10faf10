//! Printed commands, pasted into a shell.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::place::{Place, SHORT, lines};
use crate::support::repository;

/// Runs a command as a shell would.
fn paste(place: &Place, command: &str) -> Output {
    let words = shlex::split(command).unwrap();
    Command::new(&words[0])
        .args(&words[1..])
        .current_dir(place.path("."))
        .output()
        .unwrap()
}

/// The command at the end of an error, which must succeed.
fn pasted(place: &Place, arguments: &[&str], words: &[&str]) -> String {
    let message = place.fail(arguments);
    for word in words {
        assert!(
            message.contains(word),
            "{arguments:?} says {message:?} without {word:?}"
        );
    }
    let program = shlex::try_quote(env!("CARGO_BIN_EXE_charlet")).unwrap();
    let at = message
        .rfind(&*program)
        .unwrap_or_else(|| panic!("{message}"));
    let output = paste(place, message[at..].trim_end());
    assert!(
        output.status.success(),
        "{message}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_a_run_prints_at_its_end_can_be_pasted() {
    for out in ["it's a $run", "-x y", "run\n\u{1b}[35m"] {
        let place = Place::new();
        place.write("-my list's.txt", lines());
        let out_option = format!("--out={out}");
        let train = [&["train", "./-my list's.txt", &out_option][..], &SHORT].concat();
        let printed = place.succeed(&train);
        for label in ["next      ", "integers  "] {
            let command = printed
                .lines()
                .find_map(|line| line.strip_prefix(label))
                .unwrap();
            if command.contains("$'") {
                // For bash and zsh; shlex knows no such words.
                let bash = Command::new("bash")
                    .args(["-c", command])
                    .current_dir(place.path("."))
                    .output();
                assert!(bash.is_err() || bash.unwrap().status.success(), "{command}");
                continue;
            }
            let output = paste(&place, command);
            assert!(output.status.success(), "{command}: {output:?}");
        }
        if !out.contains('\n') {
            pasted(
                &place,
                &[&train[..], &["--seed", "5"]].concat(),
                &["already holds a run"],
            );
        }
    }
}

#[test]
fn a_wrong_kind_of_file_is_told_with_the_right_command() {
    let place = Place::new();
    let file = place.write("my names.txt", lines());
    place.succeed(&[&["train", &file, "--out", "my run"][..], &SHORT].concat());
    let (model, best) = ("my run/my names.charlet", "my run/best.safetensors");
    let (last, config) = ("my run/last.safetensors", "my run/config.toml");
    for wrong in [best, last, config, "my run", "./my run/"] {
        let seed = ["-n", "3", "--seed", "1"];
        let said = pasted(
            &place,
            &[&["generate", wrong][..], &seed].concat(),
            &["charlet model"],
        );
        assert_eq!(
            said,
            place.succeed(&[&["generate", model][..], &seed].concat())
        );
        pasted(&place, &["info", wrong, "--json"], &["not a charlet model"]);
        pasted(&place, &["eval", wrong, &file], &["not a charlet model"]);
        pasted(&place, &["score", wrong, &file], &["not a charlet model"]);
        pasted(
            &place,
            &["bench", "step", "--seconds=0.001", wrong],
            &["not a charlet model"],
        );
    }
    for wrong in [model, config, "my run"] {
        pasted(
            &place,
            &["quantize", wrong, "--to", "i8", "-o", "q.charlet"],
            &["not a checkpoint"],
        );
        let from = format!("--init-from={wrong}");
        let train = [&["train", &file, &from, "--out", "new"][..], &SHORT].concat();
        pasted(&place, &train, &["not a checkpoint"]);
        fs::remove_dir_all(place.path("new")).unwrap();
    }
    for wrong in [model, best, "my run"] {
        let train = ["train", "--config", wrong, "--out", "again"];
        pasted(&place, &train, &["not a settings file"]);
        fs::remove_dir_all(place.path("again")).unwrap();
    }
    // A run goes on from its newest checkpoint, which may be named.
    place.succeed(&["train", "--resume", last, "--epochs", "2"]);
    for (wrong, epochs) in [(model, "3"), (best, "4"), (config, "5")] {
        pasted(
            &place,
            &["train", "--resume", wrong, "--epochs", epochs],
            &["--resume takes the folder"],
        );
    }
    place.fail_with(
        &["train", "--resume", &file],
        &["--resume takes the folder", "--init-from"],
    );
    let said = pasted(
        &place,
        &["train", "my run"],
        &["is a folder", "not a text file"],
    );
    assert!(said.contains("after 5 epochs"), "{said}");
    assert!(
        pasted(
            &place,
            &["train", model],
            &["is a charlet model", "not a text file"]
        )
        .lines()
        .count()
            == 10
    );
    place.fail_with(
        &["train", best],
        &["is a checkpoint", "--resume 'my run'", "--init-from"],
    );
    let again = [&["train", config, "--out", "again"][..], &SHORT].concat();
    pasted(&place, &again, &["is a settings file, not a text file"]);
    place.fail_with(
        &["score", model, "my run"],
        &["is a folder, not a text file"],
    );
    place.fail_with(
        &["score", model, best],
        &["is a checkpoint, not a text file"],
    );
    place.fail_with(
        &["eval", model, model],
        &["is a charlet model, not a text file"],
    );
    // A checkpoint that was taken elsewhere has no model beside it.
    fs::create_dir(place.path("alone")).unwrap();
    fs::copy(place.path(best), place.path("alone/best.safetensors")).unwrap();
    pasted(
        &place,
        &["generate", "alone/best.safetensors"],
        &["is a checkpoint", "quantize"],
    );
    fs::remove_file(place.path("alone/best.charlet")).unwrap();
    fs::copy(place.path(model), place.path("m.charlet")).unwrap();
    place.fail_with(
        &["quantize", "m.charlet", "--to", "i8", "-o", "q"],
        &["is a charlet model", "best.safetensors"],
    );
    place.fail_with(
        &["generate", "alone"],
        &["is a folder", "name a charlet model"],
    );
}

#[test]
fn files_of_other_programs_are_named() {
    let place = Place::new();
    let model = repository("models/names/names.charlet");
    let model = model.to_str().unwrap();
    place.succeed(&["generate", model, "--state-out", "state", "-n", "1"]);
    for (contents, words) in [
        (
            &b"PK\x03\x04\x14 archive/data.pkl \x80\x02"[..],
            &["PyTorch"][..],
        ),
        (b"PK\x03\x04\x14 word/document.xml", &["zip", "unpack"]),
        (b"\x1f\x8b\x08\0\0", &["gzip", "unpack"]),
        (b"%PDF-1.4", &["PDF", "plain text"]),
        (b"\x89HDF\r\n\x1a\n", &["Keras"]),
        (b"GGUF\x03\0\0\0", &["GGUF"]),
    ] {
        let file = place.write("file", contents);
        let words = [words, &["file is "]].concat();
        for command in [
            &["generate", &file][..],
            &["generate", model, "--state-in", &file],
            &["generate", model, "--prompt-from", &file],
            &["quantize", &file, "--to", "i8", "-o", "out"],
            &["eval", model, &file],
            &["train", &file],
            &["train", "--config", &file],
            &["train", "--init-from", &file],
        ] {
            let words: Vec<&str> = words
                .iter()
                .copied()
                .filter(|word| {
                    // What is to be done depends on what was wanted.
                    *word != "plain text" || command[0] == "eval"
                })
                .collect();
            place.fail_with(command, &words);
        }
    }
    let foreign = b"\x08\0\0\0\0\0\0\0{\"a\":{}}";
    place.write("foreign.safetensors", foreign);
    for command in [
        &["generate", "foreign.safetensors"][..],
        &["quantize", "foreign.safetensors", "--to", "i8", "-o", "out"],
        &["train", "foreign.safetensors"],
    ] {
        place.fail_with(command, &["foreign.safetensors"]);
    }
    place.fail_with(
        &["generate", "state"],
        &["state is a saved state", "--state-in"],
    );
    place.fail_with(
        &["generate", model, "--state-in", model],
        &["is a charlet model", "--state-out"],
    );
    place.write("list.txt", lines());
    place.fail_with(
        &["generate", "list.txt"],
        &["is a text file", "train list.txt"],
    );
    place.write("empty", "");
    place.fail_with(&["generate", "empty"], &["empty is empty"]);
    place.fail_with(
        &["quantize", "empty", "--to", "i8", "-o", "out"],
        &["empty is empty"],
    );
    symlink("nowhere", place.path("link")).unwrap();
    place.fail_with(&["generate", "link"], &["link", "a link to nowhere"]);
    place.fail_with(&["train", "link"], &["link", "a link to nowhere"]);
    // A file without end is told by its beginning.
    if Path::new("/dev/zero").exists() {
        place.fail_with(&["generate", "/dev/zero"], &["/dev/zero"]);
        place.fail_with(
            &["quantize", "/dev/zero", "--to", "i8", "-o", "out"],
            &["/dev/zero"],
        );
    }
}

#[test]
fn data_that_moved_are_named_by_the_command_that_goes_on() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let val = place.write("val.txt", "anna\n");
    let train = ["train", &file, "--val", &val, "--out", "a run"];
    place.succeed(&[&train[..], &SHORT].concat());
    let follow = |arguments: &[&str], new: &str| {
        let message = place.fail(arguments);
        let at = message
            .find("if it has moved: ")
            .unwrap_or_else(|| panic!("{message}"));
        let command = message[at..]
            .trim_start_matches("if it has moved: ")
            .trim_end();
        let output = paste(&place, &command.replace("NEW/PATH", new));
        assert!(output.status.success(), "{command}: {output:?}");
    };
    fs::rename(place.path("data.txt"), place.path("-d a.txt")).unwrap();
    follow(
        &["train", "--resume", "a run", "--epochs", "2"],
        "'./-d a.txt'",
    );
    // It is known now where they are, and they move again.
    fs::rename(place.path("-d a.txt"), place.path("away.txt")).unwrap();
    follow(
        &["train", "--config=a run/config.toml", "--out", "new"],
        "./away.txt",
    );
}
