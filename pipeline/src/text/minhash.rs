//! MinHash: keys that near-duplicates are likely to share, for [`crate::stages::shards::near`].
//!
//! A record is the set of its character n-grams, after [`fold`]. Each of `bands` × `rows` hash
//! functions keeps its smallest value over the set; two records agree on one of these minima with a
//! probability that is the Jaccard similarity of their sets (Broder 1997). The minima of a band are
//! hashed into one key. Two records of similarity J share a key with probability
//! 1 − (1 − J^rows)^bands, the S-curve of [`s_curve`] (Leskovec, Rajaraman, Ullman, *Mining of Massive
//! Datasets*, section 3.4).
//!
//! The loop over functions has a second form for AVX2, which runs where the processor has it; both give
//! the same keys.

use std::fmt::Write;
#[cfg(target_arch = "x86_64")]
use std::mem::transmute;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::text::fold::{fold, hash, hash_runs};

/// Which records are near-duplicates.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NearOptions {
    /// Whether near-duplicates are dropped. Off, because it needs 25 bytes of disk for each band of
    /// each record and drops texts that differ in a number or a name.
    pub enabled: bool,
    /// Characters of an n-gram, punctuation and white space not counted.
    ///
    /// 5 characters are about three words; with fewer, texts on the same subject look alike.
    pub ngram: usize,
    /// Bands: more of them find less similar records.
    ///
    /// 14 bands of 8 rows, as in datatrove: half of the pairs of similarity 0.69 are found, and 92 in
    /// 100 of those of similarity 0.8.
    pub bands: usize,
    /// Rows of a band: more of them ask for more similar records.
    pub rows: usize,
    /// Records with fewer characters are never near-duplicates; exact duplicates of any length are
    /// found without MinHash.
    ///
    /// One other character in the middle of a text of 16 changes 5 of its 12 n-grams: the similarity
    /// falls to 0.41, where 1 pair in 90 is found. What would be found among shorter texts differs at
    /// an edge, where a negation or a question mark of one character stands (`吗`, `不`).
    pub chars_min: usize,
}

impl Default for NearOptions {
    fn default() -> Self {
        Self {
            enabled: false,
            ngram: 5,
            bands: 14,
            rows: 8,
            chars_min: 16,
        }
    }
}

impl NearOptions {
    /// Why these options make no MinHash, with the accepted values; `None` if they do.
    pub fn problem(&self) -> Option<String> {
        let named = [
            ("ngram", self.ngram),
            ("bands", self.bands),
            ("rows", self.rows),
        ];
        let zero = named.iter().find(|(_, value)| *value == 0);
        if let Some((name, _)) = zero {
            return Some(format!("{name} = 0: expected 1 or more"));
        }
        let functions = self.bands.saturating_mul(self.rows);
        (functions > FUNCTIONS_MAX)
            .then(|| format!("bands × rows = {functions}: expected at most {FUNCTIONS_MAX}"))
    }
}

/// Above this, a record costs more time to hash than to read.
const FUNCTIONS_MAX: usize = 4096;

/// Hash functions that are computed together: two AVX2 registers.
const LANES: usize = 16;

/// Hash functions x ↦ (x ⊕ mask) × factor modulo 2^32, each a bijection because its factor is odd.
///
/// x is 32 bits of a hash that is already well mixed, so that the order of the products, which is all
/// that counts, is as good as random; the xor keeps two functions from being multiples of each other.
#[derive(Clone, Copy, Debug)]
struct Functions {
    masks: [u32; LANES],
    factors: [u32; LANES],
}

/// Memory that [`MinHasher::bands`] uses again from record to record, one for each thread.
#[derive(Debug, Default)]
pub struct MinHashScratch {
    folded: Vec<u32>,
    grams: Vec<u32>,
    minima: Vec<u32>,
    bytes: Vec<u8>,
}

/// Computes the band keys of records.
#[derive(Clone, Debug)]
pub struct MinHasher {
    options: NearOptions,
    seed: u64,
    functions: Vec<Functions>,
}

