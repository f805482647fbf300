//! JSON lines: which published layout their keys belong to.

use serde_json::{Map, Value};

use super::Layout;
use super::sample::{Sample, is_han};
use super::table::{self, Column};
use crate::readers::{ReaderOptions, reader};

/// Lines that are looked at.
const LINES_MAX: usize = 200;

/// The layout of JSON lines, or why it is of no use; `None` if fewer than half of the lines are JSON
/// objects or lists.
pub fn lines(sample: &Sample) -> Option<Result<Layout, String>> {
    let mut lines = 0;
    let mut values = Vec::new();
    for line in sample.lines().take(LINES_MAX) {
        lines += 1;
        let parsed = serde_json::from_str(line).ok();
        values.extend(parsed.filter(|value: &Value| value.is_object() || value.is_array()));
    }
    (values.len() * 2 >= lines && !values.is_empty()).then(|| layout(&values))
}

/// Why a file that is called JSON is not taken.
pub fn broken(sample: &Sample) -> String {
    if sample.text.trim_start().starts_with(['[', '{']) {
        return "one JSON value over many lines; wanted is one object a line, as `jq -c '.[]'` writes it".into();
    }
    "its name says JSON, but its lines are not JSON objects".into()
}

/// A published layout: its reader, what it is, keys that tell it, further views that make sense.
type Published = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const PUBLISHED: &[Published] = &[
    (
        "wiki2019zh",
        "wiki2019zh: encyclopedia articles",
        &["id", "url", "title", "text"],
        &["title->text", "passages(text)", "neighbors(text)"],
    ),
    (
        "webtext2019zh",
        "webtext2019zh: questions with many answers",
        &["qid", "title", "topic", "content"],
        &["title=topic", "title->desc"],
    ),
    (
        "news2016zh",
        "news2016zh: news",
        &["news_id", "title", "content"],
        NEWS_VIEWS,
    ),
    (
        "news2016zh",
        "news2016zh: news",
        &["keywords", "source", "title", "content"],
        NEWS_VIEWS,
    ),
    (
        "baike2018qa",
        "baike2018qa: questions with an answer",
        &["category", "title", "answer"],
        &["title=category", "title->desc"],
    ),
    (
        "translation2019zh",
        "translation2019zh: Chinese and English sentences",
        &["english", "chinese"],
        &[],
    ),
];

const NEWS_VIEWS: &[&str] = &[
    "title->content",
    "title->desc",
    "passages(content)",
    "neighbors(content)",
];

const TRAINING_DATA: Published = (
    "embedding_training_data",
    "embedding-training-data: pairs or triplets",
    &[],
    &[],
);

fn layout(values: &[Value]) -> Result<Layout, String> {
    let objects: Vec<&Map<String, Value>> = values.iter().filter_map(Value::as_object).collect();
    let are_most = |count: usize| count * 10 >= values.len() * 9;
    let has = |key: &&str| {
        are_most(
            objects
                .iter()
                .filter(|object| object.contains_key(*key))
                .count(),
        )
    };
    let chinese = values
        .iter()
        .filter(|value| value.to_string().chars().any(is_han))
        .count();
    if chinese * 5 < values.len() {
        return Err(format!(
            "no Chinese text in its first {} records",
            values.len()
        ));
    }
    if are_most(
        values
            .iter()
            .filter(|value| is_training_data(value))
            .count(),
    ) {
        return published(&TRAINING_DATA);
    }
    if has(&"_id") && has(&"text") {
        return Ok(retrieval(has(&"title")));
    }
    match PUBLISHED
        .iter()
        .find(|(_, _, keys, _)| keys.iter().all(has))
    {
        Some(known) => published(known),
        None => objects_of_strings(&objects),
    }
}

fn published((name, description, _, more): &Published) -> Result<Layout, String> {
    Ok(Layout {
        reader: name,
        description: description.to_string(),
        views: reader(name, &ReaderOptions::default())?.views(),
        more_views: more.iter().map(|view| view.to_string()).collect(),
        ..Layout::default()
    })
}

/// BEIR: documents have a title, queries have none.
fn retrieval(titles: bool) -> Layout {
    let (what, columns, more): (_, &[&str], &[&str]) = match titles {
        true => (
            "documents",
            &["title", "text"],
            &["title->text", "passages(text)", "neighbors(text)"],
        ),
        false => ("queries", &["text"], &[]),
    };
    let list = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    Layout {
        reader: "jsonl",
        description: format!("BEIR: {what}"),
        columns: list(columns),
        views: vec!["sentences".into()],
        more_views: list(more),
        ..Layout::default()
    }
}

fn is_training_data(value: &Value) -> bool {
    match value {
        Value::Array(texts) => texts.len() >= 2 && texts.iter().all(Value::is_string),
        Value::Object(object) => {
            let is_list = |key: &str| object.get(key).is_some_and(Value::is_array);
            let has = |key: &str| object.contains_key(key);
            is_list("set")
                || is_list("texts")
                || has("query") && is_list("pos")
                || has("context") && has("response")
        }
        _ => false,
    }
}

/// Other JSON objects: a table of their strings and numbers.
fn objects_of_strings(objects: &[&Map<String, Value>]) -> Result<Layout, String> {
    let Some(first) = objects.first() else {
        return Err("lists that are not pairs or triplets of strings".into());
    };
    let column = |name: &String| {
        let cell = |object: &&Map<String, Value>| match object.get(name) {
            None | Some(Value::Null) => Some(String::new()),
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => None,
        };
        let values: Option<Vec<String>> = objects.iter().map(cell).collect();
        values.map(|values| Column {
            name: Some(name.clone()),
            values,
        })
    };
    let mut layout = table::layout("jsonl", first.keys().filter_map(column).collect(), true)?;
    layout.description = format!("JSON lines, {}", layout.description);
    Ok(layout)
}
