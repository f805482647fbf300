//! Taking over a file of LUSE's form `{word: [synonyms]}` as it is.

use std::collections::BTreeMap;
use std::fs::File;

use juzi_schemas::dataset::DatasetWriter;
use juzi_schemas::dropped::Reason;
use juzi_schemas::journal::Entry;
use juzi_schemas::synonym::Source;

use super::assemble::TableWriter;
use super::load::{LEDGER, Ledger, Loaded};
use crate::error::{Error, Result};
use crate::lexicon::luse;
use crate::plan::SynonymsPlan;
use crate::stages::base_name;

/// What was taken over.
pub struct Imported {
    /// The shard.
    pub files: Vec<Entry>,
    /// The drop ledger, if it has rows.
    pub ledger: Option<Entry>,
    /// Its rows by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Words that have synonyms.
    pub words: u64,
    /// Synonyms that were taken over.
    pub synonyms: u64,
}

/// Reads the plan's file and writes it as one shard, in the file's order.
///
/// # Errors
/// The file is no JSON of that form; the disk.
pub fn run(table: &SynonymsPlan, writer: &DatasetWriter) -> Result<Imported> {
    let path = table.file("import").expect("the plan was checked for it");
    let file = File::open(path).map_err(Error::input(path))?;
    let mut output = TableWriter::create(writer, "part-00000.parquet")?;
    let (mut words, mut kept) = (0, 0);
    let unused = luse::import(file, path, |word, synonyms| {
        words += 1;
        for (synonym, rank) in synonyms.iter().zip(1..=u8::MAX) {
            output
                .builder
                .push(word, rank, synonym, None, Source::Import);
            kept += 1;
        }
        output.flush_full()
    })?;
    let mut ledger = Ledger::new(writer, super::NAME, base_name(path))?;
    for unused in &unused {
        let what = match &unused.synonym {
            Some(synonym) => format!("{} -> {synonym}: {}", unused.word, unused.reason.explain()),
            None => format!("{}: {}", unused.word, unused.reason.explain()),
        };
        ledger.push(Reason::UnusableSynonym, None, 0, None, Some(&what))?;
    }
    let mut loaded = Loaded::default();
    ledger.commit(writer, &mut loaded)?;
    let files = match kept {
        0 => Vec::new(),
        _ => vec![output.commit(writer)?],
    };
    Ok(Imported {
        files,
        ledger: writer.committed(LEDGER).filter(|entry| entry.rows.rows > 0),
        dropped: loaded.dropped,
        words,
        synonyms: kept,
    })
}
