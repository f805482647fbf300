//! The files of a dataset, and those that one worker has open.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow::record_batch::RecordBatch;
use juzi_schemas::Error as Fault;
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::shard::Groups;

use crate::{Error, Result};

/// Files that a worker has open at once; a dataset may have more than a process may open.
const OPEN_MAX: usize = 16;

/// A file of rows, as the manifest names it.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it is.
    pub path: Arc<Path>,
    /// Its size.
    pub bytes: u64,
    /// XXH3-128 of its bytes.
    pub hash: Fingerprint,
    /// Whether its bytes were looked at; all workers know it.
    pub proved: Arc<Mutex<bool>>,
}

/// Reads row groups; each worker has its own.
#[derive(Default)]
pub struct OpenFiles {
    /// The file used last comes last.
    open: Vec<(usize, Groups)>,
}

impl File {
    /// Looks whether the file still has the size that the manifest gives it, which finds one that
    /// was deleted, cut or replaced.
    fn check(&self) -> Result<()> {
        let metadata = std::fs::metadata(&self.path).map_err(Fault::io(&*self.path))?;
        match metadata.len() == self.bytes {
            true => Ok(()),
            false => Err(Error::Dataset(Fault::Damaged {
                path: self.path.to_path_buf(),
                what: "size",
                found: metadata.len().to_string(),
                expected: self.bytes.to_string(),
            })),
        }
    }
}

impl File {
    /// Reads the whole file and compares its hash, once for all workers: a changed bit in a text
    /// would be fed as it is, since Parquet does not notice it.
    fn prove(&self) -> Result<()> {
        let mut proved = self.proved.lock().expect("no holder panics");
        if *proved {
            return Ok(());
        }
        let found = Fingerprint::of_file(&self.path)?;
        if found != self.hash {
            return Err(Error::Dataset(Fault::Damaged {
                path: self.path.to_path_buf(),
                what: "hash of bytes",
                found: found.to_string(),
                expected: self.hash.to_string(),
            }));
        }
        *proved = true;
        Ok(())
    }
}

impl OpenFiles {
    /// The groups of a file; `number` tells files apart.
    ///
    /// # Errors
    /// The file is gone, has another size or other bytes than the manifest says.
    pub fn groups(&mut self, number: usize, file: &File) -> Result<&Groups> {
        file.check()?;
        let entry = match self.open.iter().position(|(open, _)| *open == number) {
            Some(at) => self.open.remove(at),
            None => {
                file.prove()?;
                (number, Groups::open(&file.path, None)?)
            }
        };
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push(entry);
        let (_, groups) = self.open.last().expect("one was pushed");
        Ok(groups)
    }

    /// Reads columns of a row group.
    ///
    /// # Errors
    /// As [`OpenFiles::groups`], or the group is damaged.
    pub fn read(
        &mut self,
        number: usize,
        file: &File,
        group: usize,
        columns: &[&str],
    ) -> Result<RecordBatch> {
        let groups = self.groups(number, file)?;
        groups
            .read(group, Some(columns))
            .map_err(|error| Error::Group {
                path: file.path.to_path_buf(),
                group,
                message: reason(error),
            })
    }
}

/// What happened, without the path that the error around it names.
fn reason(error: Fault) -> String {
    match error {
        Fault::Parquet { message, .. } => message,
        other => other.to_string(),
    }
}
