//! Golden views, the operators beyond LUSE's, and texts at the edges.

use std::collections::HashMap;
use std::sync::Arc;

use juzi_schemas::synonym::Synonyms;

use super::fixtures::{Cut, each_view, one, synonyms};
use super::{
    Apply, Augmenter, Listed, Luse, Name, Operator, Options, StopWords, Unchanged, Views, Words,
};

const TABLE: &[(&str, &[&str])] = &[
    ("今天", &["今日", "当天"]),
    ("天气", &["气候", "天色"]),
    ("好", &["棒", "不错"]),
    ("出去", &["出门"]),
    ("走走", &["散步", "逛逛"]),
];

const SENTENCE: &str = "今天 天气 很 好 ， 我们 出去 走走 吧";

#[test]
fn golden_views_do_not_move() {
    // The views of every published training run hang on these.
    let cut = Cut::new(SENTENCE);
    let stop = StopWords::parse("很\n，\n吧");
    let mut augmenter = Augmenter::new(&Options::default(), synonyms(TABLE), &stop, 1);
    let mut views = Views::new(true);
    augmenter.views(&cut.words(7), 0, &mut views).unwrap();
    augmenter
        .views(&cut.words(u128::MAX), 3, &mut views)
        .unwrap();
    let told: Vec<String> = views
        .iter()
        .map(|view| {
            let steps: Vec<String> = view.steps.iter().map(ToString::to_string).collect();
            format!("{} [{}]", view.text, steps.join(" · "))
        })
        .collect();
    assert_eq!(told, GOLDEN_VIEWS);
}

const GOLDEN_VIEWS: [&str; 8] = [
    "今天天气很好，我们出去今日走走吧 [RI +今日]",
    "今天天气很我们，好出去走走吧 [RS 好↔我们]",
    "今天天气很好，我们出去吧 [RD -走走]",
    "今天天色很好，我们出去走走吧 [SR 天气→天色]",
    "今天天气很好我们，出去走走吧 [RS ，↔我们]",
    "今天天气很好，逛逛我们出去走走吧 [RI +逛逛]",
    "今天天气出去好，我们很走走吧 [RS 很↔出去]",
    "今天天气很好，我们出去走走 [RD -吧]",
];

#[test]
fn repetition_says_few_words_twice() {
    let cut = Cut::new("a b c d e f g h i j k l");
    let mut counts = [0; 6];
    let mut words = HashMap::new();
    let mut augmenter = one(Name::WordRepetition, 0.32, 4, &Arc::default());
    each_view(&mut augmenter, &cut, 10_000, |_, _, view| {
        counts[view.steps.len()] += 1;
        let mut kept: Vec<char> = view.text.chars().collect();
        kept.dedup();
        assert_eq!(kept, cut.text.chars().collect::<Vec<_>>());
        for step in view.steps {
            *words.entry(step.from.clone()).or_insert(0) += 1;
        }
    });
    // 0 to max(2, floor(0.32 * 12)) = 3 words, each number as likely; 40,000 views.
    assert_eq!(counts[4..], [0, 0]);
    assert!(
        counts[..4]
            .iter()
            .all(|count: &i32| count.abs_diff(10_000) < 450),
        "{counts:?}"
    );
    // 60,000 repetitions over 12 words.
    assert!(
        words
            .values()
            .all(|count: &i32| count.abs_diff(5_000) < 350),
        "{words:?}"
    );
    // A text of one word: 0, 1 and 2 repetitions are drawn, there is room for one.
    let mut augmenter = one(Name::WordRepetition, 0.32, 4, &Arc::default());
    let mut doubled = 0;
    each_view(&mut augmenter, &Cut::new("好"), 3000, |_, _, view| {
        doubled += usize::from(view.text == "好好");
        assert!(view.text == "好好" || view.text == "好");
    });
    assert!(doubled.abs_diff(8000) < 260, "{doubled}");
}

#[test]
fn a_crop_keeps_each_span_equally_often() {
    let mut spans = HashMap::new();
    let mut augmenter = one(Name::Crop, 0.25, 1, &Arc::default());
    each_view(
        &mut augmenter,
        &Cut::new("a b c d e f g h i j"),
        9000,
        |_, _, view| {
            assert_eq!(view.text.len(), 8);
            let gone: usize = view.steps.iter().map(|step| step.from.len()).sum();
            assert_eq!(gone, 2);
            *spans.entry(view.text.to_string()).or_insert(0usize) += 1;
        },
    );
    assert_eq!(spans.len(), 3);
    assert!(
        spans.values().all(|count| count.abs_diff(3000) < 230),
        "{spans:?}"
    );
    // One word stays, whatever the rate.
    each_view(
        &mut one(Name::Crop, 1.0, 1, &Arc::default()),
        &Cut::new("a b"),
        10,
        |_, _, view| {
            assert_eq!(view.text.len(), 1);
        },
    );
}

#[test]
fn characters_are_dropped_at_their_rate() {
    let cut = Cut::new("今天 天气 很 好 吗 ？");
    let mut dropped = 0;
    let mut augmenter = one(Name::CharacterDeletion, 0.1, 4, &Arc::default());
    each_view(&mut augmenter, &cut, 10_000, |_, _, view| {
        dropped += 8 - view.text.chars().count();
    });
    // 320,000 characters; the standard deviation is 170.
    assert!(dropped.abs_diff(32_000) < 850, "{dropped}");
    let mut augmenter = one(Name::CharacterDeletion, 1.0, 4, &Arc::default());
    each_view(&mut augmenter, &cut, 10, |_, _, view| {
        assert_eq!(view.text.chars().count(), 1);
    });
}

