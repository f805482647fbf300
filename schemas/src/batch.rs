//! The tables of `batches`: one row group is one batch, and one row of the list describes it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, StringArray, UInt16Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::columns::{id_field, ids, list, list_field};
use crate::record::{Kind, Strings};

/// Name of the stage that makes the tables.
pub const STAGE: &str = "batches";

/// Shape of the rows of all batches of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `Triplet` stands for pairs and triplets alike: a pair has no negatives.
    pub kind: Kind,
    /// Whether the `words` column is there.
    pub words: bool,
    /// Of triplets, whether the `scores` column is there: where a miner scored the negatives.
    pub scores: bool,
}

impl Layout {
    /// The columns in Parquet.
    ///
    /// The documents of a batch are its positives, row by row, then its negatives, row by row. The
    /// columns `positives` and `ignored` number them so, from 0: further positives of a row's
    /// anchor, and documents that must not count as its negatives.
    pub fn schema(&self) -> Schema {
        let mut fields = vec![
            Field::new("batch", DataType::UInt32, false),
            id_field("id"),
            Field::new("corpus", DataType::Utf8, false),
            Field::new("topic", DataType::UInt32, true),
        ];
        let names = self.kind.text_columns();
        fields.extend(
            names
                .iter()
                .map(|name| Field::new(*name, DataType::Utf8, false)),
        );
        match self.kind {
            Kind::Triplet => {
                fields.extend([
                    list_field("negatives", DataType::Utf8),
                    list_field("positives", DataType::UInt32),
                    list_field("ignored", DataType::UInt32),
                ]);
                if self.scores {
                    fields.push(list_field("scores", DataType::Float32));
                }
            }
            Kind::Scored => fields.push(Field::new("score", DataType::Float32, false)),
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        if self.words {
            fields.push(list_field("words", DataType::UInt16));
        }
        Schema::new(fields)
    }
}

/// One row of a batch, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Id of the record.
    pub id: u128,
    /// Name of its corpus.
    pub corpus: &'a str,
    /// Its topic, if it has one.
    pub topic: Option<u32>,
    /// Content strings in column order; of a triplet all after the second are negatives.
    pub texts: &'a [&'a str],
    /// Score of a scored pair, else 0.
    pub score: f32,
    /// Documents of the batch that are positives of the anchor too.
    pub positives: &'a [u32],
    /// Documents of the batch that must not count as negatives of the anchor.
    pub ignored: &'a [u32],
    /// The miner's scores of the positive and of each negative; NaN where there is none.
    pub scores: &'a [f32],
    /// Lengths in characters of the words of all texts, one after another; a label is none.
    pub words: &'a [u16],
}

/// Collects the rows of a batch.
pub struct BatchBuilder {
    layout: Layout,
    schema: SchemaRef,
    batches: Vec<u32>,
    ids: Vec<u128>,
    corpora: Strings,
    topics: Vec<Option<u32>>,
    texts: Vec<Strings>,
    scores: Vec<f32>,
    lists: [(Vec<u32>, Vec<i32>); 2],
    negatives: (Strings, Vec<i32>),
    mined: (Vec<f32>, Vec<i32>),
    words: (Vec<u16>, Vec<i32>),
}

