//! `charlet generate --interactive`, in a pseudo-terminal and in a pipe.

use std::io::Write;
use std::process::Stdio;

use crate::support::place::Place;
use crate::support::repository;
use crate::support::text_model::text_model;

fn names() -> String {
    let path = repository("models/names/names.charlet");
    path.to_str().unwrap().to_owned()
}

/// What comes out of a pipe for these lines.
fn piped(place: &Place, options: &[&str], lines: &str) -> (bool, String, String) {
    let mut command = place.command(&[&["generate"][..], options].concat());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn each_line_of_a_pipe_is_continued() {
    let place = Place::new();
    let names = names();
    let options = [names.as_str(), "-i", "--seed", "1"];
    let (succeeded, text, errors) = piped(&place, &options, "ma\nkar\n\n");
    assert!(succeeded, "{errors}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("ma") && lines[1].starts_with("kar"));
    // The first as without --interactive, and nothing that only a terminal understands.
    let alone = place.succeed(&[
        "generate", &names, "--prompt", "ma", "-n", "1", "--seed", "1",
    ]);
    assert_eq!(alone.trim_end(), lines[0]);
    assert!(!text.contains('\x1b'));

    let (succeeded, text, errors) = piped(&place, &options, "ma\nm?\nkar\n");
    assert!(!succeeded && text.lines().count() == 1, "{text}");
    assert!(
        errors.contains("line 2") && errors.contains("'?'"),
        "{errors}"
    );
    place.fail_with(
        &["generate", &names, "-i", "--temperature", "0.5,1"],
        &["--interactive", "--temperature"],
    );
}

#[cfg(unix)]
mod terminal {
    use std::time::Duration;

    use super::*;
    use crate::support::terminal::Terminal;

    fn start(place: &Place, model: &str, options: &[&str]) -> Terminal {
        let command = ["generate", model, "-i", "--seed", "1"];
        let terminal = Terminal::run(place, [40, 100], &[&command, options].concat());
        terminal.wait_until(|screen| screen.contains(":help") && screen.ends_with('>'));
        terminal
    }

    fn with_text_model(place: &Place, options: &[&str]) -> Terminal {
        place.write("text.charlet", text_model());
        start(place, "text.charlet", options)
    }

    #[test]
    fn a_beginning_is_continued_and_commands_change_how() {
        let place = Place::new();
        let mut terminal = start(&place, &names(), &["--pace", "0"]);
        terminal.press("kar\r");
        let options = ["--prompt", "kar", "-n", "1", "--seed", "1"];
        let expected = place.succeed(&[&["generate", &names()][..], &options].concat());
        let expected = format!("> kar\n{}\n>", expected.trim_end());
        terminal.wait_until(|screen| screen.ends_with(&expected));
        terminal.press(":temp 0\r");
        // What is typed before the prompt is there is lost.
        terminal.wait_until(|screen| {
            screen.contains("--temperature 0 won't do") && screen.ends_with('>')
        });
        for command in [":seed 1", ":length 2", ":argmax"] {
            terminal.press(&format!("{command}\r"));
            terminal.wait_until(|screen| screen.ends_with(&format!("{command}\n>")));
        }
        terminal.press("kar\r");
        terminal.wait_until(|screen| {
            let line = screen.lines().rev().nth(1).unwrap_or_default();
            // A line that the limit cut off, and that is seen.
            let is_cut = line.ends_with('…') && line.chars().count() == 6;
            screen.ends_with('>') && line.starts_with("kar") && is_cut
        });
        terminal.press(":top 3\r");
        terminal.wait_until(|screen| screen.contains("100.00 %"));
        terminal.press("k?\r");
        terminal.wait_until(|screen| screen.contains("does not know the character '?'"));
        terminal.press(":sing\r");
        terminal.wait_until(|screen| screen.contains("no command :sing"));
        terminal.press(":quit\r");
        assert_eq!(terminal.end().0, 0);
    }

    #[test]
    fn keys_change_the_temperature_pause_and_stop() {
        let place = Place::new();
        let mut terminal = with_text_model(&place, &["--length", "100000", "--pace", "50"]);
        terminal.press("ab\r");
        terminal.wait_until(|screen| screen.lines().count() > 4);
        terminal.press("\x1b[A");
        terminal.wait_until(|screen| screen.contains("[0.9]"));
        terminal.press("--");
        terminal.wait_until(|screen| screen.contains("[0.8]") && screen.contains("[0.7]"));
        terminal.press(" ");
        let paused = terminal.wait_until(|screen| screen.ends_with("[paused]"));
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(terminal.screen(), paused, "nothing comes in a pause");
        terminal.press(" ");
        terminal.wait_until(|screen| !screen.ends_with("[paused]"));
        terminal.press("\x1b");
        terminal.wait_until(|screen| screen.ends_with("\n>"));
        // The next one goes on with what the keys have set.
        terminal.press("ab\r");
        terminal.wait_until(|screen| !screen.ends_with("> ab") && !screen.ends_with('>'));
        terminal.press("\r");
        terminal.wait_until(|screen| screen.ends_with("\n>"));
        terminal.press("\x04");
        assert_eq!(terminal.end().0, 0);
    }

    #[test]
    fn the_terminal_is_given_back_whatever_ends_it() {
        let place = Place::new();
        for leave in ["\x03", "\x04"] {
            // At the prompt, and while a text is made.
            let mut terminal = with_text_model(&place, &[]);
            terminal.press(leave);
            assert_eq!(terminal.end().0, 0, "{leave:?}");
            let mut terminal = with_text_model(&place, &["--length", "100000"]);
            terminal.press("ab\r");
            terminal.wait_until(|screen| screen.contains("> ab\nab"));
            terminal.press(leave);
            assert_eq!(terminal.end().0, 0, "{leave:?}");
        }
        for beginning in ["", "ab\r"] {
            let mut terminal = with_text_model(&place, &["--length", "100000"]);
            terminal.press(beginning);
            terminal.wait_until(|screen| beginning.is_empty() || screen.contains("> ab\nab"));
            let id = terminal.process_id();
            let killed = std::process::Command::new("kill")
                .args(["-TERM", &id])
                .status();
            assert!(killed.unwrap().success());
            assert_eq!(terminal.end().0, 130, "{beginning:?}");
        }
    }
}
