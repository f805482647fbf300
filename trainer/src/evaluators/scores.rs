//! What an evaluation says: metrics with their directions, and the texts that they came of.

use std::collections::BTreeMap;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

/// Version of the file of an [`Evaluation`].
pub const FORMAT: u32 = 1;

/// Which values of a metric are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Large ones.
    Higher,
    /// Small ones.
    Lower,
    /// None: it only tells something.
    Neither,
}

/// A metric and its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its standard name, such as `ndcg@10`.
    pub name: String,
    /// Its value; shares are between 0 and 1.
    pub value: f64,
    /// Which values are good.
    pub better: Better,
}

/// What an evaluator found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Its metrics; the first one is the primary one.
    pub metrics: Vec<Metric>,
    /// How many texts, pairs, queries and the like there were.
    pub counts: BTreeMap<String, usize>,
    /// What a reader of the scores should know: constant gold, queries without a relevant document.
    pub warnings: Vec<String>,
}

/// What a model scored on a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// Name of the evaluator.
    pub evaluator: String,
    /// Hash of all that the task gave: options and files.
    pub fingerprint: Fingerprint,
    /// What was found.
    #[serde(flatten)]
    pub scores: Scores,
    /// How long it took; 0 where it is not told.
    #[serde(default, skip_serializing_if = "untold")]
    pub seconds: f64,
}

/// What one model scored on some tasks: a file of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Version of the layout.
    pub format: u32,
    /// The model as it was named.
    pub model: String,
    /// The step of the training that it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// What else the scores depend on: pooling, longest text, prompts, weights; name and value.
    pub about: BTreeMap<String, String>,
    /// The tasks by name.
    pub tasks: BTreeMap<String, TaskScores>,
}

fn untold(seconds: &f64) -> bool {
    *seconds == 0.0
}

impl Scores {
    /// Adds a metric.
    pub fn push(&mut self, name: impl Into<String>, value: f64, better: Better) {
        let name = name.into();
        self.metrics.push(Metric {
            name,
            value,
            better,
        });
    }

    /// Adds a count.
    pub fn count(&mut self, name: &str, number: usize) {
        self.counts.insert(name.into(), number);
    }

    /// A metric by its name.
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// The metric that stands for all of them.
    pub fn primary(&self) -> &Metric {
        self.metrics.first().expect("an evaluator has a metric")
    }
}

impl Evaluation {
    /// A metric by `task.metric`, or the primary one by `task`.
    pub fn get(&self, path: &str) -> Option<&Metric> {
        if let Some(task) = self.tasks.get(path) {
            return Some(task.scores.primary());
        }
        // A metric has no dot in its name; a task may.
        let (task, metric) = path.rsplit_once('.')?;
        self.tasks.get(task)?.scores.get(metric)
    }
}
