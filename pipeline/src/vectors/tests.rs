//! Tests of reading vectors, on files written here.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use juzi_schemas::dropped::Reason;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use super::{BadRow, Format, Header, Part, Run, Totals, VectorFile, header, read};
use crate::error::Error;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("juzi-vectors-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> VectorFile {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        VectorFile {
            path,
            members: None,
            format: Format::Auto,
            words: None,
        }
    }
}

/// Everything that reading gives, and what the counters say.
#[derive(Debug, Default, PartialEq)]
struct All {
    words: Vec<String>,
    rows: Vec<u64>,
    values: Vec<u32>,
    dropped: Vec<BadRow>,
    totals: Totals,
}

impl All {
    fn reasons(&self) -> Vec<(Reason, Option<u64>, u64)> {
        let rows = self.dropped.iter();
        rows.map(|row| (row.reason, row.line, row.offset)).collect()
    }
}

fn some(
    file: &VectorFile,
    threads: usize,
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> Result<All, String> {
    let (bytes, rows) = (AtomicU64::new(0), AtomicU64::new(0));
    let run = Run {
        threads,
        resume: "",
        bytes: &bytes,
        rows: &rows,
    };
    let mut all = All::default();
    let mut sink = |part: Part| {
        all.words.extend(part.words);
        all.rows.extend(part.rows);
        all.values
            .extend(part.values.iter().map(|value| value.to_bits()));
        all.dropped.extend(part.dropped);
        Ok(())
    };
    let totals = read(file, wanted, &run, &mut sink).map_err(|error| error.to_string())?;
    assert_eq!(totals.rows, totals.wanted + totals.skipped + totals.dropped);
    assert_eq!(totals.wanted, all.words.len() as u64);
    assert_eq!(all.words.len(), all.rows.len());
    assert_eq!(all.values.len(), all.words.len() * totals.dimension);
    assert_eq!(totals.dropped, all.dropped.len() as u64);
    assert_eq!(rows.into_inner(), totals.rows);
    assert!(all.rows.is_sorted() && all.dropped.is_sorted_by_key(|row| row.offset));
    all.totals = totals;
    Ok(all)
}

fn all(file: &VectorFile) -> All {
    some(file, 2, &|_| true).unwrap()
}

fn all_of(content: impl AsRef<[u8]>) -> All {
    all(&Folder::new().file("v.txt", content))
}

/// The message of the error, which names the file.
fn error(file: &VectorFile) -> String {
    let message = some(file, 2, &|_| true).unwrap_err();
    assert!(
        message.starts_with(&file.path.display().to_string()),
        "{message}"
    );
    message
}

fn error_of(content: impl AsRef<[u8]>) -> String {
    error(&Folder::new().file("v.txt", content))
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

type Vectors = Vec<(String, Vec<f32>)>;

fn vectors(rows: usize, dimension: usize) -> Vectors {
    let value = |row: usize, column: usize| {
        let mixed = (row * 7919 + column * 104_729 + 1).wrapping_mul(0x9e37_79b9) % 2_000_001;
        (mixed as f32 - 1_000_000.0) / 1e6
    };
    let vector = |row| (0..dimension).map(|column| value(row, column)).collect();
    (0..rows)
        .map(|row| (format!("词{row}"), vector(row)))
        .collect()
}

fn text(vectors: &Vectors) -> Vec<u8> {
    let mut out = format!("{} {}\n", vectors.len(), vectors[0].1.len());
    for (word, vector) in vectors {
        let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
        out += &format!("{word} {}\n", numbers.join(" "));
    }
    out.into_bytes()
}

fn binary(vectors: &Vectors, before: &str, after: &str) -> Vec<u8> {
    let mut out = format!("{} {}\n", vectors.len(), vectors[0].1.len()).into_bytes();
    for (word, vector) in vectors {
        out.extend_from_slice(format!("{before}{word} ").as_bytes());
        vector
            .iter()
            .for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        out.extend_from_slice(after.as_bytes());
    }
    out
}

fn npy(dictionary: &str, version: u8, data: &[u8]) -> Vec<u8> {
    let text = format!("{dictionary:<60}\n");
    let mut out = b"\x93NUMPY".to_vec();
    out.extend([version, 0]);
    match version {
        1 => out.extend((text.len() as u16).to_le_bytes()),
        _ => out.extend((text.len() as u32).to_le_bytes()),
    }
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(data);
    out
}

fn shape(kind: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}")
}

fn single(vectors: &Vectors) -> Vec<u8> {
    vectors
        .iter()
        .flat_map(|(_, vector)| vector)
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn matrix(folder: &Folder, name: &str, content: Vec<u8>, words: &str) -> VectorFile {
    let words = folder.file("words.txt", words).path;
    VectorFile {
        words: Some(words),
        ..folder.file(name, content)
    }
}

fn word_list(vectors: &Vectors) -> String {
    vectors
        .iter()
        .map(|(word, _)| format!("{word}\n"))
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_cksum();
        out.append_data(&mut header, name, *content).unwrap();
    }
    out.into_inner().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        out.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        out.write_all(content).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn values_are_of_unit_length() {
    let got = all_of("2 2\n甲 3 4\n乙 -0.5 0\n");
    assert_eq!(got.words, ["甲", "乙"]);
    assert_eq!(got.rows, [0, 1]);
    let wanted = [0.6f32, 0.8, -1.0, 0.0].map(f32::to_bits);
    assert_eq!(got.values, wanted);
    let counts = Totals {
        rows: 2,
        wanted: 2,
        skipped: 0,
        dropped: 0,
        dimension: 2,
    };
    assert_eq!(got.totals, counts);
}

#[test]
fn every_format_container_and_thread_count_gives_the_same_bits() {
    let folder = Folder::new();
    // About 5 MB of text: several blocks.
    let vectors = vectors(9_000, 50);
    let plain = text(&vectors);
    let wanted = all(&folder.file("v.txt", &plain));
    assert_eq!(wanted.words.len(), 9_000);
    let list = word_list(&vectors);
    let data = single(&vectors);
    let double: Vec<u8> = vectors
        .iter()
        .flat_map(|(_, vector)| vector)
        .flat_map(|&value| f64::from(value).to_le_bytes())
        .collect();
    let readme: (&str, &[u8]) = ("README.txt", b"about\n");
    let pattern = Some(glob::Pattern::new("*v.vec").unwrap());
    let mut files = vec![
        folder.file("v.vec", &plain),
        folder.file("v.txt.gz", gzip(&plain)),
        folder.file("v.txt.zst", zstd::encode_all(&plain[..], 1).unwrap()),
        folder.file("one.zip", zip(&[("v.vec", &plain)])),
        folder.file("one.tar.gz", gzip(&tar(&[("v.vec", &plain)]))),
        folder.file("newline.bin", binary(&vectors, "", "\n")),
        folder.file("before.bin", binary(&vectors, "\n", "")),
        folder.file("none.bin", binary(&vectors, "", "")),
        folder.file("v.bin.gz", gzip(&binary(&vectors, "", "\n"))),
        folder.file("b.zip", zip(&[("v.bin", &binary(&vectors, "", "\n"))])),
        matrix(
            &folder,
            "v.npy",
            npy(&shape("<f4", "False", "(9000, 50)"), 1, &data),
            &list,
        ),
        matrix(
            &folder,
            "2.npy",
            npy(&shape("<f4", "False", "(9000L, 50L)"), 2, &data),
            &list,
        ),
        matrix(
            &folder,
            "8.npy",
            npy(&shape("<f8", "False", "(9000, 50)"), 3, &double),
            &list,
        ),
        matrix(
            &folder,
            "v.npy.gz",
            gzip(&npy(&shape("<f4", "False", "(9000, 50)"), 1, &data)),
            &list,
        ),
    ];
    for mut file in [
        folder.file("two.zip", zip(&[readme, ("d/v.vec", &plain)])),
        folder.file("two.tar", tar(&[readme, ("d/v.vec", &plain), ("z", b"z")])),
        folder.file("two.tar.gz", gzip(&tar(&[readme, ("d/v.vec", &plain)]))),
    ] {
        file.members.clone_from(&pattern);
        files.push(file);
    }
    for file in &files {
        let found = header(file).unwrap();
        assert_eq!(
            found,
            Header {
                rows: Some(9_000),
                dimension: 50
            }
        );
        for threads in [1, 2, 8] {
            let got = some(file, threads, &|_| true).unwrap();
            assert_eq!(got, wanted, "{} on {threads} threads", file.path.display());
        }
    }
}

#[test]
fn unwanted_rows_are_only_counted() {
    let folder = Folder::new();
    let vectors = vectors(4_000, 60);
    let rare = |word: &str| word.ends_with('7');
    let file = folder.file("v.txt", text(&vectors));
    let wanted = all(&file);
    let got = some(&file, 2, &rare).unwrap();
    assert_eq!(got.totals.wanted, 400);
    assert_eq!(got.totals.skipped, 3_600);
    for (at, (word, row)) in got.words.iter().zip(&got.rows).enumerate() {
        assert_eq!(*word, format!("词{row}"));
        let row = *row as usize;
        assert_eq!(got.values[at * 60..][..60], wanted.values[row * 60..][..60]);
    }
    let file = folder.file("v.bin", binary(&vectors, "", "\n"));
    assert_eq!(some(&file, 2, &rare).unwrap(), got);
    let none = some(&file, 2, &|_| false).unwrap();
    assert_eq!((none.words.len(), none.totals.skipped), (0, 4_000));
}

#[test]
fn half_precision_is_exact() {
    let folder = Folder::new();
    let values = [1.5f32, -2.0, 0.25, 4.0];
    let data: Vec<u8> = values
        .iter()
        .flat_map(|&v| half::f16::from_f32(v).to_le_bytes())
        .collect();
    let file = matrix(
        &folder,
        "v.npy",
        npy(&shape("<f2", "False", "(2, 2)"), 1, &data),
        "甲\r\n乙",
    );
    assert_eq!(all(&file), all_of("甲 1.5 -2\n乙 0.25 4\n"));
}

#[test]
fn layouts_of_text() {
    let wanted = all_of("2 3\n甲 0.1 0.2 0.3\n乙 1e-2 .5 -6\n");
    for text in [
        "甲 0.1 0.2 0.3\n乙 1e-2 .5 -6\n",
        "甲 0.1 0.2 0.3\n乙 1e-2 .5 -6",
        "\u{feff}2 3\n甲 0.1 0.2 0.3\n乙 1e-2 .5 -6\n",
        "\u{feff}甲 0.1 0.2 0.3\n乙 1e-2 .5 -6\n",
        "2\t3\n甲\t0.1\t0.2\t0.3\n乙\t1e-2\t.5\t-6\n",
        "甲\t0.1 0.2 0.3\n乙\t1e-2 .5 -6\n",
        "2 3\r\n甲 0.1 0.2 0.3\r\n乙 1e-2 .5 -6\r\n",
        "2 3 \n甲 0.1 0.2 0.3 \n乙 1e-2 .5 -6 \n",
        "2 3 \r\n甲 0.1 0.2 0.3 \r\n\r\n \n乙 1e-2 .5 -6 \r\n\n",
        "甲  0.1 0.2   0.3\n  乙 1e-2\t .5 -6\n",
    ] {
        let got = all_of(text);
        assert_eq!(
            (&got.words, &got.values),
            (&wanted.words, &wanted.values),
            "{text:?}"
        );
        assert_eq!(got.dropped, []);
    }
}

#[test]
fn words_may_hold_spaces_but_not_numbers() {
    let got = all_of("4 2\nNew York 1 0\na b c 0 1\nWindows 95 1 0\n3 1 1\n");
    assert_eq!(got.words, ["New York", "a b c", "3"]);
    assert_eq!(got.reasons(), [(Reason::WrongDimension, Some(4), 27)]);
    let folder = Folder::new();
    let file = folder.file("v.txt", "甲 1 2\nNew York 1 0\nNew Delhi 0 1\n乙 1 1\n");
    let got = some(&file, 1, &|word| word == "New York" || word == "New").unwrap();
    assert_eq!((got.words, got.rows), (vec!["New York".into()], vec![1]));
    // An odd first line does not decide the dimension.
    let got = all_of("New York 1 0\n甲 1 2\n乙 1 1\n");
    assert_eq!(
        got.totals,
        Totals {
            rows: 3,
            wanted: 3,
            skipped: 0,
            dropped: 0,
            dimension: 2
        }
    );
}

#[test]
fn bad_rows_go_to_the_ledger() {
    let lines: [&[u8]; 13] = [
        b"13 3\n",
        b"good 1 2 3\n",
        b"short 1 2\n",
        b"long 1 2 3 4\n",
        b"bad 1 x 3\n",
        b"\n",
        b"nan 1 nan 3\n",
        b"inf 1 1e39 -inf\n",
        b"zero 0 -0.0 1e-60\n",
        b" 1 2 3\n",
        b"\xff\xfe 1 2 3\n",
        b"good 3 2 1\n",
        b"also 3 2 1\nbad 1 2 3\nbad 3 2 1\ncut 1 2",
    ];
    let reasons = [
        (Reason::WrongDimension, 3),
        (Reason::WrongDimension, 4),
        (Reason::BadNumber, 5),
        (Reason::NotFinite, 7),
        (Reason::NotFinite, 8),
        (Reason::ZeroVector, 9),
        (Reason::EmptyWord, 10),
        (Reason::InvalidUtf8, 11),
        (Reason::DuplicateWord, 12),
        (Reason::DuplicateWord, 15),
        (Reason::TruncatedRow, 16),
    ];
    let content = lines.concat();
    let error = error_of(&content);
    assert_says(
        &error,
        &["the header says 13 rows, but 14 were found", "truncated"],
    );
    let mut content = content;
    content[1] = b'4';
    let got = all_of(&content);
    let lines: Vec<usize> = std::iter::once(0)
        .chain(
            content
                .iter()
                .enumerate()
                .filter(|&(_, &b)| b == b'\n')
                .map(|(at, _)| at + 1),
        )
        .collect();
    let wanted = reasons.map(|(reason, line)| (reason, Some(line as u64), lines[line - 1] as u64));
    assert_eq!(got.reasons(), wanted);
    assert_eq!(got.words, ["good", "also", "bad"]);
    assert_eq!(got.rows, [0, 10, 11]);
    assert_says(
        got.dropped[2].detail.as_deref().unwrap(),
        &["bad", "number 2", "`x`"],
    );
    assert_says(
        got.dropped[0].detail.as_deref().unwrap(),
        &["2 numbers instead of 3", "short"],
    );
    // Among rows that are not wanted only the number of fields and the word are looked at.
    let folder = Folder::new();
    let got = some(&folder.file("v.txt", &content), 2, &|word| word == "good").unwrap();
    let left: Vec<Reason> = got.dropped.iter().map(|row| row.reason).collect();
    let wanted = [
        Reason::WrongDimension,
        Reason::WrongDimension,
        Reason::EmptyWord,
        Reason::InvalidUtf8,
        Reason::DuplicateWord,
        Reason::TruncatedRow,
    ];
    assert_eq!(left, wanted);
}

#[test]
fn a_cut_last_number_is_a_truncated_row() {
    let got = all_of("甲 1 2 3\n乙 1 2 -");
    assert_eq!(got.reasons(), [(Reason::TruncatedRow, Some(2), 10)]);
}

#[test]
fn bad_rows_of_binary_and_npy() {
    let folder = Folder::new();
    let mut rows = vectors(8, 4);
    rows[2].1[1] = f32::NAN;
    rows[3].1 = vec![0.0; 4];
    rows[5].0 = rows[4].0.clone();
    rows[6].0 = String::new();
    let content = binary(&rows, "", "\n");
    let got = all(&folder.file("v.bin", &content));
    let reasons = [
        Reason::NotFinite,
        Reason::ZeroVector,
        Reason::DuplicateWord,
        Reason::EmptyWord,
    ];
    let find = |got: &All| -> Vec<Reason> { got.dropped.iter().map(|row| row.reason).collect() };
    assert_eq!(find(&got), reasons);
    assert_eq!(got.rows, [0, 1, 4, 7]);
    let lines: Vec<u64> = got.dropped.iter().filter_map(|row| row.line).collect();
    assert_eq!(lines, [4, 5, 7, 8]);
    assert_eq!(got.dropped[1].offset, 4 + 3 * 22);
    // The file ends inside its last row.
    let cut = all(&folder.file("cut.bin", &content[..content.len() - 3]));
    let wanted = [&reasons[..], &[Reason::TruncatedRow]].concat();
    assert_eq!(find(&cut), wanted);
    // And before its last row.
    let message = error(&folder.file("less.bin", &content[..content.len() - 22]));
    assert_says(&message, &["says 8 rows, but 7 were found"]);
    let message = error(&folder.file("more.bin", [&content[..], b"more"].concat()));
    assert_says(&message, &["says 8 rows, but 9 were found"]);
    let content = npy(&shape("<f4", "False", "(8, 4)"), 1, &single(&rows));
    let got = all(&matrix(&folder, "v.npy", content, &word_list(&rows)));
    assert_eq!(find(&got), reasons);
    let lines: Vec<u64> = got.dropped.iter().filter_map(|row| row.line).collect();
    assert_eq!(lines, [3, 4, 6, 7]);
}

#[test]
fn headers_that_do_not_fit_are_refused_early() {
    let message = error_of("3 5\n甲 1 2 3\n乙 1 2 3\n丙 1 2 3\n");
    assert_says(
        &message,
        &["`3 5`", "rows of 3 numbers", "dimension is wrong"],
    );
    let message = error_of("5 3\n甲 1 2 3\n乙 1 2 3\n丙 1 2 3\n");
    assert_says(&message, &["says 5 rows, but 3 were found"]);
    let message = error_of("3 0\n甲 1 2 3\n");
    assert_says(&message, &["dimension of 0"]);
    assert_says(
        &error_of("3 99999999999\n甲 1 2 3\n"),
        &["dimension of 99999999999"],
    );
    assert_says(&error_of(""), &["is empty"]);
    assert_says(
        &error_of("今天天气好。\n明天也好。\n"),
        &["no word vectors", "`format`"],
    );
    assert_says(&error_of("{\"a\": 1}\n"), &["no word vectors"]);
    assert_says(
        &error_of("3 2\n今天 天气 好\n"),
        &["no row of a word and 2 numbers", "今天"],
    );
    let rows = vectors(20, 8);
    let mut content = binary(&rows, "", "\n");
    content[3] = b'9';
    assert_says(&error_of(content), &["20 9", "dimension is likely wrong"]);
    let empty = all_of("0 3\n");
    assert_eq!(
        empty.totals,
        Totals {
            dimension: 3,
            ..Totals::default()
        }
    );
    assert_says(&error_of("7 3\n"), &["says 7 rows, but 0 were found"]);
}

#[test]
fn a_format_that_the_file_is_not_is_refused() {
    let folder = Folder::new();
    let rows = vectors(5, 3);
    let accepted = "accepted values of `format` are auto, text, binary, npy";
    let with = |format, file| VectorFile { format, ..file };
    let file = with(Format::Text, folder.file("v.txt", binary(&rows, "", "\n")));
    assert_says(
        &error(&file),
        &["`format` is `text`", "word2vec binary", accepted],
    );
    assert_says(
        &header(&file).unwrap_err().to_string(),
        &["word2vec binary"],
    );
    let file = with(Format::Binary, folder.file("v.bin", text(&rows)));
    assert_says(
        &error(&file),
        &["`format` is `binary`", "word2vec text", accepted],
    );
    let file = with(Format::Npy, folder.file("v.bin", binary(&rows, "", "")));
    assert_says(
        &error(&file),
        &["`format` is `npy`", "word2vec binary", accepted],
    );
    let file = folder.file("v.npy", text(&rows));
    assert_says(
        &error(&file),
        &["`format` is `npy` by the file's name", "word2vec text"],
    );
    // Without a word to the contrary the content decides.
    assert_eq!(
        all(&folder.file("v.bin", text(&rows))),
        all(&folder.file("w.vec", text(&rows)))
    );
    let file = folder.file("v.txt", gzip(&text(&rows)));
    assert_says(&error(&file), &["packed", ".gz"]);
    let content = npy(&shape("<f4", "False", "(5, 3)"), 1, &single(&rows));
    assert_says(
        &error(&folder.file("m.npy", content)),
        &["`vector_words` must name a file"],
    );
    let file = VectorFile {
        words: Some("words.txt".into()),
        ..folder.file("v.txt", text(&rows))
    };
    assert_says(&error(&file), &["`vector_words` is for a NumPy matrix"]);
    let missing = VectorFile {
        path: folder.0.join("none.txt"),
        ..file
    };
    assert!(matches!(header(&missing), Err(Error::Input { .. })));
}

#[test]
fn matrices_of_another_kind_are_refused() {
    let folder = Folder::new();
    let rows = vectors(4, 3);
    let (data, list) = (single(&rows), word_list(&rows));
    let says = |dictionary: &str, version, data: &[u8], list: &str, parts: &[&str]| {
        assert_says(
            &some(
                &matrix(&folder, "v.npy", npy(dictionary, version, data), list),
                2,
                &|_| true,
            )
            .unwrap_err(),
            parts,
        );
    };
    let good = shape("<f4", "False", "(4, 3)");
    says(
        &shape(">f4", "False", "(4, 3)"),
        1,
        &data,
        &list,
        &["'>f4'", "'<f4'"],
    );
    says(
        &shape("<i8", "False", "(4, 3)"),
        1,
        &data,
        &list,
        &["'<i8'"],
    );
    says(
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}",
        1,
        &data,
        &list,
        &["type"],
    );
    says(
        &shape("<f4", "True", "(4, 3)"),
        1,
        &data,
        &list,
        &["Fortran order"],
    );
    says(
        &shape("<f4", "False", "(12,)"),
        1,
        &data,
        &list,
        &["shape (12,)"],
    );
    says(
        &shape("<f4", "False", "(2, 2, 3)"),
        1,
        &data,
        &list,
        &["shape (2, 2, 3)"],
    );
    says(&shape("<f4", "False", "()"), 1, &data, &list, &["shape ()"]);
    says("{'fortran_order': False}", 1, &data, &list, &["no 'descr'"]);
    says(&good, 4, &data, &list, &["version 4"]);
    says(
        &good,
        1,
        &data[..41],
        &list,
        &["says 4 rows, but only 3 can be read", "truncated"],
    );
    says(
        &good,
        1,
        &[&data[..], b"x"].concat(),
        &list,
        &["more bytes follow"],
    );
    says(
        &good,
        1,
        &data,
        "a\nb\nc\n",
        &["words.txt", "3 words, but the matrix has 4 rows"],
    );
    says(
        &good,
        1,
        &data,
        "a\nb\nc\nd\ne\nf",
        &["words.txt", "6 words, but the matrix has 4 rows"],
    );
    let whole = npy(&good, 1, &data);
    for length in 6..whole.len() {
        let file = matrix(&folder, "cut.npy", whole[..length].to_vec(), &list);
        assert!(some(&file, 1, &|_| true).is_err(), "{length}");
    }
    assert_eq!(
        all(&matrix(&folder, "v.npy", whole, &(list + "\n")))
            .words
            .len(),
        4
    );
}

#[test]
fn damaged_containers_are_refused() {
    let folder = Folder::new();
    let rows = vectors(9_000, 50);
    let (plain, raw) = (text(&rows), binary(&rows, "", "\n"));
    for (name, bytes) in [
        ("v.txt.gz", gzip(&plain)),
        ("v.txt.zst", zstd::encode_all(&plain[..], 1).unwrap()),
        ("v.tar.gz", gzip(&tar(&[("v.txt", &plain)]))),
        ("v.bin.gz", gzip(&raw)),
    ] {
        let file = folder.file(name, &bytes[..bytes.len() * 4 / 5]);
        let message = error(&file);
        assert_says(
            &message,
            &["cannot be read further after row ", "truncated"],
        );
        let messages: Vec<_> = [1, 8]
            .iter()
            .map(|&t| some(&file, t, &|_| true).unwrap_err())
            .collect();
        assert!(
            messages.iter().all(|other| *other == message),
            "{messages:?}"
        );
        for length in [0, 1, 10, 30] {
            error(&folder.file(name, &bytes[..length]));
        }
    }
    let bytes = zip(&[("v.txt", &plain)]);
    assert_says(
        &error(&folder.file("v.zip", &bytes[..bytes.len() / 2])),
        &["truncated"],
    );
    let content = npy(&shape("<f4", "False", "(9000, 50)"), 1, &single(&rows));
    let bytes = gzip(&content);
    let file = matrix(
        &folder,
        "v.npy.gz",
        bytes[..bytes.len() / 2].to_vec(),
        &word_list(&rows),
    );
    assert_says(&error(&file), &["says 9000 rows, but only"]);
}

#[test]
fn one_member_is_one_file() {
    let folder = Folder::new();
    let content = text(&vectors(3, 2));
    let raw = binary(&vectors(3, 2), "", "\n");
    let two: [(&str, &[u8]); 2] = [("a.txt", &content), ("b.txt", &content)];
    let message = error(&folder.file("v.zip", zip(&two)));
    assert_says(&message, &["2 members", "a.txt, b.txt", "v.zip::"]);
    let message = error(&folder.file("v.tar.gz", gzip(&tar(&two))));
    assert_says(
        &message,
        &[
            "more than one member",
            "`a.txt` and `b.txt`",
            "v.tar.gz::a.txt",
        ],
    );
    let two: [(&str, &[u8]); 2] = [("a.bin", &raw), ("b.bin", &raw)];
    assert_says(
        &error(&folder.file("v.tar", tar(&two))),
        &["`a.bin` and `b.bin`"],
    );
    let none = Some(glob::Pattern::new("*.vec").unwrap());
    for file in [
        folder.file("v.tar", tar(&two)),
        folder.file("v.zip", zip(&two)),
    ] {
        let file = VectorFile {
            members: none.clone(),
            ..file
        };
        assert_says(&error(&file), &["*.vec"]);
    }
    let members = Some(glob::Pattern::new("b.*").unwrap());
    let file = VectorFile {
        members,
        ..folder.file("v.tar", tar(&two))
    };
    assert_eq!(all(&file).words.len(), 3);
    let bad: [(&str, &[u8]); 1] = [("a.txt", b"x 1 2\ny 1 z\n")];
    let got = all(&folder.file("bad.zip", zip(&bad)));
    assert_eq!(got.dropped[0].member.as_deref(), Some("a.txt"));
}

#[test]
fn a_row_that_is_too_long_is_dropped() {
    let folder = Folder::new();
    let mut content = text(&vectors(50_000, 12));
    let at = content.len() / 2;
    let at = at
        + content[at..]
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap()
        + 1;
    let long = "长".repeat(3 << 20) + " 1\n";
    content.splice(at..at, long.bytes());
    content[4] = b'1';
    let wanted = all(&folder.file("v.txt", &content));
    assert_eq!(wanted.reasons().len(), 1);
    let line = content[..at].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
    assert_eq!(
        wanted.reasons(),
        [(Reason::LineTooLong, Some(line), at as u64)]
    );
    for threads in [1, 8] {
        for file in [
            folder.file("v.txt", &content),
            folder.file("v.txt.gz", gzip(&content)),
        ] {
            assert_eq!(some(&file, threads, &|_| true).unwrap(), wanted);
        }
    }
    // A file that is one long line takes no more memory than its first bytes.
    assert_says(&error_of("x".repeat(20 << 20)), &["no word vectors"]);
    let content = [b"3 2\n".to_vec(), vec![0x81; 8 << 20]].concat();
    assert_says(&error_of(content), &["dimension is likely wrong"]);
}

#[test]
fn a_refusing_sink_ends_the_reading() {
    let folder = Folder::new();
    let file = folder.file("v.txt", text(&vectors(9_000, 50)));
    let (bytes, rows) = (AtomicU64::new(0), AtomicU64::new(0));
    let run = Run {
        threads: 2,
        resume: "",
        bytes: &bytes,
        rows: &rows,
    };
    let mut sink = |_| Err(Error::Usage("full".into()));
    let error = read(&file, &|_| true, &run, &mut sink).unwrap_err();
    assert!(matches!(error, Error::Usage(message) if message == "full"));
}

#[test]
fn all_bytes_are_reported() {
    let folder = Folder::new();
    let vectors = vectors(9_000, 50);
    for file in [
        folder.file("v.txt", text(&vectors)),
        folder.file("v.bin", binary(&vectors, "", "")),
        folder.file("v.bin.gz", gzip(&binary(&vectors, "", ""))),
    ] {
        let (bytes, rows) = (AtomicU64::new(0), AtomicU64::new(0));
        let run = Run {
            threads: 2,
            resume: "",
            bytes: &bytes,
            rows: &rows,
        };
        read(&file, &|_| true, &run, &mut |_| Ok(())).unwrap();
        let size = fs::metadata(&file.path).unwrap().len();
        let seen = bytes.into_inner();
        assert!(seen <= size && seen + 10 > size, "{seen} of {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_bytes_end_in_order(
        start in 0usize..8,
        body in proptest::collection::vec(any::<u8>(), 0..400),
        pieces in proptest::collection::vec(0usize..14, 0..60),
        ending in 0usize..7,
    ) {
        let starts: [&[u8]; 8] = [
            b"", b"3 2\n", b"\x93NUMPY\x01\x00v\x00", b"\xef\xbb\xbf2 1\n", b"1 1\na ", b"\x1f\x8b\x08",
            b"9999999999 300\n", b"2 3\n\n",
        ];
        let parts: [&[u8]; 14] = [
            b" ", b"\n", b"\t", b"0.5", b"-1", b"word", b"\xe8\xaf\x8d", b"\xff", b"nan", b"\0", b"1e5",
            b"\r\n", b"2 2\n", b"0.123456",
        ];
        let endings = ["v.txt", "v.bin", "v.npy", "v.txt.gz", "v.zst", "v.zip", "v.tar"];
        let joined: Vec<u8> = pieces.iter().flat_map(|&piece| parts[piece].to_vec()).collect();
        let folder = Folder::new();
        for body in [body, joined] {
            let file = folder.file(endings[ending], [starts[start], &body].concat());
            for words in [None, Some(folder.file("words.txt", "a\nb\n").path)] {
                let file = VectorFile { words, ..file.clone() };
                let one = some(&file, 1, &|_| true);
                prop_assert_eq!(&one, &some(&file, 3, &|_| true));
                prop_assert_eq!(header(&file).is_ok() || one.is_err(), true);
                let _ = some(&file, 2, &|word| word.len() > 2);
            }
        }
    }

    #[test]
    fn changed_bytes_end_in_order(
        kind in 0usize..3,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let folder = Folder::new();
        let rows = vectors(12, 3);
        let mut content = match kind {
            0 => text(&rows),
            1 => binary(&rows, "", "\n"),
            _ => npy(&shape("<f4", "False", "(12, 3)"), 1, &single(&rows)),
        };
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        let file = match kind {
            2 => matrix(&folder, "v", content, &word_list(&rows)),
            _ => folder.file("v", content),
        };
        prop_assert_eq!(some(&file, 1, &|_| true), some(&file, 8, &|_| true));
    }
}
