//! `juzi augment`: views of the texts of a dataset, made with its synonyms, and the audit of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::commands::small;
use crate::support::{Place, Run};
use crate::vectors::{UNGUARDED, Vectors, counted, has_letter, rows};

/// Shards with words, and synonyms of these words, in the directory `data`.
fn prepare(place: &Place) -> BTreeMap<String, BTreeSet<String>> {
    let text = small(place, "words = true");
    let shards = place.make(&text);
    let words = counted(&shards).into_keys().filter(|word| has_letter(word));
    place.write("v.txt", Vectors::clustered(words.collect(), 12).text());
    let lines = "[synonyms]\nvectors = \"v.txt\"\ncount_min = 1";
    let plan = format!("{text}{lines}\n{UNGUARDED}");
    let synonyms = rows(&place.make_synonyms("data", &plan, &[])).into_iter();
    let texts = |all: Vec<(String, _, _)>| -> BTreeSet<String> {
        let texts = all
            .into_iter()
            .map(|(text, _, _): (String, Option<f32>, &str)| text);
        texts.collect()
    };
    synonyms.map(|(word, all)| (word, texts(all))).collect()
}

fn augment(place: &Place, flags: &[&str]) -> Run {
    place.juzi(&[&["augment", "data/shards"], flags].concat())
}

