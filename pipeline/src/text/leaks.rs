//! The leak gate: which training texts are, hold or are cut out of a text that evaluates the model.
//!
//! Two texts are compared by what [`fold`] leaves of them, and by their n-grams: the distinct runs of
//! `ngram` characters. A training text is a leak if, for one evaluation text,
//!
//! - it equals it, or holds all of it ([`Kind::Exact`]);
//! - at least `share` of the evaluation text's n-grams stand in it, or at least `share` of its own
//!   n-grams stand in the evaluation text ([`Kind::Near`]). The second direction catches the single
//!   sentences of an evaluation document.
//!
//! A text shorter than `ngram`, on either side, has no n-gram: such texts match only if they are equal.
//!
//! ```text
//! text ─▶ fold ─▶ hash of each n-gram ─▶ Bloom filter ─▶ sorted hashes ─▶ one count for each text
//!                                         almost all stop here     (rare)          (rarer)
//! ```
//! Texts are compared by 64-bit hashes and are not kept: a gate takes 14 to 20 bytes for each distinct
//! n-gram of each evaluation text, and a false match is less likely than a broken disk.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::text::fold::{Found, Index, fold, hash, hash_runs, small};

/// What counts as a leak of an evaluation text into the training texts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeakOptions {
    /// Characters of an n-gram, punctuation and white space not counted.
    ///
    /// 10 characters are about six words. Fewer, and stock phrases match; more, and one changed
    /// character in the middle of a sentence of 20 hides a copy.
    pub ngram: usize,
    /// Share of the n-grams of either text that must stand in the other, above 0 and at most 1.
    ///
    /// Half, because long names (`全国人民代表大会常务委员会` has 13 characters) stand in many
    /// sentences that have nothing else in common, and because one changed character in a sentence
    /// of 30 already changes 10 of its 21 n-grams.
    pub share: f32,
    /// Evaluation texts with fewer characters are ignored, and counted.
    ///
    /// `谢谢` and `为什么` stand in every corpus: to drop them protects nothing.
    pub short_chars_min: usize,
}

impl Default for LeakOptions {
    fn default() -> Self {
        Self {
            ngram: 10,
            share: 0.5,
            short_chars_min: 4,
        }
    }
}

impl LeakOptions {
    /// Why these options make no gate, with the accepted values; `None` if they do.
    pub fn problem(&self) -> Option<String> {
        if self.ngram == 0 {
            return Some("ngram = 0: expected 1 or more characters".to_owned());
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            let share = self.share;
            return Some(format!(
                "share = {share}: expected a number above 0 and at most 1"
            ));
        }
        None
    }

    /// Whether `common` of `total` n-grams are enough.
    fn is_near(&self, common: usize, total: usize) -> bool {
        share(common, total) >= self.share
    }
}

/// How close a training text is to an evaluation text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It equals the evaluation text, or holds all of it.
    Exact,
    /// The two have enough n-grams in common.
    Near,
}

/// What the gate found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leak<'a> {
    /// How close the texts are.
    pub kind: Kind,
    /// The set that the evaluation text belongs to.
    pub set: &'a str,
    /// Share of n-grams in common, the larger of the two directions; 1 if exact.
    pub share: f32,
}

/// Memory that [`LeakGate::check`] uses again from text to text, one for each thread.
#[derive(Debug, Default)]
pub struct LeakScratch {
    folded: Vec<u32>,
    /// The n-grams found.
    found: Vec<Found>,
    /// The distinct n-grams of the training text.
    grams: Vec<u64>,
    /// N-grams in common with each evaluation text; all 0 between two calls.
    counts: Vec<u32>,
    /// Texts whose count is not 0.
    touched: Vec<u32>,
}

/// Takes evaluation texts and makes a [`LeakGate`] of them.
#[derive(Debug, Default)]
pub struct LeakGateBuilder {
    options: LeakOptions,
    sets: Vec<Box<str>>,
    texts: Vec<Text>,
    /// Each n-gram of each text, with the text's order.
    grams: Vec<(u64, u32)>,
    seen: HashSet<u64>,
    short: usize,
    repeated: usize,
    folded: Vec<u32>,
    of_text: Vec<u64>,
}

