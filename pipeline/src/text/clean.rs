//! The `default` cleaning: one text in, the same text without the noise of its file out.
//!
//! Everything is done in one pass over the text. `Candidates` finds the characters that could have
//! to change; what lies between them is copied as slices, and a text in which nothing changes is
//! returned as it came, without a copy. Cleaning twice is cleaning once.

use memchr::memchr3;
use serde::{Deserialize, Serialize};

use crate::text::{
    effect::{Effect, Unclean, effect},
    escape,
    html::{self, Trace},
    rewrite::Rewrite,
    scan::Candidates,
    simplify::Simplifier,
};

/// What is cleaned. Every step can be switched off by itself.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct CleanOptions {
    /// Full-width letters, digits and symbols (U+FF01..U+FF5E) become ASCII, and the ideographic space
    /// a space. `！，：；？（）` are Chinese punctuation and stay. Only width is folded, not meaning:
    /// `①`, `㎡`, `Ⅳ`, `￥` and half-width katakana, which NFKC would rewrite, stay.
    pub width: bool,
    /// Entities are decoded, tags of known HTML elements are removed; those of blocks (`<br>`, `<p>`)
    /// become ends of line. `a < b`, `<stdio.h>` and `<数字>` stay.
    pub html: bool,
    /// Control and zero-width characters and the marks of writing direction are removed; `\r\n`, `\r`,
    /// U+0085, U+2028 and U+2029 become `\n`, and so does `\` followed by `n` next to Chinese text, which
    /// a broken export left there. Variation selectors stay.
    pub control: bool,
    /// Runs of white space become one space, and vanish at the ends of a line and next to Chinese or
    /// Japanese characters and punctuation. Ends of line stay, as they end sentences; several become one.
    pub whitespace: bool,
    /// Traditional characters become simplified ones (OpenCC `t2s`).
    pub simplified: bool,
}

impl Default for CleanOptions {
    fn default() -> Self {
        Self {
            width: true,
            html: true,
            control: true,
            whitespace: true,
            simplified: false,
        }
    }
}

/// Cleans texts as its [`CleanOptions`] say. Threads can share one.
pub struct Cleaner {
    options: CleanOptions,
    simplifier: Option<Simplifier>,
}

/// Passes after which markup inside markup is taken for noise.
const PASSES_MAX: usize = 16;

impl Cleaner {
    /// Prepares a cleaner. Fails when the conversion tables of OpenCC cannot be read.
    pub fn new(options: &CleanOptions) -> Result<Self, String> {
        let simplifier = options.simplified.then(Simplifier::new).transpose()?;
        Ok(Self {
            options: options.clone(),
            simplifier,
        })
    }

    /// Cleans `text`: returns `text` itself when there is nothing to change, otherwise the cleaned text
    /// in `out`, whose former content is discarded.
    pub fn clean<'a>(&self, text: &'a str, out: &'a mut String) -> &'a str {
        out.clear();
        let mut changed = self.pass(text, out);
        if changed && memchr3(b'<', b'&', b'\\', out.as_bytes()).is_some() {
            self.settle(out);
        }
        if let Some(simplifier) = &self.simplifier
            && let Some(simplified) = simplifier.simplify(if changed { out } else { text })
        {
            *out = simplified;
            changed = true;
        }
        if changed { out } else { text }
    }

    /// Cleans until nothing changes: removing `<b>` from `<b<b>r>` leaves `<br>`.
    #[cold]
    fn settle(&self, out: &mut String) {
        let mut next = String::new();
        for _ in 0..PASSES_MAX {
            if !self.pass(out, &mut next) {
                return;
            }
            std::mem::swap(out, &mut next);
            next.clear();
        }
        out.retain(|c| !matches!(c, '<' | '&' | '\\'));
        if self.pass(out, &mut next) {
            *out = next;
        }
    }

    /// One pass from `text` to the empty `out`; false when nothing had to change and `out` is still empty.
    fn pass(&self, text: &str, out: &mut String) -> bool {
        let mut rewrite = Rewrite::new(text, out);
        let mut next = 0;
        for at in Candidates::<Unclean>::new(text) {
            if at >= next {
                next = at + self.step(&mut rewrite, at);
            }
        }
        rewrite.finish()
    }

