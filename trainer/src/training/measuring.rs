//! Measuring a model while it is trained: the tasks are opened once, the weights are shared.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::{EvaluationOptions, Setup, Training, evaluations};
use crate::encoder::Encoder;
use crate::evaluators::{Better, Evaluation, Metric, ModelEmbedder, Prompts, Task, measure};
use crate::model::Model;
use crate::parameters::Parameters;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Who hears of an evaluation.
type Hear = Box<dyn FnMut(&Evaluation)>;

/// The tasks of a training, and its model as a user of it would have it.
pub struct Measuring {
    options: EvaluationOptions,
    /// The tasks.
    pub tasks: Vec<Task>,
    model: Model,
    about: BTreeMap<String, String>,
    name: String,
    hear: Option<Hear>,
    /// What was measured last.
    pub latest: Option<Evaluation>,
}

impl Measuring {
    /// Opens the tasks of a recipe, where it has any, over the model as it is; it shares its weights.
    ///
    /// # Errors
    /// A file of a task is missing or is not what it should be.
    pub fn open(setup: &Setup) -> Result<Option<Measuring>> {
        let recipe = &setup.recipe;
        let Some(options) = &recipe.evaluation else {
            return Ok(None);
        };
        let mut options = options.clone();
        options.take_file()?;
        let tasks = options.tasks.open()?;
        let encoder = setup.model.encoder.clone();
        let folder = Path::new(&recipe.tokenizer.path);
        let model = Model {
            normalize: encoder.output.normalize,
            tokenizer: Tokenizer::open(folder)?,
            length_max: recipe.tokenizer.length_max.min(encoder.config.length_max()),
            encoder,
            lowercase: false,
            prompts: BTreeMap::new(),
            default_prompt: None,
            folder: folder.into(),
        };
        let averaged = recipe.training.ema_decay > 0.0;
        let place = std::path::absolute(&setup.run).unwrap_or_else(|_| setup.run.clone());
        let name = place.file_name().unwrap_or_default();
        Ok(Some(Measuring {
            about: about(&model, averaged, &options.tasks.prompts),
            name: name.to_string_lossy().into_owned(),
            options,
            tasks,
            model,
            hear: None,
            latest: None,
        }))
    }

    /// From now on the weights are those of a moving average.
    ///
    /// # Errors
    /// The average is not one of this model.
    pub fn follow(&mut self, average: &Parameters) -> Result<()> {
        let encoder = &self.model.encoder;
        let mut own = Parameters::default();
        for parameter in encoder.parameters.iter() {
            let name = &parameter.name;
            own.share(average.get(name).unwrap_or(parameter).clone());
        }
        let averaged = Encoder::new(encoder.config.clone(), encoder.pooling, own)?;
        let mut averaged = averaged.with_output(encoder.output.clone())?;
        averaged.spare = encoder.spare.clone();
        self.model.encoder = averaged;
        Ok(())
    }

    /// Measures the model before the first step, where the recipe wants it and it was not yet done.
    ///
    /// # Errors
    /// As [`Measuring::measure`].
    pub fn begin(&mut self) -> Result<()> {
        match self.options.before && self.latest.is_none() {
            true => self.measure(0),
            false => Ok(()),
        }
    }

    /// Measures the model as it stands after so many steps.
    ///
    /// # Errors
    /// A task cannot be measured; what should decide is no metric, or one without a direction.
    pub fn measure(&mut self, step: u64) -> Result<()> {
        let mut embedder = ModelEmbedder::new(&self.model, &self.options.tasks.prompts);
        let mut evaluation = measure(&self.tasks, &mut embedder, &self.name, &mut |_| {})?;
        evaluation.step = Some(step);
        evaluation.about = self.about.clone();
        if !self.options.decides.is_empty() {
            decided(&evaluation, &self.options.decides)?;
        }
        self.latest = Some(evaluation);
        Ok(())
    }

    /// What was measured at a step, if it was the last that was measured.
    pub fn at(&self, step: u64) -> Option<&Evaluation> {
        self.latest.as_ref().filter(|own| own.step == Some(step))
    }

    /// Whether the model is measured after a step that is not the last.
    pub fn due(&self, step: u64) -> bool {
        self.options.due(step)
    }

    /// What decides which checkpoint is the best; none where it is the loss.
    pub fn decides(&self) -> Option<&str> {
        Some(&self.options.decides[..]).filter(|decides| !decides.is_empty())
    }
}

/// What a model's scores depend on.
fn about(model: &Model, averaged: bool, prompts: &Prompts) -> BTreeMap<String, String> {
    let encoder = &model.encoder;
    let weights = match averaged {
        true => "moving average",
        false => "of the last step",
    };
    let mut about = BTreeMap::from([
        ("pooling".into(), encoder.pooling.name().into()),
        ("length_max".into(), model.length_max.to_string()),
        ("weights".into(), weights.into()),
    ]);
    for (role, prompt) in [
        ("query", &prompts.query),
        ("document", &prompts.document),
        ("text", &prompts.text),
    ] {
        if let Some(prompt) = prompt {
            about.insert(format!("prompt {role}"), prompt.clone());
        }
    }
    about
}

