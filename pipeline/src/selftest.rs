//! `juzi selftest`: proves on the user's own disk that a killed run loses nothing.
//!
//! A small run is made once without disturbance. Then it is started again and again in an empty
//! directory, each time killed (SIGKILL) at the next crash point: in the middle of a write, before
//! a sync, around a rename, inside a journal line, around the manifest. After each kill the same
//! command is given again, and the dataset must come out byte for byte the same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use juzi_schemas::fault;
use juzi_schemas::manifest;

use crate::error::{Error, Result};
use crate::stages::{batches, negatives, shards, synonyms, topics};
use crate::status;

/// Upper bound on crash points, so that a defect cannot loop for ever.
const POINTS_MAX: u64 = 5_000;

/// Result of a self-test.
#[derive(Debug, Default)]
pub struct Proof {
    /// Kills by name of the crash point.
    pub points: BTreeMap<String, u64>,
}

/// Walks through every crash point with `program` (the juzi binary) in a directory below `place`.
///
/// # Errors
/// The first point after which the dataset differs, or a run that fails by itself.
pub fn crash_points(
    program: &Path,
    place: &Path,
    threads: usize,
    mut tell: impl FnMut(&str),
) -> Result<Proof> {
    let root = place.join(format!("juzi-selftest-{}", std::process::id()));
    let failed = |path: &Path| juzi_schemas::Error::io(path.to_path_buf());
    std::fs::create_dir_all(&root).map_err(failed(&root))?;
    let mut proof = Proof::default();
    let corpus = write_corpus(&root)?;
    let stages = [
        (shards::NAME, corpus.clone(), None),
        (synonyms::NAME, write_vectors(&root)?, None),
        (
            topics::NAME,
            write_topics(&root, &corpus)?,
            Some(shards::NAME),
        ),
        (negatives::NAME, write_pairs(&root)?, Some(shards::NAME)),
        (
            batches::NAME,
            write_batches(&root, &corpus)?,
            Some(shards::NAME),
        ),
    ];
    for (stage, plan, before) in &stages {
        let run = Trial {
            program,
            stage,
            before: *before,
            plan,
            threads,
        };
        run.walk(&root, &mut proof, &mut tell)?;
    }
    std::fs::remove_dir_all(&root).map_err(failed(&root))?;
    Ok(proof)
}

/// A small run of one stage.
struct Trial<'t> {
    program: &'t Path,
    stage: &'t str,
    /// The stage that must be made before, undisturbed.
    before: Option<&'t str>,
    plan: &'t Path,
    threads: usize,
}

