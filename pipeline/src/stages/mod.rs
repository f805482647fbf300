//! Stages: each a pure function from a plan and its inputs to one dataset.

pub mod shards;
pub mod synonyms;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use juzi_schemas::dataset::{self, STORE};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{self, Manifest};
use juzi_schemas::shard::FORMAT;

use crate::error::Result;
use crate::flow::progress::Phase;
use crate::inputs::hash_files;
use crate::plan::Plan;

/// How a stage runs; nothing here changes what it makes.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Directory of the plan's datasets.
    pub data: PathBuf,
    /// Worker threads.
    pub threads: usize,
    /// Memory to stay within, in bytes.
    pub memory_bytes: u64,
    /// Shows nothing but errors.
    pub quiet: bool,
    /// The command that goes on after an interruption.
    pub resume: String,
}

/// What the dataset of a stage follows from.
pub struct Identity {
    /// Hash of all below.
    pub fingerprint: Fingerprint,
    /// The inputs with their hashes, sorted.
    pub inputs: Vec<manifest::Input>,
    /// The dictionaries with their hashes.
    pub dictionaries: BTreeMap<String, Fingerprint>,
    /// The resolved plan.
    pub plan: serde_json::Value,
}

/// Dictionaries by file name, as they are compiled in.
pub type Dictionaries<'d> = &'d [(&'d str, &'d str)];

impl Identity {
    /// The identity of a stage's dataset.
    pub fn new(
        stage: &str,
        mut inputs: Vec<manifest::Input>,
        dictionaries: Dictionaries<'_>,
        plan: serde_json::Value,
    ) -> Identity {
        inputs.sort();
        let dictionaries: BTreeMap<String, Fingerprint> = dictionaries
            .iter()
            .map(|(name, text)| (name.to_string(), Fingerprint::of(text.as_bytes())))
            .collect();
        let fingerprint = Fingerprint::of_json(&(stage, FORMAT, &plan, &inputs, &dictionaries));
        Identity {
            fingerprint,
            inputs,
            dictionaries,
            plan,
        }
    }

    /// The directory of the dataset, if it is there, whole; its stable name points at it then.
    ///
    /// # Errors
    /// A file of it has another size than it should.
    pub fn made(&self, stage: &str, options: &RunOptions) -> Result<Option<PathBuf>> {
        let dir = dataset::directory(&options.data, stage, &self.fingerprint);
        match Manifest::read(&dir) {
            Ok(manifest) if manifest.fingerprint == self.fingerprint => {
                dataset::check_sizes(&dir, &manifest)?;
                dataset::settle(&options.data, stage, &dir, &manifest)?;
                Ok(Some(dir))
            }
            _ => Ok(None),
        }
    }
}

/// A stage of a plan, as `status` and `prune` see it.
pub type Described = (&'static str, fn(&Plan, &RunOptions) -> Result<Identity>);

/// The stages that a plan asks for, in the order in which they are made.
pub fn of(plan: &Plan) -> Vec<Described> {
    let mut stages: Vec<Described> = Vec::new();
    if !plan.corpora.is_empty() {
        stages.push((shards::NAME, shards::identity));
    }
    if plan.synonyms.is_some() {
        stages.push((synonyms::NAME, synonyms::identity));
    }
    stages
}

/// Hashes of input files, remembered in the store from run to run.
///
/// # Errors
/// A file cannot be read.
fn hashes(paths: &[PathBuf], options: &RunOptions) -> Result<Vec<Fingerprint>> {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let phase = Phase::start("hash", paths.iter().map(size).sum(), options.quiet);
    hash_files(
        paths,
        &options.data.join(STORE).join("inputs.json"),
        options.threads,
        &phase.counters.bytes,
    )
}

/// Base name of a file, for manifests and ledgers.
fn base_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
