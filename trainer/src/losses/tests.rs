//! Tests of the losses: closed forms, torch's values and gradients, finite differences, refusals.
//! What torch says is made by `sh fixtures/make.sh python losses_torch.py`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use juzi_schemas::random::Draws;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use super::{Embedded, Inputs, Loss, Masks, Offer, Options, Output};
use crate::collate::{Batch, Lists};

/// Inputs, values and gradients by torch.
pub struct Oracle {
    case: HashMap<String, Tensor>,
    gradients: HashMap<String, Tensor>,
    values: serde_json::Value,
}

/// A loss, what came of it, and its gradients to the columns.
struct Computed {
    loss: Box<dyn Loss>,
    output: Output,
    value: f64,
    gradients: Vec<Vec<f32>>,
    scale: Option<f32>,
}

type Columns<'a> = [(&'static str, usize, &'a Tensor)];

pub fn oracle() -> Oracle {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/losses/fixtures");
    let load = |name: &str| candle_core::safetensors::load(dir.join(name), &Device::Cpu).unwrap();
    let values = std::fs::read_to_string(dir.join("values.json")).unwrap();
    Oracle {
        case: load("case.safetensors"),
        gradients: load("gradients.safetensors"),
        values: serde_json::from_str(&values).unwrap(),
    }
}

