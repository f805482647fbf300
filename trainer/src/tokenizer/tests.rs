//! Opening a tokenizer, what it says of itself, and texts whose tokens are known.

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::tokenizer::fixtures::{Folder, Variant, bert, encoded, expected, vocabulary, xlm};
use crate::tokenizer::{Encoded, NOWHERE, Scratch, Tokenizer};

const PLAIN: Variant = Variant {
    collapse: true,
    words: false,
    joiner: true,
};

/// The tokens of a text, and where they begin.
fn pieces(tokenizer: &Tokenizer, text: &str, length_max: usize) -> Vec<(String, u32)> {
    let out = encoded(tokenizer, text, length_max);
    let token = |id: &u32| tokenizer.token(*id).unwrap().to_owned();
    out.ids.iter().map(token).zip(out.starts).collect()
}

fn named(pieces: &[(&str, u32)]) -> Vec<(String, u32)> {
    pieces
        .iter()
        .map(|(token, start)| (String::from(*token), *start))
        .collect()
}

/// What is wrong with a folder, without the path of the folder.
fn complaint(folder: &Folder) -> String {
    let error = Tokenizer::open(folder.path()).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let message = error.to_string();
    let shown = message.strip_prefix(&folder.path().display().to_string());
    shown.unwrap_or_else(|| panic!("{message}")).to_owned()
}

#[test]
fn bert_cuts_as_bert_does() {
    let tokenizer = bert("").open();
    assert_eq!(tokenizer.kind(), "wordpiece");
    let cut = pieces(&tokenizer, "今天 Playing，CAFÉ 鬱 zzq", 512);
    let cls = ("[CLS]", NOWHERE);
    let sep = ("[SEP]", NOWHERE);
    let expected = [
        cls,
        ("今", 0),
        ("天", 3),
        ("play", 7),
        ("##ing", 11),
        ("，", 14),
        ("cafe", 17),
        ("[UNK]", 23),
        ("[UNK]", 27),
        sep,
    ];
    assert_eq!(cut, named(&expected));
    let cut = pieces(&tokenizer, "今[MASK]天", 512);
    let expected = [cls, ("今", 0), ("[MASK]", 3), ("天", 9), sep];
    assert_eq!(cut, named(&expected));
}

#[test]
fn unigram_cuts_as_sentencepiece_does() {
    let tokenizer = xlm(PLAIN).open();
    assert_eq!(tokenizer.kind(), "unigram");
    let cut = pieces(&tokenizer, "今天天气…  鬱鬱", 512);
    let expected = [
        ("<s>", NOWHERE),
        ("▁今天", 0),
        ("天气", 6),
        ("...", 12),
        ("▁", 16),
        ("<unk>", 17),
        ("</s>", NOWHERE),
    ];
    assert_eq!(cut, named(&expected));
}

#[test]
fn special_tokens_stay_when_a_text_is_cut() {
    let tokenizer = bert("").open();
    let lengths = (0..6).map(|length_max| pieces(&tokenizer, "今天气", length_max));
    let kept: Vec<String> = lengths
        .map(|pieces| pieces.into_iter().map(|piece| piece.0).collect())
        .collect();
    let bare = "[CLS][SEP]";
    let expected = [
        bare,
        bare,
        bare,
        "[CLS]今[SEP]",
        "[CLS]今天[SEP]",
        "[CLS]今天气[SEP]",
    ];
    assert_eq!(kept, expected);
    // A text of the reference is cut in the same way.
    let cut = pieces(&tokenizer, "今[MASK]天", 4);
    assert_eq!(cut.len(), 4);
    assert_eq!(cut[2].0, "[MASK]");
}

#[test]
fn texts_are_appended_one_after_the_other() {
    let tokenizer = bert("").open();
    let (mut scratch, mut out) = (Scratch::default(), Encoded::default());
    let texts = ["今天", "", "play\u{302e}", "[SEP]", "气"];
    let mut all = Encoded::default();
    for text in texts {
        let count = tokenizer.encode(text, 512, &mut scratch, &mut out);
        let alone = expected(&tokenizer, text, 512);
        assert_eq!(count, alone.ids.len(), "{text}");
        all.ids.extend(alone.ids);
        all.starts.extend(alone.starts);
    }
    assert_eq!(out, all);
    out.clear();
    assert_eq!(out, Encoded::default());
}

