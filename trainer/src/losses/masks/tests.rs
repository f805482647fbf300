//! Laws of masks, and the shares that they have over many draws.

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Masking, TokenKinds, count, hidden_target, mask};
use crate::collate::NO_WORD;
use crate::encoder::Sequences;
use crate::losses::fixtures::{CLS, MASK, SEP, kinds, texts};
use crate::tokenizer::fixtures::{Folder, bert, vocabulary};

const WHOLE: Masking = Masking {
    probability: 0.3,
    whole_words: true,
};

/// Sequences whose words have 1 to 4 tokens, and the words of each token.
fn worded() -> impl Strategy<Value = Sequences> {
    let sequence = prop::collection::vec(1usize..5, 0..20);
    prop::collection::vec(sequence, 1..5).prop_map(|rows| {
        let mut sequences = Sequences::default();
        let mut words = Vec::new();
        for lengths in rows {
            let mut ids = vec![CLS];
            words.push(NO_WORD);
            for (word, length) in lengths.into_iter().enumerate() {
                ids.extend((0..length).map(|piece| 10 + piece as u32));
                words.extend(vec![word as u16; length]);
            }
            ids.push(SEP);
            words.push(NO_WORD);
            sequences.push(&ids);
        }
        sequences.words = Some(words);
        sequences
    })
}

proptest! {
    #[test]
    fn whole_words_are_hidden_in_exact_number(
        sequences in worded(),
        key in any::<u64>(),
        probability in 0.01f64..0.99,
    ) {
        let masking = Masking { probability, whole_words: true };
        let masked = mask(&sequences, &kinds(), &masking, key);
        prop_assert_eq!(masked.places.len(), count(&sequences, &kinds(), &masking, key));
        let all_words = sequences.words.as_ref().unwrap();
        for row in 0..sequences.rows() {
            let span = sequences.span(row);
            let hidden = |token: &usize| masked.places.contains(&(*token as u32));
            let own = span.clone().filter(hidden).count();
            let target = hidden_target(span.len(), probability);
            prop_assert!(own <= target);
            for token in span.clone() {
                if all_words[token] == NO_WORD {
                    prop_assert!(!hidden(&token));
                    continue;
                }
                let word = || span.clone().filter(|&other| all_words[other] == all_words[token]);
                // A word is hidden as a whole or not at all, and is left only if it is too long.
                prop_assert!(word().all(|other| hidden(&other) == hidden(&token)));
                prop_assert!(hidden(&token) || word().count() > target - own);
            }
        }
    }

    #[test]
    fn tokens_that_are_words_meet_the_number(length in 2usize..600, key in any::<u64>()) {
        let sequences = texts(&[length]);
        let kinds = TokenKinds { continues: vec![false; 37], ..kinds() };
        let found = count(&sequences, &kinds, &WHOLE, key);
        prop_assert_eq!(found, hidden_target(length, 0.3).min(length - 2));
    }

    #[test]
    fn a_part_is_hidden_as_in_the_whole(key in any::<u64>(), whole_words in any::<bool>()) {
        let masking = Masking { probability: 0.3, whole_words };
        let sequences = texts(&[9, 2, 14, 1, 3]);
        let whole = mask(&sequences, &kinds(), &masking, key);
        for row in 0..5 {
            let part = mask(&sequences.part(row..row + 1), &kinds(), &masking, key);
            prop_assert_eq!(&part.sequences.ids, &whole.sequences.ids[sequences.span(row)]);
        }
    }
}

#[test]
fn half_goes_to_even_as_in_python() {
    let found = [
        (15, 0.3),
        (25, 0.5),
        (27, 0.5),
        (3, 0.5),
        (1, 0.3),
        (2000, 0.5),
    ];
    let found = found.map(|(length, probability)| hidden_target(length, probability));
    // round(4.5), round(12.5), round(13.5), round(1.5), at least 1, at most 512.
    assert_eq!(found, [4, 12, 14, 2, 1, 512]);
}

