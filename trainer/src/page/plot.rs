//! Panels of curves, as SVG and as PNG by the same drawing.

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::register_font;

use super::ticks::Ticks;

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

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stroke {
    Thin,
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

/// Where a panel is in a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
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
        Pen::new(SVG_UNITS)?.panel(&area, panel)?;
        area.present().map_err(plain)?;
    }
    let large = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    Ok(text.replacen(&large, &format!("width=\"{width}\" height=\"{height}\""), 1))
}

/// Panels as the bytes of a PNG file.
pub(crate) fn png(panels: &[(Place, Panel)], width: u32, height: u32) -> Result<Vec<u8>> {
    let units = PNG_PIXELS * PNG_SAMPLES;
    let size = (width * units, height * units);
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&PAPER).map_err(plain)?;
        let pen = Pen::new(units)?;
        for (place, panel) in panels {
            let corner = (place.left * units, place.top * units);
            let size = (place.width * units, place.height * units);
            pen.panel(&root.clone().shrink(corner, size), panel)?;
        }
        root.present().map_err(plain)?;
    }
    encode(&averaged(&pixels, size.0 as usize), width * PNG_PIXELS, height * PNG_PIXELS)
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
}

impl Pen {
    fn new(unit: u32) -> Result<Self> {
        let font = dejavu::sans::regular();
        let registered = register_font(FONT, FontStyle::Normal, font);
        registered.ok().context("the embedded font can't be used")?;
        Ok(Self { unit: f64::from(unit) })
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
        let margin = if panel.right.is_some() { 8.0 } else { 18.0 };
        let right = if panel.right.is_some() { 58.0 } else { 0.0 };
        let scale = panel.right.as_ref().map_or(1.0, |(_, scale)| *scale);
        let other = (panel.y.0 * scale, panel.y.1 * scale);
        let (width, height) = below.dim_in_pixel();
        let count = |length: u32, apart: f64| (f64::from(length) / self.unit / apart) as usize;
        let (columns, rows) = (count(width, 90.0).max(2), count(height, 45.0).max(2));
        let [x, y, others] = [(panel.x, columns), (panel.y, rows), (other, rows)].map(Ticks::of);
        let mut chart = ChartBuilder::on(&below)
            .margin_left(self.units(8.0))
            .margin_right(self.units(margin))
            .x_label_area_size(self.units(42.0))
            .y_label_area_size(self.units(60.0))
            .right_y_label_area_size(self.units(right))
            .build_cartesian_2d(x.clone(), y)
            .map_err(plain)?
            .set_secondary_coord(x, others);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(self.line(GRID, 1.0))
            .axis_style(self.line(INK, 1.0))
            .label_style(self.text(12.0))
            .axis_desc_style(self.text(13.0))
            .x_desc(panel.x_label.as_str())
            .y_desc(panel.y_label.as_str())
            .set_all_tick_mark_size(self.units(4.0))
            .draw()
            .map_err(plain)?;
        if let Some((label, _)) = &panel.right {
            chart
                .configure_secondary_axes()
                .axis_style(self.line(INK, 1.0))
                .label_style(self.text(12.0))
                .axis_desc_style(self.text(13.0))
                .y_desc(label.as_str())
                .set_all_tick_mark_size(self.units(4.0))
                .draw()
                .map_err(plain)?;
        }
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

    /// The title and, below it, what the curves are; gives the height that they take.
    fn heading<B: DrawingBackend>(&self, area: &Area<B>, panel: &Panel) -> Result<i32> {
        let from = self.units(10.0);
        let mut at = (from, self.units(8.0));
        let title = self.text(15.0);
        area.draw(&Text::new(panel.title.as_str(), at, title)).map_err(plain)?;
        at.1 += self.units(24.0);
        let curves = panel.curves.iter();
        let curves = curves.map(|curve| (&curve.label, curve.colour, Some(curve.stroke)));
        let mark = panel.mark.iter().map(|mark| (&mark.label, mark.colour, None));
        let style = self.text(12.0);
        let entries: Vec<_> = curves.chain(mark).filter(|(label, ..)| !label.is_empty()).collect();
        let height = if entries.is_empty() { 0.0 } else { 22.0 };
        for (label, colour, stroke) in entries {
            let (width, _) = area.estimate_text_size(label, &style).map_err(plain)?;
            let (swatch, gap) = (self.units(26.0), self.units(7.0));
            let width = width as i32 + swatch + gap;
            if at.0 > from && at.0 + width > area.dim_in_pixel().0 as i32 {
                at = (from, at.1 + self.units(18.0));
            }
            let y = at.1 + self.units(4.5);
            match stroke {
                Some(stroke) => self.curve(area, colour, stroke, vec![(at.0, y), (at.0 + swatch, y)])?,
                None => self.mark(area, (at.0 + swatch / 2, y), colour)?,
            }
            let place = (at.0 + swatch + gap, at.1);
            area.draw(&Text::new(label.as_str(), place, style.clone())).map_err(plain)?;
            at.0 += width + self.units(20.0);
        }
        Ok(at.1 + self.units(height))
    }

    fn curve<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        colour: RGBColor,
        stroke: Stroke,
        points: Vec<(i32, i32)>,
    ) -> Result<()> {
        match stroke {
            // A line needs two ends.
            _ if points.len() == 1 => {
                area.draw(&Circle::new(points[0], self.units(2.5), colour.filled()))
            }
            Stroke::Thin => area.draw(&PathElement::new(points, self.line(colour, 1.0))),
            Stroke::Medium => area.draw(&PathElement::new(points, self.line(colour, 1.5))),
            Stroke::Thick => area.draw(&PathElement::new(points, self.line(colour, 2.5))),
            Stroke::Dashed => {
                let (dash, gap) = (self.units(7.0), self.units(5.0));
                area.draw(&DashedPathElement::new(points, dash, gap, self.line(colour, 1.5)))
            }
        }
        .map_err(plain)
    }

    /// A ring, filled with paper.
    fn mark<B: DrawingBackend>(&self, area: &Area<B>, at: (i32, i32), colour: RGBColor) -> Result<()> {
        area.draw(&Circle::new(at, self.units(5.0), colour.filled())).map_err(plain)?;
        area.draw(&Circle::new(at, self.units(2.5), PAPER.filled())).map_err(plain)
    }
}
