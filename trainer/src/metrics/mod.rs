//! Metrics: plain functions of numbers, in f64. They know nothing of models, texts or files.

pub mod association;
pub mod binary;
pub mod classification;
pub mod clusters;
pub mod correlation;
pub mod eigen;
pub mod geometry;
pub mod ranking;