impl MinHasher {
    /// The hash functions of a seed. See [`NearOptions::problem`] for the options that make sense.
    pub fn new(options: &NearOptions, seed: u64) -> Self {
        let mut state = seed;
        let mut draw = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        };
        let blocks = (options.bands * options.rows).div_ceil(LANES);
        let functions = (0..blocks).map(|_| {
            let words: [u64; LANES] = std::array::from_fn(|_| draw());
            Functions {
                masks: words.map(|word| word as u32),
                factors: words.map(|word| (word >> 32) as u32 | 1),
            }
        });
        Self {
            options: options.clone(),
            seed,
            functions: functions.collect(),
        }
    }

    /// Appends to `keys` one key for each band of a record made of `texts`.
    ///
    /// No n-gram runs from one text into the next, and the same n-gram counts as another one in another
    /// text, so that a pair and its reverse are not near-duplicates. A text shorter than an n-gram
    /// counts as one n-gram. Appends nothing and returns false if the texts have fewer than
    /// `chars_min` characters together, or none.
    pub fn bands(&self, texts: &[&str], keys: &mut Vec<u64>, scratch: &mut MinHashScratch) -> bool {
        let MinHashScratch {
            folded,
            grams,
            minima,
            bytes,
        } = scratch;
        grams.clear();
        let mut characters = 0;
        for (place, text) in texts.iter().enumerate() {
            fold(text, folded);
            characters += folded.len();
            let salt = mix(place as u64);
            if (1..self.options.ngram).contains(&folded.len()) {
                grams.push(reduce(hash(folded), salt));
            }
            hash_runs(folded, self.options.ngram, |gram| {
                grams.push(reduce(gram, salt))
            });
        }
        if characters < self.options.chars_min || grams.is_empty() {
            return false;
        }
        minima.resize(self.functions.len() * LANES, 0);
        compute_minima(&self.functions, grams, minima);
        let bands = minima
            .chunks_exact(self.options.rows)
            .take(self.options.bands);
        for (band, rows) in bands.enumerate() {
            bytes.clear();
            bytes.extend(rows.iter().flat_map(|minimum| minimum.to_le_bytes()));
            keys.push(xxh3_64_with_seed(bytes, mix(self.seed ^ mix(band as u64))));
        }
        true
    }
}

/// Similarities from 0.5 to 0.95 by 0.05, each with the probability that two records of that
/// similarity share a band.
pub fn s_curve(bands: usize, rows: usize) -> Vec<(f64, f64)> {
    let shared = |jaccard: f64| 1.0 - (1.0 - jaccard.powf(rows as f64)).powf(bands as f64);
    (10..20)
        .map(|step| f64::from(step) / 20.0)
        .map(|jaccard| (jaccard, shared(jaccard)))
        .collect()
}

/// [`s_curve`] as a table for people, so that exchanged bands and rows are seen before the run.
pub fn s_curve_table(bands: usize, rows: usize) -> String {
    let mut table = format!("{bands} bands × {rows} rows\nsimilarity  found as near-duplicates\n");
    for (jaccard, probability) in s_curve(bands, rows) {
        writeln!(table, "      {jaccard:.2}  {:>6.2} %", 100.0 * probability)
            .expect("a String takes everything");
    }
    table
}

/// 32 bits of an n-gram's hash, for the text with this salt.
#[inline(always)]
fn reduce(gram: u64, salt: u64) -> u32 {
    ((gram ^ salt) >> 32) as u32
}

/// The finishing step of splitmix64.
fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// The smallest value of each function over the n-grams.
fn compute_minima(functions: &[Functions], grams: &[u32], minima: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { minima_avx2(functions, grams, minima) };
        return;
    }
    minima_plain(functions, grams, minima);
}

/// [`minima_plain`] in AVX2: by hand, because the compiler prefers to take many n-grams at once, and a
/// sentence has few.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn minima_avx2(functions: &[Functions], grams: &[u32], minima: &mut [u32]) {
    use std::arch::x86_64::{
        __m256i, _mm256_min_epu32, _mm256_mullo_epi32, _mm256_set1_epi32, _mm256_xor_si256,
    };

    // SAFETY: both types are 64 bytes without padding, and any bits are a value of either.
    let load = |lanes: [u32; LANES]| -> [__m256i; 2] { unsafe { transmute(lanes) } };
    let store = |pair: [__m256i; 2]| -> [u32; LANES] { unsafe { transmute(pair) } };
    for (block, minima) in functions.iter().zip(minima.as_chunks_mut::<LANES>().0) {
        let (masks, factors) = (load(block.masks), load(block.factors));
        let mut lowest = load([u32::MAX; LANES]);
        for &gram in grams {
            let gram = _mm256_set1_epi32(gram.cast_signed());
            for half in 0..2 {
                let mixed = _mm256_xor_si256(gram, masks[half]);
                let value = _mm256_mullo_epi32(mixed, factors[half]);
                lowest[half] = _mm256_min_epu32(lowest[half], value);
            }
        }
        *minima = store(lowest);
    }
}

