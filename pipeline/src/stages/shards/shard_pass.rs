//! The merging pass: shards of rows and of the ledger, made by workers and committed by one thread.
//!
//! Syncing a file waits for the disk; the committing thread waits so that workers need not.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use juzi_schemas::dataset::{DatasetWriter, Durability, FileWriter};
use juzi_schemas::journal::Entry;
use juzi_schemas::record::{Kind, Layout};
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::shard::ShardWriter;

use super::merge::{MergeWorker, Merged, Outputs, finish, ledger_writer};
use super::near_pass::Near;
use super::slices::{Spills, Task};
use super::spill::LEDGER;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers;
use crate::plan::Plan;
use crate::stages::RunOptions;
use crate::text::words::Segmenter;

/// One file that the pass left.
pub struct Made {
    /// Its journal entry.
    pub entry: Entry,
    /// Kind of its records; none for the ledger.
    pub kind: Option<Kind>,
    /// What its merge counted.
    pub merged: Merged,
}

/// A finished file on its way to the committing thread.
struct Finished {
    file: FileWriter,
    rows: RowsHash,
    merged: Merged,
}

/// Files that wait for the disk at most; each is small, its bytes are the system's.
const WAITING_MAX: usize = 4;

/// Makes every shard that is not yet made; files come in the order of the dataset.
///
/// # Errors
/// Disk; an interruption.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    threads: usize,
    writer: &DatasetWriter,
    spills: &Spills<'_>,
    near: &Near,
) -> Result<Vec<Made>> {
    let segmenter = plan
        .shards
        .words
        .then(|| Segmenter::new(super::DICTIONARIES[1].1))
        .transpose();
    let segmenter =
        segmenter.map_err(|message| Error::Resources(format!("user_words.txt: {message}")))?;
    let tasks = spills.tasks(plan.shards.shard_bytes.0);
    let total = spills
        .units
        .iter()
        .flat_map(|unit| unit.note.table_bytes)
        .sum();
    let phase = Phase::start("merge", total, options.quiet);
    let (sender, receiver) = bounded(WAITING_MAX);
    let job = Job {
        writer,
        spills,
        near,
        segmenter: segmenter.as_ref(),
        tasks: &tasks,
        phase: &phase,
    };
    std::thread::scope(|scope| {
        let commit = std::thread::Builder::new()
            .name("commit".into())
            .spawn_scoped(scope, || commit_all(writer, receiver))
            .expect("the system gives a thread");
        let next = AtomicUsize::new(0);
        let worked = workers::run(threads, "merge", &options.resume, |stop| {
            let mut worker = MergeWorker::new(plan.shards.profile);
            while !stop.stopped()
                && let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed))
            {
                job.make(task, &mut worker, &sender)?;
            }
            Ok(())
        });
        drop(sender);
        // The committer's own error says more than the closed channel that workers then met.
        commit
            .join()
            .expect("the committing thread returns errors")?;
        worked
    })?;
    Ok(collect(&tasks, writer))
}

struct Job<'j> {
    writer: &'j DatasetWriter,
    spills: &'j Spills<'j>,
    near: &'j Near,
    segmenter: Option<&'j Segmenter>,
    tasks: &'j [Task],
    phase: &'j Phase,
}

/// Names of the files of a task: rows where it has rows, and ledger rows.
fn names(tasks: &[Task], task: Task) -> (Option<String>, String) {
    let number = tasks
        .iter()
        .position(|other| *other == task)
        .expect("the task is one of these");
    let ledger = format!("dropped-{number:05}.parquet");
    (
        (task.table < LEDGER).then(|| format!("part-{number:05}.parquet")),
        ledger,
    )
}

