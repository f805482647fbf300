//! The sampler `topic`: one topic a batch, from several corpora.

use std::collections::BTreeMap;

use juzi_schemas::dropped::Reason;
use juzi_schemas::random::Draws;
use serde::{Deserialize, Serialize};

use super::{Batch, BatchSampler, Composed, Memory, Queue, Window};

/// Neighbouring topics that are asked before any other topic is.
const NEIGHBOURS: usize = 8;

/// Queues that are asked for a row of a missing corpus.
const ASKED_MAX: usize = 256;

/// Draws for a row of any other topic.
const DRAWS: usize = 16;

/// Tail batches that may fail before the rest of a window is given up.
const FAILURES_MAX: usize = 64;

/// Fills every batch from one topic and at least `corpora_min` corpora, which are interleaved in
/// proportion to what they have of the topic.
///
/// **Why**: negatives of the same topic are the hard ones, and where several corpora share a topic
/// the model cannot tell texts apart by their style. **Source**: topic-aware batches of TAS-B and
/// the packed clusters of CDE, with the mix of sources of all-MiniLM. **How**: topics come in the
/// order of the tour, neighbours after each other. A topic whose rows are of too few corpora gets
/// the missing rows, no more than needed, from its neighbours in the tour, else from any topic.
/// What is left of a topic, less than a batch, is filled up from the next ones, so that the worst
/// batch holds parts of neighbours. Records without a topic form one topic of their own.
/// **Bounds**: each row is taken once; for each batch a bounded number of queues is asked, and 64
/// failures end the window. What then has no row of another corpus to share a batch with is
/// `no_second_corpus`. At most a batch of rows, and what conflicts, waits for the next window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topic {
    /// Least number of corpora in a batch.
    pub corpora_min: usize,
    /// Share of a batch that is drawn from other topics: 0 for pure batches, 1 for random ones.
    pub elsewhere: f64,
}

impl Default for Topic {
    fn default() -> Self {
        Topic {
            corpora_min: 2,
            elsewhere: 0.0,
        }
    }
}

impl BatchSampler for Topic {
    fn compose(&self, window: &mut Window<'_>, memory: &mut Memory) -> Composed {
        let mut field = Field::new(window, self.corpora_min);
        let (mut batch, mut composed) = (window.batch(), Composed::default());
        let mut owed = memory.owed;
        for topic in 0..field.topics.len() {
            while field.topics[topic].left >= window.size {
                owed += self.elsewhere * window.size as f64;
                if !field.fill(topic, topic + 1, owed as usize, window, &mut batch) {
                    field.put_back(&mut batch);
                    break;
                }
                owed = owed.fract();
                composed.push(batch.entries());
                field.start(&mut batch);
            }
        }
        memory.owed = owed.fract();
        field.tails(window, &mut batch, &mut composed);
        field.close(window, &mut batch, &mut composed);
        composed
    }

    fn problem(&self, size: usize) -> Option<String> {
        if !(1..=size).contains(&self.corpora_min) {
            return Some(format!(
                "corpora_min = {}: from 1 to size = {size}",
                self.corpora_min
            ));
        }
        let share = (0.0..=1.0).contains(&self.elsewhere);
        (!share).then(|| format!("elsewhere = {}: from 0 to 1", self.elsewhere))
    }

    fn needs_topics(&self) -> bool {
        true
    }
}

/// Rows of one topic and corpus.
struct Source {
    topic: usize,
    corpus: usize,
    /// Rows at the start, and how many were taken since.
    all: u64,
    taken: u64,
    /// Whether it stands in the list of its corpus.
    listed: bool,
    queue: Queue,
}

/// A topic, in the order of the tour.
struct Place {
    sources: std::ops::Range<usize>,
    left: usize,
}

/// All topics of a window, and the batch that is being filled from them.
struct Field {
    topics: Vec<Place>,
    sources: Vec<Source>,
    /// Sources of each corpus, in the order of the tour; those that ran dry are taken out.
    by_corpus: Vec<Vec<usize>>,
    /// Source of each entry.
    source_of: Vec<u32>,
    /// Source of each entry of the batch.
    origins: Vec<usize>,
    /// Rows of each corpus in the batch.
    present: Vec<u32>,
    distinct: usize,
    corpora_min: usize,
    draws: Draws,
}

