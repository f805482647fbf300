//! Tests of measuring while training: nothing is disturbed, the right checkpoint is the best, and what
//! was killed goes on to the same scores.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;

use candle_core::Device;
use juzi_schemas::fingerprint::Fingerprint;

use super::fixtures::{Twist, open, place, setup};
use super::tests::{ALL, MOMENTUM, events, files, finish};
use super::{Ending, Model, Setup, Start, Training, evaluations};
use crate::Result;
use crate::checkpoint::{self, Checkpoint, Checkpoints, DIR};
use crate::evaluators::{Better, Embedder, Evaluator, Scores};
use crate::loader::fixtures::Place;
use crate::recipe::Recipe;

/// A setup whose recipe measures two tasks, and changes of the recipe.
fn measured(
    of: (&Place, &PathBuf),
    run: &str,
    head: &str,
    changes: &[(&str, &str)],
    twist: Twist,
) -> Setup {
    let place = of.0;
    let texts = ["一丈七", "七一", "丈七一丈", "下", "三一七"];
    for (name, factor) in [("sts", 1.0), ("other", -1.0)] {
        let lines = (0..8usize).map(|pair| {
            let (one, other) = (texts[pair % 5], texts[(pair * 3 + 1) % 5]);
            format!("{one}\t{other}\t{}\n", factor * (pair * 5 % 7) as f64)
        });
        let path = place.path(&format!("{name}.tsv"));
        std::fs::write(path, lines.collect::<String>()).unwrap();
    }
    let tasks = "\
[evaluation.prompts]
text = '一'
[evaluation.tasks.sts]
evaluator = 'similarity'
files = ['sts.tsv']
[evaluation.tasks.other]
evaluator = 'similarity'
files = ['other.tsv']
[training]";
    let tables = format!("[evaluation]\n{head}\n{tasks}");
    let mut changes = changes.to_vec();
    changes.push(("[training]", &tables));
    setup(of, run, &changes, twist)
}

fn evaluation_files(run: &Path) -> BTreeMap<String, String> {
    let Ok(files) = std::fs::read_dir(run.join(evaluations::DIR)) else {
        return BTreeMap::new();
    };
    let files = files.map(|file| {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    });
    files.collect()
}

fn same(one: &Path, other: &Path) {
    assert_eq!(files(one), files(other), "{}", other.display());
    assert_eq!(evaluation_files(one), evaluation_files(other));
    for kind in ["step", "checkpoint", "evaluation"] {
        let name = other.display();
        assert_eq!(events(one, kind), events(other, kind), "{kind} {name}");
    }
}

#[test]
fn measuring_disturbs_nothing() {
    for (changes, twist) in [(&ALL[..0], Twist::default()), (&ALL[..], MOMENTUM)] {
        let (place, dataset) = place();
        let of = (&place, &dataset);
        finish(open(setup(of, "plain", changes, twist), Start::New));
        let with = measured(of, "measured", "steps = 2", changes, twist);
        finish(open(with, Start::New));
        let (plain, measured) = (place.path("plain"), place.path("measured"));
        assert_eq!(files(&plain), files(&measured));
        for kind in ["step", "checkpoint"] {
            assert_eq!(events(&plain, kind), events(&measured, kind));
        }
        assert_eq!(evaluation_files(&measured).len(), 7);
        assert!(!plain.join(evaluations::DIR).exists());
    }
}

