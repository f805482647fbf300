//! Tests of experiments: each part once, on from anywhere, refused by name.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::file::model_of;
use super::{Difference, Experiment, News, Outcome, Request, Verdict, run};
use crate::evaluators::{Better, Evaluation};
use crate::loader::fixtures::{Place, recipe, threads};
use crate::training::fixtures::place;
use crate::{Error, Result};

const RECIPE: &str = "
[data]
size = 4
[views]
augmented = 0
copies = 1
[tokenizer]
length_max = 16
[encoder]
pooling = 'mean'
[encoder.config]
vocab_size = 80
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 4
intermediate_size = 24
max_position_embeddings = 32
[loss]
name = 'info_nce'
[optimizer]
learning_rate = 0.01
[schedule]
steps = 4
[training]
checkpoint_steps = 2
log_steps = 1
";

const FILE: &str = "
seeds = [1, 2]
tasks = 'tasks.toml'
recipe = 'recipe.toml'
doctor = false
[[arms]]
name = 'plain'
[[arms]]
name = 'fast and long'
set = { optimizer.learning_rate = 0.02, 'schedule.steps' = 5 }
[[arms]]
name = 'after'
after = 'plain'
set = { 'schedule.steps' = 3 }
";

struct Trial {
    place: Place,
}

impl Trial {
    fn new(file: &str) -> Trial {
        let (place, dataset) = place();
        recipe(&place, &dataset, RECIPE);
        let pairs = "一丁\t丁一\t1\n一丁丂\t七丄丅\t0\n丂七\t丂七丄\t0.8\n一丁丂\t一丅丅\t0.3\n";
        std::fs::write(place.path("pairs.tsv"), pairs).unwrap();
        let tasks = "[tasks.pairs]\nevaluator = 'similarity'\nfiles = ['pairs.tsv']\n";
        std::fs::write(place.path("tasks.toml"), tasks).unwrap();
        std::fs::write(place.path("trial.toml"), file).unwrap();
        Trial { place }
    }

    fn out(&self) -> PathBuf {
        self.place.path("out")
    }

    /// Runs until `parts` steps were taken; gives the steps too.
    fn run(&self, only: &[&str], most: u64) -> (Result<Outcome>, u64) {
        let file = self.place.path("trial.toml");
        let experiment = match Experiment::read(&file) {
            Ok(experiment) => experiment,
            Err(error) => return (Err(error), 0),
        };
        let request = Request {
            out: self.out(),
            only: only.iter().map(|name| (*name).into()).collect(),
            seeds: Vec::new(),
            threads: threads(1),
        };
        let steps = Cell::new(0);
        let stop = || steps.get() >= most;
        let done = run(&experiment, &request, &stop, &mut |news| {
            if let News::Step(_) = news {
                steps.set(steps.get() + 1);
            }
        });
        (done, steps.get())
    }

    fn whole(&self) -> (Outcome, u64) {
        let (done, steps) = self.run(&[], u64::MAX);
        let outcome = done.unwrap();
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        (outcome, steps)
    }
}

fn scores(run: &Path, name: &str) -> Evaluation {
    let text = std::fs::read(run.join("evaluations").join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// All values of a card, for comparison to the bit.
fn values(outcome: &Outcome) -> Vec<(String, BTreeMap<u64, f64>)> {
    let rows = outcome.card.metrics.iter().flat_map(|metric| &metric.rows);
    rows.map(|row| (row.name.clone(), row.values.clone()))
        .collect()
}

#[test]
fn all_arms_and_seeds_are_trained_measured_and_compared() {
    let trial = Trial::new(FILE);
    let (outcome, steps) = trial.whole();
    assert_eq!(steps, 2 * (4 + 5 + 3));
    let card = &outcome.card;
    assert_eq!(card.metrics.len(), 1);
    assert_eq!(card.metrics[0].name, "pairs.spearman");
    let rows = &card.metrics[0].rows;
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["plain", "fast and long", "after"]);
    for row in rows {
        let difference = row.difference.unwrap();
        assert_eq!((row.spread.n, difference.spread.n), (2, 2));
        let mean = row.spread.mean - row.before.unwrap().mean;
        assert!((difference.spread.mean - mean).abs() < 1e-12);
    }
    assert_eq!(card.arms[1].steps, BTreeMap::from([(1, 5), (2, 5)]));
    assert!(card.arms.iter().all(|arm| arm.training_s > 0.0));
    let out = trial.out();
    let page = std::fs::read_to_string(out.join("card.md")).unwrap();
    assert!(
        page.contains("| fast and long |") && page == card.page(),
        "{page}"
    );
    assert!(out.join("card.json").exists() && out.join("fast-and-long/seed-2").is_dir());
    // What comes after a run begins where that one ended.
    let (one, other) = (out.join("plain/seed-2"), out.join("after/seed-2"));
    assert!(model_of(&one).is_dir() && !model_of(&other).exists());
    let (ended, began) = (scores(&one, "final.json"), scores(&other, "before.json"));
    let difference = ended.get("pairs").unwrap().value - began.get("pairs").unwrap().value;
    assert!(difference.abs() < 1e-12);
    assert_eq!((ended.step, began.step), (Some(4), None));
    // Two seeds of two arms begin alike, and two after them.
    assert_eq!(std::fs::read_dir(out.join("starts")).unwrap().count(), 4);
    let (again, steps) = trial.whole();
    assert_eq!((values(&again), steps), (values(&outcome), 0));
}

#[test]
fn baselines_stand_beside_arms() {
    let trial = Trial::new(&format!("baselines = ['tfidf', 'bm25']\n{FILE}"));
    let outcome = trial.run(&["plain"], u64::MAX).0.unwrap();
    let rows = &outcome.card.metrics[0].rows;
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names[0], "tfidf");
    assert_eq!(names.last(), Some(&"plain"));
    assert!(
        rows[0].values[&0] > 0.0 && rows[0].difference.is_none(),
        "{rows:?}"
    );
    assert!(trial.out().join("models/tfidf.json").exists());
}

