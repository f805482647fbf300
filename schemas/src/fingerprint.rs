//! Content hashes: of bytes, of files, and of everything that a dataset follows from.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::{Error, Result};

/// A 128-bit XXH3 hash, written as 32 hexadecimal digits (`xxhsum -H2` prints the same).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// Hash of some bytes.
    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint(xxh3_128(bytes))
    }

    /// Hash of a whole file, read in pieces.
    pub fn of_file(path: &Path) -> Result<Fingerprint> {
        let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
        let (mut hasher, mut buffer) = (Xxh3::new(), vec![0; 1 << 20]);
        loop {
            let read = file.read(&mut buffer).map_err(Error::io(path))?;
            if read == 0 {
                return Ok(Fingerprint(hasher.digest128()));
            }
            hasher.update(&buffer[..read]);
        }
    }

    /// Hash of a value by its JSON form.
    pub fn of_json<T: Serialize>(value: &T) -> Fingerprint {
        Fingerprint::of(&serde_json::to_vec(value).expect("our own types have a JSON form"))
    }

    /// The eight digits that name a dataset directory.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .map(Fingerprint)
            .map_err(serde::de::Error::custom)
    }
}
