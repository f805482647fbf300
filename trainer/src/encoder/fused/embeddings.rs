//! Embeddings of all tokens, normalised and dropped, as one operation.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::{Tiles, input};
use crate::encoder::embeddings::Embeddings;
use crate::encoder::{Pass, Sequences, Site};
use crate::kernels;
use crate::kernels::dropout::Dropout;
use crate::kernels::embedding::{scatter_add, sum_of_three};
use crate::kernels::memory::{Buffer, buffer, zeros};
use crate::kernels::meter::{Work, timed};
use crate::kernels::norm::{norm_backward, normalize, scale_shift};
use crate::kernels::rows::{add, drop_in_place};

/// `[T, H]`
///
/// # Errors
/// The parameters are not on the CPU.
pub fn embed(embeddings: &Embeddings, sequences: &Sequences, pass: &Pass) -> crate::Result<Tensor> {
    let operation = FusedEmbeddings {
        embeddings: embeddings.clone(),
        tiles: Tiles::new(sequences),
        ids: sequences.ids.clone(),
        places: embeddings.places(sequences),
        dropout: pass.dropout(embeddings.dropout, Site::Embeddings),
        tracked: pass.tracked,
        saved: OnceLock::new(),
    };
    let words = embeddings.words.tensor();
    Ok(match pass.tracked {
        true => words.apply_op1(operation)?,
        false => words.apply_op1_no_bwd(&operation)?,
    })
}

struct FusedEmbeddings {
    embeddings: Embeddings,
    tiles: Tiles,
    ids: Vec<u32>,
    places: Vec<u32>,
    dropout: Option<Dropout>,
    tracked: bool,
    /// Sums as the norm made them, `[T, H]`, and one over their standard deviations, `[T]`.
    saved: OnceLock<(Buffer, Buffer)>,
}

impl CustomOp1 for FusedEmbeddings {
    fn name(&self) -> &'static str {
        "embeddings"
    }

    fn cpu_fwd(&self, words: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let tables = [
            input(words, layout)?,
            &*kernels::values(self.embeddings.positions.tensor())?,
            &*kernels::values(self.embeddings.types.tensor())?,
        ];
        let (tokens, width) = (self.ids.len(), self.width());
        let mut output = vec![0.0; tokens * width];
        let kept = if self.tracked { tokens } else { 0 };
        let (mut normal, mut rstd) = (buffer(kept * width), buffer(kept));
        let norm = &self.embeddings.norm;
        let norm = [
            &*kernels::values(norm.0.tensor())?,
            &*kernels::values(norm.1.tensor())?,
        ];
        let all = 0..self.tiles.len();
        let outputs = self.tiles.split(&all, &mut output, width).into_par_iter();
        if self.tracked {
            let normals = self.tiles.split(&all, &mut normal, width);
            let rstds = self.tiles.split(&all, &mut rstd, 1);
            let kept = normals.into_par_iter().zip(rstds);
            outputs
                .zip(kept)
                .enumerate()
                .for_each(|(tile, (output, kept))| {
                    timed(Work::Embeddings, || {
                        self.forward_tile(tile, tables, norm, output, kept)
                    });
                });
            let first = self.saved.set((normal, rstd)).is_ok();
            debug_assert!(first, "candle runs an operation once");
        } else {
            outputs.enumerate().for_each(|(tile, output)| {
                let (mut normal, mut rstd) = (buffer(output.len()), buffer(output.len() / width));
                self.forward_tile(tile, tables, norm, output, (&mut normal, &mut rstd));
            });
        }
        Ok((CpuStorage::F32(output), (tokens, width).into()))
    }

    fn bwd(&self, _words: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let Some((normal, rstd)) = self.saved.get() else {
            candle_core::bail!("a backward pass through embeddings that kept nothing for it");
        };
        let gradient = gradient.contiguous()?;
        self.backward(normal, rstd, &kernels::values(&gradient)?)?;
        Ok(None)
    }
}