/// The evaluation texts, in the form that training texts are checked against.
#[derive(Debug)]
pub struct LeakGate {
    options: LeakOptions,
    sets: Vec<Box<str>>,
    /// Sorted by their number of n-grams, so that the texts that a few common n-grams can make a leak
    /// of come first.
    texts: Vec<Text>,
    grams: Index,
    /// Texts without n-grams, by the hash of all of the text.
    wholes: Index,
    short: usize,
    repeated: usize,
}

/// An evaluation text.
#[derive(Clone, Copy, Debug)]
struct Text {
    /// Hash of the folded text.
    whole: u64,
    /// Characters of the folded text.
    length: u32,
    /// Distinct n-grams.
    grams: u32,
    set: u32,
    /// How many texts were added before it: decides between equals.
    order: u32,
}

impl LeakGateBuilder {
    /// Adds an evaluation text of a set. A text that folds to one that was added before is counted and
    /// ignored: a leak of it is reported for the set of the first.
    pub fn add(&mut self, set: &str, text: &str) {
        fold(text, &mut self.folded);
        if self.folded.len() < self.options.short_chars_min.max(1) {
            self.short += 1;
            return;
        }
        let whole = hash(&self.folded);
        if !self.seen.insert(whole) {
            self.repeated += 1;
            return;
        }
        let order = small(self.texts.len());
        let grams = &mut self.of_text;
        distinct_grams(&self.folded, self.options.ngram, grams);
        self.grams.extend(grams.iter().map(|&gram| (gram, order)));
        let text = Text {
            whole,
            length: small(self.folded.len()),
            grams: small(grams.len()),
            set: self.set(set),
            order,
        };
        self.texts.push(text);
    }

    /// The gate. The order in which texts were added decides only which of several equally close texts
    /// is reported.
    pub fn build(self) -> LeakGate {
        let (mut texts, mut grams) = (self.texts, self.grams);
        texts.shrink_to_fit();
        texts.sort_unstable_by_key(|text| (text.grams, text.order));
        let mut places = vec![0; texts.len()];
        for (place, text) in texts.iter().enumerate() {
            places[text.order as usize] = small(place);
        }
        for (_, text) in &mut grams {
            *text = places[*text as usize];
        }
        let placed = texts.iter().zip(0..);
        let without_grams = placed.take_while(|(text, _)| text.grams == 0);
        let wholes = without_grams.map(|(text, place)| (text.whole, place));
        LeakGate {
            wholes: Index::new(wholes.collect()),
            grams: Index::new(grams),
            options: self.options,
            sets: self.sets,
            texts,
            short: self.short,
            repeated: self.repeated,
        }
    }

    fn set(&mut self, name: &str) -> u32 {
        // The texts of a set come together: the last one is the likeliest.
        let known = self.sets.iter().rposition(|set| **set == *name);
        small(known.unwrap_or_else(|| {
            self.sets.push(name.into());
            self.sets.len() - 1
        }))
    }
}

impl LeakGate {
    /// A builder without texts. See [`LeakOptions::problem`] for the options that make sense.
    pub fn builder(options: LeakOptions) -> LeakGateBuilder {
        LeakGateBuilder {
            options,
            ..LeakGateBuilder::default()
        }
    }

