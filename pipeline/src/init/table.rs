//! Tables: what the columns of a TSV, CSV, JSON or Parquet file are, by their names and values.

use std::collections::BTreeSet;

use super::Layout;
use super::sample::is_han;

/// Names that columns of published Chinese data have; one of them in the first line makes a header.
const KNOWN: &[&str] = &[
    "id",
    "_id",
    "qid",
    "guid",
    "index",
    "label",
    "labels",
    "gold_label",
    "category",
    "topic",
    "score",
    "similarity",
    "text",
    "text_a",
    "text_b",
    "text1",
    "text2",
    "sentence",
    "sentence1",
    "sentence2",
    "s1",
    "s2",
    "question",
    "question1",
    "question2",
    "query",
    "answer",
    "title",
    "content",
    "review",
    "comment",
    "anchor",
    "positive",
    "negative",
    "sent0",
    "sent1",
    "hard_neg",
    "origin",
    "entailment",
    "contradiction",
    "premise",
    "hypothesis",
    "source",
    "target",
    "chinese",
    "english",
    "query-id",
    "corpus-id",
    "标签",
    "类别",
    "文本",
    "内容",
    "标题",
    "问题",
    "答案",
    "句子",
    "评论",
];

/// Names of the third column that make three texts a triplet.
const NEGATIVES: &[&str] = &["negative", "hard_neg", "contradiction", "neg"];

/// One column: its name, if the file gives one, and the values seen.
pub struct Column {
    /// Name in the file.
    pub name: Option<String>,
    /// The first values.
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Text,
    Number,
    Label,
    Id,
}

/// Whether a line's fields are names of columns.
pub fn is_header(fields: &[String]) -> bool {
    let known = |field: &String| KNOWN.contains(&field.trim().to_lowercase().as_str());
    fields.iter().any(known) && fields.iter().all(|field| field.chars().count() <= 30)
}

/// The columns of rows that have equally many fields; the first row may name them.
pub fn columns(mut rows: Vec<Vec<String>>) -> (Vec<Column>, bool) {
    let header = rows.first().is_some_and(|row| is_header(row));
    let names = if header { rows.remove(0) } else { Vec::new() };
    let width = rows.first().map_or(names.len(), Vec::len);
    let column = |at: usize| Column {
        name: names.get(at).map(|name| name.trim().to_string()),
        values: rows.iter().map(|row| row[at].clone()).collect(),
    };
    ((0..width).map(column).collect(), header)
}

/// The layout of a table. `named` tables are read by the names of their columns, so that columns
/// of no use are left out; the others are read by position.
///
/// # Errors
/// Why the table is of no use.
pub fn layout(
    reader: &'static str,
    mut columns: Vec<Column>,
    named: bool,
) -> Result<Layout, String> {
    if named {
        columns.retain(|column| column.name.as_deref().is_some_and(is_usable));
    }
    let mut sorts: Vec<Sort> = columns.iter().map(sort).collect();
    one_label(&columns, &mut sorts);
    let rows = columns
        .iter()
        .map(|column| column.values.len())
        .max()
        .unwrap_or_default();
    if !columns
        .iter()
        .zip(&sorts)
        .any(|(column, &sort)| sort == Sort::Text && han_share(column) >= 0.2)
    {
        return Err(format!(
            "no column of Chinese text in its first {rows} records"
        ));
    }
    let names = names(&columns, &sorts);
    let (views, more_views, description) = views(&columns, &names, &sorts);
    let is_wanted = |name: &String| {
        let mut words = views
            .iter()
            .chain(&more_views)
            .flat_map(|view| view.split(|letter| !is_letter(letter)));
        !named || words.any(|word| word.trim_end_matches('-') == name)
    };
    let columns = names.into_iter().filter(is_wanted).collect();
    Ok(Layout {
        reader,
        description,
        columns,
        views,
        more_views,
        ..Layout::default()
    })
}

/// Whether a plan can call a column so.
pub fn is_usable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_letter)
}

fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-')
}

fn sort(column: &Column) -> Sort {
    let values: Vec<&str> = column
        .values
        .iter()
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
        .collect();
    let name = column.name.as_deref().unwrap_or_default().to_lowercase();
    let distinct = values.iter().collect::<BTreeSet<_>>().len();
    let letters: usize = values.iter().map(|value| value.chars().count()).sum();
    let short = letters <= 24 * values.len();
    let unique = distinct == values.len() && values.len() >= 10;
    let word = |value: &&str| {
        !value
            .chars()
            .any(|letter| letter.is_whitespace() || is_han(letter))
    };
    match () {
        () if matches!(
            name.as_str(),
            "id" | "_id" | "qid" | "guid" | "index" | "url" | "query-id" | "corpus-id"
        ) =>
        {
            Sort::Id
        }
        () if values.is_empty() => Sort::Text,
        () if values.iter().all(|value| value.parse::<f64>().is_ok()) => {
            if unique && values.iter().all(|value| value.parse::<i64>().is_ok()) {
                Sort::Id
            } else {
                Sort::Number
            }
        }
        () if matches!(
            name.as_str(),
            "label" | "labels" | "gold_label" | "category" | "topic" | "标签" | "类别"
        ) =>
        {
            Sort::Label
        }
        () if unique && values.iter().all(word) => Sort::Id,
        () if short && values.len() >= 8 && distinct * 4 <= values.len() => Sort::Label,
        () if short && values.len() < 8 && values.iter().all(word) => Sort::Label,
        () => Sort::Text,
    }
}

