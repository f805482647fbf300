//! Decimal numbers, read as `str::parse::<f32>` reads them, only faster.
//!
//! A decimal with mantissa m ≤ 2^53 and k ≤ 22 digits after the point is m / 10^k, two exact `f64`
//! and one correctly rounded division (Clinger, "How to read floating point numbers accurately",
//! 1990). Rounding that again to `f32` is right unless the quotient lies exactly in the middle of two
//! `f32`: such a middle is itself a `f64`, so a quotient on one side of it has the decimal on the
//! same side. What is left, one in some hundred million, goes to the Eisel-Lemire method.

use memchr::memchr2;

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
const SMALL_POWERS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// True for what stands between two fields.
#[inline]
pub(super) fn is_separator(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Reads the fields of `text[at..end]`, one separator apart, into all of `out`; the sum of their
/// squares in order. What stands behind `end` is only looked at, and must not go on the last number.
///
/// # Errors
/// Not so many numbers: the caller finds out why.
#[inline]
pub(super) fn read_all(
    text: &[u8],
    mut at: usize,
    end: usize,
    out: &mut [f32],
) -> Result<f64, NotNumbers> {
    let mut squares = 0.0;
    for slot in out {
        if at >= end {
            return Err(NotNumbers);
        }
        let (value, stop) = match short(&text[at..]) {
            Some((value, length)) if ends(text, at + length, end) => (value, at + length),
            _ => {
                let stop = memchr2(b' ', b'\t', &text[at..end]).map_or(end, |length| at + length);
                (read(&text[at..stop]).ok_or(NotNumbers)?, stop)
            }
        };
        *slot = value;
        squares += f64::from(value) * f64::from(value);
        at = stop + 1;
    }
    if at == end + 1 {
        Ok(squares)
    } else {
        Err(NotNumbers)
    }
}

/// The text is not the wanted number of numbers.
#[derive(Debug)]
pub(super) struct NotNumbers;

#[inline]
fn ends(text: &[u8], stop: usize, end: usize) -> bool {
    stop == end || text.get(stop).copied().is_some_and(is_separator)
}

/// A number like `-0.123456` at the start of `text`, with its length: one digit, a point, one to
/// eight digits. What follows is for the caller to judge.
#[inline]
fn short(text: &[u8]) -> Option<(f32, usize)> {
    let negative = usize::from(*text.first()? == b'-');
    let [units, point, rest @ ..] = text.get(negative..)?.first_chunk::<10>()?;
    let units = units.wrapping_sub(b'0');
    // Digits become 0 to 9. Of other bytes the high bit is set below; a carry only reaches bytes
    // behind the first of them.
    let digits = u64::from_le_bytes(*rest) ^ 0x3030_3030_3030_3030;
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() / 8;
    if units > 9 || *point != b'.' || count == 0 {
        return None;
    }
    // Most files have six decimals. The branch is foreseen, so the next number's place is known
    // before this number is.
    if count == 6 {
        return Some((decimals(units, digits, 6, negative)?, negative + 8));
    }
    let value = decimals(units, digits, count, negative)?;
    Some((value, negative + 2 + count as usize))
}

/// `units` and, behind the point, the first `count` of `digits`.
#[inline(always)]
fn decimals(units: u8, digits: u64, count: u32, negative: usize) -> Option<f32> {
    let fraction = eight_digits(digits << (64 - 8 * count));
    let mantissa = u64::from(units) * SMALL_POWERS[count as usize] + fraction;
    // As an integer zero has no sign.
    if mantissa == 0 {
        return None;
    }
    let negative = negative as i64;
    let signed = (mantissa as i64 ^ -negative) + negative;
    quotient(signed, count as usize)
}

/// The number that eight bytes of 0 to 9 stand for, the first in the lowest byte.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// `mantissa / 10^decimals`, if it is certain to be rounded right.
#[inline]
fn quotient(mantissa: i64, decimals: usize) -> Option<f32> {
    const LOST_BITS: u64 = (1 << 29) - 1;
    const MIDDLE: u64 = 1 << 28;
    let exact = mantissa as f64 / POWERS[decimals];
    (exact.to_bits() & LOST_BITS != MIDDLE).then_some(exact as f32)
}

/// Reads a whole field; nothing if `str::parse` would refuse it.
pub(super) fn read(field: &[u8]) -> Option<f32> {
    decimal(field).or_else(|| fast_float2::parse(field).ok())
}

/// A number without exponent and of no more than sixteen or so digits.
fn decimal(field: &[u8]) -> Option<f32> {
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, field),
    };
    let (mut mantissa, mut decimals, mut point) = (0u64, 0, false);
    for &byte in digits {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 if mantissa < 1 << 53 => {
                mantissa = mantissa * 10 + u64::from(digit);
                decimals += usize::from(point);
            }
            _ if byte == b'.' && !point => point = true,
            _ => return None,
        }
    }
    let empty = digits.len() == usize::from(point);
    if empty || mantissa > 1 << 53 || decimals >= POWERS.len() {
        return None;
    }
    let value = quotient(mantissa as i64, decimals)?;
    // Below the normal numbers the middles lie elsewhere.
    let sure = mantissa == 0 || value >= 2.0 * f32::MIN_POSITIVE;
    sure.then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::{read, read_all, short};
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    fn same(text: &str) {
        let wanted = text.parse::<f32>().ok();
        let bits =
            |value: Option<f32>| value.map(|value| (value.is_nan(), value.to_bits() << 1 >> 1));
        let got = read(text.as_bytes());
        if wanted.is_some_and(f32::is_nan) {
            assert!(got.is_some_and(f32::is_nan), "{text}");
            return;
        }
        assert_eq!(bits(got), bits(wanted), "{text}");
        assert_eq!(
            got.map(f32::is_sign_negative),
            wanted.map(f32::is_sign_negative),
            "{text}"
        );
        let padded = format!("{text} 1.5 0.25 0.125");
        let mut out = [0.0; 1];
        let all = read_all(padded.as_bytes(), 0, text.len(), &mut out);
        assert_eq!(all.is_ok(), wanted.is_some(), "{text}");
        if let Some(wanted) = wanted {
            assert_eq!(out[0].to_bits(), wanted.to_bits(), "{text}");
        }
    }

    #[test]
    fn odd_numbers_are_as_std_has_them() {
        let texts = [
            "0",
            "-0",
            "-0.0",
            "0.0",
            "1.",
            ".5",
            "-.5",
            "+1.5",
            "+.5",
            ".",
            "-",
            "+",
            "",
            "1e5",
            "1E-5",
            "1e",
            "e5",
            "1e+38",
            "3.5e38",
            "1e39",
            "-1e39",
            "1e-45",
            "1e-46",
            "1.4e-45",
            "inf",
            "-inf",
            "infinity",
            "nan",
            "NaN",
            "-nan",
            "+inf",
            "1_0",
            "0x10",
            "--1",
            "1-",
            "1.2.3",
            "00001.5",
            "0.1234567890123456789012345",
            "16777217",
            "16777219.0",
            "9007199254740993",
            "9007199254740992",
            "123456789012345678901234567890",
            "1,5",
            "1.5f",
            "0.00000000000000000000000000000000000001",
            "0.000000000000000000000001",
            "８",
            "340282356779733661637539395458142568447",
            "340282356779733661637539395458142568448",
            "1.17549435e-38",
            "8388608.5",
            "8388609.5",
            "0.12345678",
            "0.123456789",
            "9.99999999",
            "0.50000003",
            "0.500000029802322387695312",
        ];
        texts.iter().for_each(|text| same(text));
    }

    #[test]
    fn the_short_form_is_taken() {
        assert_eq!(short(b"-0.123456 0.1"), Some((-0.123456, 9)));
        assert_eq!(short(b"0.12345678 0.1"), Some((0.12345678, 10)));
        assert_eq!(short(b"0.5"), None);
        assert_eq!(short(b"10.500000 1.0"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200_000))]
        #[test]
        fn decimals(sign in 0u8..3, units in 0u32..12, digits in 0usize..12, fraction: u64) {
            let sign = ["", "-", "+"][usize::from(sign)];
            let fraction = fraction % 10u64.pow(digits as u32);
            same(&format!("{sign}{units}.{fraction:0digits$}"));
        }

        #[test]
        fn middles_of_floats(bits in 0u32..0x7f00_0000, decimals in 0usize..25) {
            let value = f32::from_bits(bits);
            let middle = (f64::from(value) + f64::from(f32::from_bits(bits + 1))) / 2.0;
            same(&format!("{middle:.decimals$}"));
            same(&format!("{middle:e}"));
        }

        #[test]
        fn shortest_forms(bits: u32) {
            let value = f32::from_bits(bits);
            same(&format!("{value}"));
            same(&format!("{value:e}"));
        }

        #[test]
        fn anything(text in "[-+0-9.eE infa]{0,12}") {
            if !text.contains(' ') {
                same(&text);
            }
        }

        #[test]
        fn rows(values in proptest::collection::vec(-1_000_000i32..1_000_000, 1..40), more in 0usize..2) {
            let texts: Vec<String> =
                values.iter().map(|value| format!("{:.6}", f64::from(*value) / 1e6)).collect();
            let line = texts.join(" ") + &" 1.5".repeat(more) + "\n0.5 0.5 0.5";
            let end = line.find('\n').unwrap();
            let mut out = vec![0.0; values.len()];
            let read = read_all(line.as_bytes(), 0, end, &mut out);
            prop_assert_eq!(read.is_ok(), more == 0);
            if let Ok(squares) = read {
                let wanted: Vec<f32> = texts.iter().map(|text| text.parse().unwrap()).collect();
                prop_assert_eq!(&out, &wanted);
                let sum = wanted.iter().fold(0.0, |sum, &x| sum + f64::from(x) * f64::from(x));
                prop_assert!(sum == squares);
            }
        }
    }
}
