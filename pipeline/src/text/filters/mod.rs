//! Filters: which records are kept. Each one is a pure function of a text and its own options.

use juzi_schemas::dropped::Reason;
use serde::{Deserialize, Serialize};

pub mod boilerplate;
pub mod contact;
pub mod counts;
pub mod han;
pub mod length;
pub mod repeats;
pub mod symbols;

use crate::text::filters::boilerplate::{Boilerplate, BoilerplateOptions};
use crate::text::filters::contact::ContactOptions;
use crate::text::filters::counts::Counts;
use crate::text::filters::han::HanOptions;
use crate::text::filters::length::LengthOptions;
use crate::text::filters::repeats::RepeatsOptions;
use crate::text::filters::symbols::SymbolsOptions;

/// The filters of a plan, each a table of its own: `[filters.length]`.
#[derive(Deserialize, Serialize, Clone, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct FilterOptions {
    /// Too short or too long.
    pub length: LengthOptions,
    /// Not Chinese.
    pub han: HanOptions,
    /// Tables, scores, formulas.
    pub symbols: SymbolsOptions,
    /// The same again and again.
    pub repeats: RepeatsOptions,
    /// Phrases of web pages.
    pub boilerplate: BoilerplateOptions,
    /// Addresses, telephone numbers, accounts.
    pub contact: ContactOptions,
}

impl FilterOptions {
    /// What LUSE filters: texts of fewer than two characters, and nothing else.
    pub fn luse() -> Self {
        Self {
            length: LengthOptions {
                enabled: true,
                chars_min: 2,
                chars_max: u32::MAX,
            },
            han: HanOptions {
                enabled: false,
                ..HanOptions::default()
            },
            symbols: SymbolsOptions {
                enabled: false,
                ..SymbolsOptions::default()
            },
            repeats: RepeatsOptions {
                enabled: false,
                ..RepeatsOptions::default()
            },
            boilerplate: BoilerplateOptions { enabled: false },
            contact: ContactOptions { enabled: false },
        }
    }
}

impl FilterOptions {
    /// Looks at every bound.
    ///
    /// # Errors
    /// The key that no text could keep.
    pub fn check(&self) -> Result<(), String> {
        let options = self;
        if options.length.chars_min > options.length.chars_max {
            return Err("filters.length: chars_min is greater than chars_max".to_owned());
        }
        let shares = [
            ("han.share_min", options.han.share_min),
            ("symbols.share_max", options.symbols.share_max),
            (
                "repeats.character_share_max",
                options.repeats.character_share_max,
            ),
            (
                "repeats.sequence_share_max",
                options.repeats.sequence_share_max,
            ),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("filters.{key} is {value}; a share is from 0 to 1"));
            }
        }
        Ok(())
    }
}

/// The filters that are used. Threads can share one.
pub struct Filters {
    options: FilterOptions,
    boilerplate: Option<Boilerplate>,
    /// Whether any filter needs more than the number of characters.
    needs_counts: bool,
}

impl Filters {
    /// Prepares the filters; `phrases` are those of the boilerplate dictionary. Fails on a bound that
    /// no text can keep, or a phrase that is empty.
    pub fn new(options: &FilterOptions, phrases: &[&str]) -> Result<Self, String> {
        options.check()?;
        let options = options.clone();
        let boilerplate = options
            .boilerplate
            .enabled
            .then(|| Boilerplate::new(phrases))
            .transpose()?;
        let needs_counts =
            options.han.enabled || options.symbols.enabled || options.repeats.enabled;
        Ok(Self {
            options,
            boilerplate,
            needs_counts,
        })
    }

    /// The first reason why the record with the text columns `texts` is not kept.
    ///
    /// Every column must pass every filter, but one column with enough Han characters is enough: the
    /// other side of a translation is not Chinese. A record without columns passes.
    pub fn reject(&self, texts: &[&str]) -> Option<Reason> {
        let options = &self.options;
        let mut low_han_share = options
            .han
            .enabled
            .then_some(Reason::LowHanShare)
            .filter(|_| !texts.is_empty());
        let mut reason = None;
        for text in texts {
            let counts = self.counts(text);
            if options.length.enabled
                && let Some(reason) = length::reject(&options.length, counts.chars)
            {
                return Some(reason);
            }
            if options.han.enabled && low_han_share.is_some() {
                low_han_share = han::reject(&options.han, &counts);
            }
            reason = reason.or_else(|| self.reject_text(text, &counts));
        }
        low_han_share.or(reason)
    }

