//! Guards: which neighbour of a word is no synonym, however near its vector.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::lexicon::dictionary::{Dictionary, Entry, Relation};
use crate::lexicon::numbers::{Numbers, differ_in_number};
use crate::lexicon::opposites::Opposites;
use crate::lexicon::parts::{Classes, Parts};
use crate::text::fold::fold;
use crate::text::simplify::Simplifier;

/// `[synonyms.guards]`: which neighbours are refused.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct GuardOptions {
    /// Words of `dictionaries/stop_words.txt`, punctuation and markup (`</s>`): neither has synonyms nor is one.
    pub stop_words: bool,
    /// Numbers, quantities, ordinals and dates (三个, 第三, 2018年, 星期三), and words that differ only in their
    /// number (一中, 二中): 一九八四年 is near 一九八五年 in every vector.
    pub numbers: bool,
    /// The same word in another script, width, case or spelling: 計算機 计算机, ＧＰＵ gpu, e-mail email.
    pub scripts: bool,
    /// Pairs of `dictionaries/antonyms.txt`, negations (不好 好, 无用 有用) and opposites by one character (大型 小型).
    pub antonyms: bool,
    /// One word holds the other: 高兴 很高兴, 学校 学校里. Off by default: of what it refuses, more are synonyms
    /// (销 销售) than of what it lets pass.
    pub contains: bool,
    /// Words of different classes by jieba's tags: nouns, verbs, adverbs, names of places and of organisations, words of
    /// time, of position, of count, pronouns, function words. A word of several classes agrees with each, an unknown
    /// one with all. Words with a character in common (省悟 醒悟) agree too: the tags err often.
    pub part_of_speech: bool,
    /// Words of one kind that are no synonyms (苹果 香蕉), where a dictionary of synonyms says so.
    pub co_hyponyms: bool,
}

impl Default for GuardOptions {
    fn default() -> Self {
        GuardOptions {
            stop_words: true,
            numbers: true,
            scripts: true,
            antonyms: true,
            contains: false,
            part_of_speech: true,
            co_hyponyms: true,
        }
    }
}

/// A reason why a neighbour is no synonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// One of the two carries grammar or is no word.
    StopWord,
    /// One of the two counts or dates.
    Number,
    /// The same word, written otherwise.
    Script,
    /// The opposite.
    Antonym,
    /// One holds the other.
    Contains,
    /// Of different classes.
    PartOfSpeech,
    /// Of one kind, but not of one meaning.
    CoHyponym,
}

impl Guard {
    /// All guards, in the order in which they are asked.
    pub const ALL: [Guard; 7] = [
        Guard::StopWord,
        Guard::Number,
        Guard::Script,
        Guard::Antonym,
        Guard::Contains,
        Guard::PartOfSpeech,
        Guard::CoHyponym,
    ];

    /// The word in reports and in JSON.
    pub fn name(self) -> &'static str {
        self.describe().0
    }

    /// One sentence on what it refuses.
    pub fn explain(self) -> &'static str {
        self.describe().1
    }

    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Guard::StopWord => (
                "stop_word",
                "one of the two is a stop word, punctuation or markup",
            ),
            Guard::Number => (
                "number",
                "one of the two is a number or a date, or only a number differs",
            ),
            Guard::Script => (
                "script",
                "the same word in another script, width, case or spelling",
            ),
            Guard::Antonym => ("antonym", "the two are opposites"),
            Guard::Contains => ("contains", "one of the two holds the other"),
            Guard::PartOfSpeech => (
                "part_of_speech",
                "the two are of different classes of words",
            ),
            Guard::CoHyponym => (
                "co_hyponym",
                "the dictionary calls the two related, not synonyms",
            ),
        }
    }
}

/// What the guards must know of a word, whatever it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Letters and digits only, simplified, half width, small.
    folded: Box<str>,
    stop_word: bool,
    number: bool,
    classes: Classes,
    entry: Option<Entry>,
}

/// The guards that are switched on, with their lists. Threads can share one.
pub struct Guards {
    options: GuardOptions,
    simplifier: Simplifier,
    stop_words: HashSet<Box<str>>,
    numbers: Numbers,
    opposites: Opposites,
    /// Nothing when parts of speech do not matter: jieba's dictionary is large.
    parts: Option<Parts>,
    dictionary: Option<Arc<Dictionary>>,
}

