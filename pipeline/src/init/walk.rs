//! The files below some directories, in an order that does not depend on how they are asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of files that are nobody's corpus; they are passed over without a word.
const UNRELATED: &[&str] = &[
    "md",
    "rst",
    "py",
    "ipynb",
    "sh",
    "rs",
    "toml",
    "yaml",
    "yml",
    "lock",
    "html",
    "htm",
    "css",
    "js",
    "pdf",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "doc",
    "docx",
    "xls",
    "xlsx",
    "log",
    "bin",
    "safetensors",
    "pt",
    "onnx",
    "so",
    "exe",
];

/// Names without an ending that accompany data.
const COMPANIONS: &[&str] = &[
    "license",
    "readme",
    "makefile",
    "sha256sums",
    "md5sums",
    "checksums",
    "copying",
];

/// A file found, with the names that may tell what it is.
#[derive(Clone, Debug)]
pub struct File {
    /// Absolute path.
    pub path: PathBuf,
    /// Names of the directories from the one asked for down to the file.
    pub folders: Vec<String>,
    /// Bytes on disk.
    pub bytes: u64,
}

impl File {
    /// The file's own name.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// Every file below the directories that could hold data, sorted by path, each once.
///
/// # Errors
/// A directory or file cannot be read.
pub fn files(dirs: &[PathBuf]) -> Result<Vec<File>, String> {
    let mut found = Vec::new();
    for dir in dirs {
        let path =
            std::path::absolute(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        // `data/.` and `data/..` have names of their own only when resolved.
        let path = if path.file_name().is_none() {
            resolve(&path)?
        } else {
            path
        };
        let folders = path
            .file_name()
            .map(|name| vec![name.to_string_lossy().into_owned()])
            .unwrap_or_default();
        if path.is_dir() {
            descend(&path, &folders, &mut Vec::new(), &mut found)?;
        } else {
            let bytes = fs::metadata(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?
                .len();
            let parent = path.parent().and_then(Path::file_name);
            let folders = parent
                .map(|name| vec![name.to_string_lossy().into_owned()])
                .unwrap_or_default();
            found.push(File {
                path,
                folders,
                bytes,
            });
        }
    }
    // Of a file asked for twice, the way with the most names tells the most.
    found.sort_by(|a, b| {
        a.path
            .cmp(&b.path)
            .then(b.folders.len().cmp(&a.folders.len()))
    });
    let mut seen = BTreeSet::new();
    let mut unique = Vec::new();
    for file in found {
        if seen.insert(resolve(&file.path)?) {
            unique.push(file);
        }
    }
    Ok(unique)
}

fn resolve(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Goes down; `above` are the resolved directories on the way, so that links make no loops.
fn descend(
    dir: &Path,
    folders: &[String],
    above: &mut Vec<PathBuf>,
    found: &mut Vec<File>,
) -> Result<(), String> {
    let resolved = resolve(dir)?;
    if above.contains(&resolved) {
        return Ok(());
    }
    above.push(resolved);
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        // A link to nothing is no file.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            let folders: Vec<String> = folders.iter().cloned().chain([name]).collect();
            descend(&path, &folders, above, found)?;
        } else if metadata.is_file() && !is_unrelated(&name) {
            found.push(File {
                path,
                folders: folders.to_vec(),
                bytes: metadata.len(),
            });
        }
    }
    above.pop();
    Ok(())
}

/// Whether a file is nobody's corpus, by its name alone.
pub fn is_unrelated(name: &str) -> bool {
    let name = name.to_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    COMPANIONS.contains(&name.split('.').next().unwrap_or_default())
        || ending.is_some_and(|ending| UNRELATED.contains(&ending))
}

/// A name for the plan: that of the one directory, or of the deepest that holds all.
pub fn common_name(dirs: &[PathBuf]) -> String {
    let absolute = dirs
        .iter()
        .map(|dir| dir.canonicalize().unwrap_or_else(|_| dir.clone()));
    let common = absolute.reduce(|a, b| {
        a.components()
            .zip(b.components())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a)
            .collect()
    });
    let stem = common.and_then(|path| {
        path.file_stem()
            .map(|name| name.to_string_lossy().into_owned())
    });
    let name = super::group::word(&stem.unwrap_or_default());
    if name.is_empty() {
        "corpora".into()
    } else {
        name
    }
}
