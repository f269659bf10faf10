//! Escape sequences and bidirectional marks of corpora, models, file names and arguments.

use std::fs;

use crate::support::place::{Place, SHORT};
use crate::support::terminal::Terminal;

/// A title, a colour, their beginning in one character, a reversal, and nothing.
const EVIL: [&str; 5] = ["\u{1b}]", "\u{1b}[35m", "\u{9b}", "\u{202e}", "\u{200b}"];

fn list() -> String {
    let line = |name: &str| {
        format!("\u{1b}]0;{name}\u{7}\n\u{1b}[35m{name}\u{9b}\n\u{202e}{name}\u{200b}\n")
    };
    ["anna", "berta", "carla"].map(line).concat()
}

/// A name that changes the window's title and hides its ending.
const NAME: &str = "\u{1b}]0;x\u{7}\u{202e}data";

/// A run on such a list in a folder of such a name, which is given.
fn run(place: &Place) -> String {
    let folder = format!("{NAME} run");
    let file = place.write(&format!("{NAME}.txt"), list().repeat(4));
    place.succeed(&[&["train", &file, "--out", &folder][..], &SHORT].concat());
    folder
}

/// What a terminal gets of a command, which must be nothing that it obeys but our own colours.
fn seen(place: &Place, arguments: &[&str]) -> String {
    let (_, received) = Terminal::run(place, [40, 160], arguments).end_with_all();
    for evil in EVIL {
        assert!(!received.contains(evil), "{arguments:?}: {received:?}");
    }
    received
}

#[test]
fn a_training_shows_them() {
    let place = Place::new();
    let file = place.write(&format!("{NAME}.txt"), list().repeat(4));
    let train = |out| [&["train", &file, "--out", out][..], &SHORT].concat();
    let received = seen(&place, &train("run"));
    for part in ["\\u{1b}]0;x\\u{7}\\u{202e}data: ", "\\u{9b}"] {
        assert!(received.contains(part), "{received}");
    }
    let printed = place.succeed(&train("piped"));
    assert!(
        printed.contains(&format!("data      {NAME}: ")),
        "{printed}"
    );
    assert!(!printed.contains("data      \\u{1b}"), "{printed}");
    let wrong = ["train", &file, "--out", "run", "--hidden", "0"];
    assert!(seen(&place, &wrong).contains("error: "));
    assert!(seen(&place, &train("run")).contains("already holds a run"));
}

#[test]
fn commands_that_use_a_model_show_them() {
    let place = Place::new();
    let folder = run(&place);
    let model = format!("{folder}/{NAME}.charlet");
    let file = format!("{NAME}.txt");
    let commands: [&[&str]; 12] = [
        &[
            "generate",
            &model,
            "-n",
            "40",
            "--temperature",
            "1.2",
            "--seed",
            "1",
        ],
        &[
            "generate",
            &model,
            "--prompt",
            "\u{1b}[35m\u{202e}",
            "-n",
            "1",
        ],
        &["generate", &model, "--top", "--prompt", "\u{1b}"],
        &[
            "generate",
            &model,
            "--top",
            "--json",
            "--prompt",
            "\u{1b}\u{9b}\u{202e}",
        ],
        &["generate", &model, "--prompt-from", &file, "-n", "20"],
        &["score", &model, &file],
        &["score", &model, &file, "--explain"],
        &["score", &model, &file, "--json"],
        &["info", &model],
        &["info", &model, "--json"],
        &[
            "bench",
            "step",
            &model,
            "--seconds",
            "0.001",
            "--best-backend",
        ],
        if cfg!(feature = "plot") {
            &["compare", &folder, "none", "-o", "\u{202e}.svg"][..]
        } else {
            &["compare", &folder, "none"]
        },
    ];
    for command in commands {
        let received = seen(&place, command);
        let shows = ["\\u{1b}", "\\u001b", "U+001B", "\\u{202e}"]
            .iter()
            .any(|shown| received.contains(shown));
        assert!(shows, "{command:?}: {received:?}");
        if command[0] == "generate" && !command.contains(&"--top") || command[0] == "score" {
            let printed = place.succeed(command);
            assert!(
                printed.contains("\u{1b}") || command.contains(&"--json"),
                "{command:?}: {printed:?}"
            );
            assert!(!printed.contains("\\u{1b}"), "{printed:?}");
        }
    }
    let checkpoint = format!("{folder}/best.safetensors");
    let quantize = [
        "quantize",
        &checkpoint,
        "--to",
        "i8",
        "-o",
        "\u{202e}.charlet",
    ];
    assert!(seen(&place, &quantize).contains("\\u{202e}.charlet"));
    // A picture and a page are shown as well, by programs that drop such characters or obey them.
    for page in [format!("{folder}/report.html"), "\u{202e}.svg".to_owned()] {
        if let Ok(page) = fs::read_to_string(place.path(&page)) {
            assert!(page.contains("\\u{1b}]0;x\\u{7}\\u{202e}data"), "{page}");
            assert!(EVIL.iter().all(|evil| !page.contains(evil)), "{page}");
        }
    }
}

#[test]
fn errors_show_them() {
    let place = Place::new();
    for arguments in [
        &[NAME][..],
        &["train", NAME],
        &["train", "--epochs", NAME],
        &["generate", NAME],
        &["train", "--resume", NAME],
        &["compare", NAME, "other"],
    ] {
        let received = seen(&place, arguments);
        assert!(
            received.contains("\\u{1b}]0;x\\u{7}\\u{202e}data"),
            "{received:?}"
        );
    }
    // In a file it is what it is.
    assert!(place.fail(&["train", NAME]).contains(NAME));
    // Usage errors keep their colours.
    assert!(seen(&place, &[NAME]).contains("\u{1b}[1m"));
}

#[test]
fn interactive_mode_shows_them() {
    let place = Place::new();
    let folder = run(&place);
    let model = format!("{folder}/{NAME}.charlet");
    let mut terminal = Terminal::run(
        &place,
        [40, 100],
        &["generate", &model, "-i", "--pace", "0", "--seed", "1"],
    );
    let prompts = |screen: &str| screen.lines().filter(|line| line.starts_with('>')).count();
    terminal.wait_until(|screen| prompts(screen) == 1);
    terminal.press("\r");
    terminal.wait_until(|screen| prompts(screen) == 2);
    terminal.press(":until \u{202e}\r");
    terminal.wait_until(|screen| prompts(screen) == 3);
    terminal.press(":\u{2066}\r");
    terminal.wait_for(&["there is no command :\\u{2066}"]);
    terminal.press("\u{4}");
    let (_, received) = terminal.end_with_all();
    assert!(received.contains("\\u{1b}"), "{received:?}");
    assert!(!received.contains(EVIL[0]) && !received.contains(EVIL[1]));
}

#[cfg(feature = "tui")]
#[test]
fn the_dashboard_shows_them() {
    let place = Place::new();
    let file = place.write(&format!("{NAME}.txt"), list().repeat(4));
    let train = [&["train", &file, "--out", "run", "--tui"][..], &SHORT].concat();
    let received = seen(&place, &train);
    assert!(received.contains("\\u{202e}data"), "{received:?}");
}
