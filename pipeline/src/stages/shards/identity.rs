//! Identity of a record: the hash of its kind and its normalised strings.

use juzi_schemas::record::Kind;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::plan::Profile;

/// Makes ids; holds memory that is reused.
#[derive(Clone, Debug)]
pub struct Identity {
    folds: bool,
    folded: String,
}

impl Identity {
    /// Profile `luse` compares text as it is; else ASCII case and white space make no difference.
    pub fn new(profile: Profile) -> Identity {
        Identity {
            folds: profile == Profile::Default,
            folded: String::new(),
        }
    }

    /// Id of a record: the same on every machine and in every run.
    pub fn of(&mut self, kind: Kind, texts: &[&str]) -> u128 {
        let seed = kind as u64 + 1;
        if let [text] = texts
            && !(self.folds
                && text
                    .bytes()
                    .any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_whitespace()))
        {
            return xxh3_128_with_seed(text.as_bytes(), seed);
        }
        self.folded.clear();
        for (number, text) in texts.iter().enumerate() {
            if number > 0 {
                self.folded.push('\u{1f}');
            }
            match self.folds {
                true => self.folded.extend(
                    text.chars()
                        .filter(|c| !c.is_ascii_whitespace())
                        .map(|c| c.to_ascii_lowercase()),
                ),
                false => self.folded.push_str(text),
            }
        }
        xxh3_128_with_seed(self.folded.as_bytes(), seed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Kind, Profile};

    #[test]
    fn what_makes_a_difference() {
        let (mut luse, mut default) = (
            Identity::new(Profile::Luse),
            Identity::new(Profile::Default),
        );
        let id = |identity: &mut Identity, text: &str| identity.of(Kind::Text, &[text]);
        assert_eq!(
            id(&mut default, "用 GPU 训练"),
            id(&mut default, "用gpu训练")
        );
        assert_ne!(id(&mut luse, "用 GPU 训练"), id(&mut luse, "用gpu训练"));
        assert_ne!(id(&mut default, "训练"), id(&mut default, "训练。"));
        assert_eq!(id(&mut default, "训练"), id(&mut luse, "训练"));
        assert_ne!(
            default.of(Kind::Text, &["甲"]),
            default.of(Kind::Pair, &["甲"])
        );
        assert_ne!(
            default.of(Kind::Pair, &["甲乙", "丙"]),
            default.of(Kind::Pair, &["甲", "乙丙"])
        );
    }

    #[test]
    fn golden_ids_do_not_move() {
        // Ids stand in published datasets.
        let id = Identity::new(Profile::Default).of(Kind::Text, &["句子"]);
        assert_eq!(format!("{id:032x}"), "57d3a4a14e82f402c1515b9efd960b7e");
    }
}
