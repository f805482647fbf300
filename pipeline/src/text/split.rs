//! The `default` sentence splitter for Chinese text with Latin words, numbers and addresses in it.
//!
//! A sentence ends after a run of `。！？!?｡`, after an ellipsis of two or more `…` or six or more `.`,
//! after a full stop that is one, and at an end of line; closing quotes and brackets behind the mark
//! belong to the sentence. `;` and `；` end nothing, nor does a mark inside a quotation that the
//! sentence carries on behind (`“好吗？”，他问。`), nor one at the end of a title (`《你是谁？》`).
//!
//! The slices tile the text, so that positions can be traced back; callers trim.

use memchr::memchr_iter;

use crate::text::{
    characters::is_cjk,
    scan::{Candidates, Condition},
};

/// Splits `text` into its sentences.
///
/// The slices, put together, are `text` again. White space after a sentence belongs to it, and white
/// space before the first sentence to that one.
///
/// ```
/// # use juzi_pipeline::text::split::spans;
/// let spans: Vec<&str> = spans("版本 3.14 发布了！“真的吗？”他问。").collect();
/// assert_eq!(spans, ["版本 3.14 发布了！", "“真的吗？”", "他问。"]);
/// ```
pub fn spans(text: &str) -> Spans<'_> {
    let resume = text.len() - text.trim_start().len();
    Spans {
        text,
        candidates: Candidates::<Mark>::new(text),
        start: 0,
        resume,
        quotes: 0,
        quotes_counted_to: 0,
    }
}

/// How far before a `?` or `!` the beginning of a web address is looked for.
const ADDRESS_BYTES_MAX: usize = 512;

/// The iterator that [`spans`] returns.
pub struct Spans<'a> {
    text: &'a str,
    candidates: Candidates<'a, Mark>,
    /// Where the current sentence begins.
    start: usize,
    /// Where the next mark is looked for.
    resume: usize,
    /// The number of `"` from the start of the sentence to `quotes_counted_to`, if that is behind it.
    quotes: usize,
    quotes_counted_to: usize,
}

impl<'a> Iterator for Spans<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while let Some(at) = self.candidates.next() {
            if at < self.resume {
                continue;
            }
            if let Some(end) = self.end_at(at) {
                let end = end + white_space(&self.text[end..]);
                let span = &self.text[self.start..end];
                (self.start, self.resume) = (end, end);
                return Some(span);
            }
        }
        let rest = &self.text[self.start..];
        self.start = self.text.len();
        (!rest.is_empty()).then_some(rest)
    }
}

impl Spans<'_> {
    /// The end of the sentence, white space aside, when the marks that begin at `at` end one. Moves
    /// `resume` behind what needs no second look.
    fn end_at(&mut self, at: usize) -> Option<usize> {
        if self.text.as_bytes()[at] == b'\n' {
            return Some(at + 1);
        }
        let marks = Marks::read(&self.text[at..]);
        self.resume = at + marks.length.max(1);
        if let Some(end) = self.address_end(at) {
            self.resume = self.resume.max(end);
            return None;
        }
        let after_marks = at + marks.length;
        let ends = marks.strong > 0
            || marks.ellipses >= 2
            || marks.stops >= 6
            || (marks.stops == 1 && marks.ellipses == 0 && self.is_full_stop(at, after_marks));
        if !ends {
            return None;
        }
        self.with_closers(after_marks)
    }

    /// Adds the closing quotes and brackets that follow a mark at `after_marks`, unless what follows
    /// them shows that the sentence goes on.
    fn with_closers(&mut self, after_marks: usize) -> Option<usize> {
        let mut end = after_marks;
        let mut title = false;
        for c in self.text[after_marks..].chars() {
            match c {
                '》' | '〉' => title = true,
                '”' | '’' | '」' | '』' | '）' | '】' | '〕' | ')' | ']' => {}
                '"' if self.closes_straight_quote(end) => {}
                _ => break,
            }
            end += c.len_utf8();
        }
        match self.text[end..].chars().next() {
            Some('，' | '、' | '；' | '：' | ',' | ';' | ':') => None,
            Some(c) if end > after_marks && is_mark(c) => None,
            Some(c) if title && !c.is_whitespace() => None,
            _ => Some(end),
        }
    }

    /// True when the `"` at `at` closes a quotation of the current sentence: an odd number came before.
    fn closes_straight_quote(&mut self, at: usize) -> bool {
        let from = self.quotes_counted_to.max(self.start);
        if from == self.start {
            self.quotes = 0;
        }
        self.quotes += memchr_iter(b'"', &self.text.as_bytes()[from..at]).count();
        self.quotes_counted_to = at;
        self.quotes % 2 == 1
    }

    /// The end of the web address that the `?` or `!` at `at` is inside of.
    fn address_end(&self, at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        if !matches!(bytes[at], b'?' | b'!')
            || !bytes.get(at + 1).is_some_and(|&byte| is_address_byte(byte))
        {
            return None;
        }
        let before = &bytes[self.start.max(at.saturating_sub(ADDRESS_BYTES_MAX))..at];
        let length = before
            .iter()
            .rev()
            .take_while(|&&byte| byte.is_ascii_graphic())
            .count();
        let word = &before[before.len() - length..];
        let begins = |prefix: &[u8]| {
            word.windows(prefix.len())
                .any(|part| part.eq_ignore_ascii_case(prefix))
        };
        if !(begins(b"://") || begins(b"www.")) {
            return None;
        }
        Some(
            at + bytes[at..]
                .iter()
                .take_while(|&&byte| is_address_byte(byte))
                .count(),
        )
    }

    /// True when the single `.` or `．` at `at` is a full stop and not part of a number, a name or an
    /// abbreviation; `after` is the position behind it.
    fn is_full_stop(&self, at: usize, after: usize) -> bool {
        let sentence = &self.text[self.start..at];
        let Some(before) = sentence.chars().next_back() else {
            return false;
        };
        let rest = &self.text[after..];
        let next = rest.chars().next();
        let ends_word = next.is_none_or(|c| {
            c.is_whitespace()
                || is_cjk(c) && !is_wide_alphanumeric(c)
                || matches!(c, '"' | ')' | ']' | '“'..='”' | '‘'..='’')
        });
        if !ends_word {
            return false;
        }
        // `approx. five`: no sentence begins with a small letter.
        if next.is_some_and(char::is_whitespace)
            && rest
                .trim_start()
                .starts_with(|c: char| c.is_ascii_lowercase())
        {
            return false;
        }
        match before {
            '0'..='9' => next.is_none() || !is_ordinal(sentence),
            'a'..='z' | 'A'..='Z' => !is_abbreviation(sentence, next),
            _ => true,
        }
    }
}

