//! The page around the charts: one HTML file that loads nothing and in which everything is escaped.

use std::fmt::Write;

use serde_json::Value;

use super::axis::figure;
use super::summary::{Metrics, Summary};

/// Characters of a file that are shown.
const TEXT_CHARS: usize = 100_000;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--faint:#57606a;--paper:#fff;--rule:#e1e5ea;--rule2:#d0d7de;\
--s0:#1f6feb;--s1:#d9622b;--s2:#1a7f4b;--s3:#8250df;--s4:#b58407;--s5:#c2255c;--s6:#0b7285;--s7:#6b7280}\
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#9aa4af;--paper:#0f1318;--rule:#242b33;--rule2:#39424d;\
--s0:#6cb0ff;--s1:#ff9a66;--s2:#5fd08f;--s3:#c3a6ff;--s4:#e8c25a;--s5:#ff8fb3;--s6:#66d9e8;--s7:#a5adb8}}\
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:78rem;padding:0 1rem;color:var(--ink);background:var(--paper)}\
h1{font-size:1.35rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}\
dl{display:grid;grid-template-columns:max-content auto;gap:.1rem 1.2rem;margin:.6rem 0}\
dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}\
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(26rem,100%),1fr));gap:.8rem 1.2rem}\
figure{margin:0}figcaption{font-weight:600;font-size:13px}.k{font-weight:400;color:var(--faint);margin-left:.6rem;white-space:nowrap}\
.k b{color:var(--ink);font-variant-numeric:tabular-nums}.k i{display:inline-block;width:.7rem;height:.7rem;margin-right:.25rem;background:var(--c)}\
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--faint)}svg .e{text-anchor:end}svg .m{text-anchor:middle}\
svg path{fill:none}svg .g{stroke:var(--rule)}svg .a{stroke:var(--rule2)}svg .c{stroke:var(--faint)}svg .z{stroke:var(--s1);stroke-dasharray:4 3}\
polyline{fill:none;stroke:var(--c);stroke-linejoin:round}.l{stroke-width:1.6}.r{stroke-width:1;opacity:.4}\
polygon.b{fill:var(--c);opacity:.16}circle{fill:var(--c)}\
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}.s6{--c:var(--s6)}.s7{--c:var(--s7)}\
table{border-collapse:collapse}th{text-align:left;border-bottom:2px solid var(--rule2);padding:.2rem .6rem}\
td{border-bottom:1px solid var(--rule);padding:.2rem .6rem;vertical-align:top;overflow-wrap:anywhere}\
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.good{color:var(--s2)}.bad{color:var(--s5);font-weight:600}p.w{color:var(--faint);margin:.3rem 0}\
.scroll{overflow-x:auto}pre{font:12px/1.4 ui-monospace,monospace;overflow-x:auto;background:var(--rule);padding:.6rem;border-radius:4px}";

/// Draws the page. `files` are those of the run that are shown as they are: name and text.
pub fn page(title: &str, summary: &Summary, files: &[(String, String)]) -> String {
    let mut out = String::with_capacity(1 << 18);
    let title = escape(title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n<dl>"
    );
    for (name, value) in summary.facts() {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(&value));
    }
    out.push_str("</dl>\n");
    charts(summary, &mut out);
    scores(summary, &mut out);
    evaluations(summary, &mut out);
    doctor(summary, &mut out);
    happened(summary, &mut out);
    for (name, text) in files {
        let shown: String = text.chars().take(TEXT_CHARS).collect();
        let _ = writeln!(
            out,
            "<details{}><summary><b>{}</b></summary><pre>{}{}</pre></details>",
            if name.ends_with(".toml") { " open" } else { "" },
            escape(name),
            escape(&shown),
            if shown.len() < text.len() {
                "\n… more in the file"
            } else {
                ""
            },
        );
    }
    out.push_str("</body></html>\n");
    out
}

fn charts(summary: &Summary, out: &mut String) {
    out.push_str("<h2>Curves</h2>\n");
    if summary.steps() == 0 {
        out.push_str("<p class=\"w\">No step is in the log yet.</p>\n");
    }
    out.push_str("<div class=\"charts\">\n");
    for chart in summary.charts() {
        chart.draw(&summary.marks, out);
    }
    out.push_str(
        "</div>\n<p class=\"w\">Horizontal: steps. Pale: single values, with their range where one \
         point stands for many; full: a moving mean. Short ticks at the axis: checkpoints; dashed: \
         resumed.</p>\n",
    );
}

