//! Tests of RetroMAE against PyTorch, and of its laws.
//!
//! The files in `oracle/` are made by `losses_torch.py make --seed 8 --batch 4 --dim 4 --queue 4
//! --length 11 --vocab 30 --out case.safetensors` and `losses_torch.py run --only retromae --input
//! case.safetensors --out-json values.json --out-grads gradients.safetensors`; that of the whole by
//! `oracle/whole.py oracle/whole.safetensors`.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assert_ne, proptest};

use super::{Attention, RetroMae, RetroMaeOptions, Visibility};
use crate::encoder::{Encoder, Kernels, Pass, Pooling, Sequences, fixtures};
use crate::kernels::vocabulary::{Gradients, Table, bags_of_words, cross_entropy};
use crate::losses::TokenLoss;
use crate::losses::fixtures::{
    CLS, SEP, all_gradients, assert_near, descend, encoder, flat, gradients, kinds, nothing,
    parameters, roughen, texts, value,
};
use crate::losses::masks::{self, Masked, TokenKinds};
use crate::parameters::{Parameter, Parameters};

const CASE: &[u8] = include_bytes!("oracle/case.safetensors");
const GRADIENTS: &[u8] = include_bytes!("oracle/gradients.safetensors");
const WHOLE: &[u8] = include_bytes!("oracle/whole.safetensors");
const VALUES: &str = include_str!("oracle/values.json");

struct Oracle {
    case: HashMap<String, Tensor>,
    gradients: HashMap<String, Tensor>,
    values: serde_json::Value,
    sequences: Sequences,
}

impl Oracle {
    fn read() -> Oracle {
        let load = |bytes| candle_core::safetensors::load_buffer(bytes, &Device::Cpu).unwrap();
        let values: serde_json::Value = serde_json::from_str(VALUES).unwrap();
        let mut oracle = Oracle {
            case: load(CASE),
            gradients: load(GRADIENTS),
            values: values["values"]["retromae"].clone(),
            sequences: Sequences::default(),
        };
        let ids = oracle.numbers("ids");
        let width = ids.len() / oracle.numbers("len").len();
        for (ids, length) in ids.chunks(width).zip(oracle.numbers("len")) {
            let ids: Vec<u32> = ids[..length].iter().map(|&id| id as u32).collect();
            oracle.sequences.push(&ids);
        }
        oracle
    }

    fn numbers(&self, name: &str) -> Vec<usize> {
        let tensor = self.case[&format!("retro_{name}")]
            .to_dtype(DType::I64)
            .unwrap();
        let numbers: Vec<i64> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        numbers.into_iter().map(|number| number as usize).collect()
    }

    fn value(&self, name: &str) -> f64 {
        self.values[name].as_f64().unwrap()
    }

    /// Rows of tokens without padding: of `[B, L, …]`.
    fn packed(&self, tensor: &Tensor) -> Tensor {
        let (index, _) = self.sequences.padded(&Device::Cpu).unwrap();
        assert_eq!(index.dims(), &tensor.dims()[..2]);
        let places = self.sequences.places(&Device::Cpu).unwrap();
        let tensor = tensor.to_dtype(DType::F32).unwrap().flatten(0, 1).unwrap();
        tensor
            .contiguous()
            .unwrap()
            .index_select(&places, 0)
            .unwrap()
    }

    fn input(&self, name: &str) -> Tensor {
        self.packed(&self.case[&format!("retro_{name}")])
    }

    fn wanted(&self, name: &str) -> Vec<f32> {
        flat(&self.packed(&self.gradients[&format!("retromae/{name}")]))
    }

    fn visible(&self) -> Vec<Visibility> {
        let lengths = self.numbers("len");
        let (masks, picks) = (self.numbers("masks"), self.numbers("picks"));
        let width = picks.len() / lengths.len();
        let each = masks.len() / picks.len();
        let of_row = |(row, &length): (usize, &usize)| {
            let own = masks[row * each * width..].chunks(width).take(each);
            let bits = own.map(|mask| {
                let hidden = mask[..length].iter().enumerate();
                vec![hidden.fold(0, |bits, (place, &hidden)| bits | (hidden as u64) << place)]
            });
            let bits: Vec<Vec<u64>> = bits.collect();
            let picks = &picks[row * width..row * width + length];
            Visibility::of_masks(length, &bits, picks)
        };
        lengths.iter().enumerate().map(of_row).collect()
    }
}

