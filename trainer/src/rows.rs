//! The rows of a shards dataset: their texts, each with its words.

use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch};
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::record::Kind;
use juzi_schemas::shard;
use juzi_schemas::words::Texts;

use crate::augment::Words;
use crate::{Error, Result};

/// Name of the stage that makes the datasets read here.
const STAGE: &str = "shards";

/// A shards dataset that has words.
#[derive(Clone, Debug)]
pub struct Shards {
    /// Its files in order, with the kind of their records.
    pub files: Vec<(PathBuf, Kind)>,
    /// Number of rows.
    pub rows: u64,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Id of the record.
    pub id: u128,
    /// Number of the row in its file.
    pub number: u64,
    /// Its texts that are language, each with its words.
    pub texts: &'a [Words<'a>],
}

/// The rows of a batch, column by column.
pub struct Rows<'a> {
    ids: &'a FixedSizeBinaryArray,
    texts: Texts<'a>,
    path: &'a Path,
    first: u64,
}

impl Shards {
    /// Opens a dataset that the stage `shards` made with words.
    ///
    /// # Errors
    /// There is no such dataset, or it has no words.
    pub fn open(dir: &Path) -> Result<Shards> {
        let manifest = Manifest::read(dir)?;
        if manifest.stage != STAGE {
            let (dir, stage) = (dir.display(), manifest.stage);
            return Err(Error::Usage(format!(
                "{dir}: it holds `{stage}`, not `{STAGE}`; make one with juzi shards"
            )));
        }
        let files = manifest
            .files_of(Table::Rows)
            .map(|file| (dir.join(&file.name), file.kind.unwrap_or(Kind::Text)));
        let shards = Shards {
            files: files.collect(),
            rows: manifest.rows,
        };
        // All files of a dataset have words or none has; the first batch tells before work begins.
        if let Some((path, kind)) = shards.files.first()
            && let Some(batch) = shard::read(path)?.next()
        {
            Rows::new(&batch?, *kind, path, 0)?;
        }
        Ok(shards)
    }
}

impl<'a> Rows<'a> {
    /// Takes a batch of records of a kind; `first` is the number of its first row in the file.
    ///
    /// # Errors
    /// A column is missing, above all `words`.
    pub fn new(batch: &'a RecordBatch, kind: Kind, path: &'a Path, first: u64) -> Result<Rows<'a>> {
        let column = |name: &str| batch.column_by_name(name);
        if column("words").is_none() {
            let dataset = path.parent().unwrap_or(path).display();
            return Err(Error::Usage(format!(
                "{dataset}: its rows have no words; set [shards] words = true and run juzi shards"
            )));
        }
        let strange = || {
            Error::from(juzi_schemas::Error::Parquet {
                path: path.into(),
                message: format!("not the columns of a {} table", kind.name()),
            })
        };
        let ids = column("id")
            .and_then(|column| column.as_fixed_size_binary_opt())
            .filter(|ids| ids.value_length() == juzi_schemas::record::ID_BYTES);
        Ok(Rows {
            ids: ids.ok_or_else(strange)?,
            texts: Texts::of(batch, kind).ok_or_else(strange)?,
            path,
            first,
        })
    }

    /// Calls `visit` with each row in order, until it says false.
    ///
    /// # Errors
    /// The words of a row do not add up to its texts, or `visit` fails.
    pub fn each(&self, mut visit: impl FnMut(Row<'_>) -> Result<bool>) -> Result<()> {
        let mut texts = Vec::new();
        for row in 0..self.ids.len() {
            let bytes = self.ids.value(row);
            let id = u128::from_be_bytes(bytes.try_into().expect("the width was checked"));
            texts.clear();
            let taken = self.texts.row(row, |text, lengths| {
                let number = texts.len() as u32;
                texts.push(Words {
                    id,
                    number,
                    text,
                    lengths,
                });
            });
            if taken.is_err() {
                return Err(Error::Row {
                    path: self.path.into(),
                    row: self.first + row as u64,
                    message: "the lengths in `words` do not add up to the texts".into(),
                });
            }
            let row = Row {
                id,
                number: self.first + row as u64,
                texts: &texts,
            };
            if !visit(row)? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::{Path, PathBuf};

    use juzi_schemas::record::{Kind, Layout, Row, RowsBuilder, Split};

    use super::Rows;
    use crate::Error;

    /// A batch of records of a kind: ids from 1, texts and lengths of words as given.
    pub(crate) fn batch(
        kind: Kind,
        words: bool,
        rows: &[(&[&str], &[u16])],
    ) -> arrow::array::RecordBatch {
        let corpora = vec!["a".to_string()];
        let mut builder = RowsBuilder::new(Layout {
            kind,
            words,
            corpora,
        });
        for (at, (texts, words)) in rows.iter().enumerate() {
            builder.push(&Row {
                id: at as u128 + 1,
                corpus: 0,
                split: Split::Train,
                texts,
                score: 0.0,
                document: 0,
                position: 0,
                topic_key: None,
                group_key: None,
                words,
            });
        }
        builder.finish().unwrap()
    }

    fn seen(kind: Kind, texts: &[&str], lengths: &[u16]) -> Result<Vec<String>, Error> {
        let batch = batch(kind, true, &[(texts, lengths)]);
        let rows = Rows::new(&batch, kind, Path::new("part-0.parquet"), 7)?;
        let mut seen = Vec::new();
        rows.each(|row| {
            assert_eq!((row.id, row.number), (1, 7));
            for (at, words) in row.texts.iter().enumerate() {
                assert_eq!((words.id, words.number), (1, at as u32));
                seen.push(format!("{} {:?}", words.text, words.lengths));
            }
            Ok(true)
        })?;
        Ok(seen)
    }

    #[test]
    fn words_go_to_their_texts() {
        assert_eq!(
            seen(Kind::Text, &["今天好"], &[2, 1]).unwrap(),
            ["今天好 [2, 1]"]
        );
        assert_eq!(
            seen(Kind::Labelled, &["今天好", "体育新闻"], &[2, 1]).unwrap(),
            ["今天好 [2, 1]"]
        );
        assert_eq!(
            seen(Kind::Pair, &["今天", ""], &[1, 1]).unwrap(),
            ["今天 [1, 1]", " []"]
        );
        assert_eq!(
            seen(Kind::Scored, &["", "今天"], &[2]).unwrap(),
            [" []", "今天 [2]"]
        );
        let texts = ["今天", "好", "不好", "很好吗"];
        assert_eq!(
            seen(Kind::Triplet, &texts, &[2, 1, 1, 1, 2, 1]).unwrap(),
            ["今天 [2]", "好 [1]", "不好 [1, 1]", "很好吗 [2, 1]"]
        );
    }

    #[test]
    fn what_does_not_add_up_is_named() {
        for lengths in [&[2][..], &[2, 2], &[2, 1, 1], &[]] {
            let error = seen(Kind::Text, &["今天好"], lengths).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let message = error.to_string();
            assert!(message.contains("part-0.parquet: row 7: "), "{message}");
        }
        assert!(seen(Kind::Pair, &["今天", "好"], &[3]).is_err());
    }

    #[test]
    fn a_table_without_words_is_refused() {
        let batch = batch(Kind::Text, false, &[(&["今天"], &[])]);
        let path = PathBuf::from("data/x/shards/part-0.parquet");
        let error = Rows::new(&batch, Kind::Text, &path, 0).err().unwrap();
        let wanted =
            "data/x/shards: its rows have no words; set [shards] words = true and run juzi shards";
        assert_eq!(error.to_string(), wanted);
        assert_eq!(error.exit_code(), 1);
    }
}
