//! The views that were made: one text buffer, and what is known of each view.

use super::operators::Name;
use super::trace::Step;

/// A set of operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operators(u8);

impl Operators {
    /// The set with one more.
    pub fn with(self, name: Name) -> Operators {
        Operators(self.0 | 1 << name as u8)
    }

    /// Whether an operator is in it.
    pub fn contains(self, name: Name) -> bool {
        self.0 & 1 << name as u8 != 0
    }

    /// Whether it is empty: the view is the original itself.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its operators.
    pub fn iter(self) -> impl Iterator<Item = Name> {
        Name::ALL
            .into_iter()
            .filter(move |&name| self.contains(name))
    }
}

/// One view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// Its text.
    pub text: &'a str,
    /// The operators that made it; none where it is the original on purpose.
    pub operators: Operators,
    /// Whether it differs from the original.
    pub changed: bool,
    /// How often it was made again because it did not differ.
    pub redraws: u8,
    /// What the operators did, if that was asked for.
    pub steps: &'a [Step],
}

/// Views one after another; the memory is used again after [`Views::clear`].
#[derive(Clone, Debug, Default)]
pub struct Views {
    pub(super) text: String,
    pub(super) entries: Vec<Entry>,
    pub(super) steps: Vec<Step>,
    pub(super) trace: bool,
}

/// Where a view ends, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub end: usize,
    pub steps_end: usize,
    pub operators: Operators,
    pub changed: bool,
    pub redraws: u8,
}

impl Views {
    /// No views yet; `trace` asks for what operators do, which costs time.
    pub fn new(trace: bool) -> Views {
        Views {
            trace,
            ..Views::default()
        }
    }

    /// Forgets all views.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.steps.clear();
    }

    /// Number of views.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all views.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The views in order.
    pub fn iter(&self) -> impl Iterator<Item = View<'_>> {
        let (mut start, mut steps) = (0, 0);
        self.entries.iter().map(move |entry| {
            let view = View {
                text: &self.text[start..entry.end],
                operators: entry.operators,
                changed: entry.changed,
                redraws: entry.redraws,
                steps: &self.steps[steps..entry.steps_end],
            };
            (start, steps) = (entry.end, entry.steps_end);
            view
        })
    }
}
