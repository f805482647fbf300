//! The text of a plan, with comments for the person who will edit it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use juzi_schemas::record::Split;
use serde::Serialize;

use super::group::{Corpus, Entry};
use super::members::shared;
use crate::plan::ShardsOptions;
use crate::text::filters::FilterOptions;

/// From so many files on, a glob is looked for.
const GLOB_FILES_MIN: usize = 5;

/// Unrecognised files that are listed.
const UNKNOWN_MAX: usize = 40;

/// The whole plan.
pub fn plan(name: &str, profile: &str, corpora: &[Corpus], unknown: &[(String, String)]) -> String {
    let mut text = format!(
        "# Written by `juzi init`. Look it over, then run: juzi shards THIS_FILE\n\
         # File names may be globs and are relative to the directory of this file.\n\
         \n\
         # Datasets go to data/<name>.\n\
         name = {}\n\
         # Seed of every random choice: another seed, another order.\n\
         seed = 1\n",
        quoted(name)
    );
    for corpus in corpora.iter().filter(|corpus| !corpus.evaluation) {
        text += &corpus_table(corpus);
    }
    text += &format!(
        "\n[shards]\n\
         # \"default\": careful cleaning, a sentence splitter for real text, filters.\n\
         # \"luse\": LUSE's published procedure, character for character.\n\
         profile = {}\n\
         # true adds the column `words`: the lengths of jieba's words, for augmentation.\n\
         words = false\n",
        quoted(profile)
    );
    let defaults = ShardsOptions::default();
    text += "\n# What is optional, with its defaults: take the `#` off the lines that have no space after it.\n";
    if profile == "luse" {
        text += "# Any table of filters replaces the ones that the profile luse has by itself.\n";
    }
    text += &length_table();
    text += &optional(
        "shards.near_duplicates",
        "Near duplicates (MinHash); `enabled = true` drops them.",
        &defaults.near_duplicates,
    );
    text += &optional(
        "shards.leaks",
        "How strictly texts of [[evaluation]] are kept out of the shards.",
        &defaults.leaks,
    );
    text += &evaluation(corpora);
    if !unknown.is_empty() {
        text += &format!(
            "\n# Not recognised and not read ({}):\n",
            count(unknown.len(), "file")
        );
        for (path, reason) in unknown.iter().take(UNKNOWN_MAX) {
            text += &comment(&format!("{path}: {reason}"));
        }
        if unknown.len() > UNKNOWN_MAX {
            text += &format!("# and {} more\n", unknown.len() - UNKNOWN_MAX);
        }
    }
    text
}

fn corpus_table(corpus: &Corpus) -> String {
    let layout = &corpus.layout;
    let mut text = format!(
        "\n{}",
        comment(&format!("{}. {}.", layout.description, sizes(corpus)))
    );
    for note in &corpus.notes {
        text += &comment(note);
    }
    text += &format!(
        "[[corpora]]\nname = {}\nreader = {}\n",
        quoted(&corpus.name),
        quoted(layout.reader)
    );
    for split in [Split::Train, Split::Valid, Split::Test] {
        if let Some(files) = corpus.files.get(&split) {
            text += &format!("{} = {}\n", split.name(), list(&patterns(files)));
        }
    }
    text += &options(corpus);
    if !layout.more_views.is_empty() {
        text += &comment(&format!(
            "Further views that make sense: {}",
            inline(&layout.more_views)
        ));
    }
    text + &format!("views = {}\n", list(&layout.views))
}

/// Options of the reader that differ from their defaults.
fn options(corpus: &Corpus) -> String {
    let layout = &corpus.layout;
    let mut text = String::new();
    if !layout.columns.is_empty() {
        text += &format!("columns = {}\n", list(&layout.columns));
    }
    if layout.header {
        text += "header = true\n";
    }
    if layout.paragraphs {
        text += "paragraphs = true\n";
    }
    if let Some(encoding) = layout.encoding {
        text += &format!("encoding = {}\n", quoted(encoding));
    }
    text
}

/// Evaluation sets, commented out, or an example.
fn evaluation(corpora: &[Corpus]) -> String {
    let mut text = String::from(
        "\n# Texts of evaluation sets are kept out of the shards, so that a measurement stays honest. It drops\n\
         # every record that holds or nearly equals one of their texts: see [shards.leaks].\n",
    );
    let sets: Vec<&Corpus> = corpora.iter().filter(|corpus| corpus.evaluation).collect();
    if sets.is_empty() {
        return text
            + "#[[evaluation]]\n#name = \"afqmc\"\n#reader = \"tsv\"\n#files = [\"eval/afqmc/test.tsv\"]\n\
                       #columns = [\"sentence1\", \"sentence2\", \"label\"]\n";
    }
    text +=
        "# These look like evaluation sets. Take the `#` off the ones that you will measure on.\n";
    for set in sets {
        let files: Vec<Entry> = set.files.values().flatten().cloned().collect();
        let mut table = format!(
            "[[evaluation]]\nname = {}\nreader = {}\n",
            quoted(&set.name),
            quoted(set.layout.reader)
        );
        table += &format!("files = {}\n", list(&patterns(&files)));
        table += &options(set);
        text += "\n";
        text += &comment(&format!(
            "{}. {}.",
            set.layout.description,
            count(files.len(), "file")
        ));
        for note in &set.notes {
            text += &comment(note);
        }
        text += &commented(&table);
    }
    text
}

