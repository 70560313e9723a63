//! Line plots as SVG. Colours are left to the style of the page: each line has a class of its own.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// More points of a line than the eye tells apart are thinned out.
const POINTS: usize = 600;
/// About so many ticks on an axis.
const TICKS: f64 = 5.0;

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What is seen.
    pub title: &'static str,
    /// What the axis to the right counts.
    pub x: &'static str,
    /// What the axis upwards counts.
    pub y: &'static str,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Neither negative nor infinite, by growing x.
    pub points: Vec<(f64, f64)>,
}

impl Plot {
    /// The figure, with its legend.
    pub fn figure(&self) -> String {
        let legend: String = self
            .lines
            .iter()
            .enumerate()
            .map(|(n, line)| {
                let key = format!("<svg width=\"28\" height=\"8\" aria-hidden=\"true\"><path class=\"line l{n}\" d=\"M0 4H28\"/></svg>");
                format!("<li>{key} {}</li>", escape(&line.name))
            })
            .collect();
        let title = escape(self.title);
        format!("<figure>\n<figcaption>{title}</figcaption>\n{}\n<ul class=\"legend\">{legend}</ul>\n</figure>\n", self.svg())
    }

    fn svg(&self) -> String {
        let most = |of: fn(&(f64, f64)) -> f64| self.lines.iter().flat_map(|line| &line.points).map(of).fold(0.0, f64::max);
        let (x_ticks, y_ticks) = (ticks(most(|point| point.0)), ticks(most(|point| point.1)));
        let x_end = most(|point| point.0).max(f64::MIN_POSITIVE);
        let y_end = y_ticks.last().copied().unwrap_or(1.0);
        let at_x = |x: f64| LEFT + x / x_end * (WIDTH - LEFT - RIGHT);
        let at_y = |y: f64| HEIGHT - BOTTOM - y / y_end * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!("<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(self.title));
        // Writing into a String does not fail.
        for tick in &y_ticks {
            let y = at_y(*tick);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT);
            let _ = write!(svg, "<text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", LEFT - 6.0, y + 4.0, label(*tick));
        }
        for tick in x_ticks.iter().filter(|tick| **tick <= x_end) {
            let _ = write!(svg, "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", at_x(*tick), HEIGHT - BOTTOM + 16.0, label(*tick));
        }
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        let _ = write!(svg, "<text class=\"x\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>", HEIGHT - 6.0, escape(self.x));
        let high = f64::midpoint(TOP, HEIGHT - BOTTOM);
        let _ = write!(svg, "<text class=\"x\" transform=\"translate(13 {high:.1}) rotate(-90)\">{}</text>", escape(self.y));
        for (n, line) in self.lines.iter().enumerate() {
            let _ = write!(svg, "<path class=\"line l{n}\" d=\"");
            for (m, (x, y)) in thinned(&line.points).enumerate() {
                let _ = write!(svg, "{}{:.1} {:.1}", if m == 0 { "M" } else { "L" }, at_x(x), at_y(y));
            }
            let _ = write!(svg, "\"><title>{}</title></path>", escape(&line.name));
        }
        svg + "</svg>"
    }
}

/// At most [`POINTS`] of them, and always the last.
fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(move |(n, _)| n % step == 0 || *n == last).map(|(_, point)| *point)
}

/// From 0 to at least `most`, in steps of 1, 2 or 5 times a power of ten.
fn ticks(most: f64) -> Vec<f64> {
    if most.is_nan() || most <= 0.0 {
        return vec![0.0, 1.0];
    }
    let power = 10_f64.powf((most / TICKS).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| most / step <= TICKS).unwrap_or(most);
    let mut ticks = vec![0.0];
    while let Some(last) = ticks.last().filter(|last| **last < most) {
        // Not by adding up, which adds up errors.
        let count = (last / step).round() + 1.0;
        ticks.push(count * step);
    }
    ticks
}

/// As short as it can be.
fn label(value: f64) -> String {
    let digits = if value >= 10.0 || value == 0.0 { 0 } else { 3 };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Text in HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
