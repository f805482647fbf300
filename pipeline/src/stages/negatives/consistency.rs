//! The consistency filter: pairs whose own document is not found from their anchor.
//!
//! Pairs are put into chunks by a keyed order, and each is searched among the documents of its own
//! chunk, all of them compared (Wang et al. 2022, E5; Nussbaum et al. 2024). Other positives of an
//! anchor do not count against it.

use juzi_schemas::random::Order;

use super::Job;
use super::collect::{Collected, keep};
use super::judge::{Miner, Scorer};
use super::known::Known;
use super::lists::{Lists, Open};
use crate::error::{Error, Result};

/// Scratch file of the ranks.
const RANKS: &str = "consistency/ranks";

/// Right documents that are looked past for one anchor.
const RIGHT_MAX: usize = 1000;

/// Ranks of the rows' own documents.
pub struct Ranks {
    /// Rank from 1 of each row; 0 when it was not found.
    pub ranks: Vec<u32>,
    /// The rank up to which a pair stays.
    pub last: u32,
    /// Documents that a search gave.
    pub depth: usize,
}

impl Ranks {
    /// Whether a row stays.
    pub fn keeps(&self, row: usize) -> bool {
        (1..=self.last).contains(&self.ranks[row])
    }
}

/// Ranks all rows, or finds them ranked; nothing when the plan does not ask.
///
/// # Errors
/// The disk; an interruption.
pub fn run(
    job: &Job<'_>,
    collected: &Collected,
    known: &Known,
    miners: &[Miner<'_>],
) -> Result<Option<Ranks>> {
    let table = &job.table().consistency;
    if !table.enabled {
        return Ok(None);
    }
    let depth = table.k + known.most(&collected.rows).min(RIGHT_MAX);
    let ranks = match job.writer.committed(RANKS) {
        Some(_) => {
            let path = job.writer.dir().join(RANKS);
            let bytes = std::fs::read(&path).map_err(Error::input(&path))?;
            let fours = bytes.as_chunks::<4>().0.iter();
            fours.map(|bytes| u32::from_le_bytes(*bytes)).collect()
        }
        None => {
            // Of two miners the one by vectors knows meaning.
            let miner = miners.last().expect("there is a miner");
            let ranks = rank(job, collected, known, miner, depth)?;
            keep(job.writer, RANKS, &ranks, serde_json::Value::Null)?;
            ranks
        }
    };
    Ok(Some(Ranks {
        ranks,
        last: table.k as u32,
        depth,
    }))
}

fn rank(
    job: &Job<'_>,
    collected: &Collected,
    known: &Known,
    miner: &Miner<'_>,
    depth: usize,
) -> Result<Vec<u32>> {
    let rows = &collected.rows;
    let count = rows.len().div_ceil(job.table().consistency.chunk);
    let order = Order::new(job.plan.seed);
    let mut chunks = vec![Vec::new(); count];
    for row in 0..rows.len() {
        let place = order.place((row as u128) << 64 | 0x636f_6e73);
        chunks[((u128::from(place) * count as u128) >> 64) as usize].push(row as u32);
    }
    let mut ranks = vec![0; rows.len()];
    for (number, members) in chunks.iter().enumerate().filter(|(_, m)| !m.is_empty()) {
        let entries = || members.iter().map(|&row| rows[row as usize]);
        let mut documents: Vec<u32> = entries().map(|row| row.positive).collect();
        documents.sort_unstable();
        documents.dedup();
        let queries: Vec<u32> = entries().map(|row| row.query).collect();
        let prefix = format!("consistency/{number:05}");
        let depth = depth.min(documents.len());
        let lists = match &miner.scorer {
            Scorer::Words(words) => words.lists(job, &prefix, &documents, &queries, depth)?,
            Scorer::Vectors(nearest) => {
                nearest.lists_among(job, &prefix, &documents, &queries, depth)?
            }
        };
        rank_chunk(collected, known, members, &lists, &mut ranks)?;
    }
    Ok(ranks)
}

fn rank_chunk(
    collected: &Collected,
    known: &Known,
    members: &[u32],
    lists: &Lists,
    ranks: &mut [u32],
) -> Result<()> {
    let (mut open, mut hits) = (Open::default(), Vec::new());
    for (at, &row) in members.iter().enumerate() {
        let entry = collected.rows[row as usize];
        lists.read(at, &mut open, &mut hits)?;
        let mut rank = 1;
        for hit in &hits {
            if hit.id == entry.positive {
                ranks[row as usize] = rank;
                break;
            }
            let right =
                known.is_query(entry.query, hit.id) || known.right(entry.query, hit.id).is_some();
            rank += u32::from(!right);
        }
    }
    Ok(())
}
