//! Parquet: which columns of a file are text, and what can be made of them.

use super::{File, Layout, table};
use crate::readers::{ReaderOptions, parquet, reader};

/// How a Parquet file is read, by the names and types of its columns.
///
/// # Errors
/// It is a dataset of ours, or has no column of text.
pub fn layout(file: &File) -> Result<Layout, String> {
    let names = parquet::column_names(&file.path)?;
    let has = |wanted: &str| names.iter().any(|(name, _)| name == wanted);
    if ["id", "corpus", "split", "document", "position"]
        .iter()
        .all(|name| has(name))
    {
        return Err("a dataset of juzi itself".into());
    }
    let texts = names
        .iter()
        .filter(|(name, is_text)| *is_text && table::is_usable(name));
    let mut columns: Vec<String> = texts.map(|(name, _)| name.clone()).collect();
    let aside = [
        "id",
        "_id",
        "url",
        "date",
        "timestamp",
        "language",
        "lang",
        "source",
        "meta",
    ];
    columns.retain(|name| !aside.contains(&name.to_lowercase().as_str()));
    for number in ["score", "label"].into_iter().filter(|name| has(name)) {
        if !columns.iter().any(|name| name == number) {
            columns.push(number.into());
        }
    }
    let options = ReaderOptions {
        columns: columns.clone(),
        ..ReaderOptions::default()
    };
    let reader = reader("parquet", &options).map_err(|_| {
        let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        format!("no column of text; its columns are {}", names.join(", "))
    })?;
    let texts = columns
        .iter()
        .map(String::as_str)
        .filter(|name| !matches!(*name, "score" | "label"));
    let more_views = vec![format!(
        "sentences({})",
        texts.collect::<Vec<_>>().join(",")
    )];
    let views = reader.views();
    let more_views = if views == ["sentences"] {
        vec!["passages".into(), "neighbors".into()]
    } else {
        more_views
    };
    Ok(Layout {
        reader: "parquet",
        description: "Parquet".into(),
        columns,
        views,
        more_views,
        ..Layout::default()
    })
}