#[test]
fn pieces_go_with_their_word() {
    // Ids from 30 on continue a word.
    let sequences = Sequences::new([&[CLS, 10, 30, 31, 11, 36, 12, SEP][..]]);
    assert_eq!(kinds().words(&sequences, 0), [1..4, 4..6, 6..7]);
    // A piece after a special token begins a word.
    let sequences = Sequences::new([&[CLS, 30, 31, 1, 32, SEP][..]]);
    assert_eq!(kinds().words(&sequences, 0), [1..3, 4..5]);
}

#[test]
fn words_of_the_batch_come_before_pieces() {
    let mut sequences = Sequences::new([&[CLS, 10, 11, 30, 12, SEP][..]]);
    sequences.words = Some(vec![NO_WORD, 0, 0, 1, 1, NO_WORD]);
    assert_eq!(kinds().words(&sequences, 0), [1..3, 3..5]);
}

#[test]
fn hidden_tokens_become_masks_others_or_themselves() {
    let sequences = texts(&[400; 100]);
    let masking = Masking {
        probability: 0.5,
        whole_words: false,
    };
    let masked = mask(&sequences, &kinds(), &masking, 3);
    let hidden = masked.places.len() as f64;
    assert!((hidden / 39_800.0 - 0.5).abs() < 0.02, "{hidden}");
    let mut shares = [0.0; 3];
    let mut special = 0;
    for (&place, &label) in masked.places.iter().zip(&masked.labels) {
        assert_eq!(label, sequences.ids[place as usize]);
        let now = masked.sequences.ids[place as usize];
        special += u32::from(now < 5 && now != MASK);
        let share = match now {
            _ if now == label => 0,
            MASK => 1,
            _ => 2,
        };
        shares[share] += 1.0 / hidden;
    }
    // A draw of 37 gives the token itself or the mask now and then.
    let other = 0.1 / 37.0;
    let wanted = [0.1 + other, 0.8 + other, 0.1 - 2.0 * other];
    for (found, wanted) in shares.iter().zip(wanted) {
        assert!((found - wanted).abs() < 0.01, "{shares:?}");
    }
    assert!(special > 0, "any token means special ones too");
    let unhidden = (0..sequences.tokens()).filter(|&place| {
        masked.sequences.ids[place] != sequences.ids[place]
            && !masked.places.contains(&(place as u32))
    });
    assert_eq!(unhidden.count(), 0);
}

#[test]
fn copies_and_steps_are_hidden_differently() {
    let text = texts(&[40]);
    let sequences = Sequences::new([&text.ids[..], &text.ids[..]]);
    let masked = mask(&sequences, &kinds(), &WHOLE, 3);
    assert_ne!(masked.sequences.ids[..40], masked.sequences.ids[40..]);
    let later = mask(&sequences, &kinds(), &WHOLE, 4);
    assert_ne!(masked.places, later.places);
    assert_eq!(masked, mask(&sequences, &kinds(), &WHOLE, 3));
}

#[test]
fn kinds_are_those_of_the_tokenizer() {
    let folder = bert("");
    let tokenizer = folder.open();
    let kinds = TokenKinds::of(&tokenizer).unwrap();
    assert_eq!((kinds.mask, kinds.vocabulary()), (4, vocabulary().len()));
    let special = (0..kinds.vocabulary()).filter(|&id| kinds.special[id]);
    assert_eq!(special.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for (id, token) in vocabulary().iter().enumerate() {
        assert_eq!(kinds.continues[id], token.starts_with("##"), "{token}");
    }
    let without: Vec<String> = vocabulary()
        .into_iter()
        .filter(|token| token != "[MASK]")
        .collect();
    let folder = Folder::new().with("vocab.txt", &without.join("\n"));
    let error = TokenKinds::of(&folder.open()).unwrap_err().to_string();
    assert!(error.contains("no mask"), "{error}");
}
