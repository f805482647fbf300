//! Content hashes of input files, in parallel and remembered.
//!
//! A file's hash is the hash of the hashes of its pieces. A hash is remembered with the file's
//! size and time of change, so that only changed files are read again.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use juzi_schemas::dataset::replace;
use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

/// Bytes in a piece.
pub const PIECE_BYTES: u64 = 64 << 20;

#[derive(Clone, Serialize, Deserialize)]
struct Known {
    bytes: u64,
    changed_ns: i128,
    inode: u64,
    hash: Fingerprint,
}

/// Hashes of the files, in their order. `memory` is the file that remembers them; `read` counts
/// the bytes that had to be read.
pub fn hash_files(
    paths: &[PathBuf],
    memory: &Path,
    threads: usize,
    read: &AtomicU64,
) -> Result<Vec<Fingerprint>> {
    let mut known: BTreeMap<String, Known> = std::fs::read(memory)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let mut stats = Vec::new();
    let mut work = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        let metadata = std::fs::metadata(path).map_err(Error::input(path))?;
        let changed_ns =
            i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        let found = Known {
            bytes: metadata.len(),
            changed_ns,
            inode: metadata.ino(),
            hash: Fingerprint(0),
        };
        let remembered = known
            .get(&path.to_string_lossy().into_owned())
            .filter(|known| {
                (known.bytes, known.changed_ns, known.inode)
                    == (found.bytes, found.changed_ns, found.inode)
            });
        match remembered {
            Some(known) => stats.push(known.clone()),
            None => {
                stats.push(found);
                work.extend(
                    (0..metadata.len().div_ceil(PIECE_BYTES).max(1)).map(|piece| (at, piece)),
                );
            }
        }
    }
    let pieces = hash_pieces(paths, &work, threads, read)?;
    let mut joined: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for ((at, _), hash) in work.iter().zip(pieces) {
        joined
            .entry(*at)
            .or_default()
            .extend_from_slice(&hash.to_be_bytes());
    }
    for (at, bytes) in &joined {
        stats[*at].hash = Fingerprint::of(bytes);
        known.insert(
            paths[*at].to_string_lossy().into_owned(),
            stats[*at].clone(),
        );
    }
    // Only a run makes the directory; a question leaves nothing behind.
    if !joined.is_empty() && memory.parent().is_some_and(Path::is_dir) {
        replace(
            memory,
            &serde_json::to_vec_pretty(&known).expect("plain values have a JSON form"),
        )?;
    }
    Ok(stats.into_iter().map(|known| known.hash).collect())
}

fn hash_pieces(
    paths: &[PathBuf],
    work: &[(usize, u64)],
    threads: usize,
    read: &AtomicU64,
) -> Result<Vec<u128>> {
    let next = AtomicUsize::new(0);
    let hashes: Vec<Mutex<Result<u128>>> = work.iter().map(|_| Mutex::new(Ok(0))).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(work.len()) {
            let run = || {
                // Small enough to stay in the cache between the copy and the hash.
                let mut buffer = vec![0; 1 << 17];
                while let Some(&(at, piece)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let slot = next_slot(work, at, piece);
                    *hashes[slot].lock().expect("no holder panics") =
                        hash_piece(&paths[at], piece, &mut buffer, read);
                }
            };
            std::thread::Builder::new()
                .name("hash".into())
                .spawn_scoped(scope, run)
                .expect("the system gives a thread");
        }
    });
    hashes
        .into_iter()
        .map(|hash| hash.into_inner().expect("no holder panics"))
        .collect()
}

fn next_slot(work: &[(usize, u64)], at: usize, piece: u64) -> usize {
    work.binary_search(&(at, piece))
        .expect("the piece is in the sorted list it came from")
}

fn hash_piece(path: &Path, piece: u64, buffer: &mut [u8], read: &AtomicU64) -> Result<u128> {
    let file = File::open(path).map_err(Error::input(path))?;
    let (mut hasher, mut at) = (Xxh3::new(), piece * PIECE_BYTES);
    let end = at + PIECE_BYTES;
    while at < end {
        let wanted = buffer.len().min((end - at) as usize);
        let got = file
            .read_at(&mut buffer[..wanted], at)
            .map_err(Error::input(path))?;
        if got == 0 {
            break;
        }
        hasher.update(&buffer[..got]);
        at += got as u64;
        read.fetch_add(got as u64, Ordering::Relaxed);
    }
    Ok(hasher.digest128())
}
