//! LUSE's file of synonyms: one JSON object `{"word": ["synonym", …], …}`, read and written as a stream.

use std::collections::HashSet;
use std::fmt;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use juzi_schemas::synonym::Synonyms;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_128;

use crate::{Error, Result};

/// Synonyms that a word can have: ranks are numbers of one byte.
pub const SYNONYMS_MAX: usize = 255;

/// Writes all words with their synonyms, in the order of the dataset, byte for byte as Python's
/// `json.dump(…, ensure_ascii=False)` does. Gives the number of words.
///
/// # Errors
/// The output cannot be written.
pub fn export(synonyms: &Synonyms, out: impl Write) -> std::io::Result<u64> {
    let words = synonyms.iter();
    write(
        words.map(|(word, all)| (word, all.map(|synonym| synonym.text))),
        out,
    )
}

/// Writes words with their synonyms as [`export`] does.
///
/// # Errors
/// The output cannot be written.
pub fn write<'a, S>(
    words: impl Iterator<Item = (&'a str, S)>,
    out: impl Write,
) -> std::io::Result<u64>
where
    S: Iterator<Item = &'a str>,
{
    let mut out = BufWriter::new(out);
    let mut count = 0;
    out.write_all(b"{")?;
    for (word, synonyms) in words {
        out.write_all(if count == 0 { b"" } else { b", " })?;
        serde_json::to_writer(&mut out, word)?;
        out.write_all(b": [")?;
        for (at, synonym) in synonyms.enumerate() {
            out.write_all(if at == 0 { b"" } else { b", " })?;
            serde_json::to_writer(&mut out, synonym)?;
        }
        out.write_all(b"]")?;
        count += 1;
    }
    out.write_all(b"}")?;
    out.flush()?;
    Ok(count)
}

/// Why something of an imported file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The word is empty.
    EmptyWord,
    /// The word was there before; these synonyms of it are not used.
    RepeatedWord,
    /// No synonym of the word is left.
    NoSynonyms,
    /// The synonym is empty.
    EmptySynonym,
    /// The synonym is the word.
    WordItself,
    /// The synonym was there before.
    RepeatedSynonym,
    /// There are 255 before it.
    TooMany,
}

impl DropReason {
    /// One sentence on the reason.
    pub fn explain(self) -> &'static str {
        match self {
            DropReason::EmptyWord => "the word is empty or white space",
            DropReason::RepeatedWord => "the word was there before; its first synonyms are used",
            DropReason::NoSynonyms => "the word has no synonym that can be used",
            DropReason::EmptySynonym => "the synonym is empty or white space",
            DropReason::WordItself => "the synonym is the word itself",
            DropReason::RepeatedSynonym => "the word has the synonym twice",
            DropReason::TooMany => "a word can have 255 synonyms, and this one is beyond them",
        }
    }
}

/// A word or a synonym of an imported file that is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The word.
    pub word: String,
    /// The synonym, where the reason is not of the whole word.
    pub synonym: Option<String>,
    /// Why.
    pub reason: DropReason,
}

/// Reads a file from `input` and hands each word with its synonyms to `each`, in the order of the file; gives
/// what was not used. `path` is for messages. Only one word is in memory at a time, and a hash of each earlier one.
///
/// # Errors
/// The input cannot be read or is not such JSON (with line and column), or `each` fails.
pub fn import(
    input: impl Read,
    path: &Path,
    each: impl FnMut(&str, &[String]) -> Result<()>,
) -> Result<Vec<Dropped>> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    skip_byte_order_mark(&mut input).map_err(Error::input(path))?;
    let mut import = Import {
        each,
        failure: None,
        seen: HashSet::new(),
        drops: Vec::new(),
    };
    let mut json = serde_json::Deserializer::from_reader(input);
    let read = import.deserialize(&mut json).and_then(|()| json.end());
    if let Some(failure) = import.failure {
        return Err(failure);
    }
    match read {
        Ok(()) => Ok(import.drops),
        Err(error) if error.is_io() => Err(Error::input(path)(error.into())),
        Err(error) => Err(Error::Content {
            path: path.into(),
            message: format!(
                "{error}; it must be one JSON object {{\"word\": [\"synonym\", …], …}}"
            ),
        }),
    }
}

