//! Draws the dashboard, in a terminal of any size.

use indicatif::{FormattedDuration, HumanCount};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Gauge, Paragraph, Wrap};

use super::board::Board;
use super::chart::losses;
use super::series::Series;
use crate::inference::sample::{Sample, TEMPERATURES};
use crate::train::control::Request;

/// Rows of the curves, if there are as many; columns of the figures beside them.
const CURVES: u16 = 9;
const FIGURES: u16 = 34;
/// With fewer rows only the curves are shown.
const LEAST: u16 = 3;
/// Columns that the curves need beside the figures.
const CURVES_WIDTH: u16 = 36;
/// Columns of a sample's temperature.
const LABEL: u16 = 5;
/// Columns of a figure's name and of its value.
const NAME: usize = 10;
const VALUE: usize = 9;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board) {
    let area = frame.area();
    let body = area.height.saturating_sub(2);
    let wanted = 1 + TEMPERATURES.len() as u16 * rows_of_text(board, area.width);
    let mut curves = body.saturating_sub(wanted + body / 5).max(CURVES).min(body);
    if body - curves < LEAST {
        curves = body;
    }
    let samples = wanted.min(body - curves);
    let [head, curves, samples, log, foot] = Layout::vertical([
        Constraint::Length(area.height.min(1)),
        Constraint::Length(curves),
        Constraint::Length(samples),
        Constraint::Fill(1),
        Constraint::Length(u16::from(area.height > 1)),
    ])
    .areas(area);
    frame.render_widget(progress(board), head);
    draw_curves(frame, board, curves);
    draw_samples(frame, board, samples);
    draw_log(frame, board, log);
    frame.render_widget(keys(board), foot);
}

/// Rows that a text of the sample takes.
fn rows_of_text(board: &Board, width: u16) -> u16 {
    let texts = board.sample.iter().flat_map(|(_, sample)| &sample.texts);
    let longest = texts.map(|text| text.text.chars().count()).max();
    let rows = longest.map_or(1, |chars| {
        chars.div_ceil(width.saturating_sub(LABEL).max(1).into())
    });
    rows.clamp(1, 4) as u16
}

/// How far the training is.
fn progress(board: &Board) -> Gauge<'static> {
    let share = board.share().clamp(0.0, 1.0);
    let left = board.left().map_or_else(String::new, |left| {
        format!("  {} left", FormattedDuration(left))
    });
    let label = format!(
        "{}  epoch {} of {}  {:.1} %{left}",
        board.start.name,
        (board.now.epoch + 1).min(board.start.epochs.max(1)),
        board.start.epochs,
        100.0 * share,
    );
    let style = Style::new().fg(Color::Blue).bg(Color::Black);
    Gauge::default()
        .ratio(share)
        .label(Span::styled(label, Style::new().fg(Color::White).bold()))
        .gauge_style(style)
}

fn draw_curves(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    if area.width < CURVES_WIDTH + FIGURES {
        frame.render_widget(losses(board, area), area);
        return;
    }
    let widths = [Constraint::Fill(1), Constraint::Length(FIGURES)];
    let [curves, figures] = Layout::horizontal(widths).spacing(1).areas(area);
    frame.render_widget(losses(board, curves), curves);
    let block = Block::new().borders(Borders::TOP).title(" figures ");
    frame.render_widget(Paragraph::new(figures_of(board)).block(block), figures);
}

/// Figures by name, those that change with a small curve.
fn figures_of(board: &Board) -> Vec<Line<'static>> {
    let count = |count: usize| HumanCount(count as u64).to_string();
    let (steps, of) = (count(board.now.step), count(board.start.steps));
    let best = board
        .best
        .map(|(epoch, loss)| format!("{loss:.3} in epoch {epoch}"));
    let now = board.steps.as_ref();
    let rate = now.map(|now| format!("{:.2e}", now.learning_rate));
    let norm = now.map(|now| format!("{:.3}", now.gradient_norm));
    let speed = now.map(|now| count(now.chars_per_second as usize));
    let time = FormattedDuration(board.elapsed()).to_string();
    vec![
        figure("lowest", best, None),
        figure("rate", rate, Some(&board.learning_rate)),
        figure("gradient", norm, Some(&board.gradient_norm)),
        figure("chars/s", speed, Some(&board.speed)),
        figure("step", Some(format!("{steps} of {of}")), None),
        figure("running", Some(time), None),
    ]
}

fn figure(name: &str, value: Option<String>, curve: Option<&Series>) -> Line<'static> {
    let width = usize::from(FIGURES) - NAME - VALUE - 1;
    let curve = curve.map_or_else(String::new, |curve| curve.sparkline(width));
    let value = value.unwrap_or_else(|| "-".to_owned());
    Line::from(vec![
        Span::raw(format!("{name:NAME$}")).dark_gray(),
        Span::raw(format!("{value:VALUE$} ")),
        Span::raw(curve).green(),
    ])
}

fn draw_samples(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let Some((step, sample)) = &board.sample else {
        let block = Block::new().borders(Borders::TOP).title(" samples ");
        let hint = Line::from(" none yet: s makes one").dark_gray();
        frame.render_widget(Paragraph::new(hint).block(block), area);
        return;
    };
    let title = format!(" samples after step {} ", HumanCount(*step as u64));
    let block = Block::new().borders(Borders::TOP).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    draw_texts(frame, sample, inner);
}

