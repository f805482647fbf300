//! Grouping of near-duplicates on disk: which records the band keys of MinHash drop, and for which.
//!
//! **The rule.** Records are ranked by (split, id), the lower rank being the better. A record is
//! dropped if a record of lower rank shares a band key with it; its keeper is the lowest of these.
//!
//! The rule looks at one record and those that share a band with it, never at what becomes of them:
//! there is no transitive closure, no union-find, no state that grows, and the answer depends on the
//! set of records alone, not on order, workers or partitions.
//!
//! **A chain of keepers ends at a kept record.** A keeper may be dropped itself, for one of lower rank.
//! But each step goes to a strictly lower rank, ranks are totally ordered and there are finitely many,
//! so the chain stops, and it can stop only at a record that is not dropped. So every dropped record is
//! tied to a kept one by steps of shared bands, and the lowest record of every bucket of equal keys is
//! the keeper, or better than the keeper, of all others in it.
//!
//! ```text
//! 1  keys of each record ─▶ encode ─▶ Partitions by key ─▶ files       25 bytes for each band
//! 2  file ─▶ resolve: sort by (key, rank), lowest of each key ─▶ encode_drop ─▶ Partitions by id
//! 3  file ─▶ decode_drops ─▶ merge: lowest keeper of each dropped record
//! ```
//! Files belong to the caller. One partition is in memory at a time in steps 2 and 3; its size is the
//! whole divided by the number of partitions. A file whose length is not a whole number of entries is an
//! error; a change inside one is for the caller's hash to find.

use std::io::{Error, ErrorKind, Result};

/// Bytes of an encoded [`BandEntry`].
pub const ENTRY_BYTES: usize = 8 + RANK_BYTES;

/// Bytes of an encoded dropped record and its keeper.
pub const DROP_BYTES: usize = 2 * RANK_BYTES;

const RANK_BYTES: usize = 1 + 16;

/// Place of a record in the order of who is kept: by split, then by id.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Rank {
    /// Rank of the record's split: the split that must keep its records has the lowest.
    pub split: u8,
    /// The record's identity.
    pub id: u128,
}

/// One band of one record.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BandEntry {
    /// The band's key.
    pub key: u64,
    /// The record.
    pub rank: Rank,
}

/// The bytes of an entry: key, split, id; little-endian.
pub fn encode(entry: &BandEntry) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    bytes[..8].copy_from_slice(&entry.key.to_le_bytes());
    bytes[8..].copy_from_slice(&encode_rank(entry.rank));
    bytes
}

/// The entry of bytes that [`encode`] made.
pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> BandEntry {
    BandEntry {
        key: key(bytes),
        rank: rank(bytes.last_chunk().expect("an entry ends with a rank")),
    }
}

/// The bytes of a dropped record and its keeper.
pub fn encode_drop(dropped: Rank, keeper: Rank) -> [u8; DROP_BYTES] {
    let mut bytes = [0; DROP_BYTES];
    bytes[..RANK_BYTES].copy_from_slice(&encode_rank(dropped));
    bytes[RANK_BYTES..].copy_from_slice(&encode_rank(keeper));
    bytes
}

/// Appends to `drops` what [`encode_drop`] made of them.
///
/// # Errors
/// `InvalidData` if the length is not a whole number of drops.
pub fn decode_drops(bytes: &[u8], drops: &mut Vec<(Rank, Rank)>) -> Result<()> {
    let (whole, rest) = bytes.as_chunks::<DROP_BYTES>();
    check_length(bytes.len(), rest.len(), DROP_BYTES)?;
    drops.extend(whole.iter().map(|drop| {
        let dropped = drop.first_chunk().expect("a drop begins with a rank");
        let keeper = drop.last_chunk().expect("a drop ends with a rank");
        (rank(dropped), rank(keeper))
    }));
    Ok(())
}

/// The partition of `count` that a key belongs to: by its top bits, so that partitions are ranges.
pub fn partition_of_key(key: u64, count: usize) -> usize {
    ((u128::from(key) * count as u128) >> 64) as usize
}

