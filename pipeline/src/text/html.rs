//! Remains of HTML in running text: entities, and tags of known elements.
//!
//! A corpus is not a page: `<` and `&` are usually meant. So only what is certainly markup is taken as
//! markup, and everything else is text: `a < b`, `<stdio.h>`, `<数字>`, `AT&T`, `?a=1&copy=2`.

use memchr::{memchr2, memmem};

/// What a tag leaves behind in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trace {
    /// Nothing: `<b>`.
    Nothing,
    /// A space: `<td>`.
    Space,
    /// An end of line: `<br>`.
    Newline,
}

/// An entity: one character, seldom two, and the bytes it takes after its `&`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entity {
    pub(crate) first: char,
    pub(crate) second: Option<char>,
    pub(crate) length: usize,
}

/// Bytes from `<` to `>`, at most; a longer tag is taken as text.
const TAG_BYTES_MAX: usize = 1024;

/// Bytes of a comment, script or style sheet, at most.
const HIDDEN_BYTES_MAX: usize = 16 * 1024;

/// Bytes from `&` to `;`, at most: the longest name is `CounterClockwiseContourIntegral`.
const ENTITY_BYTES_MAX: usize = 32;

/// Reads the entity whose `&` stands directly before `text`.
///
/// One that stands for `&` is read on, so that `&amp;amp;lt;` is `<` at once. The semicolon may be
/// missing after `&nbsp` alone, which is often seen; after other names it is a parameter of an address.
pub(crate) fn entity(text: &str) -> Option<Entity> {
    let mut entity = one_entity(text)?;
    while entity.first == '&' {
        match one_entity(&text[entity.length..]) {
            Some(next) => {
                entity = Entity {
                    length: entity.length + next.length,
                    ..next
                }
            }
            None => break,
        }
    }
    Some(entity)
}

fn one_entity(text: &str) -> Option<Entity> {
    let bytes = &text.as_bytes()[..text.len().min(ENTITY_BYTES_MAX)];
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'#')
        .unwrap_or(bytes.len());
    let name = &text[..end];
    if bytes.get(end) == Some(&b';') {
        let decoded = match name.strip_prefix('#') {
            Some(number) => numbered(number).map(|c| (c, None)),
            None => named(name),
        };
        if let Some((first, second)) = decoded {
            return Some(Entity {
                first,
                second,
                length: end + 1,
            });
        }
    }
    name.starts_with("nbsp").then_some(Entity {
        first: '\u{A0}',
        second: None,
        length: "nbsp".len(),
    })
}

fn named(name: &str) -> Option<(char, Option<char>)> {
    let table = &html_escape::NAMED_ENTITIES;
    let index = table
        .binary_search_by(|(other, _)| other.cmp(&name.as_bytes()))
        .ok()?;
    let mut characters = table[index].1.chars();
    Some((characters.next()?, characters.next()))
}

