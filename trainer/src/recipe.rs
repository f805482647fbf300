//! The recipe of a training: one TOML file with every value that changes a result.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::augment::Options;
use crate::{Error, Result};

/// A recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Everything random follows from this number.
    pub seed: u64,
    /// How views of a text are made; without the table, as LUSE makes them.
    pub augment: Options,
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe {
            seed: 1,
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
        recipe
            .augment
            .place_files(path.parent().unwrap_or(Path::new("")));
        Ok(recipe)
    }

    fn parse(text: &str) -> std::result::Result<Recipe, String> {
        let recipe: Recipe = toml::from_str(text).map_err(|error| error.to_string())?;
        recipe.augment.check()?;
        Ok(recipe)
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
        ];
        for (text, word) in cases {
            let message = Recipe::parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