    /// Whether a training text leaks an evaluation text, and which.
    ///
    /// An exact leak comes before a near one, a larger share before a smaller one, then the text that
    /// was added first. The answer is a pure function of the texts; `scratch` is memory.
    pub fn check(&self, text: &str, scratch: &mut LeakScratch) -> Option<Leak<'_>> {
        fold(text, &mut scratch.folded);
        if scratch.folded.len() < self.options.ngram {
            return self.check_short(&scratch.folded);
        }
        scratch.found.clear();
        hash_runs(&scratch.folded, self.options.ngram, |gram| {
            if self.grams.may_hold(gram) {
                scratch.found.extend(self.grams.find(gram));
            }
        });
        if scratch.found.is_empty() {
            return None;
        }
        self.check_found(scratch)
    }

    /// Evaluation texts that training texts are compared with.
    pub fn texts(&self) -> usize {
        self.texts.len()
    }

    /// Evaluation texts that were ignored because they have fewer than `short_chars_min` characters.
    pub fn short(&self) -> usize {
        self.short
    }

    /// Evaluation texts that were ignored because they fold to an earlier one.
    pub fn repeated(&self) -> usize {
        self.repeated
    }

    /// Memory that the gate takes, in bytes.
    pub fn bytes(&self) -> usize {
        let names: usize = self.sets.iter().map(|set| set.len()).sum();
        let texts = size_of_val(&*self.texts) + size_of_val(&*self.sets) + names;
        size_of::<Self>() + texts + self.grams.bytes() + self.wholes.bytes()
    }

    fn check_short(&self, folded: &[u32]) -> Option<Leak<'_>> {
        let whole = hash(folded);
        if folded.is_empty() || !self.wholes.may_hold(whole) {
            return None;
        }
        let texts = self.wholes.texts(self.wholes.find(whole)?);
        Some(self.leak(Kind::Exact, texts[0] as usize, 1.0))
    }

    /// The rest of [`LeakGate::check`], for a text that has n-grams in common with evaluation texts.
    #[cold]
    fn check_found(&self, scratch: &mut LeakScratch) -> Option<Leak<'_>> {
        scratch.found.sort_unstable();
        scratch.found.dedup();
        distinct_grams(&scratch.folded, self.options.ngram, &mut scratch.grams);
        self.count(scratch);
        let leak = self.exact(scratch).or_else(|| self.near(scratch));
        for &text in &scratch.touched {
            scratch.counts[text as usize] = 0;
        }
        leak
    }

    /// Counts the n-grams in common with each evaluation text that they can make a leak of.
    ///
    /// N-grams of few texts come first. A text that has none of them is not counted when those that are
    /// left are too few for it: without this, a phrase that stands in all evaluation texts would cost a
    /// pass over all of them for each training text that holds it.
    fn count(&self, scratch: &mut LeakScratch) {
        let (counts, touched) = (&mut scratch.counts, &mut scratch.touched);
        counts.resize(counts.len().max(self.texts.len()), 0);
        touched.clear();
        for (done, &found) in scratch.found.iter().enumerate() {
            let reach = self.reach(scratch.found.len() - done, scratch.grams.len());
            let texts = self.grams.texts(found);
            let (within, beyond) = texts.split_at(texts.partition_point(|&text| text < reach));
            // Texts that are too large to be met for the first time, but may have been met before.
            if beyond.len() / 16 > touched.len() {
                for &text in touched
                    .iter()
                    .filter(|text| beyond.binary_search(text).is_ok())
                {
                    counts[text as usize] += 1;
                }
            } else {
                for &text in beyond {
                    counts[text as usize] += u32::from(counts[text as usize] > 0);
                }
            }
            for &text in within {
                if counts[text as usize] == 0 {
                    touched.push(text);
                }
                counts[text as usize] += 1;
            }
        }
        // In the order of adding, whatever the order of the n-grams.
        touched.sort_unstable_by_key(|&text| self.texts[text as usize].order);
    }

    /// How many evaluation texts, from the smallest on, `common` n-grams can make a leak of a training
    /// text of `own` n-grams.
    fn reach(&self, common: usize, own: usize) -> u32 {
        if self.options.is_near(common, own) {
            return small(self.texts.len());
        }
        small(self.texts.partition_point(|text| {
            let grams = text.grams as usize;
            grams <= common || self.options.is_near(common, grams)
        }))
    }

    /// The first evaluation text that stands in the training text as a whole.
    fn exact(&self, scratch: &LeakScratch) -> Option<Leak<'_>> {
        let holds = |&&place: &&u32| {
            let text = &self.texts[place as usize];
            let mut found = false;
            if scratch.counts[place as usize] == text.grams {
                hash_runs(&scratch.folded, text.length as usize, |run| {
                    found |= run == text.whole
                });
            }
            found
        };
        let place = scratch.touched.iter().find(holds)?;
        Some(self.leak(Kind::Exact, *place as usize, 1.0))
    }

    /// The evaluation text with the largest share in common, if it is large enough.
    fn near(&self, scratch: &LeakScratch) -> Option<Leak<'_>> {
        let mut best: Option<(f32, usize)> = None;
        for &place in &scratch.touched {
            let place = place as usize;
            let common = scratch.counts[place] as usize;
            let smaller = scratch.grams.len().min(self.texts[place].grams as usize);
            let share = share(common, smaller);
            if share >= self.options.share && best.is_none_or(|(largest, _)| share > largest) {
                best = Some((share, place));
            }
        }
        best.map(|(share, place)| self.leak(Kind::Near, place, share))
    }

    fn leak(&self, kind: Kind, place: usize, share: f32) -> Leak<'_> {
        let set = &self.sets[self.texts[place].set as usize];
        Leak { kind, set, share }
    }
}

