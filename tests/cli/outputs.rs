//! What a command writes replaces nothing that it reads, and nothing of another kind.

use std::fs;

use crate::support::place::{Place, SHORT, lines};
use crate::support::{repository, small_model};

/// A folder with a model, and with a short run in it.
fn with_run() -> Place {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.write("m.charlet", small_model());
    place.succeed(&[&["train", &file, "--out", "run"][..], &SHORT].concat());
    place
}

/// Fails unless a command is refused with these words and leaves a file as it was.
fn refuse(place: &Place, file: &str, arguments: &[&str], words: &[&str]) {
    let before = fs::read(place.path(file)).unwrap();
    place.fail_with(arguments, words);
    assert!(fs::read(place.path(file)).unwrap() == before, "{file}");
}

#[test]
fn no_output_replaces_an_input_of_its_command() {
    let place = with_run();
    place.write("list", "a\nb\n");
    let state = |file: &str, options: &[&str]| {
        let command = ["generate", "m.charlet", "--state-out", file];
        let words = [file, "would be overwritten"];
        refuse(&place, file, &[&command, options].concat(), &words);
    };
    state("m.charlet", &[]);
    state("run/../m.charlet", &[]);
    for option in ["--new", "--prompt-from", "--prompt-file"] {
        state("list", &[option, "list"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("m.charlet", place.path("link")).unwrap();
        fs::hard_link(place.path("m.charlet"), place.path("twin")).unwrap();
        state("link", &[]);
        state("twin", &[]);
    }
    let best = "run/best.safetensors";
    refuse(
        &place,
        best,
        &["quantize", best, "--to", "i8", "-o", best],
        &["would be overwritten"],
    );
    place.write("find-lr.csv", lines());
    refuse(
        &place,
        "find-lr.csv",
        &["train", "find-lr.csv", "--find-lr", "--out", "."],
        &["find-lr.csv is the data"],
    );
    #[cfg(all(unix, feature = "plot"))]
    {
        let log = place.path("run/metrics.jsonl");
        std::os::unix::fs::symlink(log, place.path("log.png")).unwrap();
        let compare = ["compare", "run", "-o", "log.png"];
        refuse(&place, "log.png", &compare, &["would be overwritten"]);
    }
}

/// Standard input is a file, too, when the shell redirects it.
#[cfg(unix)]
#[test]
fn no_output_replaces_the_file_on_standard_input() {
    let place = with_run();
    let list = place.path("run/report.html");
    fs::write(&list, lines()).unwrap();
    let output = place
        .command(&["train", "-", "--out", "run", "--force"])
        .stdin(fs::File::open(&list).unwrap())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("report.html is the data"), "{stderr}");
    assert_eq!(fs::read(list).unwrap(), lines().as_bytes());
}

#[test]
fn what_can_take_no_output_is_told_before_the_work() {
    let place = with_run();
    let best = "run/best.safetensors";
    let quantize = |output| {
        place.fail_with(
            &["quantize", best, "--to", "i8", "-o", output],
            &[if output == "-" {
                "standard output"
            } else {
                "there is no folder nowhere"
            }],
        )
    };
    quantize("-");
    quantize("nowhere/q.charlet");
    let state = ["generate", "m.charlet", "--state-out", "nowhere/s.json"];
    place.fail_with(&state, &["there is no folder nowhere"]);
    let train = ["train", "data.txt", "--out", "m.charlet"];
    place.fail_with(&train, &["m.charlet is no folder", "--out"]);
    place.write("find-lr.csv", "mine");
    let find = ["train", "data.txt", "--find-lr", "--out", "."];
    refuse(&place, "find-lr.csv", &find, &["find-lr.csv is no table"]);
    #[cfg(feature = "plot")]
    {
        place.write("compare.png", "mine");
        refuse(
            &place,
            "compare.png",
            &["compare", "run"],
            &["no PNG picture"],
        );
    }
}

#[test]
fn no_output_replaces_a_file_of_another_kind() {
    let place = with_run();
    let quantize = |output| {
        [
            "quantize",
            "run/best.safetensors",
            "--to",
            "i8",
            "-o",
            output,
        ]
    };
    let model = repository("models/names/names.charlet");
    let state = |output| ["generate", model.to_str().unwrap(), "--state-out", output];
    place.write("thesis.txt", "All of it.");
    let words = ["thesis.txt is no ", "would be lost"];
    refuse(&place, "thesis.txt", &quantize("thesis.txt"), &words);
    refuse(&place, "thesis.txt", &state("thesis.txt"), &words);
    place.fail_with(&quantize("run"), &["run is no file"]);
    // What is empty or of the same kind may go.
    place.write("empty", "");
    place.succeed(&quantize("empty"));
    place.succeed(&quantize("m.charlet"));
    assert!(fs::read(place.path("m.charlet")).unwrap() == fs::read(place.path("empty")).unwrap());
    for _ in 0..2 {
        place.succeed(&state("state"));
    }
}

/// Without the check the root user's /dev/null becomes a file.
#[cfg(unix)]
#[test]
fn no_output_replaces_what_is_no_file() {
    let place = with_run();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket.png")).unwrap();
    let quantize = ["quantize", "run/best.safetensors", "--to", "i8", "-o"];
    place.fail_with(&[&quantize[..], &["socket.png"]].concat(), &["is no file"]);
    #[cfg(feature = "plot")]
    place.fail_with(
        &["compare", "run", "-o", "socket.png"],
        &["socket.png is no file"],
    );
    assert!(!fs::metadata(place.path("socket.png")).unwrap().is_file());
}
