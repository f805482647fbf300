//! Tests of labelled files and folds.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{Labelled, stratified};
use crate::evaluators::lines::Column;
use crate::loader::fixtures::Place;

fn read(name: &str, content: &str, columns: Option<[Column; 2]>) -> crate::Result<Labelled> {
    let place = Place::new();
    Labelled::read(&[&place.write(name, content)], columns.as_ref())
}

#[test]
fn layouts() {
    let wanted = (vec!["甲", "乙", "丙"], vec![1, 0, 1]);
    let check = |found: Labelled| {
        assert_eq!((found.all(), found.labels.clone()), wanted);
        assert_eq!(found.names, ["1", "2"]);
        assert_eq!((found.first, found.lines.len()), (3, 3));
    };
    check(read("a.tsv", "\u{feff}2\t甲\r\n1\t乙\n2 \t丙\n", None).unwrap());
    let swapped = [Column::Number(3), Column::Number(1)];
    let found = read("b.tsv", "甲\tx\t2\n乙\t\t1\n\n丙\ty\t2", Some(swapped)).unwrap();
    assert_eq!(found.lines, [1, 2, 4]);
    check(found);
    let names = ["class", "sentence"].map(|name| Column::Name(name.into()));
    check(
        read(
            "b.tsv",
            "sentence\tclass\n甲\t2\n乙\t1\n丙\t2\n",
            Some(names),
        )
        .unwrap(),
    );
    let objects = "{\"text\": \"甲\", \"label\": 2}\n{\"label\": \"1\", \"text\": \"乙\", \"id\": 4}\n{\"text\": \"丙\", \"label\": 2}\n";
    check(read("c.jsonl", objects, None).unwrap());
}

#[test]
fn what_is_wrong_with_a_file() {
    let error = |name: &str, content: &str| read(name, content, None).unwrap_err().to_string();
    let ends = |found: String, wanted: &str| assert!(found.contains(wanted), "{found}");
    ends(error("d.tsv", ""), "no row; wanted: label, text");
    ends(
        error("e.tsv", "1\t甲\n1\n"),
        "line 2: 1 columns where 2 are wanted, with tabs between, for label, text",
    );
    ends(
        error("f.tsv", "1\t甲\n\t乙\n"),
        "line 2: the label is empty",
    );
    ends(error("f.tsv", "1\t甲\n1\t\n"), "line 2: the text is empty");
    ends(
        error("g.tsv", "1\t甲\t乙\n"),
        "line 1: 3 columns where 2 are wanted",
    );
    ends(
        error("h.jsonl", "{\"text\": \"甲\", \"label\": 1}\n[]\n"),
        "line 2: ",
    );
    ends(
        error("i.jsonl", "{\"text\": \"甲\", \"label\": null}\n"),
        "line 1: the label is null; wanted: an object with a text",
    );
    assert!(Labelled::read(&["/no/such/file"], None).is_err());
}

proptest! {
    /// Each row is asked about once, and no fold has more of a label than another by more than one.
    #[test]
    fn folds(labels in proptest::collection::vec(0usize..4, 2..80), folds in 2usize..11, seed in 0u64..9) {
        let splits = stratified(&labels, folds, seed);
        let mut asked = vec![0; labels.len()];
        for split in &splits {
            split.test.iter().for_each(|&row| asked[row] += 1);
            prop_assert_eq!(split.test.len() + split.train.len(), labels.len());
        }
        prop_assert!(asked.iter().all(|&count| count == 1));
        if labels.len() >= folds {
            prop_assert_eq!(splits.len(), folds);
        }
        for label in 0..4 {
            let counts = splits.iter().map(|split| split.test.iter().filter(|&&row| labels[row] == label).count());
            let counts: Vec<usize> = counts.collect();
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
        prop_assert_eq!(splits, stratified(&labels, folds, seed));
    }
}
