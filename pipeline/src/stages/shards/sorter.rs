//! Sorts the records of one unit by place, finds its own duplicates and lays the unit out as a
//! spill file.
//!
//! A text that stands a million times in a corpus would otherwise meet itself a million times in
//! one shard. Within a unit every duplicate goes to the ledger at once, where rows are spread by
//! document; so a shard meets at most one copy from each unit, and the ledger reads the same.

use std::io::{Result, Write};

use juzi_schemas::dropped::Reason;
use juzi_schemas::random::Order;
use juzi_schemas::record::Kind;
use xxhash_rust::xxh3::xxh3_64;

use super::identity::Identity;
use super::prefetch::{AHEAD, prefetch};
use super::spill::{Counts, LEDGER, PARTITIONS, SpillDrop, SpillRow, TABLES, partition};

#[derive(Clone, Copy)]
struct Entry {
    place: u64,
    at: u32,
    end: u32,
}

/// Bytes written at once: they are still in the cache when the system copies them.
const CHUNK_BYTES: usize = 1 << 18;

/// Collects the records of a unit; reused from unit to unit.
pub struct Sorter {
    order: Order,
    identity: Identity,
    arena: Vec<u8>,
    tables: [Vec<Entry>; TABLES],
    chunk: Vec<u8>,
}

/// Place of a ledger row: spread by what was dropped, so that no shard of the ledger grows.
pub fn ledger_place(order: &Order, reason: Reason, document: u64, position: u32) -> u64 {
    order.place(u128::from(document) << 64 | u128::from(position) << 8 | reason as u128)
}

impl Sorter {
    /// An empty sorter.
    pub fn new(order: Order, identity: Identity) -> Sorter {
        Sorter {
            order,
            identity,
            arena: Vec::new(),
            tables: Default::default(),
            chunk: Vec::new(),
        }
    }

    /// Adds a record.
    pub fn push(&mut self, row: &SpillRow<'_>, texts: &[&str], kind: Kind) {
        let at = self.arena.len() as u32;
        SpillRow::encode(row, texts, kind, &mut self.arena);
        let place = self.order.place(self.identity.of(kind, texts));
        let entry = Entry {
            place,
            at,
            end: self.arena.len() as u32,
        };
        self.tables[kind as usize].push(entry);
    }

    /// Adds a ledger row.
    pub fn push_drop(&mut self, row: &SpillDrop<'_>, document: u64, position: u32) {
        let place = ledger_place(&self.order, row.reason, document, position);
        let at = self.arena.len() as u32;
        row.encode(place, &mut self.arena);
        self.tables[LEDGER].push(Entry {
            place,
            at,
            end: self.arena.len() as u32,
        });
    }

    /// Writes everything to `out`, counts duplicates, gives the bytes of each table, and is empty
    /// afterwards.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(&mut self, out: &mut impl Write, counts: &mut Counts) -> Result<[u64; TABLES]> {
        let mut table_bytes = [0; TABLES];
        let mut index = Vec::new();
        for (table, bytes) in table_bytes.iter_mut().enumerate() {
            let mut entries = std::mem::take(&mut self.tables[table]);
            entries.sort_unstable_by_key(|entry| entry.place);
            if table < LEDGER {
                self.drop_duplicates(&mut entries, Kind::ALL[table], counts);
            }
            if !entries.is_empty() {
                *bytes = self.lay_out(&entries, out, &mut index)?;
            }
            entries.clear();
            self.tables[table] = entries;
        }
        out.write_all(&index)?;
        self.arena.clear();
        Ok(table_bytes)
    }

    /// Writes one table and appends its index.
    fn lay_out(
        &mut self,
        entries: &[Entry],
        out: &mut impl Write,
        index: &mut Vec<u8>,
    ) -> Result<u64> {
        let (mut hashes, mut written, mut next) = (Vec::with_capacity(PARTITIONS * 8), 0, 0);
        self.chunk.clear();
        for number in 0..PARTITIONS {
            index.extend((written + self.chunk.len() as u32).to_le_bytes());
            let start = self.chunk.len();
            while let Some(entry) = entries
                .get(next)
                .filter(|entry| partition(entry.place) == number)
            {
                if let Some(ahead) = entries.get(next + AHEAD) {
                    prefetch(&self.arena, ahead.at as usize);
                }
                self.chunk
                    .extend_from_slice(&self.arena[entry.at as usize..entry.end as usize]);
                next += 1;
            }
            hashes.extend(xxh3_64(&self.chunk[start..]).to_le_bytes());
            if self.chunk.len() >= CHUNK_BYTES {
                out.write_all(&self.chunk)?;
                written += self.chunk.len() as u32;
                self.chunk.clear();
            }
        }
        out.write_all(&self.chunk)?;
        written += self.chunk.len() as u32;
        index.extend(written.to_le_bytes());
        index.extend(hashes);
        Ok(u64::from(written))
    }

    /// Equal records stand side by side; the first by document and position stays.
    fn drop_duplicates(&mut self, entries: &mut Vec<Entry>, kind: Kind, counts: &mut Counts) {
        let (mut kept, mut from) = (0, 0);
        while from < entries.len() {
            let place = entries[from].place;
            let run = entries[from..]
                .iter()
                .take_while(|entry| entry.place == place)
                .count();
            if run == 1 {
                entries[kept] = entries[from];
                kept += 1;
            } else {
                for (id, entry) in self.by_rank(&entries[from..from + run], kind) {
                    match id {
                        None => {
                            entries[kept] = entry;
                            kept += 1;
                        }
                        Some(keeper) => {
                            counts.drop(Reason::Duplicate);
                            self.push_duplicate(entry, keeper, kind);
                        }
                    }
                }
            }
            from += run;
        }
        entries.truncate(kept);
    }

    /// Entries of one place by id, document, position, strings and offset; the first of each id comes
    /// without, the others with the id of their keeper.
    fn by_rank(&mut self, entries: &[Entry], kind: Kind) -> Vec<(Option<u128>, Entry)> {
        let Sorter {
            arena, identity, ..
        } = self;
        let decode = |entry: &Entry| {
            let mut row = SpillRow::empty();
            SpillRow::decode(arena, entry.at as usize, kind, &mut row);
            row
        };
        let mut ranked: Vec<_> = entries
            .iter()
            .map(|entry| {
                let row = decode(entry);
                (
                    identity.of(kind, &row.texts),
                    row.document,
                    row.position,
                    row.texts,
                    row.offset,
                    *entry,
                )
            })
            .collect();
        ranked.sort_by(|a, b| (a.0, a.1, a.2, &a.3, a.4).cmp(&(b.0, b.1, b.2, &b.3, b.4)));
        let mut previous = None;
        let marked = ranked.into_iter().map(|(id, .., entry)| {
            let keeper = (previous == Some(id)).then_some(id);
            previous = Some(id);
            (keeper, entry)
        });
        marked.collect()
    }

    fn push_duplicate(&mut self, entry: Entry, keeper: u128, kind: Kind) {
        let mut row = SpillRow::empty();
        SpillRow::decode(&self.arena, entry.at as usize, kind, &mut row);
        let (document, position, offset, line) = (row.document, row.position, row.offset, row.line);
        let drop = SpillDrop {
            reason: Reason::Duplicate,
            offset,
            line: Some(line),
            keeper: Some(keeper),
            detail: None,
        };
        self.push_drop(&drop, document, position);
    }
}
