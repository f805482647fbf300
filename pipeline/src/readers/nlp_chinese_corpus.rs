//! The five corpora of nlp_chinese_corpus, in their published fields.

use super::json::JsonLines;
use super::{Reader, Role};

/// wiki2019zh: encyclopedia articles; paragraphs of `text` are separated by blank lines.
pub fn wiki2019zh() -> Box<dyn Reader> {
    let columns = [("title", Role::Text), ("text", Role::Text)];
    Box::new(JsonLines::new(&columns, &["sentences"], None, None))
}

/// news2016zh: news with keywords; `source` is the topic that comes for free.
pub fn news2016zh() -> Box<dyn Reader> {
    let columns = [
        ("title", Role::Text),
        ("desc", Role::Text),
        ("content", Role::Text),
        ("keywords", Role::Other),
        ("source", Role::Other),
    ];
    Box::new(JsonLines::new(
        &columns,
        &["sentences"],
        Some("source"),
        None,
    ))
}

/// baike2018qa: questions with category and one answer each; `qid` is a string.
pub fn baike2018qa() -> Box<dyn Reader> {
    let columns = [
        ("title", Role::Text),
        ("desc", Role::Text),
        ("answer", Role::Text),
        ("category", Role::Other),
        ("qid", Role::Key),
    ];
    Box::new(JsonLines::new(
        &columns,
        &["sentences", "title->answer"],
        Some("category"),
        Some("qid"),
    ))
}

/// webtext2019zh: questions with many answers each; `qid` is a number.
pub fn webtext2019zh() -> Box<dyn Reader> {
    let columns = [
        ("title", Role::Text),
        ("desc", Role::Text),
        ("content", Role::Text),
        ("topic", Role::Other),
        ("qid", Role::Key),
        ("star", Role::Key),
    ];
    Box::new(JsonLines::new(
        &columns,
        &["sentences", "title->content"],
        Some("topic"),
        Some("qid"),
    ))
}

/// translation2019zh: sentence pairs; only the Chinese side is running text.
pub fn translation2019zh() -> Box<dyn Reader> {
    let columns = [("chinese", Role::Text), ("english", Role::Other)];
    Box::new(JsonLines::new(
        &columns,
        &["sentences", "chinese->english"],
        None,
        None,
    ))
}
