//! What the summaries of stages have in common: named figures, and the seconds of their parts.

use std::collections::BTreeMap;
use std::fmt::{Formatter, Result};
use std::time::Instant;

use crate::flow::machine;
use crate::size::Size;

/// Prints counts that are not zero, ledger rows by reason, and measures.
pub fn counted<'c>(
    out: &mut Formatter<'_>,
    counts: impl IntoIterator<Item = (&'c str, u64)>,
    dropped: &BTreeMap<String, u64>,
    measures: &BTreeMap<String, f64>,
) -> Result {
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "{:<30}{count:>14}", name.replace('_', " "))?;
    }
    for (reason, count) in dropped {
        writeln!(out, "{:<30}{count:>14}", format!("dropped: {reason}"))?;
    }
    for (name, value) in measures {
        writeln!(out, "{:<30}{value:>14.4}", name.replace('_', " "))?;
    }
    Ok(())
}

/// Prints what every summary ends with.
pub fn ending(out: &mut Formatter<'_>, rows: u64, seconds: f64) -> Result {
    writeln!(out, "{:<30}{rows:>14}", "rows")?;
    writeln!(out, "{:<30}{seconds:>14.2}", "seconds")?;
    match machine::memory_peak_bytes() {
        Some(bytes) => writeln!(out, "{:<30}{:>14}", "memory peak", Size(bytes).to_string()),
        None => Ok(()),
    }
}

/// Seconds of each part of a run, for the report.
pub struct Phases {
    since: Instant,
    /// The parts that ended, in their order.
    pub ended: Vec<(&'static str, f64)>,
}

impl Default for Phases {
    fn default() -> Self {
        Phases {
            since: Instant::now(),
            ended: Vec::new(),
        }
    }
}

impl Phases {
    /// Ends a part; the next one begins.
    pub fn end(&mut self, name: &'static str) {
        self.ended.push((name, self.since.elapsed().as_secs_f64()));
        self.since = Instant::now();
    }
}
