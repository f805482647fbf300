//! The leak report: which texts of a task the training text has.
//!
//! ```text
//! tasks ─▶ texts, folded ─▶ Index: whole texts, and the first 10 characters of each
//! dataset ─▶ texts in blocks ─▶ folded ─▶ hashes of all runs of 10 characters ─▶ candidates ─▶ compared
//! ```
//! Texts are compared as the pipeline's leak gate compares them: letters and digits alone, full-width
//! as half-width, capitals small. Memory holds the index and one block of training text.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::embed::input::each_training_text;

/// Texts with fewer characters say too little: they are counted and left out.
pub const SHORT_CHARACTERS: usize = 4;

/// Texts with at least this many characters are also searched inside longer ones.
pub const HELD_CHARACTERS: usize = 10;

/// Examples of a report.
const EXAMPLES: usize = 3;

/// Bytes of training text that are looked at together.
const BLOCK_BYTES: usize = 4 << 20;

/// How far full-width ASCII lies above half-width ASCII.
const FULL_WIDTH: u32 = 0xFEE0;

/// The factor of the polynomial that hashes characters: odd, with its bits spread.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bits of the table that most runs end at.
const TABLE_BITS: u32 = 22;

/// What training text has of the texts of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leaks {
    /// Different texts of the task that were looked for.
    pub texts: usize,
    /// Of them, those that equal a training text.
    pub equal: usize,
    /// Of them, those that stand whole inside a longer training text and equal none.
    pub held: usize,
    /// Those that equal one or are held by one, of all.
    pub share: f64,
    /// Different texts that are too short to be looked for.
    pub short: usize,
    /// Some that were found, in the order of the task.
    pub examples: Vec<Example>,
}

/// A text that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The text of the task.
    pub text: String,
    /// The first training text that has it.
    pub training: String,
    /// The dataset of the training text.
    pub dataset: PathBuf,
}

/// Letters and digits of a text in one form.
pub fn fold(text: &str, folded: &mut Vec<char>) {
    folded.clear();
    for character in text.chars() {
        let half = match u32::from(character) {
            code @ 0xFF01..=0xFF5E => char::from_u32(code - FULL_WIDTH).unwrap_or(character),
            _ => character,
        };
        if half.is_alphanumeric() {
            // Where the small form is more than one character, the first of them stands for it.
            folded.extend(half.to_lowercase().next());
        }
    }
}

/// A text that is looked for, and what was found of it.
struct Wanted {
    text: String,
    folded: Vec<char>,
    equal: bool,
    held: bool,
    example: Option<(String, PathBuf)>,
}

/// Texts by what training text is compared with.
struct Index {
    wanted: Vec<Wanted>,
    whole: HashMap<Vec<char>, usize>,
    /// Texts by the hash of their first characters.
    starts: HashMap<u64, Vec<usize>>,
    /// Whether a start has a hash with these first bits: small enough for the cache.
    table: Vec<bool>,
}

/// A text that a training text has: its number, and whether the two are equal.
type Hit = (usize, bool);

impl Index {
    /// Takes a text; gives its number, or none where it is too short.
    fn add(&mut self, text: &str) -> Option<usize> {
        let mut folded = Vec::new();
        fold(text, &mut folded);
        if folded.len() < SHORT_CHARACTERS {
            return None;
        }
        if let Some(&number) = self.whole.get(&folded) {
            return Some(number);
        }
        let number = self.wanted.len();
        self.whole.insert(folded.clone(), number);
        if let Some(start) = folded.get(..HELD_CHARACTERS) {
            let hash = hash(start);
            self.starts.entry(hash).or_default().push(number);
            self.table[place(hash)] = true;
        }
        self.wanted.push(Wanted {
            text: text.into(),
            folded,
            equal: false,
            held: false,
            example: None,
        });
        Some(number)
    }

