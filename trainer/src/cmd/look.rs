//! How things look: what stands out in a terminal, and characters that can't be seen.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, RgbColor, Style};
use charlet::{Token, Vocab};

/// How parts of the output stand out in a terminal; in a pipe nothing does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    is_styled: bool,
}

impl Look {
    /// For standard output, as the user wants it (NO_COLOR, CLICOLOR and so on).
    pub(crate) fn of_stdout() -> Self {
        Self {
            is_styled: AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
        }
    }

    pub(crate) fn is_styled(self) -> bool {
        self.is_styled
    }

    /// What was given, or matters less.
    pub(crate) fn dim(self) -> Style {
        self.style(Style::new().dimmed())
    }

    pub(crate) fn heading(self) -> Style {
        self.style(Style::new().bold())
    }

    pub(crate) fn bar(self) -> Style {
        self.style(AnsiColor::Cyan.on_default())
    }

    /// What can't be right.
    pub(crate) fn alarm(self) -> Style {
        self.style(AnsiColor::Red.on_default().bold())
    }

    /// From no colour for what was expected to a strong red for 8 bits and more.
    pub(crate) fn heat(self, bits: f64) -> Style {
        const COLD: f64 = 1.0;
        const HOT: f64 = 8.0;
        if bits < COLD {
            return Style::new();
        }
        let heat = ((bits - COLD) / (HOT - COLD)).clamp(0.0, 1.0);
        let color = RgbColor(90 + (150.0 * heat) as u8, 80 - (60.0 * heat) as u8, 30);
        let text = RgbColor(255, 255, 255);
        self.style(
            Style::new()
                .fg_color(Some(text.into()))
                .bg_color(Some(color.into())),
        )
    }

    fn style(self, style: Style) -> Style {
        if self.is_styled { style } else { Style::new() }
    }
}

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
        _ if char.is_control() || char.is_whitespace() => format!("U+{:04X}", u32::from(char)),
        _ => char.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_seen_has_a_name() {
        let vocab = Vocab::new("\t\n a\u{a0}ß", 8, Token(6), Some(Token(6))).unwrap();
        let names: Vec<String> = (0..8).map(|at| token_name(&vocab, Token(at))).collect();
        let sorted = [
            "tab", "newline", "space", "a", "ß", "U+00A0", "end", "mark 7",
        ];
        assert_eq!(names.len(), sorted.len());
        assert!(
            sorted
                .iter()
                .all(|name| names.iter().any(|other| other == name)),
            "{names:?}"
        );
    }

    #[test]
    fn nothing_stands_out_in_a_pipe() {
        let plain = Look { is_styled: false };
        for style in [plain.dim(), plain.heading(), plain.alarm(), plain.heat(9.0)] {
            assert_eq!(format!("{style}x{style:#}"), "x");
        }
        let styled = Look { is_styled: true };
        assert_ne!(styled.heat(2.0), styled.heat(8.0));
        assert_eq!(styled.heat(8.0), styled.heat(f64::INFINITY));
        assert_eq!(styled.heat(0.5), Style::new());
    }
}
