//! The score card: what each arm scored over the seeds, and whether it differs by more than its
//! spread.

mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use juzi_schemas::dataset;
use juzi_schemas::fingerprint::Fingerprint;
use serde::Serialize;

use super::file::directory;
use super::measure::{Measures, Subject, before_of, last_of};
use super::training::Told;
use super::{BEFORE, Experiment, Request, Spread};
use crate::evaluators::{Better, Evaluation, Metric};
use crate::loader::{self, Seen};
use crate::{Error, Result};

/// What a card says of an experiment.
#[derive(Clone, Debug, Serialize)]
pub struct Card {
    /// What arms are compared with.
    pub against: String,
    /// The seeds that were wanted.
    pub seeds: Vec<u64>,
    /// Each metric with all arms and models.
    pub metrics: Vec<MetricCard>,
    /// The arms.
    pub arms: Vec<Arm>,
    /// The tasks by name.
    pub tasks: BTreeMap<String, TaskCard>,
    /// What stood before texts.
    pub prompts: String,
    /// How equal scores are ordered.
    pub ties: &'static str,
}

/// A metric, and who has it.
#[derive(Clone, Debug, Serialize)]
pub struct MetricCard {
    /// `task.metric`.
    pub name: String,
    /// Which values are good.
    pub better: Better,
    /// Models that are not trained, then arms.
    pub rows: Vec<Row>,
}

/// What an arm or a model scored.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The values by seed; a model that is not trained has one at 0.
    pub values: BTreeMap<u64, f64>,
    /// What the values say together.
    pub spread: Spread,
    /// The values of the models that it began from.
    pub before: Option<Spread>,
    /// Against what it is compared with, seed by seed.
    pub difference: Option<Difference>,
}

/// A difference over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The differences of the values of equal seeds.
    pub spread: Spread,
    /// What to make of it.
    pub verdict: Verdict,
}

/// What to make of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is one seed, and so no spread.
    OneSeed,
    /// The interval holds 0.
    WithinSpread,
    /// The interval leaves out 0, to the good side.
    Better,
    /// The interval leaves out 0, to the bad side.
    Worse,
    /// The interval leaves out 0, and neither side is good.
    Other,
}

/// An arm.
#[derive(Clone, Debug, Serialize)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// The arm that it began from.
    pub after: String,
    /// Seeds of which there are scores.
    pub seeds: Vec<u64>,
    /// Mean time of a training in seconds.
    pub training_s: f64,
    /// Mean time of the measuring of a model in seconds.
    pub measuring_s: f64,
    /// Steps of a training, by seed.
    pub steps: BTreeMap<u64, u64>,
    /// Fingerprints of the datasets.
    pub datasets: Vec<Fingerprint>,
    /// What else the scores depend on: pooling, longest text, sizes.
    pub about: BTreeMap<String, String>,
}

/// A task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskCard {
    /// Name of its evaluator.
    pub evaluator: String,
    /// Hash of its options and files.
    pub fingerprint: Fingerprint,
    /// How many texts and the like there were.
    pub counts: BTreeMap<String, usize>,
    /// What a reader should know.
    pub warnings: Vec<String>,
}

/// The scores of the runs of an arm, by seed.
#[derive(Default)]
struct Scored {
    last: BTreeMap<u64, Evaluation>,
    before: BTreeMap<u64, Evaluation>,
}

/// Where the scores of a model that is not trained are.
pub fn untrained_of(out: &Path, name: &str) -> PathBuf {
    out.join(format!("models/{}.json", directory(name)))
}