/// Bytes on disk between steps 1 and 2, if every record has band keys. What step 2 writes is smaller:
/// [`DROP_BYTES`] for each band in which a record meets a better one.
pub fn state_bytes(records: u64, bands: usize) -> u64 {
    records
        .saturating_mul(bands as u64)
        .saturating_mul(ENTRY_BYTES as u64)
}

/// Collects entries by partition and hands them on in blocks, within a bound of memory.
///
/// Each partition has an equal part of the bound. A block is a whole number of entries, and the blocks of
/// a partition put together are its entries in the order of pushing.
pub struct Partitions<F> {
    buffers: Vec<Vec<u8>>,
    /// A buffer that would grow beyond this is handed on.
    bytes_each: usize,
    flush: F,
}

impl<F: FnMut(usize, &[u8]) -> Result<()>> Partitions<F> {
    /// `count` partitions that hold at most `bytes_max` together, or one entry each if that is more.
    /// `flush` is given a partition and the bytes to append to it.
    pub fn new(count: usize, bytes_max: usize, flush: F) -> Self {
        Self {
            buffers: vec![Vec::new(); count],
            bytes_each: bytes_max / count.max(1),
            flush,
        }
    }

    /// Adds one entry to a partition.
    ///
    /// # Errors
    /// Those of `flush`; the entry is then not added, and the block that was refused is kept.
    pub fn push(&mut self, partition: usize, entry: &[u8]) -> Result<()> {
        let buffer = &mut self.buffers[partition];
        if !buffer.is_empty() && buffer.len() + entry.len() > self.bytes_each {
            (self.flush)(partition, buffer)?;
            buffer.clear();
        }
        if buffer.is_empty() {
            // All at once, so that growth by doubling does not overstep the bound.
            buffer.reserve_exact(self.bytes_each.max(entry.len()));
        }
        buffer.extend_from_slice(entry);
        Ok(())
    }

    /// Hands on what is left.
    ///
    /// # Errors
    /// Those of `flush`.
    pub fn finish(mut self) -> Result<()> {
        for (partition, buffer) in self.buffers.iter().enumerate() {
            if !buffer.is_empty() {
                (self.flush)(partition, buffer)?;
            }
        }
        Ok(())
    }
}

/// Sorts the entries of a partition, in place, and calls `emit` with each record that shares a key with
/// a better one, and the best record of that key. A record that shares several keys is emitted for each.
///
/// All entries of a key must be in the partition; their order does not matter.
///
/// # Errors
/// `InvalidData` if the length is not a whole number of entries.
pub fn resolve(partition: &mut [u8], mut emit: impl FnMut(Rank, Rank)) -> Result<()> {
    let length = partition.len();
    let (entries, rest) = partition.as_chunks_mut::<ENTRY_BYTES>();
    check_length(length, rest.len(), ENTRY_BYTES)?;
    // Nearly all keys are of one record: ranks are read only where keys are equal.
    entries.sort_unstable_by(|one, other| {
        key(one)
            .cmp(&key(other))
            .then_with(|| decode(one).rank.cmp(&decode(other).rank))
    });
    for bucket in entries.chunk_by(|one, other| key(one) == key(other)) {
        let keeper = decode(&bucket[0]).rank;
        let mut previous = keeper;
        for entry in &bucket[1..] {
            // One record may have been pushed twice.
            let dropped = decode(entry).rank;
            if dropped != previous {
                emit(dropped, keeper);
            }
            previous = dropped;
        }
    }
    Ok(())
}

/// Leaves of `drops` one for each dropped record, with its lowest keeper, sorted by dropped record.
///
/// All drops of a record must be there; their order does not matter.
pub fn merge(drops: &mut Vec<(Rank, Rank)>) {
    drops.sort_unstable();
    drops.dedup_by_key(|&mut (dropped, _)| dropped);
}

fn encode_rank(rank: Rank) -> [u8; RANK_BYTES] {
    let mut bytes = [0; RANK_BYTES];
    bytes[0] = rank.split;
    bytes[1..].copy_from_slice(&rank.id.to_le_bytes());
    bytes
}

