//! From the gradient of a layer's output to that of its input and of its weights.

use std::ops::Range;

use candle_core::Result;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::FusedLayer;
use super::forward::{Saved, Weights, look};
use crate::kernels::attention::{self, Room};
use crate::kernels::gelu::gelu_again;
use crate::kernels::gemm::{Matrix, MatrixMut, product, products_on_all};
use crate::kernels::memory::{Buffer, buffer, zeros};
use crate::kernels::meter::{Work, timed};
use crate::kernels::norm::{norm_rows_backward, scale_shift};
use crate::kernels::rows::{Drops, add, copy_and_sum, drop_and_sum, sum_rows};
use crate::parameters::HostGradient;

/// Gradients, and states computed again, from which those of weights follow. A chunk's `[T, …]`
struct Flow {
    /// Gradients of queries, keys and values. `3H`
    states: Buffer,
    /// Gradient of attention's output before dropout. `H`
    attention: Buffer,
    /// Attention's output, the input of the feed-forward part. `H`
    attended: Buffer,
    /// Gradient before the GELU. `I`
    inner: Buffer,
    /// After the GELU. `I`
    active: Buffer,
    /// Gradient of the feed-forward part's output before dropout. `H`
    output: Buffer,
}

/// Those of one tile, with the gradient of the layer's input and the sums of its vectors' gradients.
struct Part<'a> {
    input: &'a mut [f32],
    states: &'a mut [f32],
    attention: &'a mut [f32],
    attended: &'a mut [f32],
    inner: &'a mut [f32],
    active: &'a mut [f32],
    output: &'a mut [f32],
    sums: &'a mut [f32],
}

