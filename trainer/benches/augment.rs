//! Views per second on one thread, beside the limits: copying, looking up, drawing.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_TEXT` | sentences, one a line; cut by longest match against the synonyms | made up |
//! | `BENCH_SYNONYMS` | LUSE's JSON `{word: [words]}`; needed with `BENCH_TEXT` | made up |
//! | `BENCH_ROUNDS` | rounds of each measurement; the median is printed | 5 |
//! | `PEERS` | directory with `.venv/bin/python` | none run |
//! | `PEERS_SCRIPTS` | directory with `eda_luse_style.py` | that of `PEERS` |
//!
//! One JSON object a line; times are those on a processor, so other work on the machine counts
//! little. Made-up sentences have 12 words of a vocabulary of 50,000, drawn by Zipf's law, each
//! word with 8 synonyms.

#[allow(dead_code)] // each benchmark uses a part of it
mod timing;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use juzi_schemas::random::Draws;
use juzi_schemas::synonym::{Source, Synonyms, SynonymsBuilder};
use juzi_trainer::augment::{Augmenter, Options, StopWords, Views, Words};
use serde_json::json;

use timing::{median, read, say, variable};

/// Sentences, with the ends of their texts and of the lengths of their words.
struct Corpus {
    text: String,
    lengths: Vec<u16>,
    ends: Vec<(usize, usize)>,
}

const VOCABULARY: usize = 50_000;
const SENTENCES: usize = 50_000;

fn main() -> ExitCode {
    timing::main(bench)
}

fn bench() -> Result<(), String> {
    let table = match variable("BENCH_SYNONYMS") {
        Some(path) => imported(&path)?,
        None => made_up(),
    };
    let synonyms = Arc::new(collected(&table)?);
    let corpus = match variable("BENCH_TEXT") {
        Some(path) => segmented(&read(&path)?, &synonyms),
        None => Corpus::made_up(),
    };
    let words = corpus.lengths.len() as f64 / corpus.ends.len() as f64;
    say(&json!({
        "sentences": corpus.ends.len(), "bytes": corpus.text.len(), "words_per_sentence": words,
        "synonyms_words": synonyms.words(),
    })
    .to_string());
    let ours = views(&corpus, &synonyms);
    limits(&corpus, &synonyms);
    peer(ours)
}

/// The whole: LUSE's four views of each sentence.
fn views(corpus: &Corpus, synonyms: &Arc<Synonyms>) -> f64 {
    let stop = StopWords::read(None).unwrap_or_default();
    let mut augmenter = Augmenter::new(&Options::default(), synonyms.clone(), &stop, 1);
    let (mut out, mut made, mut bytes, mut same) = (Views::default(), 0, 0, 0);
    let seconds = median(|| {
        (made, bytes, same) = (0, 0, 0);
        for words in corpus.sentences() {
            out.clear();
            let done = augmenter.views(&words, 0, &mut out);
            done.expect("the lengths were made from the text");
            made += out.len();
            bytes += out.bytes();
            same += out.iter().filter(|view| !view.changed).count();
        }
    });
    let per_second = made as f64 / seconds;
    say(&json!({
        "measured": "views", "views_per_s": per_second.round(), "ns_per_view": 1e9 / per_second,
        "output_mb_per_s": bytes as f64 / seconds / 1e6, "views": made,
        "unchanged_share": same as f64 / made as f64,
    })
    .to_string());
    per_second
}

/// Parts of the work alone, each counted in views.
fn limits(corpus: &Corpus, synonyms: &Synonyms) {
    let views = 4.0 * corpus.ends.len() as f64;
    let report = |name: &str, seconds: f64| {
        let ns = 1e9 * seconds / views;
        say(
            &json!({ "limit": name, "views_per_s": (views / seconds).round(), "ns_per_view": ns })
                .to_string(),
        );
    };
    let mut out = String::new();
    report(
        "copy the text four times",
        median(|| {
            for words in corpus.sentences() {
                out.clear();
                (0..4).for_each(|_| out.push_str(black_box(words.text)));
                black_box(&mut out);
            }
        }),
    );
    let mut spans = Vec::new();
    for words in corpus.sentences() {
        let mut rest = words.text;
        for &length in words.lengths {
            let (word, others) = take(rest, usize::from(length));
            spans.push(word);
            rest = others;
        }
    }
    report(
        "look each word up once",
        median(|| {
            let found = spans.iter().filter(|word| synonyms.find(word).is_some());
            black_box(found.count());
        }),
    );
    let per_view = corpus.lengths.len() / corpus.ends.len() / 4 + 4;
    report(
        &format!("key and {per_view} draws for each view"),
        median(|| {
            for (id, _) in corpus.ends.iter().enumerate() {
                for view in 0..4 {
                    let mut draws = Draws::new(1, 2, 0, id as u128, view);
                    for _ in 0..per_view {
                        black_box(draws.below(20));
                    }
                }
            }
        }),
    );
}

