//! The spill: what one unit of input leaves for the merge, sorted by place.
//!
//! A spill file holds, table by table, encoded records in the order of their places, and at its
//! end an index: for each table in use the byte where each of 4,096 partitions of the place
//! starts, and the hash of each partition's bytes. A shard is a range of partitions, so a merge
//! reads one slice of each file, checked before it is decoded.
//!
//! An id is not spilled: it follows from the strings, and hashing them again costs less than
//! sixteen bytes through the disk and back.

use juzi_schemas::dropped::Reason;
use juzi_schemas::record::Kind;
use serde::{Deserialize, Serialize};

/// Five kinds of records and the drop ledger.
pub const TABLES: usize = 6;

/// Bytes of one table's index.
pub const INDEX_BYTES: usize = (PARTITIONS + 1) * 4 + PARTITIONS * 8;

/// Number of the ledger among the tables.
pub const LEDGER: usize = 5;

/// Partitions of the place by its top bits; no table has more shards than that.
pub const PARTITIONS: usize = 4096;

/// The partition of a place.
pub fn partition(place: u64) -> usize {
    (place >> (64 - PARTITIONS.trailing_zeros())) as usize
}

/// A record in a spill.
#[derive(Clone, Debug, PartialEq)]
pub struct SpillRow<'a> {
    /// Hash of the document.
    pub document: u64,
    /// Offset of the document from the start of its block.
    pub offset: u64,
    /// Line of the document, from 0 at the start of its block.
    pub line: u64,
    /// Number within document and view.
    pub position: u32,
    /// Score of a scored pair.
    pub score: f32,
    /// Content strings in column order.
    pub texts: Vec<&'a str>,
    /// Topic that the corpus gives.
    pub topic_key: Option<&'a str>,
    /// Group that the corpus gives.
    pub group_key: Option<&'a str>,
}

/// A ledger row in a spill.
#[derive(Clone, Debug, PartialEq)]
pub struct SpillDrop<'a> {
    /// Why.
    pub reason: Reason,
    /// Offset of the document from the start of its block.
    pub offset: u64,
    /// Line of the document, from 0 at the start of its block, where there are lines.
    pub line: Option<u64>,
    /// Id of the record that was kept instead.
    pub keeper: Option<u128>,
    /// Text or message.
    pub detail: Option<&'a str>,
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_optional(out: &mut Vec<u8>, length: Option<usize>) {
    put(out, length.map_or(0, |length| length as u64 + 1));
}

/// Reads what the encoders wrote. Spill bytes are in this process's memory or checked by their hash,
/// so a value that does not decode is a defect of ours.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    #[inline]
    fn number(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.bytes[self.at];
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }

    fn optional(&mut self) -> Option<usize> {
        self.number().checked_sub(1).map(|length| length as usize)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        taken
    }

    fn text(&mut self, length: usize) -> &'a str {
        // SAFETY: the encoder wrote a `str` here, and the hash of the bytes was compared since.
        unsafe { std::str::from_utf8_unchecked(self.take(length)) }
    }

    fn id(&mut self) -> u128 {
        u128::from_le_bytes(self.take(16).try_into().expect("sixteen bytes taken"))
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight bytes taken"))
    }
}

impl<'a> SpillRow<'a> {
    /// Appends the encoded record; `texts` is taken apart from the row so that no vector is made.
    pub fn encode(row: &SpillRow<'_>, texts: &[&str], kind: Kind, out: &mut Vec<u8>) {
        out.extend_from_slice(&row.document.to_le_bytes());
        put(out, row.offset);
        put(out, row.line);
        put(out, u64::from(row.position));
        match kind {
            Kind::Scored => out.extend_from_slice(&row.score.to_le_bytes()),
            Kind::Triplet => put(out, texts.len() as u64),
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        texts.iter().for_each(|text| put(out, text.len() as u64));
        put_optional(out, row.topic_key.map(str::len));
        put_optional(out, row.group_key.map(str::len));
        texts
            .iter()
            .for_each(|text| out.extend_from_slice(text.as_bytes()));
        for key in [row.topic_key, row.group_key].into_iter().flatten() {
            out.extend_from_slice(key.as_bytes());
        }
    }

    /// Decodes the record at `at` into `row`, reusing its vector; gives the end of the record.
    pub fn decode(bytes: &'a [u8], at: usize, kind: Kind, row: &mut SpillRow<'a>) -> usize {
        let (mut decoder, mut lengths) = (Decoder { bytes, at }, [0; 2]);
        row.document = decoder.word();
        (row.offset, row.line, row.position) =
            (decoder.number(), decoder.number(), decoder.number() as u32);
        row.score = match kind {
            Kind::Scored => {
                f32::from_le_bytes(decoder.take(4).try_into().expect("four bytes taken"))
            }
            _ => 0.0,
        };
        row.texts.clear();
        if kind == Kind::Triplet {
            let count = decoder.number() as usize;
            let lengths: Vec<usize> = (0..count).map(|_| decoder.number() as usize).collect();
            let keys = [decoder.optional(), decoder.optional()];
            row.texts
                .extend(lengths.into_iter().map(|length| decoder.text(length)));
            [row.topic_key, row.group_key] =
                keys.map(|length| length.map(|length| decoder.text(length)));
        } else {
            let count = kind.text_columns().len();
            lengths[..count].fill_with(|| decoder.number() as usize);
            let keys = [decoder.optional(), decoder.optional()];
            row.texts
                .extend(lengths[..count].iter().map(|&length| decoder.text(length)));
            [row.topic_key, row.group_key] =
                keys.map(|length| length.map(|length| decoder.text(length)));
        }
        decoder.at
    }

    /// An empty row to decode into.
    pub fn empty() -> SpillRow<'a> {
        SpillRow {
            document: 0,
            offset: 0,
            line: 0,
            position: 0,
            score: 0.0,
            texts: Vec::new(),
            topic_key: None,
            group_key: None,
        }
    }
}

