//! The curves of the losses.

use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType};

use super::board::Board;

const TRAINING: Color = Color::Cyan;
const HELD_OUT: Color = Color::Yellow;

/// Both losses over the epochs, with their newest values above.
pub(super) fn losses<'b>(board: &'b Board, area: Rect) -> Chart<'b> {
    let (training, held_out) = (board.training.curve.points(), board.held_out.points());
    let curve = |points: &'b [(f64, f64)], marker, color| {
        let dataset = Dataset::default().data(points).marker(marker);
        dataset.graph_type(GraphType::Line).style(color)
    };
    let curves = vec![
        curve(training, Marker::Braille, TRAINING),
        curve(held_out, Marker::Dot, HELD_OUT),
    ];
    let last = |points: &[(f64, f64)]| points.last().map_or(0.0, |point| point.0);
    let end = last(training).max(last(held_out));
    let (low, high) = bounds(&[training, held_out]);
    let axis = |bounds: [f64; 2], labels: Vec<String>| {
        let labels = labels.into_iter().map(Line::from);
        Axis::default().bounds(bounds).labels(labels).dark_gray()
    };
    let count = (area.height / 4).clamp(2, 5);
    let tick = |at| low + (high - low) * f64::from(at) / f64::from(count - 1);
    let losses = (0..count).map(|at| format!("{:.2}", tick(at))).collect();
    let digits = if end < 10.0 { 1 } else { 0 };
    let middle = end / 2.0;
    let epochs = vec![
        "0".to_owned(),
        format!("{middle:.digits$}"),
        format!("{end:.digits$} epochs"),
    ];
    Chart::new(curves)
        .block(Block::new().borders(Borders::TOP).title(legend(board)))
        .x_axis(axis([0.0, end.max(1e-9)], epochs))
        .y_axis(axis([low, high], losses))
        .legend_position(None)
}

fn legend(board: &Board) -> Line<'static> {
    let value = |name: &str, value: Option<f64>, color| {
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        Span::styled(format!(" {name} {value} "), Style::new().fg(color).bold())
    };
    Line::from(vec![
        value("training", board.training.last(), TRAINING),
        value("held out", board.last, HELD_OUT),
        Span::raw("nats/char "),
    ])
}

/// The lowest value, and one that nearly all stay below: the few of the beginning would press the
/// rest to the ground.
fn bounds(curves: &[&[(f64, f64)]]) -> (f64, f64) {
    const SHOWN: f64 = 0.97;
    let points = curves.iter().flat_map(|points| points.iter());
    let mut values: Vec<f64> = points.map(|point| point.1).collect();
    values.sort_by(f64::total_cmp);
    let at = (values.len().saturating_sub(1) as f64 * SHOWN).ceil() as usize;
    let (Some(&low), Some(&high)) = (values.first(), values.get(at)) else {
        return (0.0, 1.0);
    };
    let margin = (0.05 * (high - low)).max(1e-3);
    (low - margin, high + margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_leave_out_the_first_few_values() {
        let mut points = vec![(0.0, 99.0)];
        points.extend((1..100).map(|at| (f64::from(at), 2.0)));
        points.push((100.0, 1.0));
        let (low, high) = bounds(&[&points, &[(50.0, 1.5)]]);
        assert!((low - 0.95).abs() < 1e-9 && (high - 2.05).abs() < 1e-9);
        assert_eq!(bounds(&[&[], &[]]), (0.0, 1.0));
        let (low, high) = bounds(&[&[(0.0, 1.0)], &[]]);
        assert!(low < 1.0 && high > 1.0);
    }
}
