//! The parameters that a model of some sizes has, and the values that new ones begin with.

use candle_core::{Device, Tensor};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::random::Draws;

use super::Config;
use crate::Result;
use crate::parameters::Parameter;

/// Keeps these draws apart from those of others with the same seed.
const STREAM: u64 = 0x7374_6172;

/// Names and shapes of all parameters of the bare encoder.
pub fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let width = config.hidden_size;
    let table = |name: &str, rows: usize| (format!("embeddings.{name}.weight"), vec![rows, width]);
    let mut shapes = vec![
        table("word_embeddings", config.vocab_size),
        table("position_embeddings", config.max_position_embeddings),
        table("token_type_embeddings", config.type_vocab_size),
        ("embeddings.LayerNorm.weight".into(), vec![width]),
        ("embeddings.LayerNorm.bias".into(), vec![width]),
    ];
    for layer in 0..config.num_hidden_layers {
        for (name, shape) in layer_shapes(config) {
            let name = format!("encoder.layer.{layer}.{name}");
            shapes.push((format!("{name}.bias"), shape[..1].to_vec()));
            shapes.push((format!("{name}.weight"), shape));
        }
    }
    shapes
}

/// Names of the parts of a layer and shapes of their weights; each has a bias as long as the weight's
/// first dimension.
pub fn layer_shapes(config: &Config) -> [(&'static str, Vec<usize>); 8] {
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    [
        ("attention.self.query", vec![width, width]),
        ("attention.self.key", vec![width, width]),
        ("attention.self.value", vec![width, width]),
        ("attention.output.dense", vec![width, width]),
        ("attention.output.LayerNorm", vec![width]),
        ("intermediate.dense", vec![inner, width]),
        ("output.dense", vec![width, inner]),
        ("output.LayerNorm", vec![width]),
    ]
}

/// A new parameter, as BERT begins: weights from a normal distribution with mean 0 and standard
/// deviation `range`, biases 0, layer norms 1. The values follow from the seed and the name alone.
///
/// # Errors
/// The device has no memory left.
pub fn parameter(
    name: &str,
    shape: &[usize],
    range: f64,
    seed: u64,
    device: &Device,
) -> Result<Parameter> {
    let elements: usize = shape.iter().product();
    let values = if name.ends_with("bias") {
        vec![0.0; elements]
    } else if name.contains("LayerNorm") {
        vec![1.0; elements]
    } else {
        normal(elements, range, seed, name)
    };
    Parameter::new(name, &Tensor::from_vec(values, shape, device)?)
}

/// Draws from a normal distribution (Box and Muller 1958, both numbers of a pair).
fn normal(elements: usize, range: f64, seed: u64, name: &str) -> Vec<f32> {
    let name = Fingerprint::of(name.as_bytes()).0;
    let mut draws = Draws::new(seed, STREAM, 0, name, 0);
    let mut values = Vec::with_capacity(elements + 1);
    while values.len() < elements {
        let radius = (-2.0 * (1.0 - draws.unit()).ln()).sqrt() * range;
        let angle = std::f64::consts::TAU * draws.unit();
        values.push((radius * angle.cos()) as f32);
        values.push((radius * angle.sin()) as f32);
    }
    values.truncate(elements);
    values
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::parameter;

    fn values(name: &str, seed: u64) -> Vec<f32> {
        let parameter = parameter(name, &[99, 101], 0.02, seed, &Device::Cpu).unwrap();
        let values = parameter.tensor().flatten_all().unwrap();
        values.to_vec1().unwrap()
    }

    #[test]
    fn weights_are_normal() {
        let values = values("pooler.dense.weight", 3);
        let count = values.len() as f64;
        let moment = |power: i32| {
            let sum: f64 = values
                .iter()
                .map(|&x| (f64::from(x) / 0.02).powi(power))
                .sum();
            sum / count
        };
        // Five standard deviations of each mean.
        assert!(moment(1).abs() < 0.05, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.071, "{}", moment(2));
        assert!(moment(3).abs() < 0.2, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.5, "{}", moment(4));
        let neighbours = values.windows(2).map(|two| f64::from(two[0] * two[1]));
        assert!((neighbours.sum::<f64>() / count / 4e-4).abs() < 0.05);
    }

    #[test]
    fn values_follow_from_seed_and_name() {
        let one = values("pooler.dense.weight", 3);
        assert_eq!(one, values("pooler.dense.weight", 3));
        assert_ne!(one, values("pooler.dense.weight", 4));
        assert_ne!(one, values("projection.weight", 3));
        assert!(values("pooler.dense.bias", 3).iter().all(|&x| x == 0.0));
        assert!(values("LayerNorm.weight", 3).iter().all(|&x| x == 1.0));
    }
}
