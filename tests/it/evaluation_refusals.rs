//! What `juzi evaluate` refuses: tasks and models that are not what they should be, each by name.

use crate::evaluation::{BERT, EVALUATORS, bert, evaluate, write_search, write_tasks};
use crate::support::{Place, workspace};

/// Adds to a file.
fn append(place: &Place, name: &str, text: &str) {
    let mut content = std::fs::read_to_string(place.path(name)).unwrap();
    content.push_str(text);
    place.write(name, content);
}

#[test]
fn tasks_that_are_not_what_they_should_be_are_named() {
    let place = Place::new("evaluate-tasks");
    write_tasks(&place);
    let bert: &str = &bert();
    let refused = |task: &str, words: &[&str]| {
        let run = evaluate(&place, &[bert, task]).expect(1, words);
        assert_eq!(run.stdout, "", "{task}");
    };
    let accepted = [
        "no task here; accepted are",
        "BEIR's layout",
        "train.tsv",
        ".tsv.gz file of two",
    ];
    for (file, words) in [
        ("qrels", "without/qrels: No such file"),
        ("corpus.jsonl", "without: no task here"),
        ("queries.jsonl", "without: no task here"),
    ] {
        write_search(&place, "without");
        let path = place.path("without").join(file);
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
        let known: &[&str] = if file == "qrels" { &[] } else { &accepted };
        refused("without", &[&[words][..], known].concat());
    }
    for (file, line, words) in [
        (
            "qrels/test.tsv",
            "q1\tdx\t1",
            "line 8: the id `dx` is not in corpus.jsonl",
        ),
        (
            "qrels/test.tsv",
            "qx\td1\t1",
            "line 8: the id `qx` is not in queries.jsonl",
        ),
        (
            "qrels/test.tsv",
            "q1\td1",
            "line 8: 2 columns where 3 are wanted, with tabs between",
        ),
        (
            "qrels/test.tsv",
            "q1\td7\tmuch",
            "line 8: score is `much`; a finite number is wanted",
        ),
        (
            "corpus.jsonl",
            "{\"_id\": \"d0\", \"text\": \"天\"}",
            "line 21: the id `d0` stands there twice",
        ),
        ("queries.jsonl", "{\"_id\": 3", "line 7: "),
    ] {
        write_search(&place, "damaged");
        append(&place, &format!("damaged/{file}"), &format!("{line}\n"));
        refused("damaged", &[&format!("damaged/{file}: {words}")]);
    }
    let expected = EVALUATORS.map(|name| format!("`{name}`"));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    for (options, words) in [
        (
            "evaluator = 'magic'",
            [
                &["wrong.toml", "unknown variant `magic`"][..],
                &expected[..],
            ]
            .concat(),
        ),
        (
            "evaluator = 'similarity'\nfile = 'pairs.tsv'",
            vec!["unknown field `file`", "`files`"],
        ),
        (
            "evaluator = 'similarity'",
            vec!["[tasks.one] files = []; at least one is wanted"],
        ),
        (
            "evaluator = 'similarity'\nfiles = ['nowhere.tsv']",
            vec!["nowhere.tsv: No such file"],
        ),
        (
            "evaluator = 'retrieval'\ndir = 'tasks/search'\nsplit = 'valid'",
            vec!["tasks/search/qrels/valid.tsv: No such file"],
        ),
    ] {
        place.write("wrong.toml", format!("[tasks.one]\n{options}\n"));
        refused("wrong.toml", &words);
    }
    refused("nowhere.tsv", &["nowhere.tsv: No such file"]);
    refused("tasks", &accepted);
}

#[test]
fn models_that_are_not_what_they_should_be_are_named() {
    let place = Place::new("evaluate-models");
    write_tasks(&place);
    let refused = |arguments: &[&str], words: &[&str]| {
        let run = evaluate(&place, arguments).expect(1, words);
        assert_eq!(run.stdout, "", "{arguments:?}");
    };
    let file = |name: &str| std::fs::read(workspace().join(BERT).join(name)).unwrap();
    for name in ["vocab.txt", "tokenizer_config.json"] {
        place.write(&format!("t5/{name}"), file(name));
        place.write(&format!("nan/{name}"), file(name));
    }
    let config = String::from_utf8(file("config.json")).unwrap();
    assert!(config.contains("\"bert\""));
    place.write("t5/config.json", config.replace("\"bert\"", "\"t5\""));
    place.write("t5/model.safetensors", file("model.safetensors"));
    let words =
        "t5/config.json: model_type = \"t5\": bert, roberta, xlm-roberta, camembert are accepted";
    refused(&["t5", "tasks/pairs.tsv"], &[words]);
    // Eight bytes say how long the head is; the numbers follow it.
    let mut weights = file("model.safetensors");
    let head = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    weights[8 + head..].fill(0xff);
    place.write("nan/config.json", config);
    place.write("nan/model.safetensors", weights);
    let words =
        "nan/model.safetensors: tensor `bert.embeddings.word_embeddings.weight` is not all numbers";
    refused(&["nan", "tasks/pairs.tsv"], &[words]);
    let words = [
        "no such run, checkpoint or folder of a model",
        "tfidf, bm25, words=FILE",
    ];
    refused(&["nowhere", "tasks/pairs.tsv"], &words);
    refused(&["tasks", "tasks/pairs.tsv"], &["tasks: expected a run"]);
    let bert: &str = &bert();
    refused(&[bert, "tasks/pairs.tsv", "--beside", "tfid"], &words);
    refused(
        &[bert, "tasks/pairs.tsv", "--step", "3"],
        &["no run is named"],
    );
    refused(
        &[bert, "tasks/pairs.tsv", "--data", "nowhere"],
        &["nowhere: no dataset here"],
    );
}
