//! Delimited tables: tab-separated lines, CSV, and the NLI triplets of SimCSE.
//!
//! **Header.** With `header = true` the first line of every file is the header, whatever it says:
//! the plan may rename columns. Without it, a first line that equals the column names (in any case
//! of letters) is still no document.

use std::borrow::Cow;

use juzi_schemas::dropped::Reason;

use super::{Column, Document, Framing, Reader, ReaderOptions, Reject, names};

/// The `tsv` reader: fields between tabs, nothing quoted, nothing escaped.
///
/// # Errors
/// The plan names no columns, or names that cannot be used.
pub fn tsv(options: &ReaderOptions) -> Result<Box<dyn Reader>, String> {
    Ok(Box::new(Delimited::new(
        "tsv",
        Separator::Tab,
        &options.columns,
        options.header,
    )?))
}

/// The `csv` reader: RFC 4180, that is, fields between commas, quoted where they hold a comma, a
/// quote (doubled) or a line break.
///
/// # Errors
/// The plan names no columns, or names that cannot be used.
pub fn csv(options: &ReaderOptions) -> Result<Box<dyn Reader>, String> {
    Ok(Box::new(Delimited::new(
        "csv",
        Separator::Comma,
        &options.columns,
        options.header,
    )?))
}

/// The `nli` reader: three columns, a sentence, what follows from it and what contradicts it.
///
/// It reads SimCSE's `nli_for_simcse.csv` (`sent0,sent1,hard_neg`) and also lines with tabs
/// (`origin`, `entailment`, `contradiction`). Each document decides: exactly two tabs make it
/// tab-separated, else it is CSV. Quotes bind lines in both, so a file with tabs and stray quotes
/// is one for `tsv`.
///
/// # Errors
/// The plan names columns, but not three.
pub fn nli(options: &ReaderOptions) -> Result<Box<dyn Reader>, String> {
    let published = ["sent0", "sent1", "hard_neg"].map(String::from);
    let columns = if options.columns.is_empty() {
        &published[..]
    } else {
        &options.columns
    };
    if columns.len() != 3 {
        return Err(format!(
            "reader `nli` has 3 columns; the plan names {}",
            columns.len()
        ));
    }
    let mut reader = Delimited::new("nli", Separator::TabOrComma, columns, options.header)?;
    reader.views = vec![columns.join("->")];
    Ok(Box::new(reader))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Tab,
    Comma,
    TabOrComma,
}

struct Delimited {
    separator: Separator,
    columns: Vec<Column>,
    header: bool,
    views: Vec<String>,
}

impl Delimited {
    fn new(
        reader: &str,
        separator: Separator,
        columns: &[String],
        header: bool,
    ) -> Result<Delimited, String> {
        let columns = names::columns(reader, columns)?;
        let views = names::views(&columns);
        Ok(Delimited {
            separator,
            columns,
            header,
            views,
        })
    }

    /// Calls `field` with each field and its number, and gives the count of fields.
    fn split<'a>(
        &self,
        raw: &'a str,
        mut field: impl FnMut(usize, Cow<'a, str>),
    ) -> Result<usize, Reject> {
        let raw = raw.trim_end_matches(['\r', '\n']);
        let tabs = match self.separator {
            Separator::Tab => true,
            Separator::Comma => false,
            Separator::TabOrComma => memchr::memchr_iter(b'\t', raw.as_bytes()).count() == 2,
        };
        let mut count = 0;
        let mut push = |text| {
            field(count, text);
            count += 1;
        };
        if tabs {
            raw.split('\t').for_each(|text| push(Cow::Borrowed(text)));
        } else {
            split_csv(raw, push)?;
        }
        Ok(count)
    }
}

impl Reader for Delimited {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn framing(&self) -> Framing {
        if self.separator == Separator::Tab {
            Framing::Lines
        } else {
            Framing::QuotedLines
        }
    }

