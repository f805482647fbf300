//! Files of tasks, line by line, plain or `.gz`: columns with tabs between, or one JSON object a
//! line.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use juzi_schemas::fingerprint::Fingerprint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A column of a table: its number from 1, or its name in the first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// Its number, from 1.
    Number(usize),
    /// Its name in the first line of the file.
    Name(String),
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Column::Number(number) => number.fmt(formatter),
            Column::Name(name) => write!(formatter, "\"{name}\""),
        }
    }
}

/// A file that was read whole.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    text: String,
}

impl Lines {
    /// Reads a file.
    ///
    /// # Errors
    /// It is missing, damaged, or is not UTF-8.
    pub(crate) fn read(path: impl AsRef<Path>) -> Result<Lines> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(Error::input(path))?;
        let mut text = String::new();
        let read = match path.extension().is_some_and(|ending| ending == "gz") {
            true => MultiGzDecoder::new(file).read_to_string(&mut text),
            false => file.read_to_string(&mut text),
        };
        read.map_err(Error::input(path))?;
        let path = path.into();
        Ok(Lines { path, text })
    }

    /// Whether its name says that each line is an object.
    pub(super) fn has_objects(&self) -> bool {
        let name = self.path.to_string_lossy();
        name.strip_suffix(".gz")
            .unwrap_or(&name)
            .ends_with(".jsonl")
    }

    /// Hash of its bytes, unpacked.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.text.as_bytes())
    }

    /// What is wrong with a line.
    pub(super) fn wrong(&self, line: usize, message: impl fmt::Display) -> Error {
        wrong(&self.path, line, message)
    }

    /// What is wrong with the whole.
    pub(super) fn wrong_whole(&self, message: impl fmt::Display) -> Error {
        Error::Usage(format!("{}: {message}", self.path.display()))
    }

    /// Lines that are not blank, with their numbers from 1.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let lines = (1..).zip(text.lines());
        lines.filter(|(_, line)| !line.trim().is_empty())
    }

    /// Some columns of all rows, with the numbers of their lines. Without a choice of columns, the
    /// file has these and no others; with a name among them, its first line has the names.
    ///
    /// # Errors
    /// A column that is not there, a row with too few or too many, or no row at all.
    pub(super) fn table<const N: usize>(
        &self,
        columns: Option<&[Column; N]>,
        wanted: [&str; N],
    ) -> Result<Vec<(usize, [&str; N])>> {
        let mut lines = self.numbered();
        let named = |columns: &[Column; N]| {
            let mut kinds = columns.iter();
            kinds.any(|column| matches!(column, Column::Name(_)))
        };
        let header = match columns.is_some_and(named) {
            true => lines.next(),
            false => None,
        };
        let places = match columns {
            Some(columns) => self.places(columns, header)?,
            None => std::array::from_fn(|place| place),
        };
        let count = header.map(|(_, names)| names.split('\t').count());
        let count = count.or(columns.is_none().then_some(N));
        let least = places.iter().max().map_or(0, |&last| last + 1);
        let mut rows = Vec::new();
        for (number, line) in lines {
            let fields: Vec<&str> = line.split('\t').collect();
            if fields.len() < least || count.is_some_and(|count| count != fields.len()) {
                let (found, wanted) = (fields.len(), wanted.join(", "));
                let expected = count.map_or(format!("at least {least}"), |it| it.to_string());
                return Err(self.wrong(
                    number,
                    format!(
                        "{found} columns where {expected} are wanted, with tabs between, for {wanted}"
                    ),
                ));
            }
            rows.push((number, places.map(|place| fields[place])));
        }
        match rows.is_empty() {
            true => Err(self.wrong_whole(format!("no row; wanted: {}", wanted.join(", ")))),
            false => Ok(rows),
        }
    }

    fn places<const N: usize>(
        &self,
        columns: &[Column; N],
        header: Option<(usize, &str)>,
    ) -> Result<[usize; N]> {
        let names: Vec<&str> = header.map_or(Vec::new(), |(_, line)| line.split('\t').collect());
        let mut places = [0; N];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = match column {
                // A number of 0 was refused with the options.
                Column::Number(number) => number.saturating_sub(1),
                Column::Name(name) => {
                    let found = names.iter().position(|it| it.trim() == name);
                    found.ok_or_else(|| {
                        let names = names.join(", ");
                        self.wrong(
                            header.map_or(1, |(number, _)| number),
                            format!("no column `{name}`; this line names: {names}"),
                        )
                    })?
                }
            };
        }
        Ok(places)
    }

    /// A text that says something.
    ///
    /// # Errors
    /// It is blank.
    pub(super) fn text(&self, line: usize, name: &str, value: &str) -> Result<String> {
        match value.trim().is_empty() {
            true => Err(self.wrong(line, format!("{name} is empty"))),
            false => Ok(value.into()),
        }
    }

    /// A finite number.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn number(&self, line: usize, name: &str, value: &str) -> Result<f64> {
        let number = value.trim().parse().ok();
        let number = number.filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| {
            self.wrong(
                line,
                format!("{name} is `{value}`; a finite number is wanted"),
            )
        })
    }

    /// The objects of all lines, with the numbers of the lines.
    ///
    /// # Errors
    /// A line is no JSON or lacks a field, or there is no line.
    pub(super) fn objects<T: DeserializeOwned>(&self, wanted: &str) -> Result<Vec<(usize, T)>> {
        let mut objects = Vec::new();
        for (number, line) in self.numbered() {
            let object = serde_json::from_str(line).map_err(|error| {
                // The line that it counts is the object itself.
                let error = error.to_string().replace(" at line 1 column", ", column");
                self.wrong(number, format!("{error}; wanted: {wanted}"))
            })?;
            objects.push((number, object));
        }
        match objects.is_empty() {
            true => Err(self.wrong_whole(format!("no line; wanted: {wanted}"))),
            false => Ok(objects),
        }
    }
}

