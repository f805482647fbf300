//! Texts with an address to go, write or call to.

use serde::{Deserialize, Serialize};

use crate::text::{
    filters::Reason,
    scan::{Candidates, Condition},
};

/// Texts with a web or mail address, a telephone number, or a QQ or WeChat account are dropped, in
/// whatever column.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ContactOptions {
    /// Whether the filter is used. Such texts are mostly advertising, the account is noise to an
    /// encoder, and personal data must not go into a training set.
    pub enabled: bool,
}

impl Default for ContactOptions {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// The reason why a text is rejected.
pub fn reject(text: &str) -> Option<Reason> {
    let bytes = text.as_bytes();
    let mut digits_end = 0;
    for at in Candidates::<Beginning>::new(text) {
        let found = match bytes[at] {
            b'0'..=b'9' if at < digits_end => false,
            b'0'..=b'9' => {
                digits_end = at + digits(&bytes[at..]);
                is_telephone(bytes, at)
            }
            b':' => is_web_address(bytes, at),
            b'@' => is_mail_address(bytes, at),
            b'w' | b'W' => is_www(bytes, at) || is_account(text, at, &WECHAT),
            b'q' | b'Q' => is_account(text, at, &QQ),
            _ => is_account(text, at, &WECHAT),
        };
        if found {
            return Some(Reason::Contact);
        }
    }
    None
}

/// The beginnings of all that is looked for.
struct Beginning;

impl Condition for Beginning {
    #[inline(always)]
    fn holds(first: u8, second: u8, third: u8) -> bool {
        let digit = first.is_ascii_digit();
        let mark = ((first == b':') & (second == b'/') & (third == b'/')) | (first == b'@');
        let small = first | 0x20;
        let www = (small == b'w') & ((second | 0x20 == b'w') | (second | 0x20 == b'e'));
        let qq = (small == b'q') & (second | 0x20 == b'q');
        let vx = (small == b'v') & (second | 0x20 == b'x');
        // 微 and 薇.
        let wei = ((first == 0xE5) & (second == 0xBE) & (third == 0xAE))
            | ((first == 0xE8) & (second == 0x96) & (third == 0x87));
        digit | mark | www | qq | vx | wei
    }
}

/// `scheme://host`, at its `:`.
fn is_web_address(bytes: &[u8], at: usize) -> bool {
    at > 0
        && bytes[at - 1].is_ascii_alphabetic()
        && bytes.get(at + 3).is_some_and(u8::is_ascii_alphanumeric)
}

/// `www.host`, at its first letter.
fn is_www(bytes: &[u8], at: usize) -> bool {
    let apart = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    let rest = &bytes[at..];
    apart
        && rest.len() > 4
        && rest[..4].eq_ignore_ascii_case(b"www.")
        && rest[4].is_ascii_alphanumeric()
}

/// `name@host.domain`, at its `@`.
fn is_mail_address(bytes: &[u8], at: usize) -> bool {
    let named = at > 0
        && (bytes[at - 1].is_ascii_alphanumeric() || matches!(bytes[at - 1], b'_' | b'-' | b'.'));
    let host = &bytes[at + 1..];
    let length = host
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        .count();
    let dot = host[..length].iter().position(|&byte| byte == b'.');
    named
        && dot.is_some_and(|dot| {
            dot > 0
                && host[dot + 1..length]
                    .first()
                    .is_some_and(u8::is_ascii_alphabetic)
        })
}

fn digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// A mobile (`13812345678`, `138-1234-5678`), fixed (`010-12345678`) or service number (`400-123-4567`)
/// of China that stands apart from other letters and digits, at its first digit.
fn is_telephone(bytes: &[u8], at: usize) -> bool {
    if at > 0
        && (bytes[at - 1].is_ascii_alphanumeric()
            || matches!(bytes[at - 1], b'.' | b'-' | b'_' | b'/' | b'='))
    {
        return false;
    }
    let mut lengths = [0; 3];
    let mut groups = 0;
    let mut end = at;
    let mut separator = 0;
    while groups < lengths.len() {
        let length = digits(&bytes[end + separator..]);
        if length == 0 {
            break;
        }
        end += separator + length;
        lengths[groups] = length;
        groups += 1;
        match bytes.get(end) {
            Some(b'-' | b' ') => separator = 1,
            _ => break,
        }
    }
    if bytes
        .get(end)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    {
        return false;
    }
    let first = &bytes[at..at + lengths[0]];
    let mobile = first.len() > 1 && first[0] == b'1' && (b'3'..=b'9').contains(&first[1]);
    let service = first.starts_with(b"400") || first.starts_with(b"800");
    let dashed = bytes.get(at + lengths[0]) == Some(&b'-');
    match lengths[..groups] {
        [11, ..] => mobile || first[0] == b'0',
        [3, 4, 4] => mobile,
        [12, ..] => first[0] == b'0',
        [10] | [3, 7] | [3, 3, 4] | [4, 3, 3] => service && (groups > 1 || first[3] != b'0'),
        [3 | 4, 7 | 8, ..] => first[0] == b'0' && dashed,
        _ => false,
    }
}

/// How an account of a service is written.
struct Service {
    names: &'static [&'static str],
    /// What may stand between name and account.
    between: &'static [char],
    /// Whether a `号` or `：` must stand there, as the account can look like a word.
    marked: bool,
    is_account: fn(&str) -> bool,
}