fn rank(bytes: &[u8; RANK_BYTES]) -> Rank {
    Rank {
        split: bytes[0],
        id: u128::from_le_bytes(*bytes.last_chunk().expect("a rank ends with an id")),
    }
}

#[inline(always)]
fn key(bytes: &[u8; ENTRY_BYTES]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("an entry begins with a key"))
}

fn check_length(length: usize, rest: usize, unit: usize) -> Result<()> {
    if rest == 0 {
        return Ok(());
    }
    let message = format!("{length} bytes are not a whole number of entries of {unit} bytes");
    Err(Error::new(ErrorKind::InvalidData, message))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Error, ErrorKind};

    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::{
        BandEntry, DROP_BYTES, ENTRY_BYTES, Partitions, Rank, decode, decode_drops, encode,
        encode_drop, merge, partition_of_key, resolve, state_bytes,
    };

    const RECORD: Rank = Rank {
        split: 2,
        id: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
    };

    /// Keys from few values at both ends, so that records meet and partitions are crossed.
    fn key(word: u8) -> u64 {
        u64::from(word % 24).wrapping_mul(0x0b00_0000_0000_0001)
    }

    fn rank(number: usize) -> Rank {
        Rank {
            split: (number % 3) as u8,
            id: (number as u128).wrapping_mul(0x9e37_79b9 << 96 | 77),
        }
    }

    fn entries_of(records: &[Vec<u8>]) -> Vec<BandEntry> {
        let bands = |(number, words): (usize, &Vec<u8>)| {
            let rank = rank(number);
            words
                .iter()
                .map(move |&word| BandEntry {
                    key: key(word),
                    rank,
                })
                .collect::<Vec<_>>()
        };
        records.iter().enumerate().flat_map(bands).collect()
    }

    /// All three steps, with files in memory.
    fn drops_of(entries: &[BandEntry], count: usize, bytes_max: usize) -> Vec<(Rank, Rank)> {
        let mut files = vec![Vec::new(); count];
        let mut partitions = Partitions::new(count, bytes_max, |partition, bytes: &[u8]| {
            assert!(bytes.len() <= (bytes_max / count).max(ENTRY_BYTES));
            files[partition].extend_from_slice(bytes);
            Ok(())
        });
        for entry in entries {
            let partition = partition_of_key(entry.key, count);
            partitions
                .push(partition, &encode(entry))
                .expect("files in memory");
        }
        partitions.finish().expect("files in memory");
        let mut drop_files = vec![Vec::new(); count];
        for file in &mut files {
            resolve(file, |dropped, keeper| {
                let file = &mut drop_files[partition_of_key((dropped.id >> 64) as u64, count)];
                file.extend_from_slice(&encode_drop(dropped, keeper));
            })
            .expect("whole entries");
        }
        let mut all = Vec::new();
        for file in &drop_files {
            let mut drops = Vec::new();
            decode_drops(file, &mut drops).expect("whole drops");
            merge(&mut drops);
            all.append(&mut drops);
        }
        all.sort_unstable();
        all
    }

    /// The rule: every record against every other.
    fn oracle(entries: &[BandEntry]) -> BTreeMap<Rank, Rank> {
        let mut keepers: BTreeMap<Rank, Rank> = BTreeMap::new();
        for one in entries {
            for other in entries
                .iter()
                .filter(|other| other.key == one.key && other.rank < one.rank)
            {
                let keeper = keepers.entry(one.rank).or_insert(other.rank);
                *keeper = other.rank.min(*keeper);
            }
        }
        keepers
    }

    #[test]
    fn golden_bytes_of_an_entry_and_a_drop() {
        let entry = BandEntry {
            key: 0xa1a2_a3a4_a5a6_a7a8,
            rank: RECORD,
        };
        let bytes = encode(&entry);
        let expected = [
            0xa8, 0xa7, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0xa1, 2, 0x10, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b,
            0x0a, 0x09, 8, 7, 6, 5, 4, 3, 2, 1,
        ];
        assert_eq!(bytes, expected);
        assert_eq!(decode(&bytes), entry);
        let drop = encode_drop(RECORD, Rank { split: 0, id: 7 });
        assert_eq!(
            (&drop[..17], &drop[17..19], drop.len()),
            (&bytes[8..], &[0, 7][..], DROP_BYTES)
        );
    }

    #[test]
    fn a_better_split_keeps_its_record_whatever_the_ids() {
        let test = Rank {
            split: 0,
            id: u128::MAX,
        };
        let train = Rank { split: 1, id: 0 };
        let mut bytes = [train, test]
            .map(|rank| encode(&BandEntry { key: 5, rank }))
            .concat();
        let mut found = Vec::new();
        resolve(&mut bytes, |dropped, keeper| found.push((dropped, keeper)))
            .expect("whole entries");
        assert_eq!(found, [(train, test)]);
    }

    #[test]
    fn a_record_that_comes_twice_is_no_duplicate_of_itself() {
        let one = Rank { split: 0, id: 1 };
        let two = Rank { split: 0, id: 2 };
        let entries = [two, one, two, one].map(|rank| BandEntry { key: 9, rank });
        assert_eq!(drops_of(&entries, 1, 1000), [(two, one)]);
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let mut bytes = encode(&BandEntry {
            key: 1,
            rank: RECORD,
        })[1..]
            .to_vec();
        let error = resolve(&mut bytes, |_, _| ()).expect_err("24 bytes");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(
            error.to_string(),
            "24 bytes are not a whole number of entries of 25 bytes"
        );
        assert!(decode_drops(&[0; 35], &mut Vec::new()).is_err());
        resolve(&mut [], |_, _| ()).expect("an empty partition is whole");
    }

    #[test]
    fn a_failed_flush_is_reported_and_loses_nothing() {
        let mut fail = true;
        let mut file = Vec::new();
        let mut partitions = Partitions::new(1, 2, |_, bytes: &[u8]| {
            if std::mem::take(&mut fail) {
                return Err(Error::from(ErrorKind::StorageFull));
            }
            file.extend_from_slice(bytes);
            Ok(())
        });
        partitions.push(0, &[1]).expect("room");
        partitions.push(0, &[2]).expect("room");
        assert_eq!(
            partitions.push(0, &[3]).expect_err("full").kind(),
            ErrorKind::StorageFull
        );
        partitions.push(0, &[3]).expect("room again");
        partitions.finish().expect("room again");
        assert_eq!(file, [1, 2, 3]);
    }

    #[test]
    fn partitions_are_ranges_of_keys_of_equal_size() {
        for count in [1, 2, 3, 64, 100] {
            assert_eq!(partition_of_key(0, count), 0);
            assert_eq!(partition_of_key(u64::MAX, count), count - 1);
        }
        assert_eq!(partition_of_key(0xABCD << 48, 256), 0xAB);
    }

    #[test]
    fn state_is_25_bytes_for_each_band() {
        assert_eq!(state_bytes(110_000_000, 14), 38_500_000_000);
        assert_eq!(state_bytes(u64::MAX, 14), u64::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn agrees_with_all_pairs_in_any_order_and_any_number_of_partitions(
            records in vec(vec(any::<u8>(), 0..4), 0..40),
            count in 1usize..9,
            bytes_max in 0usize..2000,
            turn in any::<proptest::sample::Index>(),
        ) {
            let mut entries = entries_of(&records);
            let expected: Vec<(Rank, Rank)> = oracle(&entries).into_iter().collect();
            prop_assert_eq!(&drops_of(&entries, count, bytes_max), &expected);
            if !entries.is_empty() {
                let turn = turn.index(entries.len());
                entries.rotate_left(turn);
                entries[turn..].reverse();
            }
            prop_assert_eq!(&drops_of(&entries, 1, 100), &expected);
            // Every chain of keepers ends at a record that is kept.
            let keepers: BTreeMap<Rank, Rank> = expected.into_iter().collect();
            for (&dropped, &keeper) in &keepers {
                let (mut at, mut steps) = (keeper, 0);
                while let Some(&next) = keepers.get(&at) {
                    prop_assert!(next < at);
                    (at, steps) = (next, steps + 1);
                    prop_assert!(steps <= records.len());
                }
                prop_assert!(at < dropped);
            }
        }
    }
}
