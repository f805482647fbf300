//! The log of a run: one JSON object a line, in `events.jsonl`.
//!
//! Every event has `kind`, and `step`: how many steps were done when it was written. What follows
//! from a clock is in an object `time` of its own; all else is the same, bit by bit, in every run of
//! a recipe on the CPU.
//!
//! | kind | further fields |
//! |---|---|
//! | `start` | `steps` in all, `recipe` and `dataset` (fingerprints), `parameters` |
//! | `doctor` | what the gradient doctor found: `healthy`, `checks`, `exceptions` |
//! | `step` | `epoch`, `loss`, `loss_mean` since the last line, `learning_rate`, `gradient_norm`, `figures` (name and value), `alignment`, `uniformity`; `time`: `seconds`, `tokens_per_s`, `sequences_per_s`, `wait_share` |
//! | `checkpoint` | `loss_mean`, `best`; where a metric decides, `decides` and its `value` |
//! | `evaluation` | `name` of the task, `metrics` (name and value, the primary one first), `warnings`; `time`: `seconds` |
//! | `resume` | as `start`; the lines behind the checkpoint were cut off before it |
//! | `stop` | `reason`: `complete`, `early_stop`, `interrupted` or `failed` |
//!
//! Readers take kinds and fields that they do not know as they come. A number that is none is null.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Error, Result};

/// Name of the log in the directory of a run.
pub const FILE: &str = "events.jsonl";

/// Writes events, each flushed as a whole line.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    position: u64,
}

impl Writer {
    /// Opens the log of a run, or begins one. With `keep_bytes`, what a checkpoint knows of the log,
    /// the rest is cut off; without, all whole lines stay.
    ///
    /// # Errors
    /// The file cannot be written, or is shorter than what should stay, or that is no whole line.
    pub fn open(run: &Path, keep_bytes: Option<u64>) -> Result<Writer> {
        let path = run.join(FILE);
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).read(true).write(true);
        let mut file = options.open(&path).map_err(Error::input(&path))?;
        let length = file.metadata().map_err(Error::input(&path))?.len();
        let keep = match keep_bytes {
            Some(keep) => keep,
            None => whole_lines(&mut file, length).map_err(Error::input(&path))?,
        };
        if keep > length || !ends_line(&mut file, keep).map_err(Error::input(&path))? {
            return Err(Error::Mismatch {
                path,
                message: format!(
                    "its checkpoint knows {keep} bytes of whole lines; it has {length} bytes and is \
                     another log or a damaged one"
                ),
            });
        }
        let placed = file
            .set_len(keep)
            .and_then(|()| file.seek(SeekFrom::Start(keep)));
        let position = placed.map_err(Error::input(&path))?;
        Ok(Writer {
            path,
            file,
            position,
        })
    }

    /// Appends an event; when it comes back, the line is with the system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, event: &Value) -> Result<()> {
        let line = format!("{event}\n");
        let written = self.file.write_all(line.as_bytes());
        written.map_err(Error::input(&self.path))?;
        self.position += line.len() as u64;
        Ok(())
    }

    /// Waits until all lines are on the disk, as before a checkpoint that knows them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::input(&self.path))
    }

    /// Bytes written so far: what a checkpoint knows of the log.
    pub fn position(&self) -> u64 {
        self.position
    }
}

/// Whether a line ends before this byte.
fn ends_line(file: &mut File, position: u64) -> std::io::Result<bool> {
    let Some(last) = position.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    Ok(file.read(&mut byte)? == 1 && byte[0] == b'\n')
}

