//! Characters that a model doesn't know, and what it may know in their place.

use charlet::Vocab;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{compose, is_combining_mark};

use crate::data::source::counted;

/// How many characters of a text a model doesn't know.
pub fn count_unknown(vocab: &Vocab<'_>, text: &str) -> usize {
    let unknown = text.chars().filter(|&char| vocab.token(char).is_none());
    unknown.count()
}

/// Says that a model with a mark reads so many characters of prompts as that mark.
pub fn read_as_mark(count: usize) -> Option<String> {
    let verb = if count == 1 { "is" } else { "are" };
    let chars = counted(count, "character");
    let told = || {
        format!(
            "{chars} of what is continued {verb} not known to the model, and read as its mark for such"
        )
    };
    (count > 0).then(told)
}

/// What to say beside an unknown character of a text: in which other form the model knows it, in parentheses with a
/// space before them, or nothing.
pub fn hint(vocab: &Vocab<'_>, text: &str, unknown: char) -> &'static str {
    let knows = |char| vocab.token(char).is_some();
    let knows_all = |chars: String| chars.chars().all(knows);
    let is_decomposed = unknown.nfd().ne([unknown]);
    if unknown.is_uppercase() && knows_all(unknown.to_lowercase().collect()) {
        " (the model has lower case only)"
    } else if is_decomposed && knows_all(unknown.nfd().collect()) {
        " (the model knows it decomposed, as a letter and an accent: normal form NFD)"
    } else if text
        .chars()
        .zip(text.chars().skip(1))
        // Of letter and mark either may be unknown.
        .filter(|&(letter, mark)| is_combining_mark(mark) && [letter, mark].contains(&unknown))
        .filter_map(|(letter, mark)| compose(letter, mark))
        .any(knows)
    {
        " (the model knows letter and accent composed, as one character: normal form NFC)"
    } else if is_decomposed && unknown.nfc().ne([unknown]) && knows_all(unknown.nfc().collect()) {
        " (the model knows it in normal form NFC)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use charlet::Token;

    use super::*;

    #[test]
    fn the_form_that_a_model_knows_is_named() {
        let composed = Vocab::new("ae\u{c5}\u{e9}", 5, Token(4), Some(Token(4)), false);
        let decomposed = Vocab::new("ae\u{301}", 4, Token(3), Some(Token(3)), false);
        let (composed, decomposed) = (composed.unwrap(), decomposed.unwrap());
        assert!(hint(&composed, "ae\u{301}", '\u{301}').contains("NFC"));
        let without_letter = Vocab::new("a\u{e9}", 3, Token(2), Some(Token(2)), false).unwrap();
        assert!(hint(&without_letter, "ae\u{301}", 'e').contains("NFC"));
        assert!(hint(&decomposed, "a\u{e9}", '\u{e9}').contains("NFD"));
        assert!(hint(&composed, "a\u{212b}", '\u{212b}').contains("NFC"));
        assert!(hint(&composed, "A", 'A').contains("lower case"));
        // A mark that makes nothing that is known, and what has no other form.
        for (text, unknown) in [("a\u{301}", '\u{301}'), ("x", 'x'), ("\u{c9}", '\u{c4}')] {
            assert_eq!(hint(&composed, text, unknown), "");
        }
    }
}
