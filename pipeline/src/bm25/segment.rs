//! A segment: inverted lists of some documents, and the search in them.
//!
//! Terms are worked off one by one, rarest first, into a table of sums. As soon as all terms that
//! are left could not lift a document that was not met yet above the hits that there are, no new
//! documents are taken (Turtle and Flood 1995, MaxScore), and the lists that are left are only asked
//! about the documents that can still win. Frequent words, whose lists are long and whose scores are
//! low, are so hardly ever walked through.

use std::ops::Range;

use super::{Query, Statistics};
use crate::neighbors::{Hit, TopK};

/// Documents in a segment: places fit into 16 bits, and the sums into a core's own cache.
const DOCUMENTS: usize = 1 << 16;

/// Terms of documents after which a segment is closed early, so that building it needs little.
const TOKENS: usize = 8 << 20;

/// Entries of a list that are walked through in the time of one look-up.
const WALK: usize = 12;

/// What rounding could add to a sum of upper bounds.
const SLACK: f32 = 1.0 + 1e-5;

/// Inverted lists of documents.
pub struct Segment {
    /// Number of the document at each place, rising.
    ids: Vec<u32>,
    /// Terms that stand in them, sorted.
    terms: Vec<u32>,
    /// Where the list of each ends.
    ends: Vec<u32>,
    /// The highest weight in each list.
    peaks: Vec<f32>,
    /// Places of the documents, list after list.
    places: Vec<u16>,
    /// Weight of the term in each.
    weights: Vec<f32>,
}

/// Collects the documents of a segment.
#[derive(Default)]
pub struct Builder {
    ids: Vec<u32>,
    lengths: Vec<u32>,
    /// Term, place and occurrences, in one number that sorts.
    postings: Vec<u64>,
    tokens: usize,
}

/// A list that a query asks for.
struct List {
    range: Range<usize>,
    factor: f32,
    brings: bool,
    /// The most that this list and all after it can add.
    rest: f32,
}

/// Memory of one thread, reused from query to query.
pub struct Scratch {
    sums: Box<[f32; DOCUMENTS]>,
    met: Vec<u16>,
    partial: Vec<f32>,
    lists: Vec<List>,
}

impl Default for Scratch {
    fn default() -> Self {
        let sums = vec![0.0; DOCUMENTS].into_boxed_slice();
        Scratch {
            sums: sums.try_into().expect("it has that length"),
            met: Vec::new(),
            partial: Vec::new(),
            lists: Vec::new(),
        }
    }
}

impl Builder {
    /// True when the segment takes no more.
    pub fn is_full(&self) -> bool {
        self.ids.len() == DOCUMENTS || self.tokens >= TOKENS
    }

    /// Appends a document, whose number is higher than those before, by its terms, which are sorted
    /// and repeat.
    pub fn push(&mut self, id: u32, sorted: &[u32]) {
        let place = self.ids.len() as u64;
        self.ids.push(id);
        self.lengths.push(sorted.len() as u32);
        self.tokens += sorted.len();
        for same in sorted.chunk_by(|a, b| a == b) {
            let occurrences = same.len().min(0xffff) as u64;
            let term = u64::from(same[0]) << 32;
            self.postings.push(term | place << 16 | occurrences);
        }
    }

    /// The segment.
    pub fn build(mut self, statistics: &Statistics) -> Segment {
        self.postings.sort_unstable();
        let mut segment = Segment {
            ids: self.ids,
            terms: Vec::new(),
            ends: Vec::new(),
            peaks: Vec::new(),
            places: Vec::with_capacity(self.postings.len()),
            weights: Vec::with_capacity(self.postings.len()),
        };
        for list in self.postings.chunk_by(|a, b| a >> 32 == b >> 32) {
            let mut peak = 0f32;
            for posting in list {
                let place = (posting >> 16) as u16;
                let occurrences = (posting & 0xffff) as u32;
                let weight = statistics.weight(occurrences, self.lengths[usize::from(place)]);
                segment.places.push(place);
                segment.weights.push(weight);
                peak = peak.max(weight);
            }
            segment.terms.push((list[0] >> 32) as u32);
            segment.ends.push(segment.places.len() as u32);
            segment.peaks.push(peak);
        }
        segment
    }
}

impl Segment {
    /// An empty segment, to be filled.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Memory of segments of so many documents and terms, at most.
    pub fn bytes(documents: u64, tokens: u64) -> u64 {
        // A place and a weight for each posting; at worst each is the only one of its list.
        documents * 4 + tokens * (6 + 12)
    }

