//! Round numbers on an axis.

use std::ops::Range;

use plotters::coord::ranged1d::{
    KeyPointHint, KeyPointWeight, NoDefaultFormatting, Ranged, ValueFormatter,
};

/// A linear axis whose ticks are multiples of a round number.
#[derive(Clone, Debug)]
pub(super) struct Ticks {
    range: Range<f64>,
    step: f64,
}

impl Ticks {
    /// About `count` of them: every 1, 2 or 5, or a power of ten times that.
    pub(super) fn of(((from, to), count): ((f64, f64), usize)) -> Self {
        let least = (to - from) / count as f64;
        let power = 10f64.powf(least.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
        let step = steps.into_iter().find(|&step| step >= least * 0.999);
        Self {
            range: from..to,
            step: step.unwrap_or(10.0 * power),
        }
    }

    fn places(&self) -> Vec<f64> {
        let (first, last) = (self.range.start / self.step, self.range.end / self.step);
        // A tick at the very end is not lost to rounding.
        let (first, last) = ((first - 1e-9).ceil() as i64, (last + 1e-9).floor() as i64);
        (first..=last).map(|at| at as f64 * self.step).collect()
    }

    /// A value with as many digits as tell it from its neighbours.
    fn label(&self, value: f64) -> String {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        let largest = self.range.start.abs().max(self.range.end.abs());
        if largest >= 1e6 {
            Self::shortened(value / 1e6, self.step / 1e6, "M")
        } else if largest >= 1e4 {
            Self::shortened(value / 1e3, self.step / 1e3, "k")
        } else if value == 0.0 && digits > 4 {
            "0".to_owned()
        } else if digits > 4 {
            format!("{value:.0e}")
        } else {
            format!("{value:.digits$}")
        }
    }

    fn shortened(value: f64, step: f64, unit: &str) -> String {
        let digits = (-step.log10().floor()).max(0.0) as usize;
        if value == 0.0 {
            return "0".to_owned();
        }
        format!("{value:.digits$}{unit}")
    }
}

impl Ranged for Ticks {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        match hint.weight() {
            KeyPointWeight::Bold => self.places(),
            // Between ticks there is nothing.
            KeyPointWeight::Any => Vec::new(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Ticks {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from: f64, to: f64, count: usize) -> Vec<String> {
        let ticks = Ticks::of(((from, to), count));
        let places = ticks.places().into_iter();
        places.map(|place| ticks.label(place)).collect()
    }

    #[test]
    fn ticks_are_round_numbers_with_the_digits_they_need() {
        assert_eq!(
            labels(0.0, 30.0, 6),
            ["0", "5", "10", "15", "20", "25", "30"]
        );
        assert_eq!(
            labels(0.0, 1.0, 5),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(2.31, 2.52, 5), ["2.35", "2.40", "2.45", "2.50"]);
        assert_eq!(labels(0.0, 0.0063, 3), ["0.000", "0.005"]);
        assert_eq!(
            labels(0.0, 250_000.0, 5),
            ["0", "50k", "100k", "150k", "200k", "250k"]
        );
        assert_eq!(labels(0.0, 2.2e6, 5), ["0", "0.5M", "1.0M", "1.5M", "2.0M"]);
        assert_eq!(labels(0.0, 4e-5, 4), ["0", "1e-5", "2e-5", "3e-5", "4e-5"]);
    }
}
