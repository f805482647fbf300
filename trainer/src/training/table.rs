//! Scores as text: a line while a training goes on, a table at its end.

use std::fmt::Write;

use crate::evaluators::{Better, Evaluation, Metric};

/// The primary metric of each task, in a line.
pub fn line(evaluation: &Evaluation) -> String {
    let tasks = evaluation.tasks.iter().map(|(name, task)| {
        let metric = task.scores.primary();
        format!("{name} {} {:.4}", metric.name, metric.value)
    });
    let tasks = tasks.collect::<Vec<_>>().join("  ");
    match evaluation.step {
        Some(0) => format!("before the first step  {tasks}"),
        Some(step) => format!("evaluation at step {step}  {tasks}"),
        None => tasks,
    }
}

/// A table: a row for the primary metric of each task and for the one that decides (`task.metric`), a
/// column for each evaluation under its heading. The tasks are those of the last evaluation; nothing
/// where there is none.
pub fn table(evaluations: &[(String, Evaluation)], decides: &str) -> String {
    let Some((_, last)) = evaluations.last() else {
        return String::new();
    };
    let mut rows = vec![vec!["task".to_string(), "metric".into(), String::new()]];
    rows[0].extend(evaluations.iter().map(|(heading, _)| heading.clone()));
    let mut warnings = Vec::new();
    for (name, task) in &last.tasks {
        let shown = |metric: &Metric| format!("{name}.{}", metric.name) == decides;
        let further = task.scores.metrics.iter().skip(1).filter(|own| shown(own));
        for metric in std::iter::once(task.scores.primary()).chain(further) {
            let better = match metric.better {
                Better::Higher => "higher is better",
                Better::Lower => "lower is better",
                Better::Neither => "",
            };
            let mut row = vec![name.clone(), metric.name.clone(), better.into()];
            row.extend(evaluations.iter().map(|(_, own)| {
                let own = own
                    .tasks
                    .get(name)
                    .and_then(|own| own.scores.get(&metric.name));
                own.map_or(String::new(), |own| format!("{:.4}", own.value))
            }));
            rows.push(row);
        }
        warnings.extend(
            task.scores
                .warnings
                .iter()
                .map(|own| format!("{name}: {own}")),
        );
    }
    let mut text = aligned(&rows);
    for warning in warnings {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{warning}");
    }
    text
}

/// Columns of equal width: words to the left, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells =
            row.iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| match column < 3 {
                    true => format!("{cell:<width$}"),
                    false => format!("{cell:>width$}"),
                });
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use juzi_schemas::fingerprint::Fingerprint;

    use super::{line, table};
    use crate::evaluators::{Better, Evaluation, FORMAT, Scores, TaskScores};

    fn evaluation(step: u64, value: f64, more: bool) -> Evaluation {
        let mut scores = Scores::default();
        scores.push("spearman", value, Better::Higher);
        scores.push("error", 1.0 - value, Better::Lower);
        let task = TaskScores {
            evaluator: "similarity".into(),
            fingerprint: Fingerprint(1),
            scores,
            seconds: 1.0,
        };
        let mut tasks = BTreeMap::from([("sts".to_string(), task.clone())]);
        if more {
            tasks.insert("new".into(), task);
        }
        Evaluation {
            format: FORMAT,
            model: "m".into(),
            step: Some(step),
            about: BTreeMap::new(),
            tasks,
        }
    }

    #[test]
    fn a_table_has_rows_for_primary_metrics_and_the_one_that_decides() {
        let all = [
            ("before".to_string(), evaluation(0, 0.25, false)),
            ("last (9)".to_string(), evaluation(9, 0.5, true)),
        ];
        let wanted = "\
task  metric                      before  last (9)
new   spearman  higher is better            0.5000
sts   spearman  higher is better  0.2500    0.5000
sts   error     lower is better   0.7500    0.5000
";
        assert_eq!(table(&all, "sts.error"), wanted);
        assert_eq!(table(&[], ""), "");
        assert_eq!(
            line(&all[0].1),
            "before the first step  sts spearman 0.2500"
        );
        assert!(line(&all[1].1).starts_with("evaluation at step 9  new spearman 0.5000  sts"));
    }
}
