//! The figures of a run.

use anyhow::Result;
use plotters::style::RGBColor;

use super::curves::Curves;
use crate::report::plot::figures::{
    BLUE, COLOURS, GREY, RED, clipped, extent, loss_panel, loss_range,
};
use crate::report::plot::{self, Curve, Mark, Panel, PanelRect, Points, Stroke};

const GREEN: RGBColor = COLOURS[2];
const PURPLE: RGBColor = COLOURS[3];
const ORANGE: RGBColor = COLOURS[4];

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
    let place = |left, top, width, height| PanelRect {
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
