//! Tests of the gradients of a step: chunks against the whole batch.

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use super::fixtures::{Contrast, Defect, Guess, batch};
use super::{Objective, StepValue, chunks};
use crate::doctor::Numbers;
use crate::encoder::fixtures::{config, encoder};
use crate::encoder::{Encoder, Kernels, Pooling, Sequences};
use crate::losses::{Loss, TokenLoss};

/// The value of a step and all gradients it leaves, which are then cleared.
fn step(objective: &Objective<'_>, scale: f64) -> (StepValue, Numbers) {
    let batch = batch(&objective.encoder.config);
    let value = objective.step(&batch, 9, scale).unwrap();
    let parameters = objective.parameters();
    let gradients = Numbers::gradients(&parameters).unwrap();
    assert_eq!(gradients.0.len(), parameters.len());
    parameters.clear_gradients();
    (value, gradients)
}

/// Biases of keys have no gradient but rounding errors.
fn zero(name: &str) -> bool {
    name.ends_with("key.bias")
}

fn check(encoder: &Encoder, loss: Option<&dyn Loss>, tokens: &[&dyn TokenLoss]) {
    let keys = encoder.copy().unwrap();
    for kernels in [Kernels::Plain, Kernels::Fused] {
        let mut objective = Objective {
            encoder,
            keys: Some(&keys),
            loss,
            token_losses: tokens,
            kernels,
            chunk: 0,
        };
        let (whole, expected) = step(&objective, 0.5);
        let sequences = batch(&encoder.config).sequences();
        for chunk in 1..=sequences + 1 {
            objective.chunk = chunk;
            let (value, gradients) = step(&objective, 0.5);
            let off = (value.loss - whole.loss).abs() / whole.loss;
            assert!(off < 1e-6, "{chunk}: {} {}", value.loss, whole.loss);
            let off = expected.difference(&gradients, zero);
            assert!(off.total < 1e-6, "{kernels:?}, chunk {chunk}: {off:?}");
            // Sums that nearly cancel, as of a scale or a last bias, lose more digits.
            assert!(off.worst_by < 1e-5, "{kernels:?}, chunk {chunk}: {off:?}");
            assert_eq!(value.figures.len(), whole.figures.len());
            for (one, other) in value.figures.iter().zip(&whole.figures) {
                assert_eq!(one.0, other.0);
                assert!((one.1 - other.1).abs() < 1e-9, "{one:?} {other:?}");
            }
        }
    }
}

#[test]
fn chunks_have_the_gradients_of_the_whole() {
    for pooling in [Pooling::Cls, Pooling::Mean] {
        let encoder = encoder(&config(), pooling);
        check(&encoder, Some(&Contrast::new(5.0)), &[]);
    }
}

#[test]
fn token_losses_add_up() {
    let encoder = encoder(&config(), Pooling::Mean);
    let guess = Guess::new(&config(), 0.1, Defect::None);
    check(&encoder, None, &[&guess]);
    check(&encoder, Some(&Contrast::new(5.0)), &[&guess, &guess]);
}

#[test]
fn keys_come_from_the_other_encoder() {
    let encoder = encoder(&config(), Pooling::Mean);
    let mut loss = Contrast::new(5.0);
    loss.keys = true;
    check(&encoder, Some(&loss), &[]);
    let keys = encoder.copy().unwrap();
    let objective = Objective {
        encoder: &encoder,
        keys: None,
        loss: Some(&loss),
        token_losses: &[],
        kernels: Kernels::Plain,
        chunk: 4,
    };
    let batch = batch(&config());
    let error = objective.step(&batch, 9, 1.0).unwrap_err();
    assert!(error.to_string().contains("momentum encoder"), "{error}");
    let objective = Objective {
        keys: Some(&keys),
        ..objective
    };
    let value = objective.step(&batch, 9, 1.0).unwrap();
    assert_eq!(value.keys.unwrap().len(), 3);
    assert!(
        keys.parameters
            .iter()
            .all(|key| key.gradient().unwrap().is_none())
    );
}

