//! Compressed texts: whole messages, and files that say which model they need.
//!
//! A message is what the runtime's coder makes, defined in its `COMPRESSION.md`. A file, `.clz`, has a header before
//! it:
//!
//! | bytes | contents |
//! | --- | --- |
//! | 4 | `8f 63 6c 7a`: no text begins so |
//! | 1 | version, 1 |
//! | 1 | 1 if the message has a check byte, else 0 |
//! | 4 | the [checksum](charlet::Model::checksum) of the model, the lowest byte first |

use std::cell::Cell;

use anyhow::{Result, bail, ensure};
use charlet::{BoxedSession, Decoder, Encoder, Error, Model, Session};

use crate::util::file_kind::COMPRESSED;

/// The version of the header.
const VERSION: u8 = 1;

/// Bytes of the header.
const HEADER_LEN: usize = 10;

/// What stands before a message in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the message has a check byte.
    pub has_check: bool,
    /// The checksum of the model.
    pub model: u32,
}

impl Header {
    /// Its bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let fields = [VERSION, u8::from(self.has_check)];
        [&COMPRESSED[..], &fields, &self.model.to_le_bytes()].concat()
    }

    /// The header of a file, and the message behind it.
    ///
    /// # Errors
    /// If there is none, or one of another version.
    pub fn split(file: &[u8]) -> Result<(Self, &[u8])> {
        let Some(rest) = file.strip_prefix(&COMPRESSED) else {
            bail!("it has no header: what was compressed with --raw is read with --raw");
        };
        if let Some(&version) = rest.first() {
            ensure!(
                version == VERSION,
                "it has version {version}, this charlet reads version {VERSION}: update charlet"
            );
        }
        let [_, flags, m0, m1, m2, m3, message @ ..] = rest else {
            bail!("it is cut off within its header");
        };
        ensure!(*flags < 2, "its header is damaged, or of a newer charlet");
        let header = Self {
            has_check: *flags == 1,
            model: u32::from_le_bytes([*m0, *m1, *m2, *m3]),
        };
        Ok((header, message))
    }

    /// The messages of a file with their headers: several may have been joined, as `cat` does.
    ///
    /// Another one begins where a header of the same model stands, which 2^79 random bytes have once.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub fn members(file: &[u8]) -> Result<Vec<(Self, &[u8])>> {
        let (mut header, mut rest) = Self::split(file)?;
        let (mut members, model) = (Vec::new(), header.model);
        let is_next = |part: &[u8]| {
            part.starts_with(&COMPRESSED)
                && Self::split(part).is_ok_and(|(next, _)| next.model == model)
        };
        while let Some(end) = rest.windows(HEADER_LEN).position(is_next) {
            let (message, next) = rest.split_at(end);
            members.push((header, message));
            (header, rest) = Self::split(next)?;
        }
        members.push((header, rest));
        Ok(members)
    }
}

/// How far a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Characters done.
    pub chars: usize,
    /// Bytes of the input that were read.
    pub read: usize,
}

/// Characters between two looks at the progress.
const STRIDE: usize = 256;

/// A decoder reads so many bytes beyond a whole message at most. It takes 32 bits ahead, and the encoder leaves out
/// zeros at the end: those of the last interval, of an end (29 bits with an escape) and of the check byte.
const MOST_MISSING: usize = 10;

/// Characters that a message of so many bytes may have unless something else is said.
///
/// A damaged message may go on and on. What is whole has few characters in a byte: 1 to 8 of what people write, and
/// some hundred where the model expects a repetition without end.
pub fn char_limit(message: usize) -> usize {
    message.saturating_add(1).saturating_mul(1000)
}

/// Compresses and decompresses texts, one after the other.
#[derive(Clone, Debug)]
pub struct Codec<'m> {
    session: BoxedSession<'m>,
    has_check: bool,
}

impl<'m> Codec<'m> {
    /// For messages of this model, with a check byte or without.
    pub fn new(model: &'m Model<'m>, has_check: bool) -> Self {
        Self {
            session: Session::boxed(model),
            has_check,
        }
    }

    /// The message of a text: the bytes of [`Session::compress`].
    ///
    /// # Errors
    /// Of the runtime; none is known.
    pub fn compress(&mut self, text: &str, mut progress: impl FnMut(Progress)) -> Result<Vec<u8>> {
        let stored = text.len() + 1 + usize::from(self.has_check);
        let mut message = Vec::new();
        let mut encoder = Encoder::new(&mut self.session, |byte| {
            message.push(byte);
            // As long as the text is, it is better stored.
            if message.len() < stored {
                Ok(())
            } else {
                Err(Error::BufferFull)
            }
        });
        if self.has_check {
            encoder = encoder.with_check();
        }
        let encode = || {
            for (chars, (read, char)) in text.char_indices().enumerate() {
                if chars % STRIDE == 0 {
                    progress(Progress { chars, read });
                }
                encoder.push(char)?;
            }
            encoder.finish()
        };
        if encode().is_ok() {
            return Ok(message);
        }
        message.resize(stored, 0);
        let length = if self.has_check {
            self.session.compress_checked(text, &mut message)?
        } else {
            self.session.compress(text, &mut message)?
        };
        message.truncate(length);
        Ok(message)
    }

    /// The text of a message, of at most so many characters. Zeros may follow it, unless it is stored as it is.
    ///
    /// # Errors
    /// If the message is damaged, as far as that is to be seen, if it goes on behind its end by more than the few bytes
    /// that are read ahead, or the text has more characters.
    pub fn decompress(
        &mut self,
        message: &[u8],
        most: usize,
        mut progress: impl FnMut(Progress),
    ) -> Result<String> {
        let (read, missing) = (Cell::new(0), Cell::new(0));
        let mut bytes = message.iter().copied();
        let bytes = std::iter::from_fn(|| {
            let next = bytes.next();
            let count = if next.is_some() { &read } else { &missing };
            count.set(count.get() + 1);
            next
        });
        let mut decoder = Decoder::new(&mut self.session, bytes);
        if self.has_check {
            decoder = decoder.with_check();
        }
        let mut text = String::new();
        for chars in 0.. {
            if chars % STRIDE == 0 {
                let read = read.get();
                progress(Progress { chars, read });
            }
            let next = decoder.next_char();
            match next {
                // With nothing left to read only a limit would end it.
                _ if missing.get() > MOST_MISSING => break,
                Ok(Some(_)) if chars == most => bail!(
                    "it has more than {most} characters: it is damaged, or --max-chars has to be larger"
                ),
                Ok(Some(char)) => text.push(char),
                Ok(None) => {
                    let behind = message.get(read.get()..).unwrap_or_default();
                    ensure!(
                        behind.iter().all(|&byte| byte == 0),
                        "its last {} bytes are behind its end: cut them off, or decompress them alone if they are another \
                         message",
                        behind.len()
                    );
                    return Ok(text);
                }
                Err(Error::CorruptMessage) => break,
                Err(error) => return Err(error.into()),
            }
        }
        bail!(
            "it is damaged, or was compressed with another model or {} --check",
            if self.has_check { "without" } else { "with" }
        )
    }
}