fn near(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(found.len(), wanted.len());
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (found - wanted).abs() <= 1e-5,
            "{what} {place}: {found} {wanted}"
        );
    }
}

#[test]
fn masks_are_those_of_pytorch() {
    let oracle = Oracle::read();
    let wanted = oracle.gradients["retromae/visible"]
        .to_dtype(DType::U32)
        .unwrap();
    let wanted: Vec<Vec<Vec<u32>>> = wanted.to_vec3().unwrap();
    let visible = oracle.visible();
    let (mut seen, mut pairs) = (0, 0);
    for (visible, wanted) in visible.iter().zip(wanted) {
        for (token, wanted) in wanted.iter().enumerate().take(visible.length) {
            for (other, &wanted) in wanted.iter().enumerate().take(visible.length) {
                assert_eq!(u32::from(visible.sees(token, other)), wanted);
            }
        }
        seen += visible.pairs();
        pairs += visible.length * visible.length;
    }
    assert!((seen as f64 / pairs as f64 - oracle.value("visible_share")).abs() < 1e-7);
}

#[test]
fn attention_and_its_gradients_are_those_of_pytorch() {
    let oracle = Oracle::read();
    for kernels in [Kernels::Plain, Kernels::Fused] {
        let mut parameters = Parameters::default();
        let [query, key, value] = ["q", "k", "v"].map(|name| {
            let parameter = Parameter::new(name, &oracle.input(name)).unwrap();
            parameters.insert(parameter)
        });
        let attention = Attention {
            sequences: Arc::new(oracle.sequences.clone()),
            visible: Arc::new(oracle.visible()),
            heads: 2,
            dropout: None,
        };
        let states = (query.tensor(), key.tensor(), value.tensor());
        let context = attention.forward(states, kernels).unwrap();
        near(&flat(&context), &oracle.wanted("context"), "context");
        let loss = (context * oracle.input("cotangent"))
            .unwrap()
            .sum_all()
            .unwrap();
        parameters.collect(&loss.backward().unwrap()).unwrap();
        for (name, gradient) in all_gradients(&parameters) {
            near(&gradient, &oracle.wanted(&name), &name);
        }
    }
}

/// A table that gives back the states as logits.
fn identity(size: usize) -> (Vec<f32>, Vec<f32>) {
    let mut weight = vec![0.0; size * size];
    (0..size).for_each(|place| weight[place * size + place] = 1.0);
    (weight, vec![0.0; size])
}

#[test]
fn labels_and_cross_entropy_are_those_of_pytorch() {
    let oracle = Oracle::read();
    let (loss, _) = retromae(0.0);
    let decoded = loss.decoded(&oracle.sequences);
    let labels = oracle.wanted("labels");
    let kept = (0..labels.len()).filter(|&place| labels[place] >= 0.0);
    assert_eq!(
        decoded.places,
        kept.map(|place| place as u32).collect::<Vec<_>>()
    );
    assert_eq!(decoded.labels.len() as f64, oracle.value("label_count"));
    let (weight, bias) = identity(30);
    let table = Table {
        weight: &weight,
        bias: &bias,
    };
    let logits = oracle.input("logits");
    let own = flat(&super::pick(&logits, &decoded.places).unwrap());
    let mut gradients = Gradients::zeros(decoded.labels.len(), &table);
    let scored = cross_entropy(&own, &decoded.labels, &table, Some(&mut gradients));
    let labels = decoded.labels.len() as f64;
    assert!((scored.loss / labels - oracle.value("decoder_loss")).abs() < 1e-6);
    assert!(
        scored.correct > 0,
        "a case where nothing is right would hide much"
    );
    assert!((scored.correct as f64 / labels - oracle.value("accuracy")).abs() < 1e-12);
    let mut found = vec![0.0; flat(&logits).len()];
    for (place, own) in decoded.places.iter().zip(gradients.states.chunks(30)) {
        for (word, gradient) in own.iter().enumerate() {
            found[*place as usize * 30 + word] = gradient / labels as f32;
        }
    }
    near(&found, &oracle.wanted("logits"), "logits");
}

