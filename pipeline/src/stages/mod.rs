//! Stages: each a pure function from a plan and its inputs to one dataset.

pub mod batches;
mod figures;
pub mod negatives;
pub mod shards;
pub mod synonyms;
pub mod topics;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use juzi_schemas::dataset::{self, STORE};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{self, Manifest};
use juzi_schemas::shard::FORMAT;

use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::inputs::hash_files;
use crate::plan::Plan;
use crate::vectors::VectorFile;

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

/// How a run of a stage ended.
pub enum Outcome {
    /// The dataset was there.
    Fresh(PathBuf),
    /// The dataset was made; what there is to say of it.
    Made(PathBuf, Box<dyn Display>),
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

/// What a run begins with: the identity of the dataset, and its directory if it is there.
fn begin(
    stage: &str,
    plan: &Plan,
    options: &RunOptions,
    identity: fn(&Plan, &RunOptions) -> Result<Identity>,
) -> Result<(Identity, Option<PathBuf>)> {
    let store = options.data.join(STORE);
    std::fs::create_dir_all(&store).map_err(juzi_schemas::Error::io(&store))?;
    let identity = identity(plan, options)?;
    let made = identity.made(stage, options)?;
    Ok((identity, made))
}

/// The dataset of an earlier stage as an input of the stage `stage`.
fn input_of(stage: &str, earlier: &str, identity: &Identity) -> manifest::Input {
    manifest::Input {
        corpus: stage.into(),
        split: earlier.into(),
        file: earlier.into(),
        bytes: 0,
        hash: identity.fingerprint,
    }
}

/// Files that keys of a stage's table name, as its inputs.
fn file_inputs(
    stage: &str,
    files: &[(&'static str, PathBuf)],
    vectors: Option<&VectorFile>,
    options: &RunOptions,
) -> Result<Vec<manifest::Input>> {
    let paths: Vec<PathBuf> = files.iter().map(|(_, path)| path.clone()).collect();
    let hashes = hashes(&paths, options)?;
    let mut inputs = Vec::new();
    for ((key, path), hash) in files.iter().zip(hashes) {
        let members = vectors.and_then(|file| file.members.as_ref());
        let members = members.filter(|_| *key == "vectors");
        let name = base_name(path);
        inputs.push(manifest::Input {
            corpus: stage.into(),
            split: key.to_string(),
            file: members.map_or(name.clone(), |members| format!("{name}::{members}")),
            bytes: std::fs::metadata(path).map_err(Error::input(path))?.len(),
            hash,
        });
    }
    Ok(inputs)
}

/// Directory and manifest of the dataset of an earlier stage, which must be made by now; `stage` is
/// the one that needs it.
fn dataset_of(
    plan: &Plan,
    options: &RunOptions,
    stage: &str,
    earlier: &str,
    identity: &Identity,
) -> Result<(PathBuf, Manifest)> {
    let dir = dataset::directory(&options.data, earlier, &identity.fingerprint);
    let manifest = Manifest::read(&dir).map_err(|_| Error::Plan {
        path: plan.path.clone(),
        message: format!(
            "[{stage}] needs the {earlier} of this plan, which are not made yet; first run: {}",
            options.resume.replacen(stage, earlier, 1)
        ),
    })?;
    dataset::check_sizes(&dir, &manifest)?;
    Ok((dir, manifest))
}

/// A stage, as those see it who know only its name.
#[derive(Clone, Copy)]
pub struct Stage {
    /// Its table, its subcommand, its directory.
    pub name: &'static str,
    /// What its dataset follows from.
    pub identity: fn(&Plan, &RunOptions) -> Result<Identity>,
    /// Makes its dataset, or finds it made, or goes on where a run was stopped.
    pub run: fn(&Plan, &RunOptions) -> Result<Outcome>,
}

/// The stages that a plan asks for, in the order in which they are made.
pub fn of(plan: &Plan) -> Vec<Stage> {
    let stage = |asked: bool, name, identity, run| {
        asked.then_some(Stage {
            name,
            identity,
            run,
        })
    };
    [
        stage(
            !plan.corpora.is_empty(),
            shards::NAME,
            shards::identity,
            shards::run,
        ),
        stage(
            plan.synonyms.is_some(),
            synonyms::NAME,
            synonyms::identity,
            synonyms::run,
        ),
        stage(
            plan.topics.is_some(),
            topics::NAME,
            topics::identity,
            topics::run,
        ),
        stage(
            plan.negatives.is_some(),
            negatives::NAME,
            negatives::identity,
            negatives::run,
        ),
        stage(
            plan.batches.is_some(),
            batches::NAME,
            batches::identity,
            batches::run,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
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
