//! The tables as JSON, for readers in other languages; `schemas/json/` holds the checked-in copies.

use arrow::datatypes::{DataType, Schema};
use serde_json::{Value, json};

use crate::record::{Kind, Layout};
use crate::{batch, dropped, embedding, negative, shard, synonym, topic};

/// File name and content of every description.
pub fn all() -> Vec<(String, Value)> {
    let mut tables: Vec<(String, Value)> = Kind::ALL
        .iter()
        .map(|&kind| {
            let layout = Layout {
                kind,
                words: true,
                corpora: Vec::new(),
            };
            (
                format!("record-{}.json", kind.name()),
                table(kind.name(), &layout.schema()),
            )
        })
        .collect();
    let mut ledger = table("dropped", &dropped::schema());
    ledger["reasons"] = dropped::Reason::ALL
        .iter()
        .map(|reason| (reason.name().to_string(), json!(reason.explain())))
        .collect();
    tables.push(("dropped.json".into(), ledger));
    tables.push((
        "synonyms.json".into(),
        table("synonyms", &synonym::schema()),
    ));
    let layout = |kind| batch::Layout {
        kind,
        words: true,
        scores: true,
    };
    for kind in [Kind::Text, Kind::Labelled, Kind::Triplet, Kind::Scored] {
        let name = match kind {
            Kind::Triplet => "pair",
            _ => kind.name(),
        };
        let schema = layout(kind).schema();
        tables.push((
            format!("batch-{name}.json"),
            table(&format!("batch of {name}"), &schema),
        ));
    }
    let others = [
        ("topics", topic::schema()),
        ("topic-names", topic::names_schema()),
        ("topic-vectors", topic::vectors_schema()),
        ("embeddings", embedding::schema()),
        ("negatives", negative::schema(true)),
        ("batch-list", batch::list_schema()),
    ];
    for (name, schema) in others {
        tables.push((format!("{name}.json"), table(name, &schema)));
    }
    tables
}

fn table(name: &str, schema: &Schema) -> Value {
    let columns: Vec<Value> = schema
        .fields()
        .iter()
        .map(|field| {
            json!({
                "name": field.name(),
                "type": type_name(field.data_type()),
                "nullable": field.is_nullable(),
                "meaning": meaning(field.name()),
            })
        })
        .collect();
    json!({ "table": name, "format": shard::FORMAT, "columns": columns })
}

fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".into(),
        DataType::FixedSizeBinary(width) => format!("fixed_size_binary[{width}]"),
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        other => other.to_string().to_lowercase(),
    }
}

fn meaning(column: &str) -> &'static str {
    match column {
        "id" => "128-bit hash of the kind and the normalised content, big endian",
        "corpus" => "name of the corpus in the plan",
        "split" => "train, valid or test",
        "text" => "one sentence or passage",
        "label" => "class of the text",
        "anchor" => "query, question or first piece",
        "positive" => "text that belongs to the anchor",
        "negatives" => "texts that do not belong to the anchor",
        "sentence1" | "sentence2" => "one side of a scored pair",
        "score" => "similarity of the two sentences, on the corpus's own scale",
        "document" => "64-bit hash of the document as it was read",
        "position" => "number of the record within its document and view, from 0",
        "topic_key" => "topic that the corpus gives: category, topic or source",
        "group_key" => "records with one key belong together, such as answers to one question",
        "words" => {
            "lengths in characters of the words of all texts in column order, a label aside; optional"
        }
        "reason" => "why it was dropped, see reasons",
        "file" => "base name of the input file",
        "member" => "member of an archive",
        "offset" => "byte offset of the document in the decoded file or member",
        "line" => "line of the document, from 1",
        "keeper" => "id of the record that was kept instead",
        "detail" => "the dropped text or the parser's words, shortened",
        "word" => "a word of the vocabulary; its rows follow each other",
        "rank" => "place among the word's synonyms, from 1",
        "synonym" => "a word that may stand in its place",
        "cosine" => "cosine of the two words' vectors; null where one has none",
        "source" => {
            "vectors: found by search; dictionary: named by the plan's dictionary; import: from a file"
        }
        "topic" => "number of the topic; null for a record without one",
        "distance" => "1 - cosine of the record and the middle of its topic",
        "name" => "a key of the corpora, the most telling words of a topic, or a word",
        "telling_words" => "words that tell the topic from the others, the most telling first",
        "count" => "records in the topic",
        "corpora" => "names of the corpora in it, the largest first",
        "counts" => "records of these corpora",
        "examples" => "its most typical texts",
        "vector" => {
            "the vector; of a word already weighted, so that a text's is the sum, normalised"
        }
        "embedding" => "vector of the text whose XXH3-128, big endian, is the id",
        "positive_score" => "score of the pair's own positive, on the miner's scale",
        "positive_rank" => "its rank among all documents searched, from 1",
        "scores" => {
            "scores of the negatives by the miner, in a batch of the positive before; NaN where there is none"
        }
        "batch" => "number of the batch, from 0; one row group is one batch",
        "positives" => {
            "documents of the batch that are positives of the anchor too; positives are numbered \
             row by row from 0, then negatives row by row"
        }
        "ignored" => "documents of the batch, numbered so, that must not count as negatives",
        "row_group" => "the row group of the file that is the batch",
        "rows" => "rows of the batch",
        "texts" => "texts in all columns of the batch",
        "pass" => "pass over the data, from 0",
        "purity" => "share of its rows that have its topic",
        "rows_by_corpus" => "rows of these corpora",
        "hardness" => {
            "mean over its anchors of the best cosine with a negative, by the static text vectors"
        }
        "masked" => "documents that the masks keep from counting as negatives",
        other => unreachable!("column {other} has no description"),
    }
}

#[cfg(test)]
mod tests {
    /// `UPDATE=1 cargo test` writes the files anew.
    #[test]
    fn checked_in_descriptions_are_current() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
        for (name, value) in super::all() {
            let text = format!("{}\n", serde_json::to_string_pretty(&value).expect("JSON"));
            let path = dir.join(&name);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::create_dir_all(&dir).expect("directory");
                std::fs::write(&path, &text).expect("writes");
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                found, text,
                "schemas/json/{name} is stale: run UPDATE=1 make test"
            );
        }
    }
}