#[test]
fn an_experiment_that_is_stopped_goes_on() {
    let (stopped, whole) = (Trial::new(FILE), Trial::new(FILE));
    for most in [1, 3, 7] {
        let (done, _) = stopped.run(&[], most);
        assert!(matches!(done, Err(Error::Interrupted { .. })), "{most}");
    }
    let (outcome, steps) = stopped.whole();
    assert_eq!(steps, 24 - 11);
    assert_eq!(values(&outcome), values(&whole.whole().0));
}

#[test]
fn scores_that_are_there_are_not_made_again() {
    let trial = Trial::new(FILE);
    let (first, _) = trial.run(&["plain"], u64::MAX);
    let path = trial.out().join("plain/seed-1/evaluations/final.json");
    let mut told = scores(&trial.out().join("plain/seed-1"), "final.json");
    told.tasks.get_mut("pairs").unwrap().scores.metrics[0].value = 0.125;
    std::fs::write(&path, serde_json::to_string(&told).unwrap()).unwrap();
    let (outcome, _) = trial.run(&["plain"], u64::MAX);
    assert_eq!(values(&outcome.unwrap())[0].1[&1], 0.125);
    // Another task is measured again.
    let file = trial.place.path("pairs.tsv");
    let pairs = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, pairs + "七\t七\t1\n").unwrap();
    let (outcome, _) = trial.run(&["plain"], u64::MAX);
    assert_ne!(values(&outcome.unwrap())[0].1[&1], 0.125);
    assert!(
        first
            .unwrap()
            .card
            .page()
            .contains("Not measured yet: fast and long (seeds 1, 2)")
    );
}

#[test]
fn only_some_arms_and_what_they_need() {
    let trial = Trial::new(FILE);
    let (outcome, steps) = trial.run(&["after"], u64::MAX);
    assert_eq!(steps, 2 * (4 + 3));
    assert_eq!(outcome.unwrap().card.metrics[0].rows.len(), 2);
    let (refused, _) = trial.run(&["befor"], u64::MAX);
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("--only befor") && text.contains("fast and long"),
        "{text}"
    );
}

#[test]
fn a_changed_recipe_is_refused_before_anything_is_done() {
    let trial = Trial::new(FILE);
    trial.run(&["fast and long"], u64::MAX).0.unwrap();
    let file = trial.place.path("trial.toml");
    std::fs::write(&file, FILE.replace("0.02", "0.03")).unwrap();
    let (refused, steps) = trial.run(&[], u64::MAX);
    let error = refused.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("[optimizer] learning_rate: 0.02 there, 0.03 here"),
        "{text}"
    );
    assert_eq!((error.exit_code(), steps), (1, 0));
}

#[test]
fn a_run_that_fails_stops_no_other() {
    let nowhere = "unset = ['encoder.config']\nset = { 'encoder.path' = 'nowhere', optimizer";
    let trial = Trial::new(&FILE.replace("set = { optimizer", nowhere));
    let outcome = trial.run(&[], u64::MAX).0.unwrap();
    assert_eq!(outcome.failed.len(), 2, "{:?}", outcome.failed);
    assert!(
        outcome.failed[1].contains("nowhere"),
        "{:?}",
        outcome.failed
    );
    assert!(
        outcome.failed[0].starts_with("fast and long, seed 1: "),
        "{:?}",
        outcome.failed
    );
    let names: Vec<_> = values(&outcome).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["plain", "after"]);
}

