//! What operators did, told word by word, for people who look at views.

use serde::Serialize;

use super::operators::Name;

/// One thing that an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The operator.
    pub operator: Name,
    /// What was there, empty for an insertion.
    pub from: String,
    /// What came in its place, empty for a deletion.
    pub to: String,
}

/// The steps of the view that is being made; silent unless it was asked for.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Whether steps are kept.
    pub on: bool,
    /// The steps so far.
    pub steps: Vec<Step>,
}

impl Trace {
    /// Notes a step.
    #[inline]
    pub fn note(&mut self, operator: Name, from: &str, to: &str) {
        if self.on {
            self.steps.push(Step {
                operator,
                from: from.into(),
                to: to.into(),
            });
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (short, from, to) = (self.operator.short(), &self.from, &self.to);
        match (self.operator, from.is_empty(), to.is_empty()) {
            (Name::RandomSwap, ..) => write!(formatter, "{short} {from}↔{to}"),
            (Name::WordRepetition, ..) => write!(formatter, "{short} {from}×2"),
            (_, true, _) => write!(formatter, "{short} +{to}"),
            (_, _, true) => write!(formatter, "{short} -{from}"),
            _ => write!(formatter, "{short} {from}→{to}"),
        }
    }
}