    /// Offers a query the documents that share a term with it, as query `number` of `best`.
    /// Segments must come in the order of their documents.
    pub fn search(&self, query: &Query, number: usize, best: &mut TopK, scratch: &mut Scratch) {
        self.lists(query, &mut scratch.lists);
        let floor = best.floor(number);
        let lists = &scratch.lists;
        // Later documents lose against equal scores.
        if lists.first().is_none_or(|list| list.rest <= floor) {
            return;
        }
        let wanted = best.wanted();
        let (mut next, mut bound) = (0, floor);
        while let Some(list) = lists.get(next).filter(|list| list.brings) {
            if list.rest <= floor || list.rest < bound {
                break;
            }
            // Looking for a better bound costs as much as so long a list.
            if scratch.met.len() >= wanted && list.range.len() * 2 > scratch.met.len() {
                bound = bound.max(kth(
                    &scratch.sums,
                    &scratch.met,
                    wanted,
                    &mut scratch.partial,
                ));
                if list.rest < bound {
                    break;
                }
            }
            self.add(list, &mut scratch.sums, &mut scratch.met);
            next += 1;
        }
        self.complete(&lists[next..], bound, &mut scratch.sums, &mut scratch.met);
        for &place in &scratch.met {
            let cosine = std::mem::take(&mut scratch.sums[usize::from(place)]);
            let id = self.ids[usize::from(place)];
            best.offer(number, Hit { id, cosine });
        }
        scratch.met.clear();
    }

    fn lists(&self, query: &Query, lists: &mut Vec<List>) {
        lists.clear();
        for (at, term) in query.terms.iter().enumerate() {
            if let Ok(found) = self.terms.binary_search(&term.id) {
                let start = if found == 0 { 0 } else { self.ends[found - 1] };
                lists.push(List {
                    range: start as usize..self.ends[found] as usize,
                    factor: term.factor,
                    brings: at < query.bringing,
                    rest: term.factor * self.peaks[found],
                });
            }
        }
        let mut rest = 0.0;
        for list in lists.iter_mut().rev() {
            rest += list.rest;
            list.rest = rest * SLACK;
        }
    }

    /// Adds a list to the sums; documents that are met for the first time are noted.
    fn add(&self, list: &List, sums: &mut [f32; DOCUMENTS], met: &mut Vec<u16>) {
        let places = &self.places[list.range.clone()];
        let weights = &self.weights[list.range.clone()];
        for (&place, &weight) in places.iter().zip(weights) {
            let sum = &mut sums[usize::from(place)];
            if *sum == 0.0 {
                met.push(place);
            }
            *sum += list.factor * weight;
        }
    }

    /// Adds the lists that are left to the documents that can still reach `bound`; the others are
    /// forgotten.
    fn complete(
        &self,
        lists: &[List],
        bound: f32,
        sums: &mut [f32; DOCUMENTS],
        met: &mut Vec<u16>,
    ) {
        let mut sorted = false;
        for list in lists {
            met.retain(|&place| {
                let sum = &mut sums[usize::from(place)];
                let wins = (*sum + list.rest) * SLACK >= bound;
                if !wins {
                    *sum = 0.0;
                }
                wins
            });
            let places = &self.places[list.range.clone()];
            let weights = &self.weights[list.range.clone()];
            // Walking is cheaper than looking up so many.
            if met.len() * WALK >= places.len() {
                for (&place, &weight) in places.iter().zip(weights) {
                    let sum = &mut sums[usize::from(place)];
                    if *sum != 0.0 {
                        *sum += list.factor * weight;
                    }
                }
                continue;
            }
            if !std::mem::replace(&mut sorted, true) {
                met.sort_unstable();
            }
            let mut from = 0;
            for &place in met.iter() {
                from += ahead(&places[from..], place);
                if places.get(from) == Some(&place) {
                    sums[usize::from(place)] += list.factor * weights[from];
                }
            }
        }
    }
}

/// How many of sorted places lie below `place`: steps that double, then halves.
fn ahead(places: &[u16], place: u16) -> usize {
    let mut step = 1;
    while step < places.len() && places[step] < place {
        step *= 2;
    }
    let low = step / 2;
    let high = (step + 1).min(places.len());
    low + places[low..high].partition_point(|&other| other < place)
}

/// The `wanted`-th best of the sums so far.
fn kth(sums: &[f32; DOCUMENTS], met: &[u16], wanted: usize, partial: &mut Vec<f32>) -> f32 {
    partial.clear();
    partial.extend(met.iter().map(|&place| sums[usize::from(place)]));
    let (_, kth, _) = partial.select_nth_unstable_by(wanted - 1, |a, b| b.total_cmp(a));
    *kth
}
