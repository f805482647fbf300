//! One batch as a page that a person can judge: its rows, what belongs to what, and how hard it is.

use std::io::Write;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, UInt32Type};
use juzi_schemas::batch::STAGE;
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::record::Kind;
use juzi_schemas::{shard, topic};

use crate::error::{Error, Result};

/// Longest text of a page, in characters.
const TEXT_CHARS: usize = 100;

/// Writes the page of the batch with this number; at most `rows` of its rows.
///
/// # Errors
/// The dataset holds no batches, or not so many; a file cannot be read.
pub fn page(dir: &Path, number: u32, rows: Option<usize>, out: &mut dyn Write) -> Result<()> {
    let manifest = Manifest::read(dir)?;
    super::only_for(&manifest, "--batch", STAGE)?;
    let (list, at, count) = described(dir, &manifest, number)?;
    let text = |name: &str| list[name].as_string::<i32>().value(at).to_string();
    let figure = |name: &str| list[name].as_primitive::<UInt32Type>().value(at);
    let share = |name: &str| {
        let column = list[name].as_primitive::<Float32Type>();
        column.is_valid(at).then(|| column.value(at))
    };
    let (file, group) = (text("file"), figure("row_group"));
    let mut lines = vec![format!(
        "batch {number} of {count}   {file}, row group {group}   pass {}   {} rows, {} texts",
        figure("pass"),
        figure("rows"),
        figure("texts"),
    )];
    let topics = list["topic"].as_primitive::<UInt32Type>();
    if topics.is_valid(at) {
        let (topic, purity) = (topics.value(at), share("purity").unwrap_or_default());
        let name = topic_name(dir, &manifest, topic).unwrap_or_default();
        lines.push(format!(
            "topic {topic} {name}: {:.0} % of the rows",
            purity * 100.0
        ));
    }
    lines.push(format!("corpora: {}", by_corpus(&list, at)));
    let hardness = match share("hardness") {
        Some(hardness) => {
            format!("{hardness:.3}: mean cosine of an anchor and its hardest negative")
        }
        None => "not measured (no static text vectors)".into(),
    };
    lines.push(format!(
        "hardness: {hardness}; masked: {}\n",
        figure("masked")
    ));
    let kind = manifest.files.iter().find_map(|file| file.kind);
    let groups = shard::Groups::open(&dir.join(&file), None)?;
    let batch = groups.read(group as usize, None)?;
    for row in 0..batch.num_rows().min(rows.unwrap_or(usize::MAX)) {
        lines.push(shown(&batch, kind.unwrap_or(Kind::Text), row));
    }
    let left = batch.num_rows().saturating_sub(rows.unwrap_or(usize::MAX));
    if left > 0 {
        lines.push(format!("… {left} more rows; --rows N shows them"));
    }
    let page = lines.join("\n") + "\n";
    out.write_all(page.as_bytes())
        .map_err(|error| Error::Query(error.to_string()))
}

/// The list of batches that holds a batch, the row in it, and how many batches there are.
fn described(dir: &Path, manifest: &Manifest, number: u32) -> Result<(RecordBatch, usize, u64)> {
    let count = manifest
        .files_of(Table::Batches)
        .map(|file| file.rows)
        .sum();
    let mut before = 0;
    for file in manifest.files_of(Table::Batches) {
        for list in shard::read(&dir.join(&file.name))? {
            let list = list?;
            let at = u64::from(number) - before;
            if at < list.num_rows() as u64 {
                return Ok((list, at as usize, count));
            }
            before += list.num_rows() as u64;
        }
    }
    Err(Error::Usage(format!(
        "no batch {number}; this dataset has {count}, counted from 0"
    )))
}

fn by_corpus(list: &RecordBatch, at: usize) -> String {
    let names = list["corpora"].as_list::<i32>().value(at);
    let counts = list["rows_by_corpus"].as_list::<i32>().value(at);
    let names = names.as_string::<i32>().iter().flatten();
    let counts = counts.as_primitive::<UInt32Type>().values().iter();
    let parts: Vec<String> = names
        .zip(counts)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    parts.join(", ")
}

/// Name of a topic, from the topics that the batches were made of, if they stand beside them.
fn topic_name(dir: &Path, manifest: &Manifest, number: u32) -> Option<String> {
    let wanted = manifest
        .inputs
        .iter()
        .find(|input| input.file == topic::STAGE)?;
    let place = std::fs::canonicalize(dir).ok()?;
    let beside =
        juzi_schemas::dataset::directory(place.parent()?.parent()?, topic::STAGE, &wanted.hash);
    let topics = Manifest::read(&beside).ok()?;
    for file in topics.files_of(Table::Topics) {
        for table in shard::read(&beside.join(&file.name)).ok()? {
            let table = table.ok()?;
            let numbers = table["topic"].as_primitive::<UInt32Type>();
            if let Some(at) = numbers.values().iter().position(|topic| *topic == number) {
                return Some(table["name"].as_string::<i32>().value(at).to_string());
            }
        }
    }
    None
}

/// One row with its number, its texts and its masks.
fn shown(batch: &RecordBatch, kind: Kind, row: usize) -> String {
    let corpus = batch["corpus"].as_string::<i32>().value(row);
    let topics = batch["topic"].as_primitive::<UInt32Type>();
    let topic = match topics.is_valid(row) {
        true => format!(" topic {}", topics.value(row)),
        false => String::new(),
    };
    let score = match batch.column_by_name("score") {
        Some(scores) => format!(" score {}", scores.as_primitive::<Float32Type>().value(row)),
        None => String::new(),
    };
    let mut text = format!("{row:>5}  [{corpus}]{topic}{score}");
    for name in kind.text_columns() {
        let value = batch[*name].as_string::<i32>().value(row);
        text += &format!("\n       {name:<9} {}", shortened(value));
    }
    if kind == Kind::Triplet {
        let negatives = batch["negatives"].as_list::<i32>().value(row);
        for negative in negatives.as_string::<i32>().iter().flatten() {
            text += &format!("\n       negative  {}", shortened(negative));
        }
        for (column, words) in [("positives", "also positive"), ("ignored", "no negatives")] {
            let list = batch[column].as_list::<i32>().value(row);
            let numbers = list.as_primitive::<UInt32Type>().values();
            if !numbers.is_empty() {
                let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
                text += &format!("\n       {words}: documents {}", numbers.join(", "));
            }
        }
    }
    text
}

fn shortened(text: &str) -> String {
    let text = text.replace('\n', "⏎");
    match text.char_indices().nth(TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