    /// Handles the candidate at `at` and returns the bytes that are dealt with.
    #[inline(always)]
    fn step(&self, rewrite: &mut Rewrite, at: usize) -> usize {
        let text = rewrite.text;
        let byte = text.as_bytes()[at];
        if matches!(byte, b' ' | b'\n') && self.options.whitespace && rewrite.is_usual(at) {
            return 1;
        }
        if self.options.html && byte == b'&' {
            let Some(entity) = html::entity(&text[at + 1..]) else {
                return 1;
            };
            self.put(rewrite, entity.first, at, 1 + entity.length);
            if let Some(second) = entity.second {
                self.put(rewrite, second, at + 1 + entity.length, 0);
            }
            return 1 + entity.length;
        }
        if self.options.html && byte == b'<' {
            let Some((trace, length)) = html::tag(&text[at..]) else {
                return 1;
            };
            self.apply(rewrite, Effect::Gap(trace), at, length);
            return length;
        }
        if self.options.control && byte == b'\\' {
            let Some(length) = escape::newlines(text, at) else {
                return 1;
            };
            self.apply(rewrite, Effect::Gap(Trace::Newline), at, length);
            return length;
        }
        let c = text[at..]
            .chars()
            .next()
            .expect("a candidate begins a character");
        match effect(&self.options, c) {
            Effect::Keep => {}
            // The `\n` of `\r\n` is the end of line.
            Effect::Gap(Trace::Newline) if text[at..].starts_with("\r\n") => {
                self.apply(rewrite, Effect::Gap(Trace::Nothing), at, 1);
            }
            effect => self.apply(rewrite, effect, at, c.len_utf8()),
        }
        c.len_utf8()
    }

    /// Puts the decoded `c` in the place of the `length` bytes at `at`.
    fn put(&self, rewrite: &mut Rewrite, c: char, at: usize, length: usize) {
        let effect = match effect(&self.options, c) {
            Effect::Keep => Effect::Put(c),
            effect => effect,
        };
        self.apply(rewrite, effect, at, length);
    }

