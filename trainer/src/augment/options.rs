//! The table `[augment]` of a recipe: how views of a text are made.

use serde::{Deserialize, Serialize};

use super::operators::Operator;

/// The table `[augment]`; its key `mode` says which of the procedures is meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Options {
    /// LUSE's procedure.
    Luse(Luse),
    /// The procedure of the EDA paper's program.
    Eda(Eda),
    /// A list of operators.
    Operators(Listed),
}

/// `mode = "luse"`: EDA as LUSE does it (DunZhang/LUSE, `NLPAugmenter.py`).
///
/// Of each of the four operators `floor(views / 4) + 1` candidates are made, all are shuffled and
/// the first `views` kept. The original is not among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Luse {
    /// Views of each text in each epoch; at least 1.
    pub views: u32,
    /// Share of words that replacement, insertion and swap touch, `max(1, floor(alpha * words))`,
    /// and the probability with which deletion drops a word; 0 to 1.
    pub alpha: f64,
    /// What becomes of a view that equals its text.
    pub unchanged: Unchanged,
    /// A file of words that replacement leaves alone, one a line, relative to the recipe; "" means the list built in.
    pub stop_words: String,
}

/// `mode = "eda"`: EDA as its authors publish it (Wei and Zou 2019; jasonwei20/eda_nlp, `eda.py`).
///
/// As `luse`, but each operator has its own strength and is off where that is 0, and the original
/// comes after the views. Words are joined without spaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eda {
    /// Views of each text in each epoch, the original not counted: a whole number; or, below 1, a
    /// number of views to expect: each of the candidates is kept with probability
    /// `views / candidates`. The `num_aug` of the program.
    pub views: f64,
    /// Share of words replaced by a synonym; 0 to 1, 0 turns replacement off.
    pub alpha_sr: f64,
    /// Share of words inserted; 0 to 1, 0 turns insertion off.
    pub alpha_ri: f64,
    /// Share of words swapped; 0 to 1, 0 turns swaps off.
    pub alpha_rs: f64,
    /// Probability with which a word is dropped; 0 to 1, 0 turns deletion off.
    pub p_rd: f64,
    /// What becomes of a view that equals its text (the original at the end is meant to).
    pub unchanged: Unchanged,
    /// A file of words that replacement leaves alone, one a line, relative to the recipe; "" means the list built in.
    pub stop_words: String,
}

/// `mode = "operators"`: views by operators of your choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Views of each text in each epoch; at least 1.
    #[serde(default = "four")]
    pub views: u32,
    /// Which of the operators make a view.
    #[serde(default)]
    pub apply: Apply,
    /// The operators, such as `{ name = "crop", rate = 0.1 }`.
    pub operators: Vec<Operator>,
    /// What becomes of a view that equals its text.
    #[serde(default)]
    pub unchanged: Unchanged,
    /// A file of words that replacement leaves alone, one a line, relative to the recipe; "" means the list built in.
    #[serde(default)]
    pub stop_words: String,
}

/// Which of the listed operators make a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// All of them, one after another, in the order of the list.
    #[default]
    All,
    /// One of them, each view draws which.
    One,
}

/// What becomes of a view that equals its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unchanged {
    /// It is a view like any other.
    #[default]
    Keep,
    /// It is made again by the same operators, up to 8 times; after that it stays, counted as unchanged.
    Refuse,
}

fn four() -> u32 {
    4
}

impl Default for Options {
    fn default() -> Options {
        Options::Luse(Luse::default())
    }
}

impl Default for Luse {
    fn default() -> Luse {
        Luse {
            views: 4,
            alpha: 0.1,
            unchanged: Unchanged::Keep,
            stop_words: String::new(),
        }
    }
}

impl Default for Eda {
    fn default() -> Eda {
        Eda {
            views: 9.0,
            alpha_sr: 0.1,
            alpha_ri: 0.1,
            alpha_rs: 0.1,
            p_rd: 0.1,
            unchanged: Unchanged::Keep,
            stop_words: String::new(),
        }
    }
}

impl Options {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Options::Luse(luse) => {
                at_least_one(luse.views)?;
                share("alpha", luse.alpha)
            }
            Options::Eda(eda) => {
                let whole = eda.views >= 1.0 && eda.views.fract() == 0.0 && eda.views <= 1e6;
                if !(whole || eda.views > 0.0 && eda.views < 1.0) {
                    let accepted = "a whole number from 1 on, or a number between 0 and 1";
                    return Err(format!("[augment] views = {}: {accepted}", eda.views));
                }
                let names = ["alpha_sr", "alpha_ri", "alpha_rs", "p_rd"];
                let rates = [eda.alpha_sr, eda.alpha_ri, eda.alpha_rs, eda.p_rd];
                names.iter().zip(rates).try_for_each(|(n, r)| share(n, r))?;
                match rates.iter().any(|&rate| rate > 0.0) {
                    true => Ok(()),
                    false => Err(format!(
                        "[augment] one of {} must be above 0",
                        names.join(", ")
                    )),
                }
            }
            Options::Operators(listed) => {
                at_least_one(listed.views)?;
                listed.check()
            }
        }
    }

    /// What becomes of a view that equals its text.
    pub fn unchanged(&self) -> Unchanged {
        match self {
            Options::Luse(luse) => luse.unchanged,
            Options::Eda(eda) => eda.unchanged,
            Options::Operators(listed) => listed.unchanged,
        }
    }

    /// The file of stop words, if it is not the list built in.
    pub fn stop_words(&self) -> Option<&str> {
        let path = match self {
            Options::Luse(luse) => &luse.stop_words,
            Options::Eda(eda) => &eda.stop_words,
            Options::Operators(listed) => &listed.stop_words,
        };
        Some(path.as_str()).filter(|path| !path.is_empty())
    }

    /// Puts the names of files, which are relative to the recipe, below its directory.
    pub fn place_files(&mut self, base: &std::path::Path) {
        let path = match self {
            Options::Luse(luse) => &mut luse.stop_words,
            Options::Eda(eda) => &mut eda.stop_words,
            Options::Operators(listed) => &mut listed.stop_words,
        };
        if !path.is_empty() {
            *path = base.join(&path).to_string_lossy().into_owned();
        }
    }

    /// The same options with another number of views.
    pub fn with_views(mut self, views: u32) -> Options {
        match &mut self {
            Options::Luse(luse) => luse.views = views,
            Options::Eda(eda) => eda.views = f64::from(views),
            Options::Operators(listed) => listed.views = views,
        }
        self
    }
}

impl Listed {
    fn check(&self) -> Result<(), String> {
        let count = self.operators.len();
        if count == 0 {
            return Err("[augment] operators: at least one is needed".into());
        }
        for (at, operator) in self.operators.iter().enumerate() {
            let key = format!("rate of {}", operator.name.name());
            share(&key, operator.rate)?;
            if operator.name.is_last() && self.apply == Apply::All && at + 1 < count {
                let name = operator.name.name();
                return Err(format!(
                    "[augment] operators: {name} leaves no words and must come last"
                ));
            }
        }
        Ok(())
    }
}

fn share(key: &str, value: f64) -> Result<(), String> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(format!(
            "[augment] {key} = {value}: a number from 0 to 1 is wanted"
        )),
    }
}

fn at_least_one(views: u32) -> Result<(), String> {
    match views {
        1..=1_000_000 => Ok(()),
        _ => Err(format!("[augment] views = {views}: 1 to 1,000,000")),
    }
}
