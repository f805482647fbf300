//! The search: an index over the kept rows, blocks of queries, each committed, and the recall.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::random::Order;
use juzi_schemas::rows_hash::RowsHash;

use super::estimate::Need;
use super::load::{Kept, VECTORS};
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers::{self, Team};
use crate::neighbors::{
    Exact, Hit, Ivf, Matrix, Neighbors, exact_in_file, nearest, number, recall, training_rows,
};
use crate::plan::{IndexKind, Plan, SynonymsOptions};
use crate::stages::RunOptions;

/// Scratch files of an index of inverted lists.
const MIDDLES: &str = "index/middles.f32";
const LISTS: &str = "index/lists.u32";

/// Of what `recall_min` allows to be missed, the share that a chosen number of probes may miss.
const MARGIN: f64 = 0.6;

/// What a search found, and how well.
pub struct Found {
    /// Hits of each query, `neighbors` each, as [`nearest`] gives them.
    pub hits: Vec<Hit>,
    /// Share of the exact `k` nearest that was found.
    pub recall: f64,
    /// Lists that were looked into.
    pub probes: usize,
}

/// Everything that the parts of the search share.
struct Job<'j> {
    plan: &'j Plan,
    table: &'j SynonymsOptions,
    options: &'j RunOptions,
    writer: &'j DatasetWriter,
    kept: &'j Kept,
    need: &'j Need,
}

/// Searches the neighbours of every query, or goes on where a run was stopped.
///
/// # Errors
/// The recall is below the plan's bound; the search library fails; the disk; an interruption.
pub fn run(
    plan: &Plan,
    table: &SynonymsOptions,
    options: &RunOptions,
    writer: &DatasetWriter,
    kept: &Kept,
    need: &Need,
) -> Result<Found> {
    let job = Job {
        plan,
        table,
        options,
        writer,
        kept,
        need,
    };
    let mut index = job.index()?;
    let sample = job.sample();
    let k = usize::from(table.k);
    let exact = job.exact(&sample)?;
    let probes = job.choose_probes(index.as_mut(), &sample, &exact)?;
    job.search(index.as_ref())?;
    drop(index);
    let hits = job.collect()?;
    let found: Vec<Hit> = sample
        .iter()
        .flat_map(|&at| hits[at * table.neighbors..][..k].iter().copied())
        .collect();
    let recall = recall(&found, &exact, k);
    if recall < table.recall_min {
        return Err(Error::Usage(format!(
            "{}: the search found {:.3} of the exact neighbours, and [synonyms] recall_min is {}; give more probes \
             (now {probes}), fewer lists, or index = \"exact\"",
            plan.path.display(),
            recall,
            table.recall_min
        )));
    }
    Ok(Found {
        hits,
        recall,
        probes,
    })
}