/// Places of the gradients of biases and norms in the sums of a tile, as the pairs of a layer are
/// ordered: queries, keys, values, attention's output, its norm, inner, output, norm.
struct Sums<'a> {
    states: &'a mut [f32],
    attention: &'a mut [f32],
    attention_norm: [&'a mut [f32]; 2],
    inner: &'a mut [f32],
    output: &'a mut [f32],
    norm: [&'a mut [f32]; 2],
}

impl<'a> Sums<'a> {
    fn new(all: &'a mut [f32], width: usize, inner: usize) -> Sums<'a> {
        let (states, rest) = all.split_at_mut(3 * width);
        let (attention, rest) = rest.split_at_mut(width);
        let (attention_weight, rest) = rest.split_at_mut(width);
        let (attention_bias, rest) = rest.split_at_mut(width);
        let (inner, rest) = rest.split_at_mut(inner);
        let (output, rest) = rest.split_at_mut(width);
        let (weight, bias) = rest.split_at_mut(width);
        Sums {
            states,
            attention,
            attention_norm: [attention_weight, attention_bias],
            inner,
            output,
            norm: [weight, bias],
        }
    }
}

impl FusedLayer {
    /// The gradient of the input; adds those of parameters where they stand. `[T, H]`
    pub fn backward(&self, saved: &Saved, x: &[f32], gradient: &[f32]) -> Result<Vec<f32>> {
        let looks = look(&self.layer)?;
        let weights = Weights::new(&looks);
        let pairs = self.layer.pairs();
        let mut gradients: Vec<[HostGradient<'_>; 2]> = pairs
            .iter()
            .map(|(weight, bias)| [weight.host_gradient(), bias.host_gradient()])
            .collect();
        let (width, inner) = self.widths();
        let mut input = vec![0.0; x.len()];
        input.copy_from_slice(gradient);
        let sums_width = 9 * width + inner;
        for chunk in self.tiles.chunks() {
            let tokens = self.tiles.tokens_of(&chunk);
            let rows = |width: usize| tokens.start * width..tokens.end * width;
            let mut flow = Flow::new(tokens.len(), width, inner);
            let mut sums = zeros(chunk.len() * sums_width);
            let tasks = self.split(&chunk, &mut flow, &mut input[rows(width)], &mut sums);
            let tasks = chunk.clone().into_par_iter().zip(tasks).with_max_len(1);
            tasks.for_each(|(tile, part)| self.backward_tile(&weights, saved, tile, part));
            let context = &saved.context[rows(width)];
            self.weight_gradients(&mut gradients, &flow, &x[rows(width)], context);
            for sums in sums.chunks_exact(sums_width) {
                self.vector_gradients(&mut gradients, sums);
            }
        }
        Ok(input)
    }

    fn split<'a>(
        &self,
        chunk: &Range<usize>,
        flow: &'a mut Flow,
        input: &'a mut [f32],
        sums: &'a mut [f32],
    ) -> Vec<Part<'a>> {
        let (width, inner) = self.widths();
        let parts = [
            (input, width),
            (&mut flow.states[..], 3 * width),
            (&mut flow.attention[..], width),
            (&mut flow.attended[..], width),
            (&mut flow.inner[..], inner),
            (&mut flow.active[..], inner),
            (&mut flow.output[..], width),
        ];
        let parts = self.tiles.split_each(chunk, parts).into_iter();
        let sums = sums.chunks_exact_mut(9 * width + inner);
        let parts = parts.zip(sums).map(|(part, sums)| {
            let [input, states, attention, attended, inner, active, output] = part;
            Part {
                input,
                states,
                attention,
                attended,
                inner,
                active,
                output,
                sums,
            }
        });
        parts.collect()
    }

    fn backward_tile(&self, weights: &Weights<'_>, saved: &Saved, tile: usize, mut part: Part<'_>) {
        let (width, inner) = self.widths();
        let all = std::mem::take(&mut part.sums);
        let mut sums = Sums::new(all, width, inner);
        self.feed_forward_backward(weights, saved, tile, &mut part, &mut sums);
        self.attention_backward(weights, saved, tile, &mut part, &mut sums);
        timed(Work::Norm, || sum_rows(part.states, sums.states));
        let mut input = MatrixMut::new(part.input, width);
        let states = Matrix::new(part.states, 3 * width);
        let weights = [weights.query, weights.key, weights.value];
        for (number, [weight, _]) in weights.iter().enumerate() {
            let own = states.columns(number * width..(number + 1) * width);
            let weight = Matrix::new(weight, width);
            timed(Work::LinearBackward, || {
                product(&mut input, own, weight, true)
            });
        }
    }

    /// Through the second norm and the feed-forward part.
    fn feed_forward_backward(
        &self,
        weights: &Weights<'_>,
        saved: &Saved,
        tile: usize,
        part: &mut Part<'_>,
        sums: &mut Sums<'_>,
    ) {
        let (width, inner) = self.widths();
        let tokens = self.tiles.tokens(tile);
        let rows = |width: usize| tokens.start * width..tokens.end * width;
        let normal = (&saved.output[rows(width)], &saved.output_rstd[rows(1)]);
        let drops = self.drops(tile, &self.output);
        timed(Work::Norm, || {
            norm_rows_backward(
                part.input,
                normal,
                weights.norm[0],
                sums.norm.each_mut().map(|sums| &mut **sums),
            );
            drop_rows(part.input, &drops, part.output, sums.output);
        });
        times(part.output, (weights.output[0], inner), part.inner, false);
        let before = saved.inner[rows(inner)].chunks_exact(inner);
        let gradients = part.inner.chunks_exact_mut(inner);
        let rows = before.zip(gradients.zip(part.active.chunks_exact_mut(inner)));
        timed(Work::Gelu, || {
            for (before, (gradient, active)) in rows {
                gelu_again(before, gradient, active, sums.inner);
            }
        });
        let weight = (weights.intermediate[0], width);
        times(part.inner, weight, part.input, true);
    }

    /// Through the first norm and attention, up to queries, keys and values.
    fn attention_backward(
        &self,
        weights: &Weights<'_>,
        saved: &Saved,
        tile: usize,
        part: &mut Part<'_>,
        sums: &mut Sums<'_>,
    ) {
        let (width, _) = self.widths();
        let tokens = self.tiles.tokens(tile);
        let rows = |width: usize| tokens.start * width..tokens.end * width;
        let normal = &saved.attended[rows(width)];
        let [weight, bias] = weights.attention_norm;
        let drops = self.drops(tile, &self.attention);
        timed(Work::Norm, || {
            // What the feed-forward part saw, once more.
            let attended = part.attended.chunks_exact_mut(width);
            for (attended, normal) in attended.zip(normal.chunks_exact(width)) {
                scale_shift(normal, weight, bias, attended);
            }
            let normal = (normal, &saved.attended_rstd[rows(1)]);
            norm_rows_backward(
                part.input,
                normal,
                weight,
                sums.attention_norm.each_mut().map(|sums| &mut **sums),
            );
            drop_rows(part.input, &drops, part.attention, sums.attention);
        });
        let mut gradient = buffer(tokens.len() * width);
        let weight = (weights.attention_output[0], width);
        times(part.attention, weight, &mut gradient, false);
        let outer = (&saved.context[rows(width)], &*gradient);
        let states = &saved.states[rows(3 * width)];
        timed(Work::AttentionBackward, || {
            self.attend_backward(tile, states, outer, part.states);
        });
    }

    /// All heads over all sequences of a tile: gradients of queries, keys and values.
    fn attend_backward(
        &self,
        tile: usize,
        states: &[f32],
        (context, gradient): (&[f32], &[f32]),
        output: &mut [f32],
    ) {
        let (width, _) = self.widths();
        let mut room = Room::new(self.tiles.length_max(tile), true);
        for (tokens, number) in self.tiles.sequences(tile) {
            let rows = MatrixMut::new(
                &mut output[tokens.start * 3 * width..tokens.end * 3 * width],
                3 * width,
            );
            let size = width / self.layer.heads;
            // Blocks of the queries of all heads, then of the keys, then of the values.
            let mut blocks = rows.blocks((tokens.len(), size));
            for head in 0..self.layer.heads {
                let first = tokens.start * width + head * size;
                let own = self.head(states, tokens.clone(), number, head);
                let outer = (&context[first..], &gradient[first..], width, size);
                let heads = self.layer.heads;
                let chosen = [head, heads + head, 2 * heads + head];
                let [query, key, value] = blocks
                    .get_disjoint_mut(chosen)
                    .expect("there are three blocks for each head");
                let gradients = [&mut query.0, &mut key.0, &mut value.0];
                attention::backward(&own, &mut room, outer, gradients, |_| {});
            }
        }
    }

    /// Adds the gradients of the matrices, each a product over all tokens of a chunk.
    fn weight_gradients(
        &self,
        gradients: &mut [[HostGradient<'_>; 2]],
        flow: &Flow,
        x: &[f32],
        context: &[f32],
    ) {
        let (width, inner) = self.widths();
        let states = Matrix::new(&flow.states, 3 * width);
        let [query, key, value, attention, _, intermediate, output, _] = gradients else {
            unreachable!("a layer has eight pairs");
        };
        let mut products = Vec::new();
        for (number, [weight, _]) in [query, key, value].into_iter().enumerate() {
            let own = states.columns(number * width..(number + 1) * width);
            let to = MatrixMut::new(&mut *weight, width);
            products.push((to, own.transposed(), Matrix::new(x, width)));
        }
        for ([weight, _], gradient, outputs, from, inputs) in [
            (attention, &flow.attention, width, context, width),
            (intermediate, &flow.inner, inner, &*flow.attended, width),
            (output, &flow.output, width, &*flow.active, inner),
        ] {
            let gradient = Matrix::new(gradient, outputs).transposed();
            let to = MatrixMut::new(&mut *weight, inputs);
            products.push((to, gradient, Matrix::new(from, inputs)));
        }
        products_on_all(products, true);
    }

    /// Adds the gradients of biases and norms that a tile summed.
    fn vector_gradients(&self, gradients: &mut [[HostGradient<'_>; 2]], sums: &[f32]) {
        let mut rest = sums;
        for (number, [weight, bias]) in gradients.iter_mut().enumerate() {
            // Of the pairs of a layer, the fifth and the eighth are norms.
            if number == 4 || number == 7 {
                let (own, behind) = rest.split_at(weight.len());
                add(weight, own);
                rest = behind;
            }
            let (own, behind) = rest.split_at(bias.len());
            add(bias, own);
            rest = behind;
        }
    }
}

impl Flow {
    fn new(tokens: usize, width: usize, inner: usize) -> Flow {
        Flow {
            states: buffer(tokens * 3 * width),
            attention: buffer(tokens * width),
            attended: buffer(tokens * width),
            inner: buffer(tokens * inner),
            active: buffer(tokens * inner),
            output: buffer(tokens * width),
        }
    }
}

/// `gradient W`: back through a linear layer. W `[out, in]`, gradient `[T, out]`
fn times(gradient: &[f32], (weight, inputs): (&[f32], usize), output: &mut [f32], add: bool) {
    let gradient = Matrix::new(gradient, weight.len() / inputs);
    let mut output = MatrixMut::new(output, inputs);
    let weight = Matrix::new(weight, inputs);
    timed(Work::LinearBackward, || {
        product(&mut output, gradient, weight, add)
    });
}

/// Back through dropout, into other rows and their sum.
fn drop_rows(gradient: &[f32], drops: &[Drops], output: &mut [f32], sums: &mut [f32]) {
    let width = sums.len();
    let rows = gradient
        .chunks_exact(width)
        .zip(output.chunks_exact_mut(width));
    for (row, (gradient, output)) in rows.enumerate() {
        match drops.get(row) {
            Some(drops) => drop_and_sum(gradient, *drops, output, sums),
            None => copy_and_sum(gradient, output, sums),
        }
    }
}
