//! Batches of records that share groups and texts: held apart, or masked.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::batches_read::{Batches, Row, make};
use crate::fixtures::{corpus, lines, prose};
use crate::support::Place;

/// Questions of several answers, answers of several questions, and triplets with such texts.
fn repeats(place: &Place, guards: &str) -> String {
    let mut all = Vec::new();
    for at in 0..120u64 {
        all.push(json!({"guid": at / 3, "texts": [prose(at / 2, 1), prose(at + 1000, 1)]}));
        all.push(json!([prose(at + 2000, 1), prose(at % 5 + 3000, 1)]));
        all.push(json!([
            prose(at + 4000, 1),
            prose(at + 5000, 1),
            prose(at % 9 + 1000, 1)
        ]));
    }
    place.write("r.jsonl", lines(&all));
    format!(
        "name = \"it\"\n{}[shards]\n[batches]\nsize = 12\ndrop_last = false\n[batches.guards]\n{guards}\n",
        corpus("r", "embedding_training_data", "train = [\"r.jsonl\"]"),
    )
}

/// Documents of a batch: the positives, then the negatives.
fn documents(batch: &[Row]) -> Vec<&String> {
    let positives = batch.iter().map(|row| &row.positive);
    positives
        .chain(batch.iter().flat_map(|row| &row.negatives))
        .collect()
}

#[test]
fn guards_hold_apart_or_mask() {
    let place = Place::new("batches-guards");
    let off = make(
        &place,
        "off",
        &repeats(&place, "repeated = \"off\"\nsame_group = \"off\""),
        &[],
    );
    assert!(
        off.manifest.counts["false_negatives"] > 50,
        "{:?}",
        off.manifest.counts
    );
    assert_eq!(off.manifest.counts["documents_masked"], 0);

    let apart = make(&place, "apart", &repeats(&place, ""), &[]);
    assert_eq!(apart.manifest.counts["false_negatives"], 0);
    let dropped = &apart.manifest.dropped;
    assert!(
        dropped
            .keys()
            .all(|reason| ["repeated_text", "same_group"].contains(&reason.as_str())),
        "{dropped:?}"
    );
    for batch in apart.rows() {
        let mut texts = HashSet::new();
        for row in &batch {
            assert!(texts.insert(&row.anchor) && texts.insert(&row.positive));
        }
        assert!(
            batch
                .iter()
                .flat_map(|row| &row.negatives)
                .all(|text| !texts.contains(text))
        );
    }

    let both = "repeated = \"mask\"\nsame_group = \"mask\"";
    let mask = make(&place, "mask", &repeats(&place, both), &[]);
    assert_eq!(mask.manifest.counts["false_negatives"], 0);
    assert_eq!(mask.manifest.rows, 360);
    let group: HashMap<String, u64> = (0..120).map(|at| (prose(at + 1000, 1), at / 3)).collect();
    let groups = |row: &Row| group.get(&row.positive);
    let (mut positives, mut ignored) = (0, 0);
    for batch in mask.rows() {
        let documents = documents(&batch);
        for (at, row) in batch.iter().enumerate() {
            let mates = (0..batch.len()).filter(|&other| {
                other != at && {
                    let mate = &batch[other];
                    mate.anchor == row.anchor
                        || groups(row).is_some_and(|own| groups(mate) == Some(own))
                }
            });
            let mates: Vec<u32> = mates.map(|mate| mate as u32).collect();
            assert_eq!(row.positives, mates);
            positives += mates.len();
            for (number, text) in documents.iter().enumerate() {
                let mine = number == at || row.positives.contains(&(number as u32));
                if !mine && (**text == row.positive || **text == row.anchor) {
                    assert!(row.ignored.contains(&(number as u32)));
                }
            }
            ignored += row.ignored.len();
        }
    }
    assert!(positives > 3 && ignored > 30, "{positives} {ignored}");
    assert_eq!(
        mask.manifest.counts["documents_masked"],
        (positives + ignored) as u64
    );
}

