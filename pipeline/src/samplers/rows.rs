//! Rows as a sampler sees them: numbers and hashes, never text.

/// Topic of a row that has none.
pub const NO_TOPIC: u32 = u32::MAX;

/// Facts of rows, column by column.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Corpus of each row.
    pub corpora: Vec<u16>,
    /// Topic of each row, or [`NO_TOPIC`].
    pub topics: Vec<u32>,
    /// Hash of the group of each row; 0 for none.
    pub groups: Vec<u64>,
    texts: Vec<u64>,
    text_ends: Vec<u32>,
    near: Vec<u64>,
    near_ends: Vec<[u32; 2]>,
    known: Vec<u64>,
    known_ends: Vec<u32>,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.corpora.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.corpora.is_empty()
    }

    /// Appends a row: the hashes of its anchor (or text), its positive and its negatives, and keys
    /// that near-duplicates of its anchor and of its positive share.
    pub fn push(&mut self, corpus: u16, topic: u32, group: u64, texts: &[u64], near: [&[u64]; 2]) {
        self.corpora.push(corpus);
        self.topics.push(topic);
        self.groups.push(group);
        self.texts.extend_from_slice(texts);
        self.text_ends.push(self.texts.len() as u32);
        self.near_ends.push(near.map(|keys| {
            self.near.extend_from_slice(keys);
            self.near.len() as u32
        }));
        self.known_ends.push(self.known.len() as u32);
    }

    /// Says which texts are positives of the last row's anchor too, by records that may stand
    /// anywhere.
    pub fn know(&mut self, positives: impl IntoIterator<Item = u64>) {
        self.known.extend(positives);
        if let Some(end) = self.known_ends.last_mut() {
            *end = self.known.len() as u32;
        }
    }

    /// Appends all rows of another table.
    pub fn append(&mut self, other: &Rows) {
        let (texts, near) = (self.texts.len() as u32, self.near.len() as u32);
        let known = self.known.len() as u32;
        self.known.extend_from_slice(&other.known);
        self.known_ends
            .extend(other.known_ends.iter().map(|end| end + known));
        self.corpora.extend_from_slice(&other.corpora);
        self.topics.extend_from_slice(&other.topics);
        self.groups.extend_from_slice(&other.groups);
        self.texts.extend_from_slice(&other.texts);
        self.near.extend_from_slice(&other.near);
        self.text_ends
            .extend(other.text_ends.iter().map(|end| end + texts));
        self.near_ends.extend(
            other
                .near_ends
                .iter()
                .map(|ends| ends.map(|end| end + near)),
        );
    }

    /// Appends some rows of another table.
    pub fn append_some(&mut self, other: &Rows, rows: &[u32]) {
        for &row in rows {
            let at = row as usize;
            self.push(
                other.corpora[at],
                other.topics[at],
                other.groups[at],
                other.texts(row),
                other.near(row),
            );
            self.know(other.known(row).iter().copied());
        }
    }

    /// Hashes of a row's texts: the anchor, the positive, the negatives.
    #[inline]
    pub fn texts(&self, row: u32) -> &[u64] {
        let row = row as usize;
        let start = row
            .checked_sub(1)
            .map_or(0, |before| self.text_ends[before]);
        &self.texts[start as usize..self.text_ends[row] as usize]
    }

    /// Hashes of texts, other than its positive, that are positives of a row's anchor too.
    #[inline]
    pub fn known(&self, row: u32) -> &[u64] {
        let row = row as usize;
        let start = row
            .checked_sub(1)
            .map_or(0, |before| self.known_ends[before]);
        &self.known[start as usize..self.known_ends[row] as usize]
    }

    /// Keys that near-duplicates of a row's anchor and of its positive share.
    #[inline]
    pub fn near(&self, row: u32) -> [&[u64]; 2] {
        let row = row as usize;
        let start = row
            .checked_sub(1)
            .map_or(0, |before| self.near_ends[before][1]);
        let [middle, end] = self.near_ends[row];
        [
            &self.near[start as usize..middle as usize],
            &self.near[middle as usize..end as usize],
        ]
    }
}
