//! One chart as inline SVG: curves over steps, with the range of what a pixel holds.

use std::fmt::Write;

use super::axis::{Axis, figure};
use super::page::escape;
use super::series::{Bucket, Series};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 548.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 186.0;

/// Colours that the style of the page has.
const COLOURS: usize = 8;

/// A chart.
pub struct Chart<'a> {
    /// What is drawn.
    pub title: &'a str,
    /// Curves with their names.
    pub curves: Vec<(&'a str, &'a Series)>,
    /// Whether the vertical axis begins at 0.
    pub from_zero: bool,
    /// Whether a moving mean is drawn over each curve.
    pub smooth: bool,
    /// Whether each value has a dot: for the few of evaluations.
    pub dots: bool,
}

/// Steps with a mark on every chart.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The last step.
    pub last: u64,
    /// Checkpoints, thinned out: a thousand ticks say no more than a hundred.
    pub checkpoints: Series,
    /// Where the run went on after it had stopped.
    pub resumes: Vec<u64>,
}

/// Resumes that are drawn at most.
const RESUMES_MAX: usize = 100;

impl Chart<'_> {
    /// Draws it; nothing where there is no value.
    pub fn draw(&self, marks: &Marks, out: &mut String) {
        let ranges = self.curves.iter().filter_map(|(_, series)| series.range());
        let Some((low, high)) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return;
        };
        let low = if self.from_zero { low.min(0.0) } else { low };
        let room = 0.04 * (high - low);
        let bottom = if self.from_zero && low == 0.0 {
            0.0
        } else {
            low - room
        };
        let x = Axis::new((0.0, marks.last.max(1) as f64), 6);
        let y = Axis::new((bottom, high + room), 4);
        let _ = write!(
            out,
            "<figure><figcaption>{}{}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" aria-label=\"{}\">",
            escape(self.title),
            self.legend(),
            escape(&self.told()),
        );
        axes(&x, &y, out);
        marked(&x, marks, out);
        for (number, (_, series)) in self.curves.iter().enumerate() {
            self.curve(number % COLOURS, series, (&x, &y), out);
        }
        out.push_str("</svg></figure>\n");
    }

    /// Names and last values of the curves.
    fn legend(&self) -> String {
        let mut legend = String::new();
        for (number, (name, series)) in self.curves.iter().enumerate() {
            let Some((_, last)) = series.last() else {
                continue;
            };
            let name = if self.curves.len() > 1 { *name } else { "" };
            let _ = write!(
                legend,
                " <span class=\"k\"><i class=\"s{}\"></i>{} <b>{}</b></span>",
                number % COLOURS,
                escape(name),
                figure(last)
            );
        }
        legend
    }

    /// The chart in words.
    fn told(&self) -> String {
        let curves = self.curves.iter().filter_map(|(name, series)| {
            let ((low, high), (step, last)) = (series.range()?, series.last()?);
            let (low, high, last) = (figure(low), figure(high), figure(last));
            Some(format!(
                "{name} from {low} to {high}, {last} at step {step}"
            ))
        });
        format!("{}: {}", self.title, curves.collect::<Vec<_>>().join("; "))
    }

    fn curve(&self, colour: usize, series: &Series, axes: (&Axis, &Axis), out: &mut String) {
        let buckets = series.buckets();
        if buckets.iter().any(|bucket| bucket.low < bucket.high) {
            band(colour, &buckets, axes, out);
        }
        let points = buckets.iter().map(|bucket| (bucket.step(), bucket.mean()));
        let points: Vec<(f64, f64)> = points.collect();
        let smooth = match self.smooth {
            true => series.smooth(),
            false => Vec::new(),
        };
        let class = if smooth.is_empty() { "l" } else { "r" };
        line(class, colour, &points, axes, out);
        line("l", colour, &smooth, axes, out);
        if points.len() == 1 || (self.dots && points.len() <= 60) {
            for (step, value) in points {
                let _ = write!(
                    out,
                    "<circle class=\"s{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"><title>step \
                     {step}: {}</title></circle>",
                    across(axes.0, step),
                    up(axes.1, value),
                    figure(value)
                );
            }
        }
    }
}

fn across(axis: &Axis, step: f64) -> f64 {
    LEFT + axis.place(step) * (RIGHT - LEFT)
}

fn up(axis: &Axis, value: f64) -> f64 {
    BOTTOM - axis.place(value) * (BOTTOM - TOP)
}

fn axes(x: &Axis, y: &Axis, out: &mut String) {
    for &tick in &y.ticks {
        let at = up(y, tick);
        let _ = write!(
            out,
            "<path class=\"g\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             class=\"e\">{}</text>",
            LEFT - 5.0,
            at + 3.5,
            y.label(tick)
        );
    }
    for &tick in &x.ticks {
        let at = across(x, tick);
        let _ = write!(
            out,
            "<path class=\"g\" d=\"M{at:.1} {BOTTOM}v4\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             class=\"m\">{}</text>",
            BOTTOM + 16.0,
            x.label(tick)
        );
    }
    let _ = write!(out, "<path class=\"a\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>");
}

fn marked(x: &Axis, marks: &Marks, out: &mut String) {
    for bucket in marks.checkpoints.buckets() {
        let at = across(x, bucket.steps.1 as f64);
        let _ = write!(out, "<path class=\"c\" d=\"M{at:.1} {BOTTOM}v-5\"/>");
    }
    for &step in marks.resumes.iter().take(RESUMES_MAX) {
        let at = across(x, step as f64);
        let _ = write!(
            out,
            "<path class=\"z\" d=\"M{at:.1} {TOP}V{BOTTOM}\"><title>resumed at step {step}</title></path>"
        );
    }
}

/// The area between the lowest and the highest values.
fn band(colour: usize, buckets: &[Bucket], (x, y): (&Axis, &Axis), out: &mut String) {
    let _ = write!(out, "<polygon class=\"b s{colour}\" points=\"");
    let above = buckets.iter().map(|bucket| (bucket.step(), bucket.high));
    let below = buckets
        .iter()
        .rev()
        .map(|bucket| (bucket.step(), bucket.low));
    for (step, value) in above.chain(below) {
        let _ = write!(out, "{:.1},{:.1} ", across(x, step), up(y, value));
    }
    out.push_str("\"/>");
}

fn line(
    class: &str,
    colour: usize,
    points: &[(f64, f64)],
    (x, y): (&Axis, &Axis),
    out: &mut String,
) {
    if points.len() < 2 {
        return;
    }
    let _ = write!(out, "<polyline class=\"{class} s{colour}\" points=\"");
    for (step, value) in points {
        let _ = write!(out, "{:.1},{:.1} ", across(x, *step), up(y, *value));
    }
    out.push_str("\"/>");
}
