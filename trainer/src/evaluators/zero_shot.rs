//! Zero-shot classification: the label whose words, put into sentences, are nearest to a text.

use std::collections::BTreeMap;
use std::ops::Range;

use juzi_schemas::fingerprint::Fingerprint;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use super::labelled::Labelled;
use super::lines::{Column, check_columns, wrong};
use super::means::means;
use super::{Better, Embedder, Evaluator, Make, Role, Scores, Vectors};
use crate::Result;
use crate::metrics::classification::{accuracy, macro_f1};

/// What stands for a word in a template.
const PLACE: &str = "{}";

/// Options of the evaluator `zero_shot`: a text gets the label whose vector has the largest cosine
/// with its own. The vector of a label is the mean of the unit vectors of its words in all templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZeroShot {
    /// A file of labels and texts: columns with tabs between, or `.jsonl` with `text` and `label`.
    pub file: String,
    /// The columns of label and text: numbers from 1, or names in the first line [all that there
    /// are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 2]>,
    /// Words for each label of the file: `labels = { "1" = ["正面", "好评"], "0" = ["负面"] }`.
    pub labels: BTreeMap<String, Vec<String>>,
    /// Sentences with `{}` for the word: `templates = ["这是一条{}的新闻", "{}"]`.
    pub templates: Vec<String>,
}

impl Default for ZeroShot {
    fn default() -> ZeroShot {
        ZeroShot {
            file: String::new(),
            columns: None,
            labels: BTreeMap::new(),
            templates: vec![PLACE.into()],
        }
    }
}

impl ZeroShot {
    /// Sentences of all labels by some templates, and which of them are those of each label.
    fn prompts(&self, templates: &[&str]) -> (Vec<String>, Vec<Range<usize>>) {
        let (mut prompts, mut groups) = (Vec::new(), Vec::new());
        for words in self.labels.values() {
            let start = prompts.len();
            for word in words {
                prompts.extend(
                    templates
                        .iter()
                        .map(|template| template.replace(PLACE, word)),
                );
            }
            groups.push(start..prompts.len());
        }
        (prompts, groups)
    }
}

impl Make for ZeroShot {
    fn check(&self) -> std::result::Result<(), String> {
        check_columns(self.columns.as_ref())?;
        if self.file.is_empty() {
            return Err("file: no file is named".into());
        }
        if self.labels.len() < 2 {
            return Err(format!(
                "labels: {} are named, at least two are wanted, each with its words: \
                 {{ \"1\" = [\"正面\"], \"0\" = [\"负面\"] }}",
                self.labels.len()
            ));
        }
        for (label, words) in &self.labels {
            if words.is_empty() || words.iter().any(|word| word.trim().is_empty()) {
                return Err(format!("labels: `{label}` has no word, or an empty one"));
            }
        }
        match self
            .templates
            .iter()
            .find(|template| template.matches(PLACE).count() != 1)
        {
            Some(template) => Err(format!("templates: `{template}` must have one `{PLACE}`")),
            None if self.templates.is_empty() => Err("templates: at least one is wanted".into()),
            None => Ok(()),
        }
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.file]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let texts = Labelled::read(&[&self.file], self.columns.as_ref())?;
        let places: BTreeMap<&str, usize> = self
            .labels
            .keys()
            .enumerate()
            .map(|(at, label)| (label.as_str(), at))
            .collect();
        let mut gold = Vec::new();
        for (row, &label) in texts.labels.iter().enumerate() {
            let label = texts.names[label].as_str();
            let place = places.get(label).ok_or_else(|| {
                let known: Vec<&str> = places.keys().copied().collect();
                let known = known.join(", ");
                let message = format!("label `{label}` has no words; those of {known} were given");
                wrong(&self.file, texts.lines[row], message)
            })?;
            gold.push(*place);
        }
        Ok(Box::new(Words {
            options: self.clone(),
            texts,
            gold,
        }))
    }
}

struct Words {
    options: ZeroShot,
    texts: Labelled,
    /// Place of each text's label among the labels of the options.
    gold: Vec<usize>,
}

