//! `charlet completions` and `charlet man`.

use std::fs;
use std::process::Command;

use crate::support::place::Place;

const COMMANDS: [&str; 13] = [
    "train",
    "generate",
    "eval",
    "score",
    "compress",
    "decompress",
    "compare",
    "info",
    "quantize",
    "import",
    "export",
    "bench",
    "completions",
];

#[test]
fn completions_know_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.succeed(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
        assert!(
            script.contains("state-out") && script.contains("threshold"),
            "{shell}"
        );
        place.write(shell, script);
    }
    // Shells that are there must take their script, and bash must complete with it.
    let check = |shell: &str, arguments: &[&str]| {
        let ran = Command::new(shell)
            .args(arguments)
            .current_dir(place.path(""))
            .output();
        if let Ok(output) = ran {
            assert!(output.status.success(), "{shell}: {output:?}");
        }
    };
    check("bash", &["-n", "bash"]);
    check("zsh", &["-n", "zsh"]);
    check("fish", &["-n", "fish"]);
    let complete = "source ./bash; COMP_WORDS=(charlet sc); COMP_CWORD=1; _charlet charlet sc charlet; \
                    [ \"${COMPREPLY[*]}\" = score ]";
    check("bash", &["-c", complete]);
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    place.succeed(&["man", "--out", "pages/man1"]);
    let pages = place.files("pages/man1");
    let mut expected: Vec<String> = COMMANDS
        .iter()
        .chain(&["man", "bench-step", "bench-train"])
        .map(|command| format!("charlet-{command}.1"))
        .chain(["charlet.1".to_owned()])
        .collect();
    expected.sort();
    assert_eq!(pages, expected);
    for page in pages {
        let path = place.path("pages/man1").join(&page);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{page}"
        );
        let lint = Command::new("man")
            .args(["--warnings", "-l"])
            .arg(&path)
            .env("LC_ALL", "C.UTF-8")
            .output();
        if let Ok(lint) = lint {
            assert!(
                lint.status.success() && lint.stderr.is_empty(),
                "{page}: {lint:?}"
            );
        }
    }
    let main = place.succeed(&["man"]);
    assert_eq!(
        main,
        fs::read_to_string(place.path("pages/man1/charlet.1")).unwrap()
    );
    assert!(COMMANDS.iter().all(|command| main.contains(command)));
}
