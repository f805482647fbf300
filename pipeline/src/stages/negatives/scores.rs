//! The score filters: what a candidate's score must be below.

use super::counts::Filter;
use crate::plan::{NegativesOptions, Unmatched};

/// Scores that candidates of one list are held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// The least score of the right documents.
    pub least: f64,
    /// False when the miner cannot score one of them.
    pub matched: bool,
}

/// The first score filter that refuses a score.
pub fn refused_by_score(
    table: &NegativesOptions,
    score: f32,
    reference: Reference,
) -> Option<Filter> {
    let score = f64::from(score);
    if table.score_min.is_some_and(|least| score < least) {
        return Some(Filter::ScoreMin);
    }
    if table.score_max.is_some_and(|most| score > most) {
        return Some(Filter::ScoreMax);
    }
    let compares = table.positive_share > 0.0 || table.margin.is_some();
    if compares && !reference.matched {
        return match table.unmatched_positive {
            Unmatched::Refuse => Some(Filter::Unmatched),
            Unmatched::Accept => None,
        };
    }
    // Of a negative score a smaller share would be a higher one, so the distance is taken off.
    let least = reference.least;
    let bound = least - least.abs() * (1.0 - table.positive_share);
    if table.positive_share > 0.0 && score >= bound {
        return Some(Filter::Share);
    }
    let margin = table.margin.is_some_and(|margin| score >= least - margin);
    margin.then_some(Filter::Margin)
}