/// GradCache is exact only if its second pass repeats the dropout of the first.
#[test]
fn another_dropout_would_be_noticed() {
    let encoder = encoder(&config(), Pooling::Mean);
    let loss = Contrast::new(5.0);
    let objective = Objective {
        encoder: &encoder,
        keys: None,
        loss: Some(&loss),
        token_losses: &[],
        kernels: Kernels::Plain,
        chunk: 4,
    };
    let (_, expected) = step(&objective, 1.0);
    let batch = batch(&config());
    let other = objective.step(&batch, 10, 1.0).unwrap();
    let parameters = objective.parameters();
    let found = Numbers::gradients(&parameters).unwrap();
    let off = expected.difference(&found, zero);
    assert!(off.total > 1e-2, "{off:?}");
    parameters.clear_gradients();
    assert!(other.loss != step(&objective, 1.0).0.loss);
}

#[test]
fn values_are_those_of_steps_without_gradients() {
    let encoder = encoder(&config(), Pooling::Cls);
    let guess = Guess::new(&config(), 0.3, Defect::None);
    let loss = Contrast::new(5.0);
    for chunk in [0, 5] {
        let objective = Objective {
            encoder: &encoder,
            keys: None,
            loss: Some(&loss),
            token_losses: &[&guess],
            kernels: Kernels::Plain,
            chunk,
        };
        let value = objective.value(&batch(&config()), 9).unwrap();
        let parameters = objective.parameters();
        let mut all = parameters.iter();
        assert!(chunk > 0 || all.all(|own| own.gradient().unwrap().is_none()));
        let (trained, _) = step(&objective, 0.25);
        assert_eq!(value.loss, trained.loss);
        assert_eq!(value.figures, trained.figures);
        let whole = trained.vector_loss.unwrap() + trained.token_losses[0];
        assert!((trained.loss - whole).abs() < 1e-12);
        let shapes = trained
            .vectors
            .iter()
            .map(|own| (own.name, own.vectors.dims()));
        let wanted: [(_, &[usize]); 3] = [
            ("anchor", &[12, 16]),
            ("positive", &[6, 16]),
            ("negatives", &[7, 16]),
        ];
        assert!(shapes.eq(wanted));
    }
}

#[test]
fn a_column_may_be_empty_and_a_batch_not() {
    let encoder = encoder(&config(), Pooling::Cls);
    let loss = Contrast::new(5.0);
    let mut objective = Objective {
        encoder: &encoder,
        keys: None,
        loss: Some(&loss),
        token_losses: &[],
        kernels: Kernels::Plain,
        chunk: 0,
    };
    let mut batch = batch(&config());
    let last = batch.columns.last_mut().unwrap();
    (last.texts, last.ids, last.lengths) = (0, Vec::new(), Vec::new());
    let whole = objective.step(&batch, 9, 1.0).unwrap().loss;
    objective.chunk = 5;
    assert!((objective.step(&batch, 9, 1.0).unwrap().loss - whole).abs() < 1e-6);
    batch.columns.clear();
    let error = objective.step(&batch, 9, 1.0).unwrap_err();
    assert_eq!(error.to_string(), "step 3: the batch has no sequences");
}

proptest! {
    #[test]
    fn chunks_are_bounded_and_whole(
        lengths in proptest::collection::vec(1usize..40, 1..60),
        chunk in (0usize..70).prop_map(|chunk| chunk.saturating_sub(1)),
    ) {
        let rows: Vec<Vec<u32>> = lengths.iter().map(|&length| vec![1; length]).collect();
        let sequences = Sequences::new(rows.iter().map(Vec::as_slice));
        let chunks = chunks(&sequences, chunk);
        let total = sequences.tokens();
        let mut next = 0;
        for range in &chunks {
            prop_assert_eq!(range.start, next);
            prop_assert!(!range.is_empty());
            next = range.end;
            if chunk > 0 && chunks.len() > 1 {
                prop_assert!(range.len() <= chunk);
                let tokens: usize = lengths[range.clone()].iter().sum();
                let most = (total * chunk).div_ceil(lengths.len());
                prop_assert!(tokens <= most || range.len() == 1);
            }
        }
        prop_assert_eq!(next, lengths.len());
        prop_assert!(chunk == 0 || chunks.len() <= 3 * lengths.len().div_ceil(chunk));
        prop_assert!(chunk > 0 || chunks.len() == 1);
    }
}
