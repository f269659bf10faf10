//! `charlet decompress`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use charlet::Model;
use charlet_trainer::inference::compression::{Codec, Header, Progress, char_limit};
use charlet_trainer::util::file_kind::{COMPRESSED, Kind, check};
use charlet_trainer::util::memory::{self, available, name};
use charlet_trainer::util::shown::Shown;
use charlet_trainer::util::text_form::TextForm;
use clap::Parser;

use super::messages::{Bar, COPIES, Content, FormOption, Output, each_line};
use super::threads::Threads;
use super::{check_model, read_model};

/// Decompress what `charlet compress`, or a microcontroller, has compressed with the same model
///
/// Nothing is written before all is read, but with --lines each message as it arrives.
///
/// Files that were joined give their texts one behind the other, as with gzip.
///
/// A damaged message gives an error or wrong text; with a check byte, 255 of 256 changed messages
/// are noticed. Bytes added behind the end are refused, but for zeros and up to four others;
/// a text that is stored as it is takes them for more of it.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  charlet decompress book.charlet book.clz -o book.txt
  charlet decompress messages.charlet inbox.hex --lines --hex
  cat /dev/ttyUSB0 | charlet decompress messages.charlet --lines --base91")]
pub(crate) struct Args {
    /// Model file, - for standard input
    model: PathBuf,
    /// Compressed file, - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Write the text to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Each line is a message of its own, in --hex, --base64 or --base91
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    form: FormOption,
    /// There is no header: the bytes are those of a message alone
    #[arg(long)]
    raw: bool,
    /// There is a check byte. A header says so by itself
    #[arg(long)]
    check: bool,
    /// Refuse a message with more characters, which may be damaged [default: 1000 per byte, and 1000]
    #[arg(long, value_name = "N")]
    max_chars: Option<usize>,
    #[command(flatten)]
    threads: Threads,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let (model, file) = (&args.model, &args.file);
    let output = Output::new(args.output.as_deref(), Content::Text, model, file)?;
    if args.lines {
        ensure!(
            args.form.form().is_some(),
            "bytes have no lines: say with --hex, --base64 or --base91 how the messages are written"
        );
        args.threads.start()?;
    }
    let bytes = read_model(model)?;
    let model = check_model(model, &bytes)?;
    if args.lines {
        lines(&args, &model, &output)?;
    } else {
        whole(&args, &model, &output)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How many characters a message of so many bytes may have.
fn limit(args: &Args, message: usize, memory: u64) -> usize {
    let most = args.max_chars.unwrap_or_else(|| char_limit(message));
    most.min(usize::try_from(memory / COPIES).unwrap_or(usize::MAX))
}

/// Decompresses the input as one text.
fn whole(args: &Args, model: &Model<'_>, output: &Output) -> Result<()> {
    let bytes = memory::read(&args.file, COPIES);
    let bytes = bytes.with_context(|| format!("can't read {}", name(&args.file)))?;
    let text = text(args, model, bytes)?;
    if output.is_terminal() {
        let shown = Shown::on(&std::io::stdout());
        return output.write(shown.text(&text).as_bytes());
    }
    output.write(text.as_bytes())
}

/// The text of a file's bytes.
fn text(args: &Args, model: &Model<'_>, mut bytes: Vec<u8>) -> Result<String> {
    let unusable = || format!("can't decompress {}", name(&args.file));
    if let Some(form) = args.form.form() {
        bytes = form.decode(&bytes).with_context(unusable)?;
    } else if !args.raw && !bytes.starts_with(&COMPRESSED) {
        refuse_form(args, &bytes)?;
        check(&args.file, &bytes, Kind::Compressed)?;
    }
    let mut messages = vec![(args.check, &bytes[..])];
    if !args.raw {
        let members = Header::members(&bytes).with_context(unusable)?;
        // All are of the same model.
        let (found, checksum) = (
            members.first().map(|(header, _)| header.model),
            model.checksum(),
        );
        ensure!(
            found == Some(checksum),
            "{} was compressed with another model: with that of checksum {:08x}, and {} has {checksum:08x}",
            name(&args.file),
            found.unwrap_or(0),
            name(&args.model)
        );
        ensure!(
            !args.check || members.iter().all(|(header, _)| header.has_check),
            "{} has no check byte: leave out --check",
            name(&args.file)
        );
        let members = members.into_iter();
        messages = members
            .map(|(header, message)| (header.has_check, message))
            .collect();
    }
    let length = messages.iter().map(|(_, message)| message.len()).sum();
    let mut bar = Bar::new(Some(length));
    let mut most = limit(args, length, available().bytes);
    let (mut text, mut before) = (String::new(), Progress::default());
    for (has_check, message) in messages {
        let decompressed = Codec::new(model, has_check).decompress(message, most, |now| {
            bar.show(Progress {
                chars: before.chars + now.chars,
                read: before.read + now.read,
            });
        });
        let decompressed = decompressed.with_context(unusable)?;
        let chars = decompressed.chars().count();
        text.push_str(&decompressed);
        most -= chars;
        before.chars += chars;
        before.read += message.len();
    }
    Ok(text)
}

/// Names the form of a file that is read as bytes.
fn refuse_form(args: &Args, bytes: &[u8]) -> Result<()> {
    for form in TextForm::ALL {
        let decoded = form.decode(bytes);
        if decoded.is_ok_and(|bytes| bytes.starts_with(&COMPRESSED)) {
            bail!("{} is a text: add --{}", name(&args.file), form.name());
        }
    }
    Ok(())
}

/// Decompresses each line.
fn lines(args: &Args, model: &Model<'_>, output: &Output) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let shown = Shown::on(&out);
    let mut file = Vec::new();
    let memory = available().bytes;
    each_line(
        &args.file,
        model,
        args.check,
        !output.is_terminal(),
        |codec, line| {
            // It was made sure that there is one.
            let form = args.form.form().unwrap_or(TextForm::Hex);
            let message = form.decode(&line.bytes)?;
            codec.decompress(&message, limit(args, message.len(), memory), |_| ())
        },
        |text| {
            if output.is_stdout() {
                writeln!(out, "{}", shown.line(&text))?;
                return Ok(out.flush()?);
            }
            Ok(writeln!(file, "{text}")?)
        },
    )?;
    drop(out);
    if !output.is_stdout() {
        output.write(&file)?;
    }
    Ok(())
}
