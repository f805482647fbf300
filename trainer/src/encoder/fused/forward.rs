//! A layer from its input to its output, tile by tile.

use candle_core::Result;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::FusedLayer;
use crate::encoder::layer::Layer;
use crate::kernels::attention::{self, Head, Room};
use crate::kernels::dropout::Dropout;
use crate::kernels::gelu::gelu;
use crate::kernels::gemm::{Matrix, MatrixMut, product, transposed};
use crate::kernels::memory::{Buffer, buffer};
use crate::kernels::meter::{Work, timed};
use crate::kernels::norm::{normalize, scale_shift};
use crate::kernels::rows::{Drops, add, drop_and_add, repeat};
use crate::kernels::{self, Values};

/// What a layer keeps for its backward pass, for all tokens or for those of a tile.
pub struct Saved {
    /// Queries, keys and values side by side. `[T, 3H]`
    pub states: Buffer,
    /// What attention gives. `[T, H]`
    pub context: Buffer,
    /// Attention's output with its residual, normalised. `[T, H]`
    pub attended: Buffer,
    /// One over its standard deviation. `[T]`
    pub attended_rstd: Buffer,
    /// The feed-forward part before its GELU. `[T, I]`
    pub inner: Buffer,
    /// The feed-forward part's output with its residual, normalised. `[T, H]`
    pub output: Buffer,
    /// One over its standard deviation. `[T]`
    pub output_rstd: Buffer,
}

/// Those of one tile.
pub struct Part<'a> {
    states: &'a mut [f32],
    context: &'a mut [f32],
    attended: &'a mut [f32],
    attended_rstd: &'a mut [f32],
    inner: &'a mut [f32],
    output: &'a mut [f32],
    output_rstd: &'a mut [f32],
}

