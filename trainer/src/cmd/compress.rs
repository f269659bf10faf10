//! `charlet compress`

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use charlet::Model;
use charlet::format::Precision;
use charlet_trainer::inference::compression::{Codec, Header, char_limit};
use charlet_trainer::util::file_kind::{Kind, check};
use charlet_trainer::util::memory::{self, name};
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::style::Styles;
use clap::Parser;
use indicatif::HumanCount;
use serde::Serialize;

use super::messages::{Bar, COPIES, Content, FormOption, Output, each_line, refuse_terminal, utf8};
use super::threads::Threads;
use super::{check_model, note, read_model};

/// Compress text with a model, to bytes that every chip with this model can read
///
/// Any text in UTF-8 will do; it is short if it is like what the model has learnt. `charlet decompress` gives it
/// back, byte for byte, and so do `Session::decompress` and `Decoder` of the crate charlet on a microcontroller.
///
/// The whole file is one text, unless --lines is given: then each line is a message of its own, and those of a
/// model of lines are what it has learnt. Files have a header of 10 bytes, which names the model by its checksum;
/// messages of --lines have none.
///
/// Sizes go to standard output, or to standard error if the compressed text goes there.
#[derive(Debug, Parser)]
#[command(after_help = "\
Keys of --json:
  messages       1, or the number of lines
  chars          characters of the text, without line ends if --lines is given
  utf8_bytes     their bytes
  bytes          compressed bytes
  ratio          bytes / utf8_bytes
  bits_per_char  8 * bytes / chars
  seconds        time

Examples:
  charlet compress book.charlet book.txt -o book.clz
  charlet compress messages.charlet inbox.txt --lines
  echo 'See you at 8' | charlet compress messages.charlet --lines --base91
  charlet compress messages.charlet inbox.txt --lines --hex -o inbox.hex
  charlet compress messages.charlet inbox.txt --lines --json | jq .ratio")]
pub(crate) struct Args {
    /// Model file, - for standard input
    model: PathBuf,
    /// Text file to compress, - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Write the compressed text to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make each line a message, and show what each takes. Only with --hex, --base64 or --base91 are they written,
    /// one per line
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    form: FormOption,
    /// Leave out the header: the bytes of the message alone, as a microcontroller sends them
    #[arg(long)]
    raw: bool,
    /// Add a byte by which damage is noticed. Messages without a header need --check for decompression, too
    #[arg(long)]
    check: bool,
    /// Print JSON. The compressed text is written to a file with -o, or nowhere
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// What texts take.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Figures {
    messages: usize,
    chars: usize,
    utf8_bytes: usize,
    bytes: usize,
}

impl Figures {
    fn of(text: &str, bytes: usize) -> Self {
        Self {
            messages: 1,
            chars: text.chars().count(),
            utf8_bytes: text.len(),
            bytes,
        }
    }

    fn add(&mut self, more: Self) {
        self.messages += more.messages;
        self.chars += more.chars;
        self.utf8_bytes += more.utf8_bytes;
        self.bytes += more.bytes;
    }

    /// Not a number for nothing.
    fn ratio(self) -> f64 {
        self.bytes as f64 / self.utf8_bytes as f64
    }

    fn bits_per_char(self) -> f64 {
        8.0 * self.bytes as f64 / self.chars as f64
    }
}

/// What scripts read; of an empty text the means are null.
#[derive(Serialize)]
struct Json {
    #[serde(flatten)]
    figures: Figures,
    ratio: f64,
    bits_per_char: f64,
    seconds: f64,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let content = match (args.form.form(), args.raw) {
        (Some(_), _) => Content::Text,
        (None, true) => Content::Raw,
        (None, false) => Content::Compressed,
    };
    let output = Output::new(args.output.as_deref(), content, &args.model, &args.file)?;
    let has_form = args.form.form().is_some();
    if args.lines {
        ensure!(
            has_form || output.is_stdout(),
            "bytes have no lines: add --hex, --base64 or --base91 for -o"
        );
        args.threads.start()?;
    } else if !has_form && !args.json {
        refuse_terminal(&output)?;
    }
    ensure!(
        !(args.json && has_form && output.is_stdout()),
        "--json goes to standard output: name a file for the compressed text with -o"
    );
    let bytes = read_model(&args.model)?;
    let model = check_model(&args.model, &bytes)?;
    if model.header().precision == Precision::F32 {
        note(&format!(
            "{} computes in single precision: other machines may round otherwise, and can't read this then; \
             what charlet quantize makes is the same everywhere",
            name(&args.model)
        ));
    }
    if args.lines {
        lines(&args, &model, &output)
    } else {
        whole(&args, &model, &output)
    }
}

