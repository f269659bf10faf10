//! The command in a pseudo-terminal, as somebody sits before it.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use crate::support::place::Place;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `charlet` in a terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    parser: Arc<Mutex<Parser>>,
    received: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    is_closing: Arc<AtomicBool>,
    /// How the terminal was before.
    modes: String,
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        ..PtySize::default()
    }
}

/// Whether the terminal echoes, collects lines, and so on.
fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

impl Terminal {
    pub fn run(place: &Place, [rows, cols]: [u16; 2], arguments: &[&str]) -> Self {
        let pair = native_pty_system().openpty(size(rows, cols)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_charlet"));
        command.args(arguments);
        command.cwd(place.path("."));
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        let modes = modes(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        let parser = Parser::new(rows.try_into().unwrap(), cols.try_into().unwrap(), 0);
        let parser = Arc::new(Mutex::new(parser));
        let (for_reader, mut output) =
            (Arc::clone(&parser), pair.master.try_clone_reader().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&received);
        let is_closing = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&is_closing);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end is an error where nobody has the other side open any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                for_reader.lock().unwrap().process(&bytes[..count]);
                all.lock().unwrap().extend_from_slice(&bytes[..count]);
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
            received,
            reader,
            is_closing,
            modes,
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn resize(&self, rows: u16, cols: u16) {
        let (new_rows, new_cols) = (rows.try_into().unwrap(), cols.try_into().unwrap());
        self.parser.lock().unwrap().set_size(new_rows, new_cols);
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// What is to be seen.
    pub fn screen(&self) -> String {
        let contents = self.parser.lock().unwrap().screen().contents();
        contents.trim_end().to_owned()
    }

    /// Waits until the screen is as it should be, and gives it.
    pub fn wait_until(&self, is_right: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is_right(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "the screen stays\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the screen has all of these parts.
    pub fn wait_for(&self, parts: &[&str]) {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if parts.iter().all(|part| screen.contains(part)) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{parts:?} are not in\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether a program has all of it.
    pub fn is_full_screen(&self) -> bool {
        let parser = self.parser.lock().unwrap();
        parser.screen().alternate_screen() && parser.screen().hide_cursor()
    }

    pub fn process_id(&self) -> String {
        self.child.process_id().unwrap().to_string()
    }

    /// Closes the window, and gives the exit code.
    pub fn close(mut self) -> u32 {
        self.is_closing.store(true, Ordering::Relaxed);
        self.reader.join().unwrap();
        drop(self.keys);
        drop(self.master);
        self.child.wait().unwrap().exit_code()
    }

    /// Waits for the end: the exit code, and all that the terminal has got.
    pub fn end_with_all(self) -> (u32, String) {
        let received = Arc::clone(&self.received);
        let (code, _) = self.end();
        let received = String::from_utf8_lossy(&received.lock().unwrap()).into_owned();
        (code, received)
    }

    /// Waits for the end, at which the terminal must be as it was: the exit code, and what is left to be seen.
    pub fn end(mut self) -> (u32, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it goes on\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(modes(&*self.master), self.modes);
        drop(self.keys);
        drop(self.master);
        self.reader.join().unwrap();
        let parser = self.parser.lock().unwrap();
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor());
        (status.exit_code(), screen.contents())
    }
}
