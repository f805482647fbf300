//! Records and their tables: the columns of each kind, and the builder that turns rows into Arrow.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Float32Array, StringArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::columns::{list, list_field, offsets};

/// What a record is; its content columns carry the names that sentence-transformers uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `text`
    Text,
    /// `text, label`
    Labelled,
    /// `anchor, positive`
    Pair,
    /// `anchor, positive, negatives` (a list of any length)
    Triplet,
    /// `sentence1, sentence2, score`
    Scored,
}

impl Kind {
    /// All kinds, in the order in which a dataset holds them.
    pub const ALL: [Kind; 5] = [
        Kind::Text,
        Kind::Labelled,
        Kind::Pair,
        Kind::Triplet,
        Kind::Scored,
    ];

    /// The name in manifests and file names.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Labelled => "labelled",
            Kind::Pair => "pair",
            Kind::Triplet => "triplet",
            Kind::Scored => "scored",
        }
    }

    /// Names of the leading content columns that hold one string each.
    pub fn text_columns(self) -> &'static [&'static str] {
        match self {
            Kind::Text => &["text"],
            Kind::Labelled => &["text", "label"],
            Kind::Pair | Kind::Triplet => &["anchor", "positive"],
            Kind::Scored => &["sentence1", "sentence2"],
        }
    }

    /// How many of a record's strings are natural language (a label is not).
    pub fn language_columns(self, strings: usize) -> usize {
        if self == Kind::Labelled { 1 } else { strings }
    }
}

/// Which part of a published corpus a record comes from. Splits never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Held out for the final report.
    Test,
    /// Held out for choices during training.
    Valid,
    /// Everything that may be trained on.
    Train,
}

impl Split {
    /// All splits; of two equal records the one in the earlier split is kept.
    pub const ALL: [Split; 3] = [Split::Test, Split::Valid, Split::Train];

    /// The name in plans and columns.
    pub fn name(self) -> &'static str {
        ["test", "valid", "train"][self as usize]
    }
}

/// One record on its way to disk, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Hash of the normalised content.
    pub id: u128,
    /// Index into [`Layout::corpora`].
    pub corpus: u16,
    /// Part of the corpus.
    pub split: Split,
    /// Content strings in column order; of a triplet all after the second are negatives.
    pub texts: &'a [&'a str],
    /// Score of a scored pair, else 0.
    pub score: f32,
    /// Hash of the document that the record was cut from.
    pub document: u64,
    /// Number of the record within its document and view, from 0.
    pub position: u32,
    /// Topic that the corpus itself gives (category, topic, source).
    pub topic_key: Option<&'a str>,
    /// Records with one key belong together (answers to one question).
    pub group_key: Option<&'a str>,
    /// Lengths in characters of the words of all texts, one after another; a label is none.
    pub words: &'a [u16],
}

/// Shape of one table of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Kind of every record in it.
    pub kind: Kind,
    /// Whether the `words` column is there.
    pub words: bool,
    /// Names of the corpora, which rows refer to by index.
    pub corpora: Vec<String>,
}

/// Width of an id in bytes; ids are stored big endian, so that bytes sort as numbers do.
pub const ID_BYTES: i32 = 16;

impl Layout {
    /// The Arrow schema as other programs see it in Parquet.
    pub fn schema(&self) -> Schema {
        let mut fields = vec![
            Field::new("id", DataType::FixedSizeBinary(ID_BYTES), false),
            Field::new("corpus", DataType::Utf8, false),
            Field::new("split", DataType::Utf8, false),
        ];
        fields.extend(
            self.kind
                .text_columns()
                .iter()
                .map(|name| Field::new(*name, DataType::Utf8, false)),
        );
        match self.kind {
            Kind::Triplet => fields.push(list_field("negatives", DataType::Utf8)),
            Kind::Scored => fields.push(Field::new("score", DataType::Float32, false)),
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        fields.extend([
            Field::new("document", DataType::UInt64, false),
            Field::new("position", DataType::UInt32, false),
            Field::new("topic_key", DataType::Utf8, true),
            Field::new("group_key", DataType::Utf8, true),
        ]);
        if self.words {
            fields.push(list_field("words", DataType::UInt16));
        }
        Schema::new(fields)
    }

    /// The schema in memory: the two columns with few values are dictionaries there.
    pub fn schema_in_memory(&self) -> Schema {
        let coded = |key| DataType::Dictionary(Box::new(key), Box::new(DataType::Utf8));
        let schema = self.schema();
        let fields = schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                "corpus" => Field::new("corpus", coded(DataType::UInt16), false),
                "split" => Field::new("split", coded(DataType::UInt8), false),
                _ => field.as_ref().clone(),
            });
        Schema::new(fields.collect::<Vec<_>>())
    }
}

/// A growing column of strings.
#[derive(Default)]
pub(crate) struct Strings {
    ends: Vec<i32>,
    values: Vec<u8>,
    nulls: Vec<bool>,
}

impl Strings {
    #[inline]
    pub(crate) fn push(&mut self, text: &str) {
        self.values.extend_from_slice(text.as_bytes());
        self.ends.push(self.values.len() as i32);
    }

