//! Clustering: whether texts of one label lie together.

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::features::Features;
use super::k_means;
use super::labelled::Labelled;
use super::linear_probe::deviation;
use super::lines::{Column, check_columns};
use super::{Better, Embedder, Evaluator, Make, Role, Scores};
use crate::Result;
use crate::metrics::clusters::{Agreement, agreement};

/// Options of the evaluator `clustering`: unit vectors fall into as many clusters as there are
/// labels, by k-means. The metrics are means over the repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clustering {
    /// A file of labels and texts: columns with tabs between, or `.jsonl` with `text` and `label`.
    pub file: String,
    /// The columns of label and text: numbers from 1, or names in the first line [all that there
    /// are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 2]>,
    /// How often all is done, with other draws.
    pub repeats: usize,
    /// Starts of each repeat; the clusters with the nearest members count.
    pub starts: usize,
    /// Seed of the starts.
    pub seed: u64,
}

impl Default for Clustering {
    fn default() -> Clustering {
        Clustering {
            file: String::new(),
            columns: None,
            repeats: 5,
            starts: 3,
            seed: 1,
        }
    }
}

impl Make for Clustering {
    fn check(&self) -> std::result::Result<(), String> {
        check_columns(self.columns.as_ref())?;
        if self.file.is_empty() {
            return Err("file: no file is named".into());
        }
        match (self.repeats, self.starts) {
            (0, _) => Err("repeats = 0: at least 1 is wanted".into()),
            (_, 0) => Err("starts = 0: at least 1 is wanted".into()),
            _ => Ok(()),
        }
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.file]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        Ok(Box::new(Groups {
            texts: Labelled::read(&[&self.file], self.columns.as_ref())?,
            options: self.clone(),
        }))
    }
}

struct Groups {
    options: Clustering,
    texts: Labelled,
}

impl Evaluator for Groups {
    fn texts(&self) -> Vec<&str> {
        self.texts.all()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.texts.fingerprint(&self.options)
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        embedder.fit(&self.texts.all());
        let vectors = embedder.embed(&self.texts.all(), Role::Text)?.unit();
        let features = Features::new(&vectors);
        let (k, options) = (self.texts.names.len(), &self.options);
        let repeats = 0..options.repeats as u64;
        let found: Vec<Agreement> = repeats
            .map(|repeat| {
                let clusters = k_means::best(&features, k, options.starts, options.seed, repeat);
                agreement(&self.texts.labels, &clusters.of)
            })
            .collect();
        let each = |part: fn(&Agreement) -> f64| found.iter().map(part).collect::<Vec<f64>>();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let v_measures = each(|found| found.v_measure);
        let mut scores = Scores {
            warnings: self.texts.warnings(&[]),
            ..Scores::default()
        };
        scores.push("v_measure", mean(&v_measures), Better::Higher);
        scores.push(
            "homogeneity",
            mean(&each(|found| found.homogeneity)),
            Better::Higher,
        );
        scores.push(
            "completeness",
            mean(&each(|found| found.completeness)),
            Better::Higher,
        );
        scores.push("v_measure_std", deviation(&v_measures), Better::Neither);
        scores.count("texts", features.rows);
        scores.count("labels", k);
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::Clustering;
    use crate::evaluators::Make;
    use crate::evaluators::fixtures::Given;
    use crate::loader::fixtures::Place;

    /// Three directions, and a turn of the plane that changes nothing.
    #[test]
    fn texts_in_three_directions() {
        let place = Place::new();
        let lines = (0..60).map(|row| format!("{}\t文{row}\n", row % 3));
        let options = Clustering {
            file: place.write("test.tsv", &lines.collect::<String>()),
            ..Clustering::default()
        };
        let task = options.open().unwrap();
        let at = |spread: f64, turn: f64| {
            Given::new((0..60).map(|row| {
                let angle = f64::from(row % 3) * 2.0 + spread * f64::from(row * row % 7) + turn;
                let length = 1.0 + f64::from(row % 5);
                let vector = vec![(length * angle.cos()) as f32, (length * angle.sin()) as f32];
                (format!("文{row}"), vector)
            }))
        };
        let scores = task.evaluate(&mut at(0.05, 0.0)).unwrap();
        assert_eq!(scores.primary().value, 1.0);
        assert_eq!(scores.get("v_measure_std").unwrap().value, 0.0);
        let (one, two) = (
            task.evaluate(&mut at(0.5, 0.0)),
            task.evaluate(&mut at(0.5, 1.0)),
        );
        let (one, two) = (one.unwrap().primary().value, two.unwrap().primary().value);
        assert!(
            (one - two).abs() < 1e-9 && one < 1.0 && one > 0.1,
            "{one} {two}"
        );
    }
}
