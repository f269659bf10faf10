//! Texts at random through the shipped models, and hostile messages into the decoder.
//!
//! Each run of the tests takes a part of them, `.ci/run coder` all: `CHARLET_CODER=all`. `CHARLET_MODELS` names
//! model files to take instead, as `PATH` names folders, and relative to the repository.

use std::cell::Cell;
use std::path::PathBuf;
use std::{env, fmt, fs};

use charlet::{BoxedSession, Decoder, Encoder, Error, Model, Rng, Session};
use rayon::prelude::*;

use super::coder;
use crate::support::repository;

/// How much is tried.
struct Extent {
    /// Texts for each model.
    texts: u64,
    /// Bytes of the longest.
    text_bytes: u32,
    /// Messages, of which a small model reads more than a large one.
    messages: u64,
}

fn extent() -> Extent {
    match env::var("CHARLET_CODER") {
        Ok(all) if all == "all" => Extent {
            texts: 10_000,
            text_bytes: 100_000,
            messages: 10_000_000,
        },
        _ => Extent {
            texts: 40,
            text_bytes: 1_000,
            messages: 20_000,
        },
    }
}

/// Texts, or messages, that one thread takes.
const BLOCK: u64 = 100;

/// Bytes of most texts.
const SHORT: u32 = 200;

/// No message is read further.
const MOST: u32 = 24;

/// Those of the environment variable; else all in the folder `models`, and those of the coder's tests.
fn models() -> Vec<Vec<u8>> {
    let read = |path: PathBuf| {
        let path = repository("").join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    };
    if let Some(paths) = env::var_os("CHARLET_MODELS") {
        return env::split_paths(&paths).map(read).collect();
    }
    let mut paths = Vec::new();
    for folder in fs::read_dir(repository("models")).unwrap() {
        let files = fs::read_dir(folder.unwrap().path()).unwrap();
        paths.extend(files.map(|file| file.unwrap().path()));
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "charlet"));
    let mut models: Vec<_> = paths.into_iter().map(read).collect();
    models.extend(coder::models());
    models.sort();
    models.dedup();
    models
}