/// Each temperature in rows of its own, as many as fit.
fn draw_texts(frame: &mut Frame<'_>, sample: &Sample, area: Rect) {
    let rows = (area.height / TEMPERATURES.len() as u16).max(1);
    for (at, text) in sample.texts.iter().enumerate() {
        let row = Rect {
            y: area.y + at as u16 * rows,
            height: rows,
            ..area
        };
        let widths = [Constraint::Length(LABEL), Constraint::Fill(1)];
        let [label, place] = Layout::horizontal(widths).areas(row.intersection(area));
        let temperature = Line::from(format!(" {:.1}", text.temperature)).magenta();
        frame.render_widget(temperature, label);
        let text = Paragraph::new(text.text.replace('\n', " ⏎ "));
        frame.render_widget(text.wrap(Wrap { trim: true }), place);
    }
}

/// The last lines that fit.
fn draw_log(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let fit = usize::from(area.height.saturating_sub(1));
    let lines = board.log.iter().skip(board.log.len().saturating_sub(fit));
    let lines: Vec<Line<'_>> = lines.map(|line| Line::raw(format!(" {line}"))).collect();
    let block = Block::new().borders(Borders::TOP).title(" log ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The keys, and what was asked for and is still to be done.
fn keys(board: &Board) -> Line<'static> {
    let awaited = board.awaited.map_or("", |request| match request {
        Request::Sample => "sampling after this batch",
        Request::Save => "saving after this batch",
        Request::Stop => "saving and stopping after this batch",
    });
    let key = |key: &'static str| Span::raw(key).bold().reversed();
    Line::from(vec![
        key(" s "),
        Span::raw(" sample  "),
        key(" w "),
        Span::raw(" save  "),
        key(" q "),
        Span::raw(" save and stop   "),
        Span::raw(awaited).yellow(),
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::inference::novelty::Novelty;
    use crate::inference::sample::Text;
    use crate::train::metrics::{EpochMetrics, StepMetrics};
    use crate::train::observer::{ProgressSnapshot, Start};

    fn steps(step: usize) -> StepMetrics {
        StepMetrics {
            step,
            epoch: step as f64 / 100.0,
            train_nats_per_char: 1.0 + 30.0 / (10.0 + step as f64),
            smoothed_nats_per_char: 2.0,
            learning_rate: 0.00123,
            gradient_norm: 0.456,
            chars_per_second: 98_765.0,
        }
    }

    fn epoch(epoch: usize) -> EpochMetrics {
        EpochMetrics {
            epoch,
            steps: 100 * epoch,
            train_nats_per_char: 1.5,
            smoothed_nats_per_char: None,
            validation_nats_per_char: 1.25 + 0.125 / epoch as f64,
            learning_rate: 0.001,
            gradient_norm: 0.5,
            chars_per_second: 1e5,
            seconds: 60.0,
            known_lines: None,
            longest_copy: None,
        }
    }

    fn board() -> Board {
        let mut board = Board::default();
        let start = Start {
            name: "alice".to_owned(),
            epochs: 20,
            steps: 2000,
            chars: 2_000_000,
            log_every: 20,
            now: ProgressSnapshot::default(),
        };
        let past: Vec<StepMetrics> = (1..=100).map(steps).collect();
        board.begin(&start, &past, &[epoch(1)]);
        (101..250).for_each(|step| board.steps(&steps(step)));
        board.epoch(&epoch(2));
        board.now = ProgressSnapshot {
            epoch: 2,
            step: 250,
            chars: 250_000,
            nats_per_char: 1.2,
            elapsed: Duration::ZERO,
        };
        board.line("data      alice\nepoch   2/20  held out 1.312");
        let texts = TEMPERATURES.map(|temperature| Text {
            temperature,
            text: format!(
                "said the\nqueen at {temperature} {}",
                "and so on ".repeat(9)
            ),
        });
        board.sample(&Sample {
            texts: texts.to_vec(),
            novelty: Novelty::KnownLines(0.0),
        });
        board
    }

    fn screen(board: &Board, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, board)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn everything_is_on_a_screen_of_80_by_24() {
        let screen = screen(&board(), 80, 24);
        for part in [
            "alice  epoch 3 of 20  12.5 %",
            "left",
            "training 1.1",
            "held out 1.312",
            "epochs",
            "1.23e-3",
            "0.456",
            "98,765",
            "250 of 2,000",
            "1.312 in epoch 2",
            "samples after step 250",
            " 0.2 said the ⏎ queen at 0.2 and so on",
            " 1.2 said the ⏎ queen at 1.2 and so on",
            "data      alice",
            "epoch   2/20  held out 1.312",
            " s  sample   w  save   q  save and stop",
        ] {
            assert!(screen.contains(part), "{part:?} is missing in\n{screen}");
        }
        let is_dotted = |char: char| ('\u{2801}'..='\u{28ff}').contains(&char);
        assert!(screen.chars().filter(|&char| is_dotted(char)).count() > 10);
        assert!(screen.contains('•'), "{screen}");
    }

    #[test]
    fn any_size_is_drawn_and_so_is_a_training_that_has_only_begun() {
        for board in [Board::default(), board()] {
            for (width, height) in (1..100).step_by(7).flat_map(|width| {
                let heights = (1..30).map(move |height| (width, height));
                heights.chain([(width, 200)])
            }) {
                screen(&board, width, height);
            }
        }
        assert!(screen(&Board::default(), 80, 24).contains("none yet"));
    }

    #[test]
    fn a_small_screen_has_the_curves_alone() {
        let screen = screen(&board(), 50, 12);
        assert!(screen.contains("held out 1.312") && !screen.contains("samples"));
    }

    #[test]
    fn what_is_awaited_is_shown() {
        let mut board = board();
        board.awaited = Some(Request::Stop);
        assert!(screen(&board, 80, 24).contains("saving and stopping after this batch"));
    }
}
