//! A table beside the batches: the list, or the ledger.

use arrow::record_batch::RecordBatch;
use juzi_schemas::dataset::{DatasetWriter, Durability, FileWriter};
use juzi_schemas::journal::Entry;
use juzi_schemas::shard::ShardWriter;

use crate::error::Result;

/// A table that grows from window to window; what a stopped run left of it is made again.
pub struct Table {
    name: &'static str,
    output: Option<ShardWriter<FileWriter>>,
    done: Option<Entry>,
}

impl Table {
    /// A table that is not started.
    pub fn new(name: &'static str) -> Table {
        Table {
            name,
            output: None,
            done: None,
        }
    }

    /// Starts the file unless it is there; `first` has its columns.
    ///
    /// # Errors
    /// The disk.
    pub fn open(&mut self, writer: &DatasetWriter, first: &RecordBatch) -> Result<()> {
        if self.output.is_none() && self.done.is_none() {
            self.done = writer.committed(self.name);
            if self.done.is_none() {
                let place = writer.dir().join(self.name);
                let file = writer.create(self.name)?;
                self.output = Some(ShardWriter::new(file, first.schema(), &place)?);
            }
        }
        Ok(())
    }

    /// Appends rows.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.output {
            Some(output) => Ok(output.write(batch)?),
            None => Ok(()),
        }
    }

    /// Makes it part of the dataset; nothing if it was never started.
    ///
    /// # Errors
    /// The disk.
    pub fn commit(self, writer: &DatasetWriter) -> Result<Option<Entry>> {
        let Some(output) = self.output else {
            return Ok(self.done);
        };
        let (file, rows) = output.finish()?;
        let note = serde_json::Value::Null;
        Ok(Some(writer.commit(
            file,
            Durability::Durable,
            rows,
            note,
        )?))
    }
}

#[cfg(test)]
mod tests {
    use juzi_schemas::batch::{descriptions, list_schema};

    #[test]
    fn an_empty_list_has_the_columns_of_a_list() {
        let batch = descriptions(&[]).unwrap();
        assert_eq!(*batch.schema(), list_schema());
    }
}
