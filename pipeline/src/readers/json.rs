//! JSON lines: the engine behind every layout with one JSON object a line, and the `jsonl` reader.

use std::borrow::Cow;
use std::fmt;

use juzi_schemas::dropped::Reason;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Column, Document, Reader, ReaderOptions, Reject, Role, column, names, nesting};

/// One JSON object a line with known string fields.
pub struct JsonLines {
    columns: Vec<Column>,
    views: Vec<String>,
    topic: Option<usize>,
    group: Option<usize>,
}

impl JsonLines {
    /// A layout with these columns and default views; `topic` and `group` name columns.
    pub fn new(
        columns: &[(&str, Role)],
        views: &[&str],
        topic: Option<&str>,
        group: Option<&str>,
    ) -> JsonLines {
        let columns: Vec<Column> = columns
            .iter()
            .map(|&(name, role)| column(name, role))
            .collect();
        let find = |name| {
            columns
                .iter()
                .position(|column: &Column| column.name == name)
        };
        let (topic, group) = (topic.and_then(find), group.and_then(find));
        let views = views.iter().map(|view| view.to_string()).collect();
        JsonLines {
            columns,
            views,
            topic,
            group,
        }
    }
}

/// The `jsonl` reader: the plan names the fields.
///
/// # Errors
/// The plan names no fields, or names that cannot be used.
pub fn reader(options: &ReaderOptions) -> Result<Box<dyn Reader>, String> {
    let columns = names::columns("jsonl", &options.columns)?;
    let views = names::views(&columns);
    Ok(Box::new(JsonLines {
        columns,
        views,
        topic: None,
        group: None,
    }))
}

impl Reader for JsonLines {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn views(&self) -> Vec<String> {
        self.views.clone()
    }

    fn topic_column(&self) -> Option<usize> {
        self.topic
    }

    fn group_column(&self) -> Option<usize> {
        self.group
    }

    fn read<'a>(&self, raw: &'a str, document: &mut Document<'a>) -> Result<(), Reject> {
        nesting::check(raw)?;
        let mut wrong = None;
        let mut parser = sonic_rs::Deserializer::from_str(raw);
        let object = Object {
            columns: &self.columns,
            values: &mut document.columns,
            wrong: &mut wrong,
        };
        let parsed = object.deserialize(&mut parser).and_then(|()| parser.end());
        match (wrong, parsed) {
            (Some(detail), _) => Err(Reject::new(Reason::WrongType, detail)),
            (None, Err(error)) => Err(Reject::new(
                Reason::InvalidJson,
                first_line(&error.to_string()),
            )),
            (None, Ok(())) => Ok(()),
        }
    }
}

/// The parser appends a drawing of the place; the ledger wants its first line.
pub(crate) fn first_line(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_string()
}

struct Object<'s, 'a> {
    columns: &'s [Column],
    values: &'s mut [Cow<'a, str>],
    wrong: &'s mut Option<String>,
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(at) = map.next_key_seed(Key(self.columns))? {
            let Some(at) = at else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let column = &self.columns[at];
            match map.next_value_seed(Value {
                number: column.role != Role::Text,
            })? {
                // A key that comes twice counts as in other JSON readers: the last one holds.
                Found::Text(text) => self.values[at] = text,
                Found::Wrong(kind) => {
                    *self.wrong = Some(format!("field `{}` is {kind}", column.name))
                }
            }
        }
        Ok(())
    }
}

/// Index of a wanted column, from its key.
struct Key<'s>(&'s [Column]);

impl<'a> DeserializeSeed<'a> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|column| column.name == key))
    }
}