impl BatchBuilder {
    /// An empty builder.
    pub fn new(layout: Layout) -> BatchBuilder {
        let names = layout.kind.text_columns().len();
        BatchBuilder {
            layout,
            schema: Arc::new(layout.schema()),
            batches: Vec::new(),
            ids: Vec::new(),
            corpora: Strings::default(),
            topics: Vec::new(),
            texts: (0..names).map(|_| Strings::default()).collect(),
            scores: Vec::new(),
            lists: Default::default(),
            negatives: Default::default(),
            mined: Default::default(),
            words: Default::default(),
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Appends a row to the batch with this number.
    pub fn push(&mut self, batch: u32, row: &Row<'_>) {
        self.batches.push(batch);
        self.ids.push(row.id);
        self.corpora.push(row.corpus);
        self.topics.push(row.topic);
        let columns = self.texts.len();
        for (column, text) in self.texts.iter_mut().zip(row.texts) {
            column.push(text);
        }
        match self.layout.kind {
            Kind::Triplet => {
                let (texts, ends) = &mut self.negatives;
                row.texts[columns..]
                    .iter()
                    .for_each(|text| texts.push(text));
                let before = ends.last().copied().unwrap_or_default();
                ends.push(before + (row.texts.len() - columns) as i32);
                for ((items, ends), list) in self.lists.iter_mut().zip([row.positives, row.ignored])
                {
                    items.extend_from_slice(list);
                    ends.push(items.len() as i32);
                }
                if self.layout.scores {
                    let (scores, ends) = &mut self.mined;
                    scores.extend_from_slice(row.scores);
                    ends.push(scores.len() as i32);
                }
            }
            Kind::Scored => self.scores.push(row.score),
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        if self.layout.words {
            let (lengths, ends) = &mut self.words;
            lengths.extend_from_slice(row.words);
            ends.push(lengths.len() as i32);
        }
    }

    /// Everything collected, as one batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// Never, as the columns are of one length.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(std::mem::take(&mut self.batches))),
            ids(&mut self.ids)?,
            self.corpora.finish(),
            Arc::new(UInt32Array::from(std::mem::take(&mut self.topics))),
        ];
        columns.extend(self.texts.iter_mut().map(Strings::finish));
        match self.layout.kind {
            Kind::Triplet => {
                let (texts, ends) = &mut self.negatives;
                columns.push(list(texts.finish(), ends)?);
                for (items, ends) in &mut self.lists {
                    let items = UInt32Array::from(std::mem::take(items));
                    columns.push(list(Arc::new(items), ends)?);
                }
                if self.layout.scores {
                    let (scores, ends) = &mut self.mined;
                    let scores = Float32Array::from(std::mem::take(scores));
                    columns.push(list(Arc::new(scores), ends)?);
                }
            }
            Kind::Scored => {
                let scores = std::mem::take(&mut self.scores);
                columns.push(Arc::new(Float32Array::from(scores)));
            }
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        if self.layout.words {
            let (lengths, ends) = &mut self.words;
            let lengths = UInt16Array::from(std::mem::take(lengths));
            columns.push(list(Arc::new(lengths), ends)?);
        }
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// What is known of one batch without reading it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// Its number, from 0.
    pub batch: u32,
    /// File that holds it.
    pub file: String,
    /// Its row group in that file.
    pub row_group: u32,
    /// Rows.
    pub rows: u32,
    /// Texts in all columns.
    pub texts: u32,
    /// Pass over the data that it belongs to, from 0.
    pub pass: u32,
    /// The topic that most of its rows have.
    pub topic: Option<u32>,
    /// Share of its rows that have that topic.
    pub purity: Option<f32>,
    /// Rows by corpus, largest first.
    pub corpora: Vec<(String, u32)>,
    /// Mean over its anchors of the best cosine with a negative of the batch.
    pub hardness: Option<f32>,
    /// Documents that the masks keep from counting as negatives.
    pub masked: u32,
}

/// The list of batches: one row for each, by its number.
pub fn list_schema() -> Schema {
    Schema::new(vec![
        Field::new("batch", DataType::UInt32, false),
        Field::new("file", DataType::Utf8, false),
        Field::new("row_group", DataType::UInt32, false),
        Field::new("rows", DataType::UInt32, false),
        Field::new("texts", DataType::UInt32, false),
        Field::new("pass", DataType::UInt32, false),
        Field::new("topic", DataType::UInt32, true),
        Field::new("purity", DataType::Float32, true),
        list_field("corpora", DataType::Utf8),
        list_field("rows_by_corpus", DataType::UInt32),
        Field::new("hardness", DataType::Float32, true),
        Field::new("masked", DataType::UInt32, false),
    ])
}

/// The list of batches as one record batch.
///
/// # Errors
/// Never, as the columns are of one length.
pub fn descriptions(all: &[Description]) -> Result<RecordBatch, ArrowError> {
    let numbers = |of: fn(&Description) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(all.iter().map(of)))
    };
    let shares = |of: fn(&Description) -> Option<f32>| -> ArrayRef {
        Arc::new(all.iter().map(of).collect::<Float32Array>())
    };
    let (mut names, mut counts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (name, count) in all
        .iter()
        .map(|one| &one.corpora)
        .inspect(|corpora| {
            let before = ends.last().copied().unwrap_or_default();
            ends.push(before + corpora.len() as i32);
        })
        .flatten()
    {
        names.push(name.as_str());
        counts.push(*count);
    }
    let files = all.iter().map(|one| one.file.as_str());
    let topics: UInt32Array = all.iter().map(|one| one.topic).collect();
    let columns: Vec<ArrayRef> = vec![
        numbers(|one| one.batch),
        Arc::new(StringArray::from_iter_values(files)),
        numbers(|one| one.row_group),
        numbers(|one| one.rows),
        numbers(|one| one.texts),
        numbers(|one| one.pass),
        Arc::new(topics),
        shares(|one| one.purity),
        list(Arc::new(StringArray::from(names)), &mut ends.clone())?,
        list(Arc::new(UInt32Array::from(counts)), &mut ends)?,
        shares(|one| one.hardness),
        numbers(|one| one.masked),
    ];
    RecordBatch::try_new(Arc::new(list_schema()), columns)
}
