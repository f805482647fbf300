//! Views: which records are made of a document. A corpus names its views in the plan.
//!
//! | in the plan | records |
//! |---|---|
//! | `sentences`, `sentences(title,content)` | `text`: each sentence |
//! | `passages`, `passages(…)` | `text`: sentences packed up to a length |
//! | `neighbors`, `neighbors(…)` | `anchor, positive`: adjacent pieces of one document |
//! | `title->answer` | `anchor, positive` |
//! | `query->answer->other` | `anchor, positive, negatives` |
//! | `sentence1~sentence2=score` | `sentence1, sentence2, score` |
//! | `title=category` | `text, label` |
//! | `records` | what the reader makes by itself |

use juzi_schemas::record::Kind;

use crate::readers::{Reader, Role};

/// A view with its columns resolved to indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// Sentences of the columns, one record each.
    Sentences(Vec<usize>),
    /// Sentences of the columns, packed.
    Passages(Vec<usize>),
    /// Adjacent pieces of the columns.
    Neighbors(Vec<usize>),
    /// Two columns.
    Pair(usize, usize),
    /// Three columns.
    Triplet(usize, usize, usize),
    /// Two columns and a score.
    Scored(usize, usize, usize),
    /// A column and its class.
    Labelled(usize, usize),
    /// Records that the reader makes by itself.
    Records,
}

impl View {
    /// Resolves a view against the columns of a reader.
    ///
    /// # Errors
    /// Names the column that the reader lacks and the columns that it has.
    pub fn parse(text: &str, reader: &dyn Reader) -> Result<View, String> {
        let column = |name: &str| {
            let name = name.trim();
            let found = reader
                .columns()
                .iter()
                .position(|column| column.name == name);
            found.ok_or_else(|| {
                let names: Vec<&str> = reader
                    .columns()
                    .iter()
                    .map(|column| column.name.as_str())
                    .collect();
                format!(
                    "view `{text}`: no column `{name}`; the reader's columns are {}",
                    names.join(", ")
                )
            })
        };
        if let Some((left, score)) = text.split_once('=') {
            return match left.split_once('~') {
                Some((first, second)) => Ok(View::Scored(
                    column(first)?,
                    column(second)?,
                    column(score)?,
                )),
                None => Ok(View::Labelled(column(left)?, column(score)?)),
            };
        }
        let parts: Vec<&str> = text.split("->").collect();
        match parts[..] {
            [anchor, positive] => return Ok(View::Pair(column(anchor)?, column(positive)?)),
            [anchor, positive, negative] => {
                return Ok(View::Triplet(
                    column(anchor)?,
                    column(positive)?,
                    column(negative)?,
                ));
            }
            _ => {}
        }
        let (name, inside) = match text.split_once('(') {
            Some((name, rest)) => (
                name.trim(),
                Some(rest.strip_suffix(')').ok_or_else(|| unknown(text))?),
            ),
            None => (text.trim(), None),
        };
        let columns = match inside {
            Some(names) => names
                .split(',')
                .map(column)
                .collect::<Result<Vec<usize>, String>>()?,
            None => {
                let texts = reader
                    .columns()
                    .iter()
                    .enumerate()
                    .filter(|(_, column)| column.role == Role::Text);
                texts.map(|(at, _)| at).collect()
            }
        };
        let view = match name {
            "sentences" => View::Sentences(columns),
            "passages" => View::Passages(columns),
            "neighbors" => View::Neighbors(columns),
            "records" if inside.is_none() && reader.views().contains(&text.trim().to_string()) => {
                return Ok(View::Records);
            }
            "records" if inside.is_none() => {
                return Err(
                    "view `records`: this reader has columns and makes no records by itself".into(),
                );
            }
            _ => return Err(unknown(text)),
        };
        match &view {
            View::Sentences(columns) | View::Passages(columns) | View::Neighbors(columns)
                if columns.is_empty() =>
            {
                Err(format!(
                    "view `{text}`: this reader has no text columns; use the view `records`"
                ))
            }
            _ => Ok(view),
        }
    }

    /// Kinds of records that the view can make.
    pub fn kinds(&self) -> &'static [Kind] {
        match self {
            View::Sentences(_) | View::Passages(_) => &[Kind::Text],
            View::Neighbors(_) | View::Pair(..) => &[Kind::Pair],
            View::Triplet(..) => &[Kind::Triplet],
            View::Scored(..) => &[Kind::Scored],
            View::Labelled(..) => &[Kind::Labelled],
            View::Records => &[Kind::Pair, Kind::Triplet],
        }
    }
}

fn unknown(text: &str) -> String {
    format!(
        "no view `{text}`; views are sentences, passages, neighbors (each also with columns, as in \
         sentences(title,content)), a->b, a->b->c, a~b=score, text=label, records"
    )
}

#[cfg(test)]
mod tests {
    use super::View;
    use crate::readers::{ReaderOptions, reader};

    #[test]
    fn views_resolve_or_name_what_is_wrong() {
        let news = reader("news2016zh", &ReaderOptions::default()).expect("a known reader");
        let parse = |text| View::parse(text, news.as_ref());
        assert_eq!(parse("sentences"), Ok(View::Sentences(vec![0, 1, 2])));
        assert_eq!(parse("passages(content)"), Ok(View::Passages(vec![2])));
        assert_eq!(parse("title->content"), Ok(View::Pair(0, 2)));
        assert_eq!(parse("title->desc->content"), Ok(View::Triplet(0, 1, 2)));
        assert_eq!(parse("title=source"), Ok(View::Labelled(0, 4)));
        assert_eq!(parse("title~desc=keywords"), Ok(View::Scored(0, 1, 3)));
        assert!(parse("title->body").is_err_and(
            |message| message.contains("no column `body`") && message.contains("content")
        ));
        assert!(parse("words").is_err_and(|message| message.contains("no view `words`")));
        assert!(parse("sentences(title").is_err());
    }
}