impl Words {
    /// A label for each text.
    fn guesses(
        &self,
        embedder: &mut dyn Embedder,
        vectors: &Vectors,
        templates: &[&str],
    ) -> Result<Vec<usize>> {
        let (prompts, groups) = self.options.prompts(templates);
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let prompts = embedder.embed(&prompts, Role::Text)?.unit();
        let labels = means(&prompts, &groups).unit();
        let rows = 0..vectors.rows();
        let guess = |row: usize| {
            let cosine = |label: usize| vectors.dot(row, &labels, label);
            let first = (0, cosine(0));
            let best = (1..groups.len()).fold(first, |best, label| match cosine(label) {
                found if found > best.1 => (label, found),
                _ => best,
            });
            best.0
        };
        Ok(rows.into_par_iter().map(guess).collect())
    }
}

impl Evaluator for Words {
    fn texts(&self) -> Vec<&str> {
        self.texts.all()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.texts.fingerprint(&self.options)
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        embedder.fit(&self.texts.all());
        let vectors = embedder.embed(&self.texts.all(), Role::Text)?.unit();
        let templates: Vec<&str> = self.options.templates.iter().map(String::as_str).collect();
        let guesses = self.guesses(embedder, &vectors, &templates)?;
        let plain = match templates[..] {
            [PLACE] => guesses.clone(),
            _ => self.guesses(embedder, &vectors, &[PLACE])?,
        };
        let mut scores = Scores::default();
        for (at, label) in self.options.labels.keys().enumerate() {
            if !self.gold.contains(&at) {
                scores
                    .warnings
                    .push(format!("no text has the label `{label}`"));
            }
        }
        scores.push("accuracy", accuracy(&self.gold, &guesses), Better::Higher);
        scores.push("macro_f1", macro_f1(&self.gold, &guesses), Better::Higher);
        scores.push(
            "accuracy_words",
            accuracy(&self.gold, &plain),
            Better::Higher,
        );
        scores.push(
            "macro_f1_words",
            macro_f1(&self.gold, &plain),
            Better::Higher,
        );
        scores.count("texts", self.gold.len());
        scores.count("labels", self.options.labels.len());
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::ZeroShot;
    use crate::evaluators::fixtures::Given;
    use crate::evaluators::{Evaluator, Make};
    use crate::loader::fixtures::Place;

    fn options(place: &Place, lines: &str) -> ZeroShot {
        let labels = [
            ("0", vec!["坏".into()]),
            ("1", vec!["好".into(), "棒".into()]),
        ];
        ZeroShot {
            file: place.write("test.tsv", lines),
            labels: labels.map(|(label, words)| (label.into(), words)).into(),
            templates: vec!["很{}".into(), "{}".into()],
            ..ZeroShot::default()
        }
    }

    fn open(lines: &str) -> crate::Result<Box<dyn Evaluator>> {
        let place = Place::new();
        let options = options(&place, lines);
        options.check().unwrap();
        options.open()
    }

    #[test]
    fn the_nearest_mean_of_prompts() {
        let task = open("1\t甲\n0\t乙\n1\t丙\n").unwrap();
        // The mean for 1 points to (1, 3), that for 0 to (1, 0); by plain words 1 is (1, 1).
        let mut given = Given::new([
            ("甲", vec![0.0, 1.0]),
            ("乙", vec![5.0, 1.0]),
            ("丙", vec![0.75, 0.4]),
            ("好", vec![3.0, 0.0]),
            ("棒", vec![0.0, 1.0]),
            ("很好", vec![0.0, 1.0]),
            ("很棒", vec![0.0, 0.5]),
            ("坏", vec![2.0, 0.0]),
            ("很坏", vec![1.0, 0.0]),
        ]);
        let scores = task.evaluate(&mut given).unwrap();
        let value = |name: &str| scores.get(name).unwrap().value;
        assert_eq!(scores.primary().name, "accuracy");
        assert!((value("accuracy") - 2.0 / 3.0).abs() < 1e-12, "{scores:?}");
        assert_eq!(
            (value("accuracy_words"), value("macro_f1_words")),
            (1.0, 1.0)
        );
        assert!(scores.warnings.is_empty());
    }

    #[test]
    fn what_cannot_be() {
        let error = open("1\t甲\n\n2\t乙\n").err().unwrap().to_string();
        assert!(
            error.ends_with("line 3: label `2` has no words; those of 0, 1 were given"),
            "{error}"
        );
        let mut wrong = options(&Place::new(), "");
        wrong.templates = vec!["很".into()];
        assert!(wrong.check().unwrap_err().starts_with("templates: `很`"));
        wrong.labels.clear();
        assert!(
            wrong
                .check()
                .unwrap_err()
                .starts_with("labels: 0 are named")
        );
    }
}
