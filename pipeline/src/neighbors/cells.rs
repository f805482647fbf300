//! Cells: a tree of middles, by which a vector finds the leaf that it belongs to.
//!
//! The root's middles are those of k-means. A leaf with too many members becomes an inner node:
//! with middles of its own, or, where its members all point the same way, with parts that are
//! filled by chance. So a split never moves a member of another leaf.

use std::collections::BTreeMap;

use juzi_schemas::random::Order;

use super::kmeans::assign;
use super::number;

/// Keeps the order of this file apart from all others of a seed.
const STREAM: u128 = 0x6365_6c6c;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Leaf,
    /// Children by the nearest middle: the first and their number.
    Split(u32, u32),
    /// Children by chance.
    Parts(u32, u32),
}

/// A tree of middles. Nodes are numbered; children come after their parents, and node 0 is the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    dimension: usize,
    nodes: Vec<Node>,
    /// Middle of each node; the root's is of no use.
    middles: Vec<f32>,
    order: u64,
}

impl Cells {
    /// A tree of a root and a leaf for each middle; `seed` decides where parts are filled by chance.
    pub fn new(middles: &[f32], dimension: usize, seed: u64) -> Cells {
        let mut cells = Cells {
            dimension,
            nodes: vec![Node::Leaf],
            middles: vec![0.0; dimension],
            order: seed,
        };
        cells.split(0, middles);
        cells
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes that are leaves, ascending.
    pub fn leaves(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|&at| self.nodes[at] == Node::Leaf)
    }

    /// The middle of a node.
    pub fn middle(&self, node: usize) -> &[f32] {
        &self.middles[node * self.dimension..(node + 1) * self.dimension]
    }

    /// Gives a leaf a child for each middle.
    pub fn split(&mut self, leaf: usize, middles: &[f32]) {
        let count = middles.len() / self.dimension;
        self.nodes[leaf] = Node::Split(self.nodes.len() as u32, count as u32);
        self.nodes.resize(self.nodes.len() + count, Node::Leaf);
        self.middles.extend_from_slice(middles);
    }

    /// Gives a leaf so many children that are filled by chance.
    pub fn part(&mut self, leaf: usize, count: usize) {
        self.nodes[leaf] = Node::Parts(self.nodes.len() as u32, count as u32);
        self.nodes.resize(self.nodes.len() + count, Node::Leaf);
        for _ in 0..count {
            let start = leaf * self.dimension;
            self.middles
                .extend_from_within(start..start + self.dimension);
        }
    }

    /// The leaf of each vector; `ids` are those of the records.
    pub fn locate(&self, vectors: &[f32], ids: &[u128]) -> Vec<u32> {
        let order = Order::new(self.order);
        let mut leaves = vec![0u32; ids.len()];
        let mut waiting: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        waiting.insert(0, (0..ids.len() as u32).collect());
        while let Some((node, rows)) = waiting.pop_first() {
            match self.nodes[node as usize] {
                Node::Leaf => rows.iter().for_each(|&row| leaves[row as usize] = node),
                Node::Split(first, count) => {
                    let nearest = self.nearest(vectors, &rows, first, count);
                    for (row, child) in rows.into_iter().zip(nearest) {
                        waiting.entry(first + child).or_default().push(row);
                    }
                }
                Node::Parts(first, count) => {
                    for row in rows {
                        let place = order.place(ids[row as usize] ^ STREAM ^ u128::from(node));
                        let child = (u128::from(place) * u128::from(count)) >> 64;
                        waiting.entry(first + child as u32).or_default().push(row);
                    }
                }
            }
        }
        leaves
    }

    fn nearest(&self, vectors: &[f32], rows: &[u32], first: u32, count: u32) -> Vec<u32> {
        let width = self.dimension;
        let middles = first as usize * width..(first + count) as usize * width;
        if rows.len() * width == vectors.len() {
            return assign(vectors, &self.middles[middles], width);
        }
        let mut own = Vec::with_capacity(rows.len() * width);
        for &row in rows {
            let start = row as usize * width;
            own.extend_from_slice(&vectors[start..start + width]);
        }
        assign(&own, &self.middles[middles], width)
    }

    /// The tree as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((self.nodes.len() as u32).to_le_bytes());
        for node in &self.nodes {
            let [kind, first, count] = match *node {
                Node::Leaf => [0, 0, 0],
                Node::Split(first, count) => [1, first, count],
                Node::Parts(first, count) => [2, first, count],
            };
            [kind, first, count]
                .iter()
                .for_each(|word| bytes.extend(word.to_le_bytes()));
        }
        self.middles
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes
    }

    /// Reads what [`Cells::to_bytes`] wrote; nothing if these are other bytes.
    pub fn from_bytes(bytes: &[u8], dimension: usize, seed: u64) -> Option<Cells> {
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count) as usize;
        let (nodes, middles) = rest.split_at_checked(count * 12)?;
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let nodes = nodes.chunks_exact(12).map(|node| {
            let children = (word(&node[4..8]), word(&node[8..]));
            match word(&node[..4]) {
                0 => Node::Leaf,
                1 => Node::Split(children.0, children.1),
                _ => Node::Parts(children.0, children.1),
            }
        });
        let middles: Vec<f32> = middles.chunks_exact(4).map(number).collect();
        (middles.len() == count * dimension).then(|| Cells {
            dimension,
            nodes: nodes.collect(),
            middles,
            order: seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cells;

    #[test]
    fn the_way_through_the_tree() {
        let mut cells = Cells::new(&[1.0, 0.0, 0.0, 1.0], 2, 1);
        let vectors = [0.8, 0.6, 0.6, 0.8, 0.96, -0.28, 0.0, 1.0];
        let ids = [1, 2, 3, 4];
        assert_eq!(cells.locate(&vectors, &ids), [1, 2, 1, 2]);
        cells.split(1, &[0.8, 0.6, 0.96, -0.28]);
        assert_eq!(cells.locate(&vectors, &ids), [3, 2, 4, 2]);
        cells.part(2, 3);
        let found = cells.locate(&vectors, &ids);
        assert_eq!((found[0], found[2]), (3, 4));
        assert!((5..8).contains(&found[1]) && (5..8).contains(&found[3]));
        assert_eq!(cells.middle(6), [0.0, 1.0]);
        assert_eq!(cells.leaves().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        assert_eq!(cells.locate(&[], &[]), [0u32; 0]);
        let again = Cells::from_bytes(&cells.to_bytes(), 2, 1);
        assert_eq!(again.as_ref(), Some(&cells));
        assert_eq!(Cells::from_bytes(&cells.to_bytes()[1..], 2, 1), None);
    }

    #[test]
    fn parts_are_filled_evenly() {
        let mut cells = Cells::new(&[1.0, 0.0], 2, 7);
        cells.part(1, 4);
        let vectors = [1.0, 0.0].repeat(4000);
        let ids: Vec<u128> = (0..4000).collect();
        let mut sizes = [0u32; 6];
        let leaves = cells.locate(&vectors, &ids);
        leaves.iter().for_each(|&leaf| sizes[leaf as usize] += 1);
        assert!(
            sizes[2..].iter().all(|&size| size.abs_diff(1000) < 150),
            "{sizes:?}"
        );
    }
}
