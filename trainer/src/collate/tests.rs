//! Tests of collating: layout of views, padding, masks, words.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, Float32Builder, ListBuilder, StringArray, StringBuilder,
};
use arrow::record_batch::RecordBatch;
use juzi_schemas::record::Kind;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::gather::Gatherer;
use super::{Batch, Column, NO_WORD};
use crate::augment::{Augmenter, StopWords, Views, Words};
use crate::loader::fixtures::{
    PLAIN, Place, Row, batches, feed, made_up, recipe, shards, synonyms,
};
use crate::loader::{Feed, Piece};
use crate::recipe::Recipe;

/// The tokens of a text by the tokenizer of the tests.
fn tokens(text: &str) -> Vec<u32> {
    let own = text.chars().map(|letter| 10 + letter as u32 - 0x4e00);
    std::iter::once(2).chain(own).chain([3]).collect()
}

/// The tokens of a sequence without its padding.
fn bare(column: &Column, number: usize) -> &[u32] {
    let (length, row) = (column.lengths[number] as usize, column.sequence(number));
    assert!(row[length..].iter().all(|&id| id == 0));
    &row[..length]
}

fn text(rows: &[Row], id: u128) -> &Row {
    rows.iter().find(|row| row.id == id).unwrap()
}

fn text_feed(place: &Place, rows: &[Row], lines: &str) -> Feed {
    let dir = shards(
        &place.path("data"),
        Kind::Text,
        true,
        &[vec![rows.to_vec()]],
    );
    synonyms(&place.path("data"));
    feed(place, &dir, lines)
}

#[test]
fn blocks_are_augmented_views_copies_and_the_text_last() {
    let place = Place::new();
    let rows = made_up(30);
    let lines = "seed = 5\n[data]\nsize = 6\n[views]\naugmented = 3\ncopies = 2\n[augment]\nmode = 'luse'\nviews = 3";
    let mut maker = text_feed(&place, &rows, lines).maker();
    let recipe: Recipe = toml::from_str(lines).unwrap();
    let table = std::sync::Arc::new(
        juzi_schemas::synonym::Synonyms::open(&place.path("data/synonyms")).unwrap(),
    );
    let mut augmenter = Augmenter::new(&recipe.augment, table, &StopWords::read(None).unwrap(), 5);
    let mut changed = 0;
    for step in 0..10 {
        let batch = maker.batch(step).unwrap();
        let [column] = &batch.columns[..] else {
            panic!()
        };
        assert_eq!((column.name, column.views, column.texts), ("text", 6, 6));
        assert_eq!(column.ids.len(), 6 * 6 * column.width);
        for (number, &id) in batch.record_ids.iter().enumerate() {
            let row = text(&rows, id);
            let (text, mut views) = (&row.texts[0], Views::default());
            let words = Words {
                id,
                number: 0,
                text,
                lengths: &row.words,
            };
            augmenter.views(&words, batch.epoch, &mut views).unwrap();
            for (view, made) in views.iter().enumerate() {
                assert_eq!(bare(column, view * 6 + number), tokens(made.text));
                changed += usize::from(made.text != text);
            }
            for block in 3..6 {
                assert_eq!(bare(column, block * 6 + number), tokens(text));
            }
        }
    }
    assert!(changed > 50, "{changed}");
}

