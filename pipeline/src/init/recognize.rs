//! What a file is, by the first records of its content.

use super::sample::{self, Member, Sample, is_han};
use super::{File, Layout};
use super::{json, members, parquet_columns, short, table, walk};

/// Lines that are looked at.
const LINES_MAX: usize = 2_000;

/// A file with the way it is to be read.
#[derive(Clone, Debug)]
pub struct Found {
    /// The file.
    pub file: File,
    /// How it is read.
    pub layout: Layout,
    /// Its members of this layout, if it is an archive: names, and bytes where they are known.
    pub members: Vec<(String, Option<u64>)>,
    /// Names of the members that are read in another way, or not at all.
    pub others: Vec<String>,
    /// Whether members of other layouts are a corpus of their own.
    pub is_part: bool,
    /// What the reader of the plan should know of it.
    pub notes: Vec<String>,
}

/// Well-known corpora by what their files and folders are called.
const NAMES: &[(&str, &[&str])] = &[
    ("wiki2019zh", &["wiki2019zh", "wiki_zh"]),
    ("news2016zh", &["news2016zh", "new2016zh"]),
    ("baike2018qa", &["baike2018qa", "baike_qa"]),
    ("webtext2019zh", &["webtext2019zh", "web_text_zh"]),
    ("translation2019zh", &["translation2019zh"]),
    ("comments2019", &["comments2019"]),
];

/// Members of an archive that may have to be named one by one.
const NAMED_MAX: usize = 100;

