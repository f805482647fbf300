//! The plan: what a TOML file says (low) and what it means (resolved once, then never questioned).

mod batches;
mod files;
mod negatives;
mod options;
mod synonyms;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use juzi_schemas::record::{Kind, Split};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::inputs::Input;
use crate::inputs::stream::Limits;
use crate::readers::{Reader, ReaderOptions, reader};
use crate::text::filters::FilterOptions;
use crate::views::View;

use files::{files, sort};

pub use batches::{BatchKind, BatchesOptions, BatchesPlan, GuardOptions, SourcesOptions};
pub use negatives::{
    ConsistencyOptions, Documents, Miner, NegativesOptions, NegativesPlan, Sampling, Unmatched,
};
pub use options::{NeighborOptions, PassageOptions, Pieces, Profile, ShardsOptions};
pub use synonyms::{Candidates, IndexKind, SynonymsOptions, SynonymsPlan, Vocabulary};
pub use topics::{Kmeans, Source, TopicsOptions, TopicsPlan};

/// A plan file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LowPlan {
    name: String,
    #[serde(default = "one")]
    seed: u64,
    #[serde(default)]
    corpora: Vec<LowCorpus>,
    #[serde(default)]
    evaluation: Vec<LowEvaluation>,
    #[serde(default)]
    shards: ShardsOptions,
    synonyms: Option<SynonymsOptions>,
    topics: Option<TopicsOptions>,
    negatives: Option<NegativesOptions>,
    batches: Option<BatchesOptions>,
}

