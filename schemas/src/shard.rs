//! One Parquet file of a dataset: how it is encoded, written and read back.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::rows_hash::RowsHash;
use crate::shared_file::SharedFile;
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
    // Row groups of batches are so small that a compressor costs more than it saves there, but for
    // text and words.
    let small = schema.column_with_name("batch").is_some();
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        let plain = ["batch", "corpus", "topic", "score", "positives", "ignored"];
        if small && plain.contains(&field.name().as_str()) {
            let leaf = match field.data_type() {
                DataType::List(_) => {
                    ColumnPath::from(vec![field.name().clone(), "list".into(), "element".into()])
                }
                _ => path.clone(),
            };
            builder = builder.set_column_compression(leaf, Compression::UNCOMPRESSED);
        }
        builder = match field.name().as_str() {
            "corpus" | "split" | "topic_key" | "reason" | "file" | "member" | "label"
            | "source" | "batch" | "topic" => builder.set_column_dictionary_enabled(path, true),
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

/// Row groups of one shard, any of which is one read away; threads may share it.
pub struct Groups {
    path: Arc<Path>,
    file: SharedFile,
    metadata: ArrowReaderMetadata,
}

impl Groups {
    /// Opens a shard; with a schema, which must fit the file, columns come in its types: those of
    /// dictionaries then keep the dictionaries of the file.
    ///
    /// # Errors
    /// The file cannot be read or is no Parquet of this schema.
    pub fn open(path: &Path, schema: Option<SchemaRef>) -> Result<Groups> {
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        let options = match schema {
            Some(schema) => ArrowReaderOptions::new().with_schema(schema),
            None => ArrowReaderOptions::new(),
        };
        let file = SharedFile::new(file).map_err(Error::io(path))?;
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(Error::parquet(path))?;
        Ok(Groups {
            path: path.into(),
            file,
            metadata,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of row groups.
    pub fn len(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// True when there is no row group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of a group.
    pub fn rows(&self, group: usize) -> usize {
        self.metadata.metadata().row_group(group).num_rows() as usize
    }

    /// Bytes of a group before compression.
    pub fn bytes(&self, group: usize) -> u64 {
        self.metadata.metadata().row_group(group).total_byte_size() as u64
    }

    /// Reads a group as one batch; with `columns`, only these.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or has no such group.
    pub fn read(&self, group: usize, columns: Option<&[&str]>) -> Result<RecordBatch> {
        let wrong = |message: String| {
            Error::parquet(&*self.path)(parquet::errors::ParquetError::General(message))
        };
        if group >= self.len() {
            let message = format!("no row group {group}; the file has {}", self.len());
            return Err(wrong(message));
        }
        let rows = self.rows(group);
        let (file, metadata) = (self.file.clone(), self.metadata.clone());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        let reader = builder.with_row_groups(vec![group]).with_batch_size(rows);
        let mut reader = reader.build().map_err(Error::parquet(&*self.path))?;
        match reader.next() {
            Some(batch) => batch.map_err(Error::parquet(&*self.path)),
            None => Err(wrong(format!("row group {group} holds no rows"))),
        }
    }
}

/// Reads each row group as one batch with the column types of `schema`, as [`Groups::open`].
pub fn read_groups(
    path: &Path,
    schema: SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let groups = Groups::open(path, Some(schema))?;
    let filled: Vec<usize> = (0..groups.len())
        .filter(|&at| groups.rows(at) > 0)
        .collect();
    Ok(filled
        .into_iter()
        .map(move |group| groups.read(group, None)))
}

/// Hash of all rows of a shard, from what is in the file.
pub fn rows_hash(path: &Path) -> Result<RowsHash> {
    let mut hash = RowsHash::default();
    for batch in read(path)? {
        hash.push_batch(&batch?);
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow::record_batch::RecordBatch;

    use super::{Groups, ShardWriter};

    #[test]
    fn threads_share_a_file_without_meeting() {
        let path = std::env::temp_dir().join(format!("juzi-groups-{}", std::process::id()));
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, false)]));
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ShardWriter::new(file, schema.clone(), &path).unwrap();
        let text = |group: usize, row: usize| format!("group {group} row {row}").repeat(group + 1);
        for group in 0..40 {
            let texts: StringArray = (0..200).map(|row| Some(text(group, row))).collect();
            let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(texts)]).unwrap();
            writer.write(&batch).unwrap();
        }
        writer.finish().unwrap();
        let groups = Groups::open(&path, None).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let groups = &groups;
                scope.spawn(move || {
                    for step in 0..400 {
                        let group = (step * 7 + thread * 11) % 40;
                        let batch = groups.read(group, None).unwrap();
                        let texts = batch["text"].as_string::<i32>();
                        assert_eq!(texts.value(199), text(group, 199));
                    }
                });
            }
        });
        assert!(groups.read(40, None).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