/// Compresses the input as one text.
fn whole(args: &Args, model: &Model<'_>, output: &Output) -> Result<ExitCode> {
    // A folder is told at once; of files, all that are text may come.
    check(&args.file, b"", Kind::Text)?;
    let bytes = memory::read(&args.file, COPIES);
    let bytes = bytes.with_context(|| format!("can't read {}", name(&args.file)))?;
    if std::str::from_utf8(&bytes).is_err() {
        check(&args.file, &bytes, Kind::Text)?;
    }
    let text = utf8(bytes).with_context(|| format!("can't compress {}", name(&args.file)))?;
    if model.vocab().end().is_some() && text.trim_end().contains('\n') {
        note("this model has learnt lines: with --lines each is a message of its own");
    }
    let start = Instant::now();
    let mut bar = Bar::new(Some(text.len()));
    let message = Codec::new(model, args.check).compress(&text, |now| bar.show(now))?;
    drop(bar);
    let mut figures = Figures::of(&text, message.len());
    if figures.chars > char_limit(message.len()) {
        note(&format!(
            "it is so short that charlet decompress needs --max-chars {}",
            figures.chars
        ));
    }
    let mut file = message;
    if !args.raw {
        let header = Header {
            has_check: args.check,
            model: model.checksum(),
        };
        file = [header.to_bytes(), file].concat();
        // Text that the model doesn't know is stored as it is.
        ensure!(
            Header::members(&file)?.len() == 1,
            "{} has the header of a file that was compressed with this model in its text, and would be read as two: \
             compress and decompress it with --raw",
            name(&args.file)
        );
    }
    figures.bytes = file.len();
    if let Some(form) = args.form.form() {
        file = form.encode(&file).into_bytes();
        file.push(b'\n');
    }
    if !(args.json && output.is_stdout()) {
        output.write(&file)?;
    }
    print_all(args, output, &figures, start)?;
    Ok(ExitCode::SUCCESS)
}

/// A line and its message.
struct Message {
    text: String,
    figures: Figures,
    encoded: Option<String>,
}

/// Compresses each line.
fn lines(args: &Args, model: &Model<'_>, output: &Output) -> Result<ExitCode> {
    let start = Instant::now();
    let form = args.form.form();
    // Messages of a pipe are written alone.
    let has_table = !args.json && (form.is_none() || !output.is_stdout() || output.is_terminal());
    let mut out = std::io::stdout().lock();
    let table = Table {
        styles: Styles::of_stdout(),
        shown: Shown::on(&out),
    };
    if has_table && out.is_terminal() {
        table.heading(&mut out)?;
    }
    let has_bar = !(has_table && out.is_terminal());
    let (mut all, mut file) = (Figures::default(), Vec::new());
    each_line(
        &args.file,
        model,
        args.check,
        has_bar,
        |codec, line| {
            let text = utf8(line.bytes)?;
            let message = codec.compress(&text, |_| ())?;
            Ok(Message {
                figures: Figures::of(&text, message.len()),
                encoded: form.map(|form| form.encode(&message)),
                text,
            })
        },
        |message| {
            all.add(message.figures);
            if has_table {
                table.row(&mut out, &message)?;
            }
            if let Some(encoded) = &message.encoded {
                if output.is_stdout() {
                    writeln!(out, "{encoded}")?;
                    out.flush()?;
                } else {
                    writeln!(file, "{encoded}")?;
                }
            }
            Ok(())
        },
    )?;
    drop(out);
    if form.is_some() && !output.is_stdout() {
        output.write(&file)?;
    }
    print_all(args, output, &all, start)?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of a list with what they take.
struct Table {
    styles: Styles,
    shown: Shown,
}

impl Table {
    fn heading(&self, out: &mut impl Write) -> std::io::Result<()> {
        let style = self.styles.heading();
        writeln!(out, "{style} bytes  of UTF-8  bits/char  line{style:#}")
    }

    fn row(&self, out: &mut impl Write, message: &Message) -> std::io::Result<()> {
        let figures = message.figures;
        // Of nothing there is no part.
        let (percent, bits) = match figures.chars {
            0 => ("-".to_owned(), "-".to_owned()),
            _ => (
                format!("{:.1} %", 100.0 * figures.ratio()),
                format!("{:.2}", figures.bits_per_char()),
            ),
        };
        let line = self.shown.line(&message.text);
        writeln!(out, "{:>6}  {percent:>8}  {bits:>9}  {line}", figures.bytes)
    }
}

/// Says what all takes.
fn print_all(args: &Args, output: &Output, all: &Figures, start: Instant) -> Result<()> {
    if args.json {
        let json = Json {
            figures: *all,
            ratio: all.ratio(),
            bits_per_char: all.bits_per_char(),
            seconds: start.elapsed().as_secs_f64(),
        };
        println_to_stdout(&serde_json::to_string(&json)?)?;
        return Ok(());
    }
    let what = match (args.lines, all.messages) {
        (false, _) => name(&args.file),
        (true, 1) => "1 message".to_owned(),
        (true, count) => format!("{} messages", HumanCount(count as u64)),
    };
    let counted = |count: usize| HumanCount(count as u64).to_string();
    let mut line = format!(
        "{what}: {} bytes instead of {}",
        counted(all.bytes),
        counted(all.utf8_bytes)
    );
    if all.chars > 0 {
        line += &format!(
            ", {:.1} % and {:.2} bits/char",
            100.0 * all.ratio(),
            all.bits_per_char()
        );
    }
    let is_taken = output.is_stdout() && (!args.lines || args.form.form().is_some());
    if is_taken {
        eprintln!("{}", Shown::on(&std::io::stderr()).line(&line));
        return Ok(());
    }
    println_to_stdout(&Shown::on(&std::io::stdout()).line(&line))
}

fn println_to_stdout(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
