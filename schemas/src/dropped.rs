//! The drop ledger: one row for everything that was read and not kept.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, UInt64Array, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use crate::record::{ID_BYTES, Strings};

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // each name is its own description; `Reason::explain` has the sentence
pub enum Reason {
    InvalidJson,
    InvalidUtf8,
    NulByte,
    WrongType,
    WrongColumns,
    BadScore,
    LineTooLong,
    DamagedContainer,
    WrongDimension,
    TruncatedRow,
    BadNumber,
    NotFinite,
    ZeroVector,
    EmptyWord,
    Empty,
    TooShort,
    TooLong,
    LowHanShare,
    HighSymbolShare,
    RepeatedCharacters,
    Boilerplate,
    Contact,
    Leak,
    NearLeak,
    Duplicate,
    NearDuplicate,
    DuplicateWord,
    NoVector,
    UnusableSynonym,
    Inconsistent,
    RepeatedText,
    SameGroup,
    NoSecondCorpus,
    IncompleteBatch,
}

impl Reason {
    /// All reasons, in the order of a report.
    pub const ALL: [Reason; 34] = [
        Reason::InvalidJson,
        Reason::InvalidUtf8,
        Reason::NulByte,
        Reason::WrongType,
        Reason::WrongColumns,
        Reason::BadScore,
        Reason::LineTooLong,
        Reason::DamagedContainer,
        Reason::WrongDimension,
        Reason::TruncatedRow,
        Reason::BadNumber,
        Reason::NotFinite,
        Reason::ZeroVector,
        Reason::EmptyWord,
        Reason::Empty,
        Reason::TooShort,
        Reason::TooLong,
        Reason::LowHanShare,
        Reason::HighSymbolShare,
        Reason::RepeatedCharacters,
        Reason::Boilerplate,
        Reason::Contact,
        Reason::Leak,
        Reason::NearLeak,
        Reason::Duplicate,
        Reason::NearDuplicate,
        Reason::DuplicateWord,
        Reason::NoVector,
        Reason::UnusableSynonym,
        Reason::Inconsistent,
        Reason::RepeatedText,
        Reason::SameGroup,
        Reason::NoSecondCorpus,
        Reason::IncompleteBatch,
    ];

    /// The word in the `reason` column.
    pub fn name(self) -> &'static str {
        self.page().0
    }

    /// One sentence for people.
    pub fn explain(self) -> &'static str {
        self.page().1
    }

    /// True for input that could not be read, as opposed to text that was not wanted.
    pub fn is_bad_input(self) -> bool {
        self < Reason::Empty
    }

    fn page(self) -> (&'static str, &'static str) {
        match self {
            Reason::InvalidJson => ("invalid_json", "the line is no JSON object"),
            Reason::InvalidUtf8 => ("invalid_utf8", "the bytes are not in the corpus's encoding"),
            Reason::NulByte => ("nul_byte", "the line holds a NUL byte"),
            Reason::WrongType => (
                "wrong_type",
                "a field has another type than its schema says",
            ),
            Reason::WrongColumns => ("wrong_columns", "a column is missing or there are too many"),
            Reason::BadScore => ("bad_score", "the score is no finite number"),
            Reason::LineTooLong => ("line_too_long", "the line is longer than `line_bytes_max`"),
            Reason::DamagedContainer => (
                "damaged_container",
                "a file or member cannot be read further",
            ),
            Reason::WrongDimension => (
                "wrong_dimension",
                "a vector has more or fewer numbers than the others",
            ),
            Reason::TruncatedRow => ("truncated_row", "the file ends inside a vector"),
            Reason::BadNumber => ("bad_number", "a number of a vector cannot be read"),
            Reason::NotFinite => ("not_finite", "a vector holds NaN or infinity"),
            Reason::ZeroVector => ("zero_vector", "a vector has length zero, so no direction"),
            Reason::EmptyWord => ("empty_word", "a vector has no word"),
            Reason::Empty => ("empty", "a text that the view needs is empty"),
            Reason::TooShort => ("too_short", "fewer characters than `chars_min`"),
            Reason::TooLong => ("too_long", "more characters than `chars_max`"),
            Reason::LowHanShare => ("low_han_share", "too few Han characters"),
            Reason::HighSymbolShare => ("high_symbol_share", "too many digits and symbols"),
            Reason::RepeatedCharacters => {
                ("repeated_characters", "one character or phrase repeats")
            }
            Reason::Boilerplate => ("boilerplate", "a phrase of the boilerplate dictionary"),
            Reason::Contact => ("contact", "an address or number to get in touch with"),
            Reason::Leak => ("leak", "the text stands in an evaluation file"),
            Reason::NearLeak => ("near_leak", "much of an evaluation text stands in the text"),
            Reason::Duplicate => ("duplicate", "`keeper` has the same normalised text"),
            Reason::NearDuplicate => ("near_duplicate", "`keeper` has nearly the same text"),
            Reason::DuplicateWord => ("duplicate_word", "an earlier vector has the same word"),
            Reason::NoVector => ("no_vector", "a word of the vocabulary has no vector"),
            Reason::UnusableSynonym => (
                "unusable_synonym",
                "an imported word or synonym is empty, repeated or the word itself",
            ),
            Reason::Inconsistent => (
                "inconsistent",
                "other documents answer the query better than its own positive",
            ),
            Reason::RepeatedText => (
                "repeated_text",
                "no batch was left that does not hold one of its texts in a conflicting role",
            ),
            Reason::SameGroup => (
                "same_group",
                "no batch was left without a record of the same group",
            ),
            Reason::NoSecondCorpus => (
                "no_second_corpus",
                "no rows of another corpus were left to share a batch with",
            ),
            Reason::IncompleteBatch => ("incomplete_batch", "too few rows were left for a batch"),
        }
    }
}

