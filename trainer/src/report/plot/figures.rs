//! Shared parts of loss plots: colours, ranges and axes.

use plotters::style::RGBColor;

use super::{Curve, Panel, Points};

/// Colours that the colour-blind tell apart too (Okabe and Ito, 2008), the most different first.
pub(crate) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];
pub(crate) const BLUE: RGBColor = COLOURS[0];
pub(crate) const RED: RGBColor = COLOURS[1];
pub(crate) const GREY: RGBColor = COLOURS[6];

/// Losses over epochs, in nats and bits.
pub(crate) fn loss_panel(title: &str, x: (f64, f64), y: (f64, f64), curves: Vec<Curve>) -> Panel {
    Panel {
        title: title.to_owned(),
        x_label: "epochs".to_owned(),
        y_label: "nats per character".to_owned(),
        right: Some(("bits per character".to_owned(), std::f64::consts::LOG2_E)),
        x,
        y,
        curves,
        mark: None,
    }
}

/// From the beginning to the last point of all.
pub(crate) fn extent(all: &[&Points]) -> (f64, f64) {
    let last = all
        .iter()
        .filter_map(|points| points.last())
        .map(|point| point.0);
    let last = last.fold(0.0, f64::max);
    (0.0, if last > 0.0 { last } else { 1.0 })
}

/// From the lowest loss to the highest that matters: what the first twentieth of a run falls from
/// would press the rest together.
pub(crate) fn loss_range(all: &[&Points], baseline: Option<f64>) -> (f64, f64) {
    let end = extent(all).1;
    let values = |from: f64| {
        let points = all.iter().flat_map(|points| points.iter());
        points
            .filter(move |point| point.0 >= from)
            .map(|point| point.1)
            .chain(baseline)
    };
    let low = values(0.0).fold(f64::INFINITY, f64::min);
    let high = values(0.05 * end).fold(f64::NEG_INFINITY, f64::max);
    if high <= low || !(high - low).is_finite() {
        return if low.is_finite() {
            (low - 0.5, low + 0.5)
        } else {
            (0.0, 1.0)
        };
    }
    let margin = 0.05 * (high - low);
    (low - margin, high + margin)
}

/// A curve from where it first falls below the limit; later parts above are on it.
pub(crate) fn clipped(points: &Points, limit: f64) -> Points {
    let Some(first) = points.iter().position(|point| point.1 <= limit) else {
        return Points::new();
    };
    let mut rest: Points = points[first..]
        .iter()
        .map(|point| (point.0, point.1.min(limit)))
        .collect();
    if let Some(before) = first.checked_sub(1).map(|at| points[at]) {
        let below = points[first];
        let share = (before.1 - limit) / (before.1 - below.1);
        rest.insert(0, (before.0 + share * (below.0 - before.0), limit));
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_enters_where_it_crosses_the_limit() {
        let points = vec![(0.0, 9.0), (1.0, 5.0), (2.0, 3.0), (3.0, 4.5), (4.0, 2.0)];
        assert_eq!(
            clipped(&points, 4.0),
            [(1.5, 4.0), (2.0, 3.0), (3.0, 4.0), (4.0, 2.0)]
        );
        assert_eq!(clipped(&points, 9.0), points);
        assert_eq!(clipped(&points, 1.0), []);
    }

    #[test]
    fn ranges_hold_what_matters_and_are_never_empty() {
        let falling: Points = (0..=100)
            .map(|at| (f64::from(at), if at < 5 { 9.0 } else { 3.0 }))
            .collect();
        let (low, high) = loss_range(&[&falling], Some(4.0));
        assert!(
            low < 3.0 && low > 2.9 && high > 4.0 && high < 4.1,
            "{low} {high}"
        );
        for few in [vec![], vec![(1.0, 2.0)]] {
            let range = loss_range(&[&few], None);
            assert!(range.0 < range.1, "{range:?}");
            assert!(extent(&[&few]).1 > 0.0);
        }
    }
}