fn one() -> u64 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LowCorpus {
    name: String,
    reader: String,
    #[serde(default)]
    train: Vec<String>,
    #[serde(default)]
    valid: Vec<String>,
    #[serde(default)]
    test: Vec<String>,
    #[serde(default)]
    views: Vec<String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    header: bool,
    #[serde(default)]
    paragraphs: bool,
    encoding: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LowEvaluation {
    name: String,
    reader: String,
    files: Vec<String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    header: bool,
    #[serde(default)]
    paragraphs: bool,
    encoding: Option<String>,
}

/// A corpus, resolved.
#[derive(Clone)]
pub struct Corpus {
    /// Its name in the plan.
    pub name: String,
    /// Name of its reader.
    pub reader_name: String,
    /// How its documents are read.
    pub reader: Arc<dyn Reader>,
    /// What is made of them.
    pub views: Vec<View>,
    /// The views as written.
    pub view_names: Vec<String>,
    /// Options of the reader.
    pub options: ReaderOptions,
}

/// A plan, resolved: corpora sorted by name, files found, views and readers made.
#[derive(Clone)]
pub struct Plan {
    /// The plan file.
    pub path: PathBuf,
    /// Its name; data goes to `data/<name>` unless told otherwise.
    pub name: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// The corpora, sorted by name.
    pub corpora: Vec<Corpus>,
    /// All their files, sorted.
    pub inputs: Vec<Input>,
    /// Evaluation sets, sorted by name; `corpus` of their inputs counts them.
    pub evaluation: Vec<Corpus>,
    /// Files of the evaluation sets.
    pub evaluation_inputs: Vec<Input>,
    /// The table of the stage `shards`.
    pub shards: ShardsOptions,
    /// The table of the stage `synonyms`, if the plan has it.
    pub synonyms: Option<SynonymsPlan>,
    /// The table of the stage `topics`, if the plan has it.
    pub topics: Option<TopicsPlan>,
    /// The table of the stage `negatives`, if the plan has it.
    pub negatives: Option<NegativesPlan>,
    /// The table of the stage `batches`, if the plan has it.
    pub batches: Option<BatchesPlan>,
}

impl Plan {
    /// Reads and resolves a plan; file names in it are relative to its directory.
    ///
    /// # Errors
    /// Names the key or file that is wrong and what is accepted.
    pub fn read(path: &Path) -> Result<Plan> {
        let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
        Plan::parse(&text, path)
    }

    /// Resolves the text of a plan.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Plan> {
        let wrong = |message: String| Error::Plan {
            path: path.into(),
            message,
        };
        let mut low: LowPlan = toml::from_str(text)
            .map_err(|error| wrong(error.to_string().trim_end().to_string()))?;
        check_name(&low.name).map_err(|message| wrong(format!("name: {message}")))?;
        if low.corpora.is_empty()
            && low
                .synonyms
                .as_ref()
                .is_none_or(SynonymsOptions::uses_shards)
        {
            return Err(wrong(
                "no [[corpora]]; `juzi init DIR` writes a plan for the files in a directory".into(),
            ));
        }
        low.corpora.sort_by(|a, b| a.name.cmp(&b.name));
        low.evaluation.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<&str> = low
            .corpora
            .iter()
            .map(|corpus| corpus.name.as_str())
            .collect();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong(format!(
                "two corpora are named `{}`; names must differ",
                twice[0]
            )));
        }
        let base = path.parent().unwrap_or(Path::new(""));
        let (mut corpora, mut inputs) = (Vec::new(), Vec::new());
        for (at, low) in low.corpora.iter().enumerate() {
            let place = |message: String| wrong(format!("corpora `{}`: {message}", low.name));
            check_name(&low.name).map_err(place)?;
            let options = ReaderOptions {
                columns: low.columns.clone(),
                header: low.header,
                paragraphs: low.paragraphs,
            };
            let corpus = corpus(&low.name, &low.reader, options, &low.views).map_err(place)?;
            for (split, patterns) in [
                (Split::Train, &low.train),
                (Split::Valid, &low.valid),
                (Split::Test, &low.test),
            ] {
                let found = files(
                    base,
                    patterns,
                    &corpus,
                    at as u16,
                    split,
                    low.encoding.as_deref(),
                )
                .map_err(place)?;
                inputs.extend(found);
            }
            corpora.push(corpus);
            if !inputs.iter().any(|input| input.corpus == at as u16) {
                return Err(place(
                    "no files; give train, valid or test = [\"file or glob\", …]".into(),
                ));
            }
        }
        let (mut evaluation, mut evaluation_inputs) = (Vec::new(), Vec::new());
        for (at, low) in low.evaluation.iter().enumerate() {
            let place = |message: String| wrong(format!("evaluation `{}`: {message}", low.name));
            let options = ReaderOptions {
                columns: low.columns.clone(),
                header: low.header,
                paragraphs: low.paragraphs,
            };
            let corpus = corpus(&low.name, &low.reader, options, &[]).map_err(place)?;
            let found = files(
                base,
                &low.files,
                &corpus,
                at as u16,
                Split::Test,
                low.encoding.as_deref(),
            );
            evaluation_inputs.extend(found.map_err(place)?);
            evaluation.push(corpus);
        }
        sort(&mut inputs);
        sort(&mut evaluation_inputs);
        low.shards
            .check()
            .map_err(|message| wrong(format!("[shards] {message}")))?;
        let synonyms = low
            .synonyms
            .map(|options| SynonymsPlan::resolve(options, base))
            .transpose()
            .map_err(|message| wrong(format!("[synonyms] {message}")))?;
        let topics = low
            .topics
            .map(|options| TopicsPlan::resolve(options, synonyms.as_ref(), base))
            .transpose()
            .map_err(|message| wrong(format!("[topics] {message}")))?;
        let negatives = low
            .negatives
            .map(|options| NegativesPlan::resolve(options, base))
            .transpose()
            .map_err(|message| wrong(format!("[negatives] {message}")))?;
        let batches = low
            .batches
            .map(|options| BatchesPlan::resolve(options, base))
            .transpose()
            .map_err(|message| wrong(format!("[batches] {message}")))?;
        let plan = Plan {
            path: path.into(),
            name: low.name,
            seed: low.seed,
            corpora,
            inputs,
            evaluation,
            evaluation_inputs,
            shards: low.shards,
            synonyms,
            topics,
            negatives,
            batches,
        };
        plan.check_lengths()
            .map_err(|message| wrong(format!("[shards] {message}")))?;
        Ok(plan)
    }

    /// A view must not make texts that the filters then drop as too long.
    fn check_lengths(&self) -> std::result::Result<(), String> {
        let filters = self.filters();
        filters.check()?;
        let uses = |wanted: fn(&View) -> bool| {
            self.corpora
                .iter()
                .any(|corpus| corpus.views.iter().any(wanted))
        };
        let views = [
            (
                "passages",
                uses(|view| matches!(view, View::Passages(_))),
                self.shards.passages.chars_max,
            ),
            (
                "neighbors",
                uses(|view| matches!(view, View::Neighbors(_))),
                self.shards.neighbors.chars_max,
            ),
        ];
        for (name, used, chars_max) in views {
            if used && filters.length.enabled && chars_max > filters.length.chars_max as usize {
                return Err(format!(
                    "{name}.chars_max is {chars_max}, but filters.length.chars_max drops what is longer than {}",
                    filters.length.chars_max
                ));
            }
        }
        Ok(())
    }

    /// Kinds of records that the plan can make, in order.
    pub fn kinds(&self) -> Vec<Kind> {
        let views = self.corpora.iter().flat_map(|corpus| &corpus.views);
        let kinds: BTreeSet<Kind> = views
            .flat_map(|view| view.kinds().iter().copied())
            .collect();
        kinds.into_iter().collect()
    }

    /// Names of the corpora, which rows refer to by index.
    pub fn corpus_names(&self) -> Vec<String> {
        self.corpora
            .iter()
            .map(|corpus| corpus.name.clone())
            .collect()
    }

    /// Filters in force.
    pub fn filters(&self) -> FilterOptions {
        self.shards
            .filters
            .clone()
            .unwrap_or_else(|| match self.shards.profile {
                Profile::Luse => FilterOptions::luse(),
                Profile::Default => FilterOptions::default(),
            })
    }

    /// Everything in the plan that can change the shards, without paths.
    pub fn resolved(&self) -> serde_json::Value {
        let corpus = |corpus: &Corpus| {
            serde_json::json!({
                "name": corpus.name, "reader": corpus.reader_name, "views": corpus.view_names,
                "options": corpus.options,
            })
        };
        let mut shards = self.shards.clone();
        shards.filters = Some(self.filters());
        serde_json::json!({
            "seed": self.seed,
            "corpora": self.corpora.iter().map(corpus).collect::<Vec<_>>(),
            "evaluation": self.evaluation.iter().map(corpus).collect::<Vec<_>>(),
            "encodings": self.encodings(),
            "shards": shards,
        })
    }

    /// Encodings other than UTF-8, by corpus and evaluation set.
    fn encodings(&self) -> BTreeMap<String, &'static str> {
        let named = |prefix: &'static str, corpora: &[Corpus], inputs: &[Input]| {
            let encoded = inputs
                .iter()
                .filter_map(|input| Some((usize::from(input.corpus), input.encoding?.name())));
            let named =
                encoded.map(|(at, encoding)| (format!("{prefix}{}", corpora[at].name), encoding));
            named.collect::<BTreeMap<_, _>>()
        };
        let mut all = named("", &self.corpora, &self.inputs);
        all.extend(named(
            "evaluation/",
            &self.evaluation,
            &self.evaluation_inputs,
        ));
        all
    }

    /// Bounds of blocks.
    pub fn limits(&self) -> Limits {
        Limits {
            unit_bytes: self.shards.unit_bytes.0 as usize,
            line_bytes_max: self.shards.line_bytes_max.0 as usize,
        }
    }
}

fn corpus(
    name: &str,
    reader_name: &str,
    options: ReaderOptions,
    views: &[String],
) -> std::result::Result<Corpus, String> {
    let reader: Arc<dyn Reader> = reader(reader_name, &options)?.into();
    let view_names = if views.is_empty() {
        reader.views()
    } else {
        views.to_vec()
    };
    let views = view_names
        .iter()
        .map(|view| View::parse(view, reader.as_ref()))
        .collect::<std::result::Result<_, _>>()?;
    Ok(Corpus {
        name: name.into(),
        reader_name: reader_name.into(),
        reader,
        views,
        view_names,
        options,
    })
}

fn check_name(name: &str) -> std::result::Result<(), String> {
    let fits = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    match !name.is_empty() && name.chars().all(fits) && !name.starts_with('.') {
        true => Ok(()),
        false => Err(format!(
            "`{name}` is no name; use letters, digits, `_`, `-` and `.`"
        )),
    }
}
