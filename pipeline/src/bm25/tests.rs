//! Golden values, and every search against the sum over all documents.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use super::{Parameters, Scratch, Segment, Statistics};
use crate::neighbors::{Hit, TopK};

const USUAL: Parameters = Parameters {
    k1: 1.2,
    b: 0.75,
    common_share: 1.0,
};

fn sorted(terms: &[u32]) -> Vec<u32> {
    let mut terms = terms.to_vec();
    terms.sort_unstable();
    terms
}

fn statistics(documents: &[Vec<u32>], parameters: Parameters) -> Statistics {
    let mut frequencies = vec![0; 64];
    for document in documents {
        for same in document.chunk_by(|a, b| a == b) {
            frequencies[same[0] as usize] += 1;
        }
    }
    let tokens = documents.iter().map(|document| document.len() as u64).sum();
    Statistics::new(documents.len(), tokens, frequencies, parameters)
}

/// The best hits by segments that begin at the given documents.
fn searched(
    statistics: &Statistics,
    documents: &[Vec<u32>],
    queries: &[Vec<u32>],
    k: usize,
    size: usize,
) -> Vec<Vec<Hit>> {
    let (mut best, mut scratch) = (TopK::new(queries.len(), k), Scratch::default());
    for (number, part) in documents.chunks(size).enumerate() {
        let mut builder = Segment::builder();
        for (at, document) in part.iter().enumerate() {
            builder.push((number * size + at) as u32, document);
        }
        let segment = builder.build(statistics);
        for (at, query) in queries.iter().enumerate() {
            segment.search(&statistics.query(query), at, &mut best, &mut scratch);
        }
    }
    let hits = |at: usize| {
        let mut hits = best.candidates(at).to_vec();
        hits.sort_unstable_by(Hit::order);
        hits
    };
    (0..queries.len()).map(hits).collect()
}

#[test]
fn golden_values_by_hand() {
    // a a b · b c · c c c d; N = 3, mean length 3; idf(n) = ln(1 + (3 - n + 0.5) / (n + 0.5)).
    let documents = [vec![0, 0, 1], vec![1, 2], vec![2, 2, 2, 3]];
    let statistics = statistics(&documents, USUAL);
    // Query a b: idf(a) = ln(1 + 2.5 / 1.5) = 0.980829, idf(b) = ln(1 + 1.5 / 2.5) = 0.470004.
    // First: length 3, norm 1.2, 0.980829 * 2 / 3.2 + 0.470004 / 2.2 = 0.826656.
    // Second: length 2, norm 1.2 * (0.25 + 0.75 * 2 / 3) = 0.9, 0.470004 / 1.9 = 0.247370.
    let hits = searched(&statistics, &documents, &[vec![0, 1]], 3, 9);
    let found: Vec<(u32, f32)> = hits[0].iter().map(|hit| (hit.id, hit.cosine)).collect();
    assert_eq!(found.len(), 2);
    for ((id, score), (wanted, value)) in found.iter().zip([(0, 0.826_656), (1, 0.247_370)]) {
        assert!(
            *id == wanted && (score - value).abs() < 1e-5,
            "{id} {score}"
        );
    }
    // Query c c: length 4, norm 1.2 * (0.25 + 0.75 * 4 / 3) = 1.5, 2 * 0.470004 * 3 / 4.5.
    let query = statistics.query(&[2, 2]);
    let score = statistics.score(&query, &documents[2]);
    assert!((score - 0.626_672).abs() < 1e-5, "{score}");
    assert_eq!(statistics.score(&query, &documents[0]), 0.0);
    assert!(statistics.query(&[60, 61]).terms.is_empty());
}

#[test]
fn equal_documents_come_by_number() {
    let documents = vec![vec![1, 2]; 50];
    let statistics = statistics(&documents, USUAL);
    for size in [1, 7, 50] {
        let hits = searched(&statistics, &documents, &[vec![2, 5]], 9, size);
        let ids: Vec<u32> = hits[0].iter().map(|hit| hit.id).collect();
        assert_eq!(ids, (0..9).collect::<Vec<_>>(), "segments of {size}");
    }
}

#[test]
fn a_common_term_scores_but_brings_nobody() {
    // Term 0 stands in all of 3,000 documents, term 1 in the last ten.
    let document = |at: usize| if at < 2_990 { vec![0] } else { vec![0, 1] };
    let documents: Vec<Vec<u32>> = (0..3_000).map(document).collect();
    let rare = Parameters {
        common_share: 0.1,
        ..USUAL
    };
    let strict = statistics(&documents, rare);
    let loose = statistics(&documents, USUAL);
    let query = [vec![0, 1], vec![0]];
    let [few, all] =
        [&strict, &loose].map(|statistics| searched(statistics, &documents, &query, 100, 900));
    assert_eq!(few[0].iter().map(|hit| hit.id).min(), Some(2_990));
    assert_eq!((few[0].len(), few[1].len()), (10, 0));
    assert_eq!((all[0].len(), all[1].len()), (100, 100));
    assert_eq!(few[0], all[0][..10]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn agrees_with_scoring_every_document(
        documents in vec(vec(proptest::sample::select(vec![0u32, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]), 0..12), 1..200),
        queries in vec(vec(0u32..12, 0..8), 1..6),
        k in 1usize..20,
        size in 1usize..120,
        k1 in 0.0f64..3.0,
        b in 0.0f64..=1.0,
    ) {
        let documents: Vec<Vec<u32>> = documents.iter().map(|terms| sorted(terms)).collect();
        let queries: Vec<Vec<u32>> = queries.iter().map(|terms| sorted(terms)).collect();
        let statistics = statistics(&documents, Parameters { k1, b, ..USUAL });
        let found = searched(&statistics, &documents, &queries, k, size);
        for (query, found) in queries.iter().zip(found) {
            let query = statistics.query(query);
            let scored = documents.iter().enumerate();
            let scored = scored.map(|(at, document)| Hit { id: at as u32, cosine: statistics.score(&query, document) });
            let mut all: Vec<Hit> = scored.filter(|hit| hit.cosine > 0.0).collect();
            all.sort_unstable_by(Hit::order);
            all.truncate(k);
            prop_assert_eq!(found, all);
        }
    }
}