impl Job<'_> {
    /// Does counted work with all threads, showing how far it is.
    fn timed<T>(
        &self,
        name: &'static str,
        total: usize,
        work: impl FnOnce(&Team<'_>) -> Result<T>,
    ) -> Result<T> {
        let phase = Phase::of_rows(name, total as u64, self.options.quiet);
        work(&Team {
            threads: self.options.threads,
            name,
            resume: &self.options.resume,
            done: Some(&phase.counters.rows),
        })
    }

    fn matrix(&self) -> Result<Matrix> {
        let path = self.writer.dir().join(VECTORS);
        Matrix::read(&path, self.need.dimension, self.need.precision)
    }

    fn index(&self) -> Result<Box<dyn Neighbors>> {
        let matrix = self.matrix()?;
        match self.need.index {
            IndexKind::Auto | IndexKind::Exact => Ok(Box::new(Exact::new(matrix))),
            IndexKind::Ivf => Ok(Box::new(self.ivf(matrix)?)),
            IndexKind::Faiss => self.faiss(matrix),
        }
    }

    /// The middles and the list of each row are kept, so that a stopped run need not train again.
    fn ivf(&self, matrix: Matrix) -> Result<Ivf> {
        let lists = self.need.lists;
        let middles = match self.writer.committed(MIDDLES) {
            Some(_) => self.numbers(MIDDLES, number)?,
            None => {
                let total = training_rows(matrix.rows(), lists) as usize;
                let middles = self.timed("train", total, |team| {
                    Ivf::train(&matrix, lists, self.plan.seed, team)
                })?;
                self.keep(MIDDLES, middles.iter().map(|value| value.to_le_bytes()))?;
                middles
            }
        };
        let lists = match self.writer.committed(LISTS) {
            Some(_) => self.numbers(LISTS, |bytes| {
                u32::from_le_bytes(bytes.try_into().expect("four bytes"))
            })?,
            None => {
                let lists = self.timed("assign", matrix.rows(), |team| {
                    Ivf::assign(&matrix, &middles, team)
                })?;
                self.keep(LISTS, lists.iter().map(|list| list.to_le_bytes()))?;
                lists
            }
        };
        Ok(Ivf::new(matrix, middles, &lists))
    }

    #[cfg(feature = "faiss")]
    fn faiss(&self, matrix: Matrix) -> Result<Box<dyn Neighbors>> {
        let factory = self.table.factory.clone();
        let factory = factory.unwrap_or_else(|| format!("IVF{},Flat", self.need.lists));
        let index = self.timed("faiss", matrix.rows(), |team| {
            crate::neighbors::Faiss::new(matrix, &factory, team)
        })?;
        Ok(Box::new(index))
    }

    #[cfg(not(feature = "faiss"))]
    fn faiss(&self, _matrix: Matrix) -> Result<Box<dyn Neighbors>> {
        unreachable!("the plan was refused when it was read")
    }

    /// Queries on which the recall is measured: places among all queries, ascending.
    fn sample(&self) -> Vec<usize> {
        let order = Order::new(self.plan.seed);
        let mut places: Vec<(u64, usize)> = (0..self.kept.queries.len())
            .map(|at| (order.place((at as u128) << 64 | 0x7265_6361_6c6c), at))
            .collect();
        places.sort_unstable();
        places.truncate(self.table.recall_words);
        let mut sample: Vec<usize> = places.into_iter().map(|(_, at)| at).collect();
        sample.sort_unstable();
        sample
    }

    fn ids(&self, sample: &[usize]) -> Vec<u32> {
        sample.iter().map(|&at| self.kept.queries[at]).collect()
    }

    fn exact(&self, sample: &[usize]) -> Result<Vec<Hit>> {
        let path = self.writer.dir().join(VECTORS);
        let k = usize::from(self.table.k);
        self.timed("oracle", self.need.rows, |team| {
            exact_in_file(&path, self.need.dimension, &self.ids(sample), k, team)
        })
    }

    /// As few probes as find enough of the exact neighbours of the sample.
    fn choose_probes(
        &self,
        index: &mut dyn Neighbors,
        sample: &[usize],
        exact: &[Hit],
    ) -> Result<usize> {
        if self.need.index == IndexKind::Exact {
            return Ok(0);
        }
        let k = usize::from(self.table.k);
        let wanted = 1.0 - (1.0 - self.table.recall_min) * MARGIN;
        let mut probes = self.table.probes.unwrap_or(4);
        loop {
            index.set_probes(probes)?;
            if self.table.probes.is_some() || probes >= self.need.lists {
                return Ok(probes);
            }
            let found = nearest(&*index, &self.ids(sample), k)?;
            if recall(&found, exact, k) >= wanted {
                return Ok(probes);
            }
            probes += probes / 2;
        }
    }

    fn block_name(number: usize) -> String {
        format!("search/block-{number:05}")
    }

    fn search(&self, index: &dyn Neighbors) -> Result<()> {
        let queries = &self.kept.queries;
        let blocks: Vec<&[u32]> = queries.chunks(self.need.block).collect();
        let phase = Phase::of_rows("search", queries.len() as u64, self.options.quiet);
        let next = AtomicUsize::new(0);
        let threads = if index.is_shared() {
            self.options.threads
        } else {
            1
        };
        workers::run(threads, "search", &self.options.resume, |stop| {
            while !stop.stopped() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(block) = blocks.get(number) else {
                    break;
                };
                let name = Job::block_name(number);
                if self.writer.committed(&name).is_none() {
                    let hits = nearest(index, block, self.table.neighbors)?;
                    let halves = hits
                        .iter()
                        .flat_map(|hit| [hit.id.to_le_bytes(), hit.cosine.to_le_bytes()]);
                    self.keep(&name, halves)?;
                }
                phase
                    .counters
                    .rows
                    .fetch_add(block.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn collect(&self) -> Result<Vec<Hit>> {
        let blocks = self.kept.queries.len().div_ceil(self.need.block);
        let mut hits = Vec::with_capacity(self.kept.queries.len() * self.table.neighbors);
        for number in 0..blocks {
            let words = self.numbers(&Job::block_name(number), |bytes| {
                u32::from_le_bytes(bytes.try_into().expect("four bytes"))
            })?;
            hits.extend(words.chunks_exact(2).map(|pair| Hit {
                id: pair[0],
                cosine: f32::from_bits(pair[1]),
            }));
        }
        Ok(hits)
    }

    fn keep(&self, name: &str, numbers: impl Iterator<Item = [u8; 4]>) -> Result<()> {
        let mut file = self.writer.create(name)?;
        let bytes: Vec<u8> = numbers.flatten().collect();
        file.write_all(&bytes)
            .map_err(juzi_schemas::Error::io(self.writer.dir().join(name)))?;
        self.writer.commit(
            file,
            Durability::Scratch,
            RowsHash::default(),
            serde_json::Value::Null,
        )?;
        Ok(())
    }

    fn numbers<T>(&self, name: &str, parse: impl Fn(&[u8]) -> T) -> Result<Vec<T>> {
        let path = self.writer.dir().join(name);
        let bytes = std::fs::read(&path).map_err(Error::input(&path))?;
        Ok(bytes.chunks_exact(4).map(parse).collect())
    }
}
