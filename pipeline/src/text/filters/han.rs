//! Texts that are not Chinese.

use serde::{Deserialize, Serialize};

use crate::text::filters::{
    Reason,
    counts::{Counts, share},
};

/// A bound on the share of Han characters. One column of a record must keep it: the other side of a
/// translation is not Chinese.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct HanOptions {
    /// Whether the filter is used.
    pub enabled: bool,
    /// The least share of Han characters among the characters that are no white space. Latin words are
    /// longer than Chinese ones (`什么是 Eclipse Medicare？` has 3 Han characters in 19), so a bound that keeps
    /// technical Chinese must be low; below it there are code, tables and other languages.
    pub share_min: f64,
}

impl Default for HanOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            share_min: 0.15,
        }
    }
}

/// The reason why a text is rejected.
pub fn reject(options: &HanOptions, counts: &Counts) -> Option<Reason> {
    (share(counts.han, counts.visible()) < options.share_min).then_some(Reason::LowHanShare)
}

#[cfg(test)]
mod tests {
    use super::{Counts, HanOptions, Reason, reject};

    #[test]
    fn code_and_english_are_rejected() {
        let of = |text: &str| reject(&HanOptions::default(), &Counts::of(text));
        assert_eq!(of("什么是 Eclipse Medicare？"), None);
        assert_eq!(of("这是中文。"), None);
        assert_eq!(of("Plain English."), Some(Reason::LowHanShare));
        assert_eq!(
            of("for index in range(10): 打印"),
            Some(Reason::LowHanShare)
        );
        assert_eq!(of(""), Some(Reason::LowHanShare));
    }
}
