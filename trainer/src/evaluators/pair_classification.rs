//! Pairs that belong together, and pairs that do not: how well scores tell them apart.
//!
//! Definitions are those of sentence-transformers' `BinaryClassificationEvaluator`. The thresholds
//! are the best ones for these very pairs, so only average precision and AUC say what can be had of
//! others.

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::lines::{Column, Lines, check_columns, check_place};
use super::pairs::{Comparison, embed_pairs};
use super::{Better, Embedder, Evaluator, Make, Scores};
use crate::Result;
use crate::metrics::binary::{BestF1, auc, average_precision, best_accuracy, best_f1};

/// Options of the evaluator `pair_classification`.
///
/// Metrics, of cosines: `ap` (primary), `f1` with `f1_threshold`, `precision` and `recall` there,
/// `accuracy` with `accuracy_threshold`, `auc`; `ap` also with `_dot`, `_euclidean`, `_manhattan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PairClassification {
    /// A file of pairs, with tabs between columns.
    pub file: String,
    /// The columns of text, text and label, 0 or 1: numbers from 1, or names in the first line [all
    /// that there are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 3]>,
}

/// Pairs and whether they belong together.
#[derive(Debug)]
struct Pairs {
    one: Vec<String>,
    other: Vec<String>,
    gold: Vec<bool>,
    fingerprint: Fingerprint,
}

impl Make for PairClassification {
    fn check(&self) -> std::result::Result<(), String> {
        check_place("file", &self.file)?;
        check_columns(self.columns.as_ref())
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.file]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let lines = Lines::read(&self.file)?;
        let all = ("pair_classification", &self.columns, lines.fingerprint());
        let mut pairs = Pairs {
            one: Vec::new(),
            other: Vec::new(),
            gold: Vec::new(),
            fingerprint: Fingerprint::of_json(&all),
        };
        let rows = lines.table(self.columns.as_ref(), ["text", "text", "label"])?;
        for (line, [one, other, label]) in rows {
            let number: Option<f64> = label.trim().parse().ok();
            let gold = number.filter(|number| [0.0, 1.0].contains(number));
            let wrong = || lines.wrong(line, format!("the label is `{label}`; wanted: 0 or 1"));
            pairs.gold.push(gold.ok_or_else(wrong)? == 1.0);
            pairs.one.push(lines.text(line, "the first text", one)?);
            pairs
                .other
                .push(lines.text(line, "the second text", other)?);
        }
        Ok(Box::new(pairs))
    }
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
        let vectors = embed_pairs(embedder, &self.one, &self.other)?;
        let cosines = Comparison::Cosine.scores(&vectors);
        let mut scores = Scores::default();
        let ap = |scores: &[f64]| average_precision(scores, &self.gold).unwrap_or(0.0);
        scores.push("ap", ap(&cosines), Better::Higher);
        let f1 = best_f1(&cosines, &self.gold);
        let of_f1 = |pick: fn(&BestF1) -> f64| f1.as_ref().map_or(0.0, pick);
        scores.push("f1", of_f1(|best| best.f1), Better::Higher);
        scores.push(
            "f1_threshold",
            of_f1(|best| best.threshold),
            Better::Neither,
        );
        scores.push("precision", of_f1(|best| best.precision), Better::Higher);
        scores.push("recall", of_f1(|best| best.recall), Better::Higher);
        let best = best_accuracy(&cosines, &self.gold);
        let (accuracy, threshold) = best.map_or((0.0, 0.0), |it| (it.accuracy, it.threshold));
        scores.push("accuracy", accuracy, Better::Higher);
        scores.push("accuracy_threshold", threshold, Better::Neither);
        let area = auc(&cosines, &self.gold).unwrap_or(0.0);
        scores.push("auc", area, Better::Higher);
        for comparison in &Comparison::ALL[1..] {
            let value = ap(&comparison.scores(&vectors));
            scores.push(format!("ap{}", comparison.suffix()), value, Better::Higher);
        }
        let yes = self.gold.iter().filter(|yes| **yes).count();
        if yes == 0 || yes == self.gold.len() {
            let warning = "all labels are equal, nothing is told apart: all metrics are 0";
            scores.warnings.push(warning.into());
        } else if cosines.windows(2).all(|pair| pair[0] == pair[1]) {
            let warning = "cosines are constant: metrics are those of a guess";
            scores.warnings.push(warning.into());
        }
        scores.count("pairs", self.gold.len());
        scores.count("positive_pairs", yes);
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::PairClassification;
    use crate::Result;
    use crate::evaluators::fixtures::Given;
    use crate::evaluators::{Evaluator, Make};
    use crate::loader::fixtures::Place;

    fn open(text: &str) -> Result<Box<dyn Evaluator>> {
        let place = Place::new();
        let options = PairClassification {
            file: place.write("test.tsv", text),
            columns: None,
        };
        options.check().unwrap();
        options.open()
    }

    #[test]
    fn one_kind_of_pairs_and_one_score_are_told() {
        let mut given = Given::new([("甲", vec![1.0, 0.5]), ("乙", vec![0.5, 1.0])]);
        let scores = open("甲\t乙\t1\n甲\t甲\t1.0\n").unwrap();
        let scores = scores.evaluate(&mut given).unwrap();
        assert!(scores.metrics.iter().all(|metric| metric.value == 0.0));
        assert!(scores.warnings[0].starts_with("all labels are equal"));
        let scores = open("甲\t甲\t1\n乙\t乙\t0\n").unwrap();
        let scores = scores.evaluate(&mut given).unwrap();
        assert_eq!(scores.primary().value, 0.5);
        assert_eq!(scores.get("auc").unwrap().value, 0.5);
        assert!(scores.warnings[0].starts_with("cosines are constant"));
        assert_eq!(
            (scores.counts["pairs"], scores.counts["positive_pairs"]),
            (2, 1)
        );
    }

    #[test]
    fn labels_are_0_or_1() {
        for label in ["2", "yes", "nan", "0.5"] {
            let error = open(&format!("甲\t乙\t1\n甲\t乙\t{label}\n"))
                .err()
                .unwrap();
            let expected = format!("line 2: the label is `{label}`; wanted: 0 or 1");
            assert!(error.to_string().ends_with(&expected), "{error}");
        }
    }
}
