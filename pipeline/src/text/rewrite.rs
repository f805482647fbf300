//! Writing a changed copy of a text, of which nothing is copied before the first change.

use crate::text::{characters::is_cjk, html::Trace};

/// Text that vanishes, or at most leaves one space or end of line: spaces, tags, control characters.
#[derive(Clone, Copy)]
struct Gap {
    start: usize,
    end: usize,
    trace: Trace,
}

/// A text being rewritten: `out`, then the text from `copied` on.
pub(crate) struct Rewrite<'a> {
    pub(crate) text: &'a str,
    out: &'a mut String,
    copied: usize,
    changed: bool,
    /// The last gap. It waits for the character after it, which decides whether a space is left.
    gap: Option<Gap>,
}

impl<'a> Rewrite<'a> {
    /// `out` is empty, and stays so as long as nothing changes.
    pub(crate) fn new(text: &'a str, out: &'a mut String) -> Self {
        Self {
            text,
            out,
            copied: 0,
            changed: false,
            gap: None,
        }
    }

    /// True for a space or end of line at `at` that is certain to stay: it stands between two characters
    /// that are no candidates, and a space between two of ASCII.
    #[inline(always)]
    pub(crate) fn is_usual(&self, at: usize) -> bool {
        let bytes = self.text.as_bytes();
        if at <= self.copied || self.gap.is_some_and(|gap| gap.end == at) {
            return false;
        }
        let Some(&next) = bytes.get(at + 1) else {
            return false;
        };
        let plain = next.is_ascii_graphic() & (next != b'<') & (next != b'&') & (next != b'\\');
        match bytes[at] {
            b' ' => plain & bytes[at - 1].is_ascii(),
            _ => plain | matches!(next, 0xE4..=0xE9),
        }
    }

    /// Adds `length` bytes at `at` to the gap that ends there, or begins a gap.
    pub(crate) fn widen_gap(&mut self, trace: Trace, at: usize, length: usize) {
        match &mut self.gap {
            Some(gap) if gap.end == at => {
                gap.end += length;
                gap.trace = match (gap.trace, trace) {
                    (Trace::Newline, _) | (_, Trace::Newline) => Trace::Newline,
                    (Trace::Space, _) | (_, Trace::Space) => Trace::Space,
                    _ => Trace::Nothing,
                };
            }
            _ => {
                self.close_gap(None);
                self.gap = Some(Gap {
                    start: at,
                    end: at + length,
                    trace,
                });
            }
        }
    }

    /// Puts `c` in the place of the `length` bytes at `at`.
    pub(crate) fn put(&mut self, c: char, at: usize, length: usize) {
        self.close_gap(Some((c, at)));
        self.replace(c.encode_utf8(&mut [0; 4]), at, length);
    }

    /// Puts `with`, whatever stands around it, in the place of the `length` bytes at `at`.
    pub(crate) fn replace(&mut self, with: &str, at: usize, length: usize) {
        self.out.push_str(&self.text[self.copied..at]);
        self.out.push_str(with);
        self.copied = at + length;
        self.changed = true;
    }

    /// Decides what is left of the last gap, now that the character after it is known: it is that of
    /// `put` when it is put directly behind the gap, otherwise that of the text.
    fn close_gap(&mut self, put: Option<(char, usize)>) {
        let Some(Gap { start, end, trace }) = self.gap.take() else {
            return;
        };
        let before = self.text[self.copied..start]
            .chars()
            .next_back()
            .or_else(|| self.out.chars().next_back());
        let after = match put {
            Some((c, at)) if at == end => Some(c),
            _ => self.text[end..].chars().next(),
        };
        let left = match (trace, before, after) {
            (Trace::Nothing, ..) | (_, None, _) | (_, _, None) => "",
            (Trace::Newline, ..) => "\n",
            (Trace::Space, Some(before), Some(after)) if is_cjk(before) || is_cjk(after) => "",
            (Trace::Space, ..) => " ",
        };
        if self.text[start..end] != *left {
            self.replace(left, start, end - start);
        }
    }

    /// Ends the text; false when nothing had to change.
    pub(crate) fn finish(mut self) -> bool {
        self.close_gap(None);
        if self.changed {
            self.out.push_str(&self.text[self.copied..]);
        }
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::{Rewrite, Trace};

    #[test]
    fn gaps_are_closed_by_their_neighbours() {
        let text = "a  b 一";
        let mut out = String::new();
        let mut rewrite = Rewrite::new(text, &mut out);
        assert!(!rewrite.is_usual(1) && !rewrite.is_usual(4));
        rewrite.widen_gap(Trace::Space, 1, 1);
        rewrite.widen_gap(Trace::Nothing, 2, 1);
        rewrite.widen_gap(Trace::Space, 4, 1);
        assert!(rewrite.finish());
        assert_eq!(out, "a b一");
    }

    #[test]
    fn a_gap_that_stays_as_it_is_changes_nothing() {
        let mut out = String::new();
        let mut rewrite = Rewrite::new("a b", &mut out);
        rewrite.widen_gap(Trace::Space, 1, 1);
        assert!(!rewrite.finish());
        assert!(out.is_empty());
    }
}