    /// What a training text has.
    fn hits(&self, folded: &Vec<char>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let whole = self.whole.get(folded).copied();
        hits.extend(whole.map(|number| (number, true)));
        if folded.len() < HELD_CHARACTERS || self.starts.is_empty() {
            return hits;
        }
        let leaving = FACTOR.wrapping_pow(HELD_CHARACTERS as u32 - 1);
        let mut hash = hash(&folded[..HELD_CHARACTERS]);
        for start in 0..=folded.len() - HELD_CHARACTERS {
            if start > 0 {
                let out = u64::from(folded[start - 1]).wrapping_mul(leaving);
                let next = u64::from(folded[start + HELD_CHARACTERS - 1]);
                hash = hash.wrapping_sub(out);
                hash = hash.wrapping_mul(FACTOR).wrapping_add(next);
            }
            if self.table[place(hash)]
                && let Some(candidates) = self.starts.get(&hash)
            {
                let held = candidates.iter().copied().filter(|&number| {
                    Some(number) != whole
                        && folded[start..].starts_with(&self.wanted[number].folded)
                });
                hits.extend(held.map(|number| (number, false)));
            }
        }
        hits
    }

    /// Looks at a block of training text, in order.
    fn search(&mut self, block: &mut Vec<String>, dataset: &Path) {
        let found: Vec<Vec<Hit>> = block
            .par_iter()
            .map_init(Vec::new, |folded, text| {
                fold(text, folded);
                self.hits(folded)
            })
            .collect();
        for (text, hits) in block.drain(..).zip(found) {
            for (number, equal) in hits {
                let wanted = &mut self.wanted[number];
                wanted.equal |= equal;
                wanted.held |= !equal;
                let example = || (text.clone(), dataset.to_path_buf());
                wanted.example.get_or_insert_with(example);
            }
        }
    }
}

/// The hash of a run of characters.
fn hash(run: &[char]) -> u64 {
    run.iter().fold(0, |sum: u64, &character| {
        sum.wrapping_mul(FACTOR).wrapping_add(u64::from(character))
    })
}

/// The place of a hash in the table: the high bits of a polynomial are those that are mixed.
fn place(hash: u64) -> usize {
    let mixed = (hash ^ hash >> 32).wrapping_mul(FACTOR);
    (mixed >> (u64::BITS - TABLE_BITS)) as usize
}

/// Looks for the texts of tasks in the training text of some datasets: all columns of text, and of
/// shards the split `train`.
///
/// # Errors
/// A dataset is none, or has no column of texts.
pub fn search(
    tasks: &[(&str, Vec<&str>)],
    datasets: &[PathBuf],
) -> Result<BTreeMap<String, Leaks>> {
    let mut index = Index {
        wanted: Vec::new(),
        whole: HashMap::new(),
        starts: HashMap::new(),
        table: vec![false; 1 << TABLE_BITS],
    };
    let mut numbers = Vec::new();
    for (_, texts) in tasks {
        let mut own: Vec<usize> = Vec::new();
        let mut short: Vec<&str> = Vec::new();
        for text in texts {
            match index.add(text) {
                Some(number) => own.push(number),
                None => short.push(text),
            }
        }
        own.sort_unstable();
        own.dedup();
        short.sort_unstable();
        short.dedup();
        numbers.push((own, short.len()));
    }
    for dataset in datasets {
        let (mut block, mut bytes) = (Vec::new(), 0);
        each_training_text(dataset, &mut |text| {
            bytes += text.len();
            block.push(text.to_string());
            if bytes >= BLOCK_BYTES {
                index.search(&mut block, dataset);
                bytes = 0;
            }
            Ok(true)
        })?;
        index.search(&mut block, dataset);
    }
    let all = tasks.iter().zip(&numbers);
    Ok(all
        .map(|((name, _), (own, short))| (name.to_string(), report(&index, own, *short)))
        .collect())
}

fn report(index: &Index, numbers: &[usize], short: usize) -> Leaks {
    let wanted = || numbers.iter().map(|&number| &index.wanted[number]);
    let equal = wanted().filter(|wanted| wanted.equal).count();
    let held = wanted()
        .filter(|wanted| wanted.held && !wanted.equal)
        .count();
    let examples = wanted().filter_map(|wanted| {
        let (training, dataset) = wanted.example.clone()?;
        Some(Example {
            text: wanted.text.clone(),
            training,
            dataset,
        })
    });
    Leaks {
        texts: numbers.len(),
        equal,
        held,
        share: (equal + held) as f64 / numbers.len().max(1) as f64,
        short,
        examples: examples.take(EXAMPLES).collect(),
    }
}

#[cfg(test)]
mod tests;
