//! The sampler `halves`: parts of one corpus each, as the all-MiniLM models were trained.

use juzi_schemas::dropped::Reason;
use serde::{Deserialize, Serialize};

use super::{BatchSampler, Composed, Memory, Queue, Window};

/// Makes a batch of contiguous parts, each filled from one corpus that is drawn at random in
/// proportion to the records it has left, so that a pass follows the law of `[batches.sources]`.
///
/// **Why**: negatives of the same source are hard, those of the other keep sources comparable.
/// **Source**: `datasets_per_batch = 2` of the all-MiniLM training script. There the two draws may
/// coincide (`distinct = false`), and the second repeats until its column count is that of the
/// first; our negatives are lists of any length, so nothing is to be repeated. **Bounds**: a
/// corpus that cannot fill a part is drawn once a batch; the script spins forever there. With
/// `distinct` a corpus that has more records than all others cannot place the excess.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Halves {
    /// Parts of a batch; `size` must be a multiple.
    pub parts: usize,
    /// Whether the parts of a batch come from different corpora.
    pub distinct: bool,
}

impl Default for Halves {
    fn default() -> Self {
        Halves {
            parts: 2,
            distinct: true,
        }
    }
}

impl BatchSampler for Halves {
    fn compose(&self, window: &mut Window<'_>, _: &mut Memory) -> Composed {
        let (mut batch, mut composed) = (window.batch(), Composed::default());
        let mut draws = window.draws.clone();
        let mut queues = window.queues();
        let part = (window.size / self.parts).max(1);
        while self.fill(&mut batch, &mut queues, part, &mut draws) {
            composed.push(batch.entries());
            batch.clear();
        }
        // What one corpus has left could fill parts, but finds no other to go with.
        for queue in &mut queues {
            let reason = match self.distinct && queue.len() >= part {
                true => Reason::NoSecondCorpus,
                false => Reason::IncompleteBatch,
            };
            queue.drain(reason, &mut composed.left);
        }
        composed
    }

    fn problem(&self, size: usize) -> Option<String> {
        match self.parts >= 1 && size.is_multiple_of(self.parts) {
            true => None,
            false => Some(format!(
                "parts = {}: from 1 on, and size = {size} must be a multiple of it",
                self.parts
            )),
        }
    }
}

impl Halves {
    /// Fills all parts of a batch; if that cannot be, everything is put back.
    fn fill(
        &self,
        batch: &mut super::Batch<'_>,
        queues: &mut [Queue],
        part: usize,
        draws: &mut juzi_schemas::random::Draws,
    ) -> bool {
        let mut open: Vec<bool> = queues.iter().map(|queue| queue.len() >= part).collect();
        let mut filled: Vec<usize> = Vec::new();
        while filled.len() < self.parts {
            let weights = queues.iter().zip(&open).map(|(queue, open)| match open {
                true if queue.len() >= part => queue.len(),
                _ => 0,
            });
            let weights: Vec<usize> = weights.collect();
            let mut drawn = draws.below(weights.iter().sum());
            let chosen = weights.iter().position(|&weight| {
                let hit = drawn < weight;
                drawn = drawn.wrapping_sub(weight);
                hit
            });
            let start = batch.len();
            match chosen {
                Some(chosen) if queues[chosen].fill(batch, start + part) => {
                    open[chosen] = !self.distinct;
                    filled.push(chosen);
                }
                Some(chosen) => {
                    put_back(&batch.entries()[start..], &mut queues[chosen]);
                    batch.truncate(start);
                    open[chosen] = false;
                }
                None => {
                    for (number, &corpus) in filled.iter().enumerate().rev() {
                        let entries = &batch.entries()[number * part..(number + 1) * part];
                        put_back(entries, &mut queues[corpus]);
                    }
                    batch.clear();
                    return false;
                }
            }
        }
        true
    }
}

fn put_back(entries: &[u32], queue: &mut Queue) {
    entries
        .iter()
        .rev()
        .for_each(|&entry| queue.put_back(entry));
}
