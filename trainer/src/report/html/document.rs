//! The HTML document of a report.

use std::path::Path;

use anyhow::Result;
use charlet::format::Precision;
use indicatif::HumanCount;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use toml::{Table, Value};

use super::curves::Curves;
use super::figures::{Figure, panel};
use super::{Moment, Page, Status};
use crate::config::Mode;
use crate::data::corpus::Sequences;
use crate::export::footprint::needs;
use crate::export::form::Form;
use crate::inference::novelty::Novelty;
use crate::inference::sample::{Sample, Text};
use crate::model::layers::layers;
use crate::report::plot;
use crate::train::finalize::Measured;
use crate::util::shell;
use crate::util::shown::escaped;

const STYLE: &str = include_str!("style.css");
/// Seconds after which the page of a run under way loads itself again.
const RELOAD: u32 = 5;
/// Widths for which the figure of the losses is drawn: of a desk's screen and of a phone's.
const WIDE: (u32, u32) = (940, 400);
const NARROW: (u32, u32) = (380, 360);
const SMALL: (u32, u32) = (300, 230);

impl Page {
    /// The page as it is now.
    pub(super) fn html(&self, moment: Moment<'_>, curves: &Curves) -> Result<String> {
        let name = self.config.name();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if let Status::UnderWay = moment.status {
                        meta http-equiv="refresh" content=(RELOAD);
                    }
                    title { (name) ": a model by charlet" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        h1 { (name) }
                        p { (self.about()) }
                    }
                    main {
                        (self.status(moment))
                        (self.key_figures(moment, curves))
                        (self.figures(curves)?)
                        (self.samples())
                        (self.use_it())
                        (self.on_chip(moment.status)?)
                        (self.network())
                        (self.settings()?)
                    }
                    footer { p { "Made by charlet " (env!("CARGO_PKG_VERSION")) "." } }
                }
            }
        };
        // A browser drops controls and obeys bidirectional marks.
        Ok(escaped(&page.into_string()).into_owned())
    }

    /// Data and network.
    fn about(&self) -> String {
        let count = |sequences: &Sequences| match sequences {
            Sequences::Lines(lines) => format!("{} lines", HumanCount(lines.len() as u64)),
            Sequences::Text(text) => format!("{} characters", HumanCount(text.len() as u64)),
        };
        let network = &self.config.network;
        let layers = match network.num_layers {
            1 => "1 LSTM layer".to_owned(),
            several => format!("{several} LSTM layers"),
        };
        format!(
            "A model of characters for microcontrollers: {layers} of {}, which learnt from {} and is \
             measured on {} that were held out.",
            network.hidden_size,
            count(&self.corpus.train),
            count(&self.corpus.validation),
        )
    }

    fn status(&self, moment: Moment<'_>) -> Markup {
        let (epoch, epochs) = (moment.epoch + 1, self.config.training.epochs);
        let resume =
            html! { code { (shell::program_anywhere()) " train --resume ." } " in this folder" };
        html! {
            @match moment.status {
                Status::UnderWay => p.status {
                    strong { "Training is under way" }
                    ", in epoch " (epoch) " of " (epochs)
                    ". This page loads itself again every " (RELOAD) " seconds. A training that was killed \
                     goes on with " (resume) "."
                },
                Status::Stopped => p.status {
                    strong { "Training was stopped" }
                    " in epoch " (epoch) " of " (epochs) ". It goes on with " (resume) "."
                },
                Status::Complete(_) => {}
            }
        }
    }

    /// What one wants to know first.
    fn key_figures(&self, moment: Moment<'_>, curves: &Curves) -> Markup {
        let mut figures = Vec::new();
        if let Status::Complete([model, ..]) = moment.status {
            let loss = model.evaluation.summary();
            figures.push(match loss.bits_per_line {
                Some(bits) => (format!("{bits:.2}"), "bits per held-out line"),
                None => (
                    format!("{:.3}", loss.bits_per_char),
                    "bits per held-out character",
                ),
            });
        } else if let Some((_, loss)) = curves.best() {
            figures.push((format!("{loss:.3}"), "nats per held-out character, at best"));
        }
        let count = |number: usize| HumanCount(number as u64).to_string();
        figures.push((count(self.shape.parameter_count()), "parameters"));
        match self.sample.as_ref().map(|sample| &sample.novelty) {
            Some(Novelty::KnownLines(known)) => {
                figures.push((
                    format!("{:.0} %", 100.0 * (1.0 - known)),
                    "of its lines are new",
                ));
            }
            Some(Novelty::Copied(part)) => {
                figures.push((count(part.chars().count()), "characters copied at most"));
            }
            None => {}
        }
        figures.push((duration(moment.elapsed.as_secs_f64()), "of training"));
        html! {
            dl.key {
                @for (value, what) in figures { div { dd { (value) } dt { (what) } } }
            }
        }
    }

    fn figures(&self, curves: &Curves) -> Result<Markup> {
        let draw = |figure, (width, height)| -> Result<PreEscaped<String>> {
            plot::svg(&panel(figure, curves, self.baseline), width, height).map(PreEscaped)
        };
        let small = [Figure::LearningRate, Figure::GradientNorm, Figure::Speed];
        let small = small.into_iter().map(|figure| draw(figure, SMALL));
        let small: Vec<PreEscaped<String>> = small.collect::<Result<_>>()?;
        Ok(html! {
            h2 { "Curves" }
            figure #loss {
                div.wide { (draw(Figure::Loss, WIDE)?) }
                div.narrow { (draw(Figure::Loss, NARROW)?) }
            }
            div.row { @for drawn in small { figure { (drawn) } } }
            p.note {
                "Held out is what the network never learns from. Training has dropout, so its loss can be the higher one. \
                 Pairs of characters are the simplest model to beat: counts of which follows which."
            }
        })
    }

    fn samples(&self) -> Markup {
        let Some(sample) = &self.sample else {
            return html! {};
        };
        let is_list = self.config.data.mode == Mode::Lines;
        html! {
            h2 { "Samples" }
            div.scroll { table.samples {
                thead { tr { th { "temperature" } th { "what it says" } } }
                tbody {
                    @for Text { temperature, text } in &sample.texts {
                        tr {
                            th scope="row" { (format!("{temperature:.1}")) }
                            td.list[is_list].text[!is_list] { (text) }
                        }
                    }
                }
            } }
            (novelty(sample))
        }
    }

    /// The command that makes more.
    fn use_it(&self) -> Markup {
        let model = self.folder.model();
        let model = shell::path(Path::new(model.file_name().unwrap_or_default()));
        let length = match self.config.data.mode {
            Mode::Lines => "-n 20",
            Mode::Text => "--length 400",
        };
        html! {
            p { "To make more, in this folder:" }
            pre { code { (shell::program_anywhere()) " generate " (model) " " (length) " --temperature 0.8" } }
        }
    }

    /// What the model needs, and how good it is in each precision.
    fn on_chip(&self, status: Status<'_>) -> Result<Markup> {
        let measured = match status {
            Status::Complete(measured) => measured,
            _ => &[],
        };
        let is_list = self.config.data.mode == Mode::Lines;
        let exported = self.config.training.precision();
        let rows = [Precision::F32, Precision::I8, Precision::I4]
            .into_iter()
            .map(|precision| {
                let (training, alphabet) = (&self.config.training, &self.corpus.alphabet);
                let form = Form::of(training, self.shape, alphabet, precision)?;
                let needs = needs(self.shape, alphabet, form)?;
                let measured = measured
                    .iter()
                    .find(|measured| measured.precision == precision);
                Ok(html! {
                    tr {
                        th scope="row" { (precision) @if precision == exported { " (exported)" } }
                        td { (HumanCount(needs.flash as u64)) }
                        td { (HumanCount(needs.ram as u64)) }
                        (losses(measured, is_list))
                    }
                })
            });
        let rows = rows.collect::<Result<Vec<Markup>>>()?;
        Ok(html! {
            h2 { "On the chip" }
            div.scroll { table.numbers {
                thead { tr {
                    th { "precision" } th { "flash, bytes" } th { "RAM, bytes" }
                    th { "nats/char" } th { "bits/char" } @if is_list { th { "bits/line" } }
                } }
                tbody { @for row in rows { (row) } }
            } }
            p.note {
                (HumanCount(self.shape.macs_per_char() as u64))
                " multiply-accumulates per character. Flash is the size of the model's file. The losses are those of the held-out "
                (if is_list { "lines" } else { "text" })
                ", by the runtime's own arithmetic, which has the same bits on every chip"
                @if measured.is_empty() { "; they are measured when the training ends" } "."
            }
        })
    }

    fn network(&self) -> Markup {
        html! {
            h2 { "Network" }
            div.scroll { table.numbers {
                thead { tr { th { "layer" } th { "inputs" } th { "outputs" } th { "parameters" } } }
                tbody {
                    @for layer in layers(self.shape) {
                        tr {
                            th scope="row" { (layer.name) }
                            td { (layer.inputs) } td { (layer.outputs) }
                            td { (HumanCount(layer.parameters as u64)) }
                        }
                    }
                }
            } }
        }
    }

    /// All of `config.toml`.
    fn settings(&self) -> Result<Markup> {
        let sections = Table::try_from(&self.config)?;
        Ok(html! {
            h2 { "Settings" }
            div.columns {
                @for (section, settings) in &sections {
                    table.settings {
                        thead { tr { th colspan="2" { (section) } } }
                        tbody {
                            @for (name, value) in settings.as_table().into_iter().flatten() {
                                tr { th scope="row" { (name) } td { (shown(value)) } }
                            }
                        }
                    }
                }
            }
            p.note {
                "Also in " code { "config.toml" } ", with which "
                code { (shell::program_anywhere()) " train --config config.toml --out again" } " makes this model again."
            }
        })
    }
}