#[test]
fn what_is_told_is_what_is_written() {
    let (place, dataset) = place();
    let of = (&place, &dataset);
    let head = "steps = 5\ndecides = 'sts'";
    let make = || measured(of, "run", head, &ALL, Twist::default());
    let mut training = open(make(), Start::New);
    let heard = Rc::new(RefCell::new(Vec::new()));
    let ear = heard.clone();
    training.on_evaluation(move |evaluation| ear.borrow_mut().push(evaluation.clone()));
    training.run(&|| false, &mut |_| {}).unwrap();
    let steps: Vec<_> = heard.borrow().iter().map(|own| own.step.unwrap()).collect();
    assert_eq!(steps, [0, 5, 10, 12]);
    let run = place.path("run");
    let told = events(&run, "evaluation");
    assert_eq!(told.len(), 8);
    for (number, evaluation) in heard.borrow().iter().enumerate() {
        let step = evaluation.step.unwrap();
        let read = evaluations::read(&run, step).unwrap().unwrap();
        assert_eq!(read.about["weights"], "moving average");
        assert_eq!(read.about["prompt text"], "一");
        let value = evaluation.get("sts.spearman").unwrap().value;
        assert_eq!(read.get("sts").unwrap().value, value);
        let event = &told[2 * number + 1];
        assert_eq!(
            (&event["name"], &event["step"]),
            (&"sts".into(), &step.into())
        );
        assert_eq!(event["metrics"]["spearman"].as_f64().unwrap(), value);
        // The two tasks have opposite gold.
        assert_eq!(read.get("other").unwrap().value, -value);
    }
    // Each evaluation has its checkpoint; those between count for nothing.
    let checkpoints = events(&run, "checkpoint");
    let steps: Vec<_> = checkpoints.iter().map(|own| own["step"].clone()).collect();
    assert_eq!(steps, [3, 5, 6, 9, 10, 12]);
    assert!(
        checkpoints
            .iter()
            .all(|own| own["value"].is_null() == (own["decides"].is_null()))
    );
    assert_eq!(checkpoints[1]["best"], true);
    assert!(checkpoints[0]["decides"].is_null() && checkpoints[0]["best"] == false);
    let summed = training.evaluations().unwrap();
    let headings: Vec<&str> = summed.iter().map(|(heading, _)| &heading[..]).collect();
    let best = training.position().best.unwrap();
    assert_eq!(
        headings,
        ["before", &format!("best ({})", best.step), "last (12)"]
    );
    assert_eq!(summed[1].1.get("sts").unwrap().value, best.value);
    drop(training);
    // What is complete is not measured again.
    let again = open(make(), Start::Resume);
    assert_eq!(again.evaluations().unwrap(), summed);
    assert_eq!(finish(again), Ending::Complete);
    assert_eq!(events(&run, "evaluation").len(), 8);
}

#[test]
fn a_killed_run_is_measured_again_to_the_bit() {
    let (place, dataset) = place();
    for head in ["steps = 2\ndecides = 'other.spearman'", "steps = 5"] {
        let name = head.len();
        let make = |run: &str| measured((&place, &dataset), run, head, &ALL, MOMENTUM);
        let whole = format!("whole-{name}/run");
        finish(open(make(&whole), Start::New));
        for killed in [0, 1, 4, 5, 11, 12] {
            let run = format!("killed-{name}-{killed}/run");
            let mut training = open(make(&run), Start::New);
            (0..killed).for_each(|_| assert!(training.step().unwrap().loss.is_finite()));
            drop(training);
            finish(open(make(&run), Start::Resume));
            same(&place.path(&whole), &place.path(&run));
        }
    }
}

/// Values one after another, whatever is measured.
struct Listed {
    values: Mutex<Vec<f64>>,
    better: Better,
}

impl Evaluator for Listed {
    fn texts(&self) -> Vec<&str> {
        Vec::new()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint(1)
    }

    fn evaluate(&self, _: &mut dyn Embedder) -> Result<Scores> {
        let mut scores = Scores::default();
        let value = self.values.lock().unwrap().remove(0);
        scores.push("spearman", value, self.better);
        Ok(scores)
    }
}

