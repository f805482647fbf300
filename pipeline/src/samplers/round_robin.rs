//! The sampler `round_robin`: one corpus a batch, corpora in turn.

use serde::{Deserialize, Serialize};

use super::{BatchSampler, Composed, Memory, Window};

/// When the turns end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// With the first corpus that has no batch left: all have as many batches then.
    #[default]
    First,
    /// With the last: a corpus that ended is passed over.
    All,
}

/// Fills every batch from one corpus, and takes the corpora in turn by name.
///
/// **Why**: every corpus counts the same, whatever its size. **Source**: sentence-transformers'
/// `ROUND_ROBIN`. **Bounds**: as `corpus`. With `stop = "first"` a pass shows as many records of
/// each corpus as the smallest has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundRobin {
    /// When the turns end: `first` or `all`.
    pub stop: Stop,
}

impl BatchSampler for RoundRobin {
    fn compose(&self, window: &mut Window<'_>, memory: &mut Memory) -> Composed {
        let (mut batch, mut composed) = (window.batch(), Composed::default());
        let mut queues = window.queues();
        let corpora: Vec<usize> = (0..queues.len())
            .filter(|&at| window.shares[at] > 0)
            .collect();
        let mut passed_over = 0;
        while passed_over < corpora.len() {
            let queue = &mut queues[corpora[memory.turn % corpora.len()]];
            if queue.fill(&mut batch, window.size) {
                composed.push(batch.entries());
                batch.clear();
                passed_over = 0;
            } else {
                let entries = batch.entries().to_vec();
                entries
                    .iter()
                    .rev()
                    .for_each(|entry| queue.put_back(*entry));
                batch.clear();
                // In an earlier window the corpus has only ended for now.
                if self.stop == Stop::First {
                    break;
                }
                passed_over += 1;
            }
            memory.turn += 1;
        }
        if self.stop == Stop::All && window.incomplete && window.last {
            for queue in &mut queues {
                queue.fill(&mut batch, window.size);
                composed.close(window, &batch, std::slice::from_mut(queue));
                batch.clear();
            }
        }
        composed.close(window, &batch, &mut queues);
        composed
    }

    fn limit(&self, quotas: &mut [u64], _: usize) {
        let least = quotas.iter().copied().filter(|&quota| quota > 0).min();
        if let (Stop::First, Some(least)) = (self.stop, least) {
            quotas
                .iter_mut()
                .for_each(|quota| *quota = least.min(*quota));
        }
    }

    fn keeps_order(&self) -> bool {
        true
    }
}
