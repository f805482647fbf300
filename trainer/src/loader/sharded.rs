//! Batches of any size out of shards: an epoch permutes the row groups and the rows inside, and
//! batches cut the sequence that comes of it.
//!
//! Known of each row group is only how many rows of the split it has, so 100 million records need a
//! few kilobytes; the row groups that a batch touches are found by binary search.

use std::path::Path;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use juzi_schemas::record::Split;

use super::files::{File, OpenFiles};
use super::order::{Cursor, Permutation};
use super::source::{Piece, Source};
use crate::recipe::Data;
use crate::{Error, Result};

/// Row groups that a worker keeps decoded; a batch at a border needs two.
const DECODED_MAX: usize = 2;

/// A row group with rows of the split.
#[derive(Clone, Copy, Debug)]
struct Group {
    file: u32,
    group: u32,
    /// Rows of the split.
    rows: u32,
    /// Whether it has other rows too.
    mixed: bool,
}

/// The row groups of a kind and split, and how batches are cut.
#[derive(Debug)]
pub struct Sharded {
    groups: Vec<Group>,
    records: u64,
    split: Split,
    size: u64,
    drop_last: bool,
}

/// What a worker remembers from one batch to the next.
#[derive(Default)]
pub struct State {
    epoch: Option<Epoch>,
    /// The one used last comes last.
    decoded: Vec<Decoded>,
}

/// The order of an epoch.
struct Epoch {
    number: u64,
    groups: Permutation,
    /// Rows up to the end of each row group, in the order of the epoch.
    ends: Vec<u64>,
}

/// A row group in memory, with the permutation of its rows.
struct Decoded {
    unit: u64,
    epoch: u64,
    batch: RecordBatch,
    rows: Permutation,
    /// Numbers of the rows of the split; none where all are.
    members: Option<Vec<u32>>,
}

impl Sharded {
    /// Counts the rows of the split in each row group, from the column `split` alone.
    ///
    /// # Errors
    /// A file cannot be read, or there are fewer records than one batch needs.
    pub fn open(data: &Data, dir: &Path, files: &[File]) -> Result<Sharded> {
        let mut open = OpenFiles::default();
        let mut groups = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let groups_of_file = open.groups(number, file)?;
            let filled: Vec<usize> = (0..groups_of_file.len())
                .filter(|&group| groups_of_file.rows(group) > 0)
                .collect();
            for group in filled {
                let batch = open.read(number, file, group, &["split"])?;
                let rows = members(&batch, data.split)
                    .ok_or_else(|| no_split(file, group))?
                    .count();
                if rows > 0 {
                    groups.push(Group {
                        file: number as u32,
                        group: group as u32,
                        rows: rows as u32,
                        mixed: rows < batch.num_rows(),
                    });
                }
            }
        }
        let sharded = Sharded {
            records: groups.iter().map(|group| u64::from(group.rows)).sum(),
            groups,
            split: data.split,
            size: data.size as u64,
            drop_last: data.drop_last,
        };
        match sharded.batches() {
            0 => Err(Error::Usage(format!(
                "{}: {} records of kind {} in the split {} fill no batch of {}; see [data] kind, \
                 split, size and drop_last",
                dir.display(),
                sharded.records,
                data.kind.name(),
                data.split.name(),
                data.size
            ))),
            _ => Ok(sharded),
        }
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> u64 {
        match self.drop_last {
            true => self.records / self.size,
            false => self.records.div_ceil(self.size),
        }
    }

    /// File and number of the first row group.
    pub fn first(&self) -> (usize, usize) {
        (self.groups[0].file as usize, self.groups[0].group as usize)
    }

    /// Records of the kind and split.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records of an epoch that fill no batch.
    pub fn left_out(&self) -> u64 {
        match self.drop_last {
            true => self.records % self.size,
            false => 0,
        }
    }
}

