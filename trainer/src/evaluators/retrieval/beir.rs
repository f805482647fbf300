//! The files of a collection, in the layout of BEIR.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use serde::Deserialize;

use crate::Result;
use crate::evaluators::lines::Lines;

/// Documents, and the queries that have a relevant one.
pub(super) struct Collection {
    /// Title and text of each document.
    pub documents: Vec<String>,
    /// Queries in the order of their file.
    pub queries: Vec<Query>,
    /// Queries without a relevant document.
    pub left_out: usize,
}

/// A query and what it should find.
pub(super) struct Query {
    pub text: String,
    /// Gains of relevant documents by row, all above 0.
    pub gains: BTreeMap<usize, f64>,
    /// Row of the document with the same id.
    pub own_document: Option<usize>,
}

/// An id; some collections write numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

#[derive(Deserialize)]
struct DocumentLine {
    #[serde(rename = "_id")]
    id: Id,
    title: Option<String>,
    text: String,
}

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: Id,
    text: String,
}

/// Rows by id.
type Rows = HashMap<String, usize>;

impl Id {
    fn into_text(self) -> String {
        match self {
            Id::Text(text) => text,
            Id::Number(number) => number.to_string(),
        }
    }
}

impl Query {
    /// The gain of a document, 0 if it is not relevant.
    pub(super) fn gain(&self, document: usize) -> f64 {
        self.gains.get(&document).copied().unwrap_or(0.0)
    }

    /// All gains, the largest first.
    pub(super) fn ideal(&self) -> Vec<f64> {
        let mut gains: Vec<f64> = self.gains.values().copied().collect();
        gains.sort_by(|one, other| other.total_cmp(one));
        gains
    }
}

impl Collection {
    /// Reads a folder, and says the hashes of its files.
    ///
    /// # Errors
    /// A file is missing, a line is not what it should be, an id stands there twice or is not known,
    /// or no query has a relevant document.
    pub(super) fn read(folder: &str, split: &str) -> Result<(Collection, [Fingerprint; 3])> {
        let folder = Path::new(folder);
        let corpus = Lines::read(folder.join("corpus.jsonl"))?;
        let (documents, document_rows) = read_documents(&corpus)?;
        let queries = Lines::read(folder.join("queries.jsonl"))?;
        let (texts, query_rows) = read_queries(&queries)?;
        let qrels = Lines::read(folder.join("qrels").join(format!("{split}.tsv")))?;
        let gains = read_gains(&qrels, &query_rows, &document_rows)?;
        let mut own = vec![None; texts.len()];
        for (id, &query) in &query_rows {
            own[query] = document_rows.get(id).copied();
        }
        let all = texts.into_iter().zip(gains).zip(own);
        let all = all.map(|((text, gains), own_document)| Query {
            text,
            gains,
            own_document,
        });
        let (used, left_out): (Vec<Query>, Vec<Query>) =
            all.partition(|query| !query.gains.is_empty());
        if used.is_empty() {
            return Err(qrels.wrong_whole("no query has a document with a score above 0"));
        }
        let hashes = [&corpus, &queries, &qrels].map(Lines::fingerprint);
        let collection = Collection {
            documents,
            queries: used,
            left_out: left_out.len(),
        };
        Ok((collection, hashes))
    }

    /// The documents.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.documents.iter().map(String::as_str).collect()
    }
}

fn read_documents(lines: &Lines) -> Result<(Vec<String>, Rows)> {
    let (mut texts, mut rows) = (Vec::new(), Rows::new());
    let wanted = "an object with _id, title (or none) and text";
    for (number, line) in lines.objects::<DocumentLine>(wanted)? {
        enter(lines, number, line.id, &mut rows)?;
        texts.push(match line.title.filter(|title| !title.is_empty()) {
            Some(title) => format!("{title} {}", line.text).trim().into(),
            None => line.text.trim().into(),
        });
    }
    Ok((texts, rows))
}

fn read_queries(lines: &Lines) -> Result<(Vec<String>, Rows)> {
    let (mut texts, mut rows) = (Vec::new(), Rows::new());
    for (number, line) in lines.objects::<QueryLine>("an object with _id and text")? {
        enter(lines, number, line.id, &mut rows)?;
        texts.push(lines.text(number, "text", &line.text)?);
    }
    Ok((texts, rows))
}

/// Gives an id the next row.
fn enter(lines: &Lines, number: usize, id: Id, rows: &mut Rows) -> Result<()> {
    let (id, row) = (id.into_text(), rows.len());
    match rows.contains_key(&id) {
        true => Err(lines.wrong(number, format!("the id `{id}` stands there twice"))),
        false => {
            rows.insert(id, row);
            Ok(())
        }
    }
}

/// Gains above 0 of each query. The first line is a header unless its score is a number.
fn read_gains(
    lines: &Lines,
    queries: &Rows,
    documents: &Rows,
) -> Result<Vec<BTreeMap<usize, f64>>> {
    let mut gains = vec![BTreeMap::new(); queries.len()];
    let mut judged: HashMap<(usize, usize), f64> = HashMap::new();
    let rows = lines.table(None, ["query-id", "corpus-id", "score"])?;
    for (at, &(number, [query_id, document_id, score])) in rows.iter().enumerate() {
        if at == 0 && score.trim().parse::<f64>().is_err() {
            continue;
        }
        let known = |rows: &Rows, id: &str, file: &str| {
            let row = rows.get(id.trim()).copied();
            row.ok_or_else(|| lines.wrong(number, format!("the id `{id}` is not in {file}")))
        };
        let query = known(queries, query_id, "queries.jsonl")?;
        let document = known(documents, document_id, "corpus.jsonl")?;
        let gain = lines.number(number, "score", score)?;
        let before = judged.insert((query, document), gain);
        if before.is_some_and(|before| before != gain) {
            let message = format!("`{query_id}` and `{document_id}` have another score above");
            return Err(lines.wrong(number, message));
        }
        if gain > 0.0 {
            gains[query].insert(document, gain);
        }
    }
    Ok(gains)
}