    #[inline(always)]
    fn apply(&self, rewrite: &mut Rewrite, effect: Effect, at: usize, length: usize) {
        match effect {
            Effect::Keep => {}
            Effect::Put(c) => rewrite.put(c, at, length),
            Effect::Gap(trace) if self.options.whitespace => rewrite.widen_gap(trace, at, length),
            Effect::Gap(Trace::Nothing) => rewrite.replace("", at, length),
            Effect::Gap(Trace::Space) => rewrite.replace(" ", at, length),
            Effect::Gap(Trace::Newline) => rewrite.replace("\n", at, length),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

    use super::{CleanOptions, Cleaner};

    fn clean(text: &str) -> String {
        let cleaner = Cleaner::new(&CleanOptions::default()).unwrap();
        cleaner.clean(text, &mut String::new()).to_owned()
    }

    #[test]
    fn golden() {
        let cases = [
            ("", ""),
            (" \n\t ", ""),
            ("无需改动，真的。", "无需改动，真的。"),
            ("Plain English text, too.", "Plain English text, too."),
            // Width.
            ("ＡＢＣ１２３％＋", "ABC123%+"),
            (
                "价格：１００元（含税），好！行；对？",
                "价格：100元（含税），好！行；对？",
            ),
            ("３．１４", "3.14"),
            ("①㎡Ⅳ￥ｶﾅ", "①㎡Ⅳ￥ｶﾅ"),
            // Markup.
            ("第一行<br>第二行<BR/>第三行", "第一行\n第二行\n第三行"),
            ("<p>段落</p><p class=\"x\">段落</p>", "段落\n段落"),
            ("<b>粗</b>体<a href=\"http://x\">链接</a>", "粗体链接"),
            ("<td>甲</td><td>b</td><td>c</td>", "甲b c"),
            (
                "a < b，#include <stdio.h>，<数字>",
                "a < b，#include <stdio.h>，<数字>",
            ),
            ("&lt;br&gt;甲&amp;lt;br&amp;gt;乙", "甲\n乙"),
            ("AT&T&nbsp;&nbsp;公司&ldquo;好&rdquo;", "AT&T公司“好”"),
            ("&#65313;&#x3000;b", "A b"),
            ("＜ｂｒ＞甲＜ｂｒ＞乙", "甲\n乙"),
            ("<b<b>r>甲", "甲"),
            ("甲<script>if (a<b) {}</script>乙", "甲\n乙"),
            // Control.
            (
                "甲\u{200B}乙\u{FEFF}丙\u{0}丁\u{7F}戊\u{AD}己\u{202E}",
                "甲乙丙丁戊己",
            ),
            ("一\r\n二\r三\u{2028}四\u{85}五", "一\n二\n三\n四\n五"),
            ("❤\u{FE0F}", "❤\u{FE0F}"),
            (
                r"第一段。\n　　第二段\n\n第三段",
                "第一段。\n第二段\n第三段",
            ),
            (r"print('\n') 是“\n”", r"print('\n')是“\n”"),
            // White space.
            ("使用 Python 语言", "使用Python语言"),
            ("two  words \t three", "two words three"),
            ("  开头 和 结尾  ", "开头和结尾"),
            ("一 。二", "一。二"),
            ("段落一\n\n\n　　段落二 \n", "段落一\n段落二"),
            ("line one \n line two", "line one\nline two"),
            ("he said “hello” twice", "he said “hello” twice"),
            ("a \u{200B} b", "a b"),
            ("한국어 단어", "한국어 단어"),
            ("a&nbsp;&#25105; b", "a我b"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_clean_is_not_copied() {
        let cleaner = Cleaner::new(&CleanOptions::default()).unwrap();
        for text in [
            "一句，两句。",
            "two words\nand a line",
            "a < b & c",
            "！（），：；？",
        ] {
            let mut out = String::new();
            let cleaned = cleaner.clean(text, &mut out);
            assert!(std::ptr::eq(cleaned, text), "{text}");
        }
    }

    #[test]
    fn simplified() {
        let options = CleanOptions {
            simplified: true,
            ..CleanOptions::default()
        };
        let cleaner = Cleaner::new(&options).unwrap();
        let mut out = String::from("old");
        assert_eq!(
            cleaner.clean("中國留學生　diss華裔老師", &mut out),
            "中国留学生diss华裔老师"
        );
        assert_eq!(cleaner.clean("简体", &mut out), "简体");
    }

    #[test]
    fn markup_in_markup_is_settled_in_the_end() {
        let text = format!("{}甲{}", "<b".repeat(40), ">".repeat(40));
        let once = clean(&text);
        assert_eq!(clean(&once), once);
        let nested = format!("&{}lt;br>甲", "amp;".repeat(100_000));
        assert_eq!(clean(&nested), "甲");
    }

    #[test]
    fn a_switch_that_is_off_leaves_its_characters() {
        let off = CleanOptions {
            width: false,
            html: false,
            control: false,
            whitespace: false,
            simplified: false,
        };
        let text = " Ａ&amp;<b>\u{200B}\r\n\n　x \u{85}";
        assert_eq!(
            Cleaner::new(&off).unwrap().clean(text, &mut String::new()),
            text
        );
        let control = CleanOptions {
            control: true,
            ..off
        };
        assert_eq!(
            Cleaner::new(&control)
                .unwrap()
                .clean(text, &mut String::new()),
            " Ａ&amp;<b>\n\n　x \n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn cleaning_twice_is_cleaning_once(
            text in "([ab一。，“\u{200B}\u{85}\u{A0}\u{3000} \r\n<>&;/＜＞＆Ａ]|<br>|<b|&lt;|&gt;|&amp|&#38;|\\\\n|\\\\|nbsp|&ThickSpace;|<td |=|\\PC){0,40}",
            (width, html, control, whitespace) in any::<(bool, bool, bool, bool)>(),
        ) {
            let options = CleanOptions { width, html, control, whitespace, simplified: false };
            let cleaner = Cleaner::new(&options).unwrap();
            let (mut first, mut second) = (String::new(), String::new());
            let once = cleaner.clean(&text, &mut first);
            prop_assert_eq!(cleaner.clean(once, &mut second), once);
        }
    }
}
