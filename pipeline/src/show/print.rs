//! A data frame as a table, as JSON lines or as CSV.

use std::io::Write;

use polars::prelude::{
    AnyValue, CsvWriter, DataFrame, DataType, JsonFormat, JsonWriter, SerWriter,
};

/// How a frame is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For eyes.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
    /// With a header; lists as JSON text.
    Csv,
    /// All synonyms as LUSE's JSON object `{word: [synonyms]}`.
    Luse,
}

/// Widest string cell of a table, in characters.
const CELL_CHARS: usize = 60;

/// Prints a frame.
pub fn frame(mut frame: DataFrame, format: Format, out: &mut dyn Write) -> Result<(), String> {
    let failed = |error: polars::error::PolarsError| error.to_string();
    match format {
        Format::Json => JsonWriter::new(out)
            .with_json_format(JsonFormat::JsonLines)
            .finish(&mut frame)
            .map_err(failed),
        Format::Csv => {
            let lists: Vec<String> = frame
                .columns()
                .iter()
                .filter(|column| matches!(column.dtype(), DataType::List(_)))
                .map(|column| column.name().to_string())
                .collect();
            for name in lists {
                let column = frame.column(&name).map_err(failed)?.clone();
                let texts = (0..column.len()).map(|row| column.get(row).map(|value| json(&value)));
                let texts = texts.collect::<Result<Vec<String>, _>>().map_err(failed)?;
                frame
                    .with_column(polars::prelude::Column::new(name.as_str().into(), texts))
                    .map_err(failed)?;
            }
            CsvWriter::new(out).finish(&mut frame).map_err(failed)
        }
        Format::Table => table(&frame, out),
        Format::Luse => Err("the format luse is for whole datasets of synonyms".into()),
    }
}

/// A value as JSON text; a list with all of its items.
fn json(value: &AnyValue<'_>) -> String {
    match value {
        AnyValue::Null => "null".into(),
        AnyValue::List(items) => {
            let items: Vec<String> = items.iter().map(|item| json(&item)).collect();
            format!("[{}]", items.join(","))
        }
        AnyValue::String(text) => serde_json::Value::from(*text).to_string(),
        other => other.to_string(),
    }
}

/// Columns side by side; Han characters take two cells of a terminal.
fn table(frame: &DataFrame, out: &mut dyn Write) -> Result<(), String> {
    let failed = |error: polars::error::PolarsError| error.to_string();
    let columns = frame.columns();
    let width = |text: &str| {
        text.chars()
            .map(|c| if c.is_ascii() { 1 } else { 2 })
            .sum::<usize>()
    };
    let mut cells: Vec<Vec<String>> = vec![
        columns
            .iter()
            .map(|column| column.name().to_string())
            .collect(),
    ];
    for row in 0..frame.height() {
        let values = columns
            .iter()
            .map(|column| column.get(row).map(|value| cell(&value)));
        cells.push(values.collect::<Result<_, _>>().map_err(failed)?);
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| cells.iter().map(|row| width(&row[at])).max().unwrap_or(0))
        .collect();
    for (number, row) in cells.iter().enumerate() {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(text, wide)| format!("{text}{}", " ".repeat(wide - width(text))));
        let line = padded.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end()).map_err(|error| error.to_string())?;
        if number == 0 {
            let rule = widths
                .iter()
                .map(|wide| "-".repeat(*wide))
                .collect::<Vec<_>>()
                .join("  ");
            writeln!(out, "{rule}").map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn cell(value: &AnyValue<'_>) -> String {
    let text = match value {
        AnyValue::Null => String::new(),
        value => value.str_value().into_owned(),
    };
    let text = text.replace('\n', "⏎");
    match text.char_indices().nth(CELL_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
