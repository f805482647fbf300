//! What every test uses: a directory of its own, runs of `juzi`, and what they left there.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, UInt8Type};
use arrow::record_batch::RecordBatch;
use juzi_schemas::manifest::{Manifest, Table};
use serde_json::Value;

/// The program, beside the directory of the test binary.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("juzi");
    let place = program.display();
    assert!(
        program.is_file(),
        "{place} is missing; build the workspace first: cargo build --release"
    );
    program
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_path_buf()
}

/// A directory of its own for one test, removed when the test succeeds.
pub struct Place {
    root: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code; none after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    /// Demands an exit code and words on stderr; gives the run back.
    #[track_caller]
    pub fn expect(self, code: i32, words: &[&str]) -> Run {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in {self:#?}");
        }
        self
    }
}

impl Place {
    /// An empty directory; the name tells tests apart.
    pub fn new(name: &str) -> Place {
        let root = std::env::temp_dir().join(format!("juzi-it-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).unwrap();
        Place { root }
    }

    /// A path inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file, with its directories.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program in this directory, ready to be given arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.current_dir(&self.root).stdin(Stdio::null());
        command.env_remove(juzi_schemas::fault::VARIABLE);
        command
    }

    /// Runs the program in this directory.
    pub fn juzi(&self, arguments: &[&str]) -> Run {
        self.command().args(arguments).output().unwrap().into()
    }

    /// Runs the stage on `plan.toml` with more flags; datasets go to the directory `data`.
    pub fn shards(&self, data: &str, flags: &[&str]) -> Run {
        let arguments = ["shards", "plan.toml", "--data", data];
        self.juzi(&[&arguments, flags].concat())
    }

    /// Writes a plan and makes its dataset in the directory `data`.
    #[track_caller]
    pub fn make(&self, plan: &str) -> Dataset {
        self.make_in("data", plan, &[])
    }

    /// Writes a plan and makes its dataset.
    #[track_caller]
    pub fn make_in(&self, data: &str, plan: &str, flags: &[&str]) -> Dataset {
        self.write("plan.toml", plan);
        self.shards(data, flags).expect(0, &[]);
        self.dataset(data)
    }

    /// Runs the stage `synonyms` on `plan.toml`; datasets go to the directory `data`.
    pub fn synonyms(&self, data: &str, flags: &[&str]) -> Run {
        let arguments = ["synonyms", "plan.toml", "--data", data];
        self.juzi(&[&arguments, flags].concat())
    }

    /// Writes a plan and makes its synonyms.
    #[track_caller]
    pub fn make_synonyms(&self, data: &str, plan: &str, flags: &[&str]) -> Dataset {
        self.write("plan.toml", plan);
        self.synonyms(data, flags).expect(0, &[]);
        self.synonyms_in(data)
    }

    /// Runs the stage `topics` on `plan.toml`; datasets go to the directory `data`.
    pub fn topics(&self, data: &str, flags: &[&str]) -> Run {
        let arguments = ["topics", "plan.toml", "--data", data];
        self.juzi(&[&arguments, flags].concat())
    }

    /// Writes a plan and makes its shards, if they are not made yet, and its topics.
    #[track_caller]
    pub fn make_topics(&self, data: &str, plan: &str, flags: &[&str]) -> Dataset {
        self.write("plan.toml", plan);
        self.shards(data, flags).expect(0, &[]);
        self.topics(data, flags).expect(0, &[]);
        self.checked(data, "topics")
    }

    /// The topics in a directory, checked.
    #[track_caller]
    pub fn topics_in(&self, data: &str) -> Dataset {
        self.checked(data, "topics")
    }

    /// Runs the stage `negatives` on `plan.toml`; datasets go to the directory `data`.
    pub fn negatives(&self, data: &str, flags: &[&str]) -> Run {
        let arguments = ["negatives", "plan.toml", "--data", data];
        self.juzi(&[&arguments, flags].concat())
    }

    /// The negatives in a directory, checked.
    #[track_caller]
    pub fn negatives_in(&self, data: &str) -> Dataset {
        self.checked(data, "negatives")
    }

    /// The shards in a directory, checked.
    #[track_caller]
    pub fn dataset(&self, data: &str) -> Dataset {
        self.checked(data, "shards")
    }

    /// The synonyms in a directory, checked.
    #[track_caller]
    pub fn synonyms_in(&self, data: &str) -> Dataset {
        self.checked(data, "synonyms")
    }

    #[track_caller]
    fn checked(&self, data: &str, stage: &str) -> Dataset {
        let dir = self.path(data).join(stage);
        let manifest = Manifest::read(&dir).unwrap();
        assert_eq!(manifest.stage, stage);
        let dataset = Dataset { dir, manifest };
        dataset.check();
        dataset
    }

    /// Directories of the store whose names say that they are datasets.
    pub fn store(&self, data: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path(data).join(".store")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
        paths.sort();
        paths
    }
}

/// A finished dataset.
pub struct Dataset {
    /// Its stable name.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Dataset {
    /// What must hold of every dataset: totals balance, all hashes hold.
    #[track_caller]
    fn check(&self) {
        let rows_of = |table| {
            let files = self.manifest.files_of(table);
            files.map(|file| file.rows).sum::<u64>()
        };
        let (rows, ledger) = (rows_of(Table::Rows), rows_of(Table::Dropped));
        assert_eq!(rows, self.manifest.rows);
        assert_eq!(ledger, self.manifest.dropped.values().sum::<u64>());
        let (_, findings) = juzi_pipeline::status::verify(&self.dir, 1).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        match self.manifest.stage.as_str() {
            "synonyms" => self.check_synonyms(),
            "topics" => self.check_topics(),
            "negatives" => crate::negatives::check(self),
            _ => self.check_records(rows, ledger),
        }
    }