#[test]
fn says_what_its_tokens_are() {
    let tokenizer = bert("").open();
    assert_eq!(tokenizer.vocabulary(), vocabulary().len());
    assert_eq!(tokenizer.pad(), 0);
    let others = [
        tokenizer.unk(),
        tokenizer.cls(),
        tokenizer.sep(),
        tokenizer.mask(),
    ];
    assert_eq!(others, [Some(1), Some(2), Some(3), Some(4)]);
    assert!((0..5).all(|id| tokenizer.is_special(id)));
    assert!((5..1_000).all(|id| !tokenizer.is_special(id)));
    assert_eq!(tokenizer.token(5), Some("play"));
    assert_eq!(tokenizer.token(u32::MAX), None);

    let tokenizer = xlm(PLAIN).open();
    let (pad, mask) = (tokenizer.pad(), tokenizer.mask().unwrap());
    assert_eq!((pad, tokenizer.token(mask)), (1, Some("<mask>")));
    assert_eq!(tokenizer.vocabulary(), mask as usize + 1);
    assert!(tokenizer.is_special(mask) && !tokenizer.is_special(4));
}

#[test]
fn a_tokenizer_is_shared_by_threads() {
    fn shared(_: &(impl Send + Sync)) {}
    shared(&bert("").open());
}

