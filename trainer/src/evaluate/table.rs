//! The table of a report: a row for each task and metric, a column for each model, then what is known
//! of tasks and models.

use std::fmt::Write as _;
use std::path::Path;

use super::Report;
use crate::evaluators::{Better, Evaluation, TaskScores};
use crate::leaks::Leaks;
use crate::show::columns;

/// Characters of an example that are shown.
const EXAMPLE_CHARACTERS: usize = 40;

/// How a table is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Every metric, not only the primary one of each task.
    pub all: bool,
    /// The primary metric in bold letters, for terminals.
    pub bold: bool,
}

impl Report {
    /// The table, and below it counts, warnings, leaks and what else the scores depend on.
    pub fn table(&self, style: Style) -> String {
        let mut text = self.scores(style);
        text.push('\n');
        for (name, task) in self.tasks() {
            self.tell_task(&mut text, name, task);
        }
        text.push('\n');
        for evaluation in &self.evaluations {
            let step = evaluation.step;
            let step = step.map_or(String::new(), |step| format!(" at step {step}"));
            let _ = writeln!(text, "{}{step}", evaluation.model);
            for (name, value) in &evaluation.about {
                let _ = writeln!(text, "  {}: {value}", name.replace('_', " "));
            }
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    /// Each task once, as the first model that was measured on it has it.
    fn tasks(&self) -> Vec<(&str, &TaskScores)> {
        let mut tasks: Vec<(&str, &TaskScores)> = Vec::new();
        for (name, task) in self.evaluations.iter().flat_map(|each| &each.tasks) {
            if tasks.iter().all(|(met, _)| met != name) {
                tasks.push((name, task));
            }
        }
        tasks.sort_by_key(|(name, _)| *name);
        tasks
    }

    fn scores(&self, style: Style) -> String {
        let mut rows = vec![vec!["task".to_string(), "metric".into()]];
        rows[0].extend(self.titles());
        let mut primary = vec![false];
        for (name, task) in self.tasks() {
            let metrics = task.scores.metrics.iter().enumerate();
            for (place, metric) in metrics.filter(|(place, _)| style.all || *place == 0) {
                let arrow = match metric.better {
                    Better::Higher => " ↑",
                    Better::Lower => " ↓",
                    Better::Neither => "",
                };
                let task = if place == 0 { name } else { "" };
                let mut row = vec![task.to_string(), format!("{}{arrow}", metric.name)];
                row.extend(self.evaluations.iter().map(|evaluation| {
                    let task = evaluation.tasks.get(name);
                    let found = task.and_then(|task| task.scores.get(&metric.name));
                    found.map_or("–".into(), |found| format!("{:.4}", found.value))
                }));
                rows.push(row);
                primary.push(place == 0 && style.bold);
            }
        }
        lay_out(&rows, &primary)
    }

    /// Short names of the models; whole names where short ones are alike.
    fn titles(&self) -> Vec<String> {
        let short: Vec<String> = self.evaluations.iter().map(title).collect();
        let all = self.evaluations.iter().zip(&short);
        all.map(|(evaluation, title)| {
            let alike = short.iter().filter(|other| *other == title).count();
            match alike {
                1 => title.clone(),
                _ => evaluation.model.clone(),
            }
        })
        .collect()
    }

    fn tell_task(&self, text: &mut String, name: &str, task: &TaskScores) {
        let counts = task.scores.counts.iter();
        let counts: Vec<String> = counts
            .map(|(name, count)| format!("{} {count}", name.replace('_', " ")))
            .collect();
        let _ = writeln!(
            text,
            "{name}: {}; {}; data {}",
            task.evaluator,
            counts.join(", "),
            task.fingerprint.short()
        );
        if let Some(leaks) = self.leaks.get(name) {
            tell_leaks(text, leaks);
        }
        let mut met: Vec<&str> = Vec::new();
        for evaluation in &self.evaluations {
            let warnings = evaluation.tasks.get(name);
            let warnings = warnings.into_iter().flat_map(|task| &task.scores.warnings);
            for warning in warnings {
                if !met.contains(&warning.as_str()) {
                    met.push(warning);
                    let _ = writeln!(text, "  warning: {warning}");
                }
            }
        }
    }
}

fn tell_leaks(text: &mut String, leaks: &Leaks) {
    let short = match leaks.short {
        0 => String::new(),
        short => format!("; {short} too short to be looked for"),
    };
    let _ = writeln!(
        text,
        "  leaks: of {} texts {} equal a training text, {} are held by one ({:.1} %){short}",
        leaks.texts,
        leaks.equal,
        leaks.held,
        leaks.share * 100.0
    );
    for example in &leaks.examples {
        let (one, other) = (cut(&example.text), cut(&example.training));
        let _ = writeln!(text, "    {one} in {other}");
    }
}

/// The beginning of a text on one line.
fn cut(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(EXAMPLE_CHARACTERS)
        .map(|each| if each.is_control() { ' ' } else { each })
        .collect();
    if text.chars().count() > EXAMPLE_CHARACTERS {
        shown.push('…');
    }
    format!("“{shown}”")
}

fn title(evaluation: &Evaluation) -> String {
    let name = &evaluation.model;
    if let Some((kind, _)) = name.split_once('=') {
        return kind.into();
    }
    let path = Path::new(name);
    path.file_name()
        .map_or_else(|| name.clone(), |last| last.to_string_lossy().into_owned())
}

/// Rows in columns; the first two to the left, numbers to the right.
fn lay_out(rows: &[Vec<String>], bold: &[bool]) -> String {
    let width = |column: usize| rows.iter().map(|row| columns(&row[column])).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for (row, &bold) in rows.iter().zip(bold) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - columns(cell));
            let cell = match bold && column > 0 {
                true => format!("\x1b[1m{cell}\x1b[0m"),
                false => cell.clone(),
            };
            let separator = if column == 0 { "" } else { "  " };
            match column < 2 {
                true => line.push_str(&format!("{separator}{cell}{gap}")),
                false => line.push_str(&format!("{separator}{gap}{cell}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