#[test]
fn a_metric_decides_in_its_direction() {
    let early = [(
        "log_steps = 1",
        "log_steps = 1\nkeep_last = 1\nearly_stop = 2",
    )];
    let (up, down) = (Better::Higher, Better::Lower);
    for (values, better, ending, kept) in [
        (vec![0.5, 0.4, 0.45, 9.0], up, Ending::EarlyStop, [6, 2]),
        (
            vec![0.5, 0.4, 0.41, 0.4, 0.1],
            down,
            Ending::EarlyStop,
            [8, 4],
        ),
        (
            vec![0.1, 0.2, 0.1, 0.3, 0.2, 0.4],
            up,
            Ending::Complete,
            [12, 12],
        ),
        (
            vec![0.1, 0.2, -0.1, 0.3, -0.2, 0.4],
            down,
            Ending::Complete,
            [12, 10],
        ),
    ] {
        let (place, dataset) = place();
        let head = "steps = 2\ndecides = 'sts.spearman'";
        let setup = measured((&place, &dataset), "run", head, &early, Twist::default());
        let mut training = open(setup, Start::New);
        let measuring = training.measuring.as_mut().unwrap();
        measuring.tasks[1].evaluator = Box::new(Listed {
            values: Mutex::new(values.clone()),
            better,
        });
        let ended = training.run(&|| false, &mut |_| {}).unwrap();
        assert_eq!(ended, ending, "{values:?}");
        let run = place.path("run");
        let mut steps = Checkpoints::new(&run, 1, true).steps().unwrap();
        if steps.len() == 1 {
            steps.push(steps[0]);
        }
        assert_eq!(steps, kept, "{values:?}");
        let best = Checkpoint::open(&run.join(DIR).join(format!("step-{:06}", kept[1]))).unwrap();
        let position = best.state.position;
        assert_eq!(position.best.unwrap().step, position.step);
        assert_eq!(
            position.best.unwrap().value,
            values[kept[1] as usize / 2 - 1]
        );
    }
}

#[test]
fn the_end_is_measured_where_the_loss_stops_early() {
    let (place, dataset) = place();
    let early = [("log_steps = 1", "log_steps = 1\nearly_stop = 2")];
    let rising = Twist {
        rise: 10.0,
        ..Twist::default()
    };
    let make = || measured((&place, &dataset), "run", "before = false", &early, rising);
    assert_eq!(finish(open(make(), Start::New)), Ending::EarlyStop);
    let run = place.path("run");
    let names: Vec<_> = evaluation_files(&run).into_keys().collect();
    assert_eq!(names, ["step-000009.json"]);
    assert_eq!(events(&run, "evaluation").len(), 2);
    let training = open(make(), Start::Resume);
    assert_eq!(finish(training), Ending::EarlyStop);
    assert_eq!(events(&run, "evaluation").len(), 2);
}

#[test]
fn a_metric_that_is_not_there_is_refused_before_anything_is_written() {
    let (place, dataset) = place();
    let head = "decides = 'sts.sperman'";
    let setup = measured((&place, &dataset), "run", head, &[], Twist::default());
    let error = Training::open(setup, Start::New).err().unwrap();
    assert_eq!(error.exit_code(), 1);
    let error = error.to_string();
    let wanted =
        "[evaluation] decides = \"sts.sperman\": no such metric; there are other.spearman, ";
    assert!(
        error.starts_with(wanted) && error.contains(" sts.spearman,"),
        "{error}"
    );
    assert!(!place.path("run").exists());
    let setup = measured((&place, &dataset), "run", "", &[], Twist::default());
    std::fs::remove_file(place.path("other.tsv")).unwrap();
    let error = Training::open(setup, Start::New).err().unwrap().to_string();
    assert!(error.contains("other.tsv"), "{error}");
}

