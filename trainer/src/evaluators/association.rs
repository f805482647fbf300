//! Association: whether a model puts occupations and the like nearer to men or to women, by the
//! association test of words in sentences (Caliskan et al. 2017; May et al. 2019, "On Measuring
//! Social Biases in Sentence Encoders") and by pairs of sentences that differ in one word.

use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::random::Draws;
use serde::{Deserialize, Serialize};

use super::labelled::fingerprint;
use super::means::means;
use super::{Better, Embedder, Evaluator, Make, Role, Scores, Vectors};
use crate::metrics::association::{effect_size, permutation_p};
use crate::{Error, Result};

/// The lists that juzi brings.
const BUILT_IN: &str = include_str!("../../../dictionaries/associations.toml");

/// What stands for a word in a template.
const PLACE: &str = "{}";

/// Keeps the draws of partitions apart from others of the same seed.
const STREAM: u64 = 0x6173_736f;

/// Options of the evaluator `association`.
///
/// Each test compares two groups of targets by how much nearer their members are to the first
/// attributes than to the second: the effect size says it in standard deviations, p is the share of
/// random groups that differ as much. Sentences of each occupation are compared with those about a
/// man and about a woman: the metrics are the means of the difference of the cosines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Association {
    /// A file of lists; "" for `dictionaries/associations.toml`, which juzi brings.
    pub file: String,
    /// Partitions that are drawn for p where there are more than 200,000.
    pub permutations: usize,
    /// Seed of them.
    pub seed: u64,
    /// How many of the words with the largest differences are told; 0 for none.
    pub shown: usize,
}

impl Default for Association {
    fn default() -> Association {
        Association {
            file: String::new(),
            permutations: 10_000,
            seed: 1,
            shown: 3,
        }
    }
}

/// A file of lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    templates: Vec<String>,
    tests: Vec<Test>,
    sentences: Sentences,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    targets: [Vec<String>; 2],
    attributes: [Vec<String>; 2],
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentences {
    words: Vec<String>,
    templates: Vec<[String; 3]>,
}

impl Lists {
    fn check(&self) -> std::result::Result<(), String> {
        let alone = self.templates.iter();
        let triples = self.sentences.templates.iter().flatten();
        for template in alone.chain(triples) {
            if template.matches(PLACE).count() != 1 {
                return Err(format!("templates: `{template}` must have one `{PLACE}`"));
            }
        }
        if self.templates.is_empty() || self.sentences.templates.is_empty() {
            return Err("templates: at least one is wanted".into());
        }
        if self.tests.is_empty() || self.sentences.words.is_empty() {
            return Err("tests, sentences.words: at least one is wanted".into());
        }
        for (at, test) in self.tests.iter().enumerate() {
            let name = &test.name;
            if name.is_empty() || name.contains('.') {
                return Err(format!(
                    "tests: `{name}` is no name; one without a dot is wanted"
                ));
            }
            if self.tests[..at].iter().any(|other| other.name == *name) {
                return Err(format!("tests: there are two of the name `{name}`"));
            }
            if test
                .targets
                .iter()
                .chain(&test.attributes)
                .any(Vec::is_empty)
            {
                return Err(format!("tests: `{name}` has an empty list"));
            }
        }
        Ok(())
    }
}

impl Make for Association {
    fn check(&self) -> std::result::Result<(), String> {
        match self.permutations {
            0 => Err("permutations = 0: at least 1 is wanted".into()),
            _ => Ok(()),
        }
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.file]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let path = Path::new(&self.file);
        let own;
        let text = match self.file.is_empty() {
            true => BUILT_IN,
            false => {
                own = std::fs::read_to_string(path).map_err(Error::input(path))?;
                &own
            }
        };
        let wrong = |message| Error::Recipe {
            path: path.into(),
            message,
        };
        let lists: Lists = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        lists.check().map_err(wrong)?;
        Ok(Box::new(Bias {
            options: self.clone(),
            lists,
        }))
    }
}

struct Bias {
    options: Association,
    lists: Lists,
}

impl Bias {
    /// A unit vector for each word: the mean of its sentences' unit vectors.
    fn words(&self, words: &[&str], embedder: &mut dyn Embedder) -> Result<Vectors> {
        let templates = &self.lists.templates;
        let each = |word: &&str| {
            templates
                .iter()
                .map(|one| one.replace(PLACE, word))
                .collect()
        };
        let sentences: Vec<Vec<String>> = words.iter().map(each).collect();
        let sentences: Vec<&str> = sentences.iter().flatten().map(String::as_str).collect();
        let vectors = embedder.embed(&sentences, Role::Text)?.unit();
        let groups = (0..words.len()).map(|at| at * templates.len()..(at + 1) * templates.len());
        Ok(means(&vectors, &groups.collect::<Vec<_>>()).unit())
    }

