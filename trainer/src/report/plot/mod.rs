//! Panels of curves, as SVG and as PNG by the same drawing.

pub mod comparison;
pub(crate) mod figures;
pub mod lr_finder;
mod ticks;

use std::borrow::Cow;

use anyhow::{Context, Result, anyhow};
use plotters::chart::DualCoordChartContext;
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::register_font;

use self::ticks::Ticks;
use crate::util::shown::escaped;

/// The name under which the embedded font is known; also what a browser takes.
const FONT: &str = "sans-serif";
/// Backends place things at whole units, so that a pixel has several of them.
const SVG_UNITS: u32 = 8;
/// A picture has twice as many pixels as the layout has units, each the mean of two by two.
const PNG_PIXELS: u32 = 2;
const PNG_SAMPLES: u32 = 2;

/// What everything but the curves is drawn with. A page changes these for darkness by its style.
pub(crate) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(crate) const INK: RGBColor = RGBColor(51, 51, 51);
pub(crate) const GRID: RGBColor = RGBColor(224, 224, 224);

/// Points of a curve: epochs, and what it was then.
pub(crate) type Points = Vec<(f64, f64)>;

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stroke {
    Thin,
    #[cfg_attr(
        not(feature = "html"),
        expect(dead_code, reason = "for the figures of a run's page")
    )]
    Medium,
    Thick,
    Dashed,
}

/// A curve, in the order of x.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) label: String,
    pub(crate) colour: RGBColor,
    pub(crate) stroke: Stroke,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A place that is pointed out.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) label: String,
    pub(crate) colour: RGBColor,
    pub(crate) at: (f64, f64),
}

/// Curves over the same axes.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    /// Another unit of y, on the right: its name, and how many of it are one.
    pub(crate) right: Option<(String, f64)>,
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
    pub(crate) curves: Vec<Curve>,
    pub(crate) mark: Option<Mark>,
}

type Area<B> = DrawingArea<B, Shift>;
type Axes = Cartesian2d<Ticks, Ticks>;
type Chart<'a, B> = DualCoordChartContext<'a, B, Axes, Axes>;

/// Where a panel is in a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PanelRect {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A panel as an SVG element.
pub(crate) fn svg(panel: &Panel, width: u32, height: u32) -> Result<String> {
    let mut text = String::new();
    let size = (width * SVG_UNITS, height * SVG_UNITS);
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        Pen::new(SVG_UNITS, true)?.panel(&area, panel)?;
        area.present().map_err(plain)?;
    }
    let large = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    Ok(text.replacen(&large, &format!("width=\"{width}\" height=\"{height}\""), 1))
}

/// A panel as the bytes of a PNG file.
pub(crate) fn picture(panel: &Panel, width: u32, height: u32) -> Result<Vec<u8>> {
    let place = PanelRect {
        left: 0,
        top: 0,
        width,
        height,
    };
    png(&[(place, panel.clone())], width, height)
}

/// Panels as the bytes of a PNG file.
pub(crate) fn png(panels: &[(PanelRect, Panel)], width: u32, height: u32) -> Result<Vec<u8>> {
    let units = PNG_PIXELS * PNG_SAMPLES;
    let size = (width * units, height * units);
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&PAPER).map_err(plain)?;
        let pen = Pen::new(units, false)?;
        for (place, panel) in panels {
            let corner = (place.left * units, place.top * units);
            let size = (place.width * units, place.height * units);
            pen.panel(&root.clone().shrink(corner, size), panel)?;
        }
        root.present().map_err(plain)?;
    }
    encode(
        &averaged(&pixels, size.0 as usize),
        width * PNG_PIXELS,
        height * PNG_PIXELS,
    )
}

