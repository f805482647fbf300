//! Small tokenizers for tests, and texts that ask much of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::char::range;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::{Precompiled, Replace, Sequence};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, NormalizerWrapper};

use crate::tokenizer::{Encoded, NOWHERE, Scratch, Tokenizer};

/// A directory that goes away with the test.
pub struct Folder(PathBuf);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Folder {
    pub fn new() -> Folder {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("juzi-tokenizer-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub fn with(self, name: &str, content: &str) -> Folder {
        std::fs::write(self.0.join(name), content).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn open(&self) -> Tokenizer {
        Tokenizer::open(self.path()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// BERT's list of tokens, very short.
pub fn vocabulary() -> Vec<String> {
    let mut tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .map(String::from)
        .to_vec();
    let whole = [
        "play", "the", "un", "aff", "able", "cafe", "café", "résumé", "😀", "“", "…", "##", "é",
        "\u{1112}", "\u{1103}", "한", "ひ", "か", "が", "ab", "abc", "a", "2", "20", "200", "平成",
    ];
    tokens.extend(whole.map(String::from));
    let inside = [
        "##ing",
        "##ed",
        "##able",
        "##aff",
        "##\u{1161}",
        "##\u{11ab}",
        "##\u{301}",
        "##か",
        "##😀",
        "##글",
        "##c",
        "##cd",
        "##é",
        "##00",
        "###",
        "##a",
        "##\u{302e}",
        "##\u{16ff0}",
        "##\u{1d165}",
    ];
    tokens.extend(inside.map(String::from));
    tokens.extend("bcdepuxyzÀ".chars().map(String::from));
    tokens.extend(
        "bdefgilnpxyz013"
            .chars()
            .map(|letter| format!("##{letter}")),
    );
    tokens.extend(
        "今天气很好我们学习机器的一不，。！？[]()-'\"#.,:/"
            .chars()
            .map(String::from),
    );
    tokens
}

/// A folder with BERT's files; the settings are the inside of a JSON object.
pub fn bert(settings: &str) -> Folder {
    Folder::new()
        .with("vocab.txt", &vocabulary().join("\n"))
        .with("tokenizer_config.json", &format!("{{{settings}}}"))
}

/// What the small map makes of what.
const MAP: [(&str, &str); 13] = [
    ("½", "1b"),
    ("\t", " "),
    ("\n", " "),
    ("\u{3000}", " "),
    ("\u{1}", ""),
    ("\u{ad}", ""),
    ("Ａ", "A"),
    ("，", ","),
    ("…", "..."),
    ("㍻", "平成"),
    ("¨", " \u{308}"),
    ("e\u{301}", "é"),
    ("\u{feff}", ""),
];

/// SentencePiece's map: the bytes of a double array, then the replacements.
fn charsmap() -> Precompiled {
    let mut replacements = String::new();
    let mut nodes: Vec<(BTreeMap<u8, usize>, Option<usize>)> = vec![(BTreeMap::new(), None)];
    for (from, to) in MAP {
        let mut node = 0;
        for byte in from.bytes() {
            let next = nodes.len();
            let child = *nodes[node].0.entry(byte).or_insert(next);
            if child == next {
                nodes.push((BTreeMap::new(), None));
            }
            node = child;
        }
        nodes[node].1 = Some(replacements.len());
        replacements.push_str(to);
        replacements.push('\0');
    }
    // Every node has a block of 256 places for its children, behind the root's own.
    let mut units = vec![0u32; 256 * (nodes.len() + 1)];
    let block = |node: usize| 256 * (node + 1);
    units[0] = (block(0) as u32) << 10;
    for (number, (children, value)) in nodes.iter().enumerate() {
        if let Some(value) = value {
            units[block(number)] = 1 << 31 | *value as u32;
        }
        for (&byte, &child) in children {
            let place = block(number) + usize::from(byte);
            let leaf = u32::from(nodes[child].1.is_some()) << 8;
            units[place] = u32::from(byte) | leaf | ((place ^ block(child)) as u32) << 10;
        }
    }
    let mut bytes = (units.len() as u32 * 4).to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.extend(replacements.bytes());
    Precompiled::from(&bytes).unwrap()
}

/// How a small Unigram differs from another.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub collapse: bool,
    pub words: bool,
    pub joiner: bool,
}

/// A folder with a small tokenizer as XLM-R has it.
pub fn xlm(variant: Variant) -> Folder {
    let pieces = [
        ("<s>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -2.0),
        ("▁a", -3.0),
        ("a", -2.5),
        ("b", -2.5),
        ("ab", -5.0),
        ("bc", -4.0),
        ("abc", -7.5),
        ("c", -2.5),
        ("今", -4.0),
        ("天", -4.0),
        ("今天", -8.0),
        ("天气", -6.0),
        ("气", -4.0),
        ("▁今天", -9.0),
        (",", -3.0),
        (".", -3.5),
        ("..", -5.0),
        ("...", -8.0),
        ("平", -6.0),
        ("平成", -7.0),
        ("▁▁", -3.0),
        ("é", -5.0),
        ("A", -4.0),
        ("😀", -6.0),
        ("한", -6.0),
        ("abcab", -11.0),
    ];
    let pieces = pieces
        .map(|(piece, score)| (piece.to_owned(), score))
        .to_vec();
    let mut tokenizer = tokenizers::Tokenizer::new(Unigram::from(pieces, Some(3), false).unwrap());
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if variant.joiner {
        steps.push(Replace::new("\u{200d}", " ").unwrap().into());
    }
    steps.push(charsmap().into());
    if variant.collapse {
        let runs = tokenizers::normalizers::replace::ReplacePattern::Regex(" {2,}".to_owned());
        steps.push(Replace::new(runs, " ").unwrap().into());
    }
    tokenizer
        .with_normalizer(Some(Sequence::new(steps)))
        .unwrap();
    let metaspace = Metaspace::new('▁', PrependScheme::Always, true);
    let mut split: Vec<PreTokenizerWrapper> = Vec::new();
    if variant.words {
        split.push(WhitespaceSplit.into());
        split.push(metaspace.into());
        tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(split)));
    } else {
        tokenizer.with_pre_tokenizer(Some(metaspace));
    }
    let special = ["<s>", "<pad>", "</s>", "<unk>"].map(|name| AddedToken::from(name, true));
    tokenizer.add_special_tokens(special).unwrap();
    let mask = AddedToken::from("<mask>", true).lstrip(true);
    tokenizer.add_special_tokens([mask]).unwrap();
    let template = TemplateProcessing::builder()
        .try_single("<s> $A </s>")
        .unwrap()
        .special_tokens(vec![("<s>", 0), ("</s>", 2)])
        .build()
        .unwrap();
    tokenizer.with_post_processor(Some(template));
    let folder = Folder::new();
    tokenizer
        .save(folder.path().join("tokenizer.json"), false)
        .unwrap();
    folder
}

/// What a tokenizer makes of one text.
pub fn encoded(tokenizer: &Tokenizer, text: &str, length_max: usize) -> Encoded {
    let (mut scratch, mut out) = (Scratch::default(), Encoded::default());
    let count = tokenizer.encode(text, length_max, &mut scratch, &mut out);
    assert!(scratch.failure().is_none(), "{text:?}");
    assert_eq!(count, out.ids.len());
    out
}

/// What the crate itself makes of it, truncated by the crate itself.
pub fn expected(tokenizer: &Tokenizer, text: &str, length_max: usize) -> Encoded {
    let mut reference = tokenizer.reference().tokenizer().clone();
    let truncation = tokenizers::TruncationParams {
        max_length: length_max,
        ..Default::default()
    };
    reference.with_truncation(Some(truncation)).unwrap();
    let encoding = reference.encode(text, true).unwrap();
    let special = encoding.get_special_tokens_mask();
    let starts = encoding.get_offsets().iter().zip(special);
    Encoded {
        ids: encoding.get_ids().to_vec(),
        starts: starts
            .map(|(&(start, _), &special)| if special == 1 { NOWHERE } else { start as u32 })
            .collect(),
    }
}

/// Texts of all that has ever made a tokenizer stumble.
pub fn texts() -> impl Strategy<Value = String> {
    let words = [
        "play",
        "playing",
        "unaffable",
        "CAFÉ",
        "cafe\u{301}",
        "résumé",
        "今天",
        "天气很好",
        "，",
        "。",
        "한글",
        "ひらがな",
        "が",
        "か\u{3099}",
        "[SEP]",
        "[MASK]",
        "[CLS]",
        "[",
        "##ing",
        "<s>",
        "<mask>",
        " <mask>",
        "<unk>",
        "<",
        "▁",
        "▁▁",
        "abcabc",
        "ab",
        "…",
        "㍻",
        "Ａ",
        "20000",
        "İ",
        "ß",
        "ẞ",
        "ﬁ",
        "Ⅷ",
        "½",
        "½\u{1}",
        "a\u{302e}\u{1d165}",
        "ab\u{302e}\u{16ff0}",
    ];
    let signs = [
        ' ',
        ' ',
        ' ',
        '\t',
        '\n',
        '\r',
        '\u{a0}',
        '\u{3000}',
        '\u{2003}',
        '\u{2028}',
        '\u{85}',
        '\u{0}',
        '\u{1}',
        '\u{7f}',
        '\u{9f}',
        '\u{ad}',
        '\u{feff}',
        '\u{fffd}',
        '\u{200b}',
        '\u{200d}',
        '\u{fe0f}',
        '\u{200c}',
        '\u{301}',
        '\u{323}',
        '\u{345}',
        '\u{344}',
        '\u{308}',
        '\u{3099}',
        '\u{302e}',
        '\u{1d165}',
        '\u{1d15e}',
        '\u{16ff0}',
        '\u{903}',
        '\u{e33}',
        '\u{600}',
        '\u{1100}',
        '\u{1161}',
        '\u{11a8}',
        '한',
        '각',
        '😀',
        '👩',
        '🏽',
        '\u{1f1e8}',
        '\u{1f1f3}',
        '\u{e000}',
        '\u{f8ff}',
        '\u{d7ff}',
        '\u{10ffff}',
        '\u{10000}',
        '\u{e0101}',
        '豈',
        '𠀀',
        '\u{2f800}',
        '〇',
        '々',
        '¨',
        '＇',
        '！',
        'ｆ',
        '\u{378}',
        '\u{1f96f}',
    ];
    let fragment = prop_oneof![
        4 => select(words.to_vec()).prop_map(String::from).boxed(),
        4 => select(signs.to_vec()).prop_map(String::from).boxed(),
        2 => "[a-zA-Z ]{1,6}".boxed(),
        1 => any::<char>().prop_map(String::from).boxed(),
        1 => range('\u{80}', '\u{3100}').prop_map(String::from).boxed(),
        1 => range('一', '龥').prop_map(String::from).boxed(),
        1 => (95usize..110).prop_map(|length| "a".repeat(length)).boxed(),
        1 => Just(String::from("，今天 ")).boxed(),
    ];
    vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
}
