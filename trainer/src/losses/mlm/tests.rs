//! Tests of the loss of hidden tokens.

use super::{Mlm, MlmOptions};
use crate::encoder::{Kernels, Pass};
use crate::losses::TokenLoss;
use crate::losses::fixtures::{
    assert_near, descend, encoder, gradients, kinds, nothing, parameters, roughen, texts, value,
};
use crate::losses::masks::TokenKinds;

fn options() -> MlmOptions {
    MlmOptions {
        probability: 0.6,
        ..MlmOptions::default()
    }
}

#[test]
fn every_parameter_gets_a_gradient_and_kernels_agree() {
    let encoder = encoder();
    let loss = Mlm::of_kinds(&options(), &encoder, &nothing(), kinds(), 1).unwrap();
    roughen(&loss.parameters());
    let all = parameters(&encoder, &loss);
    let texts = texts(&[7, 1, 12, 3]);
    let labels = loss.labels(&texts, 5);
    assert!(labels[0] > 3, "{labels:?}");
    let [fused, plain] = [Kernels::Fused, Kernels::Plain].map(|kernels| {
        let pass = Pass::training(kernels, 9);
        let output = loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
        (value(&output), gradients(&all, &output))
    });
    assert!((fused.0 - plain.0).abs() < 1e-5, "{} {}", fused.0, plain.0);
    assert_near(&fused.1, &plain.1, 1e-5);
    for (name, gradient) in fused.1 {
        let largest = gradient.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
        // A bias of keys moves all looks of a query alike.
        assert!(
            name.ends_with("key.bias") || largest > 1e-7,
            "{name}: {largest}"
        );
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    let encoder = encoder();
    let loss = Mlm::of_kinds(&options(), &encoder, &nothing(), kinds(), 1).unwrap();
    let all = parameters(&encoder, &loss);
    let texts = texts(&[7, 1, 12, 3]);
    let labels = loss.labels(&texts, 5);
    let pass = Pass::training(Kernels::Fused, 9);
    let whole = loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
    let wanted = gradients(&all, &whole);
    let mut sums = (0.0, 0.0);
    for rows in [0..2, 2..3, 3..4] {
        let part = texts.part(rows);
        let part = loss.forward(&encoder, &part, &labels, 5, &pass).unwrap();
        all.collect(&part.loss.backward().unwrap()).unwrap();
        sums.0 += value(&part);
        sums.1 += part.figures[1].1;
    }
    assert!((sums.0 - value(&whole)).abs() < 1e-6);
    assert!((sums.1 - whole.figures[1].1).abs() < 1e-9);
    assert_near(&crate::losses::fixtures::all_gradients(&all), &wanted, 1e-6);
}

#[test]
fn four_sentences_are_learned() {
    let encoder = encoder();
    let loss = Mlm::of_kinds(&options(), &encoder, &nothing(), kinds(), 1).unwrap();
    let all = parameters(&encoder, &loss);
    let texts = texts(&[8, 9, 10, 11]);
    let labels = loss.labels(&texts, 5);
    let pass = Pass {
        dropout: None,
        ..Pass::training(Kernels::Fused, 0)
    };
    let run = || loss.forward(&encoder, &texts, &labels, 5, &pass).unwrap();
    let first = run();
    assert!((first.figures[0].1 * 0.1 - f64::from(value(&first))).abs() < 1e-6);
    for _ in 0..100 {
        descend(&all, &run(), 1.0);
    }
    let last = run();
    assert!(
        value(&last) < 0.3 * value(&first),
        "{} {}",
        value(&first),
        value(&last)
    );
    assert!(last.figures[1].1 > first.figures[1].1, "{:?}", last.figures);
}

#[test]
fn what_cannot_be_is_refused() {
    let encoder = encoder();
    let whole = MlmOptions {
        whole_words: true,
        ..options()
    };
    let characters = TokenKinds {
        continues: vec![false; 37],
        ..kinds()
    };
    let loss = Mlm::of_kinds(&whole, &encoder, &nothing(), characters, 1).unwrap();
    assert!(
        loss.check(&encoder, false)
            .unwrap_err()
            .contains("whole_words")
    );
    loss.check(&encoder, true).unwrap();
    for (weight, probability) in [(0.0, 0.1), (f64::NAN, 0.1), (1.0, 0.0), (1.0, 1.0)] {
        let options = MlmOptions {
            weight,
            probability,
            whole_words: false,
        };
        assert!(options.check().unwrap_err().starts_with("[mlm] "));
    }
    let many = TokenKinds {
        special: vec![false; 38],
        ..kinds()
    };
    let error = Mlm::of_kinds(&options(), &encoder, &nothing(), many, 1).unwrap_err();
    assert!(error.to_string().contains("38 tokens"), "{error}");
}
