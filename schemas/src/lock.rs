//! One writer at a time: a lock that the system drops with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::{Error, Result};

/// An exclusive lock, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at once or says who has it.
    pub fn take(path: &Path) -> Result<Lock> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::io(path))?;
        match file.try_lock() {
            Ok(()) => {
                let note = format!("{}\n", std::process::id());
                let written = file
                    .set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| file.write_all(note.as_bytes()));
                written.map_err(Error::io(path))?;
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                // Only for the message: the holder may be writing it right now.
                let _ = file.read_to_string(&mut note);
                let holder = match note.trim() {
                    "" => String::new(),
                    process => format!(" (process {process})"),
                };
                Err(Error::Locked {
                    path: path.into(),
                    holder,
                })
            }
            Err(TryLockError::Error(source)) => Err(Error::Io {
                path: path.into(),
                source,
            }),
        }
    }
}
