//! `charlet generate --interactive`, in a pseudo-terminal and in a pipe.

use std::io::Write;
use std::process::Stdio;

use crate::place::Place;
use crate::support::repository;
use crate::text_model::text_model;

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
        "generate", &names, "--prime", "ma", "-n", "1", "--seed", "1",
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
    use std::io::{Read, Write};
    use std::num::NonZero;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

    use super::*;

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    const ROWS: NonZero<u16> = NonZero::new(40).unwrap();
    const COLUMNS: NonZero<u16> = NonZero::new(100).unwrap();

    /// The command in a pseudo-terminal.
    struct Session {
        master: Box<dyn MasterPty + Send>,
        child: Box<dyn Child + Send + Sync>,
        keys: Box<dyn Write + Send>,
        screen: Arc<Mutex<vt100::Parser>>,
        /// How the terminal was before.
        modes: String,
        _place: Place,
    }

    impl Session {
        fn start(place: Place, model: &str, options: &[&str]) -> Self {
            let size = PtySize {
                rows: ROWS.get(),
                cols: COLUMNS.get(),
                ..PtySize::default()
            };
            let pair = native_pty_system().openpty(size).unwrap();
            let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_charlet"));
            command.args(["generate", model, "-i", "--seed", "1"]);
            command.args(options);
            command.cwd(place.path(""));
            command.env("TERM", "xterm-256color");
            command.env_remove("NO_COLOR");
            let modes = format!("{:?}", pair.master.get_termios().unwrap());
            let child = pair.slave.spawn_command(command).unwrap();
            let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
            let mut output = pair.master.try_clone_reader().unwrap();
            let shown = Arc::clone(&screen);
            std::thread::spawn(move || {
                let mut bytes = [0; 1024];
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    shown.lock().unwrap().process(&bytes[..count]);
                }
            });
            let session = Self {
                keys: pair.master.take_writer().unwrap(),
                master: pair.master,
                child,
                screen,
                modes,
                _place: place,
            };
            session.wait_for(|screen| screen.contains(":help") && screen.ends_with('>'));
            session
        }

        fn screen(&self) -> String {
            let contents = self.screen.lock().unwrap().screen().contents();
            contents.trim_end().to_owned()
        }

        /// Waits until the screen is as it should be, and gives it.
        fn wait_for(&self, is_right: impl Fn(&str) -> bool) -> String {
            let started = Instant::now();
            loop {
                let screen = self.screen();
                if is_right(&screen) {
                    return screen;
                }
                assert!(started.elapsed() < PATIENCE, "the screen stays\n{screen}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }

        fn type_in(&mut self, keys: &str) {
            self.keys.write_all(keys.as_bytes()).unwrap();
            self.keys.flush().unwrap();
        }

        /// Waits for the end; the terminal must be as it was.
        fn ended(mut self) -> u32 {
            let started = Instant::now();
            let status = loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    break status;
                }
                assert!(
                    started.elapsed() < PATIENCE,
                    "it goes on\n{}",
                    self.screen()
                );
                std::thread::sleep(Duration::from_millis(10));
            };
            let modes = format!("{:?}", self.master.get_termios().unwrap());
            assert_eq!(modes, self.modes);
            status.exit_code()
        }
    }

    fn with_text_model(options: &[&str]) -> Session {
        let place = Place::new();
        place.write("text.charlet", text_model());
        Session::start(place, "text.charlet", options)
    }

    #[test]
    fn a_beginning_is_continued_and_commands_change_how() {
        let mut session = Session::start(Place::new(), &names(), &["--pace", "0"]);
        session.type_in("kar\r");
        let alone = Place::new();
        let options = ["--prime", "kar", "-n", "1", "--seed", "1"];
        let expected = alone.succeed(&[&["generate", &names()][..], &options].concat());
        let expected = format!("> kar\n{}\n>", expected.trim_end());
        session.wait_for(|screen| screen.ends_with(&expected));
        session.type_in(":temp 0\r");
        session.wait_for(|screen| screen.contains("--temperature 0 won't do"));
        for command in [":seed 1", ":length 2", ":greedy"] {
            session.type_in(&format!("{command}\r"));
            session.wait_for(|screen| screen.ends_with(&format!("{command}\n>")));
        }
        session.type_in("kar\r");
        session.wait_for(|screen| {
            let line = screen.lines().rev().nth(1).unwrap_or_default();
            screen.ends_with('>') && line.starts_with("kar") && line.len() == 5
        });
        session.type_in(":top 3\r");
        session.wait_for(|screen| screen.contains("100.00 %"));
        session.type_in("k?\r");
        session.wait_for(|screen| screen.contains("does not know the character '?'"));
        session.type_in(":sing\r");
        session.wait_for(|screen| screen.contains("no command :sing"));
        session.type_in(":quit\r");
        assert_eq!(session.ended(), 0);
    }

    #[test]
    fn keys_change_the_temperature_pause_and_stop() {
        let mut session = with_text_model(&["--length", "100000", "--pace", "50"]);
        session.type_in("ab\r");
        session.wait_for(|screen| screen.lines().count() > 4);
        session.type_in("\x1b[A");
        session.wait_for(|screen| screen.contains("[0.9]"));
        session.type_in("--");
        session.wait_for(|screen| screen.contains("[0.8]") && screen.contains("[0.7]"));
        session.type_in(" ");
        let paused = session.wait_for(|screen| screen.ends_with("[paused]"));
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(session.screen(), paused, "nothing comes in a pause");
        session.type_in(" ");
        session.wait_for(|screen| !screen.ends_with("[paused]"));
        session.type_in("\x1b");
        session.wait_for(|screen| screen.ends_with("\n>"));
        // The next one goes on with what the keys have set.
        session.type_in("ab\r");
        session.wait_for(|screen| !screen.ends_with("> ab") && !screen.ends_with('>'));
        session.type_in("\r");
        session.wait_for(|screen| screen.ends_with("\n>"));
        session.type_in("\x04");
        assert_eq!(session.ended(), 0);
    }

    #[test]
    fn the_terminal_is_given_back_whatever_ends_it() {
        for leave in ["\x03", "\x04"] {
            // At the prompt, and while a text is made.
            let mut session = with_text_model(&[]);
            session.type_in(leave);
            assert_eq!(session.ended(), 0, "{leave:?}");
            let mut session = with_text_model(&["--length", "100000"]);
            session.type_in("ab\r");
            session.wait_for(|screen| screen.contains("> ab\nab"));
            session.type_in(leave);
            assert_eq!(session.ended(), 0, "{leave:?}");
        }
        for beginning in ["", "ab\r"] {
            let mut session = with_text_model(&["--length", "100000"]);
            session.type_in(beginning);
            session.wait_for(|screen| beginning.is_empty() || screen.contains("> ab\nab"));
            let id = session.child.process_id().unwrap().to_string();
            let killed = std::process::Command::new("kill")
                .args(["-TERM", &id])
                .status();
            assert!(killed.unwrap().success());
            assert_eq!(session.ended(), 130, "{beginning:?}");
        }
    }
}
