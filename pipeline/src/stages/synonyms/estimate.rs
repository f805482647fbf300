//! What the search will need, before it starts: memory by sizes, time by a short calibration.

use std::fmt;

use crate::error::{Error, Result};
use crate::flow::machine;
use crate::neighbors::{Precision, lists_for, operations_per_second};
use crate::plan::{IndexKind, Plan, SynonymsOptions};
use crate::size::Size;
use crate::stages::RunOptions;

/// Multiplications and additions up to which `auto` compares every word with every word: half a
/// minute on two cores.
const EXACT_OPERATIONS: f64 = 4e12;

/// Lists that a search is assumed to look into before that is found out: what real words need.
const PROBES: usize = 64;

/// Workers that `precision = "auto"` counts with, whatever their number: it decides rows.
const WORKERS_ASSUMED: usize = 8;

/// The program, its dictionaries, tables of the output.
const BASE_BYTES: u64 = 90 << 20;

/// Share of the calibrated speed that the whole search reaches: it also sorts, gathers and waits
/// for memory.
const EFFICIENCY: f64 = 0.6;

/// Most queries in a block.
const BLOCK_MAX: usize = 1 << 15;

/// Blocks are at least so small that progress and a crash come in small pieces.
const BLOCKS_MIN: usize = 32;

/// How the search is done, and what it will take.
#[derive(Clone, Debug)]
pub struct Need {
    /// Rows that are searched.
    pub rows: usize,
    /// Words that get synonyms.
    pub queries: usize,
    /// Numbers in a row.
    pub dimension: usize,
    /// The index, never `auto`.
    pub index: IndexKind,
    /// Inverted lists, where the index has them.
    pub lists: usize,
    /// What faiss is asked for, with a space before it.
    pub factory: String,
    /// The precision, never `auto`.
    pub precision: Precision,
    /// Queries in a block.
    pub block: usize,
    /// Memory at the peak.
    pub bytes: u64,
    /// Multiplications and additions of everything.
    pub operations: f64,
    /// Expected time.
    pub seconds: f64,
    memory: Size,
}

impl Need {
    /// Resolves what the plan leaves open. Nothing but the plan and the sizes decides the index.
    pub fn new(
        options: &SynonymsOptions,
        threads: usize,
        rows: usize,
        queries: usize,
        dimension: usize,
    ) -> Need {
        let product = 2.0 * rows as f64 * dimension as f64;
        let index = match options.index {
            IndexKind::Auto if product * queries as f64 <= EXACT_OPERATIONS => IndexKind::Exact,
            IndexKind::Auto => IndexKind::Ivf,
            named => named,
        };
        let lists = options.lists.unwrap_or_else(|| lists_for(rows)).min(rows);
        let probes = options.probes.unwrap_or(PROBES).min(lists);
        let sample = product * options.recall_words as f64;
        let query = match index {
            IndexKind::Exact => product,
            // Training, assigning and probing compare with every list, then lists with queries.
            _ => {
                let lists = lists as f64;
                let training = crate::neighbors::training_rows(rows, lists as usize) / rows as f64;
                2.0 * dimension as f64 * lists * (training + 2.0) + product * probes as f64 / lists
            }
        };
        let operations = query * queries as f64 + sample;
        // Exact blocks are bounded by their time, so that one is never long.
        let timed = match index {
            IndexKind::Exact => (1e12 / product) as usize,
            _ => BLOCK_MAX,
        };
        let block = timed.min(queries.div_ceil(BLOCKS_MIN)).clamp(64, BLOCK_MAX);
        let mut need = Need {
            rows,
            queries,
            dimension,
            index,
            lists,
            factory: match &options.factory {
                Some(factory) => format!(" {factory}"),
                None => format!(" IVF{lists},Flat"),
            },
            precision: options.precision,
            block,
            bytes: 0,
            operations,
            seconds: 0.0,
            memory: options.memory,
        };
        if need.precision == Precision::Auto {
            let bytes = need.bytes_with(options, Precision::F32, WORKERS_ASSUMED);
            let fits = bytes <= options.memory.0;
            need.precision = if fits { Precision::F32 } else { Precision::F16 };
        }
        need.bytes = need.bytes_with(options, need.precision, threads);
        need
    }

