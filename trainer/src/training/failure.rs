//! What is left of a step that must not happen: the batches that did it, in a file.

use std::path::{Path, PathBuf};

use juzi_schemas::dataset;
use serde_json::{Value, json};

use crate::Result;
use crate::collate::Batch;
use crate::encoder::Sequences;

/// Writes `failed-step-N.json` into the directory of a run: records, corpora, topics and token ids
/// of the batches of a step, with what happened. Gives its path.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    run: &Path,
    step: u64,
    happened: &Value,
    batches: &[Batch],
    corpora: &[String],
) -> Result<PathBuf> {
    let path = run.join(format!("failed-step-{step}.json"));
    let batches: Vec<Value> = batches.iter().map(|batch| told(batch, corpora)).collect();
    let all = json!({ "step": step, "happened": happened, "batches": batches });
    let text = serde_json::to_string_pretty(&all).expect("a value has a JSON form");
    dataset::replace(&path, (text + "\n").as_bytes())?;
    Ok(path)
}

fn told(batch: &Batch, corpora: &[String]) -> Value {
    let records = batch.record_ids.iter().enumerate().map(|(row, id)| {
        let corpus = batch.corpora.get(row).map(|&corpus| usize::from(corpus));
        json!({
            "id": format!("{id:032x}"),
            "corpus": corpus.and_then(|corpus| corpora.get(corpus)),
            "topic": batch.topics.get(row).copied().flatten(),
        })
    });
    let columns = batch.columns.iter().map(|column| {
        let sequences = Sequences::of_columns(std::slice::from_ref(column));
        let ids = (0..sequences.rows()).map(|row| &sequences.ids[sequences.span(row)]);
        json!({
            "name": column.name,
            "views": column.views,
            "token_ids": ids.collect::<Vec<_>>(),
        })
    });
    json!({
        "batch": batch.step,
        "epoch": batch.epoch,
        "records": records.collect::<Vec<_>>(),
        "columns": columns.collect::<Vec<_>>(),
    })
}