/// The run of marks at the start of a text.
#[derive(Default)]
struct Marks {
    /// Its length in bytes.
    length: usize,
    /// Marks that always end a sentence.
    strong: usize,
    /// `…` and `⋯`.
    ellipses: usize,
    /// `.` and `．`.
    stops: usize,
}

impl Marks {
    fn read(text: &str) -> Self {
        let mut marks = Self::default();
        for c in text.chars() {
            match c {
                '。' | '！' | '？' | '!' | '?' | '｡' => marks.strong += 1,
                '…' | '⋯' => marks.ellipses += 1,
                '.' | '．' => marks.stops += 1,
                _ => break,
            }
            marks.length += c.len_utf8();
        }
        marks
    }
}

fn is_mark(c: char) -> bool {
    matches!(
        c,
        '。' | '！' | '？' | '!' | '?' | '｡' | '…' | '⋯' | '.' | '．'
    )
}

fn is_wide_alphanumeric(c: char) -> bool {
    matches!(c, '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ')
}

/// The bytes that can follow a `?` or `!` inside a web address.
fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'*+,;=%|".contains(&byte)
}

/// True when `sentence`, up to a `.`, ends in the number of a list item or section: `1`, `2.1`, `一、2`.
fn is_ordinal(sentence: &str) -> bool {
    let before = sentence.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let short = sentence.len() - before.len() <= ORDINAL_BYTES_MAX;
    let apart = before.trim_end().chars().next_back();
    short && apart.is_none_or(|c| matches!(c, '，' | '、' | '；' | '：' | '（' | '('))
}

/// The longest number of a list item or section: `12.10.3`.
const ORDINAL_BYTES_MAX: usize = 7;

/// Words that are written with a `.` and seldom end a sentence, in small letters.
const ABBREVIATIONS: &[&str] = &[
    "al", "apr", "approx", "aug", "ave", "bros", "cf", "co", "col", "corp", "dec", "dept", "dr",
    "ed", "eds", "eg", "est", "etc", "feb", "fig", "figs", "gen", "gov", "ie", "inc", "jan", "jr",
    "jul", "jun", "llc", "lt", "ltd", "mar", "mr", "mrs", "ms", "mt", "no", "nos", "nov", "oct",
    "op", "pp", "prof", "rep", "rev", "sec", "sen", "sep", "sept", "sgt", "sr", "st", "univ",
    "viz", "vol", "vols", "vs",
];

/// True when `sentence`, up to a `.`, ends in an abbreviation: one letter, or a word of the list.
fn is_abbreviation(sentence: &str, next: Option<char>) -> bool {
    let before = sentence.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let word = &sentence[before.len()..];
    if word.len() == 1 {
        // `J. K. Rowling` and `A.北京` are initials and choices; `维生素C.` is the end.
        let after_han = before.chars().next_back().is_some_and(is_cjk);
        return next.is_some() && !(after_han && next.is_some_and(is_cjk));
    }
    next.is_some()
        && ABBREVIATIONS
            .iter()
            .any(|abbreviation| abbreviation.eq_ignore_ascii_case(word))
}

