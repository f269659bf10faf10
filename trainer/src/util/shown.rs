//! Text that isn't ours, as an output takes it: escaped on a terminal, as it is in a file or a pipe.
//!
//! A terminal obeys control characters: a corpus could change the window's title, a file name could
//! hide half of an error. Such characters are shown in Rust's notation, `\u{1b}` for Escape.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::io::IsTerminal;

/// Whether a terminal obeys this character, reorders text by it, or shows nothing for it.
///
/// Line feeds and tabs are what they are. The joiners U+200C and U+200D stay too: they change the
/// shape of letters, and Persian, Hindi and emoji need them.
pub fn is_hidden(char: char) -> bool {
    match char {
        '\n' | '\t' => false,
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator, zero-width space, left-to-right and
        // right-to-left marks.
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        // Line and paragraph separators, embeddings and overrides; joiners, isolates and others of no width.
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Byte order mark, annotations, shorthand, music, tags.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => char.is_control(),
    }
}

/// A text with its hidden characters in Rust's notation.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_where(text, is_hidden)
}

fn escaped_where(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return text.into();
    }
    let shown = |char| ShownChar {
        char,
        is_escaped: is_escaped(char),
    };
    text.chars().map(|char| shown(char).to_string()).collect()
}

/// How an output takes text that isn't ours.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    is_terminal: bool,
}

impl Shown {
    /// Escaped if this is a terminal.
    pub fn on(out: &impl IsTerminal) -> Self {
        Self {
            is_terminal: out.is_terminal(),
        }
    }

    /// A text of one or more lines.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        escaped_where(text, |char| self.is_terminal && is_hidden(char))
    }

    /// A text that is part of a line: line feeds are escaped as well.
    pub fn line(self, text: &str) -> Cow<'_, str> {
        escaped_where(text, |char| {
            self.is_terminal && (is_hidden(char) || char == '\n')
        })
    }

    /// A character, line feeds as they are.
    pub fn char(self, char: char) -> impl fmt::Display {
        ShownChar {
            char,
            is_escaped: self.is_terminal && is_hidden(char),
        }
    }

    /// JSON, in its own notation: the same value with or without.
    pub fn json(self, json: &str) -> Cow<'_, str> {
        if !(self.is_terminal && json.contains(is_hidden)) {
            return json.into();
        }
        let mut shown = String::new();
        for char in json.chars() {
            if is_hidden(char) {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    // Nothing fails to be added to a string.
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            } else {
                shown.push(char);
            }
        }
        shown.into()
    }
}

struct ShownChar {
    char: char,
    is_escaped: bool,
}

impl fmt::Display for ShownChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_escaped {
            write!(f, "{}", self.char.escape_unicode())
        } else {
            f.write_char(self.char)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_that_it_obeys_or_hides() {
        let (terminal, pipe) = (Shown { is_terminal: true }, Shown { is_terminal: false });
        let evil = "a\u{1b}]0;x\u{7}\u{9b}31m\r\u{7f}\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{2028}\u{feff}\u{e0041}\0";
        let shown = terminal.text(evil);
        assert!(shown.starts_with(r"a\u{1b}]0;x\u{7}\u{9b}31m\u{d}\u{7f}\u{202e}\u{2066}"));
        assert!(!shown.contains(is_hidden), "{shown}");
        assert_eq!(
            (pipe.text(evil), pipe.line(evil)),
            (evil.into(), evil.into())
        );
        let by_char: String = evil
            .chars()
            .map(|char| terminal.char(char).to_string())
            .collect();
        assert_eq!(by_char, shown);
        let json = serde_json::to_string(evil).unwrap();
        assert_eq!(pipe.json(&json), json);
        let shown = terminal.json(&json);
        assert!(!shown.contains(is_hidden), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), evil);
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        let terminal = Shown { is_terminal: true };
        for text in [
            "Ä\tß\n→",
            "می\u{200c}خواهم",
            "👩\u{200d}🔬 ❤\u{fe0f}",
            "e\u{301}",
            "\u{a0}\u{3000}",
        ] {
            assert_eq!(terminal.text(text), text);
        }
        assert_eq!(terminal.line("a\nb\tc"), "a\\u{a}b\tc");
    }
}
