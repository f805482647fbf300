//! Sizes in bytes as people write them: `64MB`, `1GiB`, `500kB`, `4096`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of bytes. MB is 10^6, MiB 2^20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 8] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let lower = text.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find(|(unit, _)| lower.ends_with(unit));
        let (number, factor) = unit.map_or((lower.as_str(), 1), |(unit, factor)| {
            (&lower[..lower.len() - unit.len()], *factor)
        });
        match number.trim().parse::<f64>() {
            Ok(number) if number >= 0.0 && number.is_finite() => {
                Ok(Size((number * factor as f64) as u64))
            }
            _ => Err(format!(
                "`{text}` is no size; write for example 500MB or 1GiB"
            )),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1_000_000_000_000, "TB"),
            (1_000_000_000, "GB"),
            (1_000_000, "MB"),
            (1_000, "kB"),
        ];
        match units.iter().find(|(factor, _)| self.0 >= *factor) {
            Some((factor, unit)) => {
                write!(formatter, "{:.1} {unit}", self.0 as f64 / *factor as f64)
            }
            None => write!(formatter, "{} B", self.0),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(bytes) => Ok(Size(bytes)),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("64MB", 64_000_000),
            ("1 GiB", 1 << 30),
            ("500kb", 500_000),
            ("12", 12),
            ("1.5MB", 1_500_000),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        assert!("many".parse::<Size>().is_err());
        assert!("-1MB".parse::<Size>().is_err());
        assert_eq!(Size(1_234_000).to_string(), "1.2 MB");
    }
}
