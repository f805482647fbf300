//! A queue of entries: those that do not fit wait, gathered by what they conflict with.

use std::collections::{HashMap, VecDeque};

use juzi_schemas::dropped::Reason;

use super::guard::{Batch, Conflict};

/// Waiting entries that are tried for a batch while fresh ones are left.
const TRIES: usize = 256;

/// Waiting entries that are tried for a batch when no fresh one is left.
const LAST_TRIES: usize = 8192;

/// Entries in order. One that conflicts with a batch waits with the others that share the hash in
/// question; a batch then tries one entry of each such bucket. So a hash that very many entries
/// share costs one try a batch, and an entry is never looked at twice for one batch.
#[derive(Debug, Default)]
pub struct Queue {
    pending: VecDeque<u32>,
    waiting: HashMap<u64, Bucket>,
    ring: VecDeque<u64>,
    held: usize,
    serial: u64,
    tries: usize,
}

#[derive(Debug)]
struct Bucket {
    reason: Reason,
    entries: VecDeque<u32>,
}

impl Queue {
    /// A queue of entries.
    pub fn new(entries: Vec<u32>) -> Queue {
        Queue {
            pending: entries.into(),
            ..Queue::default()
        }
    }

    /// Entries left.
    pub fn len(&self) -> usize {
        self.pending.len() + self.held
    }

    /// True when no entry is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the first entry that fits into the batch; nothing if none does.
    pub fn take(&mut self, batch: &mut Batch<'_>) -> Option<u32> {
        if self.serial != batch.serial() {
            self.serial = batch.serial();
            let most = match self.pending.is_empty() {
                true => LAST_TRIES,
                false => TRIES,
            };
            self.tries = self.ring.len().min(most);
        }
        while self.tries > 0 {
            self.tries -= 1;
            if let Some(entry) = self.try_bucket(batch) {
                return Some(entry);
            }
        }
        while let Some(entry) = self.pending.pop_front() {
            match batch.try_push(entry) {
                Ok(()) => return Some(entry),
                Err(conflict) => self.wait(conflict, entry),
            }
        }
        None
    }

    /// Moves entries into the batch until it holds `length`; false if that cannot be.
    pub fn fill(&mut self, batch: &mut Batch<'_>, length: usize) -> bool {
        while batch.len() < length {
            if self.take(batch).is_none() {
                return false;
            }
        }
        true
    }

    /// Puts an entry back to the front.
    pub fn put_back(&mut self, entry: u32) {
        self.pending.push_front(entry);
    }

    /// Gives up all entries: fresh ones for `reason`, others for their conflict.
    pub fn drain(&mut self, reason: Reason, left: &mut Vec<(u32, Reason)>) {
        left.extend(self.pending.drain(..).map(|entry| (entry, reason)));
        for key in self.ring.drain(..) {
            let bucket = self.waiting.remove(&key).expect("the ring names buckets");
            left.extend(
                bucket
                    .entries
                    .into_iter()
                    .map(|entry| (entry, bucket.reason)),
            );
        }
        self.held = 0;
    }

    /// Tries the first entry of the next bucket.
    fn try_bucket(&mut self, batch: &mut Batch<'_>) -> Option<u32> {
        let key = self.ring.pop_front()?;
        let bucket = self.waiting.get_mut(&key).expect("the ring names buckets");
        let entry = *bucket.entries.front().expect("a bucket is never empty");
        let tried = batch.try_push(entry);
        if tried.is_err_and(|conflict| conflict.key == key) {
            self.ring.push_back(key);
            return None;
        }
        bucket.entries.pop_front();
        self.held -= 1;
        match bucket.entries.is_empty() {
            true => drop(self.waiting.remove(&key)),
            false => self.ring.push_back(key),
        }
        match tried {
            Ok(()) => Some(entry),
            Err(conflict) => {
                self.wait(conflict, entry);
                None
            }
        }
    }

    fn wait(&mut self, conflict: Conflict, entry: u32) {
        self.held += 1;
        let bucket = self.waiting.entry(conflict.key).or_insert_with(|| {
            self.ring.push_back(conflict.key);
            Bucket {
                reason: conflict.reason,
                entries: VecDeque::new(),
            }
        });
        bucket.entries.push_back(entry);
    }
}
