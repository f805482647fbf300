//! Guards: which rows may share a batch, decided by the hashes of what they hold.

use juzi_schemas::dropped::Reason;
use serde::{Deserialize, Serialize};

use super::rows::Rows;

/// What is done about records of one group: answers to one question, or equal anchors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameGroup {
    /// They never share a batch.
    #[default]
    Apart,
    /// They may, as do equal anchors; the column `positives` names the others of the group.
    Mask,
    /// Nothing.
    Off,
}

/// What is done about a text that stands in two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeated {
    /// The rows never share a batch.
    #[default]
    Apart,
    /// They may; the column `ignored` names what must not count as a negative.
    Mask,
    /// Nothing.
    Off,
}

/// The guards in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Records of one group.
    pub same_group: SameGroup,
    /// Equal texts.
    pub repeated: Repeated,
}

/// A text that no other row may have in any role: an anchor or a positive.
const EXCLUSIVE: u8 = 1;
/// A negative: other rows may have it as a negative too.
const SHARED: u8 = 2;
/// A group that only one row may have.
const GROUP: u8 = 4;
/// An anchor that others may have as their anchor too.
const ANCHOR: u8 = 8;

/// A text that must not be a document of another row: a further positive of the anchor.
const KNOWN: u8 = 16;

/// Classes that a class cannot share a hash with.
const fn conflicts(class: u8) -> u8 {
    match class {
        EXCLUSIVE => EXCLUSIVE | SHARED | ANCHOR | KNOWN,
        SHARED => EXCLUSIVE | ANCHOR | KNOWN,
        ANCHOR | KNOWN => EXCLUSIVE | SHARED,
        _ => GROUP,
    }
}

impl Policy {
    /// Gives each hash of a row with its class, until `each` says no.
    #[inline]
    fn all(self, rows: &Rows, row: u32, mut each: impl FnMut(u64, u8) -> bool) -> bool {
        let group = rows.groups[row as usize];
        if self.same_group == SameGroup::Apart && group != 0 && !each(group, GROUP) {
            return false;
        }
        let texts = rows.texts(row);
        match self.repeated {
            Repeated::Off => true,
            // Equal anchors are a group of their own.
            Repeated::Mask => self.same_group != SameGroup::Apart || each(texts[0], GROUP),
            Repeated::Apart => {
                let anchor = match self.same_group {
                    SameGroup::Mask => ANCHOR,
                    _ => EXCLUSIVE,
                };
                let [near_anchor, near_positive] = rows.near(row);
                let class = |at| [anchor, EXCLUSIVE].get(at).copied().unwrap_or(SHARED);
                // Where groups are masked, so are further positives.
                let known = match self.same_group {
                    SameGroup::Mask => &[],
                    _ => rows.known(row),
                };
                let mut texts = texts.iter().enumerate();
                known.iter().all(|&hash| each(hash, KNOWN))
                    && texts.all(|(at, &hash)| each(hash, class(at)))
                    && near_anchor.iter().all(|&key| each(key, anchor))
                    && near_positive.iter().all(|&key| each(key, EXCLUSIVE))
            }
        }
    }
}

/// Why an entry does not fit: the hash it shares with another row, and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The shared hash.
    pub key: u64,
    /// What it is called in the ledger.
    pub reason: Reason,
}

/// A batch that is being filled.
pub struct Batch<'w> {
    rows: &'w Rows,
    row_of: &'w [u32],
    policy: Policy,
    entries: Vec<u32>,
    table: Table,
    serial: u64,
}

