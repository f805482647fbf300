//! What must hold of every sampler, on made-up windows, the nastier the better.

use std::collections::{BTreeSet, HashMap};

use juzi_schemas::dropped::Reason;
use juzi_schemas::random::Draws;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;

use super::{
    Composed, Memory, NO_TOPIC, Policy, Repeated, Rows, SameGroup, SamplerOptions, Window,
};

/// A window that owns what it refers to.
#[derive(Debug)]
struct Made {
    rows: Rows,
    entries: Vec<u32>,
    shares: Vec<u64>,
}

impl Made {
    /// Rows of (corpus, topic, group, texts), all once, in order.
    fn new(list: impl IntoIterator<Item = (u16, u32, u64, Vec<u64>)>) -> Made {
        let (mut rows, mut shares) = (Rows::default(), Vec::new());
        for (corpus, topic, group, texts) in list {
            rows.push(corpus, topic, group, &texts, [&[], &[]]);
            shares.resize(shares.len().max(usize::from(corpus) + 1), 0);
            shares[usize::from(corpus)] += 1;
        }
        let entries = (0..rows.len() as u32).collect();
        Made {
            rows,
            entries,
            shares,
        }
    }

    /// Rows whose texts all differ.
    fn plain(list: impl IntoIterator<Item = (u16, u32)>) -> Made {
        let texts = |at: usize| vec![2 * at as u64 + 1, 2 * at as u64 + 2];
        Made::new(
            list.into_iter()
                .enumerate()
                .map(|(at, (corpus, topic))| (corpus, topic, 0, texts(at))),
        )
    }

    fn window(&self, size: usize, policy: Policy) -> Window<'_> {
        Window {
            rows: &self.rows,
            entries: &self.entries,
            size,
            policy,
            shares: &self.shares,
            tour: &[],
            draws: Draws::new(1, 2, 3, 4, 5),
            last: true,
            incomplete: false,
        }
    }

    fn compose(&self, options: &SamplerOptions, size: usize) -> Composed {
        let mut window = self.window(size, Policy::default());
        options
            .sampler()
            .compose(&mut window, &mut Memory::default())
    }

    fn corpora(&self, batch: &[u32]) -> Vec<u16> {
        let row = |entry: &u32| self.entries[*entry as usize] as usize;
        batch
            .iter()
            .map(|entry| self.rows.corpora[row(entry)])
            .collect()
    }

    fn distinct(&self, batch: &[u32]) -> usize {
        self.corpora(batch).iter().collect::<BTreeSet<_>>().len()
    }

    fn topics(&self, batch: &[u32]) -> Vec<u32> {
        let row = |entry: &u32| self.entries[*entry as usize] as usize;
        batch
            .iter()
            .map(|entry| self.rows.topics[row(entry)])
            .collect()
    }
}

fn options(text: &str) -> SamplerOptions {
    toml::from_str(text).unwrap()
}

/// Every sampler, in its settings.
fn all() -> Vec<SamplerOptions> {
    [
        "name = \"shuffled\"",
        "name = \"corpus\"",
        "name = \"proportional\"",
        "name = \"round_robin\"",
        "name = \"round_robin\"\nstop = \"all\"",
        "name = \"halves\"",
        "name = \"halves\"\ndistinct = false",
        "name = \"topic\"",
        "name = \"topic\"\ncorpora_min = 1\nelsewhere = 0.3",
        "name = \"topic\"\ncorpora_min = 3\nelsewhere = 1.0",
    ]
    .map(options)
    .to_vec()
}

/// Whether two rows may share a batch, by the rules as they are written.
fn may_share(rows: &Rows, a: u32, b: u32, policy: Policy) -> bool {
    let (one, two) = (rows.texts(a), rows.texts(b));
    let groups = (rows.groups[a as usize], rows.groups[b as usize]);
    if policy.same_group == SameGroup::Apart && groups.0 != 0 && groups.0 == groups.1 {
        return false;
    }
    match policy.repeated {
        Repeated::Off => true,
        Repeated::Mask => policy.same_group != SameGroup::Apart || one[0] != two[0],
        Repeated::Apart => {
            let anchors = policy.same_group == SameGroup::Mask || one[0] != two[0];
            let clash = |x: &[u64], y: &[u64]| {
                x[1..].contains(&y[0]) || x[1..].iter().any(|text| y.get(1) == Some(text))
            };
            anchors && !clash(one, two) && !clash(two, one)
        }
    }
}

