//! Loading: a unit's rows with their text, their facts and their places in the pass.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt16Array, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, UInt32Type};
use arrow::record_batch::RecordBatch;
use juzi_schemas::random::{Order, fold};
use juzi_schemas::record::Kind;
use juzi_schemas::shard::Groups;
use xxhash_rust::xxh3::xxh3_64;

use super::block::{Block, Columns, Part, lines, strings};
use super::inputs::{Chosen, Inputs, Source, Unit, id_at};
use crate::error::{Error, Result};
use crate::plan::BatchesOptions;
use crate::samplers::{NO_TOPIC, Rows, Walk};
use crate::text;
use crate::text::minhash::{MinHashScratch, MinHasher, NearOptions};

/// Keeps groups of the corpora apart.
const GROUP_KEY: u64 = 0x51ed_270b_3f8a_96c5;

/// Loads units in one pass.
pub struct Loader<'l> {
    /// The inputs.
    pub inputs: &'l Inputs,
    /// The table of the plan.
    pub table: &'l BatchesOptions,
    /// Which records of each corpus are shown, and how often.
    pub walks: &'l [Walk],
    /// Number of the pass.
    pub pass: u32,
    order: Order,
    near: Option<MinHasher>,
}

/// Memory that is used again from row to row.
#[derive(Default)]
struct Scratch {
    folded: Vec<u32>,
    hashes: Vec<u64>,
    near: [Vec<u64>; 2],
    minhash: MinHashScratch,
}