    fn counts(&self, text: &str) -> Counts {
        if self.needs_counts {
            Counts::of(text)
        } else {
            // Only the bounds on the length are asked; where they surely hold nothing is counted.
            let fits = length::surely_fits(&self.options.length, text.len());
            Counts {
                chars: if fits {
                    text.len()
                } else {
                    text.chars().count()
                },
                ..Counts::default()
            }
        }
    }

    /// The filters that every column must pass, length aside.
    fn reject_text(&self, text: &str, counts: &Counts) -> Option<Reason> {
        let options = &self.options;
        let symbols = || {
            options
                .symbols
                .enabled
                .then(|| symbols::reject(&options.symbols, counts))?
        };
        let repeats = || {
            options
                .repeats
                .enabled
                .then(|| repeats::reject(&options.repeats, text, counts))?
        };
        let boilerplate = || self.boilerplate.as_ref()?.reject(text);
        let contact = || options.contact.enabled.then(|| contact::reject(text))?;
        symbols()
            .or_else(repeats)
            .or_else(boilerplate)
            .or_else(contact)
    }
}

#[cfg(test)]
mod tests {
    use super::{FilterOptions, Filters, Reason};

    #[test]
    fn one_reason_for_each_filter() {
        let filters = Filters::new(&FilterOptions::default(), &["版权所有"]).unwrap();
        let cases = [
            ("今天天气很好。", None),
            ("是的", Some(Reason::TooShort)),
            ("Only English here.", Some(Reason::LowHanShare)),
            ("95:88 (23-20,25-20) 胜", Some(Reason::LowHanShare)),
            (
                "这场比赛的比分是 95:88 (23-20,25-20,18-25)",
                Some(Reason::HighSymbolShare),
            ),
            ("哈哈哈哈哈哈哈哈哈哈", Some(Reason::RepeatedCharacters)),
            ("本站版权所有。", Some(Reason::Boilerplate)),
            ("请打电话13812345678给我们吧", Some(Reason::Contact)),
        ];
        for (text, expected) in cases {
            assert_eq!(filters.reject(&[text]), expected, "{text}");
        }
        assert_eq!(
            filters.reject(&["很长".repeat(300).as_str()]),
            Some(Reason::TooLong)
        );
        assert_eq!(filters.reject(&[]), None);
    }

    #[test]
    fn one_chinese_column_is_enough() {
        let filters = Filters::new(&FilterOptions::default(), &[]).unwrap();
        assert_eq!(filters.reject(&["It is raining.", "正在下雨。"]), None);
        assert_eq!(
            filters.reject(&["It is raining.", "Il pleut."]),
            Some(Reason::LowHanShare)
        );
        assert_eq!(
            filters.reject(&["正在下雨。", "雨"]),
            Some(Reason::TooShort)
        );
        assert_eq!(
            filters.reject(&["http://juzi.cn", "正在下雨。"]),
            Some(Reason::Contact)
        );
    }

    #[test]
    fn luse_drops_single_characters_only() {
        let filters = Filters::new(&FilterOptions::luse(), &["版权所有"]).unwrap();
        assert_eq!(filters.reject(&["字"]), Some(Reason::TooShort));
        for text in ["ab", "版权所有", "http://juzi.cn", "----------"] {
            assert_eq!(filters.reject(&[text]), None);
        }
    }

    #[test]
    fn impossible_bounds_are_errors() {
        let mut options = FilterOptions::default();
        options.symbols.share_max = 1.5;
        assert!(Filters::new(&options, &[]).is_err());
        options = FilterOptions::default();
        options.length.chars_min = 1000;
        assert!(Filters::new(&options, &[]).is_err());
    }

    #[test]
    fn a_table_may_leave_out_what_it_does_not_change() {
        let options: FilterOptions =
            serde_json::from_str(r#"{"length": {"chars_min": 8}, "contact": {"enabled": false}}"#)
                .unwrap();
        assert_eq!(
            (options.length.chars_min, options.length.chars_max),
            (8, 512)
        );
        assert!(!options.contact.enabled && options.han.enabled);
        assert!(serde_json::from_str::<FilterOptions>(r#"{"lenght": {}}"#).is_err());
    }
}
