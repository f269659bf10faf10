//! Compressed text: every text through every model, and nothing but text out of any bytes.

use std::{fmt, fs};

use charlet::format::layout::IntegerSections;
use charlet::format::{self, Header};
use charlet::{BoxedSession, Decoder, Encoder, Error, Model, Rng, Session};

use crate::support::{repository, small_model};

/// A display that takes nothing.
struct Full;

impl fmt::Write for Full {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Err(fmt::Error)
    }
}

fn shipped(path: &str) -> Vec<u8> {
    fs::read(repository(path)).unwrap()
}

/// Lists and running text, floats and integers; the last has a mark for unknown characters in the place
/// of its last letter.
pub fn models() -> Vec<Vec<u8>> {
    let shakespeare = shipped("models/shakespeare-256k/shakespeare-256k.charlet");
    let with_mark = {
        let header = Model::from_bytes(&shakespeare).unwrap().header();
        let (last, _) = header.chars.char_indices().next_back().unwrap();
        let header = Header {
            chars: &header.chars[..last],
            has_unknown: true,
            ..header
        };
        let weights = IntegerSections::of(&header).unwrap().bytes().unwrap();
        let weights = &shakespeare[shakespeare.len() - weights..];
        let mut file = vec![0; format::file_len(&header).unwrap()];
        format::write(&header, &mut file, |out| out.copy_from_slice(weights)).unwrap();
        file
    };
    vec![
        small_model(),
        shipped("models/names/names-i8.charlet"),
        shipped("models/names-tiny/names-tiny.charlet"),
        shakespeare,
        with_mark,
    ]
}

fn for_each_model(mut check: impl FnMut(&mut BoxedSession<'_>)) {
    for bytes in models() {
        let model = Model::from_bytes(&bytes).unwrap();
        check(&mut Session::boxed(&model));
    }
}

fn compressed(session: &mut BoxedSession<'_>, text: &str) -> Vec<u8> {
    let mut message = vec![0; text.len() + 1];
    let len = session.compress(text, &mut message).unwrap();
    message.truncate(len);
    message
}

/// The coded form, however long it is.
fn coded(session: &mut BoxedSession<'_>, text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    let mut encoder = Encoder::new(session, |byte| {
        message.push(byte);
        Ok(())
    });
    for char in text.chars() {
        encoder.push(char).unwrap();
    }
    encoder.finish().unwrap();
    message
}

fn decompressed(session: &mut BoxedSession<'_>, message: &[u8]) -> Result<String, Error> {
    let mut text = String::new();
    let chars = session.decompress(message, &mut text, 2000)?;
    assert_eq!(chars, text.chars().count());
    Ok(text)
}

/// A text of up to `most` characters, of one of several kinds.
fn random_text(rng: &mut Rng, most: u32) -> String {
    let mut below = |limit: u32| ((u64::from(rng.next_u32()) * u64::from(limit)) >> 32) as u32;
    let len = below(most + 1);
    let kind = below(6);
    let chars = std::iter::from_fn(|| {
        let code = match kind {
            0 => below(0x11_0000),
            1 => below(0x80),
            2 => 0x400 + below(0x100),
            3 => [
                0, 0x0a, 0x0d, 0x301, 0x61, 0x200d, 0x202e, 0x1f600, 0xe000, 0x10_ffff,
            ][below(10) as usize],
            4 => 0x61 + below(26),
            _ => [below(0x80), below(0x800), below(0x1_0000), below(0x11_0000)][below(4) as usize],
        };
        Some(char::from_u32(code).unwrap_or('\u{fffd}'))
    });
    chars.take(len as usize).collect()
}

#[test]
fn every_text_comes_back_from_at_most_a_byte_more() {
    let mut rng = Rng::from_seed(1);
    let mut texts: Vec<String> = (0..60).map(|_| random_text(&mut rng, 40)).collect();
    texts.extend(["", "\0", "\n", "\r\n", "a", "katharina", "\u{10ffff}"].map(String::from));
    for_each_model(|session| {
        for text in &texts {
            let message = compressed(session, text);
            assert!(message.len() <= text.len() + 1, "{text:?}: {message:x?}");
            assert_eq!(decompressed(session, &message).as_ref(), Ok(text));
            // Also where it doesn't pay.
            let message = coded(session, text);
            assert_ne!(message.first(), Some(&0xff));
            assert_ne!(message.last(), Some(&0));
            assert_eq!(decompressed(session, &message).as_ref(), Ok(text));
        }
    });
}

