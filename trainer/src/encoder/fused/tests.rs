//! The fused encoder against the plain one, and against itself on other numbers of threads.

use candle_core::{Device, Tensor};
use juzi_schemas::random::Draws;

use crate::encoder::fixtures::{self, values};
use crate::encoder::{Config, Encoder, Kernels, Pass, Pooling, Sequences, ops};
use crate::kernels::dropout::Dropout;
use crate::parameters::Parameter;

fn config() -> Config {
    Config {
        max_position_embeddings: 80,
        ..fixtures::config()
    }
}

fn sequences(lengths: impl IntoIterator<Item = usize>) -> Sequences {
    let mut draws = Draws::new(8, 0, 0, 0, 0);
    let rows = lengths.into_iter().map(|length| {
        let ids = (0..length).map(|_| draws.below(config().vocab_size) as u32);
        ids.collect::<Vec<u32>>()
    });
    let rows: Vec<Vec<u32>> = rows.collect();
    Sequences::new(rows.iter().map(Vec::as_slice))
}

/// Embeddings and the gradients of all parameters, of a loss that weighs each number differently.
fn trained(encoder: &Encoder, sequences: &Sequences, pass: &Pass) -> Vec<(String, Vec<f32>)> {
    encoder.parameters.clear_gradients();
    let embeddings = encoder.embed(sequences, pass).unwrap();
    let weights = values(embeddings.elem_count(), 77);
    let weights = Tensor::from_vec(weights, embeddings.shape().clone(), &Device::Cpu).unwrap();
    let loss = (embeddings.sqr().unwrap() * weights)
        .unwrap()
        .sum_all()
        .unwrap();
    encoder
        .parameters
        .collect(&loss.backward().unwrap())
        .unwrap();
    let mut all = vec![("embeddings".to_string(), flat(&embeddings))];
    for parameter in encoder.parameters.iter() {
        let gradient = parameter.gradient().unwrap();
        let gradient = gradient.unwrap_or_else(|| panic!("{} has none", parameter.name));
        all.push((parameter.name.clone(), flat(&gradient)));
    }
    all
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn near(name: &str, one: &[f32], other: &[f32], scale: f32) {
    assert_eq!(one.len(), other.len());
    let largest = other
        .iter()
        .fold(scale, |most, value| most.max(value.abs()));
    for (place, (one, other)) in one.iter().zip(other).enumerate() {
        let difference = (one - other).abs();
        assert!(
            difference <= 1e-5 * largest,
            "{name} {place}: {one} {other} of {largest}"
        );
    }
}

fn compare(pooling: Pooling, sequences: &Sequences, dropout: Option<u64>) {
    let encoder = fixtures::encoder(&config(), pooling);
    let pass = |kernels| Pass {
        kernels,
        dropout,
        tracked: true,
    };
    let fused = trained(&encoder, sequences, &pass(Kernels::Fused));
    let plain = trained(&encoder, sequences, &pass(Kernels::Plain));
    // A bias of keys has a gradient of 0, so what is left of it is measured by its neighbour's.
    let mut scale = 0.0f32;
    for ((name, fused), (_, plain)) in fused.iter().zip(&plain) {
        if name.ends_with("key.bias") {
            scale = 1.0;
        }
        near(name, fused, plain, scale);
        scale = 0.0;
    }
}

#[test]
fn fused_and_plain_agree() {
    for pooling in [Pooling::Cls, Pooling::Mean] {
        for dropout in [None, Some(9)] {
            compare(pooling, &sequences([1, 7, 12, 65]), dropout);
        }
    }
}

#[test]
fn fused_and_plain_agree_over_many_tiles() {
    // More tokens than one chunk of the backward pass takes.
    compare(
        Pooling::Mean,
        &sequences((0..700).map(|row| 1 + row % 14)),
        Some(9),
    );
}

#[test]
fn untracked_is_tracked() {
    let encoder = fixtures::encoder(&config(), Pooling::Mean);
    let sequences = sequences((0..90).map(|row| 1 + row % 14));
    let pass = Pass::training(Kernels::Fused, 3);
    let tracked = encoder.embed(&sequences, &pass).unwrap();
    let untracked = encoder.embed(&sequences, &pass.untracked()).unwrap();
    assert_eq!(flat(&tracked), flat(&untracked));
    assert!(!untracked.track_op());
}

#[test]
fn threads_change_nothing() {
    let encoder = fixtures::encoder(&config(), Pooling::Mean);
    let sequences = sequences((0..500).map(|row| 1 + row % 23));
    let pass = Pass::training(Kernels::Fused, 3);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| trained(&encoder, &sequences, &pass))
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        for ((name, own), (_, first)) in run(threads).iter().zip(&one) {
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert!(bits(own) == bits(first), "{name} with {threads} threads");
        }
    }
}

