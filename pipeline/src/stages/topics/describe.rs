//! What the topics are: telling words, sizes by corpus, typical texts, from one more pass.
//!
//! Words are counted in a sample of records, so that memory is bounded by it; typical texts are a
//! few for each topic.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, UInt32Type};
use juzi_schemas::dataset::DatasetWriter;
use juzi_schemas::shard::Groups;
use juzi_schemas::topic::Topic;
use juzi_schemas::words::cut;

use super::draw::Lot;
use super::records::{Records, Rows, Unit};
use crate::error::{Error, Result};
use crate::lexicon::telling::{Counts, Wanted, telling};

/// Records of each topic, on average, whose words are counted.
const NAMED_PER_TOPIC: f64 = 400.0;

/// Records at most whose words are counted.
const NAMED_MAX: f64 = 400_000.0;

/// Telling words that are kept, and those that make the name.
const WORDS: usize = 10;
const NAME_WORDS: usize = 3;

/// Typical texts that are kept, and those among which they are chosen.
const EXAMPLES: usize = 3;
const CANDIDATES: usize = 24;

/// Longest example in characters.
const EXAMPLE_CHARS: usize = 120;

/// Share of common pairs of characters above which two examples are too alike.
const ALIKE: f64 = 0.4;

/// A typical text: nearest first, then by id.
type Candidate = (u32, u128, String);

/// What is collected of a topic.
#[derive(Default)]
struct Found {
    count: u64,
    corpora: BTreeMap<String, u64>,
    words: Counts,
    examples: BTreeSet<Candidate>,
}

impl Found {
    fn offer(&mut self, candidate: (u32, u128), text: impl FnOnce() -> String) {
        let last = self.examples.last().map(|last| (last.0, last.1));
        if self.examples.len() == CANDIDATES && last.is_some_and(|last| candidate >= last) {
            return;
        }
        self.examples.insert((candidate.0, candidate.1, text()));
        if self.examples.len() > CANDIDATES {
            self.examples.pop_last();
        }
    }

    fn add(&mut self, other: Found) {
        self.count += other.count;
        for (corpus, count) in other.corpora {
            *self.corpora.entry(corpus).or_default() += count;
        }
        for (word, count) in other.words {
            *self.words.entry(word).or_default() += count;
        }
        for (distance, id, text) in other.examples {
            self.offer((distance, id), || text);
        }
    }
}

/// Describes `count` topics; `names` are theirs if the corpora named them.
///
/// # Errors
/// The shards or the topics' files cannot be read; an interruption.
pub fn run(
    records: &Records<'_>,
    writer: &DatasetWriter,
    seed: u64,
    count: usize,
    names: Option<&[String]>,
) -> Result<Vec<Topic>> {
    let wanted = (count as f64 * NAMED_PER_TOPIC).min(NAMED_MAX);
    let pass = Pass {
        records,
        writer,
        words: Wanted::new(super::DICTIONARIES[0].1),
        lot: Lot::new(seed, wanted, records.manifest.rows),
    };
    let all: Mutex<Vec<Found>> = Mutex::new((0..count).map(|_| Found::default()).collect());
    records.each_group("describe", |unit, rows| {
        let own = pass.group(unit, rows)?;
        let mut all = all.lock().expect("no holder panics");
        for (topic, found) in own {
            let place = all.get_mut(topic as usize);
            place.ok_or_else(|| pass.mismatch(unit))?.add(found);
        }
        Ok(())
    })?;
    let mut all = all.into_inner().expect("no holder panics");
    let words: Vec<Counts> = all
        .iter_mut()
        .map(|found| std::mem::take(&mut found.words))
        .collect();
    let words = telling(&words, WORDS);
    let described = all.into_iter().zip(words).enumerate();
    Ok(described
        .map(|(number, (found, words))| {
            let name = names.map(|names| names[number].clone());
            describe(number as u32, found, words, name)
        })
        .collect())
}

fn describe(number: u32, found: Found, words: Vec<String>, name: Option<String>) -> Topic {
    let mut corpora: Vec<(String, u64)> = found.corpora.into_iter().collect();
    corpora.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let examples = choose(&found.examples);
    let own = || match (words.is_empty(), examples.first()) {
        (false, _) => words[..words.len().min(NAME_WORDS)].join(" · "),
        (true, Some(text)) => text.chars().take(12).collect(),
        (true, None) => format!("topic {number}"),
    };
    Topic {
        topic: number,
        name: name.unwrap_or_else(own),
        words,
        count: found.count,
        corpora,
        examples,
    }
}

