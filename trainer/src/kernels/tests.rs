//! Every function against a plain one in f64, its derivative against finite differences, and all of
//! them against themselves on other registers and other numbers of threads.

use juzi_schemas::random::Draws;
use proptest::prelude::{ProptestConfig, proptest};

use super::adamw::{AdamW, adamw, squared_norm};
use super::attention::{self, Head, Room};
use super::dropout::Dropout;
use super::embedding::scatter_add;
use super::gelu::{gelu, gelu_again, gelu_backward};
use super::gemm::{self, Matrix, MatrixMut, product, product_on_all};
use super::norm::{norm_backward, normalize, scale_shift};
use super::rows::{Drops, dots, drop_and_add, drop_and_sum, drop_in_place};
use super::simd::forced;

/// Numbers between -2 and 2.
fn numbers(count: usize, stream: u64) -> Vec<f32> {
    let mut draws = Draws::new(11, stream, 0, 0, 0);
    (0..count)
        .map(|_| (draws.unit() * 4.0 - 2.0) as f32)
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The error function as an integral, by Simpson's rule.
fn erf(x: f64) -> f64 {
    let steps = 2000;
    let height = |step: i32| (-(x * f64::from(step) / f64::from(steps)).powi(2)).exp();
    let inner: f64 = (1..steps)
        .map(|step| height(step) * if step % 2 == 1 { 4.0 } else { 2.0 })
        .sum();
    (height(0) + inner + height(steps)) * x / f64::from(steps) / 3.0 * 2.0
        / std::f64::consts::PI.sqrt()
}

fn near(found: &[f32], right: &[f64], share: f64) {
    assert_eq!(found.len(), right.len());
    let largest = right
        .iter()
        .fold(1e-3f64, |most, value| most.max(value.abs()));
    for (place, (found, right)) in found.iter().zip(right).enumerate() {
        let difference = (f64::from(*found) - right).abs();
        assert!(
            difference <= share * largest,
            "{place}: {found} {right} of {largest}"
        );
    }
}

/// The derivative of a function of some numbers, by differences in f64.
fn slopes(at: &[f64], function: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-5;
    let slope = |place: usize| {
        let mut moved = at.to_vec();
        moved[place] = at[place] + step;
        let above = function(&moved);
        moved[place] = at[place] - step;
        (above - function(&moved)) / (2.0 * step)
    };
    (0..at.len()).map(slope).collect()
}

fn right_product(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let element =
        |row: usize, column: usize| (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
    (0..m * n)
        .map(|place| element(place / n, place % n))
        .collect()
}

fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..values.len())
        .map(|place| values[place % rows * columns + place / rows])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn products_are_right(m in 1usize..70, k in 1usize..70, n in 1usize..70, add: bool) {
        let (a, b, before) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
        let mut right = right_product(&wide(&a), &wide(&b), (m, k, n));
        if add {
            right.iter_mut().zip(&before).for_each(|(right, own)| *right += f64::from(*own));
        }
        let (a_columns, b_columns) = (transposed(&a, k), transposed(&b, n));
        for (first, second) in [
            (Matrix::new(&a, k), Matrix::new(&b, n)),
            (Matrix::new(&a, k), Matrix::new(&b_columns, k).transposed()),
            (Matrix::new(&a_columns, m).transposed(), Matrix::new(&b, n)),
        ] {
            let mut c = before.clone();
            product(&mut MatrixMut::new(&mut c, n), first, second, add);
            near(&c, &right, 1e-5);
            let mut c = before.clone();
            product_on_all(MatrixMut::new(&mut c, n), first, second, add);
            near(&c, &right, 1e-5);
        }
    }

    #[test]
    fn norms_are_right(width in 8usize..70, stream in 0u64..1000) {
        let (x, weight, bias) = (numbers(width, stream), numbers(width, 2), numbers(width, 3));
        let factors = numbers(width, 4);
        let norm = |x: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
            let mean = x.iter().sum::<f64>() / width as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            let root = (variance + 1e-2).sqrt();
            (0..width).map(|at| (x[at] - mean) / root * weight[at] + bias[at]).collect()
        };
        let (mut normal, mut out) = (x.clone(), vec![0.0; width]);
        let rstd = normalize(&mut normal, 1e-2);
        scale_shift(&normal, &weight, &bias, &mut out);
        let [x, weight_wide, bias_wide] = [&x, &weight, &bias].map(|own| wide(own));
        near(&out, &norm(&x, &weight_wide, &bias_wide), 1e-5);
        let loss = |out: Vec<f64>| -> f64 {
            out.iter().zip(&factors).map(|(out, factor)| out * f64::from(*factor)).sum()
        };
        let (mut own, mut weight_own, mut bias_own) = (factors.clone(), vec![0.0; width], vec![0.0; width]);
        norm_backward(&mut own, &normal, rstd, &weight, &mut weight_own, &mut bias_own);
        near(&own, &slopes(&x, |x| loss(norm(x, &weight_wide, &bias_wide))), 1e-4);
        near(&weight_own, &slopes(&weight_wide, |weight| loss(norm(&x, weight, &bias_wide))), 1e-4);
        near(&bias_own, &slopes(&bias_wide, |bias| loss(norm(&x, &weight_wide, bias))), 1e-4);
    }
}