impl Card {
    /// The card of all scores that are there and are those of the tasks.
    ///
    /// # Errors
    /// A file cannot be read; a metric is named that no task has.
    pub fn of(experiment: &Experiment, request: &Request, measures: &Measures) -> Result<Card> {
        let mut seeds = experiment.seeds.clone();
        seeds.extend(&request.seeds);
        seeds.sort_unstable();
        seeds.dedup();
        let out = &request.out;
        let mut arms = Vec::new();
        let mut all = Vec::new();
        for arm in &experiment.arms {
            let scored = Scored::of(&seeds, |seed| arm.run(seed, out), measures)?;
            arms.push(Arm::of(arm, &scored, out)?);
            all.push((arm.name.as_str(), scored));
        }
        let mut models = Vec::new();
        for name in experiment.beside() {
            let file = untrained_of(out, name);
            let subject = Subject {
                name,
                step: None,
                file: &file,
            };
            // A baseline may be of no use for some tasks.
            let found = measures.kept(&subject)?;
            models.push((name, Some(found).filter(|found| !found.tasks.is_empty())));
        }
        let measured = all.iter().flat_map(|(_, scored)| scored.last.values());
        let measured = measured.chain(models.iter().flat_map(|(_, found)| found));
        let first = measured.rev().max_by_key(|found| found.tasks.len());
        let mut metrics = Vec::new();
        for name in names(experiment, measures) {
            // Without any scores there is nothing to check names by.
            let Some(known) = first else { break };
            let metric = known.get(&name).ok_or_else(|| unknown(&name, known))?;
            metrics.push(MetricCard::of(
                (full(&name, metric), metric.better),
                &|found: &Evaluation| found.get(&name).map(|metric| metric.value),
                (&models, &all),
                &experiment.against,
            ));
        }
        Ok(Card {
            against: experiment.against.clone(),
            seeds,
            metrics,
            arms,
            tasks: first.map(tasks).unwrap_or_default(),
            prompts: serde_json::json!(measures.prompts).to_string(),
            ties: "equal scores: by the smaller id or row; equal ranks: their mean",
        })
    }

    /// Writes `card.json` and `card.md`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("a card has a JSON form");
        dataset::replace(&out.join("card.json"), (text + "\n").as_bytes())?;
        Ok(dataset::replace(
            &out.join("card.md"),
            self.page().as_bytes(),
        )?)
    }
}

/// The metrics of the table.
fn names(experiment: &Experiment, measures: &Measures) -> Vec<String> {
    match experiment.metrics.is_empty() {
        true => measures
            .tasks
            .iter()
            .map(|task| task.name.clone())
            .collect(),
        false => experiment.metrics.clone(),
    }
}

/// `task.metric`, where a task alone stands for its primary one too.
fn full(name: &str, metric: &Metric) -> String {
    let whole = format!(".{}", metric.name);
    match name.ends_with(&whole) {
        true => name.into(),
        false => format!("{name}{whole}"),
    }
}

fn unknown(name: &str, known: &Evaluation) -> Error {
    let all = known.tasks.iter().flat_map(|(task, found)| {
        let metrics = found.scores.metrics.iter();
        metrics.map(move |metric| format!("{task}.{}", metric.name))
    });
    Error::Usage(format!(
        "metrics: no `{name}`; there are {}",
        all.collect::<Vec<_>>().join(", ")
    ))
}

fn tasks(known: &Evaluation) -> BTreeMap<String, TaskCard> {
    let tasks = known.tasks.iter().map(|(name, found)| {
        let card = TaskCard {
            evaluator: found.evaluator.clone(),
            fingerprint: found.fingerprint,
            counts: found.scores.counts.clone(),
            warnings: found.scores.warnings.clone(),
        };
        (name.clone(), card)
    });
    tasks.collect()
}

/// Scores of a model if all tasks are in them.
fn whole(file: &Path, step: Option<u64>, measures: &Measures) -> Result<Option<Evaluation>> {
    let subject = Subject {
        name: "",
        step,
        file,
    };
    let found = measures.kept(&subject)?;
    Ok((found.tasks.len() == measures.tasks.len()).then_some(found))
}

impl Scored {
    fn of(seeds: &[u64], run: impl Fn(u64) -> PathBuf, measures: &Measures) -> Result<Scored> {
        let mut scored = Scored::default();
        for &seed in seeds {
            let run = run(seed);
            let step = Told::of(&run)?.ended;
            if step.is_none() {
                continue;
            }
            if let Some(found) = whole(&last_of(&run), step, measures)? {
                scored.last.insert(seed, found);
            }
            if let Some(found) = whole(&before_of(&run), None, measures)? {
                scored.before.insert(seed, found);
            }
        }
        Ok(scored)
    }
}

