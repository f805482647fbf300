//! The report of a run: `report.html`, one file that opens anywhere and loads nothing.
//!
//! ```text
//! events.jsonl ─▶ Summary (curves, evaluations, doctor) ─▶ charts as SVG ─┐
//! recipe.toml, provenance.json, data.json ────────────────────────────────┴─▶ page
//! ```
//! The log is read once, line by line; a curve keeps at most [`series::BUCKETS`] points, so a
//! run of a million steps makes a page as small as one of a thousand.

pub mod axis;
pub mod chart;
mod page;
pub mod series;
mod summary;

use std::path::{Path, PathBuf};

use juzi_schemas::dataset;
use serde_json::Value;

use crate::events::Reader;
use crate::{Error, Result};

use summary::Summary;

/// Name of the report in the directory of a run.
pub const FILE: &str = "report.html";

/// Files of a run that the report shows as they are, where they are there.
const SHOWN: [&str; 3] = ["recipe.toml", "provenance.json", "data.json"];

/// Writes the report of a run into its directory; gives its path.
///
/// # Errors
/// The run has no log, a line of it is no event, or the file cannot be written.
pub fn write(run: &Path) -> Result<PathBuf> {
    let mut summary = Summary::default();
    for event in Reader::open(run)? {
        summary.add(event?);
    }
    let mut files = Vec::new();
    for name in SHOWN {
        let path = run.join(name);
        if path.exists() {
            let text = std::fs::read_to_string(&path).map_err(Error::input(&path))?;
            files.push((name.to_string(), indented(name, text)));
        }
    }
    let path = run.join(FILE);
    let page = page::page(&name(run), &summary, &files);
    dataset::replace(&path, page.as_bytes())?;
    Ok(path)
}

/// The name of a run: that of its directory.
fn name(run: &Path) -> String {
    let placed = std::path::absolute(run).unwrap_or_else(|_| run.into());
    let name = placed.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// JSON on several lines, so that it can be read; other text as it is.
fn indented(name: &str, text: String) -> String {
    let value = name
        .ends_with(".json")
        .then(|| serde_json::from_str::<Value>(&text));
    match value {
        Some(Ok(value)) => serde_json::to_string_pretty(&value).unwrap_or(text),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