/// Gives each model's sessions its numbers, from 0 to its count, on all threads.
fn for_each_number(
    models: &[Vec<u8>],
    count: impl Fn(&[u8]) -> u64,
    check: impl Fn(&mut BoxedSession<'_>, usize, u64) + Sync,
) {
    let mut blocks = Vec::new();
    for (at, model) in models.iter().enumerate() {
        let count = count(model);
        let firsts = (0..count).step_by(BLOCK as usize);
        blocks.extend(firsts.map(|first| (at, first..count.min(first + BLOCK))));
    }
    blocks.into_par_iter().for_each(|(at, numbers)| {
        let model = Model::from_bytes(&models[at]).unwrap();
        let mut session = Session::boxed(&model);
        for number in numbers {
            check(&mut session, at, number);
        }
    });
}

fn below(rng: &mut Rng, limit: u32) -> u32 {
    ((u64::from(rng.next_u32()) * u64::from(limit)) >> 32) as u32
}

/// The text of a number: the first of a block is the longest there is, the next ones are those that are easily
/// forgotten, and all others are drawn.
fn text(number: u64, most: u32, alphabet: &str) -> String {
    const FORGOTTEN: [&str; 9] = [
        "",
        "\0",
        "\n",
        "\r",
        "\r\n",
        "\n\n\n",
        "\u{301}",
        "\u{feff}\u{fffe}\u{ffff}",
        "\u{10ffff}",
    ];
    let rng = &mut Rng::from_seed(number);
    let at = (number % BLOCK) as usize;
    if let Some(text) = at.checked_sub(1).and_then(|at| FORGOTTEN.get(at)) {
        return (*text).to_owned();
    }
    let bytes = match (number, at) {
        (0, _) => most,
        (_, 0) => most >> below(rng, 8),
        _ => below(rng, SHORT.min(most) + 1),
    };
    let known: Vec<char> = alphabet.chars().collect();
    let kind = below(rng, 9);
    let same = below(rng, 0x11_0000);
    let mut text = String::new();
    loop {
        let code = match kind {
            // All planes.
            0 => below(rng, 0x11_0000),
            1 => below(rng, 0x80),
            // A script that no shipped model knows.
            2 => 0x400 + below(rng, 0x100),
            // NUL, line ends, joiners, marks of direction, private use, and what is no character.
            3 => [
                0, 0x0a, 0x0d, 0x301, 0x61, 0x200d, 0x202e, 0xe000, 0xfeff, 0xffff, 0x1f600,
                0x10_ffff,
            ][below(rng, 12) as usize],
            // Letters with any number of combining marks.
            4 => [0x61 + below(rng, 26), 0x300 + below(rng, 0x70)][below(rng, 2) as usize],
            5 => {
                let limit = [0x80, 0x800, 0x1_0000, 0x11_0000][below(rng, 4) as usize];
                below(rng, limit)
            }
            6 => same,
            // The model's own characters, seldom with another.
            7 if below(rng, 20) == 0 => below(rng, 0x1_0000),
            _ => known
                .get(below(rng, known.len() as u32) as usize)
                .map_or(0x61, |&char| char.into()),
        };
        let char = char::from_u32(code).unwrap_or('\u{fffd}');
        if text.len() + char.len_utf8() > bytes as usize {
            return text;
        }
        text.push(char);
    }
}

/// The coded form, however long it is, with the check or without.
fn coded(session: &mut BoxedSession<'_>, text: &str, check: bool) -> Vec<u8> {
    let mut message = Vec::new();
    let mut encoder = Encoder::new(session, |byte| {
        message.push(byte);
        Ok(())
    });
    if check {
        encoder = encoder.with_check();
    }
    for char in text.chars() {
        encoder.push(char).unwrap();
    }
    encoder.finish().unwrap();
    message
}

/// The shorter form.
fn compressed(session: &mut BoxedSession<'_>, text: &str, check: bool) -> Vec<u8> {
    let most = text.len() + 1 + usize::from(check);
    let mut message = vec![0; most];
    let len = if check {
        session.compress_checked(text, &mut message)
    } else {
        session.compress(text, &mut message)
    };
    message.truncate(len.expect("at most a byte more, and the check"));
    message
}

/// A text with room for so many bytes.
struct Room {
    text: String,
    bytes: usize,
}

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > self.bytes {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// What is read with room for so many characters and bytes; neither limit is passed, whatever the message is.
fn read(
    session: &mut BoxedSession<'_>,
    message: &[u8],
    check: bool,
    chars: usize,
    bytes: usize,
) -> (Result<usize, Error>, String) {
    let text = String::new();
    let mut room = Room { text, bytes };
    let result = if check {
        session.decompress_checked(message, &mut room, chars)
    } else {
        session.decompress(message, &mut room, chars)
    };
    let text = String::from_utf8(room.text.into_bytes()).expect("text");
    let count = text.chars().count();
    assert!(
        count <= chars && text.len() <= bytes,
        "{message:x?}: {text:?}"
    );
    match result {
        Ok(number) => assert_eq!(number, count, "{message:x?}"),
        // At least one of them is used up.
        Err(Error::BufferFull) => assert!(count == chars || text.len() + 4 > bytes, "{message:x?}"),
        Err(error) => assert_eq!(error, Error::CorruptMessage, "{message:x?}"),
    }
    (result, text)
}

/// The same, piece by piece. No more than some bytes are asked for before the next character, so that no message
/// lets the decoder run on.
fn read_in_pieces(
    session: &mut BoxedSession<'_>,
    message: &[u8],
    check: bool,
    chars: usize,
) -> (Result<usize, Error>, String) {
    /// More than the intervals of a character, of its code point and of the check take up, and than a message
    /// starts with.
    const ASKED: usize = 16;
    let asked = Cell::new(0);
    let mut left = message.iter().copied();
    let bytes = std::iter::from_fn(|| {
        asked.set(asked.get() + 1);
        assert!(asked.get() <= ASKED, "{message:x?}");
        left.next()
    });
    let mut decoder = Decoder::new(session, bytes);
    if check {
        decoder = decoder.with_check();
    }
    let mut text = String::new();
    let mut count = 0;
    let result = loop {
        asked.set(0);
        match decoder.next_char() {
            Ok(None) => break Ok(count),
            Ok(Some(_)) if count == chars => return (Err(Error::BufferFull), text),
            Ok(Some(char)) => text.push(char),
            Err(error) => break Err(error),
        }
        count += 1;
    };
    assert_eq!(decoder.next_char(), Ok(None), "{message:x?} goes on");
    (result, text)
}

#[test]
fn every_text_comes_back_through_every_model() {
    let Extent {
        texts, text_bytes, ..
    } = extent();
    for_each_number(
        &models(),
        |_| texts,
        |session, _, number| {
            let text = text(number, text_bytes, session.model().vocab().chars());
            let chars = text.chars().count();
            let check = number % 2 == 0;
            let message = compressed(session, &text, check);
            let is_stored = message.first() == Some(&0xff);
            let is_back = |(result, read): (Result<usize, Error>, String)| {
                assert!(
                    result == Ok(chars) && read == text,
                    "number {number}: {result:?}"
                );
            };
            is_back(read(session, &message, check, chars, text.len()));
            if is_stored {
                // The coded form doesn't pay, but is one.
                let message = coded(session, &text, check);
                assert_ne!(message.first(), Some(&0xff), "number {number}");
                assert_ne!(message.last(), Some(&0), "number {number}");
                is_back(read_in_pieces(session, &message, check, chars));
            }
        },
    );
}

#[test]
fn no_message_breaks_the_decoder() {
    let models = models();
    // Steps of large models take longer.
    let share = |model: &[u8]| 1.0 / (10_000 + model.len()) as f64;
    let shares: f64 = models.iter().map(|model| share(model)).sum();
    let each = extent().messages as f64 / shares;
    let valid: Vec<_> = models.iter().map(|model| valid_messages(model)).collect();
    let count = |model: &[u8]| (each * share(model)).ceil() as u64;
    for_each_number(&models, count, |session, model, number| {
        let rng = &mut Rng::from_seed(number);
        let message = hostile(rng, &valid, model);
        let (check, chars) = (below(rng, 2) > 0, below(rng, MOST + 1) as usize);
        let in_pieces = read_in_pieces(session, &message, check, chars);
        if number % 16 > 0 {
            return;
        }
        // With a buffer that may be too short.
        let bytes = below(rng, 2 * MOST) as usize;
        let (result, text) = read(session, &message, check, chars, bytes);
        if text.len() == in_pieces.1.len() {
            assert_eq!((result, &text), (in_pieces.0, &in_pieces.1), "{message:x?}");
        } else {
            assert_eq!(result, Err(Error::BufferFull), "{message:x?}");
            assert!(in_pieces.1.starts_with(&text), "{message:x?}");
        }
        // What is read is a text like any other.
        let message = compressed(session, &text, check);
        let chars = text.chars().count();
        let again = read(session, &message, check, chars, text.len());
        assert_eq!(again, (Ok(chars), text));
    });
}

/// Short messages of all kinds, some of them with a check.
fn valid_messages(model: &[u8]) -> Vec<Vec<u8>> {
    let model = Model::from_bytes(model).unwrap();
    let session = &mut Session::boxed(&model);
    let mut messages = Vec::new();
    for number in 0..60 {
        let text = text(number, MOST, model.vocab().chars());
        messages.push(compressed(session, &text, number % 2 == 0));
        messages.push(coded(session, &text, number % 3 == 0));
    }
    messages
}

/// Any bytes, or a message that was changed on its way, seldom one of another model.
fn hostile(rng: &mut Rng, valid: &[Vec<Vec<u8>>], model: usize) -> Vec<u8> {
    let one = |rng: &mut Rng| {
        let model = match below(rng, 8) {
            0 => below(rng, valid.len() as u32) as usize,
            _ => model,
        };
        let messages = &valid[model];
        messages[below(rng, messages.len() as u32) as usize].clone()
    };
    let byte = |rng: &mut Rng| below(rng, 1 << 8) as u8;
    let kind = below(rng, 8);
    if kind < 2 {
        let len = below(rng, 25);
        let same = byte(rng);
        let any = (0..len).map(|_| if kind == 0 { byte(rng) } else { same });
        return any.collect();
    }
    let mut message = one(rng);
    for _ in 0..=below(rng, 3) {
        let at = below(rng, message.len() as u32 + 1) as usize;
        match kind {
            2 => message.truncate(at),
            3 => message.insert(at, byte(rng)),
            4 if at < message.len() => _ = message.remove(at),
            5 => {
                message.truncate(at);
                let other = one(rng);
                message.extend(&other[below(rng, other.len() as u32 + 1) as usize..]);
            }
            // As stored text.
            6 if message.first() != Some(&0xff) => message.insert(0, 0xff),
            _ => {
                if let Some(place) = message.get_mut(at) {
                    *place ^= 1 << below(rng, 8);
                }
            }
        }
    }
    message
}