    fn views(&self) -> Vec<String> {
        self.views.clone()
    }

    fn is_header(&self, line: &str) -> bool {
        if self.header {
            return true;
        }
        let mut equal = true;
        let count = self.split(line.trim_start_matches('\u{feff}'), |at, text| {
            equal &= self
                .columns
                .get(at)
                .is_some_and(|column| column.name.eq_ignore_ascii_case(text.trim()));
        });
        equal && count == Ok(self.columns.len())
    }

    fn read<'a>(&self, raw: &'a str, document: &mut Document<'a>) -> Result<(), Reject> {
        let count = self.split(raw, |at, text| {
            if let Some(value) = document.columns.get_mut(at) {
                *value = text;
            }
        })?;
        if count == self.columns.len() {
            return Ok(());
        }
        let found = if count == 1 {
            "1 column".into()
        } else {
            format!("{count} columns")
        };
        Err(Reject::new(
            Reason::WrongColumns,
            format!("{found}, expected {}", self.columns.len()),
        ))
    }
}

/// Splits one CSV record. The `csv` crate reads streams and copies every field; here the record is
/// already cut out, and a field without doubled quotes is borrowed. As there, text after a closing
/// quote belongs to the field.
fn split_csv<'a>(raw: &'a str, mut push: impl FnMut(Cow<'a, str>)) -> Result<(), Reject> {
    let mut rest = raw;
    loop {
        let (field, after) = if rest.starts_with('"') {
            quoted(rest)?
        } else {
            bare(rest)
        };
        push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(()),
        }
    }
}

/// A field up to the next comma, and what follows that comma.
fn bare(text: &str) -> (Cow<'_, str>, Option<&str>) {
    match memchr::memchr(b',', text.as_bytes()) {
        Some(at) => (Cow::Borrowed(&text[..at]), Some(&text[at + 1..])),
        None => (Cow::Borrowed(text), None),
    }
}