impl Field {
    fn new(window: &Window<'_>, corpora_min: usize) -> Field {
        let place = |topic: u32| {
            let rank = window.tour.get(topic as usize).copied();
            (rank.unwrap_or(topic), topic)
        };
        let mut lists: BTreeMap<((u32, u32), usize), Vec<u32>> = BTreeMap::new();
        for entry in 0..window.entries.len() as u32 {
            let key = (place(window.topic(entry)), window.corpus(entry));
            lists.entry(key).or_default().push(entry);
        }
        let mut field = Field {
            topics: Vec::new(),
            sources: Vec::new(),
            by_corpus: vec![Vec::new(); window.shares.len()],
            source_of: vec![0; window.entries.len()],
            origins: Vec::with_capacity(window.size),
            present: vec![0; window.shares.len()],
            distinct: 0,
            corpora_min,
            draws: window.draws.clone(),
        };
        let mut last = None;
        for ((topic, corpus), entries) in lists {
            let at = field.sources.len();
            if last.replace(topic) != Some(topic) {
                field.topics.push(Place {
                    sources: at..at,
                    left: 0,
                });
            }
            let topic = field.topics.len() - 1;
            let place = &mut field.topics[topic];
            place.sources.end = at + 1;
            place.left += entries.len();
            entries
                .iter()
                .for_each(|&entry| field.source_of[entry as usize] = at as u32);
            field.by_corpus[corpus].push(at);
            field.sources.push(Source {
                topic,
                corpus,
                all: entries.len() as u64,
                taken: 0,
                listed: true,
                queue: Queue::new(entries),
            });
        }
        field
    }

    /// Fills a batch from the topics from `topic` on, up to `end`, with `elsewhere` rows of others.
    fn fill(
        &mut self,
        topic: usize,
        end: usize,
        elsewhere: usize,
        window: &Window<'_>,
        batch: &mut Batch<'_>,
    ) -> bool {
        let own = window.size.saturating_sub(elsewhere);
        for place in topic..end.min(self.topics.len()) {
            while batch.len() < own && self.take_own(place, window.size, batch) {}
            if batch.len() >= own {
                break;
            }
        }
        while batch.len() < window.size {
            let missing = self.distinct < self.corpora_min;
            let full = batch.len() >= own;
            let found = match (missing, full) {
                (true, _) => self.take_missing(topic, batch),
                (false, true) => {
                    self.take_any(topic, batch) || self.take_own(topic, window.size, batch)
                }
                (false, false) => self.take_own(topic, window.size, batch),
            };
            if !found {
                return false;
            }
        }
        self.distinct >= self.corpora_min
    }

    /// Takes the next row of a topic: of the corpus that is furthest behind its share, or of one
    /// that the batch does not have yet where the last places are kept for these.
    fn take_own(&mut self, topic: usize, size: usize, batch: &mut Batch<'_>) -> bool {
        let missing = self.corpora_min.saturating_sub(self.distinct);
        let kept = size - batch.len() <= missing;
        let range = self.topics[topic].sources.clone();
        let mut passed: Vec<usize> = Vec::new();
        loop {
            let behind = |&at: &usize| {
                let source = &self.sources[at];
                let fresh = !kept || self.present[source.corpus] == 0;
                fresh && !source.queue.is_empty() && !passed.contains(&at)
            };
            let order = |&a: &usize, &b: &usize| {
                let (a, b) = (&self.sources[a], &self.sources[b]);
                // (taken + 1/2) / all, without division.
                ((2 * a.taken + 1) * b.all).cmp(&((2 * b.taken + 1) * a.all))
            };
            let Some(at) = range.clone().filter(behind).min_by(order) else {
                return false;
            };
            if self.take(at, batch) {
                return true;
            }
            passed.push(at);
        }
    }

