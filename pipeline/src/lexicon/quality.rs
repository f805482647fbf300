//! How good neighbours in vectors are as synonyms, by rank and by cosine: the share that a dictionary confirms.
//!
//! Only pairs of which the dictionary knows both words are judged, and a dictionary names few of the synonyms that
//! there are, so a share is low even where the neighbours are good: it is to be compared, not believed.

use std::fmt;

use serde::Serialize;

use crate::lexicon::dictionary::Relation;

/// A neighbour of a word.
#[derive(Clone, Copy, Debug)]
pub struct Neighbor {
    /// Place among the neighbours of its word, from 1.
    pub rank: u8,
    /// Cosine of the two vectors.
    pub cosine: f32,
    /// What the dictionary says of the two words.
    pub relation: Relation,
    /// Whether the dictionary knows both words.
    pub known: bool,
}

/// Hundredths of the cosine in a bin, and between two floors.
const STEP: i32 = 5;

/// The floors of the table, in hundredths.
const FLOORS: std::ops::RangeInclusive<i32> = 30..=90;

/// The bins cover cosines from 0 to 1; the first one also holds what is below.
const BINS: usize = 100 / STEP as usize;

/// Counts of neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    neighbors: u64,
    judged: u64,
    synonyms: u64,
    related: u64,
}

impl Counts {
    fn add(&mut self, neighbor: &Neighbor) {
        self.neighbors += 1;
        self.judged += u64::from(neighbor.known);
        self.synonyms += u64::from(neighbor.known && neighbor.relation == Relation::Synonym);
        self.related += u64::from(neighbor.known && neighbor.relation == Relation::Related);
    }

    fn merge(&mut self, other: &Counts) {
        self.neighbors += other.neighbors;
        self.judged += other.judged;
        self.synonyms += other.synonyms;
        self.related += other.related;
    }
}

/// Collects neighbours. Threads can fill one each and merge them: the result does not depend on the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    words: u64,
    by_rank: Vec<Counts>,
    by_bin: [Counts; BINS],
    by_floor: Vec<(u64, Counts)>,
}

impl Tally {
    /// Counts a word with all its neighbours, in any order. A cosine that is no number is in the first bin and
    /// over no floor.
    pub fn add(&mut self, neighbors: &[Neighbor]) {
        self.words += 1;
        self.by_floor
            .resize(FLOORS.step_by(STEP as usize).count(), Default::default());
        for neighbor in neighbors {
            let place = usize::from(neighbor.rank).saturating_sub(1);
            if self.by_rank.len() <= place {
                self.by_rank.resize(place + 1, Counts::default());
            }
            self.by_rank[place].add(neighbor);
            let bin =
                (1..BINS).rfind(|&bin| neighbor.cosine >= hundredths(bin as i32 * STEP) as f32);
            self.by_bin[bin.unwrap_or(0)].add(neighbor);
        }
        for (floor, (words, counts)) in floors().zip(&mut self.by_floor) {
            let mut kept = neighbors
                .iter()
                .filter(|near| near.cosine >= floor as f32)
                .peekable();
            *words += u64::from(kept.peek().is_some());
            kept.for_each(|neighbor| counts.add(neighbor));
        }
    }

    /// Adds what another tally counted.
    pub fn merge(&mut self, other: &Tally) {
        self.words += other.words;
        let ranks = self.by_rank.len().max(other.by_rank.len());
        self.by_rank.resize(ranks, Counts::default());
        let floors = self.by_floor.len().max(other.by_floor.len());
        self.by_floor.resize(floors, Default::default());
        for (counts, more) in self.by_rank.iter_mut().zip(&other.by_rank) {
            counts.merge(more);
        }
        for (counts, more) in self.by_bin.iter_mut().zip(&other.by_bin) {
            counts.merge(more);
        }
        for ((words, counts), (more_words, more)) in self.by_floor.iter_mut().zip(&other.by_floor) {
            *words += more_words;
            counts.merge(more);
        }
    }