    fn bytes_with(&self, options: &SynonymsOptions, precision: Precision, threads: usize) -> u64 {
        let (rows, dimension) = (self.rows as u64, self.dimension as u64);
        let matrix = rows * dimension * precision.bytes();
        // Ids, positions, words and their ends, lists of rows.
        let tables = rows * (4 + 4 + 24 + 12);
        let index = match self.index {
            // The library keeps a copy of its own in single precision.
            IndexKind::Faiss => rows * (dimension * 4 + 16),
            IndexKind::Ivf => self.lists as u64 * dimension * 4 * 2 + rows * 12,
            _ => 0,
        };
        let candidates = (options.neighbors as u64 + 8) * 2 * 8;
        let worker =
            self.block as u64 * (dimension * 4 + candidates + PROBES as u64 * 24) + (4 << 20);
        BASE_BYTES + matrix + tables + index + worker * threads as u64
    }

    /// Measures this machine for a moment.
    pub fn calibrate(&mut self, threads: usize) {
        let speed = operations_per_second(self.dimension) * threads as f64 * EFFICIENCY;
        self.seconds = self.operations / speed;
    }

    /// Refuses what cannot fit into the plan's memory or onto the disk.
    ///
    /// # Errors
    /// The sizes, and what would help.
    pub fn check(&self, plan: &Plan, options: &RunOptions) -> Result<()> {
        if self.bytes > self.memory.0 {
            let advice = match (self.precision, self.index) {
                (_, IndexKind::Faiss) => "index = \"ivf\", which needs no second copy",
                (Precision::F32, _) => "precision = \"f16\"",
                _ => "fewer words: a higher count_min, or candidates = \"vocabulary\"",
            };
            return Err(Error::Resources(format!(
                "{}: [synonyms] memory = {} is too small: {} vectors of {} numbers and their index need {}; give more \
                 memory, or {advice}",
                plan.path.display(),
                self.memory,
                self.rows,
                self.dimension,
                Size(self.bytes)
            )));
        }
        let wanted = (self.rows * self.dimension * 4) as u64;
        match machine::free_bytes(&options.data) {
            Some(free) if free < wanted => Err(Error::Resources(format!(
                "{}: {} free, and {} are needed for the vectors; give another place with --data DIR",
                options.data.display(),
                Size(free),
                Size(wanted)
            ))),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = match self.index {
            IndexKind::Exact => String::new(),
            IndexKind::Faiss => self.factory.clone(),
            IndexKind::Ivf | IndexKind::Auto => format!(" of {} lists", self.lists),
        };
        let time = match self.seconds {
            seconds if seconds < 90.0 => format!("{seconds:.0} s"),
            seconds => format!("{:.0} min", seconds / 60.0),
        };
        write!(
            out,
            "{} words against {} x {}, {}{lists} in {:?}: about {time}, {} of {}",
            self.queries,
            self.rows,
            self.dimension,
            self.index.name(),
            self.precision,
            Size(self.bytes),
            self.memory
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, Precision};
    use crate::plan::SynonymsOptions;
    use crate::size::Size;

    #[test]
    fn threads_decide_nothing_that_decides_rows() {
        for megabytes in [500, 800, 1000, 1200, 1400, 2000] {
            let options = SynonymsOptions {
                memory: Size(megabytes * 1_000_000),
                ..SynonymsOptions::default()
            };
            let need = |threads: usize| {
                let need = Need::new(&options, threads, 1_000_000, 1_000_000, 200);
                (need.index, need.lists, need.precision, need.block)
            };
            assert_eq!(need(1), need(64));
        }
        let tencent = Need::new(&SynonymsOptions::default(), 2, 8_800_000, 8_800_000, 200);
        assert_eq!(tencent.precision, Precision::F16);
        assert!(tencent.bytes < 5_000_000_000, "{}", tencent.bytes);
    }
}
