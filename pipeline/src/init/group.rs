//! Corpora: recognised files put together by what they are, where they lie and what they are called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use juzi_schemas::record::Split;

use super::recognize::Found;
use super::{Layout, members, twins};

/// A corpus or evaluation set for the plan.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// Its name, different from all others.
    pub name: String,
    /// How it is read.
    pub layout: Layout,
    /// Its files by split.
    pub files: BTreeMap<Split, Vec<Entry>>,
    /// Whether it is for evaluation only.
    pub evaluation: bool,
    /// What the reader of the plan should know.
    pub notes: BTreeSet<String>,
}

/// A file of a corpus, or some members of an archive.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// Patterns of the members; none for the whole file.
    pub members: Vec<String>,
    /// Bytes on disk, where they are known.
    pub bytes: Option<u64>,
}

impl Corpus {
    /// LUSE trains on sentences alone.
    pub fn restrict_to_sentences(&mut self) {
        if is_well_known(self.layout.reader) {
            self.layout.views = vec!["sentences".into()];
            self.layout.more_views.clear();
        }
    }
}

fn is_well_known(reader: &str) -> bool {
    [
        "wiki2019zh",
        "news2016zh",
        "baike2018qa",
        "webtext2019zh",
        "translation2019zh",
        "comments2019",
    ]
    .contains(&reader)
}

/// The split of a member: by its own name, or that of a folder around it in the archive.
fn split_of_member(name: &str) -> Option<Split> {
    let mut names = name.rsplit('/');
    let own = names.next().and_then(split_of);
    own.or_else(|| {
        names
            .filter(|name| words(name).len() == 1)
            .find_map(split_of)
    })
}

/// Words of a file name that tell its split.
fn split_of(name: &str) -> Option<Split> {
    words(name).iter().find_map(|word| match word.as_str() {
        "train" | "training" => Some(Split::Train),
        "valid" | "validation" | "dev" | "val" => Some(Split::Valid),
        "test" | "testa" | "testb" => Some(Split::Test),
        _ => None,
    })
}

fn words(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect()
}

/// A name in the letters that names of corpora have.
pub fn word(name: &str) -> String {
    let kept: Vec<String> = name
        .to_lowercase()
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect();
    kept.join("_")
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    name: String,
    evaluation: bool,
    /// Empty for the well-known corpora, which may lie in several places.
    folder: PathBuf,
    layout: Layout,
}

/// Puts files together.
pub fn corpora(mut found: Vec<Found>) -> Vec<Corpus> {
    twins::drop(&mut found);
    let retrieval = retrieval_folders(&found);
    let crowded = crowded_folders(&found);
    let mut groups: BTreeMap<Key, Vec<Found>> = BTreeMap::new();
    for found in found {
        let (folder, _) = place(&found);
        let beside_qrels = found
            .file
            .path
            .parent()
            .is_some_and(|parent| retrieval.contains(parent));
        let evaluation = beside_qrels
            || found
                .file
                .folders
                .iter()
                .any(|name| name.to_lowercase() == "eval");
        let layout = found.layout.clone();
        let well_known = is_well_known(layout.reader) && !evaluation;
        let name = if well_known {
            layout.reader.into()
        } else {
            name(&found, &folder, &crowded)
        };
        let folder = if well_known { PathBuf::new() } else { folder };
        groups
            .entry(Key {
                name,
                evaluation,
                folder,
                layout,
            })
            .or_default()
            .push(found);
    }
    let names = unique_names(&groups);
    let mut corpora: Vec<Corpus> = groups
        .into_iter()
        .zip(names)
        .map(|((key, files), name)| corpus(key, name, files))
        .collect();
    corpora.sort_by(|a, b| a.name.cmp(&b.name));
    corpora
}

fn corpus(key: Key, name: String, found: Vec<Found>) -> Corpus {
    let mut notes = BTreeSet::new();
    let mut files: BTreeMap<Split, Vec<Entry>> = BTreeMap::new();
    for found in found {
        for (split, entry) in entries(&found) {
            files.entry(split).or_default().push(entry);
        }
        notes.extend(found.notes);
    }
    if key.evaluation && files.len() > 1 && files.remove(&Split::Train).is_some() {
        notes.insert(
            "Its train files are left out: what is trained on need not be kept out of training."
                .into(),
        );
    }
    Corpus {
        name,
        layout: key.layout,
        files,
        evaluation: key.evaluation,
        notes,
    }
}

/// The folder that a file counts to, and its split.
fn place(found: &Found) -> (PathBuf, Split) {
    let parent = found
        .file
        .path
        .parent()
        .unwrap_or(Path::new(""))
        .to_path_buf();
    let folder = parent
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let by_folder = if words(&folder).len() == 1 {
        split_of(&folder)
    } else {
        None
    };
    let above = match by_folder {
        Some(_) => parent.parent().unwrap_or(&parent).to_path_buf(),
        None => parent,
    };
    let by_name = split_of(&found.file.name());
    (above, by_name.or(by_folder).unwrap_or(Split::Train))
}

