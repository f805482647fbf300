//! Similarity of pairs against gold scores (STS).
//!
//! Spearman's correlation over all pairs of all files at once is what SimCSE and most that came
//! after it report ("all"); the mean of the files' own correlations differs by points, so both are
//! told. Metrics are of cosines unless their name says otherwise.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::lines::{Column, Lines, check_columns, check_place};
use super::pairs::{Comparison, embed_pairs};
use super::{Better, Embedder, Evaluator, Make, Scores};
use crate::Result;
use crate::metrics::binary::auc;
use crate::metrics::correlation::{kendall, pearson, spearman};

/// Options of the evaluator `similarity`.
///
/// Metrics: `spearman` (primary, ties by mean ranks), `pearson`, `kendall` (tau-b), and `auc` where
/// gold has two values, of cosines; the same with `_dot`, `_euclidean` and `_manhattan`. With
/// several files also `spearman_all` and `spearman_mean`, and `spearman/NAME` for each file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Similarity {
    /// Files of pairs, with tabs between columns.
    pub files: Vec<String>,
    /// The columns of text, text and gold score: numbers from 1, or names in the first line [all
    /// that there are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 3]>,
    /// How several files make one score ["all"].
    pub aggregation: Aggregation,
}

/// How several files make one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// One correlation over the pairs of all files.
    #[default]
    All,
    /// The mean of the correlations of each file.
    Mean,
}

/// Pairs and their gold.
#[derive(Debug, Default)]
struct Pairs {
    one: Vec<String>,
    other: Vec<String>,
    gold: Vec<f64>,
    /// Name and pairs of each file.
    files: Vec<(String, Range<usize>)>,
    aggregation: Aggregation,
    /// Whether gold has two values, so that there is an AUC.
    two_values: bool,
    fingerprint: Option<Fingerprint>,
}

impl Make for Similarity {
    fn check(&self) -> std::result::Result<(), String> {
        if self.files.is_empty() {
            return Err("files = []; at least one is wanted".into());
        }
        let mut files = self.files.iter();
        files.try_for_each(|file| check_place("files", file))?;
        check_columns(self.columns.as_ref())
    }

    fn files(&mut self) -> Vec<&mut String> {
        self.files.iter_mut().collect()
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let mut pairs = Pairs {
            aggregation: self.aggregation,
            ..Pairs::default()
        };
        let mut fingerprints = Vec::new();
        for (file, name) in self.files.iter().zip(names(&self.files)) {
            let lines = Lines::read(file)?;
            fingerprints.push(lines.fingerprint());
            let start = pairs.gold.len();
            for (line, [one, other, gold]) in
                lines.table(self.columns.as_ref(), ["text", "text", "score"])?
            {
                pairs.one.push(lines.text(line, "the first text", one)?);
                pairs
                    .other
                    .push(lines.text(line, "the second text", other)?);
                pairs.gold.push(lines.number(line, "the score", gold)?);
            }
            pairs.files.push((name, start..pairs.gold.len()));
        }
        let lowest = pairs.gold.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = pairs.gold.iter().copied().fold(lowest, f64::max);
        let mut gold = pairs.gold.iter();
        pairs.two_values = lowest < highest && gold.all(|&gold| gold == lowest || gold == highest);
        let names: Vec<&String> = pairs.files.iter().map(|(name, _)| name).collect();
        let options = (&self.columns, self.aggregation);
        let all = ("similarity", options, names, fingerprints);
        pairs.fingerprint = Some(Fingerprint::of_json(&all));
        Ok(Box::new(pairs))
    }
}

/// A name for each file that a metric can bear: its own without the ending, or its number if two
/// are alike. No dot, which is between a task and its metric.
fn names(files: &[String]) -> Vec<String> {
    let name = |file: &String| {
        let plain = file.strip_suffix(".gz").unwrap_or(file);
        let stem = Path::new(plain).file_stem().unwrap_or_default();
        stem.to_string_lossy().replace('.', "_")
    };
    let names: Vec<String> = files.iter().map(name).collect();
    match names.iter().collect::<BTreeSet<_>>().len() == files.len() {
        true => names,
        false => (1..=files.len()).map(|file| file.to_string()).collect(),
    }
}