impl Trial<'_> {
    /// Kills the run at one point after the other until it ends by itself.
    fn walk(&self, root: &Path, proof: &mut Proof, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let failed = |path: &Path| juzi_schemas::Error::io(path.to_path_buf());
        let good = root.join(format!("good-{}", self.stage));
        self.prepare(&good)?;
        self.start(&good, None)?;
        let wanted = self.read_manifest(&good)?;
        for number in 1..POINTS_MAX {
            let data = root.join("killed");
            self.prepare(&data)?;
            match self.start(&data, Some(number))? {
                None => {
                    return std::fs::remove_dir_all(&data).map_err(|e| failed(&data)(e).into());
                }
                Some(point) => {
                    self.start(&data, None)?;
                    let (_, findings) = status::verify(&data.join(self.stage), self.threads)?;
                    let same = self.read_manifest(&data)? == wanted;
                    if !same || !findings.is_empty() || self.leftovers(&data)? {
                        return Err(Error::Resources(format!(
                            "{}: after a crash at point {number} ({point}) the dataset differs: compare {} with {}",
                            self.stage,
                            data.display(),
                            good.display()
                        )));
                    }
                    if number % 50 == 0 {
                        tell(&format!("{}: {number} crash points survived", self.stage));
                    }
                    *proof.points.entry(point).or_default() += 1;
                    std::fs::remove_dir_all(&data).map_err(failed(&data))?;
                }
            }
        }
        Err(Error::Resources(format!(
            "more than {POINTS_MAX} crash points"
        )))
    }

    /// True when the directory of the complete dataset holds a file that its manifest does not name.
    fn leftovers(&self, data: &Path) -> Result<bool> {
        let dir = data.join(self.stage);
        let manifest = manifest::Manifest::read(&dir)?;
        let entries = std::fs::read_dir(&dir).map_err(juzi_schemas::Error::io(&dir))?;
        let known = |name: &str| {
            name == manifest::NAME
                || name == manifest::REPORT
                || name == manifest::PAGE
                || manifest.files.iter().any(|file| file.name == name)
        };
        Ok(entries
            .flatten()
            .any(|entry| !known(&entry.file_name().to_string_lossy())))
    }

    fn read_manifest(&self, data: &Path) -> Result<String> {
        let path = data.join(self.stage).join(manifest::NAME);
        Ok(std::fs::read_to_string(&path).map_err(juzi_schemas::Error::io(&path))?)
    }

    /// Makes what the stage needs.
    fn prepare(&self, data: &Path) -> Result<()> {
        let before = self.before.map(|stage| self.run(stage, data, None));
        before.transpose().map(drop)
    }

    /// Runs the stage; the name of the crash point when the run was killed there.
    fn start(&self, data: &Path, crash: Option<u64>) -> Result<Option<String>> {
        self.run(self.stage, data, crash)
    }

    fn run(&self, stage: &str, data: &Path, crash: Option<u64>) -> Result<Option<String>> {
        let mut command = Command::new(self.program);
        command
            .arg(stage)
            .arg(self.plan)
            .arg("--data")
            .arg(data)
            .args(["--quiet", "--threads", &self.threads.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.env_remove(fault::VARIABLE);
        if let Some(number) = crash {
            command.env(fault::VARIABLE, number.to_string());
        }
        let output = command.output().map_err(Error::input(self.program))?;
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        match (output.status.signal(), output.status.code()) {
            (Some(9), _) => {
                let point = talk
                    .lines()
                    .find_map(|line| line.strip_prefix("crash point: "));
                Ok(Some(point.unwrap_or("an unnamed point").to_string()))
            }
            (_, Some(0)) => Ok(None),
            (signal, code) => Err(Error::Resources(format!(
                "the run ended with {signal:?} {code:?}: {talk}"
            ))),
        }
    }
}

/// A corpus of a few units and shards with duplicates, bad lines and pairs.
fn write_corpus(root: &Path) -> Result<PathBuf> {
    let mut news = String::new();
    for number in 0..60 {
        let body: String = (0..4)
            .map(|at| format!("这是第{}篇新闻的第{at}句话，内容各不相同。", number % 50))
            .collect();
        let _ = writeln!(
            news,
            "{{\"title\":\"第{number}号标题在这里\",\"desc\":\"\",\"content\":\"{body}\"}}"
        );
        if number % 20 == 7 {
            news.push_str("{\"title\": broken\n");
        }
    }
    let pairs: String = (0..40)
        .map(|number| format!("[\"问题{number}怎么办呢\", \"回答{number}是这样的\"]\n"))
        .collect();
    let plan = "name = \"selftest\"\n\
        [[corpora]]\nname = \"news\"\nreader = \"news2016zh\"\ntrain = [\"news.json\"]\nviews = [\"sentences\"]\n\
        [[corpora]]\nname = \"pairs\"\nreader = \"embedding_training_data\"\ntrain = [\"pairs.jsonl\"]\n\
        [shards]\nunit_bytes = \"4KiB\"\nshard_bytes = \"6KiB\"\ndropped_ratio_max = 0.2\n\
        [shards.near_duplicates]\nenabled = true\n";
    let path = |name: &str| root.join(name);
    for (name, text) in [
        ("news.json", news.as_str()),
        ("pairs.jsonl", &pairs),
        ("plan.toml", plan),
    ] {
        std::fs::write(path(name), text).map_err(juzi_schemas::Error::io(path(name)))?;
    }
    Ok(path("plan.toml"))
}

/// Pairs whose anchors are half of their positives, some of which do not find themselves.
fn write_pairs(root: &Path) -> Result<PathBuf> {
    let mut text = String::new();
    for number in 0..60 {
        let (one, other) = (number * 7 % 60, number * 11 % 60);
        let positive = match number % 9 {
            4 => format!("第{other}号回答说的是别的事情"),
            _ => format!("第{one}号问题怎么办呢，第{other}号办法最好"),
        };
        let _ = writeln!(text, "[\"第{one}号问题怎么办呢\", \"{positive}\"]");
    }
    let plan = "name = \"selftest-negatives\"\n\
        [[corpora]]\nname = \"pairs\"\nreader = \"embedding_training_data\"\ntrain = [\"questions.jsonl\"]\n\
        [shards]\nshard_bytes = \"2KiB\"\n\
        [negatives]\nk = 20\ncount = 3\nrandom_fill = true\n\
        [negatives.consistency]\nenabled = true\nk = 1\n";
    let path = |name: &str| root.join(name);
    for (name, text) in [("questions.jsonl", text.as_str()), ("negatives.toml", plan)] {
        std::fs::write(path(name), text).map_err(juzi_schemas::Error::io(path(name)))?;
    }
    Ok(path("negatives.toml"))
}

/// Vectors of a few hundred words, to be searched approximately, with bad rows.
fn write_vectors(root: &Path) -> Result<PathBuf> {
    let mut text = String::from("402 8\n");
    for number in 0..400u32 {
        let word = char::from_u32(0x4e00 + number * 7).expect("a Han character");
        let _ = write!(text, "{word}语");
        for place in 0..8 {
            let wave = f64::from((number / 4) * (place + 3)) + f64::from(number % 4) * 0.05;
            let _ = write!(text, " {:.4}", wave.sin());
        }
        text.push('\n');
    }
    text.push_str("坏 1 2 x 4 5 6 7 8\n零 0 0 0 0 0 0 0 0\n");
    let plan = "name = \"selftest-synonyms\"\n[synonyms]\nvectors = \"vectors.txt\"\nvocabulary = \"vectors\"\n\
        index = \"ivf\"\nlists = 10\nk = 3\nneighbors = 6\n";
    let path = |name: &str| root.join(name);
    for (name, text) in [("vectors.txt", text.as_str()), ("synonyms.toml", plan)] {
        std::fs::write(path(name), text).map_err(juzi_schemas::Error::io(path(name)))?;
    }
    Ok(path("synonyms.toml"))
}

/// The same corpus with words, and vectors of some of them, so that topics are split and merged.
fn write_topics(root: &Path, corpus: &Path) -> Result<PathBuf> {
    let mut text = String::new();
    let words = [
        "这是",
        "新闻",
        "内容",
        "问题",
        "回答",
        "标题",
        "怎么办",
        "这样",
        "不",
        "相同",
        "第",
        "号",
    ];
    for (number, word) in words.iter().enumerate() {
        text.push_str(word);
        for place in 0..6 {
            let _ = write!(text, " {:.4}", ((number * (place + 2)) as f64).sin());
        }
        text.push('\n');
    }
    text.push_str("坏 1 2 x 4 5 6\n");
    let path = |name: &str| root.join(name);
    let plan = std::fs::read_to_string(corpus).map_err(Error::input(corpus))?;
    let plan = plan.replace("[shards]\n", "[shards]\nwords = true\n")
        + "[topics]\nvectors = \"words.txt\"\ntopics = 4\nsize_min = 3\nsize_max = 30\n";
    for (name, text) in [("words.txt", text.as_str()), ("topics.toml", &plan)] {
        std::fs::write(path(name), text).map_err(juzi_schemas::Error::io(path(name)))?;
    }
    Ok(path("topics.toml"))
}

/// The pairs of the same corpus in two passes of small batches and windows, with rows left over.
fn write_batches(root: &Path, corpus: &Path) -> Result<PathBuf> {
    let plan = std::fs::read_to_string(corpus).map_err(Error::input(corpus))?;
    let plan = plan + "[batches]\nsize = 6\npasses = 2\nwindow = \"2kB\"\n";
    let path = root.join("batches.toml");
    std::fs::write(&path, plan).map_err(juzi_schemas::Error::io(&path))?;
    Ok(path)
}
