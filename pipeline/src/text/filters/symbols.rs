//! Texts that are tables, scores, formulas or ornaments.

use serde::{Deserialize, Serialize};

use crate::text::filters::{
    Reason,
    counts::{Counts, share},
    repeats::SHARE_OF_MIN,
};

/// A bound on the share of digits, punctuation and symbols. Every column of a record must keep it.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SymbolsOptions {
    /// Whether the filter is used.
    pub enabled: bool,
    /// The greatest share of numbers, punctuation and symbols among the characters that are no white
    /// space, in texts of 10 or more of them; a run of digits is one. Running Chinese has about 0.1, a
    /// sentence full of dates and prices below 0.5.
    pub share_max: f64,
}

impl Default for SymbolsOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            share_max: 0.5,
        }
    }
}

/// The reason why a text is rejected.
pub fn reject(options: &SymbolsOptions, counts: &Counts) -> Option<Reason> {
    let visible = counts.visible();
    let high = visible >= SHARE_OF_MIN
        && share(counts.symbols, visible - counts.digits_joined) > options.share_max;
    high.then_some(Reason::HighSymbolShare)
}

#[cfg(test)]
mod tests {
    use super::{Counts, Reason, SymbolsOptions, reject};

    #[test]
    fn tables_are_rejected() {
        let of = |text: &str| reject(&SymbolsOptions::default(), &Counts::of(text));
        assert_eq!(of("2016年3月5日，收盘价为12.50元。"), None);
        assert_eq!(
            of("总分 95 : 88 (23-20, 25-22, 24-26)"),
            Some(Reason::HighSymbolShare)
        );
        assert_eq!(of("★★★★★ 推荐 ★★★★★"), Some(Reason::HighSymbolShare));
        assert_eq!(of("1.亦作“马”。"), None);
        assert_eq!(of(""), None);
    }
}
