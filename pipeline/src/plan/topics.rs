//! The table `[topics]` of a plan.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::vector_file;
use super::synonyms::SynonymsPlan;
use crate::vectors::{Format, VectorFile};

/// What decides the topic of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The keys that the corpora themselves give, such as a category.
    Keys,
    /// Clusters of static text vectors, made of word vectors.
    #[default]
    Vectors,
    /// Clusters of the vectors of an encoder, from a dataset `embeddings`.
    Embeddings,
}

/// Who trains the middles of the clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kmeans {
    /// Our own: the same rows for any number of threads.
    #[default]
    Own,
    /// The faiss library: rows may depend on the number of threads that trained.
    Faiss,
}

/// `[topics]`: every value here can change the rows. Files are relative to the plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsOptions {
    /// What decides the topic: `keys`, `vectors` or `embeddings`.
    pub source: Source,
    /// `keys`: whether equal keys of two corpora are two topics.
    pub keys_by_corpus: bool,
    /// `vectors`: the word vectors, written as `[synonyms] vectors`. Default: those.
    #[serde(skip_serializing)]
    pub vectors: Option<String>,
    /// Layout of the vectors: `auto`, `text`, `binary` or `npy`.
    pub format: Format,
    /// Words of an `.npy` file, one a line.
    #[serde(skip_serializing)]
    pub vector_words: Option<String>,
    /// `embeddings`: the directory of a dataset `embeddings` of the texts.
    #[serde(skip_serializing)]
    pub embeddings: Option<String>,
    /// `vectors`: a word of share p in the shards weighs `sif_a / (sif_a + p)`.
    pub sif_a: f64,
    /// Clusters that are trained, before the bounds on sizes; of `keys`, the most that stay apart.
    /// Default: the square root of half the records, from 2 to 4096; of `keys`, no bound.
    pub topics: Option<usize>,
    /// Fewest records of a topic: a smaller cluster goes to the nearest other one, a rarer key to
    /// the topic `(other)`.
    pub size_min: u64,
    /// Most records of a topic: a larger cluster is split until it fits.
    pub size_max: Option<u64>,
    /// Records that the clusters are trained on. Default: 256 for each, up to a million.
    pub sample: Option<usize>,
    /// Rounds of assigning and averaging.
    pub rounds: usize,
    /// Who trains: `own` or `faiss`.
    pub kmeans: Kmeans,
}

impl Default for TopicsOptions {
    fn default() -> Self {
        TopicsOptions {
            source: Source::Vectors,
            keys_by_corpus: false,
            vectors: None,
            format: Format::Auto,
            vector_words: None,
            embeddings: None,
            sif_a: 1e-3,
            topics: None,
            size_min: 10,
            size_max: None,
            sample: None,
            rounds: 12,
            kmeans: Kmeans::Own,
        }
    }
}

/// `[topics]`, resolved: options checked, files placed.
#[derive(Clone, Debug)]
pub struct TopicsPlan {
    /// The table.
    pub options: TopicsOptions,
    /// `vectors`: where the word vectors come from.
    pub vectors: Option<VectorFile>,
    /// `embeddings`: the directory of the dataset.
    pub embeddings: Option<PathBuf>,
    /// Every file that the stage reads, by the key that names it.
    pub files: Vec<(&'static str, PathBuf)>,
}

impl TopicsPlan {
    /// Checks the bounds and places the files, which must be there only when the stage runs.
    ///
    /// # Errors
    /// The key and the accepted values.
    pub(super) fn resolve(
        mut options: TopicsOptions,
        synonyms: Option<&SynonymsPlan>,
        base: &Path,
    ) -> Result<TopicsPlan, String> {
        options.check()?;
        let vectors = match (options.source, &options.vectors) {
            (Source::Keys | Source::Embeddings, _) => None,
            (Source::Vectors, Some(name)) => {
                let words = options.vector_words.as_ref().map(|name| base.join(name));
                Some(vector_file(base, name, options.format, words)?)
            }
            (Source::Vectors, None) => {
                let file = synonyms.and_then(|plan| plan.vectors.clone());
                let file = file.ok_or("vectors: give vectors = \"FILE\", or [synonyms] vectors")?;
                options.format = file.format;
                Some(file)
            }
        };
        let mut files = Vec::new();
        if let Some(file) = &vectors {
            files.push(("vectors", file.path.clone()));
            files.extend(file.words.clone().map(|path| ("vector_words", path)));
        }
        Ok(TopicsPlan {
            embeddings: options.embeddings.as_ref().map(|name| base.join(name)),
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
}

impl TopicsOptions {
    fn check(&self) -> Result<(), String> {
        let check = |fits: bool, message: &str| match fits {
            true => Ok(()),
            false => Err(message.to_string()),
        };
        let source = self.source;
        check(
            self.vectors.is_none() || source == Source::Vectors,
            "vectors: only with source = \"vectors\"",
        )?;
        check(
            self.vector_words.is_none() || self.vectors.is_some(),
            "vector_words: only with vectors = \"FILE\"",
        )?;
        check(
            self.embeddings.is_some() == (source == Source::Embeddings),
            "embeddings: source = \"embeddings\" and embeddings = \"DIR\" go together",
        )?;
        check(
            !self.keys_by_corpus || source == Source::Keys,
            "keys_by_corpus: only with source = \"keys\"",
        )?;
        check(
            self.sif_a > 0.0 && self.sif_a <= 1.0,
            "sif_a: above 0, at most 1",
        )?;
        check(
            self.topics
                .is_none_or(|topics| (2..=1_000_000).contains(&topics)),
            "topics: from 2 to 1000000",
        )?;
        check(
            self.size_max.is_none() || source != Source::Keys,
            "size_max: not with source = \"keys\", whose topics are as large as they are",
        )?;
        check(
            self.size_max
                .is_none_or(|max| max >= 1 && max >= self.size_min.saturating_mul(2)),
            "size_max: at least 1 and twice size_min",
        )?;
        check(
            self.sample
                .is_none_or(|sample| sample >= self.topics.unwrap_or(2)),
            "sample: at least 2 and one record for each of topics",
        )?;
        check((1..=1000).contains(&self.rounds), "rounds: from 1 to 1000")?;
        check(
            self.kmeans != Kmeans::Faiss || cfg!(feature = "faiss"),
            "kmeans = \"faiss\": this juzi was built without faiss; accepted is own",
        )
    }
}