fn distinct_grams(folded: &[u32], ngram: usize, grams: &mut Vec<u64>) {
    grams.clear();
    hash_runs(folded, ngram, |gram| grams.push(gram));
    grams.sort_unstable();
    grams.dedup();
}

fn share(common: usize, total: usize) -> f32 {
    (common as f64 / total as f64) as f32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    use super::{Kind, Leak, LeakGate, LeakOptions, LeakScratch};
    use crate::text::fold::fold;

    const PASSAGE: &str = "长江是亚洲第一长河，全长约六千三百公里。它发源于青藏高原，流经十一个省级行政区，\
                           最后在上海市注入东海。流域面积占全国陆地总面积的五分之一。";

    fn gate(texts: &[(&str, &str)]) -> LeakGate {
        let mut builder = LeakGate::builder(LeakOptions::default());
        for (set, text) in texts {
            builder.add(set, text);
        }
        builder.build()
    }

    fn check<'a>(gate: &'a LeakGate, text: &str) -> Option<(Kind, &'a str)> {
        let leak = gate.check(text, &mut LeakScratch::default());
        leak.map(|leak| (leak.kind, leak.set))
    }

    #[test]
    fn a_copy_is_a_leak_whatever_its_punctuation_width_and_case() {
        let gate = gate(&[("lcqmc", "怎么更换ＧＰＵ？"), ("passages", PASSAGE)]);
        assert_eq!(
            check(&gate, "「怎么 更换gpu」"),
            Some((Kind::Exact, "lcqmc"))
        );
        assert_eq!(check(&gate, "请问怎么更换GPU"), None);
        assert_eq!(
            check(&gate, &PASSAGE.replace('，', " ")),
            Some((Kind::Exact, "passages"))
        );
        let inside = format!("他说：{PASSAGE}就是这样，还有很多别的话要说，但是今天没有时间了。");
        assert_eq!(check(&gate, &inside), Some((Kind::Exact, "passages")));
    }

    #[test]
    fn a_sentence_of_an_evaluation_passage_is_a_leak() {
        let gate = gate(&[("passages", PASSAGE)]);
        let cut = "它发源于青藏高原，流经十一个省级行政区。";
        assert_eq!(check(&gate, cut), Some((Kind::Near, "passages")));
        assert_eq!(
            check(
                &gate,
                "黄河发源于青藏高原，它流经九个省级行政区，注入渤海。"
            ),
            None
        );
        assert_eq!(check(&gate, ""), None);
    }

    #[test]
    fn the_share_is_the_larger_of_the_two_directions() {
        // 20 characters, of which 15 stand in the text: 6 of 11 n-grams; 6 of 16 in the other way.
        let gate = gate(&[("set", "零一二三四五六七八九甲乙丙丁戊己庚辛壬癸")]);
        let text = "零一二三四五六七八九甲乙丙丁戊春夏秋冬东南西北前后";
        let leak = gate.check(text, &mut LeakScratch::default());
        let share = 6.0 / 11.0;
        assert_eq!(
            leak,
            Some(Leak {
                kind: Kind::Near,
                set: "set",
                share
            })
        );
        // 14 characters in common: 5 of 11.
        assert_eq!(check(&gate, &text.replace('戊', "年")), None);
    }

    #[test]
    fn short_and_repeated_texts_are_counted() {
        let texts = [
            ("one", "谢谢！"),
            ("one", "今天天气"),
            ("two", "今天，天气。"),
            ("two", "……"),
        ];
        let gate = gate(&texts);
        assert_eq!((gate.texts(), gate.short(), gate.repeated()), (1, 2, 1));
        assert_eq!(check(&gate, "谢谢"), None);
        assert_eq!(check(&gate, "今天天气"), Some((Kind::Exact, "one")));
    }

    #[test]
    fn all_n_grams_in_another_order_are_not_exact() {
        // Each n-gram of the evaluation text stands in the training text; the text itself does not.
        let gate = gate(&[("set", "零一二三四五六七八九甲")]);
        let text = "一二三四五六七八九甲，零一二三四五六七八九";
        assert_eq!(check(&gate, text), Some((Kind::Near, "set")));
    }

    #[test]
    fn an_empty_gate_lets_everything_pass() {
        let gate = gate(&[]);
        assert_eq!(check(&gate, PASSAGE), None);
        assert_eq!(check(&gate, "短"), None);
        assert_eq!(gate.texts(), 0);
    }

    #[test]
    fn memory_is_proportional_to_the_evaluation_texts() {
        let mut builder = LeakGate::builder(LeakOptions::default());
        let grams = 2_000 * 31;
        for text in 0..2_000u32 {
            let codes = (0..40).map(|place| 0x4E00 + (text * 7919 + place * 104_729) % 20_000);
            builder.add("set", &codes.filter_map(char::from_u32).collect::<String>());
        }
        let gate = builder.build();
        assert!(
            (14 * grams..20 * grams).contains(&gate.bytes()),
            "{}",
            gate.bytes()
        );
    }

    #[test]
    fn options_are_strict_and_complete() {
        let options: LeakOptions = toml::from_str("share = 0.8").expect("defaults fill the rest");
        assert_eq!(
            options,
            LeakOptions {
                share: 0.8,
                ..LeakOptions::default()
            }
        );
        assert!(toml::from_str::<LeakOptions>("shares = 0.8").is_err());
        assert_eq!(options.problem(), None);
        for share in [0.0, -1.0, 1.1, f32::NAN] {
            assert!(
                LeakOptions {
                    share,
                    ..LeakOptions::default()
                }
                .problem()
                .is_some()
            );
        }
        assert!(
            LeakOptions {
                ngram: 0,
                ..LeakOptions::default()
            }
            .problem()
            .is_some()
        );
    }

    /// The definition, by sets of n-grams.
    fn oracle(options: &LeakOptions, texts: &[String], text: &str) -> Option<(Kind, String, f32)> {
        let fold_of = |text: &str| {
            let mut codes = Vec::new();
            fold(text, &mut codes);
            codes
        };
        let grams_of = |codes: &[u32]| -> BTreeSet<Vec<u32>> {
            codes.windows(options.ngram).map(<[u32]>::to_vec).collect()
        };
        let training = fold_of(text);
        let mut near: Option<(Kind, String, f32)> = None;
        for (set, text) in texts.iter().enumerate() {
            let evaluation = fold_of(text);
            if evaluation.len() < options.short_chars_min.max(1) {
                continue;
            }
            let long = evaluation.len() >= options.ngram;
            let inside = training
                .windows(evaluation.len())
                .any(|run| run == evaluation);
            if training == evaluation || (long && inside) {
                return Some((Kind::Exact, set.to_string(), 1.0));
            }
            let (ours, theirs) = (grams_of(&training), grams_of(&evaluation));
            let common = ours.intersection(&theirs).count() as f32;
            let share = (common / theirs.len() as f32).max(common / ours.len() as f32);
            let better = near.as_ref().is_none_or(|(_, _, largest)| share > *largest);
            if share >= options.share && better {
                near = Some((Kind::Near, set.to_string(), share));
            }
        }
        near
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn agrees_with_the_definition(
            texts in vec("[abＡ，]{0,14}", 0..12),
            training in vec("[abＢ 。]{0,20}", 1..8),
            ngram in 1usize..6,
            share in proptest::sample::select(vec![0.2f32, 0.5, 0.6, 0.8, 1.0]),
            short_chars_min in 0usize..6,
        ) {
            let options = LeakOptions { ngram, share, short_chars_min };
            let mut builder = LeakGate::builder(options.clone());
            for (set, text) in texts.iter().enumerate() {
                builder.add(&set.to_string(), text);
            }
            let gate = builder.build();
            let mut scratch = LeakScratch::default();
            for text in &training {
                let leak = gate.check(text, &mut scratch);
                let found = leak.map(|leak| (leak.kind, leak.set.to_owned(), leak.share));
                prop_assert_eq!(found, oracle(&options, &texts, text), "{}", text);
            }
        }
    }
}