/// What is wrong with a line of a file, counted from 1.
pub(super) fn wrong(path: impl AsRef<Path>, line: usize, message: impl fmt::Display) -> Error {
    let path = path.as_ref().display();
    Error::Usage(format!("{path}: line {line}: {message}"))
}

/// Checks that columns are counted from 1 and were chosen once each.
pub(super) fn check_columns<const N: usize>(
    columns: Option<&[Column; N]>,
) -> std::result::Result<(), String> {
    let Some(columns) = columns else {
        return Ok(());
    };
    for (at, column) in columns.iter().enumerate() {
        if *column == Column::Number(0) {
            return Err("columns: 0 stands there; the first column is 1".into());
        }
        if columns[..at].contains(column) {
            return Err(format!("columns: {column} stands there twice"));
        }
    }
    Ok(())
}

/// Checks that a file is named.
pub(super) fn check_place(key: &str, place: &str) -> std::result::Result<(), String> {
    match place.is_empty() {
        true => Err(format!("{key} = \"\"; a place is wanted")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Column, Lines, check_columns};
    use crate::loader::fixtures::Place;

    fn message(text: &str, columns: Option<[Column; 2]>) -> String {
        let place = Place::new();
        let lines = Lines::read(place.write("a.tsv", text)).unwrap();
        let found = lines.table(columns.as_ref(), ["text", "score"]);
        let error = found.unwrap_err().to_string();
        error.split_once("a.tsv: ").unwrap().1.into()
    }

    #[test]
    fn columns_by_place_and_by_name() {
        let place = Place::new();
        let text = "\u{feff}id\tb\ta\r\n\r\n1\tx\ty\r\n2\tz\t\n";
        let lines = Lines::read(place.write("a.tsv", text)).unwrap();
        let names = [Column::Name("a".into()), Column::Number(1)];
        let rows = lines.table(Some(&names), ["text", "id"]).unwrap();
        assert_eq!(rows, [(3, ["y", "1"]), (4, ["", "2"])]);
        let numbers = [Column::Number(2), Column::Number(3)];
        let rows = lines.table(Some(&numbers), ["one", "other"]).unwrap();
        assert_eq!(rows[0], (1, ["b", "a"]));
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn wrong_rows_are_named() {
        assert_eq!(
            message("a\t1\n\nb\n", None),
            "line 3: 1 columns where 2 are wanted, with tabs between, for text, score"
        );
        assert_eq!(
            message("a\t1\tb\n", None),
            "line 1: 3 columns where 2 are wanted, with tabs between, for text, score"
        );
        assert_eq!(message("\n", None), "no row; wanted: text, score");
        let numbers = [Column::Number(1), Column::Number(3)];
        assert!(message("a\tb\n", Some(numbers)).contains("where at least 3 are wanted"));
        let names = [Column::Name("text".into()), Column::Name("score".into())];
        assert_eq!(
            message("text\tgold\na\t1\n", Some(names.clone())),
            "line 1: no column `score`; this line names: text, gold"
        );
        let uneven = message("score\ttext\tid\n1\ta\n", Some(names));
        assert!(uneven.starts_with("line 2: 2 columns where 3"), "{uneven}");
    }

    #[test]
    fn numbers_are_finite_and_objects_whole() {
        let place = Place::new();
        let lines = Lines::read(place.write("a.tsv", "{\"a\": 1}\n{\"a\": 2")).unwrap();
        assert_eq!(lines.number(1, "score", " 2.5 ").unwrap(), 2.5);
        for wrong in ["nan", "inf", "", "1,5"] {
            let error = lines.number(7, "score", wrong).unwrap_err().to_string();
            assert!(error.contains("line 7: score is `"), "{error}");
        }
        let error = lines.objects::<serde_json::Value>("{a}").unwrap_err();
        assert!(error.to_string().contains("line 2: EOF"), "{error}");
        assert!(Lines::read(place.path("none.tsv")).is_err());
    }

    #[test]
    fn columns_are_counted_from_1() {
        let wrong = |columns| check_columns(Some(&columns)).unwrap_err();
        let number = Column::Number;
        assert!(check_columns(Some(&[number(2), number(1)])).is_ok());
        let zero = wrong([number(1), number(0)]);
        assert_eq!(zero, "columns: 0 stands there; the first column is 1");
        assert_eq!(
            wrong([number(2), number(2)]),
            "columns: 2 stands there twice"
        );
        let name = Column::Name("a".into());
        assert_eq!(
            wrong([name.clone(), name]),
            "columns: \"a\" stands there twice"
        );
    }

    #[test]
    fn packed_files_are_as_plain_ones() {
        let place = Place::new();
        let plain = Lines::read(place.write("a.jsonl", "{}\n")).unwrap();
        let path = place.path("b.jsonl.gz");
        let file = std::fs::File::create(&path).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packed.write_all(b"{}\n").unwrap();
        packed.finish().unwrap();
        let packed = Lines::read(&path).unwrap();
        assert_eq!(packed.fingerprint(), plain.fingerprint());
        assert!(packed.has_objects() && plain.has_objects());
        let damaged = Lines::read(place.write("c.tsv.gz", "a\tb\n")).unwrap_err();
        assert!(damaged.to_string().contains("c.tsv.gz: "), "{damaged}");
    }
}
