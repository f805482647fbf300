//! What BERT's normalizer and pre-tokenizer make of each character, asked of the reference itself.
//!
//! Cleaning, spaces around Han characters, decomposition, stripping of accents and lower case look
//! at one character at a time, with one exception: decomposition sorts neighbouring marks. Every
//! character that such a sort could show is [`Unit::Rare`], and texts with one go to the reference.

use tokenizers::normalizers::{BertNormalizer, NFD};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

/// Characters from here on (language tags, variation selectors, private use) are rare.
const LIMIT: u32 = 0x3_23B0;

/// A letter that neither normalization nor any other character's decomposition touches.
const BETWEEN: char = 'あ';

/// The mark that decomposition sorts behind all others.
const LAST_MARK: char = '\u{345}';

/// Characters asked at once.
const CHUNK: usize = 512;

/// What one character becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// It ends a word.
    Gap,
    /// Nothing at all: the word goes on.
    Nothing,
    /// A word of its own, with this token.
    Single(u32),
    /// A letter of a word, perhaps another than it was.
    Letter(char),
    /// More than one of these: a place and a number in the list of many.
    Many(u32, u32),
    /// Ask the reference.
    Rare,
}

/// What every character becomes.
#[derive(Debug)]
pub struct Characters {
    units: Vec<u32>,
    many: Vec<u32>,
}

impl Characters {
    /// Asks the normalizer and BERT's pre-tokenizer; `single` gives the token of a word of one
    /// character.
    ///
    /// # Errors
    /// The normalizer fails.
    pub fn new(
        normalizer: &BertNormalizer,
        mut single: impl FnMut(char) -> u32,
    ) -> tokenizers::Result<Characters> {
        let all: Vec<char> = (0..LIMIT).filter_map(char::from_u32).collect();
        let kinds = Kinds::new(&all)?;
        let mut characters = Characters {
            units: vec![pack(Unit::Rare); LIMIT as usize],
            many: Vec::new(),
        };
        for chunk in all.chunks(CHUNK) {
            for (&character, made) in chunk.iter().zip(normalized(normalizer, "", chunk)?) {
                let unit = characters.unit_of(&made, &kinds, &mut single);
                characters.units[character as usize] = pack(unit);
            }
        }
        Ok(characters)
    }

    /// What a character becomes.
    #[inline]
    pub fn unit(&self, character: char) -> Unit {
        match self.units.get(character as usize) {
            Some(&packed) => unpack(packed),
            None => Unit::Rare,
        }
    }

    /// The units that [`Unit::Many`] stands for; none of them is rare or again many.
    pub fn many(&self, place: u32, number: u32) -> impl Iterator<Item = Unit> + '_ {
        let units = &self.many[place as usize..(place + number) as usize];
        units.iter().map(|&packed| unpack(packed))
    }

    /// The unit of a character, from what the normalizer makes of it.
    fn unit_of(&mut self, made: &str, kinds: &Kinds, single: &mut impl FnMut(char) -> u32) -> Unit {
        let known = |character: char| (character as u32) < LIMIT;
        if made.chars().any(|out| !known(out) || kinds.of(out).mark) {
            return Unit::Rare;
        }
        let mut inner = made.trim_matches(' ').chars();
        if let (Some(only), None) = (inner.next(), inner.next()) {
            let alone = made.starts_with(' ') && made.ends_with(' ');
            match kinds.of(only).kind {
                Kind::Letter if alone => return Unit::Single(single(only)),
                Kind::Letter if !made.contains(' ') => return Unit::Letter(only),
                Kind::Punctuation => return Unit::Single(single(only)),
                _ => {}
            }
        }
        if made.is_empty() {
            return Unit::Nothing;
        }
        if made.chars().all(|out| kinds.of(out).kind == Kind::Space) {
            return Unit::Gap;
        }
        let place = self.many.len() as u32;
        self.many.extend(made.chars().map(|out| {
            pack(match kinds.of(out).kind {
                Kind::Space => Unit::Gap,
                Kind::Punctuation => Unit::Single(single(out)),
                Kind::Letter => Unit::Letter(out),
            })
        }));
        match made.chars().count() {
            number @ ..16 => Unit::Many(place, number as u32),
            _ => Unit::Rare,
        }
    }
}

fn pack(unit: Unit) -> u32 {
    match unit {
        Unit::Gap => 0,
        Unit::Nothing => 1 << 29,
        Unit::Single(id) => 2 << 29 | id,
        Unit::Letter(letter) => 3 << 29 | letter as u32,
        Unit::Many(place, number) => 4 << 29 | place << 4 | number,
        Unit::Rare => 5 << 29,
    }
}

