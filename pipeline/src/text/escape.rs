//! Ends of line that a broken export left as the two characters `\n`.

use crate::text::characters::is_cjk;

/// The length in bytes of the escaped ends of line at `at`, where a `\` stands: `\n` or `\r`, several
/// and with white space between them.
///
/// Only next to Chinese text, where a backslash has no other business, and not where it is quoted:
/// `换行符（\n）`, `"\n"`.
pub(crate) fn newlines(text: &str, at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let rest = &text[end..];
        let next = end + rest.len() - rest.trim_start().len();
        let begins = text[next..].starts_with(r"\n") || text[next..].starts_with(r"\r");
        if !begins {
            break;
        }
        end = next + 2;
    }
    if end == at {
        return None;
    }
    let before = text[..at].chars().next_back();
    let after = text[end..].chars().next();
    let quoted = matches!(
        before,
        Some('(' | '（' | '"' | '\'' | '`' | '“' | '‘' | '「' | '『' | '\\')
    );
    let chinese = before.is_some_and(is_cjk) || after.is_some_and(is_cjk);
    (chinese && !quoted).then_some(end - at)
}

#[cfg(test)]
mod tests {
    use super::newlines;

    #[test]
    fn only_next_to_chinese_text_and_not_quoted() {
        let cases = [
            (r"完。\n　　下", Some(2)),
            (r"完。\n\n下", Some(4)),
            (r"完。\r\n \n下", Some(7)),
            (r"abc\n下", Some(2)),
            (r"完\n", Some(2)),
            (r"printf(\n)", None),
            (r"换行符（\n）", None),
            (r"“\n”是换行", None),
            (r"C:\name", None),
            (r"路径\temp", None),
        ];
        for (text, expected) in cases {
            let at = text.find('\\').unwrap();
            assert_eq!(newlines(text, at), expected, "{text}");
        }
    }
}
