//! The dashboard in a pseudo-terminal: what somebody sees there, and what the keys do.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use candle_core::Device;
use charlet_trainer::checkpoint::Checkpoint;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use crate::place::{Place, lines};

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// `charlet` in a terminal.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    parser: Arc<Mutex<Parser>>,
    reader: JoinHandle<()>,
    is_closing: Arc<AtomicBool>,
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

impl Terminal {
    fn run(place: &Place, arguments: &[&str]) -> Self {
        let pair = native_pty_system().openpty(size(24, 80)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_charlet"));
        command.args(arguments);
        command.cwd(place.path("."));
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let parser = Arc::new(Mutex::new(Parser::new(
            24.try_into().unwrap(),
            80.try_into().unwrap(),
            0,
        )));
        let (for_reader, mut output) =
            (Arc::clone(&parser), pair.master.try_clone_reader().unwrap());
        let is_closing = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&is_closing);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end is an error where nobody has the other side open any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                for_reader.lock().unwrap().process(&bytes[..count]);
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        Self {
            child,
            keys: pair.master.take_writer().unwrap(),
            master: pair.master,
            parser,
            reader,
            is_closing,
        }
    }

    fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn resize(&self, rows: u16, cols: u16) {
        let (new_rows, new_cols) = (rows.try_into().unwrap(), cols.try_into().unwrap());
        self.parser.lock().unwrap().set_size(new_rows, new_cols);
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// Waits until the screen has all of these parts.
    fn wait_for(&self, parts: &[&str]) {
        let start = Instant::now();
        loop {
            let screen = self.parser.lock().unwrap().screen().contents();
            if parts.iter().all(|part| screen.contains(part)) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{parts:?} are not in\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_full_screen(&self) -> bool {
        let parser = self.parser.lock().unwrap();
        parser.screen().alternate_screen() && parser.screen().hide_cursor()
    }

    /// Closes the window, and gives the exit code.
    fn close(mut self) -> u32 {
        self.is_closing.store(true, Ordering::Relaxed);
        self.reader.join().unwrap();
        drop(self.keys);
        drop(self.master);
        self.child.wait().unwrap().exit_code()
    }

    /// The exit code and what is left on the screen, which is as it was before.
    fn end(mut self) -> (u32, String) {
        let code = self.child.wait().unwrap().exit_code();
        drop(self.keys);
        drop(self.master);
        self.reader.join().unwrap();
        let parser = self.parser.lock().unwrap();
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor());
        (code, screen.contents())
    }
}

#[test]
fn a_training_is_watched_sampled_saved_and_stopped() {
    let place = Place::new();
    // An epoch takes a second or more: what is logged stays to be seen.
    let file = place.write("data.txt", lines().repeat(8000));
    let train = [
        "train",
        &file,
        "--hidden",
        "8",
        "--epochs",
        "100000",
        "--sample-every",
        "100000",
        "--out",
        "run",
        "--tui",
    ];
    let mut terminal = Terminal::run(&place, &train);
    terminal.wait_for(&["data  epoch", "left", "training ", "in epoch "]);
    terminal.wait_for(&[
        "held out ",
        "nats/char",
        " epochs",
        "chars/s",
        "of 100000",
        "none yet",
    ]);
    assert!(terminal.is_full_screen());
    terminal.press("s");
    terminal.wait_for(&["samples after step", " 0.2 ", " 0.5 ", " 1.0 ", " 1.2 "]);
    terminal.resize(3, 11);
    terminal.wait_for(&["data"]);
    terminal.resize(50, 160);
    // crossterm leaves a key alone that comes together with a new size, until the next one.
    terminal.wait_for(&["figures", "save and stop"]);
    terminal.press("w");
    terminal.wait_for(&["saved run/last.safetensors", "samples after step"]);
    let saved = || Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu).unwrap();
    let before = saved().description.progress.steps;
    assert!(terminal.is_full_screen());
    terminal.press("q");
    let (code, screen) = terminal.end();
    assert_eq!(code, 130);
    assert!(
        screen.contains("stopped in epoch") && screen.contains("train --resume run"),
        "{screen}"
    );
    assert!(saved().description.progress.steps >= before && before > 0);
    // Its curves are there again when it goes on; Ctrl-C is a key as well.
    let mut terminal = Terminal::run(&place, &["train", "--resume", "run", "--tui"]);
    terminal.wait_for(&["in epoch ", "goes on   after"]);
    terminal.press("\x03");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_closed_window_saves_and_stops() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let endless = ["--hidden", "8", "--epochs", "100000", "--out", "run"];
    let terminal = Terminal::run(&place, &[&["train", &file, "--tui"], &endless[..]].concat());
    terminal.wait_for(&["training 1."]);
    assert_eq!(terminal.close(), 130);
    let last = Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu).unwrap();
    assert!(last.description.progress.steps > 0);
}

#[test]
fn the_screen_is_given_back_at_the_end_and_after_an_error() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let train = ["train", &file, "--hidden", "8", "--epochs", "3", "--tui"];
    let terminal = Terminal::run(&place, &train);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0);
    for part in [
        "epoch   3/3",
        "trained for",
        "runtime   charlet-out/data/data.charlet: held out",
        "already in the list:",
        "generate charlet-out/data/data.charlet",
    ] {
        assert!(screen.contains(part), "{part:?} is missing in {screen}");
    }
    let too_fast = ["--lr", "1e38", "--warmup", "0", "--force"];
    let terminal = Terminal::run(&place, &[&train[..], &too_fast].concat());
    let (code, screen) = terminal.end();
    assert_eq!(code, 1);
    assert!(
        screen.contains("error: ") && screen.contains("smaller --lr"),
        "{screen}"
    );
}

#[test]
fn a_pipe_is_no_place_for_it() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.fail_with(&["train", &file, "--tui"], &["--tui", "terminal", "pipe"]);
    assert_eq!(place.files("."), ["data.txt"]);
}