/// The length of the white space at the start of `text`.
#[inline]
fn white_space(text: &str) -> usize {
    match text.as_bytes().first() {
        // Most sentences are followed by a Han character.
        None | Some(0xE4..=0xE9) => 0,
        _ => text.len() - text.trim_start().len(),
    }
}

/// The beginnings of marks and ends of line, and of nothing else.
struct Mark;

impl Condition for Mark {
    #[inline(always)]
    fn holds(first: u8, second: u8, third: u8) -> bool {
        let ascii = (first == b'\n') | (first == b'!') | (first == b'?') | (first == b'.');
        let stop = (first == 0xE3) & (second == 0x80) & (third == 0x82);
        let wide = (second == 0xBC) & ((third == 0x81) | (third == 0x9F) | (third == 0x8E));
        let half = (second == 0xBD) & (third == 0xA1);
        let ellipsis = ((second == 0x80) & (third == 0xA6)) | ((second == 0x8B) & (third == 0xAF));
        ascii | stop | ((first == 0xEF) & (wide | half)) | ((first == 0xE2) & ellipsis)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    use super::spans;

    /// Texts with `|` between their sentences.
    const GOLDEN: &[&str] = &[
        "",
        "没有句号",
        "第一句。|第二句！|第三句？|完",
        "真的吗？！|太好了!!!|对吧?!",
        "半角句号｡|下一句",
        "他说……|算了",
        "他说…算了。",
        "等等......|好吧",
        "等等...好吧。",
        "“走吧！”|他说。",
        "“走吧！”，他说。",
        "“走吧！”；“好。”|完",
        "“你好！”。|下一句",
        "他问：“真的吗？”|“真的。”",
        "「好。」|『好！』|完",
        "（真的吗？）|他走了。",
        "（见第 3 页。）|下一句",
        "电影《你是谁？》上映了。",
        "我看了《你是谁？》",
        "我看了《你是谁？》。|很好",
        "好！，走。",
        "他说：\"走吧。\"|\"好。\"|完",
        "他走了。|\"好。\"",
        "第一行\n|第二行\n\n|第三行",
        "\n  开头。 |第二句。\n　　|第三句",
        "圆周率是3.14。|下一句",
        "版本 1.2.3 发布。|下载 v2.0.",
        "见 http://www.juzi.cn/a?b=1&c=2!x 页面。|好",
        "访问 www.juzi.cn/?q=a 吧！|好",
        "看http://t.cn/a?b。|好",
        "写信给 a.b@juzi.cn 吧。|谢谢",
        "打开 main.rs 文件.|然后编译",
        "使用 Node.js 和 ASP.NET 开发。",
        "Mr. Wang met Dr. Li. |They talked.",
        "We use tools, e.g. Rust, i.e. not Go. |好",
        "He lives in the U.S. now. |She too.",
        "J. K. Rowling wrote it. |Good.",
        "Apple Inc. and IBM Corp. merged. |No. 5 is here.",
        "It is approx. five metres. |Yes.",
        "1.清晨的风。 |2.鸟名。",
        "1. 首先 2。|完",
        "步骤：1.打开。|2.关闭。",
        "A.北京 B.上海",
        "多吃维生素C.|另外多喝水",
        "他今年25.|她今年30.|",
        "中文句号用点.|下一句.|好",
        "全角．|下一句",
        "３．１４是圆周率。",
        "分号；不分；句子。|好",
        "分号; 不分; 句子。|好",
        "Is it? |Yes! |Good.",
        "Hello!|World",
        "He said \"Stop!\" |Then he left.",
        "运行 ./a.out 或 .bashrc 文件",
        "好！！！……？|完",
        "a=b?|c:d。|好",
    ];

    #[test]
    fn golden() {
        for golden in GOLDEN {
            let text = golden.replace('|', "");
            let expected: Vec<&str> = golden.split('|').filter(|span| !span.is_empty()).collect();
            assert_eq!(spans(&text).collect::<Vec<_>>(), expected, "{golden}");
        }
    }

    #[test]
    fn long_runs_are_not_read_again_and_again() {
        for part in ["?a", "http://a?", ".", "\"!,", "a.", "…", "1.", "！”，"] {
            let text = part.repeat(200_000);
            assert_eq!(spans(&text).map(str::len).sum::<usize>(), text.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_spans_tile_the_text(text in "([ab1一。！？!?.．…\"”》，, \n　]|http://|www\\.|\\PC){0,80}") {
            let spans: Vec<&str> = spans(&text).collect();
            prop_assert_eq!(spans.concat(), text.as_str());
            prop_assert!(spans.iter().skip(1).all(|span| !span.starts_with(char::is_whitespace)));
        }
    }
}
