//! The report as one page for a browser: nothing is loaded from anywhere, everything is escaped.

use std::fmt::Write;

use html_escape::encode_text;
use juzi_schemas::topic::Topic;

/// Width of the largest topic's bar.
const BAR_WIDTH: f64 = 260.0;

const STYLE: &str = "\
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.35rem;margin:0 0 .3rem}p{margin:.3rem 0}\
table{border-collapse:collapse;width:100%;margin-top:1rem}\
th{text-align:left;border-bottom:2px solid #d0d7de;padding:.3rem .5rem;position:sticky;top:0;background:#fff}\
td{border-bottom:1px solid #e5e9ee;padding:.35rem .5rem;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
b{font-weight:600}.w{color:#57606a;font-size:12.5px}ul{margin:0;padding-left:1.1rem}\
li{font-size:12.5px;overflow-wrap:anywhere}.k{display:inline-block;margin-right:1rem;white-space:nowrap}\
.k i{display:inline-block;width:.8rem;height:.8rem;margin-right:.35rem;vertical-align:-.1rem}\
td.e{width:46%}dl{display:grid;grid-template-columns:max-content max-content;gap:.1rem 1.2rem;margin:.6rem 0}\
dt{color:#57606a}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}\
input{font:inherit;padding:.2rem .4rem;width:16rem}";

/// Hides rows that lack what is typed.
const SCRIPT: &str = "\
document.getElementById('f').oninput=function(){var w=this.value.toLowerCase();\
document.querySelectorAll('tbody tr').forEach(function(r){\
r.hidden=w&&r.textContent.toLowerCase().indexOf(w)<0})}";

/// Draws the page. `corpora` are all corpora in order, `figures` what else there is to say.
pub fn page(
    title: &str,
    corpora: &[String],
    topics: &[Topic],
    figures: &[(String, String)],
) -> String {
    let mut out = String::new();
    let title = encode_text(title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"zh\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n<dl>"
    );
    for (name, value) in figures {
        let _ = write!(
            out,
            "<dt>{}</dt><dd>{}</dd>",
            encode_text(name),
            encode_text(value)
        );
    }
    out.push_str("</dl>\n<p>");
    for (at, corpus) in corpora.iter().enumerate() {
        let _ = write!(
            out,
            "<span class=\"k\"><i style=\"background:{}\"></i>{}</span>",
            colour(at),
            encode_text(corpus)
        );
    }
    out.push_str(
        "</p>\n<p><input id=\"f\" type=\"search\" placeholder=\"filter\" aria-label=\"filter\"></p>\n\
         <table><thead><tr><th>topic</th><th>records</th><th>by corpus</th><th>name and telling words</th>\
         <th>typical texts</th></tr></thead><tbody>\n",
    );
    let mut sorted: Vec<&Topic> = topics.iter().collect();
    sorted.sort_by_key(|topic| (u64::MAX - topic.count, topic.topic));
    let largest = sorted.first().map_or(1, |topic| topic.count.max(1));
    for topic in sorted {
        row(&mut out, topic, corpora, largest);
    }
    let _ = write!(
        out,
        "</tbody></table>\n<script>{SCRIPT}</script></body></html>\n"
    );
    out
}

fn row(out: &mut String, topic: &Topic, corpora: &[String], largest: u64) {
    let _ = write!(
        out,
        "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td><b>{}</b>\
         <div class=\"w\">{}</div></td><td class=\"e\"><ul>",
        topic.topic,
        topic.count,
        bar(topic, corpora, largest),
        encode_text(&topic.name),
        encode_text(&topic.words.join(" ")),
    );
    for example in &topic.examples {
        let _ = write!(out, "<li>{}</li>", encode_text(example));
    }
    out.push_str("</ul></td></tr>\n");
}

/// A bar with a piece for each corpus, in the order of the legend.
fn bar(topic: &Topic, corpora: &[String], largest: u64) -> String {
    let mut svg = format!(
        "<svg width=\"{BAR_WIDTH}\" height=\"14\" role=\"img\" aria-label=\"{} records\">",
        topic.count
    );
    let scale = BAR_WIDTH / largest as f64;
    let mut start = 0.0;
    for (at, corpus) in corpora.iter().enumerate() {
        let own = topic.corpora.iter().find(|(name, _)| name == corpus);
        let Some((name, count)) = own else { continue };
        let width = *count as f64 * scale;
        let _ = write!(
            svg,
            "<rect x=\"{start:.2}\" width=\"{width:.2}\" height=\"14\" fill=\"{}\"><title>{} {count}</title></rect>",
            colour(at),
            encode_text(name)
        );
        start += width;
    }
    svg.push_str("</svg>");
    svg
}

/// Colours far from each other: hues by the golden angle, two shades.
fn colour(at: usize) -> String {
    let hue = (at as f64 * 137.508 + 210.0) % 360.0;
    let light = [48, 64, 38][at % 3];
    format!("hsl({hue:.0} 62% {light}%)")
}

#[cfg(test)]
mod tests {
    use super::page;
    use juzi_schemas::topic::Topic;

    #[test]
    fn everything_is_escaped_and_sorted() {
        let topic = |topic, count, name: &str| Topic {
            topic,
            name: name.into(),
            words: vec!["<b>".into()],
            count,
            corpora: vec![("web".into(), count)],
            examples: vec!["<script>alert(1)</script> & <img src=x>".into()],
        };
        let topics = [topic(0, 5, "small"), topic(1, 50, "large <i>")];
        let figures = [("<u>".to_string(), "</dl>".to_string())];
        let html = page("</title><script>", &["web".into()], &topics, &figures);
        assert_eq!(html.matches("<script>").count(), 1, "ours alone");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;img src=x&gt;"));
        assert!(!html.contains("<i>") && !html.contains("<u>") && !html.contains("<b><b>"));
        assert!(html.find("large").unwrap() < html.find("small").unwrap());
        assert_eq!(html.matches("<rect ").count(), 2);
        for outside in ["http:", "https:", "src=\"", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