impl<'a> SpillDrop<'a> {
    /// Appends the encoded ledger row, led by the place that orders it.
    pub fn encode(&self, place: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&place.to_le_bytes());
        out.push(self.reason as u8);
        put(out, self.offset);
        put(out, self.line.map_or(0, |line| line + 1));
        out.push(u8::from(self.keeper.is_some()));
        if let Some(keeper) = self.keeper {
            out.extend_from_slice(&keeper.to_le_bytes());
        }
        put_optional(out, self.detail.map(str::len));
        out.extend_from_slice(self.detail.unwrap_or_default().as_bytes());
    }

    /// Decodes the ledger row at `at`; gives its place and end.
    pub fn decode(bytes: &'a [u8], at: usize) -> (u64, SpillDrop<'a>, usize) {
        let mut decoder = Decoder { bytes, at };
        let place = decoder.word();
        let reason = Reason::ALL[usize::from(decoder.take(1)[0])];
        let (offset, line) = (decoder.number(), decoder.number().checked_sub(1));
        let keeper = (decoder.take(1)[0] == 1).then(|| decoder.id());
        let length = decoder.optional();
        let detail = length.map(|length| decoder.text(length));
        (
            place,
            SpillDrop {
                reason,
                offset,
                line,
                keeper,
                detail,
            },
            decoder.at,
        )
    }
}

/// What the journal remembers of a spill file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitNote {
    /// Index of the source and number of the block.
    pub unit: (u32, u32),
    /// Index of the input file.
    pub input: usize,
    /// Member of an archive.
    pub member: Option<String>,
    /// Offset of the block in the decoded member.
    pub offset: u64,
    /// Lines that start in the block.
    pub lines: u64,
    /// Bytes of each table's records; they follow each other in the file.
    pub table_bytes: [u64; TABLES],
    /// Counts of the block.
    pub counts: Counts,
    /// Where and why the container cannot be read further.
    pub damage: Option<String>,
    /// The first bad documents, for people.
    pub examples: Vec<String>,
}

/// Counts that must balance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Documents read, bad ones included.
    pub documents: u64,
    /// Of these, documents of which nothing was used.
    pub documents_dropped: u64,
    /// Records that the views made of the others.
    pub records: u64,
    /// Ledger rows by reason.
    pub dropped: Vec<u64>,
    /// Bytes of documents, decoded.
    pub bytes: u64,
    /// Compressed bytes behind a place of damage, as far as they are known.
    pub bytes_unread: u64,
}

impl Counts {
    /// Counts one ledger row.
    pub fn drop(&mut self, reason: Reason) {
        self.dropped.resize(Reason::ALL.len(), 0);
        self.dropped[reason as usize] += 1;
    }

    /// Ledger rows of one reason.
    pub fn dropped_for(&self, reason: Reason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// Ledger rows of all reasons.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Adds another block's counts.
    pub fn add(&mut self, other: &Counts) {
        self.documents += other.documents;
        self.documents_dropped += other.documents_dropped;
        self.records += other.records;
        self.bytes += other.bytes;
        self.bytes_unread += other.bytes_unread;
        self.dropped.resize(Reason::ALL.len(), 0);
        for (sum, count) in self.dropped.iter_mut().zip(&other.dropped) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Reason, SpillDrop, SpillRow};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn rows_survive(
            document: u64, offset: u64, line: u64, position: u32, score in -1e3f32..1e3,
            texts in proptest::collection::vec(any::<String>(), 5), topic: Option<String>, group: Option<String>,
        ) {
            for (kind, strings) in [(Kind::Text, 1), (Kind::Labelled, 2), (Kind::Pair, 2), (Kind::Triplet, 5), (Kind::Scored, 2)] {
                let texts: Vec<&str> = texts[..strings].iter().map(String::as_str).collect();
                let row = SpillRow {
                    document, offset, line, position,
                    score: if kind == Kind::Scored { score } else { 0.0 },
                    texts: texts.clone(), topic_key: topic.as_deref(), group_key: group.as_deref(),
                };
                let mut bytes = vec![7; 3];
                SpillRow::encode(&row, &texts, kind, &mut bytes);
                let mut found = SpillRow::empty();
                prop_assert_eq!(SpillRow::decode(&bytes, 3, kind, &mut found), bytes.len());
                prop_assert_eq!(&found, &row);
            }
        }

        #[test]
        fn drops_survive(place: u64, offset: u64, line: Option<u32>, keeper: Option<u128>, detail: Option<String>, at in 0..20usize) {
            let line = line.map(u64::from);
            let row = SpillDrop { reason: Reason::ALL[at], offset, line, keeper, detail: detail.as_deref() };
            let mut bytes = Vec::new();
            row.encode(place, &mut bytes);
            prop_assert_eq!(SpillDrop::decode(&bytes, 0), (place, row, bytes.len()));
        }
    }
}
