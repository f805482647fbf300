//! Tests of rounds, with a front program that only does what the trainer can see of it.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use juzi_schemas::record::Kind;

use super::{Request, RoundsOptions, dir_of, plan, run};
use crate::experiment::{News, model_of};
use crate::loader::Seen;
use crate::loader::fixtures::{Place, batches, made_up, recipe, shards, threads};
use crate::recipe::Recipe;
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
layers = 1
[encoder.config]
vocab_size = 80
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 4
intermediate_size = 24
max_position_embeddings = 32
[loss]
name = 'info_nce'
[schedule]
steps = 3
[training]
checkpoint_steps = 2
[rounds]
number = 2
plan = 'plan.toml'
";

const PLAN: &str = "
name = 'trial'
[[corpora]]
name = 'one'
reader = 'jsonl'
train = ['a/*.json', '/b.zip::c']
[topics]
vectors = 'words.gz::w'
[negatives]
count = 3
[batches]
size = 4
";

struct Trial {
    place: Place,
    recipe: Recipe,
}

impl Trial {
    /// With a program that links batches if all it needs is there.
    fn new() -> Trial {
        let place = Place::new();
        let dataset = shards(&place.path("data"), Kind::Text, false, &[vec![made_up(40)]]);
        let groups = made_up(40).chunks(4).map(<[_]>::to_vec).collect();
        let mined = batches(&place.path("mined"), Kind::Text, false, &[groups]);
        let recipe = recipe(&place, &dataset, RECIPE);
        std::fs::write(place.path("plan.toml"), PLAN).unwrap();
        let text = format!(
            "#!/bin/sh\necho \"$@\" >> {}\ntest -e $4/shards/manifest.json && \
             test -e $4/embeddings/manifest.json && ln -s {} $4/batches\n",
            place.path("calls").display(),
            mined.display()
        );
        let program = place.path("juzi");
        std::fs::write(&program, text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        Trial { place, recipe }
    }

    fn out(&self) -> PathBuf {
        self.place.path("run")
    }

    /// Runs until so many steps were taken; gives the steps too.
    fn run(&self, most: u64) -> (Result<()>, u64) {
        let request = Request {
            run: self.out(),
            data: None,
            threads: threads(1),
            program: self.place.path("juzi"),
            doctor: false,
        };
        let (steps, full) = (Cell::new(0), AtomicBool::new(most == 0));
        let stop = || full.load(Ordering::Relaxed);
        let done = run(&self.recipe, &request, &stop, &mut |news| {
            if let News::Step(_) = news {
                steps.set(steps.get() + 1);
                full.store(steps.get() >= most, Ordering::Relaxed);
            }
        });
        (done.map(|_| ()), steps.get())
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.place.path("calls")).unwrap_or_default();
        text.lines().map(str::to_string).collect()
    }
}

#[test]
fn each_round_begins_where_the_one_before_ended_and_sees_what_it_mined() {
    let trial = Trial::new();
    let (done, steps) = trial.run(u64::MAX);
    done.unwrap();
    assert_eq!(steps, 6);
    let (one, two) = (dir_of(&trial.out(), 1), dir_of(&trial.out(), 2));
    let [plan, data] = ["plan.toml", "data"].map(|name| two.join(name).display().to_string());
    let calls = trial.calls();
    assert_eq!(calls.len(), 1);
    assert!(
        calls[0].starts_with(&format!("run {plan} --data {data} --threads ")),
        "{calls:?}"
    );
    let recipe = Recipe::read(&two.join("recipe.toml")).unwrap();
    let encoder = recipe.encoder.unwrap();
    assert_eq!(Path::new(&encoder.path), model_of(&one));
    assert_eq!(
        (encoder.config, encoder.layers, recipe.rounds),
        (None, 0, None)
    );
    let seen = [&one, &two].map(|run| Seen::read(run).unwrap().dataset);
    assert_ne!(seen[0], seen[1]);
    assert!(model_of(&two).is_dir());
    // All is complete.
    let (again, steps) = trial.run(u64::MAX);
    again.unwrap();
    assert_eq!((steps, trial.calls().len()), (0, 1));
}

#[test]
fn rounds_that_are_stopped_go_on() {
    let trial = Trial::new();
    for (most, calls) in [(2, 0), (1, 0), (1, 1)] {
        let (done, steps) = trial.run(most);
        assert!(matches!(done, Err(Error::Interrupted { .. })), "{done:?}");
        assert_eq!((steps, trial.calls().len()), (most, calls));
    }
    let (done, steps) = trial.run(u64::MAX);
    done.unwrap();
    assert_eq!((steps, trial.calls().len()), (2, 1));
}

#[test]
fn the_first_round_can_mine_too() {
    let mut trial = Trial::new();
    trial.recipe.rounds.as_mut().unwrap().mine_first = true;
    trial.run(u64::MAX).0.unwrap();
    assert_eq!(trial.calls().len(), 2);
    let start = dir_of(&trial.out(), 1).join("start");
    let start = crate::model::Model::open(&start).unwrap();
    assert_eq!(start.encoder.config.num_hidden_layers, 1);
}

#[test]
fn a_program_that_fails_or_is_not_there_is_named() {
    let trial = Trial::new();
    std::fs::write(trial.place.path("juzi"), "#!/bin/sh\nexit 3\n").unwrap();
    let text = trial.run(u64::MAX).0.unwrap_err().to_string();
    assert!(
        text.contains("round 2: ") && text.contains("exit status: 3"),
        "{text}"
    );
    std::fs::remove_file(trial.place.path("juzi")).unwrap();
    let text = trial.run(u64::MAX).0.unwrap_err().to_string();
    assert!(text.contains("rounds need the front program"), "{text}");
}

#[test]
fn a_plan_stays_what_it_is_but_for_places_and_vectors() {
    let own = plan::of_round(PLAN, Path::new("/p"), Path::new("/e")).unwrap();
    let own: toml::Table = own.parse().unwrap();
    let mut wanted: toml::Table = PLAN
        .replace("'a/*", "'/p/a/*")
        .replace("'words", "'/p/words")
        .replace(
            "count = 3",
            "count = 3\nembeddings = '/e'\nminer = 'embeddings'",
        )
        .parse()
        .unwrap();
    assert_eq!(own, wanted);
    let both = PLAN.replace("count = 3", "miner = 'both'");
    let own = plan::of_round(&both, Path::new("/p"), Path::new("/e")).unwrap();
    assert!(own.contains("miner = \"both\""), "{own}");
    wanted.remove("batches");
    let error = plan::of_round(&wanted.to_string(), Path::new("/p"), Path::new("/e"));
    assert!(error.unwrap_err().contains("[batches]"));
}

#[test]
fn mistakes_are_named() {
    for (text, says) in [
        ("number = 0\nplan = 'p'", "[rounds] number = 0: 1 to 1000"),
        ("number = 2", "[rounds] plan: no plan"),
    ] {
        let options: RoundsOptions = toml::from_str(text).unwrap();
        assert!(options.check().unwrap_err().contains(says), "{text}");
    }
    assert!(toml::from_str::<RoundsOptions>("rounds = 3").is_err());
}
