//! Scores of the models of an experiment, each measured once and kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::{Error as Fault, dataset};
use serde_json::json;

use super::training::{Run, interrupted};
use super::{Listeners, News};
use crate::embed;
use crate::encoder::{Head, Pooling};
use crate::evaluators::{Embedder, Evaluation, FORMAT, ModelEmbedder, Prompts, Task, measure};
use crate::model::Model;
use crate::recipe::Recipe;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result, export, training};

/// Tasks whose files were read, and what stands before texts.
pub struct Measures {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// What stands before texts.
    pub prompts: Prompts,
}

/// What makes vectors.
pub enum Opened {
    /// A model.
    Model(Box<Model>),
    /// Something that stands beside models, and may be of no use for a task.
    Baseline(Box<dyn Embedder>),
}

/// Whose scores they are.
pub struct Subject<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The step that it is from.
    pub step: Option<u64>,
    /// The file of its scores.
    pub file: &'a Path,
}

impl Measures {
    /// Measures a model on all tasks whose scores are not there yet; keeps what there is after each.
    ///
    /// # Errors
    /// The model cannot be opened, a task fails, or a person stops it.
    pub fn measure(
        &self,
        subject: &Subject<'_>,
        open: &dyn Fn() -> Result<Opened>,
        (stop, tell): Listeners<'_>,
    ) -> Result<Evaluation> {
        let mut all = self.kept(subject)?;
        let missing = |task: &&Task| !all.tasks.contains_key(&task.name);
        let missing: Vec<&Task> = self.tasks.iter().filter(missing).collect();
        if missing.is_empty() {
            return Ok(all);
        }
        let mut opened = open()?;
        if let Opened::Model(model) = &opened {
            all.about.extend(about(model));
        }
        for task in missing {
            if stop() {
                return Err(interrupted());
            }
            tell(News::Line(&format!(
                "{}: measuring {}",
                subject.name, task.name
            )));
            let found = match self.one(&mut opened, task, subject.name) {
                Err(error @ Error::Task { .. }) if matches!(opened, Opened::Baseline(_)) => {
                    tell(News::Line(&format!("{}: {error}", subject.name)));
                    continue;
                }
                found => found?,
            };
            for warning in found.tasks.values().flat_map(|task| &task.scores.warnings) {
                tell(News::Line(&format!("{}: {warning}", task.name)));
            }
            all.tasks.extend(found.tasks);
            write(subject.file, &all)?;
        }
        Ok(all)
    }

    fn one(&self, opened: &mut Opened, task: &Task, name: &str) -> Result<Evaluation> {
        let one = std::slice::from_ref(task);
        match opened {
            Opened::Model(model) => {
                let mut embedder = ModelEmbedder::new(model, &self.prompts);
                measure(one, &mut embedder, name, &mut |_| {})
            }
            Opened::Baseline(embedder) => measure(one, embedder.as_mut(), name, &mut |_| {}),
        }
    }

    /// The scores that a file holds and that are still those of the tasks.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn kept(&self, subject: &Subject<'_>) -> Result<Evaluation> {
        let prompts = json!(self.prompts).to_string();
        let mut own = Evaluation {
            format: FORMAT,
            model: subject.name.into(),
            step: subject.step,
            about: BTreeMap::from([("prompts".into(), prompts)]),
            tasks: BTreeMap::new(),
        };
        let Some(there) = read(subject.file)? else {
            return Ok(own);
        };
        let same = there.format == FORMAT && there.step == subject.step;
        if !same || there.about.get("prompts") != own.about.get("prompts") {
            return Ok(own);
        }
        own.about = there.about;
        for (name, scores) in there.tasks {
            let task = self.tasks.iter().find(|task| task.name == name);
            let fits = task.is_some_and(|task| {
                task.kind == scores.evaluator && task.evaluator.fingerprint() == scores.fingerprint
            });
            if fits {
                own.tasks.insert(name, scores);
            }
        }
        Ok(own)
    }
}

/// What scores depend on besides weights and tasks.
fn about(model: &Model) -> BTreeMap<String, String> {
    let encoder = &model.encoder;
    BTreeMap::from([
        ("pooling".into(), encoder.pooling.name().into()),
        ("length_max".into(), model.length_max.to_string()),
        ("dimension".into(), encoder.dimension().to_string()),
        (
            "layers".into(),
            encoder.config.num_hidden_layers.to_string(),
        ),
        (
            "parameters".into(),
            encoder.parameters.elements().to_string(),
        ),
    ])
}

/// The scores in a file, if there are any.
fn read(path: &Path) -> Result<Option<Evaluation>> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(Error::input(path))?,
    };
    let found = serde_json::from_slice(&text).map_err(|error| Fault::Json {
        path: path.into(),
        what: "scores of a model",
        message: error.to_string(),
    })?;
    Ok(Some(found))
}

/// Writes scores as a whole.
pub fn write(path: &Path, evaluation: &Evaluation) -> Result<()> {
    let text = serde_json::to_string_pretty(evaluation).expect("scores have a JSON form");
    let dir = path.parent().expect("a file stands in a directory");
    std::fs::create_dir_all(dir).map_err(Error::input(dir))?;
    Ok(dataset::replace(path, (text + "\n").as_bytes())?)
}

/// Where the scores of a run's last model are.
pub fn last_of(run: &Path) -> PathBuf {
    run.join("evaluations/final.json")
}

/// Where the scores of what a run began from are.
pub fn before_of(run: &Path) -> PathBuf {
    run.join("evaluations/before.json")
}

/// The trained model of a run.
///
/// # Errors
/// A file of the run is not what it should be.
pub fn trained(run: &Run) -> Result<Opened> {
    let model = export::open(&run.dir, None, false)?.into_model()?;
    Ok(Opened::Model(Box::new(model)))
}

/// The model that a recipe begins from.
///
/// # Errors
/// A file of it is missing or is not what it should be.
pub fn beginning(recipe: &Recipe) -> Result<Opened> {
    // The training's own way, whatever a recipe may begin from.
    let encoder = training::Model::open(recipe, &Device::Cpu)?.encoder;
    let folder = PathBuf::from(&recipe.tokenizer.path);
    Ok(Opened::Model(Box::new(Model {
        normalize: encoder.output.normalize,
        length_max: recipe.tokenizer.length_max.min(encoder.config.length_max()),
        encoder,
        tokenizer: Tokenizer::open(&folder)?,
        lowercase: false,
        prompts: BTreeMap::new(),
        default_prompt: None,
        folder,
    })))
}

/// What tells the models apart that recipes begin from.
///
/// # Errors
/// A file of the model cannot be read.
pub fn identity(recipe: &Recipe) -> Result<Fingerprint> {
    let options = recipe.encoder.as_ref();
    let mut options = options.expect("a training has a model").clone();
    let folder = std::mem::take(&mut options.path);
    // Dropout changes no measured vector.
    options.hidden_dropout_prob = None;
    options.attention_probs_dropout_prob = None;
    let files = match folder.is_empty() {
        true => None,
        false => Some(embed::of_model(Path::new(&folder))?),
    };
    let random = options.config.is_some()
        || options.projection > 0
        || options.head != Head::None
        || options.pooling == Pooling::ClsPooler;
    let seed = random.then_some(recipe.seed);
    let tokenizer = (&recipe.tokenizer.path, recipe.tokenizer.length_max);
    Ok(Fingerprint::of_json(&(options, files, seed, tokenizer)))
}
