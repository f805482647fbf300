//! The search by vectors: an index over all documents, blocks of anchors, each committed, and the
//! recall.

use std::sync::atomic::{AtomicUsize, Ordering};

use juzi_schemas::random::Order;

use super::Job;
use super::lists::Lists;
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers::{self, Team};
use crate::neighbors::{
    Exact, Hit, Ivf, Matrix, Neighbors, exact_to, lists_for, nearest_to, recall, training_rows,
};
use crate::plan::IndexKind;

/// Multiplications and additions up to which `auto` compares everything: half a minute on two cores.
const EXACT_OPERATIONS: f64 = 4e12;

/// Of what `recall_min` allows to be missed, the share that a chosen number of probes may miss.
const MARGIN: f64 = 0.6;

/// Anchors that meet the index at a time.
const TILE: usize = 512;

/// The search by vectors.
pub struct Nearest {
    index: Box<dyn Neighbors>,
    queries: Vec<f32>,
    /// The index in use, never `auto`.
    pub kind: IndexKind,
    /// Share of the exact nearest that is found.
    pub recall: f64,
    /// Lists that are looked into.
    pub probes: usize,
}

impl Nearest {
    /// Builds the index and measures how much it finds.
    ///
    /// # Errors
    /// The recall is below the plan's bound; the search library fails; an interruption.
    pub fn new(job: &Job<'_>, vectors: Vectors) -> Result<Nearest> {
        let table = job.table();
        let dimension = vectors.dimension;
        let rows = vectors.documents.len() / dimension;
        let queries = vectors.queries.len() / dimension;
        let operations = 2.0 * rows as f64 * vectors.queries.len() as f64;
        let kind = match table.index {
            IndexKind::Auto if operations <= EXACT_OPERATIONS => IndexKind::Exact,
            IndexKind::Auto => IndexKind::Ivf,
            named => named,
        };
        let lists = table.lists.unwrap_or_else(|| lists_for(rows)).min(rows);
        let matrix = Matrix::new(vectors.documents, dimension);
        let sample = sample(job.plan.seed, queries, table.recall_queries);
        let sample: Vec<f32> = sample
            .iter()
            .flat_map(|&at| {
                vectors.queries[at * dimension..][..dimension]
                    .iter()
                    .copied()
            })
            .collect();
        let mut nearest = Nearest {
            index: Box::new(Exact::new(Matrix::new(Vec::new(), dimension))),
            queries: vectors.queries,
            kind,
            recall: 1.0,
            probes: 0,
        };
        if kind == IndexKind::Exact {
            nearest.index = Box::new(Exact::new(matrix));
            return Ok(nearest);
        }
        let exact = timed(job, "oracle", rows, |team| {
            exact_to(&matrix, &sample, table.k, team)
        })?;
        nearest.index = match kind {
            IndexKind::Faiss => faiss(job, matrix, lists)?,
            _ => Box::new(ivf(job, matrix, lists)?),
        };
        nearest.choose_probes(job, lists, &sample, &exact)?;
        Ok(nearest)
    }

    /// As few probes as find enough.
    fn choose_probes(
        &mut self,
        job: &Job<'_>,
        lists: usize,
        sample: &[f32],
        exact: &[Hit],
    ) -> Result<()> {
        let table = job.table();
        let wanted = 1.0 - (1.0 - table.recall_min) * MARGIN;
        self.probes = table.probes.unwrap_or(4).min(lists);
        loop {
            self.index.set_probes(self.probes)?;
            let mut found = Vec::new();
            for hits in nearest_to(&*self.index, sample, table.k)? {
                let missing = table.k - hits.len();
                found.extend(hits);
                found.extend(std::iter::repeat_n(Hit::NOTHING, missing));
            }
            self.recall = recall(&found, exact, table.k);
            if self.recall >= wanted || table.probes.is_some() || self.probes >= lists {
                break;
            }
            self.probes = (self.probes + self.probes.div_ceil(2)).min(lists);
        }
        if self.recall < table.recall_min {
            return Err(Error::Usage(format!(
                "{}: the search found {:.3} of the exact neighbours, and [negatives] recall_min is {}; give more \
                 probes (now {}), fewer lists, or index = \"exact\"",
                job.plan.path.display(),
                self.recall,
                table.recall_min,
                self.probes
            )));
        }
        Ok(())
    }

    /// Cosine of an anchor and a document, as the search gives it.
    pub fn score(&self, query: u32, document: u32) -> f32 {
        self.index.matrix().cosine_to(self.vector(query), document)
    }

    fn vector(&self, query: u32) -> &[f32] {
        let dimension = self.index.matrix().dimension();
        &self.queries[query as usize * dimension..][..dimension]
    }