/// One row of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Dropped<'a> {
    /// Why.
    pub reason: Reason,
    /// Name of the corpus.
    pub corpus: &'a str,
    /// Name of the split.
    pub split: &'a str,
    /// Input file, by its base name.
    pub file: &'a str,
    /// Member of an archive.
    pub member: Option<&'a str>,
    /// Byte offset of the document in the decoded file or member.
    pub offset: u64,
    /// Line of the document, from 1, where the input has lines.
    pub line: Option<u64>,
    /// Id of the record that was kept instead.
    pub keeper: Option<u128>,
    /// The dropped text or the parser's words, cut to a readable length.
    pub detail: Option<&'a str>,
}

/// The ledger's columns.
pub fn schema() -> Schema {
    Schema::new(vec![
        Field::new("reason", DataType::Utf8, false),
        Field::new("corpus", DataType::Utf8, false),
        Field::new("split", DataType::Utf8, false),
        Field::new("file", DataType::Utf8, false),
        Field::new("member", DataType::Utf8, true),
        Field::new("offset", DataType::UInt64, false),
        Field::new("line", DataType::UInt64, true),
        Field::new("keeper", DataType::FixedSizeBinary(ID_BYTES), true),
        Field::new("detail", DataType::Utf8, true),
    ])
}

/// Collects ledger rows and hands them out as record batches.
pub struct DroppedBuilder {
    strings: [Strings; 4],
    member: Strings,
    offset: Vec<u64>,
    line: UInt64Builder,
    keeper: FixedSizeBinaryBuilder,
    detail: Strings,
}

impl Default for DroppedBuilder {
    fn default() -> Self {
        DroppedBuilder {
            strings: Default::default(),
            member: Strings::default(),
            offset: Vec::new(),
            line: UInt64Builder::new(),
            keeper: FixedSizeBinaryBuilder::new(ID_BYTES),
            detail: Strings::default(),
        }
    }
}

impl DroppedBuilder {
    /// Rows collected since the last batch.
    pub fn rows(&self) -> usize {
        self.offset.len()
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Dropped<'_>) {
        let texts = [row.reason.name(), row.corpus, row.split, row.file];
        for (column, text) in self.strings.iter_mut().zip(texts) {
            column.push(text);
        }
        self.member.push_optional(row.member);
        self.offset.push(row.offset);
        self.line.append_option(row.line);
        match row.keeper {
            Some(id) => self
                .keeper
                .append_value(id.to_be_bytes())
                .expect("an id has sixteen bytes"),
            None => self.keeper.append_null(),
        }
        self.detail.push_optional(row.detail);
    }

    /// Everything collected, as one batch; the builder is empty afterwards.
    pub fn finish(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut columns: Vec<ArrayRef> = self.strings.iter_mut().map(Strings::finish).collect();
        columns.push(self.member.finish());
        columns.push(Arc::new(UInt64Array::new(
            std::mem::take(&mut self.offset).into(),
            None,
        )));
        columns.push(Arc::new(self.line.finish()));
        columns.push(Arc::new(self.keeper.finish()));
        columns.push(self.detail.finish());
        RecordBatch::try_new(Arc::new(schema()), columns)
    }
}
