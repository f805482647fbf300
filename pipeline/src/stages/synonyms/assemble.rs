//! The assembly: choices for every word, in parallel, and the shards that hold them.

use std::collections::HashSet;
use std::sync::Arc;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::journal::Entry;
use juzi_schemas::shard::ShardWriter;
use juzi_schemas::synonym::{ROWS_PER_GROUP, SynonymsBuilder};

use super::DICTIONARIES;
use super::choose::{Chooser, Chosen, Counts};
use super::load::{Kept, VECTORS};
use super::search::Found;
use super::word_list::WordList;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers::{Team, chunks};
use crate::lexicon::dictionary::Dictionary;
use crate::lexicon::guards::{Description, Guards};
use crate::lexicon::quality::{Quality, Tally};
use crate::plan::SynonymsPlan;
use crate::stages::RunOptions;

/// Words in a shard.
const WORDS_PER_SHARD: usize = 1 << 19;

/// Words that a worker works on at a time.
const CHUNK: usize = 4096;

/// What is known of words, opened before anything takes long.
pub struct Lexicon {
    guards: Guards,
    dictionary: Option<Arc<Dictionary>>,
}

impl Lexicon {
    /// Opens the dictionary of a plan and its guards, with the plan's own lists beside ours.
    ///
    /// # Errors
    /// A file cannot be read or is not in its format.
    pub fn open(table: &SynonymsPlan) -> Result<Lexicon> {
        let read = |key: &str| match table.file(key) {
            None => Ok(String::new()),
            Some(path) => std::fs::read_to_string(path).map_err(Error::input(path)),
        };
        let dictionary = table.file("dictionary").map(Dictionary::open).transpose()?;
        let dictionary = dictionary.map(Arc::new);
        let (stop_words, antonyms) = (read("stop_words")?, read("antonyms")?);
        let guards = Guards::new(
            &table.options.guards,
            &[DICTIONARIES[0].1, &stop_words],
            &[DICTIONARIES[1].1, &antonyms],
            dictionary.clone(),
            DICTIONARIES[2].1,
        );
        // Our own lists are tested, so what has a wrong shape is the plan's.
        let guards = guards.map_err(|message| Error::Content {
            path: table
                .file("antonyms")
                .unwrap_or(std::path::Path::new("dictionaries"))
                .into(),
            message,
        })?;
        Ok(Lexicon { guards, dictionary })
    }
}

/// What the assembly left.
pub struct Assembled {
    /// The shards.
    pub files: Vec<Entry>,
    /// What happened to neighbours and words.
    pub counts: Counts,
    /// Words that have no vector and only the dictionary's synonyms.
    pub named_only: u64,
    /// How much of the neighbours the dictionary confirms; none without a dictionary.
    pub quality: Option<Quality>,
}

/// A word that gets synonyms, and where its neighbours stand.
struct Asked {
    word: u32,
    hits: Option<usize>,
}

/// Chooses the synonyms of every word and writes them.
///
/// # Errors
/// The disk; an interruption.
pub fn run(
    table: &SynonymsPlan,
    lexicon: &Lexicon,
    options: &RunOptions,
    writer: &DatasetWriter,
    vocabulary: &WordList,
    kept: &Kept,
    found: &Found,
) -> Result<Assembled> {
    let team = Team {
        threads: options.threads,
        name: "assemble",
        resume: &options.resume,
        done: None,
    };
    let guards = &lexicon.guards;
    let dictionary = lexicon.dictionary.as_deref();
    let mut words: Vec<&str> = kept.words.iter().map(|(word, _)| word).collect();
    let have: HashSet<&str> = words.iter().copied().collect();
    words.extend(
        vocabulary
            .iter()
            .map(|(word, _)| word)
            .filter(|word| !have.contains(word)),
    );
    let descriptions: Vec<Description> = chunks(&team, words.len(), CHUNK, |range| {
        Ok(words[range]
            .iter()
            .map(|word| guards.describe(word))
            .collect::<Vec<_>>())
    })?
    .into_iter()
    .flatten()
    .collect();
    let path = writer.dir().join(VECTORS);
    let vectors = (path.as_path(), kept.loaded.dimension, &kept.words);
    let chooser = Chooser::new(
        &table.options,
        &words,
        &descriptions,
        guards,
        dictionary,
        vectors,
    )?;
    let asked = asked(table, kept, &words, dictionary);
    let phase = Phase::of_rows("choose", asked.len() as u64, options.quiet);
    let counted = Team {
        done: Some(&phase.counters.rows),
        ..team
    };
    let (mut files, mut counts) = (Vec::new(), Counts::default());
    let mut tally = Tally::default();
    for (number, asked) in asked.chunks(WORDS_PER_SHARD).enumerate() {
        let parts = chunks(&counted, asked.len(), CHUNK, |range| {
            choose(&chooser, &asked[range], table, found)
        })?;
        files.extend(write(writer, number, &words, &parts)?);
        for part in &parts {
            counts.add(&part.counts);
            tally.merge(&part.tally);
        }
    }
    Ok(Assembled {
        files,
        counts,
        named_only: asked.iter().filter(|asked| asked.hits.is_none()).count() as u64,
        quality: dictionary.is_some().then(|| tally.quality()),
    })
}