impl Oracle {
    pub fn case(&self, name: &str) -> Tensor {
        self.case[name].clone()
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        let numbers = self.case[name].to_dtype(DType::F32).unwrap();
        numbers.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Compares a value, and gradients by the names of the inputs.
    pub fn check(&self, name: &str, value: f64, gradients: &[(&str, &[f32])]) {
        let want = self.values["values"][name]["loss"].as_f64().unwrap();
        assert!(
            (value - want).abs() < 1e-5 * want.abs().max(1.0),
            "{name}: {value}, not {want}"
        );
        for (input, got) in gradients {
            let name = format!("{name}/{input}");
            close(&name, got, &flat(&self.gradients[&name]), 1e-5);
        }
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    tensor.to_vec1().unwrap()
}

/// Fails where numbers differ by more than a share of the wanted one, or of 1.
pub fn close(name: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (place, (got, want)) in got.iter().zip(want).enumerate() {
        let gap = (got - want).abs();
        assert!(
            gap <= tolerance * want.abs().max(1.0),
            "{name} at {place}: {got}, not {want}"
        );
    }
}

fn options(toml: &str) -> Options {
    let options: Options = toml::from_str(toml).unwrap();
    options.check().unwrap();
    options
}

fn batch(rows: usize) -> Batch {
    Batch {
        record_ids: (0..rows as u128).collect(),
        ..Batch::default()
    }
}

fn embedded(columns: &Columns<'_>) -> Vec<Embedded> {
    let columns = columns.iter().map(|&(name, views, vectors)| Embedded {
        name,
        views,
        texts: vectors.dim(0).unwrap() / views,
        vectors: vectors.clone(),
    });
    columns.collect()
}

/// The loss of these columns with gradients; keys are the columns themselves, without gradients.
fn compute(toml: &str, columns: &Columns<'_>, batch: &Batch) -> Computed {
    let loss = options(toml).build(columns[0].2.dim(1).unwrap(), 1, &Device::Cpu);
    compute_with(loss.unwrap(), columns, batch)
}

fn compute_with(loss: Box<dyn Loss>, columns: &Columns<'_>, batch: &Batch) -> Computed {
    compute_with_keys(loss, columns, &embedded(columns), batch)
}

fn compute_with_keys(
    loss: Box<dyn Loss>,
    columns: &Columns<'_>,
    keys: &[Embedded],
    batch: &Batch,
) -> Computed {
    let leaves = columns
        .iter()
        .map(|(_, _, vectors)| Var::from_tensor(vectors).unwrap());
    let leaves: Vec<Var> = leaves.collect();
    let tracked = columns.iter().zip(&leaves);
    let tracked = tracked.map(|(&(name, views, _), leaf)| (name, views, leaf.as_tensor()));
    let tracked = embedded(&tracked.collect::<Vec<_>>());
    let inputs = Inputs {
        columns: &tracked,
        keys: Some(keys),
        batch,
    };
    let output = loss.forward(&inputs).unwrap();
    let gradients = output.loss.backward().unwrap();
    let gradient = |leaf: &Var| match gradients.get(leaf.as_tensor()) {
        Some(gradient) => flat(gradient),
        None => vec![0.0; leaf.as_tensor().elem_count()],
    };
    let scale = loss.parameters();
    let scale = scale.get("loss.log_scale");
    Computed {
        value: f64::from(output.loss.to_scalar::<f32>().unwrap()),
        gradients: leaves.iter().map(gradient).collect(),
        scale: scale.map(|scale| flat(gradients.get(scale.tensor()).unwrap())[0]),
        output,
        loss,
    }
}

fn figure(output: &Output, name: &str) -> f64 {
    let found = output.figures.iter().find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {:?}", output.figures))
        .1
}

fn ones(rows: usize) -> Tensor {
    Tensor::ones((rows, 6), DType::F32, &Device::Cpu).unwrap()
}

#[test]
fn closed_forms_hold() {
    let (n, k) = (4usize, 3usize);
    let value =
        |toml: &str, columns: &Columns<'_>, batch: &Batch| compute(toml, columns, batch).value;
    let near = |name: &str, got: f64, want: f64| {
        assert!(
            (got - want).abs() < 1e-6 * want.max(1.0),
            "{name}: {got}, not {want}"
        );
    };
    let ln = |x: usize| (x as f64).ln();
    let four = ones(n);
    let pair = [("anchor", 1, &four), ("positive", 1, &four)];
    let hard = [
        ("anchor", 1, &four),
        ("positive", 1, &four),
        ("negatives", 1, &four),
    ];
    let with_negatives = Batch {
        negatives: vec![1; n],
        ..batch(n)
    };
    for name in ["info_nce", "multiple_negatives_ranking", "symmetric"] {
        let toml = format!("name = '{name}'");
        near(name, value(&toml, &pair, &batch(n)), ln(n));
    }
    let toml = "name = 'info_nce'";
    near("hard", value(toml, &hard, &with_negatives), ln(2 * n));
    let toml = "name = 'info_nce'\nhard_negative_weight = 1.0";
    let want = (2.0 * n as f64 - 1.0 + 1f64.exp()).ln();
    near("weight", value(toml, &hard, &with_negatives), want);
    let toml = "name = 'info_nce'\nin_batch = false";
    near("alone", value(toml, &hard, &with_negatives), ln(2));
    near(
        "nt_xent",
        value("name = 'nt_xent'", &pair, &batch(n)),
        ln(2 * n - 1),
    );
    let equal = ones(n * k);
    let text = [("text", k, &equal)];
    near(
        "luse",
        value("name = 'luse'", &text, &batch(n)),
        k as f64 * ln(n),
    );
    near("luse", 3.0 * ln(4), 4.158_883_08);
    near(
        "sup_con",
        value("name = 'sup_con'", &text, &batch(n)),
        ln(n * k - 1),
    );
    // Orthogonal texts whose views are equal: the floor but for e^-15.
    let eye = |texts: usize| {
        let eye = Tensor::eye(texts, DType::F32, &Device::Cpu).unwrap();
        move |views: usize| eye.repeat((views, 1)).unwrap()
    };
    let (small, large) = (eye(4)(3), eye(128)(9));
    let got = value("name = 'luse'", &[("text", 3, &small)], &batch(4));
    assert!((got - 2.753_12e-6).abs() < 1e-6, "{got}");
    let got = value("name = 'luse'", &[("text", 9, &large)], &batch(128));
    assert!((got - 3.496_40e-4).abs() < 4e-6, "{got}");
    let five = ones(5);
    let scored = Batch {
        scores: vec![0.0, 0.0, 1.0, 1.0, 1.0],
        ..batch(5)
    };
    let pair = [("sentence1", 1, &five), ("sentence2", 1, &five)];
    near(
        "cosent",
        value("name = 'cosent'", &pair, &scored),
        1.945_910_15,
    );
    let (one, other) = (eye(2)(1), eye(2)(1).flip(&[0]).unwrap());
    let scored = Batch {
        scores: vec![0.0, 1.0],
        ..batch(2)
    };
    let pair = [("sentence1", 1, &one), ("sentence2", 1, &other)];
    near(
        "cosine_bce",
        value("name = 'cosine_bce'", &pair, &scored),
        ln(2),
    );
    near(
        "cosine_mse",
        value("name = 'cosine_mse'", &pair, &scored),
        0.5,
    );
}

#[test]
fn values_and_gradients_are_torchs() {
    let oracle = oracle();
    let (a, b, c) = (oracle.case("a"), oracle.case("b"), oracle.case("c"));
    let pair = [("anchor", 1, &a), ("positive", 1, &b)];
    let hard = [("anchor", 1, &a), ("positive", 1, &b), ("negatives", 1, &c)];
    let plain = batch(8);
    let with_negatives = Batch {
        negatives: vec![1; 8],
        ..batch(8)
    };
    let learned = "scale = { learned = true }";
    for (name, toml, has_negatives) in [
        ("infonce_oneway", "name = 'info_nce'", false),
        (
            "infonce_hard",
            "name = 'info_nce'\nhard_negative_weight = 0.7",
            true,
        ),
        ("mnrl", "name = 'multiple_negatives_ranking'", false),
        ("mnrl_hard", "name = 'multiple_negatives_ranking'", true),
        ("symmetric", "name = 'symmetric'", false),
        ("symmetric_hard", "name = 'symmetric'", true),
        (
            "mnrl_hard",
            "name = 'symmetric'\ndirection = 'one_way_with_negatives'",
            true,
        ),
        (
            "symmetric",
            "name = 'symmetric'\ndirection = 'one_way_with_negatives'",
            false,
        ),
        ("ntxent", "name = 'nt_xent'", false),
        ("clip", &format!("name = 'symmetric'\n{learned}"), false),
    ] {
        let got = match has_negatives {
            true => compute(toml, &hard, &with_negatives),
            false => compute(toml, &pair, &plain),
        };
        let names = ["a", "b", "c"].into_iter();
        let gradients = names.zip(got.gradients.iter().map(Vec::as_slice));
        let mut gradients: Vec<(&str, &[f32])> = gradients.collect();
        let scale = got.scale.into_iter().collect::<Vec<f32>>();
        if !scale.is_empty() {
            gradients.push(("logit_scale", &scale));
        }
        oracle.check(name, got.value, &gradients);
        // Two views of a text are a pair as well.
        if !has_negatives {
            let both = Tensor::cat(&[&a, &b], 0).unwrap();
            let views = compute(toml, &[("text", 2, &both)], &plain);
            oracle.check(name, views.value, &[]);
            assert_eq!(views.gradients[0], got.gradients.concat());
        }
    }
}

#[test]
fn values_and_gradients_of_views_and_scores_are_torchs() {
    let oracle = oracle();
    let views = oracle.case("views");
    for (name, toml) in [
        ("luse_mpmn", "name = 'luse'"),
        ("luse_bce", "name = 'luse_bce'"),
    ] {
        let got = compute(toml, &[("text", 3, &views)], &batch(8));
        oracle.check(name, got.value, &[("views", &got.gradients[0])]);
    }
    let labelled = Batch {
        labels: oracle
            .numbers("labels")
            .iter()
            .map(f32::to_string)
            .collect(),
        ..batch(24)
    };
    let got = compute("name = 'sup_con'", &[("text", 1, &views)], &labelled);
    oracle.check("supcon_out", got.value, &[("views", &got.gradients[0])]);

    let (a, b) = (oracle.case("a"), oracle.case("b"));
    for (name, toml, scores) in [
        ("cosent", "name = 'cosent'", "gold"),
        ("bce_cosine", "name = 'cosine_bce'", "pair_labels"),
        ("cosine_mse", "name = 'cosine_mse'", "gold"),
    ] {
        let scored = Batch {
            scores: oracle.numbers(scores),
            ..batch(8)
        };
        let pair = [("sentence1", 1, &a), ("sentence2", 1, &b)];
        let got = compute(toml, &pair, &scored);
        oracle.check(
            name,
            got.value,
            &[("a", &got.gradients[0]), ("b", &got.gradients[1])],
        );
    }
}

#[test]
fn the_queue_is_torchs() {
    let oracle = oracle();
    let (a, b) = (oracle.case("a"), oracle.case("b"));
    let pair = [("anchor", 1, &a), ("positive", 1, &b)];
    let mut loss = options("name = 'moco'\nqueue = 24")
        .build(16, 1, &Device::Cpu)
        .unwrap();
    assert_eq!(loss.momentum(), Some(0.999));
    let mut state = loss.state();
    let queue = super::Similarity::Cosine
        .prepare(&oracle.case("queue"))
        .unwrap();
    let place = Tensor::new(&[22u32, 21], &Device::Cpu).unwrap();
    state.insert("queue.keys".into(), queue);
    state.insert("queue.filled_and_pointer".into(), place);
    loss.restore(&state).unwrap();
    let mut got = compute_with(loss, &pair, &batch(8));
    oracle.check("moco", got.value, &[("a", &got.gradients[0])]);
    assert!(
        got.gradients[1].iter().all(|&part| part == 0.0),
        "keys carry no gradient"
    );
    assert_eq!(figure(&got.output, "queue"), 22.0);

    let columns = embedded(&pair);
    let inputs = Inputs {
        columns: &columns,
        keys: Some(&columns),
        batch: &batch(8),
    };
    got.loss.advance(&inputs).unwrap();
    let state = got.loss.state();
    let after = &oracle.gradients["moco/queue_after"];
    close("queue", &flat(&state["queue.keys"]), &flat(after), 1e-6);
    let place = state["queue.filled_and_pointer"].to_vec1::<u32>().unwrap();
    let pointer = oracle.values["values"]["moco"]["queue_ptr_after"].as_u64();
    assert_eq!((place[0], Some(u64::from(place[1]))), (24, pointer));
}

#[test]
fn the_queue_starts_empty_and_its_state_goes_on() {
    let toml = "name = 'moco'\nqueue = 5";
    let make = || options(toml).build(3, 1, &Device::Cpu).unwrap();
    let vectors = |stream| values(4, 3, stream);
    let run = |loss: Box<dyn Loss>, stream| {
        let (a, b) = (vectors(stream), vectors(stream + 1));
        let pair = [("anchor", 1, &a), ("positive", 1, &b)];
        let mut got = compute_with(loss, &pair, &batch(4));
        let columns = embedded(&pair);
        let inputs = Inputs {
            columns: &columns,
            keys: Some(&columns),
            batch: &batch(4),
        };
        got.loss.advance(&inputs).unwrap();
        got
    };
    let first = run(make(), 1);
    assert_eq!(first.value, 0.0, "no negatives yet");
    let state = first.loss.state();
    let second = run(first.loss, 3);
    assert!(second.value > 0.0);
    let mut again = make();
    again.restore(&state).unwrap();
    let again = run(again, 3);
    assert_eq!(again.value.to_bits(), second.value.to_bits());
    assert_eq!(again.gradients, second.gradients);
    // What was given out before has not moved with the queue.
    assert_eq!(
        state["queue.filled_and_pointer"].to_vec1::<u32>().unwrap(),
        [4, 4]
    );
    let place = again.loss.state()["queue.filled_and_pointer"]
        .to_vec1::<u32>()
        .unwrap();
    assert_eq!(place, [5, 3]);

    let other = options("name = 'moco'\nqueue = 6").build(3, 1, &Device::Cpu);
    let message = other.unwrap().restore(&state).unwrap_err().to_string();
    assert!(
        message.contains("queue.keys") && message.contains("[6, 3]"),
        "{message}"
    );
    let mut small = options("name = 'moco'\nqueue = 3")
        .build(3, 1, &Device::Cpu)
        .unwrap();
    let (a, b) = (vectors(1), vectors(2));
    let columns = embedded(&[("anchor", 1, &a), ("positive", 1, &b)]);
    let inputs = Inputs {
        columns: &columns,
        keys: Some(&columns),
        batch: &batch(4),
    };
    small.advance(&inputs).unwrap();
    let keys = super::Similarity::Cosine
        .prepare(&b)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let kept = small.state()["queue.keys"].to_vec2::<f32>().unwrap();
    assert_eq!(kept, [keys[3].clone(), keys[1].clone(), keys[2].clone()]);
}

#[test]
fn a_learned_scale_is_a_parameter_without_decay_and_held() {
    let loss = options("name = 'luse'\nscale = { learned = true, initial = 99.0, max = 100.0 }")
        .build(4, 1, &Device::Cpu)
        .unwrap();
    let parameters = loss.parameters();
    let scale = parameters.get("loss.log_scale").unwrap();
    assert!(
        !scale.decay
            && !parameters
                .copy()
                .unwrap()
                .get("loss.log_scale")
                .unwrap()
                .decay
    );
    let set = |value: f64| {
        scale
            .set(&Tensor::new(value as f32, &Device::Cpu).unwrap())
            .unwrap();
        loss.clamp().unwrap();
        scale.tensor().to_scalar::<f32>().unwrap()
    };
    assert_eq!(set(5.0), 100f32.ln());
    assert_eq!(set(-0.5), 0.0);
    assert_eq!(set(1.5), 1.5);
    let views = values(6, 4, 1);
    let got = compute_with(loss, &[("text", 2, &views)], &batch(3));
    assert!((figure(&got.output, "scale") - 1.5f64.exp()).abs() < 1e-6);
    assert!(got.scale.unwrap() != 0.0);
}

/// Numbers between -1 and 1.
fn values(rows: usize, width: usize, stream: u64) -> Tensor {
    let mut draws = Draws::new(4, stream, 0, 0, 0);
    let values = (0..rows * width).map(|_| (draws.unit() * 2.0 - 1.0) as f32);
    Tensor::from_vec(values.collect(), (rows, width), &Device::Cpu).unwrap()
}

/// A batch of pairs with ragged negatives and lists of everything.
fn ragged(rows: usize, seed: u64) -> Batch {
    let mut draws = Draws::new(seed, 9, 0, 0, 0);
    let negatives: Vec<u32> = (0..rows).map(|row| (row % 3) as u32).collect();
    let documents = rows + negatives.iter().sum::<u32>() as usize;
    let (mut positives, mut ignored) = (Lists::default(), Lists::default());
    for row in 0..rows {
        let mut list = |p: f64| -> Vec<u32> {
            let others = (0..documents).filter(|&document| document != row);
            others
                .filter(|_| draws.chance(p))
                .map(|document| document as u32)
                .collect()
        };
        positives.push(&list(0.1));
        ignored.push(&list(0.2));
    }
    let mut all = batch(rows);
    all.record_ids[rows - 1] = 0;
    Batch {
        positives,
        ignored,
        teacher: (0..documents).map(|_| draws.unit() as f32 * 4.0).collect(),
        scores: (0..rows).map(|_| draws.below(3) as f32 / 2.0).collect(),
        negatives,
        ..all
    }
}

/// Each loss with the columns that it is tried on.
const TRIED: &[(&str, &str)] = &[
    (
        "name = 'info_nce'\nscale = 6.0\nhard_negative_weight = 0.5",
        "triplets",
    ),
    (
        "name = 'info_nce'\nscale = 6.0\npositives = 'summed'",
        "triplets",
    ),
    (
        "name = 'info_nce'\nscale = 6.0\nin_batch = false",
        "triplets",
    ),
    (
        "name = 'info_nce'\nscale = 1.0\nsimilarity = 'dot'",
        "triplets",
    ),
    (
        "name = 'multiple_negatives_ranking'\nscale = 6.0",
        "triplets",
    ),
    (
        "name = 'symmetric'\nscale = { learned = true, initial = 6.0 }",
        "triplets",
    ),
    ("name = 'nt_xent'\nscale = 6.0", "triplets"),
    ("name = 'moco'\nscale = 6.0\nqueue = 9", "triplets"),
    ("name = 'margin_mse'", "triplets"),
    (
        "name = 'margin_mse'\nsimilarity = 'cosine'\nscale = 3.0",
        "triplets",
    ),
    ("name = 'distillation'\nscale = 5.0", "triplets"),
    (
        "name = 'distillation'\nscale = 5.0\ncontrastive_weight = 0.0",
        "triplets",
    ),
    ("name = 'luse'\nscale = 6.0", "views"),
    ("name = 'luse_bce'", "views"),
    ("name = 'sup_con'\nscale = 6.0", "views"),
    (
        "name = 'sup_con'\nscale = 6.0\npositives = 'summed'",
        "views",
    ),
    ("name = 'cosent'\nscale = 5.0", "scored"),
    ("name = 'cosine_bce'", "scored"),
    ("name = 'cosine_mse'", "scored"),
    (
        "name = 'matryoshka'\ndimensions = [5, 2]\nweights = [1.0, 0.5]\n[of]\nname = 'luse'\nscale = 6.0",
        "views",
    ),
];

fn columns_of(kind: &str, batch: &Batch, seed: u64) -> Vec<(&'static str, usize, Tensor)> {
    let rows = batch.rows();
    let vectors = |rows, stream| values(rows, 5, seed * 7 + stream);
    let negatives = batch.negatives.iter().sum::<u32>() as usize;
    match kind {
        "triplets" => vec![
            ("anchor", 1, vectors(rows, 1)),
            ("positive", 1, vectors(rows, 2)),
            ("negatives", 1, vectors(negatives, 3)),
        ],
        "views" => vec![("text", 3, vectors(3 * rows, 4))],
        _ => vec![
            ("sentence1", 1, vectors(rows, 5)),
            ("sentence2", 1, vectors(rows, 6)),
        ],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn gradients_are_finite_differences(
        which in 0..TRIED.len(),
        rows in 3usize..7,
        seed in 0u64..1_000_000,
    ) {
        let (toml, kind) = TRIED[which];
        let batch = ragged(rows, seed);
        let columns = columns_of(kind, &batch, seed);
        // The same queue for all: keys stand still while queries move.
        let keys: Vec<_> = columns.iter().map(|(name, views, tensor)| (*name, *views, tensor)).collect();
        let keys = embedded(&keys);
        let run = |columns: &[(&'static str, usize, Tensor)]| {
            let mut loss = options(toml).build(5, 1, &Device::Cpu).unwrap();
            let inputs = Inputs { columns: &keys, keys: Some(&keys), batch: &batch };
            loss.advance(&inputs).unwrap();
            let columns: Vec<_> =
                columns.iter().map(|(name, views, tensor)| (*name, *views, tensor)).collect();
            compute_with_keys(loss, &columns, &keys, &batch)
        };
        let got = run(&columns);
        prop_assert!(got.value.is_finite());
        for (number, (name, _, tensor)) in columns.iter().enumerate() {
            let direction = values(tensor.dim(0).unwrap(), 5, seed + 100 + number as u64);
            let moved = |by: f64| {
                let mut columns = columns.clone();
                columns[number].2 = (tensor + (&direction * by).unwrap()).unwrap();
                run(&columns).value
            };
            let step = 2e-3;
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let along = got.gradients[number].iter().zip(flat(&direction));
            let along: f64 = along.map(|(a, b)| f64::from(a * b)).sum();
            let gap = (slope - along).abs();
            prop_assert!(gap < 4e-3 * slope.abs().max(1.0), "{toml} {name}: {slope}, {along}");
        }
    }
}

#[test]
fn masks_follow_from_the_lists_of_a_batch() {
    // Documents 0, 1, 2; the negatives 3 of record 0 and 4, 5 of record 2.
    let mut own = batch(3);
    own.negatives = vec![1, 0, 2];
    for (positives, ignored) in [(&[1u32][..], &[2u32][..]), (&[], &[3]), (&[4], &[])] {
        own.positives.push(positives);
        own.ignored.push(ignored);
    }
    let vectors = values(3, 5, 1);
    let columns = [
        ("anchor", 1, &vectors),
        ("positive", 1, &vectors),
        ("negatives", 1, &vectors),
    ];
    let columns = embedded(&columns);
    let inputs = Inputs {
        columns: &columns,
        keys: None,
        batch: &own,
    };
    let pairs = super::pairs::Pairs::of(&inputs).unwrap();
    let positives = |masks: &Masks| -> Vec<Vec<u32>> {
        let row = |row: &Vec<(u32, f32)>| {
            assert!(
                row.iter()
                    .all(|(_, share)| *share == 1.0 / row.len() as f32)
            );
            row.iter().map(|(column, _)| *column).collect()
        };
        masks.targets.iter().map(row).collect()
    };
    let all = pairs.masks(true);
    assert_eq!(positives(&all), [vec![0, 1], vec![1], vec![2, 4]]);
    assert_eq!(all.ignored, [vec![2], vec![3], vec![]]);
    assert!(all.seen.is_empty());
    let alone = pairs.masks(false);
    assert_eq!(positives(&alone), [vec![0], vec![1], vec![2, 4]]);
    assert_eq!(
        alone.seen,
        [vec![0..1, 3..4], vec![1..2, 4..4], vec![2..3, 4..6]]
    );
    let turned = pairs.turned();
    assert_eq!(positives(&turned), [vec![0], vec![0, 1], vec![2]]);
    assert_eq!(turned.ignored, [vec![], vec![], vec![0]]);
    let both = pairs.both_ways();
    let want = [
        vec![3, 4],
        vec![4],
        vec![5, 7],
        vec![0],
        vec![0, 1],
        vec![2],
    ];
    assert_eq!(positives(&both), want);
    let want = [
        vec![5, 0],
        vec![6, 1],
        vec![2],
        vec![3],
        vec![4],
        vec![0, 5],
    ];
    assert_eq!(both.ignored, want);
    assert!(both.own_column);
    // A batch whose counts do not fit is a defect, not a wrong loss.
    let mut wrong = own.clone();
    wrong.negatives = vec![1, 1, 2];
    let inputs = Inputs {
        batch: &wrong,
        ..inputs
    };
    let message = super::pairs::Pairs::of(&inputs).unwrap_err().to_string();
    assert!(message.contains("3 negatives of 3 anchors"), "{message}");
}

#[test]
fn own_negatives_lists_and_equal_records_are_masks() {
    // Documents 0, 1, 2; the negatives 3 of record 0 and 4, 5 of record 2.
    let mut own = batch(3);
    own.negatives = vec![1, 0, 2];
    let (a, b, c) = (values(3, 5, 1), values(3, 5, 2), values(3, 5, 3));
    let columns = [("anchor", 1, &a), ("positive", 1, &b), ("negatives", 1, &c)];
    let toml = "name = 'info_nce'\nscale = 4.0";
    let free = compute(toml, &columns, &own);
    // To ignore all but one other document leaves two logits for each row.
    let mut masked = own.clone();
    for list in [[2u32, 3, 4, 5], [2, 3, 4, 5], [1, 3, 4, 5]] {
        masked.ignored.push(&list);
    }
    let got = compute(toml, &columns, &masked);
    let cosine = |one: &Tensor, row: usize, other: &Tensor, column: usize| -> f64 {
        let unit = |tensor: &Tensor, row: usize| -> Vec<f64> {
            let row = tensor.to_vec2::<f32>().unwrap()[row].clone();
            let length = row.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
            row.iter().map(|x| f64::from(*x) / length).collect()
        };
        unit(one, row)
            .iter()
            .zip(unit(other, column))
            .map(|(a, b)| a * b)
            .sum()
    };
    let two = |row: usize, other: usize| {
        let gap = 4.0 * (cosine(&a, row, &b, other) - cosine(&a, row, &b, row));
        gap.exp().ln_1p()
    };
    let want = (two(0, 1) + two(1, 0) + two(2, 0)) / 3.0;
    assert!((got.value - want).abs() < 1e-6, "{} {want}", got.value);
    assert!(
        got.gradients[2].iter().all(|&part| part == 0.0),
        "negatives are ignored"
    );
    assert!(free.value > got.value);

    // A positive that is to be ignored stays; the equal record's document is a positive.
    let mut equal = own.clone();
    equal.record_ids = vec![7, 7, 8];
    let by_ids = compute(toml, &columns, &equal);
    let mut listed = own.clone();
    listed.positives.push(&[1]);
    listed.positives.push(&[0]);
    listed.positives.push(&[]);
    let mut also_ignored = listed.clone();
    also_ignored.ignored.push(&[0, 1]);
    also_ignored.ignored.push(&[0, 1]);
    also_ignored.ignored.push(&[2]);
    let by_lists = compute(toml, &columns, &listed);
    assert_eq!(by_ids.value, by_lists.value);
    assert_eq!(by_lists.value, compute(toml, &columns, &also_ignored).value);
    assert!(by_lists.value != free.value);
    // An own negative alone: record 1 has none and cannot be wrong.
    let alone = compute(
        "name = 'info_nce'\nscale = 4.0\nin_batch = false",
        &columns,
        &own,
    );
    let at = |row: usize, negatives: &[usize]| {
        let gaps = negatives.iter();
        let gaps = gaps.map(|&n| 4.0 * (cosine(&a, row, &c, n) - cosine(&a, row, &b, row)));
        gaps.map(f64::exp).sum::<f64>().ln_1p()
    };
    let want = (at(0, &[0]) + at(2, &[1, 2])) / 3.0;
    assert!((alone.value - want).abs() < 1e-6, "{} {want}", alone.value);
}

#[test]
fn an_equal_record_is_a_view_more() {
    // Two records with the same id and 2 blocks are one record with 4 blocks.
    let views = values(4, 5, 1);
    let order = Tensor::new(&[0u32, 2, 1, 3], &Device::Cpu).unwrap();
    let mut equal = batch(2);
    equal.record_ids = vec![5, 5];
    for name in ["luse", "sup_con", "luse_bce"] {
        let toml = format!("name = '{name}'");
        let two = compute(&toml, &[("text", 2, &views)], &equal);
        let one = compute(
            &toml,
            &[("text", 4, &views.index_select(&order, 0).unwrap())],
            &batch(1),
        );
        assert!(
            (two.value - one.value).abs() < 1e-6,
            "{name}: {} {}",
            two.value,
            one.value
        );
    }
}

#[test]
fn a_teacher_that_agrees_leaves_nothing_to_learn() {
    let own = Batch {
        negatives: vec![2, 2],
        ..batch(2)
    };
    let (a, b, c) = (values(2, 5, 1), values(2, 5, 2), values(4, 5, 3));
    let columns = [("anchor", 1, &a), ("positive", 1, &b), ("negatives", 1, &c)];
    let owners = Tensor::new(&[0u32, 1, 0, 0, 1, 1], &Device::Cpu).unwrap();
    let documents = Tensor::cat(&[&b, &c], 0).unwrap();
    let anchors = a.index_select(&owners, 0).unwrap();
    let scores = |similarity: super::Similarity| {
        let cosines = super::scored::of_pairs(&anchors, &documents, similarity);
        flat(&cosines.unwrap())
    };
    let with = |teacher: Vec<f32>| Batch {
        teacher,
        ..own.clone()
    };
    let student = scores(super::Similarity::Cosine);
    let toml = "name = 'distillation'\nscale = 7.0\nteacher_scale = 7.0\ncontrastive_weight = 0.0";
    let got = compute(toml, &columns, &with(student.clone()));
    assert!(got.value.abs() < 1e-6, "{}", got.value);
    assert!(got.gradients.concat().iter().all(|part| part.abs() < 1e-6));
    let mut wrong = student.clone();
    wrong.swap(0, 2);
    assert!(compute(toml, &columns, &with(wrong)).value > 1e-3);

    let student = scores(super::Similarity::Dot);
    // Margins only: a constant on all scores of an anchor changes nothing.
    let shifted: Vec<f32> = [3.0, -2.0, 3.0, 3.0, -2.0, -2.0]
        .iter()
        .zip(&student)
        .map(|(a, b)| a + b)
        .collect();
    let got = compute("name = 'margin_mse'", &columns, &with(shifted));
    assert!(got.value < 1e-9, "{}", got.value);
    let mut one = student.clone();
    one[2] += 0.6;
    let got = compute("name = 'margin_mse'", &columns, &with(one.clone()));
    assert!((got.value - 0.36 / 4.0).abs() < 1e-6);
    // A negative without a score does not count.
    one[2] = f32::NAN;
    let got = compute("name = 'margin_mse'", &columns, &with(one.clone()));
    assert!(got.value < 1e-9, "{}", got.value);
    let got = compute(toml, &columns, &with(one));
    assert!(got.value.is_finite());
}

#[test]
fn moved_vectors_are_worse_and_as_far_as_said() {
    let views = values(8, 5, 1);
    let clean = compute(
        "name = 'luse'\nscale = 6.0",
        &[("text", 2, &views)],
        &batch(4),
    );
    let value = |epsilon: f64| {
        let toml =
            format!("name = 'adversarial'\nepsilon = {epsilon}\n[of]\nname = 'luse'\nscale = 6.0");
        let got = compute(&toml, &[("text", 2, &views)], &batch(4));
        let moved = figure(&got.output, "adversarial_loss");
        assert!((got.value - (clean.value + moved) / 2.0).abs() < 1e-5);
        assert!(got.gradients[0].iter().any(|&part| part != 0.0));
        moved
    };
    let (near, far) = (value(0.01), value(0.2));
    assert!(
        clean.value < near && near < far,
        "{} {near} {far}",
        clean.value
    );
    // To first order the loss grows by the sum of ε |x| |g| over the vectors.
    let rows = clean.gradients[0].chunks(5).zip(
        flat(&views)
            .chunks(5)
            .map(<[f32]>::to_vec)
            .collect::<Vec<_>>(),
    );
    let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    let growth: f32 = rows
        .map(|(gradient, vector)| 0.01 * length(gradient) * length(&vector))
        .sum();
    let gap = (near - clean.value) / f64::from(growth);
    assert!((0.9..1.2).contains(&gap), "{gap}");
}

#[test]
fn matryoshka_is_the_sum_over_first_dimensions() {
    let views = values(8, 5, 1);
    let part = |width: usize| {
        let first = views.narrow(1, 0, width).unwrap().contiguous().unwrap();
        compute("name = 'luse'", &[("text", 2, &first)], &batch(4)).value
    };
    let toml =
        "name = 'matryoshka'\ndimensions = [5, 3]\nweights = [1.0, 0.5]\n[of]\nname = 'luse'";
    let got = compute(toml, &[("text", 2, &views)], &batch(4));
    assert!((got.value - part(5) - 0.5 * part(3)).abs() < 1e-5);
    let wide = options("name = 'matryoshka'\ndimensions = [6]\n[of]\nname = 'luse'");
    let message = wide.build(5, 1, &Device::Cpu).err().unwrap().to_string();
    assert!(
        message.contains("dimensions = [6]") && message.contains("have 5"),
        "{message}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let offer = |columns: &[(&'static str, usize)], scores, labels, teacher| Offer {
        columns: columns.to_vec(),
        scores,
        labels,
        teacher,
    };
    let text = |views| offer(&[("text", views)], false, false, false);
    let pairs = offer(&[("anchor", 1), ("positive", 1)], false, false, false);
    let triplets = offer(
        &[("anchor", 1), ("positive", 1), ("negatives", 1)],
        false,
        false,
        false,
    );
    let taught = offer(
        &[("anchor", 1), ("positive", 1), ("negatives", 1)],
        false,
        false,
        true,
    );
    let scored = offer(&[("sentence1", 1), ("sentence2", 1)], true, false, false);
    let labelled = offer(&[("text", 1)], false, true, false);
    let offers = [
        text(1),
        text(2),
        text(3),
        pairs,
        triplets,
        taught,
        scored,
        labelled,
    ];
    // Of each loss which of these offers it takes.
    for (toml, takes) in [
        ("name = 'info_nce'", "01011100"),
        ("name = 'info_nce'\nin_batch = false", "00001100"),
        ("name = 'multiple_negatives_ranking'", "01011100"),
        ("name = 'symmetric'", "01011100"),
        ("name = 'nt_xent'", "01011100"),
        ("name = 'moco'", "01011100"),
        ("name = 'luse'", "01100000"),
        ("name = 'luse_bce'", "01100000"),
        ("name = 'sup_con'", "01100001"),
        ("name = 'cosent'", "00000010"),
        ("name = 'cosine_bce'", "00000010"),
        ("name = 'cosine_mse'", "00000010"),
        ("name = 'margin_mse'", "00000100"),
        ("name = 'distillation'", "00000100"),
        ("name = 'adversarial'\n[of]\nname = 'luse'", "01100000"),
        (
            "name = 'matryoshka'\ndimensions = [2]\n[of]\nname = 'cosent'",
            "00000010",
        ),
    ] {
        let loss = options(toml).build(4, 1, &Device::Cpu).unwrap();
        let taken = offers.iter().map(|offer| match loss.check(offer) {
            Ok(()) => '1',
            Err(message) => {
                assert!(message.contains("wants `"), "{message}");
                assert!(
                    offer.columns.iter().all(|(name, _)| message.contains(name)),
                    "{message}"
                );
                '0'
            }
        });
        assert_eq!(taken.collect::<String>(), takes, "{toml}");
    }
    let loss = options("name = 'luse'").build(4, 1, &Device::Cpu).unwrap();
    assert_eq!(
        loss.check(&offers[3]).unwrap_err(),
        "[loss] name = \"luse\" wants `text` with at least 2 view blocks; the batches have, with view \
         blocks: `anchor` with 1, `positive` with 1 ([views] makes blocks: augmented + copies + 1)"
    );
}

#[test]
fn wrong_options_are_refused_with_what_is_accepted() {
    for (toml, word) in [
        ("name = 'info'", "info_nce"),
        ("name = 'info_nce'\ntau = 1", "tau"),
        (
            "name = 'info_nce'\nscale = 0.0",
            "[loss] scale = 0: a number above 0",
        ),
        ("name = 'info_nce'\nscale = 'high'", "a number, or a table"),
        (
            "name = 'info_nce'\nscale = { learned = true, initial = 200.0 }",
            "initial = 200: 1 to 100",
        ),
        ("name = 'info_nce'\nsimilarity = 'l2'", "cosine"),
        (
            "name = 'symmetric'\ndirection = 'back'",
            "one_way_with_negatives",
        ),
        ("name = 'moco'\nqueue = 0", "queue = 0: 1 to"),
        (
            "name = 'moco'\nmomentum = 1.0",
            "momentum = 1: 0 to below 1",
        ),
        ("name = 'cosent'\nscale = -1.0", "scale = -1"),
        (
            "name = 'cosine_bce'\nscore_range = [1.0, 1.0]",
            "score_range = [1, 1]",
        ),
        (
            "name = 'distillation'\nteacher_scale = 0.0",
            "teacher_scale = 0",
        ),
        ("name = 'adversarial'", "of"),
        (
            "name = 'adversarial'\nepsilon = 0.0\n[of]\nname = 'luse'",
            "epsilon = 0",
        ),
        (
            "name = 'adversarial'\n[of]\nname = 'luse'\nscale = 0.0",
            "of: scale = 0",
        ),
        (
            "name = 'matryoshka'\ndimensions = [2, 2]\n[of]\nname = 'luse'",
            "[2, 2]",
        ),
        (
            "name = 'matryoshka'\ndimensions = [2]\nweights = [1.0, 1.0]\n[of]\nname = 'luse'",
            "weights",
        ),
        (
            "name = 'matryoshka'\ndimensions = [2]\n[of]\nname = 'moco'",
            "queue of one width",
        ),
    ] {
        let message = match toml::from_str::<Options>(toml) {
            Err(error) => error.to_string(),
            Ok(options) => options.check().unwrap_err(),
        };
        assert!(message.contains(word), "{toml}: {message}");
    }
    let one = values(2, 3, 1);
    let scored = Batch {
        scores: vec![0.5, 4.0],
        ..batch(2)
    };
    let columns = embedded(&[("sentence1", 1, &one), ("sentence2", 1, &one)]);
    let loss = options("name = 'cosine_mse'")
        .build(3, 1, &Device::Cpu)
        .unwrap();
    let inputs = Inputs {
        columns: &columns,
        keys: None,
        batch: &scored,
    };
    let message = loss.forward(&inputs).unwrap_err().to_string();
    assert!(
        message.contains("record 1") && message.contains("score 4"),
        "{message}"
    );
}

#[test]
fn the_published_values_are_the_defaults() {
    let toml = |name: &str| {
        let options = options(&format!("name = '{name}'"));
        toml::to_string(&options).unwrap()
    };
    for (name, line) in [
        ("info_nce", "scale = 20.0"),
        ("multiple_negatives_ranking", "scale = 20.0"),
        ("symmetric", "scale = 20.0"),
        ("nt_xent", "scale = 20.0"),
        ("luse", "scale = 15.0"),
        ("sup_con", "scale = 14.2857"),
        ("moco", "queue = 65536"),
        ("cosent", "scale = 20.0"),
        ("distillation", "scale = 50.0"),
    ] {
        assert!(toml(name).contains(line), "{}", toml(name));
    }
    let learned = options("name = 'symmetric'\nscale = { learned = true }");
    let again: Options = toml::from_str(&toml::to_string(&learned).unwrap()).unwrap();
    assert_eq!(again, learned);
    assert_eq!(Options::default(), options("name = 'luse'"));
}
