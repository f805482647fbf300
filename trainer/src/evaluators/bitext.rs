//! Bitext mining: whether a sentence's nearest one in another language is its translation.
//!
//! Nearest is by cosine, of equal ones the smaller row. `accuracy_forward` is the share of first
//! sentences whose nearest second one is the translation, `accuracy_backward` that of second ones.
//! F1 is MTEB's: rows are classes, and a row's F1 is 2 / (1 + n) if it is found by its own
//! translation, where n sentences have it as their nearest, else 0; the mean over rows is the
//! weighted F1 of scikit-learn. It is below accuracy where some sentences are near to many (hubs).
//! `f1` is the mean of both directions.

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::lines::{Column, Lines, check_columns, check_place};
use super::pairs::embed_pairs;
use super::search::search;
use super::{Better, Embedder, Evaluator, Make, Scores, Vectors};
use crate::Result;

/// Options of the evaluator `bitext`.
///
/// Metrics: `f1` (primary), `f1_forward`, `f1_backward`, `accuracy_forward`, `accuracy_backward`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bitext {
    /// A file with a sentence and its translation a line, a tab between.
    pub file: String,
    /// The columns of sentence and translation: numbers from 1, or names in the first line [all that
    /// there are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 2]>,
}

/// Sentences and their translations.
#[derive(Debug)]
struct Pairs {
    one: Vec<String>,
    other: Vec<String>,
    fingerprint: Fingerprint,
}

impl Make for Bitext {
    fn check(&self) -> std::result::Result<(), String> {
        check_place("file", &self.file)?;
        check_columns(self.columns.as_ref())
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.file]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let lines = Lines::read(&self.file)?;
        let all = ("bitext", &self.columns, lines.fingerprint());
        let mut pairs = Pairs {
            one: Vec::new(),
            other: Vec::new(),
            fingerprint: Fingerprint::of_json(&all),
        };
        for (line, [one, other]) in
            lines.table(self.columns.as_ref(), ["sentence", "translation"])?
        {
            pairs.one.push(lines.text(line, "the sentence", one)?);
            pairs
                .other
                .push(lines.text(line, "the translation", other)?);
        }
        Ok(Box::new(pairs))
    }
}

/// Accuracy and F1 of a direction.
fn measure(sentences: &Vectors, translations: &Vectors) -> Result<(f64, f64)> {
    let found = search(sentences, translations, 1)?;
    let nearest: Vec<usize> = found.iter().map(|hits| hits[0].document).collect();
    let mut times = vec![0u32; nearest.len()];
    nearest.iter().for_each(|&row| times[row] += 1);
    let (mut right, mut sum) = (0, 0.0);
    for (row, _) in nearest.iter().enumerate().filter(|(row, it)| row == *it) {
        right += 1;
        sum += 2.0 / (1.0 + f64::from(times[row]));
    }
    let rows = nearest.len() as f64;
    Ok((f64::from(right) / rows, sum / rows))
}

impl Evaluator for Pairs {
    fn texts(&self) -> Vec<&str> {
        let texts = self.one.iter().chain(&self.other);
        texts.map(String::as_str).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        let halves = embed_pairs(embedder, &self.one, &self.other)?.unit();
        let rows: Vec<usize> = (0..halves.rows()).collect();
        let (one, other) = rows.split_at(self.one.len());
        let (one, other) = (halves.select(one), halves.select(other));
        let (accuracy_forward, f1_forward) = measure(&one, &other)?;
        let (accuracy_backward, f1_backward) = measure(&other, &one)?;
        let mut scores = Scores::default();
        for (name, value) in [
            ("f1", (f1_forward + f1_backward) / 2.0),
            ("f1_forward", f1_forward),
            ("f1_backward", f1_backward),
            ("accuracy_forward", accuracy_forward),
            ("accuracy_backward", accuracy_backward),
        ] {
            scores.push(name, value, Better::Higher);
        }
        let repeated = [&self.one, &self.other].map(|texts| {
            let different: std::collections::BTreeSet<&String> = texts.iter().collect();
            texts.len() - different.len()
        });
        if repeated != [0, 0] {
            scores.warnings.push(format!(
                "{} sentences and {} translations are repeated: only the first of each can be found",
                repeated[0], repeated[1]
            ));
        }
        scores.count("pairs", self.one.len());
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::Bitext;
    use crate::evaluators::fixtures::Given;
    use crate::evaluators::{Make, Scores};
    use crate::loader::fixtures::Place;

    fn evaluate(text: &str, vectors: &[(&str, [f32; 2])]) -> Scores {
        let place = Place::new();
        let options = Bitext {
            file: place.write("test.tsv", text),
            columns: None,
        };
        options.check().unwrap();
        let vectors = vectors
            .iter()
            .map(|(text, vector)| (*text, vector.to_vec()));
        let task = options.open().unwrap();
        assert_eq!(task.texts().len(), 2 * text.lines().count());
        task.evaluate(&mut Given::new(vectors)).unwrap()
    }

    #[test]
    fn a_hub_costs_f1() {
        // Both sentences are nearest to 一; backwards each finds its own.
        let vectors = [
            ("a", [1.0, 0.1]),
            ("b", [0.8, 0.3]),
            ("一", [2.0, 0.4]),
            ("二", [0.0, 1.0]),
        ];
        let scores = evaluate("a\t一\nb\t二\n", &vectors);
        let values: Vec<f64> = scores.metrics.iter().map(|metric| metric.value).collect();
        let forward = 2.0 / 3.0 / 2.0;
        assert_eq!(values, [(forward + 1.0) / 2.0, forward, 1.0, 0.5, 1.0]);
        assert_eq!(scores.primary().name, "f1");
        assert!(scores.warnings.is_empty());
    }

    #[test]
    fn a_repeated_translation_is_told() {
        let vectors = [("a", [1.0, 0.0]), ("b", [0.0, 1.0]), ("一", [1.0, 1.0])];
        let scores = evaluate("a\t一\nb\t一\n", &vectors);
        assert_eq!(scores.get("accuracy_forward").unwrap().value, 0.5);
        assert!(scores.warnings[0].starts_with("0 sentences and 1 translations"));
    }
}