/// The metric that decides.
fn decided<'a>(evaluation: &'a Evaluation, decides: &str) -> Result<&'a Metric> {
    let wrong =
        |message: String| Error::Usage(format!("[evaluation] decides = \"{decides}\": {message}"));
    match evaluation.get(decides) {
        Some(metric) if metric.better == Better::Neither => Err(wrong(
            "this metric has no good direction; name another".into(),
        )),
        Some(metric) => Ok(metric),
        None => {
            let tasks = evaluation.tasks.iter().flat_map(|(name, task)| {
                let metrics = task.scores.metrics.iter();
                metrics.map(move |metric| format!("{name}.{}", metric.name))
            });
            let names = tasks.collect::<Vec<_>>().join(", ");
            Err(wrong(format!("no such metric; there are {names}")))
        }
    }
}

impl Training {
    /// Who hears of each evaluation from now on; of that before the first step at once.
    pub fn on_evaluation(&mut self, mut hear: impl FnMut(&Evaluation) + 'static) {
        let Some(measuring) = &mut self.measuring else {
            return;
        };
        if self.position.step == 0
            && let Some(before) = measuring.at(0)
        {
            hear(before);
        }
        measuring.hear = Some(Box::new(hear));
    }

    /// Takes what measures it; what was measured before the first step goes into the log.
    pub(super) fn measure_by(&mut self, measuring: Option<Measuring>) -> Result<()> {
        self.measuring = measuring;
        let step = self.position.step;
        let first = match self.checkpointed {
            Some(step) => step + 1,
            None => 0,
        };
        evaluations::cut(&self.run, first)?;
        let Some(measuring) = &mut self.measuring else {
            return Ok(());
        };
        if let Some(average) = &self.average {
            measuring.follow(average)?;
        }
        match self.checkpointed {
            Some(_) => {
                measuring.latest = evaluations::read(&self.run, step)?;
                Ok(())
            }
            None => self.tell_evaluation(),
        }
    }

    /// Measures the model as it stands; the time of it counts for no rate.
    pub(super) fn evaluate(&mut self) -> Result<()> {
        let Some(measuring) = &mut self.measuring else {
            return Ok(());
        };
        let started = Instant::now();
        measuring.measure(self.position.step)?;
        self.batches.pause(started.elapsed());
        self.tell_evaluation()
    }

    /// Writes what was just measured: a file, and an event for each task.
    fn tell_evaluation(&mut self) -> Result<()> {
        let step = self.position.step;
        let Some(measuring) = &mut self.measuring else {
            return Ok(());
        };
        let Some(evaluation) = measuring
            .latest
            .as_ref()
            .filter(|own| own.step == Some(step))
        else {
            return Ok(());
        };
        evaluations::write(&self.run, step, evaluation)?;
        for (name, task) in &evaluation.tasks {
            let metrics = task.scores.metrics.iter();
            let metrics = metrics.map(|own| (own.name.clone(), json!(own.value)));
            self.events.write(&json!({
                "kind": "evaluation",
                "step": step,
                "name": name,
                // The primary one first.
                "metrics": metrics.collect::<Map<String, Value>>(),
                "warnings": task.scores.warnings,
                "time": { "seconds": task.seconds },
            }))?;
        }
        if let Some(hear) = &mut measuring.hear {
            hear(evaluation);
        }
        Ok(())
    }

    /// What decides, and its metric at this step, where it was measured here.
    pub(super) fn decided(&self) -> Option<(&str, Option<&Metric>)> {
        let measuring = self.measuring.as_ref()?;
        let decides = measuring.decides()?;
        let here = measuring.at(self.position.step);
        Some((decides, here.and_then(|own| own.get(decides))))
    }

    /// The evaluations that sum up a training: before the first step, of the best checkpoint and at
    /// the end, each with a word for it; what was not measured is left out.
    ///
    /// # Errors
    /// A file of an evaluation is damaged.
    pub fn evaluations(&self) -> Result<Vec<(String, Evaluation)>> {
        let Some(measuring) = &self.measuring else {
            return Ok(Vec::new());
        };
        let last = measuring.latest.as_ref().and_then(|latest| latest.step);
        let best = self.position.best.map(|best| best.step);
        let mut found = Vec::new();
        for (what, step) in [("before", Some(0)), ("best", best), ("last", last)] {
            let step = step.filter(|&step| step > 0 || what == "before");
            let own = step.map_or(Ok(None), |step| evaluations::read(&self.run, step))?;
            let what = match (what, step) {
                (what, Some(step)) if step > 0 => format!("{what} ({step})"),
                _ => what.into(),
            };
            found.extend(own.map(|own| (what, own)));
        }
        Ok(found)
    }
}
