//! What `charlet compress` and `charlet decompress` have in common; their bar is that of `import --check`, too.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use charlet::Model;
use charlet_trainer::inference::compression::{Codec, Progress};
use charlet_trainer::report::progress_bar::WorkBar;
use charlet_trainer::util::atomic_file::atomic_write;
use charlet_trainer::util::distinct::refuse_overwriting;
use charlet_trainer::util::file_kind::{COMPRESSED, Kind, check, refuse_replacing_by};
use charlet_trainer::util::memory::{STDIN, available, name};
use charlet_trainer::util::replace::refuse_replacing;
use charlet_trainer::util::text_form::TextForm;
use clap::Args;
use indicatif::HumanCount;
use rayon::prelude::*;

use super::refuse_second_stdin;

/// How many times a file or a line has to fit into memory: as text, compressed, and as text again.
pub(super) const COPIES: u64 = 8;

#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub(super) struct FormOption {
    /// Compressed bytes are written as hexadecimal digits
    #[arg(long)]
    hex: bool,
    /// Compressed bytes are written in base64 (RFC 4648)
    #[arg(long)]
    base64: bool,
    /// Compressed bytes are written in basE91: the shortest text
    #[arg(long)]
    base91: bool,
}

impl FormOption {
    /// What was asked for.
    pub(super) fn form(self) -> Option<TextForm> {
        let asked = [self.hex, self.base64, self.base91];
        let mut forms = TextForm::ALL.into_iter().zip(asked);
        forms.find_map(|(form, is_asked)| is_asked.then_some(form))
    }
}

/// What an output file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A file with a header.
    Compressed,
    /// Bytes without one.
    Raw,
    Text,
}

/// Where the result goes.
#[derive(Debug)]
pub(super) struct Output(Option<PathBuf>);

impl Output {
    /// A file, or standard output. Refuses files that can't be used as they are named, before any is read.
    pub(super) fn new(
        output: Option<&Path>,
        content: Content,
        model: &Path,
        input: &Path,
    ) -> Result<Self> {
        let inputs = [("the model", model), ("the input", input)];
        refuse_second_stdin(&inputs)?;
        let output = output.filter(|path| *path != Path::new(STDIN));
        if let Some(path) = output {
            refuse_overwriting(path, &inputs)?;
            match content {
                Content::Compressed => refuse_replacing(path, "compressed text", &COMPRESSED)?,
                Content::Raw => refuse_replacing_by(path, "compressed text", false)?,
                Content::Text => refuse_replacing_by(path, "text", true)?,
            }
        }
        Ok(Self(output.map(Path::to_owned)))
    }

    /// Whether this is standard output.
    pub(super) fn is_stdout(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_stdout() && std::io::stdout().is_terminal()
    }

    /// Writes all of it.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        match &self.0 {
            Some(path) => atomic_write(path, bytes),
            None => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes)?;
                Ok(out.flush()?)
            }
        }
    }
}

/// A line of the input.
pub(super) struct Line {
    number: usize,
    /// Without its end.
    pub(super) bytes: Vec<u8>,
    /// How far the input is read with it.
    read: usize,
}

/// Lines that are worked on at once.
const BATCH: usize = 1024;

/// Works on each line of an input as it arrives, on all threads. Results are taken in the order of the lines.
///
/// # Errors
/// The first, with the number of the line.
pub(super) fn each_line<T: Send>(
    path: &Path,
    model: &Model<'_>,
    has_check: bool,
    has_bar: bool,
    work: impl Fn(&mut Codec<'_>, Line) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let (lines, all) = lines(path)?;
    let codec = Codec::new(model, has_check);
    let mut bar = Bar::new(all.filter(|_| has_bar));
    let mut chars = 0;
    while let Ok(first) = lines.recv() {
        let more = lines.try_iter().take(BATCH - 1);
        let batch: Vec<std::io::Result<Line>> = [first].into_iter().chain(more).collect();
        let results = batch.into_par_iter().map_init(
            || codec.clone(),
            |codec, line| {
                let line = line.with_context(|| format!("can't read {}", name(path)))?;
                let (number, read) = (line.number, line.read);
                let result = work(codec, line);
                let result =
                    result.with_context(|| format!("can't use line {number} of {}", name(path)))?;
                anyhow::Ok((result, read))
            },
        );
        let results: Vec<_> = results.collect();
        for result in results {
            let (result, read) = result?;
            take(result)?;
            chars = read;
        }
        bar.show(Progress { chars, read: chars });
    }
    Ok(())
}

/// The lines of an input as they arrive, and its size if that is known.
fn lines(path: &Path) -> Result<(Receiver<std::io::Result<Line>>, Option<usize>)> {
    let mut all = None;
    let mut input: Box<dyn BufRead + Send> = if path == Path::new(STDIN) {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        check(path, b"", Kind::Text)?;
        let file = File::open(path).with_context(|| format!("can't read {}", name(path)))?;
        let metadata = file.metadata();
        all = metadata
            .ok()
            .filter(|found| found.is_file())
            .map(|found| found.len() as usize);
        Box::new(BufReader::new(file))
    };
    let most = available().bytes / COPIES;
    let (sender, lines) = sync_channel(BATCH);
    // It may wait for input when the command is over, and ends with it.
    std::thread::spawn(move || {
        let mut read = 0;
        for number in 1.. {
            let mut bytes = Vec::new();
            let line = match (&mut input).take(most).read_until(b'\n', &mut bytes) {
                Ok(0) => break,
                Ok(length) if length as u64 == most => Err(std::io::Error::other(format!(
                    "its line {number} is too long for memory: is it a text?"
                ))),
                Ok(length) => {
                    read += length;
                    if bytes.pop_if(|byte| *byte == b'\n').is_some() {
                        bytes.pop_if(|byte| *byte == b'\r');
                    }
                    Ok(Line {
                        number,
                        bytes,
                        read,
                    })
                }
                Err(error) => Err(error),
            };
            let is_over = line.is_err();
            if sender.send(line).is_err() || is_over {
                break;
            }
        }
    });
    Ok((lines, all))
}

/// Text in UTF-8.
///
/// # Errors
/// Names the first byte that is none.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes);
    text.map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        anyhow::anyhow!(
            "it is not UTF-8 from byte offset {offset} on: `iconv -f ENCODING -t UTF-8` converts other encodings"
        )
    })
}

/// What is short needs no progress bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// How far long work is, on a terminal's standard error.
pub(super) struct Bar {
    bar: WorkBar,
    /// Bytes of the input, if they are known.
    all: Option<usize>,
    start: Instant,
}

impl Bar {
    pub(super) fn new(all: Option<usize>) -> Self {
        Self {
            bar: WorkBar::default(),
            all,
            start: Instant::now(),
        }
    }

    pub(super) fn show(&mut self, now: Progress) {
        let (Some(all), elapsed) = (self.all, self.start.elapsed()) else {
            return;
        };
        if elapsed > PATIENCE {
            let speed = now.chars as f64 / elapsed.as_secs_f64();
            let speed = format!("{} chars/s", HumanCount(speed as u64));
            self.bar.show(&speed, now.read, all);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.show("", 1, 1);
    }
}

/// Refuses bytes on a terminal.
pub(super) fn refuse_terminal(output: &Output) -> Result<()> {
    ensure!(
        !output.is_terminal(),
        "compressed bytes are nothing for a terminal: name a file with -o, or add --hex, --base64 or --base91"
    );
    Ok(())
}