fn parsed(run: &Run) -> Vec<Value> {
    let lines = run.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The figures of an audit without those of time.
fn figures(place: &Place, flags: &[&str]) -> Value {
    let flags = [&["--audit", "--format", "json"], flags].concat();
    let run = augment(place, &flags).expect(0, &[]);
    let mut figures = parsed(&run).remove(0);
    for key in ["views_per_s", "views_per_s_making_one_thread", "seconds"] {
        let figure = figures[key].take();
        assert!(figure.as_f64().is_some_and(|figure| figure >= 0.0), "{key}");
    }
    figures
}

#[test]
fn views_stand_beside_their_texts() {
    let place = Place::new("views");
    prepare(&place);
    let run = augment(&place, &["--rows", "3"]);
    let run = run.expect(
        0,
        &[
            "# synonyms: ",
            "data/synonyms",
            "# epoch 0",
            "mode = \"luse\"",
        ],
    );
    let texts = place.dataset("data").column("text");
    let blocks: Vec<&str> = run.stdout.trim_end().split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{run:?}");
    for (block, text) in blocks.iter().zip(&texts) {
        let lines: Vec<&str> = block.lines().collect();
        assert!(
            lines[0].len() > 32 && lines[0].ends_with(" text 0"),
            "{block}"
        );
        let words = lines[1].trim_start().strip_prefix("words").unwrap();
        assert_eq!(words.split_whitespace().collect::<String>(), *text);
        let view = |line: &&&str| {
            let names = ["SR", "RI", "RS", "RD"].map(|name| format!("  {name} "));
            names.iter().any(|name| line.starts_with(name.as_str()))
        };
        assert_eq!(lines.iter().filter(view).count(), 4, "{block}");
    }
    let more = augment(&place, &["--rows", "2", "--views", "9"]).expect(0, &["views = 9"]);
    assert!(more.stdout.lines().count() >= 2 * 11, "{more:?}");
    place.write(
        "eda.toml",
        "[augment]\nmode = \"eda\"\nviews = 2\nalpha_rs = 0\n",
    );
    let run = augment(&place, &["--rows", "3", "--recipe", "eda.toml"]);
    let run = run.expect(0, &["mode = \"eda\"", "alpha_sr = 0.1"]);
    for (block, text) in run.stdout.trim_end().split("\n\n").zip(&texts) {
        assert!(block.ends_with(&format!("  original {text}")), "{block}");
    }
}

#[test]
fn lines_of_json_tell_what_was_done() {
    let place = Place::new("augment-json");
    let synonyms = prepare(&place);
    let run = augment(&place, &["--format", "json", "--rows", "100000"]).expect(0, &[]);
    let dataset = place.dataset("data");
    let lines = parsed(&run);
    assert_eq!(lines.len() as u64, dataset.manifest.rows);
    let (mut replaced, mut inserted) = (0, 0);
    for (line, text) in lines.iter().zip(dataset.column("text")) {
        let words = line["words"].as_array().unwrap();
        let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(
            (words.concat(), line["text"].as_str()),
            (text.clone(), Some(text.as_str()))
        );
        assert_eq!(
            (line["kind"].as_str(), line["number"].as_u64()),
            (Some("text"), Some(0))
        );
        let views = line["views"].as_array().unwrap();
        assert_eq!(views.len(), 4);
        for view in views {
            assert_eq!(view["changed"], view["text"] != line["text"], "{line}");
            assert_eq!(view["operators"].as_array().unwrap().len(), 1);
            for step in view["steps"].as_array().unwrap() {
                assert_eq!(step["operator"], view["operators"][0]);
                let [from, to] = ["from", "to"].map(|key| step[key].as_str().unwrap());
                match step["operator"].as_str().unwrap() {
                    "synonym_replacement" => {
                        assert!(
                            words.contains(&from) && synonyms[from].contains(to),
                            "{step}"
                        );
                        assert!(view["text"].as_str().unwrap().contains(to), "{view}");
                        replaced += 1;
                    }
                    "random_insertion" => {
                        let of =
                            |word: &&str| synonyms.get(*word).is_some_and(|all| all.contains(to));
                        assert!(words.iter().any(of), "{step}");
                        inserted += 1;
                    }
                    "random_deletion" => assert!(words.contains(&from) && to.is_empty()),
                    other => assert_eq!(other, "random_swap"),
                }
            }
        }
    }
    assert!(replaced > 50 && inserted > 50, "{replaced} {inserted}");
}

#[test]
fn the_same_call_gives_the_same_views() {
    let place = Place::new("same-views");
    prepare(&place);
    let views = |flags: &[&str]| augment(&place, flags).expect(0, &[]).stdout;
    let first = views(&["--rows", "20"]);
    assert_eq!(views(&["--rows", "20"]), first);
    assert_eq!(
        views(&["--rows", "20", "--epoch", "0", "--seed", "1"]),
        first
    );
    let others = [["--epoch", "1"], ["--seed", "2"], ["--epoch", "2"]];
    let others: BTreeSet<String> = others
        .iter()
        .map(|flags| views(&[&["--rows", "20"], &flags[..]].concat()))
        .collect();
    assert!(others.len() == 3 && !others.contains(&first));
    // A row has the same views however many are shown.
    assert!(first.starts_with(&views(&["--rows", "5"])));
}

#[test]
fn the_audit_counts_the_same_on_any_number_of_threads() {
    let place = Place::new("audit");
    prepare(&place);
    let one = figures(&place, &["--threads", "1"]);
    assert_eq!(figures(&place, &["--threads", "8"]), one);
    assert_ne!(figures(&place, &["--epoch", "3"]), one);
    let rows = place.dataset("data").manifest.rows;
    assert_eq!(one["rows"].as_u64(), Some(rows));
    assert_eq!(one["views"].as_u64(), Some(4 * rows));
    let operators = one["operators"].as_object().unwrap();
    let views: u64 = operators
        .values()
        .map(|one| one["views"].as_u64().unwrap())
        .sum();
    assert_eq!((operators.len(), views), (4, 4 * rows));
    let distances = one["edit_distance"].as_array().unwrap().iter();
    assert_eq!(
        distances.map(|count| count.as_u64().unwrap()).sum::<u64>(),
        4 * rows
    );
    for key in ["words", "content_words", "texts"] {
        let share = one["synonym_coverage"][key].as_f64().unwrap();
        assert!(share > 0.5 && share <= 1.0, "{key} {share}");
    }
    let run = augment(&place, &["--audit"]).expect(0, &[]);
    let words = [
        &format!("{rows} rows"),
        "synonym_replacement",
        "edit distance",
        "views/s",
    ];
    for word in words {
        assert!(run.stdout.contains(word), "no `{word}` in {run:?}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::new("augment-refusals");
    let plain = place.make(&small(&place, ""));
    let words =
        ["data/shards: its rows have no words; set [shards] words = true and run juzi shards"];
    augment(&place, &[]).expect(1, &words);
    place.make(&small(&place, "words = true"));
    let words = [
        "data/synonyms: no synonyms here, and the recipe needs them",
        "run juzi synonyms",
        "--synonyms DIR",
    ];
    augment(&place, &[]).expect(1, &words);
    augment(&place, &["--synonyms", "nowhere"]).expect(1, &["nowhere", "no dataset"]);
    augment(&place, &["--synonyms", "data/shards"])
        .expect(1, &["it holds `shards`, not `synonyms`"]);
    let crop = "[augment]\nmode = \"operators\"\noperators = [{ name = \"crop\", rate = 0.1 }]\n";
    place.write("crop.toml", crop);
    let run = augment(&place, &["--recipe", "crop.toml"]).expect(0, &["no dataset"]);
    assert!(run.stdout.contains("  CR "), "{run:?}");
    let recipes = [
        ("[augment]\nmode = \"luse\"\nalpa = 0.1", "alpa"),
        ("[augmentation]\nmode = \"luse\"", "augmentation"),
        ("[augment]\nmode = \"bert\"", "bert"),
        ("[augment]\nmode = \"luse\"\nviews = 0", "views"),
        (
            "[augment]\nmode = \"luse\"\nstop_words = \"none.txt\"",
            "none.txt",
        ),
    ];
    for (recipe, word) in recipes {
        place.write("recipe.toml", recipe);
        augment(&place, &["--recipe", "recipe.toml"]).expect(1, &["juzi-train: ", word]);
    }
    augment(&place, &["--recipe", "none.toml"]).expect(1, &["none.toml"]);
    augment(&place, &["--views", "0", "--recipe", "crop.toml"]).expect(1, &["views = 0"]);
    augment(&place, &["--audit", "--rows", "3"]).expect(1, &["cannot be used with"]);
    augment(&place, &["--format", "xml"]).expect(1, &["xml", "text, json"]);
    place.juzi(&["augment"]).expect(1, &["<DATASET>"]);
    place.juzi(&["augment", "nowhere"]).expect(1, &["nowhere"]);
    let help = place.juzi(&["augment", "--help"]).expect(0, &[]).stdout;
    assert!(
        help.contains("juzi-train augment") && help.contains("--audit"),
        "{help}"
    );
    prepare(&place);
    place.juzi(&["augment", "data/synonyms"]).expect(
        1,
        &[
            "data/synonyms: it holds `synonyms`, not `shards`",
            "juzi shards",
        ],
    );
    assert!(plain.manifest.rows > 0);
}