#[test]
fn it_costs_little_more_than_the_models_own_cross_entropy() {
    let prose = "Before we proceed any further, hear me speak. Speak, speak. You are all resolved \
        rather to die than to famish? Resolved. resolved. First, you know Caius Marcius is chief \
        enemy to the people.";
    for_each_model(|session| {
        let is_list = session.model().vocab().end().is_some();
        let is_small = session.model().header().hidden_size < 10;
        let texts: Vec<&str> = match (is_list, is_small) {
            (_, true) => return,
            (true, _) => vec!["maria", "katharina", "elisabeth", "jo"],
            (false, _) => vec![prose],
        };
        let mut bits = 0.0;
        let mut bytes = 0;
        for text in &texts {
            bits -= session.score_text(text).unwrap() / std::f32::consts::LN_2;
            bytes += compressed(session, text).len();
        }
        // A model of running text has no mark for the end: 28 bits stand for it.
        let ends = if is_list { 0.0 } else { 28.0 };
        let most = 1.003 * bits + (6.0 + ends) * texts.len() as f32;
        assert!(8.0 * bytes as f32 <= most, "{bytes} bytes, {bits} bits");
    });
}

#[test]
fn a_message_in_pieces_is_the_whole_one() {
    for_each_model(|session| {
        let message = coded(session, "anna z\u{e9}\u{2014}x");
        let mut decoder = Decoder::new(session, message.iter().copied());
        let mut text = String::new();
        while let Some(char) = decoder.next_char().unwrap() {
            text.push(char);
        }
        assert_eq!(text, "anna z\u{e9}\u{2014}x");
        assert_eq!(decoder.next_char(), Ok(None));
    });
}

#[test]
fn buffers_that_are_too_short_are_full() {
    for_each_model(|session| {
        let whole = compressed(session, "annabella");
        for len in 0..whole.len() {
            let full = session.compress("annabella", &mut vec![0; len]);
            assert_eq!(full, Err(Error::BufferFull));
        }
        let mut exact = vec![0; whole.len()];
        assert_eq!(session.compress("annabella", &mut exact), Ok(whole.len()));
        assert_eq!(exact, whole);
        let mut text = String::new();
        let full = session.decompress(&whole, &mut text, 8);
        assert_eq!((full, text.as_str()), (Err(Error::BufferFull), "annabell"));
        let full = session.decompress(&whole, &mut Full, 9);
        assert_eq!(full, Err(Error::BufferFull));
        assert_eq!(session.decompress(&whole, &mut String::new(), 9), Ok(9));
    });
}

/// A session that was in another text, or that a message broke, gives the same.
#[test]
fn a_message_depends_on_nothing_before_it() {
    for_each_model(|session| {
        let first = compressed(session, "annabella");
        session.prompt("a").unwrap();
        assert_eq!(compressed(session, "annabella"), first);
        session.compress("annabella", &mut []).unwrap_err();
        assert_eq!(compressed(session, "annabella"), first);
        let _ = session.decompress(&[1, 2, 3], &mut String::new(), 3);
        assert_eq!(decompressed(session, &first).unwrap(), "annabella");
        assert_eq!(session.next_input(), session.model().vocab().start());
    });
}