fn check(
    made: &Made,
    window: &Window<'_>,
    composed: &Composed,
    options: &SamplerOptions,
) -> Result<(), TestCaseError> {
    let mut seen = composed.entries.clone();
    seen.extend(composed.left.iter().map(|(entry, _)| *entry));
    seen.sort_unstable();
    let expected: Vec<u32> = (0..made.entries.len() as u32).collect();
    prop_assert_eq!(seen, expected, "every entry is placed or left, once");
    let mut incomplete = 0;
    for number in 0..composed.len() {
        let batch = composed.batch(number);
        incomplete += usize::from(batch.len() != window.size);
        prop_assert!(batch.len() <= window.size && !batch.is_empty());
        prop_assert!(batch.len() == window.size || window.incomplete);
        for (at, a) in batch.iter().enumerate() {
            for b in &batch[..at] {
                let (a, b) = (made.entries[*a as usize], made.entries[*b as usize]);
                prop_assert!(may_share(&made.rows, a, b, window.policy), "{} {}", a, b);
            }
        }
        match options {
            SamplerOptions::Corpus(_) | SamplerOptions::RoundRobin(_) => {
                prop_assert_eq!(made.distinct(batch), 1);
            }
            SamplerOptions::Topic(topic) => {
                prop_assert!(made.distinct(batch) >= topic.corpora_min);
            }
            SamplerOptions::Halves(halves) => {
                let part = window.size / halves.parts;
                let parts: Vec<Vec<u16>> =
                    batch.chunks(part).map(|part| made.corpora(part)).collect();
                prop_assert!(
                    parts
                        .iter()
                        .all(|part| part.iter().all(|one| *one == part[0]))
                );
                prop_assert!(!halves.distinct || made.distinct(batch) == halves.parts);
            }
            _ => {}
        }
    }
    prop_assert!(incomplete <= made.shares.len());
    Ok(())
}