impl<'w> Batch<'w> {
    /// An empty batch.
    pub fn new(rows: &'w Rows, row_of: &'w [u32], policy: Policy, size: usize) -> Batch<'w> {
        Batch {
            rows,
            row_of,
            policy,
            entries: Vec::with_capacity(size),
            table: Table::new(size * 8),
            serial: 1,
        }
    }

    /// Adds an entry if the guards allow it.
    ///
    /// # Errors
    /// What it conflicts with; the batch is as it was.
    #[inline]
    pub fn try_push(&mut self, entry: u32) -> Result<(), Conflict> {
        let row = self.row_of[entry as usize];
        let mut found = None;
        let table = &self.table;
        self.policy.all(self.rows, row, |key, class| {
            let taken = table.get(key) & conflicts(class) != 0;
            if taken {
                let reason = match class {
                    GROUP => Reason::SameGroup,
                    _ => Reason::RepeatedText,
                };
                found = Some(Conflict { key, reason });
            }
            !taken
        });
        if let Some(conflict) = found {
            return Err(conflict);
        }
        let table = &mut self.table;
        self.policy.all(self.rows, row, |key, class| {
            table.insert(key, class);
            true
        });
        self.entries.push(entry);
        Ok(())
    }

    /// Entries in it, in the order in which they came.
    pub fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Starts the next batch.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.table.clear();
        self.serial += 1;
    }

    /// Takes back all but the first `length` entries, and starts a new round of tries.
    pub fn truncate(&mut self, length: usize) {
        let kept: Vec<u32> = self.entries[..length].to_vec();
        self.clear();
        for entry in kept {
            self.try_push(entry)
                .expect("a part of what fitted together fits together");
        }
    }

    /// Number of the round of tries, from 1.
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

/// Hashes of a batch with their classes: open addressing, emptied in one step.
struct Table {
    slots: Vec<Slot>,
    stamp: u32,
    used: usize,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    stamp: u32,
    classes: u8,
}

impl Table {
    fn new(keys: usize) -> Table {
        Table {
            slots: vec![Slot::default(); (keys * 2).next_power_of_two().max(64)],
            stamp: 1,
            used: 0,
        }
    }

