//! A trie over bytes in two arrays, for finding the longest or every token at a place.

/// No value, no parent.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where the children begin: the child by byte `b` is at `base + b`.
    base: u32,
    /// The parent; a child that another node owns has another parent.
    parent: u32,
    /// What the key that ends here stands for.
    value: u32,
}

const FREE: Node = Node {
    base: 0,
    parent: NONE,
    value: NONE,
};

/// Keys of bytes and the number each stands for.
#[derive(Debug)]
pub struct Trie {
    nodes: Vec<Node>,
}

impl Trie {
    /// The node that no byte has led to.
    pub const ROOT: u32 = 0;

    /// A trie of these keys; of the same key twice the later counts. Empty keys are left out.
    pub fn new(mut keys: Vec<(Vec<u8>, u32)>) -> Trie {
        // A stable sort keeps the order of equal keys, and the last of them is kept.
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        keys.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
        keys.retain(|(key, _)| !key.is_empty());
        let mut builder = Builder {
            nodes: vec![FREE; 1024],
            from_single: 256,
            from: 256,
        };
        builder.nodes[0].parent = 0;
        let mut todo = vec![(Trie::ROOT, 0, keys.len(), 0)];
        while let Some((node, low, high, depth)) = todo.pop() {
            builder.place(&keys, (node, low, high, depth), &mut todo);
        }
        Trie {
            nodes: builder.nodes,
        }
    }

    /// The child of a node by one byte.
    #[inline]
    pub fn step(&self, node: u32, byte: u8) -> Option<u32> {
        let at = self.nodes[node as usize].base + u32::from(byte);
        (self.nodes[at as usize].parent == node && at != 0).then_some(at)
    }

    /// What the key that leads to a node stands for.
    #[inline]
    pub fn value(&self, node: u32) -> Option<u32> {
        let value = self.nodes[node as usize].value;
        (value != NONE).then_some(value)
    }

    /// The longest key below a node that the bytes begin with: what it stands for, its length.
    #[inline]
    pub fn longest(&self, mut node: u32, bytes: &[u8]) -> Option<(u32, usize)> {
        let mut found = None;
        for (at, &byte) in bytes.iter().enumerate() {
            match self.step(node, byte) {
                Some(child) => node = child,
                None => break,
            }
            if let Some(value) = self.value(node) {
                found = Some((value, at + 1));
            }
        }
        found
    }

    /// What exactly these bytes stand for.
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        let mut node = Trie::ROOT;
        for &byte in bytes {
            node = self.step(node, byte)?;
        }
        self.value(node)
    }
}

struct Builder {
    nodes: Vec<Node>,
    /// Before this place none is free for a single child.
    from_single: usize,
    /// Before this place brothers are not tried: most of it is taken.
    from: usize,
}

impl Builder {
    /// Places the children of a node: keys `low..high`, equal in their first `depth` bytes.
    fn place(
        &mut self,
        keys: &[(Vec<u8>, u32)],
        (node, mut low, high, depth): (u32, usize, usize, usize),
        todo: &mut Vec<(u32, usize, usize, usize)>,
    ) {
        if low < high && keys[low].0.len() == depth {
            self.nodes[node as usize].value = keys[low].1;
            low += 1;
        }
        let mut groups: Vec<(u8, usize, usize)> = Vec::new();
        for (at, (key, _)) in keys[..high].iter().enumerate().skip(low) {
            match groups.last_mut() {
                Some((byte, _, end)) if *byte == key[depth] => *end = at + 1,
                _ => groups.push((key[depth], at, at + 1)),
            }
        }
        if groups.is_empty() {
            return;
        }
        let base = self.room_for(&groups);
        self.nodes[node as usize].base = base as u32;
        for &(byte, low, high) in &groups {
            let child = base + usize::from(byte);
            self.nodes[child].parent = node;
            todo.push((child as u32, low, high, depth + 1));
        }
    }

    /// A base at which every child falls on a free place. A single child takes the first place
    /// that is free; brothers look further, and after a long look the next ones begin further on.
    fn room_for(&mut self, groups: &[(u8, usize, usize)]) -> usize {
        let first = usize::from(groups[0].0);
        let begin = match groups.len() {
            1 => self.from_single,
            _ => self.from,
        };
        let mut at = begin;
        loop {
            if at + 512 > self.nodes.len() {
                self.nodes.resize(self.nodes.len() * 2, FREE);
            }
            let base = at - first;
            let free =
                |group: &(u8, usize, usize)| self.nodes[base + usize::from(group.0)].parent == NONE;
            if groups.iter().all(free) {
                match groups.len() {
                    1 => self.from_single = at + 1,
                    _ if at - begin > 256 => self.from = begin.midpoint(at),
                    _ => {}
                }
                return base;
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::Trie;

    fn trie(keys: &BTreeMap<Vec<u8>, u32>) -> Trie {
        Trie::new(
            keys.iter()
                .map(|(key, value)| (key.clone(), *value))
                .collect(),
        )
    }

    #[test]
    fn nothing_is_in_an_empty_trie() {
        let trie = Trie::new(Vec::new());
        for byte in 0..=255 {
            assert_eq!(trie.step(Trie::ROOT, byte), None);
        }
        assert_eq!(trie.longest(Trie::ROOT, b"word"), None);
    }

    #[test]
    fn the_later_of_two_equal_keys_counts() {
        let keys = [("b", 1), ("a", 2), ("b", 3), ("", 4)];
        let keys = keys
            .iter()
            .map(|(key, value)| (key.as_bytes().to_vec(), *value));
        let trie = Trie::new(keys.collect());
        assert_eq!(trie.find(b"b"), Some(3));
        assert_eq!(trie.find(b"a"), Some(2));
        assert_eq!(trie.find(b""), None);
    }

    proptest! {
        #[test]
        fn finds_what_a_map_finds(
            keys in btree_map(vec(0u8..4, 1..6), 0u32..1000, 0..60),
            text in vec(0u8..5, 0..8),
        ) {
            let trie = trie(&keys);
            for (key, value) in &keys {
                prop_assert_eq!(trie.find(key), Some(*value));
            }
            prop_assert_eq!(trie.find(&text), keys.get(&text).copied());
            let longest = (1..=text.len()).rev().find_map(|end| Some((*keys.get(&text[..end])?, end)));
            prop_assert_eq!(trie.longest(Trie::ROOT, &text), longest);
        }

        #[test]
        fn keys_of_any_bytes(keys in btree_map(vec(any::<u8>(), 1..4), 0u32..1000, 0..400)) {
            let trie = trie(&keys);
            for (key, value) in &keys {
                prop_assert_eq!(trie.find(key), Some(*value));
            }
        }
    }
}