#[test]
fn bags_are_those_of_pytorch() {
    let oracle = Oracle::read();
    let (loss, _) = retromae(0.1);
    let (places, bags) = loss.bags(&oracle.sequences);
    let (weight, bias) = identity(30);
    let table = Table {
        weight: &weight,
        bias: &bias,
    };
    let logits = oracle.input("logits");
    let own = flat(&super::pick(&logits, &places).unwrap());
    let mut gradients = Gradients::zeros(places.len(), &table);
    let found = bags_of_words(&own, &bags.ends, &bags.words, &table, Some(&mut gradients));
    let rows = bags.ends.len() as f64;
    assert!(
        (found / rows - oracle.value("bow_loss")).abs() < 1e-6,
        "{found}"
    );
    let mut found = vec![0.0; flat(&logits).len()];
    for (place, own) in places.iter().zip(gradients.states.chunks(30)) {
        for (word, gradient) in own.iter().enumerate() {
            found[*place as usize * 30 + word] = gradient / rows as f32;
        }
    }
    near(&found, &oracle.wanted("bow_logits"), "bow_logits");
}

/// The whole case: an encoder, sequences, what is hidden from the encoder and
/// who sees whom.
fn whole(case: &HashMap<String, Tensor>) -> (Encoder, Sequences, Masked, Vec<Visibility>) {
    let mut parameters = Parameters::default();
    for (name, values) in case {
        if name.starts_with("embeddings.") || name.starts_with("encoder.") {
            parameters.insert(Parameter::new(name, values).unwrap());
        }
    }
    let encoder = Encoder::new(fixtures::config(), Pooling::Cls, parameters).unwrap();
    let rows = |name: &str| case[name].to_vec2::<i64>().unwrap();
    let (ids, input, hidden) = (rows("ids"), rows("input"), rows("hidden"));
    let visible = case["visible"].to_vec3::<i64>().unwrap();
    let (mut sequences, mut masked, mut seen) =
        (Sequences::default(), Sequences::default(), vec![]);
    let (mut places, mut labels) = (vec![], vec![]);
    for (row, length) in case["length"]
        .to_vec1::<i64>()
        .unwrap()
        .into_iter()
        .enumerate()
    {
        let length = length as usize;
        let start = sequences.tokens();
        let own = |ids: &[i64]| {
            ids[..length]
                .iter()
                .map(|&id| id as u32)
                .collect::<Vec<_>>()
        };
        sequences.push(&own(&ids[row]));
        masked.push(&own(&input[row]));
        for place in (0..length).filter(|&place| hidden[row][place] == 1) {
            places.push((start + place) as u32);
            labels.push(ids[row][place] as u32);
        }
        let of_token = |token: usize| {
            let bits = visible[row][token][..length].iter().enumerate();
            vec![bits.fold(0, |bits, (place, &sees)| {
                bits | u64::from(sees == 0) << place
            })]
        };
        let hidden: Vec<Vec<u64>> = (0..length).map(of_token).collect();
        let picks: Vec<usize> = (0..length).collect();
        seen.push(Visibility::of_masks(length, &hidden, &picks));
    }
    let masked = Masked {
        sequences: masked,
        places,
        labels,
    };
    (encoder, sequences, masked, seen)
}

#[test]
fn the_whole_is_that_of_pytorch() {
    let case = candle_core::safetensors::load_buffer(WHOLE, &Device::Cpu).unwrap();
    let (encoder, sequences, masked, visible) = whole(&case);
    // Head and decoder are taken of it by their names.
    let brought = case.clone().into_iter().collect();
    let options = RetroMaeOptions {
        bag_of_words_weight: 0.1,
        ..RetroMaeOptions::default()
    };
    let loss = RetroMae::of_kinds(&options, &encoder, &brought, kinds(), 1).unwrap();
    let all = parameters(&encoder, &loss);
    for kernels in [Kernels::Plain, Kernels::Fused] {
        let pass = Pass {
            dropout: None,
            ..Pass::training(kernels, 0)
        };
        let labels = [masked.labels.len(), 14, 3];
        let hidden = (&masked, visible.clone());
        let output = loss
            .score(&encoder, &sequences, hidden, &labels, &pass)
            .unwrap();
        let wanted = flat(&case["losses"]);
        for (figure, wanted) in [0, 2, 5].into_iter().zip(wanted) {
            let (name, found) = output.figures[figure];
            assert!(
                (found - f64::from(wanted)).abs() < 1e-5,
                "{name}: {found} {wanted}"
            );
        }
        let found = gradients(&all, &output);
        assert_eq!(found.len(), 58);
        for (name, found) in found {
            near(&found, &flat(&case[&format!("gradient.{name}")]), &name);
        }
    }
}

fn retromae(bag_of_words_weight: f64) -> (RetroMae, Encoder) {
    let encoder = encoder();
    let options = RetroMaeOptions {
        bag_of_words_weight,
        ..RetroMaeOptions::default()
    };
    let loss = RetroMae::of_kinds(&options, &encoder, &nothing(), kinds(), 1).unwrap();
    (loss, encoder)
}

