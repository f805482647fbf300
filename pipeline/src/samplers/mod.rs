//! Samplers: from the rows of a window to batches of them. Pure: no files, no text, no threads.
//!
//! ```text
//! Rows (facts) ─┐
//! entries ──────┴▶ BatchSampler::compose ──▶ Composed { batches, left }
//!                    Queue ◀─▶ Batch (guards)
//! ```
//! Every sampler ends: an entry is tried a bounded number of times for each batch, and each batch
//! that is made uses up entries. What finds no batch is given back with the reason.

mod guard;
mod law;
mod masks;
mod queue;
mod rows;
#[cfg(test)]
mod tests;

use juzi_schemas::dropped::Reason;
use juzi_schemas::random::Draws;
use serde::{Deserialize, Serialize};

pub use guard::{Batch, Conflict, Policy, Repeated, SameGroup};
pub use law::{Walk, apportion, quotas};
pub use masks::{MaskScratch, Masks};
pub use queue::Queue;
pub use rows::{NO_TOPIC, Rows};

/// What a sampler composes batches from.
pub struct Window<'w> {
    /// Facts of the rows.
    pub rows: &'w Rows,
    /// Entries in random order: the row of each. A row that is to be shown twice has two.
    pub entries: &'w [u32],
    /// Rows of a batch.
    pub size: usize,
    /// Which rows may share a batch.
    pub policy: Policy,
    /// Records of each corpus in the whole pass.
    pub shares: &'w [u64],
    /// Place of each topic among its neighbours.
    pub tour: &'w [u32],
    /// Draws of this window.
    pub draws: Draws,
    /// Whether no window of the pass comes after this one.
    pub last: bool,
    /// Whether a last batch may hold fewer rows.
    pub incomplete: bool,
}

impl Window<'_> {
    /// Corpus of an entry.
    #[inline]
    pub fn corpus(&self, entry: u32) -> usize {
        usize::from(self.rows.corpora[self.entries[entry as usize] as usize])
    }

    /// Topic of an entry.
    #[inline]
    pub fn topic(&self, entry: u32) -> u32 {
        self.rows.topics[self.entries[entry as usize] as usize]
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self.rows, self.entries, self.policy, self.size)
    }

    /// A queue for each corpus.
    pub fn queues(&self) -> Vec<Queue> {
        let mut pending = vec![Vec::new(); self.shares.len()];
        for entry in 0..self.entries.len() as u32 {
            pending[self.corpus(entry)].push(entry);
        }
        pending.into_iter().map(Queue::new).collect()
    }
}

/// What goes on from window to window of a pass.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Slots that each corpus has to its credit, in parts of the whole.
    pub credits: Vec<i64>,
    /// Whose turn it is.
    pub turn: usize,
    /// Rows that are owed to other topics.
    pub owed: f64,
}

/// Batches of entries, and what found none.
#[derive(Clone, Debug, Default)]
pub struct Composed {
    /// Entries, batch after batch.
    pub entries: Vec<u32>,
    /// Where each batch ends.
    pub ends: Vec<usize>,
    /// Entries without a batch, and why.
    pub left: Vec<(u32, Reason)>,
}

impl Composed {
    /// Appends a batch.
    pub fn push(&mut self, entries: &[u32]) {
        self.entries.extend_from_slice(entries);
        self.ends.push(self.entries.len());
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without batches.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Entries of a batch.
    pub fn batch(&self, number: usize) -> &[u32] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[number]]
    }

    /// Takes the end of what one queue gave: a batch that did not fill, and all that still waits.
    fn close(&mut self, window: &Window<'_>, batch: &Batch<'_>, queues: &mut [Queue]) {
        match window.incomplete && window.last && !batch.is_empty() {
            true => self.push(batch.entries()),
            false => self.leave(batch.entries(), Reason::IncompleteBatch),
        }
        for queue in queues {
            queue.drain(Reason::IncompleteBatch, &mut self.left);
        }
    }

    fn leave(&mut self, entries: &[u32], reason: Reason) {
        self.left
            .extend(entries.iter().map(|&entry| (entry, reason)));
    }
}

/// Composes the entries of a window into batches.
pub trait BatchSampler: Send + Sync {
    /// Every entry is in one batch or left; batches have the window's size and obey its policy.
    fn compose(&self, window: &mut Window<'_>, memory: &mut Memory) -> Composed;

    /// Why batches of this size cannot be, with what can.
    fn problem(&self, _size: usize) -> Option<String> {
        None
    }

    /// Lowers the records of each corpus in a pass to what the sampler can place.
    fn limit(&self, _quotas: &mut [u64], _size: usize) {}

    /// Whether the order of the batches is part of the result; else they are shuffled.
    fn keeps_order(&self) -> bool {
        false
    }

    /// Whether it looks at topics.
    fn needs_topics(&self) -> bool {
        false
    }
}

/// Turns each line into a module, a variant of the options and a way to the trait.
macro_rules! samplers {
    ($($(#[$doc:meta])* $module:ident :: $name:ident),* $(,)?) => {
        $(mod $module; pub use $module::$name;)*

        /// A sampler by its `name`, with its own options.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "snake_case")]
        pub enum SamplerOptions { $($(#[$doc])* $name($name),)* }

        impl SamplerOptions {
            /// The sampler.
            pub fn sampler(&self) -> &dyn BatchSampler {
                match self { $(SamplerOptions::$name(sampler) => sampler,)* }
            }
        }
    };
}

samplers! {
    /// Random batches.
    shuffled::Shuffled,
    /// One corpus a batch.
    corpus::Corpus,
    /// Exact shares of all corpora in every batch.
    proportional::Proportional,
    /// One corpus a batch, in turn.
    round_robin::RoundRobin,
    /// Parts of one corpus each.
    halves::Halves,
    /// One topic a batch, from several corpora.
    topic::Topic,
}