#[test]
fn any_bytes_are_text_or_an_error_within_the_limit() {
    let mut rng = Rng::from_seed(2);
    for_each_model(|session| {
        let whole = coded(session, "annabella z\u{1f600}");
        for _ in 0..400 {
            let mut message = whole.clone();
            match rng.next_u32() % 4 {
                0 => message.truncate(rng.next_u32() as usize % whole.len()),
                1 => message
                    .iter_mut()
                    .for_each(|byte| *byte = rng.next_u32() as u8),
                2 => message.insert(0, 0xff),
                _ => {
                    let at = rng.next_u32() as usize % whole.len();
                    message[at] ^= 1 << (rng.next_u32() % 8);
                }
            }
            for check in [false, true] {
                let mut text = String::new();
                let result = if check {
                    session.decompress_checked(&message, &mut text, 20)
                } else {
                    session.decompress(&message, &mut text, 20)
                };
                match result {
                    Ok(chars) => assert_eq!(chars, text.chars().count()),
                    Err(Error::BufferFull) => assert_eq!(text.chars().count(), 20),
                    Err(error) => assert_eq!(error, Error::CorruptMessage),
                }
            }
        }
    });
}

#[test]
fn the_check_tells_damaged_messages() {
    let text = "annabella";
    for_each_model(|session| {
        let plain = compressed(session, text);
        let mut message = [0; 20];
        let len = session.compress_checked(text, &mut message).unwrap();
        let message = &message[..len];
        assert!((plain.len()..=plain.len() + 2).contains(&len));
        let mut read = String::new();
        assert_eq!(session.decompress_checked(message, &mut read, 20), Ok(9));
        assert_eq!(read, text);
        let mut unnoticed = 0;
        for bit in 0..8 * len {
            let mut damaged = message.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut read = String::new();
            if session.decompress_checked(&damaged, &mut read, 20).is_ok() && read != text {
                unnoticed += 1;
            }
        }
        // One in 256 by chance.
        assert!(unnoticed <= 2, "{unnoticed} of {}", 8 * len);
    });
}

/// What is stored has its check too.
#[test]
fn a_stored_message_is_checked() {
    let text = "\u{4e00}\u{3042}\u{ff21}Q";
    for_each_model(|session| {
        let mut message = [0; 20];
        let len = session.compress_checked(text, &mut message).unwrap();
        assert_eq!((message[0], len), (0xff, text.len() + 2));
        let mut read = String::new();
        assert_eq!(
            session.decompress_checked(&message[..len], &mut read, 20),
            Ok(4)
        );
        assert_eq!(read, text);
        for at in 1..len {
            let mut damaged = message;
            damaged[at] ^= 1;
            let result = session.decompress_checked(&damaged[..len], &mut String::new(), 20);
            assert_eq!(result, Err(Error::CorruptMessage));
        }
    });
}

#[test]
fn cut_utf8_is_no_text() {
    for_each_model(|session| {
        for message in [
            &b"\xff\xe2\x82"[..],
            b"\xff\x80",
            b"\xffa\xed\xa0\x80",
            b"\xff\xff",
        ] {
            let result = session.decompress(message, &mut String::new(), 20);
            assert_eq!(result, Err(Error::CorruptMessage), "{message:x?}");
        }
        assert_eq!(decompressed(session, b"\xff").unwrap(), "");
        assert_eq!(decompressed(session, b"\xffab").unwrap(), "ab");
    });
}

/// The table of `COMPRESSION.md`.
#[test]
fn the_test_vectors_hold() {
    let bytes = shipped("models/names/names-i8.charlet");
    let model = Model::from_bytes(&bytes).unwrap();
    let mut session = Session::boxed(&model);
    let page = fs::read_to_string(repository("runtime/COMPRESSION.md")).unwrap();
    let (_, table) = page.split_once("## Test vectors").unwrap();
    let mut count = 0;
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.split('`').collect();
        let [_, text, _, plain, _, checked, _] = cells[..] else {
            panic!("{row}")
        };
        let text: String = serde_json::from_str(text).unwrap();
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let mut message = vec![0; text.len() + 2];
        let len = session.compress(&text, &mut message).unwrap();
        assert_eq!(hex(&message[..len]), plain.replace(' ', ""), "{text:?}");
        let len = session.compress_checked(&text, &mut message).unwrap();
        assert_eq!(hex(&message[..len]), checked.replace(' ', ""), "{text:?}");
        count += 1;
    }
    assert_eq!(count, 8);
}
