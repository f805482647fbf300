//! The choice: which neighbours and which words of the dictionary become synonyms of a word.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use juzi_schemas::synonym::Source;

use super::word_list::WordList;
use crate::error::{Error, Result};
use crate::lexicon::dictionary::Dictionary;
use crate::lexicon::guards::{Description, Guard, Guards};
use crate::lexicon::quality::{Neighbor, Tally};
use crate::neighbors::{Hit, dot, number};
use crate::plan::SynonymsOptions;

/// What happened to the neighbours and words.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Words with at least one synonym.
    pub words: u64,
    /// Words with none.
    pub without: u64,
    /// Neighbours that were looked at.
    pub neighbors: u64,
    /// Neighbours below `cosine_min`.
    pub below: u64,
    /// Neighbours that each guard refused, in the order of [`Guard::ALL`].
    pub refused: [u64; Guard::ALL.len()],
    /// Neighbours that the dictionary had named already.
    pub known: u64,
    /// Neighbours after the `k` that were taken, of which nothing was asked.
    pub after: u64,
    /// Neighbours that became synonyms.
    pub kept: u64,
    /// Synonyms of the dictionary.
    pub merged: u64,
}

impl Counts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Counts) {
        let pairs = [
            (&mut self.words, other.words),
            (&mut self.without, other.without),
            (&mut self.neighbors, other.neighbors),
            (&mut self.below, other.below),
            (&mut self.known, other.known),
            (&mut self.after, other.after),
            (&mut self.kept, other.kept),
            (&mut self.merged, other.merged),
        ];
        pairs.into_iter().for_each(|(sum, count)| *sum += count);
        let refused = self.refused.iter_mut().zip(other.refused);
        refused.for_each(|(sum, count)| *sum += count);
    }
}

/// One synonym that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Its number among the words.
    pub word: u32,
    /// Cosine to the word, where both have a vector.
    pub cosine: Option<f32>,
    /// Where it comes from.
    pub source: Source,
}

/// Everything that choices are made with. Words are numbered: first those with vectors, by their
/// ids, then the other words of the vocabulary.
pub struct Chooser<'c> {
    options: &'c SynonymsOptions,
    words: &'c [&'c str],
    descriptions: &'c [Description],
    guards: &'c Guards,
    dictionary: Option<&'c Dictionary>,
    numbers: HashMap<&'c str, u32>,
    vectors: Rows,
}

