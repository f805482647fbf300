//! `juzi status` and `juzi prune`: what of a plan is made, what is stale, and what can go.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use juzi_schemas::dataset::{self, STORE};
use juzi_schemas::journal;
use juzi_schemas::lock::Lock;
use juzi_schemas::manifest::{self, Manifest};

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::size::Size;
use crate::stages::{self, Identity, RunOptions};

/// State of a stage's dataset.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// Made from exactly this plan and these inputs.
    Fresh,
    /// Made, but from something else; the differences.
    Stale(Vec<String>),
    /// Begun and not finished: committed files and their bytes.
    Partial(usize, u64),
    /// Nothing there.
    Missing,
    /// Cannot be made as the plan stands; why.
    Blocked(String),
}

/// One line of the status table.
pub struct Status {
    /// Name of the stage.
    pub stage: &'static str,
    /// Its state.
    pub state: State,
    /// True when the stable name points at another dataset than the fresh one.
    pub elsewhere: bool,
    /// Rows, bytes and age in seconds of the fresh dataset, else of what the stable name points at.
    pub found: Option<(u64, u64, u64)>,
}

/// State of every stage of a plan.
///
/// # Errors
/// An input cannot be read.
pub fn status(plan: &Plan, options: &RunOptions) -> Result<Vec<Status>> {
    let stages = stages::of(plan).into_iter();
    stages
        .map(|stage| match (stage.identity)(plan, options) {
            Ok(identity) => status_of(stage.name, &identity, options),
            // A stage may wait for files that an earlier one does not need.
            Err(Error::Plan { message, .. }) => Ok(Status {
                stage: stage.name,
                state: State::Blocked(message),
                elsewhere: false,
                found: None,
            }),
            Err(error) => Err(error),
        })
        .collect()
}

fn status_of(stage: &'static str, identity: &Identity, options: &RunOptions) -> Result<Status> {
    let dir = dataset::directory(&options.data, stage, &identity.fingerprint);
    let link = options.data.join(stage);
    let current = Manifest::read(&link).ok();
    let wanted = Manifest::read(&dir)
        .ok()
        .filter(|manifest| manifest.fingerprint == identity.fingerprint);
    let described = wanted
        .as_ref()
        .map(|manifest| (manifest, &dir))
        .or(current.as_ref().map(|manifest| (manifest, &link)));
    let found = described.map(|(manifest, dir)| (manifest.rows, bytes(manifest), age_seconds(dir)));
    let state = if wanted.is_some() {
        State::Fresh
    } else if dir.join(journal::NAME).exists() {
        let files =
            std::fs::read_to_string(dir.join(journal::NAME)).map_or(0, |text| text.lines().count());
        State::Partial(files, tree_bytes(&dir))
    } else {
        match &current {
            Some(manifest) => State::Stale(differences(manifest, identity)),
            None => State::Missing,
        }
    };
    let points_here = current
        .as_ref()
        .is_some_and(|manifest| manifest.fingerprint == identity.fingerprint);
    Ok(Status {
        stage,
        elsewhere: state == State::Fresh && !points_here,
        state,
        found,
    })
}

impl std::fmt::Display for Status {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match &self.state {
            State::Fresh => "fresh",
            State::Stale(_) => "stale",
            State::Partial(..) => "partial",
            State::Missing => "missing",
            State::Blocked(_) => "blocked",
        };
        write!(out, "{:<10} {name:<8}", self.stage)?;
        if let Some((rows, bytes, age)) = self.found {
            write!(out, " {rows} rows, {}, {} ago", Size(bytes), duration(age))?;
        }
        if self.elsewhere {
            let stage = self.stage;
            write!(
                out,
                "\n  the name {stage} points at another dataset; run juzi {stage} to switch it"
            )?;
        }
        match &self.state {
            State::Stale(reasons) => reasons
                .iter()
                .try_for_each(|reason| write!(out, "\n  {reason}")),
            State::Partial(files, bytes) => {
                write!(
                    out,
                    "\n  {files} files committed, {}; run the stage again to go on",
                    Size(*bytes)
                )
            }
            State::Blocked(reason) => write!(out, "\n  {reason}"),
            State::Fresh | State::Missing => Ok(()),
        }
    }
}

/// Why a dataset is not what the plan now asks for.
fn differences(manifest: &Manifest, identity: &Identity) -> Vec<String> {
    let mut found = Vec::new();
    compare("", &manifest.plan, &identity.plan, &mut found);
    for input in &identity.inputs {
        let same = |old: &&manifest::Input| {
            (&old.corpus, &old.split, &old.file) == (&input.corpus, &input.split, &input.file)
        };
        match manifest.inputs.iter().find(same) {
            None => found.push(format!("input {} of {} is new", input.file, input.corpus)),
            Some(old) if old.hash != input.hash => found.push(format!(
                "input {} of {} has changed",
                input.file, input.corpus
            )),
            Some(_) => {}
        }
    }
    for old in &manifest.inputs {
        if !identity
            .inputs
            .iter()
            .any(|new| (&new.corpus, &new.split, &new.file) == (&old.corpus, &old.split, &old.file))
        {
            found.push(format!(
                "input {} of {} is gone from the plan",
                old.file, old.corpus
            ));
        }
    }
    for (name, hash) in &identity.dictionaries {
        if manifest.dictionaries.get(name) != Some(hash) {
            found.push(format!("dictionary {name} has changed"));
        }
    }
    if found.is_empty() {
        found.push("the format on disk has changed".into());
    }
    found
}

