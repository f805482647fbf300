//! Telling words: those that stand in one group of texts more often than in the others.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// How often each word stands in a group.
pub type Counts = HashMap<Box<str>, u32>;

/// Tokens that the prior is worth: words of few tokens cannot win by chance.
const PRIOR: f64 = 500.0;

/// Least count of a word in its group, where the group has more than a few tokens.
const COUNT_MIN: u32 = 2;

/// Least score of a telling word, so that chance tells nothing.
const SCORE_MIN: f64 = 0.5;

/// The words that say something: neither stop words nor punctuation, numbers or single letters.
pub struct Wanted {
    stop_words: HashSet<&'static str>,
}

impl Wanted {
    /// `stop_words` is a list, one word a line, with comments after `#`.
    pub fn new(stop_words: &'static str) -> Wanted {
        let lines = stop_words.lines().map(str::trim);
        Wanted {
            stop_words: lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .collect(),
        }
    }

    /// Whether a word can name a group.
    pub fn fits(&self, word: &str) -> bool {
        let mut letters = word.chars();
        let single = letters
            .next()
            .is_none_or(|first| first.is_ascii() && letters.next().is_none());
        if single || !word.chars().any(char::is_alphabetic) || self.stop_words.contains(word) {
            return false;
        }
        let lower = word.chars().any(|letter| letter.is_ascii_uppercase());
        !(lower && self.stop_words.contains(word.to_ascii_lowercase().as_str()))
    }
}

/// The most telling words of each group, best first: by the log odds of the word here against all
/// other groups, with a Dirichlet prior after its share of all words, over their standard deviation
/// (Monroe, Colaresi, Quinn 2008, section 3.4).
pub fn telling(groups: &[Counts], most: usize) -> Vec<Vec<String>> {
    let mut all: HashMap<&str, f64> = HashMap::new();
    for group in groups {
        for (word, &count) in group {
            *all.entry(word).or_default() += f64::from(count);
        }
    }
    let totals: Vec<f64> = groups
        .iter()
        .map(|group| group.values().map(|&count| f64::from(count)).sum())
        .collect();
    let tokens: f64 = totals.iter().sum();
    let words = |(group, &total): (&Counts, &f64)| {
        let least = if total < 50.0 { 1 } else { COUNT_MIN };
        let frequent = group.iter().filter(|(_, count)| **count >= least);
        let mut scored: Vec<(f64, &str)> = frequent
            .map(|(word, &count)| {
                let score = score(f64::from(count), total, all[&**word], tokens);
                // One character alone has many meanings, and says less than a longer word.
                let single = word.chars().nth(1).is_none();
                (if single { score / 2.0 } else { score }, &**word)
            })
            .filter(|(score, _)| *score > SCORE_MIN)
            .collect();
        let order = |a: &(f64, &str), b: &(f64, &str)| -> Ordering {
            b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1))
        };
        scored.sort_unstable_by(order);
        scored.truncate(most);
        scored.iter().map(|(_, word)| word.to_string()).collect()
    };
    groups.iter().zip(&totals).map(words).collect()
}

/// The z-score of a word: `count` of `total` tokens here, `everywhere` of `tokens` in all groups.
fn score(count: f64, total: f64, everywhere: f64, tokens: f64) -> f64 {
    let prior = PRIOR * everywhere / tokens;
    let odds = |count: f64, total: f64| {
        let rest = total + PRIOR - count - prior;
        ((count + prior) / rest.max(f64::MIN_POSITIVE)).ln()
    };
    let others = everywhere - count;
    let difference = odds(count, total) - odds(others, tokens - total);
    difference / (1.0 / (count + prior) + 1.0 / (others + prior)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Wanted, telling};

    fn counts(words: &[(&str, u32)]) -> Counts {
        let words = words.iter().map(|(word, count)| ((*word).into(), *count));
        words.collect()
    }

    #[test]
    fn words_that_tell() {
        let groups = [
            counts(&[("保险", 80), ("理赔", 40), ("今天", 60), ("猫", 1)]),
            counts(&[("猫", 90), ("狗", 30), ("今天", 60), ("保险", 2)]),
            Counts::new(),
        ];
        let found = telling(&groups, 2);
        assert_eq!(found, [vec!["保险", "理赔"], vec!["猫", "狗"], vec![]]);
        // A word that is everywhere alike tells nothing, nor does the only group's word fail.
        assert!(!telling(&groups, 9)[0].contains(&"今天".to_string()));
        let _ = telling(&groups[..1], 3);
    }

    #[test]
    fn words_that_can_name() {
        let wanted = Wanted::new("# comment\n的\nthe\n");
        for word in ["保险", "猫", "insurance", "GPU", "é"] {
            assert!(wanted.fits(word), "{word}");
        }
        for word in ["的", "the", "The", "，", "...", "x", "2016", "", "3"] {
            assert!(!wanted.fits(word), "{word}");
        }
    }
}
