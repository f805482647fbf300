//! The commit protocol: how files become a dataset, and how a dataset is proved.
//!
//! A file is written under a temporary name, flushed, synced, renamed, its directory synced, and
//! then named in the journal. After all files the manifest goes the same way, and the stable name
//! is switched to the new directory. Opening an unfinished dataset keeps what the journal proves
//! and deletes everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use xxhash_rust::xxh3::Xxh3;

use crate::fingerprint::Fingerprint;
use crate::journal::{self, Entry, Journal};
use crate::lock::Lock;
use crate::manifest::{self, Manifest};
use crate::rows_hash::RowsHash;
use crate::{Error, Result, fault, shard};

/// Directory of the immutable datasets, beside the stable names.
pub const STORE: &str = ".store";

const TEMPORARY: &str = ".tmp";

/// Directory of the dataset of a stage with a fingerprint.
pub fn directory(data: &Path, stage: &str, fingerprint: &Fingerprint) -> PathBuf {
    data.join(STORE)
        .join(format!("{stage}-{}", fingerprint.short()))
}

/// An unfinished dataset, to be written to.
#[derive(Debug)]
pub struct DatasetWriter {
    data: PathBuf,
    stage: String,
    dir: PathBuf,
    journal: Mutex<Journal>,
    committed: Mutex<BTreeMap<String, Entry>>,
    _lock: Lock,
}

/// A file on its way into a dataset: hashes and counts what passes through.
pub struct FileWriter {
    file: BufWriter<File>,
    hasher: Xxh3,
    bytes: u64,
    name: String,
    temporary: PathBuf,
}

/// Whether a committed file must survive a power failure, or may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the disk before the journal names it.
    Durable,
    /// In the system's hands; its hash is checked before it is trusted after a crash.
    Scratch,
}

impl DatasetWriter {
    /// Opens or resumes the dataset of a stage; the lock is held until the writer is dropped.
    pub fn open(data: &Path, stage: &str, fingerprint: &Fingerprint) -> Result<DatasetWriter> {
        let dir = directory(data, stage, fingerprint);
        std::fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        let lock = Lock::take(&dir.with_extension("lock"))?;
        let (journal, entries) = Journal::open(&dir)?;
        let mut committed = BTreeMap::new();
        for entry in entries {
            if proved(&dir.join(&entry.name), &entry) {
                committed.insert(entry.name.clone(), entry);
            }
        }
        delete_orphans(&dir, &dir, &committed.keys().map(String::as_str).collect())?;
        Ok(DatasetWriter {
            data: data.into(),
            stage: stage.into(),
            dir,
            journal: Mutex::new(journal),
            committed: Mutex::new(committed),
            _lock: lock,
        })
    }

    /// The dataset's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The journal entry of a committed file.
    pub fn committed(&self, name: &str) -> Option<Entry> {
        self.committed
            .lock()
            .expect("no holder panics")
            .get(name)
            .cloned()
    }

    /// Starts a file; directories in its name are made.
    pub fn create(&self, name: &str) -> Result<FileWriter> {
        let path = self.dir.join(name);
        let parent = path.parent().expect("a name below the dataset's directory");
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let temporary = self.dir.join(format!("{name}{TEMPORARY}"));
        let file = File::create(&temporary).map_err(Error::io(&temporary))?;
        fault::point("after creating a file");
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(FileWriter {
            file,
            hasher: Xxh3::new(),
            bytes: 0,
            name: name.into(),
            temporary,
        })
    }

    /// Makes a finished file part of the dataset.
    pub fn commit(
        &self,
        writer: FileWriter,
        durability: Durability,
        rows: RowsHash,
        note: serde_json::Value,
    ) -> Result<Entry> {
        let FileWriter {
            file,
            hasher,
            bytes,
            name,
            temporary,
        } = writer;
        let file = file.into_inner().map_err(|error| Error::Io {
            path: temporary.clone(),
            source: error.into_error(),
        })?;
        let durable = durability == Durability::Durable;
        fault::point("before syncing a file");
        if durable {
            file.sync_all().map_err(Error::io(&temporary))?;
        }
        drop(file);
        fault::point("before renaming a file");
        let path = self.dir.join(&name);
        std::fs::rename(&temporary, &path).map_err(Error::io(&path))?;
        fault::point("after renaming a file");
        if durable {
            sync_directory(path.parent().expect("a name below the dataset's directory"))?;
        }
        let entry = Entry {
            name: name.clone(),
            rows,
            bytes,
            bytes_hash: Fingerprint(hasher.digest128()),
            note,
        };
        self.journal
            .lock()
            .expect("no holder panics")
            .append(&entry, durable)?;
        self.committed
            .lock()
            .expect("no holder panics")
            .insert(name, entry.clone());
        Ok(entry)
    }

