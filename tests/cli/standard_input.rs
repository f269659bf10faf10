//! `-` is standard input wherever a file is read.

use std::io::Write;
use std::process::Stdio;

use crate::support::place::Place;
use crate::support::repository;

/// What a command prints that succeeds with this input.
fn piped(place: &Place, arguments: &[&str], input: &[u8]) -> String {
    let mut command = place.command(arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_file_and_the_same_from_a_pipe_are_one() {
    let place = Place::new();
    let model = repository("models/names/names-i8.charlet");
    let bytes = std::fs::read(&model).unwrap();
    let model = model.to_str().unwrap();
    let list = b"anna\nberta\nmaria\n";
    place.write("file", list);
    place.write("beginning", "mar\n");
    let same = |command: &[&str], input: &[u8]| {
        let with = |file: &'static str| {
            let arguments = command
                .iter()
                .map(move |&word| if word == "FILE" { file } else { word });
            arguments.collect::<Vec<&str>>()
        };
        let named = if input == list { "file" } else { "beginning" };
        let expected = place.succeed(&with(named));
        assert_eq!(piped(&place, &with("-"), input), expected, "{command:?}");
    };
    same(&["eval", model, "FILE"], list);
    same(&["score", model, "FILE"], list);
    let generate = ["generate", model, "--seed", "1"];
    same(&[&generate[..], &["--new", "FILE"]].concat(), list);
    same(&[&generate[..], &["--prompt-from", "FILE"]].concat(), list);
    same(
        &[&generate[..], &["--prompt-file", "FILE"]].concat(),
        b"mar\n",
    );
    for command in [&["info"][..], &["generate", "--seed", "1"], &["eval"]] {
        let (name, options) = command.split_first().unwrap();
        let file: &[&str] = if *name == "eval" { &["file"] } else { &[] };
        let with = |model| [&[*name, model][..], file, options].concat();
        assert_eq!(
            piped(&place, &with("-"), &bytes),
            place.succeed(&with(model)),
            "{command:?}"
        );
    }
}

#[test]
fn standard_input_is_read_once() {
    let place = Place::new();
    for arguments in [
        &["eval", "-", "-"][..],
        &["score", "-", "-"],
        &["generate", "-", "--new", "-"],
        &["generate", "m.charlet", "--new", "-", "--prompt-from", "-"],
        &["generate", "-", "--interactive"],
        &["train", "-", "--val", "-"],
    ] {
        place.fail_with(arguments, &["standard input can be read only once"]);
    }
}
