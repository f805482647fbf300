//! JSON lines as sentence-transformers publishes training data; each line may have its own shape.
//!
//! | line | records |
//! | --- | --- |
//! | `["a", "p"]` | a pair |
//! | `["a", "p", "n", …]` | a triplet; the third and later texts are negatives |
//! | `{"set": ["a", "b", "c"]}` | the chain of pairs (a, b), (b, c): n texts give n − 1 pairs |
//! | `{"query": "q", "pos": ["p", …], "neg": ["n", …]}` | per positive a triplet with all negatives; without `neg` a pair |
//! | `{"guid": …, "texts": ["a", "p", "n", …]}` | as the list; `guid` is the group |
//! | `{"context": "c", "response": "r"}` | the pair (r, c), in the order in which the Reddit files are used |
//!
//! Keys that belong to no shape are ignored. Records of one line share a group: the `guid`, or the
//! hash of the line's first text where it gives more than one record.

use std::borrow::Cow;
use std::fmt;

use juzi_schemas::dropped::Reason;
use juzi_schemas::record::Kind;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_64;

use super::json::first_line;
use super::{Column, Document, NativeRecord, Reader, Reject, nesting};

const SHAPES: &str = r#"["a","p"], ["a","p","n"], {"set":[]}, {"query","pos","neg"}, {"guid","texts"}, {"context","response"}"#;

/// The `embedding_training_data` reader.
pub fn reader() -> Box<dyn Reader> {
    Box::new(TrainingData)
}

struct TrainingData;

impl Reader for TrainingData {
    fn columns(&self) -> &[Column] {
        &[]
    }

    fn views(&self) -> Vec<String> {
        vec!["records".into()]
    }

    fn read<'a>(&self, raw: &'a str, document: &mut Document<'a>) -> Result<(), Reject> {
        nesting::check(raw)?;
        let mut parser = sonic_rs::Deserializer::from_str(raw);
        let line = Any::Line
            .deserialize(&mut parser)
            .and_then(|line| parser.end().map(|()| line));
        match line
            .map_err(|error| Reject::new(Reason::InvalidJson, first_line(&error.to_string())))?
        {
            Value::List(items) => tuple(texts("the line", Value::List(items))?, None, document),
            Value::Object(fields) => fields.records(document),
            other => Err(columns(format!(
                "{}; accepted shapes are {SHAPES}",
                other.name()
            ))),
        }
    }
}

fn columns(detail: impl Into<String>) -> Reject {
    Reject::new(Reason::WrongColumns, detail)
}

/// A pair or a triplet, by the number of texts.
fn tuple<'a>(
    texts: Vec<Cow<'a, str>>,
    group: Group<'a>,
    document: &mut Document<'a>,
) -> Result<(), Reject> {
    let kind = match texts.len() {
        0 => return Err(columns("an empty list, expected 2 texts or more")),
        1 => return Err(columns("1 text, expected 2 or more")),
        2 => Kind::Pair,
        _ => Kind::Triplet,
    };
    document.records.push(NativeRecord {
        kind,
        texts,
        group_key: group,
    });
    Ok(())
}

type Group<'a> = Option<Cow<'a, str>>;

/// Keeps the records of one line together.
fn line_group(first: &str) -> Group<'static> {
    Some(Cow::Owned(format!("{:016x}", xxh3_64(first.as_bytes()))))
}

/// A JSON value, as deep as the shapes need it.
#[derive(Default)]
enum Value<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Number(String),
    List(Vec<Value<'a>>),
    Object(Box<Fields<'a>>),
    Other(&'static str),
}

impl Value<'_> {
    fn name(&self) -> &'static str {
        match self {
            Value::Absent => "nothing",
            Value::Null => "null",
            Value::Text(_) => "a string",
            Value::Number(_) => "a number",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
            Value::Other(name) => name,
        }
    }
}

fn text<'a>(name: &str, value: Value<'a>) -> Result<Cow<'a, str>, Reject> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(Reject::new(
            Reason::WrongType,
            format!("{name} is {}, not a string", other.name()),
        )),
    }
}

fn texts<'a>(name: &str, value: Value<'a>) -> Result<Vec<Cow<'a, str>>, Reject> {
    let Value::List(items) = value else {
        return Err(Reject::new(
            Reason::WrongType,
            format!("{name} is {}, not a list of strings", value.name()),
        ));
    };
    let named = |(at, item)| match item {
        Value::Text(text) => Ok(text),
        other => text(&format!("item {} of {name}", at + 1), other),
    };
    items.into_iter().enumerate().map(named).collect()
}