/// A correlation; none where one side is constant.
type Correlation = fn(&[f64], &[f64]) -> Option<f64>;

impl Pairs {
    fn correlations(&self) -> Vec<(&'static str, Correlation)> {
        let mut all: Vec<(_, Correlation)> = vec![
            ("spearman", spearman),
            ("pearson", pearson),
            ("kendall", kendall),
        ];
        if self.two_values {
            all.push(("auc", two_valued_auc));
        }
        all
    }

    fn over_all(&self, correlation: Correlation, scores: &[f64]) -> f64 {
        correlation(scores, &self.gold).unwrap_or(0.0)
    }

    fn over(&self, file: &Range<usize>, correlation: Correlation, scores: &[f64]) -> f64 {
        let gold = &self.gold[file.clone()];
        correlation(&scores[file.clone()], gold).unwrap_or(0.0)
    }

    fn mean(&self, correlation: Correlation, scores: &[f64]) -> f64 {
        let files = self.files.iter();
        let sum: f64 = files
            .map(|(_, file)| self.over(file, correlation, scores))
            .sum();
        sum / self.files.len() as f64
    }

    /// Says where there can be no correlation.
    fn warn(&self, cosines: &[f64], scores: &mut Scores) {
        for (name, file) in &self.files {
            for (what, values) in [("gold", &self.gold), ("cosines", &cosines.to_vec())] {
                if values[file.clone()]
                    .windows(2)
                    .all(|pair| pair[0] == pair[1])
                {
                    let warning = format!(
                        "{what} of file {name} are constant: 0 stands for no correlation there"
                    );
                    scores.warnings.push(warning);
                }
            }
        }
    }
}

fn two_valued_auc(scores: &[f64], gold: &[f64]) -> Option<f64> {
    let highest = gold.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let gold: Vec<bool> = gold.iter().map(|&gold| gold == highest).collect();
    auc(scores, &gold)
}

