//! The table `synonyms`: its columns, the builder that makes it, and the cache that opens it for use.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float32Array, Float32Builder, StringArray,
    UInt8Array,
};
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type, Schema, SchemaRef, UInt8Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::manifest::{Manifest, Table};
use crate::{Error, Result, shard};

/// Name of the stage that makes the table.
pub const STAGE: &str = "synonyms";

/// Rows in a row group: few groups open fast, and each has dictionaries of its own.
pub const ROWS_PER_GROUP: usize = 1 << 20;

/// Where a synonym comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Source {
    /// Near in the vectors.
    Vectors,
    /// Named by a dictionary.
    Dictionary,
    /// From an imported file.
    Import,
}

impl Source {
    /// All sources, in the order of their numbers.
    pub const ALL: [Source; 3] = [Source::Vectors, Source::Dictionary, Source::Import];

    /// The word in the `source` column.
    pub fn name(self) -> &'static str {
        ["vectors", "dictionary", "import"][self as usize]
    }
}

/// The columns as other programs see them in Parquet.
pub fn schema() -> Schema {
    Schema::new(vec![
        Field::new("word", DataType::Utf8, false),
        Field::new("rank", DataType::UInt8, false),
        Field::new("synonym", DataType::Utf8, false),
        Field::new("cosine", DataType::Float32, true),
        Field::new("source", DataType::Utf8, false),
    ])
}

/// The columns in memory: all strings are dictionaries there.
fn schema_in_memory() -> SchemaRef {
    let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = schema()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => Field::new(field.name(), coded.clone(), false),
            _ => field.as_ref().clone(),
        })
        .collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

/// Collects rows and hands them out as record batches.
pub struct SynonymsBuilder {
    schema: SchemaRef,
    words: Coded,
    ranks: Vec<u8>,
    synonyms: Coded,
    cosines: Float32Builder,
    sources: Vec<i32>,
}

/// A growing column of strings that repeat.
#[derive(Default)]
struct Coded {
    keys: Vec<i32>,
    values: Vec<String>,
    known: std::collections::HashMap<String, i32>,
}

impl Coded {
    fn push(&mut self, text: &str) {
        // A word comes as often in a row as it has synonyms.
        if let Some(&last) = self.keys.last()
            && self.values[last as usize] == text
        {
            self.keys.push(last);
            return;
        }
        let key = match self.known.get(text) {
            Some(&key) => key,
            None => {
                let key = self.values.len() as i32;
                self.values.push(text.into());
                self.known.insert(text.into(), key);
                key
            }
        };
        self.keys.push(key);
    }

    fn finish(&mut self) -> std::result::Result<ArrayRef, ArrowError> {
        self.known.clear();
        let values = StringArray::from(std::mem::take(&mut self.values));
        coded(std::mem::take(&mut self.keys), values)
    }
}

fn coded(keys: Vec<i32>, values: StringArray) -> std::result::Result<ArrayRef, ArrowError> {
    let array = DictionaryArray::<Int32Type>::try_new(keys.into(), Arc::new(values))?;
    Ok(Arc::new(array))
}

impl Default for SynonymsBuilder {
    fn default() -> Self {
        SynonymsBuilder {
            schema: schema_in_memory(),
            words: Coded::default(),
            ranks: Vec::new(),
            synonyms: Coded::default(),
            cosines: Float32Builder::new(),
            sources: Vec::new(),
        }
    }
}

impl SynonymsBuilder {
    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows collected since the last batch.
    pub fn rows(&self) -> usize {
        self.ranks.len()
    }

    /// Appends a row; rows of a word must follow each other, ranks from 1.
    pub fn push(
        &mut self,
        word: &str,
        rank: u8,
        synonym: &str,
        cosine: Option<f32>,
        source: Source,
    ) {
        self.words.push(word);
        self.ranks.push(rank);
        self.synonyms.push(synonym);
        self.cosines.append_option(cosine);
        self.sources.push(source as i32);
    }

