//! Sequences per second that the feed delivers, beside the parts of its work and the usual feed.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_DATA` | shards or batches with words, synonyms beside them | made up |
//! | `BENCH_TOKENIZER` | folder with `tokenizer.json`; needed with `BENCH_DATA` | made up |
//! | `BENCH_RECIPE` | a recipe; its dataset and tokenizer are replaced by those above | LUSE's, 128 records |
//! | `BENCH_SECONDS` | time of each measurement | 5 |
//! | `BENCH_ROWS` | rows that are made up | 200,000 |
//! | `PEERS` | directory with `.venv/bin/python` | none run |
//! | `PEERS_SCRIPTS` | directory with `feed_torch.py` | that of `PEERS` |
//!
//! One JSON object a line. Made-up sentences have 8 to 16 words of a vocabulary of 50,000, drawn by
//! Zipf's law, each word with 8 synonyms; the tokenizer has a token for each character. The peer runs
//! on the same rows with the same synonyms and tokenizer and makes 4 views and the text itself; what
//! it is compared with is the same without copies.

#[allow(dead_code)] // each benchmark uses a part of it
mod timing;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{File, Manifest, Table};
use juzi_schemas::random::Draws;
use juzi_schemas::record::{Kind, Layout, Row, RowsBuilder, Split};
use juzi_schemas::shard::{FORMAT, ROWS_PER_GROUP, ShardWriter};
use juzi_schemas::synonym::{Source, SynonymsBuilder};
use juzi_trainer::feed::{self, Limits};
use juzi_trainer::loader::{Feed, Threads};
use juzi_trainer::recipe::Recipe;
use serde_json::json;

use timing::{number, say, variable};

const VOCABULARY: usize = 50_000;

fn main() -> ExitCode {
    timing::main(bench)
}

fn bench() -> Result<(), String> {
    let place = std::env::temp_dir().join(format!("juzi-bench-feed-{}", std::process::id()));
    let measured = measure(&place);
    // What cannot be removed is left to the system.
    let _ = std::fs::remove_dir_all(&place);
    measured
}

fn measure(place: &Path) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (data, tokenizer) = match variable("BENCH_DATA") {
        Some(data) => {
            let tokenizer = variable("BENCH_TOKENIZER").ok_or("BENCH_TOKENIZER is not set")?;
            (PathBuf::from(data), tokenizer)
        }
        None => (made_up(place)?, place.to_string_lossy().into_owned()),
    };
    let mut recipe = match variable("BENCH_RECIPE") {
        Some(path) => Recipe::read(Path::new(&path)).map_err(|error| text(&error))?,
        None => Recipe::default(),
    };
    if variable("BENCH_RECIPE").is_none() {
        recipe.data.size = 128;
    }
    recipe.tokenizer.path = tokenizer;
    let cases = [
        ("LUSE's recipe", recipe.views.copies),
        ("without copies", 0),
    ];
    let mut best = 0.0f64;
    for ((name, copies), workers) in cases.into_iter().flat_map(|case| [(case, 1), (case, 2)]) {
        recipe.views.copies = copies;
        let feed = Feed::open(&recipe, Some(&data)).map_err(|error| text(&error))?;
        let limits = Limits {
            from_step: 0,
            steps: None,
            time: Some(Duration::from_secs_f64(number("BENCH_SECONDS", 5.0))),
            consumer: Duration::ZERO,
        };
        let threads = Threads { workers, depth: 4 };
        let outcome = feed::run((&feed, &recipe), threads, limits, None);
        let mut line = outcome.map_err(|error| text(&error))?.telemetry.to_json();
        if copies == 0 {
            best = best.max(line["sequences_per_s"].as_f64().unwrap_or_default());
        }
        line["measured"] = format!("{name}, {workers} workers").into();
        say(&line.to_string());
    }
    peer(place, &data, &recipe.tokenizer.path, best)
}