fn skip_byte_order_mark(input: &mut impl std::io::BufRead) -> std::io::Result<()> {
    if input.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
        input.consume(3);
    }
    Ok(())
}

struct Import<E> {
    each: E,
    failure: Option<Error>,
    seen: HashSet<u128>,
    drops: Vec<Dropped>,
}

impl<E: FnMut(&str, &[String]) -> Result<()>> Import<E> {
    /// Takes a word with the synonyms that remain of it.
    fn take(&mut self, word: String, synonyms: Vec<String>) -> Result<()> {
        let reason = if word.trim().is_empty() {
            Some(DropReason::EmptyWord)
        } else if !self.seen.insert(xxh3_128(word.as_bytes())) {
            Some(DropReason::RepeatedWord)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.dropped(&word, None, reason);
            return Ok(());
        }
        let mut used: Vec<String> = Vec::with_capacity(synonyms.len().min(SYNONYMS_MAX));
        for synonym in synonyms {
            let reason = if synonym.trim().is_empty() {
                DropReason::EmptySynonym
            } else if synonym == word {
                DropReason::WordItself
            } else if used.contains(&synonym) {
                DropReason::RepeatedSynonym
            } else if used.len() == SYNONYMS_MAX {
                DropReason::TooMany
            } else {
                used.push(synonym);
                continue;
            };
            self.dropped(&word, Some(synonym), reason);
        }
        if used.is_empty() {
            self.dropped(&word, None, DropReason::NoSynonyms);
            return Ok(());
        }
        (self.each)(&word, &used)
    }

    fn dropped(&mut self, word: &str, synonym: Option<String>, reason: DropReason) {
        self.drops.push(Dropped {
            word: word.into(),
            synonym,
            reason,
        });
    }
}

