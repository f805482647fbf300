//! Readers: from the raw text of one document to its named columns.
//!
//! A reader knows one published layout. It says how a file is cut into documents ([`Framing`]),
//! which columns a document has, and fills them. It neither cleans nor splits: views do.

use std::borrow::Cow;

use juzi_schemas::dropped::Reason;
use juzi_schemas::record::Kind;
use serde::{Deserialize, Serialize};

mod delimited;
mod embedding_training_data;
pub mod json;
mod names;
mod nesting;
mod nlp_chinese_corpus;
pub mod parquet;
mod text;

/// How a decoded file or member is cut into documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One document a line; blank lines are nothing.
    Lines,
    /// One document a line, but a line break between double quotes belongs to the document (CSV).
    QuotedLines,
    /// Documents are separated by one or more blank lines.
    Paragraphs,
    /// The file is Parquet; documents are its rows.
    Parquet,
}

/// One document as read: a value for each of the reader's columns, or records ready-made.
#[derive(Debug, Default)]
pub struct Document<'a> {
    /// Values in the order of [`Reader::columns`]; a missing or null value is empty.
    pub columns: Vec<Cow<'a, str>>,
    /// Records of a layout whose lines differ in shape; used by the view `records`.
    pub records: Vec<NativeRecord<'a>>,
}

impl Document<'_> {
    /// Empties the document for a reader with so many columns.
    pub fn clear(&mut self, columns: usize) {
        self.columns.clear();
        self.columns.resize(columns, Cow::Borrowed(""));
        self.records.clear();
    }
}

/// A record that a reader makes by itself.
#[derive(Debug)]
pub struct NativeRecord<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its strings in column order; of a triplet all after the second are negatives.
    pub texts: Vec<Cow<'a, str>>,
    /// Records with one key belong together.
    pub group_key: Option<Cow<'a, str>>,
}

/// Why a document could not be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Reject {
    /// The reason for the ledger.
    pub reason: Reason,
    /// What is wrong, with the column or the parser's words.
    pub detail: String,
}

impl Reject {
    /// A rejection.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Reject {
        Reject {
            reason,
            detail: detail.into(),
        }
    }
}

/// Which part a column plays in the default views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Natural language: part of `sentences`, `passages` and `neighbors`.
    Text,
    /// Natural language in another language than Chinese, or a label: only where a view names it.
    Other,
    /// A number or a key: may be a JSON number.
    Key,
}

/// One column of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its published name.
    pub name: String,
    /// Its part in the default views.
    pub role: Role,
}

/// Reads documents of one published layout.
pub trait Reader: Send + Sync {
    /// Columns of a document, in order.
    fn columns(&self) -> &[Column];

    /// How files are cut into documents.
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    /// Views used when the plan names none.
    fn views(&self) -> Vec<String>;

    /// Column that holds the corpus's own topic.
    fn topic_column(&self) -> Option<usize> {
        None
    }

    /// Column whose equal values bind records together.
    fn group_column(&self) -> Option<usize> {
        None
    }

    /// True for a first line that is no document; asked once a file or member.
    fn is_header(&self, _line: &str) -> bool {
        false
    }

    /// Reads one document into `document`, which comes cleared.
    ///
    /// # Errors
    /// The reason and detail for the drop ledger; nothing of the document is used then.
    fn read<'a>(&self, raw: &'a str, document: &mut Document<'a>) -> Result<(), Reject>;
}

/// Options of a corpus that some readers take, as they stand in the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReaderOptions {
    /// Names of the columns, for readers of files that do not name them.
    pub columns: Vec<String>,
    /// Whether the first line of each file names the columns.
    pub header: bool,
    /// `text` reader: a blank-line-separated paragraph is a document, instead of a line.
    pub paragraphs: bool,
}

type Make = fn(&ReaderOptions) -> Result<Box<dyn Reader>, String>;

/// Every reader by the name it has in a plan. A new reader is a file and a line here.
pub const READERS: &[(&str, Make)] = &[
    ("wiki2019zh", |_| Ok(nlp_chinese_corpus::wiki2019zh())),
    ("news2016zh", |_| Ok(nlp_chinese_corpus::news2016zh())),
    ("baike2018qa", |_| Ok(nlp_chinese_corpus::baike2018qa())),
    ("webtext2019zh", |_| Ok(nlp_chinese_corpus::webtext2019zh())),
    ("translation2019zh", |_| {
        Ok(nlp_chinese_corpus::translation2019zh())
    }),
    ("comments2019", |options| {
        text::reader(&ReaderOptions {
            paragraphs: false,
            ..options.clone()
        })
    }),
    ("embedding_training_data", |_| {
        Ok(embedding_training_data::reader())
    }),
    ("jsonl", json::reader),
    ("tsv", delimited::tsv),
    ("csv", delimited::csv),
    ("nli", delimited::nli),
    ("text", text::reader),
    ("parquet", parquet::reader),
];

/// Makes a reader by name.
///
/// # Errors
/// Names the accepted readers, or the option that the reader lacks.
pub fn reader(name: &str, options: &ReaderOptions) -> Result<Box<dyn Reader>, String> {
    match READERS.iter().find(|(known, _)| *known == name) {
        Some((_, make)) => make(options),
        None => {
            let names: Vec<&str> = READERS.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "no reader `{name}`; readers are {}",
                names.join(", ")
            ))
        }
    }
}

/// A text column.
pub(crate) fn column(name: &str, role: Role) -> Column {
    Column {
        name: name.into(),
        role,
    }
}
