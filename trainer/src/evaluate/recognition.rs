//! Which tasks a file or a folder holds: a file of tasks says it, others are recognised by their
//! layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::evaluators::{Lines, Options, Prompts, Task, Tasks};
use crate::{Error, Result};

/// What is recognised.
const ACCEPTED: &str = "accepted are a .toml file of tasks; a folder in BEIR's layout (corpus.jsonl, \
                        queries.jsonl, qrels/*.tsv); a folder with train.tsv and test.tsv or dev.tsv \
                        (label, text); a .tsv or .tsv.gz file of two texts and a number, or of two \
                        texts";

/// Tasks of one file, with what stands before their texts.
pub struct Set {
    /// What stands before texts.
    pub prompts: Prompts,
    /// The tasks, their files read.
    pub tasks: Vec<Task>,
}

/// Reads all tasks.
///
/// # Errors
/// One is not recognised, cannot be read, or has the name of another.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Set>> {
    let mut places: BTreeMap<String, &Path> = BTreeMap::new();
    let mut all = Vec::new();
    for path in paths {
        let tasks = recognise(path)?;
        for name in tasks.tasks.keys() {
            if let Some(other) = places.insert(name.clone(), path) {
                return Err(Error::Usage(format!(
                    "two tasks have the name {name}: in {} and in {}; a .toml file of tasks gives \
                     them names",
                    other.display(),
                    path.display()
                )));
            }
        }
        all.push(tasks);
    }
    let open = |tasks: Tasks| {
        Ok(Set {
            tasks: tasks.open()?,
            prompts: tasks.prompts,
        })
    };
    all.into_iter().map(open).collect()
}

/// The tasks of a file or a folder.
///
/// # Errors
/// There is none, or it is nothing that is known.
pub fn recognise(path: &Path) -> Result<Tasks> {
    let metadata = std::fs::metadata(path).map_err(Error::input(path))?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let tasks = match (metadata.is_dir(), ending, stem(path)) {
        (true, ..) => folder(path)?,
        (false, Some("toml"), _) => return Tasks::read(path),
        (false, _, Some(name)) => file(path, name)?,
        _ => Vec::new(),
    };
    if tasks.is_empty() {
        let path = path.display();
        return Err(Error::Usage(format!("{path}: no task here; {ACCEPTED}")));
    }
    let parse = |(name, value): (String, Value)| {
        let options = serde_json::from_value::<Options>(value);
        let options = options.map_err(|error| Error::Defect(format!("task {name}: {error}")))?;
        Ok((name, options))
    };
    Ok(Tasks {
        prompts: Prompts::default(),
        tasks: tasks.into_iter().map(parse).collect::<Result<_>>()?,
    })
}

type Found = Vec<(String, Value)>;

fn folder(path: &Path) -> Result<Found> {
    let whole = path.canonicalize().map_err(Error::input(path))?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let has = |file: &str| path.join(file).exists();
    if has("corpus.jsonl") && has("queries.jsonl") {
        return searches(path, &name);
    }
    let test = ["test.tsv", "dev.tsv"].into_iter().find(|file| has(file));
    if let (true, Some(test)) = (has("train.tsv"), test) {
        let (train, test) = (path.join("train.tsv"), path.join(test));
        if fields(&train)?.number == 2 && fields(&test)?.number == 2 {
            return Ok(["linear_probe", "knn"]
                .map(|kind| {
                    let task = json!({ "evaluator": kind, "train": train, "test": test });
                    (format!("{name}_{kind}"), task)
                })
                .into());
        }
    }
    Ok(Vec::new())
}

/// A search for each split of BEIR's layout.
fn searches(path: &Path, name: &str) -> Result<Found> {
    let judgements = path.join("qrels");
    let files = std::fs::read_dir(&judgements).map_err(Error::input(&judgements))?;
    let files = files.filter_map(|file| Some(file.ok()?.path()));
    let tables = files.filter(|file| file.extension().is_some_and(|ending| ending == "tsv"));
    let splits = tables.filter_map(|file| Some(file.file_stem()?.to_str()?.to_string()));
    let mut splits: Vec<String> = splits.collect();
    splits.sort();
    let alone = splits.len() == 1;
    let task = |split: String| {
        let own = if alone {
            name.to_string()
        } else {
            format!("{name}_{split}")
        };
        let task = json!({ "evaluator": "retrieval", "dir": path, "split": split });
        (own, task)
    };
    Ok(splits.into_iter().map(task).collect())
}

/// Name of a table without `.tsv` or `.tsv.gz`; none of other files.
fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".gz")
        .unwrap_or(name)
        .strip_suffix(".tsv")
}

fn file(path: &Path, name: &str) -> Result<Found> {
    let fields = fields(path)?;
    let task = match (fields.number, fields.numbers, fields.binary) {
        (3, true, true) => json!({ "evaluator": "pair_classification", "file": path }),
        (3, true, false) => json!({ "evaluator": "similarity", "files": [path] }),
        (2, ..) => json!({ "evaluator": "bitext", "file": path }),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![(name.into(), task)])
}

