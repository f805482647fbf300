//! `juzi show`: a dataset as tables that one can look at and query, through polars.
//!
//! Polars scans the Parquet files itself and never leaves this folder: its Arrow is not ours.

mod batch;
mod print;

use std::path::Path;

use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::synonym::{self, Synonyms};
use polars::lazy::dsl::{col, concat_lf_diagonal, lit};
use polars::prelude::{
    DataFrame, DataType, IntoLazy, LazyFrame, PlRefPath, ScanArgsParquet, UnionArgs,
};
use polars::sql::SQLContext;

use crate::error::{Error, Result};
use crate::lexicon::luse;

pub use print::Format;

/// Rows of a table that are shown unless told otherwise.
const ROWS: usize = 10;

/// What to show of a dataset.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A query over the tables of the dataset: `rows`, `dropped` and what else its manifest names.
    pub sql: Option<String>,
    /// Only the synonyms of this word.
    pub word: Option<String>,
    /// The page of the batch with this number.
    pub batch: Option<u32>,
    /// This many of the first rows; of a batch all of them by default.
    pub rows: Option<usize>,
    /// Only this shard.
    pub shard: Option<usize>,
}

/// Writes what was asked for to `out`.
///
/// # Errors
/// No dataset, no such shard, or a query that polars refuses.
pub fn show(
    dir: &Path,
    request: &Request,
    format: Format,
    out: &mut dyn std::io::Write,
) -> Result<()> {
    let manifest = Manifest::read(dir)?;
    if format == Format::Luse && request.sql.is_none() && request.word.is_none() {
        let synonyms = Synonyms::open(dir)?;
        let exported = luse::export(&synonyms, out);
        return exported
            .map(drop)
            .map_err(|error| Error::Query(error.to_string()));
    }
    if let (Some(number), Format::Table) = (request.batch, format) {
        return batch::page(dir, number, request.rows, out);
    }
    let mut rows = table(dir, &manifest, Table::Rows, request.shard)?;
    if let Some(number) = request.batch {
        only_for(&manifest, "--batch", juzi_schemas::batch::STAGE)?;
        rows = rows.filter(col("batch").eq(lit(number)));
    }
    if let Some(word) = &request.word {
        only_for(&manifest, "--word", synonym::STAGE)?;
        rows = rows.filter(col("word").eq(lit(word.as_str())));
    }
    let frame = match &request.sql {
        None if request.word.is_some() || request.batch.is_some() => match request.rows {
            Some(limit) => rows.limit(limit as u32).collect(),
            None => rows.collect(),
        },
        None => rows.limit(request.rows.unwrap_or(ROWS) as u32).collect(),
        Some(sql) => {
            let mut context = SQLContext::new();
            context.register("rows", rows);
            context.register("dropped", table(dir, &manifest, Table::Dropped, None)?);
            for other in Table::ALL {
                if manifest.files_of(other).next().is_some()
                    && context.get_tables().iter().all(|name| name != other.name())
                {
                    context.register(other.name(), table(dir, &manifest, other, None)?);
                }
            }
            context.execute(sql).and_then(LazyFrame::collect)
        }
    };
    let frame = frame.map_err(|error| Error::Query(first_lines(&error.to_string())))?;
    print::frame(frame, format, out).map_err(Error::Query)
}

/// Refuses a flag that makes sense only for the datasets of a stage.
fn only_for(manifest: &Manifest, flag: &str, stage: &str) -> Result<()> {
    match manifest.stage == stage {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{flag} is for {stage}; this dataset holds {}",
            manifest.stage
        ))),
    }
}

/// One table of a dataset, lazily; ids as hexadecimal text, shards in order.
fn table(dir: &Path, manifest: &Manifest, table: Table, shard: Option<usize>) -> Result<LazyFrame> {
    let mut files: Vec<_> = manifest.files_of(table).collect();
    if let Some(shard) = shard {
        let count = files.len();
        files = files.into_iter().skip(shard).take(1).collect();
        if files.is_empty() {
            return Err(Error::Usage(format!(
                "no shard {shard}; this dataset has {count}, counted from 0"
            )));
        }
    }
    let failed = |error: polars::error::PolarsError| Error::Query(first_lines(&error.to_string()));
    let scan = |name: &str| {
        let path = dir.join(name);
        LazyFrame::scan_parquet(
            PlRefPath::new(path.to_string_lossy()),
            ScanArgsParquet::default(),
        )
    };
    let mut kinds: Vec<LazyFrame> = Vec::new();
    // Files of one kind follow each other; kinds differ in their columns.
    for same in files.chunk_by(|a, b| a.kind == b.kind) {
        let parts = same
            .iter()
            .map(|file| scan(&file.name))
            .collect::<polars::error::PolarsResult<Vec<_>>>();
        kinds.push(
            polars::lazy::dsl::concat(parts.map_err(failed)?, UnionArgs::default())
                .map_err(failed)?,
        );
    }
    let frame = match kinds.len() {
        0 => return Ok(empty(manifest, table)),
        1 => kinds.remove(0),
        _ => concat_lf_diagonal(kinds, UnionArgs::default()).map_err(failed)?,
    };
    let id = match table {
        Table::Rows if manifest.stage == synonym::STAGE => return Ok(frame),
        Table::Rows => "id",
        Table::Dropped => "keeper",
        Table::Topics | Table::Middles | Table::Words | Table::Batches => return Ok(frame),
    };
    Ok(frame.with_column(col(id).binary().hex_encode().alias(id)))
}

/// A table without files still has its columns.
fn empty(manifest: &Manifest, table: Table) -> LazyFrame {
    let schema = match table {
        Table::Rows if manifest.stage == synonym::STAGE => synonym::schema(),
        Table::Rows => {
            let kind = juzi_schemas::record::Kind::Text;
            juzi_schemas::record::Layout {
                kind,
                words: false,
                corpora: Vec::new(),
            }
            .schema()
        }
        Table::Dropped => juzi_schemas::dropped::schema(),
        Table::Topics => juzi_schemas::topic::names_schema(),
        Table::Middles | Table::Words => juzi_schemas::topic::vectors_schema(),
        Table::Batches => juzi_schemas::batch::list_schema(),
    };
    let columns = schema.fields().iter().map(|field| {
        lit(polars::prelude::NULL)
            .cast(DataType::String)
            .alias(field.name().as_str())
    });
    DataFrame::empty()
        .lazy()
        .select(columns.collect::<Vec<_>>())
        .limit(0)
}

/// Polars appends its whole plan to an error; the first lines say what is wrong.
fn first_lines(message: &str) -> String {
    message
        .lines()
        .take_while(|line| !line.contains("Resolved plan"))
        .take(6)
        .collect::<Vec<_>>()
        .join("\n")
}
