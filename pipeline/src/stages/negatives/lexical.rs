//! The search by words: segments of the documents, as many as fit into memory at a time, and blocks
//! of queries that meet them.
//!
//! With more documents than fit, parts follow each other, and a block's hits in one part are where
//! it begins in the next: memory is that of a part and of a block for each thread, never more.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Job;
use super::collect::Collected;
use super::lists::{Lists, Open};
use crate::bm25::{Parameters, Query, Scratch, Segment, Statistics};
use crate::error::Result;
use crate::flow::progress::Phase;
use crate::flow::workers::{self, Team, chunks};
use crate::neighbors::{Hit, TopK};

/// Part of the plan's memory that segments may take.
const SHARE: u64 = 4;

/// Documents of a part that are built at a time.
const BUILT: usize = 1 << 16;

/// Queries that meet a segment before the next one comes: their hits stay in the cache.
const TILE: usize = 256;

/// The search by words.
pub struct Words<'w> {
    collected: &'w Collected,
    statistics: Statistics,
}

impl<'w> Words<'w> {
    /// A search over all documents' statistics.
    pub fn new(job: &Job<'_>, collected: &'w Collected) -> Words<'w> {
        let table = job.table();
        let parameters = Parameters {
            k1: table.k1,
            b: table.b,
            common_share: table.common_share,
        };
        let gathered = &collected.gathered;
        let frequencies = collected.frequencies.clone();
        let (documents, tokens) = (gathered.documents, gathered.tokens);
        Words {
            collected,
            statistics: Statistics::new(documents, tokens, frequencies, parameters),
        }
    }

    /// A query, ready to be scored.
    ///
    /// # Errors
    /// The disk.
    pub fn query(&self, query: u32, buffer: &mut Vec<u8>) -> Result<Query> {
        let mut terms = Vec::new();
        self.collected.queries.terms(query, buffer, &mut terms)?;
        Ok(self.statistics.query(&terms))
    }

    /// The score of a document, as the search gives it.
    ///
    /// # Errors
    /// The disk.
    pub fn score(&self, query: &Query, document: u32, buffer: &mut Vec<u8>) -> Result<f32> {
        let mut terms = Vec::new();
        let documents = &self.collected.documents;
        documents.terms(document, buffer, &mut terms)?;
        Ok(self.statistics.score(query, &terms))
    }

    /// The best of `documents`, which rise, for each of `queries`; or finds them searched.
    ///
    /// # Errors
    /// The disk; an interruption.
    pub fn lists(
        &self,
        job: &Job<'_>,
        prefix: &str,
        documents: &[u32],
        queries: &[u32],
        k: usize,
    ) -> Result<Lists> {
        let parts = self.parts(job, documents);
        let name = |part: usize| format!("{prefix}-{part:03}");
        let lists = |part: usize| Lists::new(job.writer, name(part), queries.len(), k);
        let total = (queries.len() * parts.len()) as u64;
        let phase = Phase::of_rows("search", total, job.options.quiet);
        for (part, documents) in parts.iter().enumerate() {
            let (now, before) = (lists(part), part.checked_sub(1).map(lists));
            let done = |block: &usize| job.writer.committed(&now.name(*block)).is_some();
            let left: Vec<usize> = (0..now.blocks()).filter(|block| !done(block)).collect();
            let rows: usize = left.iter().map(|&block| now.members(block).len()).sum();
            let counter = &phase.counters.rows;
            counter.fetch_add((queries.len() - rows) as u64, Ordering::Relaxed);
            if left.is_empty() {
                continue;
            }
            let segments = self.build(job, documents)?;
            let next = AtomicUsize::new(0);
            workers::run(job.options.threads, "search", &job.options.resume, |stop| {
                let mut scratch = Scratch::default();
                while let Some(&block) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let members = now.members(block);
                    let mut found = Vec::with_capacity(members.len());
                    for start in members.clone().step_by(TILE) {
                        if stop.stopped() {
                            return Ok(());
                        }
                        let tile = start..(start + TILE).min(members.end);
                        let best = self.seeded(before.as_ref(), tile.clone(), k)?;
                        found.extend(self.tile(&segments, &queries[tile], best, &mut scratch)?);
                    }
                    now.keep(job.writer, block, &found)?;
                    counter.fetch_add(found.len() as u64, Ordering::Relaxed);
                }
                Ok(())
            })?;
        }
        Ok(lists(parts.len() - 1))
    }

    /// Documents that are in memory together.
    fn parts<'d>(&self, job: &Job<'_>, documents: &'d [u32]) -> Vec<&'d [u32]> {
        let gathered = &self.collected.gathered;
        let all = gathered.documents as u64;
        let each = Segment::bytes(all, gathered.tokens).div_ceil(all.max(1));
        let size = (job.table().memory.0 / SHARE / each.max(1)).max(1) as usize;
        documents.chunks(size).collect()
    }

    fn build(&self, job: &Job<'_>, documents: &[u32]) -> Result<Vec<Segment>> {
        let phase = Phase::of_rows("index", documents.len() as u64, job.options.quiet);
        let team = Team {
            threads: job.options.threads,
            name: "index",
            resume: &job.options.resume,
            done: Some(&phase.counters.rows),
        };
        let built = chunks(&team, documents.len(), BUILT, |range| {
            let (mut buffer, mut terms, mut segments) = (Vec::new(), Vec::new(), Vec::new());
            let mut builder = Segment::builder();
            for &document in &documents[range] {
                let store = &self.collected.documents;
                store.terms(document, &mut buffer, &mut terms)?;
                builder.push(document, &terms);
                if builder.is_full() {
                    segments.push(std::mem::take(&mut builder).build(&self.statistics));
                }
            }
            segments.push(builder.build(&self.statistics));
            Ok(segments)
        })?;
        Ok(built.into_iter().flatten().collect())
    }

    /// The hits so far of a tile's queries.
    fn seeded(
        &self,
        before: Option<&Lists>,
        tile: std::ops::Range<usize>,
        k: usize,
    ) -> Result<TopK> {
        let mut best = TopK::new(tile.len(), k);
        let (mut open, mut hits) = (Open::default(), Vec::new());
        for (at, query) in tile.enumerate() {
            if let Some(before) = before {
                before.read(query, &mut open, &mut hits)?;
                hits.iter().for_each(|hit| best.offer(at, *hit));
            }
        }
        Ok(best)
    }

    fn tile(
        &self,
        segments: &[Segment],
        queries: &[u32],
        mut best: TopK,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<Hit>>> {
        let mut buffer = Vec::new();
        let ready = queries.iter().map(|&query| self.query(query, &mut buffer));
        let ready: Vec<Query> = ready.collect::<Result<_>>()?;
        for segment in segments {
            for (at, query) in ready.iter().enumerate() {
                segment.search(query, at, &mut best, scratch);
            }
        }
        let sorted = |at: usize| {
            let mut hits = best.candidates(at).to_vec();
            hits.sort_unstable_by(Hit::order);
            hits
        };
        Ok((0..queries.len()).map(sorted).collect())
    }
}