/// A row for each metric of each task: before the first step, at the best checkpoint, at the end.
fn scores(summary: &Summary, out: &mut String) {
    if summary.evaluations.is_empty() {
        return;
    }
    let best = summary
        .best
        .map_or(String::new(), |step| format!(" ({step})"));
    let _ = write!(
        out,
        "<h2>Scores</h2>\n<div class=\"scroll\"><table><thead><tr><th>task</th><th>metric</th>\
         <th>before</th><th>best{best}</th><th>last</th></tr></thead><tbody>\n"
    );
    for (name, rows) in &summary.evaluations {
        let Some((_, last)) = rows.last() else {
            continue;
        };
        let best = rows.iter().find(|(step, _)| Some(*step) == summary.best);
        let columns = [summary.before.get(name), best.map(|row| &row.1), Some(last)];
        for (metric, _) in last {
            let _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td>",
                escape(name),
                escape(metric)
            );
            for own in columns {
                let text = own.map_or(String::new(), |own| value(own, metric));
                let _ = write!(out, "<td class=\"n\">{text}</td>");
            }
            out.push_str("</tr>\n");
        }
    }
    out.push_str("</tbody></table></div>\n");
}

/// The value of a metric, or nothing.
fn value(metrics: &Metrics, name: &str) -> String {
    let own = metrics.iter().find(|(own, _)| own == name);
    own.map_or(String::new(), |(_, value)| figure(*value))
}

fn evaluations(summary: &Summary, out: &mut String) {
    for (name, rows) in &summary.evaluations {
        let mut metrics: Vec<&String> = Vec::new();
        for (metric, _) in rows.iter().flat_map(|(_, own)| own) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        let _ = write!(
            out,
            "<h2>{}</h2>\n<div class=\"scroll\"><table><thead><tr><th>step</th>",
            escape(name)
        );
        for metric in &metrics {
            let _ = write!(out, "<th>{}</th>", escape(metric));
        }
        out.push_str("</tr></thead><tbody>\n");
        for (step, own) in rows {
            let _ = write!(out, "<tr><td class=\"n\">{step}</td>");
            for metric in &metrics {
                let _ = write!(out, "<td class=\"n\">{}</td>", value(own, metric));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
    }
}

fn doctor(summary: &Summary, out: &mut String) {
    let Some(doctor) = &summary.doctor else {
        return;
    };
    let (class, word) = match doctor["healthy"].as_bool() {
        Some(true) => ("good", "healthy"),
        _ => ("bad", "not healthy"),
    };
    let _ = write!(
        out,
        "<h2>Gradient doctor: <span class=\"{class}\">{word}</span></h2>\n<table><thead><tr>\
         <th>check</th><th></th><th>measured</th><th>at most</th><th></th></tr></thead><tbody>\n"
    );
    for check in list(&doctor["checks"]) {
        let state = told(&check["state"]);
        let class = match state.as_str() {
            "passed" => "good",
            "failed" => "bad",
            _ => "",
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"{class}\">{}</td><td class=\"n\">{}</td><td \
             class=\"n\">{}</td><td>{}</td></tr>",
            escape(&told(&check["name"])),
            escape(&state),
            escape(&told(&check["measured"])),
            escape(&told(&check["tolerance"])),
            escape(&told(&check["detail"])),
        );
    }
    out.push_str("</tbody></table>\n");
    for exception in list(&doctor["exceptions"]) {
        let _ = writeln!(
            out,
            "<p class=\"w\">excused: {}: {}</p>",
            escape(&told(&exception["parameter"])),
            escape(&told(&exception["reason"]))
        );
    }
}

fn happened(summary: &Summary, out: &mut String) {
    out.push_str(
        "<h2>What happened</h2>\n<table><thead><tr><th>step</th><th>event</th><th></th></tr></thead>\
         <tbody>\n",
    );
    for (step, kind, fields) in &summary.happened {
        let _ = writeln!(
            out,
            "<tr><td class=\"n\">{step}</td><td>{}</td><td>{}</td></tr>",
            escape(kind),
            escape(fields)
        );
    }
    out.push_str("</tbody></table>\n");
    if summary.left_out > 0 {
        let _ = writeln!(
            out,
            "<p class=\"w\">{} more, in the middle, are in the log.</p>",
            summary.left_out
        );
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as text: numbers by four digits, nothing for null.
pub fn told(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(count) => count.to_string(),
            None => figure(number.as_f64().unwrap_or(f64::NAN)),
        },
        other => other.to_string(),
    }
}

/// Text that may stand anywhere in the page, attributes too.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // HTML has no place for other control characters.
            '\t' | '\n' => escaped.push(character),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