    /// The tables. Ranks and bins without a neighbour are left out.
    pub fn quality(&self) -> Quality {
        let ranks = self.by_rank.iter().enumerate();
        let bins = self.by_bin.iter().enumerate();
        Quality {
            words: self.words,
            by_rank: ranks
                .filter(|(_, counts)| counts.neighbors > 0)
                .map(|(place, counts)| RankRow {
                    rank: place + 1,
                    shares: Shares::from(counts),
                })
                .collect(),
            by_cosine: bins
                .filter(|(_, counts)| counts.neighbors > 0)
                .map(|(bin, counts)| CosineRow {
                    cosine_min: (bin > 0).then(|| hundredths(bin as i32 * STEP)),
                    cosine_max: hundredths((bin as i32 + 1) * STEP),
                    shares: Shares::from(counts),
                })
                .collect(),
            by_floor: floors()
                .zip(&self.by_floor)
                .map(|(floor, (words, counts))| FloorRow {
                    floor,
                    words: *words,
                    shares: Shares::from(counts),
                })
                .collect(),
        }
    }
}

/// The same number that TOML gives for `0.35`.
fn hundredths(hundredths: i32) -> f64 {
    f64::from(hundredths) / 100.0
}

fn floors() -> impl Iterator<Item = f64> {
    FLOORS.step_by(STEP as usize).map(hundredths)
}

/// Counts and shares of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// Neighbours in the row.
    pub neighbors: u64,
    /// Those of which the dictionary knows both words.
    pub judged: u64,
    /// Share of the judged that are synonyms by the dictionary; nothing when none is judged.
    pub synonym_share: Option<f64>,
    /// Share of the judged that are related by the dictionary.
    pub related_share: Option<f64>,
}

impl From<&Counts> for Shares {
    fn from(counts: &Counts) -> Shares {
        let share = |count: u64| (counts.judged > 0).then(|| count as f64 / counts.judged as f64);
        Shares {
            neighbors: counts.neighbors,
            judged: counts.judged,
            synonym_share: share(counts.synonyms),
            related_share: share(counts.related),
        }
    }
}

/// The neighbours of one rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RankRow {
    /// From 1.
    pub rank: usize,
    /// What is known of them.
    #[serde(flatten)]
    pub shares: Shares,
}

/// The neighbours with a cosine between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CosineRow {
    /// Lower bound, included; nothing for the first bin, which has none.
    pub cosine_min: Option<f64>,
    /// Upper bound, excluded except 1.
    pub cosine_max: f64,
    /// What is known of them.
    #[serde(flatten)]
    pub shares: Shares,
}

/// All neighbours that a floor keeps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FloorRow {
    /// The lowest cosine that is kept.
    pub floor: f64,
    /// Words with at least one neighbour left.
    pub words: u64,
    /// What is known of the neighbours.
    #[serde(flatten)]
    pub shares: Shares,
}

/// Three tables from which a floor of the cosine can be chosen; `Display` writes them as plain text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Words that were counted, also those without a neighbour.
    pub words: u64,
    /// By rank.
    pub by_rank: Vec<RankRow>,
    /// By cosine.
    pub by_cosine: Vec<CosineRow>,
    /// Everything from a cosine upwards.
    pub by_floor: Vec<FloorRow>,
}