#[inline]
fn unpack(packed: u32) -> Unit {
    let load = packed & ((1 << 29) - 1);
    match packed >> 29 {
        0 => Unit::Gap,
        1 => Unit::Nothing,
        2 => Unit::Single(load),
        3 => char::from_u32(load).map_or(Unit::Rare, Unit::Letter),
        4 => Unit::Many(load >> 4, load & 15),
        _ => Unit::Rare,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Letter,
    Space,
    Punctuation,
}

#[derive(Clone, Copy, Debug)]
struct Class {
    kind: Kind,
    /// Decomposition sorts it among its neighbours.
    mark: bool,
}

/// What the pre-tokenizer takes each character for.
struct Kinds {
    classes: Vec<Class>,
}

impl Kinds {
    fn new(all: &[char]) -> tokenizers::Result<Kinds> {
        let unknown = Class {
            kind: Kind::Letter,
            mark: true,
        };
        let mut classes = vec![unknown; LIMIT as usize];
        let last_mark = LAST_MARK.to_string();
        for chunk in all.chunks(CHUNK) {
            let sorted = normalized(&NFD, &last_mark, chunk)?;
            for ((&character, kind), sorted) in chunk.iter().zip(kinds(chunk)?).zip(sorted) {
                let mark = character == LAST_MARK || !sorted.starts_with(LAST_MARK);
                classes[character as usize] = Class { kind, mark };
            }
        }
        Ok(Kinds { classes })
    }

    fn of(&self, character: char) -> Class {
        self.classes[character as usize]
    }
}

/// What the pre-tokenizer takes each of these for: it removes spaces, cuts off punctuation and
/// leaves letters where they are.
fn kinds(chunk: &[char]) -> tokenizers::Result<Vec<Kind>> {
    let mut text = String::new();
    for &character in chunk {
        text.push(BETWEEN);
        text.push(character);
    }
    text.push(BETWEEN);
    let mut pre_tokenized = PreTokenizedString::from(text.as_str());
    BertPreTokenizer.pre_tokenize(&mut pre_tokenized)?;
    let splits = pre_tokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
    let mut splits = splits.iter().map(|split| split.1).peekable();
    let mut at = 0;
    let kind = |&character: &char| {
        let begin = at + BETWEEN.len_utf8();
        at = begin + character.len_utf8();
        while splits.next_if(|split| split.1 <= begin).is_some() {}
        match splits.peek() {
            Some(&split) if split == (begin, at) => Kind::Punctuation,
            Some(&(from, _)) if from <= begin => Kind::Letter,
            _ => Kind::Space,
        }
    };
    Ok(chunk.iter().map(kind).collect())
}

/// What a normalizer makes of each of these characters behind `before`.
pub(super) fn normalized(
    normalizer: &impl Normalizer,
    before: &str,
    chunk: &[char],
) -> tokenizers::Result<Vec<String>> {
    let mut text = String::new();
    for &character in chunk {
        text.push(BETWEEN);
        text.push_str(before);
        text.push(character);
    }
    let mut whole = NormalizedString::from(text);
    normalizer.normalize(&mut whole)?;
    let parts: Vec<&str> = whole.get().split(BETWEEN).skip(1).collect();
    if parts.len() == chunk.len() && whole.get().starts_with(BETWEEN) {
        return Ok(parts.into_iter().map(String::from).collect());
    }
    // One of them is the separator, or becomes it: ask for each alone.
    let alone = |character: &char| {
        let mut one = NormalizedString::from(format!("{before}{character}"));
        normalizer.normalize(&mut one)?;
        Ok(one.get().to_owned())
    };
    chunk.iter().map(alone).collect()
}

#[cfg(test)]
mod tests {
    use tokenizers::normalizers::BertNormalizer;

    use super::{Characters, Unit, pack, unpack};

    fn characters(strip_accents: Option<bool>) -> Characters {
        let normalizer = BertNormalizer::new(true, true, strip_accents, true);
        Characters::new(&normalizer, |only| only as u32).unwrap()
    }

    #[test]
    fn characters_of_every_sort() {
        let characters = characters(None);
        let cases = [
            ('a', Unit::Letter('a')),
            ('A', Unit::Letter('a')),
            ('É', Unit::Letter('e')),
            ('中', Unit::Single('中' as u32)),
            ('豈', Unit::Single('豈' as u32)),
            ('𠀀', Unit::Single('𠀀' as u32)),
            ('，', Unit::Single('，' as u32)),
            ('[', Unit::Single('[' as u32)),
            ('あ', Unit::Letter('あ')),
            ('が', Unit::Letter('か')),
            ('\u{301}', Unit::Nothing),
            ('\u{0}', Unit::Nothing),
            ('\u{200d}', Unit::Nothing),
            ('\t', Unit::Gap),
            ('\u{3000}', Unit::Gap),
            ('😀', Unit::Letter('😀')),
            ('\u{302e}', Unit::Rare),
            ('\u{e0101}', Unit::Rare),
        ];
        for (character, unit) in cases {
            assert_eq!(characters.unit(character), unit, "{character:?}");
        }
        let Unit::Many(place, number) = characters.unit('한') else {
            panic!("a syllable is three letters");
        };
        let letters: Vec<Unit> = characters.many(place, number).collect();
        let expected = ['\u{1112}', '\u{1161}', '\u{11ab}'].map(Unit::Letter);
        assert_eq!(letters, expected);
    }

    #[test]
    fn accents_stay_where_they_are_asked_to() {
        let characters = characters(Some(false));
        assert_eq!(characters.unit('É'), Unit::Letter('é'));
        assert_eq!(characters.unit('한'), Unit::Letter('한'));
    }

    #[test]
    fn units_survive_packing() {
        for unit in [
            Unit::Gap,
            Unit::Nothing,
            Unit::Single((1 << 29) - 1),
            Unit::Letter(char::MAX),
            Unit::Many((1 << 25) - 1, 15),
            Unit::Rare,
        ] {
            assert_eq!(unpack(pack(unit)), unit);
        }
    }
}
