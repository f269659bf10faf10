//! Lines of a stream as they arrive, of any encoding.

use std::io::{BufRead, Error, Result};

use encoding_rs::{Decoder, UTF_8};

use super::source::BYTE_ORDER_MARK;
use crate::config::Encoding;
use crate::util::memory::amount;

/// Reads and decodes lines one by one. A byte order mark at the beginning overrules the encoding.
pub struct LineReader<R> {
    input: R,
    decoder: Decoder,
    /// What was decoded and holds no whole line yet before `from`.
    text: String,
    /// Where the next line starts.
    from: usize,
    /// The most bytes of a line.
    most: u64,
    is_over: bool,
    is_malformed: bool,
}

impl<R: BufRead> LineReader<R> {
    /// Reads a stream of this encoding, or of UTF-8, with lines of at most so many bytes.
    pub fn new(input: R, encoding: Option<Encoding>, most: u64) -> Self {
        Self {
            input,
            decoder: encoding.map_or(UTF_8, |encoding| encoding.0).new_decoder(),
            text: String::new(),
            from: 0,
            most,
            is_over: false,
            is_malformed: false,
        }
    }

    /// Whether something that was read is not of the encoding.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// Whether the next line is here, so that nobody waits for it.
    pub fn has_line(&self) -> bool {
        self.text[self.from..].contains('\n')
    }

    /// The next line without its end, and whether it had one; `None` after the last. What is malformed becomes
    /// U+FFFD, which hardly any model knows.
    ///
    /// # Errors
    /// If the stream can't be read, or has a longer line.
    pub fn next_line(&mut self) -> Result<Option<(String, bool)>> {
        let mut searched = self.from;
        loop {
            if let Some(length) = self.text[searched..].find('\n') {
                let line = &self.text[self.from..searched + length];
                let line = clean(line.strip_suffix('\r').unwrap_or(line));
                self.from = searched + length + 1;
                return Ok(Some((line, true)));
            }
            if self.is_over {
                let line = clean(&self.text[self.from..]);
                self.text.clear();
                self.from = 0;
                return Ok((!line.is_empty()).then_some((line, false)));
            }
            self.text.drain(..self.from);
            self.from = 0;
            searched = self.text.len();
            if searched as u64 > self.most {
                let most = amount(self.most as f64);
                return Err(Error::other(format!(
                    "it has a line of more than {most}: is it a text?"
                )));
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<()> {
        let bytes = self.input.fill_buf()?;
        let (length, is_over) = (bytes.len(), bytes.is_empty());
        let needed = self.decoder.max_utf8_buffer_length(length);
        self.text.reserve(needed.unwrap_or(4 * length + 16));
        // With that much room all is read at once.
        let (_, _, is_malformed) = self
            .decoder
            .decode_to_string(bytes, &mut self.text, is_over);
        self.is_malformed |= is_malformed;
        self.is_over = is_over;
        self.input.consume(length);
        Ok(())
    }
}

/// A line without the byte order marks of joined files.
fn clean(line: &str) -> String {
    // Looking for a few bytes takes longer.
    if line.is_ascii() {
        return line.to_owned();
    }
    line.replace(BYTE_ORDER_MARK, "")
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(bytes: &[u8], encoding: Option<&str>) -> Vec<(String, bool)> {
        let encoding = encoding.map(|name| name.parse().unwrap());
        // Buffers that end within characters.
        let mut reader = LineReader::new(BufReader::with_capacity(3, bytes), encoding, 99);
        std::iter::from_fn(|| reader.next_line().unwrap()).collect()
    }

    #[test]
    fn lines_are_decoded_as_they_come() {
        let line = |text: &str| (text.to_owned(), true);
        let expected = [
            line("käse"),
            line(""),
            line("日本"),
            ("x".to_owned(), false),
        ];
        let text = "\u{feff}käse\r\n\n\u{feff}日本\nx";
        assert_eq!(lines(text.as_bytes(), None), expected);
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(lines(&utf16, None), expected);
        assert_eq!(lines(&utf16[2..], Some("utf-16le")), expected);
        assert_eq!(lines(b"k\xe4se\n", Some("latin1")), [line("käse")]);
        assert_eq!(lines(b"k\xe4se\n\xe6", None)[0], line("k\u{fffd}se"));
        assert!(lines(b"", None).is_empty());
        let mut endless = LineReader::new(BufReader::new(std::io::repeat(b'a')), None, 99);
        let error = endless.next_line().unwrap_err().to_string();
        assert!(error.contains("line of more than 1 MB"), "{error}");
    }
}
