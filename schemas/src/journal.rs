//! The journal: one checked line for each committed file of an unfinished dataset.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::rows_hash::RowsHash;
use crate::{Error, Result, fault};

/// File name inside a dataset directory.
pub const NAME: &str = "journal.jsonl";

/// One committed file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Path below the dataset directory.
    pub name: String,
    /// Rows in the file and their order-sensitive hash.
    pub rows: RowsHash,
    /// Size in bytes.
    pub bytes: u64,
    /// Hash of the bytes.
    pub bytes_hash: Fingerprint,
    /// What the stage wants to know of this file after a crash.
    pub note: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct Line {
    entry: serde_json::Value,
    check: Fingerprint,
}

/// An open journal, to be appended to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal of a directory and returns what it says; a torn last line, the mark of a
    /// crash, is cut off.
    pub fn open(dir: &Path) -> Result<(Journal, Vec<Entry>)> {
        let path = dir.join(NAME);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(Error::Io {
                    path,
                    source: error,
                });
            }
        };
        let (mut entries, mut good) = (Vec::new(), 0);
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let Some(entry) = parse(line) else { break };
            good += line.len() as u64;
            entries.push(entry);
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        file.set_len(good).map_err(Error::io(&path))?;
        Ok((Journal { file, path }, entries))
    }

    /// Appends a line; `durable` waits until it is on the disk.
    pub fn append(&mut self, entry: &Entry, durable: bool) -> Result<()> {
        let entry = serde_json::to_value(entry).expect("an entry has a JSON form");
        let check = Fingerprint::of_json(&entry);
        let mut line = serde_json::to_vec(&Line { entry, check }).expect("a line has a JSON form");
        line.push(b'\n');
        if fault::strikes() {
            let _ = self.file.write_all(&line[..line.len() / 2]);
            fault::die("half a journal line");
        }
        self.file.write_all(&line).map_err(Error::io(&self.path))?;
        if durable {
            self.file.sync_data().map_err(Error::io(&self.path))?;
        }
        fault::point("after a journal line");
        Ok(())
    }
}

fn parse(line: &[u8]) -> Option<Entry> {
    if line.last() != Some(&b'\n') {
        return None;
    }
    let line: Line = serde_json::from_slice(line).ok()?;
    let whole = Fingerprint::of_json(&line.entry) == line.check;
    whole.then(|| serde_json::from_value(line.entry).ok())?
}

#[cfg(test)]
mod tests {
    use super::{Entry, Fingerprint, Journal, NAME, RowsHash};

    #[test]
    fn a_torn_or_altered_line_ends_the_journal() {
        let dir = std::env::temp_dir().join(format!("juzi-journal-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary directory");
        let entry = |name: &str| Entry {
            name: name.into(),
            rows: RowsHash::default(),
            bytes: 3,
            bytes_hash: Fingerprint::of(b"abc"),
            note: serde_json::json!({"b": 1, "a": [2.5, "句"]}),
        };
        let (mut journal, found) = Journal::open(&dir).expect("opens");
        assert!(found.is_empty());
        for name in ["one", "two", "three"] {
            journal.append(&entry(name), true).expect("appends");
        }
        let path = dir.join(NAME);
        let text = std::fs::read_to_string(&path).expect("reads");
        for (damaged, left) in [
            (text[..text.len() - 1].to_string(), 2),
            (text.replace("two", "twó"), 1),
            (text.clone(), 3),
        ] {
            std::fs::write(&path, damaged).expect("writes");
            let (_, found) = Journal::open(&dir).expect("opens");
            assert_eq!(found.len(), left);
            assert!(found.iter().all(|found| *found == entry(&found.name)));
        }
        std::fs::remove_dir_all(&dir).expect("removes");
    }
}