    /// Journal entries of all committed files whose names start so.
    pub fn committed_under(&self, prefix: &str) -> Vec<Entry> {
        let committed = self.committed.lock().expect("no holder panics");
        committed
            .values()
            .filter(|entry| entry.name.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Writes a page for a browser beside the report; the manifest does not vouch for it.
    pub fn write_page(&self, page: &str) -> Result<()> {
        replace(&self.dir.join(manifest::PAGE), page.as_bytes())
    }

    /// Writes the report and the manifest, and settles the dataset.
    pub fn finish(self, manifest: &Manifest, report: &serde_json::Value) -> Result<PathBuf> {
        let text = serde_json::to_vec_pretty(report).expect("a value has a JSON form");
        replace(&self.dir.join(manifest::REPORT), &text)?;
        fault::point("before the manifest");
        replace(
            &self.dir.join(manifest::NAME),
            manifest.to_json().as_bytes(),
        )?;
        fault::point("after the manifest");
        settle(&self.data, &self.stage, &self.dir, manifest)?;
        Ok(self.dir)
    }
}

/// Deletes what a complete dataset does not need and points the stable name at it. Also the first
/// thing to do with a dataset that is found complete: its writer may have died right here.
pub fn settle(data: &Path, stage: &str, dir: &Path, manifest: &Manifest) -> Result<()> {
    switch(data, stage, dir)?;
    let keep = manifest
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    delete_orphans(dir, dir, &keep)?;
    match std::fs::remove_file(dir.join(journal::NAME)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
            path: dir.join(journal::NAME),
            source: error,
        }),
        _ => Ok(()),
    }
}

impl FileWriter {
    /// Where the file is being written.
    pub fn path(&self) -> PathBuf {
        self.temporary.clone()
    }
}

impl Write for FileWriter {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        if fault::strikes() {
            let _ = self
                .file
                .write_all(&buffer[..buffer.len() / 2])
                .and_then(|()| self.file.flush());
            fault::die("in the middle of a write");
        }
        self.file.write_all(buffer)?;
        self.hasher.update(buffer);
        self.bytes += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Replaces a small file as a whole: temporary name, sync, rename, sync of the directory.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_added_extension(&TEMPORARY[1..]);
    let mut file = File::create(&temporary).map_err(Error::io(&temporary))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(Error::io(&temporary))?;
    fault::point("before renaming a small file");
    std::fs::rename(&temporary, path).map_err(Error::io(path))?;
    sync_directory(path.parent().expect("a file stands in a directory"))
}

/// Points the stable name of a stage at a dataset directory, in one step.
pub fn switch(data: &Path, stage: &str, dir: &Path) -> Result<()> {
    let link = data.join(stage);
    let name = dir.file_name().expect("a dataset directory has a name");
    let target = Path::new(STORE).join(name);
    if std::fs::read_link(&link).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let temporary = data.join(STORE).join(format!("{stage}.link"));
    let _ = std::fs::remove_file(&temporary);
    std::os::unix::fs::symlink(&target, &temporary).map_err(Error::io(&temporary))?;
    fault::point("before switching the stable name");
    std::fs::rename(&temporary, &link).map_err(Error::io(&link))?;
    sync_directory(data)
}

/// Looks whether every file of a complete dataset is there in its size, which costs no reading.
pub fn check_sizes(dir: &Path, manifest: &Manifest) -> Result<()> {
    for file in &manifest.files {
        let path = dir.join(&file.name);
        let found = match std::fs::metadata(&path) {
            Ok(found) if found.len() == file.bytes => continue,
            Ok(found) => found.len().to_string(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "no file".into(),
            Err(source) => return Err(Error::Io { path, source }),
        };
        return Err(Error::Damaged {
            path,
            what: "size",
            found,
            expected: format!("{}; delete {} and run again", file.bytes, dir.display()),
        });
    }
    Ok(())
}

/// Checks one file of a dataset against its manifest: size, bytes and rows. Gives the rows' hash.
pub fn verify_file(dir: &Path, file: &manifest::File) -> Result<RowsHash> {
    let path = dir.join(&file.name);
    let damaged = |what, found: String, expected: String| Error::Damaged {
        path: path.clone(),
        what,
        found,
        expected,
    };
    let bytes = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
    if bytes != file.bytes {
        return Err(damaged("size", bytes.to_string(), file.bytes.to_string()));
    }
    let hash = Fingerprint::of_file(&path)?;
    if hash != file.bytes_hash {
        return Err(damaged(
            "hash of bytes",
            hash.to_string(),
            file.bytes_hash.to_string(),
        ));
    }
    let rows = shard::rows_hash(&path)?;
    if rows.rows != file.rows || rows.hex() != file.rows_hash {
        let found = format!("{} rows, {}", rows.rows, rows.hex());
        return Err(damaged(
            "content",
            found,
            format!("{} rows, {}", file.rows, file.rows_hash),
        ));
    }
    Ok(rows)
}

fn proved(path: &Path, entry: &Entry) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == entry.bytes)
        && Fingerprint::of_file(path).is_ok_and(|hash| hash == entry.bytes_hash)
}

fn delete_orphans(root: &Path, dir: &Path, keep: &BTreeSet<&str>) -> Result<()> {
    let own = [
        journal::NAME,
        manifest::NAME,
        manifest::REPORT,
        manifest::PAGE,
    ];
    for found in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = found.map_err(Error::io(dir))?.path();
        let name = path
            .strip_prefix(root)
            .expect("found below the root")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            delete_orphans(root, &path, keep)?;
            // Fails, as it should, while something is left inside.
            let _ = std::fs::remove_dir(&path);
        } else if !own.contains(&name.as_str()) && !keep.contains(name.as_str()) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io {
                        path,
                        source: error,
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Makes the names in a directory survive a power failure.
pub fn sync_directory(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io(dir))
}
