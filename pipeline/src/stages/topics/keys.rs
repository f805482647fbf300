//! Topics that the corpora give themselves: their keys, the rare ones in one topic.
//!
//! Memory holds every different key once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use super::records::{Records, Rows};
use crate::error::Result;
use crate::plan::TopicsOptions;

/// Name of the topic of rare keys.
pub const OTHER: &str = "(other)";

type Counts<'k> = BTreeMap<(&'k str, &'k str), u64>;

/// The topics of keys: each by its corpus, or none, and the key.
pub struct Keys {
    by_corpus: bool,
    topics: HashMap<(String, String), u32>,
    other: Option<u32>,
    /// Names by topic.
    pub names: Vec<String>,
    /// Different keys.
    pub keys: u64,
}

impl Keys {
    /// Counts the keys of all records, and numbers them, most frequent first.
    ///
    /// # Errors
    /// The shards cannot be read; an interruption.
    pub fn count(records: &Records<'_>, options: &TopicsOptions) -> Result<Keys> {
        let by_corpus = options.keys_by_corpus;
        let all = Mutex::new(HashMap::<(String, String), u64>::new());
        records.each_group("keys", |_, rows| {
            let mut own = Counts::new();
            for row in 0..rows.len() {
                if let Some(key) = rows.key(row) {
                    let corpus = if by_corpus { rows.corpus(row) } else { "" };
                    *own.entry((corpus, key.trim())).or_default() += 1;
                }
            }
            let mut all = all.lock().expect("no holder panics");
            for ((corpus, key), count) in own {
                *all.entry((corpus.into(), key.into())).or_default() += count;
            }
            Ok(())
        })?;
        let counts = all.into_inner().expect("no holder panics");
        Ok(Keys::number(counts, options))
    }

    fn number(counts: HashMap<(String, String), u64>, options: &TopicsOptions) -> Keys {
        let keys = counts.len();
        let mut sorted: Vec<((String, String), u64)> = counts.into_iter().collect();
        sorted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sorted.retain(|(_, count)| *count >= options.size_min);
        sorted.truncate(options.topics.unwrap_or(usize::MAX));
        let name = |(corpus, key): &(String, String)| match corpus.is_empty() {
            true => key.clone(),
            false => format!("{corpus}/{key}"),
        };
        let mut names: Vec<String> = sorted.iter().map(|(key, _)| name(key)).collect();
        let other = (sorted.len() < keys).then(|| {
            names.push(OTHER.into());
            sorted.len() as u32
        });
        let topics = sorted.into_iter().map(|(key, _)| key).zip(0..).collect();
        Keys {
            by_corpus: options.keys_by_corpus,
            topics,
            other,
            names,
            keys: keys as u64,
        }
    }

    /// The topic of each record of a row group.
    pub fn of(&self, rows: &Rows<'_>) -> Vec<(Option<u32>, Option<f32>)> {
        let mut last: Option<((&str, &str), Option<u32>)> = None;
        let mut topic = |row: usize| {
            let corpus = if self.by_corpus { rows.corpus(row) } else { "" };
            let place = (corpus, rows.key(row)?.trim());
            match last {
                Some((before, topic)) if before == place => topic,
                _ => {
                    let key = (place.0.to_string(), place.1.to_string());
                    let topic = self.topics.get(&key).copied().or(self.other);
                    last = Some((place, topic));
                    topic
                }
            }
        };
        (0..rows.len()).map(|row| (topic(row), None)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;
    use crate::plan::TopicsOptions;

    #[test]
    fn rare_keys_share_a_topic() {
        let key = |corpus: &str, key: &str| (corpus.to_string(), key.to_string());
        let counts = [
            (key("", "a"), 3),
            (key("", "b"), 9),
            (key("x", "c"), 5),
            (key("", "d"), 1),
        ];
        let options = |size_min, topics| TopicsOptions {
            size_min,
            topics,
            ..TopicsOptions::default()
        };
        let names = |options| Keys::number(counts.clone().into(), &options).names;
        assert_eq!(names(options(3, None)), ["b", "x/c", "a", "(other)"]);
        assert_eq!(names(options(1, None)), ["b", "x/c", "a", "d"]);
        assert_eq!(names(options(1, Some(2))), ["b", "x/c", "(other)"]);
        assert_eq!(names(options(100, None)), ["(other)"]);
    }
}
