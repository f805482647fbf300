//! The threads of an embedding and the bounded channels between them.
//!
//! ```text
//! embed-read ─▶ embed-tokens-k, in turn ─▶ the caller's thread: encode ─▶ embed-write
//! ```
//! Whoever fails lets go of its channels; the others then find them closed and end, and the failure
//! that came first on the way of a text is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Sizes;
use super::encode::{Vectors, encode};
use super::input::Source;
use super::output::{Note, Parts};
use super::progress::Progress;
use super::tokens::{Tokens, tokenize};
use super::windows::{Cutter, Totals, Window};
use crate::model::Model;
use crate::tokenizer::Scratch;
use crate::{Error, Result};

/// All that the threads share.
pub struct Job<'j> {
    pub model: &'j Model,
    pub sources: &'j [Source],
    pub prompt: &'j str,
    pub sizes: Sizes,
    pub parts: &'j Parts,
    pub progress: &'j Progress,
    pub stop: &'j (dyn Fn(usize) -> bool + Sync),
}

/// A window with its vectors.
struct Embedded {
    tokens: Tokens,
    vectors: Vectors,
}

impl Job<'_> {
    /// Embeds all windows that have no part yet.
    ///
    /// # Errors
    /// The first failure of a thread; an interruption.
    pub fn run(&self, tell: &dyn Fn(&str)) -> Result<Totals> {
        let threads = self.sizes.tokenizers.max(1);
        std::thread::scope(|scope| {
            let (mut windows, mut tokens, mut workers) = (vec![], vec![], vec![]);
            for number in 0..threads {
                let (to_worker, from_reader) = bounded(1);
                let (to_encoder, from_worker) = bounded(1);
                windows.push(to_worker);
                tokens.push(from_worker);
                let name = format!("embed-tokens-{number}");
                let work = move || self.tokenize(&from_reader, &to_encoder);
                workers.push(spawn(scope, name, work)?);
            }
            let reader = spawn(scope, "embed-read".into(), move || self.read(&windows))?;
            let (to_writer, from_encoder) = bounded(1);
            let write = move || self.write(&from_encoder);
            let writer = spawn(scope, "embed-write".into(), write)?;
            let encoded = self.encode(tokens, to_writer, tell);
            let read = join(reader);
            let workers: Vec<Result<()>> = workers.into_iter().map(join).collect();
            let written = join(writer);
            workers.into_iter().collect::<Result<()>>()?;
            let (totals, sent) = read?;
            let windows = encoded?;
            written?;
            match windows == sent {
                true => Ok(totals),
                false => Err(Error::Defect(format!(
                    "{sent} windows were read and {windows} embedded"
                ))),
            }
        })
    }

    /// Cuts the inputs into windows and deals them out; gives the counts, and how many were dealt.
    fn read(&self, workers: &[Sender<Window>]) -> Result<(Totals, usize)> {
        let mut cutter = Cutter::new(self.sizes, self.parts.once());
        let (read, mut sent, mut before) = (AtomicU64::new(0), 0, 0);
        let mut deal = |mut window: Window, read: u64| -> Result<bool> {
            window.read = (before, read);
            before = read;
            if self.parts.has(window.number) {
                return match (self.stop)(0) {
                    false => Ok(true),
                    true => Err(interrupted()),
                };
            }
            sent += 1;
            Ok(workers[(sent - 1) % workers.len()].send(window).is_ok())
        };
        let mut base = 0;
        for source in self.sources {
            read.store(0, Ordering::Relaxed);
            let size = source.size();
            let wanted = source.each(&read, &mut |text| {
                let now = || base + read.load(Ordering::Relaxed).min(size);
                let window = cutter.push(text);
                window.map_or(Ok(true), |window| deal(window, now()))
            })?;
            if !wanted {
                return Ok((Totals::default(), sent));
            }
            base += size;
        }
        let (last, totals) = cutter.finish();
        if let Some(window) = last {
            deal(window, base)?;
        }
        Ok((totals, sent))
    }

    fn tokenize(&self, windows: &Receiver<Window>, encoder: &Sender<Tokens>) -> Result<()> {
        let mut scratch = Scratch::default();
        for window in windows {
            let tokens = tokenize(self.model, self.prompt, window, &mut scratch)?;
            if encoder.send(tokens).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Takes the windows in turn; gives their number.
    fn encode(
        &self,
        workers: Vec<Receiver<Tokens>>,
        writer: Sender<Embedded>,
        tell: &dyn Fn(&str),
    ) -> Result<usize> {
        for number in 0.. {
            let Ok(tokens) = workers[number % workers.len()].recv() else {
                return Ok(number);
            };
            let stop = || {
                self.progress.line().inspect(|line| tell(line));
                (self.stop)(number)
            };
            let budget = self.sizes.batch_tokens;
            let Some(vectors) = encode(self.model, &tokens, budget, self.progress, &stop)? else {
                return Err(interrupted());
            };
            if writer.send(Embedded { tokens, vectors }).is_err() {
                return Ok(number);
            }
        }
        unreachable!("windows end before numbers do")
    }

    fn write(&self, windows: &Receiver<Embedded>) -> Result<()> {
        for Embedded { tokens, vectors } in windows {
            let note = Note {
                rows: tokens.window.places.len() as u64,
                different: tokens.window.different() as u64,
                tokens: tokens.tokens() as u64,
                cut: tokens.cut,
                dimension: vectors.dimension,
            };
            self.parts.write(&tokens.window, &vectors, &note)?;
        }
        Ok(())
    }
}

/// How to go on is for the caller to say.
fn interrupted() -> Error {
    let resume = String::new();
    Error::Interrupted { resume }
}

fn spawn<'s, 'e, T: Send + 's>(
    scope: &'s Scope<'s, 'e>,
    name: String,
    work: impl FnOnce() -> Result<T> + Send + 's,
) -> Result<ScopedJoinHandle<'s, Result<T>>> {
    let spawned = Builder::new().name(name.clone()).spawn_scoped(scope, work);
    spawned.map_err(|source| Error::Usage(format!("the thread {name} cannot start: {source}")))
}

fn join<T>(handle: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    let name = handle.thread().name().unwrap_or("embed").to_owned();
    let died = |_| Err(Error::Defect(format!("the thread {name} died")));
    handle.join().unwrap_or_else(died)
}