fn minima_plain(functions: &[Functions], grams: &[u32], minima: &mut [u32]) {
    for (block, minima) in functions.iter().zip(minima.as_chunks_mut::<LANES>().0) {
        let mut lowest = [u32::MAX; LANES];
        for &gram in grams {
            for (lane, lowest) in lowest.iter_mut().enumerate() {
                let value = (gram ^ block.masks[lane]).wrapping_mul(block.factors[lane]);
                *lowest = value.min(*lowest);
            }
        }
        *minima = lowest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{
        Functions, LANES, MinHashScratch, MinHasher, NearOptions, compute_minima, minima_plain,
        mix, s_curve, s_curve_table,
    };

    const SENTENCE: &str = "北京是中华人民共和国的首都，也是全国的政治和文化中心。";

    fn keys(hasher: &MinHasher, texts: &[&str]) -> Vec<u64> {
        let mut keys = Vec::new();
        let long = hasher.bands(texts, &mut keys, &mut MinHashScratch::default());
        assert_eq!(long, !keys.is_empty());
        keys
    }

    fn hasher(seed: u64) -> MinHasher {
        MinHasher::new(&NearOptions::default(), seed)
    }

    fn shared(ours: &[u64], theirs: &[u64]) -> usize {
        ours.iter()
            .zip(theirs)
            .filter(|(our, their)| our == their)
            .count()
    }

    #[test]
    fn keys_depend_on_the_folded_texts_the_seed_and_nothing_else() {
        let first = keys(&hasher(1), &[SENTENCE]);
        assert_eq!(first.len(), 14);
        let mut scratch = MinHashScratch::default();
        let mut all = vec![7];
        assert!(hasher(1).bands(
            &["另一个句子，长度也超过了十六个汉字，没有问题。"],
            &mut all,
            &mut scratch
        ));
        assert!(hasher(1).bands(&[SENTENCE], &mut all, &mut scratch));
        assert_eq!((all.len(), all[0], &all[15..]), (29, 7, &first[..]));
        assert_eq!(keys(&hasher(1), &[&SENTENCE.replace('，', " ")]), first);
        assert_eq!(shared(&keys(&hasher(2), &[SENTENCE]), &first), 0);
        let distinct: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 14);
    }

    #[test]
    fn golden_keys_do_not_move() {
        let found = keys(&hasher(1), &[SENTENCE]);
        assert_eq!(found[..4], GOLDEN);
    }

    const GOLDEN: [u64; 4] = [
        12_571_144_118_134_682_114,
        18_064_963_599_561_149_467,
        8_192_999_207_214_163_227,
        2_390_868_975_948_091_544,
    ];

    #[test]
    fn short_records_have_no_keys() {
        let hasher = hasher(1);
        assert!(keys(&hasher, &["这里一共有十五个汉字对不对呀呀"]).is_empty());
        assert_eq!(
            keys(&hasher, &["这里一共有十六个汉字对不对呀呀呀"]).len(),
            14
        );
        assert_eq!(
            keys(&hasher, &["这里有八个字对吗", "这里也有八个字！呀"]).len(),
            14
        );
        assert!(keys(&hasher, &[]).is_empty());
        let all = NearOptions {
            chars_min: 0,
            ..NearOptions::default()
        };
        let hasher = MinHasher::new(&all, 1);
        assert!(keys(&hasher, &["……", ""]).is_empty());
        assert_eq!(keys(&hasher, &["短"]).len(), 14);
        assert_eq!(shared(&keys(&hasher, &["短"]), &keys(&hasher, &["长"])), 0);
    }

    #[test]
    fn columns_of_a_record_are_kept_apart() {
        let hasher = hasher(1);
        let other = "天气预报说明天下午有雷阵雨，出门请带伞，注意安全。";
        let forward = keys(&hasher, &[SENTENCE, other]);
        assert_eq!(shared(&forward, &keys(&hasher, &[other, SENTENCE])), 0);
        assert_eq!(shared(&forward, &keys(&hasher, &[SENTENCE, other])), 14);
    }

    #[test]
    fn any_number_of_rows_and_bands_gives_as_many_keys() {
        for (bands, rows) in [(1, 1), (3, 5), (16, 1), (1, 17), (20, 13)] {
            let options = NearOptions {
                bands,
                rows,
                ..NearOptions::default()
            };
            assert_eq!(keys(&MinHasher::new(&options, 3), &[SENTENCE]).len(), bands);
        }
    }

    /// Two texts of distinct characters that share `common` of the n-grams of each, in blocks that
    /// differ between trials.
    fn pair(trial: u32, common: u32, own: u32) -> (String, String) {
        let character = |n: u32| char::from_u32(0x4E00 + mix(u64::from(n)) as u32 % 20_000);
        let block = |start: u32, grams: u32| -> String {
            (start..start + grams + 4).filter_map(character).collect()
        };
        let start = trial * 10_000;
        let one = block(start, common) + &block(start + 3_000, own);
        let other = block(start, common) + &block(start + 6_000, own);
        (one, other)
    }

    #[test]
    fn pairs_collide_as_often_as_the_s_curve_says() {
        let hasher = hasher(11);
        // n-grams over the seam of the two blocks: 4 more of its own for each text.
        for (common, own) in [(80, 46), (80, 30), (80, 16), (80, 6), (20, 6)] {
            let jaccard = f64::from(common) / f64::from(common + 2 * (own + 4));
            let trials = 3_000;
            let (mut met, mut bands) = (0, 0);
            for trial in 0..trials {
                let (one, other) = pair(trial, common, own);
                let same = shared(&keys(&hasher, &[&one]), &keys(&hasher, &[&other]));
                met += usize::from(same > 0);
                bands += same;
            }
            let expected = 1.0 - (1.0 - jaccard.powi(8)).powi(14);
            let trials = f64::from(trials);
            let deviation = (expected * (1.0 - expected) / trials).sqrt();
            let rate = met as f64 / trials;
            assert!(
                (rate - expected).abs() < 4.0 * deviation + 0.004,
                "{jaccard} {rate} {expected}"
            );
            let band_rate = bands as f64 / trials / 14.0;
            assert!(
                (band_rate - jaccard.powi(8)).abs() < 0.02,
                "{jaccard} {band_rate}"
            );
        }
    }

    #[test]
    fn each_function_agrees_with_probability_jaccard() {
        let functions = hasher(5).functions;
        let mut agreed = vec![0u32; functions.len() * LANES];
        let (mut ours, mut theirs) = (agreed.clone(), agreed.clone());
        for trial in 0..4_000u64 {
            // 30 common values, 10 of each one's own: similarity 0.6.
            let grams: Vec<u32> = (0..50)
                .map(|n| (mix(trial * 64 + n) >> 32) as u32)
                .collect();
            compute_minima(&functions, &grams[..40], &mut ours);
            compute_minima(&functions, &grams[10..], &mut theirs);
            for (agreed, (our, their)) in agreed.iter_mut().zip(ours.iter().zip(&theirs)) {
                *agreed += u32::from(our == their);
            }
        }
        // 4.5 standard deviations of 0.0077.
        let rates = agreed.iter().map(|&agreed| f64::from(agreed) / 4_000.0);
        rates.for_each(|rate| assert!((rate - 0.6).abs() < 0.035, "{rate}"));
    }

    #[test]
    fn the_s_curve_is_that_of_the_formula() {
        let curve = s_curve(14, 8);
        assert_eq!(curve.len(), 10);
        assert_eq!((curve[0].0, curve[9].0), (0.5, 0.95));
        assert!((curve[6].1 - 0.9236).abs() < 0.001, "{}", curve[6].1);
        let table = s_curve_table(14, 8);
        assert_eq!(table.lines().count(), 12);
        assert!(table.starts_with("14 bands × 8 rows\n"), "{table}");
        assert!(table.contains("0.80   92.35 %"), "{table}");
    }

    #[test]
    fn options_are_strict_and_complete() {
        let options: NearOptions =
            toml::from_str("enabled = true").expect("defaults fill the rest");
        assert_eq!(
            options,
            NearOptions {
                enabled: true,
                ..NearOptions::default()
            }
        );
        assert!(toml::from_str::<NearOptions>("band = 3").is_err());
        assert_eq!(options.problem(), None);
        assert!(
            NearOptions {
                rows: 0,
                ..options.clone()
            }
            .problem()
            .is_some()
        );
        assert!(
            NearOptions {
                bands: usize::MAX,
                ..options
            }
            .problem()
            .is_some()
        );
    }

    proptest! {
        #[test]
        fn the_form_for_avx2_equals_the_plain_one(
            grams in vec(any::<u32>(), 0..40),
            words in vec(any::<[u32; 2 * LANES]>(), 0..4),
        ) {
            let functions: Vec<Functions> = words
                .iter()
                .map(|words| Functions {
                    masks: *words.first_chunk().expect("two halves"),
                    factors: words.last_chunk::<LANES>().expect("two halves").map(|word| word | 1),
                })
                .collect();
            let mut plain = vec![0; functions.len() * LANES];
            let mut detected = plain.clone();
            minima_plain(&functions, &grams, &mut plain);
            compute_minima(&functions, &grams, &mut detected);
            prop_assert_eq!(&plain, &detected);
            for (index, minimum) in plain.iter().enumerate() {
                let (block, lane) = (&functions[index / LANES], index % LANES);
                let values = grams.iter().map(|gram| (gram ^ block.masks[lane]).wrapping_mul(block.factors[lane]));
                prop_assert!(values.min().unwrap_or(u32::MAX) == *minimum);
            }
        }
    }
}