/// Recognises a file; an archive comes once for each layout that its members have. `chars_min` is the
/// shortest text that the plan will keep.
///
/// # Errors
/// Why it is not taken.
pub fn file(file: &File, chars_min: u32) -> Result<Vec<Found>, String> {
    let Some(path) = file.path.to_str() else {
        return Err("its name is not UTF-8".into());
    };
    if path.contains("::") {
        return Err(
            "its path holds `::`, which parts an archive from its members in a plan".into(),
        );
    }
    let found = |layout, members: Vec<(String, Option<u64>)>| Found {
        file: file.clone(),
        layout,
        members,
        others: Vec::new(),
        is_part: false,
        notes: Vec::new(),
    };
    if file.bytes == 0 {
        return Err("empty".into());
    }
    if file.name().to_lowercase().ends_with(".parquet") {
        return Ok(vec![found(parquet_columns::layout(file)?, Vec::new())]);
    }
    let members =
        sample::members(&file.path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut layouts: Vec<Found> = Vec::new();
    let mut others = Vec::new();
    for Member {
        name,
        bytes,
        sample,
    } in members
    {
        let inside = name.clone().unwrap_or_else(|| file.name());
        let base = inside.rsplit('/').next().unwrap_or(&inside);
        let result = match sample {
            _ if name.is_some() && walk::is_unrelated(base) => Err(String::new()),
            Some(sample) => sample.and_then(|sample| {
                let layout = text(file, &inside, &sample)?;
                let warning = short::warning(&sample, &layout, chars_min);
                Ok((layout, warning))
            }),
            // Not looked into.
            None => match layouts.first() {
                Some(first) => Ok((first.layout.clone(), None)),
                None => Err("not looked into".into()),
            },
        };
        match result {
            Ok((layout, warning)) => {
                let member = name.map(|name| (name, bytes));
                match layouts.iter_mut().find(|found| found.layout == layout) {
                    Some(found) => found.members.extend(member),
                    None => {
                        let mut found = found(layout, member.into_iter().collect());
                        found.notes.extend(warning);
                        layouts.push(found);
                    }
                }
            }
            Err(reason) => others.push((inside, reason)),
        }
    }
    if layouts.is_empty() {
        let mut reasons = others.into_iter().map(|(_, reason)| reason);
        let first = reasons.find(|reason| !reason.is_empty());
        return Err(first.unwrap_or_else(|| "an archive without files of text".into()));
    }
    let names = |found: &Found| found.members.iter().map(|(name, _)| name.clone()).collect();
    let named: Vec<Vec<String>> = layouts.iter().map(names).collect();
    for (at, found) in layouts.iter_mut().enumerate() {
        let elsewhere = named.iter().enumerate().filter(|(other, _)| *other != at);
        let unread = others.iter().map(|(name, _)| name);
        found.is_part = named.len() > 1;
        found.others = elsewhere
            .flat_map(|(_, names)| names)
            .chain(unread)
            .cloned()
            .collect();
        if members::patterns(&named[at], &found.others).len() > NAMED_MAX {
            return Err(
                "too many members lie among members of other kinds; unpack it and run init again"
                    .into(),
            );
        }
    }
    for (name, reason) in others.iter().filter(|(_, reason)| !reason.is_empty()) {
        layouts[0]
            .notes
            .push(format!("Not read: {name} in {} ({reason}).", file.name()));
    }
    for found in &mut layouts {
        if let Some((claim, name)) = claim(file).filter(|(claim, _)| *claim != found.layout.reader)
        {
            found.notes.push(format!(
                "The name {name} says {claim}; the content is: {}.",
                found.layout.description
            ));
        }
    }
    Ok(layouts)
}

/// The well-known corpus that the names claim, and the name that does; the closest name counts.
fn claim(file: &File) -> Option<(&'static str, String)> {
    let names = file.folders.iter().cloned().chain([file.name()]);
    let known = |name: String| {
        let lower = name.to_lowercase();
        let is_called = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        NAMES
            .iter()
            .find(|(_, words)| is_called(words))
            .map(|(corpus, _)| (*corpus, name))
    };
    names.filter_map(known).next_back()
}

fn text(file: &File, name: &str, sample: &Sample) -> Result<Layout, String> {
    let ending = data_ending(name);
    let mut layout = match json::lines(sample) {
        Some(layout) => layout?,
        None if matches!(ending, "json" | "jsonl") => return Err(json::broken(sample)),
        None => plain(file, ending, sample)?,
    };
    layout.encoding = sample.encoding;
    Ok(layout)
}

/// The ending that tells of the content: `csv` of `a.csv.gz`.
fn data_ending(name: &str) -> &'static str {
    let name = name.to_lowercase();
    let endings = ["jsonl", "json", "csv", "tsv", "txt"];
    let inner = ["", ".gz", ".zst", ".zstd"].iter().find_map(|packed| {
        let name = name.strip_suffix(packed)?;
        endings.iter().find(|ending| {
            name.strip_suffix(**ending)
                .is_some_and(|rest| rest.ends_with('.'))
        })
    });
    inner.copied().unwrap_or_default()
}

/// Tables and running text.
fn plain(file: &File, ending: &str, sample: &Sample) -> Result<Layout, String> {
    let lines: Vec<&str> = sample.lines().take(LINES_MAX).collect();
    if let Some(reason) = no_corpus(&lines) {
        return Err(reason.into());
    }
    let is_comments = claim(file).is_some_and(|(corpus, _)| corpus == "comments2019");
    if ending == "csv" {
        return comma_separated(sample);
    }
    let width = lines.first().map_or(1, |line| line.split('\t').count());
    let fitting = lines
        .iter()
        .filter(|line| line.split('\t').count() == width)
        .count();
    if width > 1 && fitting * 10 >= lines.len() * 9 {
        return tab_separated(&lines, width);
    }
    if ending == "tsv" {
        return Err("its name says TSV, but its lines do not have equally many tabs".into());
    }
    let chinese = lines.iter().filter(|line| line.chars().any(is_han)).count();
    if chinese * 5 < lines.len() || lines.is_empty() {
        return Err(format!(
            "no Chinese text in its first {} lines",
            lines.len()
        ));
    }
    if is_comments {
        let (description, views) = (
            "comments2019: a comment a line".into(),
            vec!["sentences".into()],
        );
        return Ok(Layout {
            reader: "comments2019",
            description,
            views,
            ..Layout::default()
        });
    }
    let paragraphs = has_paragraphs(&sample.text);
    let what = if paragraphs {
        "paragraphs between blank lines"
    } else {
        "a document a line"
    };
    let more_views = vec!["passages".into(), "neighbors".into()];
    let (description, views) = (format!("plain text, {what}"), vec!["sentences".into()]);
    Ok(Layout {
        reader: "text",
        description,
        paragraphs,
        views,
        more_views,
        ..Layout::default()
    })
}

