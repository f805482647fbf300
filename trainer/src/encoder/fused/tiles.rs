//! Tiles: stretches of whole sequences that one thread takes at once.

use std::ops::Range;

use crate::encoder::Sequences;
use crate::kernels::dropout::Dropout;
use crate::kernels::rows::Drops;

/// Tokens of a tile at most, if its sequences are shorter: enough for products of matrices to be at
/// their fastest, few enough for its states to stay in a cache.
const TOKENS: usize = 512;

/// Tokens whose gradients are kept at once before they go into those of weights.
const CHUNK_TOKENS: usize = 4096;

/// Sequences, cut into tiles.
#[derive(Clone, Debug)]
pub struct Tiles {
    starts: Vec<usize>,
    numbers: Vec<u64>,
    /// Sequences of each tile.
    tiles: Vec<Range<usize>>,
}

impl Tiles {
    /// Cuts sequences into tiles of about one size, an even number of them where that is possible,
    /// so that two threads have the same to do.
    pub fn new(sequences: &Sequences) -> Tiles {
        let starts: Vec<usize> = sequences
            .starts
            .iter()
            .map(|&start| start as usize)
            .collect();
        let tokens = sequences.tokens();
        let wanted = tokens.div_ceil(TOKENS).next_multiple_of(2).max(1);
        let (mut tiles, mut start) = (Vec::new(), 0);
        for row in 0..sequences.rows() {
            // The tile ends with the sequence that comes to its share of all tokens.
            let share = tokens * (tiles.len() + 1) / wanted;
            if starts[row + 1] >= share || row + 1 == sequences.rows() {
                tiles.push(start..row + 1);
                start = row + 1;
            }
        }
        Tiles {
            starts,
            numbers: sequences.numbers.clone(),
            tiles,
        }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.tiles.len()
    }

    /// Tokens of a tile.
    pub fn tokens(&self, tile: usize) -> Range<usize> {
        let rows = &self.tiles[tile];
        self.starts[rows.start]..self.starts[rows.end]
    }

    /// Tokens of some tiles.
    pub fn tokens_of(&self, tiles: &Range<usize>) -> Range<usize> {
        self.tokens(tiles.start).start..self.tokens(tiles.end - 1).end
    }

    /// Tokens of each sequence of a tile, counted from the tile's first, and the sequence's number.
    pub fn sequences(&self, tile: usize) -> impl Iterator<Item = (Range<usize>, u64)> {
        let first = self.tokens(tile).start;
        self.tiles[tile].clone().map(move |row| {
            let tokens = self.starts[row] - first..self.starts[row + 1] - first;
            (tokens, self.numbers[row])
        })
    }

    /// The longest sequence of a tile.
    pub fn length_max(&self, tile: usize) -> usize {
        let lengths = self.sequences(tile).map(|(tokens, _)| tokens.len());
        lengths.max().unwrap_or(0)
    }

    /// Dropout of each token of a tile, over states of some width.
    pub fn drops(&self, tile: usize, dropout: &Dropout, width: usize) -> Vec<Drops> {
        let sequences = self.sequences(tile);
        let drops = sequences.flat_map(|(tokens, number)| {
            (0..tokens.len()).map(move |place| Drops::new(dropout, number, place * width))
        });
        drops.collect()
    }

    /// Tiles in groups whose gradients are kept at once.
    pub fn chunks(&self) -> Vec<Range<usize>> {
        let (mut chunks, mut start) = (Vec::new(), 0);
        for tile in 0..self.len() {
            let tokens = self.tokens_of(&(start..tile + 1)).len();
            let next = self
                .tiles
                .get(tile + 1)
                .map_or(0, |_| self.tokens(tile + 1).len());
            if tokens + next > CHUNK_TOKENS || tile + 1 == self.len() {
                chunks.push(start..tile + 1);
                start = tile + 1;
            }
        }
        chunks
    }

    /// Cuts numbers, `width` of them for each token of some tiles, into those of each tile.
    pub fn split<'a>(
        &self,
        tiles: &Range<usize>,
        values: &'a mut [f32],
        width: usize,
    ) -> Vec<&'a mut [f32]> {
        let parts = self.split_each(tiles, [(values, width)]);
        parts.into_iter().flatten().collect()
    }

    /// As [`Tiles::split`], several at once, each with its width.
    pub fn split_each<'a, const N: usize>(
        &self,
        tiles: &Range<usize>,
        mut values: [(&'a mut [f32], usize); N],
    ) -> Vec<[&'a mut [f32]; N]> {
        let parts = tiles.clone().map(|tile| {
            let tokens = self.tokens(tile).len();
            values.each_mut().map(|(rest, width)| {
                let (own, behind) = std::mem::take(rest).split_at_mut(tokens * *width);
                *rest = behind;
                own
            })
        });
        parts.collect()
    }
}
