//! The figures of an audit, as text for people and as JSON for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Counts, FAR, MILLION};

/// What an audit found, and how long it took.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was counted; the same on every machine and for every number of threads.
    pub counts: Counts,
    /// Time spent making views, over all threads.
    pub making: Duration,
    /// Time of the whole audit: reading, making and measuring.
    pub elapsed: Duration,
}

impl Report {
    /// All figures as one JSON object; shares are between 0 and 1.
    pub fn to_json(&self) -> Value {
        let counts = &self.counts;
        let operators: serde_json::Map<String, Value> = counts
            .operators
            .iter()
            .map(|(name, &(views, unchanged))| {
                let value = json!({
                    "views": views,
                    "share": share(views, counts.views),
                    "unchanged_share": share(unchanged, views),
                });
                (name.name().to_string(), value)
            })
            .collect();
        json!({
            "rows": counts.rows,
            "texts": counts.texts,
            "views": counts.views,
            "operators": operators,
            "unchanged_share": share(counts.unchanged, counts.views),
            "redraws": counts.redraws,
            "edit_distance": counts.distances,
            "edit_distance_far": FAR,
            "mean_relative_length": self.mean_relative_length(),
            "synonym_coverage": {
                "words": share(counts.words.1, counts.words.0),
                "content_words": share(counts.content_words.1, counts.content_words.0),
                "texts": share(counts.texts_with_synonyms, counts.texts),
            },
            "views_per_s": rate(counts.views, self.elapsed),
            "views_per_s_making_one_thread": rate(counts.views, self.making),
            "seconds": self.elapsed.as_secs_f64(),
        })
    }

    fn mean_relative_length(&self) -> f64 {
        share(self.counts.relative_lengths, self.counts.views) / MILLION as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let percent = |part, whole| format!("{:.2} %", 100.0 * share(part, whole));
        writeln!(
            out,
            "{} rows, {} texts, {} views",
            counts.rows, counts.texts, counts.views
        )?;
        writeln!(
            out,
            "\n{:<24}{:>12}{:>16}",
            "operator", "share", "unchanged"
        )?;
        for (name, &(views, unchanged)) in &counts.operators {
            let (share, same) = (percent(views, counts.views), percent(unchanged, views));
            writeln!(out, "{:<24}{share:>12}{same:>16}", name.name())?;
        }
        let same = percent(counts.unchanged, counts.views);
        writeln!(out, "{:<24}{:>12}{same:>16}", "all", "")?;
        if counts.redraws > 0 {
            writeln!(out, "made again {} times", counts.redraws)?;
        }
        writeln!(out, "\nedit distance in characters")?;
        for (name, views) in ranges(&counts.distances) {
            let bar = "█".repeat((40.0 * share(views, counts.views)).round() as usize);
            let share = percent(views, counts.views);
            writeln!(out, "{name:>8}{share:>12}  {bar}")?;
        }
        writeln!(
            out,
            "\nmean relative length    {:.4}",
            self.mean_relative_length()
        )?;
        writeln!(out, "\nwith at least one synonym")?;
        let coverage = [
            ("words", counts.words),
            ("words, no stop words", counts.content_words),
            ("texts", (counts.texts, counts.texts_with_synonyms)),
        ];
        for (name, (whole, part)) in coverage {
            writeln!(out, "{name:<24}{:>12}", percent(part, whole))?;
        }
        writeln!(
            out,
            "\n{:.0} views/s in {:.1} s with reading and measuring; making alone {:.0} views/s a thread",
            rate(counts.views, self.elapsed),
            self.elapsed.as_secs_f64(),
            rate(counts.views, self.making)
        )
    }
}

/// The histogram in few lines: single distances first, then ranges.
fn ranges(distances: &[u64]) -> Vec<(String, u64)> {
    let single = (0..8).map(|at| (at, at + 1));
    let wide = [
        (8, 12),
        (12, 16),
        (16, 24),
        (24, 32),
        (32, FAR),
        (FAR, FAR + 1),
    ];
    let ranges = single
        .chain(wide)
        .filter(|&(_, end)| end <= distances.len());
    let name = |from, end| match end - from {
        _ if from == FAR => format!("{FAR}+"),
        1 => format!("{from}"),
        _ => format!("{from}-{}", end - 1),
    };
    ranges
        .map(|(from, end)| (name(from, end), distances[from..end].iter().sum()))
        .collect()
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}