/// Writes shards, synonyms and a tokenizer; gives the shards.
fn made_up(place: &Path) -> Result<PathBuf, String> {
    let rows = number("BENCH_ROWS", 200_000.0) as usize;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let layout = Layout {
        kind: Kind::Text,
        words: true,
        corpora: vec!["made-up".into()],
    };
    let mut builder = RowsBuilder::new(layout);
    let (mut groups, mut words) = (Vec::new(), Vec::new());
    for sentence in 0..rows {
        let mut draws = Draws::new(1, 0, 0, sentence as u128, 0);
        let (mut sentence_text, id) = (String::new(), draws.next_u64());
        words.clear();
        for _ in 0..8 + draws.below(9) {
            // Zipf's law: the logarithm of the rank is uniform.
            let rank = (VOCABULARY as f64).powf(draws.unit()) as usize - 1;
            let word = word(rank);
            words.push(word.chars().count() as u16);
            sentence_text.push_str(&word);
        }
        builder.push(&Row {
            id: u128::from(id) << 64 | sentence as u128,
            corpus: 0,
            split: Split::Train,
            texts: &[&sentence_text],
            score: 0.0,
            document: 0,
            position: 0,
            topic_key: None,
            group_key: None,
            words: &words,
        });
        if builder.rows() == ROWS_PER_GROUP || sentence + 1 == rows {
            groups.push(builder.finish().map_err(|error| text(&error))?);
        }
    }
    let mut synonyms = SynonymsBuilder::default();
    let mut ranks: Vec<(String, usize)> = (0..VOCABULARY).map(|rank| (word(rank), rank)).collect();
    ranks.sort();
    ranks.dedup_by(|a, b| a.0 == b.0);
    for (own, rank) in &ranks {
        let mut draws = Draws::new(3, 0, 0, *rank as u128, 0);
        for at in 1..=8 {
            let synonym = word(draws.below(VOCABULARY));
            synonyms.push(own, at, &synonym, None, Source::Import);
        }
    }
    let table = synonyms.finish().map_err(|error| text(&error))?;
    dataset(place, "synonyms", None, &[table])?;
    tokenizer(place)?;
    dataset(place, "shards", Some(Kind::Text), &groups)
}

/// The made-up word of a rank: one character for the commonest, then two, then three.
fn word(rank: usize) -> String {
    let count = match rank {
        0..200 => 1,
        200..20_000 => 2,
        _ => 3,
    };
    let mut draws = Draws::new(2, 0, 0, rank as u128, 0);
    let character = |draws: &mut Draws| char::from_u32(0x4e00 + draws.below(5000) as u32);
    (0..count).filter_map(|_| character(&mut draws)).collect()
}

fn dataset(
    place: &Path,
    stage: &str,
    kind: Option<Kind>,
    groups: &[arrow::record_batch::RecordBatch],
) -> Result<PathBuf, String> {
    let text = |error: juzi_schemas::Error| error.to_string();
    let fingerprint = Fingerprint::of(stage.as_bytes());
    let writer = DatasetWriter::open(place, stage, &fingerprint).map_err(text)?;
    let name = "part-00000.parquet";
    let file = writer.create(name).map_err(text)?;
    let mut shard = ShardWriter::new(file, groups[0].schema(), Path::new(name)).map_err(text)?;
    for group in groups {
        shard.write(group).map_err(text)?;
    }
    let (file, rows) = shard.finish().map_err(text)?;
    let none = serde_json::Value::Null;
    let entry = writer
        .commit(file, Durability::Scratch, rows, none.clone())
        .map_err(text)?;
    let file = File {
        name: entry.name,
        table: Table::Rows,
        kind,
        rows: rows.rows,
        rows_hash: rows.hex(),
        bytes: entry.bytes,
        bytes_hash: entry.bytes_hash,
    };
    let manifest = Manifest {
        format: FORMAT,
        stage: stage.into(),
        fingerprint,
        rows: rows.rows,
        rows_hash: rows.hex(),
        kinds: Default::default(),
        corpora: vec!["made-up".into()],
        dropped: Default::default(),
        counts: Default::default(),
        measures: Default::default(),
        files: vec![file],
        inputs: Vec::new(),
        dictionaries: Default::default(),
        plan: none.clone(),
    };
    writer.finish(&manifest, &none).map_err(text)?;
    Ok(place.join(stage))
}