impl FusedEmbeddings {
    fn width(&self) -> usize {
        self.embeddings.norm.0.elements()
    }

    fn forward_tile(
        &self,
        tile: usize,
        [words, positions, types]: [&[f32]; 3],
        [weight, bias]: [&[f32]; 2],
        output: &mut [f32],
        (normal, rstd): (&mut [f32], &mut [f32]),
    ) {
        let (width, eps) = (self.width(), self.embeddings.eps as f32);
        let rows = normal
            .chunks_exact_mut(width)
            .zip(output.chunks_exact_mut(width));
        let drops = self
            .dropout
            .map(|dropout| self.tiles.drops(tile, &dropout, width));
        for ((row, token), (normal, output)) in self.tiles.tokens(tile).enumerate().zip(rows) {
            let word = &words[self.ids[token] as usize * width..][..width];
            let position = &positions[self.places[token] as usize * width..][..width];
            sum_of_three(normal, word, position, &types[..width]);
            rstd[row] = normalize(normal, eps);
            scale_shift(normal, weight, bias, output);
            if let Some(drops) = &drops {
                drop_in_place(output, drops[row]);
            }
        }
    }

    /// Adds the gradients of all tables and of the norm where they stand.
    fn backward(&self, normal: &[f32], rstd: &[f32], gradient: &[f32]) -> Result<()> {
        let width = self.width();
        let mut flow = buffer(gradient.len());
        let mut sums = zeros(self.tiles.len() * 3 * width);
        let weight = kernels::values(self.embeddings.norm.0.tensor())?;
        let weight = &*weight;
        let flows = self.tiles.split(&(0..self.tiles.len()), &mut flow, width);
        let tasks = flows
            .into_par_iter()
            .zip(sums.chunks_exact_mut(3 * width).collect::<Vec<_>>());
        tasks.enumerate().for_each(|(tile, (flow, sums))| {
            let tokens = self.tiles.tokens(tile);
            let rows = |width: usize| tokens.start * width..tokens.end * width;
            flow.copy_from_slice(&gradient[rows(width)]);
            let saved = (&normal[rows(width)], &rstd[rows(1)]);
            timed(Work::Embeddings, || {
                self.backward_tile(tile, flow, saved, weight, sums)
            });
        });
        let mut types = self.embeddings.types.host_gradient();
        let mut norm_weight = self.embeddings.norm.0.host_gradient();
        let mut norm_bias = self.embeddings.norm.1.host_gradient();
        for sums in sums.chunks_exact(3 * width) {
            add(&mut norm_weight, &sums[..width]);
            add(&mut norm_bias, &sums[width..2 * width]);
            add(&mut types[..width], &sums[2 * width..]);
        }
        let mut words = self.embeddings.words.host_gradient();
        scatter_add(&mut words, width, &self.ids, &flow);
        let mut positions = self.embeddings.positions.host_gradient();
        scatter_add(&mut positions, width, &self.places, &flow);
        Ok(())
    }

    fn backward_tile(
        &self,
        tile: usize,
        flow: &mut [f32],
        (normal, rstd): (&[f32], &[f32]),
        weight: &[f32],
        sums: &mut [f32],
    ) {
        let width = weight.len();
        let (weight_sums, rest) = sums.split_at_mut(width);
        let (bias_sums, type_sums) = rest.split_at_mut(width);
        let drops = self
            .dropout
            .map(|dropout| self.tiles.drops(tile, &dropout, width));
        let rows = flow.chunks_exact_mut(width).zip(normal.chunks_exact(width));
        for (row, (flow, normal)) in rows.enumerate() {
            if let Some(drops) = &drops {
                drop_in_place(flow, drops[row]);
            }
            norm_backward(flow, normal, rstd[row], weight, weight_sums, bias_sums);
            add(type_sums, flow);
        }
    }
}
