//! Embedders for tests.

use std::collections::BTreeMap;

use super::{Embedder, Role, Vectors};
use crate::{Error, Result};

/// Vectors that a test says.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Vectors by text.
    pub vectors: BTreeMap<String, Vec<f32>>,
}

impl Given {
    /// Texts and their vectors.
    pub fn new<T: Into<String>>(vectors: impl IntoIterator<Item = (T, Vec<f32>)>) -> Given {
        let vectors = vectors.into_iter();
        Given {
            vectors: vectors
                .map(|(text, vector)| (text.into(), vector))
                .collect(),
        }
    }
}

impl Embedder for Given {
    fn embed(&mut self, texts: &[&str], _role: Role) -> Result<Vectors> {
        let mut values = Vec::new();
        let mut dimension = 0;
        for &text in texts {
            let missing = || Error::Usage(format!("no vector for `{text}`"));
            let vector = self.vectors.get(text).ok_or_else(missing)?;
            dimension = vector.len();
            values.extend(vector);
        }
        Vectors::dense(dimension, values)
    }
}
