//! Small models and sequences for tests.

use candle_core::{Device, Tensor};
use juzi_schemas::random::Draws;

use super::{Config, Encoder, Pooling, Sequences, start};
use crate::parameters::{Parameter, Parameters};

/// 2 layers of 4 heads of 4, 37 words.
pub fn config() -> Config {
    Config {
        vocab_size: 37,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 24,
        max_position_embeddings: 32,
        ..Config::default()
    }
}

/// A model of some sizes with parameters far from 0, so that nothing hides.
pub fn encoder(config: &Config, pooling: Pooling) -> Encoder {
    let mut parameters = Parameters::default();
    for (number, (name, shape)) in start::shapes(config).into_iter().enumerate() {
        let one = if name.contains("LayerNorm.weight") {
            1.0
        } else {
            0.0
        };
        let values = values(shape.iter().product(), number as u64);
        let values: Vec<f32> = values.iter().map(|value| one + 0.3 * value).collect();
        let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        parameters.insert(Parameter::new(name, &values).unwrap());
    }
    Encoder::new(config.clone(), pooling, parameters).unwrap()
}

/// Numbers between -1 and 1.
pub fn values(number: usize, stream: u64) -> Vec<f32> {
    let mut draws = Draws::new(5, stream, 0, 0, 0);
    (0..number)
        .map(|_| draws.below(20_001) as f32 / 10_000.0 - 1.0)
        .collect()
}

/// Sequences of 7, 1, 12 and 3 tokens.
pub fn sequences(config: &Config) -> Sequences {
    let mut draws = Draws::new(6, 0, 0, 0, 0);
    let rows: Vec<Vec<u32>> = [7, 1, 12, 3]
        .iter()
        .map(|&length| {
            (0..length)
                .map(|_| draws.below(config.vocab_size) as u32)
                .collect()
        })
        .collect();
    Sequences::new(rows.iter().map(Vec::as_slice))
}