/// Lines that belong together are wrapped: paragraphs of several lines, not single lines apart.
fn has_paragraphs(text: &str) -> bool {
    let paragraphs = text
        .lines()
        .map(|line| line.trim().is_empty())
        .collect::<Vec<_>>();
    let blank = paragraphs.iter().filter(|blank| **blank).count();
    let groups = paragraphs
        .split(|blank| *blank)
        .filter(|group| !group.is_empty())
        .count();
    blank > 0 && (paragraphs.len() - blank) >= groups * 2
}

/// Files that look like text and are something else.
fn no_corpus(lines: &[&str]) -> Option<&'static str> {
    let numbers = |line: &str| {
        line.split(' ')
            .skip(1)
            .filter(|word| word.parse::<f32>().is_ok())
            .count()
    };
    if lines
        .iter()
        .take(3)
        .filter(|line| numbers(line) >= 20)
        .count()
        >= 2
    {
        return Some("word vectors, not a corpus");
    }
    let is_entry = |line: &&&str| {
        let code = line.as_bytes().first_chunk::<8>();
        code.is_some_and(|code| {
            code[..7].is_ascii()
                && code[0].is_ascii_uppercase()
                && code[1].is_ascii_lowercase()
                && code[2..4].iter().all(u8::is_ascii_digit)
                && matches!(code[7], b'=' | b'#' | b'@')
        })
    };
    if !lines.is_empty() && lines.iter().filter(is_entry).count() * 10 >= lines.len() * 9 {
        return Some("a dictionary of synonyms (Cilin), not a corpus");
    }
    let header = lines.first().copied().unwrap_or_default();
    header
        .starts_with("query-id\tcorpus-id")
        .then_some("relevance judgements (qrels), not text")
}

fn tab_separated(lines: &[&str], width: usize) -> Result<Layout, String> {
    let rows = lines
        .iter()
        .map(|line| line.split('\t').map(String::from).collect::<Vec<_>>());
    let (columns, header) = table::columns(rows.filter(|row| row.len() == width).collect());
    let layout = table::layout("tsv", columns, false)?;
    Ok(Layout {
        header,
        description: format!("TSV, {}", layout.description),
        ..layout
    })
}

fn comma_separated(sample: &Sample) -> Result<Layout, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(sample.text.as_bytes());
    let records = reader.records().take(LINES_MAX).filter_map(Result::ok);
    let mut rows: Vec<Vec<String>> = records
        .map(|record| record.iter().map(String::from).collect())
        .collect();
    let width = rows.first().map_or(0, Vec::len);
    rows.retain(|row| row.len() == width);
    if width < 2 {
        let rows = sample.lines().count();
        return Err(format!(
            "its name says CSV, but its first {rows} lines have one column"
        ));
    }
    let triplet = rows[0]
        .iter()
        .map(|name| name.to_lowercase())
        .eq(["sent0", "sent1", "hard_neg"]);
    let (columns, header) = table::columns(rows);
    let layout = table::layout("csv", columns, false)?;
    if triplet {
        let description = "SimCSE's NLI triplets, CSV".into();
        return Ok(Layout {
            reader: "nli",
            description,
            columns: Vec::new(),
            ..layout
        });
    }
    Ok(Layout {
        header,
        description: format!("CSV, {}", layout.description),
        ..layout
    })
}
