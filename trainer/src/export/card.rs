//! The model card: what a model is, what it was made of and with, and how to use it.

use std::fmt::Write;

use super::front::Front;
use super::{Export, HEADS};

/// What the card says besides what the model itself tells.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// Name of the model.
    pub title: String,
    /// The recipe it was trained by, as TOML.
    pub recipe: Option<String>,
    /// The step that it is from.
    pub step: Option<u64>,
    /// Datasets and the like: what it is, and its fingerprint or value.
    pub data: Vec<(String, String)>,
    /// What it scored.
    pub scores: Vec<Score>,
    /// What stands at the head of the file for machines.
    pub front: Front,
    /// Further sentences, such as whether the weights are averaged.
    pub notes: Vec<String>,
}

/// A metric of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// What it was before the training, where that was measured.
    pub before: Option<f64>,
    /// What it is.
    pub value: f64,
}

impl Card {
    /// The page, in Markdown.
    pub fn page(&self, export: &Export) -> String {
        let mut page = String::from("---\n");
        page.push_str(&self.front.lines());
        page.push_str(
            "library_name: sentence-transformers\npipeline_tag: sentence-similarity\ntags:\n\
             - sentence-transformers\n- feature-extraction\n- sentence-similarity\n- juzi\n---\n\n",
        );
        // Writing into a string cannot fail.
        let _ = writeln!(page, "# {}\n", self.title);
        let _ = match self.step {
            Some(step) => writeln!(page, "A sentence encoder trained with juzi, step {step}.\n"),
            None => writeln!(page, "A sentence encoder, written by juzi.\n"),
        };
        self.model(export, &mut page);
        usage(&mut page);
        self.scores(&mut page);
        if !self.data.is_empty() {
            let _ = writeln!(page, "## Data\n\n| what | value |\n|---|---|");
            for (name, value) in &self.data {
                let _ = writeln!(page, "| {} | `{}` |", cell(name), cell(value));
            }
            page.push('\n');
        }
        if let Some(recipe) = &self.recipe {
            let _ = writeln!(page, "## Recipe\n\n```toml\n{}\n```\n", recipe.trim_end());
        }
        if !export.heads.is_empty() {
            let _ = writeln!(
                page,
                "## Heads\n\n`{HEADS}` has what only training needs:\n"
            );
            for (name, tensor) in &export.heads {
                let _ = writeln!(page, "- `{name}` {:?}", tensor.dims());
            }
            page.push('\n');
        }
        page
    }

    fn model(&self, export: &Export, page: &mut String) {
        let (encoder, config) = (&export.encoder, &export.encoder.config);
        let mut poolings = vec![encoder.pooling.name()];
        poolings.extend(encoder.output.further.iter().map(|pooling| pooling.name()));
        let projections: Vec<String> = encoder
            .output
            .projections
            .iter()
            .map(|own| own.dimension.to_string())
            .collect();
        let _ = writeln!(page, "## Model\n\n| | |\n|---|---|");
        for (name, value) in [
            ("type", config.model_type.clone()),
            (
                "layers × hidden size",
                format!("{} × {}", config.num_hidden_layers, config.hidden_size),
            ),
            ("vocabulary", config.vocab_size.to_string()),
            ("parameters", encoder.parameters.elements().to_string()),
            ("pooling", poolings.join(", ")),
            ("projection", or_none(projections.join(", "))),
            ("normalised", encoder.output.normalize.to_string()),
            ("vector length", encoder.dimension().to_string()),
            ("tokens of a text at most", export.length_max.to_string()),
        ] {
            let _ = writeln!(page, "| {name} | {} |", cell(&value));
        }
        page.push('\n');
        for note in &self.notes {
            let _ = writeln!(page, "{note}\n");
        }
    }

    fn scores(&self, page: &mut String) {
        let _ = writeln!(page, "## Scores\n");
        if self.scores.is_empty() {
            let _ = writeln!(page, "None were measured.\n");
            return;
        }
        let before = self.scores.iter().any(|score| score.before.is_some());
        let (heading, line) = if before {
            (" before |", "---|")
        } else {
            ("", "")
        };
        let _ = writeln!(
            page,
            "| task | metric |{heading} value |\n|---|---|{line}---|"
        );
        for score in &self.scores {
            let old = score
                .before
                .map_or(String::new(), |old| format!("{old:.4}"));
            let old = if before { format!(" {old} |") } else { old };
            let (task, metric) = (cell(&score.task), cell(&score.metric));
            let _ = writeln!(page, "| {task} | {metric} |{old} {:.4} |", score.value);
        }
        page.push('\n');
    }
}

fn usage(page: &mut String) {
    page.push_str(
        "## Use\n\n```python\nfrom sentence_transformers import SentenceTransformer\n\n\
         model = SentenceTransformer(\"path/of/this/folder\")\n\
         vectors = model.encode([\"今天天气很好\", \"今天天气不错\"])\n```\n\n\
         or `juzi embed FOLDER texts.txt -o vectors.npy`.\n\n",
    );
}

fn or_none(text: String) -> String {
    match text.is_empty() {
        true => "none".into(),
        false => text,
    }
}

/// A text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '`'], " ")
}
