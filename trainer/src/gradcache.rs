//! The gradients of a training step for any losses: of the whole batch at once, or in chunks of
//! sequences that fit into memory, with the same result.
//!
//! ```text
//! 1  chunk by chunk, untracked:  sequences ─▶ encoder ─▶ vectors          kept: [rows, D]
//! 2  all vectors as leaves:      vectors ─▶ Loss ─▶ gradients of vectors   kept: [rows, D]
//! 3  chunk by chunk, tracked:    sequences ─▶ encoder ─▶ (vectors · gradients) ─▶ backward
//! ```
//! This is GradCache (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
//! Limited Setup"). A loss over vectors needs all of them and nothing else of the encoder, so the
//! chain rule can stop at them. It is exact only if the third part repeats the dropout of the
//! first; ours does, because dropout is a function of a sequence's number in the batch. Accumulating
//! gradients over small batches is something else: there, texts of other batches are no negatives.
//!
//! What is alive at a time: the graph of one chunk, or the graph of the loss over vectors, never
//! both; besides them two tensors `[rows, D]` and the token ids. 16,384 pairs of 384 numbers are
//! 100 MB for the two; the encoder needs what 64 sequences need. The price is a second forward.

use std::ops::Range;

use candle_core::{DType, Tensor, Var};

use crate::collate::Batch;
use crate::encoder::{Encoder, Kernels, Pass, Sequences};
use crate::losses::{Embedded, Inputs, Loss, Output, TokenLoss};
use crate::parameters::Parameters;
use crate::{Error, Result};

/// What is trained: an encoder and all that pulls at it.
#[derive(Clone, Copy)]
pub struct Objective<'a> {
    /// The encoder.
    pub encoder: &'a Encoder,
    /// The momentum encoder, for a loss that wants keys.
    pub keys: Option<&'a Encoder>,
    /// The loss over vectors; none where only token losses train.
    pub loss: Option<&'a dyn Loss>,
    /// Losses over states of tokens, which know their weights. They see the sequences of all columns.
    pub token_losses: &'a [&'a dyn TokenLoss],
    /// How operations are done.
    pub kernels: Kernels,
    /// Sequences of a chunk at most; 0 for the whole batch at once.
    pub chunk: usize,
}

/// What came of a step besides the gradients.
#[derive(Clone, Debug, Default)]
pub struct StepValue {
    /// The loss of the batch, all losses together; not scaled.
    pub loss: f64,
    /// The loss over vectors alone.
    pub vector_loss: Option<f64>,
    /// Each token loss alone, with its weight.
    pub token_losses: Vec<f64>,
    /// Figures of all losses for the log.
    pub figures: Vec<(&'static str, f64)>,
    /// The vectors of each column, without gradients; none without a loss over vectors.
    pub vectors: Vec<Embedded>,
    /// The vectors of the momentum encoder, where the loss wants them.
    pub keys: Option<Vec<Embedded>>,
}

/// One batch on its way.
struct Work<'a> {
    objective: &'a Objective<'a>,
    batch: &'a Batch,
    sequences: Sequences,
    chunks: Vec<Range<usize>>,
    pass: Pass,
    step_key: u64,
    scale: f64,
}

impl StepValue {
    /// What the loss takes to move its state after the step.
    pub fn inputs<'a>(&'a self, batch: &'a Batch) -> Inputs<'a> {
        Inputs {
            columns: &self.vectors,
            keys: self.keys.as_deref(),
            batch,
        }
    }
}

