//! Reads and cleans text files.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::util::file_kind::{self, Kind};
use crate::util::memory;

/// How many times a text has to fit into memory: while it is read, it may move, and it is copied when it is cleaned.
const COPIES: u64 = 3;

/// A text that was read and cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The text, with `\n` as its only line ending.
    pub text: String,
    /// What was changed, for the user to know.
    pub notes: Vec<String>,
}

impl Source {
    /// Reads a file or, with `-`, standard input.
    ///
    /// # Errors
    /// If it can't be read, doesn't fit into memory, is empty, not UTF-8, or has a NUL.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = file_kind::read(path, Kind::Text, COPIES)?;
        Self::from_bytes(bytes).with_context(|| format!("can't use {}", memory::name(path)))
    }

    /// Cleans a file's bytes: drops a byte order mark and makes all line endings `\n`.
    ///
    /// # Errors
    /// If they are empty, not UTF-8, or have a NUL.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            anyhow::anyhow!("it is not UTF-8 from byte offset {offset} on: convert it first")
        })?;
        let mut notes = Vec::new();
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => {
                notes.push("dropped the byte order mark at its start".to_owned());
                rest.to_owned()
            }
            None => text,
        };
        if let Some(offset) = text.find('\0') {
            bail!("it has a NUL character at byte offset {offset}: is it a text file?");
        }
        let returns = text.matches('\r').count();
        let text = if returns > 0 {
            notes.push(format!(
                "made {returns} carriage-return line endings plain line feeds"
            ));
            text.replace("\r\n", "\n").replace('\r', "\n")
        } else {
            text
        };
        ensure!(!text.trim().is_empty(), "it is empty");
        Ok(Self { text, notes })
    }

    /// Makes upper case lower case.
    pub fn make_lowercase(&mut self) {
        self.text = self.text.to_lowercase();
    }

    /// The lines that are not empty.
    pub fn lines(&self) -> Vec<&str> {
        self.text.lines().filter(|line| !line.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(bytes: &[u8]) -> Result<Source> {
        Source::from_bytes(bytes.to_vec())
    }

    #[test]
    fn line_endings_and_byte_order_marks_are_normalised_and_noted() {
        let source = clean(b"\xef\xbb\xbfab\r\ncd\ref\n").unwrap();
        assert_eq!(source.text, "ab\ncd\nef\n");
        assert_eq!(source.notes.len(), 2);
        assert!(clean(b"ab\n").unwrap().notes.is_empty());
    }

    #[test]
    fn files_that_are_no_text_are_refused_with_the_offset() {
        assert!(
            clean(b"ab\xff")
                .unwrap_err()
                .to_string()
                .contains("byte offset 2")
        );
        assert!(
            clean(b"abc\0d")
                .unwrap_err()
                .to_string()
                .contains("byte offset 3")
        );
        for empty in [&b""[..], b" \n\n", b"\xef\xbb\xbf"] {
            assert!(clean(empty).unwrap_err().to_string().contains("empty"));
        }
    }
}
