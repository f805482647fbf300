//! The sibling program `juzi-train`: found beside this one or on the PATH, and given its subcommands.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// Name of the trainer's program.
const NAME: &str = "juzi-train";

/// Becomes `juzi-train SUBCOMMAND ARGUMENTS…`: its output, its signals and its exit code are ours.
///
/// # Errors
/// There is no such program, or the system cannot start it. It never returns otherwise.
pub fn become_trainer(subcommand: &str, arguments: &[OsString]) -> Result<()> {
    let beside = std::env::current_exe().ok();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(program) = find(beside.as_deref(), &path) else {
        return Err(Error::Usage(format!(
            "juzi {subcommand} is done by {NAME}, which is neither beside juzi nor on the PATH; \
             build it with cargo build --release -p juzi-trainer"
        )));
    };
    let source = Command::new(&program)
        .arg(subcommand)
        .args(arguments)
        .exec();
    Err(Error::Input {
        path: program,
        source,
    })
}

/// The program beside this one, else the first in the directories of `path`.
fn find(beside: Option<&Path>, path: &OsStr) -> Option<PathBuf> {
    let beside = beside.map(|program| program.with_file_name(NAME));
    let on_path = std::env::split_paths(path).map(|dir| dir.join(NAME));
    beside
        .into_iter()
        .chain(on_path)
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::{NAME, find};

    #[test]
    fn beside_comes_before_the_path() {
        let name = format!("juzi-sibling-{}", std::process::id());
        let place = std::env::temp_dir().join(name);
        let [one, two, three] = ["one", "two", "three"].map(|dir| place.join(dir));
        for dir in [&one, &two, &three] {
            std::fs::create_dir_all(dir).unwrap();
        }
        let path = std::env::join_paths([&two, &three]).unwrap();
        let juzi = one.join("juzi");
        assert_eq!(find(Some(&juzi), &path), None);
        std::fs::write(three.join(NAME), "").unwrap();
        assert_eq!(find(Some(&juzi), &path), Some(three.join(NAME)));
        std::fs::write(one.join(NAME), "").unwrap();
        assert_eq!(find(Some(&juzi), &path), Some(one.join(NAME)));
        assert_eq!(find(None, &path), Some(three.join(NAME)));
        std::fs::remove_dir_all(&place).unwrap();
    }
}
