//! Where a prompt comes from: the command line, with escapes, or a file.

use std::path::Path;

use anyhow::Result;
use charlet_trainer::config::Encoding;
use charlet_trainer::data::source::Source;

/// A text with `\n`, `\t` and `\\` for what is hard to type. A backslash before anything else stands for
/// itself.
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let escaped = [("\\n", '\n'), ("\\t", '\t'), ("\\\\", '\\')]
            .into_iter()
            .find_map(|(escape, meant)| Some((rest.strip_prefix(escape)?, meant)));
        let (after, char) = escaped.unwrap_or((&rest[char.len_utf8()..], char));
        plain.push(char);
        rest = after;
    }
    plain
}

/// The text in a file, as it is; a line that is continued has no break at its end.
pub(super) fn read(path: &Path, encoding: Option<Encoding>, is_list: bool) -> Result<String> {
    let mut text = Source::read_as(path, encoding)?.text;
    if is_list && text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_other_backslashes_stay() {
        for (given, meant) in [
            ("a\\n\\tb", "a\n\tb"),
            ("\\\\n", "\\n"),
            ("\\x \\ß\\", "\\x \\ß\\"),
            ("", ""),
        ] {
            assert_eq!(unescaped(given), meant, "{given}");
        }
    }
}
