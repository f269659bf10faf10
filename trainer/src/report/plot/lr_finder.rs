//! Plot of a learning-rate range test.

use anyhow::Result;

use crate::train::lr_finder::{LrFinder, Point};

use super::figures::{BLUE, GREY, RED};
use super::{self as plot, Curve, Mark, Panel, PanelRect, Stroke};

const WIDTH: u32 = 860;
const HEIGHT: u32 = 460;

/// Losses over the powers of ten of the rates.
///
/// # Errors
/// If the embedded font can't be used.
pub fn png(name: &str, finder: &LrFinder) -> Result<Vec<u8>> {
    let points = &finder.points;
    let smoothed = points.iter().map(|point| point.smoothed);
    let (low, high) = smoothed.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| {
        (low.min(loss), high.max(loss))
    });
    let margin = 0.1 * (high - low).max(0.1);
    let y = (low - margin, high + margin);
    // What is beyond the axes is on them.
    let curve = |label: &str, colour, stroke, loss: fn(&Point) -> f64| Curve {
        label: label.to_owned(),
        colour,
        stroke,
        points: points
            .iter()
            .map(|point| (point.rate.log10(), loss(point).clamp(y.0, y.1)))
            .collect(),
    };
    let ends = (points.first(), points.last());
    let panel = Panel {
        title: format!("{name}: loss at rising learning rates"),
        x_label: "learning rate, as a power of ten".to_owned(),
        y_label: "nats per character".to_owned(),
        right: None,
        x: (
            ends.0.map_or(0.0, |point| point.rate.log10()),
            ends.1.map_or(1.0, |point| point.rate.log10()),
        ),
        y,
        curves: vec![
            curve("each batch", GREY, Stroke::Thin, |point| point.loss),
            curve("smoothed", BLUE, Stroke::Thick, |point| point.smoothed),
        ],
        mark: mark(finder),
    };
    let place = PanelRect {
        left: 0,
        top: 0,
        width: WIDTH,
        height: HEIGHT,
    };
    plot::png(&[(place, panel)], WIDTH, HEIGHT)
}

/// The suggested rate, if there is one.
fn mark(finder: &LrFinder) -> Option<Mark> {
    let rate = finder.suggestion().ok()?.rate;
    let point = finder.points.iter().find(|point| point.rate >= rate)?;
    Some(Mark {
        label: format!("suggested: {rate}"),
        colour: RED,
        at: (rate.log10(), point.smoothed),
    })
}
