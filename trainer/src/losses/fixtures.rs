//! Texts, kinds of tokens and a small model for tests of losses over tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;
use juzi_schemas::random::Draws;

use crate::encoder::{Encoder, Pooling, Sequences, fixtures};
use crate::kernels;
use crate::losses::masks::TokenKinds;
use crate::losses::{Output, TokenLoss};
use crate::parameters::{Parameter, Parameters};

pub const CLS: u32 = 2;
pub const SEP: u32 = 3;
pub const MASK: u32 = 4;

/// 37 tokens: 0 to 4 are special, 30 and more continue a word.
pub fn kinds() -> TokenKinds {
    TokenKinds {
        mask: MASK,
        special: (0..37).map(|id| id < 5).collect(),
        continues: (0..37).map(|id| id >= 30).collect(),
    }
}

/// Texts of these lengths, with `[CLS]` and `[SEP]` where there is room.
pub fn texts(lengths: &[usize]) -> Sequences {
    let mut draws = Draws::new(8, 0, 0, 0, 0);
    let mut sequences = Sequences::default();
    for &length in lengths {
        let mut ids: Vec<u32> = (0..length).map(|_| 5 + draws.below(32) as u32).collect();
        ids[length - 1] = SEP;
        ids[0] = CLS;
        sequences.push(&ids);
    }
    sequences
}

/// A model whose files hold an encoder alone.
pub fn nothing() -> BTreeMap<String, Tensor> {
    BTreeMap::new()
}

pub fn encoder() -> Encoder {
    fixtures::encoder(&fixtures::config(), Pooling::Cls)
}

/// All that is trained: the encoder and the loss's own.
pub fn parameters(encoder: &Encoder, loss: &dyn TokenLoss) -> Parameters {
    let mut parameters = loss.parameters();
    parameters.extend(&encoder.parameters);
    parameters
}

/// Makes all parameters that are new far from 0, so that nothing hides.
pub fn roughen(parameters: &Parameters) {
    for (number, parameter) in parameters.iter().enumerate() {
        let rough = fixtures::values(parameter.elements(), 100 + number as u64);
        let change = |values: &mut [f32]| {
            let pairs = values.iter_mut().zip(&rough);
            pairs.for_each(|(value, rough)| *value += 0.3 * rough);
        };
        kernels::in_place(parameter.tensor(), change).unwrap();
    }
}

/// Values of a tensor, one after another.
pub fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Collects the gradients of a loss; gives them by name.
pub fn gradients(parameters: &Parameters, output: &Output) -> Vec<(String, Vec<f32>)> {
    parameters
        .collect(&output.loss.backward().unwrap())
        .unwrap();
    all_gradients(parameters)
}

/// The gradients there are, by name; then they are gone.
pub fn all_gradients(parameters: &Parameters) -> Vec<(String, Vec<f32>)> {
    let of = |parameter: &Arc<Parameter>| {
        let gradient = parameter.gradient().unwrap();
        let gradient = gradient.unwrap_or_else(|| panic!("{} has none", parameter.name));
        (parameter.name.clone(), flat(&gradient))
    };
    let gradients = parameters.iter().map(of).collect();
    parameters.clear_gradients();
    gradients
}

/// Asserts that two sets of gradients are near each other.
pub fn assert_near(found: &[(String, Vec<f32>)], wanted: &[(String, Vec<f32>)], error: f32) {
    assert_eq!(found.len(), wanted.len());
    for ((name, found), (other, wanted)) in found.iter().zip(wanted) {
        assert_eq!(name, other);
        let pairs = found.iter().zip(wanted);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= error, "{name}: {worst}");
    }
}

/// One step down the gradient.
pub fn descend(parameters: &Parameters, output: &Output, rate: f32) {
    for (name, gradient) in gradients(parameters, output) {
        let parameter = parameters.get(&name).unwrap();
        let change = |values: &mut [f32]| {
            let pairs = values.iter_mut().zip(&gradient);
            pairs.for_each(|(value, gradient)| *value -= rate * gradient);
        };
        kernels::in_place(parameter.tensor(), change).unwrap();
    }
}

pub fn value(output: &Output) -> f32 {
    output.loss.to_scalar().unwrap()
}
