//! Which members of an archive belong to a corpus, as the plan says it.

/// Patterns that match the wanted members and none of the others: no pattern if there are no others,
/// one that covers all where one does, else a name each.
pub fn patterns(wanted: &[String], others: &[String]) -> Vec<String> {
    if others.is_empty() {
        return Vec::new();
    }
    if wanted.len() > 1 {
        let (prefix, suffix) = shared(wanted);
        let escape = glob::Pattern::escape;
        let one = format!("{}*{}", escape(&prefix), escape(&suffix));
        let fits = glob::Pattern::new(&one).is_ok_and(|pattern| {
            wanted.iter().all(|name| pattern.matches(name))
                && !others.iter().any(|name| pattern.matches(name))
        });
        if fits {
            return vec![one];
        }
    }
    wanted
        .iter()
        .map(|name| glob::Pattern::escape(name))
        .collect()
}

/// What all names begin and end with, up to whole words: numbers of parts are left to the glob.
pub fn shared(names: &[String]) -> (String, String) {
    let Some(first) = names.first() else {
        return (String::new(), String::new());
    };
    let starts = first
        .char_indices()
        .map(|(at, letter)| &first[..at + letter.len_utf8()]);
    let prefix = starts
        .take_while(|start| names.iter().all(|name| name.starts_with(start)))
        .last()
        .unwrap_or_default();
    let prefix = prefix.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let ends = first.char_indices().rev().map(|(at, _)| &first[at..]);
    let suffix = ends
        .take_while(|end| names.iter().all(|name| name.ends_with(end)))
        .last()
        .unwrap_or_default();
    let suffix = suffix.find('.').map_or("", |at| &suffix[at..]);
    let fits = names
        .iter()
        .all(|name| prefix.len() + suffix.len() <= name.len());
    if fits {
        (prefix.into(), suffix.into())
    } else {
        (prefix.into(), String::new())
    }
}
