//! Tests of attention: fused and plain agree, and nothing is no number.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::Attention;
use crate::encoder::Kernels;
use crate::encoder::fixtures::values;
use crate::kernels::dropout::Dropout;
use crate::losses::fixtures::{all_gradients, assert_near, flat, kinds, texts};
use crate::losses::retromae::Visibility;
use crate::parameters::{Parameter, Parameters};

/// The context and the gradients of query, key and value.
fn run(kernels: Kernels, dropout: Option<Dropout>) -> (Vec<f32>, Vec<(String, Vec<f32>)>) {
    let sequences = texts(&[7, 1, 70, 3, 2]);
    let rows = 0..sequences.rows();
    let visible = rows.map(|row| Visibility::draw(&sequences, row, &kinds(), 0.5, 3));
    let visible = Arc::new(visible.collect());
    let tokens = sequences.tokens();
    let mut parameters = Parameters::default();
    let [query, key, value] = [("1", 1), ("2", 2), ("3", 3)].map(|(name, stream)| {
        let states = values(tokens * 8, stream).iter().map(|x| 2.0 * x).collect();
        let states = Tensor::from_vec(states, (tokens, 8), &Device::Cpu).unwrap();
        parameters.insert(Parameter::new(name, &states).unwrap())
    });
    let attention = Attention {
        sequences: Arc::new(sequences),
        visible,
        heads: 2,
        dropout,
    };
    let states = (query.tensor(), key.tensor(), value.tensor());
    let context = attention.forward(states, kernels).unwrap();
    let loss = (context.sqr().unwrap().sum_all().unwrap() * 0.5).unwrap();
    parameters.collect(&loss.backward().unwrap()).unwrap();
    (flat(&context), all_gradients(&parameters))
}

#[test]
fn fused_and_plain_agree() {
    for dropout in [None, Some(Dropout::new(0.2, 7, 3))] {
        let (fused, plain) = (run(Kernels::Fused, dropout), run(Kernels::Plain, dropout));
        for (fused, plain) in fused.0.iter().zip(&plain.0) {
            assert!((fused - plain).abs() < 1e-5, "{fused} {plain}");
        }
        assert_near(&fused.1, &plain.1, 2e-5);
    }
}

#[test]
fn threads_change_nothing() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| run(Kernels::Fused, Some(Dropout::new(0.2, 7, 3))))
    };
    assert_eq!(run(1), run(3));
}