/// How many bytes of a file are whole lines: the last line of a killed run may be torn.
fn whole_lines(file: &mut File, length: u64) -> std::io::Result<u64> {
    const BLOCK: u64 = 1 << 16;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut bytes = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        if let Some(at) = bytes.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads the events of a run, one at a time.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    lines: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl Reader {
    /// Opens the log of a run.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(run: &Path) -> Result<Reader> {
        let path = run.join(FILE);
        let file = File::open(&path).map_err(Error::input(&path))?;
        Ok(Reader {
            lines: BufReader::with_capacity(1 << 16, file),
            path,
            line: Vec::new(),
            number: 0,
        })
    }

    fn wrong(&self, message: &str) -> Error {
        let message = format!("line {}: {message}", self.number);
        Error::input(&self.path)(std::io::Error::new(ErrorKind::InvalidData, message))
    }

    fn event(&self) -> Result<Value> {
        let event: Value =
            serde_json::from_slice(&self.line).map_err(|error| self.wrong(&error.to_string()))?;
        match event["kind"].is_string() {
            true => Ok(event),
            false => Err(self.wrong("an event has a text `kind`; this line has none")),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Value>;

    /// The next event. A last line without an end is left out: its writer was killed or is at it.
    fn next(&mut self) -> Option<Result<Value>> {
        self.line.clear();
        self.number += 1;
        match self.lines.read_until(b'\n', &mut self.line) {
            Err(error) => Some(Err(Error::input(&self.path)(error))),
            Ok(_) if self.line.last() != Some(&b'\n') => None,
            Ok(_) => Some(self.event()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::{FILE, Reader, Writer};

    fn place(name: &str) -> PathBuf {
        let name = format!("juzi-events-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn steps(run: &std::path::Path) -> Vec<u64> {
        let events = Reader::open(run).unwrap().map(Result::unwrap);
        events
            .map(|event| event["step"].as_u64().unwrap())
            .collect()
    }

    fn event(step: u64) -> Value {
        json!({ "kind": "step", "step": step, "loss": 0.1f32 + step as f32, "text": "句子\n" })
    }

    #[test]
    fn lines_come_back_as_they_went() {
        let run = place("back");
        let mut writer = Writer::open(&run, None).unwrap();
        let all: Vec<Value> = (0..5).map(event).collect();
        all.iter().for_each(|event| writer.write(event).unwrap());
        writer.sync().unwrap();
        let length = std::fs::metadata(run.join(FILE)).unwrap().len();
        assert_eq!(writer.position(), length);
        let read: Vec<Value> = Reader::open(&run).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, all);
        std::fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn a_resumed_log_is_cut_back() {
        let run = place("cut");
        let mut writer = Writer::open(&run, Some(0)).unwrap();
        (0..3).for_each(|step| writer.write(&event(step)).unwrap());
        let known = writer.position();
        (3..6).for_each(|step| writer.write(&event(step)).unwrap());
        drop(writer);
        let mut writer = Writer::open(&run, Some(known)).unwrap();
        assert_eq!(writer.position(), known);
        writer.write(&event(9)).unwrap();
        assert_eq!(steps(&run), [0, 1, 2, 9]);
        for wrong in [known - 1, known + 1, 1 << 40] {
            let error = Writer::open(&run, Some(wrong)).unwrap_err().to_string();
            assert!(
                error.contains(FILE) && error.contains(&wrong.to_string()),
                "{error}"
            );
        }
        // A refusal changes nothing.
        assert_eq!(steps(&run), [0, 1, 2, 9]);
        std::fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn a_torn_last_line_is_left_out() {
        let run = place("torn");
        let whole = format!("{}\n", event(1));
        for torn in ["", "{\"kind\": \"st", &"x".repeat(200_000)] {
            std::fs::write(run.join(FILE), format!("{whole}{torn}")).unwrap();
            assert_eq!(steps(&run), [1]);
            let mut writer = Writer::open(&run, None).unwrap();
            assert_eq!(writer.position(), whole.len() as u64);
            writer.write(&event(2)).unwrap();
            assert_eq!(steps(&run), [1, 2]);
        }
        std::fs::write(run.join(FILE), "torn").unwrap();
        assert_eq!(Writer::open(&run, None).unwrap().position(), 0);
        std::fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn a_wrong_line_is_named() {
        let run = place("wrong");
        for (line, says) in [
            ("{\"kind\": ", "EOF"),
            ("[1]", "`kind`"),
            ("", "EOF"),
            ("{}", "`kind`"),
        ] {
            std::fs::write(
                run.join(FILE),
                format!("{}\n{line}\n{}\n", event(1), event(2)),
            )
            .unwrap();
            let mut reader = Reader::open(&run).unwrap();
            assert!(reader.next().unwrap().is_ok());
            let error = reader.next().unwrap().unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("events.jsonl: line 2: ") && text.contains(says),
                "{text}"
            );
            assert_eq!(error.exit_code(), 1);
        }
        assert!(Reader::open(&run.join("none")).is_err());
        std::fs::remove_dir_all(run).unwrap();
    }
}