/// The values of a layer's parameters, each a weight and a bias.
pub struct Weights<'a> {
    pub query: [&'a [f32]; 2],
    pub key: [&'a [f32]; 2],
    pub value: [&'a [f32]; 2],
    pub attention_output: [&'a [f32]; 2],
    pub attention_norm: [&'a [f32]; 2],
    pub intermediate: [&'a [f32]; 2],
    pub output: [&'a [f32]; 2],
    pub norm: [&'a [f32]; 2],
}

/// Tokens from which on a transposed copy of the weights pays.
const TURN_TOKENS: usize = 1024;

/// A weight as products want it, `[in, out]`, and its bias.
type Linear<'a> = (Matrix<'a>, &'a [f32]);

/// Looks at the values of a layer's parameters.
pub fn look(layer: &Layer) -> Result<Vec<[Values<'_>; 2]>> {
    let pairs = layer.pairs().into_iter();
    let looks = pairs.map(|(weight, bias)| {
        Ok([
            kernels::values(weight.tensor())?,
            kernels::values(bias.tensor())?,
        ])
    });
    looks.collect()
}

impl<'a> Weights<'a> {
    /// As [`look`] found them.
    pub fn new(all: &'a [[Values<'a>; 2]]) -> Weights<'a> {
        let pair = |number: usize| [&*all[number][0], &*all[number][1]];
        Weights {
            query: pair(0),
            key: pair(1),
            value: pair(2),
            attention_output: pair(3),
            attention_norm: pair(4),
            intermediate: pair(5),
            output: pair(6),
            norm: pair(7),
        }
    }

    /// Those of the linear parts.
    fn linears(&self) -> [[&'a [f32]; 2]; 6] {
        [
            self.query,
            self.key,
            self.value,
            self.attention_output,
            self.intermediate,
            self.output,
        ]
    }
}

impl Saved {
    fn new(tokens: usize, width: usize, inner: usize) -> Saved {
        Saved {
            states: buffer(tokens * 3 * width),
            context: buffer(tokens * width),
            attended: buffer(tokens * width),
            attended_rstd: buffer(tokens),
            inner: buffer(tokens * inner),
            output: buffer(tokens * width),
            output_rstd: buffer(tokens),
        }
    }

    fn whole(&mut self) -> Part<'_> {
        Part {
            states: &mut self.states,
            context: &mut self.context,
            attended: &mut self.attended,
            attended_rstd: &mut self.attended_rstd,
            inner: &mut self.inner,
            output: &mut self.output,
            output_rstd: &mut self.output_rstd,
        }
    }
}

impl FusedLayer {
    /// Length of a state, and of an inner one.
    pub fn widths(&self) -> (usize, usize) {
        (
            self.layer.query.1.elements(),
            self.layer.intermediate.1.elements(),
        )
    }

    /// The output, and what the backward pass needs if one follows. `[T, H]`
    pub fn forward(&self, x: &[f32]) -> Result<(Vec<f32>, Option<Saved>)> {
        let looks = look(&self.layer)?;
        let weights = Weights::new(&looks);
        let (width, inner) = self.widths();
        let turned = match x.len() / width >= TURN_TOKENS {
            true => weights
                .linears()
                .map(|[weight, bias]| Some(turn(weight, bias))),
            false => [const { None }; 6],
        };
        let (linears, norms) = (weights.linears(), [weights.attention_norm, weights.norm]);
        let linears = std::array::from_fn(|at| matrix(linears[at], turned[at].as_deref()));
        let all = 0..self.tiles.len();
        let mut output = vec![0.0; x.len()];
        let mut saved = self
            .tracked
            .then(|| Saved::new(x.len() / width, width, inner));
        let parts = match &mut saved {
            Some(saved) => self.parts(saved).into_iter().map(Some).collect(),
            None => Vec::from_iter(all.clone().map(|_| None)),
        };
        let outputs = self.tiles.split(&all, &mut output, width);
        let tasks = outputs
            .into_par_iter()
            .zip(parts)
            .enumerate()
            .with_max_len(1);
        tasks.for_each(|(tile, (output, part))| {
            let tokens = self.tiles.tokens(tile);
            let x = &x[tokens.start * width..tokens.end * width];
            match part {
                Some(part) => self.forward_tile((&linears, norms), tile, x, part, output),
                None => {
                    let mut own = Saved::new(tokens.len(), width, inner);
                    self.forward_tile((&linears, norms), tile, x, own.whole(), output);
                }
            }
        });
        Ok((output, saved))
    }

    fn parts<'a>(&self, saved: &'a mut Saved) -> Vec<Part<'a>> {
        let (width, inner) = self.widths();
        let parts = [
            (&mut saved.states[..], 3 * width),
            (&mut saved.context[..], width),
            (&mut saved.attended[..], width),
            (&mut saved.attended_rstd[..], 1),
            (&mut saved.inner[..], inner),
            (&mut saved.output[..], width),
            (&mut saved.output_rstd[..], 1),
        ];
        let parts = self.tiles.split_each(&(0..self.tiles.len()), parts);
        let parts = parts.into_iter().map(|part| {
            let [
                states,
                context,
                attended,
                attended_rstd,
                inner,
                output,
                output_rstd,
            ] = part;
            Part {
                states,
                context,
                attended,
                attended_rstd,
                inner,
                output,
                output_rstd,
            }
        });
        parts.collect()
    }

    fn forward_tile(
        &self,
        (linears, norms): (&[Linear<'_>; 6], [[&[f32]; 2]; 2]),
        tile: usize,
        x: &[f32],
        part: Part<'_>,
        output: &mut [f32],
    ) {
        let (width, inner) = self.widths();
        let tokens = x.len() / width;
        for (number, (weight, bias)) in linears[..3].iter().enumerate() {
            let columns = number * width..(number + 1) * width;
            for row in part.states.chunks_exact_mut(3 * width) {
                row[columns.clone()].copy_from_slice(bias);
            }
            let mut states = MatrixMut::new(part.states, 3 * width);
            let mut states = states.block(0..tokens, columns);
            let x = Matrix::new(x, width);
            timed(Work::Linear, || product(&mut states, x, *weight, true));
        }
        timed(Work::Attention, || {
            self.attend(tile, part.states, part.context)
        });
        linear(part.context, linears[3], part.attended);
        let mut attended = buffer(tokens * width);
        let norm = norms[0];
        let drops = self.drops(tile, &self.attention);
        let sums = (part.attended, part.attended_rstd);
        timed(Work::Norm, || {
            self.residual_norm(sums, x, &drops, norm, &mut attended)
        });
        linear(&attended, linears[4], part.inner);
        let mut active = buffer(tokens * inner);
        timed(Work::Gelu, || gelu(part.inner, &mut active));
        linear(&active, linears[5], part.output);
        let drops = self.drops(tile, &self.output);
        let sums = (part.output, part.output_rstd);
        let norm = norms[1];
        timed(Work::Norm, || {
            self.residual_norm(sums, &attended, &drops, norm, output)
        });
    }

    /// Dropout of each token of a tile; nothing without dropout.
    pub fn drops(&self, tile: usize, dropout: &Option<Dropout>) -> Vec<Drops> {
        let (width, _) = self.widths();
        let dropout = dropout.as_ref();
        dropout.map_or_else(Vec::new, |dropout| self.tiles.drops(tile, dropout, width))
    }

    /// All heads over all sequences of a tile.
    fn attend(&self, tile: usize, states: &[f32], context: &mut [f32]) {
        let (width, _) = self.widths();
        let mut room = Room::new(self.tiles.length_max(tile), false);
        let mut context = MatrixMut::new(context, width);
        for (tokens, number) in self.tiles.sequences(tile) {
            for head in 0..self.layer.heads {
                let columns = self.columns(head);
                let own = self.head(states, tokens.clone(), number, head);
                let mut context = context.block(tokens.clone(), columns);
                attention::forward(&own, &mut room, &mut context, |_| {});
            }
        }
    }

    /// The columns of a head in a state.
    pub fn columns(&self, head: usize) -> std::ops::Range<usize> {
        let size = self.widths().0 / self.layer.heads;
        head * size..(head + 1) * size
    }

    /// One head over one sequence.
    pub fn head<'a>(
        &self,
        states: &'a [f32],
        tokens: std::ops::Range<usize>,
        number: u64,
        head: usize,
    ) -> Head<'a> {
        let (width, _) = self.widths();
        let columns = self.columns(head);
        let states = Matrix::new(states, 3 * width).rows(tokens.clone());
        let part = |place: usize| {
            states.columns(place * width + columns.start..place * width + columns.end)
        };
        let first = head * tokens.len() * tokens.len();
        let dropout = self.looks.as_ref();
        Head {
            query: part(0),
            key: part(1),
            value: part(2),
            length: tokens.len(),
            scale: (columns.len() as f32).sqrt().recip(),
            drops: dropout.map(|dropout| Drops::new(dropout, number, first)),
        }
    }

    /// Drops, adds the residual and normalises `sums`; leaves there what was normalised and gives
    /// it scaled and shifted.
    fn residual_norm(
        &self,
        (sums, rstd): (&mut [f32], &mut [f32]),
        residual: &[f32],
        drops: &[Drops],
        [weight, bias]: [&[f32]; 2],
        output: &mut [f32],
    ) {
        let (width, eps) = (weight.len(), self.layer.eps as f32);
        let rows = sums
            .chunks_exact_mut(width)
            .zip(output.chunks_exact_mut(width));
        for (row, (sums, output)) in rows.enumerate() {
            let residual = &residual[row * width..(row + 1) * width];
            match drops.get(row) {
                Some(drops) => drop_and_add(sums, *drops, residual),
                None => add(sums, residual),
            }
            rstd[row] = normalize(sums, eps);
            scale_shift(sums, weight, bias, output);
        }
    }
}

/// A transposed copy of a weight.
fn turn(weight: &[f32], bias: &[f32]) -> Buffer {
    transposed(weight, weight.len() / bias.len())
}

/// A weight by its transposed copy, or by itself where there is none.
fn matrix<'a>([weight, bias]: [&'a [f32]; 2], turned: Option<&'a [f32]>) -> Linear<'a> {
    let matrix = match turned {
        Some(turned) => Matrix::new(turned, bias.len()),
        None => Matrix::new(weight, weight.len() / bias.len()).transposed(),
    };
    (matrix, bias)
}

/// `x Wᵀ + b` of all rows.
fn linear(x: &[f32], (weight, bias): Linear<'_>, output: &mut [f32]) {
    repeat(output, bias);
    let x = Matrix::new(x, weight.height());
    let mut output = MatrixMut::new(output, bias.len());
    timed(Work::Linear, || product(&mut output, x, weight, true));
}
