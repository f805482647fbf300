//! The tables of a recipe that say what a training sees: `[data]`, `[views]` and `[tokenizer]`.

use std::path::{Path, PathBuf};

use juzi_schemas::record::{Kind, Split};
use serde::{Deserialize, Serialize};

use crate::augment::Options;

/// Columns that a dataset can have and views can be made of.
const COLUMNS: [&str; 6] = [
    "text",
    "anchor",
    "positive",
    "negatives",
    "sentence1",
    "sentence2",
];

/// `[data]`: which records, in which order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// A dataset of `batches` or of `shards`, relative to the recipe; "" means that it is named
    /// with `--data`.
    pub dataset: String,
    /// Kind of the records, with shards only: text, labelled, pair, triplet or scored. A dataset of
    /// batches has one kind.
    pub kind: Kind,
    /// Split of the records, with shards only: train, valid or test. Batches were planned over one.
    pub split: Split,
    /// Records in a batch, with shards only; batches have the sizes that were planned.
    pub size: usize,
    /// A dataset of synonyms, relative to the recipe; "" means the one beside the dataset.
    pub synonyms: String,
    /// Whether each epoch has an order of its own; else all have that of the dataset.
    pub shuffle: bool,
    /// Whether the last records of an epoch are left out where they fill no batch, with shards
    /// only; else the last batch is short.
    pub drop_last: bool,
}

/// `[views]`: how many sequences become of a text. With `augmented` and `copies` 0, one: the text.
///
/// A column that has views holds `augmented + copies + 1` blocks: each augmented view of all
/// texts, each copy of all texts, and all texts again, which come last as in LUSE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewOptions {
    /// Views made by `[augment]`: 0, or as many as `[augment]` makes.
    pub augmented: usize,
    /// Copies of the text itself, which differ by the dropout of the model.
    pub copies: usize,
    /// Columns that have views, of text, anchor, positive, negatives, sentence1 and sentence2; those
    /// that the records do not have do not count.
    pub columns: Vec<String>,
}

/// `[tokenizer]`: how a text becomes token ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerOptions {
    /// A folder with a tokenizer or a file of one, relative to the recipe; or a run, for the
    /// tokenizer that it had.
    pub path: String,
    /// Tokens of a sequence at most, special ones counted; the rest of the text is cut.
    pub length_max: usize,
    /// Sequences are filled up to the longest of their column in the batch, rounded up to a
    /// multiple of this, but never beyond `length_max`.
    pub pad_multiple: usize,
    /// Whether the sequences of each view block are sorted, the shortest first.
    pub group_by_length: bool,
    /// Whether each token carries the number of its word; the dataset must have words then, and
    /// no column augmented views.
    pub word_ids: bool,
}

impl Default for Data {
    fn default() -> Data {
        Data {
            dataset: String::new(),
            kind: Kind::Text,
            split: Split::Train,
            size: 64,
            synonyms: String::new(),
            shuffle: true,
            drop_last: true,
        }
    }
}

impl Default for ViewOptions {
    fn default() -> ViewOptions {
        ViewOptions {
            augmented: 4,
            copies: 4,
            columns: vec!["text".into()],
        }
    }
}

impl Default for TokenizerOptions {
    fn default() -> TokenizerOptions {
        TokenizerOptions {
            path: String::new(),
            length_max: 64,
            pad_multiple: 8,
            group_by_length: false,
            word_ids: false,
        }
    }
}

impl Data {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> Result<(), String> {
        within("[data] size", self.size, 1, 1_000_000)
    }

    /// Puts the names of files below the directory of the recipe.
    pub fn place_files(&mut self, base: &Path) {
        place(&mut self.dataset, base);
        place(&mut self.synonyms, base);
    }

    /// Where the dataset is: the place named by a flag, or the recipe's.
    ///
    /// # Errors
    /// Neither names one.
    pub fn dir(&self, named: Option<&Path>) -> Result<PathBuf, String> {
        let own = Some(Path::new(&self.dataset)).filter(|_| !self.dataset.is_empty());
        let dir = named.or(own).map(Path::to_path_buf);
        dir.ok_or_else(|| {
            "[data] dataset: no dataset is named; write one here or give --data DIR".into()
        })
    }
}

impl ViewOptions {
    /// Sequences that become of a text of a column.
    pub fn of(&self, column: &str) -> usize {
        match self.has(column) {
            true => self.augmented + self.copies + 1,
            false => 1,
        }
    }

    /// Whether a column has views.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// Checks the ranges of all values, and that they agree with `[augment]`.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self, augment: &Options) -> Result<(), String> {
        within("[views] augmented", self.augmented, 0, 1000)?;
        within("[views] copies", self.copies, 0, 1000)?;
        let unknown = |name: &&String| !COLUMNS.contains(&name.as_str());
        if let Some(name) = self.columns.iter().find(unknown) {
            let names = COLUMNS.join(", ");
            return Err(format!("[views] columns: no `{name}`; there are {names}"));
        }
        if self.augmented == 0 {
            return Ok(());
        }
        match made(augment) {
            Some(made) if made == self.augmented => Ok(()),
            Some(made) => Err(format!(
                "[views] augmented = {}: [augment] makes {made}; write {made} here or another \
                 number there, or 0 here for none",
                self.augmented
            )),
            None => Err(format!(
                "[views] augmented = {}: [augment] views is below 1, so their number is not \
                 fixed; write a whole number there",
                self.augmented
            )),
        }
    }
}

impl TokenizerOptions {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self, views: &ViewOptions) -> Result<(), String> {
        within("[tokenizer] length_max", self.length_max, 3, 1 << 20)?;
        within("[tokenizer] pad_multiple", self.pad_multiple, 1, 1 << 20)?;
        let augmented = views.augmented > 0 && !views.columns.is_empty();
        match self.word_ids && augmented {
            true => Err(
                "[tokenizer] word_ids = true: the words of augmented views are not known; \
                 set [views] augmented = 0"
                    .into(),
            ),
            false => Ok(()),
        }
    }

    /// Puts the names of files below the directory of the recipe.
    pub fn place_files(&mut self, base: &Path) {
        place(&mut self.path, base);
    }
}

/// Views of each text that a procedure makes, if that is a fixed number; an original that it adds
/// does not count.
fn made(augment: &Options) -> Option<usize> {
    match augment {
        Options::Luse(luse) => Some(luse.views as usize),
        Options::Eda(eda) if eda.views < 1.0 => None,
        Options::Eda(eda) => {
            let rates = [eda.alpha_sr, eda.alpha_ri, eda.alpha_rs, eda.p_rd];
            let views = eda.views as usize;
            let operators = rates.iter().filter(|&&rate| rate > 0.0).count();
            Some(views.min(operators * (views / 4 + 1)))
        }
        Options::Operators(listed) => Some(listed.views as usize),
    }
}

fn within(key: &str, value: usize, least: usize, most: usize) -> Result<(), String> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(format!("{key} = {value}: {least} to {most} is accepted")),
    }
}

fn place(path: &mut String, base: &Path) {
    if !path.is_empty() {
        *path = base.join(&path).to_string_lossy().into_owned();
    }
}
