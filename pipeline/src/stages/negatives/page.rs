//! The page for a browser: some rows with their candidates, for human eyes, and histograms.

use std::fmt::Write;

use juzi_schemas::random::Order;

use super::counts::{Counts, Filter, Histogram};
use super::judge::{Candidate, Choice, Row, Scratch};
use super::report::Summary;
use super::write::Output;
use crate::error::Result;

/// Rows on the page.
const ROWS: usize = 50;

/// Refused candidates that are shown of a row, best first.
const REFUSED: usize = 6;

/// Longest text on the page, in characters.
const CHARS: usize = 160;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}\
section{border-top:1px solid #ccc;padding:.6em 0}table{border-collapse:collapse;width:100%}\
td{padding:.15em .5em;vertical-align:top}td.n{text-align:right;white-space:nowrap;color:#666}\
td.w{white-space:nowrap}.positive{background:#dff3df}.negative{background:#fbe3e0}.refused{color:#888}\
h3{font-size:1em;margin:.2em 0}svg{background:#fafafa}";

/// A text with the marks of HTML made harmless.
fn escaped(text: &str) -> String {
    let start: String = text.chars().take(CHARS).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", html_escape::encode_safe(&start))
}

/// The page of a run.
///
/// # Errors
/// The disk.
pub fn page(summary: &Summary, output: &Output<'_>) -> Result<String> {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Negatives</title>\n\
         <style>{STYLE}</style></head><body>\n<h1>Negatives</h1>\n<pre>{}</pre>\n",
        html_escape::encode_safe(&summary.to_string())
    );
    let counts = &summary.counts;
    push(&mut page, &histograms(&counts.positives, &counts.negatives));
    push(
        &mut page,
        "<h2>Rows to look at</h2>\n<p>Drawn by the seed. Each shows its positive, its negatives, and the best of the \
         candidates that were refused. If a negative answers its anchor, make a filter stricter.</p>\n",
    );
    let mut scratch = Scratch::default();
    for number in sample(output) {
        section(&mut page, output, number, &mut scratch)?;
    }
    page.push_str("</body></html>\n");
    Ok(page)
}

fn push(page: &mut String, text: &str) {
    page.push_str(text);
}

/// Rows that stay, drawn by the seed.
fn sample(output: &Output<'_>) -> Vec<usize> {
    let order = Order::new(output.judge.seed);
    let place = |row: usize| (order.place((row as u128) << 64 | 0x7061_6765), row);
    let stays = |row: &usize| output.ranks.is_none_or(|ranks| ranks.keeps(*row));
    let rows = (0..output.judge.collected.rows.len()).filter(stays);
    let mut best = std::collections::BinaryHeap::new();
    for row in rows {
        best.push(place(row));
        if best.len() > ROWS {
            best.pop();
        }
    }
    best.into_sorted_vec()
        .into_iter()
        .map(|(_, row)| row)
        .collect()
}

fn section(
    page: &mut String,
    output: &Output<'_>,
    number: usize,
    scratch: &mut Scratch,
) -> Result<()> {
    let judge = output.judge;
    let id = output.id_of(number)?;
    let mut counts = Counts::new(output.scale);
    let choice = judge.choose(Row { number, id }, scratch, &mut counts)?;
    let entry = judge.collected.rows[number];
    let mut buffer = Vec::new();
    let anchor = judge.collected.queries.record(entry.query, &mut buffer)?;
    let anchor = escaped(anchor.text);
    let _ = writeln!(page, "<section><h3>{anchor}</h3><table>");
    let positive = judge
        .collected
        .documents
        .record(entry.positive, &mut buffer)?;
    let rank = choice
        .positive_rank
        .map_or("–".into(), |rank| rank.to_string());
    let score = choice
        .positive_score
        .map_or("–".into(), |score| format!("{score:.3}"));
    let text = escaped(positive.text);
    let _ = writeln!(
        page,
        "<tr class=\"positive\"><td class=\"w\">positive</td><td class=\"n\">{rank}</td><td class=\"n\">{score}</td>\
         <td>{text}</td></tr>"
    );
    for (candidate, filter) in shown(&choice) {
        let record = judge
            .collected
            .documents
            .record(candidate.document, &mut buffer)?;
        let text = escaped(record.text);
        let (class, what) = match filter {
            None if candidate.rank == 0 => ("negative", "random"),
            None => ("negative", "negative"),
            Some(filter) => ("refused", filter.name()),
        };
        let (rank, score) = match candidate.rank {
            0 => ("–".into(), "–".into()),
            rank => (rank.to_string(), format!("{:.3}", candidate.score)),
        };
        let _ = writeln!(
            page,
            "<tr class=\"{class}\"><td class=\"w\">{what}</td><td class=\"n\">{rank}</td><td class=\"n\">{score}</td>\
             <td>{text}</td></tr>"
        );
    }
    page.push_str("</table></section>\n");
    Ok(())
}

/// The negatives, then the best of the refused.
fn shown(choice: &Choice) -> Vec<(Candidate, Option<Filter>)> {
    let mut refused = choice.refused.clone();
    refused.retain(|(_, filter)| !matches!(filter, Filter::Rank | Filter::After));
    refused.sort_by_key(|(candidate, _)| candidate.rank);
    refused.truncate(REFUSED);
    let kept = choice.kept.iter().map(|kept| (*kept, None));
    let refused = refused.into_iter();
    kept.chain(refused.map(|(candidate, filter)| (candidate, Some(filter))))
        .collect()
}

/// Both histograms in one picture, each on a scale of its own.
fn histograms(positives: &Histogram, negatives: &Histogram) -> String {
    const HEIGHT: f64 = 140.0;
    const WIDTH: f64 = 16.0;
    let mut svg = format!(
        "<h2>Scores</h2>\n<p>Green: positives. Red: negatives. From {} to {}; the last bins take what lies beyond.</p>\n\
         <svg width=\"{}\" height=\"{HEIGHT}\" role=\"img\">\n",
        positives.low,
        positives.high,
        WIDTH * positives.counts.len() as f64
    );
    for (histogram, colour, shift) in [(positives, "#5a5", 0.0), (negatives, "#d65", WIDTH / 2.0)] {
        let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
        for (bin, &count) in histogram.counts.iter().enumerate() {
            let height = HEIGHT * count as f64 / most as f64;
            let step = (histogram.high - histogram.low) / histogram.counts.len() as f64;
            let low = histogram.low + step * bin as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{:.0}\" y=\"{:.1}\" width=\"{:.0}\" height=\"{height:.1}\" fill=\"{colour}\"><title>{low:.3}: \
                 {count}</title></rect>",
                bin as f64 * WIDTH + shift,
                HEIGHT - height,
                WIDTH / 2.0
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