    /// Everything collected, as one batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// Arrow refuses the columns, which would be a defect here.
    pub fn finish(&mut self) -> std::result::Result<RecordBatch, ArrowError> {
        let sources = StringArray::from_iter_values(Source::ALL.map(Source::name));
        let columns: Vec<ArrayRef> = vec![
            self.words.finish()?,
            Arc::new(UInt8Array::from(std::mem::take(&mut self.ranks))),
            self.synonyms.finish()?,
            Arc::new(self.cosines.finish()),
            coded(std::mem::take(&mut self.sources), sources)?,
        ];
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// One synonym of a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synonym<'a> {
    /// The synonym.
    pub text: &'a str,
    /// Cosine of the two vectors, where both have one.
    pub cosine: Option<f32>,
    /// Where it comes from.
    pub source: Source,
}

/// A whole `synonyms` dataset in memory, made to be asked: flat arrays and one hash table.
///
/// A million words of eight synonyms take about 130 MB and open in well under a second.
#[derive(Debug, Default)]
pub struct Synonyms {
    /// All strings one after another; string s ends at `ends[s]`.
    texts: Vec<u8>,
    ends: Vec<u32>,
    /// The string of each row's synonym.
    synonyms: Vec<u32>,
    cosines: Vec<f32>,
    sources: Vec<u8>,
    /// String and first row of each word.
    words: Vec<u32>,
    starts: Vec<u32>,
    /// Open addressing: number of a word plus one, 0 where free. The length is a power of two.
    slots: Vec<u32>,
}

/// A word of [`Synonyms`], as found by [`Synonyms::find`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u32);

impl Synonyms {
    /// Opens a dataset that the stage `synonyms` made.
    ///
    /// # Errors
    /// There is no such dataset, or a file of it cannot be read.
    pub fn open(dir: &Path) -> Result<Synonyms> {
        let manifest = Manifest::read(dir)?;
        if manifest.stage != STAGE {
            let reason = format!(
                "it holds `{}`, not `{STAGE}`; make one with juzi synonyms",
                manifest.stage
            );
            return Err(Error::NoDataset {
                path: dir.into(),
                reason,
            });
        }
        let mut all = Synonyms::default();
        for file in manifest.files_of(Table::Rows) {
            let path = dir.join(&file.name);
            for batch in shard::read_groups(&path, schema_in_memory())? {
                all.push_batch(&batch?, &path)?;
            }
        }
        all.complete(dir)
    }

    /// A table that never was on disk, of the batches of a [`SynonymsBuilder`]; `place` is only for
    /// messages.
    ///
    /// # Errors
    /// A batch has other columns, or the table is too large.
    pub fn from_batches(batches: &[RecordBatch], place: &Path) -> Result<Synonyms> {
        let mut all = Synonyms::default();
        for batch in batches {
            all.push_batch(batch, place)?;
        }
        all.complete(place)
    }

    fn complete(mut self, place: &Path) -> Result<Synonyms> {
        if self.texts.len() > u32::MAX as usize || self.synonyms.len() > u32::MAX as usize {
            let reason = "more than 4 GiB of words or 4,294,967,295 rows".to_string();
            return Err(Error::NoDataset {
                path: place.into(),
                reason,
            });
        }
        self.starts.push(self.synonyms.len() as u32);
        self.index();
        Ok(self)
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// All words with their synonyms, in the dataset's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = Synonym<'_>>)> {
        (0..self.words.len() as u32).map(|word| {
            (
                self.string(self.words[word as usize]),
                self.synonyms(Word(word)),
            )
        })
    }