impl Arm {
    fn of(arm: &super::Arm, scored: &Scored, out: &Path) -> Result<Arm> {
        let mut card = Arm {
            name: arm.name.clone(),
            after: arm.after.clone(),
            seeds: scored.last.keys().copied().collect(),
            training_s: 0.0,
            measuring_s: 0.0,
            steps: BTreeMap::new(),
            datasets: Vec::new(),
            about: BTreeMap::new(),
        };
        for (&seed, found) in &scored.last {
            let run = arm.run(seed, out);
            let share = 1.0 / scored.last.len() as f64;
            card.training_s += share * Told::of(&run)?.seconds;
            let seconds = found.tasks.values().map(|task| task.seconds);
            card.measuring_s += share * seconds.sum::<f64>();
            card.steps.extend(found.step.map(|step| (seed, step)));
            card.about.clone_from(&found.about);
            if run.join(loader::FILE).exists() {
                card.datasets.push(Seen::read(&run)?.dataset);
            }
        }
        card.datasets.sort_unstable();
        card.datasets.dedup();
        Ok(card)
    }
}

/// A model that is not trained, and its scores.
type Untrained<'a> = (&'a str, Option<Evaluation>);

impl MetricCard {
    fn of(
        (name, better): (String, Better),
        value: &dyn Fn(&Evaluation) -> Option<f64>,
        (models, arms): (&[Untrained<'_>], &[(&str, Scored)]),
        against: &str,
    ) -> MetricCard {
        let values = |found: &BTreeMap<u64, Evaluation>| -> BTreeMap<u64, f64> {
            let all = found.iter();
            all.filter_map(|(&seed, found)| Some((seed, value(found)?)))
                .collect()
        };
        let mut rows = Vec::new();
        for (name, found) in models {
            let found = found.as_ref().and_then(value);
            rows.extend(found.and_then(|value| {
                Some(Row {
                    name: (*name).into(),
                    values: BTreeMap::from([(0, value)]),
                    spread: Spread::of(&[value])?,
                    before: None,
                    difference: None,
                })
            }));
        }
        let other = arms.iter().find(|(name, _)| *name == against);
        for (name, scored) in arms {
            let (last, before) = (values(&scored.last), values(&scored.before));
            let reference = match other {
                _ if against == BEFORE => Some(before.clone()),
                Some((other, _)) if other == name => None,
                Some((_, other)) => Some(values(&other.last)),
                None => None,
            };
            let difference = reference.and_then(|other| Difference::of(&last, &other, better));
            let spread = Spread::of(&last.values().copied().collect::<Vec<_>>());
            rows.extend(spread.map(|spread| Row {
                name: (*name).into(),
                values: last,
                spread,
                before: Spread::of(&before.into_values().collect::<Vec<_>>()),
                difference,
            }));
        }
        MetricCard { name, better, rows }
    }
}

impl Difference {
    /// Of the values of the seeds that both have; none where there is no such seed.
    pub fn of(
        one: &BTreeMap<u64, f64>,
        other: &BTreeMap<u64, f64>,
        better: Better,
    ) -> Option<Difference> {
        let both = one.iter();
        let both = both.filter_map(|(seed, value)| Some(value - other.get(seed)?));
        let spread = Spread::of(&both.collect::<Vec<_>>())?;
        let verdict = match (spread.is_sure(), better) {
            (None, _) => Verdict::OneSeed,
            (Some(false), _) => Verdict::WithinSpread,
            (Some(true), Better::Neither) => Verdict::Other,
            (Some(true), better) => match (spread.mean > 0.0) == (better == Better::Higher) {
                true => Verdict::Better,
                false => Verdict::Worse,
            },
        };
        Some(Difference { spread, verdict })
    }
}
