//! Plot of several runs.

use anyhow::Result;

use super::figures::{COLOURS, clipped, extent, loss_panel, loss_range};
use super::{Curve, Panel, Points, Stroke};
use crate::report::compare::Compared;

/// The held-out losses of all runs over their epochs, as SVG.
///
/// # Errors
/// If the embedded font can't be used.
pub fn svg(runs: &[Compared]) -> Result<String> {
    super::svg(&panel(&curves(runs)), SIZE.0, SIZE.1)
}

/// The same as PNG.
///
/// # Errors
/// If the embedded font can't be used.
pub fn png(runs: &[Compared]) -> Result<Vec<u8>> {
    super::picture(&panel(&curves(runs)), SIZE.0, SIZE.1)
}

/// Width and height of the picture.
const SIZE: (u32, u32) = (960, 520);

fn curves(runs: &[Compared]) -> Vec<(String, Points)> {
    let label = |run: &Compared| format!("{}: {:.3}", run.run, run.nats_per_char);
    runs.iter()
        .map(|run| (label(run), run.curve.clone()))
        .collect()
}

fn panel(runs: &[(String, Points)]) -> Panel {
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
