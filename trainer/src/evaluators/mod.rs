//! Evaluators: what a model is worth, measured as the field measures it.
//!
//! ```text
//! files of a task ─▶ Options::open ─▶ Evaluator ◀─ Embedder: a Model, counts of words, word vectors
//!                                        └─▶ Scores: metrics with directions, counts, warnings
//! ```
//! An evaluator knows texts and gold, asks an [`Embedder`] for vectors and leaves the arithmetic to
//! [`crate::metrics`]. It reads its files once and can be asked many times, so a training asks it every
//! n steps. A new evaluator is a file with options, their checks and the evaluator, and a line in the
//! list at the end.

mod embedder;
mod features;
mod k_means;
mod labelled;
mod lines;
mod logistic;
mod means;
mod minimise;
mod pairs;
mod scores;
mod search;
mod tasks;
mod vectors;

use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::model::Model;

pub use embedder::ModelEmbedder;
pub use lines::Column;
pub(crate) use lines::Lines;
pub use scores::{Better, Evaluation, FORMAT, Metric, Scores, TaskScores};
pub use search::Product;
pub use similarity::Aggregation;
pub use tasks::{Prompts, Task, Tasks, measure};
pub use vectors::{Dense, Sparse, Vectors};

/// What texts are to a task; models may put another prompt before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// What is searched with.
    Query,
    /// What is searched.
    Document,
    /// Neither.
    Text,
}

/// Makes vectors of texts.
pub trait Embedder {
    /// Vectors of some texts, as a user of the model gets them; row i is that of text i. For texts
    /// of roles `Query` and `Document` the product of two vectors is the score of the pair; others
    /// are compared by cosine unless a task says otherwise.
    ///
    /// # Errors
    /// A text has no vector, or one that is not of finite numbers; the device fails.
    fn embed(&mut self, texts: &[&str], role: Role) -> Result<Vectors>;

    /// Texts whose words may be counted before the first text is embedded: the documents of a
    /// search, the training half of a probe; none at all before each task, so that nothing is left
    /// of the one before. Models have no use for it.
    fn fit(&mut self, _texts: &[&str]) {}

    /// The model behind it, for evaluators that train it further.
    fn model(&self) -> Option<&Model> {
        None
    }

    /// What that model is given before texts of a role.
    fn prompt(&self, _role: Role) -> &str {
        ""
    }
}

/// A task whose files were read.
pub trait Evaluator: Send {
    /// Its texts whose appearance in training text would make scores too good: queries, held-out
    /// halves, pairs. Each once or more.
    fn texts(&self) -> Vec<&str>;

    /// Hash of its options and of all that its files gave.
    fn fingerprint(&self) -> Fingerprint;

    /// Measures an embedder. The first metric is the primary one; its name and direction, and the
    /// names of all others, are the same for every embedder that the task can measure.
    ///
    /// # Errors
    /// The embedder fails, or is not of the kind that the task needs.
    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores>;
}

/// The options of an evaluator: what the list at the end of this file is made of.
trait Make {
    /// Checks the values of the options.
    fn check(&self) -> std::result::Result<(), String>;

    /// All places in it.
    fn files(&mut self) -> Vec<&mut String>;

    /// Reads the files.
    fn open(&self) -> Result<Box<dyn Evaluator>>;
}

/// Turns each line into a module, a variant of the options and a way to the evaluator.
macro_rules! evaluators {
    ($($(#[$doc:meta])* $module:ident :: $name:ident),* $(,)?) => {
        $(mod $module; pub use $module::$name;)*

        /// A task: an evaluator by its name, with its own keys.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "evaluator", rename_all = "snake_case")]
        pub enum Options { $($(#[$doc])* $name($name),)* }

        impl Options {
            fn make(&self) -> &dyn Make {
                match self { $(Options::$name(options) => options,)* }
            }

            fn make_mut(&mut self) -> &mut dyn Make {
                match self { $(Options::$name(options) => options,)* }
            }

            /// Name of the evaluator.
            pub fn kind(&self) -> &'static str {
                match self { $(Options::$name(_) => stringify!($module),)* }
            }
        }
    };
}

evaluators! {
    /// Scores of pairs against people's scores.
    similarity::Similarity,
    /// Pairs that belong together or do not.
    pair_classification::PairClassification,
    /// Search in a collection, in the layout of BEIR.
    retrieval::Retrieval,
    /// Order of a few candidates for each query.
    reranking::Reranking,
    /// Sentences and their translations.
    bitext::Bitext,
    /// Labels by logistic regression.
    linear_probe::LinearProbe,
    /// Labels by nearest neighbours.
    knn::Knn,
    /// Labels by their words.
    zero_shot::ZeroShot,
    /// Clusters against labels.
    clustering::Clustering,
    /// Alignment, uniformity and spectra.
    geometry::Geometry,
    /// Groups of words and their attributes.
    association::Association,
    /// LUSE's fine-tuning, of the model itself or of a head on its vectors.
    fine_tune::FineTune,
}

impl Options {
    /// Checks the values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        self.make().check()
    }

    /// Makes places relative to a directory into places; "" stays so.
    pub fn place_files(&mut self, base: &Path) {
        for place in self.make_mut().files() {
            if !place.is_empty() {
                *place = base.join(&place).to_string_lossy().into_owned();
            }
        }
    }

    /// Takes places away.
    pub fn clear_files(&mut self) {
        self.make_mut().files().into_iter().for_each(String::clear);
    }

    /// Reads the files.
    ///
    /// # Errors
    /// A file is missing or is not what it should be.
    pub fn open(&self) -> Result<Box<dyn Evaluator>> {
        self.make().open()
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod reference_tests;