impl State {
    /// The rows of a batch.
    ///
    /// # Errors
    /// A row group cannot be read, or has other rows than it had when it was counted.
    pub fn pieces(
        &mut self,
        table: &Sharded,
        source: &Source,
        cursor: Cursor,
        files: &mut OpenFiles,
        columns: &[&'static str],
    ) -> Result<Vec<Piece>> {
        let epoch = match self.epoch.take() {
            Some(epoch) if epoch.number == cursor.epoch => epoch,
            _ => Epoch::new(table, source, cursor.epoch),
        };
        let mut at = cursor.position * table.size;
        let end = (at + table.size).min(table.records);
        let mut pieces = Vec::new();
        let mut place = epoch.ends.partition_point(|&end| end <= at);
        while at < end {
            let unit = epoch.groups.at(place as u64);
            let group = table.groups[unit as usize];
            let decoded = self.decoded(table, source, (unit, cursor.epoch), files, columns)?;
            let start = epoch.ends[place] - u64::from(group.rows);
            let until = end.min(epoch.ends[place]);
            let rows = (at - start..until - start).map(|offset| {
                let row = decoded.rows.at(offset) as u32;
                let members = decoded.members.as_ref();
                members.map_or(row, |members| members[row as usize])
            });
            pieces.push(Piece {
                rows: rows.collect(),
                batch: decoded.batch.clone(),
                path: source.files[group.file as usize].path.clone(),
                group: group.group as usize,
            });
            (at, place) = (until, place + 1);
        }
        self.epoch = Some(epoch);
        Ok(pieces)
    }

    fn decoded(
        &mut self,
        table: &Sharded,
        source: &Source,
        (unit, epoch): (u64, u64),
        files: &mut OpenFiles,
        columns: &[&'static str],
    ) -> Result<&Decoded> {
        let same = |decoded: &Decoded| decoded.unit == unit && decoded.epoch == epoch;
        let entry = match self.decoded.iter().position(same) {
            Some(at) => self.decoded.remove(at),
            None => {
                let group = table.groups[unit as usize];
                let (number, file) = (group.file as usize, &source.files[group.file as usize]);
                let split: &[&'static str] = if group.mixed { &["split"] } else { &[] };
                let columns = [columns, split].concat();
                let batch = files.read(number, file, group.group as usize, &columns)?;
                let members = match group.mixed {
                    true => Some(
                        members(&batch, table.split)
                            .ok_or_else(|| no_split(file, group.group as usize))?
                            .collect::<Vec<u32>>(),
                    ),
                    false => None,
                };
                let rows = members.as_ref().map_or(batch.num_rows(), Vec::len);
                if rows != group.rows as usize {
                    return Err(Error::Group {
                        path: file.path.to_path_buf(),
                        group: group.group as usize,
                        message: format!("{rows} rows of the split, and there were {}", group.rows),
                    });
                }
                Decoded {
                    unit,
                    epoch,
                    batch,
                    rows: source.permutation(u64::from(group.rows), epoch, unit + 1),
                    members,
                }
            }
        };
        if self.decoded.len() == DECODED_MAX {
            self.decoded.remove(0);
        }
        self.decoded.push(entry);
        Ok(self.decoded.last().expect("one was pushed"))
    }
}

impl Epoch {
    fn new(table: &Sharded, source: &Source, number: u64) -> Epoch {
        let groups = source.permutation(table.groups.len() as u64, number, 0);
        let ends = (0..groups.len()).scan(0, |end, place| {
            *end += u64::from(table.groups[groups.at(place) as usize].rows);
            Some(*end)
        });
        Epoch {
            number,
            ends: ends.collect(),
            groups,
        }
    }
}

/// Numbers of the rows of a split; none if the batch has no such column.
fn members(batch: &RecordBatch, split: Split) -> Option<impl Iterator<Item = u32>> {
    let splits = batch.column_by_name("split")?.as_string_opt::<i32>()?;
    let rows = (0..).zip(splits.iter());
    Some(rows.filter_map(move |(row, name)| (name == Some(split.name())).then_some(row)))
}

fn no_split(file: &File, group: usize) -> Error {
    Error::Group {
        path: file.path.to_path_buf(),
        group,
        message: "it has no column `split`".into(),
    }
}
