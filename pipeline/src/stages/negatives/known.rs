//! What is known to be right: positives of each anchor, and documents of its groups.

use super::collect::{Entry, NONE};

/// Documents of a query that are scored for its reference score. A group of more is no list of
/// answers; its members are still never negatives.
const SCORED_MAX: usize = 1000;

/// Numbers that belong to numbers, sorted, each once.
pub struct Links {
    starts: Vec<u64>,
    items: Vec<u32>,
}

impl Links {
    /// Links of `count` numbers from pairs in any order.
    pub fn new(count: usize, mut pairs: Vec<(u32, u32)>) -> Links {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; count + 1];
        for (from, _) in &pairs {
            starts[*from as usize + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let items = pairs.into_iter().map(|(_, to)| to).collect();
        Links { starts, items }
    }

    /// What belongs to a number.
    pub fn of(&self, number: u32) -> &[u32] {
        let number = number as usize;
        &self.items[self.starts[number] as usize..self.starts[number + 1] as usize]
    }
}

/// Why a document is right for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// It is a positive of a row with this anchor.
    Positive,
    /// It stands in a row of the same group.
    Group,
}

/// Positives and groups of all queries.
pub struct Known {
    positives: Links,
    groups: Links,
    members: Links,
    /// The document that is the same text as a query.
    twins: Vec<u32>,
}

impl Known {
    /// What the rows say.
    pub fn new(rows: &[Entry], twins: Vec<u32>) -> Known {
        let queries = twins.len();
        let grouped = || rows.iter().filter(|row| row.group != NONE);
        let groups = grouped().map(|row| row.group as usize + 1).max();
        let positives = rows.iter().map(|row| (row.query, row.positive)).collect();
        let asked = grouped().map(|row| (row.query, row.group)).collect();
        let members = grouped().map(|row| (row.group, row.positive));
        let anchors = grouped().map(|row| (row.group, twins[row.query as usize]));
        let members = members
            .chain(anchors)
            .filter(|(_, document)| *document != NONE);
        Known {
            positives: Links::new(queries, positives),
            groups: Links::new(queries, asked),
            members: Links::new(groups.unwrap_or(0), members.collect()),
            twins,
        }
    }

    /// True when a document is the same text as the query.
    pub fn is_query(&self, query: u32, document: u32) -> bool {
        self.twins[query as usize] == document
    }

    /// Whether and why a document is right for a query.
    pub fn right(&self, query: u32, document: u32) -> Option<Right> {
        if self.positives.of(query).binary_search(&document).is_ok() {
            return Some(Right::Positive);
        }
        let holds = |group: &u32| self.members.of(*group).binary_search(&document).is_ok();
        let found = self.groups.of(query).iter().any(holds);
        found.then_some(Right::Group)
    }

    /// The positives of a query and of its groups, at most 1000, without the query's own text; into
    /// `documents`.
    pub fn positives(&self, query: u32, documents: &mut Vec<u32>) {
        documents.clear();
        documents.extend_from_slice(self.positives.of(query));
        for group in self.groups.of(query) {
            documents.extend(self.members.of(*group).iter().take(SCORED_MAX));
        }
        documents.retain(|document| !self.is_query(query, *document));
        documents.sort_unstable();
        documents.dedup();
        documents.truncate(SCORED_MAX);
    }

    /// Most documents that are right for one query.
    pub fn most(&self, rows: &[Entry]) -> usize {
        let of = |row: &Entry| {
            let groups = self.groups.of(row.query).iter();
            let members: usize = groups.map(|group| self.members.of(*group).len()).sum();
            self.positives.of(row.query).len() + members
        };
        rows.iter().map(of).max().unwrap_or(0)
    }
}