#[test]
fn settings_beside_the_list_of_tokens_count() {
    let cut = |settings: &str, text: &str| {
        let pieces = pieces(&bert(settings).open(), text, 512);
        let tokens: Vec<String> = pieces.into_iter().map(|piece| piece.0).collect();
        tokens[1..tokens.len() - 1].join(" ")
    };
    assert_eq!(cut("", "Ab café"), "ab cafe");
    assert_eq!(cut(r#""do_lower_case": false"#, "Ab café"), "[UNK] café");
    assert_eq!(cut(r#""strip_accents": false"#, "AB CAFÉ"), "ab café");
    assert_eq!(cut(r#""tokenize_chinese_chars": false"#, "今天か"), "[UNK]");
    let renamed = r#""mask_token": {"content": "[UNK]"}, "strip_accents": null"#;
    assert_eq!(bert(renamed).open().mask(), Some(1));
}

#[test]
fn a_folder_and_its_file_are_the_same() {
    let from_list = bert("").open();
    let saved = bert("");
    let json = saved.path().join("tokenizer.json");
    from_list.reference().tokenizer().save(&json, true).unwrap();
    std::fs::write(saved.path().join("vocab.txt"), "not read").unwrap();
    for tokenizer in [saved.open(), Tokenizer::open(&json).unwrap()] {
        assert_eq!(tokenizer.kind(), "wordpiece");
        let text = "今天 unaffable [MASK] 😀";
        assert_eq!(encoded(&tokenizer, text, 9), encoded(&from_list, text, 9));
    }
    let file = bert("");
    assert!(Tokenizer::open(&file.path().join("vocab.txt")).is_ok());
}

#[test]
fn truncation_and_padding_of_the_file_do_not_count() {
    let mut tokenizer = bert("").open().reference().tokenizer().clone();
    let truncation = tokenizers::TruncationParams {
        max_length: 3,
        ..Default::default()
    };
    tokenizer.with_truncation(Some(truncation)).unwrap();
    tokenizer.with_padding(Some(tokenizers::PaddingParams::default()));
    let folder = Folder::new();
    tokenizer
        .save(folder.path().join("tokenizer.json"), false)
        .unwrap();
    assert_eq!(encoded(&folder.open(), "今天[MASK]气", 512).ids.len(), 6);
    assert_eq!(encoded(&folder.open(), "今天气", 512).ids.len(), 5);
}

#[test]
fn another_tokenizer_goes_to_the_crate() {
    let vocabulary: Vec<(String, u32)> = (0..=255u8)
        .map(|byte| (byte, u32::from(byte)))
        .filter_map(|(byte, id)| Some((char::from_u32(u32::from(byte) + 256)?.to_string(), id)))
        .chain(
            [
                ("a", 300),
                ("b", 301),
                ("ab", 302),
                ("Ġ", 303),
                ("<pad>", 304),
            ]
            .map(|(token, id)| (token.to_owned(), id)),
        )
        .collect();
    let merges = vec![("a".to_owned(), "b".to_owned())];
    let model = BPE::builder().vocab_and_merges(
        vocabulary
            .into_iter()
            .collect::<tokenizers::models::bpe::Vocab>(),
        merges,
    );
    let mut tokenizer = tokenizers::Tokenizer::new(model.build().unwrap());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::default()));
    let folder = Folder::new();
    tokenizer
        .save(folder.path().join("tokenizer.json"), false)
        .unwrap();
    let tokenizer = folder.open();
    assert_eq!(tokenizer.kind(), "tokenizers");
    assert_eq!(
        (tokenizer.pad(), tokenizer.cls(), tokenizer.unk()),
        (304, None, None)
    );
    let cut = pieces(&tokenizer, "ab a", 512);
    assert_eq!(cut, named(&[("Ġ", 0), ("ab", 0), ("Ġ", 2), ("a", 3)]));
    assert_eq!(encoded(&tokenizer, "ab a", 2).ids.len(), 2);
}

#[test]
fn added_tokens_found_after_normalization_go_to_the_crate() {
    let mut tokenizer = bert("").open().reference().tokenizer().clone();
    tokenizer
        .add_tokens([tokenizers::AddedToken::from("今天", false)])
        .unwrap();
    let folder = Folder::new();
    tokenizer
        .save(folder.path().join("tokenizer.json"), false)
        .unwrap();
    let tokenizer = folder.open();
    assert_eq!(tokenizer.kind(), "tokenizers");
    assert_eq!(
        encoded(&tokenizer, "今天气", 512),
        expected(&tokenizer, "今天气", 512)
    );
}

#[test]
fn complaints_name_the_file_and_what_is_expected() {
    let place = Folder::new();
    let missing = Tokenizer::open(&place.path().join("none")).unwrap_err();
    assert!(
        missing.to_string().contains("none: No such file"),
        "{missing}"
    );
    assert_eq!(
        complaint(&place),
        ": has neither tokenizer.json nor vocab.txt; a Hugging Face folder has one"
    );
    let cases = [
        ("tokenizer.json", "{", "not valid JSON: EOF"),
        ("tokenizer.json", "{}", "has no table `model`"),
        (
            "tokenizer.json",
            r#"{"model": {"type": "None"}}"#,
            "can read: ",
        ),
        ("vocab.txt", "", "the vocabulary has no [UNK]; expected one"),
        ("vocab.txt", "[UNK]", "the vocabulary has no [PAD]"),
        (
            "vocab.txt",
            "[UNK]\n[PAD]\n[SEP]",
            "no [CLS]; expected one, or its name as `cls_token`",
        ),
        ("vocab.txt", "[UNK]\n[PAD]\n[CLS]", "no [SEP]"),
        ("tokenizer_config.json", "[", "not valid JSON"),
        ("special_tokens_map.json", "]", "not valid JSON"),
        (
            "tokenizer_config.json",
            r#"{"do_lower_case": 1}"#,
            "do_lower_case: 1; expected true, false or null",
        ),
    ];
    for (name, content, expected) in cases {
        let folder = Folder::new().with("vocab.txt", &vocabulary().join("\n"));
        let told = complaint(&folder.with(name, content));
        assert!(told.starts_with(&format!("/{name}: ")), "{told}");
        assert!(told.contains(expected), "{told}");
    }
    let other = Folder::new().with("tokens.bin", "");
    let error = Tokenizer::open(&other.path().join("tokens.bin")).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("expected a folder, tokenizer.json or vocab.txt")
    );
}

#[test]
fn a_saved_model_must_have_its_special_tokens() {
    let saved = |change: &dyn Fn(&mut serde_json::Value)| {
        let text = bert("")
            .open()
            .reference()
            .tokenizer()
            .to_string(false)
            .unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["added_tokens"] = serde_json::json!([]);
        change(&mut value);
        Folder::new().with("tokenizer.json", &value.to_string())
    };
    let without = |name: &'static str| {
        let folder = saved(&|value| {
            value["model"]["vocab"]
                .as_object_mut()
                .unwrap()
                .remove(name);
        });
        complaint(&folder)
    };
    assert!(without("[UNK]").contains("no [UNK], its `unk_token`"));
    for name in ["[PAD]", "[CLS]", "[SEP]"] {
        assert!(without(name).contains(&format!("the vocabulary has no {name}; expected one")));
    }
    let huge = saved(&|value| value["model"]["vocab"]["play"] = serde_json::json!(u32::MAX));
    assert!(complaint(&huge).contains("expected at most"));
}
