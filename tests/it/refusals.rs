//! What the program refuses: wrong plans and wrong flags, each with the key and the choices.

use crate::commands::small;
use crate::fixtures::corpus;
use crate::support::Place;

#[test]
fn wrong_plans_name_key_and_choices() {
    let place = Place::new("plans");
    let good = small(&place, "");
    let replace = |from: &str, to: &str| good.replace(from, to);
    let cases: Vec<(String, &[&str])> = vec![
        (
            replace("train", "trian"),
            &["unknown field `trian`", "train"],
        ),
        (
            replace("news2016zh", "news2017"),
            &[
                "corpora `c`",
                "no reader `news2017`",
                "news2016zh",
                "parquet",
            ],
        ),
        (
            replace("c.json", "missing.json"),
            &["corpora `c`", "no file matches `missing.json`"],
        ),
        (
            good.clone() + "profile = \"other\"",
            &["unknown variant `other`", "luse", "default"],
        ),
        (good.clone() + "unit_bytes = \"many\"", &["unit_bytes"]),
        (
            good.clone() + "unit_bytes = \"1B\"",
            &["unit_bytes: from 1KiB to 1GiB"],
        ),
        (
            good.clone() + "shard_bytes = \"2GiB\"",
            &["shard_bytes: from 1KiB to 1GiB"],
        ),
        (
            good.clone() + "line_bytes_max = 3",
            &["line_bytes_max: from 1KiB"],
        ),
        (
            good.clone() + "dropped_ratio_max = 2.0",
            &["dropped_ratio_max: from 0 to 1"],
        ),
        (
            good.clone() + "[shards.leaks]\nshare = 0.0",
            &["leaks: share = 0"],
        ),
        (
            good.clone() + "[shards.near_duplicates]\nbands = 0",
            &["near_duplicates: bands = 0"],
        ),
        (
            good.clone() + "[shards.passages]\nchars_max = 0",
            &["passages.chars_max: at least 1"],
        ),
        (
            good.clone() + "[shards.filters.han]\nshare_min = 3.0",
            &["filters.han.share_min is 3"],
        ),
        (
            good.clone() + "[shards.filters.length]\nmin = 3",
            &["unknown field `min`", "chars_min"],
        ),
        (
            replace("train", "views = [\"title->body\"]\ntrain"),
            &["no column `body`", "title, desc, content"],
        ),
        (
            replace("train", "views = [\"words\"]\ntrain"),
            &["no view `words`", "sentences, passages"],
        ),
        (
            replace("train", "views = [\"records\"]\ntrain"),
            &["view `records`"],
        ),
        (
            replace("train", "encoding = \"klingon\"\ntrain"),
            &["no encoding `klingon`", "gb18030"],
        ),
        (
            replace("name = \"it\"", "name = \"a/b\""),
            &["`a/b` is no name"],
        ),
        (replace("name = \"it\"", "name = 5"), &["name"]),
        (
            good.clone() + &corpus("c", "text", "train = [\"c.json\"]"),
            &["two corpora are named `c`"],
        ),
        ("name = \"it\"".into(), &["no [[corpora]]", "juzi init"]),
        (
            replace("train = [\"c.json\"]", ""),
            &["corpora `c`: no files"],
        ),
        (
            replace("news2016zh", "tsv"),
            &["reader `tsv` needs `columns"],
        ),
        (
            replace("news2016zh", "parquet").replace("train", "columns = [\"a\"]\ntrain"),
            &["c.json"],
        ),
        ("name = ".into(), &["plan.toml"]),
    ];
    for (text, words) in &cases {
        place.write("plan.toml", text);
        for command in ["shards", "status", "prune"] {
            let run = place.juzi(&[command, "plan.toml", "--data", "data"]);
            // What only work shows, only work can refuse.
            if command == "shards"
                || !words
                    .iter()
                    .any(|word| word.contains("filters.han") || *word == "c.json")
            {
                run.expect(1, words);
            }
        }
    }
    place
        .juzi(&["shards", "nowhere.toml"])
        .expect(1, &["nowhere.toml"]);
    assert!(!place.path("data/shards").exists());
}

#[test]
fn usage_and_help() {
    let place = Place::new("usage");
    place.juzi(&[]).expect(1, &["Usage: juzi"]);
    place.juzi(&["unknown"]).expect(1, &["unknown"]);
    place.juzi(&["shards"]).expect(1, &["<PLAN>"]);
    place
        .juzi(&["shards", "plan.toml", "--memory", "lots"])
        .expect(1, &["`lots` is no size", "500MB"]);
    place
        .juzi(&["shards", "plan.toml", "--threads", "x"])
        .expect(1, &["--threads"]);
    place.juzi(&["selftest"]).expect(1, &["--crash-points"]);
    assert!(
        place
            .juzi(&["--help"])
            .expect(0, &[])
            .stdout
            .contains("Usage: juzi")
    );
    assert!(
        place
            .juzi(&["--version"])
            .expect(0, &[])
            .stdout
            .starts_with("juzi ")
    );
    let text = small(&place, "");
    place.write("plan.toml", text);
    let run = place.shards("quiet", &["--quiet"]).expect(0, &[]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    place.juzi(&["shards", "plan.toml"]).expect(0, &[]);
    assert!(place.path("data/it/shards/manifest.json").exists());
}
