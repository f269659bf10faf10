//! Text as the few bytes that a radio packet has room for, and back. A board brings a port for lines of
//! text, and a radio.
#![no_std]

use core::fmt::{self, Write};

use charlet::{Error, SessionOf};

charlet::model!(
    /// The model, in flash: that of build.rs, or the one that the environment variable
    /// `MESSAGES_MODEL` named when this was built. Who reads a message must have the same.
    pub MESSAGES,
    concat!("../../../../models/", env!("MESSAGES_MODEL"), ".charlet")
);

/// Bytes of the longest text; its message has at most one more.
pub const LONGEST: usize = 200;

/// Compresses and reads texts, in memory of its own: a variable of `main`, or a static.
#[derive(Debug)]
pub struct Messenger {
    session: SessionOf<MESSAGES>,
}

impl Messenger {
    /// The model was checked while compiling.
    #[expect(clippy::new_without_default, reason = "a static needs a constant")]
    pub const fn new() -> Self {
        Self {
            session: MESSAGES.session(),
        }
    }

    /// Compresses a text, and tells how many bytes of `message` it took: at most one more than the text
    /// has.
    ///
    /// # Errors
    /// [`Error::BufferFull`] if `message` has no room for it.
    pub fn compress(&mut self, text: &str, message: &mut [u8]) -> Result<usize, Error> {
        self.session.compress(text, message)
    }

    /// Prints the text of a message.
    ///
    /// # Errors
    /// [`Error::CorruptMessage`], and [`Error::BufferFull`] if it is longer than texts are.
    pub fn read(&mut self, message: &[u8], text: &mut impl Write) -> Result<(), Error> {
        self.session.decompress(message, text, LONGEST)?;
        Ok(())
    }

    /// Prints a text's message in hexadecimal and, on a line of its own, what is read from it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn answer(&mut self, text: &str, out: &mut impl Write) -> fmt::Result {
        let mut message = [0; LONGEST + 1];
        let result = self.compress(text, &mut message).and_then(|len| {
            let message = message.get(..len).unwrap_or_default();
            // If it can't be printed, the text can't either.
            let _ = write!(out, "{}\r\n", Hex(message));
            self.read(message, out)
        });
        match result {
            Ok(()) => write!(out, "\r\n"),
            Err(error) => write!(out, "{error}\r\n"),
        }
    }
}

/// What is typed, until Enter.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Line {
    /// An empty line.
    #[expect(clippy::new_without_default, reason = "as for `Messenger`")]
    pub const fn new() -> Self {
        Self {
            bytes: [0; LONGEST],
            len: 0,
        }
    }

    /// Takes the next byte, and gives the line if it ends with it. What is too long for a line is left
    /// out, and so are lines that are empty or not in UTF-8.
    pub fn push(&mut self, byte: u8) -> Option<&str> {
        if byte != b'\r' && byte != b'\n' {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
            return None;
        }
        let line = self.bytes.get(..core::mem::take(&mut self.len))?;
        str::from_utf8(line).ok().filter(|line| !line.is_empty())
    }
}

/// Bytes in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(to, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    /// What a board's port answers, with the model names-i8.
    #[test]
    fn each_line_is_answered_by_its_message_and_what_is_read() {
        let (mut messenger, mut line, mut out) = (Messenger::new(), Line::new(), String::new());
        for byte in "maria\r\nok\n\u{ef}\r".bytes().chain([0xff, b'\r']) {
            if let Some(text) = line.push(byte) {
                messenger.answer(text, &mut out).unwrap();
            }
        }
        let lines: std::vec::Vec<&str> = out.split("\r\n").collect();
        let [_, maria, _, ok, _, third, ""] = lines[..] else {
            panic!("{out}")
        };
        assert_eq!([maria, ok, third], ["maria", "ok", "\u{ef}"]);
    }
}