impl<'c> Chooser<'c> {
    /// A chooser over words, the first `kept` of which have vectors in the file.
    ///
    /// # Errors
    /// The file of vectors cannot be opened.
    pub fn new(
        options: &'c SynonymsOptions,
        words: &'c [&'c str],
        descriptions: &'c [Description],
        guards: &'c Guards,
        dictionary: Option<&'c Dictionary>,
        vectors: (&Path, usize, &WordList),
    ) -> Result<Chooser<'c>> {
        let (path, dimension, kept) = vectors;
        let numbers = match dictionary {
            // Nobody asks for the number of a word otherwise.
            None => HashMap::new(),
            Some(_) => words
                .iter()
                .zip(0..)
                .map(|(&word, at)| (word, at))
                .collect(),
        };
        Ok(Chooser {
            options,
            words,
            descriptions,
            guards,
            dictionary,
            numbers,
            vectors: Rows::open(path, dimension, kept.len())?,
        })
    }

    /// The synonyms of a word, best first, from its neighbours and the dictionary.
    ///
    /// # Errors
    /// The file of vectors cannot be read.
    pub fn choose(
        &self,
        word: u32,
        hits: &[Hit],
        counts: &mut Counts,
        tally: &mut Tally,
        out: &mut Vec<Chosen>,
    ) -> Result<()> {
        let (start, k) = (out.len(), usize::from(self.options.k));
        self.named(word, k, out)?;
        counts.merged += (out.len() - start) as u64;
        let own = &self.descriptions[word as usize];
        let mut judged = Vec::new();
        for hit in hits.iter().take_while(|hit| hit.id != Hit::NONE) {
            counts.neighbors += 1;
            let is_below = hit.cosine < self.options.cosine_min as f32;
            if out.len() - start == k && judged.len() == k {
                // Full: nothing needs to be known of the rest.
                counts.after += 1;
                continue;
            }
            let facts = &self.descriptions[hit.id as usize];
            let refused = self.guards.refuses(own, facts);
            // The dictionary judges the vectors; what it has itself refused counts against them.
            if judged.len() < k && refused.is_none_or(|guard| guard == Guard::CoHyponym) {
                judged.push(self.judged(judged.len() as u8 + 1, hit, own, facts));
            }
            if is_below {
                counts.below += 1;
            } else if let Some(guard) = refused {
                counts.refused[guard as usize] += 1;
            } else if out[start..].iter().any(|chosen| chosen.word == hit.id) {
                counts.known += 1;
            } else if out.len() - start == k {
                counts.after += 1;
            } else {
                counts.kept += 1;
                out.push(Chosen {
                    word: hit.id,
                    cosine: Some(hit.cosine),
                    source: Source::Vectors,
                });
            }
        }
        tally.add(&judged);
        match out.len() > start {
            true => counts.words += 1,
            false => counts.without += 1,
        }
        Ok(())
    }

    /// A neighbour as the dictionary sees it.
    fn judged(&self, rank: u8, hit: &Hit, own: &Description, other: &Description) -> Neighbor {
        let (relation, known) = self.guards.relation(own, other);
        Neighbor {
            rank,
            cosine: hit.cosine,
            relation,
            known,
        }
    }

    /// Synonyms that the dictionary names: nearest first, those without a vector last.
    fn named(&self, word: u32, k: usize, out: &mut Vec<Chosen>) -> Result<()> {
        let Some(dictionary) = self.dictionary.filter(|_| self.options.merge) else {
            return Ok(());
        };
        let text = self.words[word as usize];
        let own = &self.descriptions[word as usize];
        let mut found = Vec::new();
        for other in dictionary.synonyms(text) {
            let Some(&number) = self.numbers.get(other) else {
                continue;
            };
            let facts = &self.descriptions[number as usize];
            // The dictionary knows better what a synonym is, but a number or particle is none.
            let refused = match self.guards.refuses(own, facts) {
                Some(Guard::StopWord | Guard::Number | Guard::Script) => true,
                Some(_) | None => false,
            };
            if !refused {
                found.push(Chosen {
                    word: number,
                    cosine: self.vectors.cosine(word, number)?,
                    source: Source::Dictionary,
                });
            }
        }
        let value = |chosen: &Chosen| chosen.cosine.unwrap_or(f32::NEG_INFINITY);
        found.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.word.cmp(&b.word)));
        out.extend(found.into_iter().take(k));
        Ok(())
    }
}

/// The file of vectors, for the few cosines that the search did not compute.
struct Rows {
    file: File,
    path: std::path::PathBuf,
    dimension: usize,
    rows: usize,
}

impl Rows {
    fn open(path: &Path, dimension: usize, rows: usize) -> Result<Rows> {
        Ok(Rows {
            file: File::open(path).map_err(Error::input(path))?,
            path: path.into(),
            dimension,
            rows,
        })
    }

    fn cosine(&self, a: u32, b: u32) -> Result<Option<f32>> {
        if a.max(b) as usize >= self.rows {
            return Ok(None);
        }
        let product = dot(&self.row(a)?, &self.row(b)?);
        Ok(Some(product.clamp(-1.0, 1.0)))
    }

    fn row(&self, id: u32) -> Result<Vec<f32>> {
        let mut bytes = vec![0; self.dimension * 4];
        let offset = u64::from(id) * bytes.len() as u64;
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(Error::input(&self.path))?;
        Ok(bytes.chunks_exact(4).map(number).collect())
    }
}
