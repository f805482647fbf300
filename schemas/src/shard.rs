//! One Parquet file of a dataset: how it is encoded, written and read back.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::rows_hash::RowsHash;
use crate::{Error, Result};

/// Rows in a row group: a few MiB of short text, so that a reader needs little memory.
pub const ROWS_PER_GROUP: usize = 65_536;

/// Text bytes after which a row group is closed early.
pub const BYTES_PER_GROUP: usize = 32 << 20;

/// Version of everything in this crate that other programs read.
pub const FORMAT: u32 = 1;

/// Writes the batches of one shard.
pub struct ShardWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    hash: RowsHash,
    place: std::path::PathBuf,
}

impl<W: Write + Send> ShardWriter<W> {
    /// Starts a shard; `place` is only for messages.
    pub fn new(output: W, schema: SchemaRef, place: &Path) -> Result<ShardWriter<W>> {
        let options = ArrowWriterOptions::new()
            .with_properties(properties(&schema))
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(output, schema, options)
            .map_err(Error::parquet(place))?;
        Ok(ShardWriter {
            writer,
            hash: RowsHash::default(),
            place: place.into(),
        })
    }

    /// Writes a batch as a row group of its own.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.hash.push_batch(batch);
        self.writer
            .write(batch)
            .and_then(|()| self.writer.flush())
            .map_err(Error::parquet(&self.place))
    }

    /// Writes the footer; gives the output and the hash of all rows back.
    pub fn finish(self) -> Result<(W, RowsHash)> {
        let output = self
            .writer
            .into_inner()
            .map_err(Error::parquet(&self.place))?;
        Ok((output, self.hash))
    }
}

/// Unique text gains nothing from a dictionary or from minima and maxima, ids nothing from zstd.
fn properties(schema: &SchemaRef) -> WriterProperties {
    let fast = Compression::ZSTD(ZstdLevel::try_new(1).expect("level 1 exists"));
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(format!("juzi-schemas {}", env!("CARGO_PKG_VERSION")))
        .set_compression(fast)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "juzi.format".into(),
            FORMAT.to_string(),
        )]));
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        builder = match field.name().as_str() {
            "corpus" | "split" | "topic_key" | "reason" | "file" | "member" | "label"
            | "source" => builder.set_column_dictionary_enabled(path, true),
            // Their row groups are large, and a dictionary that is given up halfway opens slowly.
            "word" | "synonym" => builder
                .set_column_dictionary_enabled(path.clone(), true)
                .set_column_dictionary_page_size_limit(path, 256 << 20),
            "id" | "document" | "keeper" => {
                builder.set_column_compression(path, Compression::UNCOMPRESSED)
            }
            "text" | "anchor" | "positive" | "sentence1" | "sentence2" | "detail" => {
                builder.set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
            }
            "position" | "offset" | "line" => {
                builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            _ => builder,
        };
    }
    builder.build()
}

/// Reads the batches of one shard.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let options = ArrowReaderOptions::new();
    let metadata = ArrowReaderMetadata::load(&file, options).map_err(Error::parquet(path))?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(ROWS_PER_GROUP)
        .build()
        .map_err(Error::parquet(path))?;
    let path: Arc<Path> = path.into();
    Ok(reader.map(move |batch| batch.map_err(Error::parquet(&*path))))
}

/// Reads each row group as one batch with the column types of `schema`, which must fit the file:
/// columns of dictionaries then keep the dictionaries of the file.
pub fn read_groups(
    path: &Path,
    schema: SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let options = ArrowReaderOptions::new().with_schema(schema);
    let metadata = ArrowReaderMetadata::load(&file, options).map_err(Error::parquet(path))?;
    let path: Arc<Path> = path.into();
    let groups = metadata.metadata().num_row_groups();
    Ok((0..groups).filter_map(move |group| {
        let rows = metadata.metadata().row_group(group).num_rows() as usize;
        let file = match file.try_clone() {
            Ok(file) => file,
            Err(error) => return Some(Err(Error::io(&*path)(error))),
        };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(rows)
            .build();
        match reader {
            Ok(mut reader) => Some(reader.next()?.map_err(Error::parquet(&*path))),
            Err(error) => Some(Err(Error::parquet(&*path)(error))),
        }
    }))
}

/// Hash of all rows of a shard, from what is in the file.
pub fn rows_hash(path: &Path) -> Result<RowsHash> {
    let mut hash = RowsHash::default();
    for batch in read(path)? {
        hash.push_batch(&batch?);
    }
    Ok(hash)
}
