//! The lines of a text as they arrive, some at a time.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context, Result};
use charlet_trainer::config::Encoding;
use charlet_trainer::data::lines::LineReader;
use charlet_trainer::util::file_kind::{self, Kind};
use charlet_trainer::util::memory::{STDIN, available, name};

use crate::cmd::note;

/// A line without its end.
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    pub(super) text: String,
    /// Whether it had an end.
    pub(super) has_break: bool,
}

/// Lines that have arrived together.
pub(super) struct Piece {
    pub(super) lines: Vec<Line>,
    /// The error that comes after them.
    pub(super) end: Result<()>,
}

/// How many times a line has to fit into memory: as text, and with a number for each character.
const COPIES: u64 = 32;

/// Bytes that are read at once, if so many are there.
const BUFFER: usize = 1 << 16;

/// Opens a text, whose lines arrive in pieces of about so many bytes at most.
pub(super) fn open(
    path: &Path,
    encoding: Option<Encoding>,
    most: usize,
) -> Result<Receiver<Piece>> {
    let input: Box<dyn BufRead + Send> = if path == Path::new(STDIN) {
        Box::new(BufReader::with_capacity(BUFFER, std::io::stdin()))
    } else {
        let file = file_kind::open(path, Kind::Text)?;
        Box::new(BufReader::with_capacity(BUFFER, file))
    };
    let mut lines = Lines {
        reader: LineReader::new(input, encoding, available().bytes / COPIES),
        number: 0,
        most,
        malformed: Some(format!(
            "{} is not {} everywhere: what is malformed is shown as \u{fffd}; --encoding names another",
            name(path),
            encoding.map_or("UTF-8".to_owned(), |encoding| encoding.to_string())
        )),
        name: name(path),
    };
    // Those that are worked on, and one more.
    let (sender, pieces) = sync_channel(1);
    // It may wait for input when the command is over, and ends with it.
    std::thread::spawn(move || {
        while let Some(piece) = lines.next_piece() {
            let is_over = piece.end.is_err();
            if sender.send(piece).is_err() || is_over {
                break;
            }
        }
    });
    Ok(pieces)
}

struct Lines {
    reader: LineReader<Box<dyn BufRead + Send>>,
    /// Lines so far.
    number: usize,
    /// Bytes of a piece, but for its last line.
    most: usize,
    /// What is told once if something is malformed.
    malformed: Option<String>,
    name: String,
}

impl Lines {
    /// The next line, and those after it that are here already; `None` after the last.
    fn next_piece(&mut self) -> Option<Piece> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        let mut end = Ok(());
        loop {
            let line = self.reader.next_line();
            if self.reader.is_malformed()
                && let Some(told) = self.malformed.take()
            {
                note(&told);
            }
            match line.with_context(|| format!("can't read {}", self.name)) {
                Ok(Some((text, has_break))) => {
                    self.number += 1;
                    bytes += text.len() + 1;
                    lines.push(Line {
                        number: self.number,
                        text,
                        has_break,
                    });
                }
                Ok(None) => break,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            }
            if bytes >= self.most || !self.reader.has_line() {
                break;
            }
        }
        let is_over = lines.is_empty() && end.is_ok();
        (!is_over).then_some(Piece { lines, end })
    }
}
