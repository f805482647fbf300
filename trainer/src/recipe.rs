//! The recipe of a training: one TOML file with every value that changes a result.

mod difference;
mod feed;

use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::augment::Options;
use crate::checkpoint;
use crate::encoder::EncoderOptions;
use crate::loader::RECIPE;
use crate::losses;
use crate::losses::mlm::MlmOptions;
use crate::losses::retromae::RetroMaeOptions;
use crate::optimizer::OptimizerOptions;
use crate::rounds::RoundsOptions;
use crate::schedule::ScheduleOptions;
use crate::training::{EvaluationOptions, TrainingOptions};
use crate::{Error, Result};

pub use feed::{Data, TokenizerOptions, ViewOptions};

/// A recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Everything random follows from this number.
    pub seed: u64,
    /// Which records are seen, in which order.
    pub data: Data,
    /// How many sequences become of a text; without the table, as LUSE has it.
    pub views: ViewOptions,
    /// How a text becomes token ids.
    pub tokenizer: TokenizerOptions,
    /// How views of a text are made; without the table, as LUSE makes them.
    pub augment: Options,
    /// The model that is trained; a feed alone needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderOptions>,
    /// The loss over the vectors of a batch; a feed alone needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<losses::Options>,
    /// A masked language model besides, or alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm: Option<MlmOptions>,
    /// RetroMAE: the state of a text is trained to rebuild the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retromae: Option<RetroMaeOptions>,
    /// How weights follow gradients.
    pub optimizer: OptimizerOptions,
    /// How the learning rate moves, and how long the training is.
    pub schedule: ScheduleOptions,
    /// How a training goes on, stops and is kept.
    pub training: TrainingOptions,
    /// What a training is measured on while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationOptions>,
    /// Trainings one after another, each on negatives mined by the one before; without the table,
    /// one training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<RoundsOptions>,
}

