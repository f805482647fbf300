//! The words of rows: the column `words` holds their lengths, the texts hold their characters.

use arrow::array::{AsArray, ListArray, StringArray};
use arrow::datatypes::UInt16Type;
use arrow::record_batch::RecordBatch;

use crate::record::Kind;

/// The texts of a batch of records with the lengths of their words.
pub struct Texts<'b> {
    columns: Vec<&'b StringArray>,
    negatives: Option<&'b ListArray>,
    lengths: &'b ListArray,
}

/// The lengths of a row's words do not add up to the characters of its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

impl<'b> Texts<'b> {
    /// The texts of a batch; none if it has no column `words`.
    pub fn of(batch: &'b RecordBatch, kind: Kind) -> Option<Texts<'b>> {
        let names = kind.text_columns();
        let names = &names[..kind.language_columns(names.len())];
        let column = |name: &&str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let negatives = match kind {
            Kind::Triplet => Some(batch.column_by_name("negatives")?.as_list_opt::<i32>()?),
            _ => None,
        };
        let lengths = batch.column_by_name("words")?.as_list_opt::<i32>()?;
        lengths.values().as_primitive_opt::<UInt16Type>()?;
        Some(Texts {
            columns: names.iter().map(column).collect::<Option<_>>()?,
            negatives,
            lengths,
        })
    }

    /// Gives each text of a row, in column order, with the lengths of its words in characters.
    ///
    /// # Errors
    /// The lengths do not add up; texts before the fault were given.
    pub fn row(
        &self,
        row: usize,
        mut each: impl FnMut(&'b str, &'b [u16]),
    ) -> Result<(), Mismatch> {
        let ends = self.lengths.value_offsets();
        let all = self.lengths.values().as_primitive::<UInt16Type>().values();
        let mut left = &all[ends[row] as usize..ends[row + 1] as usize];
        let negatives = self.negatives.map(|lists| {
            let ends = lists.value_offsets();
            let texts = lists.values().as_string::<i32>();
            (ends[row] as usize..ends[row + 1] as usize).map(move |at| texts.value(at))
        });
        let texts = self.columns.iter().map(|column| column.value(row));
        for text in texts.chain(negatives.into_iter().flatten()) {
            let (mut characters, mut words) = (text.chars().count(), 0);
            while characters > 0 {
                let length = left.get(words).copied().filter(|&length| length > 0);
                let length = usize::from(length.ok_or(Mismatch)?);
                characters = characters.checked_sub(length).ok_or(Mismatch)?;
                words += 1;
            }
            let (own, rest) = left.split_at(words);
            each(text, own);
            left = rest;
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(Mismatch)
        }
    }
}

/// The words of a text, cut by lengths that add up to its characters.
pub fn cut<'t>(text: &'t str, lengths: &'t [u16]) -> impl Iterator<Item = &'t str> {
    let mut rest = text;
    lengths.iter().map(move |&length| {
        let mut bytes = rest.char_indices().skip(usize::from(length));
        let (word, after) = rest.split_at(bytes.next().map_or(rest.len(), |(at, _)| at));
        rest = after;
        word
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Mismatch, Texts, cut};
    use crate::record::{Kind, Layout, Row, RowsBuilder, Split};
    use arrow::record_batch::RecordBatch;

    fn batch(kind: Kind, rows: &[(&[&str], &[u16])]) -> RecordBatch {
        let layout = Layout {
            kind,
            words: true,
            corpora: vec!["c".into()],
        };
        let mut builder = RowsBuilder::new(layout);
        for (texts, words) in rows {
            builder.push(&Row {
                id: 1,
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

    fn words(batch: &RecordBatch, kind: Kind, row: usize) -> Result<Vec<Vec<String>>, Mismatch> {
        let mut found = Vec::new();
        Texts::of(batch, kind).unwrap().row(row, |text, lengths| {
            found.push(cut(text, lengths).map(String::from).collect());
        })?;
        Ok(found)
    }

    #[test]
    fn words_of_every_text() {
        let triplet = batch(
            Kind::Triplet,
            &[
                (&["我们走", "好a", "", "不行"], &[2, 1, 1, 1, 2]),
                (&["甲", "乙"], &[1, 1]),
            ],
        );
        let expected: Vec<Vec<&str>> =
            vec![vec!["我们", "走"], vec!["好", "a"], vec![], vec!["不行"]];
        assert_eq!(words(&triplet, Kind::Triplet, 0).unwrap(), expected);
        assert_eq!(words(&triplet, Kind::Triplet, 1).unwrap().len(), 2);
        let labelled = batch(Kind::Labelled, &[(&["走吧", "label"], &[1, 1])]);
        assert_eq!(words(&labelled, Kind::Labelled, 0).unwrap(), [["走", "吧"]]);
        let without = triplet.project(&[0, 3]).map(Arc::new).unwrap();
        assert!(Texts::of(&without, Kind::Triplet).is_none());
    }

    #[test]
    fn lengths_that_do_not_add_up() {
        for lengths in [&[1][..], &[3], &[1, 1, 1], &[2, 0], &[]] {
            let batch = batch(Kind::Text, &[(&["走吧"], lengths)]);
            assert_eq!(words(&batch, Kind::Text, 0), Err(Mismatch), "{lengths:?}");
        }
    }
}