impl Guards {
    /// Prepares the guards. `stop_words` and `antonyms` are the content of the files in `dictionaries/`, followed
    /// by the lines of a user's own file where there is one; `user_words` is jieba's user dictionary.
    ///
    /// # Errors
    /// The list and the line that cannot be read.
    pub fn new(
        options: &GuardOptions,
        stop_words: &[&str],
        antonyms: &[&str],
        dictionary: Option<Arc<Dictionary>>,
        user_words: &str,
    ) -> Result<Guards, String> {
        let simplifier = Simplifier::new()?;
        let lines = stop_words.iter().flat_map(|list| list.lines());
        let lines = lines.map(|line| line.trim_matches(['\u{feff}', ' ', '\t']));
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let stop_words = lines
            .flat_map(|line| [line.into(), folded(&simplifier, line).into()])
            .collect::<HashSet<Box<str>>>();
        let stop_words = stop_words
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let mut opposites = Opposites::default();
        for list in antonyms {
            opposites
                .add(list, |word| folded(&simplifier, word))
                .map_err(|message| format!("antonyms: {message}"))?;
        }
        let parts = match options.part_of_speech {
            true => Some(Parts::new(user_words).map_err(|error| format!("user words: {error}"))?),
            false => None,
        };
        Ok(Guards {
            options: options.clone(),
            simplifier,
            stop_words,
            numbers: Numbers::default(),
            opposites,
            parts,
            dictionary,
        })
    }

    /// Facts of a word that do not depend on the other one, to be computed once a word.
    pub fn describe(&self, word: &str) -> Description {
        let simplified = self.simplifier.simplify(word);
        let simplified = simplified.as_deref().unwrap_or(word);
        let mut codes = Vec::with_capacity(word.len());
        fold(simplified, &mut codes);
        let folded: String = codes.into_iter().filter_map(char::from_u32).collect();
        let known = |dictionary: &Arc<Dictionary>| {
            let mut forms = [word, simplified, &folded].into_iter();
            forms.find_map(|form| dictionary.find(form))
        };
        let classes = |parts: &Parts| parts.classes(simplified);
        Description {
            stop_word: folded.is_empty()
                || is_markup(word)
                || self.stop_words.contains(word)
                || self.stop_words.contains(&*folded),
            number: self.numbers.is_number(&folded),
            classes: self.parts.as_ref().map(classes).unwrap_or_default(),
            entry: self.dictionary.as_ref().and_then(known),
            folded: folded.into(),
        }
    }

    /// The first guard that refuses a word as synonym of another; the order of the two does not matter.
    pub fn refuses(&self, first: &Description, second: &Description) -> Option<Guard> {
        let (one, other) = (&*first.folded, &*second.folded);
        let options = &self.options;
        if options.stop_words && (first.stop_word || second.stop_word) {
            return Some(Guard::StopWord);
        }
        if options.numbers && (first.number || second.number || differ_in_number(one, other)) {
            return Some(Guard::Number);
        }
        let words = !one.is_empty() && !other.is_empty();
        if options.scripts && words && one == other {
            return Some(Guard::Script);
        }
        if options.antonyms && self.opposites.are(one, other) {
            return Some(Guard::Antonym);
        }
        if options.contains && words && (one.contains(other) || other.contains(one)) {
            return Some(Guard::Contains);
        }
        if options.part_of_speech
            && !first.classes.agree(second.classes)
            && !one.contains(|c| other.contains(c))
        {
            return Some(Guard::PartOfSpeech);
        }
        let (relation, _) = self.relation(first, second);
        (options.co_hyponyms && relation == Relation::Related).then_some(Guard::CoHyponym)
    }

    /// What the dictionary says of two words, and whether it knows both.
    pub fn relation(&self, first: &Description, second: &Description) -> (Relation, bool) {
        match (&self.dictionary, first.entry, second.entry) {
            (Some(dictionary), Some(first), Some(second)) => {
                (dictionary.relation_of(first, second), true)
            }
            _ => (Relation::None, false),
        }
    }
}

/// A word as the guards compare it.
fn folded(simplifier: &Simplifier, word: &str) -> String {
    let simplified = simplifier.simplify(word);
    let mut codes = Vec::new();
    fold(simplified.as_deref().unwrap_or(word), &mut codes);
    codes.into_iter().filter_map(char::from_u32).collect()
}

/// `</s>`, `[UNK]`, `&nbsp;`.
fn is_markup(word: &str) -> bool {
    let ends = [("<", ">"), ("[", "]"), ("&", ";")];
    let mut inside = ends
        .iter()
        .filter_map(|(start, end)| word.strip_prefix(start)?.strip_suffix(end));
    inside.any(|inside| inside.is_ascii())
}

#[cfg(test)]
mod tests;