#[test]
fn near_duplicates_are_held_apart() {
    let place = Place::new("batches-near");
    let near: Vec<Value> = (0..60u64)
        .map(|at| {
            json!([
                prose(at + 100, 1),
                prose(at / 6, 3).replacen('，', &format!("{}，", at % 6), 1)
            ])
        })
        .collect();
    place.write("n.jsonl", lines(&near));
    let plan = |guards: &str| {
        format!(
            "name = \"it\"\n{}[shards]\n[batches]\nsize = 6\n[batches.guards]\n{guards}\n",
            corpus("n", "embedding_training_data", "train = [\"n.jsonl\"]"),
        )
    };
    let shared = |made: &Batches| {
        let batches = made.rows();
        let same = batches.iter().map(|batch| {
            let tails: HashSet<String> = batch
                .iter()
                .map(|row| row.positive.chars().skip(30).collect())
                .collect();
            batch.len() - tails.len()
        });
        same.sum::<usize>()
    };
    let without = make(&place, "without", &plan(""), &[]);
    let with = make(&place, "with", &plan("near = true"), &[]);
    assert!(shared(&without) > 5, "{}", shared(&without));
    // A band is missed by one in twenty such pairs.
    assert!(shared(&with) * 4 < shared(&without), "{}", shared(&with));
}

/// Documents that count as negatives of an anchor though any record of the shards, in the batch or
/// not, names them as its positive.
fn false_negatives(made: &Batches) -> u64 {
    // An anchor's positives are all there are: every record below is in some batch or the ledger.
    let mut positives: HashMap<String, [String; 2]> = HashMap::new();
    for at in 0..80u64 {
        let [one, other, third] = [1000, 2000, 4000].map(|base| prose(at + base, 1));
        positives.insert(prose(at, 1), [one, other.clone()]);
        positives.insert(prose(at + 3000, 1), [third.clone(), third]);
        positives.insert(prose(at + 5000, 1), [other.clone(), other]);
    }
    let mut found = 0;
    for batch in made.rows() {
        let documents = documents(&batch);
        for (at, row) in batch.iter().enumerate() {
            let known = &positives[&row.anchor];
            let counts = documents.iter().enumerate().filter(|(number, text)| {
                let number = *number as u32;
                let masked = row.positives.contains(&number) || row.ignored.contains(&number);
                number != at as u32 && !masked && known.contains(**text)
            });
            found += counts.count() as u64;
        }
    }
    found
}

#[test]
fn positives_that_stand_in_other_batches_are_known() {
    let place = Place::new("batches-known");
    let mut all = Vec::new();
    for at in 0..80u64 {
        let (anchor, one, other) = (prose(at, 1), prose(at + 1000, 1), prose(at + 2000, 1));
        all.push(json!([anchor, one]));
        all.push(json!([anchor, other]));
        // The second positive comes as a negative, and as a positive, of others.
        all.push(json!([prose(at + 3000, 1), prose(at + 4000, 1), other]));
        all.push(json!([prose(at + 5000, 1), other]));
    }
    place.write("r.jsonl", lines(&all));
    let plan = |guards: &str| {
        format!(
            "name = \"it\"\n{}[shards]\n[batches]\nsize = 16\ndrop_last = false\n[batches.guards]\n{guards}\n",
            corpus("r", "embedding_training_data", "train = [\"r.jsonl\"]"),
        )
    };
    let off = make(
        &place,
        "off",
        &plan("repeated = \"off\"\nsame_group = \"off\""),
        &[],
    );
    let counted = off.manifest.counts["false_negatives"];
    assert!(counted > 20, "{counted}");
    assert_eq!(false_negatives(&off), counted);
    let guards = [
        "",
        "same_group = \"mask\"",
        "repeated = \"mask\"",
        "repeated = \"mask\"\nsame_group = \"mask\"",
    ];
    for guards in guards {
        let data = guards.replace(['"', '\n', ' ', '='], "");
        let made = make(&place, &format!("d{data}"), &plan(guards), &[]);
        assert_eq!(made.manifest.counts["false_negatives"], 0, "{guards}");
        assert_eq!(false_negatives(&made), 0, "{guards}");
        assert!(made.manifest.rows > 290, "{guards} {}", made.manifest.rows);
    }
}
