//! The judgement: which candidates of a row become its negatives.

use juzi_schemas::random::Draws;

use super::collect::{Collected, Entry};
use super::counts::{Counts, Filter};
use super::dense::Nearest;
use super::known::{Known, Right};
use super::lexical::Words;
use super::lists::{Lists, Open};
use super::near::Near;
use super::scores::{Reference, refused_by_score};
use crate::error::Result;
use crate::neighbors::Hit;
use crate::plan::{NegativesOptions, Sampling};

/// Added to a rank before it is inverted (Cormack, Clarke and Büttcher 2009).
const RECIPROCAL: f64 = 60.0;

/// Positives of a row that candidates are compared with character by character.
const COMPARED_MAX: usize = 64;

/// Draws of documents for each that is wanted at random, at most.
const DRAWS_PER_WISH: usize = 16;

/// Uses of the seed.
const STREAM_SAMPLE: u64 = 0x6e65_6701;
const STREAM_FILL: u64 = 0x6e65_6702;

/// Who scored the candidates of a list.
pub enum Scorer<'s> {
    /// By words.
    Words(Words<'s>),
    /// By vectors.
    Vectors(Nearest),
}

/// A miner: its lists and how it scores.
pub struct Miner<'s> {
    /// Candidates of each query.
    pub lists: Lists,
    /// How it scores.
    pub scorer: Scorer<'s>,
}

/// Everything that judgements follow from; nothing here changes.
pub struct Judge<'j> {
    /// The table of the plan.
    pub table: &'j NegativesOptions,
    /// Seed of sampling and filling.
    pub seed: u64,
    /// Texts and rows.
    pub collected: &'j Collected,
    /// What is right.
    pub known: &'j Known,
    /// One miner, or two whose lists are merged.
    pub miners: &'j [Miner<'j>],
    /// What counts as a copy.
    pub near: Near,
}

/// A row to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its number among the rows of split train.
    pub number: usize,
    /// Its id.
    pub id: u128,
}

/// A negative, or with a filter a candidate that is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The document.
    pub document: u32,
    /// Its score; NaN when it was drawn.
    pub score: f32,
    /// Its rank in its list, from 1; of two lists the better; 0 when it was drawn.
    pub rank: u32,
}

/// What became of a row.
#[derive(Default)]
pub struct Choice {
    /// Score of its own positive, where it is known.
    pub positive_score: Option<f32>,
    /// Rank of its own positive, where it is in a list.
    pub positive_rank: Option<u32>,
    /// Its negatives, hardest first.
    pub kept: Vec<Candidate>,
    /// Refused candidates with the filter that did it.
    pub refused: Vec<(Candidate, Filter)>,
}

/// N-grams of what no negative may be a copy of.
#[derive(Default)]
struct Originals {
    /// Of the anchor, of the positives, then of the negatives taken so far.
    grams: Vec<Vec<u64>>,
    /// How many of them are not of negatives.
    right: usize,
}

/// Memory of one thread, reused from row to row.
#[derive(Default)]
pub struct Scratch {
    open: [Open; 2],
    hits: Vec<Hit>,
    positives: Vec<u32>,
    buffer: Vec<u8>,
    folded: Vec<u32>,
    survivors: Vec<Candidate>,
}