    /// The slot of a key, or the empty one where it would go.
    #[inline]
    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (key ^ (key >> 32)) as usize & mask;
        while self.slots[at].stamp == self.stamp && self.slots[at].key != key {
            at = (at + 1) & mask;
        }
        at
    }

    #[inline]
    fn get(&self, key: u64) -> u8 {
        let slot = self.slots[self.find(key)];
        if slot.stamp == self.stamp {
            slot.classes
        } else {
            0
        }
    }

    #[inline]
    fn insert(&mut self, key: u64, class: u8) {
        if self.used * 2 >= self.slots.len() {
            self.grow();
        }
        let at = self.find(key);
        let slot = &mut self.slots[at];
        if slot.stamp != self.stamp {
            self.used += 1;
            *slot = Slot {
                key,
                stamp: self.stamp,
                classes: 0,
            };
        }
        slot.classes |= class;
    }

    fn grow(&mut self) {
        let larger = vec![Slot::default(); self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, larger);
        for slot in old.into_iter().filter(|slot| slot.stamp == self.stamp) {
            let at = self.find(slot.key);
            self.slots[at] = slot;
        }
    }

    fn clear(&mut self) {
        self.used = 0;
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.slots.fill(Slot::default());
            self.stamp = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Policy, Reason, Repeated, Rows, SameGroup, Table};

    fn fits(policy: Policy, first: (u64, &[u64]), second: (u64, &[u64])) -> Option<Reason> {
        let mut rows = Rows::default();
        for (group, texts) in [first, second] {
            rows.push(0, 0, group, texts, [&[], &[]]);
        }
        let mut batch = Batch::new(&rows, &[0, 1], policy, 2);
        batch.try_push(0).unwrap();
        batch.try_push(1).err().map(|conflict| conflict.reason)
    }

    #[test]
    fn roles_of_equal_texts() {
        let apart = Policy::default();
        let mask = Policy {
            same_group: SameGroup::Mask,
            ..apart
        };
        let ignore = Policy {
            repeated: Repeated::Mask,
            ..apart
        };
        let (text, group) = (Some(Reason::RepeatedText), Some(Reason::SameGroup));
        type Case<'c> = (&'c [u64], &'c [u64], [Option<Reason>; 3]);
        let cases: [Case<'_>; 7] = [
            (&[1, 2], &[3, 4], [None, None, None]),
            (&[1, 2], &[1, 4], [text, None, group]),
            (&[1, 2], &[3, 2], [text, text, None]),
            (&[1, 2], &[2, 4], [text, text, None]),
            (&[1, 2, 9], &[3, 4, 9], [None, None, None]),
            (&[1, 2, 9], &[3, 9], [text, text, None]),
            (&[1, 2], &[3, 4, 1], [text, text, None]),
        ];
        for (first, second, expected) in cases {
            let found = [apart, mask, ignore].map(|policy| fits(policy, (0, first), (0, second)));
            assert_eq!(found, expected, "{first:?} {second:?}");
            let turned = fits(apart, (0, second), (0, first));
            assert_eq!(turned, expected[0], "{second:?} {first:?}");
        }
        assert_eq!(fits(apart, (7, &[1, 2]), (7, &[3, 4])), group);
        assert_eq!(fits(mask, (7, &[1, 2]), (7, &[3, 4])), None);
        // A row may repeat itself.
        assert_eq!(fits(apart, (0, &[1, 1]), (0, &[3, 3])), None);
    }

    #[test]
    fn a_positive_that_stands_elsewhere_is_no_document_of_another_row() {
        let mut rows = Rows::default();
        // The anchor 1 has the positive 7 in a record that is not here.
        rows.push(0, 0, 0, &[1, 2], [&[], &[]]);
        rows.know([7]);
        rows.push(0, 0, 0, &[3, 4, 7], [&[], &[]]);
        rows.push(0, 0, 0, &[5, 7], [&[], &[]]);
        rows.push(0, 0, 0, &[6, 8, 9], [&[], &[]]);
        rows.know([10]);
        rows.push(0, 0, 0, &[11, 12], [&[], &[]]);
        rows.know([10]);
        for first in [0, 1, 2] {
            let mut batch = Batch::new(&rows, &[0, 1, 2, 3, 4], Policy::default(), 4);
            batch.try_push(first).unwrap();
            for other in [0, 1, 2].into_iter().filter(|other| *other != first) {
                let found = batch.try_push(other).map_err(|conflict| conflict.key);
                // Rows 1 and 2 have the same text as a negative and as a positive.
                assert_eq!(found, Err(7), "{first} {other}");
            }
            batch.try_push(3).unwrap();
            batch.try_push(4).unwrap();
        }
        let mask = Policy {
            same_group: SameGroup::Mask,
            ..Policy::default()
        };
        let mut batch = Batch::new(&rows, &[0, 1], mask, 2);
        batch.try_push(0).unwrap();
        batch.try_push(1).unwrap();
    }

    #[test]
    fn near_keys_hold_apart() {
        let mut rows = Rows::default();
        rows.push(0, 0, 0, &[1, 2], [&[50, 51], &[60]]);
        rows.push(0, 0, 0, &[3, 4], [&[52, 51], &[61]]);
        rows.push(0, 0, 0, &[5, 6], [&[53], &[50]]);
        let mut batch = Batch::new(&rows, &[0, 1, 2], Policy::default(), 2);
        batch.try_push(0).unwrap();
        assert_eq!(batch.try_push(1).unwrap_err().key, 51);
        assert_eq!(batch.try_push(2).unwrap_err().key, 50);
        batch.clear();
        batch.try_push(1).unwrap();
        batch.try_push(2).unwrap();
    }

    #[test]
    fn a_table_grows_and_forgets() {
        let mut table = Table::new(1);
        for round in 0..3 {
            for key in 0..10_000u64 {
                assert_eq!(table.get(key * 64), 0, "{round}");
                table.insert(key * 64, 1);
                table.insert(key * 64, 2);
            }
            assert!((0..10_000).all(|key| table.get(key * 64) == 3));
            table.clear();
        }
    }
}