proptest! {
    #[test]
    fn nobody_sees_itself_and_all_others_see_the_vector(
        length in 1usize..150,
        key in any::<u64>(),
        probability in 0.05f64..0.95,
    ) {
        let sequences = texts(&[5, length]);
        let visible = Visibility::draw(&sequences, 1, &kinds(), probability, key);
        let target = masks::hidden_target(length, probability);
        let words = kinds().words(&sequences, 1);
        for token in 0..length {
            prop_assert!(!visible.sees(token, token));
            prop_assert!(token == 0 || visible.sees(token, 0));
            prop_assert!(token == length - 1 || visible.sees(token, length - 1));
            let hidden = |place: usize| place != token && !visible.sees(token, place);
            prop_assert!((0..length).filter(|&place| hidden(place)).count() <= target);
            // Words are hidden as a whole, but for the token itself.
            for word in &words {
                let mut others = word.clone().filter(|&place| place != token);
                let first = others.next().is_some_and(hidden);
                prop_assert!(others.all(|place| hidden(place) == first));
            }
        }
        let part = sequences.part(1..2);
        prop_assert_eq!(&visible, &Visibility::draw(&part, 0, &kinds(), probability, key));
        if length > 20 && (0.2..0.8).contains(&probability) {
            prop_assert_ne!(&visible, &Visibility::draw(&part, 0, &kinds(), probability, !key));
        }
    }
}

#[test]
fn rows_pick_different_masks_of_exact_number() {
    let sequences = texts(&[300]);
    let characters = TokenKinds {
        continues: vec![false; 37],
        ..kinds()
    };
    let visible = Visibility::draw(&sequences, 0, &characters, 0.5, 7);
    let rows: Vec<Vec<bool>> = (0..300)
        .map(|token| (0..300).map(|other| visible.sees(token, other)).collect())
        .collect();
    for (token, row) in rows.iter().enumerate() {
        let hidden = row.iter().filter(|sees| !**sees).count();
        // The token itself is hidden by its mask, or besides.
        assert!(hidden == 150 || hidden == 151, "{token}: {hidden}");
    }
    let mut different = rows.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 200, "{}", different.len());
    let share = visible.pairs() as f64 / 90_000.0;
    assert!((share - 0.498).abs() < 0.003, "{share}");
}

#[test]
fn every_parameter_gets_a_gradient_and_kernels_agree() {
    let (loss, encoder) = retromae(0.1);
    roughen(&loss.parameters());
    let all = parameters(&encoder, &loss);
    assert!(
        all.iter()
            .filter(|parameter| parameter.name.starts_with("decoder."))
            .count()
            == 16
    );
    let texts = texts(&[7, 1, 12, 3, 2]);
    let labels = loss.labels(&texts, 5);
    assert_eq!(labels[1..], [16, 3]);
    let [fused, plain] = [Kernels::Fused, Kernels::Plain].map(|kernels| {
        let pass = Pass::training(kernels, 9);
        let output = loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
        (
            value(&output),
            output.figures.clone(),
            gradients(&all, &output),
        )
    });
    assert!((fused.0 - plain.0).abs() < 1e-5, "{} {}", fused.0, plain.0);
    for (fused, plain) in fused.1.iter().zip(&plain.1) {
        assert!((fused.1 - plain.1).abs() < 1e-5, "{fused:?} {plain:?}");
    }
    assert_near(&fused.2, &plain.2, 1e-5);
    for (name, gradient) in fused.2 {
        let largest = gradient.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
        assert!(
            name.ends_with("key.bias") || largest > 1e-7,
            "{name}: {largest}"
        );
    }
}