/// Words that get synonyms: those with vectors, then those that only the dictionary knows.
fn asked(
    table: &SynonymsPlan,
    kept: &Kept,
    words: &[&str],
    dictionary: Option<&Dictionary>,
) -> Vec<Asked> {
    let queries = kept.queries.iter().enumerate();
    let mut asked: Vec<Asked> = queries
        .map(|(at, &word)| Asked {
            word,
            hits: Some(at),
        })
        .collect();
    if let Some(dictionary) = dictionary.filter(|_| table.options.merge) {
        let others = kept.words.len()..words.len();
        let named = others.filter(|&at| dictionary.synonyms(words[at]).next().is_some());
        asked.extend(named.map(|at| Asked {
            word: at as u32,
            hits: None,
        }));
    }
    asked
}

/// The choices for some words.
struct Part {
    /// Each word and where its synonyms end.
    words: Vec<(u32, usize)>,
    chosen: Vec<Chosen>,
    counts: Counts,
    tally: Tally,
}

fn choose(
    chooser: &Chooser<'_>,
    asked: &[Asked],
    table: &SynonymsPlan,
    found: &Found,
) -> Result<Part> {
    let width = table.options.neighbors;
    let mut part = Part {
        words: Vec::with_capacity(asked.len()),
        chosen: Vec::new(),
        counts: Counts::default(),
        tally: Tally::default(),
    };
    for asked in asked {
        let hits = asked
            .hits
            .map_or(&[][..], |at| &found.hits[at * width..][..width]);
        chooser.choose(
            asked.word,
            hits,
            &mut part.counts,
            &mut part.tally,
            &mut part.chosen,
        )?;
        part.words.push((asked.word, part.chosen.len()));
    }
    Ok(part)
}

/// Writes one shard; none if not a single word has a synonym.
fn write(
    writer: &DatasetWriter,
    number: usize,
    words: &[&str],
    parts: &[Part],
) -> Result<Option<Entry>> {
    if parts.iter().all(|part| part.chosen.is_empty()) {
        return Ok(None);
    }
    let name = format!("part-{number:05}.parquet");
    let mut output = TableWriter::create(writer, &name)?;
    for part in parts {
        let mut start = 0;
        for &(word, end) in &part.words {
            for (chosen, rank) in part.chosen[start..end].iter().zip(1..=u8::MAX) {
                output.builder.push(
                    words[word as usize],
                    rank,
                    words[chosen.word as usize],
                    chosen.cosine,
                    chosen.source,
                );
            }
            start = end;
            output.flush_full()?;
        }
    }
    output.commit(writer).map(Some)
}

/// A shard of synonyms on its way to disk.
pub struct TableWriter {
    output: ShardWriter<juzi_schemas::dataset::FileWriter>,
    /// Takes the rows.
    pub builder: SynonymsBuilder,
    place: std::path::PathBuf,
}

impl TableWriter {
    /// Starts a shard.
    ///
    /// # Errors
    /// The disk.
    pub fn create(writer: &DatasetWriter, name: &str) -> Result<TableWriter> {
        let builder = SynonymsBuilder::default();
        let place = writer.dir().join(name);
        let file = writer.create(name)?;
        Ok(TableWriter {
            output: ShardWriter::new(file, Arc::clone(&builder.schema()), &place)?,
            builder,
            place,
        })
    }

    /// Writes a row group once there are rows enough; to be called between two words.
    ///
    /// # Errors
    /// The disk.
    pub fn flush_full(&mut self) -> Result<()> {
        match self.builder.rows() >= ROWS_PER_GROUP {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let batch = self.builder.finish();
        let batch = batch.map_err(juzi_schemas::Error::parquet(&self.place))?;
        Ok(self.output.write(&batch)?)
    }

    /// Makes the shard part of the dataset.
    ///
    /// # Errors
    /// The disk.
    pub fn commit(mut self, writer: &DatasetWriter) -> Result<Entry> {
        if self.builder.rows() > 0 {
            self.flush()?;
        }
        let (file, rows) = self.output.finish()?;
        Ok(writer.commit(file, Durability::Durable, rows, serde_json::Value::Null)?)
    }
}
