//! Views beside their texts, for people to read and for programs.

use std::io::Write;

use juzi_schemas::shard;
use serde_json::json;

use crate::augment::{Augmenter, Views, Words};
use crate::rows::{Rows, Shards};
use crate::{Error, Result};

/// Columns of a terminal that views may take before what was done to them moves to the next line.
const VIEW_WIDTH_MAX: usize = 60;

/// How rows and figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Prints the first rows of a dataset with the views of their texts in an epoch.
///
/// # Errors
/// A file cannot be read, the words of a row do not add up, or `out` fails.
pub fn show(
    shards: &Shards,
    augmenter: &mut Augmenter,
    (epoch, rows): (u64, usize),
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    let (mut views, mut left) = (Views::new(true), rows);
    for (path, kind) in &shards.files {
        let mut first = 0;
        for batch in shard::read(path)? {
            if left == 0 {
                return Ok(());
            }
            let batch = batch?;
            let rows = Rows::new(&batch, *kind, path, first)?;
            first += batch.num_rows() as u64;
            rows.each(|row| {
                for words in row.texts {
                    views.clear();
                    augmenter
                        .views(words, epoch, &mut views)
                        .map_err(|mismatch| Error::Row {
                            path: path.clone(),
                            row: row.number,
                            message: mismatch.to_string(),
                        })?;
                    let record = match format {
                        Format::Text => as_text(words, &views),
                        Format::Json => as_json(kind.name(), words, &views),
                    };
                    out.write_all(record.as_bytes())
                        .map_err(Error::input("stdout"))?;
                }
                left -= 1;
                Ok(left > 0)
            })?;
        }
    }
    Ok(())
}

fn as_json(kind: &str, words: &Words<'_>, views: &Views) -> String {
    let views: Vec<_> = views
        .iter()
        .map(|view| {
            json!({
                "text": view.text,
                "operators": view.operators.iter().collect::<Vec<_>>(),
                "changed": view.changed,
                "redraws": view.redraws,
                "steps": view.steps,
            })
        })
        .collect();
    let record = json!({
        "id": format!("{:032x}", words.id),
        "kind": kind,
        "number": words.number,
        "text": words.text,
        "words": cut(words),
        "views": views,
    });
    format!("{record}\n")
}

fn as_text(words: &Words<'_>, views: &Views) -> String {
    let mut out = format!("{:032x} text {}\n", words.id, words.number);
    out.push_str(&format!(
        "  {:<9}{}\n",
        "words",
        printable(&cut(words).join(" "))
    ));
    let widths = views.iter().map(|view| columns(view.text));
    let widest = widths.max().unwrap_or_default().min(VIEW_WIDTH_MAX);
    for view in views.iter() {
        let names: Vec<_> = view.operators.iter().map(|name| name.short()).collect();
        let names = match names.is_empty() {
            true => "original".to_string(),
            false => names.join("+"),
        };
        let steps: Vec<_> = view.steps.iter().map(ToString::to_string).collect();
        let done = match view.changed || view.operators.is_empty() {
            true => steps.join(" · "),
            false => "(unchanged)".to_string(),
        };
        let width = columns(view.text);
        let gap = match width <= widest {
            true => " ".repeat(widest - width + 2),
            false => format!("\n  {:<9}", ""),
        };
        let line = format!(
            "  {names:<9}{}{gap}{}",
            printable(view.text),
            printable(&done)
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push('\n');
    out
}

/// The words of a text.
fn cut<'a>(words: &Words<'a>) -> Vec<&'a str> {
    let mut rest = words.text;
    let lengths = words.lengths.iter();
    lengths
        .map(|&length| {
            let mut ends = rest.char_indices().skip(usize::from(length));
            let (word, others) = rest.split_at(ends.next().map_or(rest.len(), |(at, _)| at));
            rest = others;
            word
        })
        .collect()
}

/// A line break or a tab inside a text would break the table.
fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Columns that a text takes in a terminal: Chinese characters take two.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// Whether a character is wide or full-width (Unicode Standard Annex 11, the blocks that matter).
fn is_wide(character: char) -> bool {
    matches!(
        character as u32,
        0x1100..=0x115f
            | 0x2e80..=0x303e
            | 0x3041..=0x4dbf
            | 0x4e00..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff01..=0xff60
            | 0xffe0..=0xffe6
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use juzi_schemas::synonym::Synonyms;

    use super::{as_json, as_text, columns};
    use crate::augment::{Augmenter, Eda, Options, StopWords, Views, Words};

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(columns("句子 ok。"), 4 + 3 + 2);
        assert_eq!(columns("𠮷😀"), 4);
        assert_eq!(columns(""), 0);
    }

    #[test]
    fn views_stand_in_columns() {
        let options = Options::Eda(Eda {
            views: 1.0,
            alpha_sr: 0.0,
            alpha_ri: 0.0,
            alpha_rs: 1.0,
            p_rd: 0.0,
            ..Eda::default()
        });
        let synonyms = Arc::new(Synonyms::default());
        let mut augmenter = Augmenter::new(&options, synonyms, &StopWords::default(), 1);
        let words = Words {
            id: 255,
            number: 1,
            text: "你\n好ok",
            lengths: &[1, 1, 1, 2],
        };
        let mut views = Views::new(true);
        augmenter.views(&words, 0, &mut views).unwrap();
        let text = as_text(&words, &views);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "000000000000000000000000000000ff text 1");
        let swap = lines.iter().find(|line| line.starts_with("  RS ")).unwrap();
        assert!(swap.contains('↔') || swap.contains("(unchanged)"), "{text}");
        assert!(text.ends_with("  original 你 好ok\n\n"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&as_json("pair", &words, &views)).unwrap();
        assert_eq!(json["number"], 1);
        assert_eq!(json["words"][3], "ok");
        assert_eq!(json["views"][0]["operators"][0], "random_swap");
        assert_eq!(json["views"][1]["text"], "你\n好ok");
    }
}
