//! The stage `negatives` against a slow search by the formula.

use std::collections::{BTreeMap, BTreeSet};

use juzi_schemas::manifest::Table;
use juzi_schemas::record::Kind;

use crate::negatives::{Mined, Pair, check_right, key, mined, pairs, plan, right};
use crate::support::Place;

/// Scores of all documents for an anchor by the formula, best first.
struct Oracle {
    documents: Vec<(Vec<u32>, Vec<String>)>,
    frequencies: BTreeMap<String, f64>,
    queries: BTreeMap<Vec<u32>, Vec<String>>,
}

impl Oracle {
    fn new(pairs: &[Pair], terms: impl Fn(&Pair, &str) -> Vec<String>) -> Oracle {
        let (mut documents, mut queries) = (Vec::new(), BTreeMap::new());
        let mut seen = BTreeSet::new();
        for pair in pairs.iter().filter(|pair| pair.train) {
            queries
                .entry(key(&pair.anchor))
                .or_insert_with(|| terms(pair, &pair.anchor));
            for text in std::iter::once(&pair.positive).chain(&pair.own) {
                if seen.insert(key(text)) {
                    documents.push((key(text), terms(pair, text)));
                }
            }
        }
        let mut frequencies = BTreeMap::new();
        for (_, words) in &documents {
            for word in words.iter().collect::<BTreeSet<_>>() {
                *frequencies.entry(word.clone()).or_insert(0.0) += 1.0;
            }
        }
        Oracle {
            documents,
            frequencies,
            queries,
        }
    }

    fn scores(&self, anchor: &[u32]) -> Vec<(f64, Vec<u32>)> {
        let (k1, b) = (1.2, 0.75);
        let total = self.documents.len() as f64;
        let tokens: usize = self.documents.iter().map(|(_, words)| words.len()).sum();
        let mean = tokens as f64 / total;
        let query = &self.queries[anchor];
        let mut scores = Vec::new();
        for (name, words) in &self.documents {
            let mut score = 0.0;
            for term in query {
                let n = self.frequencies.get(term).copied().unwrap_or(0.0);
                let tf = words.iter().filter(|word| *word == term).count() as f64;
                let idf = (1.0 + (total - n + 0.5) / (n + 0.5)).ln();
                score += idf * tf / (tf + k1 * (1.0 - b + b * words.len() as f64 / mean));
            }
            scores.push((score, name.clone()));
        }
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        scores
    }
}

fn grams(text: &[u32]) -> BTreeSet<Vec<u32>> {
    text.windows(3).map(<[u32]>::to_vec).collect()
}

fn is_copy(one: &[u32], other: &[u32]) -> bool {
    let (one, other) = (grams(one), grams(other));
    let both = one.intersection(&other).count() as f64;
    both >= 0.8 * one.union(&other).count() as f64
}

/// What the formula and the rules say, against what was mined.
#[track_caller]
fn agrees(pairs: &[Pair], rows: &BTreeMap<u128, Mined>, oracle: &Oracle, share: f64) {
    let right = right(pairs);
    let (mut full, mut copies, mut limited) = (0, 0, 0);
    for pair in pairs.iter().filter(|pair| pair.train) {
        let anchor = key(&pair.anchor);
        let scores = oracle.scores(&anchor);
        let of: BTreeMap<&Vec<u32>, f64> = scores.iter().map(|(s, name)| (name, *s)).collect();
        let known: Vec<&Vec<u32>> = right[&anchor]
            .iter()
            .filter(|k| of.contains_key(k))
            .collect();
        let least = known.iter().map(|k| of[*k]).fold(f64::INFINITY, f64::min);
        let own_score = of[&key(&pair.positive)];
        limited += usize::from(least < own_score * 0.9);
        let (mut expected, mut taken) = (Vec::new(), Vec::<&Vec<u32>>::new());
        for (score, name) in &scores {
            let refused = *name == anchor
                || right[&anchor].contains(name)
                || pair.own.iter().any(|own| key(own) == *name)
                || *score >= share * least
                || *score <= 0.0;
            if refused {
                continue;
            }
            let right = known.iter().any(|known| is_copy(name, known));
            if is_copy(name, &anchor) || right || taken.iter().any(|taken| is_copy(name, taken)) {
                copies += 1;
                continue;
            }
            taken.push(name);
            expected.push(*score);
        }
        full += usize::from(expected.len() > 5);
        expected.truncate(5);
        let row = &rows[&pair.id];
        assert!((f64::from(row.score.unwrap()) - own_score).abs() < 1e-4);
        let better = scores.iter().filter(|(score, _)| *score > own_score + 1e-5);
        match row.rank {
            Some(rank) => assert!(rank as usize > better.count()),
            None => assert!(own_score < 1e-9, "{own_score}"),
        }
        assert_eq!(row.negatives.len(), expected.len(), "{}", pair.anchor);
        for ((text, score), wanted) in row.negatives.iter().zip(expected) {
            assert!(
                (f64::from(*score) - wanted).abs() < 1e-4,
                "{score} {wanted}"
            );
            assert!((of[&key(text)] - wanted).abs() < 1e-4, "{text}");
        }
    }
    assert!(
        full > 50 && copies > 3 && limited > 9,
        "{full} {copies} {limited}"
    );
}

