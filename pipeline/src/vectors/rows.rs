//! The rows of one block: parsed, checked and scaled by a worker that knows nothing of other blocks.

use juzi_schemas::dropped::Reason;
use xxhash_rust::xxh3::xxh3_128;

use super::BadRow;

/// Bytes of a block, in any format.
pub(super) const BLOCK_BYTES: usize = 2 << 20;
/// Longest row, so that garbage takes no memory.
pub(super) const ROW_BYTES_MAX: usize = 4 << 20;
/// Characters of the input that a detail shows.
const DETAIL_CHARS: usize = 60;

/// Where a row stands: offset in the file, line from the start of its block, from 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) line: u64,
}

/// The rows of a block. Numbers of rows and lines are relative to the block.
#[derive(Debug, Default)]
pub(super) struct Rows {
    dimension: usize,
    pub(super) words: Vec<String>,
    /// Of each kept row: hash of its word.
    pub(super) hashes: Vec<u128>,
    pub(super) rows: Vec<u64>,
    pub(super) places: Vec<Place>,
    /// Vectors of the kept rows, and room for one more.
    pub(super) values: Vec<f32>,
    /// Their `line` counts from 0 from the start of the block.
    pub(super) dropped: Vec<BadRow>,
    pub(super) seen: u64,
    pub(super) skipped: u64,
    /// Lines of the block.
    pub(super) lines: u64,
    /// Why the file ends behind this block, if it should not.
    pub(super) damage: Option<String>,
    /// Name of a member that begins with this block, if it is not the first.
    pub(super) second: Option<String>,
    /// Bytes of the file that were read for this block.
    pub(super) consumed: u64,
}

impl Rows {
    /// No rows yet; `room` is a guess of how many there will be.
    pub(super) fn new(dimension: usize, room: usize) -> Rows {
        Rows {
            dimension,
            values: Vec::with_capacity((room + 1) * dimension),
            words: Vec::with_capacity(room),
            hashes: Vec::with_capacity(room),
            rows: Vec::with_capacity(room),
            places: Vec::with_capacity(room),
            ..Rows::default()
        }
    }

    /// Memory for the next row's numbers; they stay if the row is kept.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [f32] {
        let start = self.words.len() * self.dimension;
        self.values.resize(start + self.dimension, 0.0);
        &mut self.values[start..]
    }

    /// A sound row that is not wanted.
    #[inline]
    pub(super) fn skip(&mut self) {
        self.seen += 1;
        self.skipped += 1;
    }

    /// Takes the numbers in [`Rows::room`], the sum of whose squares is given, and scales them to
    /// unit length; squares of `f32` neither overflow nor vanish in `f64`.
    #[inline]
    pub(super) fn keep(&mut self, word: &str, place: Place, squares: f64) {
        if !squares.is_finite() {
            return self.drop(Reason::NotFinite, place, Some(excerpt(word.as_bytes())));
        }
        if squares == 0.0 {
            return self.drop(Reason::ZeroVector, place, Some(excerpt(word.as_bytes())));
        }
        let scale = 1.0 / squares.sqrt();
        let start = self.words.len() * self.dimension;
        for value in &mut self.values[start..] {
            *value = (f64::from(*value) * scale) as f32;
        }
        self.words.push(word.into());
        self.hashes.push(xxh3_128(word.as_bytes()));
        self.rows.push(self.seen);
        self.places.push(place);
        self.seen += 1;
    }

    /// A row for the ledger.
    pub(super) fn drop(&mut self, reason: Reason, place: Place, detail: Option<String>) {
        self.seen += 1;
        self.dropped.push(BadRow {
            reason,
            member: None,
            offset: place.offset,
            line: Some(place.line),
            detail,
        });
    }

    /// The word of a row, or the row's place in the ledger.
    #[inline]
    pub(super) fn word<'w>(&mut self, word: &'w [u8], place: Place) -> Option<&'w str> {
        if word.is_empty() {
            self.drop(Reason::EmptyWord, place, None);
            return None;
        }
        let text = std::str::from_utf8(word).ok();
        if text.is_none() {
            self.drop(Reason::InvalidUtf8, place, Some(excerpt(word)));
        }
        text
    }

    /// Drops the room for a further row.
    pub(super) fn trim(&mut self) {
        self.values.truncate(self.words.len() * self.dimension);
    }
}

/// The sum of squares in order, so that it is the same everywhere.
#[inline]
pub(super) fn squares(values: &[f32]) -> f64 {
    values
        .iter()
        .fold(0.0, |sum, &value| sum + f64::from(value) * f64::from(value))
}

/// The beginning of some input, for people.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let some = &bytes[..bytes.len().min(4 * DETAIL_CHARS)];
    let text = String::from_utf8_lossy(some);
    let mut short: String = text.chars().take(DETAIL_CHARS).collect();
    if short.len() < text.len() || some.len() < bytes.len() {
        short.push('…');
    }
    short
}
