//! Terminal styles: colours, bold, dim.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, RgbColor, Style};

/// How parts of the output stand out in a terminal; in a pipe nothing does.
#[derive(Clone, Copy, Debug)]
pub struct Styles {
    is_styled: bool,
}

impl Styles {
    /// For standard output, as the user wants it (NO_COLOR, CLICOLOR and so on).
    pub fn of_stdout() -> Self {
        Self {
            is_styled: AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
        }
    }

    /// Whether anything does.
    pub fn is_styled(self) -> bool {
        self.is_styled
    }

    /// What was given, or matters less.
    pub fn dim(self) -> Style {
        self.style(Style::new().dimmed())
    }

    /// The head of a table.
    pub fn heading(self) -> Style {
        self.style(Style::new().bold())
    }

    /// A bar of a chart.
    pub fn bar(self) -> Style {
        self.style(AnsiColor::Cyan.on_default())
    }

    /// What can't be right.
    pub fn alarm(self) -> Style {
        self.style(AnsiColor::Red.on_default().bold())
    }

    /// From no colour for what was expected to a strong red for 8 bits and more.
    pub fn heat(self, bits: f64) -> Style {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stands_out_in_a_pipe() {
        let plain = Styles { is_styled: false };
        for style in [plain.dim(), plain.heading(), plain.alarm(), plain.heat(9.0)] {
            assert_eq!(format!("{style}x{style:#}"), "x");
        }
        let styled = Styles { is_styled: true };
        assert_ne!(styled.heat(2.0), styled.heat(8.0));
        assert_eq!(styled.heat(8.0), styled.heat(f64::INFINITY));
        assert_eq!(styled.heat(0.5), Style::new());
    }
}
