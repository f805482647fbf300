//! Score filters by hand, and merging.

use super::{Candidate, Filter, Reference, merge, refused_by_score};
use crate::plan::{NegativesOptions, Unmatched};

fn table() -> NegativesOptions {
    NegativesOptions {
        positive_share: 0.0,
        ..NegativesOptions::default()
    }
}

fn reference(least: f64) -> Reference {
    Reference {
        least,
        matched: true,
    }
}

#[test]
fn a_share_of_a_negative_score_tightens_too() {
    let share = NegativesOptions {
        positive_share: 0.9,
        ..table()
    };
    let refused = |score: f32, least: f64| refused_by_score(&share, score, reference(least));
    assert_eq!(refused(0.89, 1.0), None);
    assert_eq!(refused(0.91, 1.0), Some(Filter::Share));
    // 0.9 of -0.5 is -0.45, which is above the positive: candidates better than it would pass.
    assert_eq!(refused(-0.47, -0.5), Some(Filter::Share));
    assert_eq!(refused(-0.54, -0.5), Some(Filter::Share));
    assert_eq!(refused(-0.56, -0.5), None);
    assert_eq!(refused(0.0, 0.0), Some(Filter::Share));
    assert_eq!(refused(-0.01, 0.0), None);
}

#[test]
fn margins_and_bounds() {
    let all = NegativesOptions {
        margin: Some(0.2),
        score_min: Some(-0.5),
        score_max: Some(0.7),
        ..table()
    };
    let refused = |score: f32, least: f64| refused_by_score(&all, score, reference(least));
    assert_eq!(refused(0.29, 0.5), None);
    assert_eq!(refused(0.31, 0.5), Some(Filter::Margin));
    assert_eq!(refused(-0.31, -0.1), None);
    assert_eq!(refused(-0.29, -0.1), Some(Filter::Margin));
    assert_eq!(refused(-0.51, 0.5), Some(Filter::ScoreMin));
    assert_eq!(refused(0.71, 0.9), Some(Filter::ScoreMax));
    assert_eq!(refused_by_score(&table(), 9.0, reference(1.0)), None);
}

#[test]
fn a_positive_without_a_score() {
    let none = Reference {
        least: 0.0,
        matched: false,
    };
    let strict = NegativesOptions::default();
    let loose = NegativesOptions {
        unmatched_positive: Unmatched::Accept,
        ..NegativesOptions::default()
    };
    assert_eq!(
        refused_by_score(&strict, 3.0, none),
        Some(Filter::Unmatched)
    );
    assert_eq!(refused_by_score(&loose, 3.0, none), None);
    assert_eq!(refused_by_score(&table(), 3.0, none), None);
}

#[test]
fn lists_are_merged_by_reciprocal_rank() {
    let candidate = |document: u32, rank: u32| Candidate {
        document,
        score: 1.0 / (60.0 + rank as f32),
        rank,
    };
    let mut survivors = vec![candidate(7, 1), candidate(5, 2), candidate(9, 3)];
    survivors.extend([candidate(5, 4), candidate(8, 1)]);
    let mut refused = Vec::new();
    merge(&mut survivors, &mut refused);
    let order: Vec<(u32, u32)> = survivors.iter().map(|c| (c.document, c.rank)).collect();
    assert_eq!(order, [(5, 2), (7, 1), (8, 1), (9, 3)]);
    assert!((survivors[0].score - (1.0 / 62.0 + 1.0 / 64.0)).abs() < 1e-6);
    assert_eq!(refused, [(candidate(5, 4), Filter::Both)]);
}
