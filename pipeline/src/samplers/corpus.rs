//! The sampler `corpus`: one corpus a batch.

use serde::{Deserialize, Serialize};

use super::{BatchSampler, Composed, Memory, Window};

/// Fills every batch from one corpus; how many batches a corpus gets follows from its records in
/// the pass, that is from `[batches.sources]`, and their order is random.
///
/// **Why**: negatives of the same source are harder, and a model cannot tell a pair by its style.
/// **Source**: sentence-transformers' `PROPORTIONAL` (this with alpha 1); one source a batch of
/// nomic and FlagEmbedding. **Bounds**: as `shuffled`, for each corpus; at most a batch of each
/// corpus waits for the next window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {}

impl BatchSampler for Corpus {
    fn compose(&self, window: &mut Window<'_>, _: &mut Memory) -> Composed {
        let (mut batch, mut composed) = (window.batch(), Composed::default());
        for mut queue in window.queues() {
            while queue.fill(&mut batch, window.size) {
                composed.push(batch.entries());
                batch.clear();
            }
            composed.close(window, &batch, &mut [queue]);
            batch.clear();
        }
        composed
    }
}
