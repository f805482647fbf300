//! Tests of the head: fused and plain agree, and both know what equal logits cost.

use candle_core::{Device, Tensor};

use super::{Bags, VocabularyHead};
use crate::encoder::fixtures::values;
use crate::encoder::{Kernels, Pass};
use crate::losses::fixtures::{all_gradients, assert_near, encoder, flat, nothing, roughen};
use crate::parameters::Parameter;

fn states(rows: usize) -> Parameter {
    let values = Tensor::from_vec(values(rows * 16, 9), (rows, 16), &Device::Cpu).unwrap();
    Parameter::new("states", &values).unwrap()
}

#[test]
fn fused_and_plain_agree() {
    let encoder = encoder();
    let head = VocabularyHead::new(&encoder, &nothing(), 3).unwrap();
    roughen(&head.parameters());
    let mut parameters = head.parameters();
    parameters.extend(&encoder.parameters);
    let states = parameters.insert(states(9));
    let bags = Bags {
        ends: vec![4, 5, 9],
        words: vec![(vec![7, 9], 0.4), (vec![36], 1.0), (vec![5, 6, 7, 8], 0.2)],
    };
    let run = |kernels| {
        let pass = Pass::training(kernels, 1);
        let labels = [5, 36, 0, 7, 8, 9, 5, 5, 20];
        let scored = head.score(states.tensor(), &labels, &pass).unwrap();
        let of_bags = head
            .score_bags(states.tensor(), bags.clone(), &pass)
            .unwrap();
        // Weights, so that what comes from above counts.
        let loss = ((&scored.loss * 0.3).unwrap() + (&of_bags * 0.7).unwrap()).unwrap();
        parameters.collect(&loss.backward().unwrap()).unwrap();
        // Positions and layers take no part.
        let mut used = head.parameters();
        used.share(states.clone());
        let table = parameters.get("embeddings.word_embeddings.weight");
        used.share(table.unwrap().clone());
        let gradients = all_gradients(&used);
        let values = [&scored.loss, &of_bags].map(|loss| loss.to_scalar::<f32>().unwrap());
        (values, scored.correct, gradients)
    };
    let (fused, plain) = (run(Kernels::Fused), run(Kernels::Plain));
    for (fused, plain) in fused.0.iter().zip(plain.0) {
        assert!((fused - plain).abs() < 1e-5 * plain, "{fused} {plain}");
    }
    assert_eq!(fused.1, plain.1);
    assert_near(&fused.2, &plain.2, 1e-5);
}

#[test]
fn equal_logits_cost_the_logarithm_of_the_vocabulary() {
    let encoder = encoder();
    // New parameters of the head leave the bias at 0; words of zeros make all logits 0.
    let head = VocabularyHead::new(&encoder, &nothing(), 3).unwrap();
    let words = encoder.parameters.get("embeddings.word_embeddings.weight");
    crate::kernels::in_place(words.unwrap().tensor(), |values| values.fill(0.0)).unwrap();
    for kernels in [Kernels::Fused, Kernels::Plain] {
        let pass = Pass::inference(kernels);
        let scored = head.score(states(3).tensor(), &[5, 0, 36], &pass).unwrap();
        let loss = scored.loss.to_scalar::<f32>().unwrap();
        assert!((loss - 3.0 * 37f32.ln()).abs() < 1e-5, "{loss}");
        assert_eq!(scored.correct, 1);
    }
}

#[test]
fn no_label_is_no_loss() {
    let head = VocabularyHead::new(&encoder(), &nothing(), 3).unwrap();
    let none = states(1).tensor().narrow(0, 0, 0).unwrap();
    let scored = head
        .score(&none, &[], &Pass::training(Kernels::Fused, 1))
        .unwrap();
    assert_eq!(scored.loss.to_scalar::<f32>().unwrap(), 0.0);
    scored.loss.backward().unwrap();
}

#[test]
fn what_the_model_brought_is_taken() {
    let encoder = encoder();
    let name = "cls.predictions.transform.dense.weight";
    let mut brought = nothing();
    let dense = Tensor::full(0.25f32, (16, 16), &Device::Cpu).unwrap();
    brought.insert(name.to_string(), dense);
    let own = VocabularyHead::new(&encoder, &brought, 3)
        .unwrap()
        .parameters();
    assert_eq!(flat(own.get(name).unwrap().tensor()), vec![0.25; 256]);
    let names: Vec<_> = own
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "cls.predictions.bias",
            "cls.predictions.transform.LayerNorm.bias",
            "cls.predictions.transform.LayerNorm.weight",
            "cls.predictions.transform.dense.bias",
            name,
        ]
    );
    let wrong = Tensor::zeros(36, candle_core::DType::F32, &Device::Cpu).unwrap();
    brought.insert("cls.predictions.bias".into(), wrong);
    let error = VocabularyHead::new(&encoder, &brought, 3).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("cls.predictions.bias") && error.contains("[37]"),
        "{error}"
    );
    assert!(error.contains("[36]"), "{error}");
}
