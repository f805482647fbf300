//! BM25: exact scores of documents for queries that are all known ahead.
//!
//! ```text
//! terms of documents ─▶ Statistics ─▶ Query   terms with factors, rarest first
//!                            └──────▶ Segment of at most 65,536 documents ─▶ TopK of each query
//! ```
//! The formula is Lucene's: `idf = ln(1 + (N − n + 0.5) / (n + 0.5))`, and a term adds
//! `idf · tf / (tf + k1 · (1 − b + b · length / mean length))`. Lengths are exact, where Lucene and
//! tantivy round them to eight bits, and equal scores go by the number of the document, so that the
//! same corpus gives the same hits in any number of segments and threads. A segment has statistics
//! of all documents, not its own, and fits into a core's cache; segments come and go, so memory does
//! not grow with the corpus.
//!
//! Terms are numbers here: what a term is, and what its number, is decided by who calls.

mod segment;

pub use segment::{Scratch, Segment};

/// Documents that a term may stand in, whatever its share, and still bring in candidates.
const COMMON_MIN: f64 = 1000.0;

/// The free parameters of BM25.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// How soon more occurrences of a term count no more.
    pub k1: f64,
    /// How much a long document is held against it, 0 to 1.
    pub b: f64,
    /// Share of the documents above which a term scores, but brings in no candidate by itself.
    pub common_share: f64,
}

/// What is known of all documents together.
#[derive(Clone, Debug)]
pub struct Statistics {
    documents: f64,
    length_mean: f64,
    frequencies: Vec<u32>,
    parameters: Parameters,
}

/// A term of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Its number.
    pub id: u32,
    /// Inverse document frequency times its occurrences in the query.
    pub factor: f32,
}

/// A query, ready to be searched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Its terms that stand in any document, rarest first: the order in which scores are summed.
    pub terms: Vec<Term>,
    /// How many of them, from the front, bring in candidates.
    pub bringing: usize,
}

impl Statistics {
    /// Statistics of documents with so many terms together; `frequencies` says for each term in how
    /// many documents it stands.
    pub fn new(
        documents: usize,
        tokens: u64,
        frequencies: Vec<u32>,
        parameters: Parameters,
    ) -> Statistics {
        let documents = documents as f64;
        Statistics {
            documents,
            length_mean: (tokens as f64 / documents.max(1.0)).max(f64::MIN_POSITIVE),
            frequencies,
            parameters,
        }
    }

    /// Documents that a term stands in.
    fn frequency(&self, term: u32) -> u32 {
        self.frequencies.get(term as usize).copied().unwrap_or(0)
    }

    /// The part of a term's score that a document decides, 0 to 1.
    #[inline]
    pub fn weight(&self, occurrences: u32, length: u32) -> f32 {
        let Parameters { k1, b, .. } = self.parameters;
        let occurrences = f64::from(occurrences);
        let norm = k1 * (1.0 - b + b * f64::from(length) / self.length_mean);
        (occurrences / (occurrences + norm)) as f32
    }

    /// A query from its terms, which are sorted and repeat as often as they occur.
    pub fn query(&self, sorted: &[u32]) -> Query {
        let mut terms: Vec<(u32, Term)> = Vec::new();
        for same in sorted.chunk_by(|a, b| a == b) {
            let id = same[0];
            let frequency = self.frequency(id);
            if frequency > 0 {
                let n = f64::from(frequency);
                let idf = (1.0 + (self.documents - n + 0.5) / (n + 0.5)).ln();
                let factor = (idf * same.len() as f64) as f32;
                terms.push((frequency, Term { id, factor }));
            }
        }
        terms.sort_unstable_by_key(|(frequency, term)| (*frequency, term.id));
        let common = (self.parameters.common_share * self.documents).max(COMMON_MIN);
        let bringing = terms.partition_point(|(frequency, _)| f64::from(*frequency) <= common);
        Query {
            terms: terms.into_iter().map(|(_, term)| term).collect(),
            bringing,
        }
    }

    /// Score of one document for a query, by its terms, which are sorted and repeat: the same bits
    /// as a search gives; 0 when they share no term.
    pub fn score(&self, query: &Query, sorted: &[u32]) -> f32 {
        let length = sorted.len() as u32;
        let mut score = 0.0;
        for term in &query.terms {
            let start = sorted.partition_point(|&id| id < term.id);
            let occurrences = sorted[start..].partition_point(|&id| id == term.id);
            if occurrences > 0 {
                score += term.factor * self.weight(occurrences as u32, length);
            }
        }
        score
    }
}

#[cfg(test)]
mod tests;
