//! The integration tests of juzi: the program as people run it, on corpora that the tests write.

#![allow(clippy::unwrap_used)]

mod augment;
mod batches;
mod batches_guards;
mod batches_inputs;
mod batches_read;
mod commands;
mod damaged;
mod determinism;
mod embed;
mod evaluation;
mod evaluation_refusals;
mod experiment;
mod feed;
mod fixtures;
mod inputs;
mod layers;
mod negatives;
mod negatives_oracle;
mod negatives_refusals;
mod negatives_resume;
mod negatives_rules;
mod negatives_vectors;
mod properties;
mod refusals;
mod resume;
mod rounds;
mod schemas;
mod splits;
mod stages;
mod support;
mod synonyms;
mod synonyms_lexicon;
mod synonyms_refusals;
mod synonyms_resume;
mod synonyms_vocabulary;
mod tidy;
mod topics;
mod topics_refusals;
mod topics_sources;
mod training;
mod vectors;
mod views;
mod whitening;
mod whole;