    /// The nearest of all documents for every query; or finds them searched.
    ///
    /// # Errors
    /// The search library fails; the disk; an interruption.
    pub fn lists(&self, job: &Job<'_>, prefix: &str, queries: &[u32], k: usize) -> Result<Lists> {
        self.search(job, &*self.index, prefix, queries, (k, None))
    }

    /// The nearest of some documents, which rise, compared with all of them.
    ///
    /// # Errors
    /// As [`Nearest::lists`].
    pub fn lists_among(
        &self,
        job: &Job<'_>,
        prefix: &str,
        documents: &[u32],
        queries: &[u32],
        k: usize,
    ) -> Result<Lists> {
        let matrix = self.index.matrix();
        let mut values = Vec::new();
        matrix.gather(documents, &mut values);
        let index = Exact::new(Matrix::new(values, matrix.dimension()));
        self.search(job, &index, prefix, queries, (k, Some(documents)))
    }

    fn search(
        &self,
        job: &Job<'_>,
        index: &dyn Neighbors,
        prefix: &str,
        queries: &[u32],
        (k, names): (usize, Option<&[u32]>),
    ) -> Result<Lists> {
        let lists = Lists::new(job.writer, prefix.into(), queries.len(), k);
        let phase = Phase::of_rows("nearest", queries.len() as u64, job.options.quiet);
        let next = AtomicUsize::new(0);
        let threads = match index.is_shared() {
            true => job.options.threads,
            false => 1,
        };
        workers::run(threads, "nearest", &job.options.resume, |stop| {
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= lists.blocks() {
                    return Ok(());
                }
                let members = lists.members(block);
                let rows = members.len() as u64;
                if job.writer.committed(&lists.name(block)).is_none() {
                    let mut found = Vec::with_capacity(members.len());
                    for tile in queries[members].chunks(TILE) {
                        if stop.stopped() {
                            return Ok(());
                        }
                        let vectors = tile.iter().flat_map(|&query| self.vector(query));
                        let vectors: Vec<f32> = vectors.copied().collect();
                        found.extend(nearest_to(index, &vectors, k)?);
                    }
                    if let Some(names) = names {
                        let hits = found.iter_mut().flatten();
                        hits.for_each(|hit| hit.id = names[hit.id as usize]);
                    }
                    lists.keep(job.writer, block, &found)?;
                }
                phase.counters.rows.fetch_add(rows, Ordering::Relaxed);
            }
        })?;
        Ok(lists)
    }
}

/// Does counted work with all threads, showing how far it is.
fn timed<T>(
    job: &Job<'_>,
    name: &'static str,
    total: usize,
    work: impl FnOnce(&Team<'_>) -> Result<T>,
) -> Result<T> {
    let phase = Phase::of_rows(name, total as u64, job.options.quiet);
    work(&Team {
        threads: job.options.threads,
        name,
        resume: &job.options.resume,
        done: Some(&phase.counters.rows),
    })
}

/// Queries on which the recall is measured, ascending.
fn sample(seed: u64, queries: usize, count: usize) -> Vec<usize> {
    let order = Order::new(seed);
    let place = |at: usize| order.place((at as u128) << 64 | 0x6e65_6761);
    let mut places: Vec<(u64, usize)> = (0..queries).map(|at| (place(at), at)).collect();
    places.sort_unstable();
    places.truncate(count);
    let mut sample: Vec<usize> = places.into_iter().map(|(_, at)| at).collect();
    sample.sort_unstable();
    sample
}

fn ivf(job: &Job<'_>, matrix: Matrix, lists: usize) -> Result<Ivf> {
    let total = training_rows(matrix.rows(), lists) as usize;
    let middles = timed(job, "train", total, |team| {
        Ivf::train(&matrix, lists, job.plan.seed, team)
    })?;
    let assigned = timed(job, "assign", matrix.rows(), |team| {
        Ivf::assign(&matrix, &middles, team)
    })?;
    Ok(Ivf::new(matrix, middles, &assigned))
}

#[cfg(feature = "faiss")]
fn faiss(job: &Job<'_>, matrix: Matrix, lists: usize) -> Result<Box<dyn Neighbors>> {
    let factory = job.table().factory.clone();
    let factory = factory.unwrap_or_else(|| format!("IVF{lists},Flat"));
    let index = timed(job, "faiss", matrix.rows(), |team| {
        crate::neighbors::Faiss::new(matrix, &factory, team)
    })?;
    Ok(Box::new(index))
}

#[cfg(not(feature = "faiss"))]
fn faiss(_job: &Job<'_>, _matrix: Matrix, _lists: usize) -> Result<Box<dyn Neighbors>> {
    unreachable!("the plan was refused when it was read")
}