impl Objective<'_> {
    /// The parameters of the encoder and of all losses.
    pub fn parameters(&self) -> Parameters {
        let mut all = self.encoder.parameters.clone();
        if let Some(loss) = self.loss {
            all.extend(&loss.parameters());
        }
        for loss in self.token_losses {
            all.extend(&loss.parameters());
        }
        all
    }

    /// Adds the gradients of `scale` times the loss of a batch to the parameters; `scale` is one
    /// over the batches that are accumulated. Dropout and masks follow from `step_key`, which no
    /// two batches of a training share.
    ///
    /// # Errors
    /// The batch does not fit the model or a loss, or the device fails.
    pub fn step(&self, batch: &Batch, step_key: u64, scale: f64) -> Result<StepValue> {
        let pass = Pass::training(self.kernels, step_key);
        self.work(batch, pass, step_key, scale)?.run()
    }

    /// The loss of a batch as [`Objective::step`] has it, without gradients.
    ///
    /// # Errors
    /// As [`Objective::step`].
    pub fn value(&self, batch: &Batch, step_key: u64) -> Result<StepValue> {
        let pass = Pass::training(self.kernels, step_key).untracked();
        self.work(batch, pass, step_key, 1.0)?.run()
    }

    fn work<'a>(
        &'a self,
        batch: &'a Batch,
        pass: Pass,
        step_key: u64,
        scale: f64,
    ) -> Result<Work<'a>> {
        let sequences = Sequences::of_columns(&batch.columns);
        if sequences.rows() == 0 {
            return Err(Error::Training {
                step: batch.step,
                message: "the batch has no sequences".into(),
            });
        }
        Ok(Work {
            objective: self,
            batch,
            chunks: chunks(&sequences, self.chunk),
            sequences,
            pass,
            step_key,
            scale,
        })
    }
}

