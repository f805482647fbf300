//! The table `[synonyms]` of a plan.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::vector_file;
use crate::lexicon::guards::GuardOptions;
use crate::neighbors::Precision;
use crate::size::Size;
use crate::vectors::{Format, VectorFile};

/// Which words get synonyms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vocabulary {
    /// The words of the plan's shards, and those of `word_list`.
    #[default]
    Shards,
    /// The words of `word_list`.
    List,
    /// Every word of the vector file.
    Vectors,
}

/// Which words may be synonyms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidates {
    /// Words of the vocabulary: only these are read from the vector file.
    #[default]
    Vocabulary,
    /// Every word of the vector file.
    Vectors,
}

/// How neighbours are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// `exact` up to about 100,000 words, above that `ivf`.
    #[default]
    Auto,
    /// Every word with every word.
    Exact,
    /// Inverted lists, searched list by list.
    Ivf,
    /// The faiss library, with the index that `factory` describes.
    Faiss,
}

impl IndexKind {
    /// The word in a plan.
    pub fn name(self) -> &'static str {
        match self {
            IndexKind::Auto => "auto",
            IndexKind::Exact => "exact",
            IndexKind::Ivf => "ivf",
            IndexKind::Faiss => "faiss",
        }
    }
}

/// `[synonyms]`: every value here can change the rows. Files are relative to the plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SynonymsOptions {
    /// The word vectors: text, `.vec`, word2vec binary or `.npy`; plain, compressed, or a member of
    /// an archive as `archive.zip::pattern`.
    #[serde(skip_serializing)]
    pub vectors: Option<String>,
    /// Layout of the vectors: `auto`, `text`, `binary` or `npy`.
    pub format: Format,
    /// Words of an `.npy` file, one a line.
    #[serde(skip_serializing)]
    pub vector_words: Option<String>,
    /// A file of LUSE's form `{word: [synonyms]}`, taken over as it is instead of searching.
    #[serde(skip_serializing)]
    pub import: Option<String>,
    /// Which words get synonyms: `shards`, `list` or `vectors`.
    pub vocabulary: Vocabulary,
    /// Rarest word of the shards that counts.
    pub count_min: u64,
    /// More words that get synonyms, one a line.
    #[serde(skip_serializing)]
    pub word_list: Option<String>,
    /// Which words may be synonyms: `vocabulary` or `vectors`.
    pub candidates: Candidates,
    /// Most synonyms of a word.
    pub k: u8,
    /// Neighbours that are searched, so that enough are left behind the guards.
    pub neighbors: usize,
    /// Least cosine of a synonym.
    pub cosine_min: f64,
    /// How neighbours are searched: `auto`, `exact`, `ivf` or `faiss`.
    pub index: IndexKind,
    /// `faiss`: the index in the words of its factory. Default: `IVF<lists>,Flat`.
    pub factory: Option<String>,
    /// Inverted lists. Default: the square root of 32 times the number of vectors.
    pub lists: Option<usize>,
    /// Lists that a search looks into. Default: as few as reach `recall_min` with a margin.
    pub probes: Option<usize>,
    /// How vectors are held: `auto`, `f32` or `f16`.
    pub precision: Precision,
    /// Memory that vectors and index must fit into.
    pub memory: Size,
    /// Least share of the exact `k` neighbours that a search must find.
    pub recall_min: f64,
    /// Words on which that is measured.
    pub recall_words: usize,
    /// Which neighbours are no synonyms.
    pub guards: GuardOptions,
    /// More stop words, one a line.
    #[serde(skip_serializing)]
    pub stop_words: Option<String>,
    /// More antonyms, two words a line.
    #[serde(skip_serializing)]
    pub antonyms: Option<String>,
    /// A dictionary in Cilin's format: the judge of the quality table, and of co-hyponyms.
    #[serde(skip_serializing)]
    pub dictionary: Option<String>,
    /// Puts the dictionary's own synonyms before those of the vectors.
    pub merge: bool,
}

