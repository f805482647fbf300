//! The file of an experiment: arms, seeds, tasks, and what is compared with what.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::recipe::Recipe;
use crate::{Error, Result};

/// The word for the models that arms begin from.
pub const BEFORE: &str = "before";

/// Keys of a recipe whose values are places.
const PLACES: [&str; 5] = ["dataset", "synonyms", "path", "stop_words", "file"];

/// What a baseline of word vectors begins with; the file follows.
pub const WORDS: &str = "words=";

/// Names of directories that are no arms.
const TAKEN: [&str; 2] = ["starts", "models"];

/// An experiment; places are relative to its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// Each arm is trained once for each of these.
    pub seeds: Vec<u64>,
    /// A file of tasks, on which all models are measured.
    pub tasks: String,
    /// Metrics of the score card: `task.metric`, or `task` for its primary one; none named: the
    /// primary ones of all tasks.
    pub metrics: Vec<String>,
    /// The arm that each other is compared with, or `before`: the model that each began from.
    pub against: String,
    /// Baselines beside the arms: `tfidf`, `bm25`, and `words=FILE` for means of word vectors.
    pub baselines: Vec<String>,
    /// Models that are not trained, measured as they are.
    pub models: Vec<String>,
    /// Whether the gradient doctor looks at each arm before its first training.
    pub doctor: bool,
    /// The recipe of arms that name none.
    pub recipe: String,
    /// The dataset of arms that name none, in place of their recipe's.
    pub data: String,
    /// Values of all arms, under those of their own.
    pub set: Table,
    /// What is compared.
    pub arms: Vec<Arm>,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
}

/// One of the things compared: a recipe and what is changed in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arm {
    /// Its name, and with `-` for what is no letter, figure, `_` or `.`, that of its directory.
    pub name: String,
    /// Its recipe.
    pub recipe: String,
    /// A dataset in place of the recipe's.
    pub data: String,
    /// The arm before: the run of the same seed is what this one begins from, in place of the
    /// recipe's `[encoder] path`.
    pub after: String,
    /// Keys taken out of the recipe first, tables too: `["encoder.config"]`.
    pub unset: Vec<String>,
    /// Values laid over the recipe: `{ "schedule.steps" = 100 }`. A table is laid over a table key
    /// by key; `unset` takes away what should not stay.
    pub set: Table,
}

impl Default for Experiment {
    fn default() -> Experiment {
        Experiment {
            seeds: vec![1, 2, 3],
            tasks: String::new(),
            metrics: Vec::new(),
            against: BEFORE.into(),
            baselines: Vec::new(),
            models: Vec::new(),
            doctor: true,
            recipe: String::new(),
            data: String::new(),
            set: Table::new(),
            arms: Vec::new(),
            path: PathBuf::new(),
        }
    }
}

impl Experiment {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// It cannot be read, or says something that cannot be.
    pub fn read(path: &Path) -> Result<Experiment> {
        let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
        let mut experiment: Experiment =
            toml::from_str(&text).map_err(|error| wrong(path, error.to_string()))?;
        experiment.path = path.into();
        experiment.check().map_err(|message| wrong(path, message))?;
        Ok(experiment)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.arms.is_empty() && self.models.is_empty() {
            return Err("[[arms]]: there is none; one or more is accepted".into());
        }
        if self.seeds.is_empty() && !self.arms.is_empty() {
            return Err("seeds = []: one or more is accepted".into());
        }
        if self.tasks.is_empty() {
            return Err("tasks: no file of tasks is named".into());
        }
        let known = |name: &str| matches!(name, "tfidf" | "bm25") || name.starts_with(WORDS);
        if let Some(name) = self.baselines.iter().find(|name| !known(name)) {
            return Err(format!(
                "baselines: no `{name}`; there are tfidf, bm25 and {WORDS}FILE"
            ));
        }
        for (number, arm) in self.arms.iter().enumerate() {
            let (name, before) = (&arm.name, &self.arms[..number]);
            if name.is_empty() {
                return Err(format!("[[arms]] {}: it has no name", number + 1));
            }
            let dir = arm.dir();
            let dots = dir.chars().all(|letter| letter == '.');
            if name == BEFORE || dots || TAKEN.contains(&dir.as_str()) {
                return Err(format!(
                    "[[arms]] {name}: the name has another meaning here"
                ));
            }
            if let Some(other) = before.iter().find(|other| other.dir() == dir) {
                let other = &other.name;
                return Err(format!(
                    "[[arms]] {name}: an arm `{other}` has the same directory, {dir}"
                ));
            }
            if !arm.after.is_empty() && !before.iter().any(|other| other.name == arm.after) {
                let after = &arm.after;
                return Err(format!(
                    "[[arms]] {name}: after = \"{after}\": no arm of this name stands before it"
                ));
            }
            if arm.recipe.is_empty() && self.recipe.is_empty() {
                return Err(format!("[[arms]] {name}: no recipe is named"));
            }
        }
        match self.against == BEFORE || self.arm(&self.against).is_some() {
            true => Ok(()),
            false => Err(format!(
                "against = \"{}\": `{BEFORE}` or the name of an arm is accepted; there are {}",
                self.against,
                self.names().join(", ")
            )),
        }
    }