#[test]
fn a_second_backward_pass_adds_the_same() {
    let encoder = fixtures::encoder(&config(), Pooling::Mean);
    let sequences = sequences([5, 9]);
    let embeddings = encoder
        .embed(&sequences, &Pass::training(Kernels::Fused, 3))
        .unwrap();
    let loss = embeddings.sqr().unwrap().sum_all().unwrap();
    loss.backward().unwrap();
    let name = "encoder.layer.0.attention.self.query.weight";
    let query = encoder.parameters.get(name).unwrap();
    let once = flat(&query.gradient().unwrap().unwrap());
    loss.backward().unwrap();
    let twice = flat(&query.gradient().unwrap().unwrap());
    let doubled: Vec<f32> = once.iter().map(|value| 2.0 * value).collect();
    near(name, &twice, &doubled, 0.0);
}

#[test]
fn sequences_alone_are_as_in_a_batch() {
    let encoder = fixtures::encoder(&config(), Pooling::Mean);
    let sequences = sequences([1, 7, 12, 65]);
    let pass = Pass::training(Kernels::Fused, 3);
    let all = encoder
        .embed(&sequences, &pass)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    for (row, all) in all.iter().enumerate() {
        let own = encoder.embed(&sequences.part(row..row + 1), &pass).unwrap();
        near("sequence", &flat(&own), all, 0.0);
    }
}

#[test]
fn a_sequence_without_tokens_is_refused() {
    let encoder = fixtures::encoder(&config(), Pooling::Mean);
    let error = encoder
        .embed(&sequences([3, 0, 2]), &Pass::inference(Kernels::Fused))
        .unwrap_err();
    assert!(error.to_string().contains("sequence 1 of 3"), "{error}");
    let none = encoder.embed(&sequences([]), &Pass::inference(Kernels::Fused));
    assert_eq!(none.unwrap().dims(), [0, 16]);
}

#[test]
fn operations_agree() {
    let parameter = |name: &str, shape: &[usize], stream| {
        let values = values(shape.iter().product(), stream);
        Parameter::new(
            name,
            &Tensor::from_vec(values, shape, &Device::Cpu).unwrap(),
        )
        .unwrap()
    };
    let parameters = [
        parameter("x", &[70, 20], 1),
        parameter("weight", &[33, 20], 2),
        parameter("bias", &[33], 3),
        parameter("LayerNorm.weight", &[33], 4),
        parameter("LayerNorm.bias", &[33], 5),
    ];
    let sequences = sequences([50, 20]);
    let run = |kernels: Kernels| {
        let [x, weight, bias, norm_weight, norm_bias] = &parameters;
        parameters.iter().for_each(Parameter::clear_gradient);
        let y = ops::linear(x.tensor(), weight, Some(bias), kernels).unwrap();
        let y = ops::gelu(&y, kernels).unwrap();
        let y = ops::layer_norm(&y, (norm_weight, norm_bias), 1e-6, kernels).unwrap();
        let dropout = Some(Dropout::new(0.2, 4, 5));
        let y = ops::dropout(&y, dropout, &sequences, kernels).unwrap();
        let factors = Tensor::from_vec(values(70 * 33, 6), (70, 33), &Device::Cpu).unwrap();
        let loss = (&y * factors).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let mut all = vec![flat(&y)];
        for parameter in &parameters {
            // The gradients of fused operations stand in the parameters already.
            if let Some(gradient) = gradients.get(parameter.tensor()) {
                parameter.add_gradient(gradient).unwrap();
            }
        }
        all.extend(
            parameters
                .iter()
                .map(|own| flat(&own.gradient().unwrap().unwrap())),
        );
        all
    };
    let (fused, plain) = (run(Kernels::Fused), run(Kernels::Plain));
    for (number, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
        near(&format!("result {number}"), fused, plain, 0.0);
    }
}