/// The filter that most corpora want changed.
fn length_table() -> String {
    let filters =
        toml::Table::try_from(FilterOptions::default()).expect("options have a TOML form");
    match filters.get("length") {
        Some(length) => optional(
            "shards.filters.length",
            "Shortest and longest text that is kept, in characters.",
            length,
        ),
        None => String::new(),
    }
}

/// A table with its defaults, commented out.
fn optional(name: &str, explanation: &str, options: &impl Serialize) -> String {
    let values = toml::to_string(options).expect("options have a TOML form");
    format!(
        "\n{}{}",
        comment(explanation),
        commented(&format!("[{name}]\n{values}"))
    )
}

fn commented(text: &str) -> String {
    text.lines().map(|line| format!("#{line}\n")).collect()
}

/// One comment line, whatever stands in a file name.
fn comment(text: &str) -> String {
    format!("# {}\n", text.replace(char::is_control, "?"))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn inline(texts: &[String]) -> String {
    texts
        .iter()
        .map(|text| quoted(text))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A list on one line if it fits, else an item a line.
fn list(texts: &[String]) -> String {
    let line = inline(texts);
    if texts.len() <= 1 || line.len() <= 90 {
        return format!("[{line}]");
    }
    let items: String = texts
        .iter()
        .map(|text| format!("    {},\n", quoted(text)))
        .collect();
    format!("[\n{items}]")
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

fn sizes(corpus: &Corpus) -> String {
    let part = |(split, files): (&Split, &Vec<Entry>)| {
        let bytes: Option<u64> = files.iter().map(|entry| entry.bytes).sum();
        let (name, number) = (split.name(), count(files.len(), "file"));
        let Some(bytes) = bytes else {
            return format!("{name}: {number}");
        };
        let megabytes = bytes as f64 / 1e6;
        let size = if megabytes < 0.95 {
            format!("{} kB", bytes.div_ceil(1000))
        } else {
            format!("{megabytes:.1} MB")
        };
        format!("{name}: {number}, {size}")
    };
    corpus
        .files
        .iter()
        .rev()
        .map(part)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Whole files by one glob if there are many and the glob finds exactly them, else by name; members
/// of archives behind the name of theirs.
fn patterns(entries: &[Entry]) -> Vec<String> {
    let whole = entries.iter().filter(|entry| entry.members.is_empty());
    let paths: Vec<PathBuf> = whole.map(|entry| entry.path.clone()).collect();
    let mut patterns = file_patterns(&paths);
    for Entry { path, members, .. } in entries {
        let member = |member: &String| format!("{}::{member}", path.display());
        patterns.extend(members.iter().map(member));
    }
    patterns
}

fn file_patterns(paths: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = paths
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    names.sort();
    if paths.len() < GLOB_FILES_MIN {
        return names;
    }
    let wanted: BTreeSet<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let finds_exactly = |pattern: &String| {
        let found: BTreeSet<PathBuf> = glob::glob(pattern)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|path| path.is_file())
            .collect();
        found
            .iter()
            .map(PathBuf::as_path)
            .eq(wanted.iter().copied())
    };
    match candidates(paths).into_iter().find(finds_exactly) {
        Some(pattern) => vec![pattern],
        None => names,
    }
}

fn candidates(paths: &[PathBuf]) -> Vec<String> {
    let bases: Vec<String> = paths
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let (prefix, suffix) = shared(&bases);
    let name = format!(
        "{}*{}",
        glob::Pattern::escape(&prefix),
        glob::Pattern::escape(&suffix)
    );
    let parents: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    let common = parents
        .iter()
        .map(|path| path.to_path_buf())
        .reduce(|a, b| {
            a.components()
                .zip(b.components())
                .take_while(|(a, b)| a == b)
                .map(|(a, _)| a)
                .collect()
        });
    let common = glob::Pattern::escape(&common.unwrap_or_default().to_string_lossy());
    match parents.len() {
        1 => vec![format!("{common}/{name}")],
        _ => vec![format!("{common}/*/{name}"), format!("{common}/**/{name}")],
    }
}
