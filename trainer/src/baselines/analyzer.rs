//! The terms of a text that baselines count: of Han writing characters and bigrams, else words.

use unicode_segmentation::UnicodeSegmentation;

/// Whether a character is Han: an ideograph, or one of the two signs that stand for one.
pub fn is_han(character: char) -> bool {
    matches!(
        character as u32,
        0x3005 | 0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff
    )
}

/// The runs of a text that are Han or are not, in order.
pub fn runs(text: &str) -> Vec<(&str, bool)> {
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let han = is_han(first);
        let end = rest.find(|character| is_han(character) != han);
        let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
        runs.push((run, han));
        rest = after;
    }
    runs
}

/// The terms of a text in order, each as often as it is there. Nobody segments Chinese here: a
/// bigram finds most words, a character the rest. Other words are those of Unicode Standard Annex 29.
pub fn terms(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let mut terms = Vec::new();
    for (run, han) in runs(&text) {
        if !han {
            terms.extend(run.unicode_words().map(String::from));
            continue;
        }
        let characters: Vec<char> = run.chars().collect();
        terms.extend(characters.iter().map(char::to_string));
        let bigrams = characters.windows(2);
        terms.extend(bigrams.map(|two| two.iter().collect::<String>()));
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::terms;

    #[test]
    fn han_by_characters_and_bigrams_the_rest_by_words() {
        assert_eq!(terms("买GPU吗？"), ["买", "gpu", "吗"]);
        assert_eq!(
            terms("人寿保险, it's 3.5 A"),
            [
                "人", "寿", "保", "险", "人寿", "寿保", "保险", "it's", "3.5", "a"
            ]
        );
        assert!(terms("？！ \n").is_empty());
    }
}