/// What batches follow from: the part of a recipe that the record of a feed is about.
#[derive(Serialize)]
struct Fed<'a> {
    seed: u64,
    data: &'a Data,
    views: &'a ViewOptions,
    tokenizer: &'a TokenizerOptions,
    augment: &'a Options,
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            seed: 1,
            data: Data::default(),
            views: ViewOptions::default(),
            tokenizer: TokenizerOptions::default(),
            augment: Options::default(),
            encoder: None,
            loss: None,
            mlm: None,
            retromae: None,
            optimizer: OptimizerOptions::default(),
            schedule: ScheduleOptions::default(),
            training: TrainingOptions::default(),
            evaluation: None,
            rounds: None,
        }
    }
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// The file cannot be read, or says something that cannot be.
    pub fn read(path: &Path) -> Result<Recipe> {
        let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
        Recipe::in_file(&text, path)
    }

    /// The recipe that a text is where it stands in a file.
    ///
    /// # Errors
    /// It says something that cannot be.
    pub fn in_file(text: &str, path: &Path) -> Result<Recipe> {
        let wrong = |message| Error::Recipe {
            path: path.into(),
            message,
        };
        let mut recipe = Recipe::parse(text).map_err(wrong)?;
        // Files in a recipe are relative to it, as in a plan.
        let base = path.parent().unwrap_or(Path::new(""));
        recipe.place_files(base);
        recipe.follow_runs()?;
        if let Some(evaluation) = &mut recipe.evaluation {
            // A feed needs no tasks; a training does and says so.
            if Path::new(&evaluation.file).exists() {
                evaluation.take_file().map_err(|error| match error {
                    Error::Usage(message) => wrong(message),
                    error => error,
                })?;
            }
        }
        Ok(recipe)
    }

    fn parse(text: &str) -> std::result::Result<Recipe, String> {
        let recipe: Recipe = toml::from_str(text).map_err(|error| error.to_string())?;
        recipe.augment.check()?;
        recipe.data.check()?;
        recipe.tokenizer.check(&recipe.views)?;
        recipe.optimizer.check()?;
        recipe.schedule.check()?;
        recipe.training.check()?;
        if let Some(loss) = &recipe.loss {
            loss.check()?;
        }
        if let Some(encoder) = &recipe.encoder {
            encoder.check()?;
        }
        if let Some(mlm) = &recipe.mlm {
            mlm.check()?;
        }
        if let Some(retromae) = &recipe.retromae {
            retromae.check()?;
        }
        if let Some(evaluation) = &recipe.evaluation {
            evaluation.check()?;
        }
        if let Some(rounds) = &recipe.rounds {
            rounds.check()?;
        }
        Ok(recipe)
    }

    /// Checks what a feed needs and a look at views does not.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check_feed(&self) -> std::result::Result<(), String> {
        self.views.check(&self.augment)?;
        match self.tokenizer.path.is_empty() {
            true => Err("[tokenizer] path: no tokenizer is named".into()),
            false => Ok(()),
        }
    }

    /// Checks what a training needs and a feed does not.
    ///
    /// # Errors
    /// The table that is missing.
    pub fn check_training(&self) -> std::result::Result<(), String> {
        self.check_feed()?;
        if self.encoder.is_none() {
            return Err("[encoder]: no model is named; a training needs this table".into());
        }
        match (&self.loss, &self.mlm, &self.retromae) {
            (None, None, None) => Err(
                "[loss]: no loss is named, nor is there [mlm] or [retromae]; without one of these \
                 tables a recipe can feed but not train"
                    .into(),
            ),
            (_, Some(_), Some(_)) => Err(
                "[mlm] and [retromae]: RetroMAE has a masked language model of its own; leave one \
                 of them out"
                    .into(),
            ),
            _ => Ok(()),
        }
    }

    /// Hash of all values that batches follow from but the places of files, which may move.
    pub fn fingerprint(&self) -> Fingerprint {
        let placeless = self.placeless();
        Fingerprint::of_json(&Fed {
            seed: placeless.seed,
            data: &placeless.data,
            views: &placeless.views,
            tokenizer: &placeless.tokenizer,
            augment: &placeless.augment,
        })
    }

    /// Hash of all values but the places of files.
    pub fn training_fingerprint(&self) -> Fingerprint {
        Fingerprint::of_json(&self.placeless())
    }

    /// The same recipe without places.
    fn placeless(&self) -> Recipe {
        let mut placeless = self.clone();
        placeless.data.dataset.clear();
        placeless.data.synonyms.clear();
        placeless.tokenizer.path.clear();
        if let Some(encoder) = &mut placeless.encoder {
            encoder.path.clear();
        }
        if let Some(evaluation) = &mut placeless.evaluation {
            evaluation.clear_files();
        }
        if let Some(rounds) = &mut placeless.rounds {
            rounds.plan.clear();
        }
        match &mut placeless.augment {
            Options::Luse(luse) => luse.stop_words.clear(),
            Options::Eda(eda) => eda.stop_words.clear(),
            Options::Operators(listed) => listed.stop_words.clear(),
        }
        placeless
    }

    fn place_files(&mut self, base: &Path) {
        self.augment.place_files(base);
        self.data.place_files(base);
        self.tokenizer.place_files(base);
        if let Some(encoder) = &mut self.encoder {
            encoder.place_files(base);
        }
        if let Some(evaluation) = &mut self.evaluation {
            evaluation.place_files(base);
        }
        if let Some(rounds) = &mut self.rounds {
            rounds.place_files(base);
        }
    }

    /// Takes a run that stands in place of a model for its newest checkpoint, and one in place of a
    /// tokenizer for the tokenizer that it had; so recipes can follow each other.
    fn follow_runs(&mut self) -> Result<()> {
        if let Some(encoder) = &mut self.encoder {
            let path = Path::new(&encoder.path);
            // Without a checkpoint it stays a run: a feed needs no model, and a training says so.
            if checkpoint::is_run(path)
                && let Ok(dir) = checkpoint::find(path, checkpoint::Step::Latest)
            {
                encoder.path = dir.to_string_lossy().into_owned();
            }
        }
        let path = Path::new(&self.tokenizer.path);
        let run = match checkpoint::is_run(path) {
            true => Some(path.into()),
            false => checkpoint::run_of(path),
        };
        if let Some(run) = run {
            let path = run.join(RECIPE);
            let text = std::fs::read_to_string(&path).map_err(Error::input(&path))?;
            let own = Recipe::parse(&text).map_err(|message| Error::Recipe { path, message })?;
            self.tokenizer = TokenizerOptions {
                path: own.tokenizer.path,
                ..self.tokenizer.clone()
            };
            // That of a run is a place that holds anywhere.
            self.tokenizer.place_files(&run);
        }
        Ok(())
    }

    /// The same recipe with places that hold wherever it is put.
    ///
    /// # Errors
    /// The current directory is gone.
    pub fn placed(&self) -> Result<Recipe> {
        let mut placed = self.clone();
        let here = std::env::current_dir().map_err(Error::input("."))?;
        placed.place_files(&here);
        Ok(placed)
    }

    /// The resolved recipe: every key, defaults too.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe has a TOML form")
    }
}

