//! The benchmark's input: a news file of any size, made of the sample's own clauses.

use std::collections::BTreeSet;
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use juzi_pipeline::text::luse;
use juzi_schemas::random::fold;

/// An environment variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Writes the file unless it is there: sentences of two real clauses, one in five of them a repeat.
pub fn make(root: &Path, dir: &Path) -> Result<PathBuf, String> {
    let gigabytes: f64 = variable("BENCH_GB")
        .map_or(Ok(1.0), |text| text.parse())
        .map_err(|_| "BENCH_GB is no number")?;
    let path = dir.join(format!("news-{gigabytes}.json"));
    let wanted = (gigabytes * 1e9) as u64;
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= wanted) {
        return Ok(path);
    }
    let clauses = clauses(&root.join("data/sample-corpora"))?;
    let file =
        std::fs::File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut state = Draws { seed: 1, count: 0 };
    let (mut written, mut fresh, mut number) = (0u64, 0u64, 0u64);
    while written < wanted {
        number += 1;
        let mut sentence = || {
            let repeat = state.below(5) == 0 && fresh > 100;
            let which = if repeat { state.below(fresh) } else { fresh };
            fresh += u64::from(!repeat);
            let pick = |salt: u64| {
                &clauses
                    [(fold(which ^ salt, 0x9e37_79b9_7f4a_7c15) % clauses.len() as u64) as usize]
            };
            format!("{}，{}", pick(0x1234_5678), pick(0x8765_4321))
        };
        let title = sentence();
        let content: String = (0..13).map(|_| sentence() + "。").collect();
        let line = serde_json::json!({
            "news_id": number.to_string(), "keywords": "", "title": title, "desc": "", "source": "", "time": "", "content": content,
        });
        let line = format!("{line}\n");
        out.write_all(line.as_bytes())
            .map_err(|error| error.to_string())?;
        written += line.len() as u64;
    }
    out.flush().map_err(|error| error.to_string())?;
    Ok(path)
}

struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.count += 1;
        fold(
            self.seed ^ self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            0xd6e8_feb8_6659_fd93,
        ) % bound
    }
}

/// Distinct clauses of 4 to 30 characters of the sample.
fn clauses(sample: &Path) -> Result<Vec<String>, String> {
    let files = [
        "baike2018qa/baike_qa_train.json",
        "translation2019zh/translation2019zh_train.json",
    ];
    let wiki = (0..9).map(|number| format!("wiki_zh/AA/wiki_{number:02}"));
    let mut found = BTreeSet::new();
    for name in files.iter().map(|name| name.to_string()).chain(wiki) {
        let Ok(file) = std::fs::File::open(sample.join(name)) else {
            continue;
        };
        for line in std::io::BufReader::new(file).lines().map_while(Result::ok) {
            let value: serde_json::Value =
                serde_json::from_str(&line).map_err(|error| error.to_string())?;
            for key in ["title", "text", "answer", "chinese"] {
                let text = value[key].as_str().unwrap_or_default();
                luse::sentences(text, &mut String::new(), |sentence| {
                    let clauses = sentence.split(['，', ',', '、', '；', ';', '：', ':']);
                    found.extend(
                        clauses
                            .filter(|clause| (4..=30).contains(&clause.chars().count()))
                            .map(String::from),
                    );
                });
            }
        }
    }
    match found.len() {
        0..1000 => Err(format!(
            "too little text under {}: run `make sample`, or set BENCH_INPUT",
            sample.display()
        )),
        _ => Ok(found.into_iter().collect()),
    }
}
