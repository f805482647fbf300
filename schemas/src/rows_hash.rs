//! The order-sensitive hash of rows: a polynomial over row hashes modulo the prime 2^61 - 1.
//!
//! `hash(A followed by B)` follows from `hash(A)`, `hash(B)` and the length of B, so shards are
//! hashed apart and combined, and the hash of a dataset does not depend on where it is cut.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::random::fold;

const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x0b4c_5a3d_97e1_f263;

/// Hash of a sequence of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsHash {
    /// How many rows went in.
    pub rows: u64,
    value: u64,
}

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let sum = (product as u64 & PRIME) + (product >> 61) as u64;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

impl RowsHash {
    /// Appends one row by its hash.
    #[inline]
    pub fn push(&mut self, row: u64) {
        self.value = add(multiply(self.value, BASE), row % PRIME);
        self.rows += 1;
    }

    /// Appends all rows of another sequence.
    pub fn extend(&mut self, other: &RowsHash) {
        let (mut power, mut square, mut left) = (1, BASE, other.rows);
        while left > 0 {
            if left & 1 == 1 {
                power = multiply(power, square);
            }
            square = multiply(square, square);
            left >>= 1;
        }
        self.value = add(multiply(self.value, power), other.value);
        self.rows += other.rows;
    }

    /// Appends all rows of a batch, column by column, whether it is about to be written or was
    /// just read.
    pub fn push_batch(&mut self, batch: &RecordBatch) {
        let mut hashers = vec![RowHasher::default(); batch.num_rows()];
        for column in batch.columns() {
            hash_column(column.as_ref(), &mut hashers);
        }
        hashers.into_iter().for_each(|hasher| self.push(hasher.0));
    }

    /// Sixteen hexadecimal digits; the number of rows is mixed in.
    pub fn hex(&self) -> String {
        format!(
            "{:016x}",
            fold(
                self.value ^ 0x9e37_79b9_7f4a_7c15,
                self.rows ^ 0xd6e8_feb8_6659_fd93
            )
        )
    }
}

/// The exact state, so that sequences can be combined after a crash.
#[derive(Serialize, Deserialize)]
struct State {
    rows: u64,
    value: String,
}

impl Serialize for RowsHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        State {
            rows: self.rows,
            value: format!("{:016x}", self.value),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RowsHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let state = State::deserialize(deserializer)?;
        let value = u64::from_str_radix(&state.value, 16).map_err(serde::de::Error::custom)?;
        Ok(RowsHash {
            rows: state.rows,
            value,
        })
    }
}

/// Hash of one row, fed column by column.
#[derive(Clone, Copy, Debug)]
struct RowHasher(u64);

impl Default for RowHasher {
    fn default() -> Self {
        RowHasher(0x517c_c1b7_2722_0a95)
    }
}

impl RowHasher {
    #[inline]
    fn word(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, 0xa076_1d64_78bd_642f).rotate_left(23) ^ word;
    }

    /// Adds a string of bytes; its length counts, so columns cannot run into each other.
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.word(xxh3_64(bytes));
        self.word(bytes.len() as u64);
    }
}

const NULL: u64 = u64::MAX;

fn hash_column(column: &dyn Array, hashers: &mut [RowHasher]) {
    let rows = hashers.iter_mut().enumerate();
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            rows.for_each(|(at, hasher)| match texts.is_valid(at) {
                true => hasher.bytes(texts.value(at).as_bytes()),
                false => hasher.word(NULL),
            });
        }
        DataType::FixedSizeBinary(_) => {
            let values = column.as_fixed_size_binary();
            rows.for_each(|(at, hasher)| match values.is_valid(at) {
                true => hasher.bytes(values.value(at)),
                false => hasher.word(NULL),
            });
        }
        DataType::UInt64 => {
            let values = column.as_primitive::<UInt64Type>();
            rows.for_each(|(at, hasher)| {
                hasher.word(if values.is_valid(at) {
                    values.value(at)
                } else {
                    NULL
                })
            });
        }
        DataType::UInt32 => {
            let values = column.as_primitive::<UInt32Type>();
            rows.for_each(|(at, hasher)| {
                hasher.word(match values.is_valid(at) {
                    true => u64::from(values.value(at)),
                    false => NULL,
                })
            });
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            rows.for_each(|(at, hasher)| {
                hasher.word(if values.is_valid(at) {
                    u64::from(values.value(at).to_bits())
                } else {
                    NULL
                })
            });
        }
        DataType::UInt8 => {
            let values = column.as_primitive::<UInt8Type>();
            rows.for_each(|(at, hasher)| hasher.word(u64::from(values.value(at))));
        }
        DataType::Dictionary(_, _) => {
            let coded = column.as_any_dictionary();
            let names = coded.values().as_string::<i32>();
            let keys = coded.normalized_keys();
            rows.for_each(|(at, hasher)| hasher.bytes(names.value(keys[at]).as_bytes()));
        }
        DataType::List(_) => hash_lists(column, hashers),
        other => unreachable!("no table of ours has a column of type {other}"),
    }
}

fn hash_lists(column: &dyn Array, hashers: &mut [RowHasher]) {
    let lists = column.as_list::<i32>();
    let values = lists.values();
    let ranges = lists
        .offsets()
        .windows(2)
        .map(|ends| ends[0] as usize..ends[1] as usize);
    for (hasher, range) in hashers.iter_mut().zip(ranges) {
        hasher.word(range.len() as u64);
        match values.data_type() {
            DataType::Utf8 => {
                let texts = values.as_string::<i32>();
                range.for_each(|at| hasher.bytes(texts.value(at).as_bytes()));
            }
            DataType::UInt16 => {
                let numbers = &values.as_primitive::<UInt16Type>().values()[range];
                numbers.chunks(4).for_each(|four| {
                    let word = |word, &number| word << 16 | u64::from(number);
                    hasher.word(four.iter().fold(0, word));
                });
            }
            DataType::UInt32 => {
                let numbers = &values.as_primitive::<UInt32Type>().values()[range];
                numbers.iter().for_each(|&n| hasher.word(u64::from(n)));
            }
            DataType::UInt64 => {
                let numbers = &values.as_primitive::<UInt64Type>().values()[range];
                numbers.iter().for_each(|&n| hasher.word(n));
            }
            DataType::Float32 => {
                let numbers = &values.as_primitive::<Float32Type>().values()[range];
                let bits = numbers.iter().map(|number| u64::from(number.to_bits()));
                bits.for_each(|bits| hasher.word(bits));
            }
            other => unreachable!("no table of ours has a list of {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RowsHash;
    use proptest::prelude::{any, prop_assert_eq, prop_assert_ne, proptest};

    fn of(rows: &[u64]) -> RowsHash {
        let mut hash = RowsHash::default();
        rows.iter().for_each(|&row| hash.push(row));
        hash
    }

    proptest! {
        #[test]
        fn cutting_does_not_matter(rows: Vec<u64>, cut in any::<proptest::sample::Index>()) {
            let at = cut.index(rows.len() + 1);
            let mut joined = of(&rows[..at]);
            joined.extend(&of(&rows[at..]));
            prop_assert_eq!(joined, of(&rows));
            let text = serde_json::to_string(&joined).expect("serializes");
            prop_assert_eq!(serde_json::from_str::<RowsHash>(&text).expect("parses"), joined);
        }

        #[test]
        fn order_matters(a: u32, b: u32) {
            if a != b {
                let (a, b) = (u64::from(a), u64::from(b));
                prop_assert_ne!(of(&[a, b]).hex(), of(&[b, a]).hex());
            }
        }
    }
}
