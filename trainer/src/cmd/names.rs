//! Printable names of characters and tokens, such as `space` or `end`.

use charlet::{Token, Vocab};
use charlet_trainer::util::shown::is_hidden;

/// What a token is called where it stands alone: a character that is seen, or a name.
pub(crate) fn token_name(vocab: &Vocab<'_>, token: Token) -> String {
    match vocab.char(token) {
        Some(char) => char_name(char),
        None if vocab.end() == Some(token) => "end".to_owned(),
        None => format!("mark {}", token.0),
    }
}

/// What a character is called where it stands alone.
pub(crate) fn char_name(char: char) -> String {
    match char {
        ' ' => "space".to_owned(),
        '\n' => "newline".to_owned(),
        '\t' => "tab".to_owned(),
        _ if is_hidden(char) || char.is_whitespace() => format!("U+{:04X}", u32::from(char)),
        _ => char.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_seen_has_a_name() {
        let vocab =
            Vocab::new("\t\n a\u{a0}ß\u{202e}", 9, Token(7), Some(Token(7)), false).unwrap();
        let names: Vec<String> = (0..9).map(|at| token_name(&vocab, Token(at))).collect();
        let sorted = [
            "tab", "newline", "space", "a", "ß", "U+00A0", "U+202E", "end", "mark 8",
        ];
        assert_eq!(names.len(), sorted.len());
        assert!(
            sorted
                .iter()
                .all(|name| names.iter().any(|other| other == name)),
            "{names:?}"
        );
    }
}
