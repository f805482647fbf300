//! TF-IDF and BM25 as vectors: counts of terms, weighted by how rare a term is in the documents.

use std::collections::{BTreeMap, HashMap};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::analyzer::terms;
use crate::Result;
use crate::evaluators::{Embedder, Role, Sparse, Vectors};

/// How fast a repeated term stops counting (Robertson and Zaragoza 2009, section 3.5; Lucene's).
pub const K1: f64 = 1.2;

/// How much long documents are held back (the same).
pub const B: f64 = 0.75;

/// What the documents of a task say of their terms.
#[derive(Clone, Debug, Default)]
struct Statistics {
    /// Columns of terms, in the order in which they were met.
    columns: HashMap<String, u32>,
    /// Documents that have the term of a column.
    frequencies: Vec<u32>,
    documents: usize,
    length_mean: f64,
}

/// A text as counts: columns with how often they are there, and the number of all its terms.
struct Counts {
    columns: BTreeMap<u32, u32>,
    length: usize,
}

impl Statistics {
    fn of(texts: &[&str]) -> Statistics {
        let mut seen = Statistics {
            documents: texts.len(),
            ..Statistics::default()
        };
        let mut length = 0;
        for mut terms in analyzed(texts) {
            length += terms.len();
            // Columns follow from the first place of a term, a document counts once.
            let mut own: Vec<u32> = terms.drain(..).map(|term| seen.column(term)).collect();
            own.sort_unstable();
            own.dedup();
            for column in own {
                seen.frequencies[column as usize] += 1;
            }
        }
        seen.length_mean = length as f64 / texts.len().max(1) as f64;
        seen
    }

    fn column(&mut self, term: String) -> u32 {
        let next = self.frequencies.len() as u32;
        let column = *self.columns.entry(term).or_insert(next);
        if column == next {
            self.frequencies.push(0);
        }
        column
    }

    fn counts(&self, texts: &[&str]) -> Vec<Counts> {
        let of = |terms: Vec<String>| {
            let mut columns = BTreeMap::new();
            let known = terms.iter().filter_map(|term| self.columns.get(term));
            known.for_each(|&column| *columns.entry(column).or_insert(0) += 1);
            Counts {
                columns,
                length: terms.len(),
            }
        };
        analyzed(texts).into_iter().map(of).collect()
    }

    fn frequency(&self, column: u32) -> f64 {
        f64::from(self.frequencies[column as usize])
    }

    /// Rows of texts with a weight for each column and how often it is there.
    fn rows(&self, texts: &[&str], weight: impl Fn(u32, f64, &Counts) -> f64) -> Vectors {
        let mut sparse = Sparse {
            dimension: self.frequencies.len(),
            ..Sparse::default()
        };
        for counts in self.counts(texts) {
            let row = counts.columns.iter();
            let row = row.map(|(&column, &count)| {
                (column, weight(column, f64::from(count), &counts) as f32)
            });
            sparse.push(&row.collect::<Vec<_>>());
        }
        Vectors::Sparse(sparse)
    }
}

fn analyzed(texts: &[&str]) -> Vec<Vec<String>> {
    texts.into_par_iter().map(|text| terms(text)).collect()
}

/// TF-IDF: count × (ln((1 + N) / (1 + documents with the term)) + 1), rows of length 1: the values of
/// scikit-learn's `TfidfVectorizer`. Terms that no fitted text has are left out.
#[derive(Clone, Debug, Default)]
pub struct Tfidf {
    seen: Option<Statistics>,
}

/// BM25 as a product: a document's row holds what each of its terms would add to the score of a query
/// that has it once, idf × count × (k1 + 1) / (count + k1 × (1 − b + b × length / mean length)) with
/// idf = ln(1 + (N − n + ½) / (n + ½)), a query's row its counts. Texts that are neither get rows
/// as documents do.
#[derive(Clone, Debug, Default)]
pub struct Bm25 {
    seen: Option<Statistics>,
}

/// Statistics that fitted texts gave; without any, those of the first texts to be embedded. No texts
/// at all forget what was fitted, for the next task.
fn fitted(texts: &[&str]) -> Option<Statistics> {
    (!texts.is_empty()).then(|| Statistics::of(texts))
}