#[test]
fn golden_batch_does_not_move() {
    let place = Place::new();
    let words = ["一丁 丂", "七 丄丅丆", "万", "丈 三"];
    let rows: Vec<Row> = (1..)
        .zip(words)
        .map(|(id, words)| Row::new(id, Kind::Text, &[words]))
        .collect();
    let lines = "[data]\nsize = 2\nshuffle = false\n[views]\naugmented = 0\ncopies = 1\n\
                 [tokenizer]\npad_multiple = 4\nword_ids = true";
    let mut maker = text_feed(&place, &rows, lines).maker();
    let batch = maker.batch(3).unwrap();
    assert_eq!(
        (batch.step, batch.epoch, &batch.record_ids[..]),
        (3, 1, &[3, 4][..])
    );
    assert_eq!(
        (&batch.corpora[..], &batch.topics[..]),
        (&[1, 0][..], &[None, None][..])
    );
    let column = &batch.columns[0];
    assert_eq!((column.width, column.views, column.texts), (4, 2, 2));
    let block = [2, 17, 3, 0, 2, 18, 19, 3];
    assert_eq!(column.ids, [block, block].concat());
    assert_eq!(column.lengths, [3, 4, 3, 4]);
    let none = NO_WORD;
    let block = [none, 0, none, none, none, 0, 1, none];
    assert_eq!(
        column.word_ids.as_deref(),
        Some(&[block, block].concat()[..])
    );
    let batch = maker.batch(0).unwrap();
    let column = &batch.columns[0];
    assert_eq!(column.width, 8);
    assert_eq!(column.sequence(1), [2, 13, 14, 15, 16, 3, 0, 0]);
    let words = &column.word_ids.as_ref().unwrap()[..16];
    assert_eq!(words[..8], [none, 0, 0, 1, none, none, none, none]);
    assert_eq!(words[8..], [none, 0, 1, 1, 1, none, none, none]);
}

#[test]
fn words_of_longer_tokens_are_where_these_begin() {
    let place = Place::new();
    // `abcd` is the tokens `abc` and `##d` of one word; the word `c一` begins inside a token.
    let rows = [Row::new(1, Kind::Text, &["abcd 一 ab c一"])];
    let lines =
        format!("[data]\nsize = 1\n[tokenizer]\nword_ids = true\npad_multiple = 1\n{PLAIN}");
    let mut maker = text_feed(&place, &rows, &lines).maker();
    let batch = maker.batch(0).unwrap();
    let column = &batch.columns[0];
    assert_eq!(column.ids, [2, 5, 6, 10, 5, 10, 3]);
    assert_eq!(
        column.word_ids.as_deref(),
        Some(&[NO_WORD, 0, 0, 1, 2, 3, NO_WORD][..])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn sequences_are_filled_up_and_never_cut_short(
        length_max in 3usize..40, pad_multiple in 1usize..20, size in 1usize..9, copies in 0usize..3, sort: bool, step in 0u64..40,
    ) {
        let place = Place::new();
        let rows = made_up(40);
        let lines = format!(
            "[data]\nsize = {size}\n[views]\naugmented = 0\ncopies = {copies}\n[tokenizer]\n\
             length_max = {length_max}\npad_multiple = {pad_multiple}\ngroup_by_length = {sort}"
        );
        let batch = text_feed(&place, &rows, &lines).maker().batch(step).unwrap();
        let column = &batch.columns[0];
        let longest = *column.lengths.iter().max().unwrap() as usize;
        prop_assert!(column.width <= length_max && column.width >= longest);
        prop_assert!(column.width < longest + pad_multiple);
        prop_assert!(column.width == length_max || column.width.is_multiple_of(pad_multiple));
        prop_assert_eq!(column.ids.len(), column.width * (copies + 1) * size);
        prop_assert_eq!(column.lengths.len(), (copies + 1) * size);
        prop_assert_eq!(batch.tokens(), column.lengths.iter().map(|&l| u64::from(l)).sum::<u64>());
        prop_assert_eq!(column.order.is_some(), sort);
        for block in 0..=copies {
            let lengths = &column.lengths[block * size..(block + 1) * size];
            prop_assert!(!sort || lengths.is_sorted());
            let mut seen: Vec<u32> = Vec::new();
            for number in 0..size {
                let at = block * size + number;
                let row = column.order.as_ref().map_or(number as u32, |order| order[at]);
                seen.push(row);
                let mut whole = tokens(&text(&rows, batch.record_ids[row as usize]).texts[0]);
                if whole.len() > length_max {
                    whole.truncate(length_max - 1);
                    whole.push(3);
                }
                prop_assert_eq!(bare(column, at), &whole[..]);
            }
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..size as u32));
        }
    }
}

