//! All stages of a plan in one command, and batches made of what they left as people look at them.

use juzi_schemas::manifest::Manifest;

use crate::support::Place;
use crate::topics::{WORDS, plan, write_corpora};

const STAGES: [&str; 4] = ["shards", "topics", "negatives", "batches"];

/// A plan with every table whose stage comes after the shards, but synonyms.
fn prepare(place: &Place) {
    write_corpora(place, 100);
    let topics = "vectors = \"v.txt\"\ntopics = 4\n[negatives]\ncount = 2\npositive_share = 0\n\
        unmatched_positive = \"accept\"\n[batches]\nsize = 8\n\
        sampler = { name = \"topic\", corpora_min = 1 }";
    place.write("plan.toml", plan(WORDS, topics));
}

#[test]
fn one_command_makes_all_stages() {
    let place = Place::new("whole");
    prepare(&place);
    let run = |data: &str, flags: &[&str]| {
        let arguments = ["run", "plan.toml", "--data", data];
        place.juzi(&[&arguments, flags].concat()).expect(0, &[])
    };
    let first = run("data", &[]);
    for stage in STAGES {
        let made = format!("data/{stage} -> data/.store/{stage}-");
        assert!(first.stdout.contains(&made), "{first:#?}");
    }
    let again = run("data", &[]);
    assert_eq!(again.stdout.matches("fresh, nothing to do").count(), 4);
    // Each stage alone, on another number of threads, makes the same.
    for stage in STAGES {
        let arguments = [stage, "plan.toml", "--data", "alone", "--threads", "3"];
        place.juzi(&arguments).expect(0, &[]);
        let manifest = |data: &str| {
            let path = place.path(data).join(stage).join("manifest.json");
            std::fs::read_to_string(path).unwrap()
        };
        assert!(manifest("data") == manifest("alone"), "{stage}");
    }
    let status = place.juzi(&["status", "plan.toml", "--data", "data"]);
    let status = status.expect(0, &[]).stdout;
    assert_eq!(status.matches("fresh").count(), 4, "{status}");
    // What is made of a stage goes stale with it.
    let text = std::fs::read_to_string(place.path("plan.toml")).unwrap();
    place.write("plan.toml", text.replace("topics = 4", "topics = 3"));
    let status = place.juzi(&["status", "plan.toml", "--data", "data"]);
    let status = status.expect(0, &[]).stdout;
    assert_eq!(status.matches("stale").count(), 2, "{status}");
    assert!(status.contains("topics.topics was 4, is 3"), "{status}");
    assert!(
        status.contains("input topics of batches has changed"),
        "{status}"
    );
}

#[test]
fn a_batch_is_a_page_that_one_can_judge() {
    let place = Place::new("page-of-a-batch");
    prepare(&place);
    place
        .juzi(&["run", "plan.toml", "--data", "data", "--quiet"])
        .expect(0, &[]);
    let show = |arguments: &[&str]| place.juzi(&[&["show", "data/batches"], arguments].concat());
    let count = Manifest::read(&place.path("data/batches")).unwrap().counts["batches"];
    let page = show(&["--batch", "0"]).expect(0, &[]).stdout;
    let opening = format!("batch 0 of {count}   part-00000.parquet, row group 0   pass 0   8 rows");
    assert!(page.starts_with(&opening), "{page}");
    // The topic's name comes from the dataset that the batches were made of.
    let topic = page.lines().nth(1).unwrap();
    let words = ["保险", "足球", "米饭", "电脑", "·"];
    assert!(topic.starts_with("topic "), "{page}");
    assert!(words.iter().any(|word| topic.contains(word)), "{page}");
    assert!(page.contains("corpora: web 8\nhardness: "), "{page}");
    assert_eq!(page.matches("\n       anchor    ").count(), 8, "{page}");
    assert_eq!(page.matches("\n       positive  ").count(), 8, "{page}");
    assert!(page.contains("\n       negative  "), "{page}");
    let short = show(&["--batch", "0", "--rows", "3"]).expect(0, &[]).stdout;
    assert_eq!(short.matches("\n       anchor    ").count(), 3, "{short}");
    assert!(short.contains("… 5 more rows"), "{short}");
    let last = (count - 1).to_string();
    show(&["--batch", &last]).expect(0, &[]);
    let words = [format!("no batch {count}; this dataset has {count}")];
    show(&["--batch", &count.to_string()]).expect(1, &[&words[0]]);
    let rows = show(&["--batch", "1", "--format", "json"]).expect(0, &[]);
    assert_eq!(rows.stdout.lines().count(), 8);
    let sql = "SELECT COUNT(*) AS n, MAX(purity) AS p FROM batches";
    let found = show(&["--sql", sql, "--format", "csv"]).expect(0, &[]);
    assert_eq!(found.stdout, format!("n,p\n{count},1.0\n"));
    place
        .juzi(&["show", "data/shards", "--batch", "0"])
        .expect(1, &["--batch is for batches; this dataset holds shards"]);
    let sql = "SELECT COUNT(*) AS n FROM topics";
    place
        .juzi(&["show", "data/topics", "--sql", sql])
        .expect(0, &[]);
}