#[test]
fn mistakes_are_named() {
    for (from, to, says) in [
        ("seeds = [1, 2]", "seeds = []", "seeds = []"),
        ("'tasks.toml'", "''", "tasks: no file"),
        ("'tasks.toml'", "'none.toml'", "none.toml"),
        (
            "doctor = false",
            "against = 'plan'",
            "against = \"plan\": `before` or",
        ),
        (
            "doctor = false",
            "metrics = ['pairs.pearsn']",
            "no `pairs.pearsn`; there are pairs.",
        ),
        (
            "after = 'plain'",
            "after = 'after'",
            "no arm of this name stands before it",
        ),
        (
            "'fast and long'",
            "'plain'",
            "has the same directory, plain",
        ),
        ("'fast and long'", "'models'", "has another meaning"),
        (
            "'schedule.steps' = 5",
            "'schedule.step' = 5",
            "unknown field `step`",
        ),
        (
            "'schedule.steps' = 5",
            "'seed.steps' = 5",
            "set: `seed` is 1 there, not a table",
        ),
        (
            "'schedule.steps' = 5",
            "seed = 5",
            "set: seed: the experiment has",
        ),
        (
            "'fast and long'",
            "'x'\nunset = ['loss.nme']",
            "no `loss.nme`",
        ),
        ("'recipe.toml'", "''", "[[arms]] plain: no recipe is named"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let trial = Trial::new(&FILE.replacen(from, to, 1));
        let text = trial.run(&[], u64::MAX).0.unwrap_err().to_string();
        assert!(text.contains(says), "{to}: {text}");
    }
}

#[test]
fn values_are_laid_over_a_recipe() {
    let file = "
        tasks = 'tasks.toml'
        set = { training.log_steps = 2, 'encoder.pooling' = 'max' }
        [[arms]]
        name = 'a'
        recipe = 'recipe.toml'
        data = 'other'
        unset = ['loss', 'encoder.config']
        set = { 'encoder.path' = 'm', encoder.pooling = 'cls', loss = { name = 'nt_xent' } }
    ";
    let trial = Trial::new(file);
    let experiment = Experiment::read(&trial.place.path("trial.toml")).unwrap();
    let recipe = experiment
        .recipe_of(&experiment.arms[0], 7, &trial.out())
        .unwrap();
    let encoder = recipe.encoder.unwrap();
    assert_eq!(Path::new(&encoder.path), trial.place.path("m"));
    assert_eq!(Path::new(&recipe.data.dataset), trial.place.path("other"));
    assert_eq!((encoder.pooling.name(), encoder.config), ("cls", None));
    assert_eq!((recipe.seed, recipe.training.log_steps), (7, 2));
    assert_eq!(
        toml::Value::try_from(recipe.loss).unwrap()["name"].as_str(),
        Some("nt_xent")
    );
}

#[test]
fn differences_are_paired_by_seed() {
    let of = |values: &[(u64, f64)]| BTreeMap::from_iter(values.iter().copied());
    let one = of(&[(1, 0.50), (2, 0.30), (3, 0.71)]);
    let other = of(&[(1, 0.48), (2, 0.28), (3, 0.68), (4, 9.0)]);
    // The seeds differ by far more than the arms.
    let found = Difference::of(&one, &other, Better::Higher).unwrap();
    assert_eq!((found.spread.n, found.verdict), (3, Verdict::Better));
    assert!((found.spread.mean - 0.07 / 3.0).abs() < 1e-12);
    for (better, verdict) in [
        (Better::Lower, Verdict::Worse),
        (Better::Neither, Verdict::Other),
    ] {
        assert_eq!(
            Difference::of(&one, &other, better).unwrap().verdict,
            verdict
        );
    }
    let crossed = of(&[(1, 0.28), (2, 0.48), (3, 0.68)]);
    let found = Difference::of(&one, &crossed, Better::Higher).unwrap();
    assert_eq!(found.verdict, Verdict::WithinSpread);
    let alone = Difference::of(&one, &of(&[(2, 0.1)]), Better::Higher).unwrap();
    assert_eq!((alone.spread.n, alone.verdict), (1, Verdict::OneSeed));
    assert_eq!(Difference::of(&one, &of(&[(9, 0.1)]), Better::Higher), None);
}
