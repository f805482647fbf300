//! From the columns of a document to candidate records: views applied to cleaned text.

use std::borrow::Cow;

use juzi_schemas::dropped::Reason;
use juzi_schemas::record::Kind;

use crate::plan::{Pieces, Profile, ShardsOptions};
use crate::readers::Document;
use crate::text::clean::Cleaner;
use crate::text::{luse, split};
use crate::views::View;

/// A record that a view made, before filters.
pub struct Candidate<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its strings in column order.
    pub texts: &'a [&'a str],
    /// Its score.
    pub score: f32,
    /// Number within document and view.
    pub position: u32,
    /// Group that the reader gives this record.
    pub group_key: Option<&'a str>,
    /// Why it cannot be a record.
    pub problem: Option<Reason>,
}

/// Cleans and splits by the plan's profile.
pub struct Cutter {
    cleaner: Option<Cleaner>,
    passage_chars: usize,
    neighbor_chars: usize,
    neighbor_pieces: Pieces,
}

/// Memory that is reused from document to document.
#[derive(Default)]
pub struct Scratch {
    clean: String,
    joined: String,
    columns: Vec<String>,
    spans: Vec<(usize, usize)>,
}

impl Cutter {
    /// The cutter of a plan.
    ///
    /// # Errors
    /// The cleaner's conversion tables cannot be loaded.
    pub fn new(options: &ShardsOptions) -> Result<Cutter, String> {
        let cleaner = match options.profile {
            Profile::Luse => None,
            Profile::Default => Some(Cleaner::new(&options.clean)?),
        };
        Ok(Cutter {
            cleaner,
            passage_chars: options.passages.chars_max,
            neighbor_chars: options.neighbors.chars_max,
            neighbor_pieces: options.neighbors.pieces,
        })
    }

