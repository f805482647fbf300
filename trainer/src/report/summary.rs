//! What a log says, gathered in one pass and in bounded memory, however long it is.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::axis::figure;
use super::chart::{Chart, Marks};
use super::page::told;
use super::series::Series;

/// Curves of figures at most.
const CURVES_MAX: usize = 64;
/// Curves of a task at most: the first of its metrics, so many as there are colours.
const METRICS_MAX: usize = 8;
/// Tasks at most.
const TASKS_MAX: usize = 200;
/// Events besides steps that are listed at the beginning, and at the end.
const LISTED_MAX: usize = 100;
/// Rows of evaluations at most.
const EVALUATIONS_MAX: usize = 1000;

/// Names of metrics and their values, the primary one first.
pub type Metrics = Vec<(String, f64)>;

/// What the log of a run says.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    curves: BTreeMap<String, Series>,
    figures: BTreeMap<String, Series>,
    metrics: BTreeMap<String, Vec<(String, Series)>>,
    /// Of each task, the steps and what was found.
    pub evaluations: BTreeMap<String, Vec<(u64, Metrics)>>,
    /// Steps with marks.
    pub marks: Marks,
    /// Of each task, what was found before the first step, however long the log is.
    pub before: BTreeMap<String, Metrics>,
    /// The step of the best checkpoint.
    pub best: Option<u64>,
    /// What the gradient doctor found last.
    pub doctor: Option<Value>,
    /// Events that are no steps: step, kind, and the rest in words; the first and the last ones.
    pub happened: VecDeque<(u64, String, String)>,
    /// How many of them are left out.
    pub left_out: u64,
    first: Value,
    last: Value,
    stop: Option<String>,
}

/// Curves that have a place of their own: field, title, whether from zero, whether smooth.
const CURVES: [(&str, &str, bool, bool); 8] = [
    ("loss", "loss", false, true),
    ("learning_rate", "learning rate", true, false),
    ("gradient_norm", "gradient norm", true, true),
    (
        "alignment",
        "alignment (smaller: pairs are nearer)",
        false,
        true,
    ),
    (
        "uniformity",
        "uniformity (smaller: more evenly spread)",
        false,
        true,
    ),
    ("tokens_per_s", "tokens per second", true, false),
    ("sequences_per_s", "sequences per second", true, false),
    (
        "wait_share",
        "share of time that the training waited for batches",
        true,
        false,
    ),
];

impl Summary {
    /// Takes in the next event.
    pub fn add(&mut self, event: Value) {
        let step = event["step"].as_u64().unwrap_or(0);
        self.marks.last = self.marks.last.max(step);
        match event["kind"].as_str().unwrap_or_default() {
            "step" => self.step(step, event),
            "evaluation" => self.evaluation(step, &event),
            "doctor" => self.doctor = Some(event),
            kind => {
                match kind {
                    "checkpoint" => {
                        self.marks.checkpoints.push(step, 0.0);
                        if event["best"] == true {
                            self.best = Some(step);
                        }
                    }
                    "resume" => self.marks.resumes.push(step),
                    "start" if self.first.is_null() => self.first = event.clone(),
                    _ => {}
                }
                self.stop = (kind == "stop").then(|| told(&event["reason"]));
                self.list(step, kind, &event);
            }
        }
    }

    fn step(&mut self, step: u64, event: Value) {
        for (field, ..) in CURVES {
            let value = event[field].as_f64().or(event["time"][field].as_f64());
            if let Some(value) = value {
                let curve = self.curves.entry(field.into()).or_default();
                curve.push(step, value);
            }
        }
        for (name, value) in event["figures"].as_object().into_iter().flatten() {
            let Some(value) = value.as_f64() else {
                continue;
            };
            if self.figures.len() < CURVES_MAX || self.figures.contains_key(name) {
                let figure = self.figures.entry(name.clone()).or_default();
                figure.push(step, value);
            }
        }
        self.stop = None;
        self.last = event;
    }