fn compare(place: &str, old: &serde_json::Value, new: &serde_json::Value, found: &mut Vec<String>) {
    match (old, new) {
        (serde_json::Value::Object(old), serde_json::Value::Object(new)) => {
            for (key, value) in new {
                let place = if place.is_empty() {
                    key.clone()
                } else {
                    format!("{place}.{key}")
                };
                compare(
                    &place,
                    old.get(key).unwrap_or(&serde_json::Value::Null),
                    value,
                    found,
                );
            }
        }
        _ if old != new => found.push(format!("plan: {place} was {old}, is {new}")),
        _ => {}
    }
}

/// Deletes datasets of the store that no stable name points at, and unfinished ones that belong
/// to no current plan. Returns what was deleted.
///
/// # Errors
/// The lock is held, or a file cannot be deleted.
pub fn prune(plan: &Plan, options: &RunOptions, only_say: bool) -> Result<Vec<(PathBuf, u64)>> {
    let mut kept = Vec::new();
    for stage in stages::of(plan) {
        match (stage.identity)(plan, options) {
            Ok(identity) => kept.push(dataset::directory(
                &options.data,
                stage.name,
                &identity.fingerprint,
            )),
            // What a blocked stage made before stays, by its stable name.
            Err(Error::Plan { .. }) => {}
            Err(error) => return Err(error),
        }
        kept.extend(std::fs::canonicalize(options.data.join(stage.name)));
    }
    let store = options.data.join(STORE);
    let mut deleted = Vec::new();
    if !store.is_dir() {
        return Ok(deleted);
    }
    for entry in std::fs::read_dir(&store).map_err(juzi_schemas::Error::io(&store))? {
        let path = entry.map_err(juzi_schemas::Error::io(&store))?.path();
        let place = std::fs::canonicalize(&path);
        let is_kept =
            |kept: &PathBuf| *kept == path || place.as_ref().is_ok_and(|place| place == kept);
        if !path.is_dir() || kept.iter().any(is_kept) {
            continue;
        }
        let lock = path.with_extension("lock");
        let _held = Lock::take(&lock)?;
        deleted.push((path.clone(), tree_bytes(&path)));
        if !only_say {
            // Without its manifest a half-deleted directory is no dataset any more.
            let manifest = path.join(manifest::NAME);
            let gone = std::fs::remove_file(&manifest);
            if let Err(source) = gone
                && source.kind() != std::io::ErrorKind::NotFound
            {
                return Err(juzi_schemas::Error::Io {
                    path: manifest,
                    source,
                }
                .into());
            }
            std::fs::remove_dir_all(&path).map_err(juzi_schemas::Error::io(&path))?;
            std::fs::remove_file(&lock).map_err(juzi_schemas::Error::io(&lock))?;
        }
    }
    Ok(deleted)
}

/// Checks every file of a dataset, in parallel; returns the manifest and what is wrong.
///
/// # Errors
/// There is no dataset.
pub fn verify(dir: &Path, threads: usize) -> Result<(Manifest, Vec<juzi_schemas::Error>)> {
    let manifest = Manifest::read(dir)?;
    let next = std::sync::atomic::AtomicUsize::new(0);
    let findings = std::sync::Mutex::new(Vec::new());
    let hashes = std::sync::Mutex::new(std::collections::BTreeMap::new());
    crate::flow::workers::run(threads, "verify", "juzi verify", |stop| {
        while !stop.stopped()
            && let Some(file) = manifest
                .files
                .get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        {
            match dataset::verify_file(dir, file) {
                Ok(hash) => drop(
                    hashes
                        .lock()
                        .expect("no holder panics")
                        .insert(file.name.clone(), hash),
                ),
                Err(error) => findings.lock().expect("no holder panics").push(error),
            }
        }
        Ok(())
    })?;
    let mut findings = findings.into_inner().expect("no holder panics");
    let hashes = hashes.into_inner().expect("no holder panics");
    if findings.is_empty() {
        let rows = manifest
            .files_of(manifest::Table::Rows)
            .map(|file| hashes[&file.name]);
        let whole = manifest::combined(rows);
        if whole.rows != manifest.rows || whole.hex() != manifest.rows_hash {
            findings.push(juzi_schemas::Error::Damaged {
                path: dir.join(manifest::NAME),
                what: "hash of all rows",
                found: format!("{} rows, {}", whole.rows, whole.hex()),
                expected: format!("{} rows, {}", manifest.rows, manifest.rows_hash),
            });
        }
        let dropped: u64 = manifest
            .files_of(manifest::Table::Dropped)
            .map(|file| file.rows)
            .sum();
        let counted: u64 = manifest.dropped.values().sum();
        if dropped != counted {
            return Err(Error::Dataset(juzi_schemas::Error::Unbalanced {
                stage: manifest.stage.clone(),
                detail: format!("{dropped} ledger rows, {counted} counted by reason"),
            }));
        }
    }
    Ok((manifest, findings))
}

fn bytes(manifest: &Manifest) -> u64 {
    manifest.files.iter().map(|file| file.bytes).sum()
}

fn tree_bytes(dir: &Path) -> u64 {
    crate::stages::shards::tree_bytes(dir)
}

fn age_seconds(link: &Path) -> u64 {
    let made =
        std::fs::metadata(link.join(manifest::NAME)).and_then(|metadata| metadata.modified());
    made.ok()
        .and_then(|made| SystemTime::now().duration_since(made).ok())
        .map_or(0, |age| age.as_secs())
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
