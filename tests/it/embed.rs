//! `juzi embed` from end to end: the same bytes after any crash, and a dataset that `topics` reads.

use juzi_schemas::fault;
use juzi_schemas::manifest::{Manifest, Table};
use serde_json::Value;

use crate::support::{Place, Run, workspace};
use crate::topics::{placed, plan, write_corpora};

/// A model of 2 layers of 32 with random parameters.
fn model() -> String {
    let folder = workspace().join("trainer/fixtures/models/bert");
    folder.to_string_lossy().into_owned()
}

fn embed(place: &Place, input: &str, flags: &[&str]) -> Run {
    place.juzi(&[&["embed", &model(), input], flags].concat())
}

/// More texts than a window holds, few of them different.
fn write_texts(place: &Place) -> u64 {
    let text = |n: usize| format!("{} {}\n", n % 7, "a".repeat(n % 11));
    let texts: String = (0..17_000).map(text).collect();
    place.write("texts.txt", texts);
    17_000
}

#[test]
fn a_killed_embedding_goes_on_to_the_same_bytes() {
    let place = Place::new("embed-kill");
    let texts = write_texts(&place);
    let flags = ["-o", "whole.npy", "--json"];
    let run = embed(&place, "texts.txt", &flags).expect(0, &[]);
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&figures["texts"], &figures["parts"]),
        (&texts.into(), &2.into())
    );
    let whole = std::fs::read(place.path("whole.npy")).unwrap();
    let dimension = figures["dimension"].as_u64().unwrap();
    assert!(whole.len() as u64 > texts * dimension * 4);
    let mut points = 0;
    loop {
        points += 1;
        let _ = std::fs::remove_file(place.path("out.npy"));
        let mut command = place.command();
        let arguments = ["embed", &model(), "texts.txt", "-o", "out.npy"];
        command
            .args(arguments)
            .env(fault::VARIABLE, points.to_string());
        let killed: Run = command.output().unwrap().into();
        if killed.signal.is_none() {
            killed.expect(0, &[]);
            break;
        }
        embed(&place, "texts.txt", &["-o", "out.npy"]).expect(0, &[]);
        assert!(
            std::fs::read(place.path("out.npy")).unwrap() == whole,
            "point {points}"
        );
        assert!(!place.path("out.npy.parts").exists());
    }
    assert!(points > 10, "{points}");
}

#[test]
fn topics_of_embeddings_of_the_shards() {
    let place = Place::new("embed-topics");
    write_corpora(&place, 60);
    place.write(
        "plan.toml",
        plan("shard_bytes = \"6KiB\"", "source = \"keys\""),
    );
    place.shards("data", &[]).expect(0, &[]);
    let shards = place.dataset("data");
    embed(&place, "data/shards", &["-o", "data/embeddings"]).expect(0, &[]);
    let manifest = Manifest::read(&place.path("data/embeddings")).unwrap();
    place.juzi(&["verify", "data/embeddings"]).expect(0, &[]);
    assert!(manifest.rows > 100);
    assert_eq!(manifest.rows, manifest.counts["different"]);
    assert!(manifest.files_of(Table::Rows).count() == 1);
    let table = "source = \"embeddings\"\nembeddings = \"data/embeddings\"\ntopics = 4";
    let topics = place.make_topics("data", &plan("shard_bytes = \"6KiB\"", table), &[]);
    assert_eq!(topics.manifest.counts["texts_with_vector"], manifest.rows);
    assert_eq!(topics.manifest.counts["records_without_topic"], 0);
    let topic = |(_, topic, _): (String, Option<u32>, Option<f32>)| topic.is_some();
    assert!(placed(&topics, &shards).into_iter().all(topic));
    // Made once, it is found again; of another prompt it is another one, and the name moves on.
    embed(&place, "data/shards", &["-o", "data/embeddings"]).expect(0, &["made before"]);
    let flags = ["-o", "data/embeddings", "--prompt", "query: "];
    embed(&place, "data/shards", &flags).expect(0, &[]);
    let other = Manifest::read(&place.path("data/embeddings")).unwrap();
    assert_ne!(other.fingerprint, manifest.fingerprint);
}

#[test]
fn what_cannot_be_embedded_is_named() {
    let place = Place::new("embed-refusals");
    place.write("bad.txt", b"good\nb\xffd\n");
    place.write("empty.txt", "");
    for (input, words) in [
        (
            "bad.txt",
            "bad.txt: line 2: byte 1 of the line is not UTF-8",
        ),
        ("empty.txt", "no texts here"),
        ("nowhere.txt", "nowhere.txt: No such file"),
    ] {
        embed(&place, input, &["-o", "out.npy"]).expect(1, &[words]);
        assert!(!place.path("out.npy").exists() && !place.path("out.npy.parts").exists());
    }
    place
        .juzi(&["embed", "nowhere", "bad.txt", "-o", "out.npy"])
        .expect(1, &["nowhere"]);
}
