//! Reads and cleans text files.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use indicatif::HumanCount;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::encoding::decode;
use crate::config::{Encoding, NormalForm};
use crate::util::file_kind::{self, Kind};
use crate::util::memory;

/// What some files begin with, and what has no business within a text.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

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
    /// Reads a file of UTF-8 or, with `-`, standard input.
    ///
    /// # Errors
    /// If it can't be read, doesn't fit into memory, is empty, of another encoding, or has a NUL.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_as(path, None)
    }

    /// Reads a file for a command that has no `--encoding`, which errors then don't propose.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_utf8(path: &Path) -> Result<Self> {
        let bytes = file_kind::read(path, Kind::Text, COPIES)?;
        if !bytes.contains(&0)
            && let Err(error) = std::str::from_utf8(&bytes)
            && !bytes.starts_with(&[0xff, 0xfe])
            && !bytes.starts_with(&[0xfe, 0xff])
        {
            bail!(
                "can't use {}: it is not UTF-8 from byte offset {} on: `iconv -f ENCODING -t UTF-8` converts other \
                 encodings",
                memory::name(path),
                error.valid_up_to()
            );
        }
        Self::decode(bytes, None).with_context(|| format!("can't use {}", memory::name(path)))
    }

    /// Reads a file of this encoding, or of UTF-8.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_as(path: &Path, encoding: Option<Encoding>) -> Result<Self> {
        let bytes = file_kind::read(path, Kind::Text, COPIES)?;
        Self::decode(bytes, encoding).with_context(|| format!("can't use {}", memory::name(path)))
    }

    /// Cleans a file's bytes: drops byte order marks and makes all line endings `\n`.
    ///
    /// # Errors
    /// If they are empty, not UTF-8, or have a NUL.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::decode(bytes, None)
    }

    fn decode(bytes: Vec<u8>, encoding: Option<Encoding>) -> Result<Self> {
        let mut notes = Vec::new();
        let mut text = decode(bytes, encoding, &mut notes)?;
        let marks = text.matches(BYTE_ORDER_MARK).count();
        if marks > 0 {
            notes.push(format!(
                "dropped {} within it, as files have that were joined",
                counted(marks, "byte order mark")
            ));
            text.retain(|char| char != BYTE_ORDER_MARK);
        }
        let returns = text.matches('\r').count();
        if returns > 0 {
            notes.push(format!(
                "made {returns} carriage-return line endings plain line feeds"
            ));
            text = text.replace("\r\n", "\n").replace('\r', "\n");
        }
        ensure!(!is_blank(&text), "it is empty");
        Ok(Self { text, notes })
    }

    /// Makes upper case lower case.
    pub fn make_lowercase(&mut self) {
        self.text = self.text.to_lowercase();
    }

    /// Converts the text to a normal form.
    pub fn normalize(&mut self, form: NormalForm) {
        self.text = normalized(&self.text, form);
    }

    /// Notes that some characters are written in decomposed form, which may also be there as one character.
    pub fn note_decomposed(&mut self) {
        if self.text.is_ascii() || is_nfc(&self.text) {
            return;
        }
        let lines = self.text.lines().filter(|line| !is_nfc(line)).count();
        self.notes.push(format!(
            "{} letters that are not composed, such as e and \u{25cc}\u{301} for \u{e9}: --normalize nfc makes \
             each the same everywhere",
            if lines == 1 { "a line has".to_owned() } else { format!("{} have", counted(lines, "line")) }
        ));
    }

    /// What a list's user should know: how many lines are dropped, and how many have blanks around them.
    pub fn list_notes(&self) -> Vec<String> {
        let (blank, others): (Vec<&str>, Vec<&str>) =
            self.text.lines().partition(|line| is_blank(line));
        let padded = others.iter().filter(|line| line.trim() != **line).count();
        let mut notes = Vec::new();
        if !blank.is_empty() {
            notes.push(format!("dropped {}", counted(blank.len(), "blank line")));
        }
        if padded > 0 {
            let verb = if padded == 1 {
                "begins or ends"
            } else {
                "begin or end"
            };
            notes.push(format!(
                "{} {verb} with blanks or tabs, which belong to it",
                counted(padded, "line")
            ));
        }
        notes
    }

    /// The lines of a list with their numbers: those that are not blank.
    pub fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..)
            .zip(self.text.lines())
            .filter(|(_, line)| !is_blank(line))
    }

    /// The lines of a list: those that are not blank.
    pub fn lines(&self) -> Vec<&str> {
        self.numbered_lines().map(|(_, line)| line).collect()
    }
}

/// Whether a line has nothing but white space, and so is no entry of a list.
pub fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// As many of these, in words.
pub(crate) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(count as u64))
}

/// A text in a normal form.
fn normalized(text: &str, form: NormalForm) -> String {
    match form {
        NormalForm::Nfc => text.nfc().collect(),
        NormalForm::Nfd => text.nfd().collect(),
        NormalForm::Nfkc => text.nfkc().collect(),
        NormalForm::Nfkd => text.nfkd().collect(),
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
            clean(b"abcdefg\0h")
                .unwrap_err()
                .to_string()
                .contains("byte offset 7")
        );
        for empty in [&b""[..], b" \n\n", b"\xef\xbb\xbf"] {
            assert!(clean(empty).unwrap_err().to_string().contains("empty"));
        }
    }

    #[test]
    fn byte_order_marks_of_joined_files_are_dropped_and_counted() {
        let source = clean("\u{feff}ab\n\u{feff}cd\n\u{feff}ef\n".as_bytes()).unwrap();
        assert_eq!(source.text, "ab\ncd\nef\n");
        assert!(
            source.notes[1].contains("2 byte order marks"),
            "{:?}",
            source.notes
        );
    }

    #[test]
    fn blank_lines_are_no_entries_and_outer_blanks_are_told() {
        let source =
            clean("anna\n\n  \t\n\u{a0}\u{2003}\n berta\ncarla\t\n\u{3000}dora x\n".as_bytes());
        let source = source.unwrap();
        assert_eq!(
            source.lines(),
            ["anna", " berta", "carla\t", "\u{3000}dora x"]
        );
        let numbers: Vec<usize> = source.numbered_lines().map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 5, 6, 7]);
        let notes = source.list_notes();
        assert!(notes[0].contains("3 blank lines"), "{notes:?}");
        assert!(notes[1].contains("3 lines begin or end"), "{notes:?}");
        assert!(clean(b"anna\nb b\n").unwrap().list_notes().is_empty());
    }

    #[test]
    fn normal_forms_are_those_of_unicode() {
        let form = |text: &str, form| normalized(text, form);
        assert_eq!(form("e\u{301}\u{fb01}", NormalForm::Nfc), "\u{e9}\u{fb01}");
        assert_eq!(form("\u{e9}\u{fb01}", NormalForm::Nfd), "e\u{301}\u{fb01}");
        assert_eq!(form("e\u{301}\u{fb01}", NormalForm::Nfkc), "\u{e9}fi");
        assert_eq!(form("\u{e9}\u{fb01}", NormalForm::Nfkd), "e\u{301}fi");
    }
}
