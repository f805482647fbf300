//! Tests of the optimizer: against PyTorch, and its own laws.

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use serde_json::Value;

use super::{Optimizer, OptimizerOptions, follow, norm};
use crate::kernels;
use crate::kernels::adamw::{AdamW, adamw};
use crate::parameters::{Parameter, Parameters};

/// Made by `python trainer/src/optimizer/fixtures/adamw.py`.
fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/adamw.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap() as f32).collect()
}

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

fn values(parameter: &Parameter) -> Vec<f32> {
    kernels::view(parameter.tensor(), <[f32]>::to_vec).unwrap()
}

fn parameters(named: &[(&str, Vec<f32>)]) -> Parameters {
    let mut parameters = Parameters::default();
    for (name, values) in named {
        parameters.insert(Parameter::new(*name, &tensor(values)).unwrap());
    }
    parameters
}

fn close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-6,
            "{what}: {found} {expected}"
        );
    }
}

fn options() -> OptimizerOptions {
    OptimizerOptions {
        learning_rate: 1e-2,
        weight_decay: 0.05,
        betas: [0.9, 0.98],
        epsilon: 1e-6,
        ..OptimizerOptions::default()
    }
}

#[test]
fn twenty_steps_are_those_of_pytorch() {
    let fixture = fixture();
    let names = ["a.weight", "a.bias"];
    let starts = [0, 1].map(|at| (names[at], numbers(&fixture["start"][at])));
    for host in [true, false] {
        let parameters = parameters(&starts);
        let mut optimizer = Optimizer::new(&options());
        for (number, step) in fixture["steps"].as_array().unwrap().iter().enumerate() {
            for (at, name) in names.into_iter().enumerate() {
                let gradient = tensor(&numbers(&step["gradients"][at]));
                let parameter = parameters.get(name).unwrap();
                parameter.add_gradient(&gradient).unwrap();
            }
            let norm = norm(&parameters).unwrap();
            let expected = step["norm"].as_f64().unwrap();
            assert!((norm - expected).abs() < 1e-6 * expected, "{norm}");
            let rate = step["learning_rate"].as_f64().unwrap();
            match host {
                true => optimizer.step(&parameters, rate, norm).unwrap(),
                false => by_operations(&mut optimizer, &parameters, rate, norm),
            }
            for (at, name) in names.into_iter().enumerate() {
                let found = values(parameters.get(name).unwrap());
                let expected = numbers(&step["values"][at]);
                close(&found, &expected, &format!("step {number} {name}"));
            }
        }
        for (at, name) in names.into_iter().enumerate() {
            let state = optimizer.state();
            for (moment, end) in [".exp_avg", ".exp_avg_sq"].into_iter().enumerate() {
                let found = state[&format!("{name}{end}")].to_vec1::<f32>().unwrap();
                close(&found, &numbers(&fixture["moments"][at][moment]), name);
            }
        }
    }
}

/// A step by candle's operations, as on another device.
fn by_operations(optimizer: &mut Optimizer, parameters: &Parameters, rate: f64, norm: f64) {
    optimizer.steps += 1;
    let scale = optimizer.options.clip_scale(norm);
    for parameter in parameters.iter() {
        let step = optimizer.values(parameter, rate, scale);
        let zeros = super::Moments::zeros(parameter).unwrap();
        let moments = optimizer.moments.remove(&parameter.name).unwrap_or(zeros);
        let pair = (&moments.first, &moments.second);
        let (first, second) = super::adamw::on_device(parameter, pair, &step).unwrap();
        let moments = super::Moments { first, second };
        optimizer.moments.insert(parameter.name.clone(), moments);
    }
}

#[test]
fn what_never_had_a_gradient_stays() {
    let parameters = parameters(&[("a.weight", vec![1.0, 2.0]), ("b.weight", vec![3.0])]);
    let mut optimizer = Optimizer::new(&options());
    let (a, b) = (
        parameters.get("a.weight").unwrap(),
        parameters.get("b.weight").unwrap(),
    );
    a.add_gradient(&tensor(&[0.1, -0.1])).unwrap();
    optimizer.step(&parameters, 0.1, 1.0).unwrap();
    assert_eq!(values(b), [3.0]);
    let moved = values(a);
    assert!(moved[0] < 1.0 && moved[1] > 2.0, "{moved:?}");
    assert_eq!(a.host_gradient()[..], [0.0, 0.0]);
    // Zeros move it on by its momentum, and it decays.
    optimizer.step(&parameters, 0.1, 1.0).unwrap();
    assert!(values(a)[0] < moved[0]);
    assert_eq!(optimizer.state().len(), 2);
}