fn numbered(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

/// Reads the tag or comment at the start of `text`, which begins with `<`: what it leaves behind, and
/// its length in bytes.
///
/// A tag is a known name, then nothing or attributes with a `=`. Of the names that are also words of
/// plain writing (`<title>`, `<source>`) the bare opening tag is taken for a placeholder.
pub(crate) fn tag(text: &str) -> Option<(Trace, usize)> {
    let bytes = text.as_bytes();
    if bytes.get(1) == Some(&b'!') {
        return declaration(bytes);
    }
    let closing = bytes.get(1) == Some(&b'/');
    let start = if closing { 2 } else { 1 };
    let limit = bytes.len().min(TAG_BYTES_MAX);
    let length = bytes[start..limit]
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let mut lower = [0; NAME_BYTES_MAX];
    let name = lower.get_mut(..length)?;
    name.copy_from_slice(&bytes[start..start + length]);
    name.make_ascii_lowercase();
    let name = &*name;
    let (trace, placeholder) = element(name)?;
    let attributes = start + length;
    let end = attributes + memchr2(b'<', b'>', &bytes[attributes..limit])?;
    if bytes[end] == b'<' {
        return None;
    }
    let inside = bytes[attributes..end]
        .strip_suffix(b"/")
        .unwrap_or(&bytes[attributes..end]);
    let bare = inside.trim_ascii().is_empty();
    let has_attributes =
        inside.first().is_some_and(u8::is_ascii_whitespace) && inside.contains(&b'=');
    if !(bare && (!placeholder || closing) || has_attributes) {
        return None;
    }
    if !closing && matches!(name, b"script" | b"style") {
        return Some((trace, hidden(bytes, end + 1, name)));
    }
    Some((trace, end + 1))
}

/// A comment or `<!DOCTYPE …>`.
fn declaration(bytes: &[u8]) -> Option<(Trace, usize)> {
    let window = &bytes[..bytes.len().min(HIDDEN_BYTES_MAX)];
    if window.starts_with(b"<!--") {
        let end = memmem::find(&window[4..], b"-->")?;
        return Some((Trace::Nothing, 4 + end + 3));
    }
    let doctype = window.get(2..9)?;
    if !doctype.eq_ignore_ascii_case(b"doctype") {
        return None;
    }
    let window = &window[..window.len().min(TAG_BYTES_MAX)];
    Some((Trace::Newline, memchr2(b'<', b'>', &window[9..])? + 10))
}

/// The end of the content of a script or style sheet that begins at `start`; its closing tag is left.
fn hidden(bytes: &[u8], start: usize, name: &[u8]) -> usize {
    let window = &bytes[start..bytes.len().min(start + HIDDEN_BYTES_MAX)];
    memmem::find_iter(window, b"</")
        .find(|&at| {
            window[at + 2..]
                .get(..name.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
        })
        .map_or(start, |at| start + at)
}

/// The longest name in [`element`].
const NAME_BYTES_MAX: usize = 10;

/// What the tag of a known element leaves behind, and whether its name is also a usual placeholder.
fn element(name: &[u8]) -> Option<(Trace, bool)> {
    Some(match name {
        b"br" | b"p" | b"div" | b"li" | b"ul" | b"ol" | b"dl" | b"dt" | b"dd" | b"tr"
        | b"table" | b"tbody" | b"thead" | b"tfoot" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5"
        | b"h6" | b"hr" | b"blockquote" | b"center" | b"pre" | b"html" | b"body" | b"script"
        | b"style" => (Trace::Newline, false),
        b"td" | b"th" => (Trace::Space, false),
        b"a" | b"abbr" | b"b" | b"big" | b"code" | b"em" | b"font" | b"i" | b"iframe" | b"img"
        | b"ins" | b"kbd" | b"nobr" | b"o" | b"s" | b"small" | b"span" | b"strike" | b"strong"
        | b"sub" | b"sup" | b"tt" | b"u" | b"wbr" => (Trace::Nothing, false),
        b"address" | b"article" | b"aside" | b"caption" | b"details" | b"figcaption"
        | b"figure" | b"footer" | b"form" | b"head" | b"header" | b"main" | b"nav" | b"option"
        | b"section" | b"summary" | b"title" => (Trace::Newline, true),
        b"audio" | b"button" | b"cite" | b"del" | b"input" | b"label" | b"link" | b"mark"
        | b"meta" | b"object" | b"q" | b"select" | b"source" | b"textarea" | b"time" | b"video" => {
            (Trace::Nothing, true)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Trace, entity, tag};

    #[test]
    fn entities() {
        let cases: &[(&str, Option<(&str, usize)>)] = &[
            ("lt;b", Some(("<", 3))),
            ("nbsp;", Some(("\u{A0}", 5))),
            ("nbsp文", Some(("\u{A0}", 4))),
            ("nbspnbsp", Some(("\u{A0}", 4))),
            ("#20013;", Some(("中", 7))),
            ("#x4e2d;", Some(("中", 7))),
            ("amp;amp;lt;", Some(("<", 11))),
            ("amp;#38;x", Some(("&", 8))),
            ("nGt;", Some(("\u{226B}\u{20D2}", 4))),
            ("CounterClockwiseContourIntegral;", Some(("∳", 32))),
            ("copy=2", None),
            ("T", None),
            ("#xD800;", None),
            ("#;", None),
            (";", None),
            ("", None),
            ("无此;", None),
        ];
        for (text, expected) in cases {
            let found = entity(text).map(|e| {
                (
                    [Some(e.first), e.second]
                        .into_iter()
                        .flatten()
                        .collect::<String>(),
                    e.length,
                )
            });
            assert_eq!(
                found,
                expected.map(|(decoded, length)| (decoded.to_owned(), length)),
                "{text}"
            );
        }
    }

    #[test]
    fn tags() {
        let cases = [
            ("<br>x", Trace::Newline, 4),
            ("<BR/>", Trace::Newline, 5),
            ("<br />", Trace::Newline, 6),
            ("</p>", Trace::Newline, 4),
            ("<p class=\"a\">x", Trace::Newline, 13),
            ("<b>粗", Trace::Nothing, 3),
            ("</a>", Trace::Nothing, 4),
            ("<span style='x: y'>", Trace::Nothing, 19),
            ("<a\nhref=x>", Trace::Nothing, 10),
            ("<td>1", Trace::Space, 4),
            ("</title>", Trace::Newline, 8),
            ("<time datetime=1>", Trace::Nothing, 17),
            ("<!-- <b> -->x", Trace::Nothing, 12),
            ("<!DOCTYPE html>", Trace::Newline, 15),
            ("<script>a<b</script>", Trace::Newline, 11),
            ("<script>a<b", Trace::Newline, 8),
        ];
        for (text, trace, length) in cases {
            assert_eq!(tag(text), Some((trace, length)), "{text}");
        }
    }

    #[test]
    fn text_that_only_looks_like_tags() {
        for text in [
            "<",
            "< b>",
            "<>",
            "</>",
            "<3",
            "<stdio.h>",
            "<数字>",
            "<b",
            "<b 和 c>",
            "<a<b>",
            "<title>",
            "<vector>",
            "<b,c>",
            "<!>",
            "<!--",
            "<!doctype",
            "<aaaaaaaaaaaaaaaaaaaa>",
            "<br中=>",
        ] {
            assert_eq!(tag(text), None, "{text}");
        }
    }
}
