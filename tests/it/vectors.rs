//! Word vectors that the tests make up, in every layout, and plans that read them.

use std::collections::BTreeMap;

use juzi_schemas::synonym::Synonyms;

use crate::support::Dataset;

/// A table that switches all guards off.
pub const UNGUARDED: &str = "[synonyms.guards]\nstop_words = false\nnumbers = false\nscripts = false\n\
                             antonyms = false\npart_of_speech = false\nco_hyponyms = false\n";

/// Words of a cluster of [`Vectors::clustered`].
const CLUSTER: usize = 12;

/// Word vectors, as a file holds them.
pub struct Vectors {
    /// The words.
    pub words: Vec<String>,
    /// Numbers of a vector.
    pub dimension: usize,
    /// The vectors, one after another.
    pub values: Vec<f32>,
}

/// So many different words of two and, after 600, three characters.
pub fn made_up(count: usize) -> Vec<String> {
    const STARTS: &str = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏";
    const ENDS: &str = "闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈巨";
    let [starts, ends] = [STARTS, ENDS].map(|letters| letters.chars().collect::<Vec<char>>());
    let word = |at: usize| {
        let third = (at / 600).checked_sub(1).map(|at| ends[at]);
        let first = [starts[at / 25 % 24], ends[at % 25]];
        first.into_iter().chain(third).collect()
    };
    (0..count).map(word).collect()
}

impl Vectors {
    /// Vectors in clusters of twelve; word i is in cluster `i % clusters`. The sixth word of a
    /// cluster has the vector of the fifth.
    pub fn clustered(words: Vec<String>, dimension: usize) -> Vectors {
        let mut state = 7u64;
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005);
            state = state.wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) % 2001) as f32 / 1000.0 - 1.0
        };
        let clusters = words.len().div_ceil(CLUSTER);
        let middles: Vec<f32> = (0..clusters * dimension).map(|_| number()).collect();
        let mut values: Vec<f32> = Vec::new();
        for at in 0..words.len() {
            let middle = &middles[at % clusters * dimension..][..dimension];
            let row: Vec<f32> = match at / clusters {
                5 => values[(at - clusters) * dimension..][..dimension].to_vec(),
                _ => middle.iter().map(|value| value + 0.4 * number()).collect(),
            };
            values.extend(row);
        }
        Vectors {
            words,
            dimension,
            values,
        }
    }

    /// 600 made-up words.
    pub fn usual() -> Vectors {
        Vectors::clustered(made_up(600), 12)
    }

    /// The vector of a word by its number.
    pub fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.dimension..][..self.dimension]
    }

    /// Cosine of two words by their numbers.
    pub fn cosine(&self, one: usize, other: usize) -> f64 {
        let product = |one: usize, other: usize| -> f64 {
            let pairs = self.row(one).iter().zip(self.row(other));
            pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        product(one, other) / (product(one, one) * product(other, other)).sqrt()
    }

    /// word2vec text without a header.
    pub fn lines(&self) -> String {
        let row = |at: usize| self.row(at).iter().map(|value| format!(" {value}"));
        let line =
            |(at, word): (usize, &String)| format!("{word}{}\n", row(at).collect::<String>());
        self.words.iter().enumerate().map(line).collect()
    }

    /// word2vec text.
    pub fn text(&self) -> String {
        format!("{} {}\n{}", self.words.len(), self.dimension, self.lines())
    }

    /// word2vec binary.
    pub fn binary(&self) -> Vec<u8> {
        let mut bytes = format!("{} {}\n", self.words.len(), self.dimension).into_bytes();
        for (at, word) in self.words.iter().enumerate() {
            bytes.extend(format!("{word} ").bytes());
            bytes.extend(self.row(at).iter().flat_map(|value| value.to_le_bytes()));
            bytes.push(b'\n');
        }
        bytes
    }

    /// A NumPy matrix; its words are [`Vectors::list`].
    pub fn npy(&self) -> Vec<u8> {
        let shape = format!("({}, {})", self.words.len(), self.dimension);
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(format!("{header:<117}\n").bytes());
        bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// The words, one a line.
    pub fn list(&self) -> String {
        self.words.join("\n") + "\n"
    }
}

/// A plan of synonyms alone, unguarded; `lines` are lines of its table.
pub fn table(lines: &str) -> String {
    format!("name = \"it\"\n[synonyms]\n{lines}\n{UNGUARDED}")
}

/// A plan for every word of a file of vectors.
pub fn alone(vectors: &str, lines: &str) -> String {
    table(&format!(
        "vocabulary = \"vectors\"\nvectors = \"{vectors}\"\n{lines}"
    ))
}

/// How often each word stands in the texts of a dataset.
pub fn counted(dataset: &Dataset) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for row in dataset.sql("SELECT text, words FROM rows") {
        let text: Vec<char> = row["text"].as_str().unwrap().chars().collect();
        let mut rest = text.as_slice();
        for length in row["words"].as_array().unwrap() {
            let (word, after) = rest.split_at(length.as_u64().unwrap() as usize);
            *counts.entry(word.iter().collect()).or_default() += 1;
            rest = after;
        }
        assert!(rest.is_empty(), "{row}");
    }
    counts
}

/// True for a word with a letter or digit.
pub fn has_letter(word: &str) -> bool {
    word.chars().any(char::is_alphanumeric)
}

/// Each word with its synonyms: text, cosine, source.
pub type Rows = Vec<(String, Vec<(String, Option<f32>, &'static str)>)>;

/// What a dataset holds, in its order.
pub fn rows(dataset: &Dataset) -> Rows {
    let synonyms = Synonyms::open(&dataset.dir).unwrap();
    let rows = synonyms.iter().map(|(word, all)| {
        let all = all.map(|one| (one.text.to_string(), one.cosine, one.source.name()));
        (word.to_string(), all.collect())
    });
    rows.collect()
}