impl<'l> Loader<'l> {
    /// A loader of a pass.
    pub fn new(
        inputs: &'l Inputs,
        table: &'l BatchesOptions,
        walks: &'l [Walk],
        seed: u64,
        pass: u32,
    ) -> Loader<'l> {
        let near = table.guards.near.then(|| {
            let options = NearOptions {
                enabled: true,
                ..NearOptions::default()
            };
            MinHasher::new(&options, seed)
        });
        Loader {
            inputs,
            table,
            walks,
            pass,
            // Each pass has an order of its own, and none is that of the shards.
            order: Order::new(fold(seed ^ 0x6a09_e667_f3bc_c909, u64::from(pass) << 1 | 1)),
            near,
        }
    }

    /// Loads a unit.
    ///
    /// # Errors
    /// The files do not fit each other or cannot be read.
    pub fn load(&self, unit: &Unit) -> Result<Part> {
        let source = &self.inputs.sources[unit.source];
        let count = unit.counts.iter().sum::<u64>() as usize;
        let mined = self.mined(source, unit, count)?;
        let wanted = self.wanted(source, unit, mined.as_ref())?;
        if wanted.rows.len() != count {
            return Err(Error::Content {
                path: source.path.clone(),
                message: "the file changed while batches were made".into(),
            });
        }
        let topics = self.topics(source, unit, &wanted.rows)?;
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        let names = ["id", "score", "negatives", "words"].into_iter();
        for name in names.chain(source.layout.kind.text_columns().iter().copied()) {
            if let Some(column) = wanted.batch.column_by_name(name) {
                columns.push((name, column.clone()));
            }
        }
        if let Some(mined) = &mined {
            for (name, own) in [
                ("negatives", "mined"),
                ("words", "mined_words"),
                ("scores", "mined_scores"),
                ("positive_score", "positive_score"),
            ] {
                if let Some(column) = mined.column_by_name(name) {
                    columns.push((own, column.clone()));
                }
            }
        }
        let file_rows = wanted.rows.iter().map(|row| unit.first_row as u32 + row);
        columns.push(("line", lines(file_rows.collect())));
        let block = Block {
            source: unit.source,
            batch: RecordBatch::try_from_iter(columns).expect("columns of one length"),
        };
        Ok(self.facts(block, source, unit, &wanted, topics))
    }

    /// Mined negatives of a unit.
    fn mined(&self, source: &Source, unit: &Unit, count: usize) -> Result<Option<RecordBatch>> {
        let Some(path) = &source.negatives else {
            return Ok(None);
        };
        let names = ["id", "positive_score", "negatives", "scores", "words"];
        let names = &names[..names.len() - usize::from(!self.inputs.words)];
        let groups = Groups::open(path, None)?;
        let mined = read_rows(&groups, unit.first_mined, count, names)?;
        match mined.num_columns() == names.len() || count == 0 {
            true => Ok(Some(mined)),
            false => Err(Error::Content {
                path: path.clone(),
                message: "the shards have words, the negatives have none; make them again".into(),
            }),
        }
    }

    /// The rows of a unit that are wanted.
    fn wanted(&self, source: &Source, unit: &Unit, mined: Option<&RecordBatch>) -> Result<Wanted> {
        let schema = Arc::new(source.layout.schema_in_memory());
        let groups = Groups::open(&source.path, Some(schema.clone()))?;
        if groups.rows(unit.group) == 0 {
            return Ok(Wanted {
                batch: RecordBatch::new_empty(schema),
                corpora: Vec::new(),
                rows: Vec::new(),
            });
        }
        let mut names = vec!["id", "corpus", "split", "group_key"];
        names.extend(source.layout.kind.text_columns());
        match source.layout.kind {
            Kind::Triplet => names.push("negatives"),
            Kind::Scored => names.push("score"),
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        if self.inputs.words {
            names.push("words");
        }
        let batch = groups.read(unit.group, Some(&names))?;
        let split = self.table.split.name();
        let chosen = Chosen::of(&batch, &self.inputs.corpora, split, &source.path)?;
        let column = |batch: &RecordBatch| {
            let ids = batch.column_by_name("id").expect("the column was read");
            ids.as_fixed_size_binary().clone()
        };
        let (ids, mined) = (column(&batch), mined.map(column));
        let (mut corpora, mut rows) = (Vec::new(), Vec::new());
        for row in 0..batch.num_rows() {
            let Some(corpus) = chosen.corpus(row) else {
                continue;
            };
            let kept = mined.as_ref().is_none_or(|mined| {
                let next = rows.len();
                next < mined.len() && id_at(mined, next) == id_at(&ids, row)
            });
            if kept {
                corpora.push(corpus);
                rows.push(row as u32);
            }
        }
        let batch = match rows.len() == batch.num_rows() {
            true => batch,
            false => take_record_batch(&batch, &UInt32Array::from(rows.clone()))
                .expect("the rows are there"),
        };
        Ok(Wanted {
            batch,
            corpora,
            rows,
        })
    }

    /// Topics of the wanted rows.
    fn topics(&self, source: &Source, unit: &Unit, rows: &[u32]) -> Result<Vec<u32>> {
        let Some(path) = &source.topics else {
            return Ok(vec![NO_TOPIC; rows.len()]);
        };
        let groups = Groups::open(path, None)?;
        let count = rows.last().map_or(0, |last| *last as usize + 1);
        let batch = read_rows(&groups, unit.first_row, count, &["topic"])?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let topics = batch.column_by_name("topic").expect("the column was read");
        let topics = topics.as_primitive::<UInt32Type>();
        let topic = |&row: &u32| {
            let row = row as usize;
            (topics.is_valid(row)).then(|| topics.value(row))
        };
        Ok(rows
            .iter()
            .map(|row| topic(row).unwrap_or(NO_TOPIC))
            .collect())
    }

    /// The facts of the rows, their entries, and which negatives they keep.
    fn facts(
        &self,
        mut block: Block,
        source: &Source,
        unit: &Unit,
        wanted: &Wanted,
        topics: Vec<u32>,
    ) -> Part {
        let columns = block.columns(source.layout.kind.text_columns());
        let groups = wanted.batch.column_by_name("group_key");
        let groups = groups.map(|column| column.as_string::<i32>());
        let mut scratch = Scratch::default();
        let mut part = Part {
            rows: Rows::default(),
            entries: Vec::with_capacity(wanted.rows.len()),
            block: Block {
                source: block.source,
                batch: block.batch.clone(),
            },
            removed: 0,
            over: 0,
        };
        let (mut kept, mut ends) = (Vec::new(), vec![0i32]);
        let mut rank = unit.before.clone();
        for (row, &corpus) in wanted.corpora.iter().enumerate() {
            let group = groups
                .filter(|groups| groups.is_valid(row))
                .map_or(0, |groups| group_hash(groups.value(row), corpus));
            self.hash_texts(source.layout.kind, &columns, row, &mut scratch);
            self.choose_negatives(&columns, (row, group), &mut scratch, &mut kept, &mut part);
            ends.push(kept.len() as i32);
            let known = match scratch.hashes[..] {
                [anchor, own, ..] => Some(self.inputs.known.others(anchor, group, own)),
                _ => None,
            };
            part.rows.push(
                corpus,
                topics[row],
                group,
                &scratch.hashes,
                [&scratch.near[0], &scratch.near[1]],
            );
            part.rows.know(known.into_iter().flatten());
            let corpus = usize::from(corpus);
            let id = id_at(&columns.ids, row);
            for copy in 0..self.walks[corpus].copies(rank[corpus], self.pass) {
                let place = self.order.place(id ^ (u128::from(copy) << 64));
                part.entries.push((place, row as u32));
            }
            rank[corpus] += 1;
        }
        if columns.negatives.is_some() || columns.mined.is_some() {
            let field = Arc::new(Field::new("element", DataType::UInt16, false));
            let kept = Arc::new(UInt16Array::from(kept));
            let list = ListArray::new(field, OffsetBuffer::new(ends.into()), kept, None);
            let schema = block.batch.schema();
            let mut all: Vec<(&str, ArrayRef)> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .zip(block.batch.columns().iter().cloned())
                .collect();
            all.push(("kept", Arc::new(list)));
            block.batch = RecordBatch::try_from_iter(all).expect("columns of one length");
        }
        part.block = block;
        part
    }

    /// Hashes of a row's leading texts, and their near keys.
    fn hash_texts(&self, kind: Kind, columns: &Columns, row: usize, scratch: &mut Scratch) {
        scratch.hashes.clear();
        scratch.near.iter_mut().for_each(Vec::clear);
        let texts = kind.language_columns(columns.texts.len());
        for (at, column) in columns.texts[..texts].iter().enumerate() {
            let text = column.value(row);
            scratch.hashes.push(text_hash(text, &mut scratch.folded));
            if let Some(near) = &self.near {
                near.bands(&[text], &mut scratch.near[at], &mut scratch.minhash);
            }
        }
        if kind == Kind::Scored {
            // Two scored pairs are the same only as a whole.
            let both = fold(scratch.hashes[0] ^ GROUP_KEY, scratch.hashes[1] | 1);
            scratch.hashes.clear();
            scratch.hashes.push(both);
            scratch.near.iter_mut().for_each(Vec::clear);
        }
    }

    /// Appends the negatives that a row keeps, own ones first, to `kept`, and their hashes.
    fn choose_negatives(
        &self,
        columns: &Columns,
        (row, group): (usize, u64),
        scratch: &mut Scratch,
        kept: &mut Vec<u16>,
        part: &mut Part,
    ) {
        let (own, mined) = (
            strings(&columns.negatives, row),
            strings(&columns.mined, row),
        );
        for number in 0..(own.len() + mined.len()).min(usize::from(u16::MAX)) {
            if scratch.hashes.len() >= 2 + self.table.negatives_max {
                part.over += (own.len() + mined.len() - number) as u64;
                return;
            }
            let text = match number.checked_sub(own.len()) {
                None => own.get(number),
                Some(number) => mined.get(number),
            };
            let hash = text_hash(text, &mut scratch.folded);
            let mut known = match scratch.hashes[..] {
                [anchor, own, ..] => Some(self.inputs.known.others(anchor, group, own)),
                _ => None,
            }
            .into_iter()
            .flatten();
            match scratch.hashes.contains(&hash) || known.any(|known| known == hash) {
                true => part.removed += 1,
                false => {
                    scratch.hashes.push(hash);
                    kept.push(number as u16);
                }
            }
        }
    }
}