/// The values of the known keys of one object; the last of equal keys holds.
#[derive(Default)]
struct Fields<'a> {
    values: [Value<'a>; KEYS.len()],
    others: Vec<String>,
}

const KEYS: [&str; 8] = [
    "set", "query", "pos", "neg", "guid", "texts", "context", "response",
];

impl<'a> Fields<'a> {
    fn records(self, document: &mut Document<'a>) -> Result<(), Reject> {
        match self.values {
            [_, query, positives, negatives, ..] if has(&query) && has(&positives) => queries(
                text("`query`", query)?,
                texts("`pos`", positives)?,
                negatives,
                document,
            ),
            [_, _, _, _, guid, list, ..] if has(&list) => {
                let group = match guid {
                    Value::Absent | Value::Null => None,
                    Value::Text(guid) => Some(guid),
                    Value::Number(guid) => Some(Cow::Owned(guid)),
                    other => {
                        let detail =
                            format!("`guid` is {}, not a string, a number or null", other.name());
                        return Err(Reject::new(Reason::WrongType, detail));
                    }
                };
                tuple(texts("`texts`", list)?, group, document)
            }
            [set, ..] if has(&set) => chain(texts("`set`", set)?, document),
            [.., context, response] if has(&context) && has(&response) => {
                let pair = vec![text("`response`", response)?, text("`context`", context)?];
                tuple(pair, None, document)
            }
            values => Err(unknown(&values, &self.others)),
        }
    }
}

fn has(value: &Value<'_>) -> bool {
    !matches!(value, Value::Absent)
}

fn unknown(values: &[Value<'_>], others: &[String]) -> Reject {
    let known = KEYS
        .iter()
        .zip(values)
        .filter(|(_, value)| has(value))
        .map(|(key, _)| key.to_string());
    let keys: Vec<String> = known.chain(others.iter().cloned()).collect();
    let found = if keys.is_empty() {
        "no keys".into()
    } else {
        format!("the keys {}", keys.join(", "))
    };
    columns(format!(
        "an object with {found}; accepted shapes are {SHAPES}"
    ))
}

fn queries<'a>(
    query: Cow<'a, str>,
    positives: Vec<Cow<'a, str>>,
    negatives: Value<'a>,
    document: &mut Document<'a>,
) -> Result<(), Reject> {
    let negatives = match negatives {
        Value::Absent | Value::Null => Vec::new(),
        negatives => texts("`neg`", negatives)?,
    };
    if positives.is_empty() {
        return Err(columns("`pos` is an empty list, expected 1 text or more"));
    }
    let group = if positives.len() > 1 {
        line_group(&query)
    } else {
        None
    };
    let kind = if negatives.is_empty() {
        Kind::Pair
    } else {
        Kind::Triplet
    };
    for positive in positives {
        let mut texts = vec![query.clone(), positive];
        texts.extend_from_slice(&negatives);
        document.records.push(NativeRecord {
            kind,
            texts,
            group_key: group.clone(),
        });
    }
    Ok(())
}

fn chain<'a>(set: Vec<Cow<'a, str>>, document: &mut Document<'a>) -> Result<(), Reject> {
    if set.len() <= 2 {
        return tuple(set, None, document);
    }
    let group = line_group(&set[0]);
    for pair in set.windows(2) {
        document.records.push(NativeRecord {
            kind: Kind::Pair,
            texts: pair.to_vec(),
            group_key: group.clone(),
        });
    }
    Ok(())
}

/// How deep to look: objects only at the top, lists in it or in an object, scalars in lists.
#[derive(Clone, Copy)]
enum Any {
    Line,
    Field,
    Item,
}