/// What the lines of a table are like.
#[derive(Debug, PartialEq)]
struct Fields {
    /// Fields of the first line; 0 without lines.
    number: usize,
    /// Whether the third field of every line is a number.
    numbers: bool,
    /// Whether each of these is 0 or 1.
    binary: bool,
}

/// Looks at a table; whether every line has as many fields is the evaluator's to check.
fn fields(path: &Path) -> Result<Fields> {
    let mut fields = Fields {
        number: 0,
        numbers: true,
        binary: true,
    };
    for (_, line) in Lines::read(path)?.numbered() {
        let all: Vec<&str> = line.split('\t').collect();
        if fields.number == 0 {
            fields.number = all.len();
        }
        let score: Option<f64> = all.get(2).and_then(|score| score.trim().parse().ok());
        fields.numbers &= score.is_some();
        fields.binary &= score.is_some_and(|score| score == 0.0 || score == 1.0);
        if fields.number != 3 {
            break;
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{Options, file, folder, recognise, stem};
    use crate::loader::fixtures::Place;

    fn place(files: &[(&str, &str)]) -> Place {
        let place = Place::new();
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }

    fn kinds(found: &[(String, Value)]) -> Vec<(&str, &str)> {
        let all = found.iter();
        all.map(|(name, task)| (name.as_str(), task["evaluator"].as_str().unwrap()))
            .collect()
    }

    #[test]
    fn the_tasks_of_the_sample_are_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks/sample.toml");
        let tasks = recognise(&path).unwrap().tasks;
        let kinds: Vec<&str> = tasks.values().map(Options::kind).collect();
        assert_eq!(kinds, ["bitext", "linear_probe", "knn", "retrieval"]);
    }

    #[test]
    fn files_are_known_by_their_fields() {
        let place = place(&[
            ("sts.tsv", "甲\t乙\t0\n甲\t丙\t1\n乙\t丙\t2.5\n"),
            ("pairs.tsv", "甲\t乙\t0\n\n甲\t丙\t1\n"),
            ("zh_en.tsv", "甲\ta\n乙\tb\n"),
            ("four.tsv", "甲\t乙\t丙\t1\n"),
            ("words.tsv", "甲\t乙\t丙\n"),
            ("empty.tsv", ""),
        ]);
        for (name, kind) in [
            ("sts", "similarity"),
            ("pairs", "pair_classification"),
            ("zh_en", "bitext"),
        ] {
            let found = file(&place.path(&format!("{name}.tsv")), name).unwrap();
            assert_eq!(kinds(&found), [(name, kind)]);
            let tasks = recognise(&place.path(&format!("{name}.tsv"))).unwrap();
            assert_eq!(tasks.tasks[name].kind(), kind);
            tasks.open().unwrap();
        }
        for (name, wanted) in [
            ("a.b.tsv", Some("a.b")),
            ("c.tsv.gz", Some("c")),
            ("d.gz", None),
        ] {
            assert_eq!(stem(Path::new(name)), wanted);
        }
        for name in ["four.tsv", "words.tsv", "empty.tsv"] {
            let error = recognise(&place.path(name)).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert!(
                error.to_string().contains("no task here; accepted are"),
                "{error}"
            );
        }
        let missing = recognise(&place.path("nowhere.tsv")).unwrap_err();
        assert!(missing.to_string().contains("nowhere.tsv"), "{missing}");
    }

    #[test]
    fn folders_are_known_by_their_files() {
        let place = place(&[
            ("qa/corpus.jsonl", ""),
            ("qa/queries.jsonl", ""),
            ("qa/qrels/valid.tsv", ""),
            ("two/corpus.jsonl", ""),
            ("two/queries.jsonl", ""),
            ("two/qrels/test.tsv", ""),
            ("two/qrels/dev.tsv", ""),
            ("topics/train.tsv", "a\t甲\nb\t乙\n"),
            ("topics/dev.tsv", "a\t甲\nb\t乙\n"),
            ("pairs/train.tsv", "甲\t乙\t1\n"),
            ("pairs/test.tsv", "甲\t乙\t1\n"),
        ]);
        let found = folder(&place.path("qa")).unwrap();
        assert_eq!(kinds(&found), [("qa", "retrieval")]);
        let wanted = json!({
            "evaluator": "retrieval", "dir": place.path("qa"), "split": "valid",
        });
        assert_eq!(found[0].1, wanted);
        recognise(&place.path("qa")).unwrap();
        let found = folder(&place.path("two")).unwrap();
        let wanted = [("two_dev", "retrieval"), ("two_test", "retrieval")];
        assert_eq!(kinds(&found), wanted);
        let found = folder(&place.path("topics")).unwrap();
        let wanted = [
            ("topics_linear_probe", "linear_probe"),
            ("topics_knn", "knn"),
        ];
        assert_eq!(kinds(&found), wanted);
        recognise(&place.path("topics")).unwrap().open().unwrap();
        assert_eq!(found[1].1["test"], json!(place.path("topics/dev.tsv")));
        let error = recognise(&place.path("pairs")).unwrap_err().to_string();
        assert!(error.contains("BEIR's layout"), "{error}");
    }
}