fn losses(measured: Option<&Measured>, is_list: bool) -> Markup {
    let loss = measured.map(|measured| measured.evaluation.summary());
    let cell = |value: Option<f64>, digits: usize| {
        html! { td { (value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))) } }
    };
    html! {
        (cell(loss.map(|loss| loss.nats_per_char), 4))
        (cell(loss.map(|loss| loss.bits_per_char), 4))
        @if is_list { (cell(loss.and_then(|loss| loss.bits_per_line), 2)) }
    }
}

fn novelty(sample: &Sample) -> Markup {
    html! { p { "New: " (sample.novelty) "." } }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time in its two largest units.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a colour of a figure is not replaced, it may be invisible on black.
    #[test]
    fn the_style_replaces_the_colours_of_figures_in_darkness() {
        let points = vec![(1.0, 3.0), (2.0, 2.0)];
        let curves = Curves {
            train: points.clone(),
            smoothed: points.clone(),
            held_out: points,
            ..Curves::default()
        };
        let drawn = plot::svg(&panel(Figure::Loss, &curves, 2.5), 300, 200).unwrap();
        let dark = STYLE.split_once("prefers-color-scheme: dark").unwrap().1;
        let mut replaced = 0;
        for name in ["fill", "stroke"] {
            for part in drawn.split(&format!(" {name}=\"#")).skip(1) {
                let attribute = format!("[{name}=\"#{}\"]", &part[..6]);
                replaced += usize::from(dark.contains(&attribute));
                // The one that is as grey on black as on white.
                let is_grey = part.starts_with("787878");
                assert!(is_grey || dark.contains(&attribute), "{attribute}");
            }
        }
        assert!(replaced > 20, "{replaced}");
    }

    #[test]
    fn a_time_has_two_units_at_most() {
        let shown = [0.25, 42.4, 100.0, 7261.0].map(duration);
        assert_eq!(shown, ["0.2 s", "42 s", "1 min 40 s", "2 h 1 min"]);
    }
}
