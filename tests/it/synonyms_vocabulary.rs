//! Which words get synonyms: those of the plan's own shards, and what the two stages know of each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::commands::small;
use crate::support::Place;
use crate::vectors::{UNGUARDED, Vectors, alone, counted, has_letter, made_up, rows};

/// Shards with words, their counts, and the words that come three times.
fn shards(place: &Place) -> (String, BTreeMap<String, u64>, Vec<String>) {
    let text = small(place, "words = true");
    let counts = counted(&place.make(&text));
    let frequent = counts
        .iter()
        .filter(|(word, count)| has_letter(word) && **count >= 3);
    let frequent: Vec<String> = frequent.map(|(word, _)| word.clone()).collect();
    assert!(frequent.len() > 40 && frequent.len() < counts.len());
    (text, counts, frequent)
}

#[test]
fn words_of_the_shards_are_the_vocabulary() {
    let place = Place::new("coverage");
    let (text, counts, frequent) = shards(&place);
    let (with, without): (Vec<_>, Vec<_>) = frequent
        .iter()
        .cloned()
        .enumerate()
        .partition(|(at, _)| at % 3 > 0);
    let [with, without] = [with, without].map(|part: Vec<(usize, String)>| {
        let words = part.into_iter().map(|(_, word)| word);
        words.collect::<BTreeSet<String>>()
    });
    let strangers = made_up(30).into_iter().map(|word| word + "龘");
    let mut words: Vec<String> = with.iter().cloned().chain(strangers).collect();
    words.sort_by_key(|word| word.chars().rev().collect::<String>());
    place.write("v.txt", Vectors::clustered(words, 12).text());
    let plan = |lines: &str| {
        let lines = format!("vectors = \"v.txt\"\ncount_min = 3\n{lines}");
        format!("{text}[synonyms]\n{lines}\n{UNGUARDED}")
    };
    let dataset = place.make_synonyms("data", &plan(""), &[]);
    let (made, measures) = (&dataset.manifest.counts, &dataset.manifest.measures);
    let tokens: u64 = counts.values().sum();
    let letterless = counts.keys().filter(|word| !has_letter(word)).count();
    let sum = |words: &BTreeSet<String>| words.iter().map(|word| counts[word]).sum::<u64>();
    for (name, wanted) in [
        ("tokens", tokens),
        ("shard_words", counts.len() as u64),
        ("shard_words_without_letters", letterless as u64),
        (
            "shard_words_rare",
            (counts.len() - letterless - frequent.len()) as u64,
        ),
        ("list_words", 0),
        ("vocabulary", frequent.len() as u64),
        ("vector_rows", with.len() as u64 + 30),
        ("vector_rows_kept", with.len() as u64),
        ("vector_rows_skipped", 30),
        ("words_searched", with.len() as u64),
    ] {
        assert_eq!(made[name], wanted, "{name}");
    }
    let share = |part: u64, whole: u64| part as f64 / whole as f64;
    let words_share = share(with.len() as u64, frequent.len() as u64);
    assert_eq!(measures["coverage_words"], words_share);
    let asked = sum(&with) + sum(&without);
    assert_eq!(measures["coverage_tokens"], share(sum(&with), asked));
    let report = std::fs::read_to_string(dataset.dir.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let band = json!({
        "last": frequent.len(), "words": frequent.len(), "found": with.len(),
        "tokens": asked, "found_tokens": sum(&with),
    });
    assert_eq!(report["coverage"], json!([band]));
    let missing = dataset.values("SELECT detail FROM dropped WHERE reason = 'no_vector'");
    let missing: BTreeSet<&str> = missing.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert!(missing.iter().eq(&without), "{missing:?} {without:?}");
    let made = rows(&dataset);
    for (word, synonyms) in &made {
        assert!(with.contains(word), "{word}");
        let mut texts = synonyms.iter().map(|(text, ..)| text);
        assert!(texts.all(|text| with.contains(text)), "{synonyms:?}");
    }
    // Strangers become synonyms, and one of them a word with synonyms.
    place.write("list.txt", "天闰龘\r\n\n没有的词\n");
    let lines = "candidates = \"vectors\"\nword_list = \"list.txt\"";
    let wide = place.make_synonyms("data", &plan(lines), &[]);
    assert_eq!(wide.manifest.counts["list_words"], 2);
    assert_eq!(wide.manifest.counts["vector_rows_skipped"], 0);
    assert_eq!(wide.dropped("no_vector"), without.len() as u64 + 1);
    let made = rows(&wide);
    let stranger = |text: &str| text.ends_with('龘');
    let asked = made.iter().filter(|(word, _)| stranger(word));
    assert_eq!(
        asked.map(|(word, _)| word.as_str()).collect::<Vec<_>>(),
        ["天闰龘"]
    );
    let mut synonyms = made.iter().flat_map(|(_, synonyms)| synonyms);
    assert!(synonyms.any(|(text, ..)| stranger(text)));
}

#[test]
fn without_shards_the_way_is_told() {
    let place = Place::new("first-shards");
    place.write("v.txt", Vectors::usual().text());
    let plan = |shards: &str| small(&place, shards) + "[synonyms]\nvectors = \"v.txt\"\n";
    place.write("plan.toml", plan("words = true"));
    let words = [
        "plan.toml: [synonyms] needs the shards of this plan, which are not made yet",
        "first run: juzi shards plan.toml --data data",
    ];
    place.synonyms("data", &[]).expect(1, &words);
    place.write("plan.toml", plan(""));
    place.shards("data", &[]).expect(0, &[]);
    let words = ["the shards have no words; set [shards] words = true"];
    place.synonyms("data", &[]).expect(1, &words);
    assert!(!place.path("data/synonyms").exists());
}

#[test]
fn status_and_prune_know_both_stages() {
    let place = Place::new("both");
    let (text, _, frequent) = shards(&place);
    place.write("v.txt", Vectors::clustered(frequent, 12).text());
    let plan = |text: &str, count_min: u64| {
        let lines = format!("vectors = \"v.txt\"\ncount_min = {count_min}");
        format!("{text}[synonyms]\n{lines}\n{UNGUARDED}")
    };
    let run = |command: &str| {
        let arguments = [command, "plan.toml", "--data", "data"];
        place.juzi(&arguments).expect(0, &[]).stdout
    };
    place.write("plan.toml", plan(&text, 3));
    let stage = |name: &str| {
        let status = run("status");
        let lines = status.lines().skip_while(|line| !line.starts_with(name));
        let own = |(at, line): &(usize, &str)| *at == 0 || line.starts_with(' ');
        let lines = lines.enumerate().take_while(own).map(|(_, line)| line);
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(stage("shards").contains("fresh") && stage("synonyms").contains("missing"));
    let first = place.make_synonyms("data", &plan(&text, 3), &[]);
    let rows = format!("{} rows", first.manifest.rows);
    assert!(
        stage("synonyms").contains("fresh") && stage("synonyms").contains(&rows),
        "{}",
        stage("synonyms")
    );
    place.write("plan.toml", plan(&text, 4));
    assert!(stage("shards").contains("fresh"), "{}", run("status"));
    let stale = stage("synonyms");
    assert!(
        stale.contains("stale") && stale.contains("plan: synonyms.count_min was 3, is 4"),
        "{stale}"
    );
    let store = |place: &Place| place.store("data").len();
    place.make_synonyms("data", &plan(&text, 4), &[]);
    assert_eq!(store(&place), 3);
    assert_eq!(run("prune").lines().count(), 1);
    assert_eq!((store(&place), run("prune").as_str()), (2, ""));
    assert!(stage("shards").contains("fresh") && stage("synonyms").contains("fresh"));
    place.dataset("data");
    place.synonyms_in("data");
    place.write(
        "plan.toml",
        plan(&small(&place, "words = true\nprofile = \"luse\""), 4),
    );
    let stale = stage("synonyms");
    assert!(
        stale.contains("input shards of synonyms has changed"),
        "{stale}"
    );
}

#[test]
fn status_shows_numbers_as_the_plan_has_them() {
    let place = Place::new("numbers-as-written");
    place.write("v.txt", Vectors::usual().text());
    place.make_synonyms("data", &alone("v.txt", "cosine_min = 0.6"), &[]);
    place.write("plan.toml", alone("v.txt", "cosine_min = 0.7"));
    let run = place.juzi(&["status", "plan.toml", "--data", "data"]);
    let status = run.expect(0, &[]).stdout;
    assert!(
        status.contains("plan: synonyms.cosine_min was 0.6, is 0.7"),
        "{status}"
    );
}

/// Shards can be made before the vectors are there.
#[test]
fn only_the_stage_itself_waits_for_its_files() {
    let place = Place::new("waiting");
    let plan = small(&place, "words = true") + "[synonyms]\nvectors = \"v.txt\"\n";
    place.make(&plan);
    let run = |command: &str| {
        let arguments = [command, "plan.toml", "--data", "data"];
        place.juzi(&arguments)
    };
    let status = run("status").expect(0, &[]).stdout;
    let words = [
        "shards     fresh",
        "synonyms   blocked",
        "vectors: no file",
        "v.txt",
    ];
    for word in words {
        assert!(status.contains(word), "no `{word}` in {status}");
    }
    assert_eq!(run("prune").expect(0, &[]).stdout, "");
    run("synonyms").expect(1, &["[synonyms] vectors: no file", "v.txt"]);
    place.dataset("data");
}

#[test]
fn status_tells_of_a_name_that_points_elsewhere() {
    let place = Place::new("elsewhere");
    place.write("v.txt", "老师 1 0.1\n教师 1 0.2\n先生 1 0.3\n");
    let plan = |k: u8| alone("v.txt", &format!("k = {k}"));
    place.make_synonyms("data", &plan(2), &[]);
    place.make_synonyms("data", &plan(1), &[]);
    let status = || {
        place
            .juzi(&["status", "plan.toml", "--data", "data"])
            .expect(0, &[])
            .stdout
    };
    assert!(!status().contains("points at another"), "{}", status());
    place.write("plan.toml", plan(2));
    assert!(
        status().contains("the name synonyms points at another dataset"),
        "{}",
        status()
    );
}