/// Of a table that seems all labels, the one with the fewest distinct values is; the rest is text.
fn one_label(columns: &[Column], sorts: &mut [Sort]) {
    if sorts.contains(&Sort::Text) {
        return;
    }
    let distinct = |at: &usize| columns[*at].values.iter().collect::<BTreeSet<_>>().len();
    let label = (0..sorts.len())
        .filter(|&at| sorts[at] != Sort::Id)
        .min_by_key(distinct);
    for (at, sort) in sorts.iter_mut().enumerate() {
        if *sort == Sort::Label && (Some(at) != label || han_share(&columns[at]) > 0.9) {
            *sort = Sort::Text;
        }
    }
}

fn han_share(column: &Column) -> f64 {
    let with = column
        .values
        .iter()
        .filter(|value| value.chars().any(is_han))
        .count();
    with as f64 / column.values.len().max(1) as f64
}

fn at(sorts: &[Sort], sort: Sort) -> Vec<usize> {
    (0..sorts.len()).filter(|&at| sorts[at] == sort).collect()
}

/// Names for all columns: those of the file, else standard ones, made different.
fn names(columns: &[Column], sorts: &[Sort]) -> Vec<String> {
    let texts = at(sorts, Sort::Text);
    let numbers = at(sorts, Sort::Number);
    let mut names: Vec<String> = (0..columns.len())
        .map(|at| format!("column{}", at + 1))
        .collect();
    match (&texts[..], &numbers[..]) {
        (&[a, b], &[score]) => {
            (names[a], names[b]) = ("sentence1".into(), "sentence2".into());
            let binary = columns[score]
                .values
                .iter()
                .all(|value| matches!(value.trim(), "0" | "1"));
            names[score] = if binary {
                "label".into()
            } else {
                "score".into()
            };
        }
        (&[a, b], _) => match (han_share(&columns[a]) >= 0.2, han_share(&columns[b]) >= 0.2) {
            (true, false) => (names[a], names[b]) = ("chinese".into(), "english".into()),
            (false, true) => (names[a], names[b]) = ("english".into(), "chinese".into()),
            _ => (names[a], names[b]) = ("anchor".into(), "positive".into()),
        },
        (&[text], _) => {
            names[text] = "text".into();
            let label = at(sorts, Sort::Label)
                .into_iter()
                .chain(numbers.iter().copied())
                .next();
            if let Some(label) = label {
                names[label] = "label".into();
            }
        }
        _ => {}
    }
    if let Some(&id) = at(sorts, Sort::Id).first() {
        names[id] = "id".into();
    }
    for at in 0..columns.len() {
        let Some(name) = columns[at].name.as_deref().filter(|name| is_usable(name)) else {
            continue;
        };
        if !columns[..at]
            .iter()
            .any(|other| other.name.as_deref() == Some(name))
        {
            names[at] = name.to_string();
        }
    }
    for at in 1..names.len() {
        while names[..at].contains(&names[at]) {
            names[at] += "_";
        }
    }
    names
}

/// Views, further views and a description.
fn views(
    columns: &[Column],
    names: &[String],
    sorts: &[Sort],
) -> (Vec<String>, Vec<String>, String) {
    let of = |sort| {
        at(sorts, sort)
            .into_iter()
            .map(|at| names[at].as_str())
            .collect::<Vec<_>>()
    };
    let (texts, numbers, labels) = (of(Sort::Text), of(Sort::Number), of(Sort::Label));
    let places = at(sorts, Sort::Text);
    let chinese: Vec<bool> = places
        .iter()
        .map(|&at| han_share(&columns[at]) >= 0.2)
        .collect();
    let kept: Vec<&str> = texts
        .iter()
        .zip(&chinese)
        .filter(|(_, chinese)| **chinese)
        .map(|(text, _)| *text)
        .collect();
    let sentences = format!("sentences({})", kept.join(","));
    match (&texts[..], &numbers[..], &labels[..]) {
        (&[a, b], &[score], _) => (
            vec![format!("{a}~{b}={score}")],
            vec![sentences],
            "scored pairs".into(),
        ),
        (&[a, b], _, &[]) => {
            let (order, what) = match chinese[..] {
                [false, true] => (format!("{b}->{a}"), "pairs of Chinese and another language"),
                [true, false] => (format!("{a}->{b}"), "pairs of Chinese and another language"),
                _ => (format!("{a}->{b}"), "pairs"),
            };
            (vec![order], vec![sentences], what.into())
        }
        (&[a, b], _, &[_, ..]) => {
            let what = "two texts and a class; the view of pairs takes all of them for positive";
            (vec![sentences], vec![format!("{a}->{b}")], what.into())
        }
        (&[text], _, &[label, ..]) | (&[text], &[label, ..], &[]) => (
            vec![format!("{text}={label}")],
            vec![sentences],
            "texts with a class".into(),
        ),
        (&[a, b, c], _, _) if NEGATIVES.contains(&c.to_lowercase().as_str()) => (
            vec![format!("{a}->{b}->{c}")],
            vec![sentences],
            "triplets".into(),
        ),
        (&[text], _, _) => {
            let more = vec![format!("passages({text})"), format!("neighbors({text})")];
            (vec![sentences], more, format!("running text in `{text}`"))
        }
        _ => {
            let more = vec![format!("{}->{}", texts[0], texts[1])];
            (
                vec![sentences],
                more,
                format!("{} columns of text", texts.len()),
            )
        }
    }
}