impl Corpus {
    fn sentences(&self) -> impl Iterator<Item = Words<'_>> {
        let mut start = (0, 0);
        (0u128..).zip(&self.ends).map(move |(at, &end)| {
            let words = Words {
                id: at.wrapping_mul(0x1234_5678_9abc_def0_1357_9bdf_0246_8ace),
                number: 0,
                text: &self.text[start.0..end.0],
                lengths: &self.lengths[start.1..end.1],
            };
            start = end;
            words
        })
    }

    fn made_up() -> Corpus {
        let mut corpus = Corpus::empty();
        for sentence in 0..SENTENCES {
            let mut draws = Draws::new(1, 0, 0, sentence as u128, 0);
            for _ in 0..8 + draws.below(9) {
                // Zipf's law: the logarithm of the rank is uniform.
                let rank = (VOCABULARY as f64).powf(draws.unit()) as usize - 1;
                corpus.push(&word(rank));
            }
            corpus.end();
        }
        corpus
    }

    fn empty() -> Corpus {
        Corpus {
            text: String::new(),
            lengths: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn push(&mut self, word: &str) {
        self.text.push_str(word);
        self.lengths.push(word.chars().count() as u16);
    }

    fn end(&mut self) {
        self.ends.push((self.text.len(), self.lengths.len()));
    }
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

fn made_up() -> Vec<(String, Vec<String>)> {
    let mut table = HashMap::new();
    for rank in 0..VOCABULARY {
        let mut draws = Draws::new(3, 0, 0, rank as u128, 0);
        let synonyms = (0..8).map(|_| word(draws.below(VOCABULARY))).collect();
        table.insert(word(rank), synonyms);
    }
    let mut table: Vec<_> = table.into_iter().collect();
    table.sort();
    table
}

fn imported(path: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let table: HashMap<String, Vec<String>> =
        serde_json::from_str(&read(path)?).map_err(|error| format!("{path}: {error}"))?;
    let mut table: Vec<_> = table.into_iter().collect();
    table.sort();
    Ok(table)
}

fn collected(table: &[(String, Vec<String>)]) -> Result<Synonyms, String> {
    let mut builder = SynonymsBuilder::default();
    for (word, synonyms) in table {
        for (rank, synonym) in (1..=u8::MAX).zip(synonyms) {
            builder.push(word, rank, synonym, None, Source::Import);
        }
    }
    let batch = builder.finish().map_err(|error| error.to_string())?;
    Synonyms::from_batches(&[batch], Path::new("benchmark")).map_err(|error| error.to_string())
}

/// Cuts by longest match of up to 6 characters; what matches nothing is a word of one character.
fn segmented(text: &str, synonyms: &Synonyms) -> Corpus {
    let mut corpus = Corpus::empty();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let mut rest = line;
        while !rest.is_empty() {
            let mut lengths = (2..=6).rev();
            let longest = lengths.find(|&length| synonyms.find(take(rest, length).0).is_some());
            let (word, others) = take(rest, longest.unwrap_or(1));
            corpus.push(word);
            rest = others;
        }
        corpus.end();
    }
    corpus
}

/// The first characters of a text, and the rest.
fn take(text: &str, characters: usize) -> (&str, &str) {
    let end = text.char_indices().nth(characters);
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// The peer's views per second, by the processor's time of a whole run without its start: that of
/// a run over one sentence.
fn peer(ours: f64) -> Result<(), String> {
    let (Some(place), Some(text)) = (variable("PEERS"), variable("BENCH_TEXT")) else {
        return Ok(());
    };
    let scripts = variable("PEERS_SCRIPTS").unwrap_or_else(|| place.clone());
    let synonyms = variable("BENCH_SYNONYMS").unwrap_or_default();
    let run = |limit: &str| {
        let before = of_children();
        let output = Command::new(format!("{place}/.venv/bin/python"))
            .arg(format!("{scripts}/eda_luse_style.py"))
            .args(["--workers", "1", "--input", &text, "--synonyms", &synonyms])
            .args(["--limit", limit])
            .output()
            .map_err(|error| format!("{place}/.venv/bin/python: {error}"))?;
        let line = String::from_utf8_lossy(&output.stdout);
        let result: serde_json::Value = serde_json::from_str(line.trim())
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let views = result["views"].as_f64().unwrap_or_default();
        Ok::<_, String>((views, of_children() - before))
    };
    let mut best = 0.0f64;
    for _ in 0..3 {
        let (start, whole) = (run("1")?, run("0")?);
        best = best.max((whole.0 - start.0) / (whole.1 - start.1));
    }
    let best = best.round();
    say(
        &json!({ "peer": "eda_luse_style.py", "views_per_s": best, "ratio": ours / best })
            .to_string(),
    );
    Ok(())
}

/// Seconds that ended children had a processor (`man 5 proc`: cutime and cstime, in hundredths).
fn of_children() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(13).take(2);
    fields
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