    /// An arm by its name.
    pub fn arm(&self, name: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    /// What stands beside the arms without being trained: baselines, then models.
    pub fn beside(&self) -> impl Iterator<Item = &str> {
        let all = self.baselines.iter().chain(&self.models);
        all.map(String::as_str)
    }

    /// Names of all arms.
    pub fn names(&self) -> Vec<&str> {
        self.arms.iter().map(|arm| arm.name.as_str()).collect()
    }

    /// A place that the file names, wherever the process stands.
    ///
    /// # Errors
    /// The current directory is gone.
    pub fn place(&self, name: &str) -> Result<PathBuf> {
        let base = self.path.parent().unwrap_or(Path::new(""));
        let place = base.join(name);
        std::path::absolute(&place).map_err(Error::input(place))
    }

    /// The recipe of an arm and a seed; runs are in `out`.
    ///
    /// # Errors
    /// The recipe cannot be read, or says something that cannot be; a key of `unset` is not there.
    pub fn recipe_of(&self, arm: &Arm, seed: u64, out: &Path) -> Result<Recipe> {
        let own = |own: &str, all: &str| if own.is_empty() { all } else { own }.to_string();
        let path = self.place(&own(&arm.recipe, &self.recipe))?;
        let text = std::fs::read_to_string(&path).map_err(Error::input(&path))?;
        let named = |message: String| {
            let message = format!("arm `{}`: {message}", arm.name);
            wrong(&path, message)
        };
        let mut table: Table = text.parse().map_err(|error| named(format!("{error}")))?;
        for key in &arm.unset {
            unset(&mut table, key).map_err(&named)?;
        }
        set(&mut table, "seed", written(seed)).map_err(&named)?;
        for (key, value) in self.set.iter().chain(&arm.set) {
            let value = self.placed(key, value)?;
            set(&mut table, key, value).map_err(&named)?;
        }
        if table.get("seed") != Some(&written(seed)) {
            return Err(named(
                "set: seed: the experiment has `seeds` of its own".into(),
            ));
        }
        let data = own(&arm.data, &self.data);
        if !data.is_empty() {
            let data = self.place(&data)?.to_string_lossy().into_owned();
            set(&mut table, "data.dataset", data.into()).map_err(&named)?;
        }
        if let Some(before) = self.arm(&arm.after) {
            let model = std::path::absolute(model_of(&before.run(seed, out)));
            let model = model.map_err(Error::input(out))?;
            let model = model.to_string_lossy().into_owned();
            let _ = unset(&mut table, "encoder.config");
            set(&mut table, "encoder.path", model.into()).map_err(&named)?;
        }
        let recipe = Recipe::in_file(&table.to_string(), &path).map_err(|error| match error {
            Error::Recipe { message, .. } => named(message),
            other => other,
        })?;
        recipe.check_training().map_err(&named)?;
        match recipe.rounds.is_some() {
            true => Err(named(
                "[rounds]: an arm is one training; write each round as an arm `after` another"
                    .into(),
            )),
            false => Ok(recipe),
        }
    }

    /// A value of `set` whose places hold wherever they stand.
    fn placed(&self, key: &str, value: &Value) -> Result<Value> {
        let last = key.rsplit('.').next().unwrap_or(key);
        Ok(match value {
            Value::String(name) if PLACES.contains(&last) && !name.is_empty() => {
                Value::String(self.place(name)?.to_string_lossy().into_owned())
            }
            Value::Table(table) => {
                let placed = table.iter().map(|(key, value)| {
                    let value = self.placed(key, value)?;
                    Ok((key.clone(), value))
                });
                Value::Table(placed.collect::<Result<Table>>()?)
            }
            other => other.clone(),
        })
    }
}

impl Arm {
    /// Name of its directory.
    pub fn dir(&self) -> String {
        directory(&self.name)
    }

    /// The directory of its run with a seed.
    pub fn run(&self, seed: u64, out: &Path) -> PathBuf {
        out.join(self.dir()).join(format!("seed-{seed}"))
    }
}

/// A name that is one of a directory.
pub fn directory(name: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "_.".contains(letter);
    let letters = name.chars();
    letters
        .map(|letter| if plain(letter) { letter } else { '-' })
        .collect()
}

/// Where the model of a run is, for arms that come after it.
pub fn model_of(run: &Path) -> PathBuf {
    run.join("model")
}

/// A seed as TOML has it: whole numbers there are signed.
fn written(seed: u64) -> Value {
    Value::Integer(i64::try_from(seed).unwrap_or(i64::MAX))
}

fn wrong(path: &Path, message: String) -> Error {
    Error::Recipe {
        path: path.into(),
        message,
    }
}

/// Takes a key out of a recipe.
fn unset(table: &mut Table, key: &str) -> std::result::Result<(), String> {
    let missing = || format!("unset: no `{key}` is in the recipe");
    match key.split_once('.') {
        None => table.remove(key).map(|_| ()).ok_or_else(missing),
        Some((first, rest)) => match table.get_mut(first) {
            Some(Value::Table(inner)) => unset(inner, rest).map_err(|_| missing()),
            _ => Err(missing()),
        },
    }
}

/// Lays a value over a recipe.
fn set(table: &mut Table, key: &str, value: Value) -> std::result::Result<(), String> {
    if let Some((first, rest)) = key.split_once('.') {
        let inner = table.entry(first).or_insert_with(|| Table::new().into());
        return match inner {
            Value::Table(inner) => set(inner, rest, value),
            other => Err(format!("set: `{first}` is {other} there, not a table")),
        };
    }
    match (table.get_mut(key), value) {
        (Some(Value::Table(there)), Value::Table(over)) => over
            .into_iter()
            .try_for_each(|(key, value)| set(there, &key, value)),
        (_, Value::Table(over)) => {
            // Keys with dots in a new table are paths too.
            let mut new = Table::new();
            let laid = over
                .into_iter()
                .try_for_each(|(key, value)| set(&mut new, &key, value));
            table.insert(key.into(), new.into());
            laid
        }
        (_, value) => {
            table.insert(key.into(), value);
            Ok(())
        }
    }
}
