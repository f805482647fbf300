//! A dictionary of synonyms in the format of Cilin (同义词词林): a line is a group of words.
//!
//! ```text
//! Aa01A01= word word …     synonyms
//! Aa01B03# word word …     words of one kind, related but not synonyms
//! Aa01C05@ word            a word that stands alone
//! ```
//! The code before the mark may be any ASCII letters and digits. Empty lines do not count, nor do lines that
//! begin with `#`. A word repeated within a line counts once.

use std::path::Path;

use encoding_rs::GB18030;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

/// What a dictionary says of two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Some `=` line holds both, or they are one word.
    Synonym,
    /// No `=` line holds both, but some `#` line does.
    Related,
    /// No line holds both, or the dictionary does not know them.
    None,
}

/// What the words of a line are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Synonyms,
    Related,
    Alone,
}

/// A dictionary in memory: flat arrays and one hash table. 18,000 lines of 77,000 words take 3 MB.
#[derive(Debug, Default)]
pub struct Dictionary {
    /// All words one after another; word w ends at `ends[w]`.
    texts: String,
    ends: Vec<u32>,
    /// Open addressing: number of a word plus one, 0 where free. The length is a power of two.
    slots: Vec<u32>,
    kinds: Vec<Kind>,
    /// The words of each line, in the order of the file, and where each line ends.
    members: Vec<u32>,
    line_ends: Vec<u32>,
    /// The lines of each word, ascending, and where each word's lines end.
    lines: Vec<u32>,
    word_ends: Vec<u32>,
}

/// A word of a [`Dictionary`], as found by [`Dictionary::find`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry(u32);

impl Dictionary {
    /// Reads a file in UTF-8 or GB18030 (and so GBK, GB2312), with or without a byte order mark.
    ///
    /// # Errors
    /// The file cannot be read; see [`Dictionary::parse`].
    pub fn open(path: &Path) -> Result<Dictionary> {
        let bytes = std::fs::read(path).map_err(Error::input(path))?;
        Self::parse(&bytes, path)
    }