#[test]
fn an_optimizer_goes_on_from_its_state() {
    let start = vec![0.3, -0.2, 0.7];
    let gradient = |step: usize| tensor(&[0.1 * step as f32, -0.3, 0.2]);
    let whole = parameters(&[("a.weight", start.clone())]);
    let mut optimizer = Optimizer::new(&options());
    let mut kept = None;
    for step in 0..6 {
        if step == 3 {
            let state = optimizer.state();
            let copies = state
                .into_iter()
                .map(|(name, tensor)| (name, tensor.copy().unwrap()));
            kept = Some((whole.copy().unwrap(), copies.collect()));
        }
        whole
            .get("a.weight")
            .unwrap()
            .add_gradient(&gradient(step))
            .unwrap();
        optimizer.step(&whole, 0.1, 0.5).unwrap();
    }
    let (again, state) = kept.unwrap();
    let mut optimizer = Optimizer::new(&options());
    optimizer.restore(&again, 3, state).unwrap();
    for step in 3..6 {
        again
            .get("a.weight")
            .unwrap()
            .add_gradient(&gradient(step))
            .unwrap();
        optimizer.step(&again, 0.1, 0.5).unwrap();
    }
    let of = |parameters: &Parameters| values(parameters.get("a.weight").unwrap());
    assert_eq!(of(&again), of(&whole));
}

#[test]
fn a_foreign_state_is_refused() {
    let parameters = parameters(&[("a.weight", vec![1.0, 2.0])]);
    let of = |names: &[(&str, usize)]| {
        let state = names
            .iter()
            .map(|(name, len)| (name.to_string(), tensor(&vec![0.0; *len])))
            .collect();
        let mut optimizer = Optimizer::new(&options());
        optimizer.restore(&parameters, 1, state).unwrap_err()
    };
    assert!(of(&[("a.weight.exp_avg", 2)]).contains("one moment of two"));
    let both = [("a.weight.exp_avg", 2), ("a.weight.exp_avg_sq", 3)];
    assert!(of(&both).contains("`a.weight` is [3]"));
    assert!(of(&[("c.exp_avg", 2)]).contains("`c.exp_avg` belongs to no"));
}

#[test]
fn followers_follow() {
    let leaders = parameters(&[("a", vec![1.0, 5.0]), ("b", vec![2.0])]);
    let followers = parameters(&[("a", vec![0.0, 1.0])]);
    follow(&followers, &leaders, 0.75).unwrap();
    assert_eq!(values(followers.get("a").unwrap()), [0.25, 2.0]);
    let strangers = parameters(&[("c", vec![0.0])]);
    assert!(follow(&strangers, &leaders, 0.5).is_err());
}

#[test]
fn mistakes_are_named() {
    for (text, words) in [
        ("learning_rate = 0", "[optimizer] learning_rate = 0"),
        ("learning_rate = nan", "learning_rate = NaN"),
        ("weight_decay = -1", "weight_decay = -1"),
        ("betas = [0.9, 1.0]", "betas = 1: 0 and more, below 1"),
        ("epsilon = 0", "epsilon = 0"),
        ("clip_norm = -0.5", "clip_norm = -0.5"),
        ("accumulation = 0", "accumulation = 0: 1 to"),
    ] {
        let options: OptimizerOptions = toml::from_str(text).unwrap();
        let message = options.check().unwrap_err();
        assert!(message.contains(words), "{text}: {message}");
    }
    assert!(toml::from_str::<OptimizerOptions>("lr = 1").is_err());
    assert_eq!(OptimizerOptions::default().check(), Ok(()));
}

proptest! {
    #[test]
    fn threads_change_no_bit(length in 1usize..70_000, seed in 0u64..100) {
        let made = |stream: u64| crate::encoder::fixtures::values(length, seed * 4 + stream);
        let step = AdamW {
            lr: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            bias_correction1: 0.1,
            bias_correction2: 0.001,
            gradient_scale: 0.5,
        };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let [mut p, mut g, mut m] = [made(0), made(1), made(2)];
            let mut v: Vec<f32> = made(3).iter().map(|value| value.abs()).collect();
            pool.install(|| {
                let parameters = parameters(&[("a.weight", g.clone())]);
                parameters.get("a.weight").unwrap().add_gradient(&tensor(&g)).unwrap();
                let norm = norm(&parameters).unwrap();
                adamw(&mut p, &mut g, &mut m, &mut v, &step);
                (p, g, m, v, norm.to_bits())
            })
        };
        let one = run(1);
        prop_assert!(one.1.iter().all(|&gradient| gradient == 0.0));
        prop_assert_eq!(&one, &run(3));
    }
}