const QQ: Service = Service {
    names: &["qq"],
    between: &[
        '群', '号', '码', '交', '流', '客', '服', '咨', '询', '热', '线', '为', '是', ':', '：',
        ' ',
    ],
    marked: false,
    is_account: |text| (5..=12).contains(&digits(text.as_bytes())),
};

const WECHAT: Service = Service {
    names: &["微信", "薇信", "weixin", "wechat", "vx"],
    between: &[
        '公', '众', '平', '台', '账', '帐', '号', '码', 'i', 'I', 'd', 'D', ':', '：', ' ', '“',
        '"',
    ],
    marked: true,
    is_account: |text| {
        let length = text
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            .count();
        (5..=20).contains(&length)
    },
};

/// Characters between the name of a service and the account.
const BETWEEN_CHARS_MAX: usize = 8;

/// A service and an account, at the first byte of the name of the service.
fn is_account(text: &str, at: usize, service: &Service) -> bool {
    let bytes = text.as_bytes();
    if at > 0 && bytes[at - 1].is_ascii_alphabetic() {
        return false;
    }
    let named = |name: &&&str| {
        bytes[at..]
            .get(..name.len())
            .is_some_and(|b| b.eq_ignore_ascii_case(name.as_bytes()))
    };
    let Some(name) = service.names.iter().find(named) else {
        return false;
    };
    let mut rest = &text[at + name.len()..];
    let mut marked = !service.marked;
    for _ in 0..BETWEEN_CHARS_MAX {
        if marked && (service.is_account)(rest) {
            return true;
        }
        let Some(c) = rest.chars().next().filter(|c| service.between.contains(c)) else {
            return false;
        };
        marked |= matches!(c, '号' | ':' | '：');
        rest = &rest[c.len_utf8()..];
    }
    marked && (service.is_account)(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::reject;

    #[test]
    fn contacts_are_found() {
        for text in [
            "见http://www.juzi.cn/a?b=1",
            "ftp://juzi.cn",
            "访问www.juzi.cn了解",
            "WWW.JUZI.CN",
            "来信a.b_c@mail.juzi.cn",
            "电话：13812345678",
            "拨打138-1234-5678。",
            "138 1234 5678",
            "固话010-12345678转1",
            "0571-1234567",
            "02512345678",
            "热线400-123-4567",
            "4001234567",
            "400-1234567",
            "加QQ群：123456789",
            "qq12345",
            "扣我QQ号是 1234567",
            "微信号：juzi_2016",
            "关注微信公众号“juzi2016”",
            "加VX：abc12345",
            "WeChat: abc_12345",
        ] {
            assert!(reject(text).is_some(), "{text}");
        }
    }

    #[test]
    fn other_texts_stay() {
        for text in [
            "",
            "比分是3:2",
            "微信是腾讯的产品",
            "微信Android版本",
            "腾讯的QQ和微信",
            "QQ有8亿用户",
            "QQ 2016 版本",
            "@所有人",
            "在3@5之间",
            "邮箱是a@b",
            "圆周率3.14159265358",
            "身份证号110101199003071234",
            "订单20160305123456",
            "2016-03-05 12:30:45",
            "ISBN 978-7-04-012345-6",
            "100-200-3000",
            "v1.13812345678",
            "协议http和https",
            "://",
            "@",
            "人口13亿8千万",
            "4000000000元",
        ] {
            assert_eq!(reject(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "([0-9 :/@.wWqQvVxX微信号：-]|\\PC){0,60}") {
            reject(&text);
        }
    }
}