enum Found<'a> {
    Text(Cow<'a, str>),
    Wrong(&'static str),
}

struct Value {
    number: bool,
}

impl Value {
    fn number<'a>(&self, text: impl fmt::Display) -> Found<'a> {
        if self.number {
            Found::Text(Cow::Owned(text.to_string()))
        } else {
            Found::Wrong("a number, not a string")
        }
    }
}

impl<'a> DeserializeSeed<'a> for Value {
    type Value = Found<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Found<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value {
    type Value = Found<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Found<'a>, E> {
        Ok(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<'a>, E> {
        Ok(Found::Text(Cow::Owned(text.to_string())))
    }

    fn visit_string<E>(self, text: String) -> Result<Found<'a>, E> {
        Ok(Found::Text(Cow::Owned(text)))
    }

    fn visit_unit<E>(self) -> Result<Found<'a>, E> {
        Ok(Found::Text(Cow::Borrowed("")))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Found<'a>, E> {
        self.visit_unit()
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found<'a>, E> {
        Ok(self.number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Found<'a>, E> {
        Ok(self.number(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Found<'a>, E> {
        Ok(self.number(value))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'a>, E> {
        Ok(Found::Wrong("true or false, not a string"))
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Found<'a>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Wrong("an object, not a string"))
    }

    fn visit_seq<S: serde::de::SeqAccess<'a>>(
        self,
        mut sequence: S,
    ) -> Result<Found<'a>, S::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Wrong("a list, not a string"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, ReaderOptions, Reason};
    use crate::readers::reader;

    fn read(name: &str, line: &str) -> Result<Vec<String>, (Reason, String)> {
        let reader = reader(name, &ReaderOptions::default()).expect("a known reader");
        let mut document = Document::default();
        document.clear(reader.columns().len());
        let result = reader.read(line, &mut document);
        let values = document
            .columns
            .iter()
            .map(|value| value.to_string())
            .collect();
        result
            .map(|()| values)
            .map_err(|reject| (reject.reason, reject.detail))
    }

    fn strings<const N: usize>(values: [&str; N]) -> Result<Vec<String>, (Reason, String)> {
        Ok(values.map(String::from).to_vec())
    }

    #[test]
    fn the_five_published_schemas() {
        let wiki = r#"{"id": "53", "url": "https://zh.wikipedia.org/wiki?curid=53", "title": "经济学", "text": "经济学\n\n经济学是一门研究。"}"#;
        assert_eq!(
            read("wiki2019zh", wiki),
            strings(["经济学", "经济学\n\n经济学是一门研究。"])
        );
        let news = r#"{"news_id": "610130831", "keywords": "导游，门票", "title": "标题", "desc": "梗概", "source": "看看新闻", "time": "03-21 12:00", "content": "正文"}"#;
        assert_eq!(
            read("news2016zh", news),
            strings(["标题", "梗概", "正文", "导游，门票", "看看新闻"])
        );
        let baike = r#"{"qid": "qid_5982723620932473219", "category": "教育", "title": "问", "desc": "", "answer": "答\r\n答"}"#;
        assert_eq!(
            read("baike2018qa", baike),
            strings(["问", "", "答\r\n答", "教育", "qid_5982723620932473219"])
        );
        let web = r#"{"qid": 65618973, "title": "问", "desc": "述<br>", "topic": "心理", "star": 3, "content": "答", "answer_id": 1, "answerer_tags": "x"}"#;
        assert_eq!(
            read("webtext2019zh", web),
            strings(["问", "述<br>", "答", "心理", "65618973", "3"])
        );
        let pair = r#"{"english": "Hello.", "chinese": "你好。"}"#;
        assert_eq!(
            read("translation2019zh", pair),
            strings(["你好。", "Hello."])
        );
    }

    #[test]
    fn bad_lines_have_a_reason() {
        for (line, reason, words) in [
            (r#"{"title": "half"#, Reason::InvalidJson, ""),
            (r#"["a", "b"]"#, Reason::InvalidJson, ""),
            (r#"{"title": "\ud800"}"#, Reason::InvalidJson, ""),
            ("{\"title\": \"a\u{0}b\"}", Reason::InvalidJson, ""),
            (r#"{"title": "a"} {"#, Reason::InvalidJson, ""),
            (
                r#"{"title": 12}"#,
                Reason::WrongType,
                "field `title` is a number",
            ),
            (
                r#"{"title": ["a"]}"#,
                Reason::WrongType,
                "field `title` is a list",
            ),
            (
                r#"{"title": {"a": 1}}"#,
                Reason::WrongType,
                "field `title` is an object",
            ),
            (
                r#"{"title": true}"#,
                Reason::WrongType,
                "field `title` is true",
            ),
        ] {
            let (found, detail) = read("wiki2019zh", line).expect_err(line);
            assert_eq!(found, reason, "{line}: {detail}");
            assert!(
                detail.contains(words) && !detail.contains('\n'),
                "{line}: {detail}"
            );
        }
        let deep = format!("{{\"x\": {}", "[".repeat(300_000));
        assert!(read("wiki2019zh", &deep).is_err());
    }

    #[test]
    fn null_missing_and_repeated_fields() {
        let values = read(
            "news2016zh",
            r#"{"title": null, "desc": "a", "desc": "b", "more": [1, {"x": null}]}"#,
        );
        assert_eq!(values, strings(["", "b", "", "", ""]));
    }
}
