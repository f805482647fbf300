//! Attention where each token sees some tokens of its sequence only, and where queries and keys are
//! made of different states.
//!
//! A token that sees nothing gets the mean of the values of its sequence, as PyTorch's finite
//! minimum makes it, and not what is no number.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};
use rayon::prelude::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::Result;
use crate::encoder::{Kernels, Sequences, ops};
use crate::kernels::attention::{self, HIDDEN, Head, Room};
use crate::kernels::dropout::Dropout;
use crate::kernels::gemm::{Matrix, MatrixMut};
use crate::kernels::rows::Drops;
use crate::kernels::values;
use crate::losses::retromae::visibility::Visibility;

/// Which sequences, whom their tokens see, and how.
#[derive(Clone, Debug)]
pub struct Attention {
    /// The sequences, without ids.
    pub sequences: Arc<Sequences>,
    /// Of each sequence who sees whom.
    pub visible: Arc<Vec<Visibility>>,
    /// Heads; H is a multiple of it.
    pub heads: usize,
    /// On what a token takes of each other.
    pub dropout: Option<Dropout>,
}

/// Added to the score of a token behind the end of a sequence: below even one that is not seen.
const OUTSIDE: f32 = 2.0 * HIDDEN;

impl Attention {
    /// Softmax of scaled products of queries and keys, times values. `[T, H]` each
    ///
    /// # Errors
    /// Shapes do not fit.
    pub fn forward(
        self,
        (query, key, value): (&Tensor, &Tensor, &Tensor),
        kernels: Kernels,
    ) -> Result<Tensor> {
        match kernels {
            Kernels::Plain => self.plain(query, key, value),
            Kernels::Fused => {
                let key = key.contiguous()?;
                let value = value.contiguous()?;
                Ok(query.contiguous()?.apply_op3(&key, &value, self)?)
            }
        }
    }

    fn plain(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<Tensor> {
        let (rows, length) = (self.sequences.rows(), self.sequences.length_max());
        let hidden = (self.hidden(length), (rows, 1, length, length));
        let hidden = Tensor::from_vec(hidden.0, hidden.1, query.device())?;
        let dropout = self.dropout.as_ref();
        let states = (query, key, value);
        ops::attention(states, &hidden, (self.heads, dropout), &self.sequences)
    }

    /// What is added to scores. `[rows, L, L]`
    fn hidden(&self, length: usize) -> Vec<f32> {
        let mut hidden = vec![OUTSIDE; self.sequences.rows() * length * length];
        for (own, visible) in hidden.chunks_mut(length * length).zip(&*self.visible) {
            for token in 0..visible.length {
                for (other, own) in own[token * length..][..visible.length]
                    .iter_mut()
                    .enumerate()
                {
                    *own = if visible.sees(token, other) {
                        0.0
                    } else {
                        HIDDEN
                    };
                }
            }
        }
        hidden
    }

    /// Work on each sequence, in parallel, whose results are put one after another.
    fn by_sequence<T: Send>(&self, work: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
        let rows = (0..self.sequences.rows()).into_par_iter().with_max_len(1);
        rows.map(work).collect()
    }

    /// The context of one sequence. `[L, H]`
    fn context(&self, row: usize, states: [&[f32]; 3], width: usize) -> Vec<f32> {
        let visible = &self.visible[row];
        let mut room = Room::new(visible.length, false);
        let mut context = vec![0.0; visible.length * width];
        let mut own = MatrixMut::new(&mut context, width);
        for head in self.heads(row, states, width) {
            let mut own = own.block(0..visible.length, head.columns);
            attention::forward(&head.states, &mut room, &mut own, |scores| {
                visible.hide(scores)
            });
        }
        context
    }

    /// The gradients of queries, keys and values of one sequence. `[L, H]` each
    fn pull_back(
        &self,
        row: usize,
        states: [&[f32]; 3],
        [context, gradient]: [&[f32]; 2],
        width: usize,
    ) -> [Vec<f32>; 3] {
        let visible = &self.visible[row];
        let length = visible.length;
        let mut room = Room::new(length, true);
        let mut pulled = [(); 3].map(|()| vec![0.0; length * width]);
        let [query, key, value] = &mut pulled;
        let mut own = [query, key, value].map(|own| MatrixMut::new(own, width));
        for OneHead {
            states,
            columns,
            first,
        } in self.heads(row, states, width)
        {
            let mut own = own
                .each_mut()
                .map(|own| own.block(0..length, columns.clone()));
            let outer = (&context[first..], &gradient[first..], width, columns.len());
            attention::backward(&states, &mut room, outer, own.each_mut(), |scores| {
                visible.hide(scores)
            });
        }
        pulled
    }

    /// All heads over one sequence; none where it is empty.
    fn heads<'a>(
        &'a self,
        row: usize,
        states: [&'a [f32]; 3],
        width: usize,
    ) -> impl Iterator<Item = OneHead<'a>> {
        let (span, size) = (self.sequences.span(row), width / self.heads);
        let heads = if span.is_empty() { 0 } else { self.heads };
        (0..heads).map(move |head| {
            let columns = head * size..(head + 1) * size;
            let part = |states| {
                let states = Matrix::new(states, width).rows(span.clone());
                states.columns(columns.clone())
            };
            let [query, key, value] = states.map(part);
            let dropout = self.dropout.as_ref();
            let number = self.sequences.numbers[row];
            let before = head * span.len() * span.len();
            OneHead {
                states: Head {
                    query,
                    key,
                    value,
                    length: span.len(),
                    scale: (size as f32).sqrt().recip(),
                    drops: dropout.map(|dropout| Drops::new(dropout, number, before)),
                },
                first: span.start * width + columns.start,
                columns,
            }
        })
    }
}

/// One head over one sequence.
struct OneHead<'a> {
    states: Head<'a>,
    /// Its columns in a state.
    columns: Range<usize>,
    /// Place of its first number among the states of all sequences.
    first: usize,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "seen attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        query_layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let width = query_layout.dims()[1];
        let query = slice(query, query_layout)?;
        let key = slice(key, key_layout)?;
        let value = slice(value, value_layout)?;
        let contexts = self.by_sequence(|row| self.context(row, [query, key, value], width));
        let context = contexts.concat();
        Ok((CpuStorage::F32(context), query_layout.shape().clone()))
    }

    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        context: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = query.dim(1)?;
        let gradient = gradient.contiguous()?;
        let own = (values(query)?, values(key)?, values(value)?);
        let states: [&[f32]; 3] = [&own.0, &own.1, &own.2];
        let (context, gradients) = (values(context)?, values(&gradient)?);
        let outer: [&[f32]; 2] = [&context, &gradients];
        let of_rows = self.by_sequence(|row| self.pull_back(row, states, outer, width));
        let mut pulled = [(); 3].map(|()| Vec::with_capacity(query.elem_count()));
        for own in of_rows {
            for (pulled, own) in pulled.iter_mut().zip(own) {
                pulled.extend(own);
            }
        }
        let [query, key, value] =
            pulled.map(|own| Tensor::from_vec(own, gradient.shape(), gradient.device()));
        Ok((Some(query?), Some(key?), Some(value?)))
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("contiguous states are wanted, found {layout:?}"),
    }
}

#[cfg(test)]
mod tests;
