//! The topic of every record: a file for each file of the shards, committed one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::journal::Entry;
use juzi_schemas::shard::ShardWriter;
use juzi_schemas::topic::{self, TopicsBuilder};
use serde::{Deserialize, Serialize};

use super::cluster::Clusters;
use super::records::{Records, Rows};
use super::source::{TextVectors, blocks};
use crate::error::Result;
use crate::flow::in_order;
use crate::flow::progress::Phase;
use crate::neighbors::dot;

/// Topic and distance of each record of a row group.
pub type Places = Vec<(Option<u32>, Option<f32>)>;

/// What was written.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Records with a topic.
    pub placed: u64,
    /// Sum of the distances in millionths: whole numbers add up the same in any order.
    pub distance_millionths: u64,
}

/// Writes the topics that `of` gives, skipping files that a stopped run committed. The row groups
/// of a file are worked on several at a time.
///
/// # Errors
/// The shards cannot be read; the disk; an interruption.
pub fn run(
    records: &Records<'_>,
    writer: &DatasetWriter,
    of: impl Fn(&Rows<'_>) -> Result<Places> + Sync,
) -> Result<(Vec<Entry>, Totals)> {
    let phase = records.phase("assign");
    let mut totals = Totals::default();
    let mut entries = Vec::new();
    for (number, file) in records.files().into_iter().enumerate() {
        let entry = match writer.committed(&file.name) {
            Some(entry) => entry,
            None => write(records, writer, (number, &file.name), &of, &phase)?,
        };
        let own: Totals =
            serde_json::from_value(entry.note.clone()).expect("the journal's lines are checked");
        totals.placed += own.placed;
        totals.distance_millionths += own.distance_millionths;
        entries.push(entry);
    }
    Ok((entries, totals))
}

fn write(
    records: &Records<'_>,
    writer: &DatasetWriter,
    (number, name): (usize, &str),
    of: impl Fn(&Rows<'_>) -> Result<Places> + Sync,
    phase: &Phase,
) -> Result<Entry> {
    let place = writer.dir().join(name);
    let output = writer.create(name)?;
    let mut output = ShardWriter::new(output, Arc::new(topic::schema()), &place)?;
    let mut totals = Totals::default();
    let mut builder = TopicsBuilder::default();
    let units = records.units_of(number);
    let next = AtomicUsize::new(0);
    let step = |_: &mut ()| {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(&unit) = units.get(at) else {
            return Ok(None);
        };
        records.read(unit, |rows| {
            let ids: Vec<u128> = (0..rows.len()).map(|row| rows.id(row)).collect();
            Ok(Some((at as u64, (ids, of(rows)?))))
        })
    };
    let take = |(ids, places): (Vec<u128>, Places)| {
        let rows = ids.len() as u64;
        for (id, (topic, distance)) in ids.into_iter().zip(places) {
            builder.push(id, topic, distance);
            totals.placed += u64::from(topic.is_some());
            let millionths = distance.map_or(0.0, |distance| f64::from(distance) * 1e6);
            totals.distance_millionths += millionths.round() as u64;
        }
        let batch = builder.finish();
        output.write(&batch.map_err(juzi_schemas::Error::parquet(&place))?)?;
        phase.counters.rows.fetch_add(rows, Ordering::Relaxed);
        Ok(())
    };
    let team = records.team("assign");
    in_order::run(team.threads, team.name, team.resume, || (), step, take)?;
    let (written, rows) = output.finish()?;
    let note = serde_json::to_value(totals).expect("plain numbers have a JSON form");
    Ok(writer.commit(written, Durability::Durable, rows, note)?)
}

/// Topics of a row group by the nearest middle.
///
/// # Errors
/// The vectors or words cannot be read.
pub fn nearest(rows: &Rows<'_>, source: &dyn TextVectors, clusters: &Clusters) -> Result<Places> {
    let mut places = vec![(None, None); rows.len()];
    let dimension = source.dimension();
    blocks(
        rows,
        source,
        |_| true,
        |block| {
            let leaves = clusters.cells.locate(&block.vectors, &block.ids);
            let vectors = block.vectors.chunks_exact(dimension);
            for ((&row, leaf), vector) in block.rows.iter().zip(leaves).zip(vectors) {
                let topic = clusters.merged.topics[leaf as usize];
                let topic = topic.expect("a leaf with records has a topic");
                let middle = clusters
                    .cells
                    .middle(clusters.merged.leaves[topic as usize]);
                let distance = (1.0 - dot(vector, middle)).clamp(0.0, 2.0);
                places[row as usize] = (Some(topic), Some(distance));
            }
            Ok(())
        },
    )?;
    Ok(places)
}
