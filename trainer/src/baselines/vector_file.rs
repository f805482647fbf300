//! Files of word vectors: word2vec text and binary, and GloVe text, which has no first line of sizes;
//! plain or `.gz`.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::encoder::files::wrong;
use crate::{Error, Result};

/// The longest line or word that a file of vectors may have.
const LINE_BYTES: u64 = 1 << 20;

/// Words and their vectors as they stand in a file.
#[derive(Debug, Default)]
pub struct Table {
    /// Length of a vector.
    pub dimension: usize,
    /// The words, those of invalid UTF-8 with a sign for what is not.
    pub words: Vec<String>,
    /// `[words, dimension]`
    pub values: Vec<f32>,
}

/// Reads a file; all of it goes to memory, 4 bytes for each number.
///
/// # Errors
/// It cannot be read; the line or the word and what is wrong with it.
pub fn read(path: &Path) -> Result<Table> {
    let file = File::open(path).map_err(Error::input(path))?;
    let gzipped = path.extension().is_some_and(|ending| ending == "gz");
    let plain: Box<dyn Read> = match gzipped {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut input = BufReader::with_capacity(1 << 20, plain);
    let first = line(&mut input, path)?;
    let sizes = sizes(&first);
    let Some((words, dimension)) = sizes else {
        return text(path, Cursor::new(first).chain(input), None, 1);
    };
    if dimension == 0 {
        return Err(wrong(path, "line 1: vectors of no numbers".into()));
    }
    // A vector in binary is only by a miracle a line of that many numbers.
    let second = line(&mut input, path)?;
    let is_text = words == 0 || parse(&second, dimension).is_some();
    let whole = Cursor::new(second).chain(input);
    match is_text {
        true => text(path, whole, Some((words, dimension)), 2),
        false => binary(path, whole, words, dimension),
    }
}

/// The next line with its end, or all that is left of it.
fn line(input: &mut impl BufRead, path: &Path) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut limited = input.take(LINE_BYTES);
    limited
        .read_until(b'\n', &mut line)
        .map_err(Error::input(path))?;
    Ok(line)
}

/// Two whole numbers: words and dimension.
fn sizes(line: &[u8]) -> Option<(usize, usize)> {
    let mut fields = std::str::from_utf8(line).ok()?.split_whitespace();
    let sizes = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    fields.next().is_none().then_some(sizes)
}

/// A word and its numbers; the word may hold spaces, so that numbers are counted from the end.
fn parse(line: &[u8], dimension: usize) -> Option<(String, Vec<f32>)> {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end();
    let mut fields = line.rsplitn(dimension + 1, [' ', '\t']);
    let mut values = Vec::with_capacity(dimension);
    for field in fields.by_ref().take(dimension) {
        values.push(field.parse().ok()?);
    }
    values.reverse();
    let word = fields.next()?.to_string();
    (values.len() == dimension).then_some((word, values))
}

fn text(
    path: &Path,
    mut input: impl BufRead,
    sizes: Option<(usize, usize)>,
    first: usize,
) -> Result<Table> {
    let mut table = Table {
        dimension: sizes.map_or(0, |(_, dimension)| dimension),
        ..Table::default()
    };
    for number in first.. {
        let line = line(&mut input, path)?;
        if line.is_empty() {
            break;
        }
        if table.dimension == 0 {
            let fields = String::from_utf8_lossy(&line).split_whitespace().count();
            table.dimension = fields.saturating_sub(1);
        }
        let parsed = parse(&line, table.dimension).filter(|_| table.dimension > 0);
        let Some((word, values)) = parsed else {
            let dimension = table.dimension.max(1);
            let message = format!("line {number}: a word and {dimension} numbers are accepted");
            return Err(wrong(path, message));
        };
        push(path, &mut table, word, &values)?;
    }
    complete(path, table, sizes.map(|(words, _)| words))
}

fn binary(path: &Path, mut input: impl BufRead, words: usize, dimension: usize) -> Result<Table> {
    let mut table = Table {
        dimension,
        ..Table::default()
    };
    let mut bytes = vec![0; dimension * 4];
    for number in 0..words {
        let mut word = Vec::new();
        let mut limited = (&mut input).take(LINE_BYTES);
        let read = limited.read_until(b' ', &mut word);
        read.map_err(Error::input(path))?;
        let short = |_| {
            let message = format!("it ends in word {number} of {words}: is it a whole download?");
            wrong(path, message)
        };
        input.read_exact(&mut bytes).map_err(short)?;
        let values: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().expect("chunks of 4")))
            .collect();
        // Some writers end a vector with a line break, which then stands before the next word.
        let word = String::from_utf8_lossy(&word);
        push(path, &mut table, word.trim().to_string(), &values)?;
    }
    complete(path, table, Some(words))
}

fn push(path: &Path, table: &mut Table, word: String, values: &[f32]) -> Result<()> {
    if !values.iter().all(|value| value.is_finite()) {
        let message = format!("the vector of `{word}` is not of finite numbers");
        return Err(wrong(path, message));
    }
    table.words.push(word);
    table.values.extend(values);
    Ok(())
}

fn complete(path: &Path, table: Table, words: Option<usize>) -> Result<Table> {
    let found = table.words.len();
    match words {
        Some(words) if words != found => Err(wrong(
            path,
            format!("line 1 states {words} words, and there are {found}: is it a whole download?"),
        )),
        _ if found == 0 => Err(wrong(path, "no word vectors here".into())),
        _ => Ok(table),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Table, read};
    use crate::loader::fixtures::Place;

    fn read_bytes(name: &str, bytes: &[u8]) -> Result<Table, String> {
        let place = Place::new();
        let path = place.path(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path).map_err(|error| error.to_string())
    }

    fn same(table: &Table) {
        assert_eq!(table.words, ["保险", "a b"]);
        assert_eq!(
            (table.dimension, &table.values[..]),
            (2, &[0.5, -1.0, 2.0, 0.25][..])
        );
    }

    #[test]
    fn all_forms_give_the_same() {
        let lines = "保险 0.5 -1\na b 2 0.25\n";
        same(&read_bytes("glove.txt", lines.as_bytes()).unwrap());
        let with_sizes = format!("2 2\n{lines}");
        same(&read_bytes("word2vec.txt", with_sizes.as_bytes()).unwrap());
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(with_sizes.as_bytes()).unwrap();
        same(&read_bytes("word2vec.txt.gz", &zipped.finish().unwrap()).unwrap());
        for end in ["", "\n"] {
            let mut binary = b"2 2\n".to_vec();
            for (word, values) in [("保险", [0.5f32, -1.0]), ("ab", [2.0, 0.25])] {
                binary.extend(format!("{word} ").bytes());
                binary.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                binary.extend(end.bytes());
            }
            let table = read_bytes("vectors.bin", &binary).unwrap();
            assert_eq!(table.words, ["保险", "ab"]);
            assert_eq!(table.values, [0.5, -1.0, 2.0, 0.25]);
            let short = read_bytes("vectors.bin", &binary[..binary.len() - 3]).unwrap_err();
            assert!(short.contains("it ends in word 1 of 2"), "{short}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bytes, wanted) in [
            ("a 1 2\nb 1\n", "line 2: a word and 2 numbers"),
            ("3 1\na 1\nb 2\n", "line 1 states 3 words, and there are 2"),
            ("a 1\nb NaN\n", "the vector of `b`"),
            ("", "no word vectors"),
            ("a\n", "line 1: a word and 1 numbers"),
        ] {
            let error = read_bytes("vectors.txt", bytes.as_bytes()).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