/// A tokenizer as BERT has it, with a token for each Han character.
fn tokenizer(place: &Path) -> Result<(), String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let letters = (0..5000).filter_map(|n| char::from_u32(0x4e00 + n).map(String::from));
    let tokens: Vec<String> = special.into_iter().chain(letters).collect();
    let vocabulary: serde_json::Map<_, _> = tokens
        .iter()
        .zip(0..)
        .map(|(token, id): (&String, u32)| (token.clone(), id.into()))
        .collect();
    let added: Vec<serde_json::Value> = tokens[..5]
        .iter()
        .zip(0..)
        .map(|(token, id): (&String, u32)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let text = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    });
    let settings = json!({ "tokenizer_class": "BertTokenizerFast", "pad_token": "[PAD]" });
    write(&place.join("tokenizer.json"), &text.to_string())?;
    write(&place.join("vocab.txt"), &tokens.join("\n"))?;
    write(&place.join("tokenizer_config.json"), &settings.to_string())
}

/// The usual feed on the same rows: sequences per second after its first batch.
fn peer(place: &Path, data: &Path, tokenizer: &str, ours: f64) -> Result<(), String> {
    let Some(peers) = variable("PEERS") else {
        return Ok(());
    };
    let scripts = variable("PEERS_SCRIPTS").unwrap_or_else(|| peers.clone());
    std::fs::create_dir_all(place).map_err(|error| format!("{}: {error}", place.display()))?;
    let synonyms = place.join("synonyms.json");
    write(&synonyms, &luse_synonyms(&data.with_file_name("synonyms"))?)?;
    let manifest = Manifest::read(data).map_err(|error| error.to_string())?;
    let mut best = 0.0f64;
    for workers in ["1", "2"] {
        let mut command = Command::new(format!("{peers}/.venv/bin/python"));
        command
            .arg(format!("{scripts}/feed_torch.py"))
            .arg("--input");
        let files = manifest.files_of(Table::Rows);
        let texts = files.filter(|file| file.kind == Some(Kind::Text));
        command.args(texts.map(|file| data.join(&file.name)));
        command.args(["--workers", workers, "--tokenizer", tokenizer, "--synonyms"]);
        command
            .arg(&synonyms)
            .args(["--views", "4", "--batch", "128", "--steps", "150"]);
        let output = command
            .output()
            .map_err(|error| format!("{peers}/.venv/bin/python: {error}"))?;
        let line = String::from_utf8_lossy(&output.stdout);
        let result: serde_json::Value = serde_json::from_str(line.trim())
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        say(&result.to_string());
        best = best.max(
            result["steady_sequences_per_s"]
                .as_f64()
                .unwrap_or_default(),
        );
    }
    say(
        &json!({ "peer": "feed_torch.py", "sequences_per_s": best, "ratio": ours / best })
            .to_string(),
    );
    Ok(())
}

/// Synonyms as LUSE writes them: `{word: [words]}`.
fn luse_synonyms(dir: &Path) -> Result<String, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let manifest = Manifest::read(dir).map_err(|error| text(&error))?;
    let mut all = serde_json::Map::new();
    for file in manifest.files_of(Table::Rows) {
        let path = dir.join(&file.name);
        let batches = juzi_schemas::shard::read(&path);
        for batch in batches.map_err(|error| text(&error))? {
            let batch = batch.map_err(|error| text(&error))?;
            let strings = |name: &str| {
                let column = batch.column_by_name(name);
                column
                    .and_then(|column| arrow::array::AsArray::as_string_opt::<i32>(column).cloned())
            };
            let missing = || format!("{}: not a table of synonyms", file.name);
            let words = strings("word").ok_or_else(missing)?;
            let synonyms = strings("synonym").ok_or_else(missing)?;
            for row in 0..batch.num_rows() {
                let list = all.entry(words.value(row)).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(synonyms.value(row).into());
                }
            }
        }
    }
    Ok(serde_json::Value::Object(all).to_string())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