impl Work<'_> {
    fn run(&self) -> Result<StepValue> {
        let mut value = match self.objective.loss {
            Some(loss) => self.over_vectors(loss)?,
            None => StepValue::default(),
        };
        for loss in self.objective.token_losses {
            let (own, figures) = self.over_tokens(*loss)?;
            value.loss += own;
            value.token_losses.push(own);
            value.figures.extend(figures);
        }
        Ok(value)
    }

    /// The loss over vectors, and its gradients where they are wanted.
    fn over_vectors(&self, loss: &dyn Loss) -> Result<StepValue> {
        let encoder = self.objective.encoder;
        let keys = self.keys(loss)?;
        let forward = |vectors: &Tensor| {
            loss.forward(&Inputs {
                columns: &self.columns(vectors)?,
                keys: keys.as_deref(),
                batch: self.batch,
            })
        };
        let (output, vectors) = if self.pass.tracked && self.chunks.len() == 1 {
            let vectors = encoder.embed(&self.sequences, &self.pass)?;
            let output = forward(&vectors)?;
            self.pull(&(&output.loss * self.scale)?)?;
            (output, vectors.detach())
        } else {
            let vectors = self.embed(encoder, self.pass.untracked())?;
            let output = match self.pass.tracked {
                true => self.cached(&vectors, forward)?,
                false => forward(&vectors)?,
            };
            (output, vectors)
        };
        let own = scalar(&output.loss)?;
        Ok(StepValue {
            loss: own,
            vector_loss: Some(own),
            token_losses: Vec::new(),
            figures: output.figures,
            vectors: self.columns(&vectors)?,
            keys,
        })
    }

    /// The second and the third part of GradCache, from the vectors of the first. `[rows, D]`
    fn cached(
        &self,
        vectors: &Tensor,
        forward: impl Fn(&Tensor) -> Result<Output>,
    ) -> Result<Output> {
        let leaf = Var::from_tensor(vectors)?;
        let mut output = forward(leaf.as_tensor())?;
        let mut gradients = (&output.loss * self.scale)?.backward()?;
        self.objective.parameters().collect(&gradients)?;
        let gradient = gradients.remove(leaf.as_tensor());
        // Nothing of the loss's graph lives on while the encoder runs again.
        output.loss = output.loss.detach();
        drop((gradients, leaf));
        let Some(gradient) = gradient else {
            return Ok(output);
        };
        for chunk in &self.chunks {
            let own = gradient.narrow(0, chunk.start, chunk.len())?;
            let part = self.sequences.part(chunk.clone());
            let again = self.objective.encoder.embed(&part, &self.pass)?;
            self.pull(&(again * own)?.sum_all()?)?;
        }
        Ok(output)
    }

    /// The vectors that a loss wants of the momentum encoder, which runs without dropout.
    fn keys(&self, loss: &dyn Loss) -> Result<Option<Vec<Embedded>>> {
        if loss.momentum().is_none() {
            return Ok(None);
        }
        let Some(encoder) = self.objective.keys else {
            let message = "the loss wants keys and there is no momentum encoder";
            return Err(Error::Defect(message.into()));
        };
        let vectors = self.embed(encoder, Pass::inference(self.pass.kernels))?;
        Ok(Some(self.columns(&vectors)?))
    }

    /// The vectors of all sequences, chunk by chunk, without gradients. `[rows, D]`
    fn embed(&self, encoder: &Encoder, pass: Pass) -> Result<Tensor> {
        let parts = self.chunks.iter().map(|chunk| {
            let vectors = encoder.embed(&self.sequences.part(chunk.clone()), &pass)?;
            Ok(vectors.detach())
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// Vectors `[rows, D]` by the columns they belong to.
    fn columns(&self, vectors: &Tensor) -> Result<Vec<Embedded>> {
        let mut start = 0;
        let columns = self.batch.columns.iter().map(|column| {
            let rows = column.lengths.len();
            start += rows;
            Ok(Embedded {
                name: column.name,
                views: column.views,
                texts: column.texts,
                vectors: vectors.narrow(0, start - rows, rows)?,
            })
        });
        columns.collect()
    }

    /// A token loss, its figures, and its gradients: the parts of a batch add up.
    fn over_tokens(&self, loss: &dyn TokenLoss) -> Result<(f64, Figures)> {
        let (mut sum, mut figures) = (0.0, Figures::new());
        let (encoder, key) = (self.objective.encoder, self.step_key);
        let labels = loss.labels(&self.sequences, key);
        for chunk in &self.chunks {
            let part = self.sequences.part(chunk.clone());
            if loss.labels(&part, key).iter().all(|&labels| labels == 0) {
                continue;
            }
            let output = loss.forward(encoder, &part, &labels, key, &self.pass)?;
            sum += scalar(&output.loss)?;
            add(&mut figures, &output.figures);
            if self.pass.tracked {
                self.pull(&(output.loss * self.scale)?)?;
            }
        }
        Ok((sum, figures))
    }

    /// A backward pass whose gradients go to the parameters.
    fn pull(&self, loss: &Tensor) -> Result<()> {
        self.objective.parameters().collect(&loss.backward()?)
    }
}

type Figures = Vec<(&'static str, f64)>;

fn add(sums: &mut Figures, figures: &[(&'static str, f64)]) {
    for &(name, figure) in figures {
        match sums.iter_mut().find(|(own, _)| *own == name) {
            Some((_, own)) => *own += figure,
            None => sums.push((name, figure)),
        }
    }
}

fn scalar(loss: &Tensor) -> Result<f64> {
    Ok(f64::from(loss.to_dtype(DType::F32)?.to_scalar::<f32>()?))
}

/// Cuts sequences in their order: a chunk has `chunk` sequences at most, and at most as many tokens
/// as `chunk` sequences have on average, unless a single one has more. So long documents behind
/// short queries do not need more memory than the whole batch would lead one to expect.
pub fn chunks(sequences: &Sequences, chunk: usize) -> Vec<Range<usize>> {
    let rows = sequences.rows();
    if chunk == 0 || chunk >= rows {
        return std::iter::once(0..rows).collect();
    }
    let tokens_max = (sequences.tokens() * chunk).div_ceil(rows);
    let mut chunks = Vec::with_capacity(rows.div_ceil(chunk));
    let (mut start, mut tokens) = (0, 0);
    for row in 0..rows {
        let own = sequences.span(row).len();
        if row > start && (row - start == chunk || tokens + own > tokens_max) {
            chunks.push(start..row);
            (start, tokens) = (row, 0);
        }
        tokens += own;
    }
    chunks.push(start..rows);
    chunks
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
