//! Formats without lines: one worker at a time decodes a block of whole rows, all parse.

use std::sync::Mutex;

use super::Run;
use super::collect::Collector;
use super::rows::Rows;
use crate::error::Result;
use crate::flow::in_order;

/// Whole rows as they stand in the file.
#[derive(Default)]
pub(super) struct RawBlock {
    /// Offset of the first byte.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    /// One word a line, where words stand in a file of their own.
    pub(super) words: Vec<u8>,
    /// Bytes of the file that were read for this block.
    pub(super) consumed: u64,
    /// Why the file ends behind this block, if it should not.
    pub(super) damage: Option<String>,
}

/// Cuts a file into blocks of whole rows.
pub(super) trait Cut: Send {
    /// Fills the next block, whose old content is meaningless; false at the end.
    fn next(&mut self, block: &mut RawBlock) -> Result<bool>;
}

/// Reads all blocks: `parse` adds the rows of each.
pub(super) fn read(
    cut: impl Cut,
    dimension: usize,
    parse: impl Fn(&RawBlock, &mut Rows) + Sync,
    run: &Run<'_>,
    collector: &mut Collector<'_>,
) -> Result<()> {
    // The cut, none after its end or first error: what it read then is no place to go on from.
    let cut = Mutex::new((Some(cut), 0u64));
    let step = |(block, room): &mut (RawBlock, usize)| {
        let number = {
            let mut cut = cut.lock().expect("no holder panics");
            block.words.clear();
            (block.consumed, block.damage) = (0, None);
            let Some(mut blocks) = cut.0.take() else {
                return Ok(None);
            };
            if !blocks.next(block)? {
                return Ok(None);
            }
            *cut = (Some(blocks), cut.1 + 1);
            cut.1 - 1
        };
        let mut rows = Rows::new(dimension, *room);
        parse(block, &mut rows);
        *room = (*room).max(rows.words.len());
        (rows.consumed, rows.damage) = (block.consumed, block.damage.take());
        Ok(Some((number, rows)))
    };
    in_order::run(
        run.threads,
        "vectors",
        run.resume,
        Default::default,
        step,
        |rows| collector.take(rows),
    )
}