impl Default for SynonymsOptions {
    fn default() -> Self {
        SynonymsOptions {
            vectors: None,
            format: Format::Auto,
            vector_words: None,
            import: None,
            vocabulary: Vocabulary::Shards,
            count_min: 5,
            word_list: None,
            candidates: Candidates::Vocabulary,
            k: 8,
            neighbors: 24,
            cosine_min: 0.6,
            index: IndexKind::Auto,
            factory: None,
            lists: None,
            probes: None,
            precision: Precision::Auto,
            memory: Size(8_000_000_000),
            recall_min: 0.95,
            recall_words: 1000,
            guards: GuardOptions::default(),
            stop_words: None,
            antonyms: None,
            dictionary: None,
            merge: true,
        }
    }
}

/// `[synonyms]`, resolved: options checked, files placed.
#[derive(Clone, Debug)]
pub struct SynonymsPlan {
    /// The table.
    pub options: SynonymsOptions,
    /// Where the neighbours come from; none for an import.
    pub vectors: Option<VectorFile>,
    /// Every file that the stage reads, by the key that names it.
    pub files: Vec<(&'static str, PathBuf)>,
}

impl SynonymsPlan {
    /// Checks the bounds and places the files, which must be there only when the stage runs.
    ///
    /// # Errors
    /// The key and the accepted values.
    pub(super) fn resolve(options: SynonymsOptions, base: &Path) -> Result<SynonymsPlan, String> {
        options.check()?;
        let keys = [
            ("vector_words", &options.vector_words),
            ("import", &options.import),
            ("word_list", &options.word_list),
            ("stop_words", &options.stop_words),
            ("antonyms", &options.antonyms),
            ("dictionary", &options.dictionary),
        ];
        let mut files = Vec::new();
        for (key, name) in keys {
            if let Some(name) = name {
                files.push((key, base.join(name)));
            }
        }
        let vectors = match &options.vectors {
            None => None,
            Some(name) => {
                let words = files.iter().find(|(key, _)| *key == "vector_words");
                let words = words.map(|(_, path)| path.clone());
                let file = vector_file(base, name, options.format, words)?;
                files.push(("vectors", file.path.clone()));
                Some(file)
            }
        };
        files.sort();
        Ok(SynonymsPlan {
            options,
            vectors,
            files,
        })
    }

    /// Looks whether every file is there.
    ///
    /// # Errors
    /// The key and the file that is not.
    pub fn check_files(&self) -> Result<(), String> {
        match self.files.iter().find(|(_, path)| !path.is_file()) {
            None => Ok(()),
            Some((key, path)) => Err(format!("{key}: no file {}", path.display())),
        }
    }

    /// The file of a key.
    pub fn file(&self, key: &str) -> Option<&Path> {
        let found = self.files.iter().find(|(name, _)| *name == key);
        found.map(|(_, path)| path.as_path())
    }
}

impl SynonymsOptions {
    fn check(&self) -> Result<(), String> {
        let check = |fits: bool, message: &str| match fits {
            true => Ok(()),
            false => Err(message.to_string()),
        };
        check(
            self.vectors.is_some() != self.import.is_some(),
            "give either vectors = \"file\" or import = \"file\"",
        )?;
        check(self.k >= 1, "k: from 1 to 255")?;
        check(
            self.neighbors >= usize::from(self.k) && self.neighbors <= 1000,
            "neighbors: at least k, at most 1000",
        )?;
        check(
            (-1.0..=1.0).contains(&self.cosine_min),
            "cosine_min: from -1 to 1",
        )?;
        check(
            (0.0..=1.0).contains(&self.recall_min),
            "recall_min: from 0 to 1",
        )?;
        check(
            (1..=100_000).contains(&self.recall_words),
            "recall_words: from 1 to 100000",
        )?;
        check(self.lists != Some(0), "lists: at least 1")?;
        check(self.probes != Some(0), "probes: at least 1")?;
        check(
            self.factory.is_none() || self.index == IndexKind::Faiss,
            "factory: only with index = \"faiss\"",
        )?;
        check(
            self.vocabulary != Vocabulary::List || self.word_list.is_some(),
            "vocabulary = \"list\" needs word_list = \"file\"",
        )?;
        check(
            self.index != IndexKind::Faiss || cfg!(feature = "faiss"),
            "index = \"faiss\": this juzi was built without faiss; accepted are auto, exact, ivf",
        )
    }

    /// Whether the shards decide what is made.
    pub fn uses_shards(&self) -> bool {
        self.import.is_none() && self.vocabulary == Vocabulary::Shards
    }
}