    pub(crate) fn push_optional(&mut self, text: Option<&str>) {
        self.nulls.push(text.is_some());
        self.push(text.unwrap_or_default());
    }

    pub(crate) fn bytes(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        let nulls = std::mem::take(&mut self.nulls);
        let nulls = nulls.contains(&false).then(|| NullBuffer::from(nulls));
        let values = take(&mut self.values);
        // SAFETY: `values` holds whole `str`s one after another and `ends` their ends.
        Arc::new(unsafe { StringArray::new_unchecked(offsets(&mut self.ends), values, nulls) })
    }
}

/// Collects rows and hands them out as record batches.
pub struct RowsBuilder {
    layout: Layout,
    schema: SchemaRef,
    corpus_names: ArrayRef,
    split_names: ArrayRef,
    ids: Vec<u8>,
    corpora: Vec<u16>,
    splits: Vec<u8>,
    texts: Vec<Strings>,
    negatives: Strings,
    negative_ends: Vec<i32>,
    scores: Vec<f32>,
    documents: Vec<u64>,
    positions: Vec<u32>,
    topics: Strings,
    groups: Strings,
    words: Vec<u16>,
    word_ends: Vec<i32>,
}

impl RowsBuilder {
    /// An empty builder.
    pub fn new(layout: Layout) -> RowsBuilder {
        let names = layout.kind.text_columns().len();
        RowsBuilder {
            schema: Arc::new(layout.schema_in_memory()),
            corpus_names: Arc::new(StringArray::from(layout.corpora.clone())),
            split_names: Arc::new(StringArray::from_iter_values(Split::ALL.map(Split::name))),
            ids: Vec::new(),
            corpora: Vec::new(),
            splits: Vec::new(),
            texts: (0..names).map(|_| Strings::default()).collect(),
            negatives: Strings::default(),
            negative_ends: Vec::new(),
            scores: Vec::new(),
            documents: Vec::new(),
            positions: Vec::new(),
            topics: Strings::default(),
            groups: Strings::default(),
            words: Vec::new(),
            word_ends: Vec::new(),
            layout,
        }
    }

    /// Rows collected since the last batch.
    pub fn rows(&self) -> usize {
        self.documents.len()
    }

    /// Bytes of text collected since the last batch; offsets are 32 bits wide, so stay well below 2 GiB.
    pub fn bytes(&self) -> usize {
        self.texts.iter().map(Strings::bytes).sum::<usize>()
            + self.negatives.bytes()
            + self.groups.bytes()
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Row<'_>) {
        self.ids.extend_from_slice(&row.id.to_be_bytes());
        self.corpora.push(row.corpus);
        self.splits.push(row.split as u8);
        let columns = self.texts.len();
        for (column, text) in self.texts.iter_mut().zip(row.texts) {
            column.push(text);
        }
        match self.layout.kind {
            Kind::Triplet => {
                row.texts[columns..]
                    .iter()
                    .for_each(|text| self.negatives.push(text));
                self.negative_ends.push(self.negatives.ends.len() as i32);
            }
            Kind::Scored => self.scores.push(row.score),
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        self.documents.push(row.document);
        self.positions.push(row.position);
        self.topics.push_optional(row.topic_key);
        self.groups.push_optional(row.group_key);
        if self.layout.words {
            self.words.extend_from_slice(row.words);
            self.word_ends.push(self.words.len() as i32);
        }
    }

    /// Everything collected, as one batch; the builder is empty afterwards.
    pub fn finish(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(FixedSizeBinaryArray::try_new(
                ID_BYTES,
                take(&mut self.ids),
                None,
            )?),
            Arc::new(DictionaryArray::try_new(
                UInt16Array::new(std::mem::take(&mut self.corpora).into(), None),
                self.corpus_names.clone(),
            )?),
            Arc::new(DictionaryArray::try_new(
                UInt8Array::new(std::mem::take(&mut self.splits).into(), None),
                self.split_names.clone(),
            )?),
        ];
        columns.extend(self.texts.iter_mut().map(Strings::finish));
        match self.layout.kind {
            Kind::Triplet => {
                columns.push(list(self.negatives.finish(), &mut self.negative_ends)?);
            }
            Kind::Scored => {
                columns.push(Arc::new(Float32Array::new(
                    std::mem::take(&mut self.scores).into(),
                    None,
                )));
            }
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        columns.push(Arc::new(UInt64Array::new(
            std::mem::take(&mut self.documents).into(),
            None,
        )));
        columns.push(Arc::new(UInt32Array::new(
            std::mem::take(&mut self.positions).into(),
            None,
        )));
        columns.push(self.topics.finish());
        columns.push(self.groups.finish());
        if self.layout.words {
            let lengths = UInt16Array::new(std::mem::take(&mut self.words).into(), None);
            columns.push(list(Arc::new(lengths), &mut self.word_ends)?);
        }
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

fn take(values: &mut Vec<u8>) -> Buffer {
    let empty = Vec::with_capacity(values.len());
    Buffer::from_vec(std::mem::replace(values, empty))
}