impl Judge<'_> {
    /// Chooses the negatives of a row.
    ///
    /// # Errors
    /// The disk.
    pub fn choose(&self, row: Row, scratch: &mut Scratch, counts: &mut Counts) -> Result<Choice> {
        let entry = self.collected.rows[row.number];
        let mut choice = Choice::default();
        let mut merged = 0.0;
        scratch.survivors.clear();
        let before = counts.candidates;
        self.known.positives(entry.query, &mut scratch.positives);
        if !scratch.positives.contains(&entry.positive) {
            scratch.positives.push(entry.positive);
        }
        for at in 0..self.miners.len() {
            let (score, rank) = self.mine(at, row, entry, scratch, &mut choice, counts)?;
            choice.positive_score = Some(score);
            merged += rank.map_or(0.0, reciprocal);
            choice.positive_rank = match (choice.positive_rank, rank) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        if self.miners.len() > 1 {
            choice.positive_score = (merged > 0.0).then_some(merged as f32);
            merge(&mut scratch.survivors, &mut choice.refused);
        }
        self.sample(row, &mut scratch.survivors);
        self.take(entry, scratch, &mut choice)?;
        if self.table.random_fill {
            self.fill(row, entry, scratch, &mut choice, counts)?;
        }
        let order = |a: &Candidate, b: &Candidate| {
            let drawn = a.score.is_nan().cmp(&b.score.is_nan());
            let scores = b.score.total_cmp(&a.score);
            drawn.then(scores).then(a.document.cmp(&b.document))
        };
        choice.kept.sort_by(order);
        self.count(&choice, counts.candidates - before, counts);
        Ok(choice)
    }

    /// Adds what a miner's list has to the survivors; gives score and rank of the row's positive.
    fn mine(
        &self,
        at: usize,
        row: Row,
        entry: Entry,
        scratch: &mut Scratch,
        choice: &mut Choice,
        counts: &mut Counts,
    ) -> Result<(f32, Option<u32>)> {
        let miner = &self.miners[at];
        let (score, reference) = self.reference(miner, entry, scratch)?;
        let Scratch { open, hits, .. } = scratch;
        miner
            .lists
            .read(entry.query as usize, &mut open[at], hits)?;
        let own = self.collected.own_of(row.number);
        let mut rank_of_positive = None;
        for (rank, hit) in (1..).zip(&scratch.hits) {
            counts.candidates += 1;
            if hit.id == entry.positive {
                rank_of_positive = Some(rank);
            }
            let mut candidate = Candidate {
                document: hit.id,
                score: hit.cosine,
                rank,
            };
            let refused = self
                .refused_by_place(rank, entry, hit.id, own)
                .or_else(|| refused_by_score(self.table, hit.cosine, reference));
            if self.miners.len() > 1 {
                candidate.score = reciprocal(rank) as f32;
            }
            match refused {
                Some(filter) => choice.refused.push((candidate, filter)),
                None => scratch.survivors.push(candidate),
            }
        }
        Ok((score, rank_of_positive))
    }

    /// The score of a row's positive, and the least of all that are right.
    fn reference(
        &self,
        miner: &Miner<'_>,
        entry: Entry,
        scratch: &mut Scratch,
    ) -> Result<(f32, Reference)> {
        let mut own = 0.0;
        let mut least = f32::INFINITY;
        let query = match &miner.scorer {
            Scorer::Words(words) => words.query(entry.query, &mut scratch.buffer)?,
            Scorer::Vectors(_) => crate::bm25::Query::default(),
        };
        for &document in &scratch.positives {
            let score = match &miner.scorer {
                Scorer::Words(words) => words.score(&query, document, &mut scratch.buffer)?,
                Scorer::Vectors(vectors) => vectors.score(entry.query, document),
            };
            if document == entry.positive {
                own = score;
            }
            least = least.min(score);
        }
        let reference = Reference {
            least: f64::from(least),
            matched: matches!(miner.scorer, Scorer::Vectors(_)) || least > 0.0,
        };
        Ok((own, reference))
    }

    fn refused_by_place(
        &self,
        rank: u32,
        entry: Entry,
        document: u32,
        own: &[(u32, u32)],
    ) -> Option<Filter> {
        let ranks = self.table.rank_min..=self.table.rank_last();
        if !ranks.contains(&(rank as usize)) {
            return Some(Filter::Rank);
        }
        self.refused_as_right(entry, document, own)
    }

    fn refused_as_right(&self, entry: Entry, document: u32, own: &[(u32, u32)]) -> Option<Filter> {
        if self.known.is_query(entry.query, document) {
            return Some(Filter::Anchor);
        }
        match self.known.right(entry.query, document) {
            Some(Right::Positive) => return Some(Filter::Positive),
            Some(Right::Group) => return Some(Filter::Group),
            None => {}
        }
        let has = own.iter().any(|(_, other)| *other == document);
        has.then_some(Filter::Own)
    }

    /// Brings the survivors into the order in which they are taken.
    fn sample(&self, row: Row, survivors: &mut [Candidate]) {
        if self.table.sampling == Sampling::Random {
            let mut draws = Draws::new(self.seed, STREAM_SAMPLE, 0, row.id, 0);
            for at in 0..survivors.len() {
                let other = at + draws.below(survivors.len() - at);
                survivors.swap(at, other);
            }
        }
    }

    /// Takes survivors that are no copies until there are enough.
    fn take(&self, entry: Entry, scratch: &mut Scratch, choice: &mut Choice) -> Result<()> {
        let survivors = std::mem::take(&mut scratch.survivors);
        let mut copies = None;
        for &candidate in &survivors {
            let filter = match choice.kept.len() == self.table.count {
                true => Some(Filter::After),
                false => {
                    let copies = match &mut copies {
                        Some(copies) => copies,
                        None => copies.insert(self.originals(entry, scratch)?),
                    };
                    self.refused_as_copy(candidate.document, copies, scratch)?
                }
            };
            match filter {
                None => choice.kept.push(candidate),
                Some(filter) => choice.refused.push((candidate, filter)),
            }
        }
        scratch.survivors = survivors;
        Ok(())
    }

    /// The anchor and its positives; nothing where copies are not looked for.
    fn originals(&self, entry: Entry, scratch: &mut Scratch) -> Result<Originals> {
        if !self.near.is_on() {
            return Ok(Originals::default());
        }
        let Scratch {
            positives,
            buffer,
            folded,
            ..
        } = scratch;
        let anchor = self.collected.queries.record(entry.query, buffer)?;
        let mut grams = vec![self.near.grams(anchor.text, folded)];
        let own = [entry.positive];
        let others = positives.iter().filter(|&&other| other != entry.positive);
        for &document in own.iter().chain(others).take(COMPARED_MAX) {
            let record = self.collected.documents.record(document, buffer)?;
            grams.push(self.near.grams(record.text, folded));
        }
        let right = grams.len();
        Ok(Originals { grams, right })
    }

    /// Why a document is a copy; one that is none is an original itself from now on.
    fn refused_as_copy(
        &self,
        document: u32,
        originals: &mut Originals,
        scratch: &mut Scratch,
    ) -> Result<Option<Filter>> {
        if originals.grams.is_empty() {
            return Ok(None);
        }
        let Scratch { buffer, folded, .. } = scratch;
        let record = self.collected.documents.record(document, buffer)?;
        let grams = self.near.grams(record.text, folded);
        let mut all = originals.grams.iter();
        let copied = all.position(|original| self.near.is_copy(original, &grams));
        if copied.is_none() {
            originals.grams.push(grams);
        }
        Ok(copied.map(|at| match at {
            0 => Filter::NearAnchor,
            at if at < originals.right => Filter::NearPositive,
            _ => Filter::NearNegative,
        }))
    }

    /// Fills up with documents drawn at random: never a right one, a copy, or one twice.
    fn fill(
        &self,
        row: Row,
        entry: Entry,
        scratch: &mut Scratch,
        choice: &mut Choice,
        counts: &mut Counts,
    ) -> Result<()> {
        let missing = self.table.count - choice.kept.len();
        if missing == 0 {
            return Ok(());
        }
        let mut originals = self.originals(entry, scratch)?;
        for kept in &choice.kept {
            self.refused_as_copy(kept.document, &mut originals, scratch)?;
        }
        let own = self.collected.own_of(row.number);
        let mut draws = Draws::new(self.seed, STREAM_FILL, 0, row.id, 0);
        for _ in 0..DRAWS_PER_WISH * (missing + 3) {
            if choice.kept.len() == self.table.count {
                break;
            }
            let document = draws.below(self.collected.documents.len()) as u32;
            counts.drawn += 1;
            let twice = choice.kept.iter().any(|kept| kept.document == document);
            if twice
                || self.refused_as_right(entry, document, own).is_some()
                || self
                    .refused_as_copy(document, &mut originals, scratch)?
                    .is_some()
            {
                counts.drawn_refused += 1;
                continue;
            }
            choice.kept.push(Candidate {
                document,
                score: f32::NAN,
                rank: 0,
            });
            counts.filled += 1;
        }
        Ok(())
    }

    fn count(&self, choice: &Choice, candidates: u64, counts: &mut Counts) {
        let wanted = self.table.count as u64;
        let kept = choice.kept.len() as u64;
        counts.rows += 1;
        counts.asked += wanted;
        counts.missing += wanted - kept;
        let mined = choice.kept.iter().filter(|kept| kept.rank > 0);
        counts.found += mined.count() as u64;
        for (_, filter) in &choice.refused {
            counts.refused[*filter as usize] += 1;
        }
        if kept < wanted {
            counts.short_rows += 1;
            counts.empty_rows += u64::from(kept == 0);
            counts.short_candidates += candidates;
            for (_, filter) in &choice.refused {
                counts.short_refused[*filter as usize] += 1;
            }
        }
        counts.positives_unranked += u64::from(choice.positive_rank.is_none());
        if let Some(score) = choice.positive_score {
            counts.positives.push(score);
        }
        for kept in &choice.kept {
            counts.negatives.push(kept.score);
        }
    }
}

fn reciprocal(rank: u32) -> f64 {
    1.0 / (RECIPROCAL + f64::from(rank))
}

/// Makes one list of two: a document in both has the sum of its scores and the better rank.
fn merge(survivors: &mut Vec<Candidate>, refused: &mut Vec<(Candidate, Filter)>) {
    survivors.sort_by_key(|candidate| (candidate.document, candidate.rank));
    let mut one: Vec<Candidate> = Vec::with_capacity(survivors.len());
    for &candidate in survivors.iter() {
        match one.last_mut() {
            Some(last) if last.document == candidate.document => {
                last.score += candidate.score;
                refused.push((candidate, Filter::Both));
            }
            _ => one.push(candidate),
        }
    }
    one.sort_by(|a, b| {
        let scores = b.score.total_cmp(&a.score);
        scores.then(a.document.cmp(&b.document))
    });
    *survivors = one;
}

#[cfg(test)]
mod tests;
