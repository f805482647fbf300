//! What is evaluated: models from runs, checkpoints and folders, and baselines by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Request;
use super::about;
use crate::baselines::{B, Bm25, K1, Tfidf, WordVectors, untrained};
use crate::evaluators::{Embedder, Evaluation, ModelEmbedder, Prompts, Task, measure};
use crate::export::{self, Step};
use crate::model::Model;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// Names of baselines that are accepted in place of a model.
pub const BASELINES: &str = "tfidf, bm25, words=FILE, untrained";

/// Seed of the values of the untrained encoder.
const UNTRAINED_SEED: u64 = 1;

/// Something that is measured.
pub struct Contender {
    /// As it was named.
    pub name: String,
    /// What makes its vectors.
    pub kind: Kind,
    /// The step of the training it is from.
    pub step: Option<u64>,
    /// What of it is known before any task; name and value.
    pub about: BTreeMap<String, String>,
    /// The dataset it was trained on.
    pub dataset: Option<PathBuf>,
}

/// What makes vectors.
pub enum Kind {
    /// A model, or one like it with random values.
    Model(Box<Model>),
    /// Counts or word vectors.
    Baseline(Box<dyn Embedder>),
}

impl Contender {
    fn new(name: &str, kind: Kind) -> Contender {
        Contender {
            name: name.into(),
            kind,
            step: None,
            about: BTreeMap::new(),
            dataset: None,
        }
    }

    /// Whether it is there for comparison only.
    pub fn is_baseline(&self) -> bool {
        matches!(self.kind, Kind::Baseline(_))
    }

    /// Measures it.
    ///
    /// # Errors
    /// As [`measure`].
    pub fn measure(&mut self, prompts: &Prompts, tasks: &[Task]) -> Result<Evaluation> {
        match &mut self.kind {
            Kind::Model(model) => {
                let mut embedder = ModelEmbedder::new(model, prompts);
                measure(tasks, &mut embedder, &self.name, &mut |_| ())
            }
            Kind::Baseline(embedder) => measure(tasks, embedder.as_mut(), &self.name, &mut |_| ()),
        }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Contender {
        self.about.insert(name.into(), value.to_string());
        self
    }
}

/// Opens all that were asked for, each once.
///
/// # Errors
/// A name is neither a baseline nor a model; a model is not what it should be.
pub fn open(request: &Request, tell: &mut dyn FnMut(&str)) -> Result<Vec<Contender>> {
    let mut names = request.models.clone();
    let words = request.words.as_ref();
    names.extend(words.map(|path| format!("words={}", path.display())));
    if request.baselines {
        names.extend(["tfidf", "bm25", "untrained"].map(String::from));
    }
    let mut met = Vec::new();
    names.retain(|name| {
        !met.contains(name) && {
            met.push(name.clone());
            true
        }
    });
    let is_run = |name: &String| Path::new(name).join("recipe.toml").exists();
    if request.step.is_some() && !names.iter().any(is_run) {
        return Err(Error::Usage(
            "--step and --best choose a checkpoint of a run, and no run is named".into(),
        ));
    }
    let mut contenders: Vec<Contender> = Vec::new();
    for name in &names {
        let contender = match name.as_str() {
            "tfidf" => counts(name, Box::<Tfidf>::default()),
            "bm25" => counts(name, Box::<Bm25>::default())
                .with("k1", K1)
                .with("b", B),
            "untrained" => match contenders.first().map(|first| &first.kind) {
                Some(Kind::Model(model)) => without_training(model)?,
                // A list of baselines is asked for beside one that is none of a model.
                Some(_) if !request.models.contains(name) => continue,
                _ => {
                    return Err(Error::Usage(
                        "untrained: the encoder before training is that of the first MODEL, which \
                         must be a run or the folder of a model"
                            .into(),
                    ));
                }
            },
            other => match other.strip_prefix("words=") {
                Some(path) => words_of(name, Path::new(path))?,
                None => model(name, request.step, tell)?,
            },
        };
        contenders.push(contender);
    }
    Ok(contenders)
}

fn counts(name: &str, embedder: Box<dyn Embedder>) -> Contender {
    let terms = "lower case; of Han characters and bigrams, else words; counted in the documents of \
                 each task";
    Contender::new(name, Kind::Baseline(embedder)).with("terms", terms)
}

fn words_of(name: &str, path: &Path) -> Result<Contender> {
    let vectors = WordVectors::read(path)?;
    let words = vectors.len();
    let fingerprint = juzi_schemas::fingerprint::Fingerprint::of_file(path)?;
    Ok(Contender::new(name, Kind::Baseline(Box::new(vectors)))
        .with("words", words)
        .with("weights", fingerprint.short())
        .with("vectors", "the mean of the longest words that are known"))
}

fn without_training(model: &Model) -> Result<Contender> {
    let model = untrained(model, UNTRAINED_SEED)?;
    let contender = Contender::new("untrained", Kind::Model(Box::new(model)));
    Ok(contender.with("seed", UNTRAINED_SEED))
}

/// A run, a checkpoint, or the folder of a model.
fn model(name: &str, step: Option<Step>, tell: &mut dyn FnMut(&str)) -> Result<Contender> {
    let path = Path::new(name);
    let has = |file: &str| path.join(file).exists();
    if !path.exists() {
        return Err(Error::Usage(format!(
            "{name}: no such run, checkpoint or folder of a model, and not one of the baselines \
             {BASELINES}"
        )));
    }
    if has("config.json") && !has("state.json") && !has("recipe.toml") {
        let model = Model::open(path)?;
        model
            .encoder
            .messages
            .iter()
            .for_each(|line| tell(&format!("# {line}")));
        return Ok(Contender::new(name, Kind::Model(Box::new(model))));
    }
    let export = export::open(path, step.filter(|_| has("recipe.toml")), false)?;
    export
        .encoder
        .messages
        .iter()
        .for_each(|line| tell(&format!("# {line}")));
    let (number, known) = (export.card.step, export.card.data.clone());
    let mut contender = Contender::new(name, Kind::Model(Box::new(export.into_model()?)));
    contender.step = number;
    contender.dataset = dataset(path)?;
    for (key, value) in known {
        if let Some(key) = about::of_training(&key) {
            contender.about.insert(key.into(), value);
        }
    }
    Ok(contender)
}

/// The dataset that the recipe of a run, or of a checkpoint of one, names.
pub fn dataset(path: &Path) -> Result<Option<PathBuf>> {
    let whole = path.canonicalize().map_err(Error::input(path))?;
    let mut runs = [Some(whole.as_path()), whole.ancestors().nth(2)]
        .into_iter()
        .flatten();
    let recipe = runs.find_map(|run| Some(run.join("recipe.toml")).filter(|file| file.exists()));
    let Some(recipe) = recipe else {
        return Ok(None);
    };
    let dataset = Recipe::read(&recipe)?.data.dataset;
    Ok((!dataset.is_empty()).then(|| PathBuf::from(dataset)))
}
