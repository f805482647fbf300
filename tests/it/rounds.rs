//! Trainings in rounds: each mines the negatives of the next.

use juzi_schemas::manifest::Manifest;
use serde_json::{Value, json};

use crate::evaluation::{RECIPE, write_recipe, write_tasks};
use crate::experiment::{bytes, read};
use crate::fixtures::{corpus, lines, prose};
use crate::support::Place;

#[test]
fn rounds_mine_for_each_other() {
    let place = Place::new("rounds");
    let pair = |at: u64| {
        let positive = prose(at + 300, 2);
        let anchor: String = positive.chars().take(20 + at as usize % 7).collect();
        json!([anchor, positive])
    };
    let pairs: Vec<Value> = (0..40).map(pair).collect();
    place.write("train.jsonl", lines(&pairs));
    let corpora = corpus(
        "pairs",
        "embedding_training_data",
        "train = [\"train.jsonl\"]",
    );
    let tables = "[shards]\nwords = true\n[negatives]\ncount = 2\n[batches]\nsize = 4\n";
    place.write("plan.toml", format!("name = \"it\"\n{corpora}{tables}"));
    place
        .juzi(&["run", "plan.toml", "--data", "data"])
        .expect(0, &[]);
    let recipe = RECIPE
        .replace("copies = 1", "copies = 0")
        .replace("size = 8", "size = 4");
    let recipe = format!("{recipe}[rounds]\nnumber = 2\nplan = 'plan.toml'\n");
    let texts: Vec<String> = (300..340).map(|at| prose(at, 2)).collect();
    write_recipe(&place, &texts, &recipe);
    write_tasks(&place);
    let rounds = |flags: &[&str]| {
        let arguments = [
            "train",
            "recipe.toml",
            "--data",
            "data/batches",
            "--run",
            "run",
        ];
        place.juzi(&[&arguments[..], flags].concat())
    };
    rounds(&[]).expect(0, &["round 2 of 2", "run/round-2/model"]);
    let run = place.path("run");
    let own: toml::Table = read(&run.join("round-2/recipe.toml")).parse().unwrap();
    let start = own["encoder"]["path"].as_str().unwrap();
    assert!(start.ends_with("run/round-1/model"), "{start}");
    let manifest = |name: &str| Manifest::read(&place.path(name)).unwrap();
    let mined = manifest("run/round-2/data/negatives");
    assert_eq!(mined.plan["negatives"]["miner"], "embeddings");
    assert_eq!(
        manifest("data/negatives").plan["negatives"]["miner"],
        "bm25"
    );
    let (one, two) = (
        manifest("data/batches"),
        manifest("run/round-2/data/batches"),
    );
    assert!(one.fingerprint != two.fingerprint && two.rows > 0);
    let trained = |round: u64| {
        let seen = read(&run.join(format!("round-{round}/data.json")));
        let model = run.join(format!("round-{round}/model/model.safetensors"));
        (seen, std::fs::read(model).unwrap())
    };
    let (first, second) = (trained(1), trained(2));
    assert!(first.0 != second.0 && first.1 != second.1);
    for model in ["run/round-1/model", "run/round-2/model"] {
        place
            .juzi(&["evaluate", model, "tasks/pairs.tsv"])
            .expect(0, &[]);
    }
    let before = bytes(&run);
    rounds(&[]).expect(1, &["run: rounds are here already", "--resume"]);
    let again = rounds(&["--resume"]).expect(0, &["complete: "]);
    assert!(!again.stderr.contains("step "), "{again:#?}");
    assert!(bytes(&run) == before, "what was complete was changed");
}