/// Windows with few texts, groups, topics and corpora, so that everything conflicts.
fn nasty() -> impl Strategy<Value = Made> {
    (1u64..60, 1u16..5, 1u32..6).prop_flat_map(|(texts, corpora, topics)| {
        let row = (
            0..corpora,
            0..topics,
            0u64..6,
            proptest::collection::vec(1..=texts, 2..5),
        );
        proptest::collection::vec(row, 0..120).prop_map(move |mut list| {
            for (_, topic, group, _) in &mut list {
                *group = if *group > 2 { 0 } else { *group };
                *topic = if *topic == 5 { NO_TOPIC } else { *topic };
            }
            let mut made = Made::new(list);
            // Some rows are shown twice.
            let again: Vec<u32> = made
                .entries
                .iter()
                .copied()
                .filter(|row| row % 7 == 0)
                .collect();
            made.entries.extend(again);
            made
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_sampler_keeps_the_rules(
        made in nasty(),
        size in proptest::sample::select(vec![2usize, 4, 6, 16]),
        mode in 0usize..9,
        (last, incomplete) in (proptest::bool::ANY, proptest::bool::ANY),
    ) {
        let policy = Policy {
            same_group: [SameGroup::Apart, SameGroup::Mask, SameGroup::Off][mode % 3],
            repeated: [Repeated::Apart, Repeated::Mask, Repeated::Off][mode / 3],
        };
        for options in all() {
            if options.sampler().problem(size).is_some() {
                continue;
            }
            let mut window = made.window(size, policy);
            (window.last, window.incomplete) = (last, incomplete && last);
            let composed = options.sampler().compose(&mut window, &mut Memory::default());
            check(&made, &window, &composed, &options)?;
            let mut again = made.window(size, policy);
            (again.last, again.incomplete) = (last, incomplete && last);
            let second = options.sampler().compose(&mut again, &mut Memory::default());
            prop_assert_eq!(composed.entries, second.entries);
        }
    }
}

#[test]
fn whatever_fits_is_placed() {
    // 1,000 plain rows of four corpora and five topics: only tails may be left.
    let made = Made::plain((0..1000).map(|at| (at % 4, u32::from(at) / 200)));
    for (options, placed) in all().iter().zip([
        1000 / 16 * 16,
        4 * (250 / 16 * 16),
        1000 / 16 * 16,
        4 * (250 / 16 * 16),
        4 * (250 / 16 * 16),
        4 * (250 / 8 * 8) - 16,
        4 * (250 / 8 * 8) - 16,
        1000 / 16 * 16,
        1000 / 16 * 16,
        // Rows drawn at random leave the rarest corpus for the last batches, or not.
        950,
    ]) {
        let composed = made.compose(options, 16);
        assert!(
            composed.entries.len() >= placed,
            "{options:?} {}",
            composed.entries.len()
        );
        assert!(
            composed.left.iter().all(|(_, reason)| matches!(
                reason,
                Reason::IncompleteBatch | Reason::NoSecondCorpus
            ))
        );
    }
}

#[test]
fn one_positive_in_a_hundred_thousand_rows() {
    let mut list: Vec<(u16, u32, u64, Vec<u64>)> = (0..100_000u64)
        .map(|at| ((at % 3) as u16, (at % 50) as u32, 0, vec![at + 10, 1]))
        .collect();
    let others = (0..100_000u64).map(|at| {
        let texts = vec![2 * at + 1_000_000, 2 * at + 1_000_001];
        ((at % 3) as u16, (at % 50) as u32, 0, texts)
    });
    list.extend(others);
    let made = Made::new(list);
    for options in all() {
        // Quadratic work would take hours here.
        let composed = made.compose(&options, 64);
        assert!(composed.len() >= 100, "{options:?} {}", composed.len());
        for number in 0..composed.len() {
            let batch = composed.batch(number);
            let same = batch.iter().filter(|&&entry| entry < 100_000).count();
            assert!(same <= 1);
        }
    }
}

#[test]
fn hopeless_windows_end() {
    let n = 5_000;
    let windows = [
        (
            "all one text",
            Made::new((0..n).map(|at| (at as u16 % 3, at % 7, 0, vec![1, 2]))),
        ),
        (
            "all one group",
            Made::new((0..n).map(|at| {
                let at = u64::from(at);
                (
                    (at % 3) as u16,
                    (at % 7) as u32,
                    9,
                    vec![2 * at + 1, 2 * at + 2],
                )
            })),
        ),
        ("no row", Made::plain([])),
        ("one row", Made::plain([(0, 0)])),
        ("one corpus", Made::plain((0..n).map(|at| (0, at % 7)))),
        (
            "topics of one row",
            Made::plain((0..n).map(|at| (at as u16 % 3, at))),
        ),
        (
            "a tiny corpus",
            Made::plain((0..n).map(|at| (u16::from(at == 77), 0))),
        ),
    ];
    for (name, made) in windows {
        for options in all() {
            let composed = made.compose(&options, 32);
            check(
                &made,
                &made.window(32, Policy::default()),
                &composed,
                &options,
            )
            .unwrap_or_else(|error| panic!("{name} {options:?}: {error}"));
            let reasons: BTreeSet<Reason> = composed.left.iter().map(|(_, why)| *why).collect();
            match name {
                "all one text" => assert!(reasons.contains(&Reason::RepeatedText), "{reasons:?}"),
                "all one group" => assert!(reasons.contains(&Reason::SameGroup), "{reasons:?}"),
                _ => assert!(!reasons.contains(&Reason::RepeatedText)),
            }
        }
    }
}

#[test]
fn proportional_batches_hold_exact_shares() {
    let made = Made::plain((0..3000).map(|at| ([0, 0, 0, 1, 1, 2][at % 6], 0)));
    let composed = made.compose(&options("name = \"proportional\""), 12);
    assert_eq!(composed.len(), 250);
    for number in 0..composed.len() {
        let mut corpora = made.corpora(composed.batch(number));
        corpora.sort_unstable();
        assert_eq!(corpora, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2]);
    }
}

#[test]
fn corpora_take_turns_until_the_first_ends() {
    let made = Made::plain((0..400).map(|at| (u16::from(at % 4 > 0), 0)));
    let turns = |text| {
        let composed = made.compose(&options(text), 10);
        let batches = (0..composed.len()).map(|at| made.corpora(composed.batch(at))[0]);
        batches.collect::<Vec<_>>()
    };
    assert_eq!(turns("name = \"round_robin\""), [0, 1].repeat(10));
    let all = turns("name = \"round_robin\"\nstop = \"all\"");
    assert_eq!(all[..20], [0, 1].repeat(10)[..]);
    assert_eq!(all[20..], [1; 20]);
    let mut quotas = [0, 70, 30];
    options("name = \"round_robin\"")
        .sampler()
        .limit(&mut quotas, 8);
    assert_eq!(quotas, [0, 30, 30]);
}

#[test]
fn halves_follow_the_law() {
    let made = Made::plain((0..8000).map(|at| ([0, 0, 0, 1, 1, 2, 2, 3][at % 8], 0)));
    let composed = made.compose(&options("name = \"halves\""), 8);
    assert!(composed.entries.len() > 7000, "{}", composed.entries.len());
    let free = made.compose(&options("name = \"halves\"\ndistinct = false"), 8);
    let single = (0..free.len()).filter(|&at| made.distinct(free.batch(at)) == 1);
    let share = single.count() as f64 / free.len() as f64;
    // Both halves fall on one corpus in 0.375² + 2 × 0.25² + 0.125² of the batches.
    assert!((share - 0.28).abs() < 0.06, "{share}");
}

#[test]
fn topics_are_pure_and_mixed() {
    // Ten topics of 960 rows, each of three corpora in shares 6 : 3 : 1.
    let list = (0..9600u32).map(|at| ([0, 0, 0, 0, 0, 0, 1, 1, 1, 2][at as usize % 10], at / 960));
    let made = Made::plain(list);
    let composed = made.compose(&options("name = \"topic\"\ncorpora_min = 3"), 30);
    assert_eq!((composed.len(), composed.left.len()), (320, 0));
    for number in 0..composed.len() {
        let batch = composed.batch(number);
        assert_eq!(made.topics(batch).iter().collect::<BTreeSet<_>>().len(), 1);
        let mut counts = HashMap::<u16, i32>::new();
        made.corpora(batch)
            .iter()
            .for_each(|one| *counts.entry(*one).or_default() += 1);
        for (corpus, wanted) in [(0, 18), (1, 9), (2, 3)] {
            assert!((counts[&corpus] - wanted).abs() <= 1, "{counts:?}");
        }
    }
}

#[test]
fn elsewhere_is_a_dial() {
    let made = Made::plain((0..10_000u32).map(|at| (at as u16 % 2, at / 1000)));
    let mut last = 1.1;
    for (share, low, high) in [
        (0.0, 1.0, 1.0),
        (0.25, 0.7, 0.8),
        (0.5, 0.45, 0.6),
        (1.0, 0.1, 0.3),
    ] {
        let text = format!("name = \"topic\"\nelsewhere = {share:.2}");
        let composed = made.compose(&options(&text), 40);
        let purity = (0..composed.len()).map(|at| {
            let mut counts = HashMap::<u32, f64>::new();
            made.topics(composed.batch(at))
                .iter()
                .for_each(|one| *counts.entry(*one).or_default() += 1.0);
            counts.values().copied().fold(0.0, f64::max) / 40.0
        });
        let mean = purity.sum::<f64>() / composed.len() as f64;
        assert!(
            (low..=high).contains(&mean) && mean < last,
            "{share}: {mean}"
        );
        last = mean;
    }
}

#[test]
fn a_topic_of_one_corpus_is_completed_by_its_neighbour() {
    // Topic 3 has corpus 0 only; 1 and 5 have both. In the tour 5 stands beside 3, and 1 far off.
    let mut list: Vec<(u16, u32)> = (0..64).map(|_| (0, 3)).collect();
    for topic in [1, 5] {
        list.extend((0..64).map(|at| (at % 2, topic)));
    }
    let made = Made::plain(list);
    let mut tour = vec![0; 6];
    (tour[1], tour[3], tour[5]) = (1, 30, 31);
    let mut window = made.window(16, Policy::default());
    window.tour = &tour;
    let options = options("name = \"topic\"");
    let composed = options
        .sampler()
        .compose(&mut window, &mut Memory::default());
    let mut completed = 0;
    for number in 0..composed.len() {
        let batch = composed.batch(number);
        assert_eq!(made.distinct(batch), 2);
        let topics = made.topics(batch);
        let threes = topics.iter().filter(|topic| **topic == 3).count();
        if threes >= 8 {
            completed += 1;
            assert_eq!(threes, 15, "{topics:?}");
        }
    }
    assert_eq!(completed, 4);
}

#[test]
fn unknown_options_are_refused() {
    for (text, word) in [
        ("name = \"random\"", "unknown variant"),
        ("name = \"shuffled\"\nsize = 3", "unknown field"),
        ("name = \"topic\"\ncorpora = 3", "unknown field"),
        ("corpora_min = 3", "missing field"),
    ] {
        let error = toml::from_str::<SamplerOptions>(text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
    for (text, size) in [
        ("name = \"halves\"\nparts = 3", 16),
        ("name = \"halves\"\nparts = 0", 16),
        ("name = \"topic\"\ncorpora_min = 0", 16),
        ("name = \"topic\"\ncorpora_min = 17", 16),
        ("name = \"topic\"\nelsewhere = 1.5", 16),
        ("name = \"topic\"\nelsewhere = nan", 16),
    ] {
        assert!(options(text).sampler().problem(size).is_some(), "{text}");
    }
}