#[test]
fn the_loss_is_the_sum_of_its_means_and_parts_add_up() {
    let (loss, encoder) = retromae(0.1);
    let all = parameters(&encoder, &loss);
    let texts = texts(&[7, 1, 12, 3]);
    let labels = loss.labels(&texts, 5);
    let pass = Pass::training(Kernels::Fused, 9);
    let whole = loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
    let wanted = gradients(&all, &whole);
    let figure = |name| {
        whole
            .figures
            .iter()
            .find(|figure| figure.0 == name)
            .unwrap()
            .1
    };
    let sum = figure("encoder_loss") + figure("decoder_loss") + 0.1 * figure("bag_of_words_loss");
    assert!((sum - f64::from(value(&whole))).abs() < 1e-5, "{sum}");
    let mut sum = 0.0;
    let mut shares = [0.0; 2];
    for rows in [0..1, 1..3, 3..4] {
        let part = loss
            .forward(&encoder, &texts.part(rows), &labels, 5, &pass)
            .unwrap();
        all.collect(&part.loss.backward().unwrap()).unwrap();
        sum += value(&part);
        shares[0] += part.figures[1].1;
        shares[1] += part.figures[3].1;
    }
    assert!((sum - value(&whole)).abs() < 1e-5);
    assert!((shares[0] - figure("encoder_accuracy")).abs() < 1e-9);
    assert!((shares[1] - figure("decoder_accuracy")).abs() < 1e-9);
    assert_near(&all_gradients(&all), &wanted, 2e-6);
}

#[test]
fn texts_without_words_are_safe() {
    let (loss, encoder) = retromae(0.1);
    let all = parameters(&encoder, &loss);
    for kernels in [Kernels::Fused, Kernels::Plain] {
        for lengths in [&[1][..], &[2], &[3], &[1, 3]] {
            let texts = texts(lengths);
            let labels = loss.labels(&texts, 5);
            let pass = Pass::training(kernels, 9);
            let output = loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
            assert!(value(&output).is_finite(), "{lengths:?}");
            all.collect(&output.loss.backward().unwrap()).unwrap();
            for parameter in all.iter() {
                let gradient = parameter.gradient().unwrap();
                let finite = gradient.is_none_or(|own| flat(&own).iter().all(|x| x.is_finite()));
                assert!(finite, "{lengths:?} {}", parameter.name);
            }
            all.clear_gradients();
        }
    }
}

#[test]
fn unknown_words_are_no_labels() {
    let (loss, _) = retromae(0.1);
    let sequences = Sequences::new([&[CLS, 9, 1, 9, SEP][..]]);
    assert_eq!(loss.decoded(&sequences).places, [1, 3]);
    let (places, bags) = loss.bags(&sequences);
    assert_eq!(
        (places, bags.words),
        (vec![1, 2, 3, 4], vec![(vec![9], 0.5)])
    );
}

#[test]
fn threads_change_nothing() {
    let (loss, encoder) = retromae(0.1);
    let all = parameters(&encoder, &loss);
    let texts = texts(&[7, 1, 12, 3]);
    let labels = loss.labels(&texts, 5);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let pass = Pass::training(Kernels::Fused, 9);
            let output = loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
            (value(&output), gradients(&all, &output))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn four_sentences_are_learned() {
    let (loss, encoder) = retromae(0.1);
    let all = parameters(&encoder, &loss);
    let texts = texts(&[8, 9, 10, 11]);
    let labels = loss.labels(&texts, 5);
    let pass = Pass {
        dropout: None,
        ..Pass::training(Kernels::Fused, 0)
    };
    let run = || loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
    let first = run();
    for _ in 0..150 {
        descend(&all, &run(), 0.1);
    }
    let last = run();
    assert!(
        value(&last) < 0.5 * value(&first),
        "{:?} {:?}",
        first.figures,
        last.figures
    );
    for figure in [1, 3] {
        assert!(
            last.figures[figure].1 > first.figures[figure].1,
            "{:?}",
            last.figures
        );
    }
}

#[test]
fn a_table_is_read_and_what_cannot_be_is_refused() {
    let options: RetroMaeOptions = toml::from_str("bag_of_words_weight = 0.1").unwrap();
    assert_eq!(options.decoder_probability, 0.5);
    options.check().unwrap();
    assert!(toml::from_str::<RetroMaeOptions>("probability = 0.1").is_err());
    for wrong in [
        "encoder_probability = 1.0",
        "decoder_probability = 0.0",
        "bag_of_words_weight = -1.0",
    ] {
        let options: RetroMaeOptions = toml::from_str(wrong).unwrap();
        let error = options.check().unwrap_err();
        assert!(error.starts_with("[retromae] "), "{error}");
        assert!(error.contains(wrong.split(' ').next().unwrap()), "{error}");
    }
}

#[test]
fn another_pooling_is_refused() {
    let (loss, mut encoder) = retromae(0.0);
    loss.check(&encoder, false).unwrap();
    encoder.pooling = Pooling::Mean;
    let error = loss.check(&encoder, false).unwrap_err();
    assert!(
        error.contains("pooling = Mean") && error.contains("cls"),
        "{error}"
    );
}
