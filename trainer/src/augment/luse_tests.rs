//! The procedure of LUSE: shares, counts and the distribution of whole views, against theory and
//! against a naive implementation that makes all candidates, shuffles and cuts.

use std::collections::HashMap;
use std::sync::Arc;

use juzi_schemas::synonym::Synonyms;

use super::fixtures::{Cut, each_view, synonyms};
use super::{Augmenter, Eda, Luse, Name, Options, StopWords};

fn luse(views: u32, alpha: f64, table: &Arc<Synonyms>, stop: &str) -> Augmenter {
    let options = Options::Luse(Luse {
        views,
        alpha,
        ..Luse::default()
    });
    options.check().unwrap();
    Augmenter::new(&options, table.clone(), &StopWords::parse(stop), 1)
}

/// A number close to what is expected: within five standard deviations of a count.
fn assert_near(found: f64, expected: f64, deviation: f64) {
    let off = (found - expected).abs();
    assert!(
        off < 5.0 * deviation,
        "{found}, expected {expected} ± {deviation}"
    );
}

#[test]
fn operators_among_the_kept_are_hypergeometric() {
    let table = synonyms(&[("天气", &["气候"])]);
    let mut augmenter = luse(4, 0.1, &table, "");
    let mut counts = HashMap::new();
    each_view(
        &mut augmenter,
        &Cut::new("今天 天气 很 好"),
        70_000,
        |id, _, view| {
            let names: Vec<Name> = view.operators.iter().collect();
            assert_eq!(names.len(), 1);
            *counts.entry((id, names[0])).or_insert(0usize) += 1;
        },
    );
    for name in &Name::ALL[..4] {
        let mut seen = [0.0; 3];
        for id in 0..70_000 {
            seen[counts.get(&(id, *name)).copied().unwrap_or_default()] += 1.0;
        }
        // Of 8 candidates 2 are of this operator, 4 are kept: 15, 40 and 15 of the 70 ways.
        for (found, expected) in seen.into_iter().zip([15_000.0, 40_000.0, 15_000.0]) {
            assert_near(
                found,
                expected,
                f64::sqrt(expected * (1.0 - expected / 70_000.0)),
            );
        }
    }
}

#[test]
fn counts_follow_the_number_of_words() {
    // 25 words: two are replaced, inserted, swapped.
    let table: Vec<(String, String)> = (0..25)
        .map(|n| (format!("w{n}"), format!("W{n}")))
        .collect();
    let rows: Vec<(&str, Vec<&str>)> = table.iter().map(|(w, s)| (&w[..], vec![&s[..]])).collect();
    let rows: Vec<(&str, &[&str])> = rows.iter().map(|(w, s)| (*w, &s[..])).collect();
    let cut = Cut::of(table.iter().map(|(word, _)| &word[..]));
    let mut augmenter = luse(40, 0.1, &synonyms(&rows), "w3\nw4");
    let (mut deleted, mut deletions) = (0, 0);
    let mut replaced = HashMap::new();
    each_view(&mut augmenter, &cut, 2000, |_, _, view| {
        let steps = view.steps;
        match view.operators.iter().next().unwrap() {
            Name::SynonymReplacement => {
                assert_eq!(steps.len(), 2);
                assert_ne!(steps[0].from, steps[1].from);
                for step in steps {
                    assert_eq!(step.to, step.from.to_uppercase());
                    *replaced.entry(step.from.clone()).or_insert(0.0) += 1.0;
                }
            }
            Name::RandomInsertion => {
                assert_eq!(steps.len(), 2);
                assert!(
                    view.text.ends_with("w24"),
                    "never at the end: {}",
                    view.text
                );
                assert_eq!(view.text.matches('W').count(), 2);
            }
            Name::RandomSwap => assert_eq!(steps.len(), 2),
            Name::RandomDeletion => {
                deleted += steps.len();
                deletions += 1;
                assert_eq!(view.text.matches('w').count(), 25 - steps.len());
            }
            name => panic!("{name:?} is not LUSE's"),
        }
    });
    assert!(
        !replaced.contains_key("w3") && !replaced.contains_key("w4"),
        "stop words"
    );
    assert_eq!(replaced.len(), 23);
    let total: f64 = replaced.values().sum();
    for count in replaced.values() {
        assert_near(*count, total / 23.0, (total / 23.0).sqrt());
    }
    let words = 25.0 * f64::from(deletions);
    assert_near(deleted as f64, 0.1 * words, (0.09 * words).sqrt());
}