#[test]
fn tasks_may_stand_in_a_file_of_their_own() {
    let (place, dataset) = place();
    let inline = measured(
        (&place, &dataset),
        "run",
        "steps = 3",
        &[],
        Twist::default(),
    );
    let text = std::fs::read_to_string(place.path("recipe.toml")).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    let evaluation = table["evaluation"].as_table_mut().unwrap();
    let mut tasks = toml::Table::new();
    for key in ["tasks", "prompts"] {
        tasks.insert(key.into(), evaluation.remove(key).unwrap());
    }
    evaluation.insert("file".into(), "deep/tasks.toml".into());
    std::fs::create_dir(place.path("deep")).unwrap();
    let path = place.path("other.toml");
    std::fs::write(&path, table.to_string()).unwrap();
    // A feed can do without them.
    let missing = Recipe::read(&path).unwrap();
    assert!(
        missing
            .evaluation
            .unwrap()
            .file
            .ends_with("deep/tasks.toml")
    );
    std::fs::write(place.path("deep/tasks.toml"), tasks.to_string()).unwrap();
    let filed = Recipe::read(&path).unwrap();
    assert_eq!(
        filed.training_fingerprint(),
        inline.recipe.training_fingerprint()
    );
    assert_eq!(filed.fingerprint(), inline.recipe.fingerprint());
    let own = format!("{:?}", filed.evaluation.unwrap());
    assert!(own.contains("deep/sts.tsv"), "{own}");
    evaluation_of(&mut table).insert("decides".into(), "stz.spearman".into());
    std::fs::write(&path, table.to_string()).unwrap();
    let error = Recipe::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("other.toml: [evaluation] decides"),
        "{error}"
    );
}

fn evaluation_of(table: &mut toml::Table) -> &mut toml::Table {
    table["evaluation"].as_table_mut().unwrap()
}

#[test]
fn a_recipe_may_begin_where_a_run_ended() {
    for (changes, averaged) in [(&ALL[..], true), (&ALL[..1], false)] {
        let (place, dataset) = place();
        let mut training = open(
            setup((&place, &dataset), "first", changes, Twist::default()),
            Start::New,
        );
        training.run(&|| false, &mut |_| {}).unwrap();
        let text = std::fs::read_to_string(place.path("recipe.toml")).unwrap();
        let tokenizer = Recipe::read(&place.path("recipe.toml"))
            .unwrap()
            .tokenizer
            .path;
        for name in ["first", "first/checkpoints/step-000012"] {
            let mut table: toml::Table = text.parse().unwrap();
            for key in ["encoder", "tokenizer"] {
                let own = table[key].as_table_mut().unwrap();
                own.insert("path".into(), name.into());
            }
            let path = place.path("second.toml");
            std::fs::write(&path, table.to_string()).unwrap();
            let recipe = Recipe::read(&path).unwrap();
            assert_eq!(Path::new(&recipe.tokenizer.path), Path::new(&tokenizer));
            let encoder = recipe.encoder.as_ref().unwrap();
            assert!(encoder.path.ends_with("first/checkpoints/step-000012"));
            let model = Model::open(&recipe, &Device::Cpu).unwrap();
            let messages = model.encoder.messages.join("\n");
            let weights = if averaged {
                "average.safetensors"
            } else {
                "model.safetensors"
            };
            assert!(
                messages.contains(&format!("weights of {weights}")),
                "{messages}"
            );
            let wanted = match training.average() {
                Some(average) => average,
                None => &training.model().encoder.parameters,
            };
            for own in model.encoder.parameters.iter() {
                let values = |tensor: &candle_core::Tensor| {
                    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                };
                let wanted = wanted.get(&own.name).unwrap();
                assert_eq!(
                    values(own.tensor()),
                    values(wanted.tensor()),
                    "{}",
                    own.name
                );
            }
        }
        // A recipe alone is no run, though a tokenizer be beside it.
        assert!(checkpoint::is_run(&place.path("first")) && !checkpoint::is_run(&place.path("")));
        // A run without a checkpoint.
        std::fs::remove_dir_all(place.path("first/checkpoints")).unwrap();
        let recipe = text.replace("path = \"model\"", "path = \"first\"");
        let path = place.path("second.toml");
        std::fs::write(&path, recipe).unwrap();
        let error = Model::open(&Recipe::read(&path).unwrap(), &Device::Cpu)
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("has not come to one yet"),
            "{error}"
        );
    }
}