    fn evaluation(&mut self, step: u64, event: &Value) {
        let task = told(&event["name"]);
        if self.evaluations.len() == TASKS_MAX && !self.evaluations.contains_key(&task) {
            return;
        }
        let metrics = event["metrics"].as_object().into_iter().flatten();
        let metrics = metrics.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
        let metrics: Metrics = metrics.collect();
        let curves = self.metrics.entry(task.clone()).or_default();
        for (name, value) in &metrics {
            let room = curves.len() < METRICS_MAX;
            match curves.iter_mut().find(|(own, _)| own == name) {
                Some((_, curve)) => curve.push(step, *value),
                None if room => {
                    let mut curve = Series::default();
                    curve.push(step, *value);
                    curves.push((name.clone(), curve));
                }
                None => {}
            }
        }
        if step == 0 {
            self.before.insert(task.clone(), metrics.clone());
        }
        let rows = self.evaluations.entry(task).or_default();
        if rows.len() == EVALUATIONS_MAX {
            rows.remove(0);
        }
        rows.push((step, metrics));
    }

    /// Lists an event; of too many the middle is left out.
    fn list(&mut self, step: u64, kind: &str, event: &Value) {
        let fields = event.as_object().into_iter().flatten();
        let fields = fields.filter(|(name, _)| !["kind", "step"].contains(&name.as_str()));
        let fields = fields.map(|(name, value)| format!("{name} {}", told(value)));
        let fields = fields.collect::<Vec<_>>().join(", ");
        self.happened.push_back((step, kind.into(), fields));
        if self.happened.len() > 2 * LISTED_MAX {
            self.happened.remove(LISTED_MAX);
            self.left_out += 1;
        }
    }

    /// Lines of steps in the log.
    pub fn steps(&self) -> u64 {
        self.curves.get("loss").map_or(0, Series::values)
    }

    /// What stands at the head of the page.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let state = match &self.stop {
            Some(reason) => format!("stopped: {reason}"),
            None => "running, or killed".into(),
        };
        let steps = match self.first["steps"].as_u64() {
            Some(steps) => format!("{} of {steps}", self.marks.last),
            None => self.marks.last.to_string(),
        };
        let mut facts = vec![("state", state), ("steps", steps)];
        let fields = [
            ("epoch", &self.last["epoch"]),
            ("loss", &self.last["loss"]),
            ("parameters", &self.first["parameters"]),
            ("dataset", &self.first["dataset"]),
            ("recipe", &self.first["recipe"]),
        ];
        let known = fields.into_iter().filter(|(_, value)| !value.is_null());
        facts.extend(known.map(|(name, value)| (name, told(value))));
        if let Some(rate) = self.curves.get("tokens_per_s").and_then(Series::last) {
            facts.push(("tokens per second", figure(rate.1)));
        }
        facts
    }

    /// All charts in their order: evaluations behind the loss, what is only curious last.
    pub fn charts(&self) -> Vec<Chart<'_>> {
        let mut charts = Vec::new();
        for (field, title, from_zero, smooth) in CURVES {
            if let Some(series) = self.curves.get(field) {
                charts.push(Chart {
                    title,
                    curves: vec![(title, series)],
                    from_zero,
                    smooth,
                    dots: false,
                });
            }
            if field == "gradient_norm" {
                charts.extend(self.evaluators());
            }
        }
        charts.extend(self.figures.iter().map(|(name, series)| Chart {
            title: name,
            curves: vec![(name, series)],
            from_zero: false,
            smooth: true,
            dots: false,
        }));
        charts
    }

    fn evaluators(&self) -> impl Iterator<Item = Chart<'_>> {
        self.metrics.iter().map(|(task, own)| Chart {
            title: task,
            curves: own
                .iter()
                .map(|(metric, series)| (metric.as_str(), series))
                .collect(),
            from_zero: false,
            smooth: false,
            dots: true,
        })
    }
}