#[test]
fn insertions_stand_before_each_word_equally_often() {
    let table = synonyms(&[("乙", &["X"])]);
    let mut places = [0.0; 5];
    let mut augmenter = luse(4, 0.1, &table, "乙");
    let mut failed = 0.0;
    each_view(
        &mut augmenter,
        &Cut::new("甲 乙 丙 丁"),
        40_000,
        |_, _, view| {
            if view.operators.contains(Name::RandomInsertion) {
                match view.text.chars().position(|c| c == 'X') {
                    Some(place) => places[place] += 1.0,
                    None => failed += 1.0,
                }
            }
        },
    );
    assert_eq!(places[4], 0.0);
    let made: f64 = places.iter().sum();
    for count in &places[..4] {
        assert_near(*count, made / 4.0, (made / 4.0).sqrt());
    }
    // Stop words are not excluded; 10 tries miss the only word with probability 0.75^10.
    let missed = 0.75f64.powi(10);
    assert_near(
        failed,
        missed * (made + failed),
        (missed * (made + failed)).sqrt(),
    );
}

/// The naive implementation, after the description of the procedure, on strings.
mod naive {
    use std::collections::{BTreeSet, HashMap};

    /// Another generator than the one under test (xorshift64*).
    pub struct Dice(pub u64);

    impl Dice {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }

        fn below(&mut self, n: usize) -> usize {
            ((self.next() >> 33) % n as u64) as usize
        }

        fn unit(&mut self) -> f64 {
            (self.next() >> 11) as f64 / (1u64 << 53) as f64
        }

        fn shuffle<T>(&mut self, all: &mut [T]) {
            for at in (1..all.len()).rev() {
                all.swap(at, self.below(at + 1));
            }
        }
    }

    pub struct Naive<'a> {
        pub synonyms: HashMap<&'a str, &'a [&'a str]>,
        pub stop: Vec<&'a str>,
        pub dice: Dice,
    }

    impl Naive<'_> {
        fn replace(&mut self, words: &[String], n: usize) -> Vec<String> {
            let mut words = words.to_vec();
            let unique: BTreeSet<String> = words.iter().cloned().collect();
            let mut unique: Vec<String> = unique.into_iter().collect();
            unique.retain(|word| !self.stop.contains(&word.as_str()));
            self.dice.shuffle(&mut unique);
            let mut done = 0;
            for word in unique {
                if let Some(options) = self.synonyms.get(word.as_str()) {
                    let chosen = options[self.dice.below(options.len())];
                    for place in words.iter_mut().filter(|place| **place == word) {
                        *place = chosen.into();
                    }
                    done += 1;
                }
                if done >= n {
                    break;
                }
            }
            words
        }

        fn insert(&mut self, words: &[String], n: usize) -> Vec<String> {
            let mut words = words.to_vec();
            for _ in 0..n {
                for _ in 0..10 {
                    let word = &words[self.dice.below(words.len())];
                    if let Some(options) = self.synonyms.get(word.as_str()) {
                        let chosen = options[self.dice.below(options.len())];
                        words.insert(self.dice.below(words.len()), chosen.into());
                        break;
                    }
                }
            }
            words
        }

        fn swap(&mut self, words: &[String], n: usize) -> Vec<String> {
            let mut words = words.to_vec();
            for _ in 0..n {
                let first = self.dice.below(words.len());
                let (mut second, mut tries) = (first, 0);
                while second == first {
                    second = self.dice.below(words.len());
                    tries += 1;
                    if tries > 3 {
                        second = first;
                        break;
                    }
                }
                words.swap(first, second);
            }
            words
        }

        fn delete(&mut self, words: &[String], p: f64) -> Vec<String> {
            if words.len() == 1 {
                return words.to_vec();
            }
            let mut kept = words.to_vec();
            kept.retain(|_| self.dice.unit() > p);
            if kept.is_empty() {
                kept.push(words[self.dice.below(words.len())].clone());
            }
            kept
        }

        pub fn views(&mut self, words: &[String], count: usize, alpha: f64) -> Vec<String> {
            let n = ((alpha * words.len() as f64) as usize).max(1);
            let mut pool = Vec::new();
            for _ in 0..count / 4 + 1 {
                pool.push(self.replace(words, n).concat());
                pool.push(self.insert(words, n).concat());
                pool.push(self.swap(words, n).concat());
                pool.push(self.delete(words, alpha).concat());
            }
            self.dice.shuffle(&mut pool);
            pool.truncate(count);
            pool
        }
    }
}

/// Whether two histograms may be of one distribution: the two-sample chi-square of the cells that
/// are not tiny, within five standard deviations of its mean.
fn assert_alike(one: &HashMap<String, [f64; 2]>) {
    let (mut chi_square, mut cells, mut rest) = (0.0, 0.0, [0.0; 2]);
    let mut add = |[a, b]: [f64; 2]| {
        chi_square += (a - b).powi(2) / (a + b);
        cells += 1.0;
    };
    for &[a, b] in one.values() {
        match a + b >= 20.0 {
            true => add([a, b]),
            false => rest = [rest[0] + a, rest[1] + b],
        }
    }
    if rest[0] + rest[1] >= 20.0 {
        add(rest);
    }
    let freedom: f64 = cells - 1.0;
    let most = freedom + 5.0 * (2.0 * freedom).sqrt();
    assert!(
        chi_square < most,
        "{chi_square} of {freedom} degrees of freedom"
    );
}