/// The nearest texts that differ; where all are alike, at least those that are not the same.
fn choose(candidates: &BTreeSet<Candidate>) -> Vec<String> {
    let mut chosen: Vec<&str> = Vec::new();
    for alike in [ALIKE, 0.999] {
        for (_, _, text) in candidates {
            let differs = |other: &&str| likeness(text, other) < alike;
            if chosen.len() < EXAMPLES && chosen.iter().all(differs) {
                chosen.push(text);
            }
        }
    }
    chosen.into_iter().map(String::from).collect()
}

/// Share of the pairs of characters of two texts that both have.
fn likeness(one: &str, other: &str) -> f64 {
    if one == other {
        return 1.0;
    }
    let pairs =
        |text: &str| -> HashSet<(char, char)> { text.chars().zip(text.chars().skip(1)).collect() };
    let (one, other) = (pairs(one), pairs(other));
    let both = one.intersection(&other).count();
    both as f64 / (one.len() + other.len() - both).max(1) as f64
}

struct Pass<'p> {
    records: &'p Records<'p>,
    writer: &'p DatasetWriter,
    words: Wanted,
    lot: Lot,
}

impl Pass<'_> {
    fn path(&self, unit: Unit) -> PathBuf {
        let file = self.records.files()[unit.file];
        self.writer.dir().join(&file.name)
    }

    fn mismatch(&self, unit: Unit) -> Error {
        Error::Content {
            path: self.path(unit),
            message: "does not fit the shards; delete the unfinished dataset".into(),
        }
    }

    /// What a row group of shards and its topics say.
    fn group(&self, unit: Unit, rows: &Rows<'_>) -> Result<BTreeMap<u32, Found>> {
        let groups = Groups::open(&self.path(unit), None)?;
        let batch = groups.read(unit.ordinal, Some(&["topic", "distance"]))?;
        if batch.num_rows() != rows.len() {
            return Err(self.mismatch(unit));
        }
        let mut found = BTreeMap::<u32, Found>::new();
        let topics = batch.column(0).as_primitive::<UInt32Type>();
        let distances = batch.column(1).as_primitive::<Float32Type>();
        for row in (0..rows.len()).filter(|&row| topics.is_valid(row)) {
            let own = found.entry(topics.value(row)).or_default();
            let distance = distances.is_valid(row).then(|| distances.value(row));
            self.row(rows, row, distance, own)?;
        }
        Ok(found)
    }

    fn row(
        &self,
        rows: &Rows<'_>,
        row: usize,
        distance: Option<f32>,
        own: &mut Found,
    ) -> Result<()> {
        let id = rows.id(row);
        own.count += 1;
        match own.corpora.get_mut(rows.corpus(row)) {
            Some(count) => *count += 1,
            None => drop(own.corpora.insert(rows.corpus(row).into(), 1)),
        }
        // Positive floats sort as their bits do; without distances any record is as typical.
        let distance = distance.map_or((id >> 96) as u32, |distance| distance.max(0.0).to_bits());
        own.offer((distance, id), || {
            let text = rows.shown(row);
            let mut short: String = text.chars().take(EXAMPLE_CHARS).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            short
        });
        if self.records.words && self.lot.draws(id) {
            rows.texts(row, |text, lengths| {
                for word in cut(text, lengths).filter(|word| self.words.fits(word)) {
                    match own.words.get_mut(word) {
                        Some(count) => *count += 1,
                        None => drop(own.words.insert(word.into(), 1)),
                    }
                }
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{CANDIDATES, Found, choose};

    #[test]
    fn examples_are_near_and_differ() {
        let mut found = Found::default();
        let texts = [
            "汽车保险怎么买",
            "汽车保险怎么买呢",
            "人寿保险赔多少",
            "你好",
            "养老金如何领取",
        ];
        for (at, text) in texts.iter().enumerate() {
            found.offer((at as u32, 1), || text.to_string());
        }
        assert_eq!(choose(&found.examples), [texts[0], texts[2], texts[3]]);
        let mut same = Found::default();
        for at in 0..100 {
            same.offer((100 - at, 1), || "一样的".into());
        }
        assert_eq!(same.examples.len(), CANDIDATES);
        assert_eq!(same.examples.first().unwrap().0, 1);
        assert_eq!(choose(&same.examples), ["一样的"]);
    }
}
