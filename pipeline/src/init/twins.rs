//! Twins: archives whose content lies beside them unpacked, which must not be read twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::recognize::Found;
use super::sample::zip_sizes;
use crate::inputs::archive::Container;

/// Takes out members, and archives of which every member does, that lie beside them as plain files.
pub fn drop(found: &mut Vec<Found>) {
    let plain: BTreeMap<(String, u64), Vec<PathBuf>> = found
        .iter()
        .filter(|found| Container::of(&found.file.name()) == Container::Plain)
        .fold(BTreeMap::new(), |mut plain, found| {
            plain
                .entry((found.file.name(), found.file.bytes))
                .or_default()
                .push(found.file.path.clone());
            plain
        });
    let mut notes: BTreeMap<PathBuf, String> = BTreeMap::new();
    found.retain_mut(|found| {
        let twins = twins(found, &plain);
        let Some(twin) = twins.values().next().cloned() else {
            return true;
        };
        let archive = found.file.path.display();
        let (unpacked, packed) = std::mem::take(&mut found.members)
            .into_iter()
            .partition(|(name, _)| twins.contains_key(name));
        found.members = packed;
        let note = match found.members.is_empty() {
            true => format!("Skipped: {archive}, which holds the same files."),
            false => format!(
                "Skipped: in {archive}, what lies beside it: {}.",
                list(&unpacked)
            ),
        };
        found
            .others
            .extend(unpacked.into_iter().map(|(name, _)| name));
        notes.insert(twin, note);
        !found.members.is_empty()
    });
    for found in found {
        found.notes.extend(notes.remove(&found.file.path));
    }
}

fn list(members: &[(String, Option<u64>)]) -> String {
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}

/// Plain files below the archive's folder that are members of it, by the members' names.
fn twins(
    found: &Found,
    plain: &BTreeMap<(String, u64), Vec<PathBuf>>,
) -> BTreeMap<String, PathBuf> {
    let path = &found.file.path;
    let beside = |name: &str, bytes: u64| {
        let base = name.rsplit('/').next().unwrap_or(name).to_string();
        let folder = path.parent()?;
        plain
            .get(&(base, bytes))?
            .iter()
            .find(|other| other.starts_with(folder))
            .cloned()
    };
    match Container::of(&found.file.name()) {
        Container::Zip => {
            let sizes: BTreeMap<String, u64> =
                zip_sizes(path).unwrap_or_default().into_iter().collect();
            let twin = |(name, _): &(String, Option<u64>)| {
                Some((name.clone(), beside(name, *sizes.get(name)?)?))
            };
            found.members.iter().filter_map(twin).collect()
        }
        Container::Gzip => gzip_twin(path, beside)
            .map(|twin| (String::new(), twin))
            .into_iter()
            .collect(),
        _ => BTreeMap::new(),
    }
}

fn gzip_twin(path: &Path, beside: impl Fn(&str, u64) -> Option<PathBuf>) -> Option<PathBuf> {
    let other = path.with_extension("");
    let bytes = std::fs::metadata(&other).ok()?.len();
    // gzip ends with the size of its content, in 32 bits.
    let same = u64::from(gzip_size(path).ok()?) == bytes & 0xffff_ffff;
    beside(&other.to_string_lossy(), bytes).filter(|_| same)
}

fn gzip_size(path: &Path) -> std::io::Result<u32> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-4))?;
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