    /// What must hold of shards: ids differ, keepers were kept.
    #[track_caller]
    fn check_records(&self, rows: u64, ledger: u64) {
        let Manifest { counts, .. } = &self.manifest;
        let came = counts["records_in"] + counts["documents_dropped"];
        assert_eq!(came, rows + ledger, "{counts:?}");
        assert_eq!(ledger, counts["dropped"]);
        assert_eq!(rows, self.manifest.kinds.values().sum::<u64>());
        let ids = self.ids();
        assert_eq!(ids.len() as u64, rows, "ids differ");
        let near = self.manifest.dropped.contains_key("near_duplicate");
        for batch in self.batches(Table::Dropped) {
            let keepers = batch.column_by_name("keeper").unwrap();
            let keepers = keepers.as_fixed_size_binary();
            for keeper in keepers.iter().flatten().filter(|_| !near) {
                let keeper: [u8; 16] = keeper.try_into().unwrap();
                assert!(ids.contains(&u128::from_be_bytes(keeper)));
            }
        }
    }

    /// What must hold of synonyms: ranks without gaps, no word twice, cosines descending and high
    /// enough, everything accounted for.
    #[track_caller]
    fn check_synonyms(&self) {
        let Manifest { counts, plan, .. } = &self.manifest;
        let (mut words, mut own) = (BTreeSet::new(), BTreeSet::new());
        let (mut word, mut last) = (String::new(), f32::INFINITY);
        let floor = plan["synonyms"]["cosine_min"].as_f64().unwrap() as f32;
        let k = plan["synonyms"]["k"].as_u64().unwrap() as usize;
        let imported = counts.contains_key("words_imported");
        for batch in self.batches(Table::Rows) {
            let column = |name: &str| batch.column_by_name(name).unwrap();
            let texts = |name: &str| column(name).as_string::<i32>().clone();
            let (all, synonyms, sources) = (texts("word"), texts("synonym"), texts("source"));
            let ranks = column("rank").as_primitive::<UInt8Type>();
            let cosines = column("cosine").as_primitive::<Float32Type>();
            for row in 0..batch.num_rows() {
                if ranks.value(row) == 1 {
                    word = all.value(row).to_string();
                    assert!(words.insert(word.clone()), "{word} comes twice");
                    (own, last) = (BTreeSet::new(), f32::INFINITY);
                }
                let synonym = synonyms.value(row);
                assert_eq!(all.value(row), word);
                assert!(synonym != word && own.insert(synonym.to_string()), "{word}");
                assert_eq!(usize::from(ranks.value(row)), own.len(), "{word}");
                assert!(own.len() <= k || imported, "{word}");
                assert_eq!(sources.value(row) == "import", imported);
                if sources.value(row) == "vectors" {
                    let cosine = cosines.value(row);
                    assert!(cosines.is_valid(row), "{word}");
                    assert!(cosine <= last && cosine >= floor, "{word} {synonym}");
                    last = cosine;
                }
            }
        }
        let sum = |names: &[&str]| names.iter().map(|name| counts[*name]).sum::<u64>();
        let balance = |whole: &str, parts: &[&str]| {
            assert_eq!(counts[whole], sum(parts), "{whole} {counts:?}");
        };
        if imported {
            assert_eq!(counts["words_imported"], words.len() as u64);
            assert_eq!(counts["synonyms_imported"], self.manifest.rows);
            return;
        }
        let rows = ["kept", "skipped", "bad"].map(|part| format!("vector_rows_{part}"));
        balance("vector_rows", &rows.each_ref().map(String::as_str));
        assert_eq!(counts["words_with_synonyms"], words.len() as u64);
        let searched = sum(&["words_searched", "words_named_only"]);
        assert_eq!(
            searched,
            sum(&["words_with_synonyms", "words_without_synonyms"])
        );
        let neighbors = counts.keys().filter(|name| name.starts_with("neighbors_"));
        let mut neighbors: Vec<&str> = neighbors.map(String::as_str).collect();
        neighbors.push("synonyms_of_vectors");
        balance("neighbors", &neighbors);
        let made = sum(&["synonyms_of_vectors", "synonyms_of_dictionary"]);
        assert_eq!(made, self.manifest.rows, "{counts:?}");
    }