    /// Calls `emit` with each candidate of a view.
    pub fn cut(
        &self,
        view: &View,
        document: &Document<'_>,
        scratch: &mut Scratch,
        mut emit: impl FnMut(Candidate<'_>),
    ) {
        match view {
            View::Sentences(columns) => self.sentences(columns, document, scratch, emit),
            View::Passages(columns) => {
                let text = self.joined(columns, document, scratch);
                scratch.spans = pack(&text, self.passage_chars);
                for (position, &(start, end)) in scratch.spans.iter().enumerate() {
                    emit_text(text[start..end].trim(), position as u32, &mut emit);
                }
                scratch.joined = text;
            }
            View::Neighbors(columns) => {
                let text = self.joined(columns, document, scratch);
                let spans = match self.neighbor_pieces {
                    Pieces::Sentences => pack(&text, 0),
                    Pieces::Passages => pack(&text, self.neighbor_chars),
                };
                let pieces: Vec<&str> = spans
                    .iter()
                    .map(|&(start, end)| text[start..end].trim())
                    .collect();
                for (position, pair) in pieces.windows(2).enumerate() {
                    let problem = pair
                        .iter()
                        .any(|piece| piece.is_empty())
                        .then_some(Reason::Empty);
                    let position = position as u32;
                    emit(Candidate {
                        kind: Kind::Pair,
                        texts: pair,
                        score: 0.0,
                        position,
                        group_key: None,
                        problem,
                    });
                }
                drop(pieces);
                scratch.joined = text;
            }
            View::Pair(anchor, positive) => self.columns(
                Kind::Pair,
                &[*anchor, *positive],
                None,
                document,
                scratch,
                emit,
            ),
            View::Triplet(anchor, positive, negative) => {
                self.columns(
                    Kind::Triplet,
                    &[*anchor, *positive, *negative],
                    None,
                    document,
                    scratch,
                    emit,
                );
            }
            View::Scored(first, second, score) => {
                self.columns(
                    Kind::Scored,
                    &[*first, *second],
                    Some(*score),
                    document,
                    scratch,
                    emit,
                );
            }
            View::Labelled(text, label) => {
                self.columns(
                    Kind::Labelled,
                    &[*text, *label],
                    None,
                    document,
                    scratch,
                    emit,
                );
            }
            View::Records => {
                for (position, record) in document.records.iter().enumerate() {
                    let texts: Vec<&str> = record.texts.iter().map(|text| text.as_ref()).collect();
                    let group = record.group_key.as_deref();
                    self.record(
                        record.kind,
                        &texts,
                        0.0,
                        position as u32,
                        group,
                        scratch,
                        &mut emit,
                    );
                }
            }
        }
    }

    fn sentences(
        &self,
        columns: &[usize],
        document: &Document<'_>,
        scratch: &mut Scratch,
        mut emit: impl FnMut(Candidate<'_>),
    ) {
        let mut position = 0;
        for &column in columns {
            let text = document.columns[column].as_ref();
            match &self.cleaner {
                None => luse::sentences(text, &mut scratch.clean, |sentence| {
                    emit_text(sentence, position, &mut emit);
                    position += 1;
                }),
                Some(cleaner) => {
                    for span in split::spans(cleaner.clean(text, &mut scratch.clean)) {
                        let sentence = span.trim();
                        if !sentence.is_empty() {
                            emit_text(sentence, position, &mut emit);
                            position += 1;
                        }
                    }
                }
            }
        }
    }

    /// The columns joined by line breaks and cleaned; the string comes from and returns to scratch.
    fn joined(&self, columns: &[usize], document: &Document<'_>, scratch: &mut Scratch) -> String {
        let mut all = String::new();
        for &column in columns {
            all.push_str(&document.columns[column]);
            all.push('\n');
        }
        let mut text = std::mem::take(&mut scratch.joined);
        text.clear();
        text.push_str(&self.clean_lines(&all, &mut scratch.clean));
        text
    }

    /// Cleaned text in which line breaks still stand.
    fn clean_lines<'a>(&self, text: &'a str, scratch: &'a mut String) -> Cow<'a, str> {
        match &self.cleaner {
            Some(cleaner) => Cow::Borrowed(cleaner.clean(text, scratch)),
            None => {
                let lines = text
                    .lines()
                    .map(|line| line.split(is_space).collect::<String>());
                Cow::Owned(
                    lines
                        .filter(|line| !line.is_empty())
                        .collect::<Vec<_>>()
                        .join("\n"),
                )
            }
        }
    }

    fn columns(
        &self,
        kind: Kind,
        columns: &[usize],
        score: Option<usize>,
        document: &Document<'_>,
        scratch: &mut Scratch,
        mut emit: impl FnMut(Candidate<'_>),
    ) {
        let texts: Vec<&str> = columns
            .iter()
            .map(|&column| document.columns[column].as_ref())
            .collect();
        let score = match score {
            None => Some(0.0),
            Some(column) => document.columns[column]
                .trim()
                .parse::<f32>()
                .ok()
                .filter(|score| score.is_finite()),
        };
        match score {
            Some(score) => self.record(kind, &texts, score, 0, None, scratch, &mut emit),
            None => {
                let problem = Some(Reason::BadScore);
                emit(Candidate {
                    kind,
                    texts: &texts,
                    score: 0.0,
                    position: 0,
                    group_key: None,
                    problem,
                });
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // the parts of one candidate
    fn record(
        &self,
        kind: Kind,
        texts: &[&str],
        score: f32,
        position: u32,
        group_key: Option<&str>,
        scratch: &mut Scratch,
        emit: &mut impl FnMut(Candidate<'_>),
    ) {
        let mut cleaned = std::mem::take(&mut scratch.columns);
        cleaned.resize(texts.len(), String::new());
        for (out, text) in cleaned.iter_mut().zip(texts) {
            out.clear();
            // One record is one line: what stood on several lines is joined by spaces.
            for (number, line) in self
                .clean_lines(text, &mut scratch.clean)
                .trim()
                .split('\n')
                .enumerate()
            {
                if number > 0 {
                    out.push(' ');
                }
                out.push_str(line);
            }
        }
        let columns: Vec<&str> = cleaned.iter().map(String::as_str).collect();
        // An empty negative is dropped by itself; everything else must be there.
        let needed = if kind == Kind::Triplet {
            2
        } else {
            columns.len()
        };
        let problem = columns[..needed]
            .iter()
            .any(|text| text.is_empty())
            .then_some(Reason::Empty);
        emit(Candidate {
            kind,
            texts: &columns,
            score,
            position,
            group_key,
            problem,
        });
        drop(columns);
        scratch.columns = cleaned;
    }
}

/// Offers one text as a record.
fn emit_text(text: &str, position: u32, emit: &mut impl FnMut(Candidate<'_>)) {
    let problem = text.is_empty().then_some(Reason::Empty);
    emit(Candidate {
        kind: Kind::Text,
        texts: &[text],
        score: 0.0,
        position,
        group_key: None,
        problem,
    });
}

/// White space as Python's regular expressions know it: LUSE deletes it.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Ranges of whole sentences packed up to `chars_max` characters; 0 packs nothing. A sentence that
/// is longer by itself is cut there, so no character is lost.
fn pack(text: &str, chars_max: usize) -> Vec<(usize, usize)> {
    let (mut ranges, mut start, mut end, mut chars) = (Vec::new(), 0, 0, 0);
    let mut at = 0;
    for span in split::spans(text) {
        let length = span.chars().count();
        if chars > 0 && chars + length > chars_max {
            ranges.push((start, end));
            (start, chars) = (at, 0);
        }
        if chars_max > 0 && length > chars_max {
            for (number, (byte, _)) in span.char_indices().enumerate() {
                if number > 0 && number % chars_max == 0 {
                    ranges.push((start, at + byte));
                    start = at + byte;
                }
            }
            chars = span[start - at..].chars().count();
        } else {
            chars += length;
        }
        at += span.len();
        end = at;
    }
    if chars > 0 {
        ranges.push((start, end));
    }
    ranges.retain(|&(start, end)| !text[start..end].trim().is_empty());
    ranges
}