#[cfg(test)]
mod tests {
    use super::Recipe;
    use crate::augment::Options;

    #[test]
    fn the_default_is_luse() {
        let luse = Recipe::parse(include_str!("../recipes/luse.toml")).unwrap();
        let default = Recipe::default();
        assert_eq!(Recipe::parse("").unwrap(), default);
        assert_eq!((luse.augment, luse.views), (default.augment, default.views));
        assert_eq!(luse.tokenizer, default.tokenizer);
        assert_eq!(luse.loss, Some(crate::losses::Options::default()));
        assert!(matches!(Recipe::default().augment, Options::Luse(_)));
    }

    #[test]
    fn what_is_resolved_reads_back() {
        let texts = [
            "",
            "seed = 9\n[augment]\nmode = 'eda'\nviews = 0.5\nalpha_rs = 0",
            "[augment]\nmode = 'operators'\napply = 'one'\n\
             operators = [{ name = 'crop', rate = 0.1 }, { name = 'word_repetition', rate = 0.32 }]",
        ];
        for text in texts {
            let recipe = Recipe::parse(text).unwrap();
            assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
        }
    }

    #[test]
    fn recipes_that_come_with_juzi_lack_only_places() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        let paths: Vec<_> = std::fs::read_dir(dir).unwrap().collect();
        assert!(paths.len() >= 6);
        for path in paths {
            let mut recipe = Recipe::read(&path.unwrap().path()).unwrap();
            recipe.tokenizer.path = "t".into();
            recipe.check_training().unwrap();
        }
    }

    #[test]
    fn a_feed_needs_more() {
        let of = |text: &str| Recipe::parse(text).unwrap().check_feed().unwrap_err();
        let cases = [
            ("", "[tokenizer] path"),
            ("[views]\naugmented = 3", "[augment] makes 4"),
            (
                "[views]\naugmented = 9\n[augment]\nmode = 'eda'\nalpha_sr = 0\nalpha_ri = 0\nalpha_rs = 0",
                "[augment] makes 3",
            ),
            (
                "[views]\ncolumns = ['anchr']",
                "[views] columns: no `anchr`; there are text, anchor",
            ),
        ];
        for (text, word) in cases {
            assert!(of(text).contains(word), "{text}: {}", of(text));
        }
        let good = "[tokenizer]\npath = 't'\n[views]\naugmented = 0";
        assert_eq!(Recipe::parse(good).unwrap().check_feed(), Ok(()));
    }

    #[test]
    fn the_fingerprint_knows_values_and_no_places() {
        let of = |text: &str| Recipe::parse(text).unwrap().fingerprint();
        let places = "[data]\ndataset = 'a'\nsynonyms = 'b'\n[tokenizer]\npath = 'c'\n\
                      [augment]\nmode = 'luse'\nstop_words = 'd'";
        assert_eq!(of(places), of(""));
        let values = [
            "seed = 2",
            "[data]\nsize = 3",
            "[views]\ncopies = 3",
            "[tokenizer]\nlength_max = 9",
        ];
        let all: std::collections::BTreeSet<_> = values.iter().map(|text| of(text)).collect();
        assert!(all.len() == 4 && !all.contains(&of("")));
    }

    #[test]
    fn a_training_needs_more() {
        let of = |text: &str| {
            let text = format!("{text}\n[tokenizer]\npath = 't'\n[views]\naugmented = 0");
            Recipe::parse(&text).unwrap().check_training()
        };
        let model = "[encoder]\npath = 'm'\n";
        let loss = "[loss]\nname = 'info_nce'\n";
        assert!(of(loss).unwrap_err().contains("[encoder]"));
        assert!(of(model).unwrap_err().contains("[loss]: no loss is named"));
        assert_eq!(of(&format!("{model}{loss}")), Ok(()));
    }

    #[test]
    fn tables_of_the_training_leave_the_record_of_a_feed_alone() {
        let of = |text: &str| Recipe::parse(text).unwrap();
        let (plain, trained) = (of(""), of("[optimizer]\nlearning_rate = 0.1"));
        assert_eq!(plain.fingerprint(), trained.fingerprint());
        assert_ne!(plain.training_fingerprint(), trained.training_fingerprint());
        // Records of runs name this value; it is that of recipes before there was a training.
        assert_eq!(plain.fingerprint().to_string(), FED);
    }

    #[test]
    fn an_evaluation_counts_by_its_values() {
        let of = |text: &str| Recipe::parse(text).unwrap();
        let task = |file: &str, steps: u64| {
            let of_task = "[evaluation.tasks.sts]\nevaluator = 'similarity'";
            of(&format!(
                "[evaluation]\nsteps = {steps}\n{of_task}\nfiles = ['{file}']"
            ))
        };
        let (one, moved, other) = (task("a.tsv", 1), task("b.tsv", 1), task("a.tsv", 2));
        assert_eq!(one.training_fingerprint(), moved.training_fingerprint());
        assert_ne!(one.training_fingerprint(), other.training_fingerprint());
        assert_eq!(one.fingerprint(), of("").fingerprint());
        assert_eq!(Recipe::parse(&one.to_toml()).unwrap(), one);
        // Recipes from before there were evaluations are what they were.
        assert!(!of("").to_toml().contains("evaluation"));
        assert_eq!(
            other.differences(&one),
            ["[evaluation] steps: 1 there, 2 here"]
        );
    }

    const FED: &str = "d82e808d4d9f65e97bc52ecbd7d728af";

    #[test]
    fn differences_are_named_key_by_key() {
        let of = |text: &str| Recipe::parse(text).unwrap();
        let here = of("seed = 2\n[schedule]\nsteps = 200\n[data]\ndataset = 'a'");
        let there = of("[optimizer]\nbetas = [0.9, 0.98]\n[loss]\nname = 'info_nce'");
        assert_eq!(
            here.differences(&there),
            [
                "[optimizer] betas: [0.9, 0.98] there, [0.9, 0.999] here",
                "[schedule] steps: not there, 200 here",
                "seed: 1 there, 2 here",
                "loss: a table there, not here",
            ]
        );
        assert!(here.differences(&here).is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("sed = 1", "sed"),
            ("[augment]\nmode = 'luse'\nalpa = 1", "alpa"),
            ("[augment]\nmode = 'word2vec'", "word2vec"),
            ("[augment]\nmode = 'luse'\nalpha = 1.5", "alpha"),
            ("[augment]\nmode = 'luse'\nviews = 0", "views"),
            ("[augment]\nmode = 'eda'\nviews = 1.5", "views"),
            (
                "[augment]\nmode = 'eda'\nalpha_sr = 0\nalpha_ri = 0\nalpha_rs = 0\np_rd = 0",
                "p_rd",
            ),
            ("[augment]\nmode = 'operators'\noperators = []", "operators"),
            (
                "[augment]\nmode = 'operators'\noperators = [{ name = 'crop', rate = -1 }]",
                "crop",
            ),
            (
                "[augment]\nmode = 'operators'\noperators = [\
                 { name = 'character_deletion', rate = 0.1 }, { name = 'crop', rate = 0.1 }]",
                "last",
            ),
            ("[augment]\nunchanged = 'maybe'", "mode"),
            ("[data]\nsize = 0", "[data] size = 0: 1 to 1000000"),
            ("[data]\nkind = 'poem'", "poem"),
            ("[data]\nsplit = 'dev'", "dev"),
            ("[data]\nbatch = 3", "batch"),
            ("[views]\nviews = 3", "views"),
            (
                "[tokenizer]\nlength_max = 2",
                "[tokenizer] length_max = 2: 3 to",
            ),
            ("[tokenizer]\npad_multiple = 0", "pad_multiple = 0"),
            (
                "[optimizer]\nlearning_rate = -1",
                "[optimizer] learning_rate",
            ),
            ("[schedule]\nsteps = 0", "[schedule] steps = 0"),
            ("[training]\nlog_steps = 0", "[training] log_steps = 0"),
            ("[loss]\nname = 'magic'", "magic"),
            ("[tokenizer]\nword_ids = true", "[views] augmented = 0"),
        ];
        for (text, word) in cases {
            let message = Recipe::parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