/// Views of the augmenter and of the naive implementation, and pairs of first and second view.
fn compare(cut: &Cut, table: &[(&str, &[&str])], stop: &str, views: u32, alpha: f64) -> usize {
    let mut augmenter = luse(views, alpha, &synonyms(table), stop);
    let mut naive = naive::Naive {
        synonyms: table.iter().copied().collect(),
        stop: stop.split('\n').collect(),
        dice: naive::Dice(42),
    };
    let words = cut.words(0);
    let mut rest = words.text.chars();
    let strings: Vec<String> = words
        .lengths
        .iter()
        .map(|&length| rest.by_ref().take(usize::from(length)).collect())
        .collect();
    let rounds = 200_000 / u128::from(views);
    let (mut singles, mut pairs) = (HashMap::new(), HashMap::new());
    let mut count = |side: usize, number: usize, view: &str, first: &mut String| {
        singles.entry(view.to_string()).or_insert([0.0; 2])[side] += 1.0;
        match number {
            0 => view.clone_into(first),
            1 => pairs.entry(format!("{first} {view}")).or_insert([0.0; 2])[side] += 1.0,
            _ => {}
        }
    };
    let mut first = String::new();
    each_view(&mut augmenter, cut, rounds, |_, number, view| {
        count(0, number, view.text, &mut first);
    });
    for _ in 0..rounds {
        for (number, view) in naive
            .views(&strings, views as usize, alpha)
            .iter()
            .enumerate()
        {
            count(1, number, view, &mut first);
        }
    }
    assert_alike(&singles);
    if views > 1 {
        assert_alike(&pairs);
    }
    singles.len()
}

#[test]
fn views_are_distributed_as_the_naive_ones() {
    let table: &[(&str, &[&str])] = &[
        ("天气", &["气候", "天色", "气温"]),
        ("很", &["非常", "好"]),
        ("好", &["棒"]),
    ];
    let outcomes = compare(&Cut::new("今天 天气 很 好 。"), table, "很\n。", 4, 0.1);
    assert!(outcomes > 20, "{outcomes}");
    // Replaced words that are words of the text themselves, words that stand there twice, three
    // changes at once, synonyms that have synonyms.
    let table: &[(&str, &[&str])] = &[
        ("甲", &["乙", "己"]),
        ("乙", &["丙", "甲"]),
        ("丙", &["甲"]),
        ("己", &["庚"]),
    ];
    let outcomes = compare(&Cut::new("甲 乙 甲 丁 丙 戊"), table, "", 4, 0.5);
    assert!(outcomes > 1000, "{outcomes}");
    // Short texts, other numbers of views.
    compare(&Cut::new("甲 乙"), table, "", 1, 0.1);
    compare(&Cut::new("甲"), table, "", 9, 0.1);
    compare(&Cut::new("丁 戊 丁"), table, "", 2, 0.9);
}

#[test]
fn the_original_eda_adds_the_original_and_turns_operators_off() {
    let table = synonyms(&[("好", &["棒"])]);
    let cut = Cut::new("今天 天气 很 好");
    let run = |eda: Eda| {
        let options = Options::Eda(eda);
        options.check().unwrap();
        let mut augmenter = Augmenter::new(&options, table.clone(), &StopWords::default(), 1);
        let mut all = Vec::new();
        each_view(&mut augmenter, &cut, 10_000, |id, number, view| {
            let name = view.operators.iter().next();
            assert_eq!(
                name.is_none(),
                view.text == cut.text && !view.changed && name.is_none()
            );
            all.push((id, number, name));
        });
        all
    };
    let count = |all: &[(u128, usize, Option<Name>)], name| {
        all.iter().filter(|view| view.2 == name).count() as f64
    };
    // 9 views of 4 times 3 candidates, and the original.
    let all = run(Eda::default());
    assert_eq!(all.len(), 100_000);
    assert!(all.iter().all(|view| (view.1 == 9) == view.2.is_none()));
    for name in &Name::ALL[..4] {
        // Hypergeometric, so the deviation is below the binomial one.
        assert_near(count(&all, Some(*name)), 22_500.0, 130.0);
    }
    // Without deletion and swaps there are only 2 times 3 candidates.
    let all = run(Eda {
        p_rd: 0.0,
        alpha_rs: 0.0,
        ..Eda::default()
    });
    assert_eq!(all.len(), 70_000);
    assert_eq!(count(&all, Some(Name::RandomInsertion)), 30_000.0);
    assert_eq!(count(&all, Some(Name::RandomSwap)), 0.0);
    // Fewer than one view: each of 4 candidates stays with probability 0.5 / 4.
    let all = run(Eda {
        views: 0.5,
        ..Eda::default()
    });
    assert_eq!(count(&all, None), 10_000.0);
    assert_near(
        all.len() as f64 - 10_000.0,
        5_000.0,
        (40_000.0f64 * 0.125 * 0.875).sqrt(),
    );
}