impl fmt::Display for Quality {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = format!(
            "{:>12}{:>12}{:>10}{:>10}",
            "neighbors", "judged", "synonym", "related"
        );
        writeln!(out, "{:<14}{columns}", "rank")?;
        for row in &self.by_rank {
            writeln!(out, "{:<14}{}", row.rank, row.shares)?;
        }
        writeln!(out, "\n{:<14}{columns}", "cosine")?;
        for row in &self.by_cosine {
            let label = match row.cosine_min {
                Some(least) => format!("{least:.2} to {:.2}", row.cosine_max),
                None => format!("below {:.2}", row.cosine_max),
            };
            writeln!(out, "{label:<14}{}", row.shares)?;
        }
        writeln!(
            out,
            "\n{:<14}{columns}{:>12}{:>10}",
            "floor", "words", "of all"
        )?;
        for row in &self.by_floor {
            let share = Some(row.words as f64 / self.words.max(1) as f64);
            let (words, share) = (row.words, Percent(share));
            writeln!(
                out,
                "{:<14.2}{}{words:>12}{share:>10}",
                row.floor, row.shares
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (synonyms, related) = (Percent(self.synonym_share), Percent(self.related_share));
        write!(
            out,
            "{:>12}{:>12}{synonyms:>10}{related:>10}",
            self.neighbors, self.judged
        )
    }
}

/// A share as people read it; `-` where there is none.
struct Percent(Option<f64>);

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(share) => out.pad(&format!("{:.1} %", share * 100.0)),
            None => out.pad("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Neighbor, Tally};
    use crate::lexicon::dictionary::Relation;

    fn near(rank: u8, cosine: f32, relation: Relation, known: bool) -> Neighbor {
        Neighbor {
            rank,
            cosine,
            relation,
            known,
        }
    }

    fn tally() -> Tally {
        let mut tally = Tally::default();
        tally.add(&[
            near(1, 0.9, Relation::Synonym, true),
            near(2, 0.7, Relation::Related, true),
            near(3, 0.31, Relation::None, false),
        ]);
        tally.add(&[
            near(1, 0.7, Relation::None, true),
            near(2, -0.2, Relation::None, true),
        ]);
        tally.add(&[]);
        tally
    }

    #[test]
    fn golden_table() {
        let expected = "\
rank             neighbors      judged   synonym   related
1                        2           2    50.0 %     0.0 %
2                        2           2     0.0 %    50.0 %
3                        1           0         -         -

cosine           neighbors      judged   synonym   related
below 0.05               1           1     0.0 %     0.0 %
0.30 to 0.35             1           0         -         -
0.70 to 0.75             2           2     0.0 %    50.0 %
0.90 to 0.95             1           1   100.0 %     0.0 %

floor            neighbors      judged   synonym   related       words    of all
0.30                     4           3    33.3 %    33.3 %           2    66.7 %
0.35                     3           3    33.3 %    33.3 %           2    66.7 %
";
        let text = tally().quality().to_string();
        assert!(text.starts_with(expected), "{text}");
        let end =
            "0.70                     3           3    33.3 %    33.3 %           2    66.7 %";
        assert!(text.contains(end), "{text}");
        assert!(
            text.ends_with(
                "0.90                     1           1   100.0 %     0.0 %           1    33.3 %\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn json_holds_the_same() {
        let json = serde_json::to_value(tally().quality()).unwrap();
        assert_eq!(json["words"], 3);
        assert_eq!(json["by_rank"][1]["related_share"], 0.5);
        assert_eq!(json["by_rank"][2]["synonym_share"], serde_json::Value::Null);
        assert_eq!(json["by_cosine"][0]["cosine_min"], serde_json::Value::Null);
        assert_eq!(json["by_floor"].as_array().unwrap().len(), 13);
        assert_eq!(json["by_floor"][8]["neighbors"], 3);
    }

    #[test]
    fn no_word_and_no_number() {
        let mut tally = Tally::default();
        assert!(tally.quality().to_string().starts_with("rank"));
        tally.add(&[
            near(1, f32::NAN, Relation::None, true),
            near(0, f32::INFINITY, Relation::Synonym, false),
        ]);
        let quality = tally.quality();
        assert_eq!(
            quality
                .by_cosine
                .iter()
                .map(|row| row.shares.neighbors)
                .sum::<u64>(),
            2
        );
        assert_eq!(quality.by_floor[12].shares.neighbors, 1);
    }

    proptest! {
        #[test]
        fn merging_equals_adding(words in proptest::collection::vec(proptest::collection::vec((1u8..9, -1f32..1f32, 0u8..3, proptest::bool::ANY), 0..9), 0..12), at in 0usize..12) {
            let relations = [Relation::Synonym, Relation::Related, Relation::None];
            let (mut whole, mut left, mut right) = (Tally::default(), Tally::default(), Tally::default());
            for (number, word) in words.iter().enumerate() {
                let neighbors: Vec<_> = word.iter().map(|&(rank, cosine, relation, known)| near(rank, cosine, relations[relation as usize], known)).collect();
                whole.add(&neighbors);
                if number < at { left.add(&neighbors) } else { right.add(&neighbors) }
            }
            right.merge(&left);
            prop_assert_eq!(right.quality(), whole.quality());
            let quality = whole.quality();
            let all: u64 = words.iter().map(|word| word.len() as u64).sum();
            prop_assert_eq!(quality.by_rank.iter().map(|row| row.shares.neighbors).sum::<u64>(), all);
            prop_assert_eq!(quality.by_cosine.iter().map(|row| row.shares.neighbors).sum::<u64>(), all);
        }
    }
}
