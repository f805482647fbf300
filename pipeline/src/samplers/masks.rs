//! Masks: which documents of a batch an anchor must not have as negatives, and which it has still.

use super::guard::{Policy, Repeated, SameGroup};
use super::rows::Rows;

/// The masks of a batch.
///
/// Documents are numbered as in [`juzi_schemas::batch::Layout::schema`]: the positives, row by row,
/// then the negatives, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Masks {
    /// Further positives of each row's anchor, ascending.
    pub positives: Vec<Vec<u32>>,
    /// Documents that must not count as negatives of each row's anchor, ascending.
    pub ignored: Vec<Vec<u32>>,
    /// Documents that count as negatives, over all anchors.
    pub negatives: u64,
    /// Those of them that are known positives of their anchor.
    pub false_negatives: u64,
}

impl Masks {
    /// Documents that the masks of a batch keep from counting as negatives.
    pub fn masked(&self) -> usize {
        let both = self.positives.iter().chain(&self.ignored);
        both.map(Vec::len).sum()
    }
}

/// Memory of [`MaskScratch::masks`], reused from batch to batch.
#[derive(Debug, Default)]
pub struct MaskScratch {
    documents: Vec<(u64, u32)>,
    anchors: Vec<(u64, u32)>,
    groups: Vec<(u64, u32)>,
    near: Vec<(u64, u32)>,
    mates: Vec<u32>,
    known: Vec<u32>,
    other: Vec<u32>,
}

impl MaskScratch {
    /// The masks of a batch of pairs or triplets, given by its rows.
    ///
    /// A document is a known positive of an anchor if it is the positive of a row of the same group
    /// or with an equal anchor, or has the text of such a positive, of the anchor's own, or of one
    /// that stands elsewhere ([`Rows::known`]). With `same_group = "mask"` the positives of these
    /// rows go to `positives`; with `repeated = "mask"` all other known positives go to `ignored`,
    /// else with `same_group = "mask"` they go to `positives` too. With `repeated = "mask"` also what has the text of the anchor and
    /// the positives that are near-duplicates of the anchor or of its positive.
    pub fn masks(&mut self, rows: &Rows, batch: &[u32], policy: Policy) -> Masks {
        self.index(rows, batch, policy);
        let mut masks = Masks::default();
        let documents = self.documents.len() as u64;
        for (row, &number) in (0u32..).zip(batch) {
            self.find(rows, batch, row, number, policy);
            let mut mates: Vec<u32> = match policy.same_group {
                SameGroup::Mask => std::mem::take(&mut self.mates),
                _ => Vec::new(),
            };
            if policy.same_group == SameGroup::Mask && policy.repeated != Repeated::Mask {
                mates.append(&mut self.known);
                mates.sort_unstable();
                mates.dedup();
            }
            self.known
                .retain(|document| mates.binary_search(document).is_err());
            let ignored = match policy.repeated {
                Repeated::Mask => {
                    self.other.append(&mut self.known);
                    self.other.sort_unstable();
                    self.other.dedup();
                    self.other
                        .retain(|document| mates.binary_search(document).is_err());
                    std::mem::take(&mut self.other)
                }
                _ => Vec::new(),
            };
            masks.false_negatives += self.known.len() as u64;
            masks.negatives += documents - 1 - (mates.len() + ignored.len()) as u64;
            masks.positives.push(mates);
            masks.ignored.push(ignored);
        }
        masks
    }

    /// Sorts documents, anchors, groups and near keys by hash.
    fn index(&mut self, rows: &Rows, batch: &[u32], policy: Policy) {
        let MaskScratch {
            documents,
            anchors,
            groups,
            near,
            ..
        } = self;
        documents.clear();
        anchors.clear();
        groups.clear();
        near.clear();
        let mut next = batch.len() as u32;
        for (row, &number) in (0u32..).zip(batch) {
            let texts = rows.texts(number);
            anchors.push((texts[0], row));
            documents.push((texts[1], row));
            for &negative in &texts[2..] {
                documents.push((negative, next));
                next += 1;
            }
            let group = rows.groups[number as usize];
            if group != 0 {
                groups.push((group, row));
            }
            if policy.repeated == Repeated::Mask {
                near.extend(rows.near(number)[1].iter().map(|&key| (key, row)));
            }
        }
        for list in [documents, anchors, groups, near] {
            list.sort_unstable();
        }
    }

