//! What became of every candidate and every row, so that totals can be checked.

use serde::{Deserialize, Serialize};

/// Why a candidate is no negative, in the order in which it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Its rank lies outside `rank_min` and `rank_max`.
    Rank,
    /// It is the anchor itself.
    Anchor,
    /// It is a positive of this anchor somewhere in the shards.
    Positive,
    /// It stands in a row of the same group.
    Group,
    /// The triplet has it already.
    Own,
    /// Its score is below `score_min`.
    ScoreMin,
    /// Its score is above `score_max`.
    ScoreMax,
    /// The anchor's positive has no score to compare with.
    Unmatched,
    /// Its score is not below `positive_share` of the positive's.
    Share,
    /// Its score is not below the positive's less `margin`.
    Margin,
    /// The other miner proposed it too.
    Both,
    /// It is a copy of the anchor with small changes.
    NearAnchor,
    /// It is a copy of a positive with small changes.
    NearPositive,
    /// It is a copy of a negative that was taken before it.
    NearNegative,
    /// Enough were found before it.
    After,
}

impl Filter {
    /// All filters, in order.
    pub const ALL: [Filter; 15] = [
        Filter::Rank,
        Filter::Anchor,
        Filter::Positive,
        Filter::Group,
        Filter::Own,
        Filter::ScoreMin,
        Filter::ScoreMax,
        Filter::Unmatched,
        Filter::Share,
        Filter::Margin,
        Filter::Both,
        Filter::NearAnchor,
        Filter::NearPositive,
        Filter::NearNegative,
        Filter::After,
    ];

    /// The word in reports.
    pub fn name(self) -> &'static str {
        [
            "outside_ranks",
            "anchor_itself",
            "known_positive",
            "same_group",
            "own_negative",
            "below_score_min",
            "above_score_max",
            "unmatched_positive",
            "positive_share",
            "margin",
            "in_both_lists",
            "near_anchor",
            "near_positive",
            "near_negative",
            "after_count",
        ][self as usize]
    }
}

/// Bins of a histogram of scores; the first and the last take what lies beyond.
pub const BINS: usize = 40;

/// Scores on a fixed scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Where the first bin begins.
    pub low: f64,
    /// Where the last bin ends.
    pub high: f64,
    /// Scores in each bin.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// An empty histogram.
    pub fn new((low, high): (f64, f64)) -> Histogram {
        Histogram {
            low,
            high,
            counts: vec![0; BINS],
        }
    }

    /// Counts a score; NaN is none.
    pub fn push(&mut self, score: f32) {
        if !score.is_nan() {
            let place = (f64::from(score) - self.low) / (self.high - self.low);
            // A cast of what is below 0 gives 0.
            let bin = (place * BINS as f64) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    fn add(&mut self, other: &Histogram) {
        let counts = self.counts.iter_mut().zip(&other.counts);
        counts.for_each(|(count, other)| *count += other);
    }
}

/// Counts of rows and candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that negatives were looked for.
    pub rows: u64,
    /// Rows that were dropped before.
    pub inconsistent: u64,
    /// Negatives that were wanted.
    pub asked: u64,
    /// Candidates of the lists.
    pub candidates: u64,
    /// Candidates that became negatives.
    pub found: u64,
    /// Documents that were drawn at random.
    pub drawn: u64,
    /// Of these, what was refused.
    pub drawn_refused: u64,
    /// Of these, what became negatives.
    pub filled: u64,
    /// Refused candidates by filter.
    pub refused: [u64; Filter::ALL.len()],
    /// Rows with fewer negatives than wanted.
    pub short_rows: u64,
    /// Rows without negatives.
    pub empty_rows: u64,
    /// Negatives that these miss.
    pub missing: u64,
    /// Refused candidates of the short rows by filter.
    pub short_refused: [u64; Filter::ALL.len()],
    /// Candidates of the short rows.
    pub short_candidates: u64,
    /// Rows whose positive is in no list.
    pub positives_unranked: u64,
    /// Scores of positives.
    pub positives: Histogram,
    /// Scores of negatives.
    pub negatives: Histogram,
}

impl Counts {
    /// Nothing counted yet; scores are on this scale.
    pub fn new(scale: (f64, f64)) -> Counts {
        Counts {
            rows: 0,
            inconsistent: 0,
            asked: 0,
            candidates: 0,
            found: 0,
            drawn: 0,
            drawn_refused: 0,
            filled: 0,
            refused: [0; Filter::ALL.len()],
            short_rows: 0,
            empty_rows: 0,
            missing: 0,
            short_refused: [0; Filter::ALL.len()],
            short_candidates: 0,
            positives_unranked: 0,
            positives: Histogram::new(scale),
            negatives: Histogram::new(scale),
        }
    }

    /// Adds the counts of other rows.
    pub fn add(&mut self, other: &Counts) {
        for (own, other) in [
            (&mut self.rows, other.rows),
            (&mut self.inconsistent, other.inconsistent),
            (&mut self.asked, other.asked),
            (&mut self.candidates, other.candidates),
            (&mut self.found, other.found),
            (&mut self.drawn, other.drawn),
            (&mut self.drawn_refused, other.drawn_refused),
            (&mut self.filled, other.filled),
            (&mut self.short_rows, other.short_rows),
            (&mut self.empty_rows, other.empty_rows),
            (&mut self.missing, other.missing),
            (&mut self.short_candidates, other.short_candidates),
            (&mut self.positives_unranked, other.positives_unranked),
        ] {
            *own += other;
        }
        for at in 0..Filter::ALL.len() {
            self.refused[at] += other.refused[at];
            self.short_refused[at] += other.short_refused[at];
        }
        self.positives.add(&other.positives);
        self.negatives.add(&other.negatives);
    }

    /// Candidates, draws and wishes must each add up.
    ///
    /// # Errors
    /// The figures that do not.
    pub fn balance(&self) -> Result<(), String> {
        let check = |what: &str, came: u64, went: u64| match came == went {
            true => Ok(()),
            false => Err(format!("{came} {what} came in, {went} are accounted for")),
        };
        let refused: u64 = self.refused.iter().sum();
        check("candidates", self.candidates, self.found + refused)?;
        check("draws", self.drawn, self.filled + self.drawn_refused)?;
        let wished = self.found + self.filled + self.missing;
        check("wanted negatives", self.asked, wished)
    }
}