#[test]
fn words_find_what_the_formula_says() {
    let place = Place::new("bm25-oracle");
    let dataset = place.mine(
        "data",
        &plan(&place, true, "k = 1000\ncount = 5\npositive_share = 0.999"),
        &[],
    );
    let pairs = pairs(&place.dataset("data"));
    let (rows, order) = mined(&dataset);
    let train: Vec<u128> = pairs.iter().filter(|p| p.train).map(|p| p.id).collect();
    assert_eq!(order, train, "rows come in the order of the shards");
    assert_eq!(dataset.manifest.counts["pairs_of_other_splits"], 9);
    check_right(&pairs, &rows);
    let oracle = Oracle::new(&pairs, |pair, text| pair.words[text].clone());
    agrees(&pairs, &rows, &oracle, 0.999);
    // One file for each file of pairs, with its name.
    let shards = place.dataset("data").manifest;
    let names = |kinds: &[Kind]| -> Vec<String> {
        let files = shards
            .files_of(Table::Rows)
            .filter(|f| kinds.contains(&f.kind.unwrap()));
        files.map(|file| file.name.clone()).collect()
    };
    let made: Vec<String> = dataset
        .manifest
        .files
        .iter()
        .map(|f| f.name.clone())
        .collect();
    assert_eq!(made, names(&[Kind::Pair, Kind::Triplet]));
    assert!(made.len() > 3);
}

#[test]
fn pairs_of_characters_stand_in_for_words() {
    let place = Place::new("bm25-bigrams");
    let dataset = place.mine(
        "data",
        &plan(&place, false, "k = 1000\ncount = 5\npositive_share = 0.999"),
        &[],
    );
    let pairs = pairs(&place.dataset("data"));
    let (rows, _) = mined(&dataset);
    let oracle = Oracle::new(&pairs, |_, text| {
        let key = key(text);
        key.windows(2).map(|pair| format!("{pair:?}")).collect()
    });
    agrees(&pairs, &rows, &oracle, 0.999);
}

#[test]
fn threads_and_memory_do_not_show() {
    let place = Place::new("negative-threads");
    let usual = plan(
        &place,
        true,
        "k = 20\nsampling = \"random\"\nrandom_fill = true",
    );
    let one = place.mine("one", &usual, &["--threads", "1"]);
    let more = place.mine("more", &usual, &["--threads", "8"]);
    assert_eq!(one.bytes(), more.bytes());
    let small = usual.clone() + "memory = \"200kB\"\n";
    let parts = place.mine("small", &small, &[]);
    assert_eq!(parts.manifest.rows_hash, one.manifest.rows_hash);
    place.write("plan.toml", usual + "memory = \"20kB\"\n");
    let run = place.negatives("small", &[]);
    run.expect(
        2,
        &[
            "[negatives] memory = 20.0 kB is too small",
            "give more memory",
        ],
    );
    let again = place.negatives("one", &[]);
    assert_eq!(again.code, Some(2), "another memory is another plan");
}