/// The mean of every square of pixels, which makes edges smooth.
fn averaged(pixels: &[u8], width: usize) -> Vec<u8> {
    let side = PNG_SAMPLES as usize;
    let row = 3 * width;
    let mut smooth = Vec::with_capacity(pixels.len() / (side * side));
    for rows in pixels.chunks_exact(side * row) {
        for square in (0..row).step_by(3 * side) {
            for channel in 0..3 {
                let samples = (0..side * side)
                    .map(|at| rows[at / side * row + square + 3 * (at % side) + channel]);
                let sum: usize = samples.map(usize::from).sum();
                smooth.push((sum / (side * side)) as u8);
            }
        }
    }
    smooth
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

/// An error of a backend, whose type knows the backend.
fn plain(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("can't draw: {error}")
}

/// Draws panels in units of some size.
struct Pen {
    unit: f64,
    /// Whether the backend joins the parts of a line. Where it draws pixels, sharp corners would
    /// become long spikes.
    joins: bool,
}

impl Pen {
    fn new(unit: u32, joins: bool) -> Result<Self> {
        let font = dejavu::sans::regular();
        let registered = register_font(FONT, FontStyle::Normal, font);
        registered.ok().context("the embedded font can't be used")?;
        Ok(Self {
            unit: f64::from(unit),
            joins,
        })
    }

    fn units(&self, length: f64) -> i32 {
        (length * self.unit).round() as i32
    }

    fn text(&self, size: f64) -> TextStyle<'static> {
        (FONT, size * self.unit).into_font().color(&INK)
    }

    fn line(&self, colour: RGBColor, width: f64) -> ShapeStyle {
        colour.stroke_width((width * self.unit).round().max(1.0) as u32)
    }

    /// Draws a panel into all of an area.
    fn panel<B: DrawingBackend>(&self, area: &Area<B>, panel: &Panel) -> Result<()> {
        let top = self.heading(area, panel)?;
        let (_, below) = area.split_vertically(top);
        let chart = self.axes(&below, panel)?;
        // A chart knows places in the whole picture.
        let (left, top) = area.get_base_pixel();
        let place = |point: &(f64, f64)| {
            let (x, y) = chart.backend_coord(point);
            (x - left, y - top)
        };
        for curve in &panel.curves {
            let points: Vec<_> = curve.points.iter().map(place).collect();
            self.curve(area, curve.colour, curve.stroke, points)?;
        }
        if let Some(mark) = &panel.mark {
            self.mark(area, place(&mark.at), mark.colour)?;
        }
        Ok(())
    }

    /// Draws the axes, which know where everything else is.
    fn axes<'a, B: DrawingBackend>(&self, area: &Area<B>, panel: &Panel) -> Result<Chart<'a, B>> {
        let (margin, right, scale) = match &panel.right {
            Some((_, scale)) => (8.0, 58.0, *scale),
            None => (18.0, 0.0, 1.0),
        };
        let other = (panel.y.0 * scale, panel.y.1 * scale);
        let (width, height) = area.dim_in_pixel();
        let count = |length: u32, apart: f64| (f64::from(length) / self.unit / apart) as usize;
        let (columns, rows) = (count(width, 90.0).max(2), count(height, 45.0).max(2));
        let [x, y, others] = [(panel.x, columns), (panel.y, rows), (other, rows)].map(Ticks::of);
        let mut chart = ChartBuilder::on(area)
            .margin_left(self.units(8.0))
            .margin_right(self.units(margin))
            .x_label_area_size(self.units(42.0))
            .y_label_area_size(self.units(60.0))
            .right_y_label_area_size(self.units(right))
            .build_cartesian_2d(x.clone(), y)
            .map_err(plain)?
            .set_secondary_coord(x, others);
        let (axis, label, unit) = (self.line(INK, 1.0), self.text(12.0), self.text(13.0));
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(self.line(GRID, 1.0))
            .axis_style(axis)
            .label_style(label.clone())
            .axis_desc_style(unit.clone())
            .x_desc(panel.x_label.as_str())
            .y_desc(panel.y_label.as_str())
            .set_all_tick_mark_size(self.units(4.0))
            .draw()
            .map_err(plain)?;
        if let Some((name, _)) = &panel.right {
            let mut right = chart.configure_secondary_axes();
            right
                .axis_style(axis)
                .label_style(label)
                .axis_desc_style(unit);
            right
                .y_desc(name.as_str())
                .set_all_tick_mark_size(self.units(4.0));
            right.draw().map_err(plain)?;
        }
        Ok(chart)
    }

    /// The title and, below it, what the curves are; gives the height that they take.
    fn heading<B: DrawingBackend>(&self, area: &Area<B>, panel: &Panel) -> Result<i32> {
        let corner = (self.units(10.0), self.units(8.0));
        let title = Text::new(escaped(&panel.title), corner, self.text(15.0));
        area.draw(&title).map_err(plain)?;
        let below = (corner.0, corner.1 + self.units(24.0));
        let curves = panel.curves.iter().filter(|curve| !curve.label.is_empty());
        let curves = curves.map(|curve| (escaped(&curve.label), curve.colour, Some(curve.stroke)));
        let mark = panel.mark.iter();
        let mark = mark.map(|mark| (escaped(&mark.label), mark.colour, None));
        let entries: Vec<_> = curves.chain(mark).collect();
        if entries.is_empty() {
            return Ok(below.1);
        }
        let last = self.legend(area, below, &entries)?;
        Ok(last + self.units(22.0))
    }

    /// Names with samples of their lines, in as many rows as they need; gives where the last one is.
    fn legend<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        from: (i32, i32),
        entries: &[(Cow<'_, str>, RGBColor, Option<Stroke>)],
    ) -> Result<i32> {
        let style = self.text(12.0);
        let (swatch, gap) = (self.units(26.0), self.units(7.0));
        let end = area.dim_in_pixel().0 as i32;
        let mut at = from;
        for (label, colour, stroke) in entries {
            let (width, _) = area.estimate_text_size(label, &style).map_err(plain)?;
            let width = width as i32 + swatch + gap;
            if at.0 > from.0 && at.0 + width > end {
                at = (from.0, at.1 + self.units(18.0));
            }
            let y = at.1 + self.units(4.5);
            match stroke {
                Some(stroke) => {
                    self.curve(area, *colour, *stroke, vec![(at.0, y), (at.0 + swatch, y)])?
                }
                None => self.mark(area, (at.0 + swatch / 2, y), *colour)?,
            }
            let place = (at.0 + swatch + gap, at.1);
            let text = Text::new(label.as_ref(), place, style.clone());
            area.draw(&text).map_err(plain)?;
            at.0 += width + self.units(20.0);
        }
        Ok(at.1)
    }

    fn curve<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        colour: RGBColor,
        stroke: Stroke,
        points: Vec<(i32, i32)>,
    ) -> Result<()> {
        let width = match stroke {
            Stroke::Thin => 1.0,
            Stroke::Medium => 1.5,
            Stroke::Thick => 2.5,
            Stroke::Dashed => {
                let (dash, gap) = (self.units(7.0), self.units(5.0));
                let style = self.line(colour, 1.5);
                let dashes = DashedPathElement::new(points, dash, gap, style);
                return area.draw(&dashes).map_err(plain);
            }
        };
        let style = self.line(colour, width);
        let is_single = points.len() == 1;
        if is_single || !self.joins {
            let radius = if is_single { 2.5 } else { width / 2.0 };
            let dot = |&at: &(i32, i32)| Circle::new(at, self.units(radius), colour.filled());
            points
                .iter()
                .map(dot)
                .try_for_each(|dot| area.draw(&dot))
                .map_err(plain)?;
        }
        if self.joins {
            return area.draw(&PathElement::new(points, style)).map_err(plain);
        }
        let mut parts = points.windows(2).map(|part| PathElement::new(part, style));
        parts.try_for_each(|part| area.draw(&part)).map_err(plain)
    }

    /// A ring, filled with paper.
    fn mark<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        at: (i32, i32),
        colour: RGBColor,
    ) -> Result<()> {
        area.draw(&Circle::new(at, self.units(5.0), colour.filled()))
            .map_err(plain)?;
        area.draw(&Circle::new(at, self.units(2.5), PAPER.filled()))
            .map_err(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel() -> Panel {
        Panel {
            title: "<a & b>\u{1b}".to_owned(),
            x_label: "x".to_owned(),
            y_label: "y".to_owned(),
            right: None,
            x: (0.0, 10.0),
            y: (0.0, 1.0),
            curves: vec![Curve {
                label: "curve".to_owned(),
                colour: RGBColor(0, 114, 178),
                stroke: Stroke::Thick,
                points: vec![(0.0, 0.5), (10.0, 0.5)],
            }],
            mark: None,
        }
    }

    #[test]
    fn text_of_an_svg_is_escaped_and_its_size_is_that_asked_for() {
        let svg = svg(&panel(), 300, 200).unwrap();
        assert!(
            svg.contains("&lt;a &amp; b&gt;\\u{1b}") && !svg.contains("<a &"),
            "{svg}"
        );
        assert!(svg.starts_with("<svg width=\"300\" height=\"200\" viewBox=\"0 0 2400 1600\""));
    }

    /// In every panel of a picture, half-way up.
    #[test]
    fn a_curve_is_drawn_inside_its_panel() {
        let place = |left| PanelRect {
            left,
            top: 0,
            width: 200,
            height: 160,
        };
        let bytes = png(&[(place(0), panel()), (place(200), panel())], 400, 160).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let blue: Vec<(usize, usize)> = (0..pixels.len() / 3)
            .filter(|at| pixels[3 * at..3 * at + 3] == [0, 114, 178])
            .map(|at| (at % 800, at / 800))
            .collect();
        // Below the legend, whose swatches are in the first quarter.
        let (left, right): (Vec<_>, Vec<_>) = blue
            .into_iter()
            .filter(|at| at.1 > 108)
            .partition(|at| at.0 < 400);
        assert!(
            left.len() > 500 && left.len() == right.len(),
            "{} {}",
            left.len(),
            right.len()
        );
        let highest = left.iter().map(|at| at.1).min().unwrap();
        let lowest = left.iter().map(|at| at.1).max().unwrap();
        assert!(lowest - highest < 6, "a level line: {highest} to {lowest}");
    }
}