impl<'a> DeserializeSeed<'a> for Any {
    type Value = Value<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Value<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Any {
    type Value = Value<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Owned(text.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Value<'a>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'a>, E> {
        Ok(Value::Other("true or false"))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'a>, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'a>, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'a>, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut sequence: S) -> Result<Value<'a>, S::Error> {
        if let Any::Item = self {
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Other("a list"));
        }
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(Any::Item)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Value<'a>, M::Error> {
        if !matches!(self, Any::Line) {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Other("an object"));
        }
        let mut fields = Fields::default();
        while let Some(key) = map.next_key_seed(Any::Item)? {
            let Value::Text(key) = key else { continue };
            match KEYS.iter().position(|known| *known == key) {
                Some(at) => fields.values[at] = map.next_value_seed(Any::Field)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                    if fields.others.len() < 8 {
                        fields.others.push(
                            key.chars()
                                .take(40)
                                .filter(|letter| !letter.is_control())
                                .collect(),
                        );
                    }
                }
            }
        }
        Ok(Value::Object(Box::new(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(Kind, Vec<String>, Option<String>)>;

    fn read(raw: &str) -> Result<Found, Reject> {
        let mut document = Document::default();
        document.clear(0);
        reader().read(raw, &mut document)?;
        let plain = |record: &NativeRecord<'_>| {
            let texts = record.texts.iter().map(|text| text.to_string()).collect();
            (
                record.kind,
                texts,
                record.group_key.as_ref().map(|key| key.to_string()),
            )
        };
        Ok(document.records.iter().map(plain).collect())
    }

    fn one(kind: Kind, texts: &[&str], group: Option<&str>) -> Found {
        vec![(
            kind,
            texts.iter().map(|text| text.to_string()).collect(),
            group.map(String::from),
        )]
    }

    #[test]
    fn lists_are_pairs_and_triplets() {
        assert_eq!(
            read(r#"["甲", "乙"]"#).unwrap(),
            one(Kind::Pair, &["甲", "乙"], None)
        );
        assert_eq!(
            read(r#"["a","p","n"]"#).unwrap(),
            one(Kind::Triplet, &["a", "p", "n"], None)
        );
        let four = read(r#"["a","p","n\n1","n2"]"#).unwrap();
        assert_eq!(four, one(Kind::Triplet, &["a", "p", "n\n1", "n2"], None));
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let (mut document, raw) = (Document::default(), String::from(r#"["甲", "乙\n"]"#));
        reader().read(&raw, &mut document).unwrap();
        let texts = &document.records[0].texts;
        assert!(matches!(texts[0], Cow::Borrowed(_)) && matches!(texts[1], Cow::Owned(_)));
    }

    #[test]
    fn sets_are_chains() {
        assert_eq!(
            read(r#"{"set": ["a", "b"]}"#).unwrap(),
            one(Kind::Pair, &["a", "b"], None)
        );
        let group = format!("{:016x}", xxh3_64(b"a"));
        let mut expected = one(Kind::Pair, &["a", "b"], Some(&group));
        expected.extend(one(Kind::Pair, &["b", "c"], Some(&group)));
        assert_eq!(read(r#"{"set": ["a", "b", "c"]}"#).unwrap(), expected);
    }

    #[test]
    fn queries_give_a_record_for_each_positive() {
        let pair = r#"{"query": "q", "pos": ["p"]}"#;
        assert_eq!(read(pair).unwrap(), one(Kind::Pair, &["q", "p"], None));
        let empty = r#"{"query": "q", "pos": ["p"], "neg": [], "type": "x"}"#;
        assert_eq!(read(empty).unwrap(), one(Kind::Pair, &["q", "p"], None));
        let group = format!("{:016x}", xxh3_64(b"q"));
        let mut expected = one(Kind::Triplet, &["q", "p1", "n1", "n2"], Some(&group));
        expected.extend(one(Kind::Triplet, &["q", "p2", "n1", "n2"], Some(&group)));
        let both = r#"{"query": "q", "pos": ["p1", "p2"], "neg": ["n1", "n2"]}"#;
        assert_eq!(read(both).unwrap(), expected);
    }

    #[test]
    fn guids_are_groups() {
        let texts =
            |guid: &str| read(&format!(r#"{{"guid": {guid}, "texts": ["a", "p", "n"]}}"#)).unwrap();
        assert_eq!(
            texts("17"),
            one(Kind::Triplet, &["a", "p", "n"], Some("17"))
        );
        assert_eq!(
            texts("-3"),
            one(Kind::Triplet, &["a", "p", "n"], Some("-3"))
        );
        assert_eq!(
            texts("\"x\""),
            one(Kind::Triplet, &["a", "p", "n"], Some("x"))
        );
        assert_eq!(texts("null"), one(Kind::Triplet, &["a", "p", "n"], None));
        assert_eq!(
            read(r#"{"texts": ["a", "p"]}"#).unwrap(),
            one(Kind::Pair, &["a", "p"], None)
        );
    }

    #[test]
    fn a_response_comes_before_its_context() {
        let line = r#"{"context": "c", "response": "r", "subreddit": "x"}"#;
        assert_eq!(read(line).unwrap(), one(Kind::Pair, &["r", "c"], None));
    }

    #[test]
    fn other_shapes_say_what_was_found() {
        let reject = |raw: &str| {
            let reject = read(raw).unwrap_err();
            assert_eq!(
                reject.reason,
                Reason::WrongColumns,
                "{raw}: {}",
                reject.detail
            );
            assert!(!reject.detail.contains('\n'));
            reject.detail
        };
        assert!(
            reject(r#"{"title": "a", "query": "b"}"#)
                .starts_with("an object with the keys query, title; accepted")
        );
        assert!(reject("{}").starts_with("an object with no keys"));
        assert!(reject("\"text\"").starts_with("a string; accepted shapes are [\"a\",\"p\"]"));
        assert!(reject("12").starts_with("a number;"));
        assert!(reject("null").starts_with("null;"));
        assert_eq!(reject("[]"), "an empty list, expected 2 texts or more");
        assert_eq!(reject(r#"["a"]"#), "1 text, expected 2 or more");
        reject(r#"{"set": []}"#);
        reject(r#"{"query": "q", "pos": [], "neg": ["n"]}"#);
        reject(r#"{"texts": []}"#);
    }

    #[test]
    fn wrong_types_say_where() {
        let reject = |raw: &str| {
            let reject = read(raw).unwrap_err();
            assert_eq!(reject.reason, Reason::WrongType, "{raw}: {}", reject.detail);
            reject.detail
        };
        assert_eq!(
            reject(r#"["a", 2]"#),
            "item 2 of the line is a number, not a string"
        );
        assert_eq!(
            reject(r#"["a", ["b"]]"#),
            "item 2 of the line is a list, not a string"
        );
        assert_eq!(
            reject(r#"["a", {"b": 1}]"#),
            "item 2 of the line is an object, not a string"
        );
        assert_eq!(
            reject(r#"{"set": "a"}"#),
            "`set` is a string, not a list of strings"
        );
        assert_eq!(
            reject(r#"{"query": ["q"], "pos": ["p"]}"#),
            "`query` is a list, not a string"
        );
        assert_eq!(
            reject(r#"{"query": "q", "pos": ["p", null]}"#),
            "item 2 of `pos` is null, not a string"
        );
        assert_eq!(
            reject(r#"{"guid": true, "texts": ["a", "b"]}"#),
            "`guid` is true or false, not a string, a number or null"
        );
        assert_eq!(
            reject(r#"{"context": null, "response": "r"}"#),
            "`context` is null, not a string"
        );
    }

    #[test]
    fn broken_json_is_one_line_of_detail() {
        let deep = format!("[\"a\", {}", "[".repeat(200_000));
        let deep_field = format!("{{\"x\": {}", "{\"a\":".repeat(200_000));
        let cases = [
            "[\"a\", \"b\"",
            "[\"a\", \"b\"] x",
            "{\"set\": [\"a\",]}",
            "[\"a\u{1}\", \"b\"]",
            "[\"a\0\", \"b\"]",
            "[\"\\ud800\", \"b\"]",
            "[\"\\ud800\\u0041\", \"b\"]",
            "[\"\\x\", \"b\"]",
            "{\"x\": \"\u{1}\", \"set\": [\"a\", \"b\"]}",
            "[\"a\tb\", \"c\"]",
            &deep,
            &deep_field,
        ];
        for raw in cases {
            let shown: String = raw.chars().take(40).collect();
            let reject = read(raw).expect_err(&shown);
            assert_eq!(reject.reason, Reason::InvalidJson, "{shown}");
            assert!(
                !reject.detail.contains('\n') && !reject.detail.is_empty(),
                "{shown}: {}",
                reject.detail
            );
        }
        assert_eq!(
            read("[\"a\\u0000\", \"b\"]").unwrap(),
            one(Kind::Pair, &["a\0", "b"], None)
        );
        assert_eq!(
            read("[\"\\ud83d\\ude00\", \"b\"]").unwrap(),
            one(Kind::Pair, &["😀", "b"], None)
        );
    }
}
