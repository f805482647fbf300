//! Words that replacement by synonyms leaves alone.

use std::collections::HashSet;
use std::path::Path;

use crate::{Error, Result};

/// The list that juzi brings.
const BUILT_IN: &str = include_str!("../../../dictionaries/stop_words.txt");

/// A set of stop words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopWords {
    words: HashSet<String>,
}

impl StopWords {
    /// The words of a list in UTF-8: one entry a line, a line that begins with `#` is a comment.
    /// White space around an entry does not count.
    pub fn parse(list: &str) -> StopWords {
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        let words = lines.map(str::trim).filter(|word| !word.is_empty());
        StopWords {
            words: words.map(String::from).collect(),
        }
    }

    /// The list in a file; without one, the list that juzi brings.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: Option<&str>) -> Result<StopWords> {
        match path {
            None => Ok(StopWords::parse(BUILT_IN)),
            Some(path) => {
                let path = Path::new(path);
                let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
                Ok(StopWords::parse(&text))
            }
        }
    }

    /// Whether a word is one of them.
    pub fn contains(&self, word: &str) -> bool {
        self.words.contains(word)
    }
}

#[cfg(test)]
mod tests {
    use super::StopWords;

    #[test]
    fn comments_and_space_do_not_count() {
        let words = StopWords::parse("# a list\n的\n 了 \r\n\n#\n，");
        for word in ["的", "了", "，"] {
            assert!(words.contains(word), "{word}");
        }
        for word in ["# a list", "#", "", "好"] {
            assert!(!words.contains(word), "{word}");
        }
    }

    #[test]
    fn the_list_built_in_has_the_commonest() {
        let words = StopWords::read(None).unwrap();
        for word in ["的", "了", "是", "，", "。"] {
            assert!(words.contains(word), "{word}");
        }
        assert!(StopWords::read(Some("no/such/list.txt")).is_err());
    }
}
