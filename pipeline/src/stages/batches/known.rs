//! Known positives: which texts belong to an anchor by other records, wherever these stand.
//!
//! A batch can be free of equal anchors and still hold a false negative: a text that another record
//! names as the positive of one of its anchors, and that comes in as the positive or as a mined
//! negative of another row. So one pass over all pairs notes which anchors and groups have several
//! positives. Each pair takes 16 bytes while it is noted, 32 with a group; what stays are the pairs
//! of anchors and groups that have more than one.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use juzi_schemas::record::Kind;
use juzi_schemas::shard::Groups;

use super::inputs::{Chosen, Source, Unit};
use super::load::{group_hash, text_hash};
use crate::error::{Error, Result};
use crate::flow::workers::{Team, chunks};
use crate::size::Size;

/// Hashes of anchors and groups with the hashes of their positives, sorted.
#[derive(Default)]
pub struct KnownPositives {
    of: Vec<(u64, u64)>,
}

impl KnownPositives {
    /// Reads the anchors and positives of all units of pairs.
    ///
    /// # Errors
    /// A file cannot be read, or the notes do not fit into `memory`; an interruption.
    pub fn read(
        sources: &[Source],
        units: &[Unit],
        (corpora, split): (&[String], &str),
        memory: u64,
        team: &Team<'_>,
    ) -> Result<KnownPositives> {
        let is_pair = |unit: &&Unit| {
            let kind = sources[unit.source].layout.kind;
            matches!(kind, Kind::Pair | Kind::Triplet)
        };
        let units: Vec<&Unit> = units.iter().filter(is_pair).collect();
        let rows: u64 = units.iter().flat_map(|unit| &unit.counts).sum();
        if rows * 16 > memory {
            return Err(Error::Resources(format!(
                "--memory {} is too small: the anchors of {rows} pairs need {}",
                Size(memory),
                Size(rows * 16)
            )));
        }
        let parts = chunks(team, units.len(), 1, |range| {
            let unit = units[range.start];
            of_unit(&sources[unit.source], unit, corpora, split)
        })?;
        let mut of = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        // Each part goes as soon as it is taken over.
        parts.into_iter().for_each(|part| of.extend(part));
        of.sort_unstable();
        of.dedup();
        // An anchor with one positive has it in every one of its rows.
        let several = |run: &&[(u64, u64)]| run.len() > 1;
        let runs = of.chunk_by(|a, b| a.0 == b.0).filter(several);
        let kept: Vec<(u64, u64)> = runs.flatten().copied().collect();
        Ok(KnownPositives { of: kept })
    }

    /// Positives of an anchor and of a group, other than `own`; some may come twice.
    pub fn others(&self, anchor: u64, group: u64, own: u64) -> impl Iterator<Item = u64> {
        let of = |key: u64| {
            let start = self.of.partition_point(|(other, _)| *other < key);
            let run = self.of[start..].iter().take_while(move |one| one.0 == key);
            run.map(|(_, positive)| *positive)
        };
        let both = of(anchor).chain(of(group));
        both.filter(move |positive| *positive != own)
    }
}

fn of_unit(
    source: &Source,
    unit: &Unit,
    corpora: &[String],
    split: &str,
) -> Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    let schema = Arc::new(source.layout.schema_in_memory());
    let groups = Groups::open(&source.path, Some(schema))?;
    if groups.rows(unit.group) == 0 {
        return Ok(found);
    }
    let names = ["corpus", "split", "group_key", "anchor", "positive"];
    let batch = groups.read(unit.group, Some(&names))?;
    let chosen = Chosen::of(&batch, corpora, split, &source.path)?;
    let column = |name: &str| batch[name].as_string::<i32>();
    let (anchors, positives) = (column("anchor"), column("positive"));
    let (keys, mut folded) = (column("group_key"), Vec::new());
    for row in 0..batch.num_rows() {
        let Some(corpus) = chosen.corpus(row) else {
            continue;
        };
        let positive = text_hash(positives.value(row), &mut folded);
        found.push((text_hash(anchors.value(row), &mut folded), positive));
        if keys.is_valid(row) {
            found.push((group_hash(keys.value(row), corpus), positive));
        }
    }
    Ok(found)
}
