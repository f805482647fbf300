//! Texts per second on one thread, ours beside the crate `tokenizers` and the limit, after a check
//! that both give the same.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_TEXT` | texts, one a line | made up |
//! | `BENCH_TOKENIZER` | a Hugging Face folder | BERT's, made up |
//! | `BENCH_LINES` | texts that are read at most; 0: all | 20000 |
//! | `BENCH_LENGTH` | tokens of a text at most | 512 |
//! | `BENCH_ROUNDS` | rounds of each measurement; the median is printed. 0: only the check | 5 |
//!
//! One JSON object a line; times are those on a processor, so other work on the machine counts
//! little. Made-up texts have 10 to 70 characters, nine of ten Han characters.

#[allow(dead_code)] // each benchmark uses a part of it
mod timing;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use juzi_schemas::random::Draws;
use juzi_trainer::tokenizer::{Encoded, NOWHERE, Scratch, Tokenizer};
use serde_json::json;

use timing::{median, number, read, say, variable};

const TEXTS: usize = 20_000;

/// Tokens of BERT for Chinese.
const VOCABULARY: usize = 21_128;

fn main() -> ExitCode {
    timing::main(bench)
}

fn bench() -> Result<(), String> {
    let start = Instant::now();
    let tokenizer = match variable("BENCH_TOKENIZER") {
        Some(path) => Tokenizer::open(Path::new(&path)),
        None => {
            let folder = made_up_tokenizer()?;
            let tokenizer = Tokenizer::open(&folder);
            std::fs::remove_dir_all(&folder).ok();
            tokenizer
        }
    };
    let tokenizer = tokenizer.map_err(|error| error.to_string())?;
    let opened = start.elapsed().as_secs_f64();
    let lines = number("BENCH_LINES", TEXTS);
    let lines = if lines == 0 { usize::MAX } else { lines };
    let texts: Vec<String> = match variable("BENCH_TEXT") {
        Some(path) => read(&path)?.lines().take(lines).map(String::from).collect(),
        None => (0..TEXTS.min(lines)).map(made_up_text).collect(),
    };
    let bytes: usize = texts.iter().map(String::len).sum();
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    say(&json!({
        "tokenizer": tokenizer.kind(), "vocabulary": tokenizer.vocabulary(), "open_s": opened,
        "texts": texts.len(), "bytes": bytes,
        "characters_per_text": characters as f64 / texts.len() as f64,
    })
    .to_string());
    let length_max = number("BENCH_LENGTH", 512);
    check(&tokenizer, &texts, length_max)?;
    if number("BENCH_ROUNDS", 5) > 0 {
        measure(&tokenizer, &texts, length_max);
    }
    Ok(())
}

/// Every text must give the same tokens at the same places.
fn check(tokenizer: &Tokenizer, texts: &[String], length_max: usize) -> Result<(), String> {
    let mut reference = tokenizer.reference().tokenizer().clone();
    let truncation = tokenizers::TruncationParams {
        max_length: length_max,
        ..Default::default()
    };
    let cut = reference.with_truncation(Some(truncation));
    cut.map_err(|error| error.to_string())?;
    let (mut scratch, mut out, mut tokens) = (Scratch::default(), Encoded::default(), 0);
    for text in texts {
        out.clear();
        tokens += tokenizer.encode(text, length_max, &mut scratch, &mut out);
        let expected = reference.encode(text.as_str(), true);
        let expected = expected.map_err(|error| error.to_string())?;
        let special = expected.get_special_tokens_mask().iter();
        let starts = expected.get_offsets().iter().zip(special);
        let mut starts = starts.map(|(&(start, _), &special)| match special {
            1 => NOWHERE,
            _ => start as u32,
        });
        if out.ids != expected.get_ids() || !starts.by_ref().eq(out.starts.iter().copied()) {
            return Err(format!("another result for {text:?}"));
        }
    }
    say(&json!({ "compared": texts.len(), "different": 0, "tokens": tokens }).to_string());
    Ok(())
}

fn measure(tokenizer: &Tokenizer, texts: &[String], length_max: usize) {
    let bytes: usize = texts.iter().map(String::len).sum();
    let report = |kind: &str, name: &str, seconds: f64| {
        say(&json!({
            kind: name, "texts_per_s": (texts.len() as f64 / seconds).round(),
            "us_per_text": 1e6 * seconds / texts.len() as f64,
            "mb_per_s": bytes as f64 / seconds / 1e6,
        })
        .to_string());
        seconds
    };
    let (mut scratch, mut out) = (Scratch::default(), Encoded::default());
    let ours = report(
        "measured",
        "Tokenizer::encode: tokens and places",
        median(|| {
            for text in texts {
                out.clear();
                tokenizer.encode(text, length_max, &mut scratch, &mut out);
                black_box(&mut out);
            }
        }),
    );
    let count = |text: &String| text.chars().map(|one| one as usize & 1).sum::<usize>();
    report(
        "limit",
        "decode each character",
        median(|| {
            black_box(texts.iter().map(count).sum::<usize>());
        }),
    );
    tokenizers::utils::parallelism::set_parallelism(false);
    let reference = tokenizer.reference().tokenizer();
    let peer = |name: &str, work: &dyn Fn(&str) -> tokenizers::Result<tokenizers::Encoding>| {
        let seconds = median(|| {
            for text in texts {
                black_box(work(text).ok());
            }
        });
        report("peer", name, seconds) / ours
    };
    let ratio = peer("tokenizers: encode, byte offsets", &|text| {
        reference.encode(text, true)
    });
    peer("tokenizers: encode_fast, no offsets", &|text| {
        reference.encode_fast(text, true)
    });
    peer("tokenizers: encode_char_offsets", &|text| {
        reference.encode_char_offsets(text, true)
    });
    let batched = median(|| {
        for batch in texts.chunks(256) {
            let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
            black_box(reference.encode_batch(batch, true).ok());
        }
    });
    report(
        "peer",
        "tokenizers: encode_batch of 256, one thread",
        batched,
    );
    say(&json!({ "ratio_to_encode": ratio }).to_string());
}

/// A text of Han characters, here and there a word, a number or a sign.
fn made_up_text(number: usize) -> String {
    let mut draws = Draws::new(1, 0, 0, number as u128, 0);
    let mut text = String::new();
    for _ in 0..10 + draws.below(61) {
        match draws.below(30) {
            0 => text.push_str(" tokenizer "),
            1 => text.push_str("2026"),
            2 => text.push('，'),
            _ => text.push(han((5000f64.powf(draws.unit())) as u32)),
        }
    }
    text
}

fn han(rank: u32) -> char {
    char::from_u32(0x4e00 + rank).unwrap_or('一')
}

/// BERT's files with special tokens, Han characters and short words.
fn made_up_tokenizer() -> Result<PathBuf, String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "，"].map(String::from);
    let letters = ('a'..='z').chain('0'..='9');
    let letters = letters.flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let words = ["token", "##izer", "20", "##26"].map(String::from);
    let tokens = special.into_iter().chain(letters).chain(words);
    let tokens: Vec<String> = tokens
        .chain((0..).map(|rank| han(rank).to_string()))
        .take(VOCABULARY)
        .collect();
    let folder = std::env::temp_dir().join(format!("juzi-bench-tokenizer-{}", std::process::id()));
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("vocab.txt"), tokens.join("\n")));
    written.map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}