    /// The word with this text, if it has synonyms.
    #[inline]
    pub fn find(&self, text: &str) -> Option<Word> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = xxh3_64(text.as_bytes()) as usize & mask;
        loop {
            match self.slots[at] {
                0 => return None,
                word if self.string(self.words[word as usize - 1]) == text => {
                    return Some(Word(word - 1));
                }
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// How many synonyms a word has; at least one.
    #[inline]
    pub fn count(&self, word: Word) -> usize {
        (self.starts[word.0 as usize + 1] - self.starts[word.0 as usize]) as usize
    }

    /// The `at`-th synonym of a word, from 0.
    #[inline]
    pub fn text(&self, word: Word, at: usize) -> &str {
        self.string(self.synonyms[self.starts[word.0 as usize] as usize + at])
    }

    /// All synonyms of a word, best first.
    pub fn synonyms(&self, word: Word) -> impl Iterator<Item = Synonym<'_>> {
        let rows = self.starts[word.0 as usize]..self.starts[word.0 as usize + 1];
        rows.map(|row| row as usize).map(|row| Synonym {
            text: self.string(self.synonyms[row]),
            cosine: Some(self.cosines[row]).filter(|cosine| !cosine.is_nan()),
            source: Source::ALL[usize::from(self.sources[row])],
        })
    }

    #[inline]
    fn string(&self, number: u32) -> &str {
        let start = match number {
            0 => 0,
            _ => self.ends[number as usize - 1] as usize,
        };
        // SAFETY: `texts` holds whole strings of Arrow arrays one after another and `ends` their ends.
        unsafe {
            std::str::from_utf8_unchecked(&self.texts[start..self.ends[number as usize] as usize])
        }
    }

    fn push_batch(&mut self, batch: &RecordBatch, path: &Path) -> Result<()> {
        let column = |name: &str| {
            let found = batch
                .column_by_name(name)
                .filter(|column| column.null_count() == 0 || name == "cosine");
            found.ok_or_else(|| Error::parquet(path)(format!("no column {name} without nulls")))
        };
        let (first_word, words) = self.push_strings(column("word")?);
        let (first_synonym, synonyms) = self.push_strings(column("synonym")?);
        let source_column = column("source")?.as_dictionary::<Int32Type>();
        let names = source_column.values().as_string::<i32>();
        let mut codes = Vec::with_capacity(names.len());
        for name in names.iter().flatten() {
            let source = Source::ALL.iter().find(|source| source.name() == name);
            codes.push(*source.ok_or_else(|| {
                Error::parquet(path)(format!("`{name}` is no source of a synonym"))
            })? as u8);
        }
        let ranks = column("rank")?.as_primitive::<UInt8Type>();
        for (row, &key) in words.values().iter().enumerate() {
            if ranks.value(row) == 1 {
                self.words.push(first_word + key as u32);
                self.starts.push((self.synonyms.len() + row) as u32);
            }
        }
        self.synonyms.extend(
            synonyms
                .values()
                .iter()
                .map(|&key| first_synonym + key as u32),
        );
        let cosines: &Float32Array = column("cosine")?.as_primitive::<Float32Type>();
        match cosines.null_count() {
            0 => self.cosines.extend_from_slice(cosines.values()),
            _ => self
                .cosines
                .extend(cosines.iter().map(|cosine| cosine.unwrap_or(f32::NAN))),
        }
        let keys = source_column.keys().values();
        self.sources
            .extend(keys.iter().map(|&key| codes[key as usize]));
        Ok(())
    }

    /// Appends the distinct strings of a column; gives the number of the first and the keys.
    fn push_strings<'b>(
        &mut self,
        column: &'b ArrayRef,
    ) -> (u32, &'b arrow::array::PrimitiveArray<Int32Type>) {
        let array = column.as_dictionary::<Int32Type>();
        let values = array.values().as_string::<i32>();
        let (first, base) = (self.ends.len() as u32, self.texts.len());
        let offsets = values.value_offsets();
        let from = offsets[0] as usize;
        let to = offsets[offsets.len() - 1] as usize;
        self.texts.extend_from_slice(&values.value_data()[from..to]);
        let ends = offsets[1..].iter();
        self.ends
            .extend(ends.map(|&end| (base + end as usize - from) as u32));
        (first, array.keys())
    }