impl Job<'_> {
    fn make(&self, task: Task, worker: &mut MergeWorker, sender: &Sender<Finished>) -> Result<()> {
        let (rows_name, ledger_name) = names(self.tasks, task);
        let bytes = self.spills.task_bytes(task)?;
        if !self.is_done(rows_name.as_deref(), &ledger_name) {
            match &rows_name {
                Some(name) => self.make_rows(task, name, &ledger_name, worker, sender)?,
                None => self.make_ledger(task, &ledger_name, worker, sender)?,
            }
        }
        self.phase
            .counters
            .bytes
            .fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// True when all files of a task stand there; damage may have taken only one of them.
    fn is_done(&self, rows_name: Option<&str>, ledger_name: &str) -> bool {
        let ledger = self.writer.committed(ledger_name).is_some();
        let Some(name) = rows_name else { return ledger };
        self.writer.committed(name).is_some_and(|entry| {
            let merged = merged(&entry);
            ledger || merged.duplicates + merged.near_duplicates == 0
        })
    }

    fn make_rows(
        &self,
        task: Task,
        name: &str,
        ledger_name: &str,
        worker: &mut MergeWorker,
        sender: &Sender<Finished>,
    ) -> Result<()> {
        let layout = Layout {
            kind: Kind::ALL[task.table],
            words: self.segmenter.is_some(),
            corpora: self.spills.corpora.clone(),
        };
        let near = self.near.keepers(self.writer, task)?;
        let place = self.writer.dir().join(name);
        let mut outputs = Outputs {
            rows: ShardWriter::new(
                self.writer.create(name)?,
                Arc::new(layout.schema_in_memory()),
                &place,
            )?,
            dropped: ledger_writer(Vec::new(), &place)?,
        };
        let merged = worker.rows(
            self.spills,
            task,
            layout,
            &near,
            self.segmenter,
            &mut outputs,
        )?;
        let (bytes, dropped) = finish(outputs.dropped)?;
        if dropped.rows > 0 {
            let mut file = self.writer.create(ledger_name)?;
            file.write_all(&bytes)
                .map_err(juzi_schemas::Error::io(&place))?;
            send(sender, file, dropped, Merged::default())?;
        }
        let (file, rows) = finish(outputs.rows)?;
        self.phase
            .counters
            .rows
            .fetch_add(rows.rows, Ordering::Relaxed);
        send(sender, file, rows, merged)
    }

    fn make_ledger(
        &self,
        task: Task,
        name: &str,
        worker: &mut MergeWorker,
        sender: &Sender<Finished>,
    ) -> Result<()> {
        let place = self.writer.dir().join(name);
        let mut output = ledger_writer(self.writer.create(name)?, &place)?;
        worker.ledger(self.spills, task, &mut output)?;
        let (file, rows) = finish(output)?;
        send(sender, file, rows, Merged::default())
    }
}

/// The committer ends early only with an error, which is then the error of the pass.
fn send(sender: &Sender<Finished>, file: FileWriter, rows: RowsHash, merged: Merged) -> Result<()> {
    let sent = sender.send(Finished { file, rows, merged });
    sent.map_err(|_| Error::Resources("the committing thread has stopped".into()))
}

fn commit_all(writer: &DatasetWriter, receiver: Receiver<Finished>) -> Result<()> {
    for Finished { file, rows, merged } in receiver {
        let note = serde_json::to_value(merged).expect("plain numbers have a JSON form");
        writer.commit(file, Durability::Durable, rows, note)?;
    }
    Ok(())
}

fn merged(entry: &Entry) -> Merged {
    serde_json::from_value(entry.note.clone()).expect("the journal's lines are checked")
}

fn collect(tasks: &[Task], writer: &DatasetWriter) -> Vec<Made> {
    let mut made = Vec::new();
    for &task in tasks {
        let (rows, ledger) = names(tasks, task);
        let kind = (task.table < LEDGER).then(|| Kind::ALL[task.table]);
        for (name, kind) in rows
            .into_iter()
            .map(|name| (name, kind))
            .chain([(ledger, None)])
        {
            if let Some(entry) = writer.committed(&name) {
                let merged = merged(&entry);
                made.push(Made {
                    entry,
                    kind,
                    merged,
                });
            }
        }
    }
    made
}

/// Keepers of near duplicates, by dropped id.
pub type Keepers = HashMap<u128, u128>;