#[test]
fn copies_are_transposed() {
    for (rows, columns) in [(1, 1), (3, 70), (64, 16), (130, 200)] {
        let values = numbers(rows * columns, 1);
        assert_eq!(
            *gemm::transposed(&values, columns),
            transposed(&values, columns)
        );
    }
}

#[test]
fn gelu_is_right() {
    let x: Vec<f32> = (-1200..1200).map(|step| step as f32 * 0.005).collect();
    let right = |x: f64| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()));
    let values: Vec<f64> = wide(&x).into_iter().map(right).collect();
    let mut out = vec![0.0; x.len()];
    gelu(&x, &mut out);
    near(&out, &values, 2e-7);
    let derivatives: Vec<f64> = wide(&x)
        .into_iter()
        .map(|x| 3.0 * (right(x + 1e-4) - right(x - 1e-4)) / 2e-4)
        .collect();
    let mut gradient = vec![3.0; x.len()];
    gelu_backward(&x, &mut gradient);
    near(&gradient, &derivatives, 1e-6);
    let (mut again, mut value, mut sums) =
        (vec![3.0; x.len()], vec![0.0; x.len()], vec![1.0; x.len()]);
    gelu_again(&x, &mut again, &mut value, &mut sums);
    assert_eq!((&again, &value), (&gradient, &out));
    assert!(sums.iter().zip(&again).all(|(sum, own)| *sum == 1.0 + own));
}

#[test]
fn drops_are_those_of_the_factors() {
    let dropout = Dropout::new(0.3, 5, 6);
    let mut factors = vec![0.0; 300];
    dropout.factors(7, 0, &mut factors);
    let (row, residual) = (numbers(100, 1), numbers(100, 2));
    let drops = Drops::new(&dropout, 7, 150).skip(50);
    let right: Vec<f64> = (0..100)
        .map(|at| f64::from(row[at] * factors[200 + at]))
        .collect();
    let mut own = row.clone();
    drop_in_place(&mut own, drops);
    near(&own, &right, 0.0);
    let (mut out, mut sums) = (vec![0.0; 100], vec![0.0; 100]);
    drop_and_sum(&row, drops, &mut out, &mut sums);
    assert_eq!((&out, &sums), (&own, &own));
    let mut own = row.clone();
    drop_and_add(&mut own, drops, &residual);
    let right: Vec<f64> = (0..100)
        .map(|at| right[at] + f64::from(residual[at]))
        .collect();
    near(&own, &right, 1e-6);
}

/// Attention in f64 of queries, keys and values one after another, `[n, d]` each.
fn right_attention(states: &[f64], factors: &[f32], n: usize, d: usize) -> Vec<f64> {
    let [query, key, value] = [0, 1, 2].map(|place| &states[place * n * d..(place + 1) * n * d]);
    let mut context = vec![0.0; n * d];
    for i in 0..n {
        let score = |j: usize| {
            (0..d)
                .map(|at| query[i * d + at] * key[j * d + at])
                .sum::<f64>()
        };
        let looks: Vec<f64> = (0..n)
            .map(|j| (score(j) / (d as f64).sqrt()).exp())
            .collect();
        let sum: f64 = looks.iter().sum();
        for j in 0..n {
            let look = looks[j] / sum * f64::from(factors[i * n + j]);
            (0..d).for_each(|at| context[i * d + at] += look * value[j * d + at]);
        }
    }
    context
}

fn attention_is_right(n: usize, d: usize, dropped: bool) {
    let states = numbers(3 * n * d, n as u64);
    let dropout = Dropout::new(0.2, 1, 2);
    // As the third head of four has it.
    let mut factors = vec![1.0; n * n];
    if dropped {
        dropout.factors(9, (2 * n * n) as u32, &mut factors);
    }
    let part = |place: usize| Matrix::new(&states[place * n * d..(place + 1) * n * d], d);
    let head = Head {
        query: part(0),
        key: part(1),
        value: part(2),
        length: n,
        scale: (d as f32).sqrt().recip(),
        drops: dropped.then(|| Drops::new(&dropout, 9, 2 * n * n)),
    };
    let (mut room, mut context) = (Room::new(n, true), vec![0.0; n * d]);
    attention::forward(
        &head,
        &mut room,
        &mut MatrixMut::new(&mut context, d),
        |_| {},
    );
    near(
        &context,
        &right_attention(&wide(&states), &factors, n, d),
        1e-5,
    );
    let gradient = numbers(n * d, 5);
    let mut own = vec![0.0; 3 * n * d];
    let mut parts = MatrixMut::new(&mut own, d).blocks((n, d));
    let [query, key, value] = &mut parts[..] else {
        panic!("three blocks");
    };
    let outer = (&context[..], &gradient[..], d, d);
    attention::backward(
        &head,
        &mut room,
        outer,
        [&mut query.0, &mut key.0, &mut value.0],
        |_| {},
    );
    let loss = |states: &[f64]| -> f64 {
        let context = right_attention(states, &factors, n, d);
        context
            .iter()
            .zip(&gradient)
            .map(|(own, factor)| own * f64::from(*factor))
            .sum()
    };
    near(&own, &slopes(&wide(&states), loss), 2e-5);
}

