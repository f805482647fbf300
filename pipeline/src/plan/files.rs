//! The files of a plan: patterns become inputs, in an order that no place decides.

use std::path::{Path, PathBuf};

use juzi_schemas::record::Split;

use super::Corpus;
use crate::inputs::Input;
use crate::vectors::{Format, VectorFile};

/// The file of vectors that a key names, `archive::member` where it is one of several.
///
/// # Errors
/// The pattern of the member is none.
pub(super) fn vector_file(
    base: &Path,
    name: &str,
    format: Format,
    words: Option<PathBuf>,
) -> std::result::Result<VectorFile, String> {
    let (name, members) = match name.split_once("::") {
        Some((name, members)) => (name, Some(members)),
        None => (name, None),
    };
    let members = members.map(glob::Pattern::new).transpose();
    Ok(VectorFile {
        path: base.join(name),
        members: members.map_err(|error| format!("vectors: {error}"))?,
        format,
        words,
    })
}

/// Inputs of the patterns of one split.
///
/// # Errors
/// The pattern that matches nothing, or the encoding that is unknown.
pub(super) fn files(
    base: &Path,
    patterns: &[String],
    corpus: &Corpus,
    at: u16,
    split: Split,
    encoding: Option<&str>,
) -> std::result::Result<Vec<Input>, String> {
    let encoding = match encoding {
        None => None,
        Some(label) => Some(
            encoding_rs::Encoding::for_label(label.as_bytes()).ok_or_else(|| {
                format!("no encoding `{label}`; for example gb18030, gbk, big5, utf-16le")
            })?,
        ),
    };
    let mut inputs = Vec::new();
    for pattern in patterns {
        let (pattern, members) = match pattern.split_once("::") {
            Some((pattern, members)) => (pattern, Some(members)),
            None => (pattern.as_str(), None),
        };
        let wanted = members.map(glob::Pattern::new).transpose();
        let wanted = wanted
            .map_err(|error| format!("members `{}`: {error}", members.unwrap_or_default()))?;
        let full = base.join(pattern);
        let mut found = Vec::new();
        if full.is_dir() {
            walk(&full, &mut found).map_err(|error| format!("{}: {error}", full.display()))?;
        } else if full.is_file() {
            found.push(full);
        } else {
            // Hidden files match no wildcard, as in a shell and in `walk`.
            let shown = glob::MatchOptions {
                require_literal_leading_dot: true,
                ..glob::MatchOptions::new()
            };
            let matches = glob::glob_with(&full.to_string_lossy(), shown);
            let matches = matches.map_err(|error| format!("pattern `{pattern}`: {error}"))?;
            found.extend(matches.flatten().filter(|path| path.is_file()));
        }
        if found.is_empty() {
            return Err(format!(
                "no file matches `{pattern}` ({})",
                base.join(pattern).display()
            ));
        }
        for path in found {
            let bytes = std::fs::metadata(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?
                .len();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let name = members.map_or(name.clone(), |members| format!("{name}::{members}"));
            let members = wanted.clone();
            let encoding = encoding.filter(|encoding| *encoding != encoding_rs::UTF_8);
            inputs.push(Input {
                corpus: at,
                split,
                path,
                name,
                members,
                bytes,
                encoding,
                reader: corpus.reader.clone(),
            });
        }
    }
    inputs.sort_by(|a, b| a.path.cmp(&b.path));
    inputs.dedup_by(|a, b| a.path == b.path && a.name == b.name);
    Ok(inputs)
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            walk(&path, found)?;
        } else if path.is_file() && !hidden {
            found.push(path);
        }
    }
    Ok(())
}

/// The order of inputs: by what they are, so that places do not matter.
pub(super) fn sort(inputs: &mut [Input]) {
    inputs.sort_by(|a, b| {
        (a.corpus, a.split, &a.name, a.bytes, &a.path)
            .cmp(&(b.corpus, b.split, &b.name, b.bytes, &b.path))
    });
}