    /// What must hold of topics: every record of the shards in its place, sizes as they are.
    #[track_caller]
    fn check_topics(&self) {
        let shards = Manifest::read(&self.dir.parent().unwrap().join("shards")).unwrap();
        let dir = self.dir.parent().unwrap().join("shards");
        let records = Dataset {
            dir,
            manifest: shards,
        };
        let files = |dataset: &Dataset| -> Vec<(String, u64)> {
            let files = dataset.manifest.files_of(Table::Rows);
            files.map(|file| (file.name.clone(), file.rows)).collect()
        };
        assert_eq!(files(self), files(&records));
        let ids = |dataset: &Dataset| -> Vec<Vec<u8>> {
            let batches = dataset.batches(Table::Rows).into_iter();
            let column = |batch: RecordBatch| {
                let ids = batch.column_by_name("id").unwrap().as_fixed_size_binary();
                ids.iter()
                    .map(|id| id.unwrap().to_vec())
                    .collect::<Vec<_>>()
            };
            batches.flat_map(column).collect()
        };
        assert_eq!(ids(self), ids(&records), "rows stand as in the shards");
        let counts = &self.manifest.counts;
        let placed = counts["records_with_topic"];
        assert_eq!(counts["records"], records.manifest.rows);
        assert_eq!(placed + counts["records_without_topic"], counts["records"]);
        let mut sizes = vec![0u64; counts["topics"] as usize];
        for batch in self.batches(Table::Rows) {
            let topics = batch.column_by_name("topic").unwrap();
            let topics = topics.as_primitive::<arrow::datatypes::UInt32Type>();
            topics
                .iter()
                .flatten()
                .for_each(|topic| sizes[topic as usize] += 1);
        }
        assert_eq!(sizes.iter().sum::<u64>(), placed);
        let batches = self.batches(Table::Topics);
        let column = batches[0].column_by_name("count").unwrap();
        let column = column.as_primitive::<arrow::datatypes::UInt64Type>();
        assert_eq!(column.values(), sizes.as_slice());
    }

    /// The batches of a table, in order.
    pub fn batches(&self, table: Table) -> Vec<RecordBatch> {
        let files = self.manifest.files_of(table);
        let mut batches = Vec::new();
        for path in files.map(|file| self.dir.join(&file.name)) {
            let read = juzi_schemas::shard::read(&path).unwrap();
            batches.extend(read.map(Result::unwrap));
        }
        batches
    }

    /// Ids of all rows.
    pub fn ids(&self) -> BTreeSet<u128> {
        let mut ids = BTreeSet::new();
        for batch in self.batches(Table::Rows) {
            let column = batch.column_by_name("id").unwrap().as_fixed_size_binary();
            let values = column.iter().map(|id| id.unwrap().try_into().unwrap());
            ids.extend(values.map(u128::from_be_bytes));
        }
        ids
    }

    /// One string column of all rows that have it, in order.
    pub fn column(&self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        for batch in self.batches(Table::Rows) {
            if let Some(column) = batch.column_by_name(name) {
                let texts = column.as_string::<i32>().iter();
                values.extend(texts.map(|text| text.unwrap_or_default().to_string()));
            }
        }
        values
    }

    /// The texts, sorted.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = self.column("text");
        texts.sort();
        texts
    }

    /// What `juzi show` answers to a query.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Vec<Value> {
        let mut command = Command::new(program());
        command.arg("show").arg(&self.dir);
        command.args(["--sql", query, "--format", "json"]);
        let run = Run::from(command.output().unwrap()).expect(0, &[]);
        let lines = run.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Rows of a query as arrays of their values.
    #[track_caller]
    pub fn values(&self, query: &str) -> Vec<Vec<Value>> {
        let rows = self.sql(query).into_iter();
        let values = |row: Value| row.as_object().unwrap().values().cloned().collect();
        rows.map(values).collect()
    }

    /// How many were dropped for a reason.
    pub fn dropped(&self, reason: &str) -> u64 {
        self.manifest.dropped.get(reason).copied().unwrap_or(0)
    }

    /// The manifest as it stands on disk.
    pub fn bytes(&self) -> String {
        std::fs::read_to_string(self.dir.join("manifest.json")).unwrap()
    }
}