    /// Takes a row of a corpus that the batch does not have: from neighbours of the topic, else
    /// from any topic, the corpus with the most rows left first.
    fn take_missing(&mut self, topic: usize, batch: &mut Batch<'_>) -> bool {
        let last = self.topics.len() - 1;
        for step in 0..=NEIGHBOURS {
            for place in [topic.checked_add(step), topic.checked_sub(step)] {
                let Some(place) = place.filter(|&place| place <= last) else {
                    continue;
                };
                for at in self.topics[place].sources.clone() {
                    let source = &self.sources[at];
                    let wanted = self.present[source.corpus] == 0 && !source.queue.is_empty();
                    if wanted && self.take(at, batch) {
                        return true;
                    }
                }
            }
        }
        let mut asked = 0;
        for corpus in 0..self.by_corpus.len() {
            if self.present[corpus] > 0 {
                continue;
            }
            let mut number = self.by_corpus[corpus].len();
            while number > 0 && asked < ASKED_MAX {
                number -= 1;
                let at = self.by_corpus[corpus][number];
                if self.sources[at].queue.is_empty() {
                    self.by_corpus[corpus].remove(number);
                    self.sources[at].listed = false;
                    continue;
                }
                asked += 1;
                if self.take(at, batch) {
                    return true;
                }
            }
        }
        false
    }

    /// Takes a row of a topic that is drawn in proportion to its rows.
    fn take_any(&mut self, topic: usize, batch: &mut Batch<'_>) -> bool {
        for _ in 0..DRAWS {
            let entry = self.draws.below(self.source_of.len());
            let at = self.source_of[entry] as usize;
            let source = &self.sources[at];
            if source.topic != topic && !source.queue.is_empty() && self.take(at, batch) {
                return true;
            }
        }
        false
    }

    fn take(&mut self, at: usize, batch: &mut Batch<'_>) -> bool {
        let source = &mut self.sources[at];
        if source.queue.take(batch).is_none() {
            return false;
        }
        source.taken += 1;
        self.topics[source.topic].left -= 1;
        self.distinct += usize::from(self.present[source.corpus] == 0);
        self.present[source.corpus] += 1;
        self.origins.push(at);
        true
    }

    /// Starts the next batch.
    fn start(&mut self, batch: &mut Batch<'_>) {
        batch.clear();
        self.origins.clear();
        self.present.fill(0);
        self.distinct = 0;
    }

    /// Gives the rows of a batch that does not fill back to their sources.
    fn put_back(&mut self, batch: &mut Batch<'_>) {
        for (&entry, &at) in batch.entries().iter().zip(&self.origins).rev() {
            let source = &mut self.sources[at];
            source.queue.put_back(entry);
            source.taken -= 1;
            self.topics[source.topic].left += 1;
            if !std::mem::replace(&mut source.listed, true) {
                self.by_corpus[source.corpus].push(at);
            }
        }
        self.start(batch);
    }

    /// Fills batches from what topics have left, neighbours together.
    fn tails(&mut self, window: &Window<'_>, batch: &mut Batch<'_>, composed: &mut Composed) {
        let (mut topic, mut failures) = (0, 0);
        while topic < self.topics.len() && failures < FAILURES_MAX {
            if self.topics[topic].left == 0 {
                topic += 1;
                continue;
            }
            let end = topic + window.size + FAILURES_MAX;
            if self.fill(topic, end, 0, window, batch) {
                composed.push(batch.entries());
                self.start(batch);
            } else {
                self.put_back(batch);
                failures += 1;
                topic += 1;
            }
        }
    }

    /// Gives up what is left, or writes it as a last batch.
    fn close(mut self, window: &Window<'_>, batch: &mut Batch<'_>, composed: &mut Composed) {
        let mut corpora: Vec<usize> = Vec::new();
        for source in &self.sources {
            if !source.queue.is_empty() && !corpora.contains(&source.corpus) {
                corpora.push(source.corpus);
            }
        }
        let few = corpora.len() < self.corpora_min;
        let reason = match few {
            true => Reason::NoSecondCorpus,
            false => Reason::IncompleteBatch,
        };
        if window.incomplete && window.last && !few {
            for topic in 0..self.topics.len() {
                while batch.len() < window.size && self.take_own(topic, window.size, batch) {}
            }
            if self.distinct >= self.corpora_min {
                composed.push(batch.entries());
                self.start(batch);
            } else {
                self.put_back(batch);
            }
        }
        for source in &mut self.sources {
            source.queue.drain(reason, &mut composed.left);
        }
    }
}
