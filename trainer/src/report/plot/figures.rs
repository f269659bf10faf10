//! The figures of a run, and of several runs.

use anyhow::Result;
use plotters::style::RGBColor;

use super::curves::{Curves, Points};
use super::{self as plot, Curve, Mark, Panel, Place, Stroke};

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
const GREEN: RGBColor = COLOURS[2];
const PURPLE: RGBColor = COLOURS[3];
const ORANGE: RGBColor = COLOURS[4];
pub(crate) const GREY: RGBColor = COLOURS[6];

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Loss,
    LearningRate,
    GradientNorm,
    Speed,
}

/// Loss, learning rate, gradient norm and speed in one picture.
///
/// # Errors
/// If the embedded font can't be used.
pub(crate) fn picture(name: &str, curves: &Curves, baseline: f64) -> Result<Vec<u8>> {
    const WIDTH: u32 = 960;
    const ABOVE: u32 = 430;
    const BELOW: u32 = 260;
    let mut loss = panel(Figure::Loss, curves, baseline);
    loss.title = format!("{name}: loss");
    let place = |left, top, width, height| Place {
        left,
        top,
        width,
        height,
    };
    let mut panels = vec![(place(0, 0, WIDTH, ABOVE), loss)];
    let small = [Figure::LearningRate, Figure::GradientNorm, Figure::Speed];
    let width = WIDTH / small.len() as u32;
    for (column, figure) in (0..).zip(small) {
        let place = place(column * width, ABOVE, width, BELOW);
        panels.push((place, panel(figure, curves, baseline)));
    }
    plot::png(&panels, WIDTH, ABOVE + BELOW)
}

/// The panel of a figure.
pub(crate) fn panel(figure: Figure, curves: &Curves, baseline: f64) -> Panel {
    match figure {
        Figure::Loss => loss(curves, baseline),
        Figure::LearningRate => single("Learning rate", "per update", GREEN, &curves.learning_rate),
        Figure::GradientNorm => single(
            "Gradient norm",
            "before clipping",
            PURPLE,
            &curves.gradient_norm,
        ),
        Figure::Speed => {
            let unit = "characters per second";
            single("Speed of training", unit, RED, &curves.chars_per_second)
        }
    }
}

/// The held-out losses of several runs over each other.
pub(crate) fn comparison(runs: &[(String, Points)]) -> Panel {
    let all: Vec<&Points> = runs.iter().map(|(_, points)| points).collect();
    let y = loss_range(&all, None);
    let curve = |(at, (label, points)): (usize, &(String, Points))| Curve {
        label: label.clone(),
        colour: COLOURS[at % COLOURS.len()],
        stroke: if at < COLOURS.len() {
            Stroke::Thick
        } else {
            Stroke::Dashed
        },
        points: clipped(points, y.1),
    };
    loss_panel(
        "Held-out loss",
        extent(&all),
        y,
        runs.iter().enumerate().map(curve).collect(),
    )
}

fn loss(curves: &Curves, baseline: f64) -> Panel {
    let Curves {
        train,
        smoothed,
        held_out,
        ..
    } = curves;
    let all = [train, smoothed, held_out];
    let (x, y) = (extent(&all), loss_range(&[train, held_out], Some(baseline)));
    let curve = |label: &str, colour, stroke, points: &Points| Curve {
        label: label.to_owned(),
        colour,
        stroke,
        points: clipped(points, y.1),
    };
    let pairs = format!("pairs of characters: {baseline:.3}");
    let mut drawn = vec![
        curve("training", ORANGE, Stroke::Thin, train),
        curve(
            "training, smoothed over about 1,000 updates",
            RED,
            Stroke::Medium,
            smoothed,
        ),
        curve(
            &pairs,
            GREY,
            Stroke::Dashed,
            &vec![(x.0, baseline), (x.1, baseline)],
        ),
        curve("held out", BLUE, Stroke::Thick, held_out),
    ];
    drawn.retain(|curve| !curve.points.is_empty());
    let mark = curves.best().map(|at| Mark {
        label: format!("best: {:.3} after epoch {}", at.1, at.0),
        colour: BLUE,
        at,
    });
    Panel {
        mark,
        ..loss_panel("Loss", x, y, drawn)
    }
}

fn loss_panel(title: &str, x: (f64, f64), y: (f64, f64), curves: Vec<Curve>) -> Panel {
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

/// A curve that starts from nothing.
fn single(title: &str, unit: &str, colour: RGBColor, points: &Points) -> Panel {
    let highest = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let top = if highest > 0.0 { 1.05 * highest } else { 1.0 };
    Panel {
        title: title.to_owned(),
        x_label: "epochs".to_owned(),
        y_label: unit.to_owned(),
        right: None,
        x: extent(&[points]),
        y: (0.0, top),
        curves: vec![Curve {
            label: String::new(),
            colour,
            stroke: Stroke::Medium,
            points: points.clone(),
        }],
        mark: None,
    }
}

/// From the beginning to the last point of all.
fn extent(all: &[&Points]) -> (f64, f64) {
    let last = all
        .iter()
        .filter_map(|points| points.last())
        .map(|point| point.0);
    let last = last.fold(0.0, f64::max);
    (0.0, if last > 0.0 { last } else { 1.0 })
}

/// From the lowest loss to the highest that matters: what the first twentieth of a run falls from
/// would press the rest together.
fn loss_range(all: &[&Points], baseline: Option<f64>) -> (f64, f64) {
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
fn clipped(points: &Points, limit: f64) -> Points {
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
