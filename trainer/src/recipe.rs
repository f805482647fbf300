//! The recipe of a training: one TOML file with every value that changes a result.

mod feed;

use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::augment::Options;
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
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            seed: 1,
            data: Data::default(),
            views: ViewOptions::default(),
            tokenizer: TokenizerOptions::default(),
            augment: Options::default(),
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
        let mut recipe = Recipe::parse(&text).map_err(|message| Error::Recipe {
            path: path.into(),
            message,
        })?;
        // Files in a recipe are relative to it, as in a plan.
        let base = path.parent().unwrap_or(Path::new(""));
        recipe.augment.place_files(base);
        recipe.data.place_files(base);
        recipe.tokenizer.place_files(base);
        Ok(recipe)
    }

    fn parse(text: &str) -> std::result::Result<Recipe, String> {
        let recipe: Recipe = toml::from_str(text).map_err(|error| error.to_string())?;
        recipe.augment.check()?;
        recipe.data.check()?;
        recipe.tokenizer.check(&recipe.views)?;
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

    /// Hash of all values but the places of files, which may move.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut placeless = self.clone();
        placeless.data.dataset.clear();
        placeless.data.synonyms.clear();
        placeless.tokenizer.path.clear();
        match &mut placeless.augment {
            Options::Luse(luse) => luse.stop_words.clear(),
            Options::Eda(eda) => eda.stop_words.clear(),
            Options::Operators(listed) => listed.stop_words.clear(),
        }
        Fingerprint::of_json(&placeless)
    }

    /// The same recipe with places that hold wherever it is put.
    ///
    /// # Errors
    /// The current directory is gone.
    pub fn placed(&self) -> Result<Recipe> {
        let mut placed = self.clone();
        let here = std::env::current_dir().map_err(Error::input("."))?;
        placed.data.place_files(&here);
        placed.tokenizer.place_files(&here);
        placed.augment.place_files(&here);
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
        let luse = include_str!("../recipes/luse.toml");
        assert_eq!(Recipe::parse(luse).unwrap(), Recipe::default());
        assert_eq!(Recipe::parse("").unwrap(), Recipe::default());
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
        assert!(paths.len() >= 3);
        for path in paths {
            let mut recipe = Recipe::read(&path.unwrap().path()).unwrap();
            recipe.tokenizer.path = "t".into();
            recipe.check_feed().unwrap();
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
            ("[tokenizer]\nword_ids = true", "[views] augmented = 0"),
        ];
        for (text, word) in cases {
            let message = Recipe::parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
