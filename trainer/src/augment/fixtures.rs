//! Small tables and sentences for tests.

use std::path::Path;
use std::sync::Arc;

use juzi_schemas::synonym::{Source, Synonyms, SynonymsBuilder};

use super::{Augmenter, Name, Operator, Options, StopWords, View, Views, Words};

/// A table of words with their synonyms.
pub(crate) fn synonyms(table: &[(&str, &[&str])]) -> Arc<Synonyms> {
    let mut builder = SynonymsBuilder::default();
    for (word, synonyms) in table {
        for (rank, synonym) in (1..).zip(*synonyms) {
            builder.push(word, rank, synonym, None, Source::Import);
        }
    }
    let batch = builder.finish().unwrap();
    Arc::new(Synonyms::from_batches(&[batch], Path::new("test")).unwrap())
}

/// A sentence written with a space between words.
pub(crate) struct Cut {
    pub text: String,
    pub lengths: Vec<u16>,
}

impl Cut {
    pub(crate) fn new(words: &str) -> Cut {
        Cut::of(words.split(' ').filter(|word| !word.is_empty()))
    }

    pub(crate) fn of<'a>(words: impl Iterator<Item = &'a str> + Clone) -> Cut {
        let lengths = words.clone().map(|word| word.chars().count() as u16);
        Cut {
            lengths: lengths.collect(),
            text: words.collect(),
        }
    }

    pub(crate) fn words(&self, id: u128) -> Words<'_> {
        Words {
            id,
            number: 0,
            text: &self.text,
            lengths: &self.lengths,
        }
    }
}

/// Views of records 0..count, with what was done; `visit` sees each.
pub(crate) fn each_view(
    augmenter: &mut Augmenter,
    cut: &Cut,
    count: u128,
    mut visit: impl FnMut(u128, usize, View<'_>),
) {
    let mut views = Views::new(true);
    for id in 0..count {
        views.clear();
        augmenter.views(&cut.words(id), 0, &mut views).unwrap();
        for (number, view) in views.iter().enumerate() {
            visit(id, number, view);
        }
    }
}

/// An augmenter that applies one operator to each of `views` views.
pub(crate) fn one(name: Name, rate: f64, views: u32, table: &Arc<Synonyms>) -> Augmenter {
    let listed = super::Listed {
        views,
        apply: super::Apply::All,
        operators: vec![Operator { name, rate }],
        unchanged: super::Unchanged::Keep,
        stop_words: String::new(),
    };
    let options = Options::Operators(listed);
    options.check().unwrap();
    Augmenter::new(&options, table.clone(), &StopWords::default(), 1)
}
