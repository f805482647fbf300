//! Windows: the input cut into pieces of texts, each different text of a piece once.

use std::collections::{HashMap, HashSet};

use juzi_schemas::embedding::text_id;

use super::Sizes;

/// Some texts of the input, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Its number, from 0.
    pub number: usize,
    /// Bytes of the input that were read before it and at its end, about.
    pub read: (u64, u64),
    /// Ids of the different texts, in the order of their first place.
    pub ids: Vec<u128>,
    /// For each text of the input, which of the different texts it is.
    pub places: Vec<u32>,
    texts: String,
    ends: Vec<usize>,
}

/// Counts over the whole input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Texts.
    pub texts: u64,
    /// Texts of white space alone.
    pub empty: u64,
    /// Windows.
    pub windows: usize,
}

/// Cuts texts into windows.
#[derive(Debug)]
pub struct Cutter {
    sizes: Sizes,
    window: Window,
    /// The texts of the window.
    here: HashMap<u128, u32>,
    /// Those of all windows, where no text may come twice.
    seen: Option<HashSet<u128>>,
    totals: Totals,
}

impl Window {
    /// Number of different texts.
    pub fn different(&self) -> usize {
        self.ends.len()
    }

    /// One of the different texts.
    pub fn text(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start..self.ends[number]]
    }
}

impl Cutter {
    /// Starts; with `once`, a text that was in any window before is left out.
    pub fn new(sizes: Sizes, once: bool) -> Cutter {
        Cutter {
            sizes,
            window: Window::default(),
            here: HashMap::new(),
            seen: once.then(HashSet::new),
            totals: Totals::default(),
        }
    }

    /// Takes a text; gives a window that it filled.
    pub fn push(&mut self, text: &str) -> Option<Window> {
        self.totals.texts += 1;
        self.totals.empty += u64::from(text.trim().is_empty());
        let id = text_id(text);
        if self.seen.as_mut().is_some_and(|seen| !seen.insert(id)) {
            return None;
        }
        let next = self.window.ends.len() as u32;
        let place = *self.here.entry(id).or_insert(next);
        self.window.places.push(place);
        if place == next {
            self.window.ids.push(id);
            self.window.texts.push_str(text);
            self.window.ends.push(self.window.texts.len());
        }
        let full = self.window.places.len() >= self.sizes.window_texts
            || self.window.texts.len() >= self.sizes.window_bytes;
        full.then(|| self.close())
    }

    /// The last window, if it holds anything, and the counts.
    pub fn finish(mut self) -> (Option<Window>, Totals) {
        let last = (!self.window.places.is_empty()).then(|| self.close());
        (last, self.totals)
    }

    fn close(&mut self) -> Window {
        self.here.clear();
        let number = self.totals.windows;
        self.totals.windows += 1;
        let window = std::mem::take(&mut self.window);
        Window { number, ..window }
    }
}
