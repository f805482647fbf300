//! The plan of a round: that of the pipeline, with vectors of our own, at a place of its own.

use std::path::Path;

use toml::{Table, Value};

/// Keys whose values are places or lists of them, by table.
const PLACES: [(&str, &[&str]); 5] = [
    ("corpora", &["train", "valid", "test"]),
    ("evaluation", &["files"]),
    (
        "synonyms",
        &[
            "vectors",
            "vector_words",
            "import",
            "word_list",
            "stop_words",
            "antonyms",
            "dictionary",
        ],
    ),
    ("topics", &["vectors", "vector_words", "embeddings"]),
    ("negatives", &["embeddings"]),
];

/// The text of a plan that mines negatives by the vectors in `embeddings`; places of the old one
/// were relative to `base`.
///
/// # Errors
/// It is no TOML, or has no batches.
pub fn of_round(text: &str, base: &Path, embeddings: &Path) -> Result<String, String> {
    let mut plan: Table = text.parse().map_err(|error| format!("{error}"))?;
    if !plan.contains_key("batches") {
        return Err("no table [batches]; rounds need one".into());
    }
    for (name, keys) in PLACES {
        match plan.get_mut(name) {
            Some(Value::Table(table)) => place_all(table, keys, base),
            Some(Value::Array(tables)) => tables
                .iter_mut()
                .filter_map(Value::as_table_mut)
                .for_each(|table| place_all(table, keys, base)),
            _ => {}
        }
    }
    let empty = || Table::new().into();
    let negatives = plan.entry("negatives").or_insert_with(empty);
    let Value::Table(negatives) = negatives else {
        return Err("negatives: a table is accepted".into());
    };
    let embeddings = embeddings.to_string_lossy().into_owned();
    negatives.insert("embeddings".into(), embeddings.into());
    // Words and vectors together stay so.
    if negatives.get("miner").and_then(Value::as_str) != Some("both") {
        negatives.insert("miner".into(), "embeddings".into());
    }
    Ok(plan.to_string())
}

fn place_all(table: &mut Table, keys: &[&str], base: &Path) {
    for key in keys {
        match table.get_mut(*key) {
            Some(Value::Array(names)) => names.iter_mut().for_each(|name| place(name, base)),
            Some(name) => place(name, base),
            None => {}
        }
    }
}

fn place(name: &mut Value, base: &Path) {
    if let Value::String(name) = name
        && !name.is_empty()
    {
        *name = base.join(&*name).to_string_lossy().into_owned();
    }
}