#[test]
fn attention_of_all_lengths_is_right() {
    for (n, d) in [(1, 4), (7, 4), (12, 32), (17, 3), (65, 4)] {
        attention_is_right(n, d, false);
        attention_is_right(n, d, true);
    }
}

#[test]
fn scattered_rows_are_added() {
    let (numbers_of, gradients) = ([5u32, 0, 5, 2, 5, 0], numbers(6 * 3, 1));
    let mut table = vec![1.0; 8 * 3];
    scatter_add(&mut table, 3, &numbers_of, &gradients);
    let mut right = vec![1.0f32; 8 * 3];
    for (token, row) in numbers_of.into_iter().enumerate() {
        (0..3).for_each(|at| right[row as usize * 3 + at] += gradients[token * 3 + at]);
    }
    assert_eq!(table, right);
}

#[test]
fn adamw_is_right() {
    let step = AdamW {
        lr: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-6,
        weight_decay: 0.05,
        bias_correction1: 1.0 - 0.81,
        bias_correction2: 1.0 - 0.9801,
        gradient_scale: 0.5,
    };
    let count = 200_003;
    let (mut p, mut g, mut m) = (numbers(count, 1), numbers(count, 2), numbers(count, 3));
    let mut v: Vec<f32> = numbers(count, 4).into_iter().map(f32::abs).collect();
    let before = [&p, &g, &m, &v].map(|own| wide(own));
    adamw(&mut p, &mut g, &mut m, &mut v, &step);
    assert!(g.iter().all(|&gradient| gradient == 0.0));
    for place in [0, 1, 77_777, count - 1] {
        let [p_before, gradient, mean, square] = [0, 1, 2, 3].map(|of| before[of][place]);
        let gradient = 0.5 * gradient;
        let mean = 0.9 * mean + 0.1 * gradient;
        let square = 0.99 * square + 0.01 * gradient * gradient;
        let root = (square / (1.0 - 0.9801)).sqrt() + 1e-6;
        let right = p_before - 0.1 * 0.05 * p_before - 0.1 * (mean / (1.0 - 0.81)) / root;
        near(
            &[p[place], m[place], v[place]],
            &[right, mean, square],
            1e-5,
        );
    }
    let squares: f64 = wide(&p).iter().map(|value| value * value).sum();
    assert!((squared_norm(&p) - squares).abs() < 1e-9 * squares);
}

#[test]
fn registers_change_no_bits() {
    let run = || {
        let (mut row, other) = (numbers(77, 1), numbers(77, 2));
        let mut all = vec![normalize(&mut row, 1e-6), 0.0, 0.0];
        dots(&row, &other, 40, 37, &mut all[1..]);
        let (mut sums, mut more) = (vec![0.0; 77], vec![0.0; 77]);
        let mut gradient = other.clone();
        norm_backward(&mut gradient, &row, 1.5, &other, &mut sums, &mut more);
        let mut looks = row.clone();
        attention::softmax(&mut looks, 77, 0.7);
        let mut out = vec![0.0; 77];
        gelu_again(&row, &mut gradient, &mut out, &mut sums);
        let drops = Drops::new(&Dropout::new(0.4, 1, 2), 3, 4);
        drop_and_add(&mut row, drops, &other);
        for part in [row, sums, more, gradient, looks, out] {
            all.extend(part);
        }
        all.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let widths = forced::widths();
    let narrowest = forced::with(widths[0], run);
    for width in widths {
        assert!(forced::with(width, run) == narrowest, "{width:?}");
    }
}

#[test]
fn threads_change_no_bits() {
    let (a, b) = (numbers(600 * 90, 1), numbers(90 * 1600, 2));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut c = vec![0.0; 600 * 1600];
            let product = MatrixMut::new(&mut c, 1600);
            product_on_all(product, Matrix::new(&a, 90), Matrix::new(&b, 1600), false);
            let numbers_of: Vec<u32> = (0..600).map(|token| token * 7 % 50).collect();
            let mut table = vec![0.0; 50 * 90];
            scatter_add(&mut table, 90, &numbers_of, &a);
            let norm = squared_norm(&c).to_bits();
            let both = c.iter().chain(&table).map(|value| value.to_bits());
            (norm, both.collect::<Vec<_>>())
        })
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one, "{threads} threads");
    }
}
