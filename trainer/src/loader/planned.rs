//! Batches that the stage `batches` planned: the list says which row group of which file each is.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::UInt32Type;
use arrow::record_batch::RecordBatch;
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::shard;

use super::files::{File, OpenFiles};
use super::source::Piece;
use crate::{Error, Result};

/// Where a batch is: 12 bytes for each.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: u32,
    group: u32,
    rows: u32,
}

/// All batches by number.
#[derive(Debug)]
pub struct Planned {
    places: Vec<Place>,
    records: u64,
}

impl Planned {
    /// Reads the list; `names` are the files of rows in order.
    ///
    /// # Errors
    /// The list cannot be read, does not count the batches from 0, names a file that the manifest
    /// does not, or has not all rows.
    pub fn open(dir: &Path, manifest: &Manifest, names: &[&str]) -> Result<Planned> {
        let mut planned = Planned {
            places: Vec::new(),
            records: 0,
        };
        for file in manifest.files_of(Table::Batches) {
            let path = dir.join(&file.name);
            for batch in shard::read(&path)? {
                planned
                    .take(&batch?, names)
                    .map_err(|message| juzi_schemas::Error::Parquet {
                        path: path.clone(),
                        message,
                    })?;
            }
        }
        let rows: u64 = manifest.files_of(Table::Rows).map(|file| file.rows).sum();
        if planned.records != rows {
            return Err(Error::Dataset(juzi_schemas::Error::Damaged {
                path: dir.into(),
                what: "number of rows in all batches of the list",
                found: planned.records.to_string(),
                expected: rows.to_string(),
            }));
        }
        match planned.places.is_empty() {
            false => Ok(planned),
            true => Err(Error::Usage(format!(
                "{}: it lists no batches",
                dir.display()
            ))),
        }
    }

    fn take(&mut self, list: &RecordBatch, names: &[&str]) -> std::result::Result<(), String> {
        let column = |name: &str| {
            let column = list.column_by_name(name);
            column.ok_or_else(|| format!("the list of batches has no column `{name}`"))
        };
        let numbers = |name: &str| {
            let column: &ArrayRef = column(name)?;
            let numbers = column.as_primitive_opt::<UInt32Type>().cloned();
            numbers.ok_or_else(|| format!("the column `{name}` is not of 32-bit numbers"))
        };
        let (batches, groups) = (numbers("batch")?, numbers("row_group")?);
        let rows = numbers("rows")?;
        let files = column("file")?.as_string_opt::<i32>();
        let files = files.ok_or("the column `file` is not of strings")?;
        let mut last = None::<(&str, u32)>;
        for at in 0..list.num_rows() {
            let (number, expected) = (batches.value(at), self.places.len());
            if number as usize != expected {
                return Err(format!("batch {number} stands where {expected} belongs"));
            }
            let name = files.value(at);
            let file = match last {
                Some((last, file)) if last == name => file,
                _ => {
                    let found = names.iter().position(|known| *known == name);
                    found.ok_or_else(|| format!("the manifest names no file {name}"))? as u32
                }
            };
            last = Some((name, file));
            self.records += u64::from(rows.value(at));
            self.places.push(Place {
                file,
                group: groups.value(at),
                rows: rows.value(at),
            });
        }
        Ok(())
    }

    /// Number of batches.
    pub fn batches(&self) -> u64 {
        self.places.len() as u64
    }

    /// File and row group of the first batch.
    pub fn first(&self) -> (usize, usize) {
        (self.places[0].file as usize, self.places[0].group as usize)
    }

    /// Rows of all batches.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// A batch by its number.
    ///
    /// # Errors
    /// Its row group cannot be read, or is another batch.
    pub fn piece(
        &self,
        number: u64,
        files: &[File],
        open: &mut OpenFiles,
        columns: &[&'static str],
    ) -> Result<Piece> {
        let place = self.places[number as usize];
        let (group, file) = (place.group as usize, &files[place.file as usize]);
        let columns = [&["batch"], columns].concat();
        let batch = open.read(place.file as usize, file, group, &columns)?;
        let piece = Piece {
            rows: (0..batch.num_rows() as u32).collect(),
            batch,
            path: file.path.clone(),
            group,
        };
        let own = piece.batch.column_by_name("batch");
        let own = own.and_then(|own| own.as_primitive_opt::<UInt32Type>());
        let first = own
            .filter(|own| !own.is_empty())
            .map(|own| u64::from(own.value(0)));
        if first != Some(number) || piece.rows.len() != place.rows as usize {
            let found = first.map_or("no batch".into(), |first| format!("batch {first}"));
            let (rows, wanted) = (piece.rows.len(), place.rows);
            return Err(piece.wrong(format!(
                "it holds {found} of {rows} rows; the list says batch {number} of {wanted} rows"
            )));
        }
        Ok(piece)
    }
}