    /// Reads the content of a file; `path` is for messages.
    ///
    /// # Errors
    /// The encoding is another one, a line is not of the format, or there is no line.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Dictionary> {
        let content = |message| Error::Content {
            path: path.into(),
            message,
        };
        if bytes.len() > u32::MAX as usize / 2 {
            return Err(content("more than 2 GiB; that is no dictionary".into()));
        }
        let text = decode(bytes).map_err(content)?;
        let mut builder = Builder::default();
        for (number, line) in text.lines().enumerate() {
            builder
                .push(line)
                .map_err(|message| content(format!("line {}: {message}", number + 1)))?;
        }
        if builder.dictionary.kinds.is_empty() {
            let accepted = "it has no line; a line is `Aa01A01= word word`";
            return Err(content(accepted.into()));
        }
        Ok(builder.finish())
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.ends.len()
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.kinds.len()
    }

    /// True when some line holds the word.
    pub fn known(&self, word: &str) -> bool {
        self.find(word).is_some()
    }

    /// The entry of a word.
    pub fn find(&self, word: &str) -> Option<Entry> {
        self.slot(word).ok()
    }

    /// What two words are to each other.
    pub fn relation(&self, first: &str, second: &str) -> Relation {
        match (self.find(first), self.find(second)) {
            (Some(first), Some(second)) => self.relation_of(first, second),
            _ => Relation::None,
        }
    }

    /// What two entries are to each other.
    pub fn relation_of(&self, first: Entry, second: Entry) -> Relation {
        if first == second {
            return Relation::Synonym;
        }
        let (of_first, of_second) = (self.lines_of(first), self.lines_of(second));
        let mut relation = Relation::None;
        for line in of_first.iter().filter(|line| of_second.contains(line)) {
            match self.kinds[*line as usize] {
                Kind::Synonyms => return Relation::Synonym,
                Kind::Related => relation = Relation::Related,
                Kind::Alone => {}
            }
        }
        relation
    }

    /// The words of all `=` lines that hold `word`, in the order of the file, each once and without `word`.
    pub fn synonyms(&self, word: &str) -> impl Iterator<Item = &str> {
        let entry = self.find(word);
        let lines = entry.map_or(&[][..], |entry| self.lines_of(entry));
        let lines = lines
            .iter()
            .filter(|&&line| self.kinds[line as usize] == Kind::Synonyms);
        let all = move || lines.clone().flat_map(|&line| self.members_of(line));
        let mut seen = Vec::new();
        for &member in all() {
            if entry != Some(Entry(member)) && !seen.contains(&member) {
                seen.push(member);
            }
        }
        seen.into_iter().map(|member| self.text(Entry(member)))
    }

    /// The word of an entry.
    pub fn text(&self, entry: Entry) -> &str {
        let range = range(&self.ends, entry.0);
        &self.texts[range]
    }

    fn lines_of(&self, entry: Entry) -> &[u32] {
        &self.lines[range(&self.word_ends, entry.0)]
    }

    fn members_of(&self, line: u32) -> &[u32] {
        &self.members[range(&self.line_ends, line)]
    }

    /// The entry of a word, or the free slot where it would be.
    fn slot(&self, word: &str) -> std::result::Result<Entry, usize> {
        if self.slots.is_empty() {
            return Err(0);
        }
        let mask = self.slots.len() - 1;
        let mut at = xxh3_64(word.as_bytes()) as usize & mask;
        loop {
            match self.slots[at] {
                0 => return Err(at),
                entry if self.text(Entry(entry - 1)) == word => return Ok(Entry(entry - 1)),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

/// The part of a flat array that belongs to `number`, when part n ends at `ends[n]`.
fn range(ends: &[u32], number: u32) -> std::ops::Range<usize> {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    start as usize..ends[number] as usize
}

#[derive(Default)]
struct Builder {
    dictionary: Dictionary,
}

impl Builder {
    fn push(&mut self, line: &str) -> std::result::Result<(), String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let code = words.next().unwrap_or_default();
        let accepted = "a line is a code that ends with = (synonyms), # (related) or @ (alone), then words, \
                        with spaces between them: `Aa01A01= word word`";
        let kind = match code.as_bytes() {
            [code @ .., mark] if !code.is_empty() && code.iter().all(u8::is_ascii_alphanumeric) => {
                match mark {
                    b'=' => Some(Kind::Synonyms),
                    b'#' => Some(Kind::Related),
                    b'@' => Some(Kind::Alone),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some(kind) = kind else {
            let start: String = code.chars().take(20).collect();
            return Err(format!("it begins with `{start}`; {accepted}"));
        };
        let dictionary = &mut self.dictionary;
        let start = dictionary.members.len();
        for word in words {
            let Entry(word) = dictionary.intern(word);
            if !dictionary.members[start..].contains(&word) {
                dictionary.members.push(word);
            }
        }
        if dictionary.members.len() == start {
            return Err(format!("no word after `{code}`; {accepted}"));
        }
        dictionary.kinds.push(kind);
        dictionary.line_ends.push(dictionary.members.len() as u32);
        Ok(())
    }

    fn finish(self) -> Dictionary {
        let mut dictionary = self.dictionary;
        let words = dictionary.words();
        let mut counts = vec![0u32; words];
        for &member in &dictionary.members {
            counts[member as usize] += 1;
        }
        let mut end = 0;
        let mut next = Vec::with_capacity(words);
        for count in counts {
            next.push(end as usize);
            end += count;
            dictionary.word_ends.push(end);
        }
        dictionary.lines = vec![0; dictionary.members.len()];
        for line in 0..dictionary.kinds.len() as u32 {
            for at in range(&dictionary.line_ends, line) {
                let word = dictionary.members[at] as usize;
                dictionary.lines[next[word]] = line;
                next[word] += 1;
            }
        }
        dictionary
    }
}

impl Dictionary {
    /// The entry of a word, which is added if it is not there.
    fn intern(&mut self, word: &str) -> Entry {
        if self.slots.len() < (self.ends.len() + 1) * 2 {
            self.grow();
        }
        match self.slot(word) {
            Ok(entry) => entry,
            Err(free) => {
                self.texts.push_str(word);
                self.ends.push(self.texts.len() as u32);
                self.slots[free] = self.ends.len() as u32;
                Entry(self.ends.len() as u32 - 1)
            }
        }
    }

    fn grow(&mut self) {
        self.slots = vec![0; (self.slots.len() * 2).max(16)];
        for number in 0..self.ends.len() as u32 {
            if let Err(free) = self.slot(self.text(Entry(number))) {
                self.slots[free] = number + 1;
            }
        }
    }
}

/// The text of a file in UTF-8 or GB18030.
///
/// Almost any bytes are some GB18030, so a file of which most lines are UTF-8 is UTF-8 with damage.
fn decode(bytes: &[u8]) -> std::result::Result<String, String> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let Err(error) = std::str::from_utf8(bytes) else {
        return Ok(String::from_utf8_lossy(bytes).into_owned());
    };
    let line = |at: usize| 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
    let place = line(error.valid_up_to());
    let foreign = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_ascii());
    let (whole, all) = foreign.fold((0, 0), |(whole, all), line| {
        (
            whole + usize::from(std::str::from_utf8(line).is_ok()),
            all + 1,
        )
    });
    if whole * 2 > all {
        return Err(format!(
            "line {place}: not valid UTF-8, as most other lines are; mend it or write the file again"
        ));
    }
    GB18030
        .decode_without_bom_handling_and_without_replacement(bytes)
        .map(|text| text.into_owned())
        .ok_or_else(|| {
            format!("neither UTF-8 (damaged at line {place}) nor GB18030 (GBK, GB2312); save it in one of these")
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use encoding_rs::GB18030;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Dictionary, Relation};

    const SMALL: &str = "\
Aa01A01= 喜悦 欢喜 高兴
Aa01A02= 高兴 乐意
Aa01B01# 苹果 梨 桃
Aa01B02# 苹果 高兴 乐意
Aa01C01@ 独一
";

    fn parse(bytes: impl AsRef<[u8]>) -> Result<Dictionary, String> {
        let path = Path::new("words.txt");
        Dictionary::parse(bytes.as_ref(), path).map_err(|error| error.to_string())
    }

    fn check(dictionary: &Dictionary) {
        let relation = |one: &str, other: &str| {
            let relation = dictionary.relation(one, other);
            assert_eq!(dictionary.relation(other, one), relation);
            relation
        };
        assert_eq!((dictionary.lines(), dictionary.words()), (5, 8));
        assert_eq!(relation("喜悦", "高兴"), Relation::Synonym);
        assert_eq!(relation("喜悦", "乐意"), Relation::None);
        assert_eq!(
            relation("高兴", "乐意"),
            Relation::Synonym,
            "a `=` line outweighs a `#` line"
        );
        assert_eq!(relation("苹果", "梨"), Relation::Related);
        assert_eq!(relation("苹果", "高兴"), Relation::Related);
        assert_eq!(relation("独一", "梨"), Relation::None);
        assert_eq!(relation("独一", "独一"), Relation::Synonym);
        assert_eq!(relation("没有", "没有"), Relation::None);
        let synonyms = |word: &str| {
            dictionary
                .synonyms(word)
                .map(String::from)
                .collect::<Vec<_>>()
        };
        assert_eq!(synonyms("高兴"), ["喜悦", "欢喜", "乐意"]);
        assert_eq!(synonyms("苹果"), Vec::<String>::new());
        assert_eq!(synonyms("没有"), Vec::<String>::new());
        assert!(dictionary.known("独一") && !dictionary.known("") && !dictionary.known("高"));
    }

    #[test]
    fn golden() {
        check(&parse(SMALL).unwrap());
    }

    #[test]
    fn encodings_marks_and_ends_of_lines() {
        check(&parse(format!("\u{FEFF}{SMALL}")).unwrap());
        check(&parse(SMALL.replace('\n', "\r\n")).unwrap());
        check(&parse(format!("# a note\n\n{}", SMALL.replace(' ', "\t "))).unwrap());
        check(&parse(GB18030.encode(SMALL).0).unwrap());
        check(&parse(SMALL.trim_end()).unwrap());
        let twice = parse("A= 好 好 佳").unwrap();
        assert_eq!(twice.synonyms("好").collect::<Vec<_>>(), ["佳"]);
    }

    #[test]
    fn errors_name_file_line_and_what_is_accepted() {
        let mut damaged = SMALL.as_bytes().to_vec();
        let end = damaged.len() - 4;
        damaged[end] = b'?';
        let cases: [(&[u8], &[&str]); 8] = [
            (
                "Aa= 好 佳\n好 佳".as_bytes(),
                &["words.txt", "line 2", "`好`", "Aa01A01= word word"],
            ),
            (b"Aa01A01 w x", &["line 1", "`Aa01A01`", "= (synonyms)"]),
            (
                "\n\nAa01A01=好 佳".as_bytes(),
                &["line 3", "spaces between"],
            ),
            (b"Aa01A01=", &["line 1", "no word after `Aa01A01=`"]),
            (b"= w x", &["line 1", "begins with `=`"]),
            (b"", &["no line"]),
            (&damaged, &["line 5", "UTF-8"]),
            (
                b"Aa01A01= \xFF\xFF w\n",
                &["line 1", "neither UTF-8", "GB18030"],
            ),
        ];
        for (bytes, parts) in cases {
            let error = parse(bytes).err().unwrap_or_default();
            for part in parts {
                assert!(error.contains(part), "{error:?} does not say {part}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_a_line_holds_is_related(lines in proptest::collection::vec(("[=#]", proptest::collection::vec("[一-三a-c]{1,2}", 1..6)), 1..12)) {
            let text: String = lines.iter().map(|(mark, words)| format!("A{mark} {}\n", words.join(" "))).collect();
            let dictionary = parse(&text).unwrap();
            for (_, words) in &lines {
                for one in words {
                    for other in words {
                        let both = |mark: &str| lines.iter().any(|line| line.0 == mark && line.1.contains(one) && line.1.contains(other));
                        let expected = if one == other || both("=") { Relation::Synonym } else { Relation::Related };
                        prop_assert_eq!(dictionary.relation(one, other), expected);
                        prop_assert_eq!(dictionary.synonyms(one).any(|word| word == other), one != other && both("="));
                    }
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let line = [b"A= ".as_slice(), &bytes].concat();
            prop_assert!(parse(&bytes).is_err() || bytes.contains(&b'=') || bytes.contains(&b'@') || bytes.contains(&b'#'));
            let _ = parse(line);
        }
    }
}