impl Evaluator for Pairs {
    fn texts(&self) -> Vec<&str> {
        let texts = self.one.iter().chain(&self.other);
        texts.map(String::as_str).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.expect("files were read")
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        let vectors = embed_pairs(embedder, &self.one, &self.other)?;
        let mut scores = Scores::default();
        for comparison in Comparison::ALL {
            let found = comparison.scores(&vectors);
            for (name, correlation) in self.correlations() {
                let value = match self.aggregation {
                    Aggregation::All => self.over_all(correlation, &found),
                    Aggregation::Mean => self.mean(correlation, &found),
                };
                let name = format!("{name}{}", comparison.suffix());
                scores.push(name, value, Better::Higher);
            }
        }
        let cosines = Comparison::Cosine.scores(&vectors);
        if self.files.len() > 1 {
            let all = self.over_all(spearman, &cosines);
            scores.push("spearman_all", all, Better::Higher);
            scores.push(
                "spearman_mean",
                self.mean(spearman, &cosines),
                Better::Higher,
            );
            for (name, file) in &self.files {
                let value = self.over(file, spearman, &cosines);
                scores.push(format!("spearman/{name}"), value, Better::Higher);
            }
        }
        self.warn(&cosines, &mut scores);
        scores.count("pairs", self.gold.len());
        scores.count("files", self.files.len());
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::{Aggregation, Similarity};
    use crate::evaluators::fixtures::Given;
    use crate::evaluators::lines::Column;
    use crate::evaluators::{Make, Scores};
    use crate::loader::fixtures::Place;

    fn given() -> Given {
        Given::new([
            ("甲", vec![1.0, 0.0]),
            ("乙", vec![0.8, 0.6]),
            ("丙", vec![0.0, 2.0]),
        ])
    }

    fn evaluate(files: &[&str], aggregation: Aggregation) -> Scores {
        let place = Place::new();
        let paths = files.iter().enumerate();
        let options = Similarity {
            files: paths
                .map(|(at, text)| place.write(&format!("{at}/test.tsv"), text))
                .collect(),
            columns: None,
            aggregation,
        };
        options.check().unwrap();
        options.open().unwrap().evaluate(&mut given()).unwrap()
    }

    #[test]
    fn spearman_of_cosines() {
        let scores = evaluate(&["甲\t乙\t1\n甲\t丙\t0\n乙\t丙\t0.5\n"], Aggregation::All);
        assert_eq!(scores.primary().value, 1.0);
        assert_eq!(scores.primary().name, "spearman");
        assert_eq!(scores.counts["pairs"], 3);
        assert!(scores.get("auc").is_none() && scores.warnings.is_empty());
        // Products: 0.8, 0, 1.2; distances: √0.4, √5, √2.6.
        assert_eq!(scores.get("spearman_dot").unwrap().value, 0.5);
        assert_eq!(scores.get("kendall_euclidean").unwrap().value, 1.0);
    }

    #[test]
    fn constant_gold_and_constant_scores_are_told() {
        let files = ["甲\t乙\t1\n甲\t丙\t1\n", "甲\t乙\t0\n甲\t乙\t1\n"];
        for aggregation in [Aggregation::All, Aggregation::Mean] {
            let scores = evaluate(&files, aggregation);
            assert_eq!(scores.get("spearman_mean").unwrap().value, 0.0);
            assert_eq!(scores.get("spearman/2").unwrap().value, 0.0);
            assert_ne!(scores.get("spearman_all").unwrap().value, 0.0);
            assert!(scores.metrics.iter().all(|metric| metric.value.is_finite()));
            assert!(scores.warnings[0].starts_with("gold of file 1 are constant"));
            assert!(scores.warnings[1].starts_with("cosines of file 2 are constant"));
        }
    }

    #[test]
    fn columns_files_and_values_are_checked() {
        let place = Place::new();
        let file = place.write("test.tsv", "id\tgold\ts1\ts2\n7\t1\t甲\t乙\n8\tx\t甲\t乙\n");
        let name = |name: &str| Column::Name(name.into());
        let options = Similarity {
            files: vec![file.clone()],
            columns: Some([name("s1"), name("s2"), name("gold")]),
            ..Similarity::default()
        };
        let error = options.open().err().unwrap().to_string();
        assert!(
            error.ends_with("line 3: the score is `x`; a finite number is wanted"),
            "{error}"
        );
        place.write("test.tsv", "id\tgold\ts1\ts2\n7\t1\t甲\t\n");
        let error = options.open().err().unwrap().to_string();
        assert!(
            error.ends_with("line 2: the second text is empty"),
            "{error}"
        );
        let wrong = |toml: &str| {
            toml::from_str::<Similarity>(toml)
                .unwrap()
                .check()
                .unwrap_err()
        };
        assert!(wrong("").starts_with("files = []"));
        assert!(wrong("files = ['a', '']").starts_with("files = \"\""));
        assert!(wrong("files = ['a']\ncolumns = [1, 2, 1]").starts_with("columns: "));
        let text = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<Similarity>(&text).unwrap(), options);
    }

    #[test]
    fn the_fingerprint_is_of_options_and_files() {
        let place = Place::new();
        let hash = |name: &str, text: &str, aggregation| {
            let options = Similarity {
                files: vec![place.write(name, text)],
                columns: None,
                aggregation,
            };
            options.open().unwrap().fingerprint()
        };
        let one = hash("a/x.tsv", "甲\t乙\t1\n", Aggregation::All);
        assert_eq!(one, hash("b/x.tsv", "甲\t乙\t1\n", Aggregation::All));
        assert_ne!(one, hash("a/x.tsv", "甲\t乙\t2\n", Aggregation::All));
        assert_ne!(one, hash("a/x.tsv", "甲\t乙\t1\n", Aggregation::Mean));
    }
}
