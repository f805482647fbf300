//! Tests of the encoder as a whole.

use super::fixtures::{config, encoder, sequences};
use super::{Kernels, Pass, Pooling};

#[test]
fn every_parameter_gets_a_gradient() {
    let encoder = encoder(&config(), Pooling::Mean);
    let sequences = sequences(&config());
    let pass = Pass::training(Kernels::Plain, 9);
    let embeddings = encoder.embed(&sequences, &pass).unwrap();
    assert_eq!(embeddings.dims(), [4, 16]);
    let loss = (embeddings.sqr().unwrap() * 0.5)
        .unwrap()
        .mean_all()
        .unwrap();
    encoder
        .parameters
        .collect(&loss.backward().unwrap())
        .unwrap();
    for parameter in encoder.parameters.iter() {
        let gradient = parameter.gradient().unwrap();
        let gradient = gradient.unwrap_or_else(|| panic!("{} has none", parameter.name));
        let largest = gradient
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        // A bias of keys moves all looks of a query alike.
        if !parameter.name.ends_with("key.bias") {
            assert!(largest > 1e-6, "{}: {largest}", parameter.name);
        }
    }
}

#[test]
fn sequences_do_not_see_each_other() {
    let encoder = encoder(&config(), Pooling::Mean);
    let sequences = sequences(&config());
    for pass in [
        Pass::training(Kernels::Plain, 9),
        Pass::inference(Kernels::Plain),
    ] {
        let all = encoder
            .embed(&sequences, &pass)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        for (row, all) in all.iter().enumerate() {
            let own = encoder.embed(&sequences.part(row..row + 1), &pass).unwrap();
            for (one, other) in own.to_vec2::<f32>().unwrap()[0].iter().zip(all) {
                assert!((one - other).abs() < 1e-5, "{row}: {one} {other}");
            }
        }
    }
}