fn listed(apply: Apply, operators: &[(Name, f64)], unchanged: Unchanged) -> Options {
    let options = Options::Operators(Listed {
        views: 4,
        apply,
        operators: operators
            .iter()
            .map(|&(name, rate)| Operator { name, rate })
            .collect(),
        unchanged,
        stop_words: String::new(),
    });
    options.check().unwrap();
    options
}

#[test]
fn operators_apply_in_turn_or_one_is_drawn() {
    let cut = Cut::new(SENTENCE);
    let list = [
        (Name::SynonymReplacement, 0.5),
        (Name::RandomInsertion, 0.1),
        (Name::RandomDeletion, 0.5),
        (Name::CharacterDeletion, 0.5),
    ];
    let augmenter = |apply| {
        let options = listed(apply, &list, Unchanged::Keep);
        Augmenter::new(&options, synonyms(TABLE), &StopWords::default(), 1)
    };
    each_view(&mut augmenter(Apply::All), &cut, 500, |_, _, view| {
        assert_eq!(view.operators.iter().count(), 4);
        assert!(
            view.steps.is_sorted_by_key(|step| step.operator),
            "{:?}",
            view.steps
        );
        assert!(!view.text.is_empty());
    });
    let mut counts = HashMap::new();
    each_view(&mut augmenter(Apply::One), &cut, 2500, |_, _, view| {
        assert_eq!(view.operators.iter().count(), 1);
        *counts
            .entry(view.operators.iter().next().unwrap())
            .or_insert(0usize) += 1;
    });
    assert!(
        counts.values().all(|count| count.abs_diff(2500) < 220),
        "{counts:?}"
    );
}

#[test]
fn unchanged_views_are_made_again() {
    let cut = Cut::new("今天 天气 好");
    let run = |unchanged, cut: &Cut| {
        let options = listed(Apply::All, &[(Name::RandomDeletion, 0.1)], unchanged);
        let mut augmenter = Augmenter::new(&options, Arc::default(), &StopWords::default(), 1);
        let (mut same, mut redraws) = (0, 0);
        each_view(&mut augmenter, cut, 1000, |_, _, view| {
            assert_eq!(view.changed, view.text != cut.text);
            assert_eq!(view.steps.is_empty(), !view.changed);
            same += usize::from(!view.changed);
            redraws += usize::from(view.redraws);
        });
        (same, redraws)
    };
    // 0.9^3 = 0.729 of the views stay as they are; after 9 tries 0.729^9 = 0.058.
    let (same, redraws) = run(Unchanged::Keep, &cut);
    assert!(same.abs_diff(2916) < 140 && redraws == 0, "{same}");
    let (same, redraws) = run(Unchanged::Refuse, &cut);
    assert!(
        same.abs_diff(232) < 75 && redraws > 4000,
        "{same} {redraws}"
    );
    // What cannot change is tried 8 times again, then stays.
    assert_eq!(run(Unchanged::Refuse, &Cut::new("好")), (4000, 32_000));
}

#[test]
fn texts_at_the_edges() {
    let table = synonyms(TABLE);
    let all: Vec<(Name, f64)> = Name::ALL.iter().map(|&name| (name, 0.5)).collect();
    let stop = StopWords::parse("今天\n天气");
    for synonyms in [table, Arc::new(Synonyms::default())] {
        for options in [
            Options::default(),
            listed(Apply::All, &all, Unchanged::Refuse),
            listed(Apply::One, &all, Unchanged::Keep),
        ] {
            let mut augmenter = Augmenter::new(&options, synonyms.clone(), &stop, 1);
            for text in ["", "好", "今天 天气", "今天 今天 今天", "。 。 。"] {
                each_view(&mut augmenter, &Cut::new(text), 200, |_, _, view| {
                    assert_eq!(view.text.is_empty(), text.is_empty());
                });
            }
        }
    }
}

#[test]
fn all_stop_words_are_never_replaced() {
    let options = listed(
        Apply::All,
        &[(Name::SynonymReplacement, 1.0)],
        Unchanged::Keep,
    );
    let stop = StopWords::parse("今天\n天气");
    let mut augmenter = Augmenter::new(&options, synonyms(TABLE), &stop, 1);
    each_view(
        &mut augmenter,
        &Cut::new("今天 天气"),
        100,
        |_, _, view| {
            assert!(!view.changed);
        },
    );
}

#[test]
fn words_that_do_not_add_up_leave_nothing() {
    let mut augmenter = Augmenter::new(
        &Options::default(),
        Arc::default(),
        &StopWords::default(),
        1,
    );
    let words = Words {
        id: 1,
        number: 0,
        text: "今天",
        lengths: &[1, 2],
    };
    let mut views = Views::default();
    let error = augmenter.views(&words, 0, &mut views).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the words have 3 characters, the text has 2"
    );
    assert!(views.is_empty() && views.bytes() == 0);
    let cut = Cut::new(SENTENCE);
    augmenter.views(&cut.words(1), 0, &mut views).unwrap();
    assert_eq!(views.len(), 4);
}

#[test]
fn a_text_of_thousands_of_words() {
    let words = "今天 天气 很 好 ，".repeat(2000).replace("，今", "， 今");
    let cut = Cut::new(&words);
    let options = Options::Luse(Luse {
        alpha: 0.3,
        ..Luse::default()
    });
    let mut augmenter = Augmenter::new(&options, synonyms(TABLE), &StopWords::default(), 1);
    let mut made = 0;
    each_view(&mut augmenter, &cut, 4, |_, _, view| {
        made += usize::from(view.changed);
    });
    assert_eq!(made, 16);
}