    /// Effect size and p of a test.
    fn test(&self, number: usize, embedder: &mut dyn Embedder, scores: &mut Scores) -> Result<()> {
        let test = &self.lists.tests[number];
        let all = test.targets.iter().chain(&test.attributes);
        let words: Vec<&str> = all.flatten().map(String::as_str).collect();
        let vectors = self.words(&words, embedder)?;
        let [one, other] = test.targets.each_ref().map(Vec::len);
        let [first, second] = test.attributes.each_ref().map(Vec::len);
        let targets = one + other;
        let mean = |target: usize, start: usize, count: usize| {
            let attributes = start..start + count;
            let sum: f64 = attributes.map(|at| vectors.dot(target, &vectors, at)).sum();
            sum / count as f64
        };
        let nearer = (0..targets)
            .map(|target| mean(target, targets, first) - mean(target, targets + first, second));
        let nearer: Vec<f64> = nearer.collect();
        let (one, other) = nearer.split_at(one);
        let effect = effect_size(one, other);
        if effect.is_none() {
            scores.warnings.push(format!(
                "`{}`: all words are as near to both attributes; 0 stands for no effect",
                test.name
            ));
        }
        let mut draws = Draws::new(self.options.seed, STREAM, 0, number as u128, 0);
        let p = permutation_p(one, other, self.options.permutations, &mut draws);
        let name = &test.name;
        scores.push(
            format!("effect_size_{name}"),
            effect.unwrap_or(0.0),
            Better::Neither,
        );
        scores.push(format!("p_{name}"), p, Better::Neither);
        Ok(())
    }

    /// How much nearer the sentences of each word are to the first ones than to the second.
    fn differences(&self, embedder: &mut dyn Embedder) -> Result<Vec<f64>> {
        let given = &self.lists.sentences;
        let templates: Vec<&String> = given.templates.iter().flatten().collect();
        let each = |word: &String| {
            let filled = templates
                .iter()
                .map(|template| template.replace(PLACE, word));
            filled.collect::<Vec<String>>()
        };
        let sentences: Vec<String> = given.words.iter().flat_map(each).collect();
        let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
        let vectors = embedder.embed(&sentences, Role::Text)?.unit();
        let words = 0..given.words.len();
        let of_word = |word: usize| {
            let starts = (0..given.templates.len()).map(|at| word * templates.len() + 3 * at);
            let differences = starts
                .map(|at| vectors.dot(at, &vectors, at + 1) - vectors.dot(at, &vectors, at + 2));
            differences.sum::<f64>() / given.templates.len() as f64
        };
        Ok(words.map(of_word).collect())
    }

    /// The words with the largest differences on both sides.
    fn told(&self, differences: &[f64]) -> String {
        let mut order: Vec<usize> = (0..differences.len()).collect();
        order.sort_by(|&one, &other| differences[other].total_cmp(&differences[one]));
        let list = |rows: &mut dyn Iterator<Item = &usize>| {
            let words = rows.take(self.options.shown);
            let words = words.map(|&row| {
                format!(
                    "{} {:+.3}",
                    self.lists.sentences.words[row], differences[row]
                )
            });
            words.collect::<Vec<String>>().join(", ")
        };
        format!(
            "nearest to the first sentences: {}; to the second: {}",
            list(&mut order.iter()),
            list(&mut order.iter().rev())
        )
    }
}

impl Evaluator for Bias {
    /// None: to have read them makes no score better.
    fn texts(&self) -> Vec<&str> {
        Vec::new()
    }

    fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.options, &self.lists)
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        let mut scores = Scores::default();
        for number in 0..self.lists.tests.len() {
            self.test(number, embedder, &mut scores)?;
        }
        let differences = self.differences(embedder)?;
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let absolute = differences.iter().map(|value| value.abs()).sum::<f64>() / count;
        scores.push("mean_absolute_difference", absolute, Better::Lower);
        scores.push("mean_difference", mean, Better::Neither);
        if self.options.shown > 0 {
            scores.warnings.push(self.told(&differences));
        }
        scores.count("tests", self.lists.tests.len());
        scores.count("words", differences.len());
        Ok(scores)
    }
}

#[cfg(test)]
mod tests;
