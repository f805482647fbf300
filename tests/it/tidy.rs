//! The rules of the house: who may know whom, how files begin, what documents must say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, program, workspace};

/// All files that git would track, relative to the workspace.
fn tracked() -> Vec<String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout).unwrap();
    let exists = |name: &&str| workspace().join(name).is_file();
    names.lines().filter(exists).map(String::from).collect()
}

pub fn read(name: &str) -> String {
    let path = workspace().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Rust sources with their text.
pub fn sources() -> Vec<(String, String)> {
    let names = tracked().into_iter().filter(|name| name.ends_with(".rs"));
    let sources: Vec<_> = names.map(|name| (name.clone(), read(&name))).collect();
    assert!(sources.len() > 50);
    sources
}

/// The text without its test modules, which stand at the end of a file, and without comments.
pub fn code(text: &str) -> String {
    let tests = [
        "\n#[cfg(test)]\nmod tests {",
        "\n#[cfg(test)]\npub(crate) mod tests {",
    ];
    let ends = tests.iter().filter_map(|start| text.find(start));
    let text = &text[..ends.min().unwrap_or(text.len())];
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(name).parse().unwrap();
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn crates_know_only_what_they_may() {
    let forbidden: [(&str, &[&str]); 3] = [
        (
            "schemas",
            &[
                "polars",
                "candle",
                "jieba",
                "faiss",
                "crossbeam",
                "clap",
                "juzi-",
                "tokenizers",
            ],
        ),
        ("pipeline", &["candle", "juzi-trainer", "tokenizers"]),
        ("trainer", &["polars", "jieba", "faiss", "juzi-pipeline"]),
    ];
    for (name, never) in forbidden {
        let manifest = format!("{name}/Cargo.toml");
        if !workspace().join(&manifest).exists() {
            assert_eq!(name, "trainer");
            continue;
        }
        for dependency in dependencies(&manifest) {
            let found = never.iter().find(|start| dependency.starts_with(**start));
            assert_eq!(found, None, "{manifest} must not depend on {dependency}");
        }
    }
    let root: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = root["workspace"]["members"].as_array().unwrap();
    for member in members {
        let name = format!("{}/Cargo.toml", member.as_str().unwrap());
        let manifest: toml::Table = read(&name).parse().unwrap();
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints,
            Some(&toml::Value::Boolean(true)),
            "{name} does not use the lints"
        );
    }
}

#[test]
fn readers_do_not_know_each_other() {
    let list = read("pipeline/src/readers/mod.rs");
    let modules = list
        .lines()
        .filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
    let shared = ["json", "names", "nesting"];
    let modules: Vec<&str> = modules.filter(|name| !shared.contains(name)).collect();
    assert!(modules.len() >= 5, "{modules:?}");
    for module in &modules {
        let name = format!("pipeline/src/readers/{module}.rs");
        let code = code(&read(&name));
        for other in modules.iter().filter(|other| *other != module) {
            let paths = [format!("super::{other}"), format!("readers::{other}")];
            let found = paths.iter().find(|path| code.contains(path.as_str()));
            assert_eq!(found, None, "{name} must not know another reader");
        }
    }
}

#[test]
fn only_schemas_writes_parquet() {
    for (name, text) in sources() {
        if ["schemas/", "tests/"]
            .iter()
            .any(|part| name.starts_with(part))
            || name.ends_with("tests.rs")
        {
            continue;
        }
        let code = code(&text);
        let words = [
            "ArrowWriter",
            "ParquetWriter",
            "sink_parquet",
            "SerializedFileWriter",
        ];
        let found = words.iter().find(|word| code.contains(**word));
        assert_eq!(
            found, None,
            "{name}: only schemas writes Parquet that lasts"
        );
    }
}

#[test]
fn sources_keep_to_the_style() {
    let bad_names = [
        "utils", "helpers", "common", "misc", "manager", "base", "core", "v2",
    ];
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let ignore = ["#[", "ignore"].concat();
    for (name, text) in sources() {
        assert!(
            text.starts_with("//! "),
            "{name} does not open with a sentence on what it is"
        );
        let parts = name.trim_end_matches(".rs").split('/');
        for part in parts {
            let words: Vec<&str> = part.split('_').collect();
            let found = bad_names.iter().find(|bad| words.contains(bad));
            assert_eq!(found, None, "{name}");
        }
        let code = code(&text);
        let lines = code.lines().count();
        let is_test = name.ends_with("tests.rs");
        assert!(
            lines <= 400 || is_test,
            "{name} has {lines} lines of code, more than 400"
        );
        let found = macros
            .iter()
            .chain([&ignore])
            .find(|word| text.contains(word.as_str()));
        assert_eq!(found, None, "{name}");
    }
}

#[test]
fn no_file_knows_this_machine() {
    let private = ["work", "root", "home"].map(|name| format!("/{name}/"));
    for name in tracked() {
        let bytes = std::fs::read(workspace().join(&name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in text.lines().enumerate() {
            let found = private.iter().find(|path| {
                let mut ends = line.match_indices(path.as_str()).map(|(at, _)| &line[..at]);
                ends.any(|before| {
                    !before.ends_with(|c: char| c.is_alphanumeric() || "._-~}".contains(c))
                })
            });
            assert_eq!(
                found,
                None,
                "{name}:{} holds an absolute path: {line}",
                number + 1
            );
        }
    }
}

/// Subcommands as `juzi --help` lists them.
fn subcommands() -> Vec<String> {
    let place = Place::new("help");
    let help = place.juzi(&["--help"]).expect(0, &[]).stdout;
    let list = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let words = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    words.map(String::from).collect()
}

#[test]
fn the_readme_mentions_every_subcommand() {
    let readme = read("README.md");
    let commands = subcommands();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in &commands {
        assert!(
            readme.contains(&format!("juzi {command}")),
            "README.md does not mention juzi {command}"
        );
    }
}

#[test]
fn every_dictionary_is_described() {
    let dictionaries = read("dictionaries/README.md");
    for name in tracked() {
        if let Some(file) = name
            .strip_prefix("dictionaries/")
            .filter(|file| *file != "README.md")
        {
            assert!(
                dictionaries.contains(file),
                "dictionaries/README.md does not mention {file}"
            );
        }
    }
}

#[test]
fn every_target_is_in_the_menu() {
    let makefile = read("Makefile");
    let output = Command::new("make")
        .arg("help")
        .current_dir(workspace())
        .output()
        .unwrap();
    let menu = String::from_utf8(output.stdout).unwrap();
    let rules = makefile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    for (target, _) in rules.filter_map(|line| line.split_once(':')) {
        let listed = menu
            .lines()
            .any(|line| line.split_whitespace().any(|word| word == target));
        assert!(listed, "make help does not list {target}");
    }
}

/// Cargo does not build a program of another package for a test; an old one would prove nothing.
#[test]
fn the_program_is_newer_than_its_sources() {
    let changed = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let built = changed(&program());
    let part = |name: &String| {
        let folders = ["pipeline/src/", "schemas/src/", "dictionaries/"];
        folders.iter().any(|folder| name.starts_with(folder)) && !name.ends_with(".md")
    };
    for name in tracked().into_iter().filter(part) {
        let path: PathBuf = workspace().join(&name);
        let old = format!("{name} is newer than the program: cargo build --release --workspace");
        assert!(changed(&path) <= built, "{old}");
    }
}
