//! What one core can do of each part alone: the limits that a whole run is held against.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use juzi_pipeline::readers::{Document, ReaderOptions, reader};
use juzi_pipeline::text::luse;
use juzi_pipeline::text::words::Segmenter;
use juzi_schemas::record::{Kind, Layout, Row, RowsBuilder, Split};
use juzi_schemas::shard::{ROWS_PER_GROUP, ShardWriter};
use xxhash_rust::xxh3::xxh3_128;

use crate::say;

/// Bytes of the input that are looked at.
const PART_BYTES: usize = 128 << 20;

/// Prints the table of limits.
pub fn measure(file: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut text = Vec::new();
    std::fs::File::open(file)
        .map_err(failed)?
        .take(PART_BYTES as u64)
        .read_to_end(&mut text)
        .map_err(failed)?;
    text.truncate(
        text.iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1),
    );
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    let news = reader("news2016zh", &ReaderOptions::default())?;
    let bytes = text.len();
    say("| one core, alone | MB/s of input |\n|---|---|");
    row("copy memory", bytes, || {
        drop(std::hint::black_box(text.as_bytes().to_vec()))
    });
    row("hash (XXH3-128)", bytes, || {
        std::hint::black_box(xxh3_128(text.as_bytes()));
    });
    let mut fields = Vec::new();
    row("scan JSON", bytes, || {
        fields.clear();
        let mut document = Document::default();
        for line in text.lines() {
            document.clear(news.columns().len());
            if news.read(line, &mut document).is_ok() {
                fields.extend(document.columns[..3].iter().map(|text| text.to_string()));
            }
        }
    });
    let mut sentences = Vec::new();
    row("split sentences (luse)", bytes, || {
        sentences.clear();
        let mut scratch = String::new();
        for field in &fields {
            luse::sentences(field, &mut scratch, |sentence| {
                sentences.push(sentence.to_string())
            });
        }
    });
    let joined = sentences.concat();
    row("zstd level 1", bytes, || {
        let pieces = joined.as_bytes().chunks(1 << 20);
        pieces.for_each(|piece| drop(std::hint::black_box(zstd::bulk::compress(piece, 1))));
    });
    row("write Parquet (zstd, to memory)", bytes, || {
        std::hint::black_box(parquet(&sentences));
    });
    let segmenter = Segmenter::new("")?;
    let some = &sentences[..sentences.len() / 16];
    let share = some.iter().map(String::len).sum::<usize>() * bytes / joined.len().max(1);
    row("segment words (jieba)", share, || {
        let mut lengths = Vec::new();
        for sentence in some {
            lengths.clear();
            segmenter.lengths(sentence, &mut lengths);
        }
    });
    Ok(())
}

fn parquet(sentences: &[String]) -> usize {
    let layout = Layout {
        kind: Kind::Text,
        words: false,
        corpora: vec!["bench".into()],
    };
    let schema = std::sync::Arc::new(layout.schema_in_memory());
    let mut writer =
        ShardWriter::new(Vec::new(), schema, Path::new("memory")).expect("a writer to memory");
    let mut builder = RowsBuilder::new(layout);
    for (number, sentence) in sentences.iter().enumerate() {
        let id = xxh3_128(sentence.as_bytes());
        let texts = [sentence.as_str()];
        let (document, position) = (id as u64, number as u32 % 14);
        builder.push(&Row {
            id,
            corpus: 0,
            split: Split::Train,
            texts: &texts,
            score: 0.0,
            document,
            position,
            topic_key: None,
            group_key: None,
            words: &[],
        });
        if builder.rows() == ROWS_PER_GROUP {
            writer
                .write(&builder.finish().expect("a batch"))
                .expect("a write to memory");
        }
    }
    writer
        .write(&builder.finish().expect("a batch"))
        .expect("a write to memory");
    writer.finish().map_or(0, |(bytes, _)| bytes.len())
}

/// Best of three, in millions of bytes of input a second.
fn row(name: &str, bytes: usize, mut work: impl FnMut()) {
    let best = (0..3)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    say(&format!("| {name} | {:.0} |", bytes as f64 / 1e6 / best));
}