/// Triplets with 2, 0 and 1 negatives, and masks.
fn triplets(place: &Place, ignored: u32) -> PathBuf {
    let mut rows = vec![
        Row::new(1, Kind::Triplet, &["一", "丁 丂", "七", "丄"]),
        Row::new(2, Kind::Triplet, &["丅", "丆"]),
        Row::new(3, Kind::Triplet, &["万", "丈", "三"]),
    ];
    rows[0].positives = vec![2];
    rows[2].ignored = vec![0, ignored];
    synonyms(&place.path("data"));
    batches(&place.path("data"), Kind::Triplet, true, &[vec![rows]])
}

#[test]
fn pairs_carry_negatives_and_masks() {
    let place = Place::new();
    let dir = triplets(&place, 5);
    let lines = "[views]\naugmented = 2\ncopies = 1\ncolumns = ['anchor']\n[augment]\nmode = 'luse'\nviews = 2";
    let batch = feed(&place, &dir, lines).maker().batch(0).unwrap();
    let shape = |column: &Column| (column.name, column.views, column.texts);
    let shapes: Vec<_> = batch.columns.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [("anchor", 4, 3), ("positive", 1, 3), ("negatives", 1, 3)]
    );
    assert_eq!(batch.negatives, [2, 0, 1]);
    assert_eq!(batch.positives.len(), 3);
    assert_eq!(
        [0, 1, 2].map(|row| batch.positives.get(row).to_vec()),
        [vec![2], vec![], vec![]]
    );
    assert_eq!(
        [0, 1, 2].map(|row| batch.ignored.get(row).to_vec()),
        [vec![], vec![], vec![0, 5]]
    );
    assert_eq!(batch.topics, [Some(1), Some(2), None]);
    let negatives = &batch.columns[2];
    assert_eq!(bare(negatives, 0), tokens("七"));
    assert_eq!(bare(negatives, 1), tokens("丄"));
    assert_eq!(bare(negatives, 2), tokens("三"));
    assert_eq!(bare(&batch.columns[1], 0), tokens("丁丂"));
    assert_eq!(bare(&batch.columns[0], 9), tokens("一"));
    assert_eq!(batch.sequences(), 12 + 3 + 3);
}

#[test]
fn a_teachers_scores_are_numbered_as_documents() {
    // Negatives of three records: 2, 0 and 1; the row group holds a record that the batch has not.
    let strings = |texts: &[&str]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let mut negatives = ListBuilder::new(StringBuilder::new());
    let mut scores = ListBuilder::new(Float32Builder::new());
    for (texts, own) in [
        (vec!["七", "丄"], vec![Some(5.0), Some(1.0), None]),
        (vec!["七"], vec![Some(9.0), Some(9.0)]),
        (vec![], vec![Some(6.0)]),
        (vec!["三"], vec![Some(7.0), Some(3.0)]),
    ] {
        texts
            .into_iter()
            .for_each(|text| negatives.values().append_value(text));
        negatives.append(true);
        scores.values().extend(own);
        scores.append(true);
    }
    let ids = (0..4u128).map(|id| id.to_be_bytes());
    let ids = FixedSizeBinaryArray::try_from_iter(ids).unwrap();
    let piece = |rows: &[u32]| Piece {
        batch: RecordBatch::try_from_iter([
            ("id", Arc::new(ids.clone()) as ArrayRef),
            ("corpus", strings(&["c"; 4])),
            ("anchor", strings(&["一", "一", "丅", "万"])),
            ("positive", strings(&["丁", "丁", "丆", "丈"])),
            ("negatives", Arc::new(negatives.finish_cloned())),
            ("scores", Arc::new(scores.finish_cloned())),
        ])
        .unwrap(),
        rows: rows.to_vec(),
        path: PathBuf::from("part").into(),
        group: 0,
    };
    let gatherer = Gatherer {
        kind: Kind::Triplet,
        corpora: vec!["c".into()],
        words: false,
    };
    let mut batch = Batch::default();
    let pieces = [piece(&[0]), piece(&[2, 3])];
    gatherer.gather(&pieces, &mut batch).unwrap();
    assert_eq!(batch.negatives, [2, 0, 1]);
    assert_eq!(batch.teacher[..4], [5.0, 6.0, 7.0, 1.0]);
    assert!(batch.teacher[4].is_nan());
    assert_eq!(batch.teacher[5..], [3.0]);

    scores.values().append_value(1.0);
    scores.append(true);
    let mut wrong = pieces;
    let short = scores.finish().slice(1, 4);
    let columns = wrong[0].batch.columns().iter().cloned();
    let columns: Vec<ArrayRef> = columns
        .take(5)
        .chain([Arc::new(short) as ArrayRef])
        .collect();
    wrong[0].batch = RecordBatch::try_new(wrong[0].batch.schema(), columns).unwrap();
    let error = gatherer.gather(&wrong, &mut Batch::default()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("2 scores of a positive and 2 negatives"),
        "{message}"
    );
}

