//! The head of a model card that machines read: language, licence and what the model began from.

use std::path::Path;

use crate::checkpoint;

/// What is known of a model besides itself; what is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// Codes of its languages.
    pub language: Vec<String>,
    /// Its licence.
    pub license: Option<String>,
    /// The model that it began from.
    pub base_model: Option<String>,
    /// The licence of that, which need not be its own.
    pub base_license: Option<String>,
}

impl Front {
    /// What the model card in a folder says.
    pub fn of_folder(folder: &Path) -> Front {
        let text = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        let read = |key: &str| values(&text, key);
        Front {
            language: read("language"),
            license: read("license").into_iter().next(),
            base_model: read("base_model").into_iter().next(),
            base_license: None,
        }
    }

    /// What is known of a model that was trained from this one: a folder, or a run.
    pub fn of_base(path: &Path) -> Front {
        let run = checkpoint::run_of(path);
        let place = run.as_deref().unwrap_or(path);
        let Some(name) = place.file_name() else {
            // From scratch.
            return Front::default();
        };
        let base = Front::of_folder(place);
        Front {
            language: base.language,
            license: None,
            base_model: Some(name.to_string_lossy().into_owned()),
            base_license: base.license,
        }
    }

    /// Lines of YAML.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        if !self.language.is_empty() {
            lines.push_str("language:\n");
            let all = self
                .language
                .iter()
                .map(|own| format!("- {}\n", quoted(own)));
            lines.extend(all);
        }
        for (key, value) in [("license", &self.license), ("base_model", &self.base_model)] {
            if let Some(value) = value {
                lines.push_str(&format!("{key}: {}\n", quoted(value)));
            }
        }
        lines
    }

    /// A sentence about the licence of what the model began from.
    pub fn note(&self) -> Option<String> {
        let (name, license) = (self.base_model.as_ref()?, self.base_license.as_ref()?);
        Some(format!(
            "The licence of {name}, from which it began, is {license}."
        ))
    }
}

/// The values of a key of the lines between `---` at the head of a card: one, `[several]`, or a list
/// below it.
fn values(text: &str, key: &str) -> Vec<String> {
    let Some(rest) = text.strip_prefix("---\n") else {
        return Vec::new();
    };
    let head = rest.lines().take_while(|line| line.trim_end() != "---");
    let mut lines = head.skip_while(|line| line.split(':').next() != Some(key));
    let own = lines.next().and_then(|line| line.split_once(':'));
    let Some((_, own)) = own else {
        return Vec::new();
    };
    let own = own.trim();
    if !own.is_empty() {
        let inner = own.trim_matches(['[', ']']).split(',');
        return inner.map(bare).filter(|value| !value.is_empty()).collect();
    }
    let below = lines.map_while(|line| line.trim_start().strip_prefix("- "));
    below.map(bare).collect()
}

/// A value without quotes around it.
fn bare(value: &str) -> String {
    value.trim().trim_matches(['"', '\'']).into()
}

/// A value that YAML takes for text: as it is where nothing in it means something else.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    // `no` is a language, and false to YAML.
    let word = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && !["no", "yes", "on", "off", "true", "false", "null"].contains(&value);
    match word && value.chars().all(plain) {
        true => value.into(),
        false => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Front, quoted, values};

    const CARD: &str = "---\nlicense: mit\nlanguage:\n- zh\n- 'no'\nbase_model: \"a/b\"\ntags: [x, y]\n\
                        ---\nlicense: other\n";

    #[test]
    fn the_head_of_a_card_is_read() {
        assert_eq!(values(CARD, "license"), ["mit"]);
        assert_eq!(values(CARD, "language"), ["zh", "no"]);
        assert_eq!(values(CARD, "tags"), ["x", "y"]);
        assert_eq!(values(CARD, "base_model"), ["a/b"]);
        assert!(values(CARD, "datasets").is_empty());
        assert!(values("# no head\nlicense: mit\n", "license").is_empty());
    }

    #[test]
    fn what_is_written_reads_back() {
        let front = Front {
            language: vec!["zh".into(), "no".into()],
            license: Some("cc-by-4.0".into()),
            base_model: Some("句子: a".into()),
            base_license: None,
        };
        let text = format!("---\n{}---\n", front.lines());
        assert_eq!(values(&text, "language"), front.language);
        assert_eq!(values(&text, "license"), ["cc-by-4.0"]);
        assert!(
            text.contains("- \"no\"\n") && text.contains("base_model: \"句子: a\"\n"),
            "{text}"
        );
        assert_eq!(quoted("mit"), "mit");
        assert_eq!(Front::default().lines(), "");
    }
}