fn quoted(text: &str) -> Result<(Cow<'_, str>, Option<&str>), Reject> {
    let mut rest = &text[1..];
    let mut field = Cow::Borrowed("");
    loop {
        let Some(at) = memchr::memchr(b'"', rest.as_bytes()) else {
            return Err(Reject::new(
                Reason::WrongColumns,
                "a quoted field without its closing quote",
            ));
        };
        // `Cow` borrows where one side is empty.
        field += &rest[..at];
        rest = &rest[at + 1..];
        if !rest.starts_with('"') {
            break;
        }
        field += "\"";
        rest = &rest[1..];
    }
    let (tail, after) = bare(rest);
    Ok((field + tail, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(columns: &[&str], header: bool) -> ReaderOptions {
        ReaderOptions {
            columns: columns.iter().map(|name| name.to_string()).collect(),
            header,
            paragraphs: false,
        }
    }

    fn read(reader: &dyn Reader, raw: &str) -> Result<Vec<String>, Reject> {
        let mut document = Document::default();
        document.clear(reader.columns().len());
        reader.read(raw, &mut document)?;
        Ok(document
            .columns
            .iter()
            .map(|text| text.to_string())
            .collect())
    }

    #[test]
    fn tsv_splits_on_tabs_only() {
        let reader = tsv(&options(&["sentence1", "sentence2", "label"], false)).unwrap();
        assert_eq!(reader.framing(), Framing::Lines);
        assert_eq!(reader.views(), ["sentence1~sentence2=label"]);
        let line = "喜欢打\"篮球的男生\t爱打篮球,的男生\t1\r";
        assert_eq!(
            read(&*reader, line).unwrap(),
            ["喜欢打\"篮球的男生", "爱打篮球,的男生", "1"]
        );
        assert_eq!(read(&*reader, "\t\t").unwrap(), ["", "", ""]);
        let reject = |line| read(&*reader, line).unwrap_err();
        assert_eq!(
            reject("a\tb"),
            Reject::new(Reason::WrongColumns, "2 columns, expected 3")
        );
        assert_eq!(
            reject("a"),
            Reject::new(Reason::WrongColumns, "1 column, expected 3")
        );
        assert_eq!(
            reject("a\tb\tc\td"),
            Reject::new(Reason::WrongColumns, "4 columns, expected 3")
        );
    }

    #[test]
    fn fields_are_borrowed_where_nothing_is_doubled() {
        let reader = csv(&options(&["a", "b", "c"], false)).unwrap();
        let mut document = Document::default();
        document.clear(3);
        reader
            .read("甲,\"乙,乙\",\"丙\"\"丙\"", &mut document)
            .unwrap();
        let borrowed: Vec<bool> = document
            .columns
            .iter()
            .map(|text| matches!(text, Cow::Borrowed(_)))
            .collect();
        assert_eq!(borrowed, [true, true, false]);
    }

    #[test]
    fn csv_reads_what_the_csv_crate_reads() {
        let pieces = ["\"", "\"\"", ",", "句", "a b", "\n", " "];
        let mut state = 1_u64;
        for round in 0..20_000 {
            let mut raw = String::new();
            for _ in 0..1 + round % 9 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                raw.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let mut fields = Vec::new();
            let mine = split_csv(&raw, |text| fields.push(text.into_owned()));
            let mut reader = ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(raw.as_bytes());
            let records: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            // A raw document is exactly one record: skip what the framing would have cut, and what
            // never closes its quote, which the crate closes at the end of the file.
            if records.len() == 1 && mine.is_ok() && !raw.ends_with('\n') && !raw.starts_with('\n')
            {
                assert_eq!(fields, records[0].iter().collect::<Vec<_>>(), "{raw:?}");
            }
        }
    }

    #[test]
    fn csv_keeps_line_breaks_and_reports_open_quotes() {
        let reader = csv(&options(&["text", "label"], false)).unwrap();
        assert_eq!(reader.framing(), Framing::QuotedLines);
        assert_eq!(
            read(&*reader, "\"一\r\n二\",好\r\n").unwrap(),
            ["一\r\n二", "好"]
        );
        assert_eq!(
            read(&*reader, "a,\"b").unwrap_err().reason,
            Reason::WrongColumns
        );
    }

    #[test]
    fn nli_reads_commas_and_tabs() {
        let reader = nli(&ReaderOptions::default()).unwrap();
        assert_eq!(reader.views(), ["sent0->sent1->hard_neg"]);
        assert!(reader.is_header("sent0,sent1,hard_neg"));
        let line = "\"One, two.\",One.,Three.";
        assert_eq!(
            read(&*reader, line).unwrap(),
            ["One, two.", "One.", "Three."]
        );
        let line = "一个人,在跑步\t有人在运动\t没有人";
        assert_eq!(
            read(&*reader, line).unwrap(),
            ["一个人,在跑步", "有人在运动", "没有人"]
        );
        let names = options(&["origin", "entailment", "contradiction"], false);
        let reader = nli(&names).unwrap();
        assert_eq!(reader.views(), ["origin->entailment->contradiction"]);
        assert!(reader.is_header("\u{feff}Origin\tEntailment\tContradiction\r"));
        assert!(
            nli(&options(&["a", "b"], false))
                .err()
                .unwrap()
                .contains("3 columns")
        );
    }

    #[test]
    fn header_is_trusted_or_recognised() {
        let columns = ["anchor", "positive"];
        let trusting = tsv(&options(&columns, true)).unwrap();
        assert!(trusting.is_header("问题\t回答"));
        let plain = tsv(&options(&columns, false)).unwrap();
        assert!(plain.is_header("Anchor\tpositive"));
        assert!(!plain.is_header("问题\t回答"));
        assert!(!plain.is_header("anchor"));
        assert!(!plain.is_header("anchor\tpositive\tmore"));
    }
}