impl Embedder for Tfidf {
    fn embed(&mut self, texts: &[&str], _role: Role) -> Result<Vectors> {
        let seen = self.seen.get_or_insert_with(|| Statistics::of(texts));
        let documents = seen.documents as f64;
        let rows = seen.rows(texts, |column, count, _| {
            count * (((1.0 + documents) / (1.0 + seen.frequency(column))).ln() + 1.0)
        });
        Ok(rows.unit())
    }

    fn fit(&mut self, texts: &[&str]) {
        self.seen = fitted(texts);
    }
}

impl Embedder for Bm25 {
    fn embed(&mut self, texts: &[&str], role: Role) -> Result<Vectors> {
        let seen = self.seen.get_or_insert_with(|| Statistics::of(texts));
        if role == Role::Query {
            return Ok(seen.rows(texts, |_, count, _| count));
        }
        let documents = seen.documents as f64;
        Ok(seen.rows(texts, |column, count, counts| {
            let found = seen.frequency(column);
            let idf = (1.0 + (documents - found + 0.5) / (found + 0.5)).ln();
            // Without a single term in all documents there is no column either.
            let length = counts.length as f64 / seen.length_mean;
            idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length))
        }))
    }

    fn fit(&mut self, texts: &[&str]) {
        self.seen = fitted(texts);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bm25, Tfidf};
    use crate::evaluators::{Embedder, Role};

    #[test]
    fn a_product_is_the_score_of_bm25() {
        let documents = ["a b b c", "a", "c c d e"];
        let mut bm25 = Bm25::default();
        bm25.fit(&documents);
        let rows = bm25.embed(&documents, Role::Document).unwrap();
        let queries = bm25.embed(&["b b c x", "x"], Role::Query).unwrap();
        // b: one of three documents, c: two; lengths 4, 1, 4, in the mean 3.
        let idf = |found: f64| (1.0 + (3.0 - found + 0.5) / (found + 0.5)).ln();
        let saturated = |count: f64| count * 2.2 / (count + 1.2 * (0.25 + 0.75 * 4.0 / 3.0));
        let first = 2.0 * idf(1.0) * saturated(2.0) + idf(2.0) * saturated(1.0);
        assert!((queries.dot(0, &rows, 0) - first).abs() < 1e-6);
        assert_eq!(queries.dot(0, &rows, 1), 0.0);
        let third = idf(2.0) * saturated(2.0);
        assert!((queries.dot(0, &rows, 2) - third).abs() < 1e-6);
        assert!((0..3).all(|row| queries.dot(1, &rows, row) == 0.0));
    }

    #[test]
    fn tfidf_equals_that_of_scikit_learn() {
        // TfidfVectorizer(token_pattern=r"\w+").fit(["a b b", "a c"]).transform(["b a z"]), by hand:
        // idf a = 1, b = c = ln(3 / 2) + 1.
        let mut tfidf = Tfidf::default();
        tfidf.fit(&["a b b", "a c"]);
        let rows = tfidf.embed(&["b a z", "c"], Role::Text).unwrap();
        let b = 1.5f64.ln() + 1.0;
        let alone = tfidf.embed(&["a"], Role::Text).unwrap();
        let found = rows.dot(0, &alone, 0);
        assert!((found - 1.0 / (1.0 + b * b).sqrt()).abs() < 1e-6, "{found}");
        assert_eq!(rows.dot(1, &alone, 0), 0.0);
    }

    #[test]
    fn no_texts_forget_what_was_fitted() {
        let mut tfidf = Tfidf::default();
        tfidf.fit(&["a b", "a c"]);
        assert_eq!(tfidf.embed(&["d"], Role::Text).unwrap().dimension(), 3);
        tfidf.fit(&[]);
        // The first texts are what is fitted then, and stay so.
        assert_eq!(tfidf.embed(&["d"], Role::Text).unwrap().dimension(), 1);
        assert_eq!(tfidf.embed(&["a b"], Role::Text).unwrap().dimension(), 1);
    }

    #[test]
    fn texts_without_terms_have_rows_of_zeros() {
        for texts in [&["，", ""][..], &["，", "a"]] {
            let mut bm25 = Bm25::default();
            let rows = bm25.embed(texts, Role::Text).unwrap().unit();
            assert_eq!(rows.dot(0, &rows, 0), 0.0);
            assert_eq!(rows.rows(), 2);
        }
    }
}