    fn index(&mut self) {
        let mask = (self.words.len() * 2).next_power_of_two().max(2) - 1;
        let mut slots = vec![0; mask + 1];
        for word in 0..self.words.len() {
            let text = self.string(self.words[word]);
            let mut at = xxh3_64(text.as_bytes()) as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = word as u32 + 1;
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{STAGE, Source, Synonyms, SynonymsBuilder};
    use crate::dataset::{DatasetWriter, Durability};
    use crate::fingerprint::Fingerprint;
    use crate::manifest::{File, Manifest, Table};
    use crate::shard::{FORMAT, ShardWriter};

    type Line = (&'static str, u8, &'static str, Option<f32>, Source);

    /// A directory that is gone when the test ends.
    struct Place(PathBuf);

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn place(name: &str) -> Place {
        let name = format!("juzi-schemas-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Place(dir)
    }

    /// Writes a dataset of files, each with its row groups.
    fn write(place: &Place, stage: &str, files: &[&[&[Line]]]) -> PathBuf {
        let fingerprint = Fingerprint::of(b"test");
        let writer = DatasetWriter::open(&place.0, stage, &fingerprint).unwrap();
        let mut list = Vec::new();
        for (number, groups) in files.iter().enumerate() {
            let name = format!("part-{number:05}.parquet");
            let mut builder = SynonymsBuilder::default();
            let file = writer.create(&name).unwrap();
            let mut shard = ShardWriter::new(file, builder.schema(), Path::new(&name)).unwrap();
            for group in *groups {
                for &(word, rank, synonym, cosine, source) in *group {
                    builder.push(word, rank, synonym, cosine, source);
                }
                assert_eq!(builder.rows(), group.len());
                shard.write(&builder.finish().unwrap()).unwrap();
            }
            let (file, rows) = shard.finish().unwrap();
            let note = serde_json::Value::Null;
            let entry = writer
                .commit(file, Durability::Scratch, rows, note)
                .unwrap();
            list.push(File {
                name,
                table: Table::Rows,
                kind: None,
                rows: rows.rows,
                rows_hash: rows.hex(),
                bytes: entry.bytes,
                bytes_hash: entry.bytes_hash,
            });
        }
        let manifest = Manifest {
            format: FORMAT,
            stage: stage.into(),
            fingerprint,
            rows: list.iter().map(|file| file.rows).sum(),
            rows_hash: String::new(),
            kinds: Default::default(),
            corpora: Vec::new(),
            dropped: Default::default(),
            counts: Default::default(),
            measures: Default::default(),
            files: list,
            inputs: Vec::new(),
            dictionaries: Default::default(),
            plan: serde_json::Value::Null,
        };
        writer.finish(&manifest, &serde_json::Value::Null).unwrap()
    }

    fn told(table: &Synonyms) -> Vec<String> {
        let words = table.iter();
        let lines = words.map(|(word, synonyms)| {
            let synonyms = synonyms.map(|synonym| {
                let cosine = synonym.cosine.map_or("-".into(), |c| format!("{c:.2}"));
                format!("{} {cosine} {}", synonym.text, synonym.source.name())
            });
            format!("{word}: {}", synonyms.collect::<Vec<_>>().join(", "))
        });
        lines.collect()
    }

    const GROUPS: &[&[&[Line]]] = &[
        &[
            &[
                ("好", 1, "棒", Some(0.75), Source::Vectors),
                ("好", 2, "佳", None, Source::Dictionary),
                ("高兴", 1, "开心", Some(0.5), Source::Vectors),
            ],
            // The word of the group before goes on.
            &[
                ("高兴", 2, "快乐", None, Source::Import),
                ("棒", 1, "好", Some(0.75), Source::Vectors),
            ],
        ],
        &[&[("今天", 1, "今日", Some(-0.25), Source::Vectors)]],
    ];

    const TOLD: [&str; 4] = [
        "好: 棒 0.75 vectors, 佳 - dictionary",
        "高兴: 开心 0.50 vectors, 快乐 - import",
        "棒: 好 0.75 vectors",
        "今天: 今日 -0.25 vectors",
    ];

    #[test]
    fn a_dataset_opens_as_it_was_written() {
        let place = place("open");
        let table = Synonyms::open(&write(&place, STAGE, GROUPS)).unwrap();
        assert_eq!(told(&table), TOLD);
        assert_eq!(table.words(), 4);
        let word = table.find("高兴").unwrap();
        assert_eq!(table.count(word), 2);
        assert_eq!(table.text(word, 0), "开心");
        assert_eq!(table.text(word, 1), "快乐");
        // Strings of the table that are no words of it, and strings that it does not have.
        for unknown in ["开心", "佳", "", "高", "高兴 ", "天气"] {
            assert_eq!(table.find(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn batches_need_no_dataset() {
        let mut builder = SynonymsBuilder::default();
        let mut batches = Vec::new();
        for group in GROUPS.iter().flat_map(|groups| groups.iter()) {
            for &(word, rank, synonym, cosine, source) in *group {
                builder.push(word, rank, synonym, cosine, source);
            }
            batches.push(builder.finish().unwrap());
        }
        let table = Synonyms::from_batches(&batches, Path::new("test")).unwrap();
        assert_eq!(told(&table), TOLD);
        let without = batches[0].project(&[0, 1, 2, 3]).unwrap();
        let error = Synonyms::from_batches(&[without], Path::new("test")).unwrap_err();
        assert!(error.to_string().contains("source"), "{error}");
    }

    #[test]
    fn an_empty_table_knows_no_word() {
        let place = place("empty");
        let table = Synonyms::open(&write(&place, STAGE, &[])).unwrap();
        for table in [table, Synonyms::default()] {
            assert_eq!((table.words(), table.iter().count()), (0, 0));
            assert_eq!(table.find("好"), None);
            assert_eq!(table.find(""), None);
        }
    }

    #[test]
    fn every_word_of_many_is_found() {
        let words: Vec<String> = (0..5000).map(|n| format!("词{n}")).collect();
        let mut builder = SynonymsBuilder::default();
        for word in &words {
            builder.push(word, 1, "同", None, Source::Import);
        }
        let batch = builder.finish().unwrap();
        let table = Synonyms::from_batches(&[batch], Path::new("test")).unwrap();
        assert!(words.iter().all(|word| table.find(word).is_some()));
        assert!((5000..9000).all(|n| table.find(&format!("词{n}")).is_none()));
    }

    #[test]
    fn other_datasets_are_refused() {
        let place = place("stage");
        let error = Synonyms::open(&write(&place, "shards", &[])).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("it holds `shards`, not `synonyms`"),
            "{message}"
        );
        let error = Synonyms::open(&place.0.join("nowhere")).unwrap_err();
        assert!(error.to_string().contains("no such directory"), "{error}");
    }
}