/// A file, or the members of an archive by the splits that their names tell.
fn entries(found: &Found) -> Vec<(Split, Entry)> {
    let (_, split) = place(found);
    let path = found.file.path.clone();
    if found.members.is_empty() {
        let bytes = Some(found.file.bytes);
        let members = Vec::new();
        return vec![(
            split,
            Entry {
                path,
                members,
                bytes,
            },
        )];
    }
    let mut splits: BTreeMap<Split, Vec<(&String, Option<u64>)>> = BTreeMap::new();
    for (name, bytes) in &found.members {
        let split = split_of_member(name).unwrap_or(split);
        splits.entry(split).or_default().push((name, *bytes));
    }
    let whole = splits.len() == 1 && found.others.is_empty();
    let entry = |(split, wanted): (&Split, &Vec<(&String, Option<u64>)>)| {
        let others = splits.iter().filter(|(other, _)| *other != split);
        let others = others.flat_map(|(_, members)| members.iter().map(|(name, _)| *name));
        let others: Vec<String> = others.chain(&found.others).cloned().collect();
        let names: Vec<String> = wanted.iter().map(|(name, _)| (*name).clone()).collect();
        let bytes = match whole {
            true => Some(found.file.bytes),
            false => wanted.iter().map(|(_, bytes)| *bytes).sum(),
        };
        let members = members::patterns(&names, &others);
        (
            *split,
            Entry {
                path: path.clone(),
                members,
                bytes,
            },
        )
    };
    splits.iter().map(entry).collect()
}

/// A name from the file's, or from its folder's where the file's says nothing.
fn name(found: &Found, folder: &Path, crowded: &BTreeSet<PathBuf>) -> String {
    let folder_name = word(
        &folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
    );
    // Of an archive with several layouts, the members tell more than the archive.
    let stem = match found.members.first() {
        Some((member, _)) if found.is_part => stem(member.rsplit('/').next().unwrap_or(member)),
        _ => stem(&found.file.name()),
    };
    let is_crowded = found.layout.reader == "text" && crowded.contains(folder);
    let name = if stem.is_empty() || is_crowded {
        folder_name
    } else {
        stem
    };
    if name.is_empty() {
        "corpus".into()
    } else {
        name
    }
}

/// What remains of a file name without endings, splits and numbers of parts.
fn stem(name: &str) -> String {
    let endings = [
        "gz", "zst", "zstd", "zip", "tar", "tgz", "tzst", "json", "jsonl", "tsv", "csv", "txt",
        "parquet",
    ];
    let mut name = name;
    while let Some((stem, ending)) = name.rsplit_once('.') {
        if !endings.contains(&ending.to_lowercase().as_str()) {
            break;
        }
        name = stem;
    }
    let name = word(name);
    let mut words: Vec<&str> = name
        .split('_')
        .filter(|word| !word.is_empty() && split_of(word).is_none())
        .collect();
    while words
        .last()
        .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()) || *word == "of")
    {
        words.pop();
    }
    let empty = [
        "part", "shard", "data", "corpus", "queries", "all", "file", "sample",
    ];
    if words.iter().all(|word| empty.contains(word)) {
        String::new()
    } else {
        words.join("_")
    }
}

/// Folders with several files of plain text: chapters of one book, not corpora of their own.
fn crowded_folders(found: &[Found]) -> BTreeSet<PathBuf> {
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for found in found.iter().filter(|found| found.layout.reader == "text") {
        *counts.entry(place(found).0).or_default() += 1;
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(folder, _)| folder)
        .collect()
}

/// Folders in BEIR's layout.
fn retrieval_folders(found: &[Found]) -> BTreeSet<PathBuf> {
    let parents = found.iter().filter_map(|found| found.file.path.parent());
    parents
        .filter(|folder| folder.join("qrels").is_dir())
        .map(Path::to_path_buf)
        .collect()
}

/// Names made different: first by the folder, then by the file, then by a number.
fn unique_names(groups: &BTreeMap<Key, Vec<Found>>) -> Vec<String> {
    let wanted = |name: &str| groups.keys().filter(|key| key.name == name).count();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = Vec::new();
    for (key, files) in groups {
        let folder = word(
            &key.folder
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        );
        let file = files
            .first()
            .map(|found| found.file.name())
            .unwrap_or_default();
        let file = word(file.split('.').next().unwrap_or_default());
        let mut name = key.name.clone();
        if wanted(&key.name) > 1 && !folder.is_empty() {
            name = match (folder != name, file != name) {
                (true, _) => format!("{folder}_{name}"),
                (false, true) => format!("{name}_{file}"),
                (false, false) => name,
            };
        }
        let base = name.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}
