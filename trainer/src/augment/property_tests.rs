//! What holds for every text, table and seed.

use std::sync::Arc;

use juzi_schemas::synonym::Synonyms;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::fixtures::{Cut, one, synonyms};
use super::{Apply, Augmenter, Listed, Name, Operator, Options, StopWords, Unchanged, Views};

const VOCABULARY: [&str; 8] = ["今天", "天气", "很", "好", "，", "a", "𠮷野家", "é"];

fn table() -> Arc<Synonyms> {
    synonyms(&[
        ("今天", &["今日", "当天"]),
        ("天气", &["气候"]),
        ("好", &["棒", "很"]),
        ("a", &["b"]),
    ])
}

/// Sentences of up to 40 words.
fn sentence() -> impl Strategy<Value = Vec<&'static str>> {
    vec((0..VOCABULARY.len()).prop_map(|at| VOCABULARY[at]), 0..40)
}

fn options() -> impl Strategy<Value = Options> {
    let operators = vec((0..6usize, 0.0..=1.0f64), 1..4);
    let listed = (operators, any::<bool>()).prop_map(|(list, one)| {
        let operators = list.into_iter().map(|(at, rate)| Operator {
            name: Name::ALL[at],
            rate,
        });
        Options::Operators(Listed {
            views: 3,
            apply: if one { Apply::One } else { Apply::All },
            operators: operators.collect(),
            unchanged: if one {
                Unchanged::Refuse
            } else {
                Unchanged::Keep
            },
            stop_words: String::new(),
        })
    });
    prop_oneof![Just(Options::default()), listed]
}

fn made(augmenter: &mut Augmenter, words: &[&str], id: u128, epoch: u64) -> Vec<String> {
    let cut = Cut::of(words.iter().copied());
    let mut views = Views::default();
    augmenter.views(&cut.words(id), epoch, &mut views).unwrap();
    views.iter().map(|view| view.text.to_string()).collect()
}

fn augmenter(options: &Options, seed: u64) -> Augmenter {
    Augmenter::new(options, table(), &StopWords::parse("很"), seed)
}

fn is_subsequence(part: &[char], whole: &[char]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|c| rest.any(|other| other == c))
}

proptest! {
    #[test]
    fn no_view_of_a_text_is_empty(words in sentence(), options in options(), seed: u64) {
        let views = made(&mut augmenter(&options, seed), &words, 5, 0);
        prop_assert!(views.iter().all(|view| view.is_empty() == words.is_empty()));
    }

    #[test]
    fn a_swap_keeps_all_words(words in sentence(), rate in 0.0..=1.0f64, id: u128) {
        // Characters stand for words: no two words of the vocabulary share one.
        let sorted = |text: &str| {
            let mut all: Vec<char> = text.chars().collect();
            all.sort_unstable();
            all
        };
        for view in made(&mut one(Name::RandomSwap, rate, 2, &table()), &words, id, 0) {
            prop_assert_eq!(sorted(&view), sorted(&words.concat()));
        }
    }

    #[test]
    fn deletions_leave_a_subsequence(words in sentence(), rate in 0.0..=1.0f64, id: u128) {
        let whole: Vec<char> = words.concat().chars().collect();
        for name in [Name::RandomDeletion, Name::CharacterDeletion] {
            for view in made(&mut one(name, rate, 2, &table()), &words, id, 0) {
                let view: Vec<char> = view.chars().collect();
                prop_assert!(is_subsequence(&view, &whole));
            }
        }
    }

    #[test]
    fn a_crop_is_contiguous(words in sentence(), rate in 0.0..=1.0f64, id: u128) {
        for view in made(&mut one(Name::Crop, rate, 2, &table()), &words, id, 0) {
            prop_assert!(words.concat().contains(&view));
        }
    }

    #[test]
    fn insertions_and_repetitions_keep_the_text(words in sentence(), rate in 0.0..=1.0f64, id: u128) {
        let whole: Vec<char> = words.concat().chars().collect();
        for name in [Name::RandomInsertion, Name::WordRepetition] {
            for view in made(&mut one(name, rate, 2, &table()), &words, id, 0) {
                let view: Vec<char> = view.chars().collect();
                prop_assert!(is_subsequence(&whole, &view));
            }
        }
    }

    #[test]
    fn views_do_not_depend_on_what_came_before(
        sentences in vec(sentence(), 1..6), options in options(), seed: u64, epoch: u64,
    ) {
        let mut used = augmenter(&options, seed);
        let forward: Vec<_> = (0u128..).zip(&sentences)
            .map(|(id, words)| made(&mut used, words, id, epoch)).collect();
        let mut backward: Vec<_> = sentences.iter().enumerate().rev()
            .map(|(id, words)| made(&mut used.clone(), words, id as u128, epoch)).collect();
        backward.reverse();
        prop_assert_eq!(forward, backward);
    }

    #[test]
    fn words_of_replaced_texts_are_known(words in sentence(), rate in 0.0..=1.0f64, id: u128) {
        let table = table();
        let mut augmenter = one(Name::SynonymReplacement, rate, 2, &table);
        for view in made(&mut augmenter, &words, id, 0) {
            prop_assert!(view.chars().count() <= words.concat().chars().count() * 2);
            prop_assert_eq!(view.matches('，').count(), words.concat().matches('，').count());
        }
    }
}

#[test]
fn every_part_of_the_key_changes_the_views() {
    let words: Vec<&str> = VOCABULARY.iter().cycle().take(40).copied().collect();
    let options = Options::default();
    let views = |seed, id, epoch| made(&mut augmenter(&options, seed), &words, id, epoch);
    let first = views(1, 1, 0);
    assert_eq!(first, views(1, 1, 0));
    for other in [
        views(2, 1, 0),
        views(1, 2, 0),
        views(1, 1 << 100, 0),
        views(1, 1, 1),
    ] {
        assert_ne!(first, other);
    }
    // Views differ among themselves, and so do the texts of one record.
    assert!(first.iter().any(|view| *view != first[0]));
    let cut = Cut::of(words.iter().copied());
    let mut all = Views::default();
    let mut augmenter = augmenter(&options, 1);
    let positive = super::Words {
        number: 1,
        ..cut.words(1)
    };
    augmenter.views(&positive, 0, &mut all).unwrap();
    assert_ne!(
        first,
        all.iter()
            .map(|view| view.text.to_string())
            .collect::<Vec<_>>()
    );
}

#[test]
fn threads_do_not_change_views() {
    let words: Vec<&str> = VOCABULARY.iter().cycle().take(20).copied().collect();
    let start = augmenter(&Options::default(), 1);
    let alone: Vec<_> = (0..400)
        .map(|id| made(&mut start.clone(), &words, id, 2))
        .collect();
    let mut together = vec![Vec::new(); 400];
    std::thread::scope(|scope| {
        for (number, part) in together.chunks_mut(50).enumerate() {
            let (mut own, words) = (start.clone(), &words);
            scope.spawn(move || {
                for (at, views) in part.iter_mut().enumerate() {
                    *views = made(&mut own, words, (number * 50 + at) as u128, 2);
                }
            });
        }
    });
    assert_eq!(alone, together);
}