#[test]
fn a_mask_must_name_a_document() {
    let place = Place::new();
    let dir = triplets(&place, 6);
    let error = feed(&place, &dir, PLAIN).maker().batch(0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("row group 0: a mask names document 6; the batch has 6"),
        "{error}"
    );
}

#[test]
fn other_kinds_carry_labels_and_scores() {
    let place = Place::new();
    let rows = vec![
        Row::new(1, Kind::Labelled, &["一 丁", "体育"]),
        Row::new(2, Kind::Labelled, &["七", "财经"]),
    ];
    let dir = shards(&place.path("labelled"), Kind::Labelled, true, &[vec![rows]]);
    let lines = format!(
        "[data]\nkind = 'labelled'\nsize = 2\nshuffle = false\n[tokenizer]\nword_ids = true\n{PLAIN}"
    );
    let batch = feed(&place, &dir, &lines).maker().batch(0).unwrap();
    assert_eq!(
        (batch.columns.len(), &batch.labels[..]),
        (1, &["体育".to_string(), "财经".to_string()][..])
    );
    let rows = vec![
        Row::new(1, Kind::Scored, &["一", "丁"]),
        Row::new(2, Kind::Scored, &["七", ""]),
    ];
    for planned in [false, true] {
        let data = place.path(&format!("scored-{planned}"));
        let files = [vec![rows.clone()]];
        let dir = match planned {
            true => batches(&data, Kind::Scored, false, &files),
            false => shards(&data, Kind::Scored, false, &files),
        };
        let lines = format!("[data]\nkind = 'scored'\nsize = 2\nshuffle = false\n{PLAIN}");
        let batch = feed(&place, &dir, &lines).maker().batch(0).unwrap();
        let names: Vec<_> = batch.columns.iter().map(|column| column.name).collect();
        assert_eq!(
            (names, &batch.scores[..]),
            (vec!["sentence1", "sentence2"], &[0.1, 0.2][..])
        );
        assert_eq!(bare(&batch.columns[1], 1), [2, 3]);
    }
    let rows = vec![Row::new(1, Kind::Pair, &["一", "丁"])];
    let dir = shards(&place.path("pair"), Kind::Pair, false, &[vec![rows]]);
    let batch: Batch = feed(
        &place,
        &dir,
        &format!("[data]\nkind = 'pair'\nsize = 1\n{PLAIN}"),
    )
    .maker()
    .batch(0)
    .unwrap();
    assert_eq!(
        (
            batch.columns.len(),
            batch.negatives.len(),
            batch.positives.len()
        ),
        (2, 0, 0)
    );
}

#[test]
fn the_original_of_eda_is_not_a_view() {
    let place = Place::new();
    let rows = made_up(12);
    let lines =
        "[data]\nsize = 4\n[views]\naugmented = 2\ncopies = 0\n[augment]\nmode = 'eda'\nviews = 2";
    let batch = text_feed(&place, &rows, lines).maker().batch(1).unwrap();
    let column = &batch.columns[0];
    assert_eq!((column.views, column.lengths.len()), (3, 12));
    for (number, &id) in batch.record_ids.iter().enumerate() {
        assert_eq!(bare(column, 8 + number), tokens(&text(&rows, id).texts[0]));
    }
    let refused = |lines: &str| {
        let error = Feed::open(&recipe(&place, &place.path("data/shards"), lines), None)
            .err()
            .unwrap();
        error.to_string()
    };
    assert!(refused("[views]\naugmented = 3").contains("[augment] makes 4"));
    assert!(refused("[augment]\nmode = 'eda'\nviews = 0.5").contains("below 1"));
}