    /// Finds what row `row`, with the facts `number`, knows of the batch's documents: positives of
    /// its mates, other known positives, and what else is not to count.
    fn find(&mut self, rows: &Rows, batch: &[u32], row: u32, number: u32, policy: Policy) {
        let texts = rows.texts(number);
        self.mates.clear();
        self.known.clear();
        self.other.clear();
        self.mates.extend(with(&self.anchors, texts[0]));
        self.mates
            .extend(with(&self.groups, rows.groups[number as usize]));
        self.mates.sort_unstable();
        self.mates.dedup();
        self.mates.retain(|&mate| mate != row);
        self.known.extend(with(&self.documents, texts[1]));
        for &mate in &self.mates {
            let positive = rows.texts(batch[mate as usize])[1];
            self.known.extend(with(&self.documents, positive));
        }
        for &positive in rows.known(number) {
            self.known.extend(with(&self.documents, positive));
        }
        self.known.sort_unstable();
        self.known.dedup();
        self.known.retain(|&document| document != row);
        if policy.repeated == Repeated::Mask {
            self.other.extend(with(&self.documents, texts[0]));
            for &key in rows.near(number).into_iter().flatten() {
                self.other.extend(with(&self.near, key));
            }
            self.other.retain(|&document| document != row);
        }
    }
}

/// Numbers that stand beside a hash in a sorted list.
fn with(list: &[(u64, u32)], hash: u64) -> impl Iterator<Item = u32> {
    let start = list.partition_point(|&(other, _)| other < hash);
    list[start..]
        .iter()
        .take_while(move |&&(other, _)| other == hash)
        .map(|&(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::{MaskScratch, Masks, Policy, Repeated, Rows, SameGroup};
    use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};

    /// The same by looking at every document for every anchor.
    fn brute(rows: &Rows, policy: Policy) -> Masks {
        let count = rows.len() as u32;
        let mut documents: Vec<(u64, Option<u32>)> = (0..count)
            .map(|row| (rows.texts(row)[1], Some(row)))
            .collect();
        for row in 0..count {
            documents.extend(rows.texts(row)[2..].iter().map(|&hash| (hash, None)));
        }
        let mut masks = Masks::default();
        for i in 0..count {
            let mine = rows.texts(i);
            let group = rows.groups[i as usize];
            let mate = |j: u32| {
                j != i
                    && (rows.texts(j)[0] == mine[0]
                        || (group != 0 && rows.groups[j as usize] == group))
            };
            let (mut positives, mut ignored) = (Vec::new(), Vec::new());
            for (number, &(hash, owner)) in (0u32..).zip(&documents) {
                if owner == Some(i) {
                    continue;
                }
                let of_mate = owner.is_some_and(mate);
                let known = hash == mine[1]
                    || rows.known(i).contains(&hash)
                    || (0..count).any(|j| mate(j) && rows.texts(j)[1] == hash);
                let near = owner.is_some_and(|j| {
                    let theirs = rows.near(j)[1];
                    rows.near(i)
                        .into_iter()
                        .flatten()
                        .any(|key| theirs.contains(key))
                });
                if of_mate && policy.same_group == SameGroup::Mask {
                    positives.push(number);
                } else if policy.repeated == Repeated::Mask && (known || hash == mine[0] || near) {
                    ignored.push(number);
                } else if policy.same_group == SameGroup::Mask && known {
                    positives.push(number);
                } else {
                    masks.negatives += 1;
                    masks.false_negatives += u64::from(known);
                }
            }
            masks.positives.push(positives);
            masks.ignored.push(ignored);
        }
        masks
    }

    fn policies() -> impl Strategy<Value = Policy> {
        let groups = prop_oneof![
            Just(SameGroup::Apart),
            Just(SameGroup::Mask),
            Just(SameGroup::Off)
        ];
        let texts = prop_oneof![
            Just(Repeated::Apart),
            Just(Repeated::Mask),
            Just(Repeated::Off)
        ];
        (groups, texts).prop_map(|(same_group, repeated)| Policy {
            same_group,
            repeated,
        })
    }

    proptest! {
        #[test]
        fn masks_are_those_of_brute_force(
            list in proptest::collection::vec(
                (0u64..4, proptest::collection::vec(1u64..12, 2..5), 20u64..30),
                1..12,
            ),
            policy in policies(),
        ) {
            let mut rows = Rows::default();
            for (group, texts, near) in &list {
                rows.push(0, 0, *group, texts, [&[*near], &[*near + 1]]);
                rows.know([near - 18].into_iter().filter(|known| *known != texts[1]));
            }
            let batch: Vec<u32> = (0..rows.len() as u32).collect();
            let found = MaskScratch::default().masks(&rows, &batch, policy);
            prop_assert_eq!(found, brute(&rows, policy));
        }
    }
}
