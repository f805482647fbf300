//! `juzi init`: looks at the files in some directories and writes a plan that reads them.
//!
//! ```text
//! directories ─ walk ─▶ files ─ sample ─▶ first text of each ─ recognize, table ─▶ layouts
//!                                                       group ─▶ corpora ─ write ─▶ TOML
//! ```
//! The content decides; names only tell the split, the name of a corpus, and what plain lines are.

mod group;
mod json;
mod members;
mod parquet_columns;
mod recognize;
mod sample;
mod short;
mod table;
mod twins;
mod walk;
mod write;

use std::path::PathBuf;

pub use walk::File;

use crate::text::filters::FilterOptions;

/// How the files of a corpus are read, as the plan says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layout {
    /// Name of the reader.
    pub reader: &'static str,
    /// What was seen, in words.
    pub description: String,
    /// Names of the columns, where the reader wants them.
    pub columns: Vec<String>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Whether a paragraph is a document.
    pub paragraphs: bool,
    /// Encoding other than UTF-8.
    pub encoding: Option<&'static str>,
    /// The views for the plan.
    pub views: Vec<String>,
    /// Views that make sense too.
    pub more_views: Vec<String>,
}

/// The text of a commented plan for everything recognised below `dirs`, ready to run.
///
/// # Errors
/// A directory cannot be read, the name or profile is none, or nothing was recognised.
pub fn plan(dirs: &[PathBuf], name: Option<&str>, profile: &str) -> Result<String, String> {
    let luse = match profile {
        "luse" => true,
        "default" => false,
        other => return Err(format!("no profile `{other}`; profiles are default, luse")),
    };
    let name = match name {
        Some(name) if is_name(name) => name.to_string(),
        Some(name) => {
            return Err(format!(
                "name `{name}`: accepted are letters, digits, `_`, `-` and `.`"
            ));
        }
        None => walk::common_name(dirs),
    };
    let filters = if luse {
        FilterOptions::luse()
    } else {
        FilterOptions::default()
    };
    let files = walk::files(dirs)?;
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for file in files {
        match recognize::file(&file, filters.length.chars_min) {
            Ok(layouts) => found.extend(layouts),
            Err(reason) => unknown.push((file.path.display().to_string(), reason)),
        }
    }
    let mut corpora = group::corpora(found);
    if luse {
        corpora
            .iter_mut()
            .for_each(group::Corpus::restrict_to_sentences);
    }
    if corpora.iter().all(|corpus| corpus.evaluation) {
        return Err(nothing(dirs, &corpora, &unknown));
    }
    Ok(write::plan(&name, profile, &corpora, &unknown))
}

fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
}

fn nothing(dirs: &[PathBuf], evaluation: &[group::Corpus], unknown: &[(String, String)]) -> String {
    let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    let mut message = format!("{}: ", dirs.join(", "));
    if evaluation.is_empty() {
        message += "no corpus found. Looked for the five corpora of nlp_chinese_corpus (wiki2019zh, news2016zh, \
                    baike2018qa, webtext2019zh, translation2019zh), comments2019, embedding-training-data \
                    (.jsonl), BEIR, other JSON lines, tab-separated and CSV tables, plain text (.txt) and \
                    Parquet, each plain or in .gz, .zst, .zip, .tar";
    } else {
        let names: Vec<&str> = evaluation
            .iter()
            .map(|corpus| corpus.name.as_str())
            .collect();
        message += &format!(
            "only evaluation sets found ({}); name a directory with corpora too. Files below a directory \
             `eval`, or beside BEIR's `qrels`, are taken for evaluation sets",
            names.join(", ")
        );
    }
    for (path, reason) in unknown.iter().take(5) {
        message += &format!("\n  {path}: {reason}");
    }
    if unknown.len() > 5 {
        message += &format!("\n  and {} more files", unknown.len() - 5);
    }
    message
}

#[cfg(test)]
mod tests;
