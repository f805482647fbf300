//! Opening a training: a new run, or one that goes on from its newest checkpoint.

use std::path::Path;

use juzi_schemas::Error as Fault;
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::lock::Lock;
use serde_json::json;

use super::measuring::Measuring;
use super::{Setup, Training, evaluations, provenance};
use crate::checkpoint::{self, AVERAGE, Checkpoint, Checkpoints, HEADS, KEYS, LOSS, MODEL};
use crate::checkpoint::{OPTIMIZER, Position, SEEN};
use crate::events::{self, Reader, Writer};
use crate::loader::{self, RECIPE, Record, Seen};
use crate::optimizer::Optimizer;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// The lock of a run.
const LOCK: &str = "run.lock";

/// What makes a directory one of a run.
const SIGNS: [&str; 5] = [
    RECIPE,
    loader::FILE,
    events::FILE,
    checkpoint::DIR,
    evaluations::DIR,
];

/// Whether a run begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In a directory without a run.
    New,
    /// Where the run of the directory stands.
    Resume,
}

impl Setup {
    /// Refuses a directory that does not suit the start: a run is there, or none, or another.
    ///
    /// # Errors
    /// What is there, with the keys of the recipe that differ.
    pub fn check(&self, start: Start) -> Result<()> {
        match start {
            Start::New => refuse_run(&self.run),
            Start::Resume => compare(self),
        }
    }
}

impl Training {
    /// Opens a training. Also gives what a person should know: checkpoints that were refused.
    ///
    /// # Errors
    /// The directory holds a run and none was to be resumed, or the other way round; the run is one
    /// of another recipe or dataset; the batches lack what the loss needs; a task cannot be opened or
    /// measured; the disk is full.
    pub fn open(setup: Setup, start: Start) -> Result<(Training, Vec<String>)> {
        let recipe = &setup.recipe;
        recipe.check_training().map_err(Error::Usage)?;
        setup.check(start)?;
        setup.model.check(&setup.feed.maker().batch(0)?)?;
        let mut measuring = Measuring::open(&setup)?;
        if let (Some(measuring), Start::New) = (&mut measuring, start) {
            // Before anything is written: what is wrong with the tasks can be put right.
            measuring.begin()?;
        }
        std::fs::create_dir_all(&setup.run).map_err(Error::input(&setup.run))?;
        let lock = Lock::take(&setup.run.join(LOCK))?;
        // Again, now that nobody else writes here.
        setup.check(start)?;
        let options = &recipe.training;
        let checkpoints = Checkpoints::new(&setup.run, options.keep_last, options.keep_best);
        let newest = checkpoints.newest()?;
        let from = newest.checkpoint.as_ref();
        if start == Start::Resume && from.is_none() {
            refuse_lost(&setup.run, &newest.refused)?;
        }
        if let (Some(measuring), None) = (&mut measuring, from) {
            measuring.begin()?;
        }
        let position = from.map_or_else(Position::new, |from| from.state.position);
        if from.is_some() {
            checkpoints.settle(&position)?;
        }
        provenance::write(&setup, position.step)?;
        let mut messages = newest.refused;
        let mut training =
            Training::assemble(setup, checkpoints, (position, &mut messages), (from, lock))?;
        let kind = match start {
            Start::New => "start",
            Start::Resume => "resume",
        };
        training.tell_start(kind)?;
        training.measure_by(measuring)?;
        training.room()?;
        Ok((training, messages))
    }

    fn assemble(
        setup: Setup,
        checkpoints: Checkpoints,
        (position, messages): (Position, &mut Vec<String>),
        (from, lock): (Option<&Checkpoint>, Lock),
    ) -> Result<Training> {
        let Setup {
            recipe,
            feed,
            model,
            run,
            threads,
        } = setup;
        let source = feed.source().clone();
        let record = match from {
            Some(from) => Record::resume(&run, &recipe, &source, seen(from)?)?,
            None => {
                let path = run.join(loader::FILE);
                if path.exists() {
                    std::fs::remove_file(&path).map_err(Error::input(&path))?;
                }
                Record::open(&run, &recipe, &source, 0)?
            }
        };
        let momentum = model.loss.as_ref().and_then(|loss| loss.momentum());
        let wanted = recipe.training.ema_decay > 0.0;
        let accumulation = recipe.optimizer.accumulation;
        let schedule = recipe.schedule.resolve(source.batches(), accumulation);
        let batches = position.proof.step..schedule.steps * accumulation;
        let mut training = Training {
            average: wanted.then(|| model.parameters().copy()).transpose()?,
            keys: momentum.map(|_| model.encoder.copy()).transpose()?,
            optimizer: Optimizer::new(&recipe.optimizer),
            // After the record: a log alone would look like a run.
            events: events(&run, from.map_or(0, |from| from.state.events), messages)?,
            batches: feed.load(batches, threads)?,
            measuring: None,
            checkpointed: from.map(|from| from.state.position.step),
            _lock: lock,
            source,
            schedule,
            recipe,
            model,
            run,
            record,
            position,
            checkpoints,
        };
        if let Some(from) = from {
            training.restore(from)?;
        }
        Ok(training)
    }

