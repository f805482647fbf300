//! Numbers in JSON that read back to the bit: as text, which Rust writes and reads exactly.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a number as the shortest text that means it.
///
/// # Errors
/// The format takes no text.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads it.
///
/// # Errors
/// The text is no number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(Error::custom)
}
