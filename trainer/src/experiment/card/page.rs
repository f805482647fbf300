//! The score card as a page of Markdown, whose tables are as readable on a terminal.

use super::{Card, MetricCard, Row, Verdict};
use crate::evaluators::Better;
use crate::experiment::{BEFORE, Spread};

impl Card {
    /// The whole page.
    pub fn page(&self) -> String {
        let mut page = String::from("# Score card\n");
        for metric in &self.metrics {
            page += &format!("\n{}", self.metric(metric));
        }
        if self.metrics.is_empty() {
            page += "\nNothing was measured yet.\n";
        }
        page += &format!("\n## Arms\n\n{}", self.arms());
        page += &format!("\n## Measured on\n\n{}", self.tasks());
        page += &format!("\n{}", self.notes());
        page
    }

    fn metric(&self, metric: &MetricCard) -> String {
        let good = match metric.better {
            Better::Higher => "more is better",
            Better::Lower => "less is better",
            Better::Neither => "neither more nor less is better",
        };
        let against = match self.against == BEFORE {
            true => "against before".into(),
            false => format!("against {}", self.against),
        };
        let head = [
            "arm",
            "seeds",
            "before",
            "mean",
            "s.d.",
            "95 % interval",
            &against,
            "95 % interval",
            "",
        ];
        let rows = metric.rows.iter().map(|row| cells(row).to_vec());
        let rows: Vec<Vec<String>> = rows.collect();
        format!("## {} ({good})\n\n{}", metric.name, table(&head, &rows))
    }

    fn arms(&self) -> String {
        let head = [
            "arm",
            "after",
            "seeds",
            "steps",
            "training",
            "measuring",
            "pooler",
            "longest text",
            "layers",
            "data",
        ];
        let rows = self.arms.iter().map(|arm| {
            let about = |key: &str| arm.about.get(key).cloned().unwrap_or_default();
            let mut steps: Vec<u64> = arm.steps.values().copied().collect();
            steps.dedup();
            vec![
                arm.name.clone(),
                arm.after.clone(),
                listed(&arm.seeds),
                listed(&steps),
                format!("{:.0} s", arm.training_s),
                format!("{:.0} s", arm.measuring_s),
                about("pooling"),
                about("length_max"),
                about("layers"),
                listed(
                    &arm.datasets
                        .iter()
                        .map(|data| data.short())
                        .collect::<Vec<_>>(),
                ),
            ]
        });
        table(&head, &rows.collect::<Vec<_>>())
    }

    fn tasks(&self) -> String {
        let rows = self.tasks.iter().map(|(name, task)| {
            let counts = task.counts.iter();
            let counts = counts.map(|(what, count)| format!("{count} {what}"));
            vec![
                name.clone(),
                task.evaluator.clone(),
                counts.collect::<Vec<_>>().join(", "),
                task.fingerprint.short(),
            ]
        });
        let head = ["task", "evaluator", "counts", "fingerprint"];
        let mut text = table(&head, &rows.collect::<Vec<_>>());
        for (name, task) in &self.tasks {
            for warning in &task.warnings {
                text += &format!("\nWarning, {name}: {warning}\n");
            }
        }
        text
    }

    fn notes(&self) -> String {
        let mut text = format!(
            "Seeds {}. Standard deviations are over n - 1; intervals are Student's t of the mean; differences \
             are paired by seed. \"Better\" and \"worse\": the interval of the difference leaves 0 out. Ties: {}. \
             Prompts of the tasks: {}. Times are means over seeds.\n",
            listed(&self.seeds),
            self.ties,
            match self.prompts.as_str() {
                "{}" => "none",
                prompts => prompts,
            }
        );
        if self.arms.iter().any(|arm| arm.seeds.len() == 1) {
            text += "One seed has no interval: what it shows may be chance.\n";
        }
        let missing = self.arms.iter().filter_map(|arm| {
            let missing = self.seeds.iter().filter(|seed| !arm.seeds.contains(seed));
            let missing: Vec<_> = missing.collect();
            (!missing.is_empty()).then(|| format!("{} (seeds {})", arm.name, listed(&missing)))
        });
        let missing: Vec<String> = missing.collect();
        if !missing.is_empty() {
            text += &format!("Not measured yet: {}.\n", missing.join(", "));
        }
        text
    }
}

fn cells(row: &Row) -> [String; 9] {
    let number = |value: f64| format!("{value:.4}");
    let before = row
        .before
        .map_or(String::new(), |before| number(before.mean));
    let difference = row.difference.map_or(String::new(), |difference| {
        format!("{:+.4}", difference.spread.mean)
    });
    let sure = row.difference.map_or(String::new(), |difference| {
        interval(&difference.spread, true)
    });
    let verdict = row
        .difference
        .map_or("", |difference| match difference.verdict {
            Verdict::OneSeed => "one seed",
            Verdict::WithinSpread => "within the spread",
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Other => "other",
        });
    [
        row.name.clone(),
        row.spread.n.to_string(),
        before,
        number(row.spread.mean),
        row.spread.deviation.map_or(String::new(), number),
        interval(&row.spread, false),
        difference,
        sure,
        verdict.into(),
    ]
}

fn interval(spread: &Spread, signed: bool) -> String {
    spread.margin.map_or(String::new(), |margin| {
        let (low, high) = (spread.mean - margin, spread.mean + margin);
        match signed {
            true => format!("{low:+.4} to {high:+.4}"),
            false => format!("{low:.4} to {high:.4}"),
        }
    })
}

fn listed<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    values.join(", ")
}

/// A table of Markdown with columns filled up; a sign of Chinese takes two places.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| -> usize {
        let letters = text.chars();
        letters
            .map(|letter| 1 + usize::from(letter >= '\u{2e80}'))
            .sum()
    };
    let safe = |cell: &str| cell.replace('|', "\\|").replace('\n', " ");
    let mut cells: Vec<Vec<String>> = vec![head.iter().map(|cell| safe(cell)).collect()];
    cells.extend(
        rows.iter()
            .map(|row| row.iter().map(|cell| safe(cell)).collect()),
    );
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            cells
                .iter()
                .map(|row| width(&row[column]))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (number, row) in cells.iter().enumerate() {
        let filled = row.iter().zip(&widths).map(|(cell, &wide)| {
            let space = " ".repeat(wide - width(cell));
            format!(" {cell}{space} |")
        });
        text += &format!("|{}\n", filled.collect::<String>());
        if number == 0 {
            let rules = widths
                .iter()
                .map(|&wide| format!("{}|", "-".repeat(wide + 2)));
            text += &format!("|{}\n", rules.collect::<String>());
        }
    }
    text
}