/// Rows of a unit that are wanted.
struct Wanted {
    batch: RecordBatch,
    corpora: Vec<u16>,
    /// Their rows in the row group.
    rows: Vec<u32>,
}

/// Hash of a group of a corpus; 0 stands for no group.
pub fn group_hash(key: &str, corpus: u16) -> u64 {
    fold(xxh3_64(key.as_bytes()), GROUP_KEY ^ u64::from(corpus)).max(1)
}

/// Hash of what counts when texts are compared: letters and digits, or all of a text without any.
pub fn text_hash(text: &str, folded: &mut Vec<u32>) -> u64 {
    text::fold::fold(text, folded);
    match folded.is_empty() {
        true => xxh3_64(text.as_bytes()),
        false => text::fold::hash(folded),
    }
}

/// Some rows of a file, whose row groups have other borders than those of the shards.
fn read_rows(groups: &Groups, first: u64, count: usize, names: &[&str]) -> Result<RecordBatch> {
    let (mut parts, mut before, mut left) = (Vec::new(), 0u64, count);
    for group in 0..groups.len() {
        let rows = groups.rows(group) as u64;
        let start = first.max(before);
        if left > 0 && start < before + rows {
            let batch = groups.read(group, Some(names))?;
            let length = left.min((before + rows - start) as usize);
            parts.push(batch.slice((start - before) as usize, length));
            left -= length;
        }
        before += rows;
    }
    match parts.len() {
        0 if count == 0 => Ok(RecordBatch::new_empty(Arc::new(
            arrow::datatypes::Schema::empty(),
        ))),
        _ if left > 0 => Err(groups_too_short(groups)),
        1 => Ok(parts.remove(0)),
        _ => {
            let schema = parts[0].schema();
            Ok(concat_batches(&schema, &parts).expect("batches of one schema"))
        }
    }
}

fn groups_too_short(groups: &Groups) -> Error {
    Error::Content {
        path: groups.path().into(),
        message: "it has fewer rows than its file of shards; make it again".into(),
    }
}
