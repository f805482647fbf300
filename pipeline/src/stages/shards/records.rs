//! Candidates become records or ledger rows.

use juzi_schemas::dropped::Reason;
use juzi_schemas::record::Kind;

use super::pieces::Candidate;
use super::sorter::Sorter;
use super::spill::{Counts, SpillDrop, SpillRow};
use super::unit::Tools;
use crate::text::leaks::{Kind as LeakKind, LeakScratch};

/// Longest detail in the ledger, in characters.
const DETAIL_CHARS: usize = 200;

/// The part of a worker that takes candidates.
#[derive(Default)]
pub(super) struct Records {
    leak: LeakScratch,
    pub(super) counts: Counts,
}

/// Where a document stands in its block.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) hash: u64,
    pub(super) offset: u64,
    pub(super) line: u64,
}

impl Records {
    /// Keeps a candidate or writes it to the ledger.
    pub(super) fn take(
        &mut self,
        tools: &Tools<'_>,
        sorter: &mut Sorter,
        candidate: &Candidate<'_>,
        origin: Origin,
        topic: Option<&str>,
        group: Option<&str>,
    ) {
        self.counts.records += 1;
        let kind = candidate.kind;
        // A negative that is not wanted must not take its record with it.
        let together = match kind {
            Kind::Triplet => 2,
            _ => kind.language_columns(candidate.texts.len()),
        };
        let (language, negatives) = candidate.texts.split_at(together);
        let reason = candidate.problem.or_else(|| self.reason(tools, language));
        if let Some(reason) = reason {
            // The text that was found wanting by itself, if there is one, says most.
            let culprit = language
                .iter()
                .find(|text| self.reason(tools, &[text]) == Some(reason));
            let detail = culprit.or(language.first()).copied();
            self.drop(sorter, reason, detail, origin, candidate.position);
            return;
        }
        let mut kept;
        let texts = if kind == Kind::Triplet {
            kept = language.to_vec();
            for negative in negatives {
                let empty = negative.is_empty().then_some(Reason::Empty);
                match empty.or_else(|| self.reason(tools, &[language[0], negative])) {
                    None => kept.push(negative),
                    Some(reason) => {
                        self.counts.records += 1;
                        self.drop(sorter, reason, Some(negative), origin, candidate.position);
                    }
                }
            }
            kept.as_slice()
        } else {
            candidate.texts
        };
        let kind = if kind == Kind::Triplet && texts.len() == 2 {
            Kind::Pair
        } else {
            kind
        };
        let row = SpillRow {
            document: origin.hash,
            offset: origin.offset,
            line: origin.line,
            position: candidate.position,
            score: candidate.score,
            texts: Vec::new(),
            topic_key: topic,
            group_key: candidate.group_key.or(group),
        };
        sorter.push(&row, texts, kind);
    }

    /// Why texts that belong together are not kept.
    fn reason(&mut self, tools: &Tools<'_>, texts: &[&str]) -> Option<Reason> {
        self.leak(tools, texts)
            .or_else(|| tools.filters.reject(texts))
    }

    fn drop(
        &mut self,
        sorter: &mut Sorter,
        reason: Reason,
        detail: Option<&str>,
        origin: Origin,
        position: u32,
    ) {
        self.counts.drop(reason);
        let drop = SpillDrop {
            reason,
            offset: origin.offset,
            line: Some(origin.line),
            keeper: None,
            detail: detail.map(shortened),
        };
        sorter.push_drop(&drop, origin.hash, position);
    }

    fn leak(&mut self, tools: &Tools<'_>, texts: &[&str]) -> Option<Reason> {
        let gate = tools.gate.as_ref()?;
        let kinds = texts
            .iter()
            .filter_map(|text| gate.check(text, &mut self.leak))
            .map(|leak| leak.kind);
        kinds
            .map(|kind| {
                if kind == LeakKind::Exact {
                    Reason::Leak
                } else {
                    Reason::NearLeak
                }
            })
            .min()
    }
}

/// The start of a text, of a length that a ledger can show.
pub(super) fn shortened(text: &str) -> &str {
    text.char_indices()
        .nth(DETAIL_CHARS)
        .map_or(text, |(end, _)| &text[..end])
}
