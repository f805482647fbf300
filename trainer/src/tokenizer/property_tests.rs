//! The laws of the fast paths: the same tokens and the same places as the reference, for any text.

use std::sync::LazyLock;

use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use crate::tokenizer::Tokenizer;
use crate::tokenizer::fixtures::{Variant, bert, encoded, expected, texts, xlm};

/// BERT's tokenizer with every setting that changes characters.
static BERTS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let settings = [
        r#""do_lower_case": true"#,
        r#""do_lower_case": false"#,
        r#""do_lower_case": true, "strip_accents": false"#,
        r#""do_lower_case": false, "strip_accents": true"#,
        r#""do_lower_case": true, "tokenize_chinese_chars": false"#,
        r#""do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false"#,
    ];
    settings
        .iter()
        .map(|settings| bert(settings).open())
        .collect()
});

static XLMS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let switches = [false, true];
    let variants = (0..8).map(|number| Variant {
        collapse: switches[number & 1],
        words: switches[number >> 1 & 1],
        joiner: switches[number >> 2],
    });
    variants.map(|variant| xlm(variant).open()).collect()
});

#[test]
fn the_fast_paths_are_taken() {
    assert!(
        BERTS
            .iter()
            .all(|tokenizer| tokenizer.kind() == "wordpiece")
    );
    assert!(XLMS.iter().all(|tokenizer| tokenizer.kind() == "unigram"));
}

/// Each character alone, behind a letter and before a mark: what a table of characters can miss.
#[test]
fn every_character_there_is() {
    let all: Vec<char> = (0..=0x10_ffff).filter_map(char::from_u32).collect();
    let chosen = [&BERTS[0], &BERTS[3], &XLMS[1]];
    for tokenizer in chosen {
        for character in all
            .iter()
            .filter(|&&character| (character as u32) < 0x3_2400)
        {
            let text = format!("a{character}b\u{301}");
            let ours = encoded(tokenizer, &text, 512);
            let reference = tokenizer
                .reference()
                .tokenizer()
                .encode(&*text, false)
                .unwrap();
            let ids = &ours.ids[1..ours.ids.len() - 1];
            let starts = reference.get_offsets().iter().map(|offset| offset.0 as u32);
            assert_eq!(
                ids,
                reference.get_ids(),
                "{character:?} {}",
                tokenizer.kind()
            );
            assert!(
                starts.eq(ours.starts[1..ours.starts.len() - 1].iter().copied()),
                "{character:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn bert_is_as_the_reference(text in texts(), length_max in 2usize..40) {
        for (number, tokenizer) in BERTS.iter().enumerate() {
            for length_max in [length_max, 512] {
                let ours = encoded(tokenizer, &text, length_max);
                prop_assert_eq!(ours, expected(tokenizer, &text, length_max), "{}: {:?}", number, text);
            }
        }
    }

    #[test]
    fn unigram_is_as_the_reference(text in texts(), length_max in 2usize..40) {
        for (number, tokenizer) in XLMS.iter().enumerate() {
            for length_max in [length_max, 512] {
                let ours = encoded(tokenizer, &text, length_max);
                prop_assert_eq!(ours, expected(tokenizer, &text, length_max), "{}: {:?}", number, text);
            }
        }
    }
}