impl<'de, E: FnMut(&str, &[String]) -> Result<()>> DeserializeSeed<'de> for &mut Import<E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, E: FnMut(&str, &[String]) -> Result<()>> Visitor<'de> for &mut Import<E> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of words")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(word) = map.next_key()? {
            let List(synonyms) = map.next_value()?;
            if let Err(failure) = self.take(word, synonyms) {
                self.failure = Some(failure);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// The synonyms of a word; a type of its own for the sake of its message.
struct List(Vec<String>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<List, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = List;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of synonyms")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<List, A::Error> {
                let mut strings = Vec::new();
                while let Some(string) = list.next_element()? {
                    strings.push(string);
                }
                Ok(List(strings))
            }
        }
        json.deserialize_seq(Strings)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use juzi_schemas::fingerprint::Fingerprint;
    use juzi_schemas::manifest::{self, Manifest, Table};
    use juzi_schemas::shard::{self, ShardWriter};
    use juzi_schemas::synonym::{STAGE, Source, Synonyms, SynonymsBuilder};
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{DropReason, Dropped, export, import, write};
    use crate::Error;

    type Words = Vec<(String, Vec<String>)>;

    fn written(words: &Words) -> String {
        let mut out = Vec::new();
        let all = words
            .iter()
            .map(|(word, all)| (word.as_str(), all.iter().map(String::as_str)));
        assert_eq!(write(all, &mut out).unwrap(), words.len() as u64);
        String::from_utf8(out).unwrap()
    }

    fn read(json: &[u8]) -> Result<(Words, Vec<Dropped>), String> {
        let mut words = Words::new();
        let drops = import(json, Path::new("word_synonyms.json"), |word, synonyms| {
            words.push((word.into(), synonyms.into()));
            Ok(())
        });
        drops
            .map(|drops| (words, drops))
            .map_err(|error| error.to_string())
    }

    fn words(words: &[(&str, &[&str])]) -> Words {
        let strings = |all: &[&str]| all.iter().map(|&text| text.into()).collect();
        words
            .iter()
            .map(|&(word, all)| (word.into(), strings(all)))
            .collect()
    }

    #[test]
    fn written_as_python_writes_it() {
        // json.dumps(…, ensure_ascii=False) of Python 3.
        let all = words(&[
            ("高兴", &["愉快", "开心"]),
            (
                "\"引\\号\"/",
                &["\u{1}\u{1f}\u{7f}\n\r\t\u{8}\u{c}\u{2028}😀"],
            ),
            ("空", &[]),
        ]);
        let expected = "{\"高兴\": [\"愉快\", \"开心\"], \"\\\"引\\\\号\\\"/\": [\"\\u0001\\u001f\u{7f}\\n\\r\\t\\b\\f\u{2028}😀\"], \"空\": []}";
        assert_eq!(written(&all), expected);
        assert_eq!(written(&words(&[])), "{}");
    }

    #[test]
    fn a_dataset_is_written_in_its_order() {
        let dir = std::env::temp_dir().join(format!("juzi-luse-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut builder = SynonymsBuilder::default();
        for (word, rank, synonym) in [
            ("高兴", 1, "愉快"),
            ("高兴", 2, "开心"),
            ("医生", 1, "大夫"),
        ] {
            builder.push(word, rank, synonym, Some(0.5), Source::Vectors);
        }
        let path = dir.join("part.parquet");
        let mut writer = ShardWriter::new(Vec::new(), builder.schema(), &path).unwrap();
        writer.write(&builder.finish().unwrap()).unwrap();
        let (bytes, rows_hash) = writer.finish().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let file = manifest::File {
            name: "part.parquet".into(),
            table: Table::Rows,
            kind: None,
            rows: 3,
            rows_hash: rows_hash.hex(),
            bytes: bytes.len() as u64,
            bytes_hash: Fingerprint::of(&bytes),
        };
        let manifest = Manifest {
            format: shard::FORMAT,
            stage: STAGE.into(),
            fingerprint: Fingerprint::of(b""),
            rows: 3,
            rows_hash: rows_hash.hex(),
            kinds: BTreeMap::new(),
            corpora: Vec::new(),
            dropped: BTreeMap::new(),
            counts: BTreeMap::new(),
            measures: BTreeMap::new(),
            files: vec![file],
            inputs: Vec::new(),
            dictionaries: BTreeMap::new(),
            plan: serde_json::Value::Null,
        };
        std::fs::write(dir.join(manifest::NAME), manifest.to_json()).unwrap();
        let mut out = Vec::new();
        let count = export(&Synonyms::open(&dir).unwrap(), &mut out).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        let expected = "{\"高兴\": [\"愉快\", \"开心\"], \"医生\": [\"大夫\"]}";
        assert_eq!((count, out), (2, expected.as_bytes().to_vec()));
    }

    #[test]
    fn read_as_python_writes_it() {
        let json = "\u{FEFF}{\"\\u9ad8\\u5174\": [\"愉快\",\"\\ud83d\\ude00\"]\n, \"医生\" : [\"大夫\"]}\n";
        let expected = words(&[("高兴", &["愉快", "😀"]), ("医生", &["大夫"])]);
        assert_eq!(read(json.as_bytes()).unwrap(), (expected, vec![]));
        assert_eq!(read(b"{}").unwrap(), (vec![], vec![]));
    }

    #[test]
    fn what_is_not_used_is_told() {
        let json = "{\"好\": [\"好\", \"佳\", \"\", \"佳\", \"良\"], \"\": [\"空\"], \"好\": [\"善\"], \"独\": [], \"己\": [\"己\"]}";
        let (read, drops) = read(json.as_bytes()).unwrap();
        assert_eq!(read, words(&[("好", &["佳", "良"])]));
        let drops: Vec<_> = drops
            .iter()
            .map(|drop| (&*drop.word, drop.synonym.as_deref(), drop.reason))
            .collect();
        let expected = [
            ("好", Some("好"), DropReason::WordItself),
            ("好", Some(""), DropReason::EmptySynonym),
            ("好", Some("佳"), DropReason::RepeatedSynonym),
            ("", None, DropReason::EmptyWord),
            ("好", None, DropReason::RepeatedWord),
            ("独", None, DropReason::NoSynonyms),
            ("己", Some("己"), DropReason::WordItself),
            ("己", None, DropReason::NoSynonyms),
        ];
        assert_eq!(drops, expected);
    }

    #[test]
    fn a_word_has_at_most_255_synonyms() {
        let many: Vec<String> = (0..300).map(|number| format!("词{number}")).collect();
        let (read, drops) = read(written(&vec![("词".into(), many.clone())]).as_bytes()).unwrap();
        assert_eq!(read[0].1, many[..255]);
        assert_eq!(drops.len(), 45);
        assert!(drops.iter().all(|drop| drop.reason == DropReason::TooMany));
        assert_eq!(drops[0].synonym.as_deref(), Some("词255"));
    }

    #[test]
    fn damage_is_an_error_with_its_place() {
        let cases: [(&[u8], &str); 13] = [
            (b"", "line 1 column 0"),
            (
                b"{\"a\": [\"b\"",
                "EOF while parsing a list at line 1 column",
            ),
            (b"{\"a\": [\"b\"]", "EOF while parsing an object"),
            (
                b"{\"a\": [\"b\"]} x",
                "trailing characters at line 1 column 14",
            ),
            (b"{\"a\":\n \"b\"}", "a list of synonyms at line 2"),
            (b"{\"a\": null}", "a list of synonyms"),
            (b"{\"a\": [1]}", "expected a string"),
            (b"{\"a\": [[\"b\"]]}", "expected a string"),
            (b"[\"a\"]", "an object of words"),
            (b"{1: [\"a\"]}", "key must be a string"),
            (
                b"{\"a\": [\"\xFF\"]}",
                "invalid unicode code point at line 1",
            ),
            (b"{\"a\": [\"\\ud800\"]}", "line 1 column"),
            (b"{\"a\": [\"b\",]}", "trailing comma"),
        ];
        for (json, part) in cases {
            let error = read(json).err().unwrap_or_default();
            assert!(
                error.starts_with("word_synonyms.json: ") && error.contains(part),
                "{error:?} {part}"
            );
            assert!(error.contains("one JSON object"), "{error}");
        }
        let failure = import(&b"{\"a\": [\"b\"]}"[..], Path::new("x"), |_, _| {
            Err(Error::Usage("full".into()))
        });
        assert_eq!(failure.err().unwrap().to_string(), "full");
    }

    #[test]
    fn reasons_are_sentences() {
        let json = serde_json::to_string(&DropReason::TooMany).unwrap();
        assert_eq!(json, "\"too_many\"");
        assert!(
            DropReason::TooMany
                .explain()
                .contains(&super::SYNONYMS_MAX.to_string())
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in proptest::collection::btree_map("(\\PC|[好\"\\\\\n\u{1}])[^ ]{0,3}", proptest::collection::btree_set("[一-龥a-z\"\\\\]{4,6}", 1..9), 0..20)) {
            let all: Words = all.into_iter().filter(|(word, _)| !word.trim().is_empty()).map(|(word, synonyms)| (word, synonyms.into_iter().collect())).collect();
            let json = written(&all);
            let (read, drops) = read(json.as_bytes()).unwrap();
            let expected: Words = all.iter().map(|(word, synonyms)| (word.clone(), synonyms.iter().filter(|synonym| *synonym != word).cloned().collect())).collect();
            prop_assert_eq!(&read, &expected);
            prop_assert_eq!(drops.len(), all.iter().filter(|(word, synonyms)| synonyms.contains(word)).count());
            let parsed: BTreeMap<String, Vec<String>> = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(parsed, all.into_iter().collect());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60), json in "[{}\\[\\]\",: a好\\\\]{0,40}") {
            let _ = read(&bytes);
            let _ = read(json.as_bytes());
        }
    }
}
