//! The sampler `shuffled`: random batches.

use serde::{Deserialize, Serialize};

use super::{BatchSampler, Composed, Memory, Queue, Window};

/// Takes the entries in their random order.
///
/// **Why**: the plain choice of contrastive training; every batch looks like the whole corpus, so
/// its negatives are mostly easy. **Source**: SimCSE and every default data loader. **Bounds**: one
/// try of each entry, and 256 of waiting ones a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shuffled {}

impl BatchSampler for Shuffled {
    fn compose(&self, window: &mut Window<'_>, _: &mut Memory) -> Composed {
        let mut queue = Queue::new((0..window.entries.len() as u32).collect());
        let (mut batch, mut composed) = (window.batch(), Composed::default());
        while queue.fill(&mut batch, window.size) {
            composed.push(batch.entries());
            batch.clear();
        }
        composed.close(window, &batch, &mut [queue]);
        composed
    }
}