    /// Takes all tensors from a checkpoint.
    fn restore(&mut self, from: &Checkpoint) -> Result<()> {
        from.restore(MODEL, &self.model.encoder.parameters)?;
        from.restore(HEADS, &self.model.heads())?;
        if let Some(average) = &self.average {
            from.restore(AVERAGE, average)?;
        }
        if let Some(keys) = &self.keys {
            from.restore(KEYS, &keys.parameters)?;
        }
        let device = self.model.encoder.device().clone();
        let moments = from.tensors(OPTIMIZER, &device)?;
        let parameters = self.model.parameters();
        let restored = self
            .optimizer
            .restore(&parameters, self.position.step, moments);
        restored.map_err(|message| Error::Model {
            path: from.dir.join(OPTIMIZER),
            message,
        })?;
        match &mut self.model.loss {
            Some(loss) => loss.restore(&from.tensors(LOSS, &device)?),
            None => Ok(()),
        }
    }

    fn tell_start(&mut self, kind: &str) -> Result<()> {
        self.events.write(&json!({
            "kind": kind,
            "step": self.position.step,
            "steps": self.schedule.steps,
            "recipe": self.recipe.training_fingerprint(),
            "dataset": self.source.fingerprint,
            "parameters": self.model.parameters().elements(),
        }))
    }
}

fn refuse_run(run: &Path) -> Result<()> {
    match SIGNS.iter().any(|sign| run.join(sign).exists()) {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "{}: a run is here already; go on with it by --resume, or name another directory with \
             --run",
            run.display()
        ))),
    }
}

/// Refuses to begin again where the log tells of checkpoints: more than one that was due, since a kill
/// may fall between the line of the first and its directory.
fn refuse_lost(run: &Path, refused: &[String]) -> Result<()> {
    let of_checkpoint = |event: &serde_json::Value| event["kind"] == "checkpoint";
    let told = Reader::open(run).map_or(0, |log| log.flatten().filter(of_checkpoint).count());
    match told > 1 {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "{}: its log tells of {told} checkpoints, and there is none to go on from; put one back, or \
             begin anew in another directory{}",
            run.display(),
            refused
                .iter()
                .map(|line| format!("\n  {line}"))
                .collect::<String>()
        ))),
    }
}

/// The log of a run up to what its checkpoint knows. A damaged or lost one is put aside: the
/// training does not follow from it.
fn events(run: &Path, bytes: u64, messages: &mut Vec<String>) -> Result<Writer> {
    let error = match Writer::open(run, Some(bytes)) {
        Err(error @ Error::Mismatch { .. }) => error,
        opened => return opened,
    };
    let (log, aside) = (run.join(events::FILE), run.join("events.damaged.jsonl"));
    std::fs::rename(&log, &aside).map_err(Error::input(&log))?;
    messages.push(format!(
        "{error}; it is events.damaged.jsonl now, and a new log begins"
    ));
    Writer::open(run, Some(0))
}

/// Refuses to go on with the run of another recipe or dataset.
fn compare(setup: &Setup) -> Result<()> {
    let path = setup.run.join(RECIPE);
    if !path.exists() {
        return Err(Error::Usage(format!(
            "{}: no run is here to go on with; leave --resume away to begin one",
            setup.run.display()
        )));
    }
    let differences = setup.recipe.differences(&Recipe::read(&path)?);
    if !differences.is_empty() {
        return Err(Error::Usage(format!(
            "{}: the run is of another recipe:\n  {}\nname another directory with --run, or give \
             the recipe its old values",
            setup.run.display(),
            differences.join("\n  ")
        )));
    }
    let dataset = setup.feed.source().fingerprint;
    match setup.run.join(loader::FILE).exists() {
        true => compare_dataset(&setup.run, Seen::read(&setup.run)?.dataset, dataset),
        false => Ok(()),
    }
}

fn compare_dataset(run: &Path, there: Fingerprint, here: Fingerprint) -> Result<()> {
    match there == here {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{}: the run is of another dataset: {there} there, {here} here; name its dataset with \
             --data, or another directory with --run",
            run.display()
        ))),
    }
}

/// What had been seen at a checkpoint.
fn seen(from: &Checkpoint) -> Result<Seen> {
    let seen = serde_json::from_str(&from.text(SEEN)?);
    Ok(seen.map_err(|error| Fault::Json {
        path: from.dir.join(SEEN),
        what: "record of a run",
        message: error.to_string(),
    })?)
}
